"""The story in words: events go in, lines come out."""

import io

import pytest
from rich.console import Console

from tools.run.events import Event, Sequencer, Source, iso
from tools.run.story import COFFEE, CONSUMABLES, DAY_S, PAPER_TOWEL, Calendar
from tools.run.timeline import ASCII, WORDS, Timeline, amount, bar

START = 1_763_700_000
HOUR_S = 3600


def at(day: int, hour: float) -> int:
    return START + (day - 1) * DAY_S + int(hour * HOUR_S)


def agent(time: int, kind: str, slot: str | None = "PaperTowel", **fields: object) -> Event:
    return Event(time, Source.AGENT, kind, slot, fields)


def call(time: int, name: str, outcome: str = "ok", status: int = 200, detail: str | None = None, slot: str | None = None) -> Event:
    return agent(time, "call", slot, call=name, status=status, outcome=outcome, detail=detail, ms=58)


def order(time: int, before: str, state: str, reason: str, **fields: object) -> Event:
    return agent(time, "order", **{"from": before, "state": state, "reason": reason, "id": None, **fields})  # type: ignore[arg-type]


def service(time: int, kind: str, **fields: object) -> Event:
    return Event(time, Source.SERVICE, kind, "PaperTowel", fields)


def home(time: int, kind: str, level: float, slot: str = "PaperTowel") -> Event:
    return Event(time, Source.HOUSEHOLD, kind, slot, {"level": level})


def told(*events: Event, width: int = 100, **options: object) -> list[str]:
    timeline = Timeline(CONSUMABLES, Calendar(START), width, **options)  # type: ignore[arg-type]
    return [line.plain for event in events for line in timeline.event(event)]


THE_FIRST_ORDER = (
    home(at(1, 8), "used", 6),
    agent(at(1, 9), "wait", reason="confirming the need"),
    order(at(1, 9.25), "idle", "asking", "level low"),
    service(at(1, 9.5), "accepted", order_id="amzn1.dash.v2.o.ABCDEFGHIJ"),
    call(at(1, 9.6), "replenish", "accepted", detail="STANDARD_ORDER_PLACED", slot="PaperTowel"),
    order(at(1, 9.6), "asking", "accepted", "order accepted", deadline=iso(at(4, 9))),
    service(at(1, 9.7), "problem"),
    call(at(1, 12), "order_info", detail="Pending", slot="PaperTowel"),
    call(at(1, 18), "order_info", detail="Pending", slot="PaperTowel"),
    order(at(1, 18), "accepted", "awaiting_customer", "customer must resolve the order", deadline=iso(at(4, 9))),
    service(at(4, 9.7), "cancelled", reason="unresolved"),
    home(at(9, 10), "refilled", 12),
)

SHOWN = """
day  1 ── Coffee ██████████░░    820 g  PaperTowel ██████░░░░░░  6 of 12 ───────────────────────────
09:00 ▶ agent   PaperTowel ████░░░░  6 of 12  needs more, and waits: confirming the need
09:15 ▶ agent   PaperTowel                    → asking: level low
09:30 ◀ service PaperTowel                    takes the order …EFGHIJ
09:36 ▶ agent   PaperTowel                    replenish → 200 accepted STANDARD_ORDER_PLACED  58 ms
09:36 ▶ agent   PaperTowel                    → accepted: order accepted
09:42 ◀ service PaperTowel                    a problem: mail to the customer, 72 hours to resolve
                                              it
18:00 ▶ agent   PaperTowel                    order_info → Pending  asked 2 times
18:00 ▶ agent   PaperTowel                    → awaiting_customer: customer must resolve the order
                                              by day 4 09:00

day  2 ── Coffee ██████████░░    820 g  PaperTowel ██████░░░░░░  6 of 12 ─────────────────── 2 polls

day  3 ── Coffee ██████████░░    820 g  PaperTowel ██████░░░░░░  6 of 12 ───────────────────────────

day  4 ── Coffee ██████████░░    820 g  PaperTowel ██████░░░░░░  6 of 12 ───────────────────────────
09:42 ◀ service PaperTowel ████░░░░  6 of 12  not resolved in 72 hours: cancelled, mail to the
                                              customer
"""


def test_the_story_reads_like_this() -> None:
    assert "\n".join(told(*THE_FIRST_ORDER[:-1])) + "\n" == SHOWN


