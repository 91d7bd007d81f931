"""The listeners, their certificates, the thread and the command."""

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from host_tests.tools.simulator_client import as_bytes, over_tls, raw_socket, refresh_request, request, send, trusting, until_end
from host_tests.tools.sns_subscriber import Subscriber
from tools.simulator import Authority, Clock, Simulator, SimulatorThread

ROOT = Path(__file__).resolve().parents[2]
BAD_CONTEXTS = {
    "wrong host": lambda authority: authority.server_context(["elsewhere.example"]),
    "expired": lambda authority: authority.server_context(not_after=datetime.now(UTC) - timedelta(days=1)),
    "not yet valid": lambda authority: authority.server_context(not_before=datetime.now(UTC) + timedelta(days=1)),
    "another authority": lambda authority: Authority(authority.pem.parent / "other").server_context(),
}


@pytest.fixture
def sim() -> Iterator[SimulatorThread]:
    with SimulatorThread(clock=Clock.manual()) as sim:
        sim.add_device()
        yield sim


def test_one_listener_serves_tokens_and_the_service_on_one_connection(sim: SimulatorThread) -> None:
    connection = over_tls(sim)
    token = json.loads(send(connection, refresh_request(sim.lwa.refresh_token("SN0001"))).read())["access_token"]
    for _ in range(2):
        answer = send(connection, request("replenish", token))
        assert answer.status == 200
        answer.read()
    assert [(call.endpoint, call.connection, call.index) for call in sim.calls] == [
        ("token", 1, 1),
        ("replenish", 1, 2),
        ("replenish", 1, 3),
    ]


@pytest.mark.parametrize(("lines", "stays"), [([], False), (["Connection: keep-alive"], True)])
def test_an_http_1_0_client_is_answered_in_its_version(sim: SimulatorThread, lines: list[str], stays: bool) -> None:
    what = as_bytes(request("subscription_info", sim.lwa.access_token("SN0001")), "1.0", *lines)
    with raw_socket(sim) as wire:
        wire.sendall(what)
        if stays:
            assert b"Connection: keep-alive" in wire.recv(65536)
            wire.sendall(as_bytes(request("subscription_info", sim.lwa.access_token("SN0001")), "1.0"))
        data = until_end(wire)
    assert data.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"Connection: close" in data
    assert re.search(rb"Content-Length: (\d+)\r\n", data)


def test_a_request_may_come_byte_by_byte(sim: SimulatorThread) -> None:
    what = as_bytes(request("slot_status", sim.lwa.access_token("SN0001")), "1.1", "Connection: close")
    with raw_socket(sim) as wire:
        for byte in what:
            wire.send(bytes((byte,)))
        assert until_end(wire).startswith(b"HTTP/1.1 200 OK\r\n")
    (call,) = sim.calls
    assert call.bytes_in == len(what)


def test_a_request_that_is_too_large_is_not_acted_on(sim: SimulatorThread) -> None:
    what = request("slot_status", sim.lwa.access_token("SN0001"), body=b" " * (2 << 20))
    with raw_socket(sim) as wire:
        try:
            wire.sendall(as_bytes(what))
            wire.recv(1)
        except OSError:
            pass
    call = sim.wait_until(lambda sim: [call for call in sim.calls])[0]
    assert (call.complete, call.acted) == (False, False)


def test_garbage_is_counted_as_a_connection_and_harms_nobody(sim: SimulatorThread) -> None:
    with raw_socket(sim) as wire:
        wire.sendall(b"\0garbage\r\n\r\n")
        until_end(wire)
    assert ([connection.calls for connection in sim.connections], sim.calls) == ([0], [])
    assert send(over_tls(sim), request("device_status", sim.lwa.access_token("SN0001"))).status == 200


