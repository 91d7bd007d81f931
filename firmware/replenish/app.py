"""The agent: wires the adapters to the core and acts on what the core decides. The only module that knows everything.

One `step` does one bounded piece of work: it reads the sensors that are due, applies what time has brought, makes durable what
changed, and makes at most one call to a service.
"""

import gc
import sys
import time

from micropython import const

from .core import order as o
from .core.errors import ProtocolError
from .core.isotime import text

TYPE_CHECKING = const(0)  # the type checker takes it for 1; the compiler leaves out what depends on it
if TYPE_CHECKING:
    from .core.device import Device
    from .core.slot import Slot
    from .core.timekeeper import Timekeeper
    from .core.uplink import Uplink
    from .io.clock import Clock
    from .store.ledger import Ledger

_NO_TIME_S = const(60)  # how often to look again while there is no valid time
_WAIT_LIMIT_S = const(3600)  # a step is due at least so often, so that ticks and the clock are compared
_LEVEL_REPORT_S = const(3600)  # a level alone is told at most so often
# Modules that a call has the room of. Texts, because a tuple of so many would take three times the memory.
_BETWEEN_CALLS = "core.policy core.reports core.news core.level core.forecast core.view core.countdown core.spans"
# ... and that only a call needs
_FOR_CALLS = (
    "manual calls access asking following ordering settling services.registration services.drs services.drs_answers services.gateway "
    "services.gateway_answers services.lwa core.snapshot core.strictjson core.dates"
)
_FOR_CONNECTION = "io.http io.stream services.call"  # ... and the connection, from a wake's first call to its last
# ... and what a message needs
_FOR_MESSAGES = (
    "inbox commands services.notification services.drs_answers services.gateway_answers core.snapshot core.notice core.strictjson "
    "core.dates store.outbox"
)
_FOR_CLOUD = "cloud state discovery io.mqtt"
_FOR_UPDATE = "update core.bundle io.pieces io.slotfiles"
_WAKE_CALLS = const(8)  # calls of one wake: so many and three for each slot
_WAKE_PAUSES = const(16)  # ... and pauses in which sensors settle


def forget(name):
    """Let go of a module that is needed only now and then, so that its code does not stay in the heap."""
    module = sys.modules.pop("replenish." + name, None)
    package, _, leaf = ("replenish." + name).rpartition(".")
    if module:
        delattr(sys.modules[package], leaf)


def forget_all(names):
    """Let go of several modules, given in one text."""
    for name in names.split():
        forget(name)


def load_policy():
    """core/policy.py: not a name of this module, which would keep it in memory while a call has its room."""
    from .core import policy

    return policy


def make_room():
    """Let go of what a call has the room of: it wants much, in one piece."""
    forget_all(_BETWEEN_CALLS)
    gc.collect()


def forget_calls():
    """Let go of the modules that only a call needs."""
    forget_all(_FOR_CALLS)


