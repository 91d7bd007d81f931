"""littlefs as the PC has it (littlefs-python) on the cutting flash, under the firmware's `recordfiles`."""

from __future__ import annotations

from typing import IO, Any

from littlefs import LittleFS, LittleFSError, UserContext

from host_tests.fakes.flash import Flash
from host_tests.powerloss.media import Littlefs, Mounted


class Context(UserContext):
    """littlefs's four operations, on the flash. An exception must not cross its C code, so it is kept for `Pc` to raise."""

    def __init__(self, flash: Flash) -> None:
        super().__init__(buffsize=0)
        self.flash = flash
        self.error: BaseException | None = None

    def _do(self, operation: Any, *arguments: Any) -> int:
        try:
            operation(*arguments)
        except BaseException as error:
            self.error = self.error or error
            return -5
        return 0

    def read(self, cfg: Any, block: int, off: int, size: int) -> bytearray:
        data = bytearray(size)
        self._do(self.flash.readblocks, block, data, off)
        return data

    def prog(self, cfg: Any, block: int, off: int, data: bytes) -> int:
        return self._do(self.flash.writeblocks, block, bytes(data), off)

    def erase(self, cfg: Any, block: int) -> int:
        return self._do(self.flash.ioctl, 6, block)

    def sync(self, cfg: Any) -> int:
        return self._do(self.flash.ioctl, 3, 0)


class PcLittlefs(Mounted, Littlefs):
    """MicroPython's sizes: read and program 32, cache 128, lookahead 32 bytes. The flash may lose unsynced writes out of order."""

    def __init__(self, flash: Flash | None = None) -> None:
        self.mount()
        Littlefs.__init__(self, flash)

    def _file_system(self) -> LittleFS:
        self.context = Context(self.flash)
        sizes: dict[str, Any] = {"read_size": 32, "prog_size": 32, "cache_size": 128, "lookahead_size": 32, "block_cycles": 100}
        return LittleFS(self.context, mount=False, block_size=self.flash.block_size, block_count=self.flash.blocks, **sizes)

    def format(self) -> None:
        self._file_system().format()

    def store(self) -> Any:
        self.fs = self._file_system()
        self.fs.mount()
        return self.records(True)

    def tears(self, kind: str, data: Any) -> tuple[str, ...]:
        if kind == "sync":
            return ()
        # Blocks written since the last sync, of which one did not reach the medium though a later one did.
        return "0", "half", "bits", *(f"without{block}" for block in self.flash.unsynced())

    def cut(self, kind: str, address: int, data: Any, name: str) -> PcLittlefs:
        if not name.startswith("without"):
            return Littlefs.cut(self, kind, address, data, name)
        other = self.flash.cut(kind, address, data, 0)
        self.flash.revert(other, [int(name[7:])])
        return PcLittlefs(other)

    # What `recordfiles` does

    def _checked(self, operation: Any, *arguments: Any) -> Any:
        try:
            return operation(*arguments)
        except LittleFSError as error:
            raise OSError(-error.code) from error
        finally:
            if self.context.error:
                raise self.context.error

    def open(self, name: str, mode: str) -> IO[bytes]:
        return PcFile(self, self._checked(self.fs.open, name, mode))  # type: ignore[return-value]

    def size(self, name: str) -> int:
        return self._checked(self.fs.stat, name).size

    def list(self) -> list[str]:
        return self._checked(self.fs.listdir, "/")

    def rename(self, old: str, new: str) -> None:
        self._checked(self.fs.rename, old, new)


class PcFile:
    """An open file, whose errors come out as `recordfiles` expects them."""

    def __init__(self, medium: PcLittlefs, file: Any) -> None:
        self._medium = medium
        self._file = file

    def __enter__(self) -> PcFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._medium._checked(self._file.close)

    def read(self, size: int) -> bytes:
        return self._medium._checked(self._file.read, size)

    def write(self, data: bytes) -> int:
        return self._medium._checked(self._file.write, data)

    def flush(self) -> None:
        self._medium._checked(self._file.flush)
        self._medium._checked(self._file.raw.flush)  # the buffer's own flush does not reach littlefs's sync
