"""A board's life, start by start, on a chip in virtual time with the real agent: what each start does, and what it leaves to the next.

Nothing of it may order twice: the last test resets the board at many instants of an order's life.
"""

import gc
import json
import os

import replenish.io as package
from replenish import awake as staying
from replenish import life
from replenish.io import clock, console

from host_tests.expect import cases, tmp
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import Clock
from host_tests.fakes.chip import Asleep, Bitten, Chip, End, Reset
from host_tests.fakes.replaced import Replaced
from host_tests.fakes.timeservers import Servers

NOW = 1795300000
CANARIES = ("Atzr|canary-refresh", "canary-client", "canary-mqtt", "canary-word-of-home", "canary-ssid")
WIFI = {"ssid": "canary-ssid", "password": "canary-word-of-home"}
SECRETS = {"refresh_token": CANARIES[0], "client_secret": CANARIES[1], "mqtt_password": CANARIES[2], "wifi": WIFI}
BOARD = {"led": {"pin": 2}, "button": {"pin": 0, "slot": None}}
NET_S = 3  # of a start, until the network and the time are there


class Enough(End):
    """The test has seen what it wanted."""


class Dice:
    """`os`, whose randomness is always the most."""

    def urandom(self, size):
        return b"\xff" * size


class Loader:
    """What loader.py tells, and is told."""

    def __init__(self):
        self.is_safe = False
        self.told_healthy = 0

    def safe(self):
        return self.is_safe

    def healthy(self):
        self.told_healthy += 1
        self.is_safe = False
        return True

    def slot(self):
        return "a"

    def what(self):
        return "run"


class ChipClock(Clock):
    """The chip's clock, as the agent sees it: not to be trusted."""

    def __init__(self, chip):
        Clock.__init__(self, trusted=False)
        self._chip = chip
        self._last_ms = chip.ms

    def now(self):
        return self._chip.unix

    def elapsed_s(self):
        seconds = (self._chip.ms - self._last_ms) // 1000
        self._last_ms += 1000 * seconds
        return seconds


class Recorder(console.Console):
    """Shows events as a board does, and keeps them."""

    events = []

    def show(self, now, kind, pairs):
        console.Console.show(self, now, kind, pairs)
        event = dict(pairs)
        event["event"] = kind
        self.events.append(event)

    def wait(self, ms, sock=None):
        return False


class Home(Appliance):
    """An appliance with its board, in a home with a network. `live` is one start."""

    def __init__(self, board=None, secrets=None, without=(), level=10, **options):
        self.chip = Chip(without)
        self.chip.air = {WIFI["ssid"]: (WIFI["password"], 1500)}
        self.servers = self.chip.servers = Servers(self.chip, {"a": NOW, "b": NOW})
        self.its: staying.Awake | None = None
        self.chip.levels[0] = 1  # the button is up
        self.loader = Loader()
        self.printed = []
        self.cold = []
        self.error = None  # what the agent's load raises
        self._write(dict(BOARD, **(board or {})), SECRETS if secrets is None else secrets)
        Appliance.__init__(self, secrets=SECRETS, trusted=False, **options)
        self.sensors["A"].value = level
        Recorder.events = self.events = []
        Recorder.log = None

    def _write(self, board, secrets):
        self.folder = tmp()
        config = {"device": {}, "backend": "drs", "tls": {"ca": []}, "state": "state", "secrets": "secrets.json", "slots": []}
        config["board"] = board
        config["clock"] = {"ntp": ["a", "b"]}
        for name, content in (("config.json", config), ("secrets.json", secrets)):
            with open(self.folder + "/" + name, "w") as file:
                json.dump(content, file)

    def start(self, cold=True):
        """Called by Appliance before the first start, which is `load`'s."""

    def load(self, path, cold, known):
        """In the place of `Agent.load`."""
        self.cold.append(cold)
        self.known = known
        if self.error:
            raise self.error
        random = self.clock.random
        self.clock = self.service.clock = ChipClock(self.chip)
        self.clock.random = random
        self.console = Recorder(False)  # type: ignore[assignment]
        Appliance.start(self, cold)
        return self.agent

    def live(self, seconds, until=None):
        """One start, for so many seconds at the most. Returns how it ended."""
        home = self

        def enough():
            raise Enough()

        class Agent:
            load = home.load

        self.chip.events = [event for event in self.chip.events if event[1].__name__ != "enough"]
        self.chip.at(int(seconds * 1000), enough)
        with self.chip, Replaced(life, Agent=Agent, Console=Recorder, print=self._print), Replaced(console, print=self._print):
            with Replaced(clock, os=Dice()):
                try:
                    return life.live(self.folder + "/config.json", self.loader)
                except End as end:
                    return end

    def _print(self, *args, **named):
        self.printed.append(str(args[0]))

    def of(self, kind):
        return [event for event in self.events if event["event"] == kind]

    def next_start(self, cause, woke_by=0):
        self.events.clear()
        self.chip.start(cause, woke_by)

    def press(self, ms, after_ms=0):
        """A finger on the button."""
        self.chip.at(after_ms, lambda: self.chip.levels.update({0: 0}))
        self.chip.at(after_ms + ms, lambda: self.chip.levels.update({0: 1}))

    def crash_record(self):
        return "crash" in os.listdir(self.folder)


