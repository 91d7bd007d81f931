"""TLS negatives: whoever cannot prove to be the service gets no token and no request. Proven by what the peer received.

A peer here keeps every byte that came, every decrypted byte, and knows each TLS record. The first test is the counterproof:
the same bench sees the token when the certificate is right.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from host_tests.fakes.answers import BODY, sized
from host_tests.fakes.network import CLOSE, RESET
from host_tests.scenarios.interpreters import Interpreter
from host_tests.scenarios.wire.certificates import Authority, self_signed
from host_tests.scenarios.wire.device_process import TOKEN, Device
from host_tests.scenarios.wire.peer import HALF_CLOSE, STALL, WELL, Cut, Fault, Ledger, Server

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
SHORT_MS = 400
NAME = "Acme Root"


class Parties:
    """The authority that the device trusts, and those that it must not."""

    def __init__(self, folder: Path) -> None:
        self.good = Authority(folder / "good.der", name=NAME)
        self.other = Authority(folder / "other.der")
        self.impostor = Authority(folder / "impostor.der", name=NAME)  # the right name on another key
        assert self.good.subject() == self.impostor.subject()


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Parties:
    return Parties(tmp_path_factory.mktemp("trust"))


@pytest.fixture(scope="module")
def device(interpreter: Interpreter, parties: Parties) -> Iterator[Device]:
    with Device(interpreter, [parties.good.place]) as device:
        yield device


WRONG = {
    "another authority": lambda p: p.other.context(),
    "an authority with the right name but another key": lambda p: p.impostor.context(),
    "an intermediate of another authority": lambda p: p.other.context(intermediate=True),
    "self-signed": lambda p: self_signed("localhost"),
    "another host name": lambda p: p.good.context("service.example"),
    "a wildcard of another domain": lambda p: p.good.context("*.example"),
    "an address in place of the name": lambda p: p.good.context("127.0.0.1"),
    "expired yesterday": lambda p: p.good.context(not_before=NOW - 9 * DAY, not_after=NOW - DAY),
    "expired 60 s ago": lambda p: p.good.context(not_before=NOW - 9 * DAY, not_after=NOW - timedelta(seconds=60)),
    "valid from tomorrow": lambda p: p.good.context(not_before=NOW + DAY, not_after=NOW + 9 * DAY),
}


def check_nothing_told(ledger: Ledger) -> None:
    """Not a byte of the request, encrypted or not, and no token, came to this peer."""
    assert ledger.bytes_in, "the fault did not happen: nothing came at all"
    assert bytes(ledger.request) == b""
    assert ledger.application_records() == []
    for secret in (TOKEN[:16], "replenish", "Bearer", "PaperTowel"):
        assert secret.encode() not in ledger.raw


def check_good_call(device: Device, parties: Parties, tls13: bool = False) -> Ledger:
    """The device still works, and this bench would see a token that is told."""
    with Server(parties.good.context(tls13=tls13)) as server:
        report = device.call(server.endpoint, close=True)
    assert (report["outcome"], report["closed"]) == ("accepted", 0), report
    return server.ledgers[0]


def test_the_right_peer_is_told_everything(device: Device, parties: Parties) -> None:
    ledger = check_good_call(device, parties)
    assert f"Authorization: Bearer {TOKEN}\r\n".encode() in ledger.request
    assert len(ledger.application_records()) == 1
    assert TOKEN.encode() not in ledger.raw


@pytest.mark.parametrize("tls13", [False, True], ids=["TLS 1.2", "TLS 1.3 where both can"])
@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_certificate(device: Device, parties: Parties, kind: str, tls13: bool) -> None:
    context = WRONG[kind](parties)
    if tls13:
        context.maximum_version = ssl.TLSVersion.TLSv1_3
    with Server(context, WELL, WELL) as server:
        first, second = (device.call(server.endpoint) for _ in range(2))
    assert (first["raised"], first["outcome"], first["sent"], first["open"]) == (None, "not_acted", False, 0), first
    assert "ProtocolError" in first["error"], "the peer is wrong, not the network"
    assert second["outcome"] == "not_acted"
    assert len(server.ledgers) == 2
    for ledger in server.ledgers:
        if tls13:  # its encrypted handshake has the type of application data, so only what was decrypted counts
            assert ledger.bytes_in and ledger.request == b""
        else:
            check_nothing_told(ledger)
    check_good_call(device, parties, tls13)


NOT_TLS = {
    "plain HTTP that goes well": Fault(((sized(BODY),),), plain=True),
    "plain HTTP that ends": Fault(((b"HTTP/1.1 400 Bad Request\r\n\r\n",),), HALF_CLOSE, plain=True),
    "plain HTTP that waits": Fault(((b"",),), plain=True),
    "mail": Fault(((b"220 mail.example ESMTP\r\n",),), plain=True),
    "zeros": Fault(((bytes(5000),),), plain=True),
    "a fatal alert": Fault(((bytes.fromhex("15030300020228"),),), plain=True),
    "a record with a wrong version": Fault(((bytes.fromhex("160505000401000000"),),), plain=True),
    "a record that is too long": Fault(((bytes.fromhex("160303ffff") + bytes(70000),),), plain=True),
    "an end in the handshake": Fault(cut=Cut("in", 100, CLOSE)),
    "an end after its certificate": Fault(cut=Cut("out", 600, CLOSE)),
    "a reset in the handshake": Fault(cut=Cut("in", 100, RESET)),
    "silence in the handshake": Fault(cut=Cut("out", 600, STALL)),
}


@pytest.mark.parametrize("kind", NOT_TLS)
def test_a_peer_that_makes_no_handshake(device: Device, parties: Parties, kind: str) -> None:
    with Server(parties.good.context(), NOT_TLS[kind]) as server:
        report = device.call(server.endpoint, timeout_ms=SHORT_MS)
    assert (report["raised"], report["outcome"], report["sent"], report["open"]) == (None, "not_acted", False, 0), report
    assert report["ms"] <= SHORT_MS + 1000
    check_nothing_told(server.ledgers[0])
    check_good_call(device, parties)


def redirect(status: int, location: str) -> Fault:
    head = b"HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\n" % (status, location.encode())
    return Fault(((head + b"Content-Length: 0\r\n\r\n",),))


class Elsewhere:
    """A port that should see no connection. A context manager; `seen` tells whether it did, once told to look."""

    def __enter__(self) -> Elsewhere:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def seen(self) -> bool:
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


def test_elsewhere_sees_a_connection() -> None:
    """The counterproof of the test below."""
    with Elsewhere() as elsewhere, socket.create_connection(("127.0.0.1", elsewhere.port)):
        assert elsewhere.seen()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["https://localhost:{port}/replenish/PaperTowel", "http://localhost:{port}/", "//localhost:{port}/"])
def test_a_redirect_is_not_followed(device: Device, parties: Parties, status: int, to: str) -> None:
    with Elsewhere() as elsewhere:
        with Server(parties.good.context(), redirect(status, to.format(port=elsewhere.port))) as server:
            report = device.call(server.endpoint, close=True)
        assert not elsewhere.seen()
    assert (report["raised"], report["status"], report["outcome"], report["closed"]) == (None, status, "unknown", 0), report
    assert server.ledgers[0].requests == 1
    check_good_call(device, parties)
