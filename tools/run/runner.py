"""The run itself: the simulator, the household and the agent, side by side in virtual time."""

import asyncio
import contextlib
import json
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tools.run import appliance
from tools.run.backend import DRS
from tools.run.events import Event, Sequencer, Source
from tools.run.gateway import Gateway
from tools.run.household import Household
from tools.run.logfmt import agent_event
from tools.run.story import DAY_S, STORIES, Calendar, Story
from tools.run.summary import Ending, Facts, Tally
from tools.simulator import Clock, Simulator

EVENTS_FILE = "events.jsonl"
SUMMARY_FILE = "summary.json"
# How often the household lives on, in real seconds: 15 minutes of its time at the usual speed.
_TICK_S = 0.02
# An event is told so long after its time, in real seconds: all that is older has surely arrived by then.
_LATE_S = 0.25
BACKENDS: dict[str, Any] = {"drs": DRS, "gateway": Gateway}
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Options:
    """What the person chose. `folder` gets all that the run writes; `notices`: by the cloud, else polling alone;
    `backend`: of the appliance."""

    days: int
    time_scale: int
    seed: int
    folder: Path
    notices: bool = True
    backend: str = "drs"


@dataclass
class Ended:
    """How it went: the report, and the agent's last lines."""

    report: dict[str, Any]
    tail: list[str] = field(default_factory=list)


class Listener:
    """What a run tells while it goes on; the console's side of it overrides what it wants to show."""

    def ready(self, url: str, calendar: Calendar) -> None:
        """The service listens."""

    def event(self, event: Event) -> None:
        """Something happened; events come in the order of their times."""

    def passed(self, now: int) -> None:
        """It is `now`, in virtual Unix seconds, and all events until a moment before have been told."""


class Record:
    """All events, in order: kept in the file, counted, and told."""

    def __init__(self, file: IO[str], listener: Listener, story: Story) -> None:
        self.tally = Tally(story)
        self.sequencer = Sequencer()
        self._file = file
        self._listener = listener

    def release(self, until: int | None = None) -> None:
        """Take the events up to `until` out of the sequence."""
        for event in self.sequencer.take(until):
            self._file.write(json.dumps(event.as_json()) + "\n")
            self.tally.add(event)
            self._listener.event(event)


class Run:
    """One run, once the simulator and the cloud listen."""

    def __init__(self, sim: Simulator, record: Record, options: Options, address: Any) -> None:
        """`address`: what the back end's cloud said."""
        self.calendar = Calendar(sim.clock.now())
        self.folder = options.folder / "appliance"
        self.end = self.calendar.start + options.days * DAY_S
        self._record = record
        self._options = options
        self._sim = sim
        kind = BACKENDS[options.backend]
        self._household = Household(kind.story.consumables, options.seed, self.calendar)
        self.backend = kind(sim, record.sequencer.put, self._household, address)

    def set_up(self) -> Path:
        """Write the appliance's files; returns its configuration."""
        for slot in self._household.supplies:
            self._write_level(slot)
        return appliance.write_configuration(self.folder, *self.backend.files())

    async def live(self, agent: appliance.AgentProcess, stop: asyncio.Event, listener: Listener) -> None:
        """Let time pass until the days are over, the agent has ended, or `stop` is set."""
        late = round(_LATE_S * self._options.time_scale)
        stopping = asyncio.create_task(stop.wait())
        while (now := self.advance()) < self.end and not stopping.done() and not agent.ended.done():
            self._record.release(now - late)
            listener.passed(now - late)
            await asyncio.wait({stopping, agent.ended}, timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()

    def advance(self) -> int:
        """Let the service and the household live until now, but not beyond the end; returns the time."""
        now = min(self.backend.advance(), self.end)
        for event in self._household.advance(now):
            self.backend.act(event)
            if event.source is Source.HOUSEHOLD and event.slot is not None:
                self._write_level(event.slot)
        return now

    def on_line(self, line: str) -> None:
        """The agent printed a line; what is no event is kept as it is."""
        now = self._sim.clock.now()
        event = agent_event(line, now) or Event(now, Source.AGENT, "output", None, {"line": line})
        self._record.sequencer.put(event)

    def _write_level(self, slot: str) -> None:
        appliance.write_level(self.folder, slot, self._household.supplies[slot].reading)


def prepare_folder(folder: Path) -> None:
    """An empty folder for the appliance, and no events of an earlier run."""
    shutil.rmtree(folder / "appliance", ignore_errors=True)
    (folder / "appliance").mkdir(parents=True)
    (folder / SUMMARY_FILE).unlink(missing_ok=True)


async def run(options: Options, listener: Listener, asked: Sequence[int] = ()) -> Ended:
    """Run the story to its end, or until a signal asks for the end; asked: the signals that did before this began."""
    stop = asyncio.Event()
    for number in _STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if asked:
        stop.set()
    prepare_folder(options.folder)
    started = time.monotonic()
    clock = Clock(int(time.time()), options.time_scale)
    path = options.folder / EVENTS_FILE
    with path.open("w", encoding="utf-8") as file:
        record = Record(file, listener, STORIES[options.backend])
        async with contextlib.AsyncExitStack() as stack:
            sim = await stack.enter_async_context(Simulator(clock, options.seed, options.folder / "ca"))
            opened = BACKENDS[options.backend].cloud(sim, options.folder / "cloud", options.notices)
            story = Run(sim, record, options, await stack.enter_async_context(opened))
            ended = await _tell(sim, story, record, options, listener, stop, lambda: time.monotonic() - started)
    _keep(options.folder / SUMMARY_FILE, ended.report)
    return ended


async def _tell(
    sim: Simulator,
    story: Run,
    record: Record,
    options: Options,
    listener: Listener,
    stop: asyncio.Event,
    seconds: Callable[[], float],
) -> Ended:
    config = story.set_up()
    listener.ready(sim.url, story.calendar)
    agent = await appliance.AgentProcess.start(config, story.on_line)
    try:
        await story.live(agent, stop, listener)
    finally:
        by_itself = agent.ended.done()
        status = await agent.stop()
    await story.backend.settle()
    end = story.advance()
    record.release()
    events = str(options.folder / EVENTS_FILE)
    facts = Facts(story.calendar.start, end, seconds(), options.time_scale, options.seed, appliance.heap(), events, options.notices)
    ending = Ending(status, by_itself, interrupted=stop.is_set())
    return Ended(story.backend.report(record.tally, ending, facts), list(agent.tail))


def _keep(path: Path, report: dict[str, Any]) -> None:
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
