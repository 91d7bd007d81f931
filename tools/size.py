"""`make size`: bytes of .mpy for each module of the agent, against the budget and the last release.

    python -m tools.size [--record]

What counts is one appliance's firmware, built as a product: the Dash Replenishment Service, MQTT and one sensor, with what that never
uses left out (trim.py). --record writes tools/sizes.json, with which later builds are compared: once for each release. The libraries
are listed apart: the ESP32's stock image has them frozen in, so they are not the agent's own. Exit status 1 over the budget.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tools import boards, build, slot, trim

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "build" / "unix" / "files.json"
RELEASE = ROOT / "tools" / "sizes.json"
# The agent with the DRS back end, MQTT and one sensor: it shares a 2 MiB file system with the application, and each
# byte of bytecode that is loaded is a byte of heap less.
BUDGET_BYTES = 40 * 1024
BOARD = "esp32_generic"
APPLIANCE: dict[str, Any] = {
    "backend": "drs",
    "board": {"profile": "product"},
    "mqtt": {"host": "broker.example.com"},
    "state": "state",
    "secrets": "nvs",
    "slots": [{"id": "Coffee", "sensor": {"driver": "hx711"}}],
}
# What is loaded for minutes in an appliance's life; the rest is what orders.
SELDOM = {
    "linking and erasing": ["link", "services/linking", "core/relink", "erase", "store/wiping", "services/registration", "manual"],
    "updates": ["update", "core/bundle", "io/slotfiles", "io/pieces"],
    "calibration": ["calibration", "store/calibration"],
}


def sizes(files: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes by module: the agent's own, by its place in the package, and the others', the libraries and the loader."""
    own: dict[str, int] = {}
    others: dict[str, int] = {}
    for place, record in json.loads(files.read_text())["files"].items():
        if place.endswith(".mpy"):
            module = place.removeprefix("lib/").removesuffix(".mpy")
            if module.startswith("replenish/"):
                own[module.removeprefix("replenish/")] = record["bytes"]
            else:
                others[module] = record["bytes"]
    return own, others


def of_appliance(own: dict[str, int]) -> dict[str, int]:
    """The modules of APPLIANCE alone."""
    sources = trim.sources_of(build.FIRMWARE / "replenish")
    parts = trim.left_out(APPLIANCE, boards.load(BOARD), sources)
    gone = {name for names in parts.values() for name in names}
    return {module: size for module, size in own.items() if module not in gone}


def released(file: Path) -> tuple[str, dict[str, int]]:
    """The last release's version and its sizes."""
    record = json.loads(file.read_text())
    return str(record["version"]), dict(record["sizes"])


def change(before: int | None, now: int | None) -> str:
    """What became of a module, in bytes; nothing where nothing did."""
    if before is None:
        return "new"
    if now is None:
        return f"gone, was {before:,}"
    return f"{now - before:+,}" if now != before else ""


def table(counted: dict[str, int], others: dict[str, int], version: str, before: dict[str, int]) -> str:
    """The table that `make size` prints."""
    rows = [f"{'module':36}{'bytes':>8}  since {version}"]
    for module, size in sorted(counted.items(), key=lambda item: -item[1]):
        rows.append(f"{module:36}{size:8,}  {change(before.get(module), size)}".rstrip())
    rows += [f"{module:36}{'-':>8}  {change(before[module], None)}" for module in sorted(set(before) - set(counted))]
    total, was = sum(counted.values()), sum(before.values())
    share = f"{total / BUDGET_BYTES:.0%} of the budget of {BUDGET_BYTES:,}"
    rows.append(f"{'DRS, MQTT, one sensor, as a product':36}{total:8,}  {total - was:+,}; {share}")
    for part, modules in SELDOM.items():
        rows.append(f"{'of it ' + part:36}{sum(counted.get(module, 0) for module in modules):8,}")
    rows += [f"{module:36}{size:8,}  not counted" for module, size in sorted(others.items())]
    return "\n".join(rows)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.size", description="Bytes of .mpy against budget and last release.")
    parser.add_argument("--record", action="store_true", help="write tools/sizes.json: these are the sizes of a release")
    options = parser.parse_args(argv)
    own, others = sizes(FILES)
    counted = of_appliance(own)
    if options.record:
        version = ".".join(map(str, slot.firmware_version(build.FIRMWARE)))
        RELEASE.write_text(json.dumps({"version": version, "sizes": counted}, indent=1, sort_keys=True) + "\n")
    print(table(counted, others, *released(RELEASE)))
    return 1 if sum(counted.values()) > BUDGET_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
