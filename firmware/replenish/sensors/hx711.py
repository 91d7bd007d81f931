"""A load cell on an HX711: 24 bits, clocked out by hand.

Numbers with "datasheet" are of AVIA Semiconductor's HX711 datasheet: "Serial Interface", "Reset and Power-Down", the timing table
and "Key Electrical Characteristics". The module's RATE pin is low, as on the usual boards: 10 conversions a second.

Ours, because micropython-lib has no driver, the one on PyPI (micropython-hx711, 2018) waits without a limit, and none tells a dead
line, a clock that interrupts stretched, or a cell at its end from a weight. `raw` never waits: a reading is made of several
calls, each below 2 ms.
"""

import time

from machine import Pin, disable_irq, enable_irq
from micropython import const

from ..core.errors import SensorFault, Settling
from .scaled import Scaled

DEFAULTS = {"gain": 128}

_BITS = const(24)
_SETTLE_MS = const(400)  # after a reset or another gain, at 10 a second (datasheet: output settling time)
_CONVERSION_MS = const(100)  # at 10 a second
_SILENT_MS = const(500)  # five conversions: in so long there is one, if there is a chip
_RESET_US = const(70)  # a clock high for more than 60 us powers down; low again, the chip begins anew (datasheet)
_HIGH_US = const(50)  # the longest clock pulse that is one (datasheet: T3)
_READINGS = const(5)  # the median of them; five equal ones from noise of 20 counts come once in 10^7 readings
_STRETCHED = const(3)  # readings in a row with a pulse that was too long
_HIGHEST = const(0x7FFFFF)  # what a cell beyond its range reads like (datasheet)
_LOWEST = const(-0x800000)
_ETIMEDOUT = const(110)
_EIO = const(5)


class Sensor(Scaled):
    """options: `data_pin`, `clock_pin`, `gain`: 128 and 64 on channel A, 32 on channel B."""

    below = "lifted"

    def __init__(self, options):
        gain = options["gain"]
        self.raw_unit = "counts at gain %d" % gain
        # How many pulses a reading has decides channel and gain of the next one (datasheet, table 3).
        self._pulses = {128: 25, 32: 26, 64: 27}[gain]
        self._data = Pin(options["data_pin"], Pin.IN)
        # A deep sleep's hold of the pin goes on until it is ended. The stubs know no hold.
        self._clock = Pin(options["clock_pin"], Pin.OUT, value=0, hold=False)  # type: ignore[call-arg]
        self._taken = []
        self._stretched = 0
        self._reset()

    def _reset(self):
        """Begin anew, whatever the chip was doing; it then has gain 128."""
        self._clock(1)
        time.sleep_us(_RESET_US)
        self._clock(0)
        self._wait(_SETTLE_MS)
        self._chosen = self._pulses == 25
        self._taken.clear()

    def power_down(self):
        """Before a deep sleep: a clock that stays high takes the power from the chip, from 1.5 mA to less than 1 uA (datasheet)."""
        self._clock.init(Pin.OUT, value=1, hold=True)  # type: ignore[call-arg]

    def _wait(self, ms):
        self._due = time.ticks_add(time.ticks_ms(), ms)
        self._asked = False  # since it was due: the program may come back much later than that

    def raw(self):
        now = time.ticks_ms()
        left = time.ticks_diff(self._due, now)
        if left > 0:
            raise Settling(left)
        if self._data():  # nothing is ready
            self._look_again(now)
        value = self._shift()
        self._wait(_CONVERSION_MS)
        if not self._chosen:  # this conversion was made at gain 128
            self._chosen = True
            self._wait(_SETTLE_MS)
            raise Settling(_SETTLE_MS)
        if not _LOWEST < value < _HIGHEST:
            self._taken.clear()
            raise ValueError("counts %d: the cell is beyond its range, or not connected" % value)
        self._taken.append(value)
        if len(self._taken) < _READINGS:
            raise Settling(_CONVERSION_MS)
        taken = sorted(self._taken)
        self._taken.clear()
        if taken[0] == taken[-1]:
            raise SensorFault("stuck")
        return taken[_READINGS // 2]

    def _look_again(self, now):
        if not self._asked:
            self._asked = True
            self._due = now
        if time.ticks_diff(now, self._due) < _SILENT_MS:
            raise Settling(_CONVERSION_MS)
        self._reset()
        raise OSError(_ETIMEDOUT)

    def _shift(self):
        """The number that is ready."""
        value = longest = 0
        for bit in range(self._pulses):
            state = disable_irq()  # an interrupt here would make the pulse too long
            start = time.ticks_us()
            self._clock(1)
            high = self._data()
            self._clock(0)
            longest = max(longest, time.ticks_diff(time.ticks_us(), start))
            enable_irq(state)
            if bit < _BITS:
                value = value << 1 | high
        if longest > _HIGH_US:
            self._pulse_too_long()
        self._stretched = 0
        if not self._data():  # the 25th pulse puts it up (datasheet)
            self._reset()
            raise OSError(_EIO)
        return value - (value >> _BITS - 1 << _BITS)

    def _pulse_too_long(self):
        """The chip may have begun anew within the number."""
        self._reset()
        self._stretched += 1
        if self._stretched < _STRETCHED:
            raise Settling(_SETTLE_MS)
        self._stretched = 0
        raise OSError(_EIO)
