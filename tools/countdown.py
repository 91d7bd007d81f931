"""What an agent waits for, counted on while it waits: its events go through, and under them stands a line for each slot that waits.

    Coffee  low 3:12 of 10:00; first call in 7:41: cold start

The agent tells a wait once, with its dates (firmware/replenish/core/countdown.py); here the time goes on, from the date of the last
event. On what is no terminal only the events are printed.
"""

from __future__ import annotations

import time
import types
from collections.abc import Callable, Iterable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.live import Live
from rich.text import Text

from tools.run.logfmt import agent_event, parse_time

_SPANS = Path(__file__).resolve().parent.parent / "firmware" / "replenish" / "core" / "spans.py"
_A_SECOND_TIMES = 4  # so often is it drawn anew, so that no second is passed over


def _words() -> types.ModuleType:
    """The firmware's own words, by their place: the rest of the firmware needs MicroPython's modules."""
    loader = SourceFileLoader("replenish_spans", str(_SPANS))
    module = types.ModuleType(loader.name)
    loader.exec_module(module)
    return module


_told: Callable[[str, int, int, int], str] = _words().told


class Wait(NamedTuple):
    """Unix seconds of the agent's clock; 0 where there is none."""

    what: str
    since: int
    until: int


class Countdown:
    """Give it the agent's lines; `lines` are the waits as they are now."""

    def __init__(self, scale: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        """scale: seconds of the agent's clock in a real one; clock: real seconds, from any beginning."""
        self._scale, self._clock = scale, clock
        self._at, self._heard = 0, 0.0  # the agent's time at its last event, and when that came
        self._waits: dict[str, list[Wait]] = {}
        self._fault: str | None = None

    def take(self, line: str) -> None:
        """One line of the agent; what is no event changes nothing."""
        event = agent_event(line.strip(), 0)
        if event is None:
            return
        if event.time:
            self._at, self._heard = event.time, self._clock()
        if event.kind in ("boot", "start", "stop"):
            self._waits, self._fault = {}, None
        elif event.kind == "wait" and event.slot:
            self._waits[event.slot] = list(_waits({key: str(value) for key, value in event.fields.items()}))
        elif event.kind == "fault" and not event.slot and not event.fields.get("detail"):
            self._fault = str(event.fields["fault"]) if event.fields.get("fault") else None

    def lines(self) -> list[tuple[str, str]]:
        """(slot, or "device" for its fault; what it waits for), for each that waits."""
        now = self._at + int((self._clock() - self._heard) * self._scale) if self._at else 0
        told = [(slot, "; ".join(_told(*wait, now) for wait in waits)) for slot, waits in dict(self._waits).items() if waits]
        return ([("device", self._fault)] if self._fault else []) + told

    def __rich__(self) -> Text:
        lines = self.lines()
        width = max((len(name) for name, _ in lines), default=0)
        return Text("\n").join(Text.assemble((name.ljust(width), "bold"), "  ", (words, "cyan")) for name, words in lines)


def _waits(fields: dict[str, str]) -> Iterable[Wait]:
    number = ""
    while what := fields.get("what" + number):
        since, until = (fields.get(name + number) for name in ("since", "until"))
        yield Wait(what, parse_time(since) if since else 0, parse_time(until) if until else 0)
        number = str(int(number or 1) + 1)


def show(lines: Iterable[str], console: Console, scale: int = 1, paint: Callable[[str], Text] = Text) -> None:
    """Print the agent's lines as they come, on a terminal with the countdown under them, until they end; paint: how one looks."""
    if not console.is_terminal:
        for line in lines:
            console.file.write(line.rstrip("\r\n") + "\n")
            console.file.flush()
        return
    counting = Countdown(scale)
    with Live(counting, console=console, refresh_per_second=_A_SECOND_TIMES, transient=True):
        for line in lines:
            counting.take(line)
            console.print(paint(line.rstrip("\r\n")), soft_wrap=True)
