"""What is done with one message, by whichever way it came: believed or refused, published once, and only then done."""

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric import rsa

from tools.cloud import events, notice, sns
from tools.cloud.certificates import Unreachable
from tools.cloud.outcomes import NotRelayed, Outcome, Verdict
from tools.cloud.seen import Seen

LOG = logging.getLogger("relay")

# Real seconds.
TOLD_EVERY_S = 60

_Key = tuple[str, str]


class Keys(Protocol):
    async def key(self, url: str) -> rsa.RSAPublicKey:
        """The key of the certificate at `url`. Raises NotRelayed."""


def _key(envelope: sns.Envelope) -> _Key:
    # The topic is one of the few that are trusted, so one copy of it does for all.
    return sys.intern(envelope.topic), envelope.message_id


class Handler:
    """Takes messages and gives outcomes. It holds no state but the ids of messages that are done, which may be forgotten."""

    def __init__(
        self,
        trust: sns.Trust,
        keys: Keys,
        publish: Callable[[str, str], Awaitable[None]],
        confirm: Callable[[str], Awaitable[object]],
        seen: Seen,
        now: Callable[[], float],
        prefix: str = "replenish",
        count: Callable[[str, Outcome], None] = lambda way, outcome: None,
        limit: int = 2_000,
        translations: events.Translations = events.NO_TRANSLATIONS,
    ) -> None:
        """`publish(topic, payload)` returns when the broker has it and raises NotRelayed when it is not known to; `confirm(url)`
        raises Unreachable; `now` gives the clock of the messages, Unix seconds; at most `limit` messages are in hand."""
        self._trust = trust
        self._keys = keys
        self._publish = publish
        self._confirm = confirm
        self._seen = seen
        self._now = now
        self._prefix = prefix
        self._count = count
        self._limit = limit
        self._translations = translations
        self._in_hand: dict[_Key, asyncio.Task[Outcome]] = {}
        self._waiting = 0
        self._tell_from: dict[tuple[str, Outcome], float] = {}

    async def signed(self, way: str, given: Mapping[str, Any], max_age_s: float) -> tuple[Outcome, str]:
        """A message of SNS that has to prove itself; the outcome, and why if it is not published."""
        return await self._settle(way, lambda: self._signed(given, max_age_s))

    async def vouched(self, way: str, given: Mapping[str, Any]) -> tuple[Outcome, str]:
        """A message of SNS in a Lambda function's event, which AWS has vouched for."""
        return await self._settle(way, lambda: self._vouched(given))

    async def queued(self, way: str, body: str, max_age_s: float) -> tuple[Outcome, str]:
        """A body out of a queue: a message of SNS that has to prove itself, or an event that EventBridge put there."""
        try:
            given = sns.read_object(body)
        except NotRelayed as error:
            return self.refuse(way, error)
        return await (self.event(way, given) if events.is_event(given) else self.signed(way, given, max_age_s))

    async def event(self, way: str, given: Mapping[str, Any]) -> tuple[Outcome, str]:
        """An event of EventBridge, from a queue or bus that only AWS puts something in, or whose sender has shown a key."""
        return await self._settle(way, lambda: self._event(given))

    def refuse(self, way: str, error: NotRelayed) -> tuple[Outcome, str]:
        """Count and log a message that got no further than the transport."""
        self._count(way, error.outcome)
        self._tell(way, error)
        return error.outcome, str(error)

    def _tell(self, way: str, error: NotRelayed) -> None:
        """One line of the log for each kind in TOLD_EVERY_S, for anyone may post anything; the metrics count all."""
        key, now = (way, error.outcome), time.monotonic()
        if now >= self._tell_from.get(key, now):
            self._tell_from[key] = now + TOLD_EVERY_S
            level = logging.INFO if error.outcome.verdict is Verdict.DONE else logging.WARNING
            LOG.log(level, "%s: %s: %s", way, error.outcome.word, error)

    @property
    def in_hand(self) -> int:
        """How many messages have come and are not settled."""
        return self._waiting

    async def _settle(self, way: str, work: Callable[[], Awaitable[Outcome]]) -> tuple[Outcome, str]:
        try:
            outcome = await self._bounded(work)
        except NotRelayed as error:
            return self.refuse(way, error)
        except Exception:
            LOG.exception("%s: a message was not handled", way)
            outcome = Outcome.FAILED
        self._count(way, outcome)
        return outcome, ""

    async def _bounded(self, work: Callable[[], Awaitable[Outcome]]) -> Outcome:
        if self._waiting >= self._limit:
            raise NotRelayed(Outcome.BUSY, f"{self._limit} messages are in hand already")
        self._waiting += 1
        try:
            return await work()
        finally:
            self._waiting -= 1

    async def _signed(self, given: Mapping[str, Any], max_age_s: float) -> Outcome:
        envelope = sns.read(given)
        self._trust.check_topic(envelope)
        url = self._trust.check_certificate_url(envelope)
        self._trust.check_time(envelope, self._now(), max_age_s)
        sns.verify(envelope, await self._keys.key(url))
        return await self._once(_key(envelope), lambda: self._act(envelope))

    async def _vouched(self, given: Mapping[str, Any]) -> Outcome:
        envelope = sns.read_of_lambda(given)
        self._trust.check_topic(envelope)
        return await self._once(_key(envelope), lambda: self._act(envelope))

    async def _event(self, given: Mapping[str, Any]) -> Outcome:
        translation = events.translation(given, self._translations)
        return await self._once(("event", translation.key(given)), lambda: self._translate(translation, given))

    async def _once(self, key: _Key, act: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """What `act` comes to; for a repeated message DUPLICATE, or what becomes of the one that is still in hand."""
        if self._seen.has(key, self._now()):
            return Outcome.DUPLICATE
        if task := self._in_hand.get(key):
            outcome = await asyncio.shield(task)
            return Outcome.DUPLICATE if outcome is Outcome.PUBLISHED else outcome
        task = self._in_hand[key] = asyncio.create_task(self._finish(key, act))
        # Shielded: a sender that hangs up has not taken its message back.
        return await asyncio.shield(task)

    async def _finish(self, key: _Key, act: Callable[[], Awaitable[Outcome]]) -> Outcome:
        try:
            outcome = await act()
            self._seen.add(key, self._now())
            return outcome
        finally:
            del self._in_hand[key]

    async def _translate(self, translation: events.Translation, given: Mapping[str, Any]) -> Outcome:
        found = await translation.notices(given)
        if not found:
            raise NotRelayed(Outcome.NOT_FOR_A_DEVICE, "an event of nothing that a device of ours asked for")
        for one in found:
            await self._send(one)
        return Outcome.PUBLISHED

    async def _act(self, envelope: sns.Envelope) -> Outcome:
        if envelope.kind == sns.NOTIFICATION:
            return await self._send(notice.read(envelope.message))
        if envelope.kind == sns.SUBSCRIPTION:
            return await self._subscribe(envelope)
        LOG.warning("unsubscribed from %s: nothing more will come from there", envelope.topic)
        return Outcome.UNSUBSCRIBED

    async def _subscribe(self, envelope: sns.Envelope) -> Outcome:
        url = self._trust.check_url("SubscribeURL", envelope)
        try:
            await self._confirm(url)
        except Unreachable as error:
            raise NotRelayed(Outcome.UNREACHABLE, f"the subscription cannot be confirmed: {error}") from None
        LOG.info("subscribed to %s", envelope.topic)
        return Outcome.CONFIRMED

    async def _send(self, found: notice.Notice) -> Outcome:
        await self._publish(found.topic(self._prefix), found.payload)
        return Outcome.PUBLISHED
