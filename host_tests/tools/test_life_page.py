"""firmware/README.md's tables of a board's life: every state of the light, in the order in which one is chosen, every reset cause."""

from __future__ import annotations

import ast
import re
from pathlib import Path

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
SECTION = (FIRMWARE / "README.md").read_text().split("\n## On a board\n")[1].split("\n## ")[0]


def table(module: str, name: str) -> list[tuple[str, str]]:
    """What a table of the firmware holds, as pairs of texts."""
    for node in ast.parse((FIRMWARE / "replenish" / module).read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return [(str(row[0]), str(row[1])) for row in ast.literal_eval(node.value)]
    raise AssertionError(f"{module} has no {name}")


def rows(part: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", SECTION.split(f"### {part}")[1].split("\n### ")[0], re.MULTILINE)


def test_every_state_of_the_light_is_explained_in_its_order() -> None:
    assert rows("Light and button") == [state for state, _ in table("core/light.py", "_TABLE")]


def test_every_cause_is_explained() -> None:
    words = {word for _, word in table("io/chip.py", "_CAUSES")} | {"brown_out", "restart", "unknown_N"}
    assert set(rows("Starts")) == words
    assert all(f"`{word}`" in SECTION for _, word in table("io/chip.py", "_WAKES"))
