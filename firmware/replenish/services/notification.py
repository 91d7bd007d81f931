"""A notification of the Dash Replenishment Service: the JSON that SNS carries as `Message`, in both versions.

Amazon may add fields, so what is not needed here is not looked at. Not in memory at other times (see `app.forget`).
"""

from micropython import const

from ..core import dates, notice, strictjson
from ..core import order as o
from . import call, drs_answers

MALFORMED = "malformed"
UNKNOWN_TYPE = "unknown_type"

_LIMIT = const(2048)  # bytes; Amazon's have less than 1,000 ...
_SLOT_LIMIT = const(256)  # ... and so many more for each slot, which a change of the subscription names
_BYTES_A_FIELD = const(24)  # on the average at least, so that one of little else than brackets takes no heap; Amazon's have 30

_KINDS = {
    "OrderPlacedNotification": o.STATUS_PLACED,
    "ItemShippedNotification": o.STATUS_SHIPPED,
    "OrderCancelledNotification": o.CANCELLED,
    "SubscriptionChangedNotification": notice.SUBSCRIPTIONS,
    "DeviceRegisteredNotification": notice.REGISTERED,
    "DeviceDeregisteredNotification": notice.DEREGISTERED,
}


def read(payload, serial, model, slots):
    """What a notification says to a device with so many slots: (kind, its id, its time, what it is about), or in one word why it is
    of no use to it.

    payload: bytes. kind: an event of core/order.py, with (slot id, order's id, expected delivery or 0); SUBSCRIPTIONS with
    {slot id: subscribed}; REGISTERED and DEREGISTERED with None. Times are Unix seconds.
    """
    limit = _LIMIT + _SLOT_LIMIT * slots
    if len(payload) > limit or payload.count(b",") > limit // _BYTES_A_FIELD:
        return MALFORMED
    data = strictjson.read(payload) or {}
    info = _part(data, "notificationInfo")
    name, message_id = info.get("notificationType"), info.get("notificationId")
    at = _time(info.get("notificationTime"))
    device = _part(data, "deviceInfo")
    for_serial = _part(device, "deviceIdentifier").get("serialNumber")
    for_model = _part(device, "productIdentifier").get("modelId")
    if not (isinstance(name, str) and isinstance(for_serial, str) and isinstance(for_model, str)):
        return MALFORMED
    if not at or not call.printable(message_id, call.ID_LIMIT):
        return MALFORMED
    if for_serial != serial or for_model != model:
        return notice.NOT_OURS
    kind = _KINDS.get(name)
    if kind is None:
        return UNKNOWN_TYPE
    about = None
    if kind < notice.SUBSCRIPTIONS:
        about = _order(_part(data, "orderInfo"))
    elif kind == notice.SUBSCRIPTIONS:
        about = drs_answers.subscribed(_part(data, "subscriptionInfo").get("slotsSubscriptionStatus"))
    if not about and kind <= notice.SUBSCRIPTIONS:
        return MALFORMED
    return kind, message_id, at, about


def _part(data, name):
    part = data.get(name)
    return part if isinstance(part, dict) else {}


def _time(value):
    """Unix seconds of a date, 0 for anything else."""
    try:
        return dates.parse(value) if isinstance(value, str) else 0
    except ValueError:
        return 0


def _order(info):
    """(slot id, order's id, expected delivery or 0), or None. The date stands with each product, in version 1 beside them."""
    slot_id, event_id, products = info.get("slotId"), info.get("instanceId"), info.get("productInfo")
    if not isinstance(slot_id, str) or not call.printable(event_id, call.ID_LIMIT):
        return None
    delivery_at = _time(info.get("estimatedDeliveryDate"))
    for product in products if isinstance(products, list) else ():
        if isinstance(product, dict):
            delivery_at = max(delivery_at, _time(product.get("estimatedDeliveryDate")))
    return slot_id, event_id, delivery_at
