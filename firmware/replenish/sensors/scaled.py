"""What a raw number means: the level on the straight line through two points, as a calibration or the configuration gives them."""

from ..core.errors import SensorFault

_NEAR_EMPTY = 0.02  # of the way between the points: so far below empty is noise and drift of a container that is empty


class Scaled:
    """Base of the drivers that read raw numbers. `raw_unit` says what they count: points that were found for another are not used."""

    raw_unit = ""
    below = ""  # the word of `SensorFault` for a level below empty; "": the range is wrong
    points = None  # (raw, level, raw, level), the two raws unequal; None: not known yet
    calibrated_at = 0  # when a calibration found them, in Unix seconds; 0: never

    def raw(self):
        """A whole number; it raises what `read` of a driver may raise."""
        raise NotImplementedError

    def read(self):
        """The level in the slot's unit. Raises as `raw` does, ValueError, and SensorFault("uncalibrated")."""
        raw = self.raw()
        if not self.points:
            raise SensorFault("uncalibrated")
        raw0, level0, raw1, level1 = self.points
        level = level0 + (raw - raw0) * (level1 - level0) / (raw1 - raw0)
        if level >= 0:
            return level
        if level > -_NEAR_EMPTY * abs(level1 - level0):
            return 0.0
        if self.below:
            raise SensorFault(self.below)
        raise ValueError("level %s: allowed: 0 or more" % level)

    @property
    def scaled(self):
        """The sensors of which each has points of its own."""
        return (self,)

    def between(self, empty, full, capacity):
        """Take points from the configuration: what empty and full read like. None: there are none."""
        if empty is not None:
            self.points = empty, 0, full, capacity