class Agent:
    """The replenishment agent of one appliance. Make one with `Agent.load`."""

    # Set by `startup.begin`.
    clock: "Clock"
    uptime_s: int  # of the clock's seconds since this start, on ticks
    rules: "dict"  # the section `policy` of the configuration
    model: str
    lwa: "dict"  # ... the section of that name
    endpoint: str
    older_subscriptions: bool  # subscriptionInfo is asked in version 1.0
    test_device: bool
    client_secret: "str | None"
    secrets_path: str
    dropped: "dict[str, int]"  # how many notices were of no use since the start, by the word for it
    access: str  # the access token
    access_until: int
    token: str  # the refresh token
    given_token: str  # ... as it stands in the secrets
    token_retried: bool
    cold: bool
    store_error: "str | None"  # what the medium refused last
    heap_peak: int  # bytes in use after the call that used most
    ledger: "Ledger"
    unsaved: "list"  # what the medium refused: slots, the device, a token; no call is made while there is any
    device: "Device"
    slots: "list[Slot]"
    time: "Timekeeper"
    uplink: "Uplink | None"  # to the maker's cloud, if the configuration has one
    tls_sockets: int  # connections at a time
    anchors_end: int  # the day, from 1970-01-01, on which the first of the trust anchors ends; 0: nobody knows
    anchors_told: int  # the day on which that was told
    updates: "dict | None"  # the section `update` of the configuration
    update_at: "int | None"  # when its URL is asked next; 0: to be planned; None: there is none

    @classmethod
    def load(cls, path, cold=True, known=0):
        """The agent of a configuration file. Raises ValueError, and OSError when the state cannot be kept.

        cold: a cold start, after which the first call is spread (law 10); False for a wake from deep sleep.
        known: Unix seconds that it is for sure, 0 for none: the agent's time before a deep sleep and how long that was.
        """
        from .config import load

        config, secrets = load(path)
        forget_all("config io.vault")
        from .startup import connect, local_adapters

        clock, store, console = local_adapters(config)
        agent = cls(config, secrets, clock, store, console, cold, known)
        connect(agent, config)
        forget("startup")
        _settle_heap()
        return agent

    def __init__(self, config, secrets, clock, store, console, cold=True, known=0):
        """config, secrets: judged, with all defaults; clock, store, console: the board's adapters. Before the first step the
        attribute `sensors` must be set, and `trust` or `client`."""
        from .startup import begin

        self.trust = None  # from io/stream.py
        self.client = None  # io/http.py, made of `trust` when a call is due
        self.sensors = None  # {slot id: sensor}
        self._console = console
        self._callback = None
        # A board's: brings the network up, or finds it up, and returns 0; else after how many seconds to ask again.
        self.reach = None
        self.progress = None  # called now and then in what may take minutes: while an update is written, between the calls of a wake
        self._spread_s = config["policy"]["boot_spread_s"] if cold else 0
        self._spoiled = False  # a step was broken off: what stands in memory may be half-changed
        self.due_ticks = self.call_ticks = time.ticks_ms()
        begin(self, config, secrets, clock, store, cold, known)
        _settle_heap()

    def slot(self, slot_id):
        """The slot with this id, as `face.SlotFace`. Raises KeyError."""
        from .face import SlotFace

        for slot in self.slots:
            if slot.id == slot_id:
                return SlotFace(self, slot)
        raise KeyError(slot_id)

    def on(self, callback):
        """Call `callback(kind, slot id or None, pairs)` for each event that is also printed. It must return soon."""
        self._callback = callback

    @property
    def fault(self):
        """The device's fault by name, or None."""
        return self.device.fault(self.time.now)

    def hold(self):
        """Stop all ordering on this device, until `resume`; levels and reports go on. Durable. Raises OSError if it cannot be."""
        self.device.held = 1
        self.ledger.save_device(self.device)
        self._changed(False)

    def resume(self):
        """A person's word that ordering may go on: ends a `hold`, and the slots' holds by the fuse, by a refused request and by a
        refill that did not come. Raises OSError if that cannot be made durable."""
        self.device.held = 0
        self.ledger.save_device(self.device)
        self._changed(False)
        for slot in self.slots:
            if slot.order.resume(self.tell_time()):
                self.ledger.save_order(slot)
        self.due_ticks = time.ticks_ms()

    def notice(self, payload):
        """Take one notification of the Dash Replenishment Service: the JSON (bytes or str) that SNS carries as `Message`.

        Returns in one word what came of it: "applied"; "stale" (ours, and nothing new), "duplicate", "not_ours" (another device's,
        or an order that is not this slot's), "unknown_type", "malformed" (too long as well), "too_many" (were applied today) or
        "no_time" (the device never knew the time), which are counted in `dropped`; or, to be given again later, "not_durable" (the
        store refused) or "busy" (a step is under way, in another thread or because this is called from a callback, or was broken
        off).
        What it brought is durable before this returns; the next step, which is due at once, acts on it. Milliseconds, no network.
        Raises nothing, whatever it is given, but MemoryError, after which the next step goes back to what is durable.
        """
        word = self.receive("inbox", payload)
        if word in ("applied", "not_durable"):
            self.due_ticks = time.ticks_ms()
        elif word != "busy":
            self.dropped[word] = self.dropped.get(word, 0) + 1
        return word

    def receive(self, name, payload):
        """Give a message to the module that takes such ones, `inbox` or `commands`; returns what that does. Not while a step is under
        way: then "busy"."""
        if self._spoiled:
            return "busy"
        self._spoiled = True
        forget_all(_FOR_MESSAGES)  # as in `_reload`
        if name == "inbox":
            from .inbox import take
        else:
            from .commands import take
        word = take(self, payload)
        take = None
        forget_all(_FOR_MESSAGES)
        self._spoiled = False
        self._changed(False)
        return word

    def cancel_test_orders(self, slot_id=None):
        """Cancel the test order of one slot, without an id those of all: each slot is then free to order at once, and the
        cancellation does not count. Returns None when it is done, else why not in a phrase; then nothing has changed here.

        Blocks for one call, and for one more when an access token must be fetched first: 20 s each at the most, the name look-up
        apart. Raises KeyError for a slot that is not there, and ValueError unless `drs.test_device` is true.
        """
        from .testorders import cancel

        try:
            return cancel(self, slot_id)
        finally:
            forget("testorders")
            forget_calls()

    def deregister(self):
        """Unlink the device from the customer's account at the service, then erase its secrets and drop its orders; levels stay.
        The refresh token is gone from the secrets file too.

        Returns None when it is done, else why not, and then nothing is erased. Two calls of 20 s at the most, and the erasing: on
        a board's file system a minute for each 4 MiB. Raises OSError when the medium refuses; it is tried again at the next start.
        """
        from .erase import deregister

        return deregister(self)

    def factory_reset(self):
        """Erase everything durable, and from the secrets file the refresh token and the Wi-Fi; no call is made. As long as
        `deregister` does it take. Afterwards this agent keeps nothing any more: start the board anew. Raises OSError as that does.
        """
        from .erase import factory_reset

        factory_reset(self)

    def update(self, source):
        """Install a signed update of the agent: `source` is the path of a bundle, or a thing with `read(size)`, which gives 1 to
        `size` bytes and none at the end, `skip(size)` and `close()`. Not from within a step.

        Returns None when it is written and will be tried at the next start, which `run` then asks for; else why not, in a word (see
        firmware/README.md), and then what runs is what ran. Seconds on a board, minutes where the source is slow; `progress` is
        called meanwhile. Raises ValueError without `update` in the configuration.
        """
        if not self.updates:
            raise ValueError("update.keys: missing: required: who may sign")
        make_room()
        from .update import by_hand

        try:
            return by_hand(self, source)
        finally:
            by_hand = None
            forget_all(_FOR_UPDATE)

    # Running

    def step(self):
        """Do one bounded piece of work; returns the seconds until the next is due.

        Without a call to a service: milliseconds. With one: at most the call's total deadline of 20 s, of which a TLS handshake
        on an ESP32 takes about one; the name look-up alone has no limit of its own. Connecting to the maker's cloud: 20 s at the
        most, and 40 each for what was kept there for us and for what is to be said. An idle step makes no garbage; where there is
        a connection to the cloud, call it each second or so: that is how soon a message is heard.
        """
        left = self._step_ms()
        return left / 1000 if self.clock.scaled else (left + 999) // 1000

    def break_off(self):
        """Memory has ended somewhere: the next step goes back to what is durable, and lets go of modules that are half loaded."""
        self._spoiled = True

    def _step_ms(self):
        left = self._until_heard(time.ticks_diff(self.due_ticks, time.ticks_ms()))
        if left <= 0:
            left = self._turn()
            self.due_ticks = time.ticks_add(time.ticks_ms(), left)
            left = self._until_heard(left)
        return left

    def _turn(self):
        try:
            if self.uplink and self.uplink.link and not self._spoiled:  # else modules may be half loaded
                make_room()
                from .cloud import attend

                attend(self, self.tell_time())
                attend = None
                forget("cloud")
            return self._work(True)
        except MemoryError:
            self.break_off()
            raise

    def run(self):
        """Step for ever; on the Unix board until standard input ends, on a board until the store asks for a start. Waits between
        steps, for messages too."""
        while not self._console.wait(self._step_ms(), self.uplink and self.uplink.link and self.uplink.link.stream.tls):
            if self.ledger.store.must_restart:
                return self.stop("store must be mounted anew")
        self.stop("standard input ended")

    def once(self):
        """One wake: what the cloud kept for us, sensors, then all calls that are due. Returns how many seconds the board may
        deep-sleep (real ones).

        Each call takes at most its deadline; there are at most 8 and three for each slot, and 16 pauses of 0.4 s for sensors to settle.
        """
        left = 0
        calls = _WAKE_CALLS + 3 * len(self.slots)
        pauses = _WAKE_PAUSES
        try:
            while calls and pauses:
                if self.progress:
                    self.progress()
                left = self._work(False)
                settle_ms = max([slot.settle_ms for slot in self.slots])
                if left and not settle_ms or self._console.wait(settle_ms, None):
                    break
                if settle_ms:
                    pauses -= 1
                    self._look_again()
                else:
                    calls -= 1
            self.stop("wake over", False)
        except MemoryError:
            self.break_off()
            raise
        return left / 1000 if self.clock.scaled else (left + 999) // 1000

    def _look_again(self):
        """The sensors that settled are due. In a wake they are waited for: after a sleep they would have to settle again."""
        for slot in self.slots:
            if slot.settle_ms:
                slot.sample_at = 0

    def start(self):
        """Run beside the appliance's program, in a thread of its own."""
        import _thread

        _thread.start_new_thread(self.run, ())

    def stop(self, reason, last=True):
        """Make durable what is not yet, and close the connections. The agent may step on afterwards. Five seconds at the most.

        last: False after a wake, which leaves the levels to `worth_saving`, for wakes are many, and is still there for the cloud.
        """
        self._hang_up()
        if self.uplink and self.uplink.link:
            from .cloud import leave

            leave(self, last)
        for slot in self.slots:
            level = slot.level
            if last and self.time.now and level.value is not None and level.marks() != level.saved_marks:
                self.keep_level(slot, self.time.now)
        for sensor in self.sensors.values():
            if hasattr(sensor, "keep"):
                sensor.keep()
        dropped = sum(self.dropped.values())
        self.tell("stop", None, ("reason", reason), heap_free(), ("heap_peak", self.heap_peak), ("dropped", dropped))

    def _hang_up(self):
        """Close the connection to the service: no more is due for now. What makes one is let go of, if it can be made anew."""
        if not self.client:
            return
        self.client.close()
        if self.trust:
            self.client = None
            forget_all(_FOR_CONNECTION)

    def _changed(self, is_level):
        """There may be something to publish of the state; is_level: of a level alone."""
        if self.uplink:
            self.uplink.changed(is_level)

    def _work(self, stays):
        """What is due now. Returns real milliseconds until there is more; 0 after a call, for another may be due at once.

        stays: the connection to the cloud stands between calls; else it is made for what there is to be heard and said.
        """
        now = self.tell_time()
        if self._spoiled and not self._reload(now):
            return _NO_TIME_S * 1000
        self._spoiled = True  # until this part's end
        for slot in self.slots:
            self._observe(slot, now)
        for thing in self.unsaved[:]:
            self.save(thing)
        if self.device.store_failed and not self.unsaved:
            self.save_device()  # a level found no room: does anything?
        mute = self.device.store_failed or self.ledger.store.refuses or not (self.trust or self.client)
        due = None if mute else load_policy().next_call(self.slots, self.device, now)
        self._spoiled = False
        if now and not mute and not due and self.update_at is not None and now >= self.update_at:
            self._look_for_update(now)
            return 0
        wants = due or self.uplink and now and (self.uplink.link or self._may_join(now, stays))
        away_s = wants and self.reach and self.reach() or 0
        if not away_s:
            if self.uplink and now and self._talk(due, now, stays):
                return 0
            if due and not self._call(due, now):
                return 0
        self._hang_up()
        for slot in self.slots:
            self._tell_wait(slot, now)
        if not now:
            return _NO_TIME_S * 1000
        core = load_policy()
        at = now + (away_s or (_NO_TIME_S if mute else _WAIT_LIMIT_S))
        for slot in self.slots:
            at = min(at, core.due_at(slot, now), slot.sample_at or at)
        if not away_s:
            if not mute:
                at = min(at, core.call_at(self.slots, self.device, now))
            if self.uplink:
                at = min(at, max(self.device.first_call_at, self.uplink.next_at(stays)))
        if not mute and self.update_at is not None:
            at = min(at, self.update_at)
        return self.clock.real_ms(max(1, at - now))

    def _call(self, due, now):
        """Make the call that is due. Returns True when the fuse stopped it."""
        self._spoiled = True
        make_room()
        from .calls import make

        stopped = make(self, due[0], due[1], now)
        make = None
        forget_calls()
        self._changed(False)
        for slot in self.slots:
            self._tell_slot(slot, self.time.now)
        if hasattr(gc, "mem_alloc"):
            self.heap_peak = max(self.heap_peak, gc.mem_alloc())
        self._spoiled = False
        return stopped

    def _look_for_update(self, now):
        """Ask for an update, or make the room for that, in a step of its own. No order call is due."""
        self._hang_up()
        if self.uplink and self.uplink.link and self.tls_sockets == 1:
            from .cloud import leave

            leave(self, False)
            return
        make_room()
        from .update import poll

        poll(self, now)
        poll = None
        forget_all(_FOR_UPDATE)

    # The maker's cloud

    def _may_join(self, now, stays):
        return now >= self.device.first_call_at and self.uplink.is_wanted(now, stays)

    def _talk(self, due, now, stays):
        """The cloud's turn. Returns whether this step is over with it. What it keeps for us is heard before a call is made."""
        uplink = self.uplink
        if due and not uplink.unheard or uplink.jobs:
            if uplink.link and self.tls_sockets == 1:
                from .cloud import leave

                leave(self, False)
                return True  # a step of its own: what lies on the stack now would keep all of it in memory
            if uplink.jobs:
                from .commands import work

                work(self)
                return True
            return False
        if not uplink.link and not self._may_join(now, stays):
            return False
        if self.client and self.trust and not uplink.link and self.tls_sockets == 1:
            self._hang_up()
            return True  # as above
        if uplink.link:
            if not uplink.has_something(now):
                return False
            make_room()
            from .cloud import speak as act
        else:
            self._hang_up()
            make_room()
            from .cloud import join as act
        done = act(self, now)
        act = None
        forget("cloud")
        return done

    def hear(self, topic, payload):
        """A message has come, or passed by: see io/mqtt.py."""
        from .cloud import take

        take(self, topic, payload)

    def _until_heard(self, left):
        """The milliseconds until the connection to the cloud wants something, `left` at the most; 0 when a packet is there."""
        link = self.uplink and self.uplink.link
        if not link:
            return left
        try:
            return 0 if link.stream.has_some() else min(left, link.due_ms())
        except (OSError, ProtocolError):
            return 0  # hearing meets the same

    def _reload(self, now):
        """Go back to what is durable, after a step that was broken off. Returns whether it could be read."""
        reading = "store.recovery store.reading core.late"
        self._hang_up()
        if self.uplink and self.uplink.link:
            self.uplink.link.close()  # without leave, so that what was not acknowledged comes again
            self.uplink.link = None
        # An import for which memory ended leaves a name without a module (MicroPython 1.25).
        for names in (reading, _BETWEEN_CALLS, _FOR_CALLS, _FOR_MESSAGES, _FOR_CLOUD, _FOR_CONNECTION if self.trust else ""):
            forget_all(names)
        from .store.recovery import reload

        try:
            reload(self, now)
        except OSError as error:
            self.store_error = str(error)
            self.device.store_failed = True
            return False
        forget_all(reading)
        return True

    def tell_time(self, answer=None):
        """The time for holds, after looking at the clock and, when there is one, at the Date of a verified peer."""
        clock = self.clock
        elapsed_s = clock.elapsed_s()
        self.uptime_s += elapsed_s
        now = self.time.update(clock.now(), 0 if clock.trusted else elapsed_s, clock.trusted)
        if answer and answer.date():
            now = self.time.confirm(answer.date())
        self.device.time_sure = self.time.sure
        if self.time.late:
            from .core.late import postpone

            postpone(self)
            forget("core.late")
        if now and self._spread_s:
            self.device.first_call_at = now + int(clock.fraction() * self._spread_s)
            self._spread_s = 0
        return now

    # Levels

    def _observe(self, slot, now):
        """Read a slot's sensor when that is due, apply what time has brought, and make durable what changed."""
        if now:
            sensor = self.sensors.get(slot.id)
            if sensor and now >= slot.sample_at:
                slot.sample(sensor, now)
            elif not sensor:
                slot.pass_time(now)
            self.save_level(slot, now)
            if self.client:
                forget("core.level")  # beside a connection there is no room for it and the policy
            self.recover_flight(slot, now)
            if load_policy().advance(slot, now):
                self.save(slot)
        self._tell_slot(slot, now)

    def recover_flight(self, slot, now):
        """A call that left and whose outcome was never recorded, because the power or this program failed, is of unknown outcome."""
        if slot.order.flags & o.IN_FLIGHT:
            from .settling import lose

            lose(self, slot, now)
            lose = None
            forget_calls()

    def told(self, slot, change, value):
        """The appliance's program or a person told something of a slot: `change(value, now)`."""
        now = self.tell_time()
        spoke = change(value, now)  # True when a person's word changed the order
        self.save_level(slot, now)
        if now and load_policy().advance(slot, now) or spoke:
            self.save(slot)
        self._tell_slot(slot, now)
        self.due_ticks = time.ticks_ms()

    # Saving

    def try_save(self, save, *args):
        """Save something; a medium that refuses is a fault, not the end. Returns whether it is durable."""
        try:
            save(*args)
        except OSError as error:
            self.store_error = self.ledger.store.refuses or "record %s: not written, Errno %s" % (self.ledger.key, error.args[0])
            self.device.store_failed = True
            return False
        self.device.store_failed = bool(self.unsaved)
        self.device.store_worn = self.ledger.store.worn
        return True

    def save(self, thing):
        """Make durable a slot's order, the device, or a rotated token; while one of them is not, no call is made."""
        if thing in self.unsaved:
            self.unsaved.remove(thing)
        if isinstance(thing, str):
            saved = self.try_save(self.ledger.save_token, self.given_token, thing)
        else:
            saved = self.try_save(self.ledger.save_device if thing is self.device else self.ledger.save_order, thing)
        if not saved:
            self.unsaved.append(thing)

    def save_level(self, slot, now):
        """Make a slot's level durable, if it is worth it. Before the order: a refill's number comes before what it changes."""
        if now and slot.worth_saving(now):
            self.keep_level(slot, now)

    def keep_level(self, slot, now):
        """Make a slot's level durable, and tell a sensor that counts: it forgets what is in it. Returns whether it is."""
        saved = self.try_save(self.ledger.save_level, slot, now)
        sensor = self.sensors.get(slot.id)
        if saved and hasattr(sensor, "saved"):
            sensor.saved()
        return saved

    def save_device(self):
        self.device.known_time = max(self.device.known_time, self.time.now)
        self.save(self.device)

    # Telling

    def tell(self, kind, slot, *pairs):
        if slot:
            pairs = (("slot", slot.id),) + pairs
        if kind in ("order", "fault", "level"):
            self._changed(kind == "level")
        self._console.show(self.time.now, kind, pairs)
        if self._callback:
            self._callback(kind, slot and slot.id, pairs)

    def tell_order(self, slot):
        """Tell of a slot's order when its state changed."""
        order = slot.order
        state, reason = order.names()
        if state != slot.told_state:
            news = ("from", slot.told_state), ("state", state), ("reason", reason), ("id", order.own_id or order.progress_id or None)
            self.tell("order", slot, *(news + (("next_try", text(order.next_try)), ("deadline", text(order.deadline())))))
            slot.told_state = state

    def _tell_slot(self, slot, now):
        """Tell what changed: the order, the level and the faults."""
        self.tell_order(slot)
        value, fault = slot.level.value, slot.fault()
        if value is not None and value != slot.told_value and now - slot.told_at >= _LEVEL_REPORT_S:
            slot.told_value = value
            slot.told_at = now
            pairs = ("on_hand", slot.at_home()), ("capacity", slot.capacity), ("unit", slot.unit)
            self.tell("level", slot, ("level", value), *pairs)
        if fault != slot.told_fault:
            slot.told_fault = fault
            self.tell("fault", slot, ("fault", fault))
        if self.fault != self.device.told_fault:
            self.device.told_fault = self.fault
            self.tell("fault", None, ("fault", self.fault), ("detail", self.store_error if self.device.store_failed else None))

    def _tell_wait(self, slot, now):
        """Tell what a slot waits for, if that changed. It takes the room of a connection."""
        wait = load_policy().order_wait(slot, self.device, now)
        told = wait, load_policy().due_at(slot, now), slot.order.state
        if told != slot.told_wait:
            slot.told_wait = told
            from .core.countdown import told_pairs

            self.tell("wait", slot, *told_pairs(slot, self.device, now, wait))


def _settle_heap():
    """After loading modules: collect, and from now on only when a quarter of what is free was used."""
    gc.collect()
    if hasattr(gc, "threshold"):
        gc.threshold(gc.mem_free() // 4)


def heap_free():
    return "heap_free", gc.mem_free() if hasattr(gc, "mem_free") else 0
