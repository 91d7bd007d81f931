"""The story as a person reads it: events go in, lines of text come out. No terminal here; rich's Text holds words and colours.

Every day has a rule with both levels and the routine of the day before. Under it stands what is out of the ordinary, told by
its voices: the agent (right arrow: it acts or waits), the service or the store (left arrow), the maker's cloud (diamond: it passes a
notice on, or writes to the customer), the people at home (dot) and the one of them who is asked (circle).
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from tools.run.events import Event, Source
from tools.run.logfmt import parse_time
from tools.run.story import Calendar, Consumable

_REPORTS = ("device_status", "slot_status", "subscription_info")
# Calls that go well are routine, except the one that this is all about.
_ROUTINE = (*_REPORTS, "token", "order_info")
_ROUTINE_WORDS = {"order_info": "poll", "token": "token", "bad_token": "stale token"}
_VOICES = {
    Source.AGENT: ("agent", "cyan"),
    Source.SERVICE: ("service", "yellow"),
    Source.CLOUD: ("cloud", "magenta"),
    Source.HOUSEHOLD: ("home", "green"),
    Source.PERSON: ("person", "bright_green"),
}
_SERVICE_SAYS = {
    "accepted": "takes the order {id}",
    "placed": "order placed; the customer may cancel it for 24 hours",
    "problem": "a problem: mail to the customer, 72 hours to resolve it",
    "resolved": "the customer has resolved the problem",
    "shipped": "shipped",
    "delivered": "delivered",
    "cancelled": "not resolved in 72 hours: cancelled, mail to the customer",
    "cancelled by customer": "the customer cancels the order",
}
_STORE_SAYS = {
    "accepted": "takes order {id}: {packs}, held; the customer may say no for 24 hours",
    "started": "nobody said no: the order is started",
    "shipped": "the parcel is on its way",
    "delivered": "delivered",
    "cancelled": "cancelled",
    "sold out": "refuses: fewer are left than wanted ({code})",
    "restocked": "has plenty again",
    "return started": "a return is started",
    "return in transit": "the parcel is on its way back",
    "return delivered": "the parcel is back",
    "graded": "looks at what came back: {found}",
    "return completed": "the return is completed",
}
_PERSON_SAYS = {
    "answered": 'opens the message\'s page, "{page}", and presses "{button}"',
    "reads": 'the page says: "{page}"',
    "gives up": "opens the message's link and cannot answer: {why}",
    "sent back": "has some from elsewhere: sends the parcel back unopened",
}
_NOTICE = "Notification"
_HOME_SAYS = {"refilled": "the parcel is opened and the slot refilled", "empty": "nothing left"}
_STATE_STYLES = {"held": "bold red", "in_doubt": "bold red", "awaiting_customer": "bold yellow", "blocked": "bold yellow"}
# Which of an order's dates is worth telling, by its state.
_UNTIL = {"awaiting_customer": (("deadline", " by"),), "held": (("next_try", "; until"),), "asking": (("next_try", "; next try"),)}
_CLOCK_WIDTH = 6
_VOICE_WIDTH = 10
_BAR_CELLS = 8
_DAY_BAR_CELLS = 12
_ID_TAIL = 6
_SHORTEST_RULE = 2
_MEASURE = Console(width=200)  # rich wants a console to wrap text; nothing is ever printed on this one


@dataclass(frozen=True)
class Glyphs:
    """The signs that a terminal without Unicode lacks."""

    full: str = "█"
    empty: str = "░"
    rule: str = "─"
    to: str = "→"
    done: str = "✔"
    cut: str = "…"
    arrows: tuple[str, str, str, str, str] = ("▶", "◀", "◆", "•", "○")

    def arrow(self, source: Source) -> str:
        return self.arrows[list(_VOICES).index(source)]


UNICODE = Glyphs()
ASCII = Glyphs("#", ".", "-", "->", "+", "..", (">", "<", "=", "*", "o"))


@dataclass(frozen=True)
class Words:
    """What is called otherwise with each back end: who sells, what that one says of an order, and how a notice came."""

    seller: str
    says: Mapping[str, str]
    notice: str


WORDS = {
    "drs": Words("service", _SERVICE_SAYS, "{name}: from SNS through the relay to the broker{tries}, {ms} ms"),
    "gateway": Words("store", _STORE_SAYS, "{name} by EventBridge, relay and broker{tries}, {ms} ms"),
}


def bar(share: float, cells: int, glyphs: Glyphs = UNICODE) -> str:
    """A level bar: `share` from 0 to 1. It looks empty only when it is, and full only when it is."""
    filled = min(cells, max(0, round(share * cells)))
    if 0 < share < 1:
        filled = min(cells - 1, max(1, filled)) if cells > 1 else filled
    return glyphs.full * filled + glyphs.empty * (cells - filled)


def amount(level: float, consumable: Consumable) -> str:
    """A level in words: "612 g", or "4 of 12" for what is counted."""
    if consumable.unit == "count":
        return f"{level:g} of {consumable.capacity}"
    return f"{level:.0f} {consumable.unit}"


class Timeline:
    """Feed it events in the order of their times; `event` and `pass_to` return the lines to show."""

    def __init__(
        self,
        consumables: Sequence[Consumable],
        calendar: Calendar,
        width: int = 100,
        glyphs: Glyphs = UNICODE,
        words: Words = WORDS["drs"],
    ) -> None:
        """`width`: columns to use, 75 or more."""
        self._words = words
        self.levels = {consumable.id: float(math.ceil(consumable.at_start)) for consumable in consumables}
        self._consumables = {consumable.id: consumable for consumable in consumables}
        self._calendar = calendar
        self._width = width
        self._glyphs = glyphs
        self._day = 0
        self._placed: tuple[str | None, float | None] = (None, None)
        self._routine: Counter[str] = Counter()
        self._polls: Counter[str | None] = Counter()
        self._status: dict[str | None, object] = {}
        self._noticed = False  # the agent has applied a notice and not said yet what came of it
        self._slot_width = max(len(slot) for slot in self._consumables)
        self._amount_width = max(len(amount(entry.capacity, entry)) for entry in consumables)

    def pass_to(self, time: int) -> list[Text]:
        """The rules of the days that have begun by `time`."""
        lines = []
        while self._day < self._calendar.day(time):
            self._day += 1
            self._placed = (None, None)
            lines += self._day_rule()
        return lines

    def event(self, event: Event) -> list[Text]:
        """The lines that tell an event: none for routine, which the next day's rule counts."""
        level = event.fields.get("level")
        if event.source is Source.HOUSEHOLD and event.slot in self.levels and isinstance(level, int | float):
            self.levels[event.slot] = level  # the truth; the agent tells its levels hourly at the most
        said = _TELLERS[event.source](self, event)
        if not said:
            return []
        lines = self.pass_to(event.time)
        polled = self._learnt(event) if event.kind == "order" else None
        return lines + [line for text in (polled, said) if text for line in self._line(event, text)]

    # The voices: each returns what is said, or None.

    def _agent(self, event: Event) -> Text | None:
        teller = _AGENT_TELLERS.get(event.kind)
        return teller(self, event) if teller else None

    def _start(self, event: Event) -> Text:
        fields = event.fields
        free = fields.get("heap_free")
        heap = f", {free // 1024} KiB of its heap free" if isinstance(free, int) and free else ""
        return Text(f"version {fields.get('version')} starts with {fields.get('slots')} slots{heap}")

    def _fault(self, event: Event) -> Text:
        name, detail = event.fields.get("fault"), event.fields.get("detail")
        if name is None:
            return Text("the fault is over", "green")
        return Text(f"fault: {name}" + (f" ({detail})" if detail else ""), "bold red")

    def _wait(self, event: Event) -> Text | None:
        """An order's own waits have no reason here: its state was told, and its polls are routine."""
        if event.fields.get("reason") is None:
            return None
        return Text.assemble("needs more, and waits: ", (str(event.fields.get("reason")), "italic"))

    def _order(self, event: Event) -> Text:
        fields = event.fields
        state = str(fields.get("state"))
        text = Text.assemble((f"{self._glyphs.to} ", "dim"), (state, _STATE_STYLES.get(state, "bold")))
        if fields.get("reason"):
            text.append(f": {fields['reason']}", "italic")
        return text.append(self._until(fields))

    def _notice(self, event: Event) -> None:
        """What it changed is told next."""
        self._noticed = True

    def _learnt(self, event: Event) -> Text | None:
        """Where a change of an order's state was learnt: from a notice, or by polling."""
        polled, noticed = self._polled(event), self._noticed
        self._noticed = False
        return Text("notice", "bold magenta") if noticed else polled

    def _polled(self, event: Event) -> Text | None:
        """What the polls of the order had to say, when a change of its state follows from them."""
        count, status = self._polls.pop(event.slot, 0), self._status.pop(event.slot, None)
        if status is None:
            return None
        times = f"  asked {count} times" if count > 1 else ""
        return Text.assemble(("order_info", "bold"), (f" {self._glyphs.to} ", "dim"), str(status), (times, "dim"))

    def _until(self, fields: Mapping[str, object]) -> str:
        for key, words in _UNTIL.get(str(fields.get("state")), ()):
            if isinstance(fields.get(key), str):
                return f"{words} {self._calendar.moment(parse_time(str(fields[key])))}"
        return ""

    def _uplink(self, event: Event) -> Text | None:
        """The connection to the broker: made for each call anew, which is routine; lost, which is not."""
        if event.fields.get("state") != "lost":
            return None
        return Text(f"the connection to the broker is lost: {event.fields.get('detail')}", "bold red")

    def _call(self, event: Event) -> Text | None:
        fields = event.fields
        name, outcome = str(fields.get("call")), fields.get("outcome")
        if outcome == "bad_token":  # the agent gets another one and calls again; at this speed the clock outruns its margin
            self._routine["bad_token"] += 1
            return None
        if outcome == "ok" and name in _ROUTINE:
            self._routine[name] += 1
            if name == "order_info":
                self._polls[event.slot] += 1
                self._status[event.slot] = fields.get("detail")
            return None
        status = f"{fields['status']} " if fields.get("status") else ""
        style = "bold green" if outcome in ("ok", "accepted") else "bold red"
        return Text.assemble(
            (name, "bold"),
            (f" {self._glyphs.to} ", "dim"),
            (f"{status}{outcome}", style),
            f" {fields.get('detail') or ''}".rstrip(),
            (f"  {fields.get('ms')} ms", "dim"),
        )

    def _service(self, event: Event) -> Text | None:
        kind = event.kind
        if kind == "cancelled" and event.fields.get("reason") == "customer":
            kind = "cancelled by customer"
        if kind not in self._words.says:
            return None
        packs = event.fields.get("packs")
        named = {
            **event.fields,
            "id": f"{self._glyphs.cut}{str(event.fields.get('order_id'))[-_ID_TAIL:]}",
            "packs": f"{packs} pack{'s' * (packs != 1)}",
        }
        return Text(self._words.says[kind].format(**named))

    def _cloud(self, event: Event) -> Text | None:
        fields = event.fields
        if event.kind in ("asked", "message"):
            style = "bold" if event.kind == "asked" else ""
            return Text.assemble("writes to the customer: ", (f"\"{fields.get('subject')}\"", style))
        name = str(fields.get("notification")).removesuffix(_NOTICE)
        tries = f" at attempt {fields['attempts']}" if fields.get("attempts") != 1 else ""
        return Text(self._words.notice.format(name=name, tries=tries, ms=fields.get("ms")))

    def _person(self, event: Event) -> Text | None:
        return Text(_PERSON_SAYS[event.kind].format(**event.fields)) if event.kind in _PERSON_SAYS else None

    def _home(self, event: Event) -> Text | None:
        return Text(_HOME_SAYS[event.kind]) if event.kind in _HOME_SAYS else None

    # Layout

    def _line(self, event: Event, said: Text) -> list[Text]:
        voice, style = _VOICES[event.source]
        voice = self._words.seller if event.source is Source.SERVICE else voice
        head = Text.assemble(
            (f"{self._calendar.clock(event.time):<{_CLOCK_WIDTH}}", "dim"),
            (f"{self._glyphs.arrow(event.source)} {voice:<{_VOICE_WIDTH - 2}}", style),
        )
        head.append_text(self._place(event.slot))
        if event.source is not Source.AGENT:
            said.stylize_before(style)
        return self._hang(head, said)

    def _place(self, slot: str | None) -> Text:
        """The columns of the slot: its name, its level bar and its level; the level only where it differs from the line above."""
        name = Text(f"{slot or '':<{self._slot_width}} ", "bold")
        before, self._placed = self._placed, (slot, self.levels.get(slot or ""))
        if slot not in self._consumables or before == self._placed:
            return name.append(" " * (_BAR_CELLS + self._amount_width + 3))
        consumable, level = self._consumables[slot], self.levels[slot]
        return Text.assemble(
            name,
            (bar(level / consumable.capacity, _BAR_CELLS, self._glyphs), _level_style(level, consumable)),
            f" {amount(level, consumable):>{self._amount_width}}  ",
        )

    def _hang(self, head: Text, said: Text) -> list[Text]:
        """`said` beside `head`, its further lines indented as far."""
        lines = []
        for piece in Text.assemble(said).wrap(_MEASURE, max(20, self._width - len(head))):
            piece.rstrip()
            lines.append(Text.assemble(head, piece))
            head = Text(" " * len(head))
        return lines

    def _day_rule(self) -> list[Text]:
        parts = [Text.assemble((f"day {self._day:>2} ", "bold"), (self._glyphs.rule * 2, "dim"))]
        for slot, consumable in self._consumables.items():
            level = self.levels[slot]
            parts.append(
                Text.assemble(
                    f" {slot} ",
                    (bar(level / consumable.capacity, _DAY_BAR_CELLS, self._glyphs), _level_style(level, consumable)),
                    f" {amount(level, consumable):>{self._amount_width}} ",
                )
            )
        rule = Text.assemble(*parts)
        tail = self._routine_told()
        if len(rule) + len(tail) + _SHORTEST_RULE > self._width:
            return [Text(), rule, Text(f"      before:{tail}", "dim")] if tail else [Text(), rule]
        rule.append(self._glyphs.rule * (self._width - len(rule) - len(tail)), "dim")
        return [Text(), rule.append(tail, "dim")]

    def _routine_told(self) -> str:
        """What went well since the last rule and is not worth a line."""
        reports = sum(self._routine[name] for name in _REPORTS)
        counts = {"report": reports, **{word: self._routine[name] for name, word in _ROUTINE_WORDS.items()}}
        told = [f"{count} {word}{'s' * (count > 1)}" for word, count in counts.items() if count]
        self._routine.clear()
        return " " + ", ".join(told) if told else ""


def _level_style(level: float, consumable: Consumable) -> str:
    if level <= 0:
        return "bold red"
    return "yellow" if level <= consumable.reorder_at else "green"


_TELLERS = {
    Source.AGENT: Timeline._agent,
    Source.SERVICE: Timeline._service,
    Source.CLOUD: Timeline._cloud,
    Source.HOUSEHOLD: Timeline._home,
    Source.PERSON: Timeline._person,
}
_AGENT_TELLERS = {
    "start": Timeline._start,
    "fault": Timeline._fault,
    "wait": Timeline._wait,
    "order": Timeline._order,
    "call": Timeline._call,
    "cloud": Timeline._uplink,
    "notice": Timeline._notice,
}
