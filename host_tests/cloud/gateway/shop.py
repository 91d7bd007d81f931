"""A shop in memory, and the adapter to it, which does what a real one seldom does when it is wanted: loses answers after acting,
acts late, is short of stock, throttles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tools.cloud.gateway.adapters import OutcomeUnknown, Refused, ShortOfStock, Unavailable
from tools.cloud.gateway.model import Customer, Intent, IntentId, Item, Return, ReturnState, Snapshot, State

HELD = (State.PLACED, State.STARTED)


@dataclass
class Shop:
    """The store itself, which all copies of an adapter share. `orders` has all that were ever made."""

    now: Callable[[], float]
    stock: int | None = None
    knows_stock: bool = True
    orders: dict[str, Snapshot] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    returns: dict[str, dict[str, Return]] = field(default_factory=dict)
    late: list[tuple[float, Intent]] = field(default_factory=list)

    def make(self, intent: Intent) -> Snapshot:
        """Idempotent by the intent's id, as every shop behind an adapter has to be."""
        name = str(intent.id)
        if name not in self.orders:
            self._take(intent.quantity)
            now = int(self.now())
            self.created.append(name)
            self.orders[name] = Snapshot(intent.id, State.PLACED, quantity=intent.quantity, created=now, time=now)
        return self.orders[name]

    def _take(self, quantity: int) -> None:
        if self.stock is None:
            return
        if self.stock < quantity:
            code = "SelectedQuantityNotAvailable" if self.stock else "ItemOutOfStock"
            raise ShortOfStock(self.stock if self.knows_stock else None, code)
        self.stock -= quantity

    def arrive(self) -> None:
        """What was on its way for long enough is done now."""
        due = [intent for at, intent in self.late if at <= self.now()]
        self.late = [(at, intent) for at, intent in self.late if at > self.now()]
        for intent in due:
            try:
                self.make(intent)
            except ShortOfStock:
                continue

    def move(self, name: str, state: State) -> None:
        self.orders[name] = replace(self.orders[name], state=state, time=int(self.now()))


class Adapter:
    """What is in `faults` of a call comes true one after the other: "lost" acts and answers nothing, "late" acts after `late_s`,
    "down" does nothing, "throttled" says when to come again, "refused" is for good, "" is no fault. The first call
    for which `pause_when` is true waits for `go_on`."""

    def __init__(self, shop: Shop, name: str = "memory") -> None:
        self.name = name
        self.shop = shop
        self.faults: dict[str, list[str]] = {}
        self.late_s = 60.0
        self.calls: list[str] = []
        self.pause_when: Callable[[], bool] = lambda: False
        self.paused = asyncio.Event()
        self.go_on = asyncio.Event()

    async def _reach(self, call: str) -> str:
        """The fault that comes true on the way back."""
        self.calls.append(call)
        await asyncio.sleep(0)
        if not self.paused.is_set() and self.pause_when():
            self.paused.set()
            await self.go_on.wait()
        fault = self.faults[call].pop(0) if self.faults.get(call) else ""
        if fault == "down":
            raise Unavailable(None, "cannot be reached")
        if fault == "throttled":
            raise Unavailable(17, "throttled")
        return fault

    @staticmethod
    async def _back(fault: str) -> None:
        await asyncio.sleep(0)
        if fault == "lost":
            raise OutcomeUnknown("no answer came")

    async def order(self, intent: Intent, item: Item, customer: Customer) -> Snapshot:
        fault = await self._reach("order")
        if fault == "late":
            self.shop.late.append((self.shop.now() + self.late_s, intent))
            raise OutcomeUnknown("no answer came")
        if fault == "refused":
            raise Refused("InvalidAddress")
        made = self.shop.make(intent)
        await self._back(fault)
        return made

    async def find(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot | None:
        fault = await self._reach("find")
        found = self.shop.orders.get(str(intent_id))
        if fault == "lost":
            raise Unavailable(None, "no answer came")
        await asyncio.sleep(0)
        return found

    async def start(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot:
        fault = await self._reach("start")
        name = str(intent_id)
        if self.shop.orders[name].state is State.PLACED:
            self.shop.move(name, State.STARTED)
        await self._back(fault)
        return self.shop.orders[name]

    async def cancel(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot:
        fault = await self._reach("cancel")
        name = str(intent_id)
        if self.shop.orders[name].state in HELD:
            self.shop.move(name, State.CANCELLED)
        elif self.shop.orders[name].state is not State.CANCELLED:
            raise Refused("TooLate")
        await self._back(fault)
        return self.shop.orders[name]

    async def put_return(self, intent_id: IntentId, given: Return, item: Item, customer: Customer) -> Snapshot:
        fault = await self._reach("put_return")
        name = str(intent_id)
        if self.shop.orders[name].state not in (State.DELIVERED, State.RETURNING, State.RETURNED):
            raise Refused("NotDelivered")
        known = self.shop.returns.setdefault(name, {})
        known[given.id] = given
        back = sum(one.quantity for one in known.values() if one.state is ReturnState.COMPLETED)
        order = self.shop.orders[name]
        state = State.RETURNED if back >= (order.quantity or 0) else State.RETURNING
        self.shop.orders[name] = replace(order, state=state, returned=back)
        await self._back(fault)
        return self.shop.orders[name]
