"""A clock that was found to be late: what began while it was began later than it seemed, and holds as much longer (law 11).

In memory only while it is needed, which is seldom: a board that sets its clock before the agent starts never needs it.
"""

from micropython import const

from . import order as o

_DAY_S = const(86400)

# `unknown_at` stays: an attempt that is taken for older than it is may be repeated for less long (law 3).
_ORDER_FIELDS = "since asked_at accepted_at sign_at missing_since"
_LEVEL_FIELDS = "low_since rise_since installed_at"
_SLOT_FIELDS = "short_since"


def postpone(agent):
    """The agent's clock was late by `time.late` seconds ever since `time.late_since`: move all that began since then."""
    since, by = agent.time.late_since, agent.time.late
    agent.time.late = 0
    agent.device.first_call_at += by
    for slot in agent.slots:
        order, level = slot.order, slot.level
        began = max(order.since, order.asked_at)
        if order.state == o.AWAITING_REFILL:  # ... for a refill since the slot was low
            began = order.next_try - slot.rules["delivered_hold_days"] * _DAY_S
        if order.next_try and began >= since:
            order.next_try += by
        _move(order, _ORDER_FIELDS, since, by)
        _move(level, _LEVEL_FIELDS, since, by)
        _move(slot, _SLOT_FIELDS, since, by)
        agent.save(slot)


def _move(thing, names, since, by):
    for name in names.split():
        at = getattr(thing, name)
        if at >= since:
            setattr(thing, name, at + by)
