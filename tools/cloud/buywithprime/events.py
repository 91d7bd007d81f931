"""Events of Buy with Prime: which to subscribe, and what one that came says. No I/O.

An event is a hint: it names an order that has to be read again, and nothing else of it is believed. It comes in three shapes:
thin by EventBridge (`detail` is empty), filled by EventBridge (`detail` is what a webhook is sent), and to a webhook.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tools.cloud.buywithprime import models

RETURN_EVENTS = (
    "RETURN_STARTED",
    "RETURN_PACKAGE_IN_TRANSIT",
    "RETURN_PACKAGE_DELIVERED",
    "RETURN_PACKAGE_DELIVERY_FAILED",
    "RETURN_ITEM_GRADED",
    "RETURN_COMPLETED",
)
PACKAGE_EVENTS = (
    "PACKAGE_DELIVERY_IN_TRANSIT",
    "PACKAGE_DELIVERED",
    "PACKAGE_DELIVERY_CANCELLED",
    "PACKAGE_TRACKER_MILESTONE_CHANGED",
)
# Those that can change what a device is told; refunds are the business of the maker's own systems.
SUBSCRIBED = PACKAGE_EVENTS + RETURN_EVENTS
# Names that went out of use on 2024-12-04 or earlier, and are still sent to who subscribed them.
_RENAMED = {
    "DELIVERY_IN_TRANSIT": "PACKAGE_DELIVERY_IN_TRANSIT",
    "DELIVERY_COMPLETED": "PACKAGE_DELIVERED",
    "DELIVERY_CANCELLED": "PACKAGE_DELIVERY_CANCELLED",
    "ITEM_IN_TRANSIT": "PACKAGE_DELIVERY_IN_TRANSIT",
    "ITEM_DELIVERED": "PACKAGE_DELIVERED",
    "ITEM_CANCELLED": "PACKAGE_DELIVERY_CANCELLED",
    "RETURN_DELIVERY_IN_TRANSIT": "RETURN_PACKAGE_IN_TRANSIT",
    "RETURN_DELIVERY_COMPLETED": "RETURN_PACKAGE_DELIVERED",
    "RETURN_DELIVERY_FAILED": "RETURN_PACKAGE_DELIVERY_FAILED",
}
# What a device takes for the id of a notice.
_LONGEST_ID = 255


class EventError(ValueError):
    """What came is no event of Buy with Prime; the text quotes nothing but names of fields and kinds of resources."""


class ForeignError(EventError):
    """An event of another business product than ours."""


@dataclass(frozen=True)
class Resource:
    """What an event is about: `businessProduct/B/order/O/return/R` as pairs of kind and id, in their order."""

    pairs: tuple[tuple[str, str], ...]

    def get(self, kind: str) -> str | None:
        """The id of this kind, None without one. Raises EventError when two are named."""
        found = {name for key, name in self.pairs if key == kind}
        if len(found) > 1:
            raise EventError(f"a resource names two of kind {kind!r}")
        return next(iter(found), None)

    def __str__(self) -> str:
        return "/".join(part for pair in self.pairs for part in pair)


@dataclass(frozen=True)
class Event:
    """`kind` has its newest name; `key` is the same for each repetition; `orders` are to be read again and may be none."""

    kind: str
    time: datetime
    key: str
    resources: tuple[Resource, ...]
    orders: tuple[str, ...]

    @property
    def returns(self) -> tuple[str, ...]:
        return _distinct(resource.get("return") for resource in self.resources)

    @property
    def notice_id(self) -> str:
        """`key` as the id of a notice, for which a device takes at most 255 visible characters of ASCII, no space among them."""
        if len(self.key) <= _LONGEST_ID and all(" " < letter <= "~" for letter in self.key):
            return self.key
        return hashlib.sha256(self.key.encode("utf-8", "surrogatepass")).hexdigest()


def subscriptions(
    account: str, region: str, source_name: str, kinds: Iterable[str] = SUBSCRIBED
) -> list[models.CreateEventSubscriptionInput]:
    """What createEventSubscription is given, one for each kind: it makes the partner event source `source_name`, which has to be
    unique in the world, in this AWS account and region. The source is then associated with a bus, whose rule leads to us."""
    source = models.PartnerEventSourceInput(account=account, name=source_name)
    bridge = models.EventBridgeDestinationInput(region=region, partner_event_source=source)
    destination = models.EventDestinationInput(event_bridge=bridge)
    return [models.CreateEventSubscriptionInput(destination=destination, event_type=kind) for kind in kinds]


def newest_name(kind: str) -> str:
    """The name that an event has since 2024-12-04."""
    return _RENAMED.get(kind, kind)


def resource(text: str, business_product: str) -> Resource:
    """Pairs of kind and id. A kind may be unknown and an id may hold anything but `/`, `#` and `%` included: nothing is decoded
    or cut. Raises EventError, and ForeignError when the resource is not of `business_product`."""
    parts = text.split("/")
    if len(parts) % 2 or not all(parts):
        raise EventError("a resource is not made of pairs KIND/ID")
    pairs = tuple(zip(parts[::2], parts[1::2], strict=True))
    if pairs[0][0] != "businessProduct":
        raise EventError("a resource does not begin with businessProduct")
    if pairs[0][1] != business_product:
        raise ForeignError("a resource is of another business product")
    return Resource(pairs)


def read(given: Mapping[str, Any], business_product: str) -> Event:
    """An event in any of its three shapes. Raises EventError, and ForeignError for one of another business product."""
    if "detail-type" in given:
        detail = given.get("detail")
        inner = detail if isinstance(detail, Mapping) else {}
        kind, time = inner.get("eventDescriptor", given["detail-type"]), inner.get("eventTime", given.get("time"))
        listed = inner.get("resources", given.get("resources"))
    else:
        inner, kind, time, listed = given, given.get("eventDescriptor"), given.get("eventTime"), given.get("resources")
    kind = newest_name(_text("the event's type", kind))
    resources = _resources(listed, business_product)
    when = moment(_text("the event's time", time))
    return Event(kind, when, _key(inner, kind, resources, when), resources, _orders(resources, inner))


def moment(text: str) -> datetime:
    """A time of ISO 8601; seconds may have up to nine decimals, of which six are kept. Raises EventError."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise EventError("a time is not of ISO 8601") from None


def _text(what: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise EventError(f"{what} is missing or no text")
    return value


def _resources(listed: object, business_product: str) -> tuple[Resource, ...]:
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        raise EventError("resources is not a list of texts")
    return tuple(resource(text, business_product) for text in listed)


def _orders(resources: Iterable[Resource], inner: Mapping[str, Any]) -> tuple[str, ...]:
    """Orders that the resources name. A tracker's event may name none; then the snapshot that newer events carry does."""
    named = _distinct(found.get("order") for found in resources)
    data = inner.get("data")
    order = data.get("order") if isinstance(data, Mapping) else None
    snapshot_id = order.get("id") if isinstance(order, Mapping) else None
    return named or ((snapshot_id,) if isinstance(snapshot_id, str) and snapshot_id else ())


def _distinct(found: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in found if name is not None))


def _key(inner: Mapping[str, Any], kind: str, resources: Iterable[Resource], time: datetime) -> str:
    """The envelope's own id is not used: EventBridge makes a new one when an event is published again."""
    for name in ("idempotencyKey", "eventId"):
        if isinstance(inner.get(name), str) and inner[name]:
            return str(inner[name])
    return " ".join((kind, *map(str, resources), time.isoformat()))
