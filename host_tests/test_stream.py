"""The hardened stream over a network in memory: connecting, the one deadline, reading, and leaving nothing open."""

import errno

import micropython
from replenish.core.errors import ProtocolError
from replenish.io import stream

from host_tests.expect import cases, raises
from host_tests.fakes.network import CLOSE, REFUSE, RESET, SILENT, UNREACHABLE, Context, Network, Peer

TIMEOUT_MS = 1000
REQUEST = b"GET / HTTP/1.1\r\n\r\n"
PEER_IS_WRONG = (OSError, ProtocolError)


def connected(network, timeout_ms=TIMEOUT_MS):
    """A stream to the network's next peer, with its handshake still to be done by the first write."""
    made = stream.Stream(Context())
    made.set_deadline(timeout_ms)
    made.connect("service.example", 443)
    return made


def asked(network, timeout_ms=TIMEOUT_MS):
    """The same after a request."""
    made = connected(network, timeout_ms)
    made.write(REQUEST)
    return made


def number(error):
    """The errno; on CPython it is only in the arguments."""
    return error.args[0]


# Connecting


def check_addresses(kinds, opened, now_ms):
    with Network(*[Peer(connect=kind) for kind in kinds], addresses=len(kinds)) as network:
        if opened is None:
            assert raises(OSError, connected, network)
        else:
            connected(network)
        assert [sock.opened for sock in network.sockets].count(True) == (opened is not None)
        assert opened is None or network.sockets[opened].opened
        assert network.now_ms == now_ms


def test_addresses_are_tried_in_turn():
    accept = "accept"
    cases(
        check_addresses,
        [
            ((accept,), 0, 0),
            ((REFUSE, accept), 1, 0),
            ((UNREACHABLE, REFUSE, accept), 2, 0),
            ((REFUSE, UNREACHABLE), None, 0),
            ((REFUSE, REFUSE, REFUSE, REFUSE, accept), None, 0),
            ((SILENT,), None, TIMEOUT_MS),
            ((SILENT, accept), None, TIMEOUT_MS),
        ],
    )


def test_connecting_again_closes_what_was_open():
    with Network(Peer(), Peer()) as network:
        made = connected(network)
        made.connect("other.example", 8443)
        assert [sock.opened for sock in network.sockets] == [False, True]
        assert (made.host, made.port, made.connections) == ("other.example", 8443, 2)


def test_after_a_failed_connect_there_is_no_host():
    with Network(Peer(), Peer(connect=REFUSE)) as network:
        made = connected(network)
        raises(OSError, made.connect, "service.example", 443)
        assert (made.host, made.connections, network.open()) == ("", 1, 0)


def test_whatever_happens_in_a_connect_nothing_stays_open():
    class Surprise(BaseException):
        pass

    for operation in range(1, 7):
        with Network(Peer()) as network:
            network.fail(operation, Surprise())
            raises(Surprise, connected, network)
            assert network.operations == operation and network.open() == 0


# The deadline


def check_deadline(peer, action):
    with Network(peer) as network:
        made = connected(network)
        error = raises(OSError, action, made)
        assert number(error) == errno.ETIMEDOUT
        assert network.now_ms == TIMEOUT_MS
        made.close()
        assert network.open() == 0


def exchange(made):
    made.write(REQUEST)
    while made.read_some(1):
        pass


def line(made):
    made.write(REQUEST)
    return made.read_line(bytearray(8))


def test_the_deadline_ends_every_wait():
    cases(
        check_deadline,
        [
            (Peer(hangs=True), exchange),
            (Peer(takes=0), exchange),
            (Peer(), exchange),
            (Peer(b"x" * 999, gives=1, pace_ms=10), exchange),
            (Peer(b"x" * 999, gives=1, pace_ms=10), line),
            (Peer(b"x", pace_ms=TIMEOUT_MS + 1), exchange),
        ],
    )


def test_a_deadline_that_has_passed_ends_what_need_not_wait():
    with Network(Peer(b"x" * 1000, gives=10)) as network:
        made = asked(network)
        assert len(made.read_some(10)) == 10
        network.now_ms += TIMEOUT_MS
        assert number(raises(OSError, made.read_some, 10)) == errno.ETIMEDOUT
        assert number(raises(OSError, made.write, b"x")) == errno.ETIMEDOUT


