"""The simulator on the network: one TLS listener for the service, one plain one for its control."""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar

from aiohttp import web

from tools.simulator.calls import Call, Connection
from tools.simulator.clock import Clock
from tools.simulator.control import control_application
from tools.simulator.courier import Courier
from tools.simulator.journal import Journal
from tools.simulator.orders import Timings
from tools.simulator.tls import LOCAL_NAMES, Authority
from tools.simulator.wire import Request
from tools.simulator.world import Delivery, World

_LOOPBACK = "127.0.0.1"
_LOOPBACK_6 = "::1"
_ANYWHERE = "0.0.0.0"
# Handlers still at work when the simulator stops get this long, in real seconds.
_STOP_S = 0.2
# wait_until looks again this often, because time alone may make its condition true.
_LOOK_S = 0.05
# The largest request that is read; the longest real one is a few hundred bytes.
_MAX_REQUEST_BYTES = 1 << 20
# An idle connection is kept this long, in real seconds.
_KEEP_S = 300
# The calls are recorded by us; aiohttp's own log would say the same again.
_QUIET: dict[str, Any] = {"access_log": None}

Found = TypeVar("Found")
_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _Peer(web.RequestHandler):
    """aiohttp's protocol of one connection, which also counts."""

    def __init__(self, manager: "_Listener", record: Connection, clock: Clock) -> None:
        super().__init__(manager, loop=asyncio.get_running_loop(), keepalive_timeout=_KEEP_S, **_QUIET)
        self.record = record
        self.lost = asyncio.Event()
        self.counted_bytes_in = 0
        self._clock = clock

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.record.secured_at = self._clock.real()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.record.closed_at = self._clock.real()
        self.lost.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.record.bytes_in += len(data)
        super().data_received(data)

    def take_bytes_in(self) -> int:
        """How many bytes came since the last time that this was asked."""
        before, self.counted_bytes_in = self.counted_bytes_in, self.record.bytes_in
        return self.record.bytes_in - before


class _Listener(web.Server):
    """aiohttp's low-level server, which numbers its connections."""

    def __init__(self, handler: _Handler, records: Journal[Connection], clock: Clock) -> None:
        super().__init__(handler)
        self._records = records
        self._clock = clock

    def __call__(self) -> _Peer:
        # Called for each accepted connection, before its TLS handshake.
        record = Connection(self._records.next_number, self._clock.real())
        self._records.append(record)
        return _Peer(self, record, self._clock)

    def release(self) -> None:
        """Wake every handler that waits for its client to go away."""
        for peer in self.connections:
            if isinstance(peer, _Peer):
                peer.lost.set()


