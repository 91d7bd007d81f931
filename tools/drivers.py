"""The sensor drivers there are, and the options that each takes: one file each in firmware/replenish/sensors/, one entry here.

What an option may be stands here and nowhere else; what a missing one is worth stands in the driver's own file, in its `DEFAULTS`.
An option without a default is required.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tools.rules import Rule, amount, list_of, object_of, one_of, or_null, text, whole

FOLDER = Path(__file__).resolve().parent.parent / "firmware" / "replenish" / "sensors"

# An ESP32-S3 has the highest number of the chips there are boards for; boards/ knows which ones a chip has.
_GPIO = whole(0, 48)
_LEVEL = amount(zero=True)
_PIN_MV = whole(0, 3300)  # more never stands at a pin: its supply is 3.3 V
_PULL = one_of(("up", "down", "none"))


def number_of(choices: tuple[float, ...]) -> Rule:
    """One of some numbers."""
    return Rule(lambda v: type(v) in (int, float) and v in choices, ", ".join(map(str, choices)))


@dataclass(frozen=True)
class Driver:
    """What one driver takes. `pins`: which options are a GPIO, and what for: input, output, open_drain or adc."""

    name: str
    options: Mapping[str, Rule]
    pins: Mapping[str, str]
    points: tuple[str, str] | None = None  # two options that say what empty and full read like: both or none, and not the same
    counts: bool = False  # it tells of use, not of a level: a refill cannot be seen
    calibrated: bool = False  # it reads raw numbers

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """What the options are worth that may be left out."""
        for node in ast.parse((FOLDER / f"{self.name}.py").read_text(encoding="utf-8")).body:
            match node:
                case ast.Assign(targets=[ast.Name(id="DEFAULTS")], value=value):
                    return dict(ast.literal_eval(value))
        return {}


_ALL = (
    Driver("file", {"path": text(255)}, {}),
    Driver("raw_file", {"path": text(255)}, {}, calibrated=True),
    Driver(
        "hx711",
        {"data_pin": _GPIO, "clock_pin": _GPIO, "gain": number_of((128, 64, 32))},
        {"data_pin": "input", "clock_pin": "output"},
        calibrated=True,
    ),
    Driver(
        "adc",
        {
            "pin": _GPIO,
            "attenuation_db": number_of((0, 2.5, 6, 11)),
            "samples": whole(1, 64),
            "empty_mv": or_null(_PIN_MV),
            "full_mv": or_null(_PIN_MV),
        },
        {"pin": "adc"},
        points=("empty_mv", "full_mv"),
        calibrated=True,
    ),
    Driver(
        "vl53l0x",
        {
            "sda_pin": _GPIO,
            "scl_pin": _GPIO,
            "empty_mm": or_null(whole(0, 2000)),
            "full_mm": or_null(whole(0, 2000)),
        },
        {"sda_pin": "open_drain", "scl_pin": "open_drain"},
        points=("empty_mm", "full_mm"),
        calibrated=True,
    ),
    Driver(
        "switch",
        {"pin": _GPIO, "active": one_of(("low", "high")), "pull": _PULL, "active_level": _LEVEL, "idle_level": _LEVEL},
        {"pin": "input"},
    ),
    Driver(
        "pulse",
        {
            "pin": _GPIO,
            "per_pulse": amount(zero=False),
            "edge": one_of(("falling", "rising")),
            "pull": _PULL,
            "debounce_ms": whole(0, 1000),
        },
        {"pin": "input"},
        counts=True,
    ),
    Driver("counted", {}, {}, counts=True),
    Driver(
        "composite",
        {"mode": one_of(("sum", "first", "smallest")), "sensors": list_of(object_of(("driver", "its options")), 4, "sensors")},
        {},
        calibrated=True,
    ),
)
DRIVERS: dict[str, Driver] = {driver.name: driver for driver in _ALL}
