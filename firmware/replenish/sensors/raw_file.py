"""A raw number from a file: how a calibration is tried on a PC. The smallest driver that is calibrated."""

from .scaled import Scaled


class Sensor(Scaled):
    """options: `path`, the file; it holds one whole number."""

    raw_unit = "file"

    def __init__(self, options):
        self._path = options["path"]

    def raw(self):
        with open(self._path) as file:
            return int(file.read(32))
