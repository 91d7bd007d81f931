"""The simulated SNS topic: who is subscribed, what was published, and what must be delivered when. It sends nothing itself.

`courier.py` takes the deliveries that are due and says how they went; `sns_api.py` answers what subscribers ask.
"""

import heapq
import json
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tools.simulator.clock import Clock
from tools.simulator.faults import FaultQueue
from tools.simulator.identifiers import Identifiers
from tools.simulator.journal import Event, Journal
from tools.simulator.notice_faults import NoticeFault, parse
from tools.simulator.notifications import TYPES, VERSIONS, Notifications
from tools.simulator.orders import OrderBook
from tools.simulator.registry import Registry
from tools.simulator.settings import Settings
from tools.simulator.signing import Signer
from tools.simulator.subscriptions import Attempt, DeliveryState, Notice, Subscription, SubscriptionState, TopicDelivery
from tools.simulator.tls import Authority, trusting

TOPIC_ARN = "arn:aws:sns:us-east-1:123456789012:DashReplenishment"
_USER_AGENT = "Amazon Simple Notification Service Agent"
_TOKEN_LENGTH = 222
# However many retries a policy has, together they wait no longer than this (the delivery retry page of SNS's guide).
_LONGEST_RETRYING_S = 3600
_KEPT_DEAD_LETTERS = 1000
# A record is about three kilobytes.
_KEPT_DELIVERIES = 20_000
# How SNS lays out its JSON.
_FORM: dict[str, Any] = {"indent": 2, "separators": (",", " : ")}
_ASKED = {
    "SubscriptionConfirmation": "You have chosen to subscribe to the topic {topic}.\n"
    "To confirm the subscription, visit the SubscribeURL included in this message.",
    "UnsubscribeConfirmation": "You have chosen to deactivate subscription {subscription}.\n"
    "To cancel this operation and restore the subscription, visit the SubscribeURL included in this message.",
}


