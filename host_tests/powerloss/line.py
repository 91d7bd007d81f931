"""The runner's engine: one line of a life, cut at every operation without unwinding it.

The medium tells of each operation before it takes effect. The line then copies the medium as the operation, not done or torn,
would leave it, copies the world, boots a second agent on the copies, judges it, lets it live to the end, and goes on as if
nothing had happened. Runs on CPython and on MicroPython.
"""

import gc
import sys

import replenish.app
from replenish import config as configuration

from host_tests.fakes.replaced import Replaced
from host_tests.powerloss.laws import Broken
from host_tests.powerloss.lives import NAP_S
from host_tests.powerloss.world import SECRETS, Off, World

_TOLD = ("order", "fault", "call", "level", "wait")  # what the console shows of what the appliance does
_PROBE = "probe"  # the key of the one more record
_FAULTS_LIMIT = 8  # failures kept of one job


class _Gc:
    """`gc` as the firmware sees it here: a collection in a heap that holds copies of whole media would be most of the work."""

    @staticmethod
    def collect():
        pass


def _keep(name):
    """Instead of `app.forget`: boots are so many here that reading modules anew would be most of the work."""


def device_config(life):
    values = configuration.defaults()
    values["policy"].update(life.rules)
    return {
        "device": {"model": "acme-1", "serial": "SN0001"},
        "backend": life.backend,
        "drs": {"endpoint": "https://drs.test"},
        "gateway": {"url": "https://gateway.test"},
        "lwa": {"token_url": "https://lwa.test/auth/o2/token", "client_id": "c"},
        "tls": values["tls"],
        "board": values["board"],
        "mqtt": None,
        "update": None,
        "policy": values["policy"],
        "slots": life.slots,
    }


class Tally:
    """What happened in a whole run.

    only: the path of the one cut to be made, as [(number, tear), ...], else None; share: (i, n): of the uncut line's operations
    only every n-th is cut, from the i-th, so that n processes can divide the work.
    """

    def __init__(self, depth, only=None, verbose=False, share=(0, 1)):
        self.depth = depth
        self.only = only
        self.share = share
        self.verbose = verbose
        self.cuts = {}  # kind: how many
        self.double = 0
        self.lived = 0  # forward lives that were not remembered
        self.failures = []  # (path, text)

    def failed(self, path, text):
        if len(self.failures) < _FAULTS_LIMIT:
            self.failures.append((path, text))

    def full(self):
        return len(self.failures) >= _FAULTS_LIMIT


def path_text(path):
    return ",".join(["%d:%s" % cut for cut in path])


class Spy:
    """The store as the agent has it, and beside it what is durable by the store's contract."""

    def __init__(self, store, records):
        self._store = store
        self.records = records
        self.pending = None  # the record that is being put

    def put(self, key, payload):
        self.pending = key, bytes(payload)
        try:
            self._store.put(key, payload)
            self.records[key] = bytes(payload)
        finally:
            self.pending = None

    def set_aside(self, key):
        raise Broken("damage: record %s is set aside" % key)

    def __getattr__(self, name):
        return getattr(self._store, name)


def read_all(store):
    records = {}
    for key in store.keys():
        payload = store.get(key)
        if payload is not None:
            records[key] = bytes(payload)
    return records


