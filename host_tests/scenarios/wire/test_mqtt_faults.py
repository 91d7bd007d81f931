"""Faults on the wire of a conversation with the broker, at every byte that the broker sends, on each interpreter.

Whatever the wire does, each call of `mqtt.Link` returns within its deadline plus a second, by success, OSError or ProtocolError; no
socket stays open, and the next connection of the same process is whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from host_tests.fakes.network import CLOSE, RESET
from host_tests.scenarios.interpreters import Interpreter
from host_tests.scenarios.wire.certificates import Authority
from host_tests.scenarios.wire.device_process import GRACE_S, Device
from host_tests.scenarios.wire.mqtt_peer import Broker
from host_tests.scenarios.wire.peer import CORRUPT, GARBAGE, HALF_CLOSE, STALL, Cut, Fault, Ledger, Server

SCRIPT = Path(__file__).with_name("mqtt_device.py")
DONE = 6  # steps of a whole conversation
PATIENT_MS = 5000  # the deadline of calls that should not come near it
SHORT_MS = 150  # and of those that should run into it
ALLOWED_MS = 1000  # beyond a deadline
DEVICES = 6  # at a time: most of them wait
PACE_S = 0.04  # so that four bytes are too slow
WELL = Fault()
WELL_PLAIN = Fault(plain=True)


@dataclass
class Tally:
    """What many conversations came to: how many ended in each step, and by which exception."""

    steps: dict[int, int] = field(default_factory=dict)
    raised: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    runs: int = 0

    def count(self, step: int, raised: str) -> None:
        self.runs += 1
        self.steps[step] = self.steps.get(step, 0) + 1
        self.raised[raised] = self.raised.get(raised, 0) + 1


class Bench:
    """Devices of one interpreter, each of which has a share of the conversations."""

    def __init__(self, interpreter: Interpreter, authority: Authority, devices: list[Device]) -> None:
        self.interpreter = interpreter
        self._context = authority.context()
        self._devices = devices
        self.shaken, self.size = self._learn(WELL)
        # Sockets of CPython have no method `readinto`.
        self.plain_size = 0 if interpreter.is_cpython else self._learn(WELL_PLAIN)[1]

    def _learn(self, well: Fault) -> tuple[int, int]:
        """Bytes that the broker sends in a good conversation: those of the handshake, and all."""
        with Broker(self._context, well) as broker:
            assert self._have(self._devices[0], broker, [well], PATIENT_MS)[0][0] == DONE
        ledger = broker.ledgers[0]
        assert ledger.requests == 7, "CONNECT, two SUBSCRIBE, PUBACK, PINGREQ, PUBLISH, DISCONNECT"
        return ledger.handshake_out, ledger.bytes_out

    def _have(self, device: Device, broker: Server, faults: list[Fault], timeout_ms: int) -> list[tuple[int, int, str, str, int]]:
        count = len(faults)
        asked = {"port": broker.port, "timeout_ms": timeout_ms, "plain": [fault.plain for fault in faults]}
        device.tell(asked, count * DONE * timeout_ms / 1000 + GRACE_S)
        found: list[tuple[int, int, str, str, int]] = device.result()  # type: ignore[assignment]
        assert len(found) == count
        return found

    def run(self, faults: list[Fault], timeout_ms: int) -> Tally:
        """Have a conversation with each fault, and after each a good one. The problems of all are in one AssertionError."""
        tally = Tally()
        started = time.monotonic()
        with ThreadPoolExecutor(DEVICES) as pool:
            shares = [faults[number::DEVICES] for number in range(DEVICES)]
            for work in [pool.submit(self._work, *pair, timeout_ms, tally) for pair in zip(self._devices, shares, strict=True)]:
                work.result()
        assert not tally.problems, f"{len(tally.problems)} of {tally.runs} runs:\n" + "\n".join(tally.problems[:20])
        assert tally.runs == len(faults)
        seconds = time.monotonic() - started
        print(f"{self.interpreter.name}: {tally.runs} runs in {seconds:.1f} s, steps {sorted(tally.steps.items())}, {tally.raised}")
        return tally

    def _work(self, device: Device, share: list[Fault], timeout_ms: int, tally: Tally) -> None:
        if not share:
            return
        each = [one for fault in share for one in (fault, WELL_PLAIN if fault.plain else WELL)]
        with Broker(self._context, *each) as broker:
            found = self._have(device, broker, each, timeout_ms)
        for number, fault in enumerate(share):
            step, longest_ms, raised, said, left_open = found[2 * number]
            tally.count(step, raised)
            try:
                check_happened(fault, broker.ledgers[2 * number])
                assert longest_ms <= timeout_ms + ALLOWED_MS, f"a call took {longest_ms} ms"
                assert not left_open, "a descriptor is open"
                assert (step == DONE) == (not raised) and raised in ("", "OSError", "ProtocolError"), f"{raised}: {said}"
                assert step < DONE or fault.pace_s, "the conversation went well"
                assert found[2 * number + 1][0] == DONE, f"the next one: {found[2 * number + 1]}"
            except AssertionError as error:
                tally.problems.append(f"{fault}: step {step}: {error}")


def check_happened(fault: Fault, ledger: Ledger) -> None:
    if fault.cut:
        assert ledger.done == fault.cut.how, "the fault did not happen"
        assert fault.cut.how == CORRUPT or ledger.bytes_out == fault.cut.at
    else:
        assert ledger.bytes_out > fault.pace_from, "the fault did not happen"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("mqtt") / "ca.der", trustme.KeyType.RSA)


@pytest.fixture(scope="module")
def bench(interpreter: Interpreter, authority: Authority) -> Iterator[Bench]:
    with ExitStack() as stack:
        devices = [stack.enter_context(Device(interpreter, [authority.place], script=SCRIPT)) for _ in range(DEVICES)]
        yield Bench(interpreter, authority, devices)


HOWS = (STALL, CLOSE, RESET, HALF_CLOSE, GARBAGE)
TLS_HOWS = (*HOWS, CORRUPT)


def cut(at: int, how: str, plain: bool = False) -> Fault:
    return Fault(cut=Cut("out", at, how), plain=plain)


def test_a_fault_at_every_byte(bench: Bench) -> None:
    """At each byte two of the six ways, by turns."""
    half = len(TLS_HOWS) // 2
    offsets = range(bench.shaken, bench.size)
    found = bench.run([cut(at, TLS_HOWS[(at + add) % (2 * half)]) for at in offsets for add in (0, half)], SHORT_MS)
    assert found.runs >= 400
    assert min(found.steps[step] for step in range(DONE)) >= 30


def test_a_fault_at_every_byte_without_tls(bench: Bench) -> None:
    """A byte of MQTT is a byte on the wire: what `Link` has read is half a packet."""
    found = bench.run([cut(at, how, plain=True) for at in range(bench.plain_size) for how in HOWS], SHORT_MS)
    assert bench.interpreter.is_cpython or found.runs >= 200 and min(found.steps[step] for step in range(DONE)) >= 10


def test_a_fault_in_the_handshake(bench: Bench) -> None:
    found = bench.run([cut(at, how) for at in range(0, bench.shaken, 100) for how in TLS_HOWS], SHORT_MS)
    assert found.steps == {0: found.runs}


def test_one_byte_at_a_time(bench: Bench) -> None:
    """Whether a call goes well depends on its sum alone."""
    faults = [Fault(pace_s=PACE_S, pace_from=at) for at in range(0, bench.size - 2, 60)]
    faults += [Fault(pace_s=PACE_S, pace_from=at, plain=True) for at in range(bench.plain_size - 1)]
    found = bench.run(faults, SHORT_MS)
    assert found.steps[0] and found.steps.get(DONE, 0) < found.runs / 2


def test_one_byte_at_a_time_and_soon_enough(bench: Bench) -> None:
    found = bench.run([Fault(pace_s=0.001, plain=plain) for plain in (False, bench.plain_size > 0)], PATIENT_MS)
    assert found.steps == {DONE: 2}
