"""The device at its broker: what a connection, a ping and a message cost on the wire, what that makes of an idle day, and how long a
notice takes from the service to the device.

Bytes are counted by a proxy between io/mqtt.py, on the 32-bit MicroPython, and a real mosquitto, TLS included (an ECDSA chain of two,
TLS 1.2), without TCP's and IP's headers. The notices go the whole way: the simulated service's SNS, the relay as a process,
mosquitto, the Unix agent; milliseconds are this machine's.
"""

from __future__ import annotations

import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from host_tests.bench.budgets import Budget
from host_tests.bench.tables import table
from host_tests.mqtt.mosquitto import Mosquitto
from host_tests.scenarios.appliance import SLOT, Appliance
from host_tests.scenarios.interpreters import Interpreter
from host_tests.scenarios.relay import RelayProcess
from host_tests.unix_port import translate
from tools.run.appliance import SERIAL

PROGRAM = Path(__file__).with_name("uplink_device.py")
PINGS = 100
NOTICES = 20  # a day's notices that a device with one slot applies
_PING_S = 45  # io/mqtt.py _PING_MS
_DAY_S = 86_400
_HEADERS_BYTES = 40  # of TCP and IPv4 in a segment, without options
# A day of pings with their headers, in either direction; a phone's push connection is of this order.
_IDLE_DAY_BYTES = 400_000


class Proxy:
    """Forwards one connection at a time to a port of this machine, and counts. `counted`: bytes up, bytes down."""

    def __init__(self, port: int) -> None:
        self.counted = [0, 0]
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                device, _ = self._listener.accept()
            except OSError:
                return
            with device, socket.create_connection(("127.0.0.1", self._target)) as broker:
                self._forward(device, broker)

    def _forward(self, device: socket.socket, broker: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(device, selectors.EVENT_READ, (broker, 0))
            selector.register(broker, selectors.EVENT_READ, (device, 1))
            while True:
                for key, _ in selector.select():
                    target, way = key.data
                    data = key.fileobj.recv(65_536)  # type: ignore[union-attr]
                    if not data:
                        return
                    self.counted[way] += len(data)
                    target.sendall(data)

    def close(self) -> None:
        self._listener.close()


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return {"wire": _wire(Path(folder)), "latency_ms": _latency(Path(folder))}


def _wire(folder: Path) -> dict[str, list[int]]:
    """What each phase of uplink_device.py costs: [bytes up, bytes down]."""
    interpreter = Interpreter("micropython32")
    found = {}
    with Mosquitto(folder / "wire", devices={SERIAL: "opensesame-0815"}) as broker:
        proxy = Proxy(broker.port)
        arguments = str(proxy.port), str(broker.ca_der), SERIAL, broker.passwords[SERIAL], str(PINGS)
        environment = interpreter.environment()
        command = interpreter.command(translate.place(PROGRAM), *arguments, heap="512k")
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as device:
            assert device.stdin and device.stdout
            before = [0, 0]
            for line in device.stdout:
                now = list(proxy.counted)
                found[line.strip()] = [now[way] - before[way] for way in (0, 1)]
                before = now
                device.stdin.write("\n")
                device.stdin.flush()
        proxy.close()
    assert device.returncode == 0, found
    return found


def _latency(folder: Path) -> list[float]:
    """Milliseconds from a change at the service to the agent's word that it has applied the notice of it."""
    found = []
    clock = (int(time.time()), 1)
    with (
        Mosquitto(folder / "latency", devices={SERIAL: "opensesame-0815"}) as broker,
        Appliance(Interpreter("micropython32"), folder / "home", scale=1, broker=broker, heap="256k") as home,
        RelayProcess(folder / "relay", home.service, clock, broker) as relay,
    ):
        home.service.do(lambda service: service.sns.subscribe(relay.url, relay.ca_pem))
        home.service.wait_until(lambda service: service.sns.confirmed)
        agent = home.start()
        agent.expect(event="cloud", state="connected")
        for number in range(NOTICES):
            start = time.perf_counter()
            home.service.subscribe(SLOT, bool(number % 2))
            agent.expect(event="notice", result="applied")
            found.append((time.perf_counter() - start) * 1000)
    return found


def idle_day(wire: dict[str, list[int]]) -> int:
    """Bytes of a day without news: pings, one state, and the two connections around the day's reports; with TCP's and IP's headers."""
    pings = _DAY_S // _PING_S
    ping = sum(wire["pings"]) / PINGS + 3 * _HEADERS_BYTES  # the ping, its answer, and the acknowledgement of that
    return round(pings * ping + sum(wire["state"]) + sum(wire["again"]) + sum(wire["leave"]))


def tables(found: dict[str, Any]) -> Iterator[str]:
    wire, latency = found["wire"], sorted(found["latency_ms"])
    names = {
        "connect": "connect, new session, two subscriptions",
        "again": "connect, session kept, all heard",
        "leave": "leave",
        "pings": f"{PINGS} pings",
        "state": "a state of 600 bytes",
    }
    yield table("Bytes on the wire, TLS included", ("", "up", "down"), [(names[name], *wire[name]) for name in names])
    day = "pings each 45 s, one state, one absence for calls"
    yield table("An idle day, with TCP/IP headers", ("", "bytes"), [(day, idle_day(wire))])
    rows = [(f"{NOTICES} notices", round(statistics.median(latency), 1), round(latency[-1], 1))]
    yield table("From the service to the device, ms", ("", "p50", "most"), rows)


def judged(found: dict[str, Any]) -> list[Budget]:
    return [Budget("bytes of an idle day", idle_day(found["wire"]), _IDLE_DAY_BYTES)]


if __name__ == "__main__":
    sys.exit("python -m host_tests.bench --part uplink")