def test_the_authority_is_written_in_both_forms(sim: SimulatorThread) -> None:
    der = sim.ca_der.read_bytes()
    assert ssl.DER_cert_to_PEM_cert(der).strip() == sim.ca_pem.read_text().strip()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=der)
    port = urlsplit(sim.url).port or 0
    for name in ("localhost", "127.0.0.1"):
        with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain, server_hostname=name) as wire:
            assert wire.version()


def test_further_host_names_are_certified() -> None:
    with SimulatorThread(host_names=["sim.example"]) as sim, socket.create_connection(("127.0.0.1", urlsplit(sim.url).port)) as plain:
        assert trusting(sim).wrap_socket(plain, server_hostname="sim.example").version()


@pytest.mark.parametrize("fault", BAD_CONTEXTS)
def test_a_bad_certificate_is_refused_by_a_client_that_looks_and_nothing_is_sent(fault: str) -> None:
    with SimulatorThread(server_context=BAD_CONTEXTS[fault]) as sim:
        with pytest.raises(ssl.SSLCertVerificationError):
            raw_socket(sim)
        sim.wait_until(lambda sim: len(sim.connections) == 1)
        assert sim.connections[0].bytes_in == 0
        assert sim.calls == []


def test_a_failed_handshake_is_counted_as_a_connection(sim: SimulatorThread) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(sim.url).port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.recv(100)
    (connection,) = sim.connections
    assert (connection.secured_at, connection.bytes_in) == (None, 0)


def test_without_tls_if_a_test_wants_it() -> None:
    with SimulatorThread(server_context=lambda authority: None) as sim:
        assert sim.url.startswith("http://")
        with socket.create_connection(("127.0.0.1", urlsplit(sim.url).port)) as plain:
            plain.sendall(b"GET /nowhere HTTP/1.0\r\n\r\n")
            assert plain.recv(20).startswith(b"HTTP/1.0 404")


def test_the_temporary_folder_goes_and_a_given_one_stays(tmp_path: Path) -> None:
    with SimulatorThread() as sim:
        temporary = sim.ca_der
        assert temporary.exists()
    assert not temporary.exists()
    with SimulatorThread(ca_dir=tmp_path / "ca"):
        pass
    assert sorted(path.name for path in (tmp_path / "ca").iterdir()) == ["ca.der", "ca.pem"]


def test_the_log_has_a_line_for_each_call_the_unanswered_ones_included(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    with SimulatorThread(clock=Clock.manual(), log=log) as sim:
        sim.add_device()
        token = sim.lwa.access_token("SN0001")
        send(over_tls(sim), request("replenish", token)).read()
        sim.faults.add(kind="stall")
        with raw_socket(sim) as wire:
            wire.sendall(as_bytes(request("replenish", token)))
            sim.wait_until(lambda sim: len(sim.calls) == 2)
            assert len(log.read_text().splitlines()) == 1
        sim.wait_until(lambda sim: sim.calls[-1].sent == "none")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["number"], line["outcome"], line["sent"]) for line in lines] == [(1, "accepted", "whole"), (2, "in_progress", "none")]


def test_it_stops_at_once_with_stalled_and_idle_connections_open() -> None:
    with SimulatorThread() as sim:
        sim.add_device()
        idle, stalled = raw_socket(sim), raw_socket(sim)
        sim.faults.add(kind="stall")
        stalled.sendall(as_bytes(request("replenish", sim.lwa.access_token("SN0001"))))
        sim.wait_until(lambda sim: len(sim.calls))
        (call,) = sim.calls
        port = urlsplit(sim.url).port
    assert until_end(idle) == b""
    assert until_end(stalled) == b""
    assert call.sent == "none"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_it_is_used_inside_an_event_loop_too() -> None:
    async def use() -> int:
        async with Simulator() as sim:
            sim.add_device()
            answer = await asyncio.to_thread(lambda: send(over_tls(sim), request("device_status", sim.lwa.access_token("SN0001"))))
            await sim.wait_until(lambda sim: len(sim.calls) == 1)
            return answer.status

    assert asyncio.run(use()) == 200


