"""The layers of the firmware: imports point inward only, and only the outer layers know the machine and the network."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware" / "replenish"

NETWORK = frozenset(
    "machine network socket tls ssl select esp esp32 ntptime requests umqtt umqtt.simple umqtt.robust asyncio bluetooth".split()
)


@dataclass(frozen=True)
class Layer:
    """What the modules of one folder may import: our own by their dotted names (a folder: all in it), and MicroPython's."""

    ours: tuple[str, ...]
    theirs: frozenset[str]
    time: tuple[str, ...] | None = None  # which names of `time`; None: all of it


CORE = frozenset("struct binascii json micropython".split())
LAYERS = {
    # The core has no clock: the calendar and ticks arithmetic are all of `time` that it may use.
    "core": Layer(("core",), CORE | {"time", "hashlib"}, ("gmtime", "ticks_diff", "ticks_add")),
    "services": Layer(("core", "services"), frozenset({"binascii", "hashlib", "json", "micropython"})),
    "store": Layer(("core", "store"), CORE | {"os"}),
    "sensors": Layer(("core", "sensors"), frozenset("machine time struct micropython".split())),
    # An adapter hands back what the services read: an Answer; UDP has no other reader than ntp's.
    "io": Layer(
        ("core", "io", "services.call", "services.ntp"),
        CORE | NETWORK | frozenset("errno gc hashlib io os sys time vfs".split()),
    ),
    # The composition root: app, startup and what belongs to no layer.
    "": Layer(
        ("core", "services", "store", "sensors", "io")
        + tuple(
            "access answering app asking awake calibration calls cloud commands config discovery erase experimental_link expiry".split()
            + "face following inbox life link manual obeying online ordering person safemode selftest settling startup".split()
            + "state testorders trial update version wake".split()
        ),
        CORE | frozenset("gc loader sys time _thread".split()),
    ),
}
# Modules that are given by name, so that no import statement shows them: the driver of a sensor, and our copies of libraries.
DYNAMIC: dict[str, set[str | None]] = {"startup.py": {None}, "io/http.py": {"requests"}, "io/mqtt.py": {"umqtt.simple"}}


def imports(tree: ast.AST, package: list[str]) -> Iterator[tuple[str, list[str], int]]:
    """(dotted module, names taken from it, line) of every import, wherever it stands; ours without the package's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, [], node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = ["replenish", *package[: len(package) - node.level + 1]] if node.level else []
            module = ".".join(base + (node.module.split(".") if node.module else []))
            yield module, [alias.name for alias in node.names], node.lineno


def dynamic(tree: ast.AST) -> Iterator[tuple[str | None, int]]:
    """(name, or None when it is computed, line) of every `__import__`, `import_module` and `exec`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("__import__", "import_module", "exec", "eval"):
            given = node.args[0] if node.args else None
            yield (str(given.value) if isinstance(given, ast.Constant) else None), node.lineno


def within(module: str, allowed: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(place + ".") for place in allowed)


def faults(firmware: Path) -> list[str]:
    """One sentence for every import that points outward, and for every module in a folder that is no layer."""
    found = []
    for file in sorted(firmware.rglob("*.py")):
        parts = list(file.relative_to(firmware).parts)
        name, folder = "/".join(parts), parts[0] if len(parts) > 1 else ""
        if folder not in LAYERS:
            found.append(f"{name}: the folder {folder} is no layer")
            continue
        tree = ast.parse(file.read_text())
        found += [f"{name}:{line}: {what}" for what, line in _outward(tree, parts[:-1], LAYERS[folder])]
        found += [f"{name}:{line}: imports {what}" for what, line in dynamic(tree) if what not in DYNAMIC.get(name, set())]
    return found


