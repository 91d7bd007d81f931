"""firmware/replenish/sensors/README.md: every driver and every fault is on it, and its own sensor works as it stands."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

from host_tests import shim
from host_tests.fakes import machine
from tools import drivers
from tools.rules import Rule

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "firmware/replenish/sensors/README.md").read_text(encoding="utf-8")

shim.install()


def first_cells(heading: str) -> list[str]:
    """What the rows of the first table below a line are of."""
    return re.findall(r"^\| `(\w+)` \|", PAGE.split(heading)[1].split("\n\n")[1], re.MULTILINE)


def test_every_driver_has_its_row() -> None:
    assert sorted(first_cells("CONFIGURATION.md#slots).")) == sorted(drivers.DRIVERS)


def test_every_fault_of_a_sensor_has_its_row() -> None:
    schema = json.loads((ROOT / "firmware/schema/state.schema.json").read_text(encoding="utf-8"))
    known = set(re.findall(r"sensor_\w+", json.dumps(schema)))
    assert set(first_cells("## Faults")) == known


def test_your_own_sensor_works_as_it_stands() -> None:
    section = PAGE.split("## Your own sensor")[1]
    code, entry = map(textwrap.dedent, re.findall(r"(?:^    .*\n|^\n(?=    ))+", section, re.MULTILINE))
    names: dict[str, Any] = {}
    exec(code, names)
    machine.new()
    options = {**names["DEFAULTS"], "pin": 4}
    assert names["Sensor"](options).read() == 0
    one: drivers.Driver = eval(entry.rstrip().rstrip(","), vars(drivers))
    assert set(options) == set(one.options) and set(one.pins) == {"pin"}
    assert all(isinstance(rule, Rule) for rule in one.options.values())