class SNS:
    """One topic, to which the service publishes what happens to its orders and devices."""

    def __init__(
        self, clock: Clock, settings: Settings, identifiers: Identifiers, registry: Registry, book: OrderBook, seed: int
    ) -> None:
        self.faults = FaultQueue(parse, seed)
        self.deliveries: Journal[TopicDelivery] = Journal(_KEPT_DELIVERIES)
        self.dead_letters: deque[TopicDelivery] = deque(maxlen=_KEPT_DEAD_LETTERS)
        self.counts: Counter[str] = Counter()
        self.wake: Callable[[], None] = lambda: None
        self.url = ""
        self._clock = clock
        self._settings = settings
        self._identifiers = identifiers
        self._renderers = {version: Notifications(registry, book, version) for version in VERSIONS}
        self._subscriptions: dict[str, Subscription] = {}
        self._late: list[tuple[int, int, Notice, NoticeFault]] = []
        self._held: list[tuple[Notice, NoticeFault]] = []
        self._scheduled = 0
        self._authority: Authority | None = None
        self._signer: Signer | None = None

    def open(self, url: str, authority: Authority) -> None:
        """From now on it can be subscribed: its addresses are under `url`, its certificate comes from `authority`."""
        self.url, self._authority = url, authority

    @property
    def signer(self) -> Signer:
        """Who signs. The key is made when it is first needed, because that takes a tenth of a second."""
        if self._authority is None:
            raise ValueError("this service does not listen, so nobody can be subscribed")
        self._signer = self._signer or Signer(self._authority)
        return self._signer

    @property
    def certificate_url(self) -> str:
        """Where the signing certificate is."""
        return self.url + self.signer.path

    @property
    def subscriptions(self) -> list[Subscription]:
        """All subscriptions that there ever were, oldest first."""
        return list(self._subscriptions.values())

    @property
    def confirmed(self) -> bool:
        """Whether somebody would get what is published."""
        return any(entry.state is SubscriptionState.CONFIRMED for entry in self._subscriptions.values())

    def subscribe(self, endpoint: str, ca: Path | str | None = None, raw: bool = False) -> Subscription:
        """Subscribe an https address, which is asked to confirm; one that is subscribed already is asked again if it has not.

        `ca` is a PEM file of the authorities that the endpoint's certificate may come from (None: the system's). `raw`
        delivers the bare message, without envelope and signature. Raises ValueError for a bad address or file.
        """
        parts = urlsplit(endpoint)
        if parts.scheme != "https" or not parts.hostname or parts.username is not None:
            raise ValueError(f"endpoint is {endpoint!r}: an address that begins with https://, without a name and a password")
        context = trusting(None if ca is None else Path(ca))
        subscription = self._known(endpoint) or Subscription(f"{TOPIC_ARN}:{self._identifiers.uuid()}", endpoint, context)
        self._subscriptions[subscription.arn] = subscription
        subscription.raw, subscription.context = raw, context
        if subscription.state is SubscriptionState.PENDING:
            self._ask(subscription, "SubscriptionConfirmation")
        return subscription

    def confirm(self, token: str) -> Subscription:
        """The subscriber confirms. Raises ValueError for a token that is wrong or too old."""
        for subscription in self._subscriptions.values():
            if self._is_good(token, subscription):
                subscription.state = SubscriptionState.CONFIRMED
                self.wake()
                return subscription
        raise ValueError("Invalid token")

    def unsubscribe(self, arn: str) -> Subscription:
        """End a subscription: what waits for it is discarded, and it is told. Raises LookupError for an unknown one."""
        if arn not in self._subscriptions:
            raise LookupError(f"no subscription has the ARN {arn!r}")
        subscription = self._subscriptions[arn]
        if subscription.state is not SubscriptionState.UNSUBSCRIBED:
            subscription.state = SubscriptionState.UNSUBSCRIBED
            for _, _, delivery in subscription.queue:
                self._end(delivery, DeliveryState.DISCARDED)
            subscription.queue.clear()
            self._ask(subscription, "UnsubscribeConfirmation")
        return subscription

    def hear(self, event: Event) -> None:
        """Publish the notification of an event, if there is one and anybody would get it."""
        version = self._settings.notification_version
        text = self._renderers[version].render(event) if self.confirmed else None
        if text is not None:
            attributes = {"version": {"Type": "String", "Value": version}}
            self.publish(Notice(text, None, attributes, TYPES[event.kind], event.device, event.slot))

    def publish(self, notice: Notice) -> None:
        """Publish to all confirmed subscribers, unless a fault has it otherwise."""
        fault = self.faults.take(notice.type, notice.slot, notice.serial) or NoticeFault()
        if fault.lose:
            self.counts["lost"] += 1
        elif fault.hold:
            self._held.append((notice, replace(fault, hold=False)))
        else:
            self._schedule(notice, fault)
        self.advance()

    def advance(self) -> int:
        """Publish what is due; returns the time."""
        now = self._clock.now()
        while self._late and self._late[0][0] <= now:
            _, _, notice, fault = heapq.heappop(self._late)
            self._publish(now, notice, fault)
        self.wake()
        return now

    @property
    def settled(self) -> bool:
        """Whether all that is due by now was sent and answered. What waits for a retry, or is late, is not due."""
        now = self.advance()
        entries = self._subscriptions.values()
        return not any(entry.in_flight or (entry.queue and entry.queue[0][0] <= now) for entry in entries)

    def next_due(self) -> int | None:
        """When there is something to do next, if no attempt ends before, in virtual Unix seconds; None if nothing."""
        dues = [entry.queue[0][0] for entry in self._subscriptions.values() if entry.queue and self._has_room(entry)]
        dues += [due for due, *_ in self._late[:1]]
        return min(dues, default=None)

    def take(self) -> tuple[Subscription, TopicDelivery] | None:
        """A delivery whose time has come, and where it goes; `finish` must follow. None if nothing is to be sent now."""
        now = self.advance()
        for subscription in self._subscriptions.values():
            if subscription.queue and subscription.queue[0][0] <= now and self._has_room(subscription):
                subscription.in_flight += 1
                return subscription, heapq.heappop(subscription.queue)[2]
        return None

    def finish(self, delivery: TopicDelivery, attempt: Attempt) -> None:
        """Say how an attempt went. The next one, if any, is as long after its end as the policy says."""
        subscription = self._subscriptions[delivery.subscription_arn]
        subscription.in_flight -= 1
        delivery.attempts.append(attempt)
        if attempt.good:
            self._end(delivery, DeliveryState.DELIVERED)
        elif delivery.type == "Notification" and subscription.state is SubscriptionState.UNSUBSCRIBED:
            self._end(delivery, DeliveryState.DISCARDED)
        elif attempt.final or not self._may_retry(delivery):
            self._end(delivery, DeliveryState.DROPPED)
            self.dead_letters.append(delivery)
        else:
            delivery.due = self._clock.now() + self._retry_s()
            heapq.heappush(subscription.queue, (delivery.due, delivery.number, delivery))
            self.deliveries.announce(delivery)
        self.wake()

    def state(self) -> dict[str, object]:
        """The topic as plain data."""
        return {
            "topic_arn": TOPIC_ARN,
            "subscriptions": [entry.as_json() for entry in self._subscriptions.values()],
            "counts": dict(self.counts),
            "late": len(self._late),
            "held": len(self._held),
            "dead_letters": [entry.brief() for entry in self.dead_letters],
        }

    def _known(self, endpoint: str) -> Subscription | None:
        for entry in self._subscriptions.values():
            if entry.endpoint == endpoint and entry.state is not SubscriptionState.UNSUBSCRIBED:
                return entry
        return None

    def _has_room(self, subscription: Subscription) -> bool:
        return subscription.in_flight < self._settings.sns_parallel

    def _is_good(self, token: str, subscription: Subscription) -> bool:
        return bool(token) and token == subscription.token and self._clock.now() < subscription.token_until

    def _ask(self, subscription: Subscription, type_: str) -> None:
        if subscription.state is SubscriptionState.UNSUBSCRIBED or not self._is_good(subscription.token, subscription):
            # One that was asked before keeps its token, because that message may still be on its way.
            subscription.token = self._identifiers.token("", _TOKEN_LENGTH)
        subscription.token_until = self._clock.now() + self._settings.sns_token_s
        fields = {
            "Token": subscription.token,
            "TopicArn": TOPIC_ARN,
            "Message": _ASKED[type_].format(topic=TOPIC_ARN, subscription=subscription.arn),
            "SubscribeURL": f"{self.url}/?Action=ConfirmSubscription&TopicArn={TOPIC_ARN}&Token={subscription.token}",
        }
        envelope = self._signed(type_, fields)
        self._queue(subscription, envelope, json.dumps(envelope, **_FORM), self._clock.now(), Notice(""))

    def _schedule(self, notice: Notice, fault: NoticeFault) -> None:
        first = self._clock.now() + (0 if fault.stale else fault.delay_s)
        for extra in range(1 + fault.doubles):
            self._scheduled += 1
            heapq.heappush(self._late, (first + extra * fault.gap_s, self._scheduled, notice, fault))

    def _publish(self, now: int, notice: Notice, fault: NoticeFault) -> None:
        subject = {} if notice.subject is None else {"Subject": notice.subject}
        envelope = self._signed("Notification", {"TopicArn": TOPIC_ARN, **subject, "Message": notice.text})
        self.counts["published"] += 1
        first = now + (fault.delay_s if fault.stale else 0)
        for subscription in self._subscriptions.values():
            if subscription.state is SubscriptionState.CONFIRMED:
                body = self._body(subscription, envelope, notice)
                for copy in range(1 + fault.copies):
                    self._queue(subscription, envelope, body, first + copy * fault.gap_s, notice)
        held, self._held = self._held, []
        for entry in held:
            self._schedule(*entry)

    def _signed(self, type_: str, fields: dict[str, str]) -> dict[str, str]:
        version = self._settings.signature_version
        envelope = {
            "Type": type_,
            "MessageId": self._identifiers.uuid(),
            **fields,
            "Timestamp": datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "SignatureVersion": str(version),
        }
        envelope["Signature"] = self.signer.sign(envelope, version)
        envelope["SigningCertURL"] = self.certificate_url
        return envelope

    def _body(self, subscription: Subscription, envelope: dict[str, str], notice: Notice) -> str:
        if subscription.raw:
            return notice.text
        more: dict[str, object] = {"UnsubscribeURL": f"{self.url}/?Action=Unsubscribe&SubscriptionArn={subscription.arn}"}
        if notice.attributes:
            more["MessageAttributes"] = notice.attributes
        return json.dumps({**envelope, **more}, **_FORM)

    def _queue(self, subscription: Subscription, envelope: dict[str, str], body: str, due: int, notice: Notice) -> None:
        delivery = TopicDelivery(
            number=self.deliveries.next_number,
            time=self._clock.now(),
            subscription_arn=subscription.arn,
            type=envelope["Type"],
            message_id=envelope["MessageId"],
            notification=notice.type,
            serial=notice.serial,
            slot=notice.slot,
            headers=_headers(subscription, envelope),
            body=body,
            due=due,
        )
        heapq.heappush(subscription.queue, (due, delivery.number, delivery))
        self.deliveries.append(delivery)
        self.wake()

    def _end(self, delivery: TopicDelivery, state: DeliveryState) -> None:
        delivery.state = state
        self.counts[state] += 1
        self.deliveries.announce(delivery)

    def _may_retry(self, delivery: TopicDelivery) -> bool:
        retries = len(delivery.attempts)
        return retries <= self._settings.sns_retries and retries * self._settings.sns_retry_s <= _LONGEST_RETRYING_S

    def _retry_s(self) -> int:
        # On a fast clock the policy's seconds are shorter than any subscriber's start; README.md says what then.
        return max(self._settings.sns_retry_s, self._settings.sns_retry_real_s * self._clock.time_scale)


def _headers(subscription: Subscription, envelope: dict[str, str]) -> dict[str, str]:
    headers = {
        "x-amz-sns-message-type": envelope["Type"],
        "x-amz-sns-message-id": envelope["MessageId"],
        "x-amz-sns-topic-arn": TOPIC_ARN,
        "Content-Type": "text/plain; charset=UTF-8",
        "User-Agent": _USER_AGENT,
    }
    if envelope["Type"] != "SubscriptionConfirmation":
        headers["x-amz-sns-subscription-arn"] = subscription.arn
    if subscription.raw and envelope["Type"] == "Notification":
        headers["x-amz-sns-rawdelivery"] = "true"
    return headers
