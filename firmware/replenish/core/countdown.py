"""What a slot waits for, since when and until when: for people. The decisions are policy.py's. In memory only while it is told.

A wait is (what, since, until): `what` in the words of spans.py, Unix seconds, 0 where there is none. Without `until` nobody
knows when it ends: news or a person ends it.
"""

from . import order as o
from . import policy
from .isotime import text
from .spans import told


def of_slot(slot, device, now):
    """The waits of a slot, the one that matters first; none when it needs nothing and nothing is open."""
    if not now:
        return [("no call|the time is not known", 0, 0)]
    level, order = slot.level, slot.order
    waits = []
    if level.rise_since:
        waits.append(_confirmed("refill", slot, level.rise_since))
    wait = policy.order_wait(slot, device, now)
    if wait == policy.NEED:
        waits += _need(slot, now)
        wait = policy.gate(slot, device, now).replace(policy.ASK_SUBSCRIPTION, "")  # it does so when the need is confirmed
    if wait and wait != policy.BY_STATE:
        waits.append(_gate(wait, slot, device, now))
    if order.state == o.ASKING:
        if order.unknown_at:
            waits.append(("in doubt|" + order.names()[1], 0, order.unknown_at + slot.rules["intent_fresh_s"]))
    elif order.state != o.IDLE:
        waits += _by_state(slot, order, device, now)
    if policy.polled(order):
        waits.append(("next look", 0, max(order.next_poll, device.first_call_at, device.next_try)))
    return waits


def _confirmed(what, slot, since):
    return what, since, since + slot.rules["confirm_s"]


def _need(slot, now):
    since = slot.level.low_since
    if not slot.lasted(since, now):
        yield _confirmed("low" if slot.need(now) == "low" else "runs out", slot, since)
    if slot.doubt is not None:
        yield "next reading|the level jumped", 0, slot.sample_at


def _gate(wait, slot, device, now):
    """Why a need that is confirmed is not asked for, with the time at which that ends by itself."""
    if wait == policy.SPREAD:
        return "first call|cold start", 0, device.first_call_at
    if wait == policy.BACKOFF:
        at = max(device.next_try, slot.order.next_try if slot.order.state == o.ASKING else 0)
        return "next try|attempt %d failed" % max(device.attempts, slot.order.attempts), 0, at
    if wait == policy.NOT_SUBSCRIBED:
        return _recheck(slot, device, now)
    return wait, 0, 0


def _recheck(slot, device, now):
    at = max(policy.recheck_at((slot,), device), device.first_call_at, device.next_try)
    return "next look|" + policy.NOT_SUBSCRIBED, 0, at


def _by_state(slot, order, device, now):
    """What the order's own state waits for: its reason, and when time alone goes on."""
    state, reason = order.state, order.names()[1] or order.names()[0]
    if state == o.ACCEPTED and not order.prefix:  # a gateway says itself when a person is asked
        yield reason, order.accepted_at, order.accepted_at + slot.rules["resolution_grace_s"]
    elif state == o.AWAITING_CUSTOMER:
        yield reason, order.accepted_at, order.deadline()
    elif state == o.SHIPPED and order.delivery_at:
        yield "delivery|" + reason, 0, order.delivery_at
    elif state == o.AWAITING_REFILL and slot.short_since and not slot.lasted(slot.short_since, now):
        yield _confirmed("low", slot, slot.short_since)
        yield reason, 0, 0
    elif state == o.AWAITING_REFILL and order.next_try:
        yield "no longer waited for|" + reason, 0, order.next_try
    elif state == o.BLOCKED and policy.probe_at(slot) < policy.NEVER:
        yield "may ask again|" + reason, 0, policy.probe_at(slot)
    elif state == o.HELD and order.next_try:
        yield "free again|" + reason, 0, order.next_try
    elif state == o.IN_DOUBT:
        yield "may ask again|" + reason, 0, order.since + slot.rules["in_doubt_days"] * policy.DAY_S
    elif state == o.UNSUBSCRIBED:
        yield _recheck(slot, device, now)
    else:
        yield reason, 0, 0


def in_words(slot, device, now):
    """All that a slot waits for, in one line; "" for nothing."""
    return "; ".join([told(what, since, until, now) for what, since, until in of_slot(slot, device, now)])


def told_pairs(slot, device, now, wait):
    """What the event `wait` carries. wait: policy.order_wait's word. `reason` is why a need is not asked for, null where it is the
    order's own; then `what`, `since` and `until` of each wait, from the second on with its number, for who counts on."""
    found = [("reason", None if wait == policy.BY_STATE else wait or None)]
    number = 1
    for values in of_slot(slot, device, now):
        for name, value in zip(("what", "since", "until"), values):
            if value:
                found.append((name if number == 1 else "%s%d" % (name, number), value if name == "what" else text(value)))
        number += 1
    return found
