"""One verified TLS connection: DNS, TCP, handshake, reading and writing under one deadline for all of it.

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

from ..core.errors import ProtocolError

_BUFFER_SIZE = 512  # bytes read from the connection at once
_LINE_LIMIT = 8192  # bytes of one line, stored or not
_ADDRESSES_LIMIT = 4  # of a name, tried in turn
# What a connect that goes on in the background raises: Linux 115, lwIP 119, older ESP32 builds 118.
_CONNECTING = (errno.EINPROGRESS, 115, 118, 119)


def trust(certificates):
    """A TLS context that trusts these root certificates (DER bytes) and nothing else. Raises ValueError when one is not usable."""
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    for certificate in certificates:
        context.load_verify_locations(certificate)
    return context


class Stream:
    """A connection to `host`:`port`, or none while `host` is ""."""

    def __init__(self, context):
        self._context = context
        self._socket = None
        self._tls = None
        self._poll = select.poll()
        self._buffer = bytearray(_BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0
        self._deadline = 0
        self.host = ""
        self.port = 0
        self.connections = 0  # opened since boot, and the bytes of content on them: figures for `make bench`
        self.written = 0
        self.received = 0

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
        self.close()
        try:
            self._connect_any(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[:_ADDRESSES_LIMIT])
            self._shake_hands(host)
        except BaseException:  # whatever it is, MemoryError included: no socket stays open
            self.close()
            raise
        self.host = host
        self.port = port
        self.connections += 1

    def _connect_any(self, addresses):
        for info in addresses[:-1]:
            try:
                return self._connect_to(info)
            except OSError as error:
                if error.errno == errno.ETIMEDOUT:
                    raise
                self.close()
        return self._connect_to(addresses[-1])

    def _connect_to(self, info):
        self._left()
        self._socket = socket.socket(info[0], info[1], info[2])
        self._socket.setblocking(False)
        try:
            self._socket.connect(info[-1])
        except OSError as error:
            if error.errno not in _CONNECTING:
                raise
        if self._wait(self._socket, select.POLLOUT) & (select.POLLERR | select.POLLHUP):
            raise OSError(errno.ECONNREFUSED)

    def _shake_hands(self, host):
        self._socket.setblocking(False)
        # With a socket that does not block the handshake is done by the first reads and writes, under our deadline.
        self._tls = self._context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)

    def _wait(self, sock, flags):
        """Wait until the socket is ready; returns what poll says."""
        self._poll.register(sock, flags)
        try:
            ready = self._poll.poll(self._left())
        finally:
            self._poll.unregister(sock)
        if not ready:
            raise OSError(errno.ETIMEDOUT)
        return ready[0][1]

    def write(self, data):
        """Send all of `data`, as few TLS records as it fits in. When this returns, the request has left completely."""
        view = memoryview(data)
        at = 0
        while at < len(data):
            self._left()
            count = self._do(self._tls.write, view[at:])
            if count is None:
                self._wait(self._tls, select.POLLOUT | select.POLLIN)
            else:
                at += count
        self.written += at

    def _do(self, action, argument):
        """One TLS operation. A peer that cannot be verified is a ValueError on MicroPython: the peer's fault."""
        try:
            return action(argument)
        except ValueError as error:
            raise ProtocolError("peer not trusted: %s" % error)

    def _fill(self):
        """Read what is there into the empty buffer; returns False at the end of the stream."""
        while True:
            self._left()
            count = self._do(self._tls.readinto, self._buffer)
            if count is not None:
                break
            self._wait(self._tls, select.POLLIN)
        self._start = 0
        self._end = count
        self.received += count
        return count > 0

    def read_some(self, limit):
        """A view of 1 to `limit` bytes, valid until the next read; an empty one at the end of the stream."""
        if self._start == self._end and not self._fill():
            return self._view[:0]
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

    def is_quiet(self):
        """Whether an idle connection is still usable: nothing unread, and the peer has not closed it."""
        if self._tls is None or self._start != self._end:
            return False
        self._poll.register(self._tls, select.POLLIN)
        try:
            return not self._poll.poll(0)
        finally:
            self._poll.unregister(self._tls)

    def close(self):
        """Close whatever is open. Never raises."""
        self.host = ""
        self._start = self._end = 0
        # Both: after a failed handshake MicroPython's TLS socket has let go of the socket below without closing it.
        # Without a loop over both: its tuple would need memory, of which there may be none left.
        _close(self._tls)
        _close(self._socket)
        self._tls = self._socket = None


def _close(sock):
    try:
        if sock is not None:
            sock.close()
    except OSError:
        pass
