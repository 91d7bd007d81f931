"""The MicroPython image that a board runs: which one it wants, whether a file is that, and whether a running board has it.

What a file is, is read from the file itself (esptool's reader of images, MicroPython's own banner), not believed from its name.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from tools.boards import Board, Image

# What MicroPython prints when its prompt appears, in every image as one text. Source: py/mpconfig.h, MICROPY_BANNER_NAME_AND_VERSION.
_BANNER = re.compile(rb"MicroPython v(\d+\.\d+\.\d+)(\S*) on \d{4}-\d\d-\d\d")
WHERE = "https://micropython.org/download/"


class ImageError(Exception):
    """A file that is not the image of this board, or a board that runs another one; the message says which one to get."""


@dataclass(frozen=True)
class Running:
    """What a board says of its MicroPython. `build`: the image's name, "" before 1.25; `mpy`: the bytecode it loads, such as "6.3"."""

    platform: str
    version: str
    build: str
    machine: str
    mpy: str


# What `Running` is read with on the board. Source of `_mpy`'s bits: docs/reference/mpyfiles.rst.
RUNNING = (
    "(__import__('sys').platform, '.'.join(str(n) for n in __import__('sys').implementation[1][:3]), "
    "getattr(__import__('sys').implementation, '_build', ''), getattr(__import__('sys').implementation, '_machine', ''), "
    "getattr(__import__('sys').implementation, '_mpy', 0))"
)


def running(values: tuple[str, str, str, str, int]) -> Running:
    """What the board's answer to RUNNING means."""
    platform, version, build, machine, mpy = values
    return Running(platform, version, build, machine, f"{mpy & 0xFF}.{mpy >> 8 & 3}")


def remedy(board: Board) -> str:
    """Which image to get, by name, version, hash and bytecode, and where."""
    image = _of(board)
    digest = f", SHA-256 {image.sha256}" if image.sha256 else ""
    folder = image.name.split("-")[0]
    what = f"{image.file}{digest} (MicroPython {image.version}, bytecode {image.mpy_version})"
    return f"get {what} at {WHERE}{folder}/ and name it: IMAGE="


def _of(board: Board) -> Image:
    if board.image is None:
        raise ImageError(f"{board.name} takes no image.")
    return board.image


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _load(chip: str, data: bytes) -> Any:
    """What esptool reads at the beginning of these bytes. Raises ImageError."""
    from esptool.bin_image import LoadFirmwareImage  # here: it takes a second
    from esptool.util import FatalError

    try:
        with redirect_stdout(StringIO()):
            return LoadFirmwareImage(chip, data)
    except (FatalError, IndexError, ValueError, OSError, KeyError) as error:
        raise ImageError(f"no image of an ESP32 ({error})") from None


def chip_of(data: bytes) -> str | None:
    """The chip that an image is for, by the number in its header; None for one that esptool does not know."""
    from esptool.targets import CHIP_DEFS

    number = int.from_bytes(data[12:14], "little")
    with suppress(StopIteration):
        return next(name for name, chip in CHIP_DEFS.items() if getattr(chip, "IMAGE_CHIP_ID", None) == number)
    return None


def check_file(board: Board, file: Path) -> str:
    """The version of an image file that this board may be given. Raises ImageError."""
    image = _of(board)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ImageError(f"IMAGE={file}: {error.strerror}; {remedy(board)}") from None
    for fault in _faults(board, image, file.name, data):
        raise ImageError(f"IMAGE={file}: {fault}; {remedy(board)}")
    return _version(data)


# esp_app_desc_t, which only an application has, begins its first segment: 24 bytes of header and 8 of the segment's stand before; the
# version is its fifth member, of 32 bytes. Source: ESP-IDF, "App Image Format", ESP_APP_DESC_MAGIC_WORD.
_APP_AT, _APP_MAGIC = 32, b"\x32\x54\xcd\xab"
_APP_VERSION = slice(_APP_AT + 16, _APP_AT + 48)


