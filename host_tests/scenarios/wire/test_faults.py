"""Faults on the wire, byte by byte, over real TCP and TLS, on each interpreter.

Whatever the wire does, a call returns within its own deadline plus a second, with the outcome that the laws name, leaves no
socket open, and the next call of the same client works. What the server saw and did is in its ledger, and each run checks there
that its fault happened.
"""

from __future__ import annotations

import itertools
import queue
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import trustme

from host_tests.fakes import answers
from host_tests.fakes.network import CLOSE, OPEN, RESET
from host_tests.scenarios.interpreters import Interpreter
from host_tests.scenarios.wire.certificates import Authority
from host_tests.scenarios.wire.device_process import Device, DeviceError
from host_tests.scenarios.wire.peer import CORRUPT, HALF_CLOSE, STALL, Cut, Fault, Ledger, Server

PATIENT_MS = 5000  # the deadline of calls that should not come near it
SHORT_MS = 300  # and of those that should run into it
ALLOWED_MS = 1000  # beyond a deadline
DEVICES = 2  # at a time


@dataclass(frozen=True)
class Case:
    """One run. `expected`: the outcome; empty: whatever the laws allow by the ledger, after a cut."""

    name: str
    fault: Fault
    expected: str = ""
    kept: bool = False  # whether the connection is to stay open
    timeout_ms: int = PATIENT_MS
    waits: bool = False  # until the deadline
    words: str = ""  # in the error


@dataclass(frozen=True)
class Shape:
    """One good call, as this interpreter makes it: bytes each way, and where the server's records begin."""

    bytes_in: int
    bytes_out: int
    records_in: list[int]
    records_out: list[int]


@dataclass
class Tally:
    """What a batch of runs came to."""

    runs: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def count(self, outcome: str) -> None:
        self.runs += 1
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


class Bench:
    """Runs cases on devices of one interpreter, two at a time."""

    def __init__(self, interpreter: Interpreter, authority: Authority, devices: list[Device]) -> None:
        self.interpreter = interpreter
        self.context = authority.context()
        self.devices = devices
        self.shape = self._learn()

    def _learn(self) -> Shape:
        with Server(self.context) as server:
            assert self.devices[0].call(server.endpoint, close=True)["outcome"] == "accepted"
        ledger = server.ledgers[0]
        sizes = [size for _, size in ledger.records_in()]
        return Shape(ledger.bytes_in, ledger.bytes_out, begins(sizes), begins(ledger.records_out))

    def run(self, cases: list[Case]) -> Tally:
        """Run all; the problems of all are in one AssertionError."""
        tally = Tally()
        waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
        for case in cases:
            waiting.put(case)
        started = time.monotonic()
        with ThreadPoolExecutor(DEVICES) as pool:
            for work in [pool.submit(self._work, device, waiting, tally) for device in self.devices]:
                work.result()
        assert not tally.problems, f"{len(tally.problems)} of {tally.runs} runs:\n" + "\n".join(tally.problems[:20])
        assert tally.runs == len(cases)
        print(f"{self.interpreter.name}: {tally.runs} runs in {time.monotonic() - started:.1f} s, {tally.outcomes}")
        return tally

    def _work(self, device: Device, waiting: queue.SimpleQueue[Case], tally: Tally) -> None:
        while True:
            try:
                case = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                tally.count(self._run_one(device, case))
            except (AssertionError, DeviceError) as error:
                tally.count("a problem")
                tally.problems.append(f"{case.name}: {error}")

    def _run_one(self, device: Device, case: Case) -> str:
        with Server(self.context, case.fault) as server:
            report = device.call(server.endpoint, timeout_ms=case.timeout_ms)
            if case.fault.cut:
                # After a whole answer the connection is kept; the reset that follows it must be there before the next call.
                assert server.wait_for(lambda ledger: ledger.done), "the fault did not happen"
            after = device.call(server.endpoint, timeout_ms=PATIENT_MS, close=True)
        ledger = server.ledgers[0]
        check_happened(case, ledger)
        check_report(case, report)
        check_outcome(report, case.expected.split("|") if case.expected else lawful(case.fault, ledger, self.shape), ledger)
        check_next_call(after)
        outcome: str = report["outcome"]
        return outcome


