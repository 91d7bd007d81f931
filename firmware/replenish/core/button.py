"""A button with three meanings: pressed, held, and held very long. Times are arguments, in ticks of milliseconds.

Only letting go decides, so that nobody starts what he did not mean: what the light shows tells what letting go now would do.
"""

from time import ticks_diff

from micropython import const

DEBOUNCE_MS = const(30)  # contacts bounce for up to 10 ms, worn ones for 20
HOLD_MS = const(1500)
WARNING_MS = const(6000)
ARMED_MS = const(10000)
END_MS = const(15000)  # a button that is stuck, or under something heavy, must not reset a device
_GAP_MS = const(250)  # nobody looked for so long, because of a call: what the finger did meanwhile is not known

# What letting go meant
NOTHING = const(0)
PRESSED = const(1)  # shorter than HOLD_MS
HELD = const(2)  # ... than WARNING_MS
RESET = const(3)  # from ARMED_MS to END_MS


class Button:
    """`look` at it every 50 ms or oftener."""

    def __init__(self, ticks, counts):
        """counts: whether it counts when it is down from the first look on, because it woke the board."""
        self._looked_at = self._changed_at = self._since = ticks
        self._was_down = False  # at the last look
        self._is_down = False  # since it bounces no more
        self._void = not counts  # this press means nothing

    def look(self, is_down, ticks):
        """Returns what letting go meant, in the look that sees it for certain."""
        if ticks_diff(ticks, self._looked_at) > _GAP_MS:
            self._void = True
        self._looked_at = ticks
        if is_down != self._was_down:
            self._was_down = is_down
            self._changed_at = ticks
        elif ticks_diff(ticks, self._changed_at) >= DEBOUNCE_MS:
            self._changed_at = ticks  # ticks are compared with what is long ago nowhere: their difference wraps
            if is_down != self._is_down:
                return self._turn(is_down, ticks)
            self._void = self._void and is_down
        if self._is_down and self._lasted(ticks) >= END_MS:
            self._void = True
        return NOTHING

    def stage(self, ticks):
        """What letting go now would mean, as the light tells it: "held", "warning", "armed", or None."""
        if not self._is_down or self._void:
            return None
        ms = self._lasted(ticks)
        return None if ms < HOLD_MS else "held" if ms < WARNING_MS else "warning" if ms < ARMED_MS else "armed"

    def is_busy(self):
        """Whether a finger is on it that still means something."""
        return (self._was_down or self._is_down) and not self._void

    def _lasted(self, ticks):
        return ticks_diff(ticks, self._since)

    def _turn(self, is_down, ticks):
        ms = 0 if self._void else self._lasted(ticks)
        counts = not is_down and not self._void
        self._is_down = is_down
        self._since = ticks
        self._void = self._void and is_down
        if not counts:
            return NOTHING
        return PRESSED if ms < HOLD_MS else HELD if ms < WARNING_MS else RESET if ms >= ARMED_MS else NOTHING