def check_app(board: Board, file: Path) -> bytes:
    """The bytes of an image for one of a board's OTA partitions. Raises ImageError."""
    room = next((part.size for part in board.partitions if part.kind == "app/ota_0"), None)
    if room is None:
        raise ImageError(f"{board.name} has no OTA partitions: IMAGE= is for a board with the feature ota.")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ImageError(f"IMAGE={file}: {error.strerror}.") from None
    for fault in _app_faults(board, data, room):
        raise ImageError(f"IMAGE={file}: {fault}.")
    return data


def version_of_app(data: bytes) -> str:
    """What an application image calls its version."""
    return data[_APP_VERSION].partition(b"\0")[0].decode("ascii", "replace")


def _app_faults(board: Board, data: bytes, room: int) -> Iterator[str]:
    """What keeps these bytes from being the application of an OTA partition, the first thing first."""
    if data[:1] != b"\xe9":
        yield "no image of an ESP32"
    if data[_APP_AT : _APP_AT + len(_APP_MAGIC)] != _APP_MAGIC:
        yield "no application image: a .bin has a boot loader in it and is for `make flash`; take the .app-bin of the same name"
    chip = chip_of(data)
    if chip != board.chip:
        yield f"an image for {chip}, and {board.name} has {board.chip}"
    if len(data) > room:
        yield f"{len(data):,} bytes: allowed: at most {room:,}, the partition ota_0 of {board.name}"
    try:
        _check_digest(_load(str(board.chip), data))
    except ImageError as error:
        yield f"damaged: {error}"


def _version(data: bytes) -> str:
    found = _BANNER.search(data)
    return found[1].decode() if found else ""


def _faults(board: Board, image: Image, name: str, data: bytes) -> Any:
    """What is wrong with a file, the first thing first."""
    if not fnmatch.fnmatch(name, image.file_pattern):
        yield f"for {board.name} a file named {image.file_pattern} is allowed"
    chip = chip_of(data) if data[:1] == b"\xe9" else None
    if chip != board.chip:
        yield f"an image for {chip}, and the board has {board.chip}" if chip else "no image of an ESP32"
    try:
        _check_parts(board, image, data)
    except ImageError as error:
        yield f"damaged: {error}"
    version = _version(data)
    if not version:
        yield "there is no MicroPython inside"
    if _numbers(version) < _numbers(image.min_version):
        yield f"MicroPython {version}, and at least {image.min_version} is wanted, for bytecode {image.mpy_version}"
    found = hashlib.sha256(data).hexdigest()
    if image.sha256 and name == image.file and found != image.sha256:
        yield f"its SHA-256 is {found}, not that of this release"


def _check_parts(board: Board, image: Image, data: bytes) -> None:
    """The boot loader at the beginning, and the first program behind the partition table, each against its own digest."""
    app = min((part.offset for part in board.partitions if part.is_app), default=0x10000)
    for place in (0, app - image.offset):
        _check_digest(_load(str(board.chip), data[place:]))


def _check_digest(part: Any) -> None:
    """Raises ImageError."""
    if part.append_digest and part.stored_digest != part.calc_digest:
        raise ImageError("a part of it has another digest than it says")


def check_running(board: Board, found: Running) -> None:
    """Raises ImageError for a board that runs another MicroPython than this one is to have."""
    if board.image is None:
        if found.platform != board.port:
            raise ImageError(f"The board runs MicroPython for {found.platform}, and {board.name} is {board.port}.")
        return
    what = found.build or found.machine or found.platform
    if found.platform != board.port or found.build and found.build != board.image.name:
        raise ImageError(f"The board runs the image {what}, and {board.name} wants {board.image.name}: {remedy(board)}")
    if _numbers(found.version) < _numbers(board.image.min_version):
        raise ImageError(f"The board runs MicroPython {found.version}: at least {board.image.min_version} is wanted: {remedy(board)}")
    if found.mpy != board.image.mpy_version:
        wanted = board.image.mpy_version
        raise ImageError(f"The board's MicroPython loads bytecode {found.mpy}, and these files are {wanted}: {remedy(board)}")
