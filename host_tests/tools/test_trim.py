"""tools/trim.py: what each configuration leaves out, and that nothing which stays imports it without having asked the configuration."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import pytest

from tools import boards, trim
from tools.build import FIRMWARE

SOURCES = trim.sources_of(FIRMWARE / "replenish")
SLOT = {"sensor": {"driver": "file"}}
DRS = {"backend": "drs", "state": "state", "slots": [SLOT]}
FULL = {**DRS, "mqtt": {"discovery": "homeassistant"}, "update": {"keys": ["update.pub"]}, "slots": [{**SLOT, "life_days": 90}]}
CONFIGS: dict[str, dict[str, Any]] = {
    "drs": DRS,
    "drs with mqtt": {**DRS, "mqtt": {}},
    "drs with all": FULL,
    "drs product": {**FULL, "board": {"profile": "product"}},
    "asleep": {**DRS, "board": {"sleep": "deep", "button": {"pin": 0}}},
    "gateway": {**DRS, "backend": "gateway"},
    "gateway with all": {**FULL, "backend": "gateway"},
}

# What stays imports what may be left out, only inside of a function, and only behind a question about the configuration:
# (importer, imported): the question
DOORS = {
    ("calls", "access"): "wants_token: the back end is drs",
    ("manual", "access"): "wants_token: the back end is drs",
    ("calls", "asking"): "the back end",
    ("calls", "following"): "the back end",
    ("calls", "services/drs"): "the back end",
    ("calls", "services/drs_answers"): "the back end",
    ("calls", "services/gateway"): "the back end",
    ("calls", "services/gateway_answers"): "the back end",
    ("inbox", "services/notification"): "the back end",
    ("inbox", "services/gateway_answers"): "the back end",
    ("erase", "link"): "deregister: the back end is drs",
    ("erase", "services/drs_answers"): "deregister: the back end is drs",
    ("erase", "services/registration"): "deregister: the back end is drs",
    ("testorders", "services/registration"): "drs.test_device",
    ("settling", "core/snapshot"): "an answer of the gateway brought one",
    ("core/notice", "core/snapshot"): "a notice of the gateway brought one",
    ("face", "answering"): "agree, cancel: an order of the gateway",
    ("app", "commands"): "a message of the cloud, by MQTT",
    ("app", "cloud"): "agent.uplink, for which `mqtt` is configured",
    ("startup", "core/uplink"): "config['mqtt']",
    ("store/recovery", "store/outbox"): "agent.uplink",
    ("config", "io/vault"): "`secrets` is nvs",
    ("erase", "io/vault"): "`secrets` is nvs",
    ("life", "io/lock"): "board.profile is product",
    ("life", "online"): "secrets.wifi, and whether there is a radio",
    ("life", "person"): "board.led, board.button",
    ("life", "awake"): "board.sleep",
    ("life", "wake"): "board.sleep",
    ("app", "update"): "config['update']",
    ("life", "io/ota"): "config['update']",
    ("life", "trial"): "config['update']",
    ("startup", "core/part"): "life_days",
    ("startup", "store/calibration"): "a sensor that reads raw numbers",
    ("face", "calibration"): "a sensor that reads raw numbers",
    ("startup", "store/flashlog"): "whether `state` is a partition's label",
    ("startup", "store/recordfiles"): "whether `state` is a partition's label",
}


def modules_of(node: ast.ImportFrom, place: str) -> Iterator[str]:
    """The modules that a relative import loads, by their places."""
    base = place.split("/")[: -node.level]
    base += node.module.split(".") if node.module else []
    for alias in node.names:
        deeper = "/".join([*base, alias.name])
        yield deeper if deeper in SOURCES else "/".join(base)


def imports(place: str) -> Iterator[tuple[str, bool]]:
    """(module, whether that is at once) of each import in a module. What is for the type checker is none."""
    waiting: list[tuple[ast.AST, bool]] = [(ast.parse(SOURCES[place]), True)]
    while waiting:
        node, at_once = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.level:
            yield from ((module, at_once) for module in modules_of(node, place))
        inner = at_once and not isinstance(node, ast.FunctionDef)
        waiting += [(child, inner) for child in ast.iter_child_nodes(node)]


def crossings(config: dict[str, Any], board: boards.Board | None = None) -> Iterator[tuple[str, str, bool]]:
    """(importer that stays, module that is left out, whether that is at once)."""
    gone = {name for names in trim.left_out(config, board, SOURCES).values() for name in names}
    for place in set(SOURCES) - gone:
        yield from ((place, module, at_once) for module, at_once in imports(place) if module in gone)


@pytest.mark.parametrize("name", CONFIGS)
def test_what_stays_asks_before_it_imports_what_is_left_out(name: str) -> None:
    for importer, imported, at_once in crossings(CONFIGS[name]):
        assert not at_once, f"{importer} imports {imported} always"
        assert (importer, imported) in DOORS, f"{importer} imports {imported}"


def test_no_door_is_listed_that_nobody_needs() -> None:
    on_partition = boards.load("esp32_generic")
    found = {(importer, imported) for config in CONFIGS.values() for importer, imported, _ in crossings(config)}
    found |= {(importer, imported) for importer, imported, _ in crossings({**DRS, "state": "vfs"}, on_partition)}
    assert found == set(DOORS)


def test_every_module_of_the_table_is_there() -> None:
    listed = [module for part in trim.PARTS for module in part.modules]
    assert set(listed) <= set(SOURCES) and len(listed) == len(set(listed))


def test_what_a_configuration_uses_stays() -> None:
    cells = [{"driver": "hx711"}, {"driver": "file"}]
    full = {**FULL, "slots": [*FULL["slots"], {**SLOT, "sensor": {"driver": "composite", "sensors": cells}}]}
    gone = trim.left_out(full, None, SOURCES)
    named = {"the maker's gateway", "state on a raw partition", "secrets in NVS", "other sensors", "a product's closed serial line"}
    assert gone.keys() == named | {"Wi-Fi", "light and button", "deep sleep"}
    assert "secrets in NVS" not in trim.left_out({**FULL, "secrets": "nvs"}, None, SOURCES)
    assert "sensors/scaled" not in gone["other sensors"]
    assert "calibration of sensors" in trim.left_out(FULL, None, SOURCES)
    product = trim.left_out(CONFIGS["drs product"], None, SOURCES)
    assert product.keys() >= {"the self-test", "linking by a code, experimental"}
    assert "the Dash Replenishment Service" in trim.left_out(CONFIGS["gateway"], None, SOURCES)


def test_what_a_board_s_life_is_made_of_is_told_by_the_board() -> None:
    asleep = trim.left_out(CONFIGS["asleep"], boards.load("esp32_generic"), SOURCES)
    assert "staying awake" in asleep and not {"Wi-Fi", "light and button", "deep sleep"} & asleep.keys()
    lit = trim.left_out({**DRS, "board": {"led": {"pin": 2}}}, boards.load("qemu"), SOURCES)
    assert "light and button" not in lit and {"Wi-Fi", "deep sleep"} <= lit.keys()


def test_the_state_s_medium_is_told_by_the_board_s_partitions() -> None:
    board = boards.load("esp32_generic")
    assert "state on a raw partition" in trim.left_out(DRS, board, SOURCES)
    assert "state on a file system" in trim.left_out({**DRS, "state": "vfs"}, board, SOURCES)


def test_the_drivers_inside_of_others_count_and_what_they_import() -> None:
    sources = {f"sensors/{name}": "" for name in ("a", "b", "c", "base", "unused")} | {"sensors/a": "from .base import Sensor"}
    sensor = {"driver": "c", "sensors": [{"driver": "a"}, {"driver": "b"}]}
    config = {**DRS, "slots": [{"sensor": sensor}, {"sensor": None}]}
    assert trim.left_out(config, None, sources) == {"other sensors": ["sensors/unused"]}
