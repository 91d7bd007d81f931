"""Cancelling test orders, by a person's word. In memory only meanwhile (see `app.forget`)."""

from .core import order as o
from .manual import ask, settle


def cancel(agent, slot_id):
    """See `Agent.cancel_test_orders`."""
    slots = [slot for slot in agent.slots if slot_id in (None, slot.id)]
    if not slots:
        raise KeyError(slot_id)
    if not agent.test_device:
        # For a real order "none in progress" may say no more than that it is no test order.
        raise ValueError("drs.test_device: false: allowed: true, for a device that is registered so")
    from .services import registration

    answer, now = ask(agent, registration.cancel_test_orders, slot_id)
    said = registration.read_test_orders(answer)
    for slot in slots:
        if slot.id in said[1] and free(slot, now):
            agent.save(slot)
    return settle(agent, "cancel_test_orders", answer, said)


def free(slot, now):
    """No order of this slot is in progress any more: a cancellation that does not count. Returns whether there was one."""
    order = slot.order
    at_home = order.state == o.AWAITING_REFILL and order.flags & o.STOCK_ADDED
    if not at_home and order.state not in (o.BLOCKED, o.IN_DOUBT) and not o.ACCEPTED <= order.state <= o.SHIPPED:
        return False
    from .core.news import brings

    order.cancel(now, now, brings(slot, None), 0)
    slot.review(now)
    return True
