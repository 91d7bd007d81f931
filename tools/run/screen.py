"""The run on a terminal, or as plain text where there is none."""

import os
import signal
import sys
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from tools.run import gateway_summary, summary
from tools.run.events import Event
from tools.run.runner import Ended, Listener, Options
from tools.run.story import STORIES, Calendar
from tools.run.timeline import ASCII, UNICODE, WORDS, Timeline

_WIDTHS = (80, 120)
_WIDTH_WITHOUT_TERMINAL = 120
_PROGRESS_CELLS = 24


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Nobody reads any more, as after `| head`: end the run as Ctrl-C does, without another word."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        signal.raise_signal(signal.SIGTERM)


def make_console() -> Console:
    """rich's console: 80 to 120 columns; colours and a line in motion only on a terminal."""
    console = _Console(highlight=False)
    width = console.width if console.is_terminal else _WIDTH_WITHOUT_TERMINAL
    console.width = max(_WIDTHS[0], min(_WIDTHS[1], width))
    return console


class Screen(Listener):
    """Prints what a run tells."""

    def __init__(self, console: Console, options: Options) -> None:
        self._console = console
        self._options = options
        self._glyphs = UNICODE if console.encoding.startswith("utf") else ASCII
        self._timeline: Timeline | None = None
        self._calendar = Calendar(0)
        # Redrawn only when we say so: a thread of its own would draw while nothing has changed.
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *exception: object) -> None:
        self._still()

    def ready(self, url: str, calendar: Calendar) -> None:
        self._calendar = calendar
        self._timeline = Timeline(
            STORIES[self._options.backend].consumables, calendar, self._console.width, self._glyphs, WORDS[self._options.backend]
        )
        what = {"drs": "Simulated service", "gateway": "Gateway before a simulated store"}[self._options.backend]
        self._show([Text(f"{what} at {url}, agent under MicroPython, times as the household sees them.", "dim")])
        if self._live is not None:
            self._live.start()

    def event(self, event: Event) -> None:
        if self._timeline is not None:
            self._show(self._timeline.event(event))

    def passed(self, now: int) -> None:
        if self._timeline is None or now < self._calendar.start:
            return
        self._show(self._timeline.pass_to(now))
        if self._live is not None:
            self._live.update(self._progress(now), refresh=True)

    def finish(self, ended: Ended) -> None:
        """The summary, and what went wrong if anything did."""
        self._still()
        tables = {"drs": summary.tables, "gateway": gateway_summary.tables}[self._options.backend]
        self._show(tables(ended.report, self._glyphs))
        if ended.report["verdict"]:
            self._console.print(Text(f"\n{ended.report['verdict']}", "bold red"))
            if ended.report["agent_ended_by_itself"]:
                self._show([Text(f"  {line}") for line in ended.tail])

    def _still(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _progress(self, now: int) -> Text:
        share = (now - self._calendar.start) / (self._options.days * 86_400)
        done = min(_PROGRESS_CELLS, int(share * _PROGRESS_CELLS))
        cells = self._glyphs.full * done + self._glyphs.empty * (_PROGRESS_CELLS - done)
        moment = f" {self._calendar.moment(now)} of {self._options.days} days"
        return Text.assemble(("\n" + cells, "cyan"), moment, ("   Ctrl-C ends it", "dim"))

    def _show(self, lines: Iterable[RenderableType]) -> None:
        for line in lines:
            self._console.print(line)
