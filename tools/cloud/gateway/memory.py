"""What all copies of the gateway know together: retained MQTT messages about the intents that have no order yet.

    <prefix>-gateway/intents/<intent>             a Record; the intent's id percent-encoded, for a slot may be called `a/b`
    <prefix>-gateway/attempts/<intent>/<token>    an Attempt; each is cleared by who made it, or when the order is seen
    <prefix>-gateway/refusals/<intent>            a person's no
    <prefix>-gateway/told/<intent>                that a message with the question has gone out
    <prefix>-gateway/latest/<serial>-<slot>       the latest order of a slot: its counter is to be known without the shop it went to
    <prefix>-gateway/marks/<copy>                 not retained: how a copy learns that it has heard everything

Every copy listens to all of it. What one copy has had acknowledged, another knows once a mark of its own has come back to it,
because a broker sends the messages of one filter in the order in which it took them.
"""

import asyncio
import logging
import secrets
from typing import Any, Protocol
from urllib.parse import quote

from tools.cloud.gateway import records
from tools.cloud.gateway.adapters import Unavailable
from tools.cloud.gateway.model import IntentId
from tools.cloud.gateway.records import Attempt, Mark, Record
from tools.cloud.outcomes import NotRelayed

LOG = logging.getLogger("gateway")

RETRY_AFTER_S = 5


class Publisher(Protocol):
    """tools.cloud.broker.Broker, as far as it is needed here."""

    async def publish(self, topic: str, payload: str, retain: bool = False) -> None: ...


def listens_to(prefix: str) -> str:
    """The filter under which a broker's messages go to `Memory.hear`."""
    return f"{prefix}-gateway/#"


class _Known:
    """What was heard since one connection began, by its topic."""

    def __init__(self) -> None:
        self.by_topic: dict[str, Kept] = {}
        self.attempts: dict[IntentId, dict[str, Attempt]] = {}
        self.latest: dict[tuple[str, str], int] = {}

    def hear(self, topic: str, payload: bytes) -> None:
        """Raises ValueError for what does not belong under its topic."""
        if not payload:
            gone = self.by_topic.pop(topic, None)
            if isinstance(gone, Attempt):
                self.attempts[gone.id].pop(gone.token, None)
            return
        kind = topic.partition("/")[0]
        if kind not in _KINDS:
            raise ValueError("an unknown kind")
        found = records.loads(_KINDS[kind], payload)
        if _topic(kind, found) != topic:
            raise ValueError("it belongs elsewhere")
        self.by_topic[topic] = found
        if isinstance(found, Attempt):  # of which nothing may have come, so that its counter says nothing
            self.attempts.setdefault(found.id, {})[found.token] = found
        else:
            slot = (found.id.serial, found.id.slot)
            self.latest[slot] = max(self.latest.get(slot, 0), found.id.counter)


Kept = Record | Attempt | Mark
_KINDS: dict[str, type[Any]] = {"intents": Record, "attempts": Attempt, "refusals": Mark, "told": Mark, "latest": Mark}


def _named(kind: str, intent_id: IntentId) -> str:
    return f"{kind}/{quote(str(intent_id), safe='')}"


def _latest_of(intent_id: IntentId) -> str:
    return f"latest/{quote(f'{intent_id.serial}-{intent_id.slot}', safe='')}"


def _topic(kind: str, kept: Kept) -> str:
    """Below the root."""
    if kind == "latest":
        return _latest_of(kept.id)
    return _named(kind, kept.id) + (f"/{kept.token}" if isinstance(kept, Attempt) else "")


