"""What a run comes to: the events are counted, the story is checked, and the end is a table."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tools.run.events import RELAY_ENDPOINTS, Event, Source, iso
from tools.run.story import CONSUMABLES, DAY_S, FULL_STORY_DAYS, STORIES, Chapter, Story
from tools.run.timeline import Glyphs

_ENDS = ("accepted", "delivered", "cancelled")
_BEGINNINGS = ("sold out", "accepted")
# They may come when the slot has its next order.
_OF_A_RETURN = ("return in transit", "return delivered", "graded", "return completed")


@dataclass
class Lifetime:
    """One order from its acceptance until it was cancelled, or delivered and refilled, or left the home again: while it lasts there
    may be no other. It begins before that when the shop had too few."""

    slot: str
    kinds: list[str] = field(default_factory=list)
    shown: set[str] = field(default_factory=set)  # what the appliance said of it

    @property
    def over(self) -> bool:
        if "delivered" in self.kinds and self.kinds[-1] == "refilled":
            return True
        return self.kinds[-1] == "cancelled" or "return in transit" in self.kinds


class Tally:
    """Counts what the events say; the service and the household are its witnesses, not the agent."""

    def __init__(self, story: Story = STORIES["drs"]) -> None:
        self.story = story
        self.calls: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))  # as the appliance made them
        self.lifetimes: dict[str, list[Lifetime]] = defaultdict(list)
        self.duplicates: dict[str, int] = defaultdict(int)
        self.heap_peak: int | None = None
        self.notices = {"delivered": 0, "applied": 0}

    def add(self, event: Event) -> None:
        """Take an event; they must come in the order of their times."""
        if event.source is Source.CLOUD and event.kind == "notice":
            self.notices["delivered"] += 1
        elif event.source is Source.AGENT:
            self._agent(event)
        elif event.slot is not None:
            self._live(event.slot, event.kind)
            if event.fields.get("fewer"):
                self._live(event.slot, "fewer")

    def _agent(self, event: Event) -> None:
        self._heap(event)
        self.notices["applied"] += event.kind == "notice"
        if event.kind == "call":
            self.calls[str(event.fields.get("call"))][str(event.fields.get("outcome"))] += 1
        elif lives := self.lifetimes.get(event.slot or ""):
            _show(lives[-1].shown, event)

    def _heap(self, event: Event) -> None:
        peak = event.fields.get("heap_peak")
        if event.kind == "stop" and isinstance(peak, int):
            self.heap_peak = peak

    def _live(self, slot: str, kind: str) -> None:
        lifetimes = self.lifetimes[slot]
        current = lifetimes[-1] if lifetimes and not lifetimes[-1].over else None
        if kind in _OF_A_RETURN:
            current = next((life for life in reversed(lifetimes) if "sent back" in life.kinds), None)
        elif kind in _BEGINNINGS and (current is None or kind in current.kinds):
            self.duplicates[slot] += current is not None and kind == "accepted"
            current = Lifetime(slot)
            lifetimes.append(current)
        if current is not None:
            current.kinds.append(kind)

    def missing(self, notices: bool = True) -> list[Chapter]:
        """The chapters of the story that did not happen; those of a slot follow one another, each with an order of its own."""
        missing = []
        left = {slot: iter(lives) for slot, lives in self.lifetimes.items()}
        for chapter in self.story.chapters:
            lives = left.get(chapter.slot, iter(()))
            if not any(_tells(life, chapter) and life.shown >= chapter.to_show(notices) for life in lives):
                missing.append(chapter)
        return missing


def _show(shown: set[str], event: Event) -> None:
    """Note the states and reasons of an order, and that nothing is at home any more of what went back."""
    if event.kind == "order":
        shown |= {str(event.fields.get("state")), str(event.fields.get("reason"))}
    elif event.kind == "level" and "pack returned" in shown and not event.fields.get("on_hand"):
        shown.add("nothing at home")


def _tells(life: Lifetime, chapter: Chapter) -> bool:
    kinds = [kind for kind in life.kinds if kind in chapter.kinds]
    return kinds == list(chapter.kinds)


@dataclass(frozen=True)
class Ending:
    """How a run ended. `status` is the agent's exit status; `by_itself`: it ended before it was asked to."""

    status: int | None
    by_itself: bool = False
    interrupted: bool = False


@dataclass(frozen=True)
class Facts:
    """What is known of a run beside its events. Times are virtual Unix seconds, `seconds` are real ones."""

    start: int
    end: int
    seconds: float
    time_scale: int
    seed: int
    heap: str
    events: str
    notices: bool = True

    @property
    def days(self) -> float:
        return (self.end - self.start) / DAY_S


def verdict(tally: Tally, ending: Ending, facts: Facts) -> str | None:
    """None when the story held, else one sentence that says what did not."""
    if ending.by_itself:
        return f"The agent ended by itself, with status {ending.status}."
    if ending.status != 0:
        return f"The agent did not stop cleanly: its status was {ending.status}."
    if doubled := [slot for slot, count in tally.duplicates.items() if count]:
        return f"{doubled[0]} was ordered while an order for it was open."
    missing = tally.missing(facts.notices)
    whole = facts.days >= FULL_STORY_DAYS and not ending.interrupted
    if missing and whole:
        return f"After {facts.days:.0f} days this has not happened: {missing[0].slot} {missing[0].title(facts.notices)}."
    if facts.notices and whole and not tally.notices["applied"]:
        return "No notice was applied by the appliance."
    return None


