"""`make size`: bytes of .mpy for each module of the agent, against the budget.

The libraries are listed apart: the ESP32's stock image has them frozen in, so they are not the agent's own.
Exit status 1 when the agent is over the budget.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "build" / "unix" / "files.json"
# The agent with the DRS back end, MQTT and one sensor: it shares a 2 MiB file system with the application, and each
# byte of bytecode that is loaded is a byte of heap less.
BUDGET_BYTES = 40 * 1024
# An appliance keeps its state on one medium, and the other one's modules are never loaded. The budget is the stock image's.
STOCK = "a file system"
MEDIA = {
    STOCK: ("replenish/store/recordfiles",),
    "a raw partition": ("replenish/store/flashlog", "replenish/store/flashscan", "replenish/io/flash"),
}
# What is loaded for minutes in an appliance's life, or on the maker's bench only; the rest is what orders.
SELDOM = {
    "linking and erasing": ["link", "services/linking", "core/relink", "erase", "store/wiping", "services/registration", "manual"],
    "code-based linking, experimental": ["experimental_link", "services/experimental_cbl"],
    "the self-test and test orders": ["selftest", "testorders"],
}


def sizes(files: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes by module: the agent's own, and the libraries'."""
    own: dict[str, int] = {}
    libraries: dict[str, int] = {}
    for place, record in json.loads(files.read_text())["files"].items():
        if place.endswith(".mpy"):
            module = place.removeprefix("lib/").removesuffix(".mpy")
            kind = own if module.startswith("replenish/") else libraries
            kind[module] = record["bytes"]
    return own, libraries


def totals(own: dict[str, int]) -> dict[str, int]:
    """Bytes of the whole agent, by the medium that it keeps its state on."""
    media = {module for modules in MEDIA.values() for module in modules}
    common = sum(size for module, size in own.items() if module not in media)
    return {medium: common + sum(own.get(module, 0) for module in modules) for medium, modules in MEDIA.items()}


def table(own: dict[str, int], libraries: dict[str, int]) -> str:
    """The table that `make size` prints."""
    rows = [f"{module:36}{size:8,}" for module, size in sorted(own.items(), key=lambda item: -item[1])]
    for medium, total in totals(own).items():
        rows.append(f"{'the agent, state on ' + medium:36}{total:8,}  {total / BUDGET_BYTES:.0%} of the budget of {BUDGET_BYTES:,}")
    for part, modules in SELDOM.items():
        rows.append(f"{'of it ' + part:36}{sum(own.get('replenish/' + module, 0) for module in modules):8,}")
    rows += [f"{module:36}{size:8,}  library, frozen into the stock image" for module, size in sorted(libraries.items())]
    return "\n".join(rows)


def main() -> int:
    own, libraries = sizes(FILES)
    print(table(own, libraries))
    return 1 if totals(own)[STOCK] > BUDGET_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
