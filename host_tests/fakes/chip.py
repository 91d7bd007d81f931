"""A chip in virtual time, in the place of `machine`, `esp32`, `network` and `time`: stricter than a real one, and nastier.

`with Chip() as chip` for as long as one start lasts, then `chip.start(cause)` for the next. A reset, a deep sleep and the watchdog's
bite end the program by an exception that is no Exception, as nothing that a program does can stop them.
"""

import sys
import time as real_time

from replenish import app, awake, life, online, person, safemode
from replenish.io import clock, ntp, wifi

from host_tests.fakes.replaced import Replaced

TICKS_PERIOD = 1 << 30
_TICKS_START = TICKS_PERIOD - 5000
DAWN = 946684800  # 2000-01-01: where the clock of an ESP32 begins when the power comes

CAUSES = {"PWRON_RESET": 1, "HARD_RESET": 2, "WDT_RESET": 3, "DEEPSLEEP_RESET": 4, "SOFT_RESET": 5}  # as on an ESP32
WAKES = {"PIN_WAKE": 2, "EXT0_WAKE": 2, "EXT1_WAKE": 3, "TIMER_WAKE": 4}


class End(BaseException):
    """This start is over."""


class Reset(End):
    pass


class Asleep(End):
    """For so many milliseconds: `args[0]`."""


class Bitten(End):
    """By the watchdog."""


class Time:
    """`time`, as far as the firmware uses it: it passes only while somebody waits."""

    def __init__(self, chip):
        self._chip = chip

    def ticks_ms(self):
        return (_TICKS_START + self._chip.ms) % TICKS_PERIOD

    def ticks_add(self, ticks, ms):
        return (ticks + ms) % TICKS_PERIOD

    def ticks_diff(self, new, old):
        half = TICKS_PERIOD // 2
        return (new - old + half) % TICKS_PERIOD - half

    def sleep_ms(self, ms):
        if ms < 0:
            raise AssertionError("a wait of %d ms" % ms)
        self._chip.pass_ms(ms)

    def time_ns(self):
        return (self._chip.dawn * 1000 + self._chip.ms) * 1000000

    def gmtime(self, seconds):
        return real_time.gmtime(seconds)


class Pin:
    OUT, IN, PULL_UP, PULL_DOWN = 3, 1, 2, 4

    def __init__(self, chip, number, mode=0, pull=0, value=None):
        if mode == self.IN and pull and number >= 34:
            raise ValueError("pin has no pull")  # as an ESP32's pins that only read
        self.number = number
        self._chip = chip
        self._mode = mode
        if value is not None:
            self.value(value)

    def value(self, level=None):
        if level is None:
            if self._mode != self.IN:
                raise AssertionError("an output is read")
            return self._chip.levels.get(self.number, 0)
        if self._mode != self.OUT:
            raise AssertionError("an input is written")
        self._chip.levels[self.number] = int(level)
        return None


class Wdt:
    def __init__(self, chip, timeout):
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        self._chip = chip
        chip.dog_ms = timeout
        self.feed()

    def feed(self):
        self._chip.fed_at = self._chip.ms
        self._chip.feeds += 1


class Rtc:
    def __init__(self, chip):
        self._chip = chip

    def memory(self, data=None):
        if data is None:
            return self._chip.rtc_memory
        if len(data) > 2048:
            raise ValueError("buffer too long")
        self._chip.rtc_memory = bytes(data)
        return None

    def datetime(self, parts):
        year, month, day, _, hour, minute, second, _ = parts
        days = 365 * (year - 1970) + (year - 1969) // 4 + (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)[month - 1] + day - 1
        days += year % 4 == 0 and month > 2  # until 2100
        self._chip.dawn = days * 86400 + hour * 3600 + minute * 60 + second - self._chip.ms // 1000


class Machine:
    """`machine`. What not every chip has may be left out."""

    def __init__(self, chip, without=()):
        self._chip = chip
        for name, number in list(CAUSES.items()) + list(WAKES.items()):
            setattr(self, name, number)
        self.mem32 = chip.registers
        if "WDT" not in without:
            self.WDT = lambda timeout: Wdt(chip, timeout)
        if "RTC" not in without:
            self.RTC = lambda: Rtc(chip)
        self.Pin = _Pins(chip)

    def reset_cause(self):
        return self._chip.cause

    def wake_reason(self):
        return self._chip.woke_by

    def reset(self):
        raise Reset()

    def deepsleep(self, ms):
        if not 0 < ms < 1 << 31:
            raise AssertionError("a sleep of %r ms" % ms)
        raise Asleep(ms)


class _Pins:
    """The class `Pin`, each one at this chip."""

    OUT, IN, PULL_UP, PULL_DOWN = Pin.OUT, Pin.IN, Pin.PULL_UP, Pin.PULL_DOWN

    def __init__(self, chip):
        self._chip = chip

    def __call__(self, *args, **kwargs):
        return Pin(self._chip, *args, **kwargs)


