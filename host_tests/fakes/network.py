"""A network in memory that misbehaves, in the place of `socket`, `select`, `time` and the TLS context of io/stream.py.

It is stricter than a device: a socket that may block, an operation on a closed or an unwrapped one, a second try
without waiting in between, each is an AssertionError here. Time passes only while somebody waits, so a test of a
deadline takes none. A Peer says how one connection behaves; a Network is used as `with Network(peer, peer) as network`.
"""

import errno

from replenish.io import stream

_MODULES = ("socket", "select", "time")  # what this replaces in io/stream.py

OPEN = "open"  # how a peer goes on after its last answer: says nothing more,
CLOSE = "close"  # ends the connection,
RESET = "reset"  # or breaks it

ACCEPT = "accept"  # how a peer takes a connection
REFUSE = "refuse"
SILENT = "silent"
UNREACHABLE = "unreachable"

_TICKS_PERIOD = 1 << 30
_TICKS_START = _TICKS_PERIOD - 100  # so that the ticks wrap in nearly every test


class Peer:
    """One connection as the far side makes it.

    answers: bytes given after the first, second, ... complete request; end: what follows the last of them;
    connect: how it takes the connection; trusted: whether its certificate is; hangs: it never ends the handshake;
    gives, takes: most bytes of one read, of one write; pace_ms: milliseconds until each read has something.
    """

    def __init__(self, *answers, end=OPEN, connect=ACCEPT, trusted=True, hangs=False, gives=65536, takes=65536, pace_ms=0):
        self._answers = answers
        self._ends_after = len(answers)
        self.end = end
        self.connect = connect
        self.trusted = trusted
        self.hangs = hangs
        self.gives = gives
        self.takes = takes
        self.pace_ms = pace_ms
        self.received = bytearray()
        self.writes = []  # sizes
        self.given = 0
        self.requests = 0
        self._begun = 0
        self._out = b""  # what is for the device, of which it has taken `_taken` bytes
        self._taken = 0

    def take(self, data):
        """What comes in from the device. Bytes after an answered request begin the next one."""
        self.received.extend(data)
        self.writes.append(len(data))
        if _is_complete(bytes(self.received[self._begun :])):
            self._begun = len(self.received)
            self._out = self._out[self._taken :] + (self._answers[self.requests] if self.requests < len(self._answers) else b"")
            self._taken = 0
            self.requests += 1

    def more(self, answer):
        """One answer more than it was made with."""
        self._answers += (answer,)

    def readable(self):
        return self._taken < len(self._out) or self._at_end()

    def _at_end(self):
        return self.end != OPEN and self.requests >= self._ends_after

    def give(self, limit):
        """Up to `limit` bytes; b"" at the end; None while there is nothing."""
        if not self.readable():
            return None
        data = self._out[self._taken : self._taken + min(limit, self.gives)]
        if not data and self.end == RESET:
            raise OSError(errno.ECONNRESET, "as the test wants it")
        self._taken += len(data)
        self.given += len(data)
        return data


def _is_complete(data):
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    at = head.find(b"Content-Length: ")
    size = 0 if at < 0 else int(head[at + 16 :].split(b"\r\n")[0])
    return len(body) >= size


class Network:
    """Stands in for the modules `socket`, `select` and `time` of io/stream.py. Each connection takes the next peer.

    operations: how many the device has done; those that cannot run out of memory (close, unregister) do not count.
    """

    SOCK_STREAM = 1
    POLLIN = 1
    POLLOUT = 4
    POLLERR = 8
    POLLHUP = 16

    def __init__(self, *peers, addresses=1):
        self.peers = list(peers)
        self.addresses = addresses
        self.sockets = []
        self.now_ms = 0
        self.operations = 0
        self._fail_at = 0
        self._error = MemoryError()

    def __enter__(self):
        self._kept = {name: getattr(stream, name) for name in _MODULES}
        for name in _MODULES:
            setattr(stream, name, self)
        return self

    def __exit__(self, kind, error, trace):
        for name in _MODULES:
            setattr(stream, name, self._kept[name])

    def fail(self, operation, error):
        """The so manieth operation from now (1: the next) raises `error`."""
        self._fail_at = self.operations + operation
        self._error = error

    def count(self):
        """Every operation begins with this."""
        self.operations += 1
        if self.operations == self._fail_at:
            raise self._error

    def open(self):
        """How many sockets are open."""
        return len([sock for sock in self.sockets if sock.opened])

    # `time`

    def ticks_ms(self):
        return (self.now_ms + _TICKS_START) % _TICKS_PERIOD

    def ticks_add(self, ticks, delta):
        return (ticks + delta) % _TICKS_PERIOD

    def ticks_diff(self, a, b):
        half = _TICKS_PERIOD // 2
        return (a - b + half) % _TICKS_PERIOD - half

    # `socket`

    def getaddrinfo(self, host, port, family=0, kind=0):
        self.count()
        return [(2, kind, 6, "", (host, port + i)) for i in range(self.addresses)]

    def socket(self, family, kind, proto):
        self.count()
        if not self.peers:
            raise AssertionError("one connection more than there are peers")
        self.sockets.append(_Socket(self, self.peers.pop(0)))
        return self.sockets[-1]

    # `select`

    def poll(self):
        return _Poll(self)


