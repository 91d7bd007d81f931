"""One connection for many calls, one TLS record for a request, and how many bytes that takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from host_tests.fakes import answers
from host_tests.fakes.network import CLOSE, RESET
from host_tests.scenarios.interpreters import Interpreter
from host_tests.scenarios.wire.certificates import Authority
from host_tests.scenarios.wire.device_process import TOKEN, Device
from host_tests.scenarios.wire.peer import HALF_CLOSE, Fault, Server

BUDGET_BYTES = 850  # of a request beyond the handshake, plus the token
LAST_WORD = answers.plain(answers.LENGTH + b"Connection: close\r\n")
# As DRS sends it: what its documents and its users' logs show, and what a load balancer adds.
REALISTIC = answers.sized(
    b'{"detailCode":"STANDARD_ORDER_PLACED","eventInstanceId":"amzn1.dash.v2.o.' + b"i" * 100 + b'"}',
    b"x-amzn-RequestId: 0f2d8a53-2c5b-11e7-9f2f-4d2f6b6f3c11\r\n"
    b"x-amzn-type-version: com.amazon.dash.replenishment.DrsReplenishResult@1.0\r\n"
    b"Content-Type: application/json\r\nDate: Fri, 28 Apr 2017 19:55:12 GMT\r\n",
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("reuse") / "ca.der")


@pytest.fixture(scope="module")
def device(interpreter: Interpreter, authority: Authority) -> Iterator[Device]:
    with Device(interpreter, [authority.place]) as device:
        yield device


def check_accepted(device: Device, server: Server, opened: int, close: bool = False) -> None:
    report = device.call(server.endpoint, close=close)
    assert (report["raised"], report["outcome"], report["open"]) == (None, "accepted", opened), report


def test_calls_to_one_host_share_a_connection(device: Device, authority: Authority) -> None:
    with Server(authority.context()) as server:
        for _ in range(4):
            check_accepted(device, server, 1)
        check_accepted(device, server, 1, close=True)
    assert [ledger.requests for ledger in server.ledgers] == [5]


def test_two_hosts_never_have_two_connections_open(device: Device, authority: Authority) -> None:
    with Server(authority.context()) as first, Server(authority.context()) as second:
        for server in (first, second, first):
            check_accepted(device, server, 1)
        device.call(first.endpoint, close=True)
    assert [ledger.requests for ledger in first.ledgers + second.ledgers] == [1, 2, 1]


def test_a_connection_that_the_server_wants_to_end_is_not_kept(device: Device, authority: Authority) -> None:
    with Server(authority.context(), Fault(((LAST_WORD,),))) as server:
        check_accepted(device, server, 0)
        check_accepted(device, server, 1, close=True)
    assert [ledger.requests for ledger in server.ledgers] == [1, 1]


@pytest.mark.parametrize("end", [CLOSE, HALF_CLOSE, RESET])
def test_an_idle_connection_that_is_gone_is_not_used_for_an_order(device: Device, authority: Authority, end: str) -> None:
    """A request that is lost on it would be an unknown outcome: two weeks of doubt for a connection that was merely idle."""
    gates = [threading.Event(), threading.Event()]  # a reset must not overtake the answer
    with Server(authority.context(), *[Fault(end=end, gate=gate) for gate in gates]) as server:
        for number, gate in enumerate(gates):
            check_accepted(device, server, 1)
            gate.set()
            assert server.wait_for(lambda ledger: ledger.done, number), "the server has not ended the connection"
        check_accepted(device, server, 1, close=True)
    assert [ledger.requests for ledger in server.ledgers] == [1, 1, 1]
    assert [ledger.done for ledger in server.ledgers] == [end, end, ""]


def test_a_connection_with_unread_bytes_is_not_used(device: Device, authority: Authority) -> None:
    """They would be taken for the answer to the next call."""
    with Server(authority.context(), Fault(((answers.GOOD + REALISTIC,),))) as server:
        check_accepted(device, server, 1)
        report = device.call(server.endpoint, close=True)
    assert report["detail"][0] == answers.ID
    assert [ledger.requests for ledger in server.ledgers] == [1, 1]


def test_bytes_that_come_unasked_in_a_record_of_their_own_end_a_connection(device: Device, authority: Authority) -> None:
    with Server(authority.context(), Fault(((answers.GOOD, REALISTIC),))) as server:
        check_accepted(device, server, 1)
        assert server.wait_for(lambda ledger: ledger.answered)
        report = device.call(server.endpoint, close=True)
    assert report["detail"][0] == answers.ID
    assert [ledger.requests for ledger in server.ledgers] == [1, 1]


@pytest.mark.parametrize("call", ["replenish", "order_info", "subscription_info", "device_status"])
def test_a_request_is_one_record_within_the_budget(interpreter: Interpreter, device: Device, authority: Authority, call: str) -> None:
    """Both ways together, beyond the handshake: request and answer with all of TLS, for a token of 366 characters."""
    assert len(TOKEN) == 366
    with Server(authority.context(), Fault(((REALISTIC,),))) as server:
        device.call(server.endpoint, call=call, close=True)
    ledger = server.ledgers[0]
    assert len(ledger.application_records()) == 1
    out = ledger.records_out[-1]
    size = ledger.application_records()[0] + out
    print(f"{interpreter.name}, {call}: {size - out} bytes out, {out} in, {size - len(TOKEN)} without the token")
    assert size <= BUDGET_BYTES + len(TOKEN)
