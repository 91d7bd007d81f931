"""MQTT 3.1.1: micropython-lib `umqtt.simple`, unmodified, on the hardened stream.

`umqtt.simple` makes the packets and reads what is published. Beneath it, given to it as its `socket`, this module gathers each
packet into one write, and reads the head of each packet that comes before `umqtt.simple` sees it: so nothing has a length that is
not meant, a packet that is too long passes by in pieces, and no wait is longer than the stream's deadline. Answers to pings and
acknowledgements end here. `umqtt.simple` would wait for an acknowledgement inside `publish`, and hear other packets meanwhile; it is
told at once that it has come, and `unacknowledged` says when it really has.

How a wait can end: as in io/stream.py, every time but the first by an exception; then the caller closes the link.
"""

import sys
import time

from micropython import const

from ..core.errors import ProtocolError
from .stream import Stream

# A copy of the module for us alone: we replace its `socket`, and the appliance's program may use it as well.
_names = "umqtt.simple", "umqtt"
_theirs = [sys.modules.pop(name, None) for name in _names]
__import__("umqtt.simple")
simple = sys.modules[_names[0]]
for _name, _module in zip(_names, _theirs):
    if _module:
        sys.modules[_name] = _module
    else:
        del sys.modules[_name]

TIMEOUT_MS = const(20000)  # until a connection is made; until a packet that began has passed; until an answer has come
KEEPALIVE_S = const(60)
_PING_MS = const(45000)  # without a word from us: a broker gives up after 90 s (MQTT 3.1.1, 3.1.2.10)
_LARGE = const(256)  # bytes: what is larger is not gathered, but sent as it stands

_CONNACK = const(0x20)
_PUBLISH = const(0x30)
_PUBACK = const(0x40)
_SUBACK = const(0x90)
_PINGRESP = const(0xD0)


