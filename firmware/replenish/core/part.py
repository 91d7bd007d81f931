"""A slot whose part ends by use or by age, whichever comes first; a new part goes in, and out again where that was a mistake.

In memory only where a slot has `life_days`. Such a slot has no sensor: `low_water` is what is left by count.
"""

import struct

from micropython import const

from . import order as o
from .slot import Slot

_DAY_S = const(86400)
# `Level.part`: of the part before, what was left by count, and since when it aged; what of the stock at home its successor took;
# whether all that can be taken back.
_BEFORE = "<fIfB"


class Part(Slot):
    def __init__(self, config, rules, prefix=""):
        Slot.__init__(self, config, rules, prefix)
        self.life_days = config["life_days"]
        self.whole = True

    def tell(self, value, now):
        """Not for a part: how much of it is left is counted. Raises ValueError."""
        raise ValueError("level %s: allowed for a part that ages: consume, new_part" % value)

    def use(self, amount, now):
        level = self.level
        if level.value is not None:
            level.value = level.low_water
        Slot.use(self, amount, now)

    def pass_time(self, now):
        """A part ages by whole days from its installation; what is left is the smaller of what is left by use and by age."""
        level = self.level
        self.begin(self.capacity if level.value is None else level.low_water, now)
        level.installed_at = level.installed_at or now
        days = (now - level.installed_at) // _DAY_S
        level.value = min(level.low_water, self.capacity * max(0, self.life_days - days) / self.life_days)
        self.review(now)

    def days_left(self, now):
        """Days until part and stock are used up or too old."""
        level, at_home = self.level, self.at_home()
        if level.value is None:
            return None
        from .forecast import days_left

        by_use = days_left(level, level.low_water + at_home, now)
        by_age = (level.installed_at - now) / _DAY_S + self.life_days * (1 + at_home / self.capacity)
        return max(0.0, by_age if by_use is None else min(by_use, by_age))

    def refill_by_person(self, value, now):
        """A person's word that a new part is in; `value` is None, for it is new. Raises ValueError."""
        if value is not None:
            self.tell(value, now)
        level = self.level
        at_home = self.at_home()
        taken = at_home if self.pack is None else min(at_home, self.capacity)
        level.part = struct.pack(_BEFORE, level.low_water, level.installed_at, taken, not _ends_something(self.order))
        level.installed_at = now
        return Slot.refill_by_person(self, None, now)

    def undo(self, _, now):
        """The last new part was none: the one before is back, less what was used since. Raises ValueError when that cannot be.

        To be made durable like a refill, of which it is one: its amount is below 0, by one more than what goes back home.
        """
        level, order = self.level, self.order
        before, before_at, taken, undoable = struct.unpack(_BEFORE, level.part or bytes(13))
        if not undoable:
            raise ValueError("undo_new_part: allowed: once after a new part, unless that ended a hold, a doubt or an order's count")
        if order.since > level.installed_at and not _is_open(order):
            raise ValueError("undo_new_part: allowed: while the order is as it was; by now it is %s" % order.names()[0])
        level.low_water = max(0.0, before - (self.capacity - level.low_water))
        level.installed_at = before_at
        level.part = b""
        level.refill_amount = -1 - taken
        level.refills = level.refills + 1 & 0xFFFF
        self.pass_time(now)
        return self.apply_refill(now)

    def apply_refill(self, now):
        level, order = self.level, self.order
        if level.refills == order.refills_seen or level.refill_amount >= 0:
            return Slot.apply_refill(self, now)
        order.take_back(-1 - level.refill_amount)
        order.refills_seen = level.refills
        self.review(now)
        return True


def _is_open(order):
    return o.ACCEPTED <= order.state <= o.SHIPPED or order.state == o.BLOCKED


def _ends_something(order):
    """Whether a refill changes in an order what cannot be brought back: a count, a hold, a doubt."""
    state = order.state
    if _is_open(order):
        return order.flags & o.SEEN_REFILL
    if state == o.HELD:
        return order.reason in (o.REFILL_EXPECTED, o.CANCELLED_TWICE)
    return order.flags & o.EXTRA or state == o.IN_DOUBT or state == o.AWAITING_REFILL and order.cancels
