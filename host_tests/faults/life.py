"""A whole life of orders on the real agent, as a list of small acts, each of which can be made to fail and be tried again.

The script says what happens in the world (the slot runs low, the parcel is sent); what the agent does about it, and when, is its
own. So the same script leads to its end whatever was lost on the way, and what must hold is asked of the service's own ledger.
"""

import gc
import hashlib
import sys
import time
from binascii import hexlify

from replenish import app
from replenish.app import forget
from replenish.core.isotime import text
from replenish.io import console
from replenish.services.call import Answer
from replenish.store.ledger import DEVICE_FIELDS, Ledger

from host_tests.expect import called
from host_tests.fakes import notices
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY
from host_tests.fakes.replaced import Replaced
from host_tests.fakes.service import Order, Service

HOUR = 3600
# As often as the agent looks anyway, so that the life has few acts.
POLICY = {"poll_interval_s": HOUR, "resolution_grace_s": HOUR, "reorder_after_cancel_days": 1}
SLOTS = ({"id": "A", "capacity": 10, "reorder_at": 3, "lead_days": 0, "sensor": {"period_s": HOUR}},)
_LATE_S = 7 * HOUR  # what waits for a hold to end comes to itself so seldom
_ACTS_OF_A_PHASE = 200  # more than the longest takes; then the agent is stuck
_REPEATS = 30  # what a fault that lasts can make fail
_PATIENCE = 5  # acts with a medium that refuses; then somebody pulls the plug
_FIRST_LEVEL = 3  # phases before the level has been read: the boot, and one in which the sensor may fail
_STARTS = 100  # so often a supervisor starts it again before the test gives up
# Loaded when they are needed. A start after a crash begins without them, as a board's does.
_LAZY = "startup version face services.lwa core.late core.level core.forecast store.recovery store.reading store.flashscan".split()
_OF_NOTICE = "inbox services.notification core.notice core.strictjson".split()  # after a crash `Agent.notice` lets go of these itself


class Time:
    """Ticks that stand still: how long a call took is printed, and each digit more may be an allocation more."""

    ticks_add = time.ticks_add  # type: ignore[attr-defined]
    ticks_diff = time.ticks_diff  # type: ignore[attr-defined]

    @staticmethod
    def ticks_ms():
        return 0


class Garbage:
    """Collections, and no figures, for the same reason. On CPython they have nothing to close and take long."""

    @staticmethod
    def collect():
        if sys.implementation.name == "micropython":
            gc.collect()


class Line(console.Console):
    """The agent's own console; a test never waits."""

    def __init__(self):
        super().__init__(False)

    def wait(self, ms, sock=None):
        if ms:
            raise AssertionError("a test must not wait %d ms" % ms)
        return False


class Client(Service):
    """The service; the HTTP client before it catches what the network raises, so a fault arrives as an answer."""

    def __init__(self, clock, faults):
        super().__init__(clock)
        self._points = faults

    def call(self, request):
        fault = self._points.meet("call", ("unsent", "drop", "lost"))
        before = self._points.spare(True)
        if fault == "unsent":
            answer = Answer(sent=False, error="OSError: 113")
        elif fault == "drop":
            answer = Answer(sent=True, error="closed")
        else:
            answer = super().call(request)
            if fault:
                answer = Answer(sent=True, error="time out")
        self._points.spare(before)
        return answer


