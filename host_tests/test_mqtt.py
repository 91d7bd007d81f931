"""MQTT over a broker in memory: what is sent, what is heard, and what a peer that lies, stalls or goes away comes to."""

from replenish.core.errors import ProtocolError
from replenish.io import mqtt

from host_tests.expect import cases, raises
from host_tests.fakes.broker import Broker, message, packet
from host_tests.fakes.replaced import Replaced

PEER_IS_WRONG = (OSError, ProtocolError)
LIMIT = 400
TOPIC = b"replenish/SN1/"
CONNACK = packet(0x20, b"\0\0")


class Device:
    """A link to a broker, and what it was given."""

    def __init__(self, broker, user=None, password=b""):
        self.broker = broker
        self.taken = []
        self.withholds = False
        self.link = mqtt.Link(None, LIMIT, self.take)
        self.login = user, password

    def take(self, topic, payload):
        self.taken.append((bytes(topic), payload if payload is None else bytes(payload)))
        self.link.withhold = self.withholds

    def open(self):
        return self.link.open("broker.test", 8883, b"SN1", self.login[0], self.login[1], TOPIC + b"availability")

    def drain(self):
        self.link.ping()
        while self.link.pinged:
            self.link.hear(True)


def at_broker(check, *args):
    """Run `check(device, *args)` with a device at a broker in memory."""
    broker = Broker()
    with Replaced(mqtt, Stream=broker.stream):
        check(Device(broker), *args)


def connected(check, *args):
    def run(device):
        device.open()
        for name in (b"notice", b"command"):
            device.link.subscribe(TOPIC + name)
        check(device, *args)

    at_broker(run)


# Connecting


def test_a_connection_says_who_it_is_and_what_its_will_is():
    def check(device):
        device.login = b"SN1", b"opensesame"
        assert device.open() == 0
        stream = device.broker.connections[0]
        assert (stream.client_id, stream.will, stream.will_text) == (b"SN1", TOPIC + b"availability", b"offline")
        assert stream.login == [b"SN1", b"opensesame"] and stream.keepalive == 60
        assert stream.flags == 0x80 | 0x40 | 0x20 | 0x08 | 0x04, "user, password, will retained with QoS 1, session kept"
        assert len(stream.writes) == 1, "one packet, one write"

    at_broker(check)


def test_a_session_is_kept():
    def check(device):
        assert device.open() == 0
        device.link.disconnect()
        assert device.open() == 1
        assert device.broker.wills == [], "who takes leave has no will"
        device.link.close()
        assert device.broker.wills == [TOPIC + b"availability"]

    at_broker(check)


def check_refused(device, code):
    device.broker.refuse = code
    error = raises(ProtocolError, device.open)
    assert str(error) == "broker refuses: %d" % code


def test_a_refusal_tells_its_code():
    cases(lambda code: at_broker(check_refused, code), [(code,) for code in (1, 2, 3, 4, 5, 255)])


# Saying


def check_publish(device, payload, writes):
    stream = device.broker.connections[0]
    before = len(stream.writes)
    device.link.publish(TOPIC + b"state", payload, True)
    assert device.link.unacknowledged, "not before the broker has said so"
    device.link.hear(True)
    assert not device.link.unacknowledged
    assert device.broker.published == [(TOPIC + b"state", payload, True)]
    assert len(stream.writes) - before == writes


def test_a_message_is_published_in_as_few_writes_as_it_needs():
    for size, writes in ((0, 1), (1, 1), (100, 1), (256, 1), (257, 2), (20000, 2)):
        connected(check_publish, b"x" * size, writes)


def test_packet_ids_stay_within_sixteen_bits():
    class Client(mqtt.simple.MQTTClient):  # type: ignore[name-defined]
        def __init__(self, *args):
            super().__init__(*args)
            self.pid = 32700

    def check(device):
        for _ in range(100):
            device.link.publish(b"a", b"", False)
            assert 0 < device.link.unacknowledged < 65536
            device.link.hear(True)
            assert device.broker.published.pop() == (b"a", b"", False)

    with Replaced(mqtt.simple, MQTTClient=Client):
        connected(check)


def test_another_packets_acknowledgement_is_not_ours():
    def check(device):
        device.broker.silent = (0x30,)
        device.link.publish(TOPIC + b"state", b"x", True)
        stream = device.broker.connections[0]
        stream.out += packet(0x40, (device.link.unacknowledged + 1).to_bytes(2, "big"))
        device.link.hear(True)
        assert device.link.unacknowledged

    connected(check)


# Hearing


def test_messages_are_acknowledged_when_they_were_taken():
    def check(device):
        device.broker.queue = [(TOPIC + b"notice", b"one"), (TOPIC + b"command", b""), (TOPIC + b"notice", b"x" * 300)]
        device.drain()
        assert device.taken == [(TOPIC + b"notice", b"one"), (TOPIC + b"command", b""), (TOPIC + b"notice", b"x" * 300)]
        assert not device.broker.connections[0].unacknowledged

    connected(check)


def test_what_is_withheld_comes_again():
    def check(device):
        device.broker.queue = [(TOPIC + b"notice", b"one"), (TOPIC + b"notice", b"two")]
        device.withholds = True
        device.drain()
        device.link.disconnect()
        device.withholds = False
        assert device.open() == 1
        device.drain()
        assert [payload for _, payload in device.taken] == [b"one", b"two", b"one", b"two"]
        assert not device.broker.connections[1].unacknowledged and not device.broker.queue

    connected(check)


