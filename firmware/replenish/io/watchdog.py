"""The watchdog: the chip resets itself unless every part of the program has spoken in time."""


class Watchdog:
    """Fed only when each part has spoken since it was fed last, so that one part that hangs is seen however busy the others are."""

    def __init__(self, timeout_s, parts):
        """timeout_s: 0 for none; parts: their names, as a tuple."""
        self._parts = parts
        self._silent = self._all = (1 << len(parts)) - 1
        self._wdt = None
        if timeout_s:
            self._arm(timeout_s)

    def prolong(self, timeout_s):
        """Another deadline, from now on, if it runs: ESP32's watchdog cannot be stopped, but be given more time."""
        if self._wdt:
            self._arm(timeout_s)

    def _arm(self, timeout_s):
        try:
            from machine import WDT

            self._wdt = WDT(timeout=timeout_s * 1000)
        except (ImportError, NotImplementedError):
            pass  # a chip without

    def spoke(self, part):
        """A part is alive. Makes no garbage."""
        self._silent &= ~(1 << self._parts.index(part))
        if not self._silent:
            self._silent = self._all
            if self._wdt:
                self._wdt.feed()

    def all_spoke(self):
        """Every part is to be taken for alive: while the program does one thing only, and that is bounded."""
        self._silent = self._all
        if self._wdt:
            self._wdt.feed()