class Life(Appliance):
    """faults: what counts and fails (see points.py); medium: what the store stands on (see media.py)."""

    def __init__(self, medium, faults, slots=SLOTS, script=None, mqtt=None):
        super().__init__(slots, mqtt=mqtt, **POLICY)
        self.script = script or SCRIPT
        self.turn = _once  # what the agent does by itself
        self.agent = None  # type: ignore[assignment]
        self.console = Line()  # type: ignore[assignment]
        self.service = Client(self.clock, faults)
        self.medium = medium
        self.faults = faults
        self.phase = self.acts = self.began = self.repeats = 0
        self.commanded = False  # what the appliance has to do in this phase is done
        self.cancelled_at = 0
        self.payload = b""  # of the notice that the maker's cloud has for the device
        self.told = ""  # what came of it
        self.wait = 1
        self.damage = []  # lines that tell of records that were not to be trusted
        self.todo = boot
        for sensor in self.sensors.values():
            self._make_faulty(sensor)
        Replaced(console, print=self._print).__enter__()
        Replaced(app, time=Time, gc=Garbage).__enter__()

    def _make_faulty(self, sensor):
        read = sensor.read

        def faulty():
            if self.faults.meet("sensor", ("raise",)):
                raise OSError(5)
            return read()

        sensor.read = faulty

    def _print(self, line):
        if "_damaged" in line:
            self.damage.append(line)
        if self.faults.meet("print", ("raise",)):
            raise OSError(5)

    # The script

    def over(self):
        return self.phase == len(self.script)

    def prepare(self):
        """What happens in the world before the next act; none of it is the agent's."""
        name, enter, todo, _ = self.script[self.phase]
        if not self.acts:
            self.began = self.clock.seconds
            if enter:
                enter(self)
        self.acts += 1
        if self.acts > _ACTS_OF_A_PHASE:
            raise AssertionError("%s: stuck in %s, %r" % (name, self.agent.slot("A").order.state, picture(self.agent)))
        self.clock.pass_s(max(self.wait, _LATE_S) if name == "ordered again" and self.held() else self.wait)
        if todo == boot:
            before = self.faults.spare(True)  # who mounts is not the agent
            self.medium.reopen()
            self.faults.spare(before)
        self.todo = self.turn if self.commanded or self.told == "busy" else todo
        self.told = ""

    def act(self):
        """What the agent does: the part that is made to fail."""
        self.todo(self)

    def note(self):
        """After an act that went well: check what must hold at any time, and go on in the script."""
        self.check()
        store = self.agent.ledger.store
        if store.must_restart or self.agent.fault == "store_failed" and self.acts % _PATIENCE == 0:
            return self.restart()
        self.commanded = self.script[self.phase][2] != self.turn and self.told not in ("busy", "not_durable")
        if self.told != "busy" and self.script[self.phase][3](self) and not self.agent.unsaved:
            self.phase += 1
            self.acts = 0
            self.commanded = False
            self.wait = 1
            self.check_memory()
        return None

    def crash(self):
        """The act raised: nothing is known of the agent; what calls it has its own next moment."""
        self.wait = 1
        # Of a module whose import failed at one certain allocation MicroPython 1.25 keeps an entry without a value; to import it
        # again would end the interpreter, which is a crash as well, but not one that is told here.
        _let_go(_LAZY)

    def restart(self, seconds=60):
        """The supervisor starts the agent anew, as often as it takes."""
        _let_go(_LAZY + _OF_NOTICE)
        for _ in range(_STARTS):
            self.clock.pass_s(seconds)
            try:
                self.medium.reopen()
                boot(self)
                break
            except (OSError, MemoryError):
                pass
        else:
            raise AssertionError("does not start")
        self.wait = 1
        self.todo = boot
        if not self.over() and self.script[self.phase][2] == boot:
            self.note()

    def follow(self):
        """One act without a fault, or in what is left of one that lasts. What raises is repeated, as a person would press again."""
        self.prepare()
        try:
            self.act()
        except OSError:
            self.repeats += 1
            if self.repeats > _REPEATS:
                raise
            self.crash()
            return self.restart() if self.repeats % _PATIENCE == 0 else None
        return self.note()

    def held(self):
        return self.agent and self.agent.slots[0].order.names()[0] == "held"

    # What must hold

    def own(self):
        """The real orders that this device made."""
        return [order for order in self.service.orders if order.id != FOREIGN]

    def check(self):
        """The laws, asked of the service's own ledger."""
        own = self.own()
        at = [entry[0] for entry in self.script]
        allowed = 0 if self.phase < at.index("ordered") else 1 if self.phase < at.index("ordered again") else 2
        assert len(own) <= allowed, "%d real orders" % len(own)
        if len(own) == 2:
            assert own[1].at >= self.cancelled_at + DAY, "the hold was shortened"
        assert not self.damage, self.damage

    def check_memory(self):
        """What the agent believes is what it would believe after a restart."""
        before = self.faults.spare(True)
        from replenish.core.device import Device
        from replenish.core.slot import Slot
        from replenish.store.recovery import Recovery

        agent = self.agent
        slot, device = Slot(self.config["slots"][0], self.config["policy"]), Device("SN0001")
        reader = Recovery(Ledger(self.medium.look()))
        reader.order(slot, True, 0)
        reader.device(device)
        forget("store.recovery")
        forget("store.reading")
        assert not reader.damage, reader.damage
        if not agent.unsaved:
            same(sorted(slot.order.__dict__), agent.slots[0].order, slot.order)
        for known in agent.device, device:
            if known.next_try <= self.clock.seconds:
                known.next_try = 0  # no backoff any more
        if not agent.device.store_failed:  # else the medium refused it just now, and that is told
            same([field for field in DEVICE_FIELDS[1:] if field != called("known_time")], agent.device, device)
        if self.phase > _FIRST_LEVEL and self.script[self.phase - 1][2] == self.turn:
            assert agent.slots[0].level.value is not None, "the level is not known"
        self.faults.spare(before)

    def check_outcome(self):
        """At the end: the next start finds everything, and nothing was ever set aside."""
        self.restart()
        _once(self)
        self.check()
        assert len(self.own()) == 2
        assert self.agent.slots[0].order.names()[0] == "idle"
        assert self.agent.slots[0].level.value == 10
        assert self.agent.fault is None, self.agent.fault
        self.medium.check()

    # Telling one world from another

    def world(self):
        """All that outlives a crash, in few characters."""
        orders = [(order.id, order.status, order.delivery, order.open, order.at) for order in self.service.orders]
        outside = self.phase, self.acts, self.began, self.clock.seconds, self.cancelled_at, orders, self.outside()
        digest = hashlib.sha256(repr(outside).encode())
        self.medium.feed(digest)
        return hexlify(digest.digest()[:10]).decode()

    def outside(self):
        """What there is in the world beside the service."""
        return self.sensors["A"].value

    def everything(self):
        """The world and what the agent has in memory."""
        modules = sorted([name for name in sys.modules if name.startswith("replenish.")])
        inside = repr((modules, self.wait, picture(self.agent))).encode()
        return self.world() + hexlify(hashlib.sha256(inside).digest()[:10]).decode()


