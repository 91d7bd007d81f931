"""`make doctor`: CONFIG= or APPLIANCE= on this PC, or PORT= of a board. What it looks at, and sends: tools/doctor/__init__.py.

Exit status: 0 nothing is wrong; 1 something is; 2 it could not look.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from rich.console import Console
from rich.text import Text

from tools import configuration
from tools.doctor import Finding, Patient, board, broker, network, ordering, slots

_SIGNS = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("–", "dim")}
_PLAIN_SIGNS = {True: "ok", False: "WRONG", None: "-"}


class UnusableError(Exception):
    """Nothing can be looked at; the message is for a person."""


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.doctor", description="What keeps a device from ordering, and what to do.")
    of = parser.add_mutually_exclusive_group(required=True)
    of.add_argument("--config", type=Path, help="a configuration on this PC")
    of.add_argument("--appliance", type=Path, help="an appliance file")
    of.add_argument("--port", help="a board's serial port")
    parser.add_argument("--serial", help="with --appliance: this unit's serial, if the file has none or another")
    return parser.parse_args(argv)


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(configuration, secrets), judged, with all defaults. Raises UnusableError with every fault."""
    values, faults = configuration.load(path)
    if faults:
        raise UnusableError("\n".join(faults))
    secrets = values["secrets"]
    return values, {} if secrets == "nvs" else json.loads(Path(secrets).read_text())


def patient(values: dict[str, Any], secrets: dict[str, Any]) -> Patient:
    anchors = {}
    for name in values["tls"]["ca"]:
        data = configuration.read_certificate(Path(name).read_bytes())
        anchors[Path(name).name] = data.public_bytes(Encoding.DER)
    return Patient(values, secrets, anchors)


def findings(whom: Patient) -> Iterator[Finding]:
    """All that can be looked at from here."""
    yield from network.check_names(whom)
    yield from network.check_anchors(whom)
    yield from network.check_tls(whom)
    yield from network.check_ntp(whom)
    yield from ordering.check(whom)
    yield from broker.check(whom)


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[Iterable[Finding]]:
    """What is found, while it can be looked at. Raises UnusableError."""
    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        if options.port:
            yield _of_board(options.port, Path(folder))
        else:
            path = options.config or _generated(options.appliance, options.serial, Path(folder))
            values, secrets = read(path)
            yield _of_pc(path, values, secrets)


def _of_pc(path: Path, values: dict[str, Any], secrets: dict[str, Any]) -> Iterator[Finding]:
    yield Finding("configuration", True, f"{path.name} is right; profile {values['board']['profile']}")
    yield from findings(patient(values, secrets))
    yield slots.check(path, values, secrets)


def _generated(appliance: Path, serial: str | None, folder: Path) -> Path:
    """The configuration of an appliance file; its paths count from there, so they are made whole."""
    from tools.appliance import ApplianceError  # it reads the boards
    from tools.appliance import configuration as of

    try:
        values = of(appliance, serial)
    except (ApplianceError, OSError) as error:
        raise UnusableError(str(error)) from None
    values["device"].setdefault("serial", "UNKNOWN")  # each unit gets its own later
    here = appliance.resolve().parent
    tls = values["tls"]
    tls["ca"] = [str(here / name) for name in tls["ca"]]
    for key in ("certificate", "key"):
        tls[key] = tls.get(key) and str(here / tls[key])
    if values.get("update"):
        values["update"]["keys"] = [str(here / name) for name in values["update"]["keys"]]
    for key in ("state", "secrets"):
        values[key] = values[key] if values[key] == "nvs" else str(here / values[key])
    path = folder / "config.json"
    path.write_text(json.dumps(values))
    return path


def _of_board(port: str, folder: Path) -> Iterator[Finding]:
    from tools.device import Device, DeviceError  # what it stands on is only there where boards are flashed

    try:
        with Device(port) as device:
            path = board.fetch(device, folder)
            values, secrets = read(path)
            yield Finding("configuration", True, f"config.json is right, {len(values['slots'])} slots")
            yield from board.check(device, values)
            yield from findings(patient(values, secrets))
            device.reset()
    except DeviceError as error:
        raise UnusableError(str(error)) from None


def show(console: Console, found: Iterable[Finding]) -> bool:
    """A line for each, as it is found. Returns whether nothing is wrong."""
    good = True
    for finding in found:
        sign, style = _SIGNS[finding.good]
        if console.encoding.lower().replace("-", "") != "utf8":
            sign = _PLAIN_SIGNS[finding.good]
        line = Text.assemble((sign, style), " ", (finding.about, "bold"), ": ", finding.said)
        if finding.remedy and finding.good is not True:
            line.append(f"; {finding.remedy}", "yellow")
        console.print(line.append("."), soft_wrap=True)
        good = good and finding.good is not False
    return good


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    console = Console(file=sys.stdout, no_color=True if os.environ.get("NO_COLOR") else None)
    try:
        with opened(options) as found:
            return 0 if show(console, found) else 1
    except UnusableError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
