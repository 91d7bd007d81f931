"""What is on the board's flash, made and read on the PC by littlefs itself, not by MicroPython."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from littlefs import LittleFS, UserContext

from tools import emulator

_BLOCKS = emulator.FLASH_BYTES // emulator.SECTOR_BYTES


def _file_system(content: bytes = b"") -> LittleFS:
    """With MicroPython's sizes: what is on a chip, mounted, or a new one. Raises LittleFSError when it cannot be mounted."""
    chip = UserContext(emulator.FLASH_BYTES)
    chip.buffer[:] = content.ljust(emulator.FLASH_BYTES, b"\xff")
    sizes: dict[str, Any] = {"read_size": 32, "prog_size": 32, "cache_size": 128, "lookahead_size": 32, "block_cycles": 100}
    made = LittleFS(chip, mount=False, block_size=emulator.SECTOR_BYTES, block_count=_BLOCKS, **sizes)
    if not content:
        made.format()
    made.mount()
    return made


def image(files: dict[str, bytes]) -> bytes:
    """What a flash holds on which these files were put; names from the root, without a leading slash."""
    made = _file_system()
    for name, data in files.items():
        folder = str(PurePosixPath(name).parent)
        made.makedirs(folder, exist_ok=True)
        with made.open(name, "wb") as file:
            file.write(data)
    made.unmount()
    return bytes(made.context.buffer)


def files(flash: Path, under: str = "") -> dict[str, bytes]:
    """Every file (of a folder) on the flash in this file, {name from the root: content}. Raises LittleFSError when it is broken."""
    found = {}
    mounted = _file_system(emulator.read_flash(flash))
    for folder, _, names in mounted.walk("/" + under):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with mounted.open(path, "rb") as file:
                found[path.lstrip("/")] = file.read()
    return found


def names(flash: Path) -> list[str]:
    """Every file's name on the flash in this file. Raises LittleFSError when it is broken."""
    walked = _file_system(emulator.read_flash(flash)).walk("/")
    return sorted(f"{folder.rstrip('/')}/{name}".lstrip("/") for folder, _, found in walked for name in found)


def tree(folder: Path) -> dict[str, bytes]:
    """The files of a built tree (build/<board>/) as they go onto a board."""
    found = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name not in ("files.json", "package.json")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}
