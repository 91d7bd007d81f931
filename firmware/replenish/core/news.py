"""News of a slot's order, from a poll, a notice or the calendar, and when to ask for more. In memory only then.

Times are Unix seconds, 0 is never.
"""

from micropython import const

from . import order as o

_DAY_S = const(86400)


def brings(slot, packs):
    """What so many packs of one order are, in the slot's unit; None: all of them."""
    whole = slot.capacity if slot.pack is None else slot.pack
    return whole if packs is None else whole * packs / slot.packs


def deliver(slot, now, packs=None):
    """What one order brings is at home; a slot that counts by delivery is full with it. packs: that were ordered in the end."""
    brought = brings(slot, packs)
    slot.order.deliver(now, slot.pack and brought, brought)
    if slot.mode == "on_delivery":
        slot.fill(slot.capacity, now)
    slot.review(now)


def learn(slot, event, now, at, delivery_at, packs=None):
    """News of a slot's order from the service: `event` happened at `at`; 0: of an unknown status; MISSING: the id is not known.
    packs: that were ordered in the end, None: as many as were asked for."""
    order = slot.order
    if event == o.MISSING:
        order.flags &= ~o.ALIVE
        order.missing_since = order.missing_since or now
    elif not event:
        order.flags |= o.ALIVE  # the service answers for the id, whatever it means (law 2)
        order.missing_since = 0
    elif not order.allows(event):
        order.correct(event, at)
    elif event == o.CANCELLED:
        order.cancel(now, at, brings(slot, packs), slot.rules["reorder_after_cancel_days"] * _DAY_S, slot.elsewhere())
        slot.review(now)
    elif event == o.DELIVERED:
        deliver(slot, now, packs)
    elif event == o.OVERDUE:
        order.on(event, now, o.RESOLUTION)
    else:
        order.status(event, now, delivery_at, at)


def next_poll(order, rules, now):
    """When to ask getOrderInfo again: every `poll_interval_s`, at the end of the grace, and at the 72-hour deadline."""
    at = now + rules["poll_interval_s"]
    moment = order.accepted_at + rules["resolution_grace_s"] if order.state == o.ACCEPTED else order.deadline()
    return moment if now < moment < at else at
