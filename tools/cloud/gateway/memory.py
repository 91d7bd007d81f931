"""What all copies of the gateway know together: one retained MQTT message for each intent that has no order yet.

    <prefix>-gateway/intents/<intent>     its Record; the intent's id percent-encoded, for a slot may be called `a/b`
    <prefix>-gateway/refusals/<intent>    a person's no
    <prefix>-gateway/told/<intent>        that a message with the question has gone out
    <prefix>-gateway/marks/<copy>         not retained: how a copy learns that it has heard everything

Every copy listens to all of it. What one copy has had acknowledged, another knows once a mark of its own has come back to it,
because a broker sends the messages of one filter in the order in which it took them.
"""

import asyncio
import logging
import secrets
from collections.abc import Iterator
from typing import Protocol
from urllib.parse import quote

from tools.cloud.gateway import records
from tools.cloud.gateway.adapters import Unavailable
from tools.cloud.gateway.model import IntentId
from tools.cloud.gateway.records import Mark, Record
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
    """What was heard since one connection began."""

    def __init__(self) -> None:
        self.records: dict[IntentId, Record] = {}
        self.marks: dict[str, dict[IntentId, Mark]] = {"refusals": {}, "told": {}}
        self.latest: dict[tuple[str, str], int] = {}

    def hear(self, kind: str, name: str, payload: bytes, names: dict[str, IntentId]) -> None:
        """Raises ValueError for what is neither a record nor a mark."""
        if kind != "intents" and kind not in self.marks:
            raise ValueError("an unknown kind")
        if payload:
            self._put(kind, name, records.loads(payload) if kind == "intents" else records.loads_mark(payload), names)
        elif name in names:
            (self.records if kind == "intents" else self.marks[kind]).pop(names[name], None)

    def _put(self, kind: str, name: str, found: Record | Mark, names: dict[str, IntentId]) -> None:
        if quote(str(found.id), safe="") != name:
            raise ValueError("it is another intent's")
        names[name] = found.id
        if isinstance(found, Record):
            self.records[found.id] = found
        else:
            self.marks[kind][found.id] = found
        slot = (found.id.serial, found.id.slot)
        self.latest[slot] = max(self.latest.get(slot, 0), found.id.counter)


class Memory:
    """Reads are of what this copy has heard; `await sync()` before one makes it as good as asking the broker."""

    def __init__(self, publisher: Publisher, prefix: str, limit_s: float) -> None:
        """`limit_s`: how long a mark may take to come back."""
        self._publisher = publisher
        self._root = f"{prefix}-gateway/"
        self._limit_s = limit_s
        self._mark_topic = f"{self._root}marks/{secrets.token_hex(8)}"
        self._marks = 0
        self._awaited: tuple[str, asyncio.Future[None]] | None = None
        self._round: asyncio.Task[None] | None = None
        self._one_round = asyncio.Lock()
        self._names: dict[str, IntentId] = {}
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
        kind, _, name = topic.removeprefix(self._root).partition("/")
        if kind == "marks":
            if topic == self._mark_topic:
                self._returned(payload.decode(errors="replace"))
            return
        for known in {id(known): known for known in (self._known, self._gathering) if known}.values():
            try:
                known.hear(kind, name, payload, self._names)
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
            await self._publish(self._mark_topic, mark, retain=False)
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
        return self._known.records.get(intent_id)

    def refusal(self, intent_id: IntentId) -> Mark | None:
        return self._known.marks["refusals"].get(intent_id)

    def told(self, record: Record) -> bool:
        """Whether the person was told of the question that is open now."""
        mark = self._known.marks["told"].get(record.id)
        return mark is not None and record.question is not None and mark.time == record.question.asked

    def latest(self, serial: str, slot: str) -> int:
        """The highest counter of a slot that there ever was a message for, as far as this copy has heard; 0: none."""
        return self._known.latest.get((serial, slot), 0)

    def __len__(self) -> int:
        return len(self._known.records) + sum(map(len, self._known.marks.values()))

    def all_records(self) -> Iterator[Record]:
        yield from list(self._known.records.values())

    # Writing: each returns when the broker has acknowledged it, and is known here after the next `sync`. Raises Unavailable

    async def put(self, record: Record) -> None:
        await self._publish(self._topic("intents", record.id), record.dumps())

    async def clear(self, intent_id: IntentId) -> None:
        await self._publish(self._topic("intents", intent_id), "")

    async def refuse(self, intent_id: IntentId, now: float) -> None:
        """A person said no."""
        await self._publish(self._topic("refusals", intent_id), Mark(intent_id, int(now)).dumps())

    async def take_back(self, intent_id: IntentId) -> None:
        """The no came too late."""
        await self._publish(self._topic("refusals", intent_id), "")

    async def mark_told(self, intent_id: IntentId, asked: int) -> None:
        await self._publish(self._topic("told", intent_id), Mark(intent_id, asked).dumps())

    def _topic(self, kind: str, intent_id: IntentId) -> str:
        return f"{self._root}{kind}/{quote(str(intent_id), safe='')}"

    async def sweep(self, older_than: float) -> int:
        """Clear what was written before a time in Unix seconds, but for each slot's latest, which tells where its counter is.
        How many messages were cleared."""
        kinds: dict[str, dict[IntentId, Record] | dict[IntentId, Mark]] = {"intents": self._known.records, **self._known.marks}
        old = [
            (kind, found.id)
            for kind, heard in kinds.items()
            for found in heard.values()
            if _written(found) < older_than and found.id.counter < self.latest(found.id.serial, found.id.slot)
        ]
        for kind, intent_id in old:
            await self._publish(self._topic(kind, intent_id), "")
        return len(old)


def _written(found: Record | Mark) -> int:
    return found.time if isinstance(found, Mark) else found.created
