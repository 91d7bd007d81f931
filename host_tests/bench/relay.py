"""The relay under load: signed messages in by HTTPS, notices out through mosquitto to thousands of devices, all on this machine.

Each relay is a process on one core, as `make relay` runs it: TLS on both sides, signatures verified, a message acknowledged to
the sender only after PUBACK. The load tool, the devices and the broker have the other core, and a second relay shares it with
them. The devices come in by plain TCP: their ten thousand TLS connections would cost the load tool and the broker, not the relay.
Speeds are this machine's; what is judged is what no machine changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import resource
import ssl
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from host_tests.bench.budgets import Budget
from host_tests.bench.fleet import PASSWORD, Fleet
from host_tests.bench.poster import Poster, request
from host_tests.bench.process import Process
from host_tests.bench.tables import table
from host_tests.cloud.sender import TOPIC, Host, drs_message, stamp
from host_tests.mqtt.mosquitto import PREFIX, PROGRAM, RELAY, Mosquitto
from tools.cloud.settings import PASSWORD_VARIABLE

# (copies of the relay, devices that are connected)
RUNS = ((1, 0), (1, 1_000), (1, 10_000), (2, 10_000))
CONNECTIONS = 32  # of the sender to each relay, more than one core can serve at once
WARM_UP = 300
FLAT_OUT = 6_000  # messages as fast as they are taken
PACED = 2_000  # messages at a rate that leaves the relay time
PACED_PER_S = 100
REPEATED = 200  # messages that go to both relays, as when SNS posts again what the first one was slow to answer
SETTLE_S = 20.0  # what has not arrived by then is lost
_SPARE_FILES = 500
# More would be memory for each device, of which there can be a million.
_GROWTH_MB = 4


@dataclass
class Messages:
    """What was posted, by number: when, with what answer, and when and how often it reached its device."""

    posted: dict[int, float] = field(default_factory=dict)
    answers: Counter[int] = field(default_factory=Counter)
    first: dict[int, float] = field(default_factory=dict)
    times: Counter[int] = field(default_factory=Counter)

    def arrived(self, payload: bytes) -> None:
        """A device got one; its number stands in the notification's id."""
        number = int(payload.partition(b'"n.')[2].partition(b'"')[0])
        self.times[number] += 1
        self.first.setdefault(number, time.perf_counter())

    def latency_ms(self, numbers: range) -> tuple[float, float]:
        """Median and 99th percentile from POST to device."""
        found = [(self.first[number] - self.posted[number]) * 1000 for number in numbers if number in self.first]
        parts = statistics.quantiles(found, n=100)
        return parts[49], parts[98]


