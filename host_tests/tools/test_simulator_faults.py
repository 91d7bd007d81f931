"""Each fault, over real TLS: what the client sees, and what the service did."""

import contextlib
import email.utils
import http.client
import itertools
import json
import os
import select
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest

from host_tests.tools.simulator_client import as_bytes, over_tls, raw_socket, refresh_request, request, send, until_end
from tools.simulator import Clock, SimulatorThread
from tools.simulator.faults import KINDS, FaultQueue, parse

START = 1_700_000_000
SERIALS = (f"SN-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def running() -> Iterator[SimulatorThread]:
    with SimulatorThread(clock=Clock.manual(START)) as sim:
        yield sim


class Bench:
    """A fresh device of a running simulator, and what became of its calls."""

    def __init__(self, sim: SimulatorThread, serial: str) -> None:
        self.sim = sim
        self.refresh_token = sim.add_device(serial)
        self.serial = serial
        self.what = request("replenish", sim.lwa.access_token(serial))
        self.first_call = len(sim.calls)

    def fault(self, kind: str, **more: Any) -> None:
        self.sim.faults.add(kind=kind, endpoint="replenish", **more)

    def orders(self) -> int:
        return len(self.sim.orders("PaperTowel", self.serial))

    def replenish(self) -> http.client.HTTPResponse:
        """The answer of a call on a new connection, its body unread."""
        return send(over_tls(self.sim), self.what)

    def code(self) -> str:
        """The detail code that a good call is answered with."""
        return str(json.loads(self.replenish().read())["detailCode"])

    def exchange(self, version: str = "1.1") -> bytes:
        """All bytes that come until the peer closes."""
        with raw_socket(self.sim) as wire:
            wire.sendall(as_bytes(self.what, version))
            return until_end(wire)

    def last(self) -> Any:
        """The record of the last call, once its answer is over."""
        return self.sim.wait_until(lambda sim: len(sim.calls) > self.first_call and sim.calls[-1].sent != "pending" and sim.calls[-1])


@pytest.fixture
def bench(running: SimulatorThread) -> Iterator[Bench]:
    bench = Bench(running, next(SERIALS))
    yield bench
    assert running.faults.pending() == [], "each test's faults must have happened"


def test_without_a_fault_the_answer_is_whole_and_recorded(bench: Bench) -> None:
    assert bench.code() == "STANDARD_ORDER_PLACED"
    call = bench.last()
    assert (call.acted, call.outcome, call.sent, call.lost, call.fault) == (True, "accepted", "whole", False, None)


class TestBeforeActing:
    """The service refuses, or is gone, and did nothing."""

    @pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
    def test_refuse(self, bench: Bench, status: int) -> None:
        bench.fault("refuse", status=status)
        answer = bench.replenish()
        assert answer.status == status
        assert answer.getheader("Retry-After") is None
        assert "message" in json.loads(answer.read())
        assert bench.orders() == 0
        call = bench.last()
        assert (call.acted, call.outcome, call.fault, call.status, call.lost) == (False, "not_acted", "refuse", status, False)

    def test_refuse_with_seconds_to_wait(self, bench: Bench) -> None:
        bench.fault("refuse", status=429, retry_after=120)
        assert bench.replenish().getheader("Retry-After") == "120"

    def test_refuse_until_a_date_of_the_virtual_clock(self, bench: Bench) -> None:
        bench.fault("refuse", status=503, retry_after=120, retry_after_date=True)
        date = bench.replenish().getheader("Retry-After") or ""
        assert email.utils.parsedate_to_datetime(date).timestamp() == START + 120

    def test_refuse_with_a_body_of_its_own(self, bench: Bench) -> None:
        bench.fault("refuse", status=503, body="<html>busy</html>", headers={"Content-Type": "text/html"})
        answer = bench.replenish()
        assert (answer.read(), answer.getheader("Content-Type")) == (b"<html>busy</html>", "text/html")

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_redirect(self, bench: Bench, status: int) -> None:
        bench.fault("redirect", status=status, location="https://elsewhere.example/replenish")
        answer = bench.replenish()
        assert (answer.status, answer.getheader("Location")) == (status, "https://elsewhere.example/replenish")
        assert bench.orders() == 0

    def test_drop(self, bench: Bench) -> None:
        bench.fault("drop_before")
        assert bench.exchange() == b""
        assert bench.orders() == 0
        assert (bench.last().acted, bench.last().sent) == (False, "none")


class TestAfterActing:
    """The order is made, and the client does not learn of it."""

    def made_but_untold(self, bench: Bench) -> None:
        call = bench.last()
        assert (call.acted, call.outcome, call.lost) == (True, "accepted", True)
        assert bench.orders() == 1
        assert bench.code() == "ORDER_INPROGRESS"

    def test_drop(self, bench: Bench) -> None:
        lost_before = bench.sim.summary()["calls"].get("replenish", {}).get("accepted, answer lost", 0)
        bench.fault("drop_after")
        assert bench.exchange() == b""
        assert bench.last().bytes_out == 0
        assert bench.sim.summary()["calls"]["replenish"]["accepted, answer lost"] == lost_before + 1
        self.made_but_untold(bench)

    def test_reset(self, bench: Bench) -> None:
        bench.fault("reset")
        with raw_socket(bench.sim) as wire:
            wire.sendall(as_bytes(bench.what))
            # Read beneath TLS, which takes a reset for an end; before it there may be session tickets.
            with pytest.raises(ConnectionResetError):
                while select.select([wire], [], [], 10)[0] and os.read(wire.fileno(), 65536):
                    pass
        self.made_but_untold(bench)

    @pytest.mark.parametrize("status", [500, 502, 504])
    def test_fail(self, bench: Bench, status: int) -> None:
        bench.fault("fail_after", status=status)
        answer = bench.replenish()
        assert answer.status == status
        assert b"eventInstanceId" not in answer.read()
        self.made_but_untold(bench)

    @pytest.mark.parametrize("cut", [1, 12, 100, 300])
    def test_truncate_in_the_headers(self, bench: Bench, cut: int) -> None:
        bench.fault("truncate", cut=cut)
        data = bench.exchange()
        assert len(data) == cut
        assert b"\r\n\r\n" not in data
        assert data == b"HTTP/1.1 200 OK\r\n"[:cut] or data.startswith(b"HTTP/1.1 200 OK\r\n")
        assert (bench.last().sent, bench.last().bytes_out) == ("part", cut)
        self.made_but_untold(bench)

    def test_truncate_in_the_body(self, bench: Bench) -> None:
        bench.fault("truncate", cut=450)
        answer = bench.replenish()
        with pytest.raises(http.client.IncompleteRead) as error:
            answer.read()
        assert error.value.partial.startswith(b'{"detailCode":"STANDARD')
        self.made_but_untold(bench)

    @pytest.mark.parametrize("text", ["", "not JSON", '{"detailCode":7}', "\u00e9"])
    def test_another_body(self, bench: Bench, text: str) -> None:
        bench.fault("body", body=text)
        answer = bench.replenish()
        assert (answer.status, answer.read().decode()) == (200, text)
        self.made_but_untold(bench)

    @pytest.mark.parametrize(
        ("more", "sent"),
        [
            ({"raw": "SSH-2.0-x\r\n"}, b"SSH-2.0-x\r\n"),
            ({"raw": "HTTP/1.1\r\n\r\n"}, b"HTTP/1.1\r\n\r\n"),
            ({"raw_base64": "AP8="}, b"\0\xff"),
        ],
    )
    def test_raw_bytes(self, bench: Bench, more: dict[str, str], sent: bytes) -> None:
        bench.fault("raw", **more)
        assert bench.exchange() == sent
        self.made_but_untold(bench)

    def test_stall_until_the_client_gives_up(self, bench: Bench) -> None:
        bench.fault("stall")
        with raw_socket(bench.sim) as wire:
            wire.sendall(as_bytes(bench.what))
            bench.sim.wait_until(lambda sim: len(sim.calls) > bench.first_call)
            pending = bench.sim.calls[-1]
            assert (pending.sent, pending.acted) == ("pending", True)
        assert (bench.last().sent, bench.last().bytes_out) == ("none", 0)
        self.made_but_untold(bench)

    def test_stall_in_the_middle_of_the_answer(self, bench: Bench) -> None:
        bench.fault("stall", cut=30)
        with raw_socket(bench.sim, timeout_s=0.3) as wire:
            wire.sendall(as_bytes(bench.what))
            data = b""
            with pytest.raises(TimeoutError):
                while True:
                    data += wire.recv(100)
            assert len(data) == 30
        self.made_but_untold(bench)


class TestOddAnswers:
    """The answer is true, and hard to read."""

    def test_delay_acts_first_and_answers_later(self, bench: Bench) -> None:
        bench.fault("delay", delay_s=0.3)
        started = time.monotonic()
        with raw_socket(bench.sim) as wire:
            wire.sendall(as_bytes(bench.what, "1.1", "Connection: close"))
            bench.sim.wait_until(lambda sim: sim.orders("PaperTowel", bench.serial))
            assert time.monotonic() - started < 0.3
            assert b"STANDARD_ORDER_PLACED" in until_end(wire)
        assert time.monotonic() - started >= 0.3
        assert bench.last().ms >= 300

    def test_huge_is_well_formed_and_large(self, bench: Bench) -> None:
        bench.fault("huge", body_bytes=500_000)
        body = bench.replenish().read()
        assert (len(body), json.loads(body)["detailCode"]) == (500_000, "STANDARD_ORDER_PLACED")
        assert len(bench.last().answer) < 20_000

    def test_trickle_arrives_byte_by_byte_and_whole(self, bench: Bench) -> None:
        bench.fault("trickle", trickle_s=0.0005)
        with raw_socket(bench.sim) as wire:
            wire.sendall(as_bytes(bench.what, "1.1", "Connection: close"))
            first = wire.recv(65536)
            assert len(first) < 20
            assert (first + until_end(wire)).endswith(b'"}')

    def test_chunked_by_fault(self, bench: Bench) -> None:
        bench.fault("chunked")
        answer = bench.replenish()
        assert (answer.getheader("Transfer-Encoding"), answer.getheader("Content-Length")) == ("chunked", None)
        assert json.loads(answer.read())["detailCode"] == "STANDARD_ORDER_PLACED"

    def test_chunked_by_setting_but_never_for_http_1_0(self, bench: Bench) -> None:
        bench.sim.settings.change(chunked=True)
        try:
            assert bench.replenish().getheader("Transfer-Encoding") == "chunked"
            old = bench.exchange("1.0")
        finally:
            bench.sim.settings.change(chunked=False)
        assert old.startswith(b"HTTP/1.0 200 OK\r\n")
        assert b"Transfer-Encoding" not in old
        assert b"Content-Length: 170" in old

    def test_further_headers(self, bench: Bench) -> None:
        bench.fault("headers", headers={"X-Long": "x" * 60_000, "Set-Cookie": "a=b"})
        answer = bench.replenish()
        assert (len(answer.getheader("X-Long") or ""), answer.getheader("Set-Cookie")) == (60_000, "a=b")
        assert json.loads(answer.read())["detailCode"] == "STANDARD_ORDER_PLACED"

    def test_close_ends_a_connection_that_would_go_on(self, bench: Bench) -> None:
        connection = over_tls(bench.sim)
        send(connection, bench.what).read()
        bench.fault("close")
        answer = send(connection, bench.what)
        answer.read()
        assert answer.getheader("Connection") == "close"
        assert connection.sock is None


class TestWhichCalls:
    """A fault hits the calls that it names, as often as it says."""

    def test_counted_and_skipping(self, bench: Bench) -> None:
        bench.fault("refuse", skip=1, count=2)
        assert [bench.replenish().status for _ in range(4)] == [200, 503, 503, 200]

    def test_for_ever_until_cleared(self, bench: Bench) -> None:
        bench.fault("refuse", count=0)
        assert [bench.replenish().status for _ in range(3)] == [503, 503, 503]
        assert bench.sim.faults.pending()[0].hits == 3
        bench.sim.faults.clear()
        assert bench.replenish().status == 200

    def test_only_the_endpoint_slot_and_device_that_are_named(self, bench: Bench) -> None:
        bench.sim.subscribe("Coffee", True, bench.serial)
        bench.sim.faults.add(kind="refuse", endpoint="slot_status")
        bench.sim.faults.add(kind="refuse", slot="Coffee")
        bench.sim.faults.add(kind="refuse", serial="SN-another")
        assert bench.replenish().status == 200
        token = bench.sim.lwa.access_token(bench.serial)
        assert send(over_tls(bench.sim), request("replenish", token, path="/replenish/Coffee")).status == 503
        assert send(over_tls(bench.sim), request("slot_status", token)).status == 503
        assert [fault.serial for fault in bench.sim.faults.pending()] == ["SN-another"]
        bench.sim.faults.clear()

    def test_the_token_endpoint_has_faults_too(self, bench: Bench) -> None:
        bench.sim.faults.add(kind="refuse", endpoint="token", status=503)
        assert send(over_tls(bench.sim), refresh_request(bench.refresh_token)).status == 503
        assert send(over_tls(bench.sim), refresh_request(bench.refresh_token)).status == 200

    def test_the_oldest_matching_fault_comes_first_and_alone(self, bench: Bench) -> None:
        bench.fault("refuse", status=429)
        bench.fault("refuse", status=500)
        assert [bench.replenish().status for _ in range(3)] == [429, 500, 200]

    def test_parts_of_kinds_compose(self, bench: Bench) -> None:
        bench.fault("fail_after", status=500, delay_s=0.05, retry_after=9, close=True)
        answer = bench.replenish()
        assert (answer.status, answer.getheader("Retry-After"), answer.getheader("Connection")) == (500, "9", "close")
        assert bench.orders() == 1


class TestBadFaults:
    """What is refused when a fault is ordered"""

    @pytest.mark.parametrize(
        "form",
        [
            {"kind": "explode"},
            {"colour": 1},
            {"endpoint": "replenishment"},
            {"status": 99},
            {"status": "503"},
            {"count": -1},
            {"count": True},
            {"delay_s": -1},
            {"delay_s": "1"},
            {"cut": 1.5},
            {"headers": {"a": 1}},
            {"headers": "a: b"},
            {"body": 5},
            {"body": "\ud800"},
            {"raw_base64": "*"},
            {"error": "access_denied"},
            {"act": 1},
            {"self": 1},
            {"number": 5},
        ],
    )
    def test_each_is_named(self, form: dict[str, Any]) -> None:
        queue = FaultQueue(parse)
        name = next(iter(form))
        with pytest.raises(ValueError, match=name):
            queue.add(**form)
        assert queue.pending() == []

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_kind_is_good_by_itself(self, kind: str) -> None:
        assert parse({"kind": kind}).kind == kind


def test_a_client_that_leaves_inside_its_request_is_recorded_and_nobody_acts(bench: Bench) -> None:
    whole = as_bytes(request("slot_status", bench.sim.lwa.access_token(bench.serial)))
    with raw_socket(bench.sim) as wire:
        wire.sendall(whole[:-5])
        with contextlib.suppress(ssl.SSLError):
            wire.unwrap().close()
    call = bench.last()
    assert (call.endpoint, call.complete, call.acted, call.sent) == ("slot_status", False, False, "none")
    assert bench.sim.do(lambda sim: sim.registry.slot(bench.serial, "PaperTowel").last_status) is None