def test_waiting_ends_when_time_alone_makes_it_true_and_gives_up_at_its_end() -> None:
    with SimulatorThread(clock=Clock(0, 1)) as sim:
        sim.add_device()
        sim.set_timings(place_after_s=1)
        send(over_tls(sim), request("replenish", sim.lwa.access_token("SN0001"))).read()
        sim.wait_until(lambda sim: sim.orders("PaperTowel")[0].state == "placed")
        with pytest.raises(TimeoutError):
            sim.wait_until(lambda sim: len(sim.calls) > 1, timeout_s=0.1)


def test_an_error_of_the_simulator_reaches_the_calling_thread(sim: SimulatorThread) -> None:
    with pytest.raises(LookupError, match="SN0009"):
        sim.subscribe("Ink", serial="SN0009")
    with pytest.raises(AttributeError):
        sim.nonsense()


def test_a_start_that_fails_raises_in_the_calling_thread(sim: SimulatorThread) -> None:
    with pytest.raises(OSError, match="in use"), SimulatorThread(port=urlsplit(sim.url).port):
        pass


class Command:
    """`python -m tools.simulator` as a person starts it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "tools.simulator", "--ca-dir", str(folder), *options]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "COLUMNS": "200"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def until(self, words: str) -> str:
        """What it prints up to a line with `words`."""
        text = ""
        assert self.process.stdout
        for line in self.process.stdout:
            text += line
            if words in line:
                return text
        raise AssertionError(text + (self.process.stderr.read() if self.process.stderr else ""))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_tells_where_it_is_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    command = Command(tmp_path, "--time-scale", "0", "--scale-from", "1700000000", "--seed", "5")
    try:
        text = command.until("curl")
        facts = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
        assert facts["DRS_URL"] in text
        assert facts["DRS_CONTROL"] in text
        state = subprocess.run(
            ["sh", "-c", f". {tmp_path}/env && {sys.executable} -c 'import os, sys; print(sys.argv[1])' \"$DRS_REFRESH_TOKEN\""],
            capture_output=True,
            text=True,
            check=True,
        )
        assert state.stdout.startswith("Atzr|")
        assert not command.process.poll()
    finally:
        command.process.send_signal(number)
        _, errors = command.process.communicate(timeout=10)
    assert (command.process.returncode, errors) == (0, "")


def test_the_command_subscribes_an_address(tmp_path: Path) -> None:
    asked = threading.Event()
    with Subscriber(tmp_path / "subscriber") as subscriber:
        subscriber.before = asked.set
        options = ["--subscribe", subscriber.url, "--subscribe-ca", str(subscriber.ca), "--set", "signature_version=2"]
        command = Command(tmp_path, *options, "--set", "notification_version=1.0")
        try:
            command.until("curl")
            assert asked.wait(10)
        finally:
            command.process.terminate()
            _, errors = command.process.communicate(timeout=10)
    assert (command.process.returncode, errors) == (0, "")
    facts = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    envelope = subscriber.got[0].envelope
    assert (envelope["Type"], envelope["SignatureVersion"]) == ("SubscriptionConfirmation", "2")
    assert (envelope["TopicArn"], envelope["SigningCertURL"]) == (facts["SNS_TOPIC_ARN"], facts["SNS_CERTIFICATE_URL"])


BAD_OPTIONS = (
    [],
    ["--port", "70000"],
    ["--time-scale", "-1"],
    ["--set", "colour=1"],
    ["--set", "chunked=perhaps"],
    ["--set", "sns_retries=many"],
    ["--subscribe", "http://localhost/"],
)


@pytest.mark.parametrize("options", BAD_OPTIONS)
def test_a_command_that_cannot_run_says_why(tmp_path: Path, options: list[str]) -> None:
    folder = tmp_path / "folder"
    if not options:
        folder.touch()
    command = Command(folder, *options)
    _, errors = command.process.communicate(timeout=30)
    assert (command.process.returncode, errors.count("\n")) == (2, 1)
    assert "cannot run" in errors
