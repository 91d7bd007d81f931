"""What makes a slot whole: `replenish/whole`, which the loader looks for (firmware/loader.py has its form).

Whoever writes a slot removes it first and writes it last. It holds the version and a digest of the slot's list of files, so that
a slot can be compared with a build, or with itself, file by file.
"""

from __future__ import annotations

import hashlib
import re
import struct
from binascii import crc32
from pathlib import Path

NAME = "replenish/whole"
Version = tuple[int, int, int]


def version(text: str) -> Version:
    """Three numbers of a text like "1.2.3". Raises ValueError."""
    found = re.fullmatch(r"(\d{1,5})\.(\d{1,5})\.(\d{1,5})", text)
    numbers = tuple(map(int, found.groups())) if found else ()
    if len(numbers) != 3 or max(numbers) > 65535:
        raise ValueError(f"{text}: a version is three numbers of 0 to 65535, such as 1.2.3")
    return numbers[0], numbers[1], numbers[2]


def firmware_version(firmware: Path) -> Version:
    """The version of the firmware's source. Raises ValueError."""
    found = re.search(r'^VERSION = "([^"]+)"$', (firmware / "replenish" / "version.py").read_text(), re.MULTILINE)
    if not found:
        raise ValueError("version.py: VERSION is missing")
    return version(found[1])


def digest(files: dict[str, bytes]) -> bytes:
    """SHA-256 over a slot's list: for each file, by its place below the slot's folder in the order of the bytes of that, its length
    in four bytes, little-endian, its SHA-256 and its place, ended by a newline; `whole` itself is left out."""
    total = hashlib.sha256()
    for place in sorted(set(files) - {NAME}):
        total.update(struct.pack("<I", len(files[place])) + hashlib.sha256(files[place]).digest() + place.encode() + b"\n")
    return total.digest()


def whole(number: Version, files: dict[str, bytes]) -> bytes:
    """The content of `replenish/whole` for these files: place below the slot's folder, content."""
    data = struct.pack("<2sB3H32s", b"rW", 1, *number, digest(files))
    return data + struct.pack("<I", crc32(data))
