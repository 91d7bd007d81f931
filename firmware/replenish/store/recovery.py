"""What is kept, read again: at boot, and after a step that was broken off. Not in memory at other times (see `app.forget`).

Damage is never silent and never permission (law 12): an order that cannot be read is in doubt, a device record that cannot be
read is a hold. What is damaged is set aside, not overwritten.
"""

import struct
from binascii import crc32, hexlify, unhexlify

from micropython import const

from ..core import order as o
from ..core.errors import StoreError
from ..core.slot import Level
from . import ledger

_TAGS_A_RECORD = const(24)  # slots listed in one record, so that it stays within 128 bytes
_NUMBERED = const(2)  # the first byte of what numbers.py packs
_ID_AT_1 = const(69)  # where the id begins in an order of format 1
_LISTS = const(16)  # records of the list that are looked for: 384 slots


class Recovery:
    """Reads through a ledger's store. `damage` collects one sentence for each record that was not to be trusted.

    Everything here raises OSError when the medium cannot be read now; that is no damage, and nothing is changed.
    """

    def __init__(self, kept):
        self._ledger = kept
        self._store = kept.store
        self.damage = []
        self._list_damaged = False

    def _get(self, key, size):
        """The payload, None when absent; damage is noted, set aside and raised as StoreError."""
        try:
            payload = self._store.get(key)
        except StoreError as error:
            self._refuse(key, str(error))
        if payload is not None and len(payload) < size:
            self._refuse(key, "record %s: %d bytes, at least %d wanted" % (key, len(payload), size))
        return payload

    def _refuse(self, key, sentence):
        if sentence not in self.damage:
            self.damage.append(sentence)
        try:
            self._store.set_aside(key)
        except OSError:
            pass  # a medium that takes no write will not take the next record either
        raise StoreError(sentence)

    def _fill(self, key, fields, thing, least=None):
        """Fill a core object from its record. Returns whether there was one. least: so many bytes must be there, the rest may be
        left out and is 0; None: all."""
        payload = self._get(key, struct.calcsize(fields[0]) if least is None else least)
        if payload is None:
            return False
        payload += bytes(max(0, struct.calcsize(fields[0]) - len(payload)))
        for field, value in zip(fields[1:], struct.unpack_from(fields[0], payload)):
            setattr(thing, field, value)
        return True

    def order(self, slot, listed, now):
        """Fill a slot's order. listed: the slot had an order record once, so its absence is damage; also if nobody knows."""
        order = slot.order
        key = ledger.tag(slot.id)
        try:
            self._order(order, "o-" + key, listed)
            if order.flags & o.IN_FLIGHT:  # lost: dated before the clock is looked at, which may take it for younger (core/late.py)
                order.unknown_at = order.unknown_at or order.asked_at
            progress = self._get("p-" + key, 1)
            order.progress_id = ledger.unpack_id(progress) if progress else ""
        except StoreError:
            order.damaged(now)
        self._ledger.progress_ids[slot.id] = order.progress_id

    def _order(self, order, key, listed):
        payload = self._get(key, 2)
        if payload is None:
            if listed or self._list_damaged:
                self.damage.append("record %s: missing" % key)
                raise StoreError(self.damage[-1])
            return
        sentence = read_order(payload, order)
        if sentence:
            self._refuse(key, "record %s: %s" % (key, sentence))

    def level(self, slot):
        """Fill a slot's level, after its order. A damaged level is no level: it will be measured again."""
        level = slot.level
        level.refills = slot.order.refills_seen  # should there be no record: no refill was missed
        try:
            if self._fill("l-" + ledger.tag(slot.id), ledger.LEVEL_FIELDS, level, ledger.LEVEL_2):
                if not level.week.strip(b"\0"):  # of format 2: it knew no week, and a rise was measured from the low water
                    level.week = Level().week
                    level.base = level.low_water
                level.saved(level.at)
                _take_level(slot, level)
        except StoreError:
            pass

    def _or_nothing(self, key):
        """The payload; b"" when it is absent or damaged."""
        try:
            return self._get(key, 0) or b""
        except StoreError:
            return b""

    def mark(self):
        """What of a deregistration or a factory reset is not over, b"" for nothing."""
        return self._or_nothing("wipe")

    def device(self, device):
        """Fill the device; a damaged record may have held a hold, so it is one."""
        try:
            self._fill("device", ledger.DEVICE_FIELDS, device, 0)
        except StoreError:
            device.held = 1

    def uplink(self, uplink):
        """Fill what is kept of the connection to the cloud: three records that are read each for itself. A damaged one is begun anew;
        if it was one with ids, a command that comes again may be obeyed twice."""
        from .outbox import unpack

        try:
            self._fill("uplink", ledger.UPLINK_FIELDS, uplink, 0)
        except StoreError:
            pass
        unpack(uplink, self._or_nothing("commands"), self._or_nothing("outbox"))

    def token(self, given):
        """The refresh token to use: the kept one, if it was kept while this one was `given` in the secrets (or "", none); else the
        given one."""
        try:
            payload = self._get("token", 5)
        except StoreError:
            payload = None
        if payload is None or struct.unpack("<I", payload[:4])[0] != crc32(given.encode()):
            return given
        return payload[4:].decode()

    def listed(self):
        """The tags of all slots that ever had an order record (law 12)."""
        tags = []
        for number in range(_LISTS):
            try:
                payload = self._get("slots-%d" % number, 4)
            except StoreError:
                self._list_damaged = True
                continue
            if payload is None:
                break
            tags.extend([hexlify(payload[at : at + 4]).decode() for at in range(0, len(payload), 4)])
        return tags

    def list_slots(self, tags):
        """Write the list, after the slots' own records. Raises OSError."""
        for start in range(0, len(tags), _TAGS_A_RECORD):
            self._store.put(
                "slots-%d" % (start // _TAGS_A_RECORD), b"".join([unhexlify(t) for t in tags[start : start + _TAGS_A_RECORD]])
            )


def _take_level(slot, level):
    """What cannot be a level, because the capacity is another by now, is a fault until there is a new one. A level that stands
    below what was measured is a fall that began."""
    try:
        slot.check(level.value)
    except ValueError:
        level.value = None
        slot.sensor_fault = "sensor_range"
        return
    slot.measured_at = level.at
    if level.value <= slot.reorder_at:
        slot.short_since = level.at  # a board that sleeps begins here at each wake
    if level.value < level.base:
        slot.fall = (level.value, level.at, 1)


def read_order(payload, order):
    """Fill an order from what was kept of it. Returns "", or what is wrong with it, and then the order stands as it was."""
    mark = payload[0] & ledger.ORDER_MARK
    state = payload[0] - mark
    if state > o.UNSUBSCRIBED or payload[1] > o.NOT_ORDERED:  # the last ones of their lists
        return "state %d, reason %d unknown" % (state, payload[1])
    id_at = _id_at(payload) if mark else _ID_AT_1
    if len(payload) <= id_at:
        return "%d bytes, at least %d wanted" % (len(payload), id_at + 1)
    (_order_2 if mark else _order_1)(payload, order)
    packed = payload[id_at:]
    if packed[0] == _NUMBERED:
        from .numbers import unpack

        unpack(packed, order)
    else:
        order.own_id = ledger.unpack_id(packed)
    order.state = state
    order.subscribed = order.cancels >> 6
    order.cancels &= 63
    return ""


def _set(order, fields, values):
    for field, value in zip(fields, values):
        setattr(order, field, value)


_HEAD_FIELDS = ("state", "reason", "flags", "cancels", "attempts", "refills_seen")


def _id_at(payload):
    """Where the id begins in an order of format 2."""
    if len(payload) < ledger.ORDER_HEAD_SIZE:
        return ledger.ORDER_HEAD_SIZE
    present = struct.unpack_from(ledger.ORDER_HEAD, payload)[6]
    words = len([i for i in range(len(ledger.ORDER_FIELDS)) if present >> i & 1])
    return ledger.ORDER_HEAD_SIZE + 4 * words + (present >> ledger.FUSE_SHIFT)


def _order_1(payload, order):
    """Format 1: every word in its place."""
    values = struct.unpack_from("<BBBBBHIIIIIIIIIffH16s", payload)
    _set(order, _HEAD_FIELDS + ledger.ORDER_FIELDS, values)
    order.fuse_day = values[17]
    order.fuse = bytearray(values[18])


def _order_2(payload, order):
    """Format 2: without what is 0."""
    values = struct.unpack_from(ledger.ORDER_HEAD, payload)
    _set(order, _HEAD_FIELDS, values)
    present, order.fuse_day = values[6:]
    at = ledger.ORDER_HEAD_SIZE
    for i in range(len(ledger.ORDER_FIELDS)):
        if present >> i & 1:
            setattr(order, ledger.ORDER_FIELDS[i], struct.unpack_from("<f" if i >= ledger.FIRST_FLOAT else "<I", payload, at)[0])
            at += 4
    size = present >> ledger.FUSE_SHIFT
    packed = payload[at : at + size]
    order.fuse = bytearray(packed if size == ledger.FUSE_SIZE else ledger.FUSE_SIZE)
    if size < ledger.FUSE_SIZE:
        for byte in packed:
            day = byte & 31
            order.fuse[day >> 1] += (byte >> 5) << (day & 1) * 4


def reload(agent, now):
    """A step was broken off inside this program, by want of memory: of the orders what is durable is the truth, of the device
    what is in memory. Raises OSError when it cannot be read; then it is to be tried again."""
    for slot in agent.slots:
        slot.order = o.Order(slot.order.prefix)
        Recovery(agent.ledger).order(slot, True, now)
        slot.review(now)
    agent.save_device()
