"""The agent's lines, read back: against the very code that writes them."""

import contextlib
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replenish.io.console import Console

from tools.run.events import Source
from tools.run.logfmt import agent_event, parse

NOW = 1_763_700_000
KEYS = st.from_regex(r"\A[a-z_][a-z0-9_]{0,10}\Z").filter(lambda key: key not in ("t", "event"))
# The bare word null stands for nothing; the agent cannot say the text "null".
VALUES = st.none() | st.integers() | st.text().filter(lambda text: text != "null")


def written(kind: str, pairs: list[tuple[str, Any]], now: int = NOW) -> str:
    """The line that the firmware prints."""
    out = io.StringIO(newline="\n")
    with contextlib.redirect_stdout(out):
        Console(False).show(now, kind, pairs)
    line = out.getvalue()
    assert line.endswith("\n")
    return line[:-1]


@given(st.dictionaries(KEYS, VALUES))
def test_what_the_firmware_writes_is_read_back(pairs: dict[str, Any]) -> None:
    line = written("call", list(pairs.items()))
    assert "\n" not in line
    read = parse(line)
    assert read.pop("t") == "2025-11-21T04:40:00Z"
    assert read.pop("event") == "call"
    assert read == {key: None if value is None else str(value) for key, value in pairs.items()}


ODD = ["", " ", 'say "hi"', "a=b", "back\\slash", "new\nline", "\x00", "gr\u00fcn \u2028 e\u0301", "\x85", "\U0001f600"]


@pytest.mark.parametrize("value", ODD)
def test_odd_values_are_read_back(value: str) -> None:
    assert parse(written("call", [("detail", value)]))["detail"] == value


@given(st.text())
def test_any_line_is_read_or_refused(line: str) -> None:
    event = agent_event(line, NOW)
    assert event is None or event.source is Source.AGENT


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Traceback (most recent call last):",
        "t=2025-11-21T04:40:00Z",
        "event=level",
        "t=yesterday event=level",
        "t=2025-11-21T04:40:00Z event=level level=many",
        "t=2025-11-21T04:40:00Z event=null",
        "t=2025-11-21T04:40:00Z event=level ",
        "t=2025-11-21T04:40:00Z  event=level",
        't=2025-11-21T04:40:00Z event=level unit="g',
        't=2025-11-21T04:40:00Z event=level unit="g"-x=1',
        't=2025-11-21T04:40:00Z event=level unit="a\tb"',
        't=2025-11-21T04:40:00Z event=level unit=g"',
        "t=2025-11-21T04:40:00Z event=level unit=",
        "t=2025-11-21T04:40:00Z event=level level=1 level=2",
    ],
)
def test_what_is_no_event_is_told_apart(line: str) -> None:
    assert agent_event(line, NOW) is None


def test_an_event_has_its_time_its_slot_and_its_numbers() -> None:
    event = agent_event(written("level", [("slot", "Coffee"), ("level", 612.5), ("capacity", 1000), ("unit", "g"), ("id", "7")]), 0)
    assert event is not None
    assert (event.time, event.kind, event.slot) == (NOW, "level", "Coffee")
    assert event.fields == {"level": 612.5, "capacity": 1000, "unit": "g", "id": "7"}


def test_an_agent_without_a_valid_time_is_heard_too() -> None:
    event = agent_event(written("fault", [("fault", "no_valid_time")], now=0), NOW)
    assert event is not None
    assert event.time == NOW
