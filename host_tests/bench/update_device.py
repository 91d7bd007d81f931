"""The verifying that `bench PART=update` measures, on one MicroPython: prints [name, milliseconds, bytes of heap] as JSON lines.

p256: what an ECDSA signature on P-256 would take, in the same Python: two multiplications of a point, by Shamir's trick, in Jacobian
coordinates. lms: the hashes that a signature by hash trees takes on average (RFC 8554, LMOTS_SHA256_N32_W8 with a tree of height 10).
"""

import gc
import json
import time
from hashlib import sha256

from replenish.core import bundle

from host_tests.fakes.signer import Bundle, Signer

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_X = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
_Y = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
LMS_HASHES = 34 * 128 + 10 + 2


def doubled(point):
    x, y, z = point
    yy = y * y % _P
    s = 4 * x * yy % _P
    zz = z * z % _P
    m = 3 * (x - zz) * (x + zz) % _P
    x2 = (m * m - 2 * s) % _P
    return x2, (m * (s - x2) - 8 * yy * yy) % _P, 2 * y * z % _P


def added(point, other):
    """other: with z = 1."""
    x, y, z = point
    if not z:
        return other[0], other[1], 1
    zz = z * z % _P
    h = (other[0] * zz - x) % _P
    r = (other[1] * zz * z - y) % _P
    hh = h * h % _P
    hhh = h * hh % _P
    v = x * hh % _P
    x2 = (r * r - hhh - 2 * v) % _P
    return x2, (r * (v - x2) - y * hhh) % _P, z * h % _P


def affine(point):
    x, y, z = point
    inverse = 1
    for bit in range(255, -1, -1):  # by Fermat
        inverse = inverse * inverse % _P
        if _P - 2 >> bit & 1:
            inverse = inverse * z % _P
    squared = inverse * inverse % _P
    return x * squared % _P, y * squared * inverse % _P


def p256():
    base = _X, _Y
    key = affine(doubled(doubled((_X, _Y, 1))))
    both = affine(added((key[0], key[1], 1), base))
    first = int.from_bytes(sha256(b"1").digest(), "big")
    second = int.from_bytes(sha256(b"2").digest(), "big")
    point = 0, 1, 0
    for bit in range(255, -1, -1):
        point = doubled(point)
        which = (first >> bit & 1) + 2 * (second >> bit & 1)
        if which:
            point = added(point, (None, base, key, both)[which])
    return affine(point)


def lms():
    block = b"x" * 55
    for _ in range(LMS_HASHES):
        block = sha256(block).digest() + block[:23]


def rsa():
    assert bundle.is_signed(MESSAGE, SIGNATURE, SIGNER.key)


SIGNER = Signer()
MADE = Bundle([("replenish/version.mpy", b"")]).manifest()
MESSAGE = sha256(MADE).digest()
SIGNATURE = SIGNER.sign(MADE)
for name, function in (("rsa3072", rsa), ("p256", p256), ("lms", lms)):
    gc.collect()
    if hasattr(gc, "threshold"):
        gc.threshold(-1)
    before = gc.mem_alloc()  # type: ignore[attr-defined]
    start = time.ticks_us()  # type: ignore[attr-defined]
    function()
    took_us = time.ticks_diff(time.ticks_us(), start)  # type: ignore[attr-defined]
    garbage = gc.mem_alloc() - before  # type: ignore[attr-defined]
    print(json.dumps([name, took_us / 1000, garbage]))