def test_what_is_too_long_is_acknowledged_and_passes_by():
    def check(device):
        device.broker.queue = [(TOPIC + b"notice", b"x" * 70000), (b"t" * 1000, b""), (TOPIC + b"notice", b"after")]
        device.drain()
        assert device.taken == [(b"too_long", None), (b"too_long", None), (TOPIC + b"notice", b"after")]
        assert not device.broker.connections[0].unacknowledged

    connected(check)


def test_a_message_without_acknowledgement_is_taken_too():
    def check(device):
        stream = device.broker.connections[0]
        stream.out += message(TOPIC + b"notice", b"hi", 0)
        before = len(stream.writes)
        device.link.hear(True)
        assert device.taken == [(TOPIC + b"notice", b"hi")] and len(stream.writes) == before

    connected(check)


def test_a_message_that_comes_while_subscribing_is_taken():
    def check(device):
        device.open()
        device.broker.session.add(TOPIC + b"notice")
        device.broker.queue = [(TOPIC + b"notice", b"early")]
        device.link.subscribe(TOPIC + b"notice")
        assert device.taken == [(TOPIC + b"notice", b"early")]

    at_broker(check)


def test_when_nothing_is_there_nobody_waits():
    def check(device):
        device.link.hear(False)
        assert device.taken == []
        assert raises(OSError, device.link.hear, True), "the deadline"

    connected(check)


# Pings


def test_a_ping_is_due_after_silence_and_its_answer_is_watched():
    def check(device):
        link = device.link
        assert 44000 < link.due_ms() <= 45000
        link.ping()
        assert 19000 < link.due_ms() <= 20000
        link.hear(True)
        assert 44000 < link.due_ms() <= 45000
        device.broker.silent = (0xC0,)
        link.ping()
        link.asked_ticks -= 20001
        assert link.due_ms() < 0

    connected(check)


# A peer that lies, stalls or goes away


def after_connack(data):
    def check(device):
        device.broker.script = CONNACK + data
        device.open()
        error = raises(PEER_IS_WRONG, device.drain)
        assert error, data

    at_broker(check)


WRONG = (
    b"\x00\x00",
    b"\x10\x00",
    b"\x20\x02\0\0",
    b"\x40\x00",
    b"\x40\x03\0\0\0",
    b"\x90\x03\0\1\1",
    b"\xd0\x01\0",
    b"\xc0\x00",
    b"\xf0\x00",
    b"\x32\x80\x80\x80\x80\x01",
    b"\x30\xff\xff\xff\xff",
    b"\x32\x00",
    b"\x32\x02\0\0",
    b"\x32\x05\0\x09abc",
    b"\x32\x04\0\0\0\1",
    b"\x34\x06\0\1a\0\1x",
    b"\x36\x06\0\1a\0\1x",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\xff" * 64,
)


def test_what_is_not_mqtt_ends_the_connection():
    cases(lambda data: after_connack(data), [(data,) for data in WRONG])


def converse(device):
    """All that happens in a connection."""
    device.open()
    for name in (b"notice", b"command"):
        device.link.subscribe(TOPIC + name)
    device.broker.queue = [(TOPIC + b"notice", b"one"), (TOPIC + b"notice", b"x" * 500)]
    device.drain()
    device.link.publish(TOPIC + b"state", b"{}", True)
    while device.link.unacknowledged:
        device.link.hear(True)


def check_cut(device, at):
    """The connection ends after so many bytes of a good conversation; a second one is whole."""
    broker = device.broker
    broker.cut_after = at
    assert raises(PEER_IS_WRONG, converse, device)
    device.link.close()
    broker.cut_after = None
    device.link = mqtt.Link(None, LIMIT, device.take)
    device.open()
    device.drain()
    device.link.publish(TOPIC + b"state", b"{}", True)
    device.link.hear(True)
    assert not device.link.unacknowledged and not broker.queue


def test_a_connection_that_ends_at_any_byte_is_an_error_and_the_next_is_whole():
    given = []

    def check(device):
        converse(device)
        given.append(device.broker.connections[0].given)

    at_broker(check)
    assert given[0] > 500
    for at in range(given[0]):
        at_broker(check_cut, at)


def test_a_connection_that_stalls_at_any_byte_meets_the_deadline():
    good = CONNACK + packet(0x90, b"\0\1\1") + message(TOPIC + b"notice", b"one") + packet(0xD0, b"")

    def check(device, at):
        device.broker.script = good[:at]

        def converse():
            device.open()
            device.link.subscribe(TOPIC + b"notice")
            device.drain()

        error = raises(OSError, converse)
        assert error.args[0] == 110, error

    for at in range(len(good)):
        at_broker(check, at)


def test_a_subscription_that_is_refused_is_an_error():
    def check(device):
        device.broker.script = CONNACK + packet(0x90, b"\0\1\x80")
        device.open()
        assert str(raises(ProtocolError, device.link.subscribe, TOPIC + b"notice")) == "broker refuses: 128"

    at_broker(check)


def test_an_answer_to_another_subscription_is_an_error():
    def check(device):
        device.broker.script = CONNACK + packet(0x90, b"\0\7\1")
        device.open()
        raises(ProtocolError, device.link.subscribe, TOPIC + b"notice")

    at_broker(check)


def test_leave_is_taken_whatever_the_peer_does():
    def failing(device):
        def write(data):
            raise OSError(104)

        device.link.stream.write = write
        device.link.disconnect()
        assert not device.broker.connections[0].is_open

    connected(failing)


def test_the_appliances_program_keeps_its_own_library():
    import sys

    assert sys.modules.get("umqtt.simple") is not mqtt.simple
