"""The simulated SNS topic: who is subscribed, what was published, and what must be delivered when. It sends nothing itself.

`sns_api.py` answers what subscribers ask.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tools.simulator.clock import Clock
from tools.simulator.identifiers import Identifiers
from tools.simulator.journal import Event
from tools.simulator.notice_faults import NoticeFault, parser
from tools.simulator.notifications import TYPES, VERSIONS, Notifications
from tools.simulator.orders import OrderBook
from tools.simulator.outbound import Message, Outbound
from tools.simulator.registry import Registry
from tools.simulator.settings import Settings
from tools.simulator.signing import Signer
from tools.simulator.subscriptions import Notice, Subscription, SubscriptionState, TopicDelivery
from tools.simulator.tls import Authority, trusting

TOPIC_ARN = "arn:aws:sns:us-east-1:123456789012:DashReplenishment"
_USER_AGENT = "Amazon Simple Notification Service Agent"
_TOKEN_LENGTH = 222
# However many retries a policy has, together they wait no longer than this (the delivery retry page of SNS's guide).
_LONGEST_RETRYING_S = 3600
# How SNS lays out its JSON.
_FORM: dict[str, Any] = {"indent": 2, "separators": (",", " : ")}
_ASKED = {
    "SubscriptionConfirmation": "You have chosen to subscribe to the topic {topic}.\n"
    "To confirm the subscription, visit the SubscribeURL included in this message.",
    "UnsubscribeConfirmation": "You have chosen to deactivate subscription {subscription}.\n"
    "To cancel this operation and restore the subscription, visit the SubscribeURL included in this message.",
}


class SNS(Outbound[Notice, Subscription]):
    """One topic, to which the service publishes what happens to its orders and devices."""

    def __init__(
        self, clock: Clock, settings: Settings, identifiers: Identifiers, registry: Registry, book: OrderBook, seed: int
    ) -> None:
        super().__init__(clock, parser(TYPES.values()), seed)
        self.url = ""
        self._settings = settings
        self._identifiers = identifiers
        self._renderers = {version: Notifications(registry, book, version) for version in VERSIONS}
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
        return self.receivers

    @property
    def timeout_s(self) -> int:
        """The setting `sns_timeout_s`."""
        return self._settings.sns_timeout_s

    @property
    def confirmed(self) -> bool:
        """Whether somebody would get what is published."""
        return any(entry.state is SubscriptionState.CONFIRMED for entry in self._receivers.values())

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
        self._receivers[subscription.arn] = subscription
        subscription.raw, subscription.context = raw, context
        if subscription.state is SubscriptionState.PENDING:
            self._ask(subscription, "SubscriptionConfirmation")
        return subscription

    def confirm(self, token: str) -> Subscription:
        """The subscriber confirms. Raises ValueError for a token that is wrong or too old."""
        for subscription in self._receivers.values():
            if self._is_good(token, subscription):
                subscription.state = SubscriptionState.CONFIRMED
                self.wake()
                return subscription
        raise ValueError("Invalid token")

    def unsubscribe(self, arn: str) -> Subscription:
        """End a subscription: what waits for it is discarded, and it is told. Raises LookupError for an unknown one."""
        if arn not in self._receivers:
            raise LookupError(f"no subscription has the ARN {arn!r}")
        subscription = self._receivers[arn]
        if subscription.state is not SubscriptionState.UNSUBSCRIBED:
            subscription.state = SubscriptionState.UNSUBSCRIBED
            self._discard(subscription)
            self._ask(subscription, "UnsubscribeConfirmation")
        return subscription

    def hear(self, event: Event) -> None:
        """Publish the notification of an event, if there is one and anybody would get it."""
        version = self._settings.notification_version
        text = self._renderers[version].render(event) if self.confirmed else None
        if text is not None:
            attributes = {"version": {"Type": "String", "Value": version}}
            self.publish(Notice(text, None, attributes, TYPES[event.kind], event.device, event.slot))

    def state(self) -> dict[str, object]:
        """The topic as plain data."""
        return {
            "topic_arn": TOPIC_ARN,
            "subscriptions": [entry.as_json() for entry in self._receivers.values()],
            "counts": dict(self.counts),
            "late": len(self._late),
            "held": len(self._held),
            "dead_letters": [entry.brief() for entry in self.dead_letters],
        }

    def _known(self, endpoint: str) -> Subscription | None:
        for entry in self._receivers.values():
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
        self._queue(subscription, _message(subscription, envelope, json.dumps(envelope, **_FORM), Notice("")), self._clock.now())

    def _traits(self, notice: Notice) -> dict[str, str | None]:
        return {"type": notice.type, "slot": notice.slot, "serial": notice.serial}

    def _messages(self, notice: Notice, fault: NoticeFault) -> Iterable[tuple[Subscription, Message]]:
        subject = {} if notice.subject is None else {"Subject": notice.subject}
        envelope = self._signed("Notification", {"TopicArn": TOPIC_ARN, **subject, "Message": notice.text})
        for subscription in self._receivers.values():
            if subscription.state is SubscriptionState.CONFIRMED:
                yield subscription, _message(subscription, envelope, self._body(subscription, envelope, notice), notice)

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

    def _is_unwanted(self, subscription: Subscription, delivery: TopicDelivery) -> bool:
        return delivery.type == "Notification" and subscription.state is SubscriptionState.UNSUBSCRIBED

    def _retry_s(self, delivery: TopicDelivery) -> int | None:
        retries = len(delivery.attempts)
        used_up = retries > self._settings.sns_retries or retries * self._settings.sns_retry_s > _LONGEST_RETRYING_S
        if used_up or _is_refused(delivery.attempts[-1].status):
            return None
        # On a fast clock the policy's seconds are shorter than any subscriber's start; README.md says what then.
        return max(self._settings.sns_retry_s, self._settings.sns_retry_real_s * self._clock.time_scale)


def _is_refused(status: int) -> bool:
    """Whether SNS does not try again: the subscriber refused. No answer, 429 and a server's error are tried again."""
    return 200 <= status < 500 and status != 429


def _message(subscription: Subscription, envelope: dict[str, str], body: str, notice: Notice) -> Message:
    headers = _headers(subscription, envelope)
    return Message(envelope["Type"], envelope["MessageId"], headers, body, notice.type, notice.serial, notice.slot)


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
