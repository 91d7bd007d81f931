"""The board's clock and its randomness: Unix seconds, on the Unix board scaled so that months pass in minutes."""

import os
import time

from ..core.isotime import EPOCH


class Clock:
    """time = scale_from + (real - scale_from) x time_scale, in whole numbers: every process given the same two agrees.

    trusted: the clock is its own second source of time (law 11), as on the Unix board, where the machine keeps it.
    """

    def __init__(self, scale_from, time_scale, trusted):
        """scale_from: Unix seconds; time_scale: 1 to 1,000,000."""
        self._from = scale_from
        self._scale = time_scale
        self.scaled = time_scale != 1
        self.trusted = trusted
        self._ticks = time.ticks_ms()
        self._rest_ms = 0

    def now(self):
        """Unix seconds, scaled."""
        return self._from + (time.time_ns() + (EPOCH - self._from) * 1000000000) * self._scale // 1000000000

    def elapsed_s(self):
        """Whole seconds on ticks since the last call, the rest carried over. To be called at least every 6 days (2^29 ms)."""
        ticks = time.ticks_ms()
        total = self._rest_ms + time.ticks_diff(ticks, self._ticks) * self._scale
        self._ticks = ticks
        self._rest_ms = total % 1000
        return total // 1000

    def real_ms(self, seconds):
        """Real milliseconds, rounded up, until so many seconds of this clock have passed."""
        return -(-seconds * 1000 // self._scale)

    def fraction(self):
        """A random number from 0 up to 1, in steps of 2^-24, from the hardware's own source."""
        return int.from_bytes(os.urandom(3), "big") / 16777216


def secret(size):
    """So many random bytes that nobody can guess, from the hardware's own source."""
    return os.urandom(size)
