"""The gateway under load: intents of hundreds of devices in by HTTPS, orders out to the simulated store of Buy with Prime, all on this
machine.

Each gateway is a process on one core, as `make gateway` runs it, with verified TLS on both sides and signed device tokens; the store
executes its GraphQL for real, and shares the other core with the broker, the load tool and, where there are two, the second gateway.
So "orders/s" is what this machine does with all of them, and "a core's second" what a gateway alone would. Each order is that of
another customer, whose orders are counted before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import ssl
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp

from host_tests.bench.budgets import Budget
from host_tests.bench.tables import table
from host_tests.mqtt.mosquitto import PROGRAM, Mosquitto
from host_tests.scenarios.gateway import GatewayFiles, GatewayProcess
from host_tests.scenarios.toml import write_toml
from tools.simulator import Clock, SimulatorThread
from tools.simulator.buywithprime.catalogue import DEFAULT_SKU

RUNS = (1, 2)  # copies
CONNECTIONS = 16  # to each gateway
WARM_UP = 20
ORDERS = 400  # as fast as they are taken
POLLS = 2_000
PACED = 100  # orders at a rate that leaves the gateway time
PACED_PER_S = 5
TWICE = 50  # intents that go to two copies at the same time, or twice to one
_SLOT = "Coffee"
_DEVICES = WARM_UP + ORDERS + PACED + TWICE
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def _serial(number: int) -> str:
    return f"SN{number:06}"


class _Files(GatewayFiles):
    """A customer with one device for each order."""

    def write_directory(self) -> None:
        item = {"sku": DEFAULT_SKU, "title": "Coffee, 12 cups", "price": "12.99", "subscribed": True}
        address = {"street": "1 Main St", "locality": "Springfield", "region": "IL", "postal_code": "62701"}
        sections: dict[str, dict[str, Any]] = {}
        for number in range(_DEVICES):
            start = f"customers.c{number}"
            sections[start] = {"name": "Ada", "email": f"ada{number}@example.com", "payment": "card"}
            sections[f"{start}.address"] = address
            sections[f"{start}.devices.{_serial(number)}.{_SLOT}"] = item
        write_toml(self.folder / "directory.toml", **sections)


class _Process(GatewayProcess):
    """On one core."""

    def pin(self, core: int) -> None:
        assert self._process
        os.sched_setaffinity(self._process.pid, {core})

    @property
    def cpu_s(self) -> float:
        assert self._process
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    @property
    def resident_mb(self) -> float:
        assert self._process
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * _PAGE_BYTES / 1e6


class Bench:
    """One run with so many copies of the gateway."""

    def __init__(self, copies: int) -> None:
        self._copies = copies
        self._answers: Counter[int] = Counter()
        self._chance = random.Random(7)

    async def run(self) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as name:
            async with self._set_up(Path(name)) as (store, gateways):
                return {"copies": self._copies, **await self._measured(store, gateways)}

    @contextlib.asynccontextmanager
    async def _set_up(self, folder: Path) -> AsyncIterator[tuple[SimulatorThread, list[_Process]]]:
        clock = (int(time.time()), 1)
        with contextlib.ExitStack() as stack:
            broker = stack.enter_context(Mosquitto(folder / "broker", {}))
            store = stack.enter_context(SimulatorThread(clock=Clock(*clock), ca_dir=folder / "ca"))
            files = [self._files(folder / f"copy {number}", store, clock, broker) for number in range(self._copies)]
            self._tokens = [files[0].token(time.time(), _serial(number)) for number in range(_DEVICES)]
            gateways = []
            for core, of_copy in zip((1, 0), files, strict=False):
                gateways.append(stack.enter_context(_Process(of_copy)))
                gateways[-1].pin(core)
            self._urls = [of_copy.url for of_copy in files]
            connector = aiohttp.TCPConnector(limit=CONNECTIONS * self._copies, ssl=self._context(files))
            async with aiohttp.ClientSession(connector=connector) as self._session:
                yield store, gateways

    def _files(self, folder: Path, store: SimulatorThread, clock: tuple[int, int], broker: Mosquitto) -> _Files:
        held = {"gateway": {"hold_s": 3600}}
        return _Files(folder, store, clock, broker, _serial(0), {_SLOT: True}, tls=True, **held)

    def _context(self, files: list[_Files]) -> ssl.SSLContext:
        context = ssl.create_default_context()
        for of_copy in files:
            of_copy.authority.configure_trust(context)
        return context

    async def _measured(self, store: SimulatorThread, gateways: list[_Process]) -> dict[str, Any]:
        at_start = gateways[0].resident_mb
        await self._flat_out(range(WARM_UP), self._order)
        orders = await self._timed(gateways, range(WARM_UP, WARM_UP + ORDERS), self._order)
        polls = await self._timed(gateways, [WARM_UP + number % ORDERS for number in range(POLLS)], self._poll)
        paced = await self._paced(range(WARM_UP + ORDERS, WARM_UP + ORDERS + PACED))
        await asyncio.gather(*(self._twice(number) for number in range(WARM_UP + ORDERS + PACED, _DEVICES)))
        made = store.do(lambda store: len(store.store.orders()))
        return {
            **{f"orders_{name}": figure for name, figure in orders.items()},
            **{f"polls_{name}": figure for name, figure in polls.items()},
            "paced_p50_ms": paced[49],
            "paced_p99_ms": paced[98],
            "mb_at_start": at_start,
            "mb_at_end": max(gateway.resident_mb for gateway in gateways),
            "intents": _DEVICES,
            "orders": made,
            "refused": self._answers.total() - self._answers[200],
        }

    async def _timed(self, gateways: list[_Process], numbers: Any, act: Callable[[int, int], Awaitable[None]]) -> dict[str, float]:
        busy, began = [gateway.cpu_s for gateway in gateways], time.perf_counter()
        await self._flat_out(numbers, act)
        took = time.perf_counter() - began
        spent = sum(gateway.cpu_s - before for gateway, before in zip(gateways, busy, strict=True))
        return {"per_s": len(numbers) / took, "per_cpu_s": len(numbers) / spent}

    async def _flat_out(self, numbers: Any, act: Callable[[int, int], Awaitable[None]]) -> None:
        waiting = iter(numbers)

        async def go_on(copy: int) -> None:
            for number in waiting:
                await act(number, copy)

        await asyncio.gather(*(go_on(number % self._copies) for number in range(CONNECTIONS * self._copies)))

    async def _paced(self, numbers: range) -> list[float]:
        """Milliseconds, in percentiles, of orders at times by chance, and at those times whatever the gateway does."""
        taken: list[float] = []

        async def timed(number: int) -> None:
            began = time.perf_counter()
            await self._order(number, number % self._copies)
            taken.append((time.perf_counter() - began) * 1000)

        under_way, due = [], time.perf_counter()
        for number in numbers:
            due += self._chance.expovariate(PACED_PER_S)
            await asyncio.sleep(max(0, due - time.perf_counter()))
            under_way.append(asyncio.create_task(timed(number)))
        await asyncio.gather(*under_way)
        return statistics.quantiles(taken, n=100)

    async def _twice(self, number: int) -> None:
        """The same intent to two copies at the same time."""
        await asyncio.gather(self._order(number, 0), self._order(number, self._copies - 1))

    async def _order(self, number: int, copy: int) -> None:
        body = {"intent_id": f"{_serial(number)}-{_SLOT}-1", "slot": _SLOT, "quantity": 1, "reason": "low"}
        async with self._session.post(self._urls[copy] + "/v1/replenish", json=body, headers=self._headers(number)) as answer:
            await answer.read()
            self._answers[answer.status] += 1

    async def _poll(self, number: int, copy: int) -> None:
        url = f"{self._urls[copy]}/v1/replenish/{_serial(number)}-{_SLOT}-1"
        async with self._session.get(url, headers=self._headers(number)) as answer:
            await answer.read()
            self._answers[answer.status] += 1

    def _headers(self, number: int) -> dict[str, str]:
        return {"Authorization": "Bearer " + self._tokens[number]}


def measure() -> list[dict[str, Any]]:
    """The figures of all runs. Raises SystemExit with a sentence on a machine that cannot do it."""
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("The gateway's benchmark needs two processor cores.")
    if not PROGRAM.exists():
        raise SystemExit(f"The gateway's benchmark needs {PROGRAM} (make mosquitto).")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    try:
        return [asyncio.run(Bench(copies).run()) for copies in RUNS]
    finally:
        os.sched_setaffinity(0, cores)


def tables(found: list[dict[str, Any]]) -> Iterator[str]:
    columns = {"orders/s": "orders_per_s", "a core's second": "orders_per_cpu_s", "polls/s": "polls_per_s"}
    columns |= {"a core's second ": "polls_per_cpu_s", "p50 ms": "paced_p50_ms", "p99 ms": "paced_p99_ms"}
    columns |= {"MB at start": "mb_at_start", "MB at end": "mb_at_end"}
    rows = [(str(run["copies"]), *(run[name] for name in columns.values())) for run in found]
    title = f"{ORDERS} orders and {POLLS:,} polls as fast as they are taken; an order's time at {PACED_PER_S} a second"
    yield table(title, ("gateways", *columns), rows)
    rows = [(str(run["copies"]), run["intents"], run["orders"], run["refused"]) for run in found]
    yield table(f"What became of the intents, {TWICE} of them sent twice at once", ("gateways", "intents", "orders", "refused"), rows)


def judged(found: list[dict[str, Any]]) -> list[Budget]:
    return [
        Budget("intents without an order", sum(max(0, run["intents"] - run["orders"]) for run in found), 0),
        Budget("orders beside one for each intent", sum(max(0, run["orders"] - run["intents"]) for run in found), 0),
    ]


if __name__ == "__main__":
    sys.exit("python -m host_tests.bench --part gateway")
