"""A float or reed switch: one of two levels. `read` blocks for 4 ms."""

import time

from machine import Pin
from micropython import const

from ..core.errors import Settling

DEFAULTS = {"active": "low", "pull": "up"}

_LOOKS = const(5)  # a millisecond apart; a reed contact bounces for less (typically 0.5 ms)
_PAUSE_MS = const(50)  # a float on moving water
_UNSTEADY = const(5)  # pauses in a row: it does not settle
_EIO = const(5)


class Sensor:
    """options: `pin`; `active`: what it reads when the switch is active, low or high; `pull`: up, down or none; `active_level` and
    `idle_level`: the level in the slot's unit that each stands for."""

    def __init__(self, options):
        self._pin = Pin(options["pin"], Pin.IN, {"up": Pin.PULL_UP, "down": Pin.PULL_DOWN, "none": None}[options["pull"]])
        idle, active = options["idle_level"], options["active_level"]
        self._levels = (idle, active) if options["active"] == "high" else (active, idle)
        self._unsteady = 0

    def read(self):
        first = self._pin()
        for _ in range(_LOOKS - 1):
            time.sleep_ms(1)
            if self._pin() != first:
                self._bounced()
        self._unsteady = 0
        return self._levels[first]

    def _bounced(self):
        self._unsteady += 1
        if self._unsteady < _UNSTEADY:
            raise Settling(_PAUSE_MS)
        self._unsteady = 0
        raise OSError(_EIO)
