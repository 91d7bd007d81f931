"""Cancelling test orders, by a person's word. In memory only meanwhile (see `app.forget`)."""

import time

from .app import forget
from .core import order as o
from .services import call, registration


def cancel(agent, slot_id):
    """See `Agent.cancel_test_orders`."""
    slots = [slot for slot in agent.slots if slot_id in (None, slot.id)]
    if not slots:
        raise KeyError(slot_id)
    if not agent.test_device:
        # For a real order "none in progress" may say no more than that it is no test order.
        raise ValueError("drs.test_device: false: allowed: true, for a device that is registered so")
    answer, now = ask(agent, registration.cancel_test_orders, slot_id)
    said = registration.read_test_orders(answer)
    for slot in slots:
        if slot.id in said[1] and _free(slot, now):
            agent.save(slot)
    return settle(agent, "cancel_test_orders", answer, said)


def ask(agent, build, *args):
    """A person's call, beside those that fall due: (answer, the time afterwards). `build(service, access token, *args)` is the request.

    A token is fetched first if there is none. When no call can be made, the answer's error says why.
    """
    now = agent.tell_time()
    refuses = agent.unsaved or agent.device.store_failed or agent.ledger.store.refuses
    if now and agent.device.linked and not refuses:
        if not agent.access or now >= agent.access_until:
            agent.fetch_token(None, now)
        if agent.access and agent.time.now < agent.access_until:
            return agent.send(build(agent.service, agent.access, *args))
    return call.Answer(sent=False, error=agent.fault or refuses and "store_failed" or "no access token"), now


def settle(agent, name, answer, said):
    """Tell what a call of `ask` came to, after what it changed is durable. `said` begins with the outcome, ends with a phrase.

    It counts for no backoff and no hold: a person presses a button seldom. Returns None, or why it was not done.
    """
    if said[0] == call.BAD_TOKEN:
        agent.access = ""  # the next call fetches another one
    agent.note(name, None, answer, said)
    forget("core.strictjson")
    agent.due_ticks = time.ticks_ms()  # a step tells what changed
    return None if said[0] == call.OK else said[-1]


def _free(slot, now):
    """No order of this slot is in progress any more: a cancellation that does not count. Returns whether there was one."""
    order = slot.order
    at_home = order.state == o.AWAITING_REFILL and order.flags & o.STOCK_ADDED
    if not at_home and order.state not in (o.BLOCKED, o.IN_DOUBT) and not o.ACCEPTED <= order.state <= o.SHIPPED:
        return False
    order.cancel(now, now, slot.capacity if slot.pack is None else slot.pack, 0)
    slot.review(now)
    return True
