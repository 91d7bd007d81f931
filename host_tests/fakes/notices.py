"""Notifications of the Dash Replenishment Service as SNS would carry them: made here, after the documented fields of both versions.

Amazon's printed samples are no JSON and disagree with its own tables, so none of them is a fixture as it stands. What is wrong
with them, and what the fixtures have instead:

- commas behind the last field of an object, and braces that do not pair, one of them so that `orderInfo` falls out of the
  message: without the commas, and `orderInfo` beside `notificationInfo`;
- one names the model `myDeviceModel`, where every other one has `modelId`: `modelId`;
- the unit is "count" in most and "Count" in one: both, nobody reads it;
- the attribute `version` has the number 2.0, where SNS only knows strings; and `version` inside is 2015-06-05 in both: the shape tells.
"""

import json

from replenish.core.isotime import text

PLACED = "OrderPlacedNotification"
SHIPPED = "ItemShippedNotification"
CANCELLED = "OrderCancelledNotification"
SUBSCRIPTION = "SubscriptionChangedNotification"
REGISTERED = "DeviceRegisteredNotification"
DEREGISTERED = "DeviceDeregisteredNotification"


def moment(at):
    """A time as Amazon writes it."""
    return text(at)[:-1] + ".000Z"


def notice(name, at, number, serial="SN0001", model="acme-1"):
    """The part that all notifications have, as a dict. number: of the notification's id."""
    return {
        "notificationInfo": {
            "notificationType": name,
            "lwaClientId": "amzn1.application-oa2-client.0f0f0f0f",
            "notificationTime": moment(at),
            "notificationId": "amzn1.dash.notification.v1.%d" % number,
            "version": "2015-06-05",
        },
        "deviceInfo": {"deviceIdentifier": {"serialNumber": serial}, "productIdentifier": {"modelId": model}},
        "customerInfo": {"directedCustomerId": "amzn1.account.CUSTOMER"},
    }


def of_order(name, at, number, event_id, slot="A", delivery_at=0, version=2):
    """OrderPlaced, ItemShipped or OrderCancelled, as a dict. delivery_at: the expected delivery, 0: none is told."""
    data = notice(name, at, number)
    data["orderInfo"] = info = {"instanceId": event_id, "slotId": slot}
    if name != CANCELLED:
        product = {"quantity": 1.0, "unit": "count" if version == 2 else "Count"}
        info["productInfo"] = [product]
        if version == 2:
            product["asin"] = "B000000001"
        if delivery_at:
            (product if version == 2 else info)["estimatedDeliveryDate"] = moment(delivery_at)
    return data


def of_subscriptions(at, number, slots, version=2):
    """SubscriptionChanged, as a dict. slots: {slot id: subscribed}."""
    product = {"quantity": 1.0, "unit": "count", "asin": "B000000001"}
    data = notice(SUBSCRIPTION, at, number)
    status = {}
    for slot in slots:
        entry = {"subscribed": slots[slot], "productInfoList": [product] if slots[slot] else []}
        status[slot] = entry if version == 2 else slots[slot]
    data["subscriptionInfo"] = {"slotsSubscriptionStatus": status}
    return data


def packed(data):
    """As the bytes of an SNS `Message`."""
    return json.dumps(data).encode()
