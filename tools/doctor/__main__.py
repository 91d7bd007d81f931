"""`make doctor`: CONFIG= or APPLIANCE= on this PC, or PORT= of a board. What it looks at, and sends: tools/doctor/__init__.py.

Exit status: 0 nothing is wrong; 1 something is; 2 it could not look; 130 broken off by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools import configuration
from tools.doctor import Finding, Patient, board, broker, network, ordering, slots

_SIGNS = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("–", "dim")}
_PLAIN_SIGNS = {True: ("ok", "green"), False: ("WRONG", "bold red"), None: ("-", "dim")}


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


def patient(values: dict[str, Any], secrets: dict[str, Any], hidden: frozenset[str] = frozenset()) -> Patient:
    anchors = {}
    for name in values["tls"]["ca"]:
        data = configuration.read_certificate(Path(name).read_bytes())
        anchors[Path(name).name] = data.public_bytes(Encoding.DER)
    return Patient(values, secrets, anchors, hidden)


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
            with closing(_of_board(options.port, Path(folder))) as found:
                yield found
        elif options.config:
            yield _of_pc(options.config, *read(options.config))
        else:
            yield _of_appliance(options.appliance, *read(_generated(options.appliance, options.serial, Path(folder))))


def _of_pc(path: Path, values: dict[str, Any], secrets: dict[str, Any]) -> Iterator[Finding]:
    yield Finding("configuration", True, f"{path.name} is right; profile {values['board']['profile']}")
    yield from findings(patient(values, secrets))
    yield from slots.check(path, values, secrets)


def _of_appliance(file: Path, values: dict[str, Any], secrets: dict[str, Any]) -> Iterator[Finding]:
    yield Finding("configuration", True, f"{file.name} is right; profile {values['board']['profile']}")
    yield from findings(patient(values, secrets))
    if values["backend"] == "drs":
        remedy = "ask one of them: make doctor PORT=, or CONFIG= on a PC"
        yield Finding("slot ids", None, "each unit learns of them when it is linked", remedy)
    for slot in slots.to_calibrate(values):
        said = f"{slot} has no level before a unit's sensor is calibrated"
        yield Finding("calibration", None, said, f"make calibrate SLOT={shlex.quote(slot)}")


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


def _of_board(port: str, folder: Path) -> Generator[Finding, None, None]:
    from tools.device import Device, DeviceError  # what it stands on is only there where boards are flashed

    try:
        with Device(port) as device:
            path = board.fetch(device, folder)
            values, secrets = read(path)
            yield Finding("configuration", True, f"config.json is right; profile {values['board']['profile']}")
            yield from board.check(device, values)
            hidden = board.hidden_secrets(device, values)
            has_radio = device.evaluate("__import__('sys').platform") == "esp32"
            yield board.check_secrets(values, hidden or secrets, has_radio, port)
            yield from findings(patient(values, secrets, hidden))
            yield from slots.check_board(device, values, json.loads(path.read_text())["state"], port)
            device.reset()
    except DeviceError as error:
        raise UnusableError(str(error)) from None


def show(console: Console, found: Iterable[Finding]) -> bool:
    """A line for each, as it is found; on a terminal what is too long goes on below its own beginning, and a remedy on a line of its
    own. Returns whether nothing is wrong."""
    signs = _SIGNS if console.encoding.lower().replace("-", "") == "utf8" else _PLAIN_SIGNS
    good = True
    for finding in found:
        sign, style = signs[finding.good]
        said = Text.assemble((finding.about, "bold"), ": ", finding.said)
        if finding.remedy and finding.good is not True:
            said.append(";\n" if console.is_terminal else "; ").append(finding.remedy, "yellow")
        said.append(".")
        if console.is_terminal:
            row = Table.grid(padding=(0, 1))
            row.add_row(Text(sign, style), said)
            console.print(row)
        else:
            console.print(Text.assemble((sign, style), " ", said), soft_wrap=True)
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
    except KeyboardInterrupt:
        print("\nBroken off: nothing was changed.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
