"""What stands in a store, read and judged: apart from writing, because reading is over once the agent has started."""

import os
import struct
from binascii import crc32

from micropython import const

from ..core.errors import StoreError
from . import record

_SIZE_LIMIT = const(4096)  # bytes read of one record; the longest legal one is a token of 2,048 characters
_FOLDER = const(0x4000)  # in the mode that `stat` tells
_ENOENT = const(2)
_EIO = const(5)
_ASIDE = const(8)  # damaged records kept of one key; the last name is used again


def decode(key, data, salt=0):
    """(sequence, payload) of a record that must belong to `key`. Raises StoreError that says what is wrong."""
    if len(data) < record.HEAD_SIZE + record.TAIL_SIZE:
        raise StoreError("record %s: %d bytes, too short" % (key, len(data)))
    magic, version, key_size, sequence, size = struct.unpack_from(record.HEAD, data, 0)
    if magic != b"rR":
        raise StoreError("record %s: not written by this agent" % key)
    if crc32(data[:-4], salt) != struct.unpack("<I", data[-4:])[0]:
        raise StoreError("record %s: checksum wrong" % key)
    if version > record.VERSION:
        raise StoreError("record %s: format %d, this agent reads 1 to %d" % (key, version, record.VERSION))
    start = record.HEAD_SIZE + key_size
    if len(data) != start + size + record.TAIL_SIZE or data[record.HEAD_SIZE : start] != key.encode():
        raise StoreError("record %s: belongs to another key" % key)
    return sequence, data[start:-4]


def is_newer(data):
    """Whether these bytes are a whole record of a newer agent: not understood, and so not to be overwritten."""
    whole = len(data) > record.HEAD_SIZE + record.TAIL_SIZE and record.closed(data[: -record.TAIL_SIZE]) == data
    return whole and data[:2] == b"rR" and data[2] > record.VERSION


# Records as files; `folder` ends with "/".


def content(folder, key):
    """A record's bytes, None when there is no such file. Raises StoreError for what is no file, and OSError."""
    name = folder + key
    try:
        status = os.stat(name)
        if status[0] & _FOLDER:
            raise StoreError("record %s: not a file" % key)
        with open(name, "rb") as file:  # asked for its size: MicroPython takes all the memory that `read` may need
            return file.read(min(status[6], _SIZE_LIMIT) + 1)
    except OSError as error:
        if error.args[0] != _ENOENT:
            raise OSError(error.args[0], "record " + key)
    if key in os.listdir(folder):  # a link to nowhere; or littlefs could not read a block, and says that nothing is there
        raise OSError(_EIO, "record " + key)
    return None


def set_aside(folder, key):
    """Keep a damaged record under another name. Raises OSError."""
    names = os.listdir(folder)
    for number in range(_ASIDE):
        name = "%s.bad%s" % (key, number or "")
        if name not in names:
            break
    os.rename(folder + key, folder + name)


def is_fat(path):
    """Whether a folder that is there is on FAT: small and capital letters are one to it. Raises OSError."""
    name = path.rpartition("/")[2]
    folder = path[: len(path) - len(name)]
    other = name.upper() if name != name.upper() else name.lower()
    try:
        os.stat(folder + other)
    except OSError:
        return False
    names = os.listdir(folder or ".")
    return other != name and not (name in names and other in names)
