"""firmware/POLICY.md against the code: every default, range and value on it, and no key or constant of the policy missing."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tools import configuration

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware" / "replenish"
PAGE = (ROOT / "firmware" / "POLICY.md").read_text(encoding="utf-8")
SECTIONS = {"policy": ("policy", configuration.SECTIONS["policy"]), "slots[]": ("slot", configuration.SLOT)}
SECTIONS["slots[].sensor"] = ("sensor", configuration.SENSOR)
# Of the slots' keys, those that are a policy; the others say what the slot is.
SLOT_KEYS = {"slots[].lead_days", "slots[].sensor.period_s"}
SECONDS = {"s": 1, "minute": 60, "minutes": 60, "hour": 3600, "hours": 3600, "days": 86400}
COUNTS = {"bytes", "characters", "levels", "times", "readings", "weeks"}
# What a day and a week have is no policy.
CALENDAR = {"DAY_S", "_DAY_S", "_WEEK_S"}


def rows(heading: str) -> Iterator[list[str]]:
    """The cells of the table below a heading, without its first two lines."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    for line in table[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


KEYS = {row[0].strip("`"): row[1:] for row in rows("Keys")}
VALUES = {row[2].strip("`"): row for row in rows("Values that are not configured")}


@cache
def constants(place: str) -> dict[str, float]:
    """The constants of a module that are numbers."""
    found = {}
    for node in ast.parse((FIRMWARE / place).read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="const"), args=[ast.Constant(value=value)])):
                found[name] = value
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)):
                found[name] = value
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def in_code(value: str, name: str) -> float:
    """What a value for people is in the code, by its unit and the unit in the constant's name."""
    number, unit = value.split()
    amount = float(number.replace(",", ""))
    if unit == "%":
        return amount / 100
    if unit in COUNTS or name.endswith("_DAYS"):
        assert unit in COUNTS or unit == "days"
        return amount
    return amount * SECONDS[unit] * (1000 if name.endswith("_MS") else 1)


def test_every_key_of_the_policy_is_there_and_no_other() -> None:
    assert KEYS.keys() == {f"policy.{key}" for key in configuration.SECTIONS["policy"]} | SLOT_KEYS


@pytest.mark.parametrize("key", KEYS)
def test_a_keys_default_and_range(key: str) -> None:
    section, _, name = key.rpartition(".")
    short, rules = SECTIONS[section]
    assert KEYS[key][1] == json.dumps(configuration.DEFAULTS[short][name])
    assert rules[name].allowed == "a whole number from " + KEYS[key][2]


@pytest.mark.parametrize("place", VALUES)
def test_a_value_is_what_the_code_has(place: str) -> None:
    file, name = place.split()
    assert constants(file)[name] == pytest.approx(in_code(VALUES[place][1], name))


def test_no_duration_of_the_core_is_missing() -> None:
    for file in sorted((FIRMWARE / "core").glob("*.py")):
        for name in constants(f"core/{file.name}"):
            place = f"core/{file.name} {name}"
            if name.endswith(("_S", "_DAYS", "_WEEKS")) and name not in CALENDAR:
                assert place in VALUES, f"{place} is not in POLICY.md: give it a row with its source"


def test_each_row_names_its_law_and_its_source() -> None:
    laws = {int(number) for number in re.findall(r"^(\d+)\. ", PAGE, re.MULTILINE)}
    assert laws == set(range(1, 15))
    for row in [[key, *cells] for key, cells in KEYS.items()] + list(VALUES.values()):
        assert {int(law) for law in row[-2].split(",")} <= laws, row
    assert all(cells[-1] for cells in KEYS.values())


def test_every_source_that_is_named_is_explained() -> None:
    explained = set(re.findall(r'\[([A-Z]+)\] (?:"|the )', PAGE))
    assert set(re.findall(r"\[([A-Z]+)\]", PAGE)) == explained and len(explained) == 6


def test_amazons_rules_are_the_defaults() -> None:
    assert configuration.DEFAULTS["policy"]["reorder_after_cancel_days"] == 5
    assert configuration.DEFAULTS["slot"]["lead_days"] == 7
    for row in rows("What Amazon asks of a device"):
        named = re.fullmatch(r"`(policy\.\w+|slots\[\]\.\w+)`.*", row[2])
        assert named is None or named[1] in KEYS, row
        assert re.search(r"\[[A-Z]+\]", row[3]), row