class Esp32:
    """`esp32`: the chip's ways of waking by a pin; only some pins can."""

    def __init__(self, chip):
        self._chip = chip
        if "ext0" in chip.ways:
            self.wake_on_ext0 = lambda pin, level: self._wake_on("ext0", pin, level)
        for way in ("ext1", "gpio"):
            if way in chip.ways:
                setattr(self, "wake_on_" + way, lambda pins, level, way=way: self._wake_on_all(way, pins, level))

    def gpio_deep_sleep_hold(self, on):
        self._chip.holds = on

    def _wake_on_all(self, way, pins, level):
        for pin in pins:
            self._wake_on(way, pin, level)

    def _wake_on(self, way, pin, level):
        if pin.number not in (0, 2, 4, 12, 13, 14, 15, 25, 26, 27, 32, 33, 34, 35, 36, 39):
            raise ValueError("invalid pin")
        self._chip.wakers.append((way, pin.number, bool(level)))


class Wlan:
    """The radio as a station. What is in the air: `chip.air`, {ssid: (password, milliseconds to join)}."""

    def __init__(self, chip):
        self._chip = chip
        self._on = False
        self._wanted = None
        self._since = 0
        self.told = []  # the networks that it was told to join

    def active(self, on):
        if self._chip.radio_fails:
            self._chip.radio_fails -= 1
            raise OSError("WiFi Out of Memory")
        self._on = on
        if not on:
            self._wanted = None

    def connect(self, ssid, password):
        if not self._on:
            raise OSError("Wifi Not Started")
        if self._wanted:
            raise OSError("Wifi Internal State Error")  # it is still trying another one
        self._wanted = ssid, password
        self._since = self._chip.ms
        self.told.append(ssid)

    def disconnect(self):
        if not self._on:
            raise OSError("Wifi Not Started")
        self._wanted = None

    def isconnected(self):
        if not self._on or not self._wanted or self._wanted[0] not in self._chip.air:
            self._since = self._chip.ms  # the driver tries again for ever, by itself
            return False
        password, join_ms = self._chip.air[self._wanted[0]]
        return self._wanted[1] == password and self._chip.ms - self._since >= join_ms

    @property
    def is_on(self):
        return self._on


class Network:
    """`network`."""

    STA_IF = 0

    def __init__(self, chip):
        self._chip = chip

    def WLAN(self, interface):
        if interface != self.STA_IF:
            raise AssertionError("not the station")
        return self._chip.wlan


class Chip:
    """What outlives a start stands here: the clock, the RTC's memory, the pins, what is in the air."""

    def __init__(self, without=()):
        """without: of ("WDT", "RTC"), what this chip has not."""
        self._without = without
        self.ways = frozenset(("ext0", "ext1"))  # of waking by a pin: an ESP32's; an ESP32-C3 has "gpio" only
        self.ms = 0  # since the power came; the ticks begin anew with each start on a real chip, and wrap here soon
        self.dawn = DAWN  # Unix seconds when `ms` was 0
        self.rtc_memory = b""
        self.levels = {}
        self.air = {}
        self.radio_fails = 0
        self.registers = {}
        self.servers = None  # in the place of `socket`: see timeservers.py
        self.events = []  # (ms, function): what happens while time passes
        self.start("PWRON_RESET")

    def start(self, cause, woke_by=0):
        """The chip starts: the program that was running is gone, and so is all that does not outlive it."""
        self.cause = CAUSES.get(cause, cause)
        self.woke_by = woke_by
        self.dog_ms = self.fed_at = self.feeds = 0
        self.wakers = []
        self.holds = False  # digital pins keep their level in the deep sleep that comes
        self.wlan = Wlan(self)
        self.time = Time(self)
        self.modules = {"machine": Machine(self, self._without), "time": self.time, "esp32": Esp32(self), "network": Network(self)}

    def power_off(self):
        """... for long enough."""
        self.rtc_memory = b""
        self.dawn = DAWN - self.ms // 1000
        self.levels = {}
        self.start("PWRON_RESET")

    @property
    def unix(self):
        return self.dawn + self.ms // 1000

    def at(self, ms, function):
        """Call a function when so many milliseconds from now have passed."""
        self.events.append((self.ms + ms, function))
        self.events.sort(key=lambda event: event[0])

    def pass_ms(self, ms):
        end = self.ms + ms
        while self.events and self.events[0][0] <= end:
            at, function = self.events.pop(0)
            self._pass_to(max(at, self.ms))
            function()
        self._pass_to(max(end, self.ms))

    def jump(self, ms):
        """So long passes in which nothing happens: a test of days takes none. Not with a watchdog."""
        self.ms += ms

    def _pass_to(self, ms):
        if self.dog_ms and ms - self.fed_at > self.dog_ms:
            self.ms = self.fed_at + self.dog_ms
            self.dog_ms = 0
            raise Bitten()
        self.ms = ms

    def __enter__(self):
        if self.servers:
            self.modules["socket"] = self.servers
        self._kept = {name: sys.modules.get(name) for name in self.modules}
        for name, module in self.modules.items():
            sys.modules[name] = module  # type: ignore[assignment]  # an object is module enough for an import
        self._replaced = [Replaced(module, time=self.time) for module in self._timed()]
        if self.servers:
            self._replaced.append(Replaced(ntp, socket=self.servers))
        for replaced in self._replaced:
            replaced.__enter__()
        return self

    def _timed(self):
        """The modules of the firmware that are loaded and have the real time."""
        return [app, life, awake, online, person, safemode, clock, wifi, ntp]

    def __exit__(self, *error):
        for replaced in self._replaced:
            replaced.__exit__()
        for name, module in self._kept.items():
            if module is None:
                sys.modules.pop(name, None)  # the firmware may have let go of it
            else:
                sys.modules[name] = module
