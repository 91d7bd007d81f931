"""A VL53L0X: the distance from the lid down to what is in the container, by the time that light takes.

ST documents the chip by its own driver only (STSW-IMG005): the registers' names and the two tables below are facts from there
(vl53l0x_device.h, vl53l0x_tuning.h, VL53L0X_PerformRefSpadManagement, VL53L0X_PerformSingleRangingMeasurement); identification,
address and timing are in the datasheet too (DS11555, sections 3.2 and 4).

Ours, because micropython-lib has no driver, Adafruit's needs CircuitPython's bus classes, and that and the others on PyPI wait for
the chip without a limit. `raw` never waits: a reading is made of several calls. The first one writes 100 registers, 15 ms at
400 kHz; the others take 2 ms at most.
"""

import time

from machine import Pin, SoftI2C
from micropython import const

from ..core.errors import Settling
from .scaled import Scaled

DEFAULTS = {"empty_mm": None, "full_mm": None}

_ADDRESS = const(0x29)
_HERTZ = const(400000)  # fast mode, the most that the chip takes
_BUS_US = const(1000)  # so long a chip may hold the clock low; SoftI2C allows 50 ms
_MODEL_ID = const(0xC0)
_MODEL = const(0xEE)
_SYSRANGE_START = const(0x00)
_SEQUENCE_CONFIG = const(0x01)
_SEQUENCE = const(0xE8)  # DSS, pre-range, final range
_INTERRUPT_CLEAR = const(0x0B)
_INTERRUPT_STATUS = const(0x13)
_RANGE_STATUS = const(0x14)
_RANGE_SIZE = const(12)
_RANGE_MM_AT = const(10)
_COMPLETE = const(11)  # VL53L0X_DEVICEERROR_RANGECOMPLETE; every other status says why there is no distance
_NOTHING_MM = const(8190)  # and above: no target
_SPADS = const(0xB0)  # GLOBAL_CONFIG_SPAD_ENABLES_REF_0 to _5
_SPAD_TRIES = const(20)  # the chip answers at once
_FIRST_APERTURE = const(12)
_CALIBRATE_MS = const(10)
_RANGE_MS = const(40)  # the default timing budget is 33 ms (datasheet)
_LIMIT_MS = const(300)  # several times what the slowest takes
_READINGS = const(3)  # the median of them
_ENODEV = const(19)
_ETIMEDOUT = const(110)

# Pairs of register and value; register 0xFF chooses the page.
_UNLOCK = b"\x80\x01\xff\x01\x00\x00"
_LOCK = b"\x00\x01\xff\x00\x80\x00"
_SPAD_ASK = b"\x80\x01\xff\x01\x00\x00\xff\x06"
_SPAD_START = b"\xff\x07\x81\x01\x80\x01\x94\x6b\x83\x00"
_SPAD_CHOOSE = b"\xff\x01\x4f\x00\x4e\x2c\xff\x00\xb6\xb4"
_TUNING = (
    b"\xff\x01\x00\x00\xff\x00\x09\x00\x10\x00\x11\x00\x24\x01\x25\xff\x75\x00\xff\x01\x4e\x2c\x48\x00\x30\x20\xff\x00\x30\x09\x54\x00"
    b"\x31\x04\x32\x03\x40\x83\x46\x25\x60\x00\x27\x00\x50\x06\x51\x00\x52\x96\x56\x08\x57\x30\x61\x00\x62\x00\x64\x00\x65\x00\x66\xa0"
    b"\xff\x01\x22\x32\x47\x14\x49\xff\x4a\x00\xff\x00\x7a\x0a\x7b\x00\x78\x21\xff\x01\x23\x34\x42\x00\x44\xff\x45\x26\x46\x05\x40\x40"
    b"\x0e\x06\x20\x1a\x43\x40\xff\x00\x34\x03\x35\x44\xff\x01\x31\x04\x4b\x09\x4c\x05\x4d\x04\xff\x00\x44\x00\x45\x20\x47\x08\x48\x28"
    b"\x67\x00\x70\x04\x71\x01\x72\xfe\x76\x00\x77\x00\xff\x01\x0d\x01\xff\x00\x80\x01\x01\xf8\xff\x01\x8e\x01\x00\x01\xff\x00\x80\x00"
    b"\x0a\x04\x0b\x01"  # the interrupt: a new sample is ready; none now
)


