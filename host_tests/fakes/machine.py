"""An ESP32's `machine`, as much of it as the sensors' drivers use, with wires, chips and time in the hands of a test.

It is stricter than the real one: what was not set up cannot be read, and what is no output not written. `install()` before a driver
is imported; then `use(driver)` gives the driver this module's time.
"""

import sys

_PERIOD = 1 << 30  # of the ticks
PIN_US = 2  # what reading or writing a pin costs an ESP32 at 240 MHz, about


class Time:
    """Virtual microseconds, beginning just before the ticks in milliseconds wrap."""

    def __init__(self):
        self.us = (_PERIOD - 2000) * 1000

    def ticks_ms(self):
        return self.us // 1000 % _PERIOD

    def ticks_us(self):
        return self.us % _PERIOD

    def ticks_add(self, ticks, delta):
        return (ticks + delta) % _PERIOD

    def ticks_diff(self, a, b):
        return (a - b + _PERIOD // 2) % _PERIOD - _PERIOD // 2

    def sleep_ms(self, ms):
        self.us += 1000 * ms

    def sleep_us(self, us):
        self.us += us


class Board:
    """What the pins are connected to, and what goes wrong. A fresh one for each test: `new()`."""

    def __init__(self):
        self.wires = {}  # pin number: what it is connected to, with `read(pin)` and `write(pin, value)`
        self.buses = {}  # (SCL, SDA): chip
        self.voltages = {}  # pin number: a function that returns microvolts
        self.counters = 4  # units of machine.Counter; 0: this MicroPython has none
        self.handlers = {}  # pin number: (handler, trigger)
        self.held = set()  # numbers of pins that keep their level whatever is written, in deep sleep and after it
        self.masked = False  # interrupts are off
        self.interrupt_us = 0  # what an interrupt takes, which comes whenever it may
        self.slow_us = 0  # what every access to a pin takes longer


time = Time()
board = Board()


def new():
    """A fresh board, at the same time: it never runs backward. Returns it."""
    global board
    board = Board()
    return board


def install():
    """Be the module `machine`."""
    sys.modules["machine"] = sys.modules[__name__]


def use(driver):
    """Give a driver this module's time; returns the driver."""
    driver.time = time
    return driver


def _access():
    time.us += PIN_US + board.slow_us
    if not board.masked:
        time.us += board.interrupt_us


def disable_irq():
    before = board.masked
    board.masked = True
    return before


def enable_irq(state):
    board.masked = state


class Pin:
    IN = 1
    OUT = 3
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2

    def __init__(self, number, mode=None, pull=None, value=None, hold=None):
        if type(number) is not int:
            raise TypeError("a pin is a number")
        self.number = number
        self.init(mode, pull, value, hold)

    def init(self, mode=None, pull=None, value=None, hold=None):
        """The level is set before the hold begins, and a hold ends after it was."""
        self.mode = mode
        self.pull = pull
        if hold is False and self.number in board.held:
            board.held.remove(self.number)
        if value is not None:
            self(value)
        if hold:
            board.held.add(self.number)

    def __call__(self, value=None):
        _access()
        wire = board.wires.get(self.number)
        if value is None:
            if self.mode != Pin.IN:
                raise OSError("pin %d is no input" % self.number)
            return wire.read(self.number) if wire else int(self.pull == Pin.PULL_UP)
        if self.mode != Pin.OUT or value not in (0, 1):
            raise OSError("pin %d is no output for %s" % (self.number, value))
        if wire and self.number not in board.held:
            wire.write(self.number, value)
        return None

    def irq(self, handler, trigger):
        if self.mode != Pin.IN:
            raise OSError("pin %d is no input" % self.number)
        board.handlers[self.number] = handler, trigger


def edge(number, rising=False, times=1):
    """Edges at a pin that an interrupt or a counter waits for."""
    handler, trigger = board.handlers[number]
    for _ in range(times):
        if trigger == (Pin.IRQ_RISING if rising else Pin.IRQ_FALLING):
            handler(number)


class _Counter:
    RISING = 1
    FALLING = 2

    def __init__(self, unit, src, edge):
        if not 0 <= unit < board.counters:
            raise ValueError("invalid Counter id")
        if src.mode != Pin.IN:
            raise OSError("pin %d is no input" % src.number)
        self._count = 0
        board.handlers[src.number] = self._on_edge, Pin.IRQ_RISING if edge == _Counter.RISING else Pin.IRQ_FALLING

    def _on_edge(self, pin):
        self._count += 1

    def value(self, new=None):
        """The count; it is set in the same instant."""
        count = self._count
        if new is not None:
            self._count = new
        return count


def with_counter(there):
    """Whether this MicroPython has machine.Counter."""
    names = globals()
    if there:
        names["Counter"] = _Counter
    else:
        names.pop("Counter", None)


class ADC:
    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3

    # What the ESP32 can tell apart at each attenuation, in microvolts: below and above it reads as the end.
    _RANGE = ((100000, 950000), (100000, 1250000), (150000, 1750000), (150000, 2450000))

    def __init__(self, pin, atten=0):
        self._number = pin.number
        self._range = ADC._RANGE[atten]

    def _microvolts(self):
        _access()
        low, high = self._range
        return min(max(board.voltages[self._number](), low), high), low, high

    def read_u16(self):
        value, low, high = self._microvolts()
        return (value - low) * 65535 // (high - low)

    def read_uv(self):
        return self._microvolts()[0]


class SoftI2C:
    def __init__(self, scl, sda, freq, timeout):
        assert freq <= 400000 and timeout <= 2000, "a stuck bus must not hold the program for longer"
        self._pins = scl.number, sda.number
        self._byte_us = 9000000 // freq
        self._timeout_us = timeout

    def _chip(self, address, size):
        """The chip that acknowledges this address."""
        chip = board.buses.get(self._pins)
        time.us += (size + 2) * self._byte_us
        if chip and chip.stuck:
            time.us += self._timeout_us
            raise OSError(110)
        if not chip or chip.address != address or not chip.acknowledges():
            raise OSError(19)
        return chip

    def readfrom_mem(self, address, register, size):
        return self._chip(address, size + 1).get(register, size)

    def writeto_mem(self, address, register, data):
        self._chip(address, len(data)).put(register, data)


install()
