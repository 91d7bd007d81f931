"""What becomes of an order by what its call came to. In memory only then (see `app.forget`): beside the answer it is not needed."""

from . import calls
from .core import backoff
from .core import order as o
from .services import call


def settle(agent, slot, outcome, event_id, answer, now, told=None):
    """What the outcome of a replenish call does to the slot's order. told: the gateway's snapshot, if there is one."""
    order, rules = slot.order, agent.rules
    if order.prefix:
        from .core.snapshot import settle as take

        if take(slot, told, event_id, now):
            return
    if outcome == call.ACCEPTED:
        order.accept(now, event_id, max(now, order.asked_at + rules["resolution_grace_s"]))
    elif outcome == call.IN_PROGRESS:
        order.block(now, event_id, now + rules["poll_interval_s"])
    elif outcome == call.UNSUBSCRIBED:
        order.subscription(now, False)
        agent.device.subscriptions_at = now
    elif outcome == call.REFUSED:
        order.refuse(now, now + rules["probe_interval_s"], answer.status)
    else:
        next_try = calls.failed(agent, outcome, answer, now)
        if next_try > now:
            next_try = _next_try(agent, order, next_try, now)
        _fail(agent, order, o.UNKNOWN if outcome == call.UNKNOWN else o.NOT_ACTED, now, next_try)


def _next_try(agent, order, next_try, now):
    """Other calls that go well end the device's backoff, but not this order's."""
    return max(next_try, now + backoff.delay_s(order.attempts + 1, agent.clock.fraction()))


def _fail(agent, order, event, now, next_try):
    """A replenish call came to nothing. A probe is not repeated by the backoff alone (law 2)."""
    if order.flags & o.PROBING:
        next_try = max(next_try, now + agent.rules["probe_interval_s"])
    order.fail(event, now, next_try)


def lose(agent, slot, now):
    """A call of this slot left, and its outcome was never recorded."""
    _fail(agent, slot.order, o.UNKNOWN, now, agent.device.failed(now, agent.clock.fraction(), 0, True))
    agent.save(slot)
    agent.save_device()


def step_backoff(agent, slot, now):
    """The first token since a cold start takes a step of a backoff that goes on: a boot loop must not add its tokens to the calls
    that are due. Not so a wake, which takes a token each time: it would never get to its call."""
    device = agent.device
    waits = slot and slot.order.attempts and slot.order.allows(o.NOT_ACTED)
    if device.attempts or waits:
        device.failed(now, agent.clock.fraction(), 0, True)
        agent.save_device()
    if waits:
        _fail(agent, slot.order, o.NOT_ACTED, now, _next_try(agent, slot.order, device.next_try, now))
        agent.save(slot)
