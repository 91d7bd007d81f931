"""What the gateway does with an intent. It keeps nothing of its own: how an intent stands it asks the shops and the memory.

Three rules make copies, repetitions and deaths harmless:
- Before a shop is asked to order, the memory has an attempt with the shop's name. Whoever repeats the intent sends it to the same
  shop, under the same id; who finds that somebody else is about to send it to another shop leaves it.
- What the memory knows is read after `sync`, and before the shop is asked whether there is an order: so "nothing there" was true
  at one moment.
- A person's no is kept apart, and whoever sees an order with a no beside it cancels it.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

from tools.cloud.gateway import errors
from tools.cloud.gateway.adapters import AdapterError, OutcomeUnknown, Refused, ShortOfStock, Unavailable
from tools.cloud.gateway.caps import WINDOW_S, Amount, Caps, bought, exceeded
from tools.cloud.gateway.directory import Device, Directory
from tools.cloud.gateway.history import Slot
from tools.cloud.gateway.links import Kind, Link
from tools.cloud.gateway.memory import Memory
from tools.cloud.gateway.model import GAP_LIMIT, Customer, Intent, IntentId, Item, Return, Snapshot, State
from tools.cloud.gateway.records import ASKED, Attempt, Record
from tools.cloud.gateway.shops import Shop, Shops

LOG = logging.getLogger("gateway")

# When to ask again after an outcome that is not known.
ASK_AGAIN_S = 30
# How soon two copies that were about to send an intent to two shops may try again, each leaving it to the other.
RIVAL_S = 2
# Ended intents whose snapshots are kept for the caps, so that they need not be asked for each time; some 500 bytes each.
ENDED_LIMIT = 20_000


@dataclass(frozen=True)
class Rules:
    """Numbers of the settings."""

    caps: Caps
    hold_s: int
    question_s: int
    settle_s: int


@dataclass(frozen=True)
class Case:
    """One intent, with whose and for what it is."""

    id: IntentId
    item: Item
    customer: Customer


@dataclass(frozen=True)
class Standing:
    """How an intent stands, and the shop that has its order, if one has."""

    snapshot: Snapshot
    shop: Shop | None = None


# Asks the person something in the background, and marks in the memory that it was done: False when there is no way to.
Tell = Callable[[Case, Kind, Snapshot], bool]


class Service:
    """All calls of the API. They raise APIError."""

    def __init__(
        self,
        directory: Directory,
        shops: Shops,
        memory: Memory,
        rules: Rules,
        now: Callable[[], float],
        tell: Tell = lambda case, kind, snapshot: False,
        held: Callable[[IntentId, float], None] = lambda intent_id, until: None,
        real: Callable[[], float] = time.time,
    ) -> None:
        """`held` hears of each order that is to be started at a time in Unix seconds; `real` is the time that requests to shops
        take, in Unix seconds, where `now` is an accelerated one."""
        self._directory = directory
        self._shops = shops
        self._memory = memory
        self._rules = rules
        self._now = now
        self.tell = tell
        self._held = held
        self._real = real
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._latest: dict[tuple[str, str], int] = {}
        self._ended: dict[IntentId, Snapshot] = {}

    # The calls

    async def replenish(self, device: Device, intent: Intent) -> Snapshot:
        case = self.case(device, intent.id)
        async with self._lock(case.customer):
            try:
                return await self._replenish(device, case, intent)
            except AdapterError as error:
                raise errors.of_adapter(error) from None

    async def get(self, device: Device, intent_id: IntentId) -> Snapshot:
        case = self.case(device, intent_id)
        try:
            found = await self._existing(case)
            if found.snapshot.state is State.UNKNOWN and case.item.subscribed:
                async with self._lock(case.customer):
                    return await self._resume(case, found.snapshot)
            return self._told(found.snapshot)
        except AdapterError as error:
            raise errors.of_adapter(error) from None

    async def agree(self, device: Device, intent_id: IntentId) -> Snapshot:
        return await self._locked(device, intent_id, self._agree)

    async def cancel(self, device: Device, intent_id: IntentId) -> Snapshot:
        return await self._locked(device, intent_id, self._cancel)

    async def put_return(self, device: Device, intent_id: IntentId, given: Return) -> Snapshot:
        async def put(case: Case) -> Snapshot:
            found = await self._existing(case)
            if found.shop is None:
                raise errors.not_possible("there is no order to return anything of")
            return await found.shop.put_return(case.id, given, case.item, case.customer)

        return await self._locked(device, intent_id, put)

    async def slots(self, device: Device) -> dict[str, dict[str, bool | int]]:
        """Each slot, whether it may be ordered for and its latest counter."""
        try:
            await self._memory.sync()
            found = {slot: await self._latest_of(device, slot, self._slot(device, slot)) for slot in device.slots}
        except AdapterError as error:
            raise errors.of_adapter(error) from None
        return {slot: {"subscribed": item.subscribed, "latest": found[slot]} for slot, item in device.slots.items()}

    async def standing(self, device: Device, intent_id: IntentId) -> Snapshot | None:
        """How an intent stands, None when nothing exists under its id. Does what is due. Raises AdapterError."""
        found = await self._stand(self.case(device, intent_id))
        return self._told(found.snapshot) if found else None

    def case(self, device: Device, intent_id: IntentId) -> Case:
        return Case(intent_id, device.slots[intent_id.slot], device.customer)

    async def _locked(self, device: Device, intent_id: IntentId, call: Callable[[Case], Awaitable[Snapshot]]) -> Snapshot:
        case = self.case(device, intent_id)
        async with self._lock(case.customer):
            try:
                return self._told(await call(case))
            except AdapterError as error:
                raise errors.of_adapter(error) from None

    def _lock(self, customer: Customer) -> asyncio.Lock:
        """One at a time for each customer, so that two orders do not both fit under a cap that has room for one."""
        return self._locks.setdefault(customer.id, asyncio.Lock())

    # How it stands

    async def _existing(self, case: Case) -> Standing:
        found = await self._stand(case)
        if found is None:
            raise errors.unknown_intent()
        return found

    async def _stand(self, case: Case) -> Standing | None:
        """How an intent stands, after what is due was done. None: nothing exists under its id."""
        found = await self._shops.find(case.id, case.item, case.customer)
        if found is None:
            await self._memory.sync()
            remembered = self._remembered(case.id)
            # It may have become an order before we knew what the others know.
            found = await self._shops.find(case.id, case.item, case.customer)
            if found is None:
                return Standing(self._asked(case, Kind.STOCK, remembered)) if remembered else None
        shop, order = found
        return Standing(await self._advance(case, shop, order), shop)

    def _remembered(self, intent_id: IntentId) -> Snapshot | None:
        record, refusal = self._memory.record(intent_id), self._memory.refusal(intent_id)
        if refusal:
            return refusal.refusal(record)
        if attempts := self._live(intent_id):
            return attempts[0].snapshot
        return record.snapshot(self._now(), self._rules.question_s) if record else None

    def _live(self, intent_id: IntentId) -> list[Attempt]:
        """The attempts of which an order may still come, the oldest first."""
        live = [found for found in self._memory.attempts(intent_id) if found.live(self._real(), self._rules.settle_s)]
        return sorted(live, key=lambda found: found.sent)

    async def _advance(self, case: Case, shop: Shop, order: Snapshot) -> Snapshot:
        """Do with an order what is due: honour a no, end the hold. What cannot be done now is left for the next who asks."""
        try:
            if order.state.open:
                await self._memory.sync()  # a no may just have been said elsewhere
            if order.state.open and self._memory.refusal(case.id):
                order = await self._call_off(case, shop, order)
            elif order.state is State.PLACED and self._now() >= self._held_until(order):
                order = await self._end_hold(case, shop, order)
            await self._settle(case, order)
        except (Unavailable, OutcomeUnknown) as error:
            LOG.warning("what is due for an order was put off: %s", type(error).__name__)
        if order.state is State.PLACED:
            self._held(case.id, self._held_until(order))
        return order

    def _held_until(self, order: Snapshot) -> float:
        return (order.created or 0) + self._rules.hold_s

    async def _end_hold(self, case: Case, shop: Shop, order: Snapshot) -> Snapshot:
        try:
            return await shop.start(case.id, case.item, case.customer)
        except Refused as error:
            LOG.warning("an order was not started: %s", error.code)
            return await shop.find(case.id, case.item, case.customer) or order

    async def _call_off(self, case: Case, shop: Shop, order: Snapshot) -> Snapshot:
        """Cancel what a no was said to; if it is too late, the no is void. What has not begun will not, for nobody starts it: a shop
        may grant a no and reject it later."""
        try:
            return await shop.cancel(case.id, case.item, case.customer)
        except Refused:
            if order.state is State.PLACED:
                return replace(order, state=State.CANCELLED)
            await self._memory.take_back(case.id)
            return order

    async def _settle(self, case: Case, order: Snapshot) -> None:
        """The shop has the order: the memory need not speak of it any more, once the person has been told. Only its counter stays:
        when the shop is in use no more, the slot's next one must not seem to be too high."""
        await self._memory.mark_latest(case.id, self._now())
        record = self._memory.record(case.id)
        if record and record.question and record.question.code == ASKED:
            self._asked(case, Kind.NOTIFY, order)
        elif record:
            await self._memory.clear(case.id)
        attempts = self._memory.attempts(case.id)
        if attempts and order.state is State.PLACED and self._rules.hold_s and self.tell(case, Kind.HOLD, order):
            return
        for attempt in attempts:
            await self._memory.end(attempt)

    def _asked(self, case: Case, kind: Kind, found: Snapshot) -> Snapshot:
        """A question that the person may not have heard of is told, as often as it is seen to be so."""
        record = self._memory.record(case.id)
        if found.state is State.PENDING and record and not self._memory.told(record):
            self.tell(case, kind, found)
        return found

    def _told(self, found: Snapshot) -> Snapshot:
        """As the device is told: with when to ask again."""
        if found.state is State.PLACED:
            return replace(found, ask_again_s=max(1, int(self._held_until(found) - self._now()) + 1))
        return replace(found, ask_again_s=ASK_AGAIN_S) if found.state is State.UNKNOWN else found

    # Ordering

    async def _replenish(self, device: Device, case: Case, intent: Intent) -> Snapshot:
        found = await self._stand(case)
        if found and (found.snapshot.state is not State.UNKNOWN or not case.item.subscribed):
            return self._told(found.snapshot)
        if found:
            return await self._resume(case, found.snapshot)
        await self._judge(device, case, intent)
        return await self._order(case, self._shops.current.name, intent)

    async def _resume(self, case: Case, found: Snapshot) -> Snapshot:
        """Repeat an order whose outcome is not known, at the shop that it was sent to, or one that a person agreed to; not one that
        a person made."""
        record = self._memory.record(case.id)
        if attempts := self._live(case.id):
            return await self._order(case, attempts[0].adapter, attempts[0].intent)
        if record and record.question and record.question.code != ASKED and record.agreed is not None:
            return await self._order(case, self._shops.current.name, record.intent)
        return self._told(found)

    async def _order(self, case: Case, adapter: str, intent: Intent) -> Snapshot:
        shop = self._shops.named(adapter)
        token = secrets.token_hex(8)
        times = int(self._now()), self._real()
        attempt = Attempt(case.id, token, adapter, intent.quantity, intent.least, intent.reason, *times)
        await self._memory.begin(attempt)
        try:
            overtaken = await self._overtaken(case, attempt)
            return self._told(overtaken or await self._order_at(case, shop, attempt, intent))
        except OutcomeUnknown:
            raise  # an order may come to be, so the attempt stays
        except AdapterError:
            await self._withdraw(attempt)
            raise

    async def _overtaken(self, case: Case, attempt: Attempt) -> Snapshot | None:
        """How the intent stands if that has been decided elsewhere before this attempt was known to all. Raises Unavailable when
        it is being decided."""
        await self._memory.sync()
        if refusal := self._memory.refusal(case.id):
            await self._withdraw(attempt)
            return refusal.refusal(self._memory.record(case.id))
        if any(other.adapter != attempt.adapter for other in self._live(case.id)):
            raise Unavailable(RIVAL_S, "another copy of the gateway is sending it to another shop")
        # Another shop's attempt may have become its order, and been cleared, since we asked.
        found = await self._shops.find(case.id, case.item, case.customer) if self._shops.several else None
        return await self._advance(case, *found) if found else None

    async def _within(self, attempt: Attempt, call: Callable[[], Awaitable[Snapshot]]) -> Snapshot:
        """Order while the attempt is young: what goes out later might arrive when the others take it for settled."""
        left_s = attempt.sent + self._rules.settle_s / 2 - self._real()
        if left_s <= 0:
            raise Unavailable(None, "this copy of the gateway stood still")
        try:
            async with asyncio.timeout(left_s):
                return await call()
        except TimeoutError:
            raise OutcomeUnknown("it took too long") from None

    async def _order_at(self, case: Case, shop: Shop, attempt: Attempt, intent: Intent) -> Snapshot:
        try:
            order = await self._within(attempt, lambda: shop.order(intent, case.item, case.customer))
        except ShortOfStock as short:
            fewer = intent.least if short.available is None else short.available
            if intent.least <= fewer < intent.quantity:  # so many the slot's policy takes without asking
                return await self._order_at(case, shop, attempt, replace(intent, quantity=fewer))
            return await self._ask_person(case, attempt, short)
        except Refused as refused:
            failed = replace(self._record(case, attempt), failed=refused.code)
            await self._memory.put(failed)
            await self._withdraw(attempt)
            return Snapshot(case.id, State.FAILED, refused.code, created=failed.created, time=failed.created)
        return await self._advance(case, shop, order)

    async def _ask_person(self, case: Case, attempt: Attempt, short: ShortOfStock) -> Snapshot:
        offered = 1 if short.available is None else min(short.available, attempt.quantity)
        record = self._record(case, attempt).ask(short.code, offered, int(self._now()))
        await self._memory.put(record)
        await self._withdraw(attempt)
        await self._memory.sync()
        return self._asked(case, Kind.STOCK, self._remembered(case.id) or record.snapshot(self._now(), self._rules.question_s))

    def _record(self, case: Case, attempt: Attempt) -> Record:
        """What is remembered of an intent, or the beginning of it."""
        fresh = Record(case.id, attempt.quantity, attempt.least, attempt.reason, attempt.time)
        return self._memory.record(case.id) or fresh

    async def _withdraw(self, attempt: Attempt) -> None:
        """Surely nothing was ordered by it. If that cannot be remembered, it is when the time for it has passed."""
        try:
            await self._memory.end(attempt)
        except Unavailable:
            LOG.warning("an attempt that did nothing could not be taken off the memory; it settles by itself")

    async def _judge(self, device: Device, case: Case, intent: Intent) -> None:
        """Whether a new intent may be ordered. Raises APIError."""
        if not case.item.subscribed:
            raise errors.not_subscribed(case.id.slot)
        since = self._now() - WINDOW_S
        slot = self._slot(device, case.id.slot)
        latest = await self._latest_of(device, case.id.slot, slot)
        if case.id.counter > latest + GAP_LIMIT:
            raise errors.counter(latest)
        history = await slot.back(latest, since)
        if found := next((one for one in history if one.state.open), None):
            raise errors.in_progress(str(found.id), found.state)
        wanted = Amount(1, intent.quantity, case.item.total(intent.quantity))
        await self._judge_caps(device, case, wanted + bought(history, case.item, since), since)

    async def _judge_caps(self, device: Device, case: Case, slot: Amount, since: float) -> None:
        """`slot`: what its own slot comes to, with the intent itself."""
        others = [
            (serial, name)
            for serial, slots in device.customer.devices.items()
            for name in slots
            if (serial, name) != (device.serial, case.id.slot)
        ]
        amounts = await asyncio.gather(*(self._bought(Device(serial, device.customer), name, since) for serial, name in others))
        of_device = sum((amount for (serial, _), amount in zip(others, amounts, strict=True) if serial == device.serial), slot)
        if cap := exceeded(self._rules.caps, of_device, sum(amounts, slot)):
            raise errors.over_cap(cap)

    async def _bought(self, device: Device, name: str, since: float) -> Amount:
        slot = self._slot(device, name)
        return bought(await slot.back(await self._latest_of(device, name, slot), since), device.slots[name], since)

    # Asking upward

    def _slot(self, device: Device, name: str) -> Slot:
        async def look(counter: int) -> Snapshot | None:
            return await self._look(self.case(device, IntentId(device.serial, name, counter)))

        return Slot(look)

    async def _look(self, case: Case) -> Snapshot | None:
        """How an intent stands, without doing what is due."""
        if case.id in self._ended:
            return self._ended[case.id]
        found = await self._shops.find(case.id, case.item, case.customer)
        if found is None:
            return self._remembered(case.id)
        if found[1].state is State.PLACED and self._memory.refusal(case.id):
            return replace(found[1], state=State.CANCELLED)  # as in `_call_off`
        if not found[1].state.open:
            while len(self._ended) >= ENDED_LIMIT:
                self._ended.pop(next(iter(self._ended)))
            self._ended[case.id] = found[1]
        return found[1]

    async def _latest_of(self, device: Device, name: str, slot: Slot) -> int:
        """The slot's latest counter; what is known from before is only where the search begins, for what exists stays."""
        key = (device.serial, name)
        known = max(self._latest.get(key, 0), self._memory.latest(*key))
        latest = await slot.latest(known)
        found = await slot.look(latest) if latest else None
        if found and found.state is not State.UNKNOWN:  # of an attempt nothing may have come
            self._latest[key] = latest
        return latest

    # A person's answer

    async def _agree(self, case: Case) -> Snapshot:
        found = await self._existing(case)
        state = found.snapshot.state
        if state is State.PENDING:
            return await self._agree_to_question(case)
        if state is State.PLACED and found.shop:
            return await self._end_hold(case, found.shop, found.snapshot)
        if state is State.UNKNOWN:
            return await self._resume(case, found.snapshot)
        if state in (State.CANCELLED, State.FAILED):
            raise errors.not_possible(f"it is {state}")
        return found.snapshot

    async def _agree_to_question(self, case: Case) -> Snapshot:
        await self._memory.sync()
        record = self._memory.record(case.id)
        question = record.open_question(self._now(), self._rules.question_s) if record else None
        if record is None or question is None or self._memory.refusal(case.id):
            raise errors.not_possible("the question is not open any more")
        agreed = replace(record, agreed=int(self._now()))
        await self._memory.put(agreed)
        if question.code == ASKED:  # who says so has ordered
            return (await self._existing(case)).snapshot
        return await self._order(case, self._shops.current.name, agreed.intent)

    async def _cancel(self, case: Case) -> Snapshot:
        found = await self._stand(case)
        if found is None:
            await self._judge_counter(case)
        elif found.snapshot.state is State.CANCELLED:
            return found.snapshot
        elif not found.snapshot.state.open:
            raise errors.not_possible(f"it is {found.snapshot.state}")
        await self._memory.refuse(case.id, self._now())
        await self._memory.sync()
        order = await self._shops.find(case.id, case.item, case.customer)
        if order is None:
            return self._remembered(case.id) or Snapshot(case.id, State.CANCELLED)
        if order[1].state is State.CANCELLED:
            return order[1]
        return await self._cancel_order(case, order[0])

    async def _judge_counter(self, case: Case) -> None:
        """A no to what is not there is kept, for its order may be on its way; but only where a device could be."""
        slot = self._slot(self._device(case), case.id.slot)
        latest = await self._latest_of(self._device(case), case.id.slot, slot)
        if case.id.counter > latest + GAP_LIMIT:
            raise errors.unknown_intent()

    def _device(self, case: Case) -> Device:
        return Device(case.id.serial, case.customer)

    async def _cancel_order(self, case: Case, shop: Shop) -> Snapshot:
        try:
            return await shop.cancel(case.id, case.item, case.customer)
        except Refused as error:
            await self._memory.take_back(case.id)
            raise errors.not_possible(f"it is too late: {error.code}") from None

    def link(self, case: Case, kind: Kind, snapshot: Snapshot) -> Link:
        """The question that a person is asked about an intent."""
        asked = snapshot.created if kind is Kind.HOLD else snapshot.time
        lasts = self._rules.hold_s if kind is Kind.HOLD else self._rules.question_s
        return Link(kind, case.id, snapshot.quantity or 0, asked or 0, (asked or 0) + lasts)
