"""A board's life around the agent: Wi-Fi, time, watchdog, light and button, deep sleep, and what becomes of a crash.

`main.py` calls `live`. The agent itself does not know what it runs on: what it needs of this is `Agent.reach`, a network. Nothing here
orders, and a reset at any point is what the agent's ledger is made for.
"""

import gc
import sys
import time

from micropython import const

from . import version
from .app import Agent, forget
from .core import button, light
from .core.errors import ProtocolError, StoreError
from .io import chip, rtc
from .io.clock import Clock
from .io.console import Console
from .io.log import Ring
from .io.watchdog import Watchdog

_SLICE_MS = const(20)  # between two looks at the button
_SECOND_MS = const(1000)
_STARTING_S = const(600)  # the watchdog's patience with a start, and with erasing: a minute for each 4 MiB
_PERSON_S = const(3600)  # ... and with a person at the serial line
_HEALTHY_S = const(60)  # a start counts as well when every part has worked for so long
_SAFE_S = const(86400)  # safe mode ends by itself
_SLEPT_LIMIT_S = const(172800)  # of a deep sleep: twice the longest `period_s`; more than that is another clock's time
_AGAIN_S = const(60)  # a step that met an error of the world
_SYNC_S = const(86400)  # the clock is set again; an ESP32's is off by seconds a day, after deep sleeps by minutes
_PAUSE_LIMIT_S = const(300)  # before the reset after a crash
_OUT_OF_MEMORY = const(3)  # steps in a row
_SHOW_S = const(5)  # the light after a press at a board that sleeps
_OFFLINE_S = const(5)  # a network that is there is asked for so often, to be heard of soon
_PARTS = ("person", "network", "step")


def live(path, loader=None):
    """Live with the configuration at `path`, for ever: ends in a reset, in deep sleep, or by KeyboardInterrupt.

    loader: the module that decides which version runs. Returns 2 when the configuration cannot be used, which only a person at the
    serial line can change; that line is free then.
    """
    life = Life(path, loader)
    try:
        return life.begin()
    except KeyboardInterrupt:
        life.dog.prolong(_PERSON_S)
        raise
    except Exception as error:  # ours, by style: the one supervisor
        life.end(error)


def show_log():
    """Print the last events, oldest first: for a person, or a program, at the serial line, after an interrupt."""
    for line in Console.log.kept_lines() if Console.log else ():
        print(line)


