"""The adapters in use: the one that new intents go to and the former ones, each left alone for a while when it asks for it."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tools.cloud.gateway.adapters import Adapter, AdapterError, OutcomeUnknown, Refused, ShortOfStock, Unavailable
from tools.cloud.gateway.model import Customer, Intent, IntentId, Item, Return, Snapshot

T = TypeVar("T")

# Calls of one adapter at once. More wait.
AT_ONCE = 16
# The range of the wait after the first failure, doubled with each until the limit.
FIRST_S = 1.0
LIMIT_S = 60.0

Observer = Callable[[str, str, str, float], None]


def outcome(error: AdapterError | None) -> str:
    """The word that a call is counted under."""
    words = {ShortOfStock: "short_of_stock", Refused: "refused", Unavailable: "unavailable", OutcomeUnknown: "unknown"}
    return "ok" if error is None else words.get(type(error), "failed")


class Shop:
    """An adapter, and when it may be called again. What it raises passes through."""

    def __init__(self, adapter: Adapter, now: Callable[[], float], observe: Observer) -> None:
        """`observe` hears of each call: adapter, call, outcome, real seconds."""
        self.adapter = adapter
        self.name = adapter.name
        self._now = now
        self._observe = observe
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._failures = 0
        self._quiet_until = 0.0

    async def order(self, intent: Intent, item: Item, customer: Customer) -> Snapshot:
        return await self._call("order", lambda: self.adapter.order(intent, item, customer))

    async def find(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot | None:
        return await self._call("find", lambda: self.adapter.find(intent_id, item, customer))

    async def start(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot:
        return await self._call("start", lambda: self.adapter.start(intent_id, item, customer))

    async def cancel(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot:
        return await self._call("cancel", lambda: self.adapter.cancel(intent_id, item, customer))

    async def put_return(self, intent_id: IntentId, given: Return, item: Item, customer: Customer) -> Snapshot:
        return await self._call("put_return", lambda: self.adapter.put_return(intent_id, given, item, customer))

    async def _call(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        async with self._slots:
            wait_s = self._quiet_until - self._now()
            if wait_s > 0:
                raise Unavailable(wait_s, f"{self.name} is left alone for a while")
            started = time.monotonic()
            try:
                result = await call()
            except AdapterError as error:
                self._failed(error)
                self._observe(self.name, name, outcome(error), time.monotonic() - started)
                raise
            self._failures = 0
            self._observe(self.name, name, outcome(None), time.monotonic() - started)
            return result

    def _failed(self, error: AdapterError) -> None:
        if not isinstance(error, Unavailable):
            self._failures = 0
        elif self._quiet_until <= self._now():  # those that were on their way together count once
            wait_s = random.uniform(0, min(LIMIT_S, FIRST_S * 2**self._failures))
            self._quiet_until = self._now() + max(wait_s, error.retry_after_s or 0)
            self._failures = min(self._failures + 1, 16)


class Shops:
    """The adapter that new intents go to, and those that may still have orders."""

    def __init__(self, current: Shop, former: list[Shop]) -> None:
        self.current = current
        self._by_name = {shop.name: shop for shop in (*former, current)}

    @property
    def several(self) -> bool:
        return len(self._by_name) > 1

    def named(self, name: str) -> Shop:
        """Raises Unavailable when no adapter of this name is in use any more."""
        if name not in self._by_name:
            raise Unavailable(None, f"the intent was sent to {name}, which is not in use any more")
        return self._by_name[name]

    async def find(self, intent_id: IntentId, item: Item, customer: Customer) -> tuple[Shop, Snapshot] | None:
        """The order under an intent's id and where it is; the former ones are asked first. None: surely in none of them.
        Raises Unavailable when one of them cannot be asked."""
        for shop in self._by_name.values():
            try:
                found = await shop.find(intent_id, item, customer)
            except (Refused, OutcomeUnknown) as error:
                raise Unavailable(None, f"{shop.name} does not answer for the intent: {outcome(error)}") from None
            if found is not None:
                return shop, found
        return None
