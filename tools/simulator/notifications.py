"""Notifications: what SNS would carry as `Message` when something happens to an order or a device of the Dash Replenishment Service.

Only the text is made here; `sns.py` publishes it.
"""

import json
from datetime import UTC, datetime

from tools.simulator.drs import delivery_date
from tools.simulator.journal import Event
from tools.simulator.lwa import CLIENT_ID
from tools.simulator.orders import Order, OrderBook
from tools.simulator.registry import Registry

TYPES = {
    "placed": "OrderPlacedNotification",
    "shipped": "ItemShippedNotification",
    "cancelled": "OrderCancelledNotification",
    "subscription_changed": "SubscriptionChangedNotification",
    "registered": "DeviceRegisteredNotification",
    "deregistered": "DeviceDeregisteredNotification",
}
VERSIONS = ("1.0", "2.0")


class Notifications:
    """Renders events in one version of the notifications, "1.0" or "2.0". Give it each event when it happens."""

    def __init__(self, registry: Registry, book: OrderBook, version: str = "2.0") -> None:
        if version not in VERSIONS:
            raise ValueError(f"version is {version!r}: one of {', '.join(VERSIONS)}")
        self._registry = registry
        self._book = book
        self._detailed = version == "2.0"

    def render(self, event: Event) -> str | None:
        """The notification of an event; None for one that the service does not notify of, such as a delivery."""
        if event.kind not in TYPES:
            return None
        message: dict[str, object] = {
            "notificationInfo": {
                "notificationType": TYPES[event.kind],
                "lwaClientId": CLIENT_ID,
                "notificationTime": datetime.fromtimestamp(event.time, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                "notificationId": f"amzn1.dash.notification.v1.{event.number:08d}",
                "version": "2015-06-05",
            },
            "deviceInfo": {
                "deviceIdentifier": {"serialNumber": event.device},
                "productIdentifier": {"modelId": self._registry.device(event.device).model},
            },
            "customerInfo": {"directedCustomerId": "amzn1.account.SIMULATED"},
        }
        order = self._book.known(event.order_id) if event.order_id else None
        if order is not None:
            message["orderInfo"] = self._order(order, event.kind != "cancelled")
        elif event.kind == "subscription_changed":
            message["subscriptionInfo"] = {"slotsSubscriptionStatus": self._subscriptions(event.device)}
        return json.dumps(message, separators=(",", ":"))

    def _order(self, order: Order, with_products: bool) -> dict[str, object]:
        info: dict[str, object] = {"instanceId": order.order_id, "slotId": order.key.slot}
        if with_products:
            product: dict[str, object] = {"quantity": float(order.quantity), "unit": "count"}
            date = {"estimatedDeliveryDate": delivery_date(order)}
            info["productInfo"] = [product]
            if self._detailed:
                product.update(asin=order.product, **date)
            else:
                info.update(date)
        return info

    def _subscriptions(self, serial: str) -> dict[str, object]:
        slots: dict[str, object] = {}
        for name, slot in self._registry.device(serial).slots.items():
            products = [{"quantity": float(slot.quantity), "unit": slot.unit, "asin": slot.product}]
            detail = {"subscribed": slot.subscribed, "productInfoList": products if slot.subscribed else []}
            slots[name] = detail if self._detailed else slot.subscribed
        return slots
