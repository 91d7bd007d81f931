"""The files of the slot that does not run, while an update is written into it (see loader.py).

`replenish/whole` goes first and comes last, so that at no instant a slot counts as whole that is not. A file that is there already
as it is to be is kept: what an interrupted update has written is not fetched again, nor what two versions have in common.
"""

import os
import struct
from binascii import crc32
from hashlib import sha256

from micropython import const

from ..core.bundle import Refused

_WHOLE = "/replenish/whole"
_CHUNK = const(512)  # bytes
_SPARE_BLOCKS = const(8)  # of the file system, for folders and for what else is written meanwhile
_FOLDER = const(0x4000)  # in the mode that `os.stat` tells
_EIO = const(5)


class SlotFiles:
    """folder: of the slot; progress: called now and then while something is done, or None."""

    def __init__(self, folder, progress=None):
        self._folder = folder
        self._progress = progress

    def check_room(self, manifest):
        """Raises Refused when the files would not fit, the ones that are there now being removed. Nothing is changed."""
        try:
            found = os.statvfs(self._folder[: self._folder.rfind("/") + 1] or "/")
        except OSError:
            return  # no file system that tells: a full one is met by writing
        block = found[1] or found[0]
        free = found[3] if 0 <= found[3] <= found[2] else 0  # littlefs counts some blocks twice: a full one has less than none
        room = free + sum([_blocks(os.stat(path)[6], block) for path in self._paths()])
        if room < _SPARE_BLOCKS + sum([_blocks(length, block) for _, length, _ in manifest.files()]):
            raise Refused("no_room")

    def clear(self, manifest):
        """The slot is not whole from now on. Removes all that is not as the manifest has it; returns which of its files are
        there: a byte for each, 0 or 1. Raises OSError."""
        for folder in ("", "/replenish"):
            _make(self._folder + folder)
        if _size(self._folder + _WHOLE) is not None:
            os.remove(self._folder + _WHOLE)
        kept = bytearray([self._is_there(*found) for found in manifest.files()])
        for path in self._paths():
            place = path[len(self._folder) + 1 :]
            number = 0
            for other, _, _ in manifest.files():
                if other == place:
                    break
                number += 1
            if number == len(kept) or not kept[number]:
                os.remove(path)
        return kept

    def write(self, place, length, digest, source):
        """Write one file, of so many bytes that `source.read` gives. Raises Refused when they are not those, OSError."""
        path = self._folder + "/" + place
        at = place.find("/")
        while at > 0:
            _make(self._folder + "/" + place[:at])
            at = place.find("/", at + 1)
        found = sha256()
        with open(path, "wb") as file:
            while length > 0:
                data = source.read(min(length, _CHUNK))
                if not data:
                    raise Refused("truncated")
                found.update(data)
                file.write(data)
                length -= len(data)
                self._tell()
        if found.digest() != digest:
            raise Refused("wrong_hash")

    def seal(self, manifest):
        """Read all of it again, and only then say that the slot is whole. Raises OSError when the medium has something else."""
        listed = sha256()
        for place, length, digest in manifest.files():
            if not self._is_there(place, length, digest):
                raise OSError(_EIO)
            listed.update(struct.pack("<I", length) + digest + place.encode() + b"\n")
        data = struct.pack("<2sB3H32s", b"rW", 1, *(manifest.head.version + (listed.digest(),)))
        data += struct.pack("<I", crc32(data))
        with open(self._folder + _WHOLE, "wb") as file:
            file.write(data)

    def _is_there(self, place, length, digest):
        """Whether a file is on the medium as it is to be."""
        path = self._folder + "/" + place
        if _size(path) != length:
            return False
        found = sha256()
        with open(path, "rb") as file:
            data = file.read(_CHUNK)
            while data:
                found.update(data)
                data = file.read(_CHUNK)
                self._tell()
        return found.digest() == digest

    def _paths(self):
        """The path of each file of the slot, without `whole`; empty folders go on the way."""
        folders = [self._folder + "/replenish"]
        found = []
        for folder in folders:
            try:
                names = os.listdir(folder)
            except OSError:
                continue  # there is none yet
            for name in names:
                path = folder + "/" + name
                if os.stat(path)[0] & _FOLDER:
                    folders.append(path)
                elif path != self._folder + _WHOLE:
                    found.append(path)
        return found

    def _tell(self):
        if self._progress:
            self._progress()


def _blocks(length, block):
    return (length + block - 1) // block


def _size(path):
    """A file's length, None when there is none."""
    try:
        return os.stat(path)[6]
    except OSError:
        return None


def _make(folder):
    """A folder that may be there already."""
    try:
        os.mkdir(folder)
    except OSError:
        os.stat(folder)  # raises when the reason was another one
