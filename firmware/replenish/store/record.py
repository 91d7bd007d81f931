"""One record as bytes: whole or not at all. Both media of the store keep records in this form.

    0  2  magic "rR"      4  4  sequence number    10      n  key (ASCII)
    2  1  format version  8  2  payload length     10+n    m  payload
    3  1  key length n                             10+n+m  4  CRC-32 of all before it

Little-endian. Every bit is under the CRC, so any flipped bit and any truncation is found.
"""

import struct
from binascii import crc32

from micropython import const

VERSION = const(1)
HEAD = "<2sBBIH"
HEAD_SIZE = const(10)


def encode(key, sequence, payload):
    name = key.encode()
    body = struct.pack(HEAD, b"rR", VERSION, len(name), sequence, len(payload)) + name + payload
    return body + struct.pack("<I", crc32(body))
