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
from tools.run.cloud import Address, cloud
from tools.run.events import RELAY_ENDPOINTS, Event, Sequencer, Source
from tools.run.household import Household
from tools.run.logfmt import agent_event
from tools.run.story import CONSUMABLES, DAY_S, Calendar
from tools.run.summary import Ending, Facts, Tally, report
from tools.simulator import Clock, Simulator
from tools.simulator.calls import Call
from tools.simulator.journal import Event as ServiceEvent
from tools.simulator.lwa import CLIENT_ID, CLIENT_SECRET
from tools.simulator.subscriptions import DeliveryState, TopicDelivery

EVENTS_FILE = "events.jsonl"
SUMMARY_FILE = "summary.json"
# How often the household lives on, in real seconds: 15 minutes of its time at the usual speed.
_TICK_S = 0.02
# An event is told so long after its time, in real seconds: all that is older has surely arrived by then.
_LATE_S = 0.25
# An hour is 83 ms at the usual speed: a token would be old before it is used. Not a whole day: of the daily reports one
# would then always meet a token that runs out during the call.
_ACCESS_TOKEN_S = 23 * 3600
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Options:
    """What the person chose. `folder` gets all that the run writes; `notices`: by the cloud, else polling alone."""

    days: int
    time_scale: int
    seed: int
    folder: Path
    notices: bool = True


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

    def __init__(self, file: IO[str], listener: Listener) -> None:
        self.tally = Tally()
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
    """One run, once the simulator listens."""

    def __init__(self, sim: Simulator, record: Record, options: Options) -> None:
        self.calendar = Calendar(sim.clock.now())
        self.folder = options.folder / "appliance"
        self.end = self.calendar.start + options.days * DAY_S
        self._sim = sim
        self._record = record
        self._options = options
        self._household = Household(CONSUMABLES, options.seed, self.calendar)
        self._listen()

    def _listen(self) -> None:
        self._sim.events.subscribe(self._on_service)
        self._sim.calls.subscribe(self._on_call)
        self._sim.deliveries.subscribe(self._on_delivery)

    def set_up(self, address: Address | None) -> Path:
        """Register the appliance with the service and write its files; returns its configuration. `address`: of the cloud."""
        sim = self._sim
        # The older words tell a placed order from one that waits for its customer; the newer ones do not.
        sim.settings.change(access_token_s=_ACCESS_TOKEN_S, status_generation="older")
        slots = {consumable.id: True for consumable in CONSUMABLES}
        refresh_token = sim.add_device(appliance.SERIAL, appliance.MODEL, slots)
        for consumable in CONSUMABLES:
            sim.set_scenarios(consumable.id, consumable.scenarios, serial=appliance.SERIAL)
            self._write_level(consumable.id)
        clock = (sim.clock.scale_from, sim.clock.time_scale)
        cas = [sim.ca_der.resolve()] + ([address.ca.resolve()] if address else [])
        config = appliance.configuration(CONSUMABLES, sim.url, cas, CLIENT_ID, clock, address.port if address else 0)
        secrets = {"refresh_token": refresh_token, "client_secret": CLIENT_SECRET}
        if address:
            secrets["mqtt_password"] = address.password
        return appliance.write_configuration(self.folder, config, secrets)

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
        now = min(self._sim.book.advance(), self.end)
        for event in self._household.advance(now):
            self._record.sequencer.put(event)
            if event.slot is not None:
                self._write_level(event.slot)
        return now

    def on_line(self, line: str) -> None:
        """The agent printed a line; what is no event is kept as it is."""
        now = self._sim.clock.now()
        event = agent_event(line, now) or Event(now, Source.AGENT, "output", None, {"line": line})
        self._record.sequencer.put(event)

    def _write_level(self, slot: str) -> None:
        appliance.write_level(self.folder, slot, self._household.supplies[slot].reading)

    def _on_service(self, event: ServiceEvent) -> None:
        fields = {**event.detail, "order_id": event.order_id} if event.order_id else dict(event.detail)
        self._record.sequencer.put(Event(event.time, Source.SERVICE, event.kind, event.slot, fields))
        if event.kind == "delivered" and event.slot is not None:
            self._household.delivered(event.slot, event.time)

    def _on_call(self, call: Call) -> None:
        if call.sent == "pending" or call.endpoint in RELAY_ENDPOINTS:  # pending: announced again when the answer is out
            return
        fields = {"endpoint": call.endpoint, "status": call.status, "outcome": call.outcome, "ms": call.ms}
        self._record.sequencer.put(Event(call.time, Source.SERVICE, "call", call.slot, fields))


    def _on_delivery(self, delivery: TopicDelivery) -> None:
        """A notice, when the relay has said that the broker has it."""
        if delivery.notification is None or delivery.state is not DeliveryState.DELIVERED or delivery.serial != appliance.SERIAL:
            return
        attempt = delivery.attempts[-1]
        fields = {"notification": delivery.notification, "ms": attempt.ms, "attempts": len(delivery.attempts)}
        self._record.sequencer.put(Event(attempt.time, Source.CLOUD, "notice", delivery.slot, fields))


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
        record = Record(file, listener)
        async with contextlib.AsyncExitStack() as stack:
            sim = await stack.enter_async_context(Simulator(clock, options.seed, options.folder / "ca"))
            address = await stack.enter_async_context(cloud(sim, options.folder / "cloud")) if options.notices else None
            ended = await _tell(sim, address, record, options, listener, stop, lambda: time.monotonic() - started)
    _keep(options.folder / SUMMARY_FILE, ended.report)
    return ended


async def _tell(
    sim: Simulator,
    address: Address | None,
    record: Record,
    options: Options,
    listener: Listener,
    stop: asyncio.Event,
    seconds: Callable[[], float],
) -> Ended:
    story = Run(sim, record, options)
    config = story.set_up(address)
    listener.ready(sim.url, story.calendar)
    agent = await appliance.AgentProcess.start(config, story.on_line)
    try:
        await story.live(agent, stop, listener)
    finally:
        by_itself = agent.ended.done()
        status = await agent.stop()
    end = story.advance()
    record.release()
    events = str(options.folder / EVENTS_FILE)
    facts = Facts(story.calendar.start, end, seconds(), options.time_scale, options.seed, appliance.heap(), events, options.notices)
    ending = Ending(status, by_itself, interrupted=stop.is_set())
    return Ended(report(record.tally, sim.summary(), ending, facts), list(agent.tail))


def _keep(path: Path, report: dict[str, Any]) -> None:
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