# A board that stays awake


def test_a_start_finds_network_and_time_and_becomes_well():
    home = Home()
    assert isinstance(home.live(300), Enough)
    boot = home.of("boot")[0]
    assert (boot["cause"], boot["slot"], boot["start"], boot["safe"]) == ("power_on", "a", "run", 0)
    assert [event["state"] for event in home.of("wifi")] == ["joined"]
    assert [(event["source"], event["set"]) for event in home.of("clock")] == [("ntp", 1)]
    assert abs(home.chip.unix - NOW - 300) < 5 and home.agent.time.now >= NOW
    assert home.cold == [True] and home.loader.told_healthy == 1


def test_without_a_network_levels_go_on_and_no_attempt_is_spent():
    home = Home(level=1)
    home.live(30)
    home.chip.air = {}
    home.live(1800)
    assert home.service.calls == [] or home.agent.device.attempts == 0
    asked = len(home.service.calls)
    home.chip.air = {WIFI["ssid"]: (WIFI["password"], 1500)}
    home.live(3600)
    assert len(home.service.calls) > asked and home.service.count("replenish") == 1
    assert home.agent.device.attempts == 0


def test_the_clock_is_set_again_each_day_and_soon_after_a_failure():
    home = Home(board={"watchdog_s": 0})
    home.servers.hosts["b"] = NOW + 9000
    home.chip.at(250000, lambda: home.servers.hosts.update({"b": NOW}))
    home.chip.at(500000, lambda: home.chip.jump(86000000))
    home.live(87400)
    clocks = home.of("clock")
    assert [event["again_s"] for event in clocks] == [29, 59, 119, 239, 86400, 86400]
    assert [event["set"] for event in clocks] == [0, 0, 0, 0, 1, 1]


def test_a_part_that_hangs_ends_in_a_reset():
    home = Home()
    home.chip.at(200000, lambda: setattr(home.agent, "step", lambda: home.chip.pass_ms(10000000)))
    end = home.live(1000)
    assert isinstance(end, Bitten) and 319000 <= home.chip.ms <= 321000, home.chip.ms
    home.next_start("WDT_RESET")
    home.live(60)
    assert home.of("boot")[0]["cause"] == "watchdog" and home.cold == [True, True]


def test_steps_that_always_fail_end_in_a_reset_too():
    home = Home()

    def fail():
        raise OSError(5)

    home.chip.at(200000, lambda: setattr(home.agent, "step", fail))
    assert isinstance(home.live(1000), Bitten)
    assert len(home.of("error")) >= 100 and home.of("error")[0]["errno"] == 5


def test_a_start_is_not_well_while_each_step_that_is_due_fails():
    home = Home()
    calls = [0]

    def step():
        calls[0] += 1
        if calls[0] % 60 == 1:  # between them nothing is due
            raise OSError(5)

    home.chip.at(1500, lambda: setattr(home.agent, "step", step))
    home.live(300)
    assert len(home.of("error")) >= 4 and home.loader.told_healthy == 0


class Defect:
    """Raises an error at the n-th step; with a canary in it."""

    def __init__(self, step, error, after=0):
        self._step = step
        self._error = error
        self._after = after
        self.raised = 0

    def __call__(self):
        self._after -= 1
        if self._after < 0:
            self.raised += 1
            raise self._error
        return self._step()


