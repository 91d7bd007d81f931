"""Amazon Dash Replenishment Service, the classic REST API: what an answer says. What is asked: drs.py.

Codes, fields and states are Amazon's ("Replenish Endpoint" and its neighbours); where generations of the documents differ, both
spellings are read.
"""

from micropython import const

from ..core import dates
from ..core import order as o
from . import call

_WITHOUT = const("200 without ")

# How far an order is, by the status of an order item: the documents of 2018 (first) and the later ones (second).
_STATUS = {
    "pending": o.PENDING,
    "processing": o.PENDING,
    "authorized": o.STATUS_PLACED,
    "shipped": o.STATUS_SHIPPED,
    "closed": o.DELIVERED,
    "canceled": o.CANCELLED,
    "cancelled": o.CANCELLED,
}


def read_replenish(answer):
    """(outcome, eventInstanceId or "", detail) of a replenish call, by the outcomes of law 1 to 3."""
    outcome, data, detail = read_body(answer, "Replenish", "detailCode", str)
    event_id = ""
    if outcome in (call.REFUSED, call.UNKNOWN) and answer.status >= 400 and "is unsubscribed" in answer.message():
        outcome = call.UNSUBSCRIBED
    elif outcome == call.OK:
        code = data["detailCode"]
        # Amazon's prose and wire spell the codes differently, so underscores and case do not count.
        plain = code.replace("_", "").lower()
        outcome = call.UNKNOWN
        if not call.printable(code, 64) or plain.startswith("no"):
            pass  # NO_ORDER_IN_PROGRESS and the like say the opposite
        elif plain.endswith("orderplaced"):
            outcome = call.ACCEPTED
        elif plain.endswith("orderinprogress"):
            outcome = call.IN_PROGRESS
        event_id = data.get("eventInstanceId")
        detail = call.phrase(code) or detail
    return outcome, event_id if call.printable(event_id, call.ID_LIMIT) else "", detail


def read_order_info(answer, event_instance_id, slot_id):
    """(outcome, what `news.learn` is to learn, expected delivery in Unix seconds or 0, detail) of a getOrderInfo call."""
    outcome, data, detail = read_body(answer, "OrderInfo", "orderInfoData", dict)
    if outcome == call.REFUSED:
        return call.MISSING, o.MISSING, 0, detail
    if outcome != call.OK:
        return outcome, 0, 0, detail
    info = data["orderInfoData"]
    items = info.get("orderItems")
    if not isinstance(items, list) or info.get("instanceId", event_instance_id) != event_instance_id:
        return call.UNKNOWN, 0, 0, _WITHOUT + "orderItems of this order"
    return _furthest_behind(items, slot_id)


def _furthest_behind(items, slot_id):
    """The order is as far as its item that is furthest behind; a cancelled one counts only when there is no other. It has not ended
    while the status of one is unknown."""
    event, delivery_at, detail, unknown = 0, 0, "no status", False
    for item in items:
        if not isinstance(item, dict) or item.get("slotId", slot_id) != slot_id:
            continue
        try:
            delivery_at = max(delivery_at, dates.parse(str(item.get("expectedDeliveryDate"))))
        except ValueError:
            pass
        status = item.get("status")
        found = _STATUS.get(status.lower(), 0) if isinstance(status, str) else None
        unknown |= found == 0
        if found is not None and (not event or found and found < event):
            event, detail = found, call.phrase(status)
    return call.OK, 0 if unknown and event >= o.DELIVERED else event, delivery_at, detail


def read_subscription_info(answer):
    """(outcome, {slot id: subscribed}, detail); both generations: `{slot: {"subscribed": true, …}}` and `{slot: true}`."""
    outcome, data, detail = read_body(answer, "SubscriptionInfo", "slotsSubscriptionStatus", dict)
    found = {}
    if outcome == call.OK:
        found = subscribed(data["slotsSubscriptionStatus"])
        detail = "%d slots" % len(found)
    return outcome, found, detail


def is_version_refused(answer):
    """Whether the service refuses the version of the answer that was asked for, by name."""
    said = answer.message()
    return answer.status == 400 and ("accept-type" in said or "version" in said)


def subscribed(status):
    """{slot id: subscribed} of a `slotsSubscriptionStatus`, as answers and notices have it; {} for what is none."""
    found = {}
    for slot_id, entry in status.items() if isinstance(status, dict) else ():
        known = entry.get("subscribed") if isinstance(entry, dict) else entry
        if known is True or known is False:
            found[slot_id] = known
    return found


def read_status(answer, name):
    """(outcome, detail) of a call of this type whose answer has no documented body: slotStatus, deviceStatus, deregistration."""
    return judge(answer, name), _detail(answer)


def judge(answer, name):
    """The outcome by the status; UNKNOWN for a 200 that says of itself that it answers a call of another type. Another version of
    the same type is read like ours: what is missing of it is found out by the fields."""
    kind = answer.headers.get("x-amzn-type-version")
    return call.UNKNOWN if answer.status == 200 and kind and ".Drs%sResult@" % name not in kind else call.judge(answer)


def read_body(answer, name, field, kind):
    """(outcome, the body of a 200, detail); UNKNOWN for a 200 of another type, or in which `field` is not of this kind."""
    outcome = judge(answer, name)
    if outcome != call.OK:
        return outcome, None, _detail(answer)
    data = answer.json() or {}
    if not isinstance(data.get(field), kind):
        outcome = call.UNKNOWN
    return outcome, data, _WITHOUT + field


def _detail(answer):
    """One short phrase for the log: no more than what the service says of itself."""
    if not answer.status:
        return answer.error
    # An error has its kind in a header, before a colon, and often no body.
    said = answer.message() or answer.headers.get("x-amzn-errortype", "").partition(":")[0]
    return ("status %d %s" % (answer.status, call.phrase(said))).strip()