class Line:
    """One appliance on one medium in one world, until the life's end."""

    def __init__(self, life, medium, world, tally, path=(), records=None):
        self.life = life
        self.medium = medium
        self.world = world
        self.tally = tally
        self.path = path
        self.records = {} if records is None else records
        self.store: "Spy" = None  # type: ignore[assignment]
        self.agent: "replenish.app.Agent" = None  # type: ignore[assignment]
        self.number = 0  # of the operation or effect under way, from 1
        self.lived = []  # (stamp, off, records) of the forward lives that this line's cuts have lived
        self.silent = 0  # in a fork
        if path and tally.verbose and tally.only == list(path):
            world.said = print
        if len(path) < tally.depth:
            medium.set_watch(self.on_operation)
            world.effect = self.on_effect

    # Living

    def boot(self, store=None):
        """Start the agent. store: the medium's, when it was mounted and read already."""
        self.store = Spy(store or self.medium.store(), self.records)
        self.agent = None  # type: ignore[assignment]
        agent = replenish.app.Agent(device_config(self.life), SECRETS, self.world.clock, self.store, self)
        agent.client = self.world.market
        agent.sensors = self.world.sensors
        self.agent = agent

    def live(self):
        """Live to the end and judge it. Raises Broken, and whatever the firmware raises."""
        world = self.world
        end = self.life.end_at
        while world.now < end:
            try:
                world.run_due(self)
                wait = self.agent.once()
            except Off as off:
                self.medium.close()
                world.power_cut(off.seconds)
                self.boot()
                continue
            if wait >= 3600:  # nothing but the hourly look at the clock
                wait = NAP_S
            world.pass_s(max(1, min(wait, world.next_at() - world.now, end - world.now)))
        taken = world.taken_of
        if taken != self.life.orders:
            raise Broken("real orders %r, needed %r; %s" % (taken, self.life.orders, self.faces()))

    def faces(self):
        """What is durable of the orders, as it is shown."""
        found = {}
        for slot in self.agent.slots:
            order = slot.order
            found[slot.id] = order.names() + (order.own_id or order.progress_id, order.next_try, order.cancels)
        return found

    def make_older(self):
        """The records were written by the first version."""
        self.silent += 1
        self.medium.make_older(list(self.records))
        self.silent -= 1
        self.records.update(read_all(self.medium.store()))

    # What the agent's console is told

    def show(self, now, kind, pairs):
        if kind not in _TOLD or not self.agent:
            return
        world = self.world
        world.said("  %d  %s %s" % (now, kind, " ".join(["%s=%s" % pair for pair in pairs])))
        world.stamp += 1
        world.laws.settle()
        self.look()
        self.on_effect("tell")

    def look(self):
        faces = self.faces()
        for slot in faces:
            state, _, event_id, next_try, _ = faces[slot]
            self.world.laws.seen(slot, state, event_id or "", next_try or 0)

    def wait(self, ms, sock=None):
        return False

    # Cutting

    def on_operation(self, kind, address, data):
        if self.silent:
            return
        self.number += 1
        for tear in self.medium.tears(kind, data):
            if self.wanted(tear):
                self.fork(kind, tear, self.medium.cut(kind, address, data, tear))

    def on_effect(self, kind):
        if self.silent or len(self.path) >= self.tally.depth:
            return
        self.number += 1
        if self.wanted("-"):
            self.fork(kind, "-", self.medium.copy())

    def wanted(self, tear):
        only = self.tally.only
        if only is None:
            first, parts = self.tally.share
            return not self.tally.full() and (len(self.path) > 0 or self.number % parts == first)
        return len(only) > len(self.path) and only[: len(self.path) + 1] == list(self.path) + [(self.number, tear)]

    def fork(self, kind, tear, medium):
        """The power fails here, in a copy of everything."""
        tally = self.tally
        tally.cuts[kind] = tally.cuts.get(kind, 0) + 1
        tally.double += len(self.path) > 0
        off_s = self.life.off_s[self.world.stamp % len(self.life.off_s)]
        world = self.world.copy()
        world.power_cut(off_s)
        pending = self.store and self.store.pending
        faces = self.faces() if self.agent and not pending and kind in ("call", "tell") else None
        line = Line(self.life, medium, world, tally, self.path + ((self.number, tear),), self.records.copy())
        self.silent += 1
        try:
            line.recover(pending, faces, self.lived, (self.world.stamp, off_s))
        except KeyboardInterrupt:
            raise
        except Exception as error:
            tally.failed(line.path, "%s in a cut at %s: %s" % (type(error).__name__, kind, error))
            if tally.verbose:
                _trace(error)
        finally:
            self.silent -= 1
            medium.close()

    def recover(self, pending, faces, lived, when):
        """Boot on what the cut left, judge what is there, live on unless an equal life was lived already, put one more record."""
        before = self.records
        store = self.medium.store()
        found = read_all(store)
        if pending and found != before:
            before[pending[0]] = pending[1]
        if found != before:
            raise Broken("records: %s" % _difference(found, before))
        self.boot(store)
        self.world.said("  booted: %r" % (self.faces(),))
        if faces and faces != self.faces():
            raise Broken("shown %r before the cut, %r after it" % (faces, self.faces()))
        self.look()
        memory = when + (found,)
        if memory not in lived:
            lived.append(memory)
            self.tally.lived += 1
            self.live()
        self.put_one_more()

    def put_one_more(self):
        """The medium takes another record after the cut, and gives all of them back."""
        self.store.put(_PROBE, b"x" * 40)
        found = read_all(self.medium.store())
        if found != self.records:
            raise Broken("after one more put: %s" % _difference(found, self.records))


def _difference(found, expected):
    texts = []
    for key in set(list(found) + list(expected)):
        if found.get(key) != expected.get(key):
            texts.append("%s is %r, expected %r" % (key, found.get(key), expected.get(key)))
    return "; ".join(texts)


def _trace(error):
    if hasattr(sys, "print_exception"):
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(error)


def run(life, medium, depth=1, only=None, verbose=False, share=(0, 1)):
    """Live a life on a medium, cut everywhere. Returns the tally. The line itself, uncut, must keep the laws as well."""
    tally = Tally(depth, only, verbose, share)
    stand_ins = [Replaced(replenish.app, forget=_keep, gc=_Gc)] + medium.stand_ins()
    for stand_in in stand_ins:
        stand_in.__enter__()
    if hasattr(gc, "threshold"):
        gc.threshold(-1)  # the firmware's start asks for a collection every few kilobytes
    try:
        _live(life, medium, tally)
    except KeyboardInterrupt:
        raise
    except Exception as error:
        tally.failed((), "%s: %s" % (type(error).__name__, error))
        if verbose:
            _trace(error)
    finally:
        for stand_in in stand_ins:
            stand_in.__exit__()
    return tally


def _live(life, medium, tally):
    world = World(life)
    line = Line(life, medium, world, tally)
    if tally.verbose and tally.only == []:
        world.said = print
    line.boot()
    line.live()
    for slot in life.ends:
        state = line.faces()[slot][0]
        if state != life.ends[slot]:
            raise Broken("%s ends %s, not %s" % (slot, state, life.ends[slot]))
