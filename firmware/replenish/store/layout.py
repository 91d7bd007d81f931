"""What stands in each record: its `struct` form, then the names of the fields, which are those of the core's objects.

A record fits 128 bytes with its frame of 14 and its key of 10: up to there littlefs keeps a file in its directory, and a rewrite
costs 0.03 to 0.05 erases instead of 1.
"""

from binascii import a2b_base64, b2a_base64, crc32, hexlify, unhexlify

from micropython import const

# An order is followed by its packed eventInstanceId; the byte `cancels` carries `subscribed` in its upper two bits.
ORDER_SIZE = const(69)
ORDER = (
    "<BBBBBHIIIIIIIIIffH16s",
    "state",
    "reason",
    "flags",
    "cancels",
    "attempts",
    "refills_seen",
    "since",
    "asked_at",
    "unknown_at",
    "accepted_at",
    "next_try",
    "next_poll",
    "sign_at",
    "missing_since",
    "delivery_at",
    "on_hand",
    "drawn",
    "fuse_day",
    "fuse",
)
LEVEL = (
    "<fIfIIIIfIHf",
    "value",
    "at",
    "low_water",
    "low_since",
    "rise_since",
    "last_use",
    "first_at",
    "rate",
    "rate_at",
    "refills",
    "refill_amount",
)
DEVICE = (
    "<IHIIBBHIIIB",
    "known_time",
    "attempts",
    "next_try",
    "refused_token",
    "refused",
    "held",
    "reported_day",
    "subscriptions_at",
    "config_crc",
    "unreachable_since",
    "retired",
)


def tag(slot_id):
    """Eight hexadecimal digits that stand for a slot in keys; a slot's id may be too long and too free for a file's name."""
    return "%08x" % crc32(slot_id.encode())


def pack_id(event_id):
    """An eventInstanceId as bytes: 33 for the usual `amzn1.dash.v2.o.` + base64 of `r.<uuid>.<uuid>`, else its characters."""
    if len(event_id) == 116:
        try:
            digits = a2b_base64(event_id[16:]).decode()[2:].replace("-", "").replace(".", "")
            packed = bytes([1]) + unhexlify(digits)
            if unpack_id(packed) == event_id:
                return packed
        except ValueError:
            pass
    return ("\0" + event_id).encode()


def unpack_id(packed):
    """The eventInstanceId that `pack_id` made bytes of."""
    if packed[0] == 0:
        return packed[1:].decode()
    digits = hexlify(packed[1:]).decode()
    plain = "r"
    at = 0
    for size in 2 * (8, 4, 4, 4, 12):  # the groups of two uuids
        plain += ("." if size == 8 else "-") + digits[at : at + size]
        at += size
    return "amzn1.dash.v2.o." + b2a_base64(plain.encode()).strip().decode()
