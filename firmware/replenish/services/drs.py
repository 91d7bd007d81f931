"""Amazon Dash Replenishment Service, the classic REST API: requests out, answers in.

Paths, headers, version names and bodies are Amazon's ("Replenish Endpoint" and its neighbours); where generations of the
documents differ, both spellings are read.
"""

import json

from ..core import isotime, policy
from ..core import order as o
from . import call

_TYPE = "com.amazon.dash.replenishment."

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


class Drs:
    """The calls of one registered device. `endpoint`: the service's https URL, without a slash at the end."""

    def __init__(self, endpoint):
        self._endpoint = endpoint

    def _request(self, token, method, path, name, body=b"", result="1.0"):
        headers = {
            "Authorization": "Bearer " + token,
            "x-amzn-type-version": _TYPE + name + "Input@1.0",
            "x-amzn-accept-type": _TYPE + name + "Result@" + result,
        }
        if body:
            headers["Content-Type"] = "application/json"
        return call.Request(method, self._endpoint + path, headers, body)

    def replenish(self, token, slot_id):
        return self._request(token, "POST", "/replenish/" + call.quote(slot_id), "DrsReplenish")

    def order_info(self, token, event_instance_id):
        return self._request(token, "GET", "/getOrderInfo/" + call.quote(event_instance_id), "DrsOrderInfo")

    def subscription_info(self, token):
        return self._request(token, "GET", "/subscriptionInfo", "DrsSubscriptionInfo", result="2.0")

    def device_status(self, token, active_at):
        """active_at: Unix seconds of the device's latest activity. Amazon wants this daily."""
        body = json.dumps({"mostRecentlyActiveDate": isotime.text(active_at)}).encode()
        return self._request(token, "POST", "/deviceStatus", "DrsDeviceStatus", body)

    def slot_status(self, token, slot, runs_out):
        """The slot's level, capacity and stock in its unit; runs_out: Unix seconds. All five fields are required by Amazon."""
        level = slot.level
        body = json.dumps(
            {
                "expectedReplenishmentDate": isotime.text(runs_out),
                "remainingQuantityInUnit": level.value,
                "originalQuantityInUnit": slot.capacity,
                "totalQuantityOnHand": slot.order.on_hand,
                "lastUseDate": isotime.text(level.last_use or level.first_at),
            }
        ).encode()
        return self._request(token, "POST", "/slotStatus/" + call.quote(slot.id), "DrsSlotStatus", body)


def read_replenish(answer):
    """(outcome, eventInstanceId or "", detail) of a replenish call, by the outcomes of law 1 to 3."""
    outcome = call.judge(answer)
    if outcome in (call.REFUSED, call.UNKNOWN) and answer.status >= 400 and "is unsubscribed" in answer.message():
        return call.UNSUBSCRIBED, "", "slot is unsubscribed"
    if outcome != call.OK:
        return outcome, "", _detail(answer)
    data = answer.json()
    code = data.get("detailCode") if data else None
    if not call.printable(code, 64):
        return call.UNKNOWN, "", "200 without a usable detailCode"
    event_id = data.get("eventInstanceId")
    return _meaning(code), event_id if call.printable(event_id, call.ID_LIMIT) else "", call.phrase(code)


def _meaning(code):
    """Amazon's prose and wire spell the codes differently, so underscores and case do not count."""
    plain = code.replace("_", "").lower()
    if plain.startswith("no"):
        return call.UNKNOWN  # NO_ORDER_IN_PROGRESS and the like say the opposite
    if plain.endswith("orderplaced"):
        return call.ACCEPTED
    return call.IN_PROGRESS if plain.endswith("orderinprogress") else call.UNKNOWN


def read_order_info(answer, event_instance_id, slot_id):
    """(outcome, what `policy.learn` is to learn, expected delivery in Unix seconds or 0, detail) of a getOrderInfo call."""
    outcome = call.judge(answer)
    if outcome == call.REFUSED:
        return call.MISSING, policy.NEVER, 0, _detail(answer)
    if outcome != call.OK:
        return outcome, 0, 0, _detail(answer)
    info = (answer.json() or {}).get("orderInfoData")
    items = info.get("orderItems") if isinstance(info, dict) else None
    if not isinstance(items, list) or info.get("instanceId", event_instance_id) != event_instance_id:
        return call.UNKNOWN, 0, 0, "200 without usable orderInfoData"
    items = [item for item in items if isinstance(item, dict) and item.get("slotId", slot_id) == slot_id]
    event, status = _furthest_behind(items)
    return call.OK, event, max([_delivery(item) for item in items] or [0]), status


def _furthest_behind(items):
    """(event, status) of the item that is furthest behind; a cancelled item counts only when there is no other."""
    event, shown = 0, "no status"
    for item in items:
        status = item.get("status")
        if not isinstance(status, str):
            continue
        found = _STATUS.get(status.lower(), 0)
        if not event or found and found < event:
            event, shown = found, call.phrase(status)
    return event, shown


def _delivery(item):
    date = item.get("expectedDeliveryDate")
    try:
        return isotime.parse(date) if isinstance(date, str) else 0
    except ValueError:
        return 0


def read_subscription_info(answer):
    """(outcome, {slot id: subscribed}, detail); both generations: `{slot: {"subscribed": true, …}}` and `{slot: true}`."""
    outcome = call.judge(answer)
    if outcome != call.OK:
        return outcome, {}, _detail(answer)
    slots = (answer.json() or {}).get("slotsSubscriptionStatus")
    if not isinstance(slots, dict):
        return call.UNKNOWN, {}, "200 without slotsSubscriptionStatus"
    found = {}
    for slot_id, entry in slots.items():
        subscribed = entry.get("subscribed") if isinstance(entry, dict) else entry
        if subscribed is True or subscribed is False:
            found[slot_id] = subscribed
    return call.OK, found, "%d slots" % len(found)


def read_status(answer):
    """(outcome, detail) of slotStatus and deviceStatus, whose answers have no documented body."""
    return call.judge(answer), _detail(answer)


def _detail(answer):
    """One short phrase for the log: no more than what the service says of itself."""
    if not answer.status:
        return answer.error
    message = call.phrase(answer.message())
    return "status %d %s" % (answer.status, message) if message else "status %d" % answer.status