class Bench:
    """One run: a broker, so many devices, so many relays."""

    def __init__(self, copies: int, devices: int) -> None:
        self._copies = copies
        self._count = devices
        self._serials = [f"SN{number:06}" for number in range(devices or 1_000)]
        self._chance = random.Random(7)
        self.messages = Messages()

    async def run(self) -> dict[str, Any]:
        """The figures."""
        with tempfile.TemporaryDirectory() as name:
            async with self._set_up(Path(name)) as (relays, poster):
                at_start = relays[0].resident_mb
                await self._flat_out(range(WARM_UP), poster)
                flat = await self._measured_flat_out(relays, poster)
                paced = range(WARM_UP + FLAT_OUT, WARM_UP + FLAT_OUT + PACED)
                await self._paced(paced, poster)
                repeated = range(paced.stop, paced.stop + (REPEATED if self._copies > 1 else 0))
                await asyncio.gather(*(self._post(number, poster, copy) for number in repeated for copy in range(2)))
                await self._settle()
                memory = {"mb_at_start": at_start, "mb_at_end": max(relay.resident_mb for relay in relays)}
                return {"copies": self._copies, "devices": self._count, **flat, **memory, **self.delivered(paced, repeated)}

    @contextlib.asynccontextmanager
    async def _set_up(self, folder: Path) -> AsyncIterator[tuple[list[Process], Poster]]:
        connected = self._serials[: self._count]
        async with contextlib.AsyncExitStack() as stack:
            passwords = dict.fromkeys(connected, PASSWORD)
            broker = stack.enter_context(Mosquitto(folder / "mosquitto", passwords, plain=True, settings=_QUIET))
            host = await stack.enter_async_context(Host(folder))
            await stack.enter_async_context(Fleet(broker.plain_port or 0, connected, PREFIX, self.messages.arrived))
            config = self._configuration(folder, host, broker)
            relays = [Process(core) for core in (1, 0)[: self._copies]]
            for relay in relays:
                await relay.start("tools.cloud", config, {PASSWORD_VARIABLE: broker.passwords[RELAY]})
                stack.push_async_callback(relay.stop)
            self._requests = list(self._signed(host, relays[0].url))
            urls = [relay.url for relay in relays]
            yield relays, await stack.enter_async_context(Poster(urls, ssl.create_default_context(cafile=host.ca_pem), CONNECTIONS))

    def _configuration(self, folder: Path, host: Host, broker: Mosquitto) -> Path:
        certificate, key = host.issue(folder, "relay")
        sections: dict[str, dict[str, Any]] = {
            "sns": {"topics": [TOPIC], "hosts": [host.name], "ca": str(host.ca_pem)},
            "http": {"bind": "127.0.0.1", "port": 0, "certificate": str(certificate), "key": str(key)},
            "mqtt": {"host": "localhost", "port": broker.service_port, "ca": str(broker.ca_pem), "user": RELAY},
            "admin": {"port": 0},
        }
        file = folder / "relay.toml"
        with file.open("w") as text:
            for section, keys in sections.items():
                # A JSON string, number or list is TOML's too.
                text.write(f"[{section}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))
        return file

    def _signed(self, host: Host, url: str) -> Iterator[bytes]:
        """All messages of the run, each to a device by chance. Signed before anything is measured."""
        for number in range(WARM_UP + FLAT_OUT + PACED + REPEATED):
            message = drs_message(self._chance.choice(self._serials), number)
            yield request(url, host.sender.notification(message, "2", Timestamp=stamp(datetime.now(UTC))))

    async def _measured_flat_out(self, relays: list[Process], poster: Poster) -> dict[str, float | None]:
        numbers = range(WARM_UP, WARM_UP + FLAT_OUT)
        busy, began = [relay.cpu_s for relay in relays], time.perf_counter()
        await self._flat_out(numbers, poster)
        took = time.perf_counter() - began
        spent = [relay.cpu_s - before for relay, before in zip(relays, busy, strict=True)]
        await self._settle()
        return {
            "messages_per_s": FLAT_OUT / took,
            "messages_per_cpu_s": FLAT_OUT / sum(spent),
            "cpu_percent": max(spent) / took * 100,
            **self._latency("flat_out", numbers),
        }

    async def _flat_out(self, numbers: range, poster: Poster) -> None:
        waiting = iter(numbers)

        async def post_on() -> None:
            for number in waiting:
                await self._post(number, poster)

        await asyncio.gather(*(post_on() for _ in range(CONNECTIONS * self._copies)))

    async def _paced(self, numbers: range, poster: Poster) -> None:
        """At times by chance, and at those times whatever the relay does."""
        posts, due = [], time.perf_counter()
        for number in numbers:
            due += self._chance.expovariate(PACED_PER_S)
            await asyncio.sleep(max(0, due - time.perf_counter()))
            posts.append(asyncio.create_task(self._post(number, poster)))
        await asyncio.gather(*posts)

    async def _post(self, number: int, poster: Poster, copy: int | None = None) -> None:
        self.messages.posted.setdefault(number, time.perf_counter())
        self.messages.answers[await poster.post(self._requests[number], copy)] += 1

    async def _settle(self) -> None:
        """Wait until all that was posted has arrived, if there is anybody to arrive at."""
        end = time.monotonic() + SETTLE_S
        while self._count and self.messages.times.total() < self.messages.answers.total() and time.monotonic() < end:
            await asyncio.sleep(0.01)

    def _latency(self, name: str, numbers: range) -> dict[str, float | None]:
        if not self._count:
            return {f"{name}_p50_ms": None, f"{name}_p99_ms": None}
        median, high = self.messages.latency_ms(numbers)
        return {f"{name}_p50_ms": median, f"{name}_p99_ms": high}

    def delivered(self, paced: range, repeated: range) -> dict[str, Any]:
        """What became of the messages; paced: those whose latency counts; repeated: those that went to both relays."""
        found = self.messages
        twice = sum(1 for number, times in found.times.items() if times > 1)
        return {
            **self._latency("paced", paced),
            "posted": sum(found.answers.values()),
            "refused": found.answers.total() - found.answers[200],
            "lost": len(found.posted) - len(found.first) if self._count else 0,
            "repeated": len(repeated),
            "doubled": twice - sum(1 for number in repeated if found.times[number] > 1),
            "doubled_of_repeated": sum(1 for number in repeated if found.times[number] > 1),
        }


# The broker's log of each packet would be a good part of its work.
_QUIET = {"log_type": ("information", "error"), "persistence": "false"}


def raise_file_limit(files: int) -> None:
    """Let this process and the broker have so many open files. Raises SystemExit with a sentence where the system forbids it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < files:
        raise SystemExit(f"The relay's benchmark needs {files:,} open files in one process; this system allows {hard:,} (ulimit -Hn).")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, files), hard))


def measure() -> list[dict[str, Any]]:
    """The figures of all runs. Raises SystemExit with a sentence on a machine that cannot do it."""
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("The relay's benchmark needs two processor cores.")
    if not PROGRAM.exists():
        raise SystemExit(f"The relay's benchmark needs {PROGRAM} (make mosquitto).")
    raise_file_limit(max(devices for _, devices in RUNS) + _SPARE_FILES)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    try:
        return [asyncio.run(Bench(*run).run()) for run in RUNS]
    finally:
        os.sched_setaffinity(0, cores)


def tables(found: list[dict[str, Any]]) -> Iterator[str]:
    yield _table(
        f"{FLAT_OUT:,} messages as fast as they are taken ({CONNECTIONS} connections to each relay); CPU and memory of one relay",
        {"messages/s": "messages_per_s", "% of a core": "cpu_percent", "a core's second": "messages_per_cpu_s"}
        | {"p50 ms": "flat_out_p50_ms", "p99 ms": "flat_out_p99_ms", "MB at start": "mb_at_start", "MB at end": "mb_at_end"},
        found,
    )
    yield _table(
        f"From POST to device at {PACED_PER_S} messages/s, and what became of all messages",
        {"p50 ms": "paced_p50_ms", "p99 ms": "paced_p99_ms"}
        | {name: name for name in ("posted", "refused", "lost", "doubled")}
        | {"posted to both": "repeated", "of these doubled": "doubled_of_repeated"},
        found,
    )


def _table(title: str, columns: dict[str, str], found: list[dict[str, Any]]) -> str:
    rows = [(str(run["copies"]), run["devices"], *(_shown(run[name]) for name in columns.values())) for run in found]
    return table(title, ("relays", "devices", *columns), rows)


def _shown(figure: float | None) -> float | str:
    return "-" if figure is None else figure


def judged(found: list[dict[str, Any]]) -> list[Budget]:
    alone = {run["devices"]: run["mb_at_end"] for run in found if run["copies"] == 1}
    return [
        Budget("messages lost", sum(run["lost"] for run in found), 0),
        Budget("messages refused", sum(run["refused"] for run in found), 0),
        Budget("messages doubled that were posted once", sum(run["doubled"] for run in found), 0),
        Budget(f"MB more for {max(alone):,} devices than for {min(alone)}", alone[max(alone)] - alone[min(alone)], _GROWTH_MB),
    ]
