"""A board without hardware: virtual time, levels that a test sets, a medium in memory, and a record of all that was said."""

DAY = 86400
START = 1795219200 + 40 * DAY + 3600  # some weeks after the build date


class Clock:
    """Time moves only when a test moves it."""

    def __init__(self, now=START, trusted=True):
        self.seconds = now
        self.scaled = False
        self.trusted = trusted
        self.random = 0.5
        self._last = now
        self.ticks_s = 0  # for an untrusted clock: what ran on ticks

    def now(self):
        return self.seconds

    def elapsed_s(self):
        elapsed, self.ticks_s = self.ticks_s, 0
        return elapsed

    def real_ms(self, seconds):
        return seconds * 1000

    def fraction(self):
        return self.random

    def pass_s(self, seconds):
        self.seconds += seconds
        self.ticks_s += seconds


_KEPT = ("order", "fault", "wait")  # the kinds that tests ask for; months of the others would fill a small heap


class Console:
    """Keeps what the agent says of orders, faults and waits; refuses to wait, for no test sleeps, unless `waited` is a list, which
    then says how long it would have been."""

    def __init__(self):
        self.events = []
        self.waited: "list | None" = None

    def show(self, now, kind, pairs):
        event = {"t": now, "event": kind}
        for name, value in pairs:
            if name in event:
                raise AssertionError("two values for " + name)
            event[name] = value
        if kind in _KEPT and (kind != "wait" or event["reason"]):  # an order's own waits are as many as its polls
            self.events.append(event)

    def wait(self, ms, sock=None):
        if ms:
            if self.waited is None:
                raise AssertionError("a test must not wait %d ms" % ms)
            self.waited.append(ms)
        return False

    def of(self, kind):
        return [event for event in self.events if event["event"] == kind]

    def states(self, slot):
        """The states of a slot's order, in the order in which they came."""
        return [event["state"] for event in self.of("order") if event["slot"] == slot]


class Store:
    """The store's interface over a dict; it can refuse writes as a whole or of some keys, fail to read, and cut the power instead
    of, or right after, the n-th write."""

    def __init__(self):
        self.records = {}
        self.aside = {}
        self.writes = []
        self.refuses = ""
        self.full_for = []  # keys, or what they begin with, that find no room
        self.unreadable = 0  # so many next reads fail
        self.must_restart = False
        self.worn = 0
        self.atomic_close = False
        self.cut_before = self.cut_after = 0  # the number of the write, from 1

    def get(self, key):
        if self.unreadable:
            self.unreadable -= 1
            raise OSError(5)
        return self.records.get(key)

    def put(self, key, payload):
        if self.refuses:
            raise OSError(30)
        if [start for start in self.full_for if key.startswith(start)]:
            raise OSError(28)
        if len(self.writes) + 1 == self.cut_before:
            raise PowerCut()
        self.records[key] = bytes(payload)
        self.writes.append(key)
        if len(self.writes) == self.cut_after:
            raise PowerCut()

    def keys(self):
        return list(self.records)

    def wipe(self, keep):
        if "wipe" not in keep or "wipe" not in self.records:
            raise AssertionError("a wipe without its mark")
        for key in list(self.records):
            if key not in keep:
                del self.records[key]

    def set_aside(self, key):
        self.aside[key] = self.records.pop(key, None)


class PowerCut(Exception):
    """The power failed. Nothing of the program goes on; the store keeps what was written."""


class Sensor:
    """A level that a test sets; an exception instance instead of a number is raised."""

    def __init__(self, value):
        self.value = value

    def read(self):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value