class Life:
    """One start of a board."""

    def __init__(self, path, loader):
        self._path = path
        self._crash_path = path[: path.rfind("/") + 1] + "crash"
        self._loader = loader
        self.memory = rtc.of_board()
        self.cause = chip.cause(self.memory)
        self._woke = chip.wake() if self.cause == "wake" else None  # "pin": the first of those that can, the button if there is one
        self.dog = Watchdog(0, _PARTS)
        Console.log = Console.log or Ring()
        self._console = Console(False)
        self._clock = Clock(0, 1, False)
        self.agent = self._wifi = self._lamp = self._contact = None
        self._state = "starting"
        self.is_safe = bool(loader and loader.safe())

    # The start and the end

    def begin(self):
        """See `live`."""
        self._tell_start()
        from .config import load

        try:
            config, secrets = load(self._path)
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        board = config["board"]
        self._deep = board["sleep"] == "deep"
        self._servers = config["clock"]["ntp"]
        self.dog = Watchdog(board["watchdog_s"] and max(_STARTING_S, board["watchdog_s"]), _PARTS)
        self._take_pins(board)
        if board["profile"] == "product":
            self._close_line()
        if self.is_safe:
            return self._keep_safe()
        self._take_network(secrets.get("wifi"))
        config = secrets = None
        first_call_at = self.memory.number(rtc.FIRST_CALL) if self.cause == "wake" else 0
        self.agent = Agent.load(self._path, cold=not first_call_at, known=self._known())
        if first_call_at:
            self.agent.device.first_call_at = first_call_at
        self.agent.reach = self._reach if self._wifi else None
        if board["watchdog_s"]:
            self.dog.prolong(board["watchdog_s"])
        self._ready()
        if self._deep:
            return self._wake()
        while not self.agent.ledger.store.must_restart:
            self.turn()
        self.agent.stop("store must be mounted anew")
        chip.restart(self.memory)

    def _known(self):
        """What time it is for sure at a wake, 0 for nothing known: the real-time clock runs in deep sleep, so what passed by it is as
        good as ticks (law 11)."""
        known = self.memory.number(rtc.KNOWN) if self.cause == "wake" else 0
        slept_s = self._clock.now() - self.memory.number(rtc.WALL)
        return known + slept_s if known and 0 <= slept_s <= _SLEPT_LIMIT_S else 0

    def _tell_start(self):
        pairs = [("cause", self.cause)]
        if self._woke:
            pairs.append(("wake", self._woke))
        if self._loader:
            pairs += [("slot", self._loader.slot() or None), ("start", self._loader.what())]
        self.tell("boot", *(pairs + [("safe", int(self.is_safe)), ("version", version.VERSION)]))
        from .io import crash

        self._crash = crash.read(self._crash_path)
        if self._crash:
            self.tell("crash", *[(name, self._crash[name]) for name in ("what", "where", "version", "number")])
        forget("io.crash")

    def _take_pins(self, board):
        given, wanted = board["led"], board["button"]
        self._button_slot = wanted and wanted["slot"]
        ticks = time.ticks_ms()
        self._second_ticks = self._shown_since = ticks
        self._rest_ms = self.seconds = 0
        self._finger = button.Button(ticks, False)
        self._pattern = light.pattern_of(self._state)
        self._wakers = []
        if given or wanted:
            from .io.pins import Contact, Lamp

            self._lamp = given and Lamp(given["pin"], given["active"])
            self._contact = wanted and Contact(wanted["pin"], wanted["active"])
        if wanted:
            self._wakers.append((wanted["pin"], wanted["active"] == "high"))

    def _close_line(self):
        """Nobody may interrupt a product, so from here on a start ends in a reset or in deep sleep only."""
        from .io.lock import close

        locked = close(bool(self._contact and self._contact.is_down()))
        forget("io.lock")
        self.tell("line", ("closed", int(locked)))

    def _take_network(self, networks):
        """networks: of the secrets. None, or a chip without a radio: the agent is told of no network, and finds out."""
        self._servers = [self._servers] if isinstance(self._servers, str) else self._servers
        self._sync_in_s = 0
        if not networks:
            return
        from .io.wifi import Wifi, has_radio

        if not has_radio():
            return
        self._wifi = Wifi(networks if isinstance(networks, list) else [networks], self.memory, self._clock.fraction)
        self._wifi.rest(max(0, min(self.memory.number(rtc.REST_UNTIL) - self._now(), 900)))

    def _ready(self):
        self._failures = 0  # steps in a row that ended for want of memory
        self._unwell = True
        self._dirty = True  # what the light shows may have changed
        self.agent.on(self._heard)
        self.agent.progress = self.dog.all_spoke
        for slot_id in self.agent.sensors:
            sensor = self.agent.sensors[slot_id]
            if getattr(sensor, "wake", None):
                self._wakers.append(sensor.wake)
                if self._woke == ("pins" if self._contact else "pin"):
                    sensor.woken()
        gc.collect()

    def end(self, error):
        """The one supervisor: write down what ended the program, wait a little longer each time, and start anew."""
        gc.collect()
        from .io import crash

        number = crash.keep(self._crash_path, error, self._now(), version.VERSION)
        for line in ("crash: " + type(error).__name__, " ".join(crash.places(error))):
            print(line)
        self.pause(min(_PAUSE_LIMIT_S, 1 << min(number, 10)))
        chip.restart(self.memory)

    def pause(self, seconds):
        for _ in range(seconds):
            self.dog.all_spoke()
            time.sleep_ms(_SECOND_MS)

    def _now(self):
        """Unix seconds by the board's clock; 0 when it cannot be right."""
        now = self._clock.now()
        return now if now >= version.BUILD_DATE else 0

    def tell(self, kind, *pairs):
        """Show an event that is no slot's."""
        if self.agent:
            self.agent.tell(kind, None, *pairs)
        else:
            self._console.show(self._now(), kind, pairs)

    def _heard(self, kind, slot_id, pairs):
        self._dirty = True

    # One turn

    def turn(self):
        """A slice: the finger and the light; each second the rest, but not while a finger is on the button."""
        ticks = time.ticks_ms()
        self._look(ticks)
        passed = time.ticks_diff(ticks, self._second_ticks)
        if passed >= _SECOND_MS and not self._finger.is_busy():
            self._second_ticks = ticks
            self._rest_ms += passed
            seconds = self._rest_ms // _SECOND_MS
            self._rest_ms -= seconds * _SECOND_MS
            self._second(seconds)
        time.sleep_ms(_SLICE_MS)

    def _second(self, seconds):
        self.seconds += seconds
        self._keep_network(seconds)
        self.dog.spoke("network")
        if self._step():
            self.dog.spoke("step")
        if self._unwell and self.seconds >= _HEALTHY_S and not self._failures:
            self._well()
        if self._dirty:
            self._dirty = False
            self._show(self._device_state())

    def _step(self):
        """Returns whether the agent's step ended as one should."""
        try:
            self.agent.step()
        except MemoryError:
            self._failures += 1
            gc.collect()
            if self._failures >= _OUT_OF_MEMORY:
                raise
            return False  # the next step goes back to what is durable
        except (OSError, ProtocolError) as error:
            self._tell_error(error)
            self.agent.break_off()
            self.agent.due_ticks = time.ticks_add(time.ticks_ms(), _AGAIN_S * 1000)
            return False
        self._failures = 0
        return True

    def _well(self):
        """This start is well: it counts against nobody, and the last crash was shown."""
        self._unwell = False
        if self._loader:
            self._loader.healthy()
            self._well_image()
        if self._crash:
            from .io import crash

            crash.forget_last(self._crash_path)
            forget("io.crash")

    def _well_image(self):
        """The firmware image that runs is well too: on a chip that has several it stays."""
        from .io.ota import well

        try:
            found = well(self.agent.ledger.store, self._loader)
        except (OSError, StoreError) as error:
            found = str(error)
        well = None
        forget("io.ota")
        if found:
            self.tell("image", ("state", found))

    # Network and time

    def _keep_network(self, seconds):
        if not self._wifi:
            return
        news = self._wifi.attend(seconds)
        if news:
            self._dirty = True
            self.tell("wifi", ("state", news), ("network", self._wifi.at), ("rest_s", self._wifi.rest_s()))
        if news == "joined":
            self.agent.due_ticks = time.ticks_ms()
        self._sync_in_s -= seconds
        if self._sync_in_s <= 0 and self._wifi.is_joined:
            self._sync()

    def _sync(self):
        """Set the clock by two servers that agree. Ten seconds at the most, the look-ups of their names apart."""
        from .io import ntp

        gc.collect()
        told = ntp.ask(self._servers or ntp.SERVERS, self.agent.time.now, version.BUILD_DATE, self.dog.all_spoke)
        if told:
            ntp.set_clock(*told)
            failures = 0
            self._sync_in_s = _SYNC_S
            self.memory.keep(rtc.SET_AT, told[0])
            self.agent.due_ticks = time.ticks_ms()
        else:
            from .core.backoff import delay_s

            failures = self.memory.number(rtc.UNSET) + 1
            self._sync_in_s = delay_s(failures, self._clock.fraction())
        self.memory.keep(rtc.UNSET, failures)
        ntp = None
        forget("io.ntp")
        forget("services.ntp")
        self.tell("clock", ("source", "ntp"), ("set", int(bool(told))), ("again_s", self._sync_in_s))

    def _reach(self):
        """See `Agent.reach`. On a board that stays awake nothing is waited for; at a wake the networks are tried, 20 s each at the
        most, and the clock is set when that is a day ago."""
        wifi = self._wifi
        if wifi.is_joined:
            return 0
        if not self._deep:
            return _OFFLINE_S
        if wifi.rest_s() or not wifi.join(self.dog.all_spoke):
            return self._rest()
        self.tell("wifi", ("state", "joined"), ("network", wifi.at))
        if self._sync_is_due():
            self._sync()
        return 0

    def _rest(self):
        """No network could be joined: so many seconds until the next try, which outlive the sleep."""
        rest_s = max(1, self._wifi.rest_s())
        self.memory.keep(rtc.REST_UNTIL, self._now() and self._now() + rest_s)
        return rest_s

    def _sync_is_due(self):
        now = self._now()
        return not now or not 0 <= now - self.memory.number(rtc.SET_AT) < _SYNC_S

    # Wakes

    def _wake(self):
        """One wake, then deep sleep. A finger on the button that woke the board is waited for."""
        by_finger = self._contact and self._woke == "pin"
        if by_finger:
            self._finger = button.Button(time.ticks_ms(), True)
            self._keep_person(0)
        if self._wifi and not self._now():
            self._reach()  # without a time nothing is ever due, and nobody would ask for a network
        left_s = self._once()
        if self._wifi:
            if not self._now():
                left_s = max(left_s, self._wifi.rest_s(), self._sync_in_s)
            self._wifi.turn_off()
        if by_finger:
            self._show(self._device_state())
            self._keep_person(_SHOW_S * 1000)
        if self._lamp:
            self._lamp.show(False)
        known = self.agent.time.now
        self.memory.keep(rtc.KNOWN, known)
        self.memory.keep(rtc.WALL, self._clock.now())
        self.memory.keep(rtc.FIRST_CALL, max(1, self.agent.device.first_call_at) if known else 0)
        chip.sleep_deep(int(left_s * 1000), self._wakers)

    def _once(self):
        """The agent's wake. Returns for how many seconds to sleep. What is wrong with the world is no crash."""
        try:
            left_s = self.agent.once()
        except (OSError, ProtocolError) as error:
            self._tell_error(error)
            return _AGAIN_S
        self._well()
        return left_s

    def _tell_error(self, error):
        self.tell("error", ("what", type(error).__name__), ("errno", error.args[0] if isinstance(error, OSError) else None))

    def _keep_person(self, ms):
        """Look at the button for so long, and on while a finger is on it."""
        start = time.ticks_ms()
        while True:
            ticks = time.ticks_ms()
            self._look(ticks)
            if time.ticks_diff(ticks, start) >= ms and not self._finger.is_busy():
                return
            time.sleep_ms(_SLICE_MS)

    # Safe mode

    def _keep_safe(self):
        """No agent, no network, no order: only light, button and serial line. A press, a day, or `loader.healthy()` ends it."""
        self.tell("safe", ("ends_s", _SAFE_S))
        self._show("safe")
        start = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), start) < _SAFE_S * _SECOND_MS:
            if self._look(time.ticks_ms()) == button.PRESSED:
                break
            self.dog.all_spoke()
            time.sleep_ms(_SLICE_MS)
        self._loader.healthy()
        chip.restart(self.memory)

    # The person

    def _look(self, ticks):
        """The button and the light. Returns what letting go of the button meant."""
        self.dog.spoke("person")
        meant = button.NOTHING
        if self._contact:
            meant = self._finger.look(self._contact.is_down(), ticks)
            stage = self._finger.stage(ticks)
            if stage or self._state in ("held", "warning", "armed"):
                self._show(stage or (self._device_state() if self.agent else "safe"))
            if meant:
                self._obey(meant)
        if self._lamp:
            self._lamp.show(light.is_lit(self._pattern, time.ticks_diff(ticks, self._shown_since)))
            if time.ticks_diff(ticks, self._shown_since) > 3600000:
                self._shown_since = ticks  # before ticks wrap
        return meant

    def _show(self, state):
        if state != self._state:
            self._state = state
            self._pattern = light.pattern_of(state)
            self._shown_since = time.ticks_ms()

    def _device_state(self):
        agent = self.agent
        slots = [(slot.order.names()[0], slot.fault()) for slot in agent.slots]
        return light.state_of(agent.fault, not self._wifi or self._wifi.is_joined or self._deep, agent.device.held, slots)

    def _obey(self, meant):
        if meant == button.RESET:
            self._reset_all()
        elif self.agent and meant == button.HELD:
            self._refill()
        elif self.agent:
            self.tell_status()

    def _refill(self):
        for slot in self.agent.slots:
            is_low = slot.level.value is None or slot.level.value <= slot.reorder_at
            if slot.id == self._button_slot or not self._button_slot and is_low:
                self.agent.slot(slot.id).refilled()
                self.tell("button", ("refilled", slot.id))

    def tell_status(self):
        """A person's press: the last events once more, then how each slot and the device are now, and what they wait for."""
        from .core.countdown import in_words

        show_log()
        agent = self.agent
        for slot in agent.slots:
            state, reason = slot.order.names()
            waits = in_words(slot, agent.device, agent.time.now)
            pairs = ("level", slot.level.value), ("capacity", slot.capacity), ("fault", slot.fault())
            agent.tell("status", slot, *(pairs + (("state", state), ("reason", reason), ("waits", waits))))
        online = int(bool(self._wifi and self._wifi.is_joined))
        self.tell("status", ("shows", self._device_state()), ("fault", agent.fault), ("held", agent.device.held), ("online", online))

    def _reset_all(self):
        """A person's factory reset: like `Agent.factory_reset`, in safe mode too, where there is no agent."""
        self.tell("button", ("reset", 1))
        self.dog.prolong(_STARTING_S)
        if self.agent:
            self.agent.factory_reset()
        else:
            from .config import load
            from .erase import reset_without_agent

            reset_without_agent(load(self._path)[0])
            self._loader.healthy()
        chip.restart(self.memory)