def begins(sizes: list[int]) -> list[int]:
    """Where each record begins, and where the last one ends."""
    return list(itertools.accumulate(sizes, initial=0))


def check_happened(case: Case, ledger: Ledger) -> None:
    fault, cut = case.fault, case.fault.cut
    if cut:
        assert ledger.done == cut.how, "the fault did not happen"
        if cut.how in (RESET, CLOSE):
            assert cut.at == (ledger.bytes_in if cut.way == "in" else ledger.bytes_out)
    elif fault.pace_s:
        assert ledger.bytes_out > fault.pace_from, "the fault did not happen"
    else:
        assert ledger.requests, "the request did not come"
        assert fault.end == OPEN or ledger.done == fault.end


def check_report(case: Case, report: dict[str, Any]) -> None:
    assert report["raised"] is None, report["raised"]
    assert report["ms"] <= case.timeout_ms + ALLOWED_MS, f"took {report['ms']} ms"
    assert not case.waits or report["ms"] >= case.timeout_ms, f"ended after {report['ms']} ms: {report['error']}"
    # After a whole answer the device cannot know yet that the connection is over.
    kept = case.kept or (not case.expected and report["outcome"] == "accepted")
    assert report["open"] == (1 if kept else 0), f"{report['open']} descriptors are open"
    assert case.words in report["error"], report["error"]


def check_outcome(report: dict[str, Any], expected: list[str], ledger: Ledger) -> None:
    found = report["outcome"]
    if found in ("accepted", "in_progress") and report["detail"][0]:
        found += "!"
    assert found in expected, f"{found}, not {expected}: {report['error']}"
    assert report["sent"] or not ledger.requests, "the server has the request, and the device says that it had not left"
    assert (found == "not_acted") == (report["status"] in (408, 425, 429, 503) or not report["sent"])


def check_next_call(after: dict[str, Any]) -> None:
    assert (after["raised"], after["outcome"]) == (None, "accepted"), f"no next call: {after}"
    assert after["closed"] == 0, "a descriptor is lost"


def lawful(fault: Fault, ledger: Ledger, shape: Shape) -> list[str]:
    """The outcomes that the laws allow after a cut, by what the server saw."""
    cut = fault.cut
    assert cut
    whole = cut.way == "out" and cut.at >= shape.bytes_out and cut.how != CORRUPT
    if ledger.requests and whole:
        return ["accepted!", "unknown"] if cut.how == RESET else ["accepted!"]  # a reset can overtake what was sent before
    if ledger.requests:
        return ["unknown"]
    shaken = ledger.handshake_out and ledger.bytes_out >= ledger.handshake_out and cut.how != CORRUPT
    return ["not_acted", "unknown"] if shaken else ["not_acted"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("wire") / "ca.der", trustme.KeyType.RSA)


@pytest.fixture(scope="module")
def bench(interpreter: Interpreter, authority: Authority) -> Iterator[Bench]:
    with ExitStack() as stack:
        devices = [stack.enter_context(Device(interpreter, [authority.place])) for _ in range(DEVICES)]
        yield Bench(interpreter, authority, devices)


def test_a_reset_at_every_byte(bench: Bench) -> None:
    """Of everything that the device sends, and of everything that the server sends."""
    ways = (("in", bench.shape.bytes_in), ("out", bench.shape.bytes_out))
    found = bench.run([Case(f"reset, {way} {at}", Fault(cut=Cut(way, at, RESET))) for way, size in ways for at in range(size + 1)])
    assert found.runs >= 1800
    assert min(found.outcomes["not_acted"], found.outcomes["unknown"]) >= 100