@pytest.mark.parametrize("width", [75, 80, 100, 120])
def test_no_line_is_wider_than_it_may_be(width: int) -> None:
    lines = told(*THE_FIRST_ORDER, width=width)
    assert any("mail" in line for line in lines)
    assert any("2 polls" in line for line in lines)
    assert max(len(line) for line in lines) <= width


def test_without_unicode_it_is_ascii() -> None:
    lines = told(*THE_FIRST_ORDER, glyphs=ASCII)
    assert len(lines) > 10
    assert all(line.isascii() for line in lines)


def test_without_a_terminal_there_is_no_escape_sequence() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, highlight=False)
    timeline = Timeline(CONSUMABLES, Calendar(START))
    for event in THE_FIRST_ORDER:
        for line in timeline.event(event):
            console.print(line)
    assert "awaiting_customer" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_daily_reports_and_polls_and_tokens_are_one_phrase() -> None:
    timeline = Timeline(CONSUMABLES, Calendar(START), 120)
    routine = [call(at(1, 4), name) for name in ("token", "device_status", "slot_status", "slot_status", "subscription_info")]
    routine += [call(at(1, 5), "order_info", slot="Coffee"), call(at(1, 6), "device_status", "bad_token", 400)]
    timeline.pass_to(at(1, 0))
    assert [line for event in routine for line in timeline.event(event)] == []
    rules = [line.plain for line in timeline.pass_to(at(3, 0))]
    assert [rule.rpartition("─")[2] for rule in rules if rule] == [" 4 reports, 1 poll, 1 token, 1 stale token", ""]


def test_each_change_says_how_often_was_asked_for_it() -> None:
    polls = [call(at(1, hour), "order_info", detail="Pending", slot="PaperTowel") for hour in (1, 2, 3)]
    placed = order(at(1, 3), "accepted", "placed", "order placed")
    again = [call(at(1, hour), "order_info", detail="Closed", slot="PaperTowel") for hour in (4, 5)]
    closed = order(at(1, 5), "placed", "awaiting_refill", "delivered")
    lines = told(*polls, placed, *again, closed, order(at(1, 6), "awaiting_refill", "idle", "refilled"), width=120)
    assert [line[46:] for line in lines if "order_info" in line] == [
        "order_info → Pending  asked 3 times",
        "order_info → Closed  asked 2 times",
    ]


def test_a_call_that_fails_is_told() -> None:
    (_, _, line) = told(call(at(1, 4), "order_info", "unknown", 0, "timed out", slot="Coffee"))
    assert line.endswith("820 g  order_info → unknown timed out  58 ms")


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (agent(at(1, 1), "start", version="1", slots=2, heap_free=99_999), "version 1 starts with 2 slots, 97 KiB of its heap free"),
        (agent(at(1, 1), "start", None, version="1", slots=2, heap_free=0), "version 1 starts with 2 slots"),
        (agent(at(1, 1), "fault", fault="sensor_silent", detail=None), "fault: sensor_silent"),
        (agent(at(1, 1), "fault", None, fault="store_damaged", detail="slot 1"), "fault: store_damaged (slot 1)"),
        (agent(at(1, 1), "fault", fault=None), "the fault is over"),
        (order(at(1, 1), "awaiting_customer", "held", "gone", next_try=iso(at(9, 7))), "→ held: gone; until day 9 07:00"),
        (order(at(1, 1), "asking", "asking", "will retry", next_try=iso(at(1, 2))), "→ asking: will retry; next try day 1 02:00"),
        (service(at(1, 1), "cancelled", reason="customer"), "the customer cancels the order"),
        (service(at(1, 1), "placed"), "order placed; the customer may cancel it for 24 hours"),
        (service(at(1, 1), "resolved"), "the customer has resolved the problem"),
        (service(at(1, 1), "shipped"), "shipped"),
        (service(at(1, 1), "delivered"), "delivered"),
        (home(at(1, 1), "empty", 0), "nothing left"),
        (home(at(1, 1), "refilled", 12), "the parcel is opened and the slot refilled"),
    ],
)
def test_each_event_has_its_words(event: Event, text: str) -> None:
    assert told(event, width=120)[-1][46:] == text


