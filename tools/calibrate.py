"""Calibrate a slot's sensor: `make calibrate PORT=/dev/ttyUSB0 SLOT=Coffee` for a board, with CONFIG= for an agent on this PC.

It asks for the container empty and then filled to a level that you know, shows what the sensor reads meanwhile, refuses what makes
no calibration, and lets the device keep the two points with the date. It can be repeated; the last one counts. `--show` only tells
what is kept. The agent must not run meanwhile: a board's program is stopped and started again, and on this PC the state folder is
locked.

Exit status: 0 calibrated, 1 not, 2 for wrong usage or a device that cannot be used, 130 broken off by Ctrl-C.
"""

from __future__ import annotations

import argparse
import ast
import os
import select
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.link import SAYS, Device, LinkError, open_device
from tools.unix_agent import UsageError

# Of a point: the mean of so many, and so many faults in between are put up with.
READINGS = 8
FAULTS = 3
# The core takes a step of a twentieth of the capacity for a change (core/level.py): noise has to stay well below that.
NOISE_LIMIT = 0.02
# How often the sensor is read while the person is busy.
LOOK_S = 0.5

# What the device runs; it is read by the device's own names, so only those of the library are used.
_PROGRAM = """
from replenish import Agent
def calibration_parts(slot_id):
 try:
  return agent.slot(slot_id).calibration().parts()
 except ValueError:
  return []
def calibration_raw(slot_id, part):
 try:
  return agent.slot(slot_id).calibration().raw(part)
 except Exception as error:
  return '%s %s' % (type(error).__name__, error)
"""
_REMEDIES = {
    "OSError": "no answer: look at the wires and the pins",
    "ValueError": "out of range: look at the wires, and at what the sensor can measure",
    "SensorFault": "the sensor always reads the same: look at the wires",
}


class CalibrationError(Exception):
    """Nothing was kept; the message is for the person."""


@dataclass(frozen=True)
class Part:
    """What a device knows of one part of a slot's sensor."""

    slot: str
    number: int
    unit: str  # of its raw numbers
    points: tuple[int, float, int, float] | None
    calibrated_at: int

    @property
    def name(self) -> str:
        return self.slot if not self.number else f"{self.slot}, part {self.number}"

    def told(self) -> str:
        """What is kept, in one sentence."""
        if not self.points:
            return f"{self.name}: not calibrated ({self.unit})."
        raw0, level0, raw1, level1 = self.points
        since = f"on {datetime.fromtimestamp(self.calibrated_at, UTC):%Y-%m-%d}" if self.calibrated_at else "by the configuration"
        return f"{self.name}: calibrated {since}: {raw0} is {level0:g}, {raw1} is {level1:g} ({self.unit})."


class Sensors:
    """The sensors of one device that are calibrated. Methods raise LinkError."""

    def __init__(self, device: Device, path: str) -> None:
        self._device = device
        device.run(f"exec({_PROGRAM!r}); agent = Agent.load({path!r})")
        slots = f"json.load(open({path!r}))['slots']"
        configured = f"[(s['id'], s['capacity'], s.get('unit', 'count')) for s in {slots} if s.get('sensor')]"
        self.slots = {name: (capacity, unit) for name, capacity, unit in self._ask(configured, "import json; ")}

    def _ask(self, expression: str, before: str = "") -> Any:
        said = self._device.run(f"{before}print({SAYS!r} + repr({expression}))")
        try:
            (answer,) = said
            return ast.literal_eval(answer)
        except (ValueError, SyntaxError):
            raise LinkError("the device did not answer") from None

    def parts(self) -> list[Part]:
        found = []
        for slot in self.slots:
            parts = self._ask(f"calibration_parts({slot!r})")
            found += [Part(slot, number, *part) for number, part in enumerate(parts)]
        return found

    def raw(self, part: Part) -> int | str:
        """One raw number, or what is wrong with the sensor."""
        answer: int | str = self._ask(f"calibration_raw({part.slot!r}, {part.number})")
        return answer

    def keep(self, part: Part, points: tuple[int, float, int, float]) -> None:
        arguments = ", ".join(map(repr, (*points, part.number)))
        self._device.run(f"agent.slot({part.slot!r}).calibration().keep({arguments})")


class Terminal:
    """The person in front of it."""

    def __init__(self) -> None:
        self._rest = b""

    def say(self, text: str) -> None:
        print(text, flush=True)

    def _line(self, wait_s: float | None) -> str | None:
        """A line that was typed, without its end; None when there is none after so long. Raises CalibrationError at the end of all."""
        while b"\n" not in self._rest:
            if not select.select([0], [], [], wait_s)[0]:
                return None
            data = os.read(0, 4096)
            if not data:
                raise CalibrationError("Nobody is there any more.")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace").strip()

    def ask(self, question: str) -> str:
        print(question, end=" ", flush=True)
        return self._line(None) or ""

    def watch(self, look: Callable[[], str]) -> None:
        """Show what there is to see until Enter is pressed."""
        while True:
            seen = look()
            if sys.stdout.isatty():
                print(f"\r  {seen:<60}", end="", flush=True)
            if self._line(LOOK_S) is not None:
                return


