"""Firmware images in an ESP32's OTA partitions: written into the one that does not run, booted once, and confirmed or given up.

The bootloader starts an image that `set_boot` named; unless that confirms itself before the next reset, it starts the old one again
(ESP-IDF, "App rollback"; MicroPython's images are built with it). What is on its way stands in the store's record `image`.
"""

import struct
from hashlib import sha256

from micropython import const

from ..core.bundle import Refused
from ..core.errors import StoreError

_RECORD = "image"
_FORM = const("<3HB")  # its version, and the subtype of its partition
_COUNT = const(4)  # of MicroPython's block protocol
_SIZE = const(5)
_ERASE = const(6)
_SUBTYPE = const(1)  # in what `Partition.info` tells
_TOLD_AT = const(32)  # where an image says what it is: ESP-IDF's `esp_app_desc_t`, behind the headers of image and first segment
_TOLD_MAGIC = b"\x32\x54\xcd\xab"
_VERSION_AT = const(16)  # in that, 32 bytes
_EIO = const(5)


def _running():
    """The partition that runs. Raises Refused on a chip without partitions."""
    try:
        from esp32 import Partition
    except ImportError:
        raise Refused("no_partitions")
    return Partition(Partition.RUNNING)  # type: ignore[arg-type]  # the stubs know labels only


def own_version():
    """What the image that runs calls its version, such as "v1.25.0-dirty" without the rest: three numbers; (0, 0, 0) when those are
    not what it says. Raises Refused on a chip without partitions, OSError."""
    told = bytearray(_VERSION_AT + 32)
    _running().readblocks(0, told, _TOLD_AT)
    if told[:4] != _TOLD_MAGIC:
        return (0, 0, 0)
    text = bytes(told[_VERSION_AT:]).split(b"\0")[0].split(b"-")[0]
    parts = (text[1:] if text[:1] == b"v" else text).split(b".")
    if len(parts) != 3 or not all([part.isdigit() for part in parts]):
        return (0, 0, 0)
    return tuple([int(part) for part in parts])


def write(manifest, source, store, progress=None):
    """Write the image into the partition that does not run, and have it booted next. Raises Refused when there is none, or it is too
    small, or the bytes are not those of the list; then the partition is not booted. Raises OSError when the flash refuses."""
    try:
        target = _running().get_next_update()
    except OSError:
        target = None
    if target is None:
        raise Refused("no_partitions")
    for _, length, digest in manifest.files():  # one
        size = target.ioctl(_SIZE, 0)
        if length > size * target.ioctl(_COUNT, 0):
            raise Refused("no_room")
        _copy(target, size, length, digest, source, progress)
    if source.read(1):
        raise Refused("trailing")
    # Before it is booted: once it runs, this is how its version is known.
    store.put(_RECORD, struct.pack(_FORM, *(manifest.head.version + (target.info()[_SUBTYPE],))))
    target.set_boot()


def _copy(target, size, length, digest, source, progress):
    """Write so many bytes, a block at a time, and read them again."""
    block = memoryview(bytearray(size))
    found = sha256()
    for number in range((length + size - 1) // size):
        used = min(size, length - number * size)
        at = 0
        while at < used:
            data = source.read(min(used - at, 512))
            if not data:
                raise Refused("truncated")
            block[at : at + len(data)] = data
            at += len(data)
        found.update(block[:used])
        for i in range(used, size):
            block[i] = 255
        if progress:
            progress()
        target.ioctl(_ERASE, number)
        target.writeblocks(number, block, 0)
    if found.digest() != digest:
        raise Refused("wrong_hash")
    found = sha256()
    for number in range((length + size - 1) // size):
        if progress:
            progress()
        target.readblocks(number, block, 0)
        found.update(block[: min(size, length - number * size)])
    if found.digest() != digest:
        raise OSError(_EIO)


def well(store, loader):
    """This start is well: confirm the image that runs and remember its version, if it came by an update. Returns what became of that,
    "confirmed" or "reverted", or None when none was on its way. Raises OSError, and StoreError for a record that is damaged: once, and
    what runs is confirmed then."""
    try:
        running = _running()
    except Refused:
        return None
    try:
        data = store.get(_RECORD)
    except StoreError:
        store.put(_RECORD, b"")
        _confirm(running)
        raise
    if not data:
        return None  # and nothing to confirm, which a bootloader without OTA data refuses
    found = struct.unpack(_FORM, data)
    is_new = running.info()[_SUBTYPE] == found[3]
    if is_new:
        _confirm(running)
        loader.image(found[:3])  # before the record goes: a power cut between them leaves it to the next start
    store.put(_RECORD, b"")
    return "confirmed" if is_new else "reverted"


def _confirm(running):
    if hasattr(running, "mark_app_valid_cancel_rollback"):
        running.mark_app_valid_cancel_rollback()
