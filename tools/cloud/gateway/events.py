"""The relay's translation of Buy with Prime's events: the order is read again, and its device told how it stands.

What an event says is not believed, only which order it names. Orders without an intent of ours are other customers' of the same
store. An event that names no order, as a carrier's may, is for nobody: the device asks by itself in time.
"""

import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from tools.cloud.buywithprime import events, returns
from tools.cloud.buywithprime.events import Event, EventError, ForeignError
from tools.cloud.buywithprime.models import Order
from tools.cloud.buywithprime.returns import Progress
from tools.cloud.gateway import settings
from tools.cloud.gateway.adapters import AdapterError, Surroundings, buy_with_prime
from tools.cloud.gateway.adapters.standing import snapshot
from tools.cloud.gateway.directory import Directory
from tools.cloud.gateway.memory import Memory
from tools.cloud.gateway.notices import compact
from tools.cloud.notice import Notice
from tools.cloud.outcomes import NotRelayed, Outcome
from tools.cloud.settings import SettingsError

# Orders whose progress is remembered, some 500 bytes each. One that is forgotten is only read anew.
_REMEMBERED = 10_000


class Orders(Protocol):
    """What is used of the adapter."""

    async def by_id(self, order_id: str) -> tuple[str | None, Order] | None: ...


class BuyWithPrimeEvents:
    """A `tools.cloud.events.Translation`. What it remembers of an order keeps an older look from following a newer one."""

    def __init__(self, orders: Orders, directory: Directory, business_product: str) -> None:
        self._orders = orders
        self._directory = directory
        self._business_product = business_product
        self._known: OrderedDict[str, Progress] = OrderedDict()

    def key(self, given: Mapping[str, Any]) -> str:
        return self._read(given).key

    async def notices(self, given: Mapping[str, Any]) -> list[Notice]:
        event = self._read(given)
        if event.kind not in events.SUBSCRIBED:
            return []
        self._directory.refresh()
        found = [await self._notice(event, order_id) for order_id in event.orders]
        return [notice for notice in found if notice is not None]

    def _read(self, given: Mapping[str, Any]) -> Event:
        try:
            return events.read(given, self._business_product)
        except ForeignError as error:
            raise NotRelayed(Outcome.FOREIGN, str(error)) from None
        except EventError as error:
            raise NotRelayed(Outcome.MALFORMED, str(error)) from None

    async def _notice(self, event: Event, order_id: str) -> Notice | None:
        """What the device of an order is told; None when the order is no device's of ours."""
        try:
            found = await self._orders.by_id(order_id)
        except AdapterError as error:
            raise NotRelayed(Outcome.SHOP, str(error)) from None
        name, order = found or (None, None)
        device = self._directory.owner_of(name) if name else None
        intent_id = device.intent_id(name) if device and name else None
        if intent_id is None or order is None:
            return None
        stands = snapshot(intent_id, order, self._progress(order))
        return Notice(intent_id.serial, compact(replace(stands, time=int(event.time.timestamp())), 0, event.notice_id))

    def _progress(self, order: Order) -> Progress:
        """How far it is by all looks so far."""
        seen = returns.progress(order)
        known = self._known.pop(order.id, seen)
        self._known[order.id] = returns.merged(known, seen)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return self._known[order.id]


@contextlib.asynccontextmanager
async def opened(path: Path, now: Callable[[], float], memory: Memory) -> AsyncIterator[BuyWithPrimeEvents]:
    """The translation by a gateway's configuration, which names the adapter's credentials and the directory. Raises SettingsError."""
    given = settings.read(path)
    name = buy_with_prime.BuyWithPrime.name
    if name not in given.adapters:
        raise SettingsError([f"{path}: gateway.adapter: not {name}: allowed: {name}, there or in gateway.former, for its events"])
    adapter = given.adapters[name]
    around = Surroundings(now, memory, given.gateway.question_s)
    async with buy_with_prime.opened(adapter, given.adapter_secrets[name], around) as orders:
        yield BuyWithPrimeEvents(orders, settings.open_directory(given), adapter.target_id)
