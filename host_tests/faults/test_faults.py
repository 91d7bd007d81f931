"""A part of what `make faults` does whole: the faults and the media that differ most, and of the slow ones the acts around an order."""

from __future__ import annotations

import pytest

from host_tests.faults.__main__ import INTERPRETER, run
from tools import toolchain

# (source, medium, mode, phases): the least number of faults, and of those that ended the act.
LEAST = {
    ("memory", "littlefs", "once", "ordered"): (3000, 2000),
    ("memory", "flashlog", "lasting", "ordered"): (2000, 2000),
    ("memory", "folder", "once", "blocked"): (2000, 2000),
    ("memory", "flashlog", "once", "cancelled"): (800, 700),  # by a notice
    ("memory", "littlefs", "once", "a notice answers"): (700, 600),  # of a lost call
    ("memory", "flashlog+cloud", "once", "used"): (2000, 500),  # by a command
    ("world", "littlefs", "once"): (3000, 700),
    ("world", "flashlog", "once"): (1000, 150),
    ("world", "folder", "once"): (500, 80),
    ("world", "folder", "lasting"): (500, 80),
    ("lines", "folder", "once", "ordered"): (2500, 2500),
}
# What `make test` has of them; the others are long.
SHORT = (
    ("memory", "littlefs", "once", "a notice answers"),
    ("world", "folder", "once"),
    ("world", "folder", "lasting"),
)
MOST_UNTOLD = 3  # reads that failed and that littlefs took for something else (README.md)


@pytest.mark.parametrize("told", [pytest.param(told, marks=() if told in SHORT else pytest.mark.long) for told in LEAST], ids=" ".join)
def test_a_fault_at_every_point_ends_in_one_order(told: tuple[str, ...]) -> None:
    if not INTERPRETER.exists() and not toolchain.must_have_32bit():
        pytest.skip(f"{INTERPRETER} is missing (make micropython32)")
    outcome = run(*told)
    assert not outcome.failed, outcome.text
    assert outcome.untold <= (MOST_UNTOLD if "littlefs" in told else 0), outcome.text
    assert outcome.faults >= LEAST[told][0]
    assert outcome.raised >= LEAST[told][1], "the faults did not happen"