class Sensor(Scaled):
    """options: `sda_pin`, `scl_pin`; `empty_mm` and `full_mm`: the distance to the bottom and to the surface when full. Each sensor
    has a bus of its own, for all have the same address."""

    raw_unit = "mm"

    def __init__(self, options):
        self._bus = SoftI2C(Pin(options["scl_pin"]), Pin(options["sda_pin"]), freq=_HERTZ, timeout=_BUS_US)
        self.between(options["empty_mm"], options["full_mm"], options["capacity"])
        self._next = self._begin  # what is to be done at the next call
        self._stop = 0  # the chip's own "stop variable"
        self._taken = []

    def raw(self):
        try:
            return self._next()
        except OSError:
            self._next = self._begin
            self._taken.clear()
            raise

    def _get(self, register):
        return self._bus.readfrom_mem(_ADDRESS, register, 1)[0]

    def _put(self, pairs):
        for at in range(0, len(pairs), 2):
            self._bus.writeto_mem(_ADDRESS, pairs[at], pairs[at + 1 : at + 2])

    def _begin(self):
        self._put(b"\xff\x00\x80\x00")  # where the last attempt broke off does not matter
        if self._get(_MODEL_ID) != _MODEL:
            raise OSError(_ENODEV)
        self._put(b"\x88\x00" + _UNLOCK)
        self._stop = self._get(0x91)
        self._put(_LOCK)
        self._put(b"\x01\xff")
        self._choose_spads()
        self._put(_TUNING)
        self._put(b"\x01\x01")
        return self._start(0x41, self._after_voltage, _CALIBRATE_MS)

    def _choose_spads(self):
        """Use as many of the good reference detectors as ST found right for this chip."""
        self._put(_SPAD_ASK)
        self._put(bytes((0x83, self._get(0x83) | 4)))
        self._put(_SPAD_START)
        for _ in range(_SPAD_TRIES):
            if self._get(0x83):
                break
        else:
            raise OSError(_ETIMEDOUT)
        self._put(b"\x83\x01")
        found = self._get(0x92)
        self._put(b"\x81\x00\xff\x06")
        self._put(bytes((0x83, self._get(0x83) & ~4)))
        self._put(b"\xff\x01" + _LOCK)
        good = self._bus.readfrom_mem(_ADDRESS, _SPADS, 6)
        self._put(_SPAD_CHOOSE)
        left, chosen = found & 0x7F, bytearray(6)
        for spad in range(_FIRST_APERTURE if found & 0x80 else 0, 48):
            if left and good[spad >> 3] >> (spad & 7) & 1:
                chosen[spad >> 3] |= 1 << (spad & 7)
                left -= 1
        self._bus.writeto_mem(_ADDRESS, _SPADS, chosen)

    def _start(self, what, then, ms):
        """Let the chip work, and go on with `then` when it is done."""
        self._put(bytes((_SYSRANGE_START, what)))
        self._started = time.ticks_ms()
        self._next = then
        raise Settling(ms)

    def _wait(self):
        """For the end of what was started."""
        if not self._get(_INTERRUPT_STATUS) & 7:
            if time.ticks_diff(time.ticks_ms(), self._started) > _LIMIT_MS:
                raise OSError(_ETIMEDOUT)
            raise Settling(_RANGE_MS)

    def _after_voltage(self):
        self._wait()
        self._put(bytes((_INTERRUPT_CLEAR, 1, _SYSRANGE_START, 0, _SEQUENCE_CONFIG, 2)))
        return self._start(0x01, self._after_phase, _CALIBRATE_MS)

    def _after_phase(self):
        self._wait()
        self._put(bytes((_INTERRUPT_CLEAR, 1, _SYSRANGE_START, 0, _SEQUENCE_CONFIG, _SEQUENCE)))
        return self._measure()

    def _measure(self):
        if self._get(_SEQUENCE_CONFIG) != _SEQUENCE:  # it lost its power since
            return self._begin()
        self._put(_UNLOCK + bytes((0x91, self._stop)) + _LOCK)
        return self._start(0x01, self._after_range, _RANGE_MS)

    def _after_range(self):
        self._wait()
        data = self._bus.readfrom_mem(_ADDRESS, _RANGE_STATUS, _RANGE_SIZE)
        self._put(bytes((_INTERRUPT_CLEAR, 1)))
        self._next = self._measure
        status, distance = data[0] >> 3 & 15, data[_RANGE_MM_AT] << 8 | data[_RANGE_MM_AT + 1]
        if status != _COMPLETE or distance >= _NOTHING_MM:
            self._taken.clear()
            raise ValueError("no distance: status %d, %d mm" % (status, distance))
        self._taken.append(distance)
        if len(self._taken) < _READINGS:
            return self._measure()
        distance = sorted(self._taken)[_READINGS // 2]
        self._taken.clear()
        return distance