def _outward(tree: ast.AST, package: list[str], layer: Layer) -> Iterator[tuple[str, int]]:
    for module, names, line in imports(tree, package):
        if module.split(".")[0] == "replenish":
            inner = module.removeprefix("replenish").removeprefix(".")
            # `from . import a` takes modules; `from .a import b` takes names of one.
            wanted = (
                [inner] if inner and within(inner, layer.ours) else [f"{inner}.{taken}".strip(".") for taken in names] or ["replenish"]
            )
            for target in wanted:
                if not within(target, layer.ours):
                    yield f"imports {target}", line
        elif module not in layer.theirs:
            yield f"imports {module}", line
        elif module == "time" and layer.time is not None:
            for taken in set(names or ["time"]) - set(layer.time):
                yield f"imports {taken} of time", line


def test_every_arrow_points_inward() -> None:
    assert faults(FIRMWARE) == []


def test_no_layer_is_empty() -> None:
    for folder in LAYERS:
        assert list((FIRMWARE / folder).glob("*.py")), folder


def test_only_io_knows_the_network() -> None:
    for folder, layer in LAYERS.items():
        if folder != "io":
            assert not layer.theirs & (NETWORK - {"machine"}), folder
            assert "machine" not in layer.theirs or folder == "sensors"


PLANTED = [
    ("core/a.py", "import time", "imports time of time"),
    ("core/a.py", "from time import time", "imports time of time"),
    ("core/a.py", "from time import gmtime, ticks_ms", "imports ticks_ms of time"),
    ("core/a.py", "import os", "imports os"),
    ("core/a.py", "import random", "imports random"),
    ("core/a.py", "def f():\n    import socket", "imports socket"),
    ("core/a.py", "from ..services import call", "imports services.call"),
    ("core/a.py", "from ..services.call import OK", "imports services.call.OK"),
    ("core/a.py", "from ..store.ledger import Ledger", "imports store.ledger.Ledger"),
    ("core/a.py", "from .. import app", "imports app"),
    ("core/a.py", "from ..app import Agent", "imports app.Agent"),
    ("core/a.py", "from replenish.io import clock", "imports io.clock"),
    ("core/a.py", "import replenish.io.clock", "imports replenish"),
    ("core/a.py", "__import__('socket')", "imports socket"),
    ("core/a.py", "__import__(name)", "imports None"),
    ("services/a.py", "import struct", "imports struct"),
    ("services/a.py", "import requests", "imports requests"),
    ("services/a.py", "from ..io import http", "imports io.http"),
    ("services/a.py", "from ..store import ledger", "imports store.ledger"),
    ("store/a.py", "from ..services import call", "imports services.call"),
    ("store/a.py", "import network", "imports network"),
    ("sensors/a.py", "import socket", "imports socket"),
    ("sensors/a.py", "from ..io import clock", "imports io.clock"),
    ("io/a.py", "from ..services import drs", "imports services.drs"),
    ("io/a.py", "from ..services.lwa import read", "imports services.lwa.read"),
    ("io/a.py", "from ..store import ledger", "imports store.ledger"),
    ("io/a.py", "from .. import app", "imports app"),
    ("app.py", "import socket", "imports socket"),
    ("app.py", "import machine", "imports machine"),
    ("app.py", "from umqtt.simple import MQTTClient", "imports umqtt.simple"),
    ("helpers/a.py", "", "the folder helpers is no layer"),
]


@pytest.mark.parametrize(("name", "text", "said"), PLANTED)
def test_a_planted_arrow_is_found(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text + "\n")
    found = faults(tmp_path)
    assert len(found) == 1 and found[0].startswith(name) and found[0].endswith(said), found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("core/a.py", "from time import gmtime, ticks_diff\nfrom . import order as o\nfrom .slot import FULL\nimport struct"),
        ("services/a.py", "import json\nfrom ..core import order, isotime\nfrom . import call\nfrom .call import OK"),
        (
            "io/a.py",
            "import socket, tls, machine\nfrom ..services.call import Answer\nfrom ..services import call\nfrom .clock import Clock",
        ),
        ("sensors/a.py", "from machine import Pin\nfrom ..core.errors import StoreError"),
        ("app.py", "from .core import order\nfrom .io.http import Client\nfrom .services import drs\nimport _thread"),
    ],
)
def test_what_is_allowed_is_not_reported(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text + "\n")
    assert faults(tmp_path) == []
