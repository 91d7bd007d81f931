"""What is kept, read again: at boot, and after a step that was broken off. Not in memory at other times (see `app.forget`).

Damage is never silent and never permission (law 12): an order that cannot be read is in doubt, a device record that cannot be
read is a hold. What is damaged is set aside, not overwritten.
"""

import struct
from binascii import crc32, hexlify, unhexlify

from micropython import const

from ..core import order as o
from ..core.errors import StoreError
from . import ledger

_TAGS_A_RECORD = const(24)  # slots listed in one record, so that it stays within 128 bytes
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

    def _fill(self, key, fields, thing, least=0):
        """Fill a core object from its record. Returns whether there was one. least: bytes that an older version has."""
        size = struct.calcsize(fields[0])
        payload = self._get(key, least or size)
        if payload is None:
            return False
        payload += bytes(max(0, size - len(payload)))
        for field, value in zip(fields[1:], struct.unpack_from(fields[0], payload)):
            setattr(thing, field, value)
        return True

    def order(self, slot, listed, now):
        """Fill a slot's order. listed: the slot had an order record once, so its absence is damage; also if nobody knows."""
        order = slot.order
        key = ledger.tag(slot.id)
        try:
            self._order(order, "o-" + key, listed)
            progress = self._get("p-" + key, 1)
            order.progress_id = ledger.unpack_id(progress) if progress else ""
        except StoreError:
            order.damaged(now)
        self._ledger.progress_ids[slot.id] = order.progress_id

    def _order(self, order, key, listed):
        payload = self._get(key, ledger.ORDER_SIZE + 1)
        if payload is None:
            if listed or self._list_damaged:
                self.damage.append("record %s: missing" % key)
                raise StoreError(self.damage[-1])
            return
        if payload[0] > o.UNSUBSCRIBED or payload[1] > o.REFUSED_404:  # the last ones of their lists
            self._refuse(key, "record %s: state %d, reason %d unknown" % (key, payload[0], payload[1]))
        for field, value in zip(ledger.ORDER[1:], struct.unpack_from(ledger.ORDER[0], payload)):
            setattr(order, field, value)
        order.subscribed = order.cancels >> 6
        order.cancels &= 63
        order.fuse = bytearray(order.fuse)
        order.own_id = ledger.unpack_id(payload[ledger.ORDER_SIZE :])

    def level(self, slot):
        """Fill a slot's level, after its order. A damaged level is no level: it will be measured again."""
        level = slot.level
        level.refills = slot.order.refills_seen  # should there be no record: no refill was missed
        try:
            if self._fill("l-" + ledger.tag(slot.id), ledger.LEVEL, level):
                level.saved(level.at)
        except StoreError:
            pass

    def device(self, device):
        """Fill the device; a damaged record may have held a hold, so it is one."""
        try:
            self._fill("device", ledger.DEVICE, device, ledger.DEVICE_1_SIZE)
        except StoreError:
            device.held = 1

    def token(self, given):
        """The refresh token to use: the rotated one, if it came from the `given` one of the secrets; else the given one."""
        try:
            payload = self._get("token", 5)
        except StoreError:
            payload = None
        if not given or payload is None or struct.unpack("<I", payload[:4])[0] != crc32(given.encode()):
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


def reload(agent, now):
    """A step was broken off inside this program, by want of memory: of the orders what is durable is the truth, of the device
    what is in memory. Raises OSError when it cannot be read; then it is to be tried again."""
    for slot in agent.slots:
        slot.order = o.Order()
        Recovery(agent.ledger).order(slot, True, now)
        slot.review(now)
    agent.save_device()