def test_the_level_shown_is_the_true_one_not_the_one_published_last() -> None:
    lines = told(home(at(1, 8), "used", 12), agent(at(1, 9), "level", level=6), agent(at(1, 9), "wait", reason="x"))
    assert lines[-1][16:45] == "PaperTowel ████████ 12 of 12 "


def test_a_level_is_repeated_only_after_a_change_another_slot_or_a_new_day() -> None:
    waits = [agent(at(1, 1), "wait", reason="x"), agent(at(1, 2), "wait", reason="y")]
    later = [home(at(1, 3), "used", 5), agent(at(1, 3), "wait", reason="x"), agent(at(2, 1), "wait", reason="x")]
    other = [agent(at(2, 2), "wait", "Coffee", reason="x"), agent(at(2, 3), "wait", reason="x")]
    shown = [line[27:44].strip() for line in told(*waits, *later, *other) if "needs more" in line]
    assert shown == ["█████░░░  7 of 12", "", "███░░░░░  5 of 12", "███░░░░░  5 of 12", "███████░    820 g", "███░░░░░  5 of 12"]


@pytest.mark.parametrize(("share", "cells"), [(0, 0), (0.001, 1), (0.5, 4), (0.999, 7), (1, 8), (1.2, 8), (-1, 0)])
def test_a_bar_is_empty_only_when_it_is_and_full_only_when_it_is(share: float, cells: int) -> None:
    assert bar(share, 8) == "█" * cells + "░" * (8 - cells)


def test_amounts_are_weighed_or_counted() -> None:
    assert amount(612.4, COFFEE) == "612 g"
    assert amount(4, PAPER_TOWEL) == "4 of 12"


def test_events_wait_for_older_ones() -> None:
    sequencer = Sequencer()
    late, early, same = agent(at(1, 2), "late"), agent(at(1, 1), "early"), agent(at(1, 2), "same")
    for event in (late, early, same):
        sequencer.put(event)
    assert sequencer.take(at(1, 1)) == [early]
    assert sequencer.take(at(1, 1)) == []
    assert sequencer.take() == [late, same]


def test_an_event_is_kept_with_its_time_in_words() -> None:
    assert home(START, "used", 6).as_json() == {
        "time": "2025-11-21T04:40:00Z",
        "source": "household",
        "kind": "used",
        "slot": "PaperTowel",
        "fields": {"level": 6},
    }


HELD = "held; the customer may say no for 24 hours"


def person(kind: str, **fields: object) -> Event:
    return Event(at(1, 1), Source.PERSON, kind, "PaperTowel", fields)


def cloud(kind: str, **fields: object) -> Event:
    return Event(at(1, 1), Source.CLOUD, kind, "PaperTowel", fields)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (service(at(1, 1), "accepted", order_id="322-123456", packs=2), f"takes order …123456: 2 packs, {HELD}"),
        (service(at(1, 1), "accepted", order_id="322-123456", packs=1), f"takes order …123456: 1 pack, {HELD}"),
        (service(at(1, 1), "sold out", code="ItemOutOfStock"), "refuses: fewer are left than wanted (ItemOutOfStock)"),
        (service(at(1, 1), "graded", found="SELLABLE"), "looks at what came back: SELLABLE"),
        (cloud("asked", subject="Only 1"), 'writes to the customer: "Only 1"'),
        (cloud("notice", notification="A", ms=9, attempts=1), "A by EventBridge, relay and broker, 9 ms"),
        (cloud("notice", notification="B", ms=9, attempts=2), "B by EventBridge, relay and broker at attempt 2, 9 ms"),
        (person("answered", page="Only 1", button="Order 1"), 'opens the message\'s page, "Only 1", and presses "Order 1"'),
        (person("reads", page="The order is made"), 'the page says: "The order is made"'),
        (person("gives up", why="gone"), "opens the message's link and cannot answer: gone"),
        (person("sent back"), "has some from elsewhere: sends the parcel back unopened"),
    ],
)
def test_each_event_has_its_words_with_the_gateway(event: Event, text: str) -> None:
    (_, _, line) = told(event, width=130, words=WORDS["gateway"])
    assert line[46:] == text
    assert line[8:14] == {Source.SERVICE: "store ", Source.CLOUD: "cloud ", Source.PERSON: "person"}[event.source]
