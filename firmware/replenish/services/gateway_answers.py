"""The maker's gateway: what an answer and a notice say. What is asked: gateway.py.

An order is told as a snapshot, always whole; core/snapshot.py says what it means for the slot.
"""

from micropython import const

from ..core import dates
from ..core import order as o
from . import call

_NOTICE_LIMIT = const(2048)  # bytes; the gateway's have less than 500
_SHAPE = const("200 without a snapshot of this order")
_LONGEST_S = const(2592000)  # of what it asks to wait
_PACKS = const(99)

_STATES = {
    "PENDING": o.OVERDUE,
    "PLACED": o.STATUS_PLACED,
    "STARTED": o.STATUS_PLACED,
    "IN_TRANSIT": o.STATUS_SHIPPED,
    "DELIVERED": o.DELIVERED,
    "CANCELLED": o.CANCELLED,
    "FAILED": o.FAILED,
    "RETURNING": o.RETURNING,
    "RETURNED": o.RETURNING,
}


def read_replenish(answer, slot):
    """(outcome, the order's id or "", its snapshot or None, detail) of a replenish call, by the outcomes of law 1 to 3."""
    outcome = call.judge(answer)
    intent_id = slot.order.intent_id()
    if outcome == call.OK:
        told = _snapshot(answer.json(), intent_id)
        if not told or not told[0]:
            return call.UNKNOWN, "", None, _SHAPE
        return call.REFUSED if told[0] == o.FAILED else call.ACCEPTED, intent_id, told, told[-1]
    error, detail, data = _error(answer)
    if outcome == call.REFUSED:
        if error == "in_progress":
            other = data.get("intent_id")
            return call.IN_PROGRESS, other if call.printable(other, call.ID_LIMIT) else "", None, detail
        if error == "not_subscribed":
            outcome = call.UNSUBSCRIBED
        if error == "counter":
            return call.NOT_ACTED, "", (o.COUNTED, _whole(data.get("latest"), 0xFFFFFFFE), 0, 0, 0, 0, detail), detail
    return outcome, "", None, detail


def read_order_info(answer, intent_id):
    """(outcome, the snapshot or None, detail); MISSING when there surely is no order of this id."""
    outcome = call.judge(answer)
    if outcome == call.OK:
        told = _snapshot(answer.json(), intent_id)
        return (call.OK, told, told[-1]) if told else (call.UNKNOWN, None, _SHAPE)
    error, detail, _ = _error(answer)
    return call.MISSING if error == "unknown_intent" else outcome, None, detail


def read_subscription_info(answer):
    """(outcome, {slot id: whether orders are allowed}, {slot id: the number of its last order}, detail)."""
    outcome = call.judge(answer)
    if outcome != call.OK:
        return outcome, None, None, _error(answer)[1]
    slots = (answer.json() or {}).get("slots")
    if not isinstance(slots, dict):
        return call.UNKNOWN, None, None, "200 without slots"
    allowed, latest = {}, {}
    for slot_id, entry in slots.items():
        if isinstance(entry, dict):
            allowed[slot_id] = entry.get("subscribed") is True
            latest[slot_id] = _whole(entry.get("latest"), 0xFFFFFFFE)
    return call.OK, allowed, latest, "%d slots" % len(allowed)


def read_notice(payload):
    """What a compact notice says: (its id, its time, (slot id, the order's id, snapshot)), or in one word why it is of
    no use. payload: bytes."""
    from ..core import strictjson

    data = strictjson.read(payload) if len(payload) <= _NOTICE_LIMIT else None
    data = data or {}
    slot_id, intent_id, message_id = data.get("slot"), data.get("intent_id"), data.get("id")
    at, told = _time(data.get("time")), _snapshot(data, intent_id)
    if not isinstance(slot_id, str) or not at or not told:
        return "malformed"
    if not call.printable(intent_id, call.ID_LIMIT) or not call.printable(message_id, call.ID_LIMIT):
        return "malformed"
    if not told[0]:
        return "unknown_type"
    return message_id, at, (slot_id, intent_id, told)


def _snapshot(data, intent_id):
    """(event, packs or None, expected delivery, packs returned, created, seconds to wait, the state as a phrase) of a snapshot; the
    event is 0 for an unknown state. None for what is no snapshot of this id."""
    state = data.get("state") if data else None
    if not isinstance(state, str) or data.get("intent_id") != intent_id:
        return None
    code = data.get("code")
    phrase = call.phrase(state + " " + code) if isinstance(code, str) else call.phrase(state)
    counts = _whole(data.get("quantity"), _PACKS) or None, _time(data.get("deliver_by")), _whole(data.get("returned"), _PACKS)
    return (_STATES.get(state, 0),) + counts + (_time(data.get("created")), _whole(data.get("ask_again_s"), _LONGEST_S), phrase)


def _whole(value, most):
    """A whole number from 0 to `most`; 0 for anything else."""
    return value if type(value) is int and 0 <= value <= most else 0


def _time(value):
    try:
        return dates.parse(value) if isinstance(value, str) else 0
    except ValueError:
        return 0


def _error(answer):
    """(the word of an error or "", a phrase for the log, the body)."""
    data = (answer.json() if answer.status else None) or {}
    error = data.get("error")
    error = error if call.printable(error, 40) else ""
    return error, ("status %d %s" % (answer.status, error)).strip() if answer.status else answer.error, data
