"""A broker in memory, behind the interface of io/stream.py: sessions, queues, acknowledgements, and a peer that lies or falls silent.

Nothing waits: where the true stream would wait until its deadline, this one raises what the deadline raises. It is strict: what a
client must not send by MQTT 3.1.1 is an AssertionError here.
"""

import errno

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 0x10, 0x30, 0x40, 0x80, 0xC0, 0xE0


def packet(kind, body):
    """A packet as it stands on the wire."""
    size = len(body)
    head = bytearray((kind,))
    while True:
        head.append(size & 127 | (128 if size > 127 else 0))
        size >>= 7
        if not size:
            return bytes(head) + body


def text(value):
    return len(value).to_bytes(2, "big") + value


def message(topic, payload, number=1):
    """A PUBLISH with QoS 1; number: its id; 0: QoS 0."""
    return packet(PUBLISH | (2 if number else 0), text(topic) + (number.to_bytes(2, "big") if number else b"") + payload)


class Broker:
    """What outlives a connection. Give `stream` to io/mqtt.py as its `Stream`."""

    def __init__(self):
        self.session = None  # the topics that are subscribed to, once there is a session
        self.queue = []  # (topic, payload) to be delivered
        self.published = []  # (topic, payload, retained) that came
        self.connections = []
        self.wills = []  # that were published
        self.refuse = 0  # the code of CONNACK
        self.down = None  # an exception that a connect raises
        self.silent = ()  # kinds of packet that get no answer
        self.cut_after = None  # so many bytes are given by a connection, then it ends
        self.script = None  # bytes given by each connection instead of all that the broker would say

    def stream(self, context):
        return _Stream(self)

    def texts(self, name):
        """The payloads that were published on topics of this name."""
        return [payload for topic, payload, _ in self.published if topic.rsplit(b"/", 1)[1] == name]


class _Stream:
    """One connection. `writes` are the sizes of what came."""

    def __init__(self, broker):
        self.broker = broker
        self.out = b""
        self.given = 0
        self.writes = []
        self.inside = bytearray()  # what came and is no whole packet
        self.unacknowledged = {}  # message id: (topic, payload)
        self.number = 0
        self.is_open = self.greeted = False
        self.tls = None
        self.deadlines = 0

    def set_deadline(self, timeout_ms):
        assert 0 < timeout_ms < 1 << 29
        self.deadlines += 1

    def connect(self, host, port):
        if self.broker.down:
            raise self.broker.down
        self.is_open = True
        self.greeted = False
        self.unacknowledged = {}
        self.inside = bytearray()
        self.out = self.broker.script or b""
        self.broker.connections.append(self)

    def close(self):
        """Without DISCONNECT: what was not acknowledged stays with the broker, and the will is published."""
        if self.is_open:
            self.is_open = False
            self.broker.queue = [self.unacknowledged[number] for number in sorted(self.unacknowledged)] + self.broker.queue
            if self.greeted:
                self.broker.wills.append(self.will)

    # What the device reads

    def has_some(self):
        assert self.is_open
        self._deliver()
        return bool(self.out) or self._is_cut()

    def _is_cut(self):
        return self.broker.cut_after is not None and self.given >= self.broker.cut_after

    def read_some(self, limit):
        assert self.is_open and limit > 0
        self._deliver()
        if self._is_cut():
            return b""
        if not self.out:
            raise OSError(errno.ETIMEDOUT)
        size = 1 if self.broker.cut_after is not None else limit  # byte by byte where it is to end at a byte
        some = self.out[:size]
        self.out = self.out[len(some) :]
        self.given += len(some)
        return memoryview(some)

    def _deliver(self):
        while self.greeted and self.broker.session and self.broker.queue and self.broker.script is None:
            self.number += 1
            self.unacknowledged[self.number] = self.broker.queue[0]
            topic, payload = self.broker.queue.pop(0)
            self.out += message(topic, payload, self.number)

    # What it writes

    def write(self, data):
        assert self.is_open, "written after the end"
        self.writes.append(len(data))
        self.inside.extend(data)
        while len(self.inside) > 1:
            size, at = self._size()
            if size is None or len(self.inside) < at + size:
                return
            kind, body = self.inside[0], bytes(self.inside[at : at + size])
            self.inside = self.inside[at + size :]
            if self.broker.script is None:
                self._take(kind, body)

    def _size(self):
        """(length of the packet's body, where it begins); (None, 0) while that has not come."""
        size = at = 0
        while True:
            at += 1
            if at >= len(self.inside):
                return None, 0
            size |= (self.inside[at] & 127) << 7 * (at - 1)
            if self.inside[at] < 128:
                return size, at + 1

    def _take(self, kind, body):
        assert self.greeted or kind == CONNECT
        if kind & 0xF0 in self.broker.silent:
            return
        if kind == CONNECT:
            self._connect(body)
        elif kind & 0xF0 == PUBLISH:
            self._publish(kind, body)
        elif kind == PUBACK:
            self.unacknowledged.pop(int.from_bytes(body, "big"))
        elif kind == SUBSCRIBE | 2:
            assert body[-1] == 1, "QoS 1 is wanted"
            self._deliver()
            self.broker.session.add(body[4:-1])
            self.out += packet(0x90, body[:2] + b"\x01")
        elif kind == PINGREQ:
            self._deliver()
            self.out += packet(0xD0, b"")
        else:
            assert kind == DISCONNECT and not body
            self.greeted = False

    def _connect(self, body):
        assert body[:7] == text(b"MQTT") + b"\x04", "protocol name and level"
        self.flags, self.keepalive = body[7], body[8] << 8 | body[9]
        assert not self.flags & 3, "a clean session would forget what is queued"
        fields, at = [], 10
        while at < len(body):
            size = body[at] << 8 | body[at + 1]
            fields.append(body[at + 2 : at + 2 + size])
            at += 2 + size
        self.client_id, self.will, self.will_text = fields[:3]
        self.login = fields[3:]
        kept = self.broker.session is not None and not self.broker.refuse
        if not self.broker.refuse:
            self.broker.session = self.broker.session or set()
            self.greeted = True
        self.out += packet(0x20, bytes((1 if kept else 0, self.broker.refuse)))

    def _publish(self, kind, body):
        assert kind & 6 == 2, "QoS 1 is wanted"
        size = body[0] << 8 | body[1]
        number = body[2 + size : 4 + size]
        assert number != b"\0\0"
        self.broker.published.append((body[2 : 2 + size], body[4 + size :], bool(kind & 1)))
        self.out += packet(PUBACK, number)
