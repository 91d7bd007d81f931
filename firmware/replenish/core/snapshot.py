"""What a snapshot of the maker's gateway, the whole of an order at one moment, means for a slot. In memory only then.

A snapshot: (event, packs or None, expected delivery, packs returned, created, seconds to wait, phrase); times are Unix seconds, 0 is
never. The event is one of core/order.py; 0: of an unknown state.
"""

from micropython import const

from . import news
from . import order as o

_DAY_S = const(86400)
_REST = 0.1  # of what was returned: less is no stock, as of a pack


def settle(slot, told, event_id, now):
    """The answer to an order call: all that is known of what this number stands for; told None: event_id is of another order that is in
    progress, or "". Returns whether that was all there is to do."""
    order = slot.order
    if not told:
        _passed_by(order, event_id)
        return False
    if told[0] == o.COUNTED or _is_spent(order, told):
        order.used = told[1] if told[0] == o.COUNTED else order.used + 1
        order.fail(o.NOT_ACTED, now, now if not order.attempts else now + slot.rules["probe_interval_s"])
    elif told[0] == o.FAILED:
        order.unknown_at = 0  # of every attempt of this number
        order.used += 1
        order.refuse(now, now + slot.rules["probe_interval_s"], 200)
    else:
        order.accept(now, event_id, max(now, order.asked_at + slot.rules["resolution_grace_s"]))
        if told[0] != o.STATUS_PLACED:  # as it is to be; it is placed for good when it is still so at the end of the grace
            learn(slot, told, now, now)
        if told[5]:
            order.next_poll = min(order.next_poll, now + told[5])
    return True


def find_last(order, number):
    """The gateway knows orders up to this number. Not while a call has no answer, which may have made the last one. Returns whether
    that is new."""
    new = number > order.used and not order.unknown_at and not order.flags & o.IN_FLIGHT
    if new:
        order.used = number
    return new


def _passed_by(order, other_id):
    """There are orders up to this one's number."""
    number = other_id[len(order.prefix) :]
    if other_id.startswith(order.prefix) and number.isdigit():
        order.used = max(order.used, int(number))


def _is_spent(order, told):
    """Whether this is the end of an earlier order: the number was used before, and the device forgot it."""
    ended = told[0] in (o.DELIVERED, o.CANCELLED, o.FAILED, o.RETURNING)
    return ended and told[4] and told[4] + o.EARLY_S < (order.unknown_at or order.asked_at)


def follow(slot, told, now):
    """A poll's answer, None: there surely is no such order. A call without an answer is known by it (law 3)."""
    order = slot.order
    if order.reason == o.NOT_REPEATED:
        if not told:
            return order.on(o.RELEASED, now, o.NOT_ORDERED)
        if told[0]:
            order.adopt(now, order.intent_id(), told[4], 0)
    if told:
        learn(slot, told, now, now)
    else:
        news.learn(slot, o.MISSING, now, now, 0)


def learn(slot, told, now, at):
    """The order was so at `at`."""
    order = slot.order
    event, packs, delivery_at, returned = told[:4]
    if event == o.OVERDUE:
        _await_person(order, now, at)
    elif event == o.FAILED:
        if order.allows(o.CANCELLED):
            order.cancel(now, at, news.brings(slot, packs), slot.rules["probe_interval_s"], slot.elsewhere(), o.NOT_FULFILLED)
            slot.review(now)
    elif event == o.RETURNING:
        if order.allows(o.DELIVERED):
            news.deliver(slot, now, packs)
        if order.state == o.AWAITING_REFILL:
            order.reason = o.BEING_RETURNED
    elif event == o.DELIVERED and order.reason == o.BEING_RETURNED:
        order.reason = o.AT_HOME  # the return was called off
    else:
        # The calendar would take a delivery for the whole of what was asked for.
        whole = packs is None or packs == slot.packs
        news.learn(slot, event, now, at, delivery_at if whole else 0, packs)
    if returned > order.returned:
        back = news.brings(slot, returned - order.returned)
        order.returned = returned
        _give_back(order, now, back, slot.rules["reorder_after_cancel_days"] * _DAY_S, slot.elsewhere())
        slot.review(now)


def _give_back(order, now, amount, rest_s, elsewhere):
    """`amount` of what the order brought home has left it. When nothing of it is left there, the order is over."""
    if order.state == o.AWAITING_REFILL and order.on_hand + elsewhere - amount <= _REST * amount:
        order.cancel(now, now, amount, rest_s, elsewhere, o.GIVEN_BACK)
    else:
        order.on_hand = max(0.0 - elsewhere, order.on_hand - amount)


def _await_person(order, now, at):
    """Somebody is asked, so it is shown at once."""
    if order.allows(o.PENDING):
        order.status(o.PENDING, now, 0, at)
    if order.allows(o.OVERDUE):
        order.on(o.OVERDUE, now, o.RESOLUTION)


def next_poll(order, rules, told, now):
    """When to ask again: as for any order, or earlier if the gateway says when there will be news."""
    at = news.next_poll(order, rules, now)
    return min(at, now + told[5]) if told and told[5] else at
