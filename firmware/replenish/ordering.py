"""The call that orders: from the durable intent to the durable answer (law 3). In memory only meanwhile (see `app.forget`)."""

from micropython import const

from . import calls
from .core import order as o

_NO_STORE_S = const(60)  # how long a call waits whose intent could not be made durable


def replenish(agent, slot, now):
    """Order for a slot, if the fuse lets it. Returns True when that stopped it."""
    order = slot.order
    free_at = order.fuse_free_at(now, agent.rules["max_orders_30_days"])
    if free_at:
        if order.next_try != free_at or order.allows(o.LIMITED):
            order.limit(now, free_at)
            agent.save(slot)
        return True
    numbered = (slot, now) if order.prefix else ()
    request = calls.request(agent, "replenish", slot.id, *numbered)
    order.intend(now, slot.need(now) == "low")
    agent.save(slot)
    if slot in agent.unsaved:  # law 3: no durable intent, no call
        return order.fail(o.NOT_ACTED, now, now + _NO_STORE_S)
    agent.tell_order(slot)
    answer, now = calls.send(agent, request)
    request = None
    said = calls.read(agent, "read_replenish", answer, *numbered[:1])
    from .settling import settle

    settle(agent, slot, said[0], said[1], answer, now, numbered and said[2])
    agent.save(slot)  # before anything else (law 3)
    return calls.note(agent, "replenish", slot, answer, said)