def explained(fault: str) -> str:
    return f"{fault.strip()}: {_REMEDIES.get(fault.split(' ')[0], 'see the sensors page')}"


def measure(sensors: Sensors, part: Part) -> tuple[int, float]:
    """(mean, standard deviation) of some raw numbers. Raises CalibrationError."""
    numbers: list[int] = []
    faults = 0
    while len(numbers) < READINGS:
        seen = sensors.raw(part)
        if isinstance(seen, int):
            numbers.append(seen)
        else:
            faults += 1
            if faults > FAULTS:
                raise CalibrationError(f"{part.name}: {explained(seen)}.")
    return round(statistics.mean(numbers)), statistics.stdev(numbers)


def judged(empty: tuple[int, float], full: tuple[int, float]) -> str:
    """What there is to say of two points. Raises CalibrationError when they make no calibration."""
    span, noise = full[0] - empty[0], max(empty[1], full[1])
    if span == 0:
        raise CalibrationError(f"Empty and full both read {empty[0]}: was it filled, and is it the right slot's sensor?")
    if noise > NOISE_LIMIT * abs(span):
        raise CalibrationError(
            f"The sensor's noise is {noise:.0f} and full only {abs(span)} from empty: allowed are {NOISE_LIMIT:.0%} of that. "
            "Let it stand still, twist and shorten the wires, or take a sensor of a smaller range."
        )
    way = "" if span > 0 else " The numbers fall as it fills: mounted the other way round, which is fine."
    return f"Empty is {empty[0]}, full {full[0]}, noise {noise / abs(span):.1%} of that.{way}"


def level_of(answer: str, capacity: float) -> float:
    """The level that was typed; nothing is the capacity. Raises CalibrationError."""
    if not answer:
        return capacity
    try:
        level = float(answer.replace(",", "."))
    except ValueError:
        level = -1
    if not 0 < level <= 1.2 * capacity:
        raise CalibrationError(f"{answer}: a level above 0, up to 1.2 times the capacity of {capacity:g}, is allowed.")
    return level


def calibrate(sensors: Sensors, part: Part, person: Terminal) -> None:
    """The whole walk for one part. Raises CalibrationError, LinkError."""
    capacity, unit = sensors.slots[part.slot]

    def look() -> str:
        seen = sensors.raw(part)
        if not isinstance(seen, int):
            return explained(seen)
        return f"{part.unit}: {seen}" + (f", {between(seen, part.points):.4g} {unit}" if part.points else "")

    person.say(part.told())
    person.say("1. Leave the container in its place, empty. Press Enter when it stands still.")
    person.watch(look)
    empty = measure(sensors, part)
    level = level_of(person.ask(f"\n2. Fill it. To how many {unit}? Enter alone: {capacity:g}, full."), capacity)
    person.say("   Press Enter when it is filled and stands still.")
    person.watch(look)
    full = measure(sensors, part)
    person.say("\n" + judged(empty, full))
    sensors.keep(part, (empty[0], 0, full[0], level))
    kept = next(other for other in sensors.parts() if (other.slot, other.number) == (part.slot, part.number))
    seen = sensors.raw(kept)
    if kept.points and isinstance(seen, int):
        person.say(f"Kept. Now it reads {between(seen, kept.points):.4g} {unit}.")
    person.say(kept.told())


def between(raw: int, points: tuple[int, float, int, float]) -> float:
    raw0, level0, raw1, level1 = points
    return level0 + (raw - raw0) * (level1 - level0) / (raw1 - raw0)


def chosen(parts: list[Part], slot: str | None, number: int | None) -> Part:
    """The part that is meant. Raises UsageError that lists them."""
    found = [part for part in parts if slot in (None, part.slot) and number in (None, part.number)]
    if len(found) == 1:
        return found[0]
    listed = "".join(f"\n  SLOT={part.slot!r}" + (f" PART={part.number}" if part.number or number is None else "") for part in parts)
    if not parts:
        raise UsageError("No slot of this device has a sensor that is calibrated.")
    raise UsageError(f"{'No such slot' if not found else 'Several'}: say which one is meant:{listed}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.calibrate", description="Calibrate a slot's sensor.")
    parser.add_argument("--config", type=Path, help="the agent on this PC that has this configuration")
    parser.add_argument("--port", help="the board at this serial port")
    parser.add_argument("--slot", help="the slot's id; needed where there are several")
    parser.add_argument("--part", type=int, help="of a composite: the number of its sensor, from 0")
    parser.add_argument("--show", action="store_true", help="tell what is kept, and calibrate nothing")
    options = parser.parse_args(argv)
    try:
        with open_device(options.config, options.port, joins=False) as (device, path):
            sensors = Sensors(device, path)
            parts = sensors.parts()
            if options.show:
                print("\n".join(part.told() for part in parts) or "No slot of this device has a sensor that is calibrated.")
            else:
                calibrate(sensors, chosen(parts, options.slot, options.part), Terminal())
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except (CalibrationError, LinkError) as error:
        print(f"\nNot calibrated: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nBroken off: the calibration that was kept last counts, and ARGS=--show tells it.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