def _let_go(names):
    for name in names:
        forget(name)


def same(names, one, other):
    """The same values under all these names, as far as a record keeps them."""
    for name in names:
        a, b = getattr(one, name), getattr(other, name)
        assert a == b, "%s.%s: %r in memory, %r in the store" % (type(one).__name__, name, a, b)


# The adapters, what never changes, and what is real time or a figure only.
# No state: what only tells when and how much, what the world has, and what nobody changes. By the class where the name is private
# and so another one on a device.
_NO_STATE_OF_AGENT = "rules client sensors due_ticks call_ticks heap_peak"
_NO_STATE_OF_OTHERS = "rules sent_ticks asked_ticks"
_NO_STATE_CLASSES = "Clock Console Drs Log MQTTClient Wire".split()


def picture(thing):
    """What an object of the agent holds, down to the numbers, the same for two agents in the same state."""
    if isinstance(thing, (list, tuple)):
        return [picture(item) for item in thing]
    if isinstance(thing, dict):
        return sorted([(str(key), picture(thing[key])) for key in thing])
    if hasattr(thing, "__dict__") and not isinstance(thing, type) and type(thing).__name__ not in _NO_STATE_CLASSES:
        others = _NO_STATE_OF_AGENT if isinstance(thing, app.Agent) else _NO_STATE_OF_OTHERS
        names = [name for name in thing.__dict__ if name not in map(called, others.split())]
        return [(name, picture(getattr(thing, name))) for name in sorted(names)]
    return thing if thing is None or isinstance(thing, (int, float, str, bytes, bytearray)) else type(thing).__name__


