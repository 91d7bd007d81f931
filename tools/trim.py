"""What an appliance's firmware can do without: the modules that its configuration never imports.

One table says what each part of the firmware is for, and when it is wanted; `make build` with a configuration leaves out the rest.
Whether a module that is left out is ever asked for is tested: host_tests/tools/test_trim.py walks the imports, and
host_tests/scenarios/test_trimmed.py lets trimmed agents order.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.boards import Board
from tools.drivers import DRIVERS

Config = dict[str, Any]
_CALIBRATED = {driver.name for driver in DRIVERS.values() if driver.calibrated}


@dataclass(frozen=True)
class Part:
    """Modules that are for one thing, by their places below `replenish/`, and when an appliance wants it."""

    title: str
    modules: tuple[str, ...]
    wanted: Callable[[Config, Board | None], bool]


def _board(config: Config) -> dict[str, Any]:
    return config.get("board") or {}


def _profile(config: Config) -> str:
    return str(_board(config).get("profile", "standard"))


def _sleeps(config: Config) -> bool:
    return _board(config).get("sleep") == "deep"


def _on_partition(config: Config, board: Board | None) -> bool:
    """Whether the state is on a raw partition: on a board, `state` is the label of one or a folder's name."""
    return board is not None and board.partition(config["state"]) is not None


def _drs(config: Config, board: Board | None) -> bool:
    return bool(config["backend"] == "drs")


PARTS = (
    Part(
        "the Dash Replenishment Service",
        ("access", "asking", "link", "services/drs", "services/drs_answers", "services/linking", "services/lwa",
         "services/notification", "services/registration"),
        _drs,
    ),
    Part(
        "the maker's gateway",
        ("answering", "core/snapshot", "following", "services/gateway", "services/gateway_answers"),
        lambda config, board: config["backend"] == "gateway",
    ),
    Part(
        "MQTT",
        ("cloud", "commands", "core/uplink", "io/mqtt", "state", "store/outbox"),
        lambda config, board: bool(config.get("mqtt")),
    ),
    Part(
        "discovery by Home Assistant",
        ("discovery",),
        lambda config, board: bool((config.get("mqtt") or {}).get("discovery")),
    ),
    Part("secrets in NVS", ("io/vault",), lambda config, board: config.get("secrets") == "nvs"),
    Part("parts that age", ("core/part",), lambda config, board: any(slot.get("life_days") for slot in config["slots"])),
    Part("calibration of sensors", ("calibration", "store/calibration"), lambda config, board: bool(drivers(config) & _CALIBRATED)),
    Part("state on a file system", ("store/recordfiles",), lambda config, board: not _on_partition(config, board)),
    Part("state on a raw partition", ("store/flashlog", "store/flashscan"), _on_partition),
    Part(
        "linking by a code, experimental",
        ("experimental_link", "services/experimental_cbl"),
        lambda config, board: _drs(config, board) and _profile(config) != "product",
    ),
    Part("a product's closed serial line", ("io/lock",), lambda config, board: _profile(config) == "product"),
    Part(
        "Wi-Fi",
        ("core/networks", "io/ntp", "io/wifi", "online", "services/ntp"),
        lambda config, board: board is not None and "wifi" in board.features,
    ),
    Part(
        "light and button",
        ("core/button", "core/light", "io/pins", "obeying", "person"),
        lambda config, board: bool(_board(config).get("led") or _board(config).get("button")),
    ),
    Part("staying awake", ("awake",), lambda config, board: not _sleeps(config)),
    Part("deep sleep", ("wake",), lambda config, board: _sleeps(config)),
    Part(
        "signed updates",
        ("core/bundle", "io/ota", "io/pieces", "io/slotfiles", "trial", "update"),
        lambda config, board: bool(config.get("update")),
    ),
    Part("the self-test", ("selftest",), lambda config, board: _drs(config, board) and _profile(config) != "product"),
)
SENSORS = "sensors/"  # a driver is wanted when a slot names it, or another driver imports it


def drivers(config: Config) -> set[str]:
    """The names of all drivers that a configuration uses, those inside of a composite too."""
    return {name for slot in config["slots"] for name in _drivers_of(slot.get("sensor"))}


def _drivers_of(sensor: Any) -> Iterator[str]:
    if isinstance(sensor, dict):
        yield sensor["driver"]
        for part in sensor.get("sensors", ()):
            yield from _drivers_of(part)


def _with_imported(names: set[str], sources: dict[str, str]) -> set[str]:
    """These drivers and those that they import, directly or not."""
    found = set()
    while names:
        name = names.pop()
        found.add(name)
        tree = ast.parse(sources.get(SENSORS + name, ""))
        siblings = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1]
        imported = {node.module or alias.name for node in siblings for alias in node.names}
        names |= imported - found
    return found


def left_out(config: Config, board: Board | None, sources: dict[str, str]) -> dict[str, list[str]]:
    """What an appliance with this configuration does without: modules by the title of what they are for.

    sources: of all modules, by their places below `replenish/`, without `.py`.
    """
    parts = {part.title: sorted(set(part.modules) & set(sources)) for part in PARTS if not part.wanted(config, board)}
    wanted = {SENSORS + name for name in _with_imported(drivers(config), sources)}
    parts["other sensors"] = sorted(name for name in sources if name.startswith(SENSORS) and name not in wanted)
    return {title: names for title, names in parts.items() if names}


def sources_of(package: Path) -> dict[str, str]:
    """The text of each module of a package's folder, by its place."""
    return {str(file.relative_to(package).with_suffix("")): file.read_text() for file in sorted(package.rglob("*.py"))}
