"""`make diagram`: the order machine drawn in the READMEs, from the one table in firmware/replenish/core/order.py.

A Mermaid diagram in the top README, a table in the firmware's. Both stand between two comments that name this program; `--check`
writes nothing and has exit status 1 when what stands there is not what the table says.

The diagram is for reading: events that leave a state as it is are left out, arrows between the same two states are one, and the
states of an order that is out share a frame, because what ends one of them ends all. The table leaves out nothing but the former.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from pathlib import Path

from tools import fold

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "firmware" / "replenish" / "core" / "order.py"
FRAME = "order out"  # no state's name has a space
FRAMED = ("accepted", "awaiting_customer", "placed", "shipped")

Steps = dict[tuple[str, str], str]  # (state, event): next state, by their names


def assigned(source: str, name: str) -> str:
    """The string that a module's text gives to `name`."""
    found = [node.value for node in ast.parse(source).body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name]
    return str(ast.literal_eval(found[0]))


class Table:
    """The order table as its source says it."""

    def __init__(self, source: str) -> None:
        names = list(fold.constants(source))
        self.letters = assigned(source, "_LETTERS")
        self.states = assigned(source, "_STATES").split()
        self.events = names[names.index("INTENT") : names.index("LIMITED") + 1]
        text = assigned(source, "_TABLE")
        self.rows = [text[at : at + len(self.events)] for at in range(0, len(text), len(self.events))]
        self.steps: Steps = {
            (state, event): self.states[self.letters.index(letter)]
            for state, row in zip(self.states, self.rows, strict=True)
            for event, letter in zip(self.events, row, strict=True)
            if letter != "-"
        }


def _arrows(table: Table) -> dict[tuple[str, str], list[str]]:
    """(from, to): events. An event that leads out of every framed state to the same one, and one that leads into them from
    outside, is drawn at the frame."""
    found: dict[tuple[str, str], list[str]] = {}
    for (before, event), after in table.steps.items():
        start = FRAME if before in FRAMED and after not in FRAMED else before
        end = FRAME if after in FRAMED and before not in FRAMED else after
        if start == FRAME and {table.steps.get((state, event)) for state in FRAMED} != {after}:
            start = before
        if before != after and event not in found.setdefault((start, end), []):
            found[start, end].append(event)
    return found


def _label(event: str) -> str:
    return event.lower().removesuffix("_ok").removeprefix("status_").replace("_", " ")


def _node(name: str) -> str:
    return name.replace(" ", "_")


def mermaid(table: Table) -> str:
    """The diagram, as GitHub and other forges draw it."""
    inside: list[str] = []
    outside: list[str] = []
    for (before, after), events in _arrows(table).items():
        lines = inside if before in FRAMED and after in FRAMED else outside
        lines.append(f"{_node(before)} --> {_node(after)} : {', '.join(_label(event) for event in events)}")
    frame = [f'    state "{FRAME}" as {_node(FRAME)} {{', *(f"        {line}" for line in inside), "    }"]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> idle", *frame, *(f"    {line}" for line in outside), "```"])


def rows(table: Table) -> str:
    """The table for firmware/README.md: each state, and every event that leads on."""
    lines = ["| state | events that lead on |", "| --- | --- |"]
    for state in table.states:
        on = [f"`{event}` → {after}" for (before, event), after in table.steps.items() if before == state != after]
        lines.append(f"| `{state}` | {'<br>'.join(on)} |")
    return "\n".join(lines)


PLACES = {ROOT / "README.md": mermaid, ROOT / "firmware" / "README.md": rows}
_BETWEEN = re.compile(r"(<!-- `make diagram` writes this -->\n\n).*?(\n\n<!-- to here -->)", re.DOTALL)


def renewed(text: str, drawing: str) -> str:
    """`text` with the drawing between the comments. Raises ValueError when there is not exactly one such place."""
    new, places = _BETWEEN.subn(lambda match: match[1] + drawing + match[2], text)
    if places != 1:
        raise ValueError(f"{places} places for the drawing: one wanted")
    return new


def stale(table: Table) -> dict[Path, str]:
    """{README: its new text} of those that do not show the table as it is."""
    texts = {path: (path.read_text(), renewed(path.read_text(), draw(table))) for path, draw in PLACES.items()}
    return {path: new for path, (old, new) in texts.items() if old != new}


def main() -> int:
    parser = argparse.ArgumentParser(description="Draw the order machine in the READMEs, from its table.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a README is stale")
    only_check = parser.parse_args().check
    found = stale(Table(SOURCE.read_text()))
    for path, text in found.items():
        print(f"{path.relative_to(ROOT)}: {'stale: run `make diagram`' if only_check else 'drawn'}")
        if not only_check:
            path.write_text(text)
    return 1 if found and only_check else 0


if __name__ == "__main__":
    sys.exit(main())
