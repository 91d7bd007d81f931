"""The device's side of conversations with a broker. A dual script.

    mqtt_device.py CA.der ...

Reads one JSON object a line from standard input, has a conversation for each item of `plain` (whether without TLS), and answers with
one line: a list with (step reached, ms of the longest call, kind of the exception, what it says, descriptors open beyond those at the
start) for each. Asked as well: `port`, and `timeout_ms` of each call. A step is a call of `converse`, with what answers it.
"""

import errno
import json
import os
import select
import sys

if sys.implementation.name == "cpython":
    from host_tests import shim

    shim.install()

from time import ticks_diff, ticks_ms  # type: ignore[attr-defined]

from replenish.io import mqtt, stream

TOPIC = b"replenish/SN1/"
_LIMIT = 400  # bytes of a packet


class Conversation:
    """A link, and how long its calls took."""

    def __init__(self, context, port, timeout_ms):
        self.port = port
        self.timeout_ms = timeout_ms
        self.taken = []
        self.link = mqtt.Link(context, _LIMIT, self.take)
        self.step = self.longest_ms = 0

    def take(self, topic, payload):
        self.taken.append(bytes(payload or b""))

    def call(self, action, *args):
        self.link.stream.set_deadline(self.timeout_ms)
        started = ticks_ms()
        try:
            return action(*args)
        finally:
            self.longest_ms = max(self.longest_ms, ticks_diff(ticks_ms(), started))

    def hear_what_comes(self):
        """As in a connection that stands: nothing is waited for but the first byte, and that not in `Link`."""
        link = self.link
        if not link.stream.has_some():
            poll = select.poll()
            poll.register(link.stream.tls, select.POLLIN)  # type: ignore[arg-type]  # it is open
            if not poll.poll(self.timeout_ms):
                raise OSError(errno.ETIMEDOUT)
        if link.stream.has_some():
            link.hear(False)

    def converse(self):
        """Everything that a device does in a connection."""
        link = self.link
        self.call(link.open, "localhost", self.port, b"SN1", b"SN1", b"opensesame", TOPIC + b"availability")
        for name in (b"notice", b"command"):
            self.step += 1
            self.call(link.subscribe, TOPIC + name)
        self.step += 1
        while not self.taken:
            self.call(self.hear_what_comes)
        self.step += 1
        self.call(link.ping)
        while link.pinged:
            self.call(link.hear, True)
        self.step += 1
        self.call(link.publish, TOPIC + b"state", b"{}", True)
        while link.unacknowledged:
            self.call(link.hear, True)
        self.call(link.disconnect)
        self.step += 1


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def have(context, port, timeout_ms, unused):
    conversation = Conversation(context, port, timeout_ms)
    raised = said = ""
    try:
        conversation.converse()
    except Exception as error:  # whatever it is goes into the report
        raised, said = "OSError" if isinstance(error, OSError) else type(error).__name__, str(error)
    conversation.link.close()
    return conversation.step, conversation.longest_ms, raised, said, descriptors() - unused


def main(certificates):
    anchors = []
    for name in certificates:
        with open(name, "rb") as file:
            anchors.append(file.read())
    context = stream.trust(anchors)
    unused = descriptors()
    while True:
        line = sys.stdin.readline()
        if not line:
            break
        asked = json.loads(line)
        found = []
        for plain in asked["plain"]:
            found.append(have(None if plain else context, asked["port"], asked["timeout_ms"], unused))
        print(json.dumps(found))


main(sys.argv[1:])
