"""Images of MicroPython for tests, in the form that the chip's boot loader reads (esptool manual, "Firmware Image Format")."""

from __future__ import annotations

import hashlib
import struct
from functools import reduce
from operator import xor
from pathlib import Path

from esptool.targets import CHIP_DEFS

from tools.boards import Board

_APP = 0x10000  # where the first program is


def _part(chip_id: int, content: bytes) -> bytes:
    """One image: header, a segment, checksum, digest."""
    content = content.ljust((len(content) + 3) // 4 * 4, b"\0")
    data = struct.pack("<BBBBI", 0xE9, 1, 2, 0x20, 0x40080000)
    data += struct.pack("<BBBBHBHH4xB", 0xEE, 0, 0, 0, chip_id, 0, 0, 0, 1)
    data += struct.pack("<II", 0x3FFB0000, len(content)) + content
    data = data.ljust(len(data) // 16 * 16 + 15, b"\0") + bytes([reduce(xor, content, 0xEF)])
    return data + hashlib.sha256(data).digest()


def write_app(place: Path, board: Board, size: int = 4096, chip_id: int | None = None, version: bytes = b"v1.28.0") -> Path:
    """An application image alone, as MicroPython's .app-bin, which says that it has this version; size: of its segment, in bytes."""
    assert board.chip
    number = CHIP_DEFS[board.chip].IMAGE_CHIP_ID if chip_id is None else chip_id
    place.write_bytes(_part(number, struct.pack("<I12x32s", 0xABCD5432, version).ljust(size, b"a")))
    return place


def write(place: Path, board: Board, version: str = "1.28.0", chip_id: int | None = None) -> Path:
    """An image file for this board: boot loader, a hole, and a program with MicroPython's banner of this version."""
    assert board.image and board.chip
    number = CHIP_DEFS[board.chip].IMAGE_CHIP_ID if chip_id is None else chip_id
    loader = _part(number, b"boot loader")
    app = _part(number, b"MicroPython v%s on 2026-04-06" % version.encode())
    place.write_bytes(loader.ljust(_APP - board.image.offset, b"\xff") + app)
    return place