# Reading and writing


def test_a_large_write_is_whole():
    peer = Peer(takes=100)
    with Network(peer) as network:
        made = connected(network)
        made.write(bytes(range(256)) * 4)
        assert bytes(peer.received) == bytes(range(256)) * 4
        assert made.written == 1024


def read_lines(data, gives, size, end=CLOSE):
    """[(length, what is kept), ...] until the end."""
    found = []
    with Network(Peer(data, end=end, gives=gives)) as network:
        made = asked(network)
        buffer = bytearray(size)
        while True:
            length = made.read_line(buffer)
            if not length:
                break
            found.append((length, bytes(buffer[: min(length, size)])))
        assert made.received == len(data)
    return found


def test_lines_are_the_same_however_they_come():
    data = b"first\r\n\r\nlong" + b"g" * 700 + b"\nlast"
    wanted = [(7, b"first\r\n"), (2, b"\r\n"), (705, b"longgggg"), (4, b"last")]
    cases(lambda gives: check_equal(read_lines(data, gives, 8), wanted), [(1,), (2,), (511,), (512,), (513,), (9999,)])


def check_equal(found, wanted):
    assert found == wanted, found


def test_a_line_without_end_costs_no_memory_and_ends():
    with Network(Peer(b"x" * 20000)) as network:
        made = asked(network)
        assert 8192 <= made.read_line(bytearray(4)) < 8192 + 600
        assert network.now_ms == 0


def test_some_is_what_there_is():
    with Network(Peer(b"abcdef", end=CLOSE, gives=4)) as network:
        made = asked(network)
        assert [bytes(made.read_some(limit)) for limit in (3, 3, 9, 9, 9)] == [b"abc", b"d", b"ef", b"", b""]


# The peer is wrong


def check_wrong(peer, kind):
    with Network(peer) as network:
        made = connected(network)
        assert isinstance(raises(PEER_IS_WRONG, exchange, made), kind)
        made.close()
        assert network.open() == 0, "MicroPython's TLS socket has let go of the one below"


def test_a_peer_that_is_wrong():
    cases(check_wrong, [(Peer(trusted=False), ProtocolError), (Peer(b"x", end=RESET), OSError)])


# Idle connections


def check_quiet(peer, read, expected):
    with Network(peer) as network:
        made = asked(network)
        assert len(made.read_some(read)) == read
        assert made.is_quiet() is expected
        assert network.now_ms == 0, "this must not wait"
        assert made.is_quiet() is expected, "asking changes nothing"


def test_an_idle_connection_is_quiet_only_when_it_can_be_used():
    cases(
        check_quiet,
        [
            (Peer(b"abc"), 3, True),
            (Peer(b"abc"), 2, False),
            (Peer(b"abcd", gives=3), 3, False),
            (Peer(b"abc", end=CLOSE), 3, False),
            (Peer(b"abc", end=RESET), 3, False),
        ],
    )


def test_without_a_connection_there_is_nothing_to_use():
    with Network(Peer(b"abc")) as network:
        assert stream.Stream(Context()).is_quiet() is False
        made = asked(network)
        made.close()
        assert made.is_quiet() is False


# Closing


def test_closing_needs_no_memory():
    """On CPython, where the heap cannot be locked, this only shows that closing closes."""
    lock = getattr(micropython, "heap_lock", lambda: None)
    unlock = getattr(micropython, "heap_unlock", lambda: None)
    with Network(Peer(b"abc")) as network:
        made = asked(network)
        lock()
        try:
            made.close()
        finally:
            unlock()
        assert network.open() == 0


def test_closing_twice_or_with_an_error_is_quiet():
    class Broken:
        def close(self):
            raise OSError(errno.EIO)

    with Network(Peer()) as network:
        made = connected(network)
        made.tls = Broken()
        made.close()
        made.close()
        assert network.open() == 0 and made.host == ""


def test_only_usable_certificates_are_trusted():
    raises(ValueError, stream.trust, [b"no certificate"])
