"""The drawings in the READMEs: made from the order table, and refused when they are stale."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import diagram

SOURCE = diagram.SOURCE.read_text()
TABLE = diagram.Table(SOURCE)
ARROW = re.compile(r"(\w+) --> (\w+) : (.+)$", re.MULTILINE)


def test_the_readmes_show_the_table_as_it_is() -> None:
    done = subprocess.run([sys.executable, "-m", "tools.diagram", "--check"], cwd=diagram.ROOT, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("path", diagram.PLACES, ids=lambda path: str(path.relative_to(diagram.ROOT)))
def test_a_changed_table_makes_each_readme_stale(path: Path) -> None:
    changed = diagram.Table(SOURCE.replace("----------------h-i-hi-", "------------------i-hi-"))
    assert changed.steps != TABLE.steps, "the row of awaiting_refill was found and changed"
    assert path in diagram.stale(changed)
    assert path not in diagram.stale(TABLE)


def test_a_readme_without_a_place_for_the_drawing_is_refused() -> None:
    with pytest.raises(ValueError, match="0 places"):
        diagram.renewed("# A title\n", "drawing")


def test_the_diagram_shows_every_event_that_leads_on_and_no_other() -> None:
    """Read back: an arrow at the frame stands for each state in it that has the event."""
    shown = set()
    frame = diagram.FRAME.replace(" ", "_")
    for before, after, events in ARROW.findall(diagram.mermaid(TABLE)):
        for event in events.split(", "):
            for state in diagram.FRAMED if before == frame else [before]:
                shown.add((state, event, after))
    wanted = set()
    for (before, event), after in TABLE.steps.items():
        word = event.lower().removesuffix("_ok").removeprefix("status_").replace("_", " ")
        if before != after:
            wanted.add((before, word, frame if after in diagram.FRAMED and before not in diagram.FRAMED else after))
    assert shown == wanted


def test_what_leads_out_of_one_framed_state_alone_is_drawn_at_that_state() -> None:
    row = "------------ppsrhdp----"  # placed
    lost = diagram.Table(SOURCE.replace(row, row[:17] + "-" + row[18:]))
    drawn = ARROW.findall(diagram.mermaid(lost))
    assert ("accepted", "in_doubt", "lost") in drawn and ("order_out", "in_doubt", "lost") not in drawn
