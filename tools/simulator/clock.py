"""The simulator's virtual clock: whole Unix seconds, computed and never counted."""

import time
from collections.abc import Callable

_NS = 1_000_000_000
# The year 3000: far beyond any test, and well inside what a date can hold.
_LAST = 32_503_680_000


class Clock:
    """Virtual time = scale_from + (real - scale_from) * time_scale + what was advanced.

    Every process that is given the same `scale_from` and `time_scale` agrees on the time, across
    restarts too. `advance` moves this clock alone: it stands for time that passes for the service.
    A `time_scale` of 0 freezes the clock at `scale_from`, so that only `advance` moves it.
    """

    def __init__(
        self,
        scale_from: int = 0,
        time_scale: int = 1,
        real_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`scale_from` in Unix seconds, `time_scale` 0 or more, `real_ns` gives Unix nanoseconds."""
        if time_scale < 0:
            raise ValueError(f"time_scale is {time_scale}: it must be 0 or more")
        self.scale_from = scale_from
        self.time_scale = time_scale
        self.advanced_s = 0
        self._real_ns = real_ns

    @classmethod
    def manual(cls, start: int = 1_700_000_000) -> "Clock":
        """A clock that stands at `start` (Unix seconds) until it is advanced."""
        return cls(scale_from=start, time_scale=0)

    def now(self) -> int:
        """Virtual time in whole Unix seconds."""
        # Integers all the way: a double loses whole seconds once a large scale multiplies nanoseconds.
        elapsed = (self._real_ns() - self.scale_from * _NS) * self.time_scale // _NS
        return self.scale_from + elapsed + self.advanced_s

    def real(self) -> float:
        """Real time in Unix seconds."""
        return self._real_ns() / _NS

    def advance(self, seconds: int) -> int:
        """Move the clock forward by `seconds` (0 or more, not beyond the year 3000); returns the new time.

        Raises ValueError for a negative number: orders that have happened cannot be taken back.
        """
        if seconds < 0:
            raise ValueError(f"cannot advance by {seconds} seconds: time only moves forward")
        if self.now() + seconds > _LAST:
            raise ValueError(f"cannot advance by {seconds} seconds: the calendar ends with the year 2999")
        self.advanced_s += seconds
        return self.now()
