"""A level as a voltage at an ADC of the ESP32: a potentiometer, a pressure sensor, a capacitive probe.

`read_uv` corrects the ADC with what the factory measured of this chip (MicroPython: ESP32 quick reference, "ADC"). `raw` blocks for
0.1 ms a sample.
"""

from machine import ADC, Pin
from micropython import const

from .scaled import Scaled

DEFAULTS = {"attenuation_db": 11, "samples": 16, "empty_mv": None, "full_mv": None}

_ATTENUATION = {0: "ATTN_0DB", 2.5: "ATTN_2_5DB", 6: "ATTN_6DB", 11: "ATTN_11DB"}
_END = const(65535)  # `read_u16` at the upper end of the range


class Sensor(Scaled):
    """options: `pin`; `attenuation_db`: 11 measures up to 2.45 V on an ESP32; `samples` are averaged; `empty_mv` and `full_mv`: what
    these read like, if every unit of the appliance is alike."""

    raw_unit = "microvolts"

    def __init__(self, options):
        self._adc = ADC(Pin(options["pin"]), atten=getattr(ADC, _ATTENUATION[options["attenuation_db"]]))
        self._samples = options["samples"]
        empty = options["empty_mv"]
        if empty is not None:
            self.between(1000 * empty, 1000 * options["full_mv"], options["capacity"])

    def raw(self):
        """The mean of the middle half. Raises ValueError where half of them stand at an end of the range: a wire is off, or
        shorted to ground or supply."""
        adc, values, ends = self._adc, [], 0
        for _ in range(self._samples):
            ends += not 0 < adc.read_u16() < _END
            values.append(adc.read_uv())
        if 2 * ends >= len(values):
            raise ValueError("at the end of the ADC's range: shorted, or open")
        values.sort()
        cut = len(values) // 4
        middle = values[cut : len(values) - cut]
        return round(sum(middle) / len(middle))
