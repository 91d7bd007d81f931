"""One record as bytes: whole or not at all. Both media of the store keep records in this form.

    0  2  magic "rR"      4  4  sequence number    10      n  key (ASCII)
    2  1  format version  8  2  payload length     10+n    m  payload
    3  1  key length n                             10+n+m  4  CRC-32 of all before it

Little-endian. Every bit is under the CRC, so any flipped bit and any truncation is found.

Versions: 1 was the first; in 2 an order leaves out what is 0, and the device remembers messages; in 3 a level has what a forecast, a
rise and a part that ages need. A record of an older version is
read as it is, and written in the present one when it next changes: an upgrade has no instant at which the power must not fail.
A newer version is not understood, so it is never overwritten.
"""

import struct
from binascii import crc32

from micropython import const

VERSION = const(3)
HEAD = "<2sBBIH"
HEAD_SIZE = const(10)
TAIL_SIZE = const(4)


def body(key, sequence, payload):
    """A record's bytes without their CRC."""
    name = key.encode()
    return struct.pack(HEAD, b"rR", VERSION, len(name), sequence, len(payload)) + name + payload


def closed(content, salt=0):
    """Bytes with their CRC behind them. salt: what it begins with; what was written under another one is no record."""
    return content + struct.pack("<I", crc32(content, salt))
