"""A server that misbehaves at an exact byte, and keeps a ledger of what it saw and did.

TLS is done in memory (`ssl.MemoryBIO`), so the server knows every byte before it goes onto the wire and every byte as it
comes: where a record begins, when the handshake is over, whether the request is complete.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from host_tests.fakes.answers import GOOD
from host_tests.fakes.network import CLOSE, OPEN, RESET

STALL = "stall"  # say nothing more, and keep the connection
HALF_CLOSE = "half close"  # end our side only
CORRUPT = "corrupt"  # flip a bit of the next byte, and go on
GARBAGE = "garbage"  # say something else, and no more
LIMIT_S = 20  # no server waits longer for a device
_APPLICATION_DATA = 23  # RFC 8446, section 5.1: content types of records
_RECORD_HEADER = 5  # bytes: type, version, length
_NONSENSE = b"\xff\0GARBAGE\x17\x03\x03" + b"\xff" * 64


@dataclass(frozen=True)
class Cut:
    """What happens once so many bytes have come `in` from the device, or have gone `out` to it: how: CLOSE, RESET, STALL, ..."""

    way: str
    at: int
    how: str


@dataclass(frozen=True)
class Fault:
    """How a server treats a connection.

    answers: to the first, second, ... request, each in pieces that become one TLS record; any further request is answered
    well while `end` is OPEN. end: what happens after the last of `answers`. pace_s: pause before each byte that goes out,
    from the byte `pace_from` on. plain: no TLS, the first bytes that come are answered. gate: `end` waits until it is set.
    """

    answers: tuple[Iterable[bytes], ...] = ((GOOD,),)
    end: str = OPEN
    cut: Cut | None = None
    pace_s: float = 0
    pace_from: int = 0
    plain: bool = False
    gate: threading.Event | None = None


WELL = Fault()


@dataclass
class Ledger:
    """What one connection came to. Bytes are those of TCP; `request` is what was decrypted."""

    bytes_in: int = 0
    bytes_out: int = 0
    raw: bytearray = field(default_factory=bytearray)
    request: bytearray = field(default_factory=bytearray)
    requests: int = 0  # complete ones
    answered: int = 0  # answers that are wholly out
    handshake_out: int = 0  # bytes to send until the device can end its handshake; 0 before they are known
    records_out: list[int] = field(default_factory=list)  # sizes of all records made, sent or not
    done: str = ""  # the cut or the end that was executed
    error: str = ""  # of TLS, such as an alert from the device

    def records_in(self) -> list[tuple[int, int]]:
        """(content type, size) of each whole record that came, their headers included."""
        found, at = [], 0
        while at + _RECORD_HEADER <= len(self.raw):
            kind, _, length = struct.unpack_from(">BHH", self.raw, at)
            found.append((kind, _RECORD_HEADER + length))
            at += _RECORD_HEADER + length
        return found if at == len(self.raw) else found[:-1]

    def application_records(self) -> list[int]:
        """Sizes of the records with application data that came."""
        return [size for kind, size in self.records_in() if kind == _APPLICATION_DATA]


class _TLS:
    """The server's side of one TLS connection, without a socket."""

    def __init__(self, context: ssl.SSLContext, ledger: Ledger) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._ledger = ledger
        self._shaken = False
        self._made = 0

    def feed(self, data: bytes) -> bytes:
        """Take what came from the device; returns what is to go out."""
        self._in.write(data)
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            while more := self._tls.read(65536):
                self._ledger.request.extend(more)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._ledger.error = error.reason or str(error)
        return self._outgoing()

    def seal(self, data: bytes) -> bytes:
        self._tls.write(data)
        return self._outgoing()

    def _outgoing(self) -> bytes:
        data = self._out.read()
        at = 0
        while at < len(data):
            size = _RECORD_HEADER + struct.unpack_from(">H", data, at + 3)[0]
            self._ledger.records_out.append(size)
            at += size
        self._made += len(data)
        if self._shaken and not self._ledger.handshake_out:
            self._ledger.handshake_out = self._made
        return data


class _Over(Exception):
    """The connection is over, or the fault has been executed."""