def basics(tally: Tally, ending: Ending, facts: Facts) -> dict[str, Any]:
    """What is told of a run with any back end, as plain data; without the verdict."""
    missing = tally.missing(facts.notices)
    return {
        "start": iso(facts.start),
        "end": iso(facts.end),
        "days": round(facts.days, 2),
        "seconds": round(facts.seconds, 1),
        "time_scale": facts.time_scale,
        "seed": facts.seed,
        "duplicates": sum(tally.duplicates.values()),
        "heap": facts.heap,
        "heap_peak": tally.heap_peak,
        "chapters": [
            {"slot": entry.slot, "name": entry.title(facts.notices), "happened": entry not in missing} for entry in tally.story.chapters
        ],
        "interrupted": ending.interrupted,
        "agent_status": ending.status,
        "agent_ended_by_itself": ending.by_itself,
        "notices": tally.notices if facts.notices else None,
        "events": facts.events,
    }


def report(tally: Tally, ledger: Mapping[str, Any], ending: Ending, facts: Facts) -> dict[str, Any]:
    """Everything about a run with DRS as plain data. `ledger` is the simulator's own summary."""
    calls = {endpoint: dict(outcomes) for endpoint, outcomes in sorted(ledger["calls"].items()) if endpoint not in RELAY_ENDPOINTS}
    by_slot = {key.rpartition("/")[2]: entry for key, entry in ledger["orders"].items()}
    orders = {consumable.id: _order_counts(by_slot.get(consumable.id, {})) for consumable in CONSUMABLES}
    blind = ledger["blind_retry"]
    return {
        **basics(tally, ending, facts),
        "orders": orders,
        "calls": calls,
        "calls_total": sum(sum(outcomes.values()) for outcomes in calls.values()),
        "connections": ledger["connections"],
        "replenish_calls": sum(calls.get("replenish", {}).values()),
        "blind_replenish_calls": blind["calls"] + sum(entry["accepted"] for entry in orders.values()),
        "blind_interval_s": blind["interval_s"],
        "verdict": verdict(tally, ending, facts),
    }


def _order_counts(entry: Mapping[str, int]) -> dict[str, int]:
    counts = {name: entry.get(name, 0) for name in _ENDS}
    return {**counts, "open": counts["accepted"] - counts["delivered"] - counts["cancelled"]}


# What a person sees of it.


def tables(report: Mapping[str, Any], glyphs: Glyphs) -> list[RenderableType]:
    """The end of the output, from a report."""
    return spaced(heading(report), _orders(report["orders"]), _calls(report), _figures(report), chapters(report["chapters"], glyphs))


def spaced(*parts: RenderableType) -> list[RenderableType]:
    """The parts with an empty line before each."""
    return [line for part in parts for line in (Text(), part)]


def heading(report: Mapping[str, Any]) -> Text:
    """How long it took."""
    pace = f"{report['days']:.1f} days in {report['seconds']:.0f} seconds, {report['time_scale']:,} times real time"
    return Text(f"{'Interrupted after ' if report['interrupted'] else ''}{pace}, seed {report['seed']}", "bold")


def grid(*columns: str) -> Table:
    """A table with its names to the left and numbers to the right."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    table.add_column(columns[0], min_width=21)
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def _orders(orders: Mapping[str, Mapping[str, int]]) -> Table:
    table = grid("orders at the service", *_ENDS, "still open")
    for slot, counts in orders.items():
        table.add_row(slot, *(str(counts[name]) for name in (*_ENDS, "open")))
    return table


def _calls(report: Mapping[str, Any]) -> Table:
    table = calls_table("calls at the service", report["calls"])
    table.add_row("all", f"{report['calls_total']:,}", f"over {report['connections']:,} TLS connections", style="dim")
    return table


def calls_table(title: str, calls: Mapping[str, Mapping[str, int]]) -> Table:
    """How often what was called, and how it was answered."""
    table = grid(title, "calls", "answered")
    table.columns[2].justify = "left"
    for name, outcomes in calls.items():
        told = ", ".join(f"{outcome} {count}" for outcome, count in sorted(outcomes.items()))
        table.add_row(name, f"{sum(outcomes.values()):,}", told)
    return table


def _figures(report: Mapping[str, Any]) -> Table:
    minutes = report["blind_interval_s"] // 60
    return figures(
        ("replenish calls made", f"{report['replenish_calls']:,}"),
        ("by a client that retries blindly", f"{report['blind_replenish_calls']:,} (every {minutes} minutes while one is open)"),
        *common_figures(report),
    )


def common_figures(report: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Names and values that are told of every run."""
    peak = report["heap_peak"]
    return (
        ("duplicate orders", f"{report['duplicates']}"),
        ("notices", _notices(report["notices"])),
        ("heap peak", f"{peak / 1024:.0f} KiB (HEAP={report['heap']})" if peak else "not told"),
        ("every event, as data", report["events"]),
    )


def figures(*rows: tuple[str, str]) -> Table:
    """Names and values."""
    table = Table.grid(padding=(0, 3, 0, 0))
    for name, value in rows:
        table.add_row(Text(name, "dim"), Text(value, "bold"))
    return table


def _notices(counts: Mapping[str, int] | None) -> str:
    if counts is None:
        return "off: the appliance learns by polling alone"
    return f"{counts['delivered']} at the broker, {counts['applied']} with news for the appliance"


def chapters(told: Sequence[Mapping[str, Any]], glyphs: Glyphs) -> Text:
    """Which parts of the story happened."""
    return Text("\n").join(_chapter(chapter, glyphs) for chapter in told)


def _chapter(chapter: Mapping[str, Any], glyphs: Glyphs) -> Text:
    told = (f"{glyphs.done} ", "green") if chapter["happened"] else (f"{glyphs.empty} ", "dim")
    later = "" if chapter["happened"] else " (not yet)"
    return Text.assemble(told, (chapter["slot"], "bold"), f" {chapter['name']}", (later, "dim"))