def places(bounds: list[int]) -> list[int]:
    """In each record: before it, inside and after its header, in the middle and before its last byte."""
    found = {bounds[-1]}
    for first, end in itertools.pairwise(bounds):
        found.update((first, first + 1, first + 4, first + 5, (first + end) // 2, end - 1))
    return sorted(found)


def test_a_stall_inside_each_record(bench: Bench) -> None:
    shape = bench.shape
    cuts = [Cut("out", at, STALL) for at in places(shape.records_out)[:-1]]
    cuts += [Cut("in", at, STALL) for at in shape.records_in]
    found = bench.run([Case(f"stall, {cut}", Fault(cut=cut), timeout_ms=SHORT_MS, waits=True) for cut in cuts])
    assert found.runs >= 35


def test_an_end_inside_each_record(bench: Bench) -> None:
    shape = bench.shape
    cuts = [Cut("out", at, how) for at in places(shape.records_out) for how in (CLOSE, HALF_CLOSE)]
    cuts += [Cut("in", at, how) for at in places(shape.records_in) for how in (CLOSE, HALF_CLOSE)]
    found = bench.run([Case(f"end, {cut}", Fault(cut=cut)) for cut in cuts])
    assert found.runs >= 100


def test_a_flipped_bit(bench: Bench) -> None:
    """In the handshake, in a header, in an answer: TLS notices all of it, at the latest when the record does not end."""
    faults = [Fault(cut=Cut("out", at, CORRUPT)) for at in range(0, bench.shape.bytes_out, 7)]
    found = bench.run([Case(f"flipped, {fault.cut}", fault, timeout_ms=SHORT_MS) for fault in faults])
    assert found.runs >= 180


def test_every_answer(bench: Bench) -> None:
    """Answers that are broken, odd or merely rare. The table says what each is to come to."""
    cases = []
    for name, raw, end, expected, kept in answers.rows():
        if end == RESET and bench.interpreter.is_cpython:
            expected += "|accepted!"  # to CPython's TLS a reset is now and then a plain end
        may_wait = end == OPEN and expected == "unknown" and not kept
        cases.append(Case(name, Fault(((raw,),), end), expected, kept, SHORT_MS if may_wait else PATIENT_MS))
    assert bench.run(cases).runs >= 150


def endless(name: str, first: bytes, then: bytes) -> Case:
    fault = Fault((itertools.chain([first], itertools.repeat(then)),))
    return Case(name, fault, "unknown", words="over")


def test_answers_without_end(bench: Bench) -> None:
    """The device gives up at its limit, long before its deadline."""
    block = 4096
    line = itertools.chain([answers.STATUS + b"X-A: "], [b"a" * block] * 512, [b"\r\n" + answers.LENGTH + b"\r\n" + answers.BODY])
    cases = [
        Case("a header line of 2 MB", Fault((line,)), "unknown", words="header over"),
        endless("one header", answers.STATUS + b"X-A: ", b"a" * block),
        endless("many headers", answers.STATUS, b"X-A: b\r\n" * 500),
        endless("a header in small records", answers.STATUS + b"X-A: ", b"a"),
        endless("interim answers", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        endless("a body until the end", answers.plain(b"", b""), b"b" * block),
        endless("chunks", answers.chunked(b""), answers.chunk(b"c" * 2000)),
        endless("trailers", answers.chunked(answers.HALVES + b"0\r\n"), b"X-A: b\r\n"),
        endless("a body beyond the limit", answers.plain(b"Content-Length: 99999999\r\n", b""), b"b" * block),
    ]
    assert bench.run(cases).outcomes == {"unknown": len(cases)}


def test_one_byte_at_a_time(bench: Bench) -> None:
    """Each byte comes long before the deadline. Whether the call goes well depends on the sum alone."""
    shape = bench.shape
    single = tuple(answers.GOOD[i : i + 1] for i in range(len(answers.GOOD)))
    answer_at = shape.records_out[-2]
    def slow(name: str, expected: str, first: int) -> Case:
        fault = Fault(pace_s=SHORT_MS / 20_000, pace_from=first)
        return Case(name, fault, expected, timeout_ms=SHORT_MS, waits=True)

    cases = [
        slow("all", "not_acted", 0),
        slow("from within the handshake", "not_acted", shape.records_out[1] + 30),
        slow("the answer", "unknown", answer_at),
        slow("the body", "unknown", answer_at + 100),
        Case("the answer, quick enough", Fault(pace_s=0.001, pace_from=answer_at), "accepted!", kept=True),
        Case("each byte a record", Fault((single,)), "accepted!", kept=True),
    ]
    assert bench.run(cases).runs == len(cases)


ORDER = b'{"orderInfoData":{"instanceId":"amzn1.dash.v2.o.1","orderItems":[%s]}}'
ITEM = b'{"asin":"B","expectedDeliveryDate":%s,"quantity":1,"slotId":"PaperTowel","status":%s}'
OTHER_CALLS = [
    ("order_info", ORDER % (ITEM % (b"null", b'"Processing"')), "ok"),
    ("order_info", ORDER % (ITEM % (b'"soon"', b'"Teleported"')), "ok"),
    ("order_info", ORDER % (ITEM % (b"7", b"null")), "ok"),
    ("order_info", ORDER % b"null,5,[]", "ok"),
    ("order_info", b'{"orderInfoData":null}', "unknown"),
    ("order_info", b'{"orderInfoData":{"instanceId":null,"orderItems":[]}}', "unknown"),
    ("order_info", b'{"orderInfoData":{"orderItems":{}}}', "unknown"),
    ("order_info", b"[]", "unknown"),
    ("subscription_info", b'{"slotsSubscriptionStatus":{"PaperTowel":true}}', "ok"),
    ("subscription_info", b'{"slotsSubscriptionStatus":{"PaperTowel":null,"b":{"subscribed":"yes"},"c":[]}}', "ok"),
    ("subscription_info", b'{"slotsSubscriptionStatus":[]}', "unknown"),
    ("subscription_info", b"true", "unknown"),
    ("device_status", b"", "ok"),
    ("device_status", b"no JSON", "ok"),
    ("token", b'{"access_token":"Atza|x","expires_in":3600}', "ok"),
    ("token", b'{"access_token":null,"expires_in":3600}', "not_acted"),
    ("token", b'{"access_token":"a b","expires_in":3600}', "not_acted"),
    ("token", b'{"access_token":"Atza|x","expires_in":"never"}', "not_acted"),
    ("token", b'{"access_token":"Atza|x"}', "not_acted"),
    ("token", b'["Atza|x"]', "not_acted"),
    ("token", b"", "not_acted"),
]


def test_odd_answers_to_the_other_calls(bench: Bench) -> None:
    """Null dates, unknown statuses, wrong types: none of it is more than the service really said."""
    for call, body, expected in OTHER_CALLS:
        with Server(bench.context, Fault(((answers.sized(body),),))) as server:
            report = bench.devices[0].call(server.endpoint, call=call, close=True)
        assert (report["raised"], report["outcome"], report["closed"]) == (None, expected, 0), (call, body, report)


class Listener:
    """A port without a server behind it, where three things can happen to a connection."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._made: list[socket.socket] = []

    def __enter__(self) -> str:
        listener = socket.socket()
        self._made.append(listener)
        listener.bind(("127.0.0.1", 0))
        if self._kind != "refused":
            listener.listen(0)
        if self._kind == "no answer to SYN":
            self._fill(listener.getsockname())
        return f"https://localhost:{listener.getsockname()[1]}"

    def _fill(self, address: tuple[str, int]) -> None:
        """Connect until the kernel answers no more: the queue of a listener that nobody empties is full."""
        for _ in range(8):
            sock = socket.socket()
            self._made.append(sock)
            sock.settimeout(0.2)
            try:
                sock.connect(address)
            except TimeoutError:
                return
        raise AssertionError("the fault did not happen: the queue does not fill")

    def __exit__(self, *_: object) -> None:
        for sock in self._made:
            sock.close()


@pytest.mark.parametrize("kind", ["refused", "no answer to SYN", "never accepted"])
def test_no_server_behind_the_port(bench: Bench, kind: str) -> None:
    timeout_ms = PATIENT_MS if kind == "refused" else SHORT_MS
    with Listener(kind) as endpoint:
        for _ in range(3):
            report = bench.devices[0].call(endpoint, timeout_ms=timeout_ms)
            assert (report["raised"], report["outcome"], report["sent"], report["open"]) == (None, "not_acted", False, 0)
            assert report["ms"] <= timeout_ms + ALLOWED_MS
            assert (report["ms"] < timeout_ms) == (kind == "refused")
    with Server(bench.context) as server:
        check_next_call(bench.devices[0].call(server.endpoint, close=True))
