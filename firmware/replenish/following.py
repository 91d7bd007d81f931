"""What the maker's gateway is asked beside orders: how far one is, and which slots may order. In memory only meanwhile (see
`app.forget`)."""

from . import calls
from .core import snapshot
from .services import call


def order_info(agent, slot):
    """Ask how the order stands that the slot follows, and make durable what that changes."""
    order = slot.order
    held_id = order.held_id()
    answer, now = calls.send(agent, calls.request(agent, "order_info", held_id))
    said = calls.read(agent, "read_order_info", answer, held_id)
    if said[0] in (call.OK, call.MISSING):
        order.next_poll = snapshot.next_poll(order, agent.rules, said[1], now)
        snapshot.follow(slot, said[1], now)
    else:
        order.next_poll = calls.failed(agent, said[0], answer, now)
    agent.save_level(slot, now)
    agent.save(slot)
    calls.note(agent, "order_info", slot, answer, said)


def subscription_info(agent):
    """Ask for which slots the customer allows orders, and up to which number there are some."""
    answer, now = calls.send(agent, calls.request(agent, "subscription_info"))
    said = calls.read(agent, "read_subscription_info", answer)
    if said[0] != call.OK:
        calls.failed(agent, said[0], answer, now)
    else:
        for slot in agent.slots:
            found = snapshot.find_last(slot.order, said[2].get(slot.id, 0))
            if slot.order.subscription(now, said[1].get(slot.id, False)) or found:
                agent.save(slot)
        agent.device.subscriptions_at = now
        agent.save_device()
    calls.note(agent, "subscription_info", None, answer, said)
