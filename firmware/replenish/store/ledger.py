"""What is kept, written: the order and the level of each slot, the device, the rotated token. Over any medium of the store.

One record is one slot's whole order, so there are never two records that must agree. Where two are touched by one event, the
one that is written first carries a number that the other applies once (`Level.refills`, `Order.refills_seen`). Every method
here raises OSError when the medium refuses; then what stood before still stands.

A record fits 128 bytes with its frame of 14 and its key of 10: up to there littlefs keeps a file in its directory, and a rewrite
costs 0.03 to 0.05 erases instead of 1. What is programmed grows by 32 bytes from files of 61, 93 and 125 bytes on, so an order
leaves out what is 0. The other records are described by their `struct` form, then the names of the fields, which are those of the
core's objects; zeros at the end are left out.
"""

import struct
from binascii import a2b_base64, b2a_base64, crc32, hexlify, unhexlify

from micropython import const

# An order: state + 128, reason, flags, cancels + subscribed << 6, attempts, number of the last refill; a bit for each of the words
# that are not 0, and above them how many bytes the fuse has; the day of the fuse's first counter; these words, the fuse, the ids.
# The fuse: a byte for up to 7 orders of a day, orders << 5 | day; or, where that were longer, all its counters as they are.
ORDER_HEAD = "<BBBBBHHH"
ORDER_HEAD_SIZE = const(11)
ORDER_MARK = const(128)  # in format 1 the first byte was the state alone
ORDER_FIELDS = (
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
)
FIRST_FLOAT = const(9)
FUSE_SHIFT = const(11)
FUSE_SIZE = const(16)
LEVEL_FIELDS = (
    "<fIfIIIIfIHfff8sfII13s",
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
    "base",
    "used",
    "week",
    "reported",
    "reported_at",
    "installed_at",
    "part",
)
LEVEL_2 = const(42)  # bytes of a level up to format 2, whose fields are the first of today's
DEVICE_FIELDS = (
    "<IHIIBBHIIIB72sBB",
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
    "seen",
    "link_fault",
    "backend",
)
UPLINK_FIELDS = "<HIII", "attempts", "next_try", "told", "told_at"


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


def _numbers(order):
    from .numbers import pack

    return pack(order)


def pack_fuse(counts):
    """The fuse's counters of four bits as a byte for up to 7 orders of a day, where that is shorter."""
    packed = b""
    for day in range(2 * FUSE_SIZE - 1):
        count = counts[day >> 1] >> (day & 1) * 4 & 15
        while count:
            some = min(count, 7)
            packed += bytes([some << 5 | day])
            count -= some
    return packed if len(packed) < FUSE_SIZE else bytes(counts)


class Ledger:
    def __init__(self, store):
        self.store = store
        self.key = ""  # of the record that was written last, or refused
        self.progress_ids = {}  # as they are stored, by slot id

    def _put(self, key, payload):
        self.key = key
        self.store.put(key, payload)

    def save_order(self, slot):
        """The order of a slot, durable when this returns."""
        order = slot.order
        key = tag(slot.id)
        if self.progress_ids.get(slot.id, "") != order.progress_id:
            # First: if the power fails in between, the order still stands as asked, with an unknown outcome.
            self._put("p-" + key, pack_id(order.progress_id))
            self.progress_ids[slot.id] = order.progress_id
        fuse = pack_fuse(order.fuse)
        present = len(fuse) << FUSE_SHIFT
        words = b""
        for i in range(len(ORDER_FIELDS)):
            word = getattr(order, ORDER_FIELDS[i])
            if word:
                present |= 1 << i
                words += struct.pack("<f" if i >= FIRST_FLOAT else "<I", word)
        cancels = min(order.cancels, 63) | order.subscribed << 6
        head = order.state | ORDER_MARK, order.reason, order.flags, cancels, min(order.attempts, 255), order.refills_seen
        body = struct.pack(ORDER_HEAD, *(head + (present, order.fuse_day))) + words + fuse
        self._put("o-" + key, body + (order.prefix and _numbers(order) or pack_id(order.own_id)))

    def save_level(self, slot, now):
        self._put("l-" + tag(slot.id), struct.pack(*_values(LEVEL_FIELDS, slot.level)).rstrip(b"\0"))
        slot.level.saved(now)

    def save_device(self, device):
        self._put("device", struct.pack(*_values(DEVICE_FIELDS, device)).rstrip(b"\0"))

    def save_uplink(self, uplink):
        self._put("uplink", struct.pack(*_values(UPLINK_FIELDS, uplink)).rstrip(b"\0"))

    def save_outbox(self, packed):
        self._put("outbox", packed)

    def save_commands(self, seen):
        self._put("commands", seen.rstrip(b"\0"))

    def save_token(self, given, rotated):
        """The refresh token to use from now on instead of the `given` one of the secrets, which is "" when there is none."""
        self._put("token", struct.pack("<I", crc32(given.encode())) + rotated.encode())


def _values(fields, thing):
    """What `struct.pack` wants: the form, and what stands in the fields."""
    values = [fields[0]]
    for field in fields[1:]:
        values.append(getattr(thing, field))
    return values