FOREIGN = "amzn1.dash.v2.o.77"

# What the appliance does.


def boot(life):
    life.store = life.medium.store()
    life.start()


def _once(life):
    life.wait = max(1, life.agent.once())


def _hold(life):
    life.agent.hold()


def _resume(life):
    life.agent.resume()


def _refilled(life):
    life.agent.slot("A").refilled()


def _notice(life):
    """The notice arrives. What could not be kept comes again; so does what came to an agent whose last act was broken off, after a step
    that goes back to what is durable."""
    life.told = life.agent.notice(life.payload)


def stopped(life):
    life.agent.stop("end")



# What happens in the world.


def _full(life):
    life.sensors["A"].value = 10


def _low(life):
    life.sensors["A"].value = 2


def _authorized(life):
    life.service.open_order("A").status = "Authorized"


def _sent(life):
    life.service.ship("A", text(life.clock.seconds + DAY))
    life.service.rotate = "Atzr|2"


def _closed(life):
    life.service.end("A", "Closed")


def _ordered_elsewhere(life):
    life.service.orders.append(Order(77, "A", life.clock.seconds))
    _low(life)


def _cancelled(life):
    life.cancelled_at = life.clock.seconds
    _write(life, notices.CANCELLED)
    life.service.end("A", "Cancelled")


def _authorized_and_told(life):
    _authorized(life)
    _write(life, notices.PLACED)


def _write(life, name):
    """The maker's cloud has a notice for the device, of the order that is open."""
    life.payload = notices.packed(notices.of_order(name, life.clock.seconds, life.phase, life.service.open_order("A").id))


def _lost(life):
    life.service.next("replenish", "lost")


# When it is time for what comes next.


def _asked(life):
    """A call left, and the agent knows that it does not know what came of it; or it has asked once more since."""
    order = life.agent.slots[0].order
    return life.service.open_order("A") and order.names()[0] == "asking" and order.unknown_at or holds_id(life)


def now(life):
    return True


def _hours(life):
    return life.clock.seconds >= life.began + HOUR


def holds_id(life):
    """The agent knows the order that is open, by its id, and that it is open."""
    real, order = life.service.open_order("A"), life.agent.slots[0].order
    return real and order.held_id() == real.id and order.names()[0] in ("accepted", "awaiting_customer", "blocked")


def in_state(*names):
    return lambda life: life.agent.slots[0].order.names()[0] in names


# (name, what happens in the world, what the appliance does, when it is through)
SCRIPT = (
    ("boot", None, boot, now),
    ("full", _full, _once, now),
    ("hold", None, _hold, now),
    ("low under hold", _low, _once, _hours),
    ("resume", None, _resume, now),
    ("ordered", None, _once, holds_id),
    ("placed", _authorized, _once, in_state("placed")),
    ("restart", None, boot, now),
    ("shipped", _sent, _once, in_state("shipped")),
    ("delivered", _closed, _once, in_state("awaiting_refill")),
    ("refilled", _full, _once, in_state("idle")),
    ("blocked", _ordered_elsewhere, _once, holds_id),
    ("restart while blocked", None, boot, now),
    ("cancelled", _cancelled, _notice, in_state("held")),
    ("ordered again", _lost, _once, _asked),
    ("a notice answers", _authorized_and_told, _notice, in_state("placed")),
    ("a person refilled", _full, _refilled, now),
    ("delivered again", _closed, _once, in_state("idle")),
    ("stop", None, stopped, now),
)