class Memory:
    """Reads are of what this copy has heard; `await sync()` before one makes it as good as asking the broker."""

    def __init__(self, publisher: Publisher, prefix: str, limit_s: float) -> None:
        """`limit_s`: how long a mark may take to come back."""
        self._publisher = publisher
        self._root = f"{prefix}-gateway/"
        self._limit_s = limit_s
        self.mark_topic = f"{self._root}marks/{secrets.token_hex(8)}"
        self._marks = 0
        self._awaited: tuple[str, asyncio.Future[None]] | None = None
        self._round: asyncio.Task[None] | None = None
        self._one_round = asyncio.Lock()
        self._known = _Known()
        # After each connection all is sent again, and what was cleared meanwhile is not: so it is gathered anew.
        self._gathering: _Known | None = self._known
        self.malformed = 0

    # Hearing

    def connected(self) -> None:
        """A connection begins: its messages, from the retained ones on, replace what is known."""
        self._gathering = _Known()

    def hear(self, topic: str, payload: bytes) -> None:
        """A message came under the filter. Never raises for what is in it."""
        if topic.startswith(f"{self._root}marks/"):
            if topic == self.mark_topic:
                self._returned(payload.decode(errors="replace"))
            return
        try:
            for known in {id(known): known for known in (self._known, self._gathering) if known}.values():
                known.hear(topic.removeprefix(self._root), payload)
        except ValueError as error:
            self.malformed += 1
            LOG.error("a message in %s cannot be used: %s", topic, error)

    def _returned(self, mark: str) -> None:
        if self._awaited and self._awaited[0] == mark and not self._awaited[1].done():
            if self._gathering:
                self._known, self._gathering = self._gathering, None
            self._awaited[1].set_result(None)

    async def sync(self) -> None:
        """Returns when all that anybody was acknowledged before this call is known here. Raises Unavailable."""
        if self._round is None:
            self._round = asyncio.create_task(self._go_round())
        await asyncio.shield(self._round)

    async def _go_round(self) -> None:
        """Send a mark and wait for it. Whoever asks while one is on its way waits for the next."""
        async with self._one_round:
            self._round = None
            self._marks += 1
            mark = str(self._marks)
            coming: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._awaited = mark, coming
            await self._publish(self.mark_topic, mark, retain=False)
            try:
                async with asyncio.timeout(self._limit_s):
                    await coming
            except TimeoutError:
                raise Unavailable(RETRY_AFTER_S, "the broker does not send what it took") from None

    async def _publish(self, topic: str, payload: str, retain: bool = True) -> None:
        try:
            await self._publisher.publish(topic, payload, retain)
        except NotRelayed as error:
            raise Unavailable(RETRY_AFTER_S, f"the gateway's memory cannot be reached: {error}") from None

    # Reading what was heard

    def record(self, intent_id: IntentId) -> Record | None:
        found = self._known.by_topic.get(_named("intents", intent_id))
        return found if isinstance(found, Record) else None

    def attempts(self, intent_id: IntentId) -> list[Attempt]:
        return list(self._known.attempts.get(intent_id, {}).values())

    def refusal(self, intent_id: IntentId) -> Mark | None:
        found = self._known.by_topic.get(_named("refusals", intent_id))
        return found if isinstance(found, Mark) else None

    def told(self, record: Record) -> bool:
        """Whether the person was told of the question that is open now."""
        mark = self._known.by_topic.get(_named("told", record.id))
        return isinstance(mark, Mark) and record.question is not None and mark.time == record.question.asked

    def latest(self, serial: str, slot: str) -> int:
        """The highest counter of a slot that exists because of a message, as far as this copy has heard; 0: none."""
        return self._known.latest.get((serial, slot), 0)

    def __len__(self) -> int:
        return len(self._known.by_topic)

    # Writing: each returns when the broker has acknowledged it, and is known here after the next `sync`. Raises Unavailable

    async def put(self, record: Record) -> None:
        await self._keep("intents", record)

    async def clear(self, intent_id: IntentId) -> None:
        await self._publish(self._root + _named("intents", intent_id), "")

    async def begin(self, attempt: Attempt) -> None:
        await self._keep("attempts", attempt)

    async def end(self, attempt: Attempt) -> None:
        await self._publish(self._root + _topic("attempts", attempt), "")

    async def refuse(self, intent_id: IntentId, now: float) -> None:
        """A person said no."""
        await self._keep("refusals", Mark(intent_id, int(now)))

    async def take_back(self, intent_id: IntentId) -> None:
        """The no came too late."""
        await self._publish(self._root + _named("refusals", intent_id), "")

    async def mark_told(self, intent_id: IntentId, asked: int) -> None:
        await self._keep("told", Mark(intent_id, asked))

    async def mark_latest(self, intent_id: IntentId, now: float) -> None:
        """A shop has an order of this intent."""
        known = self._known.by_topic.get(_latest_of(intent_id))
        if known is None or known.id.counter < intent_id.counter:
            await self._keep("latest", Mark(intent_id, int(now)))

    async def _keep(self, kind: str, kept: Kept) -> None:
        await self._publish(self._root + _topic(kind, kept), records.dumps(kept))

    async def sweep(self, older_than: float) -> int:
        """Clear what was written before a time in Unix seconds, but for each slot's latest, which tells where its counter is.
        How many messages were cleared."""
        old = [topic for topic, kept in self._known.by_topic.items() if _written(kept) < older_than and not self._is_latest(kept)]
        for topic in old:
            await self._publish(self._root + topic, "")
        return len(old)

    def _is_latest(self, kept: Kept) -> bool:
        return not isinstance(kept, Attempt) and kept.id.counter >= self.latest(kept.id.serial, kept.id.slot)


def _written(kept: Kept) -> int:
    return kept.created if isinstance(kept, Record) else kept.time
