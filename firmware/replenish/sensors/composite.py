"""Several sensors as one. startup.py makes those it is made of."""

from ..core.errors import SensorFault
from .scaled import Scaled


class Sensor(Scaled):
    """options: `sensors`, up to four; `mode`:

    - sum: of the raw numbers, where all of them are of one kind (load cells under one plate), calibrated as one; else of the levels
    - first: the level of the first one that has no fault
    - smallest: of the levels; a fault of any is its fault
    """

    below = "lifted"

    def __init__(self, options):
        self._mode = options["mode"]
        self._sensors = options["sensors"]
        units = {getattr(sensor, "raw_unit", "") for sensor in self._sensors}
        self._as_one = self._mode == "sum" and len(units) == 1 and "" not in units
        self.raw_unit = "sum of " + min(units)
        self._got = []  # what was read before one of them was not ready

    @property
    def scaled(self):
        if self._as_one:
            return (self,)
        return tuple([part for sensor in self._sensors for part in getattr(sensor, "scaled", ())])

    def power_down(self):
        for sensor in self._sensors:
            if hasattr(sensor, "power_down"):
                sensor.power_down()

    def raw(self):
        return sum(self._all("raw"))

    def read(self):
        if self._as_one:
            return Scaled.read(self)
        if self._mode == "first":
            return self._first()
        levels = self._all("read")
        return sum(levels) if self._mode == "sum" else min(levels)

    def _all(self, method):
        """What each of them reads. A fault of any is raised; one that settles is asked again, the others stand."""
        got = self._got
        try:
            while len(got) < len(self._sensors):
                got.append(getattr(self._sensors[len(got)], method)())
        except (OSError, ValueError, SensorFault):
            self._got = []
            raise
        self._got = []
        return got

    def _first(self):
        fault = None
        for sensor in self._sensors:
            try:
                return sensor.read()
            except (OSError, ValueError, SensorFault) as error:
                fault = fault or error
        raise fault
