"""Messages to the device, notices and commands: each is to have its effect once, however often it comes (law 9). What a notice means.

The last 18 ids are remembered by four bytes each, as many as fit the device's record. A new id is taken for one of them once in
240 million; what a notice would have said is then learnt by the next poll.

Not in memory at other times (see `app.forget`). Times are Unix seconds; `at` is when it happened, by the notice, and not after `now`.
"""

from binascii import crc32

from micropython import const

from . import news
from . import order as o

# Kinds of notice beside the news of an order, which are the order's events.
SUBSCRIPTIONS = const(64)
REGISTERED = const(65)
DEREGISTERED = const(66)
SNAPSHOT = const(67)  # of the maker's gateway

# What came of a notice.
APPLIED = "applied"
STALE = "stale"  # it is ours and says nothing new
NOT_OURS = "not_ours"

_SIZE = const(4)


def _mark(message_id):
    return crc32(message_id.encode()).to_bytes(_SIZE, "little")


def is_new(device, message_id):
    """Whether a message with this id has not been seen."""
    return _mark(message_id) not in [device.seen[at : at + _SIZE] for at in range(0, len(device.seen), _SIZE)]


def saw(device, message_id):
    """Remember a message instead of the oldest one. To be saved after what it brought, which may then come twice."""
    device.seen = _mark(message_id) + device.seen[:-_SIZE]


def of_order(slot, event, event_id, now, at, more):
    """`event` happened to the order `event_id`; more: its expected delivery, 0 if none was told; or it is SNAPSHOT, and more is that.
    Returns what came of it.

    A call that left and has no recorded outcome must have been noted as one of unknown outcome before.
    """
    order = slot.order
    before = _kept(order)
    # Of two attempts without an answer the latest counts: from before it, an earlier one may have ended, and it made another.
    if _awaits(order, event_id) and at + o.EARLY_S >= (order.asked_at or order.since):
        order.adopt(now, event_id, at, now + slot.rules["poll_interval_s"])
    elif event_id != order.held_id():
        return NOT_OURS
    if event == SNAPSHOT:
        from .snapshot import learn

        learn(slot, more, now, at)
    else:
        news.learn(slot, event, now, at, more)
    return STALE if _kept(order) == before else APPLIED


def _awaits(order, event_id):
    """Whether an intent has no answer, so that a notice with this id may be the answer (law 3). The ids that are kept are older."""
    if event_id in (order.own_id, order.progress_id):
        return False
    if order.prefix:
        return order.unknown_at and event_id == order.intent_id()
    return order.unknown_at if order.state == o.ASKING else order.state == o.IN_DOUBT and not order.held_id()


def _kept(order):
    """What news can change of an order."""
    dates = order.sign_at, order.delivery_at, order.missing_since
    return order.own_id, order.state, order.reason, order.flags, order.cancels, order.returned, dates


def of_subscriptions(slots, device, subscribed, now, at):
    """{slot id: subscribed} as it was at `at`. Returns what came of it, and the slots whose order changed.

    A notice that does not name every slot says nothing of the others, so they ask again before they order.
    """
    if not [slot for slot in slots if slot.id in subscribed]:
        return NOT_OURS, ()
    if at < device.subscriptions_at:  # what was said later stands
        return STALE, ()
    device.subscriptions_at = at
    unsure = _ask_again([slot for slot in slots if slot.id not in subscribed])
    return APPLIED, unsure + [slot for slot in slots if slot.id in subscribed and slot.order.subscription(now, subscribed[slot.id])]


def _ask_again(slots):
    """These slots have a fresh look before they order. Returns those of which that is new."""
    sure = [slot for slot in slots if slot.order.subscribed == 1]
    for slot in sure:
        slot.order.subscribed = 0
    return sure


def registered(slots, device, at):
    """The customer registered the device and chooses next what to subscribe to. Returns what came of it, and the slots whose order
    changed."""
    if at < device.subscriptions_at:
        return STALE, ()
    device.subscriptions_at = at
    return APPLIED, _ask_again(slots)


def deregistered(device, token, at):
    """The customer let the device go, and `token` with it. If it was linked or the service answered since, that is over."""
    if not device.linked or at < device.subscriptions_at:
        return STALE
    device.linked = False
    device.link_fault = 0
    device.refused_token = crc32(token.encode())
    return APPLIED
