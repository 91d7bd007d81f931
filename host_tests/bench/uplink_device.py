"""A connection to a broker, in phases: after each its name is printed, and a line awaited. For `uplink.py`."""

import sys

import replenish  # noqa: F401  (first: it sets up the heap)
from replenish.io import mqtt, stream

port, ca, serial, password, pings = sys.argv[1:]
with open(ca, "rb") as file:
    trust = stream.trust([file.read()])
taken = []


def done(name):
    print(name)
    sys.stdin.readline()


def drain():
    link.ping()
    while link.pinged:
        link.hear(True)


def say(name, payload):
    link.publish(base + name, payload, True)
    while link.unacknowledged:
        link.hear(True)


base = ("replenish/%s/" % serial).encode()
link = mqtt.Link(trust, 4096, lambda topic, payload: taken.append(len(payload)))
link.stream.set_deadline(60000)
login = "127.0.0.1", int(port), serial.encode(), serial.encode(), password.encode(), base + b"availability"
link.open(*login)
for topic in (b"notice", b"command"):
    link.subscribe(base + topic)
done("connect")
say(b"state", b"x" * 600)
done("state")
for _ in range(int(pings)):
    drain()
done("pings")
link.disconnect()
done("leave")
link = mqtt.Link(trust, 4096, lambda topic, payload: taken.append(len(payload)))
link.stream.set_deadline(60000)
assert link.open(*login) == 1
drain()
done("again")