class _Sent(web.StreamResponse):
    """Tells aiohttp that the answer has gone out already, and whether the connection goes on.

    The answer's bytes are written by us, not by aiohttp, so that they can be cut, held back or wrong.
    """

    def __init__(self, keep: bool) -> None:
        super().__init__()
        self._keep = keep

    @property
    def keep_alive(self) -> bool:
        return self._keep

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class Simulator(World):
    """A World that listens. Use it as `async with Simulator() as sim:`.

    While it runs, `url` and `control_url` say where, `ca_pem` and `ca_der` are the certificate files
    to trust. `connections` counts those with a failed TLS handshake too.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        seed: int = 1,
        ca_dir: Path | None = None,
        timings: Timings | None = None,
        port: int = 0,
        control_port: int = 0,
        bind: str = _LOOPBACK,
        host_names: Sequence[str] = (),
        server_context: Callable[[Authority], ssl.SSLContext | None] | None = None,
        log: Path | None = None,
        keep_ca: bool = False,
    ) -> None:
        """Ports of 0 are chosen by the system; `bind` concerns the service, control stays on loopback.

        `ca_dir` gets ca.pem and ca.der (None: a temporary folder). `host_names` are names beside
        localhost and 127.0.0.1 that the certificate is for. `server_context` makes another TLS context
        out of the authority, for tests of a bad certificate; if it returns None there is no TLS.
        `log` is a file to which one JSON line per call is appended. `keep_ca`: the same authority each time, its key in `ca_dir` too.
        """
        super().__init__(clock, seed, timings)
        self._ca_dir = ca_dir
        self._keep_ca = keep_ca
        self._ports = (port, control_port)
        self._bind = bind
        self._names = (*LOCAL_NAMES, *host_names)
        self._make_context = server_context or (lambda authority: authority.server_context(self._names))
        self._log_path = log
        self._log: IO[str] | None = None
        self._runners: list[web.BaseRunner] = []
        self._changed = asyncio.Event()
        self._delivering: list[asyncio.Task[None]] = []
        self.url = self.control_url = ""
        self.ca_pem = self.ca_der = Path()

    async def __aenter__(self) -> "Simulator":
        self._temporary = tempfile.TemporaryDirectory(prefix="simulator-") if self._ca_dir is None else None
        authority = Authority(Path(self._temporary.name) if self._temporary else self._ca_dir or Path(), self._keep_ca)
        self.authority = authority
        self.ca_pem, self.ca_der = authority.pem, authority.der
        self._log = self._log_path.open("a", encoding="utf-8") if self._log_path else None
        self._changed = asyncio.Event()
        self.connect_notifier(self._notify)
        context = self._make_context(authority)
        self._listener = _Listener(self._serve, self.connections, self.clock)
        try:
            runner = web.ServerRunner(self._listener, shutdown_timeout=_STOP_S)
            service = await self._listen(runner, self._bind, self._ports[0], context)
            control = web.AppRunner(control_application(self), shutdown_timeout=_STOP_S, **_QUIET)
            control_port = await self._listen(control, _LOOPBACK, self._ports[1], None)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        self.url = f"{'https' if context else 'http'}://{'localhost' if self._bind in (_LOOPBACK, _ANYWHERE) else self._bind}:{service}"
        self.control_url = f"http://localhost:{control_port}"
        self.sns.open(self.url, authority)
        couriers = (Courier(self.sns, self.book.next_due, self.clock), Courier(self.bus, self.store.next_due, self.clock))
        self._delivering = [asyncio.create_task(courier.run()) for courier in couriers]
        return self

    async def _listen(self, runner: web.BaseRunner, host: str, port: int, context: ssl.SSLContext | None) -> int:
        self._runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, host, port, ssl_context=context).start()
        port = int(runner.addresses[0][1])
        if host == _LOOPBACK:
            # "localhost" may mean the IPv6 loopback first; a machine without one does without.
            with contextlib.suppress(OSError):
                await web.TCPSite(runner, _LOOPBACK_6, port, ssl_context=context).start()
        return port

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.release()
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()
        if self._log is not None:
            self._log.close()
        if self._temporary is not None:
            self._temporary.cleanup()
        # Last, because a courier that broke raises here.
        for task in self._delivering:
            task.cancel()
        for task in self._delivering:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def wait_until(self, condition: Callable[["Simulator"], Found], timeout_s: float = 10.0) -> Found:
        """Wait until `condition(self)` is true and return its value; TimeoutError after real `timeout_s`."""
        async with asyncio.timeout(timeout_s):
            while not (found := condition(self)):
                await self._change()
        return found

    async def _change(self) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), _LOOK_S)
        except TimeoutError:
            return

    def _notify(self, entry: object) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _serve(self, http: web.BaseRequest) -> web.StreamResponse:
        peer = http.protocol
        if not isinstance(peer, _Peer):
            raise TypeError("the listener makes only peers of its own")
        started = self.clock.real()
        request, whole = await _read(http)
        peer.record.calls += 1
        place = (peer.record.number, peer.record.calls, peer.take_bytes_in())
        if not whole:
            self._finish(self.receive_part(request, *place), started)
            return _Sent(keep=False)
        call, delivery = await self.answer(request, *place)
        call.bytes_out = await _deliver(peer, delivery)
        peer.record.bytes_out += call.bytes_out
        call.sent = "whole" if call.bytes_out == delivery.whole else "part" if call.bytes_out else "none"
        self._finish(call, started)
        return _Sent(keep=not delivery.close)

    async def answer(self, request: Request, connection: int, index: int, bytes_in: int) -> tuple[Call, Delivery]:
        """See World.receive. A subclass whose answers take time lets others have theirs meanwhile."""
        return self.receive(request, connection, index, bytes_in)

    def _finish(self, call: Call, started: float) -> None:
        call.ms = round((self.clock.real() - started) * 1000)
        self.calls.announce(call)
        if self._log is not None:
            self._log.write(json.dumps(call.as_json()) + "\n")
            self._log.flush()


async def _read(http: web.BaseRequest) -> tuple[Request, bool]:
    """The request, and whether its body came whole."""
    body, whole = b"", True
    try:
        while chunk := await http.content.readany():
            body += chunk
            if len(body) > _MAX_REQUEST_BYTES:
                raise ValueError("the request is too large")
    except (OSError, ValueError, web.RequestPayloadError):
        whole = False
    path, _, query = http.raw_path.partition("?")
    headers = tuple((name, value) for name, value in http.headers.items())
    version = (http.version.major, http.version.minor)
    return Request(http.method, path, headers, body, query, version, http.keep_alive), whole


async def _deliver(peer: _Peer, delivery: Delivery) -> int:
    """Send what is to be sent, the way it is to be sent; returns the number of bytes."""
    await _pause(peer, delivery.delay_s)
    transport = peer.transport
    if transport is None or transport.is_closing():
        return 0
    if delivery.reset:
        _reset(transport)
        return 0
    sent = await _write(peer, transport, delivery)
    if delivery.stall:
        await peer.lost.wait()
    if delivery.close:
        transport.close()
    return sent


async def _write(peer: _Peer, transport: asyncio.Transport, delivery: Delivery) -> int:
    if not delivery.trickle_s:
        transport.write(delivery.payload)
        return len(delivery.payload)
    for sent, byte in enumerate(delivery.payload):
        if transport.is_closing():
            return sent
        transport.write(bytes((byte,)))
        await _pause(peer, delivery.trickle_s)
    return len(delivery.payload)


async def _pause(peer: _Peer, seconds: float) -> None:
    """Let real time pass, but not beyond the end of the connection."""
    if seconds:
        try:
            await asyncio.wait_for(peer.lost.wait(), seconds)
        except TimeoutError:
            return


def _reset(transport: asyncio.Transport) -> None:
    """End the connection with a TCP reset instead of a close."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
