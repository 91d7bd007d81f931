"""One record as bytes: whole or not at all. Both media of the store keep records in this form.

    0  2  magic "rR"      4  4  sequence number    10      n  key (ASCII)
    2  1  format version  8  2  payload length     10+n    m  payload
    3  1  key length n                             10+n+m  4  CRC-32 of all before it

Little-endian. Every bit is under the CRC, so any flipped bit and any truncation is found.
"""

import struct
from binascii import crc32

from ..core.errors import StoreError

VERSION = 1

_HEAD = "<2sBBIH"
_HEAD_SIZE = 10
_MAGIC = b"rR"


def encode(key, sequence, payload):
    name = key.encode()
    body = struct.pack(_HEAD, _MAGIC, VERSION, len(name), sequence & 0xFFFFFFFF, len(payload)) + name + payload
    return body + struct.pack("<I", crc32(body))


def decode(key, data):
    """(sequence, payload) of a record that must belong to `key`. Raises StoreError that says what is wrong."""
    if len(data) < _HEAD_SIZE + 4:
        raise StoreError("record %s: %d bytes, too short" % (key, len(data)))
    magic, version, key_size, sequence, size = struct.unpack_from(_HEAD, data, 0)
    if magic != _MAGIC:
        raise StoreError("record %s: not written by this agent" % key)
    if crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
        raise StoreError("record %s: checksum wrong" % key)
    if version != VERSION:
        raise StoreError("record %s: format %d, this agent reads %d" % (key, version, VERSION))
    if len(data) != _HEAD_SIZE + key_size + size + 4 or data[_HEAD_SIZE : _HEAD_SIZE + key_size] != key.encode():
        raise StoreError("record %s: belongs to another key" % key)
    return sequence, data[_HEAD_SIZE + key_size : -4]
