"""A slot's sensor and what its raw numbers mean: for `make calibrate`, and for a service menu. In memory only then."""

import time

from micropython import const

from .core.errors import Settling

_SETTLES_MS = const(10000)  # a sensor that has not settled after so long is silent; the slowest needs 3 s
_ETIMEDOUT = const(110)


class Calibration:
    """Of one slot. A sensor has one part, a composite up to four, each with points of its own: `part` is its number, from 0."""

    def __init__(self, agent, slot, sensors):
        self._agent = agent
        self._slot = slot
        self._parts = sensors

    def parts(self):
        """For each part: what its raw numbers are, its points (raw, level, raw, level) or None, and when a calibration found them, in
        Unix seconds; 0: never, what there is comes from the configuration."""
        return [(part.raw_unit, part.points, part.calibrated_at) for part in self._parts]

    def raw(self, part=0):
        """One raw number. Blocks until the sensor has settled: 10 s at the most. Raises OSError, ValueError and SensorFault as the
        driver does."""
        start = time.ticks_ms()
        while True:
            try:
                return self._parts[part].raw()
            except Settling as wait:
                if time.ticks_diff(time.ticks_ms(), start) > _SETTLES_MS:
                    raise OSError(_ETIMEDOUT)
                time.sleep_ms(wait.args[0])

    def keep(self, raw0, level0, raw1, level1, part=0):
        """Two raw numbers and the level in the slot's unit that each of them stands for. Durable when this returns, and in use from
        the next reading on; the level that was measured before still stands until then.

        Raises ValueError for numbers that make no line, and while there is no valid time, for a calibration has a date; OSError when
        the store refuses, and then the calibration is the old one.
        """
        from .store import calibration

        slot, sensor = self._slot, self._parts[part]
        slot.check(level0)
        slot.check(level1)
        if raw0 == raw1 or level0 == level1:
            raise ValueError("raw %s and %s, level %s and %s: allowed: two of each" % (raw0, raw1, level0, level1))
        now = self._agent.tell_time()
        if not now:
            raise ValueError("no valid time")
        before = sensor.points, sensor.calibrated_at
        sensor.points = raw0, level0, raw1, level1
        sensor.calibrated_at = now
        try:
            calibration.save(self._agent.ledger.store, slot.id, self._parts)
        except OSError:
            sensor.points, sensor.calibrated_at = before
            raise
        slot.measured = None  # what the old one measured is nothing to compare with
        slot.sample_at = 0
