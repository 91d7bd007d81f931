"""The agent: wires the adapters to the core and acts on what the core decides. The only module that knows everything.

One `step` does one bounded piece of work: it reads the sensors that are due, applies what time has brought, makes durable what
changed, and makes at most one call to a service.
"""

import gc
import sys
import time
from binascii import crc32

from micropython import const

from .core import backoff, policy
from .core import order as o
from .core.device import Device
from .core.isotime import text
from .core.slot import Slot
from .services import call, drs
from .store.ledger import Ledger
from .version import VERSION

TYPE_CHECKING = const(0)  # the type checker takes it for 1; the compiler leaves out what depends on it
if TYPE_CHECKING:
    from .core.timekeeper import Timekeeper

_TOKEN_MARGIN_S = const(120)  # an access token is not used for longer than until so long before it expires
_NO_TIME_S = const(60)  # how often to look again while there is no valid time
_WAIT_LIMIT_S = const(3600)  # a step is due at least so often, so that ticks and the clock are compared
_LEVEL_REPORT_S = const(3600)  # a level alone is told at most so often
_ANSWERS = (call.OK, call.ACCEPTED, call.IN_PROGRESS, call.UNSUBSCRIBED, call.MISSING)  # the service is well
_WAKE_CALLS = const(8)  # calls of one wake: so many and three for each slot


def forget(name):
    """Let go of a module that is needed only now and then, so that its code does not stay in the heap."""
    module = sys.modules.pop("replenish." + name, None)
    package, _, leaf = ("replenish." + name).rpartition(".")
    if module:
        delattr(sys.modules[package], leaf)


