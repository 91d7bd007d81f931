"""One record: its exact bytes, and every flipped bit, truncation and mistaken identity found."""

import struct
from binascii import crc32

from replenish.core.errors import StoreError
from replenish.store import reading, record

from host_tests.expect import cases, raises

KEY = "o-1a2b3c4d"
PAYLOAD = bytes(range(40))
def encoded(key, sequence, payload):
    return record.closed(record.body(key, sequence, payload))


WHOLE = encoded(KEY, 0x01020304, PAYLOAD)


def test_the_form():
    head = b"rR\x03\x0a\x04\x03\x02\x01\x28\x00" + b"o-1a2b3c4d" + PAYLOAD
    assert WHOLE == head + struct.pack("<I", crc32(head))


def check_round_trip(key, sequence, payload):
    assert reading.decode(key, encoded(key, sequence, payload)) == (sequence, payload)


def test_what_was_put_in_comes_out():
    table = [(KEY, 1, PAYLOAD), ("k", 0, b""), ("slots-0", 0xFFFFFFFF, b"\x00"), ("123456789012345", 7, b"x" * 2048)]
    cases(check_round_trip, table)


def test_the_versions_before_are_read_too():
    for version in (b"\x01", b"\x02"):
        older = b"rR" + version + WHOLE[3:-4]
        assert reading.decode(KEY, older + struct.pack("<I", crc32(older))) == (0x01020304, PAYLOAD)


def test_bytes_under_another_salt_are_no_record():
    salted = record.closed(record.body(KEY, 1, PAYLOAD), 7)
    assert reading.decode(KEY, salted, 7) == (1, PAYLOAD)
    for salt in (0, 6, 8):
        assert "checksum" in str(raises(StoreError, reading.decode, KEY, salted, salt))


def test_every_flipped_bit_is_found():
    data = bytearray(WHOLE)
    for i in range(len(data)):
        for bit in range(8):
            data[i] ^= 1 << bit
            assert KEY in str(raises(StoreError, reading.decode, KEY, bytes(data)))
            data[i] ^= 1 << bit
    assert reading.decode(KEY, bytes(data))[1] == PAYLOAD


def test_every_truncation_and_extension_is_found():
    for size in range(len(WHOLE)):
        raises(StoreError, reading.decode, KEY, WHOLE[:size])
    for more in (b"\x00", b"\xff", WHOLE[-1:], WHOLE):
        raises(StoreError, reading.decode, KEY, WHOLE + more)
        raises(StoreError, reading.decode, KEY, more + WHOLE)


def test_a_run_of_one_byte_is_no_record():
    for byte in (b"\x00", b"\xff", b"r", b"R"):
        for size in (14, 15, 100):
            raises(StoreError, reading.decode, KEY, byte * size)


def signed(body):
    """A record whose checksum is right, whatever it says."""
    return body + struct.pack("<I", crc32(body))


def check_refused(sentence, body):
    assert str(raises(StoreError, reading.decode, KEY, signed(body))) == "record o-1a2b3c4d: " + sentence


def test_a_right_checksum_is_not_enough():
    body = WHOLE[:-4]
    another = "belongs to another key"
    cases(
        check_refused,
        [
            ("not written by this agent", b"RR" + body[2:]),
            ("format 4, this agent reads 1 to 3", body[:2] + b"\x04" + body[3:]),
            (another, body.replace(b"1a2b", b"1a2c")),
            (another, body[:3] + b"\x0b" + body[4:]),
            (another, body[:8] + b"\x27" + body[9:]),
            (another, body + b"\x00"),
            (another, body[:-1]),
        ],
    )
    assert "another key" in str(raises(StoreError, reading.decode, "o-1a2b3c4e", WHOLE))
    assert "another key" in str(raises(StoreError, reading.decode, "o-1a2b3c4", WHOLE))
    assert "too short" in str(raises(StoreError, reading.decode, KEY, b""))
