"""A board in QEMU: a Cortex-M3 with MicroPython at a serial port, and a flash that is a file and survives.

    python -m tools.emulator [--flash FILE] [--firmware IMAGE.elf]

runs one in the foreground and prints its port, to which everything that takes PORT= can talk: a name beside the flash that is always
the same while it runs, for a pty has another number each time. The port stays the same while the
board is killed and started again, as a USB adapter's does. See tools/qemu/README.md for what is inside.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "build" / "bin" / "qemu-firmware.elf"
FLASH = ROOT / "build" / "qemu-flash.img"
QEMU = "qemu-system-arm"

FLASH_BYTES = 2 << 20  # what the file system has; tools/qemu/flash.c knows the same numbers
SECTOR_BYTES = 4096
_MEMORY_BYTES = 16 << 20  # the file: all of the machine's PSRAM, for QEMU backs no part of it
_GAUGE_AT = 15 << 20
_ID_AT = _GAUGE_AT + 0x100
_GAUGE = struct.Struct("<4I")
_CUT = struct.Struct("<I")  # after it
_BUSY = ("", "program", "erase")
_CUT_BIT = 4

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_CHUNK_BYTES = 4096


class EmulatorError(Exception):
    """The board cannot run; the message is one sentence for the person."""


@dataclass(frozen=True)
class Gauge:
    """What the flash has done since it was made, and is doing: `busy` is "program", "erase" or empty; is_cut: by `cut_after`."""

    busy: str
    is_cut: bool
    programs: int
    erases: int
    bytes_programmed: int


def make_flash(place: Path, content: bytes = b"") -> None:
    """A new chip: erased but for `content` at its beginning, with an id of its own."""
    with place.open("wb") as file:
        file.write(content.ljust(FLASH_BYTES, b"\xff"))
        file.seek(_ID_AT)
        file.write(os.urandom(6))
        file.truncate(_MEMORY_BYTES)


def read_flash(place: Path) -> bytes:
    """What is on the chip."""
    with place.open("rb") as file:
        return file.read(FLASH_BYTES)


def read_gauge(place: Path) -> Gauge:
    """What the flash in this file is doing, also after its board was killed."""
    with place.open("rb") as file:
        file.seek(_GAUGE_AT)
        busy, programs, erases, bytes_programmed = _GAUGE.unpack(file.read(_GAUGE.size))
    return Gauge(_BUSY[busy & 3], bool(busy & _CUT_BIT), programs, erases, bytes_programmed)


def command(flash: Path, firmware: Path) -> list[str]:
    """How QEMU is started; its standard input and output are the serial line."""
    memory = f"memory-backend-file,id=flash,size={_MEMORY_BYTES},mem-path={str(flash).replace(',', ',,')},share=on"
    machine = ["-machine", "mps2-an385,memory-backend=flash", "-object", memory, "-kernel", str(firmware)]
    return [QEMU, *machine, "-display", "none", "-monitor", "none", "-semihosting", "-serial", "stdio"]


def _die_with_parent() -> None:
    """In the child, before it becomes QEMU: no board outlives the thread that started it."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Emulator:
    """One board, from `with` to the block's end. `port` is its serial port, a pty; what it printed is in `transcript`.

    flash: the file that is its flash; made when it is not there. The same thread must start the board and outlive it.
    """

    def __init__(self, flash: Path, firmware: Path = FIRMWARE) -> None:
        self.flash = flash
        self.firmware = firmware
        self.transcript = bytearray()
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)  # and held open, so that the port lives while nobody is at it
        self.port = os.ttyname(self._slave)
        self._process: subprocess.Popen[bytes] | None = None
        self._line: threading.Thread | None = None
        self._wake = os.pipe()

    def __enter__(self) -> Emulator:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
        for handle in (self._master, self._slave, *self._wake):
            os.close(handle)

    @property
    def pid(self) -> int:
        """QEMU's process. Raises EmulatorError when there is none."""
        if self._process is None:
            raise EmulatorError("The board is off.")
        return self._process.pid

    def start(self) -> None:
        """Switch it on. Raises EmulatorError when QEMU or the firmware cannot be had."""
        if not self.firmware.exists():
            raise EmulatorError(f"{self.firmware} not found: make qemu builds it.")
        if shutil.which(QEMU) is None:
            raise EmulatorError(f"{QEMU} not found (apt install qemu-system-arm).")
        if not self.flash.exists():
            make_flash(self.flash)
        self._process = subprocess.Popen(
            command(self.flash, self.firmware),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C in the terminal is for us, or for the board by its line
            preexec_fn=_die_with_parent,
        )
        self._line = threading.Thread(target=self._carry, args=(self._process,), name="serial line", daemon=True)
        self._line.start()

    def kill(self) -> None:
        """Take the power away, at whatever instant this is."""
        if self._process is None or self._line is None:
            return
        self._process.kill()
        self._process.wait()
        self._line.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process = self._line = None

    def restart(self) -> None:
        """Take the power away and give it back. What was sent to the board and not read is lost."""
        self.kill()
        while select.select([self._master], [], [], 0)[0]:
            os.read(self._master, _CHUNK_BYTES)
        self.start()

    @property
    def gauge(self) -> Gauge:
        return read_gauge(self.flash)

    def cut_after(self, operations: int) -> None:
        """Let the power fail in the middle of the so-manieth operation of the flash from now on, counted from 1: a page programmed or a
        sector erased. The board stands still there until `kill` (see `Gauge.is_cut`). Counted on over restarts; 0 calls it off."""
        with self.flash.open("r+b", buffering=0) as file:
            file.seek(_GAUGE_AT + _GAUGE.size)
            file.write(_CUT.pack(operations))

    def wait_for(self, text: str, timeout_s: float = 20, start: int = 0) -> str:
        """What the board has printed from byte `start` of the transcript on, as soon as `text` is in it. Raises EmulatorError."""
        deadline = time.monotonic() + timeout_s
        while True:
            printed = self.transcript[start:].decode(errors="replace")
            if text in printed:
                return printed
            if time.monotonic() > deadline or self._line is None or not self._line.is_alive():
                raise EmulatorError(f"The board did not say {text!r} in {timeout_s:g} s; it said: {printed[-2000:]}")
            self._line.join(0.005)

    def _carry(self, process: subprocess.Popen[bytes]) -> None:
        """The wire between QEMU and the port, until QEMU ends."""
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 (it was started with both)
        to_board, from_board = process.stdin.fileno(), process.stdout.fileno()
        os.set_blocking(to_board, False)
        os.set_blocking(self._master, False)
        waiting = b""
        while True:
            readable, _, _ = select.select([from_board, *([] if waiting else [self._master])], [to_board] if waiting else [], [])
            if from_board in readable:
                data = os.read(from_board, _CHUNK_BYTES)
                if not data:
                    return
                self.transcript += data
                with contextlib.suppress(BlockingIOError):  # nobody reads, as on a real line: what does not fit is lost
                    os.write(self._master, data)
            if self._master in readable:
                waiting = os.read(self._master, _CHUNK_BYTES)
            if waiting:
                with contextlib.suppress(BlockingIOError, BrokenPipeError):
                    waiting = waiting[os.write(to_board, waiting) :]


def port_link(flash: Path) -> Path:
    """The name that the port of the board with this flash has while `make emulator` runs: a pty's own is another each time."""
    return flash.with_suffix(".port")


@contextlib.contextmanager
def linked(board: Emulator) -> Iterator[Path]:
    link = port_link(board.flash)
    link.unlink(missing_ok=True)
    link.symlink_to(board.port)
    try:
        yield link
    finally:
        link.unlink(missing_ok=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.emulator", description="Run a board in QEMU until Ctrl-C.")
    parser.add_argument("--flash", type=Path, default=FLASH, help="the file that is its flash; made if missing")
    parser.add_argument("--firmware", type=Path, default=FIRMWARE, help="an image of its own, as `make frozen BOARD=qemu` makes")
    options = parser.parse_args(argv)
    options.flash.parent.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Emulator(options.flash, options.firmware) as board, linked(board) as port:
            flash = os.path.relpath(options.flash)
            print(f"PORT={os.path.relpath(port)}  which is {board.port}; flash: {flash}  (Ctrl-C ends it)", flush=True)
            threading.Event().wait()
    except EmulatorError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass  # or SIGTERM: the power is off by now
    return 0


if __name__ == "__main__":
    sys.exit(main())
