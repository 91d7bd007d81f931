"""A part that ages, in a slot with `life_days`: a new one is put in, and taken out again where that was a mistake.

In memory only while it is needed, which is seldom.
"""

from . import order as o


def install(slot, now):
    """A new part goes in: remember the one before, where all that comes of it can be taken back."""
    level, order = slot.level, slot.order
    if level.value is None:
        slot.pass_time(now)
    level.part_before = level.low_water
    level.part_before_at = level.installed_at
    at_home = slot.at_home()
    level.part_taken = at_home if slot.pack is None else min(at_home, slot.capacity)
    level.undoable = not _ends_something(order)
    level.installed_at = now


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


def undo(slot, now):
    """Take the last new part back. Raises ValueError when it cannot be. To be made durable like a refill, of which it is one."""
    level, order = slot.level, slot.order
    if not level.undoable:
        raise ValueError("undo_new_part: allowed: once after a new part, unless that ended a hold, a doubt or an order's count")
    if order.since > level.installed_at and not _is_open(order):
        raise ValueError("undo_new_part: allowed: while the order is as it was; by now it is %s" % order.names()[0])
    used = slot.capacity - level.low_water
    level.low_water = max(0.0, level.part_before - used)
    level.installed_at = level.part_before_at
    level.refill_amount = -1 - level.part_taken
    level.refills = level.refills + 1 & 0xFFFF
    level.undoable = 0
    slot.pass_time(now)
    return slot.apply_refill(now)
