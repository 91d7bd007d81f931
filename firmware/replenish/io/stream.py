"""One verified TLS connection, or a plain one: DNS, TCP, handshake, reading and writing under one deadline for all of it.

No socket operation blocks for longer than the time that is left. The one exception is the name look-up, for which MicroPython
has no time limit (micropython#3666): on a board the watchdog is the only guard.

How a wait can end: 1. the socket is ready, 2. the deadline passes (OSError ETIMEDOUT), 3. the peer closes or resets (OSError),
4. the peer breaks the protocol or cannot be trusted (ProtocolError), 5. memory runs out (MemoryError). After 2 to 5 the caller
closes the stream.
"""

import errno
import select
import socket
import time

import tls
from micropython import const

from ..core.errors import ProtocolError

_BUFFER_SIZE = const(512)  # bytes read from the connection at once
_LINE_LIMIT = const(8192)  # bytes of one line, stored or not
_ADDRESSES_LIMIT = const(4)  # of a name, tried in turn
_UNTRUSTED = const("peer not trusted: %s")


def trust(certificates, own=None):
    """A TLS context that trusts these root certificates (DER bytes) and nothing else. Raises ValueError when one is not usable.

    own: (certificate, private key) of the device, DER bytes, for a peer that asks who it is.
    """
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED  # type: ignore[attr-defined]  # the stubs lack it
    for certificate in certificates:
        context.load_verify_locations(certificate)
    if own:
        context.load_cert_chain(*own)
    return context


class Stream:
    """A connection to `host`:`port`, or none while `host` is ""."""

    def __init__(self, context):
        """context: from `trust`; None: no TLS."""
        self._context = context
        self._poll = None
        self._buffer = bytearray(_BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._deadline = time.ticks_ms()
        self.port = 0
        self.connections = 0  # opened since boot, and the bytes of content on them: figures for `make bench`
        self.written = 0
        self.received = 0
        self.tls = self.socket = None
        self.close()

    def set_deadline(self, timeout_ms):
        """All that follows must be done within so many milliseconds (at most 2^29)."""
        self._deadline = time.ticks_add(time.ticks_ms(), timeout_ms)

    def _left(self):
        left = time.ticks_diff(self._deadline, time.ticks_ms())
        if left <= 0:
            raise OSError(errno.ETIMEDOUT)
        return left

    def connect(self, host, port):
        """Connect and verify. Raises OSError or ProtocolError; then nothing is open."""
        try:
            # A new one for each connection: once `register` has run out of memory, the next `poll` would crash MicroPython.
            self._poll = select.poll()
            self._reach(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[:_ADDRESSES_LIMIT])
            # With a socket that does not block the handshake is done by the first reads and writes, under our deadline.
            self.tls = self.socket
            if self._context:
                self.tls = self._context.wrap_socket(self.socket, server_hostname=host, do_handshake_on_connect=False)
        except BaseException:  # whatever it is, MemoryError included: no socket stays open
            self.close()
            raise
        self.host = host
        self.port = port
        self.connections += 1

    def _reach(self, addresses):
        """Connect to the first of the addresses that accepts. Raises the last one's OSError, or ETIMEDOUT at once."""
        for info in addresses:
            self.close()
            failed = OSError(errno.ECONNREFUSED)
            timeout_ms = self._left()
            try:
                self.socket = sock = socket.socket(info[0], info[1], info[2])
                sock.setblocking(False)
                sock.connect(info[-1])
            except OSError as error:
                # What a connect that goes on in the background raises: Linux 115, lwIP 119, older ESP32 builds 118.
                if error.errno not in (errno.EINPROGRESS, 115, 118, 119):
                    failed = error
                    continue
            ready = self._wait(sock, select.POLLOUT, timeout_ms)
            if not ready:
                raise OSError(errno.ETIMEDOUT)
            if not ready & (select.POLLERR | select.POLLHUP):
                return
        raise failed

    def _wait(self, sock, flags, timeout_ms):
        """What poll says of the socket once it is ready; 0 when it was not within so many milliseconds."""
        self._poll.register(sock, flags)
        try:
            ready = self._poll.poll(timeout_ms)
        finally:
            self._poll.unregister(sock)
        return ready[0][1] if ready else 0

    def _do(self, action, argument, flags):
        """One TLS operation, repeated until it has done something, and what it says then.

        A peer that cannot be verified is a ValueError on MicroPython: the peer's fault.
        """
        while True:
            self._left()
            try:
                count = action(argument)
            except ValueError as error:
                raise ProtocolError(_UNTRUSTED % error)
            if count is not None:
                return count
            self._wait(self.tls, flags, self._left())

    def write(self, data):
        """Send all of `data`, as few TLS records as it fits in. When this returns, the request has left completely."""
        view = memoryview(data)
        at = 0
        while at < len(data):
            at += self._do(self.tls.write, view[at:], select.POLLOUT | select.POLLIN)
        self.written += at

    def _fill(self):
        """Read what is there into the empty buffer; returns how much, 0 at the end of the stream."""
        self._end = count = self._do(self.tls.readinto, self._buffer, select.POLLIN)
        self._start = 0
        self.received += count
        return count

    def read_some(self, limit):
        """A view of 1 to `limit` bytes, valid until the next read; an empty one at the end of the stream."""
        if self._start == self._end:
            self._fill()
        start = self._start
        self._start = min(self._end, start + limit)
        return self._view[start : self._start]

    def read_line(self, line):
        """Read up to and with the next newline. Stores as much as fits into the bytearray `line`; returns the true length.

        The length is 0 at the end of the stream. A line of any length costs no more memory than `line`; the caller bounds
        the bytes that it is ready to read.
        """
        length = 0
        while self._start < self._end or self._fill():
            byte = self._buffer[self._start]
            self._start += 1
            if length < len(line):
                line[length] = byte
            length += 1
            if byte == 10 or length > _LINE_LIMIT:
                break
        return length

    def has_some(self):
        """Whether there is something to read, be it the end of the stream. Never waits and makes no garbage. Raises OSError and
        ProtocolError.

        When there is nothing, nothing is left in layers above it either: a poll of `tls` then tells when there is more.
        """
        if self._start == self._end:
            try:
                count = self.tls.readinto(self._buffer)
            except ValueError as error:
                raise ProtocolError(_UNTRUSTED % error)
            if count is None:
                return False
            self._start = 0
            self._end = count
            self.received += count
            if not count:
                raise OSError(errno.ECONNRESET)
        return True

    def is_quiet(self):
        """Whether an idle connection is still usable: nothing unread, and the peer has not closed it."""
        return self.tls is not None and self._start == self._end and not self._wait(self.tls, select.POLLIN, 0)

    def close(self):
        """Close whatever is open. Never raises."""
        self.host = ""
        self._start = self._end = 0
        # Both: after a failed handshake MicroPython's TLS socket has let go of the socket below without closing it.
        # Without a loop over both: its tuple would need memory, of which there may be none left.
        _close(self.tls)
        _close(self.socket)
        self.tls = self.socket = None


def _close(sock):
    try:
        if sock is not None:
            sock.close()
    except OSError:
        pass