def test_a_crash_is_written_down_shown_at_the_next_start_and_gone_when_that_was_well():
    home = Home()
    home.chip.at(20000, lambda: setattr(home.agent, "step", Defect(None, ValueError(CANARIES[0]))))
    assert isinstance(home.live(1000), Reset) and home.crash_record()
    assert home.chip.ms < 30000
    home.next_start("HARD_RESET")
    home.live(30)
    crash = home.of("crash")[0]
    assert (crash["what"], crash["number"]) == ("ValueError", 1) and crash["where"][-1].endswith("__call__")
    assert home.of("boot")[0]["cause"] == "restart"
    assert home.crash_record(), "not well yet"
    home.next_start("PWRON_RESET")
    home.live(100)
    assert home.of("crash")[0]["number"] == 1 and not home.crash_record()
    home.next_start("PWRON_RESET")
    home.live(30)
    assert home.of("crash") == []


def test_a_board_that_crashes_at_each_start_waits_longer_each_time():
    home = Home()
    home.error = RuntimeError("x")
    waits = []
    for _ in range(10):
        before = home.chip.ms
        assert isinstance(home.live(1000), Reset)
        waits.append((home.chip.ms - before) // 1000)
        home.next_start("HARD_RESET")
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert home.loader.told_healthy == 0


def check_memory(times, is_crash):
    home = Home()
    defect = Defect(None, MemoryError())

    def plant():
        own = home.agent.step
        setattr(home.agent, "step", defect)  # noqa: B010  (a method, for the type checker)
        home.chip.at(times * 1000 - 500, lambda: setattr(home.agent, "step", own))

    home.chip.at(20000, plant)
    assert isinstance(home.live(60), Reset) == is_crash
    assert defect.raised == times


def test_memory_that_ended_twice_is_no_crash_and_three_times_is():
    cases(check_memory, [(1, False), (2, False), (3, True)])


def test_an_interrupt_leaves_the_serial_line_to_a_person_for_an_hour():
    home = Home()

    def interrupt():
        raise KeyboardInterrupt()

    home.chip.at(100000, interrupt)
    try:
        home.live(200)
        raise AssertionError("it went on")
    except KeyboardInterrupt:
        pass
    home.chip.events = []
    home.chip.pass_ms(3590000)


def torn(home, cut, name="/config.json"):
    """A file that ends so many bytes early, or, below 0, so many behind its first `profile`."""
    with open(home.folder + name) as file:
        text = file.read()
    with open(home.folder + name, "w") as file:
        file.write(text[:-cut] if cut > 0 else text[: text.index("profile") - cut])


def test_a_configuration_that_cannot_be_used_leaves_the_serial_line():
    for name in ("/config.json", "/secrets.json"):
        home = Home()
        torn(home, 1, name)
        assert home.live(100) == 2 and not home.crash_record()
        os.remove(home.folder + name)
        assert home.live(100) == 2


class Lock:
    """In the place of io/lock.py. closed: for each time it was asked, whether a person held the button."""

    def __init__(self, home):
        closed = self.closed = []

        def close(is_held):
            closed.append(is_held)
            return not is_held

        self.close = close  # no method: MicroPython imports none from an object
        home.chip.modules["replenish.io.lock"] = package.lock = self  # type: ignore[attr-defined]  # to be let go of


def test_a_product_closes_its_line():
    for level in (1, 0):
        home = Home(board={"profile": "product"})
        home.chip.levels[0] = level
        lock = Lock(home)
        home.live(10)
        assert home.of("line")[0]["closed"] == level
        assert lock.closed == [not level], "a person holds the button"


def check_product(name, cut, level, prompt):
    home = Home(board={"profile": "product"})
    home.chip.levels[0] = level
    lock = Lock(home)
    if cut:
        torn(home, cut, name)
    else:
        os.remove(home.folder + name)
    end = home.live(100)
    assert (end == 2) == prompt and isinstance(end, Reset) != prompt, end
    assert home.crash_record() != prompt and (prompt or lock.closed == [False])


def test_a_product_whose_configuration_cannot_be_used_shows_no_prompt():
    rows = [
        ("/config.json", 1, 1, False),  # all but its last byte: or a version that asks for more than it has
        ("/config.json", -19, 1, False),
        ("/config.json", -18, 1, True),  # whose it is cannot be told any more
        ("/secrets.json", 1, 1, False),
        ("/secrets.json", 1, 0, True),  # a person holds the button
        ("/config.json", 0, 1, True),  # it waits for `make provision`
        ("/secrets.json", 0, 1, True),
    ]
    cases(check_product, rows)


def check_unreadable(name):
    home = Home()
    errors = [OSError(5)]

    def open_badly(path, mode="r"):
        if path.endswith(name) and errors:
            raise errors.pop()
        return open(path, mode)

    from replenish import config

    with Replaced(config, open=open_badly):
        assert isinstance(home.live(100), Reset) and home.crash_record()
        home.next_start("HARD_RESET")
        assert isinstance(home.live(30), Enough)
    assert home.of("crash")[0]["what"] == "OSError" and home.cold == [True]


def test_a_medium_that_cannot_read_the_configuration_is_asked_again_after_a_reset():
    cases(check_unreadable, [("config.json",), ("secrets.json",)])


# The person


def test_a_press_tells_how_it_is():
    home = Home()
    home.press(300, after_ms=100000)
    home.live(110)
    assert [event["slot"] for event in home.of("status") if "slot" in event] == ["A"]
    device = home.of("status")[-1]
    assert (device["shows"], device["fault"], device["online"]) == ("ok", None, 1)
    assert len([line for line in home.printed if "event=boot" in line]) == 2, "the last events once more"


def check_refill(wanted, refilled):
    home = Home(board={"button": {"pin": 0, "slot": wanted}}, slots=("A", "B", "C"))
    home.sensors["A"].value = home.sensors["C"].value = 2
    home.press(3000, after_ms=100000)
    home.live(110)
    assert [event["refilled"] for event in home.of("button")] == refilled


def test_a_hold_means_refilled():
    cases(check_refill, [(None, ["A", "C"]), ("B", ["B"])])


def test_a_very_long_hold_erases_all_and_starts_anew():
    home = Home()
    wipe = home.store.wipe

    def wipe_slowly(keep):
        home.chip.pass_ms(300000)
        wipe(keep)

    setattr(home.store, "wipe", wipe_slowly)  # noqa: B010  (a method, for the type checker)
    home.press(12000, after_ms=100000)
    assert isinstance(home.live(600), Reset)
    assert list(home.store.records) == ["wipe"] and home.of("button")[-1]["reset"] == 1
    home.chip.start("HARD_RESET")
    home = Home()
    home.press(16000, after_ms=100000)
    assert isinstance(home.live(200), Enough) and "device" in home.store.records


def test_the_light_shows_what_letting_go_would_mean():
    home = Home()
    home.press(12000, after_ms=100000)
    seen = {}
    for ms in (99000, 103000, 107100, 111050):
        for k in range(20):
            home.chip.at(ms + 20 * k + 5, lambda ms=ms: seen.setdefault(ms, []).append(home.chip.levels[2]))
    home.live(111.9)
    turns = {ms: len([1 for a, b in zip(seen[ms], seen[ms][1:]) if a != b]) for ms in seen}
    assert seen[103000] == [1] * 20, "lit: a refill"
    assert 1 <= turns[107100] <= 2 and turns[111050] >= 6, turns


# Safe mode


def test_safe_mode_orders_nothing_joins_nothing_and_ends_by_a_press():
    home = Home(level=0)
    home.loader.is_safe = True
    home.press(300, after_ms=300000)
    assert isinstance(home.live(600), Reset) and 300000 <= home.chip.ms < 302000
    assert home.cold == [] and home.service.calls == [] and home.chip.wlan.told == []
    assert home.loader.told_healthy == 1 and home.of("boot")[0]["safe"] == 1
    home.next_start("HARD_RESET")
    home.live(30)
    assert home.cold == [True]


def test_safe_mode_ends_by_itself_after_a_day():
    home = Home(board={"led": None, "watchdog_s": 0})
    home.loader.is_safe = True
    home.chip.at(100000, lambda: home.chip.jump(86000000))
    assert isinstance(home.live(2 * 86400), Reset)
    assert 86400000 <= home.chip.ms < 86500000 and home.loader.told_healthy == 1


# A board that sleeps


def awake(home, cause, woke_by=4, seconds=200):
    """One wake: (how long it was awake, how long it is to sleep), seconds."""
    home.next_start(cause, woke_by)
    before = home.chip.ms
    end = home.live(seconds)
    assert isinstance(end, Asleep), end
    awake_s = (home.chip.ms - before) / 1000
    home.chip.events = []
    home.chip.ms += end.args[0]
    return awake_s, end.args[0] // 1000


def test_wakes():
    home = Home(board={"sleep": "deep"})
    awake_s, slept_s = awake(home, "PWRON_RESET")
    assert home.of("boot")[0]["cause"] == "power_on" and home.of("clock")[0]["set"] == 1
    assert 600 >= slept_s > 0 and not home.chip.wlan.is_on and home.loader.told_healthy == 1
    assert home.chip.wakers == [("ext0", 0, False)]
    joins = 0
    for _ in range(100):
        awake_s, slept_s = awake(home, "DEEPSLEEP_RESET")
        joins += len(home.chip.wlan.told)
        assert awake_s < 6, awake_s
        assert home.of("boot")[0]["wake"] == "timer"
    assert home.cold == [True] + [False] * 100
    assert 0 < joins < 30, "the network is joined only for a call"


def test_a_wake_without_a_network_costs_less_and_less():
    home = Home(board={"sleep": "deep"}, level=1, slots=({"id": "A", "sensor": {"period_s": 60}},))
    for _ in range(8):
        awake(home, "PWRON_RESET" if not home.cold else "DEEPSLEEP_RESET")
    home.chip.air = {}
    started = home.chip.ms
    total_s = wakes = 0
    while home.chip.ms - started < 4 * 3600000:
        total_s += awake(home, "DEEPSLEEP_RESET")[0]
        wakes += 1
    assert wakes > 200 and 100 < total_s < 600, (wakes, total_s)
    assert home.agent.device.attempts == 0, "no attempt is spent"


def test_a_contact_that_rests_closed_does_not_wake_the_board_again_and_again():
    home = Home(board={"sleep": "deep"})
    awake(home, "PWRON_RESET")
    home.chip.levels[0] = 0
    awake(home, "DEEPSLEEP_RESET")
    assert home.chip.wakers == []


def test_law_11_time_goes_on_in_sleep_however_long_nothing_is_written():
    home = Home(board={"sleep": "deep"}, slots=({"id": "A", "sensor": {"period_s": 7200}},))
    awake(home, "PWRON_RESET")
    home.chip.air = {}
    started = home.chip.ms
    while home.chip.ms - started < 4 * 86400000:
        awake(home, "DEEPSLEEP_RESET")
    assert home.clock.now() - home.agent.time.now < 7300, "asleep since the last wake"


def test_law_10_the_spread_of_a_cold_start_outlives_the_sleep():
    home = Home(board={"sleep": "deep"}, level=1, boot_spread_s=18000, confirm_s=60)
    awake(home, "PWRON_RESET")
    drawn = home.agent.device.first_call_at
    assert drawn > home.clock.now() + 1000, "or the test says nothing"
    while home.clock.now() < drawn:
        assert home.service.count("replenish") == 0
        awake(home, "DEEPSLEEP_RESET")
    awake(home, "DEEPSLEEP_RESET")
    assert home.service.count("replenish") == 1


def test_without_a_time_a_wake_looks_for_one_but_not_all_the_time():
    home = Home(board={"sleep": "deep"})
    home.chip.air = {}
    slept = [awake(home, "PWRON_RESET")[1]] + [awake(home, "DEEPSLEEP_RESET")[1] for _ in range(12)]
    assert slept[-1] > 400 and home.service.calls == [], slept


class Meter:
    """A sensor that wakes the board by a pin of its own."""

    wake = (33, True)
    value = 10

    def __init__(self):
        self.pulses = 0

    def woken(self):
        self.pulses += 1

    def read(self):
        return self.value


def test_a_pulse_that_woke_the_board_is_told_to_its_sensor():
    home = Home(board={"sleep": "deep"})
    home.sensors["A"] = Meter()
    awake(home, "PWRON_RESET")
    assert home.chip.wakers == [("ext0", 0, False), ("ext1", 33, True)] and home.sensors["A"].pulses == 0
    awake(home, "DEEPSLEEP_RESET", 3)
    assert home.sensors["A"].pulses == 1 and home.of("boot")[0]["wake"] == "pins"
    awake(home, "DEEPSLEEP_RESET", 4)
    awake(home, "DEEPSLEEP_RESET", 2)
    assert home.sensors["A"].pulses == 1, "the timer, the button"


def test_a_sensor_is_without_power_while_the_board_sleeps_and_its_pins_keep_that():
    class Cell:
        downs = 0

        def read(self):
            return 10

        def power_down(self):
            self.downs += 1

    home = Home(board={"sleep": "deep"})
    awake(home, "PWRON_RESET")
    assert not home.chip.holds
    cell = home.sensors["A"] = Cell()
    for downs in (1, 2):
        awake(home, "DEEPSLEEP_RESET")
        assert cell.downs == downs and home.chip.holds


def test_of_two_meters_the_one_that_woke_the_board_is_told():
    home = Home(board={"sleep": "deep"}, slots=("A", "B"))
    one, two = home.sensors["A"], home.sensors["B"] = Meter(), Meter()
    two.wake = (32, True)
    awake(home, "PWRON_RESET")
    assert home.chip.wakers == [("ext0", 0, False), ("ext1", 33, True)], "there is no third way"
    awake(home, "DEEPSLEEP_RESET", 3)
    assert (one.pulses, two.pulses) == (1, 0)
    home.chip.levels[33] = 1  # it rests at the level that would wake
    awake(home, "DEEPSLEEP_RESET", 4)
    assert home.chip.wakers == [("ext0", 0, False), ("ext1", 32, True)]
    awake(home, "DEEPSLEEP_RESET", 3)
    assert (one.pulses, two.pulses) == (1, 1)


def check_gpio(button, told):
    home = Home(board={"sleep": "deep", "button": button})
    meter = home.sensors["A"] = Meter()
    home.chip.ways = frozenset(("gpio",))
    awake(home, "PWRON_RESET")
    assert home.chip.wakers == [("gpio", 0, False) if button else ("gpio", 33, True)]
    awake_s = awake(home, "DEEPSLEEP_RESET", 7)[0]
    assert home.of("boot")[0]["wake"] == "pins" and meter.pulses == told
    assert (awake_s >= 5) == bool(button), "a finger is waited for"


def test_on_a_chip_with_one_way_of_waking_it_is_the_pin_that_was_armed():
    cases(check_gpio, [(None, 1), ({"pin": 0}, 0)])


def test_the_finger_that_woke_the_board_is_heard():
    home = Home(board={"sleep": "deep"}, slots=("A",), level=2)
    awake(home, "PWRON_RESET")
    home.chip.levels[0] = 0
    home.chip.at(3000, lambda: home.chip.levels.update({0: 1}))
    kept, home.chip.events = home.chip.events, []
    home.next_start("DEEPSLEEP_RESET", 2)
    home.chip.events = kept
    end = home.live(200)
    assert isinstance(end, Asleep) and home.of("button")[0]["refilled"] == "A"


# Secrets, garbage, and no order twice


def test_no_secret_is_in_anything_that_is_shown_or_kept():
    home = Home(level=1)
    home.press(300, after_ms=900000)
    home.chip.at(950000, lambda: setattr(home.agent, "step", Defect(None, ValueError(" ".join(CANARIES)))))
    assert isinstance(home.live(3000), Reset)
    assert home.service.count("replenish") == 1, "an order was made meanwhile"
    with open(home.folder + "/crash") as file:
        kept = file.read()
    home.next_start("HARD_RESET")
    home.press(300, after_ms=50000)
    home.live(100)
    ring = Recorder.log
    shown = "\n".join(home.printed + (ring.kept_lines() if ring else []) + [kept])
    assert ring
    assert "event=crash" in shown and "event=wifi" in shown and "event=status" in shown and len(home.printed) > 40
    for canary in CANARIES:
        for start in range(len(canary) - 7):
            assert canary[start : start + 8] not in shown, canary


def test_an_idle_second_makes_no_garbage():
    home = Home()
    made = []

    def measure():
        if not hasattr(gc, "mem_alloc"):
            return
        its = home.its
        assert its
        for _ in range(60):
            its.turn()
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        for _ in range(100):
            its.turn()
        made.append(gc.mem_alloc() - before)
        gc.enable()

    class Seen(staying.Awake):
        def stay(self):
            home.its = self
            return staying.Awake.stay(self)

    home.chip.at(200000, measure)
    with Replaced(staying, Awake=Seen):
        home.live(250)
    assert made in ([], [0]), made


def test_resets_at_any_instant_never_order_twice():
    home = Home(level=1, confirm_s=60)
    causes = ("HARD_RESET", "WDT_RESET", "PWRON_RESET", "DEEPSLEEP_RESET", 0)
    resets = 0
    for number in range(40):
        if home.live(10 + number * 37 % 90 + number / 7):
            resets += 1
        home.next_start(causes[number % 5])
    assert resets == 40 and home.service.count("replenish") >= 1
    assert len(home.service.orders) == 1, "one order for one need"
    assert home.state() in ("accepted", "awaiting_customer", "placed")