class _Socket:
    """A TCP socket."""

    def __init__(self, network, peer):
        self._network = network
        self.peer = peer
        self.opened = True
        self.wrapped = False
        self.blocking = True
        self.address = None

    def setblocking(self, flag):
        self._check()
        self.blocking = flag

    def connect(self, address):
        self._network.count()
        self._check()
        assert not self.blocking, "a connect that may block has no deadline"
        self.address = address
        if self.peer.connect == UNREACHABLE:
            raise OSError(errno.EHOSTUNREACH, "as the test wants it")
        raise OSError(errno.EINPROGRESS, "as the test wants it")

    def close(self):
        self.opened = False

    def _check(self):
        assert self.opened, "an operation on a closed socket"
        assert not self.wrapped, "TLS is on top of this socket"

    def state(self, flags):
        """What poll says of it now."""
        self._check()
        if self.peer.connect == REFUSE:
            return Network.POLLOUT | Network.POLLERR | Network.POLLHUP
        return flags & Network.POLLOUT if self.peer.connect == ACCEPT else 0

    def wait_ms(self):
        return None


class Context:
    """A TLS context; `names` are the host names it was asked to verify."""

    def __init__(self):
        self.names = []

    def wrap_socket(self, sock, server_hostname=None, do_handshake_on_connect=True):
        sock._network.count()
        sock._check()
        assert server_hostname, "nothing to verify the certificate against"
        assert not do_handshake_on_connect and not sock.blocking, "a handshake that may block has no deadline"
        self.names.append(server_hostname)
        sock.wrapped = True
        return _TLS(sock)


class _TLS:
    """MicroPython's TLS socket: the handshake is done by the first operations; None means to wait."""

    def __init__(self, sock):
        self._sock = sock
        self._network = sock._network
        self._peer = sock.peer
        self._rounds = 2  # operations that the handshake takes
        self._must_wait = False
        self._broken = False
        self._ready_ms = None

    def _begin(self):
        """True when the operation may go on, after the handshake."""
        self._network.count()
        assert self._sock.opened and not self._broken, "an operation on a closed connection"
        assert not self._must_wait, "tried again without waiting"
        if not self._rounds:
            return True
        if not self._peer.trusted:
            self._broken = True  # and, as on MicroPython, the socket below is not closed with this one any more
            raise ValueError("certificate is not trusted")
        self._must_wait = True
        self._rounds -= 1
        return False

    def write(self, data):
        if not self._begin():
            return None
        self._must_wait = True  # until poll says that there is room; after a whole write nobody tries again
        if not self._peer.takes:
            return None
        data = bytes(data)[: self._peer.takes]
        self._peer.take(data)
        self._must_wait = False
        return len(data)

    def readinto(self, buffer):
        if not self._begin():
            return None
        if self._network.now_ms < self._next_ms():
            data = None
        else:
            data = self._peer.give(len(buffer))
        if data is None:
            self._must_wait = True
            return None
        self._ready_ms = None
        buffer[: len(data)] = data
        return len(data)

    def close(self):
        if not self._broken:
            self._sock.close()

    def _next_ms(self):
        """From when on there is something to read; the pace counts from the first time that somebody asks."""
        if self._ready_ms is None:
            self._ready_ms = self._network.now_ms + self._peer.pace_ms
        return self._ready_ms

    def state(self, flags):
        assert self._sock.opened, "waiting for a closed connection"
        if self._rounds:
            ready = 0 if self._peer.hangs else flags
        else:
            ready = flags & Network.POLLOUT if self._peer.takes else 0
            if self._peer.readable() and self._network.now_ms >= self._next_ms():
                ready |= flags & Network.POLLIN
        if ready:
            self._must_wait = False
        return ready

    def wait_ms(self):
        """Milliseconds until it will be ready; None for never."""
        return max(0, self._next_ms() - self._network.now_ms) if self._peer.readable() else None


class _Poll:
    def __init__(self, network):
        self._network = network
        self._entries = []
        self._broken = False

    def register(self, sock, flags):
        assert not self._broken, "MicroPython would crash"
        self._broken = True  # when memory runs out in here, MicroPython has entered the socket, but not what to look for
        self._network.count()
        self._broken = False
        assert not self._entries, "forgotten in the poll: this waits for one socket at a time"
        self._entries.append((sock, flags))

    def unregister(self, sock):
        self._entries = [entry for entry in self._entries if entry[0] is not sock]

    def poll(self, timeout_ms):
        self._network.count()
        assert not self._broken, "MicroPython would crash"
        assert timeout_ms >= 0, "this would wait for ever"
        ((sock, flags),) = self._entries
        ready = sock.state(flags)
        if not ready and timeout_ms:
            after = sock.wait_ms()
            self._network.now_ms += timeout_ms if after is None else min(after, timeout_ms)
            ready = sock.state(flags)
        return [(sock, ready)] if ready else []
