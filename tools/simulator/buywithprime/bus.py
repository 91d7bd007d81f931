"""EventBridge, as far as the store's events go over it: API destinations that get them over HTTPS with a key, for a day if need be."""

import base64
import json
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tools.simulator.buywithprime.errors import invalid, unknown
from tools.simulator.buywithprime.store import Store, StoreEvent
from tools.simulator.buywithprime.view import stamp
from tools.simulator.clock import Clock
from tools.simulator.identifiers import Identifiers
from tools.simulator.notice_faults import NoticeFault, parser
from tools.simulator.outbound import Message, Outbound
from tools.simulator.settings import Settings
from tools.simulator.subscriptions import Receiver, TopicDelivery
from tools.simulator.tls import trusting

EVENT_TYPES = (
    "PACKAGE_DELIVERY_IN_TRANSIT",
    "PACKAGE_DELIVERED",
    "PACKAGE_DELIVERY_CANCELLED",
    "PACKAGE_TRACKER_MILESTONE_CHANGED",
    "RETURN_STARTED",
    "RETURN_PACKAGE_IN_TRANSIT",
    "RETURN_PACKAGE_DELIVERED",
    "RETURN_PACKAGE_DELIVERY_FAILED",
    "RETURN_ITEM_GRADED",
    "RETURN_COMPLETED",
    "REFUND_REQUESTED",
)
_ACCOUNT = "123456789012"
_REGION = "us-east-1"
_SOURCE = "simulated-store"
_USER_AGENT = "Amazon/EventBridge/ApiDestinations"
# What is tried again beside 5xx and no answer at all (the API destinations page of EventBridge's guide).
_AGAIN = (401, 407, 409, 429)
# The pause doubles from the first to the longest, in seconds, and is random below that; the guide gives no numbers.
_FIRST_PAUSE_S = 2
_LONGEST_PAUSE_S = 900
_DELIVERIES_AT_ONCE = 10
_ALIASES = "id aliases { aliasId aliasType }"
_LINE = "lineItem { id } amount { unit value }"
_SNAPSHOTS = {
    "delivery": "packageInformation { summary { state } details { id state reason "
    f"packageInformationDetailsFor {{ orderLineItems {{ {_LINE} }} }} }} }}",
    "return": "returns { details { id state aliases { aliasId aliasType } returnPackageDetails { id state reason } "
    "returnLineItems { id grading { summary { gradedAmount { unit value } unitWiseCondition { condition amount { unit value } } } }"
    " } } }",
    "refund": "refunds { details { id state refundRequestReason refundTotal { totalAmount { amount currencyCode } } } }",
}


@dataclass
class Target(Receiver):
    """An API destination. `headers` go with each event; `types` are the events that its rule lets pass."""

    headers: Mapping[str, str] = field(default_factory=dict)
    types: tuple[str, ...] = EVENT_TYPES

    def as_json(self) -> dict[str, object]:
        """What may be shown of it: not the key."""
        return {"arn": self.arn, "url": self.endpoint, "types": self.types, "queued": len(self.queue)}


class _EventNotice(NamedTuple):
    """An event on its way to the targets; `key` stays the same when it is published again."""

    event: StoreEvent
    key: str
    event_id: str


