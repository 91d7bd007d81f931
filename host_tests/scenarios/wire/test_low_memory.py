"""Calls in a heap that really is full, from nothing left up to enough, on the Unix ports with real sockets and real TLS."""

from __future__ import annotations

import ssl
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trustme

from host_tests.scenarios.interpreters import NAMES, Interpreter
from host_tests.scenarios.wire.certificates import Authority
from host_tests.scenarios.wire.device_process import Device
from host_tests.scenarios.wire.peer import Server

HEAP = "128k"
MOST = 5120  # bytes left, with which a call goes well on every interpreter
STEP = 16
ROOM_FOR_AN_ANSWER = 1024  # bytes, with 64-bit objects and whatever else is in the way


class Bench:
    """One device, and how many descriptors its interpreter has lost.

    The Unix port opens a socket before it has the memory for its object, and forgets the descriptor when there is none (the
    ESP32's takes the memory first). The firmware cannot mend that; such a socket was never connected, and is told by that.
    """

    def __init__(self, device: Device, context: ssl.SSLContext) -> None:
        self._device = device
        self._context = context
        self.lost = 0

    def call_with(self, left: int) -> str:
        """One call in so many bytes, and a good one after it; returns what the first came to."""
        with Server(self._context) as server:
            report = self._device.call(server.endpoint, left=left, close=True)
        if report["closed"] > self.lost and not server.ledgers:
            self.lost += 1
        assert report["open"] == self.lost + (report.get("outcome") == "accepted"), f"{left} bytes left: {report}"
        assert report["closed"] == self.lost
        self._check_next_call(left)
        return judged(report, left, sum(ledger.requests for ledger in server.ledgers))

    def _check_next_call(self, left: int) -> None:
        with Server(self._context) as server:
            after = self._device.call(server.endpoint, close=True)
        found = (after["raised"], after["outcome"], after["closed"])
        assert found == (None, "accepted", self.lost), f"{left} bytes left, then: {after}"


def judged(report: dict[str, Any], left: int, received: int) -> str:
    """What a call came to, after checking that it is true: the server has received so many requests."""
    if report["raised"]:
        assert "MemoryError" in report["raised"] and left < ROOM_FOR_AN_ANSWER, f"{left} bytes left: {report['raised']}"
        return "raised"
    if report["outcome"] == "accepted":
        return "accepted"
    assert "memory" in report["error"] or report["detail"][-1] == "200 without a usable detailCode", f"{left} bytes left: {report}"
    assert report["sent"] == (report["outcome"] == "unknown")
    assert report["sent"] or not received, f"{left} bytes left: it says that the request had not left"
    return str(report["outcome"])


@pytest.mark.parametrize("interpreter", NAMES[1:], indirect=True)
def test_calls_in_a_full_heap(interpreter: Interpreter, tmp_path: Path) -> None:
    """CPython has no heap of a fixed size; test_memory_at_every_line.py stands in for it."""
    authority = Authority(tmp_path / "ca.der", trustme.KeyType.RSA)
    with Device(interpreter, [authority.place], HEAP) as device:
        bench = Bench(device, authority.context())
        found = Counter(bench.call_with(left) for left in range(0, MOST + 1, STEP))
    print(f"{interpreter.name}: {dict(found)}, {bench.lost} descriptors lost by the interpreter")
    assert found["not_acted"] >= 50 and found["accepted"] >= 20, found
    assert bench.lost <= 12
