"""A record's bytes, judged: the other half of `record`, apart from it because reading is over once the agent has started."""

import struct
from binascii import crc32

from ..core.errors import NewerFormat, StoreError
from . import record


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
        raise NewerFormat("record %s: format %d, this agent reads 1 to %d" % (key, version, record.VERSION))
    start = record.HEAD_SIZE + key_size
    if len(data) != start + size + record.TAIL_SIZE or data[record.HEAD_SIZE : start] != key.encode():
        raise StoreError("record %s: belongs to another key" % key)
    return sequence, data[start:-4]