class EventBus(Outbound[_EventNotice, Target]):
    """The partner event bus of the store, and the targets of its rules."""

    def __init__(self, clock: Clock, settings: Settings, store: Store, seed: int) -> None:
        super().__init__(clock, parser(EVENT_TYPES, by_device=False), seed)
        self.select: Callable[[str, str], dict[str, Any]] = lambda order_id, document: {}
        self._settings = settings
        self._store = store
        self._names = Identifiers(settings, f"bus {seed}")
        self._random = random.Random(f"bus {seed}")
        self._subscriptions: dict[str, tuple[str, str]] = {}
        store.events.subscribe(self._hear)

    @property
    def targets(self) -> list[Target]:
        """The API destinations, oldest first."""
        return self.receivers

    @property
    def timeout_s(self) -> int:
        """The setting `eventbridge_timeout_s`."""
        return self._settings.eventbridge_timeout_s

    def add_target(
        self, url: str, ca: Path | str | None = None, api_key: str = "", header: str = "x-api-key", types: Iterable[str] = EVENT_TYPES
    ) -> Target:
        """Send events of these types to an https address, with the key in that header.

        `ca` is a PEM file of the authorities that its certificate may come from (None: the system's). Raises ValueError.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise ValueError(f"url is {url!r}: an address that begins with https://")
        for type_ in types:
            if type_ not in EVENT_TYPES:
                raise ValueError(f"type {type_!r}: one of {', '.join(EVENT_TYPES)}")
        if not re.fullmatch(r"[!-~ ]*", api_key) or not re.fullmatch(r"[A-Za-z0-9-]+", header):
            raise ValueError("api_key and header: printable ASCII")
        arn = f"arn:aws:events:{_REGION}:{_ACCOUNT}:api-destination/store/{self._names.uuid()}"
        headers = {header: api_key} if api_key else {}
        target = Target(arn, url, trusting(None if ca is None else Path(ca)), headers=headers, types=tuple(types))
        self._receivers[arn] = target
        self.wake()
        return target

    def remove_target(self, arn: str) -> None:
        """Send it nothing more; what waits for it is discarded. Raises LookupError."""
        if arn not in self._receivers:
            raise LookupError(f"no target has the ARN {arn!r}")
        target = self._receivers[arn]
        target.types = ()
        self._discard(target)

    def subscribe(self, given: Mapping[str, Any]) -> str:
        """A CreateEventSubscriptionInput; returns the subscription's id. Raises StoreError."""
        type_, name = given["eventType"], given["destination"]["eventBridge"]["partnerEventSource"]["name"]
        if type_ not in EVENT_TYPES:
            raise invalid(f"eventType is {type_!r}")
        if (type_, name) in self._subscriptions.values():
            raise invalid(f"{type_} to {name} is subscribed", "SubscriptionAlreadyExists")
        if any(other != name for _, other in self._subscriptions.values()):
            raise invalid("the store has a destination of another name", "DestinationNameAlreadyExists")
        subscription_id = self._names.uuid()
        self._subscriptions[subscription_id] = (type_, name)
        return subscription_id

    def unsubscribe(self, subscription_id: str) -> str:
        """End one. Raises StoreError."""
        if subscription_id not in self._subscriptions:
            raise unknown("subscription", subscription_id)
        del self._subscriptions[subscription_id]
        return subscription_id

    def state(self) -> dict[str, object]:
        """The bus as plain data."""
        return {
            "targets": [target.as_json() for target in self.targets],
            "subscriptions": [{"id": id_, "type": type_, "name": name} for id_, (type_, name) in self._subscriptions.items()],
            "counts": dict(self.counts),
            "late": len(self._late),
            "held": len(self._held),
            "dead_letters": [entry.brief() for entry in self.dead_letters],
        }

    def _hear(self, event: StoreEvent) -> None:
        subscribed = not self._settings.eventbridge_subscribed or event.type in {type_ for type_, _ in self._subscriptions.values()}
        if subscribed and any(event.type in target.types for target in self.targets):
            event_id = self._names.uuid()
            key = base64.b64encode(f"{self._names.uuid()}#{event_id}".encode()).decode()
            self.publish(_EventNotice(event, key, event_id))

    def _traits(self, notice: _EventNotice) -> dict[str, str | None]:
        return {"type": notice.event.type}

    def _messages(self, notice: _EventNotice, fault: NoticeFault) -> Iterable[tuple[Target, Message]]:
        event = notice.event
        late_s = 0 if fault.stale else fault.delay_s
        envelope = {
            "version": "0",
            "id": self._names.uuid(),
            "detail-type": event.type,
            "source": f"aws.partner/buywithprime/{self._source_name()}",
            "account": _ACCOUNT,
            "time": stamp(event.time + late_s).replace(".000Z", "Z"),
            "region": _REGION,
            "resources": [self._resource(event)],
            "detail": self._detail(notice),
        }
        body = json.dumps(envelope, separators=(",", ":"))
        for target in self.targets:
            if event.type in target.types:
                headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": _USER_AGENT, **target.headers}
                yield target, Message("Event", str(envelope["id"]), headers, body, event.type)

    def _source_name(self) -> str:
        return next((name for _, name in self._subscriptions.values()), _SOURCE)

    def _resource(self, event: StoreEvent) -> str:
        pairs = [("order", event.order_id), *event.pairs]
        if event.pairs[0][0] == "carrier" and not self._settings.bwp_tracker_order:
            # The documents show this one event without its order.
            del pairs[0]
        return "/".join(f"{kind}/{id_}" for kind, id_ in [("businessProduct", self._store.target_id), *pairs])

    def _detail(self, notice: _EventNotice) -> dict[str, object]:
        form = self._settings.bwp_envelope
        if form == "thin":
            return {}
        return {
            "idempotencyKey": notice.key,
            "eventDescriptor": notice.event.type,
            "resources": [self._resource(notice.event)],
            "eventId": notice.event_id,
            "apiVersion": "2024-11-01",
            "subscriptionId": next(iter(self._subscriptions), "simulated-subscription"),
            "eventTime": stamp(notice.event.time),
            "data": self._snapshot(notice.event) if form == "snapshot" else {},
        }

    def _snapshot(self, event: StoreEvent) -> dict[str, Any]:
        parts = _SNAPSHOTS.get(event.pairs[0][0], _SNAPSHOTS["delivery"])
        return self.select(event.order_id, f'{{ order(orderIdentifier: {{orderId: ""}}) {{ {_ALIASES} {parts} }} }}')

    def _has_room(self, target: Target) -> bool:
        return target.in_flight < _DELIVERIES_AT_ONCE

    def _is_unwanted(self, target: Target, delivery: TopicDelivery) -> bool:
        return delivery.notification not in target.types

    def _retry_s(self, delivery: TopicDelivery) -> int | None:
        settings, last, tries = self._settings, delivery.attempts[-1], len(delivery.attempts)
        pause_s = self._random.randint(1, min(_FIRST_PAUSE_S << min(tries, 16), _LONGEST_PAUSE_S))
        pause_s = max(pause_s, last.retry_after_s or 0, self._clock.time_scale)
        age_s = self._clock.now() - delivery.time + pause_s
        # On a fast clock a day is shorter than any receiver's start; README.md says what then.
        too_old = age_s > max(settings.eventbridge_age_s, settings.eventbridge_age_real_s * self._clock.time_scale)
        refused = 0 < last.status < 500 and last.status not in _AGAIN
        return None if refused or too_old or tries > settings.eventbridge_retries else pause_s