class Connection:
    """One connection from its acceptance to its end, as the Fault wants it."""

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, fault: Fault, ledger: Ledger, tell: Callable[[], None]
    ) -> None:
        """tell: called after each answer and each executed fault."""
        self._sock = sock
        self._tell = tell
        self._fault = fault
        self._ledger = ledger
        self._tls = _TLS(context, ledger)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(LIMIT_S)

    def serve(self) -> None:
        try:
            self._cut_when_reached()
            while True:
                self._turn()
        except (_Over, OSError):
            pass
        finally:
            self._sock.close()

    def _turn(self) -> None:
        data = self._receive(self._allowed("in"))
        if self._fault.plain:
            self._answer(self._fault.answers[0])
        else:
            self._send(self._tls.feed(data))
            self._answer_requests()
        self._cut_when_reached()

    def _answer_requests(self) -> None:
        ledger, answers = self._ledger, self._fault.answers
        while count_requests(bytes(ledger.request)) > ledger.requests:
            ledger.requests += 1
            self._cut_when_reached()
            if ledger.requests <= len(answers):
                self._answer(answers[ledger.requests - 1])
            elif self._fault.end == OPEN:
                self._answer((GOOD,))

    def _answer(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self._send(piece if self._fault.plain else self._tls.seal(piece))
        self._ledger.answered += 1
        self._tell()
        if self._ledger.answered == len(self._fault.answers) and self._fault.end != OPEN:
            if self._fault.gate:
                self._fault.gate.wait(LIMIT_S)
            self._execute(self._fault.end)

    def _allowed(self, way: str) -> int:
        """How many bytes may still go one way."""
        cut, ledger = self._fault.cut, self._ledger
        if cut is None or cut.way != way or cut.how == CORRUPT:
            return 1 << 20
        return cut.at - (ledger.bytes_in if way == "in" else ledger.bytes_out)

    def _cut_when_reached(self) -> None:
        cut = self._fault.cut
        if cut and self._allowed(cut.way) == 0:
            self._execute(cut.how)

    def _receive(self, limit: int) -> bytes:
        self._acknowledge()
        data = self._sock.recv(limit)
        if not data:
            raise _Over
        self._acknowledge()
        self._ledger.bytes_in += len(data)
        self._ledger.raw.extend(data)
        return data

    def _acknowledge(self) -> None:
        """Do not wait 40 ms with an acknowledgement, which would make hundreds of handshakes slow. Linux forgets this soon."""
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _send(self, data: bytes) -> None:
        data = self._corrupted(data)[: self._allowed("out")]
        at_once = max(0, self._fault.pace_from - self._ledger.bytes_out) if self._fault.pace_s else len(data)
        self._sock.sendall(data[:at_once])
        self._ledger.bytes_out += len(data[:at_once])
        self._drip(data[at_once:])
        self._cut_when_reached()

    def _corrupted(self, data: bytes) -> bytes:
        cut, first = self._fault.cut, self._ledger.bytes_out
        if cut is None or cut.how != CORRUPT or not first <= cut.at < first + len(data):
            return data
        self._ledger.done = CORRUPT
        changed = bytearray(data)
        changed[cut.at - first] ^= 1
        return bytes(changed)

    def _drip(self, data: bytes) -> None:
        for number in range(len(data)):
            # The device says nothing while it waits, so that something to read is its end.
            if select.select([self._sock], [], [], self._fault.pace_s)[0]:
                raise _Over
            self._sock.sendall(data[number : number + 1])
            self._ledger.bytes_out += 1

    def _execute(self, how: str) -> None:
        if how == RESET:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._sock.close()
        elif how == CLOSE:
            self._sock.shutdown(socket.SHUT_RDWR)
        elif how == HALF_CLOSE:
            self._sock.shutdown(socket.SHUT_WR)
        elif how == GARBAGE:
            self._sock.sendall(_NONSENSE)
        self._ledger.done = how
        self._tell()
        while how in (STALL, HALF_CLOSE, GARBAGE):
            self._receive(65536)  # until the device gives up
        raise _Over


def count_requests(data: bytes) -> int:
    """How many complete HTTP requests these bytes are."""
    count = 0
    while True:
        head, found, data = data.partition(b"\r\n\r\n")
        if not found:
            return count
        _, has_length, rest = head.partition(b"Content-Length: ")
        size = int(rest.split(b"\r\n")[0]) if has_length else 0
        if len(data) < size:
            return count
        data = data[size:]
        count += 1


class Server:
    """Listens on a port of its own. The first connection has the first fault, and so on; all further ones are treated well.

    A context manager. `ledgers` has one entry for each connection; it is complete once the context has ended.
    """

    connection = Connection  # what it speaks

    def __init__(self, context: ssl.SSLContext, *faults: Fault, host: str = "localhost") -> None:
        self._context = context
        self._faults = faults
        self._host = host
        self.ledgers: list[Ledger] = []
        self._changed = threading.Condition()

    def __enter__(self) -> Server:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._thread.join(LIMIT_S)
        self._listener.close()
        assert not self._thread.is_alive(), "a connection did not end: the device keeps it open"

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def endpoint(self) -> str:
        return f"https://{self._host}:{self.port}"

    def wait_for(self, what: Callable[[Ledger], object], number: int = 0) -> bool:
        """Wait until `what` is true of the so manieth connection's ledger; False when it is not within LIMIT_S."""
        with self._changed:
            return self._changed.wait_for(lambda: number < len(self.ledgers) and bool(what(self.ledgers[number])), LIMIT_S)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            number = len(self.ledgers)
            fault = self._faults[number] if number < len(self._faults) else WELL
            self.ledgers.append(Ledger())
            self.connection(sock, self._context, fault, self.ledgers[-1], self._tell).serve()