class Link:
    """A connection to a broker. To `umqtt.simple` it is both the module `socket` and the socket.

    Each method works until the deadline of `stream`, which the caller sets, and raises OSError or ProtocolError.
    """

    def __init__(self, context, limit, take):
        """context: from `stream.trust`, or None; limit: bytes of the longest packet that is read.

        take(topic, payload): called with each message, bytearrays; (word, None): one passed by, "too_long" or
        "retained". Only when it returns is the
        message acknowledged, unless it has set `withhold`.
        """
        self.stream = Stream(context)
        self._limit = limit
        self._take = take
        self._client = None
        self._expects = 0  # the kind of packet that `umqtt.simple` waits for
        self._blocking = True
        self._head = b""  # of the packet that came: read here, and still to be seen by `umqtt.simple`
        self._left = 0  # bytes of it that `umqtt.simple` has not read, with the head
        self._out = bytearray()
        self._due = 0  # bytes of the packet that goes out and is not whole
        self.withhold = False  # the message in hand is not to be acknowledged
        self.unacknowledged = 0  # id of the packet that the broker has not acknowledged
        self.pinged = False  # a ping has no answer yet
        self.sent_ticks = self.asked_ticks = time.ticks_ms()

    def open(self, host, port, client_id, user, password, will):
        """Connect, as `user` unless that is None. Returns whether the broker has kept a session.

        will: the topic on which the broker says `offline` when we are lost.
        """
        self.stream.connect(host, port)
        self._client = client = simple.MQTTClient(client_id, host, port, user, password, KEEPALIVE_S)
        client.set_callback(self._take)
        client.set_last_will(will, b"offline", True, 1)
        self._expects = _CONNACK
        return self._do(client.connect, False)

    def subscribe(self, topic):
        self._expects = _SUBACK
        self._do(self._client.subscribe, topic, 1)

    def publish(self, topic, payload, retain):
        """Publish with QoS 1. `unacknowledged` is 0 again when the broker has it."""
        client = self._client
        client.pid &= 0x7FFF  # its successor must be one, too, of 16 bits
        self._expects = _PUBACK
        self._do(client.publish, topic, payload, retain, 1)
        self.unacknowledged = client.pid
        self.asked_ticks = time.ticks_ms()

    def ping(self):
        self._do(self._client.ping)
        self.pinged = True
        self.asked_ticks = time.ticks_ms()

    def hear(self, wait):
        """Take one packet; wait: for one to come, until the deadline."""
        self._do(self._client.wait_msg if wait else self._client.check_msg)

    def due_ms(self):
        """Milliseconds until a ping is due, or the answer to what we asked is overdue. Makes no garbage."""
        if self.pinged or self.unacknowledged:
            return TIMEOUT_MS - time.ticks_diff(time.ticks_ms(), self.asked_ticks)
        return _PING_MS - time.ticks_diff(time.ticks_ms(), self.sent_ticks)

    def disconnect(self):
        """Take leave, so that the broker keeps the will to itself. Never raises."""
        try:
            self._do(self._client.disconnect)
        except (OSError, ProtocolError, MemoryError):
            pass
        self.close()

    def _do(self, action, *args):
        simple.socket = self  # type: ignore[attr-defined]
        try:
            return action(*args)
        except simple.MQTTException as error:
            raise ProtocolError("broker refuses: %s" % error)
        finally:
            self._expects = 0
            simple.socket = None  # type: ignore[attr-defined]

    # What `umqtt.simple` asks of the module `socket`, and of the socket

    def socket(self, *args):
        return self

    connect = settimeout = socket

    def getaddrinfo(self, *args):
        return (args,)

    def setblocking(self, flag):
        self._blocking = flag

    def close(self):
        """End the connection without leave. Never raises."""
        self.stream.close()

    def write(self, data, size=None):
        """Gather a packet and send it when it is whole; its first piece has its length."""
        if isinstance(data, str):
            data = data.encode()
        if size is not None:
            data = data[:size]
        if not self._due:
            if not data:
                return  # an empty payload: the packet is whole without it
            self._due = _whole(data)
        self._due -= len(data)
        large = len(data) > _LARGE
        if not large:
            self._out.extend(data)
        if large or not self._due:
            self._send(data if large else b"")

    def _send(self, more):
        out = self._out
        withheld = self.withhold and out[0] == _PUBACK
        if not withheld:
            self.stream.write(out)
            if more:
                self.stream.write(more)
            self.sent_ticks = time.ticks_ms()
        out[:] = b""

    def read(self, size):
        """So many bytes of the packet that came; None when none did, and nobody wants to wait."""
        if not size:
            return b""
        if not self._left and not self._begin():
            return None
        self._left -= size
        if not self._head:
            return self._take_in(size)
        data = self._head[:size]
        self._head = self._head[size:]
        return data

    # What comes

    def _begin(self):
        """Take the next packet up to where `umqtt.simple` goes on, or all of it. Returns whether there is one for `umqtt.simple`."""
        if self._expects == _PUBACK:
            self._expects = 0
            return self._show(b"\x40\x02" + self._client.pid.to_bytes(2, "big"), 0)
        if not self._blocking and not self.stream.has_some():
            return False
        kind = self._take_in(1)[0]
        size = shift = 0
        byte = 128
        while byte & 128:
            if shift > 21:
                raise ProtocolError("length of a packet not understood")
            byte = self._take_in(1)[0]
            size |= (byte & 127) << shift
            shift += 7
        if self._expects == _CONNACK != kind:
            raise ProtocolError("packet %d before the answer to CONNECT" % kind)
        if kind & 0xF0 == _PUBLISH:
            return self._published(kind, size)
        if kind == self._expects and size == (2 if kind == _CONNACK else 3):
            body = self._take_in(size)
            if kind == _SUBACK and body[0] << 8 | body[1] != self._client.pid:
                raise ProtocolError("answer to another question")
            return self._show(bytes((kind, size)) + body, 0)
        if kind == _PUBACK and size == 2:
            if self._number() == self.unacknowledged:
                self.unacknowledged = 0
        elif kind == _PINGRESP and not size:
            self.pinged = False
        else:
            raise ProtocolError("packet %d of %d bytes not understood" % (kind, size))
        return False

    def _published(self, kind, size):
        """A message. One that is too long is acknowledged and passes by; and one that was retained, for it would come each time."""
        asks = kind & 6
        length = self._number()
        rest = size - length - (4 if asks else 2)
        if asks > 2 or not length or rest < 0:
            raise ProtocolError("message not understood")
        if size <= self._limit and not kind & 1:
            return self._show(_head(kind, size) + length.to_bytes(2, "big"), size - 2)
        self._skip(length)
        if asks:
            self.stream.write(b"\x40\x02" + self._take_in(2))
        self._skip(rest)
        self._take(b"retained" if kind & 1 else b"too_long", None)
        return False

    def _show(self, head, left):
        self._head = head
        self._left = len(head) + left
        return True

    def _number(self):
        data = self._take_in(2)
        return data[0] << 8 | data[1]

    def _take_in(self, size):
        """Exactly so many bytes."""
        data = bytearray(size)
        at = 0
        while at < size:
            some = self._some(size - at)
            data[at : at + len(some)] = some
            at += len(some)
        return data

    def _skip(self, size):
        while size:
            size -= len(self._some(size))

    def _some(self, limit):
        some = self.stream.read_some(limit)
        if not len(some):
            raise ProtocolError("closed")
        return some


def _whole(data):
    """The length of the packet that begins so."""
    size = 0
    at = 1
    while True:
        size |= (data[at] & 127) << 7 * (at - 1)
        at += 1
        if data[at - 1] < 128:
            return at + size


def _head(kind, size):
    """The first bytes of a packet: its kind and its length."""
    head = bytearray((kind,))
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return head
