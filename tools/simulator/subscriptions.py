"""Who gets what the service sends of its own accord, and the record of each message on its way to one of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from ssl import SSLContext
from typing import NamedTuple

Attributes = Mapping[str, Mapping[str, str]]


class SubscriptionState(StrEnum):
    """Where a subscription stands."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"


class DeliveryState(StrEnum):
    """What became of a message on its way to one subscriber."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DROPPED = "dropped"
    DISCARDED = "discarded"


@dataclass
class Attempt:
    """One try to deliver: `status` is 0, and `error` says why, when no answer came. Times in Unix seconds, virtual and real."""

    time: int
    real_time: float
    status: int
    error: str | None
    ms: int
    retry_after_s: int | None = None

    @property
    def good(self) -> bool:
        """Whether the subscriber took the message."""
        return 200 <= self.status < 300


@dataclass
class TopicDelivery:
    """One message on its way to one subscriber. `time` is when it was queued, `due` when it is to be sent next (virtual)."""

    number: int
    time: int
    subscription_arn: str
    type: str
    message_id: str
    notification: str | None
    serial: str | None
    slot: str | None
    headers: dict[str, str]
    body: str
    due: int
    state: DeliveryState = DeliveryState.PENDING
    attempts: list[Attempt] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The record as plain data."""
        return asdict(self)

    def brief(self) -> dict[str, object]:
        """The record without what was sent."""
        return {name: value for name, value in self.as_json().items() if name not in ("headers", "body")}


@dataclass
class Receiver:
    """An https address that gets messages. Its queue holds (due, number, delivery)."""

    arn: str
    endpoint: str
    context: SSLContext
    in_flight: int = 0
    queue: list[tuple[int, int, TopicDelivery]] = field(default_factory=list)


@dataclass
class Subscription(Receiver):
    """One endpoint of the topic."""

    raw: bool = False
    state: SubscriptionState = SubscriptionState.PENDING
    token: str = ""
    token_until: int = 0

    def as_json(self) -> dict[str, object]:
        """What may be shown of it."""
        return {"arn": self.arn, "endpoint": self.endpoint, "raw": self.raw, "state": self.state, "queued": len(self.queue)}


class Notice(NamedTuple):
    """Something to publish; `type`, `serial` and `slot` are for the faults to match."""

    text: str
    subject: str | None = None
    attributes: Attributes = {}
    type: str | None = None
    serial: str | None = None
    slot: str | None = None
