"""A level from a file: how a test on the PC turns the tap.

Every driver has this interface: a class `Sensor(options)`, whose `read()` returns the level in the slot's unit as it is now, in
milliseconds, and does not smooth it. It raises OSError when the sensor is silent, ValueError when what it says is not a number, and
`core.errors.SensorFault` when only the driver can know that a number is no level: `SensorFault("stuck")` (a load cell whose raw
counts are identical), `SensorFault("lifted")` (a weight below the tare). Each is a fault of the slot; its level stands meanwhile.
"""

from micropython import const

_LIMIT = const(64)  # characters


class Sensor:
    """options: `path`, the file; it holds one number."""

    def __init__(self, options):
        self._path = options["path"]

    def read(self):
        with open(self._path) as file:
            return float(file.read(_LIMIT))
