"""Copies of the gateway without sockets: the service, the shared memory over a broker that is a list, and a clock that is a number."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from host_tests.cloud.gateway.shop import Adapter
from tools.cloud.gateway import adapters
from tools.cloud.gateway.caps import Amount, Caps
from tools.cloud.gateway.directory import Device
from tools.cloud.gateway.links import Kind
from tools.cloud.gateway.memory import Memory
from tools.cloud.gateway.model import Address, Customer, Intent, IntentId, Item, Snapshot
from tools.cloud.gateway.service import Case, Rules, Service
from tools.cloud.gateway.shops import Shop, Shops
from tools.cloud.outcomes import NotRelayed, Outcome

PREFIX = "replenish"
START = 1_800_000_000
HOLD_S = 3_600
QUESTION_S = 3 * 86_400
SETTLE_S = 300
COFFEE = Item("COFFEE-1", "Coffee beans", Decimal("12.50"), "USD")
FILTER = Item("FILTER-1", "Filter", Decimal("4.00"), "USD")
CUSTOMER = Customer(
    "ada",
    "Ada",
    "ada@example.com",
    Address("1 Main St", "Springfield", "IL", "62701"),
    {"SN0001": {"Coffee": COFFEE, "Water-Filter": FILTER}, "SN0002": {"Coffee": COFFEE}},
)
DEVICE = Device("SN0001", CUSTOMER)
PLENTY = Amount(1_000, 100_000, Decimal(10**9))
NO_CAPS = Caps(PLENTY, PLENTY)


@dataclass
class Clock:
    seconds: float = START

    def now(self) -> float:
        return self.seconds


class Broker:
    """Takes retained messages and sends all that it takes to every copy, in the order in which it took them, and as late as the
    protocol allows: when the copy's own mark is due."""

    def __init__(self) -> None:
        self.retained: dict[str, str] = {}
        self._queues: dict[Memory, list[tuple[str, str]]] = {}
        self.published: list[tuple[str, str]] = []
        self.down = False
        self.refuses = ""

    @property
    def unsettled(self) -> dict[str, str]:
        """What is retained of intents; each slot's latest counter stays for ever."""
        return {topic: payload for topic, payload in self.retained.items() if "-gateway/latest/" not in topic}

    async def publish(self, topic: str, payload: str, retain: bool = False) -> None:
        await asyncio.sleep(0)
        if self.down or (self.refuses and self.refuses in topic):
            raise NotRelayed(Outcome.BROKER, "no connection to the broker")
        if retain:
            self.retained.pop(topic, None)
            if payload:
                self.retained[topic] = payload
        self.published.append((topic, payload))
        for memory, queue in self._queues.items():
            queue.append((topic, payload))
            if topic == memory.mark_topic:
                asyncio.get_running_loop().call_soon(self._send, memory)
        await asyncio.sleep(0)

    def _send(self, memory: Memory) -> None:
        queue = self._queues.get(memory, [])
        while queue:
            topic, payload = queue.pop(0)
            memory.hear(topic, payload.encode())

    def connect(self, memory: Memory) -> None:
        """A session begins: what is retained comes first."""
        self._queues[memory] = list(self.retained.items())
        memory.connected()

    def drop(self, memory: Memory) -> None:
        """Its session ends; what was on its way is lost."""
        self._queues.pop(memory, None)


class Copy:
    """One process of the gateway."""

    def __init__(self, broker: Broker, clock: Clock, current: adapters.Adapter, former: Sequence[adapters.Adapter] = (),
                 caps: Caps = NO_CAPS, hold_s: int = HOLD_S, device: Device = DEVICE) -> None:  # fmt: skip
        self.broker = broker
        self.device = device
        self.memory = Memory(broker, PREFIX, 5)
        broker.connect(self.memory)
        self.told: list[tuple[str, Kind]] = []
        self.adapters: list[Adapter] = []
        self.held: dict[IntentId, float] = {}
        self.rules = Rules(caps, hold_s, QUESTION_S, SETTLE_S)
        self.use(clock, current, *former)

    def use(self, clock: Clock, current: adapters.Adapter, *former: adapters.Adapter) -> None:
        """Other adapters, as after a change of the settings."""
        shops = [Shop(one, clock.now, lambda *seen: None) for one in (current, *former)]
        known = Shops(shops[0], shops[1:])
        watch = self.held.__setitem__
        self.service = Service(DIRECTORY, known, self.memory, self.rules, clock.now, self._tell, watch, clock.now)

    def _tell(self, case: Case, kind: Kind, snapshot: Snapshot) -> bool:
        self.told.append((str(case.id), kind))
        return False

    def die(self) -> None:
        """It hears nothing more."""
        self.broker.drop(self.memory)

    async def post(self, counter: int = 1, quantity: int = 2, least: int | None = None, slot: str = "Coffee") -> Snapshot:
        intent_id = IntentId(self.device.serial, slot, counter)
        return await self.service.replenish(self.device, Intent(intent_id, quantity, quantity if least is None else least, "low"))

    async def get(self, counter: int = 1, slot: str = "Coffee") -> Snapshot:
        return await self.service.get(self.device, IntentId(self.device.serial, slot, counter))

    async def agree(self, counter: int = 1, slot: str = "Coffee") -> Snapshot:
        return await self.service.agree(self.device, IntentId(self.device.serial, slot, counter))

    async def cancel(self, counter: int = 1, slot: str = "Coffee") -> Snapshot:
        return await self.service.cancel(self.device, IntentId(self.device.serial, slot, counter))


class _Directory:
    def device(self, serial: str) -> Device | None:
        return Device(serial, CUSTOMER) if serial in CUSTOMER.devices else None

    def owner_of(self, intent: str) -> Device | None:
        return next((Device(serial, CUSTOMER) for serial in CUSTOMER.devices if intent.startswith(f"{serial}-")), None)

    def refresh(self) -> None:
        return None


DIRECTORY = _Directory()
__all__ = ["Adapter", "Broker", "Clock", "Copy"]
