"""A shorter life on the same agent, at its maker's broker: commands, an order, and a notice of it come and go over MQTT.

The agent takes its own steps in a connection that stands. What was not acknowledged comes again with the next one.
"""

import json

from replenish.core import notice
from replenish.io import stream

from host_tests.fakes import notices
from host_tests.fakes.broker import Broker
from host_tests.faults.life import Life, boot, holds_id, in_state, now, stopped

BASE = b"replenish/SN0001/"
COUNTED = ({"id": "A", "capacity": 10, "reorder_at": 3, "lead_days": 0, "sensor": None},)
_FULL = 10
_LOW = 2
_LONGEST_S = 60  # between two steps
_SAID_AT_MOST = 2  # an answer that was under way may come twice


class Wire:
    """The broker's side of a connection takes nothing from the device's memory; what the device's own would take, this takes."""

    def __init__(self, peer, faults):
        self.tls = None
        self._buffer = bytearray(512)
        self._peer = peer
        self._faults = faults

    def _pass_on(self, action, *arguments):
        before = self._faults.spare(True)
        try:
            return action(*arguments)
        finally:
            self._faults.spare(before)

    def set_deadline(self, timeout_ms):
        self._pass_on(self._peer.set_deadline, timeout_ms)

    def connect(self, host, port):
        self._pass_on(self._peer.connect, host, port)

    def read_some(self, limit):
        return self._pass_on(self._peer.read_some, limit)[:]

    def write(self, data):
        self._pass_on(self._peer.write, data)

    # The true ones of these need no memory.

    def has_some(self):
        before = self._faults.spare(True)
        has = self._peer.has_some()
        self._faults.spare(before)
        return has

    def close(self):
        before = self._faults.spare(True)
        self._peer.close()
        self._faults.spare(before)


class CloudLife(Life):
    def __init__(self, medium, faults):
        self.broker = Broker()
        self.sent = []  # the amount of each command, by its number
        self.told_id = ""  # the notice's
        self.asked_early = False  # the service was asked for the order before it was placed, so that the notice did not matter
        super().__init__(medium, faults, COUNTED, SCRIPT, {})
        self.turn = _step
        # Not in io/mqtt.py, which is loaded anew for each connection.
        stream.Stream = self._wire  # type: ignore[assignment,misc]

    def _wire(self, context):
        before = self.faults.spare(True)
        peer = self.broker.stream(context)
        self.faults.spare(before)
        return Wire(peer, self.faults)

    def start(self, cold=True):
        for connection in self.broker.connections:
            connection.close()  # the power was gone
        super().start(cold)

    def send(self, amount):
        """The cloud has a command for the device."""
        self.sent.append(amount)
        command = {"id": "c%d" % (len(self.sent) - 1), "name": "consume", "args": {"slot": "A", "amount": amount}}
        self.broker.queue.append((BASE + b"command", json.dumps(command).encode()))

    def results(self):
        """{id: whether all was well, as often as it was said}"""
        found = {}
        for said in [json.loads(text) for text in self.broker.texts(b"result")]:
            assert said["ok"] or said["error"].startswith("interrupted"), said
            found.setdefault(said["id"], []).append(said["ok"])
        return found

    def level(self):
        value = self.agent.slots[0].level.value
        return _FULL if value is None else value

    def all_is_said(self):
        """Everything was heard and said, in a connection that stands."""
        uplink = self.agent.uplink
        if not uplink or not uplink.link or not uplink.online or uplink.saying or uplink.answers:
            return False
        return not self.broker.queue and not self.broker.connections[-1].unacknowledged

    # What must hold

    def check(self):
        assert len(self.own()) <= 1, "%d real orders" % len(self.own())
        assert not self.damage, self.damage
        results = self.results()
        levels = [_FULL]
        for number in range(len(self.sent)):
            said = results.get("c%d" % number, [])
            assert len(said) <= _SAID_AT_MOST and len(set(said)) <= 1, "c%d: %r" % (number, said)
            used = [level - self.sent[number] for level in levels]
            levels = used if True in said else levels + used
        assert self.level() in levels, "level %r, after %r: %r" % (self.level(), self.sent, results)

    def check_outcome(self):
        """At the end: each command has its answer, the notice was applied, and the next start finds everything."""
        self.restart()
        for _ in range(20):
            _step(self)
            self.clock.pass_s(self.wait)
        assert self.all_is_said(), "not quiet"
        self.check()
        assert len(self.results()) == len(self.sent), self.results()
        agent = self.agent
        assert len(self.own()) == 1 and agent.slots[0].order.names()[0] == "placed"
        # One that was broken off behind the order's record is nothing new when it comes again.
        assert not self.asked_early or not notice.is_new(agent.device, self.told_id), "the notice was lost"
        assert self.level() == _LOW and not agent.dropped and agent.fault is None, (self.level(), agent.dropped, agent.fault)
        self.medium.check()

    def outside(self):
        broker = self.broker
        open_one = [(peer.greeted, peer.out, peer.unacknowledged) for peer in broker.connections if peer.is_open]
        said = broker.queue, broker.session, self.results(), broker.texts(b"availability")[-1:], broker.texts(b"state")[-1:]
        return open_one, said, self.asked_early


def _step(life):
    life.agent.due_ticks = 0
    life.wait = max(1, min(life.agent.step(), _LONGEST_S))


# What happens in the world, and when it is time for what comes next.


def _use(life):
    life.send(2)


def _use_more(life):
    """One that had no effect is followed by another."""
    results = life.results()
    if life.level() > _LOW and len(results) == len(life.sent):
        life.send(life.level() - _LOW)


def _authorized_and_told(life):
    order = life.service.open_order("A")
    order.status = "Authorized"
    data = notices.of_order(notices.PLACED, life.clock.seconds, 1, order.id)
    life.told_id = data["notificationInfo"]["notificationId"]
    life.broker.queue.append((BASE + b"notice", notices.packed(data)))


def _told(life):
    return life.all_is_said() and life.broker.texts(b"state")


def _is_low(life):
    _use_more(life)
    return life.level() == _LOW


def _noticed(life):
    if not in_state("placed")(life) or not life.all_is_said():
        return False
    life.asked_early = "order_info" in [name for _, name, _ in life.service.calls]
    return True


SCRIPT = (
    ("boot", None, boot, now),
    ("joined", None, _step, _told),
    ("used", _use, _step, _told),
    ("low", _use_more, _step, _is_low),
    ("ordered", None, _step, holds_id),
    ("a notice", _authorized_and_told, _step, _noticed),
    ("restart", None, boot, now),
    ("joined again", None, _step, _told),
    ("stop", None, stopped, now),
)