class Agent:
    """The replenishment agent of one appliance. Make one with `Agent.load`."""

    # Made by `startup.open_state`.
    time: "Timekeeper"
    token: str
    given_token: str

    @classmethod
    def load(cls, path, cold=True):
        """The agent of a configuration file. Raises ValueError, and OSError when the state cannot be kept.

        cold: a cold start, after which the first call is spread (law 10); False for a wake from deep sleep.
        """
        from .config import load

        config, secrets = load(path)
        forget("config")
        from .startup import local_adapters, remote_adapters

        clock, store, console = local_adapters(config)
        agent = cls(config, secrets, clock, store, console, cold)
        agent.client, agent.sensors = remote_adapters(config)
        forget("startup")
        _settle_heap()
        return agent

    def __init__(self, config, secrets, clock, store, console, cold=True):
        """config, secrets: judged, with all defaults; clock, store, console: the board's adapters. Before the first step the
        attributes `client` and `sensors` must be set as well."""
        from .startup import open_state

        self.time = None  # core/timekeeper.py; this and the tokens are set by `open_state`
        self.token = self.given_token = ""
        self.client = None  # io/http.py
        self.sensors = None  # {slot id: sensor}
        self._clock = clock
        self._console = console
        self._rules = rules = config["policy"]
        self._lwa = config["lwa"]
        self._service = drs.Drs(config["drs"]["endpoint"])
        self._client_secret = secrets.get("client_secret")
        self._callback = None
        self._access = ""
        self._access_until = 0
        self._token_retried = False
        self._cold = cold
        self._spread_s = rules["boot_spread_s"] if cold else 0
        self._spoiled = False  # a step was broken off: what stands in memory may be half-changed
        self.store_error = None  # what the medium refused last
        self.due_ticks = self.call_ticks = time.ticks_ms()
        self.heap_peak = 0  # bytes in use after the call that used most
        self.ledger = Ledger(store)
        self.unsaved = []  # what the medium refused: slots, the device, a token; no call is made while there is any
        self.device = Device(config["device"]["serial"])
        self.slots = [Slot(slot, rules) for slot in config["slots"]]
        damage = open_state(self, config, secrets)
        for name in ("store.flashscan", "store.recovery", "store.reading", "version"):
            forget(name)
        for sentence in damage:
            self._tell("fault", None, ("fault", "store_damaged"), ("detail", sentence))
        _settle_heap()
        self._tell("start", None, ("version", VERSION), ("serial", self.device.serial), ("slots", len(self.slots)), _heap_free())

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

    def resume(self):
        """A person's word that ordering may go on: ends a `hold`, and the slots' holds by the fuse, by a refused request and by a
        refill that did not come. Raises OSError if that cannot be made durable."""
        self.device.held = 0
        self.ledger.save_device(self.device)
        for slot in self.slots:
            if slot.order.resume(self.tell_time()):
                self.ledger.save_order(slot)

    # Running

    def step(self):
        """Do one bounded piece of work; returns the seconds until the next is due.

        Without a call to a service: milliseconds. With one: at most the call's total deadline of 20 s, of which a TLS handshake
        on an ESP32 takes about one; the name look-up alone has no limit of its own. An idle step makes no garbage.
        """
        left = time.ticks_diff(self.due_ticks, time.ticks_ms())
        if left <= 0:
            left = self._work()
            self.due_ticks = time.ticks_add(time.ticks_ms(), left)
        return left / 1000 if self._clock.scaled else (left + 999) // 1000

    def run(self):
        """Step for ever; on the Unix board until standard input ends, on a board until the store asks for a start. Waits between
        steps."""
        while not self._console.wait(max(0, time.ticks_diff(self.due_ticks, time.ticks_ms()))):
            self.step()
            if self.ledger.store.must_restart:
                return self.stop("store must be mounted anew")
        self.stop("standard input ended")

    def once(self):
        """One wake: sensors, then all calls that are due. Returns how many seconds the board may deep-sleep (real ones).

        Each call takes at most its deadline; there are at most 8 and three for each slot.
        """
        left = 0
        for _ in range(_WAKE_CALLS + 3 * len(self.slots)):
            left = self._work()
            if left or self._console.wait(0):
                break
        self.stop("wake over", False)
        return left / 1000 if self._clock.scaled else (left + 999) // 1000

    def start(self):
        """Run beside the appliance's program, in a thread of its own."""
        import _thread

        _thread.start_new_thread(self.run, ())

    def stop(self, reason, last=True):
        """Make durable what is not yet, and close the connection. The agent may step on afterwards.

        last: False after a wake, which leaves the levels to `worth_saving`: wakes are many.
        """
        self.client.close()
        for slot in self.slots:
            level = slot.level
            if last and self.time.now and level.value is not None and level.marks() != level.saved_marks:
                self._try(self.ledger.save_level, slot, self.time.now)
        self._tell("stop", None, ("reason", reason), _heap_free(), ("heap_peak", self.heap_peak))

    def _work(self):
        """What is due now. Returns real milliseconds until there is more; 0 after a call, for another may be due at once."""
        now = self.tell_time()
        if self._spoiled and not self._reload(now):
            return _NO_TIME_S * 1000
        self._spoiled = True  # until this step's end
        for slot in self.slots:
            self._observe(slot, now)
        for thing in self.unsaved[:]:
            self.save(thing)
        if self.device.store_failed and not self.unsaved:
            self.save_device()  # a level found no room: does anything?
        sick = self.device.store_failed or self.ledger.store.refuses
        due = None if sick else policy.next_call(self.slots, self.device, now)
        if due:
            gc.collect()  # a call wants room in one piece
            self._call(due[0], due[1], now)
            for slot in self.slots:
                self._tell_slot(slot, self.time.now)
            if hasattr(gc, "mem_alloc"):
                self.heap_peak = max(self.heap_peak, gc.mem_alloc())
        self._spoiled = False
        if due:
            return 0
        self.client.close()
        if not now:
            return _NO_TIME_S * 1000
        at = min(now + (_NO_TIME_S if sick else _WAIT_LIMIT_S), policy.call_at(self.slots, self.device, now))
        for slot in self.slots:
            at = min(at, policy.due_at(slot, now), slot.sample_at or at)
        return self._clock.real_ms(max(1, at - now))

    def _reload(self, now):
        """Go back to what is durable, after a step that was broken off. Returns whether it could be read."""
        reading = "store.recovery", "store.reading"
        for name in reading:
            forget(name)  # an import for which memory ended leaves a name without a module (MicroPython 1.25)
        from .store.recovery import reload

        try:
            reload(self, now)
        except OSError as error:
            self.store_error = str(error)
            self.device.store_failed = True
            return False
        for name in reading:
            forget(name)
        return True

    def tell_time(self, answer=None):
        """The time for holds, after looking at the clock and, when there is one, at the Date of a verified peer."""
        clock = self._clock
        now = self.time.update(clock.now(), 0 if clock.trusted else clock.elapsed_s(), clock.trusted)
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
            self._save_level(slot, now)
            if slot.order.flags & o.IN_FLIGHT:
                # A call that left and whose outcome was never recorded: the power or this program failed.
                self._fail(slot.order, o.UNKNOWN, now, self.device.failed(now, self._clock.fraction(), 0, True))
                self.save(slot)
                self.save_device()
            if policy.advance(slot, now):
                self.save(slot)
        self._tell_slot(slot, now)

    def told(self, slot, change, value):
        """The appliance's program or a person told something of a slot: `change(value, now)`."""
        now = self.tell_time()
        spoke = change(value, now)  # True when a person's word changed the order
        self._save_level(slot, now)
        if now and policy.advance(slot, now) or spoke:
            self.save(slot)
        self._tell_slot(slot, now)
        self.due_ticks = time.ticks_ms()

    # Saving

    def _try(self, save, *args):
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
            saved = self._try(self.ledger.save_token, self.given_token, thing)
        else:
            saved = self._try(self.ledger.save_device if thing is self.device else self.ledger.save_order, thing)
        if not saved:
            self.unsaved.append(thing)

    def _save_level(self, slot, now):
        """Make a slot's level durable, if it is worth it. Before the order: a refill's number comes before what it changes."""
        if now and slot.worth_saving(now):
            self._try(self.ledger.save_level, slot, now)

    def save_device(self):
        self.device.known_time = max(self.device.known_time, self.time.now)
        self.save(self.device)

    # Calls

    def _call(self, kind, slot, now):
        if not self._access or now >= self._access_until:
            self._fetch_token(slot, now)
        elif kind == policy.REPLENISH:
            self._replenish(slot, now)
        elif kind == policy.ORDER_INFO:
            self._poll(slot)
        elif kind == policy.SUBSCRIPTION_INFO:
            self._ask_subscription()
        else:
            self._report(slot, now)

    def _send(self, request):
        """Make a call: (answer, the time afterwards). Nobody should hold the request any more: reading the answer wants its room."""
        self.call_ticks = time.ticks_ms()
        answer = self.client.call(request)
        request = None
        gc.collect()
        return answer, self.tell_time(answer)

    def _note(self, name, slot, answer, said):
        """What a call means beside what it was for, after that is durable. `said` begins with the outcome, ends with a phrase."""
        if said[0] in _ANSWERS and name != "token":  # a token alone does not end the backoff: the service may still be ill
            self._token_retried = False
            if self.device.answered():
                self.save_device()
        pairs = ("call", name), ("status", answer.status), ("outcome", call.OUTCOMES[said[0]]), ("detail", said[-1])
        more = ("request_id", answer.headers.get("x-amzn-requestid")), ("ms", time.ticks_diff(time.ticks_ms(), self.call_ticks))
        self._tell("call", slot, *(pairs + more))

    def _failed(self, outcome, answer, now):
        """The device's share of a failed call. Returns when the next call may leave."""
        device = self.device
        if outcome == call.BAD_TOKEN:
            self._access = ""
            if not self._token_retried:
                self._token_retried = True  # once; a second one in a row is a failure like any other
                return now
        if outcome == call.REFUSED:
            device.refused = 2
            device.next_try = now + self._rules["probe_interval_s"]
        else:
            device.retired |= outcome == call.GONE
            device.failed(now, self._clock.fraction(), answer.retry_after_s(now), answer.status != 0)
        self.save_device()
        return device.next_try

    def _fetch_token(self, slot, now):
        """Fetch an access token, for a call that is due; `slot`: whose, if it is one's."""
        # This module is needed once an hour; in between, and when a call wants most room, it is not in memory.
        from .services.lwa import refresh

        client = self._lwa
        request = refresh(client["token_url"], client["client_id"], self._client_secret, self.token)
        refresh = None
        forget("services.lwa")
        answer, now = self._send(request)
        from .services.lwa import read

        said = read(answer)
        forget("services.lwa")
        outcome, access, lifetime_s, rotated, _ = said
        device = self.device
        if outcome == call.OK:
            if rotated and rotated != self.token:
                # Stored before it is used: the old one may be dead already.
                self.token = rotated
                self.save(rotated)
            self._access = access
            if self._cold and not self._access_until:
                self._step_backoff(slot, now)
            self._access_until = now + max(lifetime_s - _TOKEN_MARGIN_S, lifetime_s // 2)
        elif outcome == call.UNLINKED:
            device.refused_token = crc32(self.token.encode())
            device.linked = False
            self.save_device()
        else:
            self._failed(outcome, answer, now)
        self._note("token", None, answer, said)

    def _step_backoff(self, slot, now):
        """The first token since a cold start takes a step of a backoff that goes on: a boot loop must not add its tokens to the calls
        that are due. Not so a wake, which takes a token each time: it would never get to its call."""
        device = self.device
        waits = slot and slot.order.attempts and slot.order.allows(o.NOT_ACTED)
        if device.attempts or waits:
            device.failed(now, self._clock.fraction(), 0, True)
            self.save_device()
        if waits:
            self._fail(slot.order, o.NOT_ACTED, now, self._next_try(slot.order, device.next_try, now))
            self.save(slot)

    def _replenish(self, slot, now):
        order = slot.order
        free_at = order.fuse_free_at(now, self._rules["max_orders_30_days"])
        if free_at:
            order.limit(now, free_at)
            return self.save(slot)
        request = self._service.replenish(self._access, slot.id)
        order.intend(now, slot.need(now) == "low")
        self.save(slot)
        if slot in self.unsaved:  # law 3: no durable intent, no call
            return order.fail(o.NOT_ACTED, now, now + _NO_TIME_S)
        self._tell_slot(slot, now)
        answer, now = self._send(request)
        request = None
        said = drs.read_replenish(answer)
        self._settle(slot, said[0], said[1], answer, now)
        self.save(slot)  # before anything else (law 3)
        return self._note("replenish", slot, answer, said)

    def _settle(self, slot, outcome, event_id, answer, now):
        """What the outcome of a replenish call does to the slot's order."""
        order, rules = slot.order, self._rules
        if outcome == call.ACCEPTED:
            order.accept(now, event_id, max(now, order.asked_at + rules["resolution_grace_s"]))
        elif outcome == call.IN_PROGRESS:
            order.block(now, event_id, now + rules["poll_interval_s"])
        elif outcome == call.UNSUBSCRIBED:
            order.subscription(now, False)
            self.device.subscriptions_at = now
        elif outcome == call.REFUSED:
            order.refuse(now, now + rules["probe_interval_s"], answer.status)
        else:
            next_try = self._failed(outcome, answer, now)
            if next_try > now:
                next_try = self._next_try(order, next_try, now)
            self._fail(order, o.UNKNOWN if outcome == call.UNKNOWN else o.NOT_ACTED, now, next_try)

    def _next_try(self, order, next_try, now):
        """Other calls that go well end the device's backoff, but not this order's."""
        return max(next_try, now + backoff.delay_s(order.attempts + 1, self._clock.fraction()))

    def _fail(self, order, event, now, next_try):
        """A replenish call came to nothing. A probe is not repeated by the backoff alone (law 2)."""
        if order.flags & o.PROBING:
            next_try = max(next_try, now + self._rules["probe_interval_s"])
        order.fail(event, now, next_try)

    def _poll(self, slot):
        order = slot.order
        held_id = order.held_id()
        answer, now = self._send(self._service.order_info(self._access, held_id))
        said = drs.read_order_info(answer, held_id, slot.id)
        outcome = said[0]
        order.next_poll = policy.next_poll(order, self._rules, now)
        if outcome in (call.OK, call.MISSING):
            policy.learn(slot, said[1], now, now, said[2])
        else:
            order.next_poll = self._failed(outcome, answer, now)
        self._save_level(slot, now)
        self.save(slot)
        self._note("order_info", slot, answer, said)

    def _ask_subscription(self):
        answer, now = self._send(self._service.subscription_info(self._access))
        said = drs.read_subscription_info(answer)
        if said[0] != call.OK:
            self._failed(said[0], answer, now)
        else:
            for slot in self.slots:
                if slot.order.subscription(now, said[1].get(slot.id, False)):
                    self.save(slot)
            self.device.subscriptions_at = now
            policy.end_report(self.slots, self.device, now)
            self.save_device()
        self._note("subscription_info", None, answer, said)

    def _report(self, slot, now):
        """One of the day's status calls: the device's, or a slot's."""
        if slot is None:
            request = self._service.device_status(self._access, now)
        else:
            request = self._service.slot_status(self._access, slot, policy.runs_out(slot, now))
        answer, now = self._send(request)
        said = drs.read_status(answer)
        if said[0] not in (call.OK, call.REFUSED):  # a refused report is not repeated before tomorrow
            self._failed(said[0], answer, now)
        else:
            (slot or self.device).status_sent = True
            if policy.end_report(self.slots, self.device, now):
                self.save_device()
        self._note("slot_status" if slot else "device_status", slot, answer, said)

    # Telling

    def _tell(self, kind, slot, *pairs):
        if slot:
            pairs = (("slot", slot.id),) + pairs
        self._console.show(self.time.now, kind, pairs)
        if self._callback:
            self._callback(kind, slot and slot.id, pairs)

    def _tell_slot(self, slot, now):
        """Tell what changed: the order's state, the level and the faults, and why a slot waits that needs more."""
        order = slot.order
        state, reason = order.names()
        value, fault = slot.level.value, slot.fault()
        wait = policy.order_wait(slot, self.device, now)
        if state != slot.told_state:
            news = ("from", slot.told_state), ("state", state), ("reason", reason), ("id", order.own_id or order.progress_id or None)
            self._tell("order", slot, *(news + (("next_try", text(order.next_try)), ("deadline", text(order.deadline())))))
            slot.told_state = state
        if value is not None and value != slot.told_value and now - slot.told_at >= _LEVEL_REPORT_S:
            slot.told_value = value
            slot.told_at = now
            pairs = ("on_hand", slot.order.on_hand), ("capacity", slot.capacity), ("unit", slot.unit)
            self._tell("level", slot, ("level", value), *pairs)
        if fault != slot.told_fault:
            slot.told_fault = fault
            self._tell("fault", slot, ("fault", fault))
        if self.fault != self.device.told_fault:
            self.device.told_fault = self.fault
            self._tell("fault", None, ("fault", self.fault), ("detail", self.store_error if self.device.store_failed else None))
        if wait != slot.told_wait:
            slot.told_wait = wait
            if wait and wait != policy.BY_STATE:  # the order's own reason says that
                self._tell("wait", slot, ("reason", wait))


def _settle_heap():
    """After loading modules: collect, and from now on only when a quarter of what is free was used."""
    gc.collect()
    if hasattr(gc, "threshold"):
        gc.threshold(gc.mem_free() // 4)


def _heap_free():
    return "heap_free", gc.mem_free() if hasattr(gc, "mem_free") else 0
