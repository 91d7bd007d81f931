"""What a device knows of its slots: whether the service has them, and whether their sensors are calibrated. Only a linked device may
ask the service, so the device itself asks, as it does once a day."""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

from tools.calibrate import Sensors
from tools.doctor import Finding
from tools.drivers import DRIVERS
from tools.link import DEVICE_S, SAYS, Device, LinkError, open_device
from tools.selftest import begin
from tools.unix_agent import UsageError

_UNSUBSCRIBED = "subscribe it on the service's settings page, or let slots[].id be an id of the device's model"
_KNOWN = "[(slot['id'], agent.slot(slot['id']).order.state) for slot in json.load(open({path!r}))['slots']]"
# Where a board has its state: to load the agent on a partition would begin one there.
_MEDIUM = """
import os
def _medium():
 try:
  os.stat({state!r})
  return 'folder'
 except OSError:
  pass
 try:
  from esp32 import Partition
 except ImportError:
  return 'none'
 return 'partition' if Partition.find(Partition.TYPE_DATA, label={state!r}) else 'none'
print(_medium())
"""


def is_calibrated(sensor: dict[str, Any]) -> bool:
    """Whether this sensor's driver, or that of a part of it, reads raw numbers to which the configuration gives no levels."""
    driver = DRIVERS[sensor["driver"]]
    if "sensors" in sensor:
        return any(map(is_calibrated, sensor["sensors"]))
    return driver.calibrated and not (driver.points and all(sensor.get(option) is not None for option in driver.points))


def to_calibrate(values: dict[str, Any]) -> list[str]:
    """The slots that have no level before somebody calibrated their sensor."""
    return [slot["id"] for slot in values["slots"] if slot["sensor"] and is_calibrated(slot["sensor"])]


def check(path: Path, values: dict[str, Any], secrets: dict[str, Any]) -> Iterator[Finding]:
    """Of a configuration of this PC."""
    state, place = Path(values["state"]), f"CONFIG={path}"
    linked = bool(secrets.get("refresh_token")) or (state / "token").exists()
    if values["backend"] == "drs" and not linked:
        yield Finding("slot ids", None, "the device is not linked, so nobody tells", f"make link {place}")
    if not state.exists():
        yield from _never_ran(values, place)
        return
    try:
        with redirect_stdout(StringIO()), open_device(path, None) as (device, name):  # its events are no findings
            found = list(_of_device(device, name, values, linked, place))
    except UsageError:
        found = [Finding("slot ids", None, "an agent runs on this state, and only one may", "stop it and ask again")]
    yield from found


def _never_ran(values: dict[str, Any], place: str) -> Iterator[Finding]:
    for slot in to_calibrate(values):
        said = f"{slot}: not calibrated, so it has no level and orders nothing"
        yield Finding("calibration", False, said, f"make calibrate {place} SLOT={shlex.quote(slot)}")


class Board(Protocol):
    """What is asked of tools.device.Device."""

    def run(self, statement: str, timeout_s: float | None = None) -> str: ...


class _Statements:
    """A board that is open already, as a device of tools/link.py."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def run(self, statement: str) -> list[str]:
        lines = self._board.run(statement, DEVICE_S).splitlines()
        return [line.removeprefix(SAYS) for line in lines if line.startswith(SAYS)]


def check_board(board: Board, values: dict[str, Any], state: str, port: str) -> Iterator[Finding]:
    """Of a board that has the agent; one that never ran is not made to begin a state. state: its place as the board knows it."""
    place, medium = f"PORT={port}", board.run(_MEDIUM.format(state=state)).strip()
    if medium == "none":
        yield from _never_ran(values, place)
    elif medium == "folder":
        known = {**values, "drs": {"test_device": False}}
        yield from _of_device(_Statements(board), "config.json", known, values["backend"] == "drs", place)
    elif wanted := to_calibrate(values):
        said = f"whether {', '.join(wanted)} is calibrated stands in the partition {state}, where doctor does not look"
        yield Finding("calibration", None, said, f"make calibrate {place} ARGS=--show")


def _of_device(device: Device, path: str, values: dict[str, Any], linked: bool, place: str) -> Iterator[Finding]:
    """What a device says that has run. linked: whether it may know what the service has."""
    try:
        sensors = Sensors(device, path)
        parts = sensors.parts()
        for part in parts:
            one_of_several = sum(other.slot == part.slot for other in parts) > 1
            remedy = f"make calibrate {place} SLOT={shlex.quote(part.slot)}" + f" PART={part.number}" * one_of_several
            yield Finding("calibration", bool(part.points), part.told().rstrip("."), "" if part.points else remedy)
        if linked:
            yield _asked(device, path) if values["drs"]["test_device"] else _known(device, path, place)
    except LinkError as error:
        yield Finding("slots", False, f"the device cannot tell: {error}", f"make link {place}")


def _known(device: Device, path: str, place: str) -> Finding:
    """What the device heard when it asked last."""
    if device.run(f"print({SAYS!r} + str(bool(agent.token)))") != ["True"]:
        return Finding("slot ids", None, "the device is not linked, so nobody tells", f"make link {place}")
    said = device.run(f"import json; print({SAYS!r} + repr({_KNOWN.format(path=path)}))")
    states = dict(ast.literal_eval(said[0]))
    if missing := [slot for slot, state in states.items() if state == "unsubscribed"]:
        return Finding("slot ids", False, f"the service has {', '.join(missing)} not subscribed", _UNSUBSCRIBED)
    return Finding("slot ids", None, f"the device has heard nothing against {', '.join(states)}; it asks the service itself, daily")


def _asked(device: Device, path: str) -> Finding:
    """What the service says now, to a test device."""
    begin(device, path)
    good, detail, _ = json.loads(device.run(f"print({SAYS!r} + json.dumps(test.subscription_info()))")[0])
    names = ast.literal_eval(device.run(f"print({SAYS!r} + repr([slot['id'] for slot in json.load(open({path!r}))['slots']]))")[0])
    if good:
        return Finding("slot ids", True, f"the service has {', '.join(names)}, subscribed")
    return Finding("slot ids", False, str(detail), _UNSUBSCRIBED)
