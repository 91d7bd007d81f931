"""What time it is, for holds: never guessed forward (law 11).

The wall clock may be absent, wrong or moved. Holds must never be shortened by that, so the time that policy sees only moves
forward, by the wall clock where it is believable and by ticks where it is not.
"""

from micropython import const

ADVANCE_LIMIT_S = const(86400)  # a larger step than this needs a second source
_END = const(0xFFFF0000)  # records keep times in 32 bits, until 2106; a clock beyond that is wrong
AGREE_S = const(3600)  # how close the second source must be
_DRIFT_S = const(60)  # what ticks may be behind a good clock


class Timekeeper:
    """`now` is the time for holds (Unix seconds), or 0 while no valid time was ever seen."""

    def __init__(self, known, build_date):
        """known: the last time in the durable store, 0 if none; build_date: no time before it is valid."""
        self.now = known
        self._build_date = build_date
        self.sure = False  # whether a wall clock was believed since the start; until then `now` may be far behind
        self._doubted = 0  # the wall time that waits for a second source
        self._certain = known  # the last time that was not only ticks
        self._is_first = True  # update: nothing began since the start, so nothing can have begun later than it seemed
        self.late = 0  # how late `now` was, seconds, when the last update found it late ...
        self.late_since = 0  # ... since this time of its own

    def update(self, wall, elapsed_s, trusted):
        """Take the wall clock's reading; `elapsed_s` ran on ticks since the last update. Returns `now`.

        trusted: the wall clock is its own second source (the Unix board's scaled clock).
        """
        self.late = 0
        if self.now:
            self.now += elapsed_s
        if wall < self._build_date or wall < self.now or wall >= _END:
            self._is_first = False
            return self.now
        if trusted or not self.now or wall - self.now <= ADVANCE_LIMIT_S:
            self._believe(wall, trusted or self._is_first)
        else:
            self._doubted = wall
        self._is_first = False
        return self.now

    def _believe(self, wall, trusted):
        if self.now and not trusted and wall - self.now > _DRIFT_S:
            self.late = wall - self.now
            self.late_since = self._certain
        self.now = self._certain = wall
        self.sure = True
        self._doubted = 0

    def confirm(self, second_source):
        """A second source (the HTTPS Date of a verified peer) says what time it is. Believes the wall clock if both agree."""
        if self._doubted and abs(second_source - self._doubted) <= AGREE_S:
            self._believe(self._doubted, False)
        return self.now
