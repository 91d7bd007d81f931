"""Use counted in pulses: a flow meter, a motor's turns, cups of a grinder.

Pulses are counted by the chip's own counter where MicroPython has it (`machine.Counter`, ESP32 from 1.26), which misses none while a
call to a service keeps the program busy; else, and with `debounce_ms`, by an interrupt, which may miss some then. While the board is in
deep sleep nobody counts: the pulse that wakes it is told by `woken`.

What the slot was told, and is not durable yet, is kept in the RTC's memory (io/rtc.py), so neither a wake from deep sleep nor a crash
forgets it. When the power fails it is lost with what was not durable of the level: less than a twentieth of the capacity.
"""

import time

from machine import Pin
from micropython import const

DEFAULTS = {"edge": "falling", "pull": "up", "debounce_ms": 0}

_LIMIT = const(0x3FFFFFFF)  # what an interrupt can count to on a 32-bit board without taking memory
_units = []  # the chip's counters that are in use


class Sensor:
    """options: `pin`; `per_pulse`, in the slot's unit; `edge` that counts, falling or rising; `pull`: up, down or none; `debounce_ms`:
    an edge so soon after one that counted is a contact that bounces; and from startup.py `memory`, with a `word` of it."""

    def __init__(self, options):
        self.wake = options["pin"], int(options["edge"] == "rising")  # what of a deep sleep's end is a pulse: the pin and its level
        self._memory = options["memory"]
        self._word = options["word"]
        self._per_pulse = options["per_pulse"]
        pin = Pin(options["pin"], Pin.IN, {"up": Pin.PULL_UP, "down": Pin.PULL_DOWN, "none": None}[options["pull"]])
        self.count = 0  # by the interrupt, or the end of a sleep; not taken yet
        self._debounce_ms = options["debounce_ms"]
        self._last = time.ticks_add(time.ticks_ms(), -self._debounce_ms)
        self._counter = None if self._debounce_ms else _counter(pin, options["edge"])
        if not self._counter:
            pin.irq(self._on_edge, Pin.IRQ_RISING if self.wake[1] else Pin.IRQ_FALLING)
        self._untold = self._memory.number(self._word)  # of before this start
        self._unsaved = 0  # told, but the level is not durable

    def _on_edge(self, pin):
        now = time.ticks_ms()
        if time.ticks_diff(now, self._last) >= self._debounce_ms and self.count < _LIMIT:
            self.count += 1
            self._last = now

    def used(self):
        """What was used since the last call, after a start since the level was durable."""
        self.keep()
        pulses, self._untold = self._untold, 0
        self._unsaved += pulses
        return pulses * self._per_pulse

    def keep(self):
        """Make sure that no pulse so far is lost in a deep sleep."""
        count = self.count
        self.count -= count  # not = 0: an interrupt may come in between
        if self._counter:
            count += self._counter.value(0)
        if count:
            self._untold += count
            self._memory.keep(self._word, self._untold + self._unsaved)

    def saved(self):
        """The level is durable, and all that `used` told of is in it."""
        if self._unsaved:
            self._unsaved = 0
            self._memory.keep(self._word, self._untold)

    def woken(self):
        """A pulse woke the board from deep sleep, when nobody counted: the end of the sleep was `wake`."""
        self.count += 1


def free_counters():
    """No counter of the chip is in use any more."""
    _units.clear()


def _counter(pin, edge):
    """The chip's own counter of edges at a pin, None where there is none, or none is free."""
    try:
        from machine import Counter

        _units.append(None)
        return Counter(len(_units) - 1, pin, edge=Counter.RISING if edge == "rising" else Counter.FALLING)
    except (ImportError, ValueError):
        return None
