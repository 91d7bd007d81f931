"""No shop: the person is asked, by a message with an order link, to order it and to say so.

What was asked and answered is kept in the gateway's memory, like a question about stock.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tools.cloud.gateway.adapters import Refused, Surroundings
from tools.cloud.gateway.model import Customer, Intent, IntentId, Item, Return, Snapshot, State
from tools.cloud.gateway.records import ASKED, Mark, Record
from tools.rules import Rule, whole

_DAY_S = 86_400

RULES: dict[str, Rule] = {"delivery_days": whole(1, 60)}
SECRETS: dict[str, Rule] = {}
OPTIONAL_SECRETS: frozenset[str] = frozenset()
FILES: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Settings:
    """`delivery_days`: how long after the person's yes it is taken to be delivered, for nobody will tell."""

    delivery_days: int = 5


class Notify:
    """`order` asks, `agree` in the gateway is the person's "I have ordered it"."""

    name = "notify"

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        self._delivery_s = settings.delivery_days * _DAY_S
        self._around = around

    async def order(self, intent: Intent, item: Item, customer: Customer) -> Snapshot:
        await self._around.memory.sync()
        now = int(self._around.now())
        fresh = Record(intent.id, intent.quantity, intent.least, intent.reason, now)
        record = self._around.memory.record(intent.id) or fresh
        if record.question is None or record.question.code != ASKED:
            record = record.ask(ASKED, intent.quantity, now)
        await self._around.memory.put(record)
        return self._snapshot(record, self._around.memory.refusal(intent.id))

    async def find(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot | None:
        await self._around.memory.sync()
        record = self._around.memory.record(intent_id)
        if record is None or record.question is None or record.question.code != ASKED:
            return None
        return self._snapshot(record, self._around.memory.refusal(intent_id))

    async def start(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot:
        return await self._existing(intent_id, item, customer)

    async def cancel(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot:
        found = await self._existing(intent_id, item, customer)
        if not found.state.open:
            return found
        await self._around.memory.refuse(intent_id, self._around.now())
        return replace(found, state=State.CANCELLED)

    async def put_return(self, intent_id: IntentId, given: Return, item: Item, customer: Customer) -> Snapshot:
        raise Refused("no_shop", "what a person ordered elsewhere cannot be returned here")

    async def _existing(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot:
        found = await self.find(intent_id, item, customer)
        if found is None:
            raise Refused("unknown_intent")
        return found

    def _snapshot(self, record: Record, refusal: Mark | None) -> Snapshot:
        question = record.question
        if refusal or question is None or record.agreed is None:
            return refusal.refusal(record) if refusal else record.snapshot(self._around.now(), self._around.question_s)
        due = record.agreed + self._delivery_s
        delivered = self._around.now() >= due
        return Snapshot(
            record.id,
            State.DELIVERED if delivered else State.STARTED,
            quantity=question.offered,
            created=record.created,
            deliver_by=due,
            time=due if delivered else record.agreed,
        )


@contextlib.asynccontextmanager
async def opened(settings: Settings, secrets: Mapping[str, Any], around: Surroundings) -> AsyncIterator[Notify]:
    yield Notify(settings, around)
