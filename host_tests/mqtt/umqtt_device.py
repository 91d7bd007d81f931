"""A device with `umqtt.simple` as it is, on MicroPython: what a broker must do for the agent.

    micropython umqtt_device.py PORT CA.der

Prints `step value` for each step, in the order in which they happen.
"""

import socket
import sys

import tls
import umqtt.simple

PORT, CA = int(sys.argv[1]), sys.argv[2]
NOTICE = b"replenish/SN0001/notice"
AVAILABILITY = b"replenish/SN0001/availability"
RELAY = ("relay", "relay", "relay's")
OPERATOR = ("operator", "operator", 'quo"ted \\ and ünusual'.encode())  # of a string umqtt counts the characters
MANY = 300


class TLSSocket:
    """What umqtt.simple takes for its socket. Writes are gathered until the next read: each alone would wait for the other side."""

    def __init__(self):
        self._raw = socket.socket()
        self._pending = b""

    def connect(self, address):
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.verify_mode = tls.CERT_REQUIRED
        with open(CA, "rb") as file:
            context.load_verify_locations(file.read())
        self._raw.connect(address)
        self._tls = context.wrap_socket(self._raw, server_hostname="localhost")

    def write(self, data, size=None):
        self._pending += data if size is None else data[:size]

    def flush(self):
        if self._pending:
            self._tls.write(self._pending)
            self._pending = b""

    def read(self, size):
        self.flush()
        data = b""
        while len(data) < size:
            more = self._tls.read(size - len(data))
            if not more:
                break
            data += more
        return data

    def setblocking(self, blocking):
        pass

    def cut(self):
        self._raw.close()

    def close(self):
        self.flush()
        self._tls.close()


class TLSSockets:
    getaddrinfo = socket.getaddrinfo
    socket = TLSSocket


umqtt.simple.socket = TLSSockets
arrived = []


def client(client_id, user, password):
    made = umqtt.simple.MQTTClient(client_id, "127.0.0.1", PORT, user, password, 60)
    made.set_callback(lambda topic, payload: arrived.append(payload))
    return made


def device():
    made = client("SN0001", "SN0001", "device's")
    made.set_last_will(AVAILABILITY, b"offline", True, 1)
    return made, made.connect(False)


def receive(from_client, count=1):
    arrived.clear()
    while len(arrived) < count:
        from_client.wait_msg()
    from_client.sock.flush()  # the last acknowledgement
    return [payload.decode() for payload in arrived]


def refused(*credentials):
    try:
        client(*credentials).connect(False)
    except (IndexError, OSError, umqtt.simple.MQTTException):  # what umqtt makes of a closed connection, and of a refusal
        return True
    return False


def tell(step, value):
    print(step, value)


tell("refused", refused("SN0001", "SN0001", "relay's") and refused("SN0001", None, None))
one, present = device()
tell("present at first", present)
one.subscribe(NOTICE, 1)
one.publish(AVAILABILITY, b"online", True, 1)
relay = client(*RELAY)
relay.connect(True)
relay.publish(NOTICE, b"a", False, 1)
tell("received", receive(one))
operator = client(*OPERATOR)
operator.connect(True)
operator.subscribe(AVAILABILITY, 1)
tell("retained", receive(operator))
one.sock.cut()
tell("will", receive(operator))
for number in range(MANY):
    relay.publish(NOTICE, b"%d" % number, False, 1)
one, present = device()
tell("present again", present)
tell("queued in order", receive(one, MANY) == [str(number) for number in range(MANY)])
relay.publish(NOTICE, b"not acknowledged", False, 1)
one.sock.read(20)
one.sock.cut()
tell("second will", receive(operator))
one, _ = device()
tell("once more", receive(one))
other, _ = device()
relay.publish(NOTICE, b"b", False, 1)
tell("after take-over", receive(other))
other.ping()
other.wait_msg()
tell("ping", "answered")
other.disconnect()
fresh = client("SN0001", "SN0001", "device's")
tell("present after a clean start", fresh.connect(True))
fresh.disconnect()
