"""The gateway under load: signed calls of thousands of devices in by HTTPS, orders out to a shop by the webhook adapter.

Each gateway is a process on one core, as `make gateway` runs it. The load tool, the shop and the broker have the other core, and a
second gateway shares it with them. The shop answers at once, so what is measured is the gateway's own work: a new order of a
customer with one slot is 12 requests to the shop, most of them to find that there are no others, and some messages to the
broker. Speeds are this machine's; what is judged is what no machine changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import trustme
from aiohttp import web

from host_tests.bench.budgets import Budget
from host_tests.bench.process import Process
from host_tests.bench.tables import table
from host_tests.mqtt.mosquitto import GATEWAY, PROGRAM, Mosquitto
from tools.cloud.gateway import tokens

RUNS = (1, 2)  # copies
DEVICES = 1_200
CONNECTIONS = 16
PACED = 300
PACED_PER_S = 10


class Store:
    """The maker's shop: orders by the intent's id."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.made: Counter[str] = Counter()
        self.asked = 0

    async def order(self, request: web.Request) -> web.Response:
        self.asked += 1
        given = await request.json()
        name = given["intent_id"]
        if name not in self.orders:
            self.made[name] += 1
            created = datetime.now(UTC).isoformat()
            self.orders[name] = {"intent_id": name, "state": "PLACED", "quantity": given["quantity"], "created": created}
        return web.json_response(self.orders[name])

    async def find(self, request: web.Request) -> web.Response:
        self.asked += 1
        found = self.orders.get(request.match_info["name"])
        return web.json_response(found) if found else web.json_response({"error": "unknown_intent"}, status=404)

    async def serve(self, stack: contextlib.AsyncExitStack) -> str:
        """Where it is."""
        app = web.Application()
        app.add_routes([web.post("/orders", self.order), web.get("/orders/{name}", self.find)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"


class Bench:
    """One run with so many copies."""

    def __init__(self, copies: int) -> None:
        self._copies = copies
        self._serials = [f"SN{number:06}" for number in range(DEVICES + PACED)]
        self._key = tokens.new_key("EdDSA")
        self._tokens = {serial: tokens.issue(self._key, serial, time.time()) for serial in self._serials}
        self.store = Store()
        self.answers: Counter[int] = Counter()

    async def run(self) -> dict[str, Any]:
        """The figures."""
        with tempfile.TemporaryDirectory() as name:
            async with self._set_up(Path(name)) as processes:
                orders = await self._flat_out(processes, self._order, self._serials[:DEVICES])
                asked = self.store.asked
                reads = await self._flat_out(processes, self._read, self._serials[:DEVICES] * 3)
                latencies = await self._paced(self._serials[DEVICES:])
                return {
                    "copies": self._copies,
                    **{f"orders_{key}": value for key, value in orders.items()},
                    **{f"reads_{key}": value for key, value in reads.items()},
                    "paced_p50_ms": latencies[49],
                    "paced_p99_ms": latencies[98],
                    "asked_per_order": asked / DEVICES,
                    "mb": max(process.resident_mb for process in processes),
                    "refused": self.answers.total() - self.answers[200],
                    "doubled": sum(number - 1 for number in self.store.made.values()),
                    "missing": len(self._serials) - len(self.store.made),
                }

    @contextlib.asynccontextmanager
    async def _set_up(self, folder: Path) -> AsyncIterator[list[Process]]:
        async with contextlib.AsyncExitStack() as stack:
            broker = stack.enter_context(Mosquitto(folder / "mosquitto", {}, settings={"log_type": ("error", "information")}))
            config = self._configuration(folder, broker, await self.store.serve(stack))
            processes = [Process(core) for core in (1, 0)[: self._copies]]
            for process in processes:
                await process.start("tools.cloud.gateway", config)
                stack.push_async_callback(process.stop)
            context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
            connector = aiohttp.TCPConnector(ssl=context, limit=0)
            self._http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            self._urls = [process.url for process in processes]
            yield processes

    def _configuration(self, folder: Path, broker: Mosquitto, shop: str) -> Path:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        (folder / "devices.pub").write_bytes(tokens.public_pem(self._key))
        (folder / "secrets.toml").write_text(f'mqtt_password = "{broker.passwords[GATEWAY]}"\n[webhook]\nkey = "shared"\n')
        (folder / "directory.toml").write_text("".join(map(_customer, self._serials)))
        sections: dict[str, dict[str, Any]] = {
            "gateway": {"adapter": "webhook", "directory": ["directory.toml"]},
            "webhook": {"url": shop},
            "tokens": {"keys": ["devices.pub"]},
            "http": {"bind": "127.0.0.1", "port": 0, "certificate": "server.pem", "key": "server.pem"},
            "mqtt": {"host": "localhost", "port": broker.service_port, "ca": str(broker.ca_pem), "user": GATEWAY},
            "admin": {"port": 0},
        }
        file = folder / "gateway.toml"
        with file.open("w") as text:
            text.write('secrets = "secrets.toml"\n')
            for section, keys in sections.items():
                # A JSON string, number or list is TOML's too.
                text.write(f"[{section}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))
        return file

    async def _flat_out(
        self, processes: list[Process], call: Callable[[str, int], Coroutine[Any, Any, None]], serials: list[str]
    ) -> dict[str, float]:
        """Calls as fast as they are answered."""
        waiting = enumerate(serials)
        busy, began = [process.cpu_s for process in processes], time.perf_counter()

        async def call_on() -> None:
            for number, serial in waiting:
                await call(serial, number)

        await asyncio.gather(*(call_on() for _ in range(CONNECTIONS * self._copies)))
        took = time.perf_counter() - began
        spent = [process.cpu_s - before for process, before in zip(processes, busy, strict=True)]
        return {"per_s": len(serials) / took, "per_cpu_s": len(serials) / sum(spent), "cpu_percent": max(spent) / took * 100}

    async def _paced(self, serials: list[str]) -> list[float]:
        """Percentiles in ms of orders that come at a rate which leaves the gateway time."""
        found: list[float] = []

        async def timed(serial: str, number: int) -> None:
            began = time.perf_counter()
            await self._order(serial, number)
            found.append((time.perf_counter() - began) * 1_000)

        tasks = []
        for number, serial in enumerate(serials):
            tasks.append(asyncio.create_task(timed(serial, number)))
            await asyncio.sleep(1 / PACED_PER_S)
        await asyncio.gather(*tasks)
        return statistics.quantiles(found, n=100)

    async def _order(self, serial: str, number: int) -> None:
        body = json.dumps({"intent_id": f"{serial}-Coffee-1", "slot": "Coffee", "quantity": 1, "reason": "low"})
        await self._call("POST", "/v1/replenish", serial, number, body)

    async def _read(self, serial: str, number: int) -> None:
        await self._call("GET", f"/v1/replenish/{serial}-Coffee-1", serial, number, None)

    async def _call(self, method: str, path: str, serial: str, number: int, body: str | None) -> None:
        headers = {"Authorization": f"Bearer {self._tokens[serial]}"}
        url = self._urls[number % self._copies] + path
        async with self._http.request(method, url, data=body, headers=headers) as answer:
            await answer.read()
            self.answers[answer.status] += 1


def _customer(serial: str) -> str:
    """A customer of one device with one slot."""
    address = 'address = {street = "1 Main St", locality = "Springfield", region = "IL", postal_code = "62701"}'
    item = '{sku = "COFFEE-1", title = "Coffee beans", price = "12.50"}'
    return f'[customers.{serial}]\nname = "Ada"\nemail = "a@example.com"\n{address}\ndevices = {{{serial} = {{Coffee = {item}}}}}\n'


def measure() -> list[dict[str, Any]]:
    """The figures of all runs. Raises SystemExit with a sentence on a machine that cannot do it."""
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        raise SystemExit("The gateway's benchmark needs two processor cores.")
    if not PROGRAM.exists():
        raise SystemExit(f"The gateway's benchmark needs {PROGRAM} (make mosquitto).")
    os.sched_setaffinity(0, {0})
    try:
        return [asyncio.run(Bench(copies).run()) for copies in RUNS]
    finally:
        os.sched_setaffinity(0, cores)


def tables(found: list[dict[str, Any]]) -> Iterator[str]:
    for what, title in (("orders", f"{DEVICES:,} new orders"), ("reads", f"{DEVICES * 3:,} questions how an order stands")):
        columns = {"per s": f"{what}_per_s", "% of a core": f"{what}_cpu_percent", "a core's second": f"{what}_per_cpu_s"}
        yield _table(f"{title}, as fast as they are answered ({CONNECTIONS} connections to each copy)", columns, found)
    columns = {"p50 ms": "paced_p50_ms", "p99 ms": "paced_p99_ms", "requests to the shop": "asked_per_order", "MB": "mb"}
    yield _table(f"Orders at {PACED_PER_S}/s, and what one takes", columns, found)


def _table(title: str, columns: dict[str, str], found: list[dict[str, Any]]) -> str:
    return table(title, ("copies", *columns), [(str(run["copies"]), *(run[name] for name in columns.values())) for run in found])


def judged(found: list[dict[str, Any]]) -> list[Budget]:
    return [
        Budget("intents that became two orders", sum(run["doubled"] for run in found), 0),
        Budget("intents that became none", sum(run["missing"] for run in found), 0),
        Budget("calls that were refused", sum(run["refused"] for run in found), 0),
    ]
