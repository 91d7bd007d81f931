"""A level from a file: how a test on the PC turns the tap.

Every driver has this interface: a class `Sensor(options)`, whose `read()` returns the level in the slot's unit, raises OSError
when the sensor is silent and ValueError when what it says is not a number.
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
