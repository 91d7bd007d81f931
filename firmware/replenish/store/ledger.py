"""What is kept, written: the order and the level of each slot, the device, the rotated token. Over any medium of the store.

One record is one slot's whole order, so there are never two records that must agree. Where two are touched by one event, the
one that is written first carries a number that the other applies once (`Level.refills`, `Order.refills_seen`). Every method
here raises OSError when the medium refuses; then what stood before still stands.
"""

import struct
from binascii import crc32

from . import layout


class Ledger:
    def __init__(self, store):
        self.store = store
        self.progress_ids = {}  # as they are stored, by slot id

    def save_order(self, slot):
        """The order of a slot, durable when this returns."""
        order = slot.order
        key = layout.tag(slot.id)
        if self.progress_ids.get(slot.id, "") != order.progress_id:
            # First: if the power fails in between, the order still stands as asked, with an unknown outcome.
            self.store.put("p-" + key, layout.pack_id(order.progress_id))
            self.progress_ids[slot.id] = order.progress_id
        values = _values(layout.ORDER, order)
        values[4] = min(order.cancels, 63) | order.subscribed << 6
        values[5] = min(order.attempts, 255)
        self.store.put("o-" + key, struct.pack(*values) + layout.pack_id(order.own_id))

    def save_level(self, slot, now):
        self.store.put("l-" + layout.tag(slot.id), struct.pack(*_values(layout.LEVEL, slot.level)))
        slot.level.saved(now)

    def save_device(self, device):
        self.store.put("device", struct.pack(*_values(layout.DEVICE, device)))

    def save_token(self, given, rotated):
        """The refresh token to use from now on instead of the `given` one of the secrets."""
        self.store.put("token", struct.pack("<I", crc32(given.encode())) + rotated.encode())


def _values(fields, thing):
    """What `struct.pack` wants: the form, and what stands in the fields."""
    values = [fields[0]]
    for field in fields[1:]:
        values.append(getattr(thing, field))
    return values
