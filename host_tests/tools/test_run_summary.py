"""What a run comes to: the story is checked by its witnesses, and told in a table."""

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from tools.run import gateway_summary
from tools.run.events import Event, Source
from tools.run.gateway_summary import Ledger
from tools.run.story import CHAPTERS, STORIES
from tools.run.summary import Ending, Facts, Tally, report, tables, verdict
from tools.run.timeline import UNICODE

CLEAN = Ending(0)
ORDER = ("accepted", "placed", "shipped", "delivered", "refilled")
LEDGER: dict[str, Any] = {
    "orders": {"SN0001/PaperTowel": {"accepted": 2, "cancelled": 1, "blocked_s": 600_000, "blind_retry_calls": 2000}},
    "calls": {"replenish": {"accepted": 2, "in_progress": 1}, "order_info": {"ok": 40}},
    "calls_total": 43,
    "connections": 20,
    "blind_retry": {"interval_s": 300, "calls": 2000},
}
FACTS = Facts(1_763_700_000, 1_763_700_000 + 30 * 86_400, 60.04, 43_200, 7, "128k", "build/run/events.jsonl")


def after(days: int) -> Facts:
    return replace(FACTS, end=FACTS.start + days * 86_400)


def tally(*kinds: tuple[str, str]) -> Tally:
    """A tally of what happened to slots, in this order."""
    counted = Tally()
    counted.add(Event(0, Source.AGENT, "notice", None, {"result": "applied"}))
    for number, (slot, kind) in enumerate(kinds):
        source = Source.HOUSEHOLD if kind in ("used", "refilled") else Source.SERVICE
        counted.add(Event(number, source, kind, slot))
    return counted


def life(slot: str, *kinds: str) -> list[tuple[str, str]]:
    return [(slot, kind) for kind in kinds]


WHOLE_STORY = [
    *life("PaperTowel", "accepted", "problem", "used"),
    *life("Coffee", *ORDER),
    *life("PaperTowel", "cancelled", "accepted", "problem", "used", "resolved", "placed", "shipped", "delivered", "refilled"),
]


def test_notices_must_arrive_where_there_are_any() -> None:
    told = tally(*WHOLE_STORY)
    told.notices["applied"] = 0
    assert verdict(told, CLEAN, FACTS) == "No notice was applied by the appliance."
    assert verdict(told, CLEAN, replace(FACTS, notices=False)) is None
    assert verdict(told, CLEAN, after(7)) is None


def test_the_whole_story_holds() -> None:
    told = tally(*WHOLE_STORY)
    assert told.missing() == []
    assert verdict(told, CLEAN, FACTS) is None


@pytest.mark.parametrize("lost", range(len(WHOLE_STORY)))
def test_whatever_is_missing_from_the_story_is_missed(lost: int) -> None:
    if WHOLE_STORY[lost][1] == "used":
        return
    told = tally(*WHOLE_STORY[:lost], *WHOLE_STORY[lost + 1 :])
    assert told.missing()


def test_an_incomplete_month_is_a_sentence_and_a_week_is_not() -> None:
    told = tally(*WHOLE_STORY[:-1])
    sentence = "After 30 days this has not happened: PaperTowel ordered again, resolved, placed, shipped, delivered, refilled."
    assert verdict(told, CLEAN, FACTS) == sentence
    assert verdict(told, CLEAN, after(7)) is None
    assert verdict(told, Ending(0, interrupted=True), FACTS) is None


@pytest.mark.parametrize("before", [["accepted"], ["accepted", "placed", "shipped", "delivered"], ["accepted", "problem", "refilled"]])
def test_an_order_while_one_is_open_is_a_duplicate(before: list[str]) -> None:
    told = tally(*life("Coffee", *before, "accepted"))
    assert told.duplicates["Coffee"] == 1
    assert verdict(told, CLEAN, after(1)) == "Coffee was ordered while an order for it was open."


@pytest.mark.parametrize("before", [["accepted", "cancelled"], list(ORDER), [*ORDER, "used"], []])
def test_an_order_after_the_end_of_the_last_is_none(before: list[str]) -> None:
    told = tally(*life("Coffee", *before, "accepted"), ("PaperTowel", "accepted"))
    assert sum(told.duplicates.values()) == 0


def test_an_agent_that_ends_too_early_or_badly_is_a_sentence() -> None:
    told = tally(*WHOLE_STORY)
    assert verdict(told, Ending(3, by_itself=True), FACTS) == "The agent ended by itself, with status 3."
    assert verdict(told, Ending(0, by_itself=True), FACTS) == "The agent ended by itself, with status 0."
    assert verdict(told, Ending(1), FACTS) == "The agent did not stop cleanly: its status was 1."


def test_the_heap_peak_is_the_agents_own_word() -> None:
    told = tally()
    told.add(Event(1, Source.AGENT, "stop", None, {"heap_peak": 70_000}))
    assert report(told, LEDGER, CLEAN, FACTS)["heap_peak"] == 70_000


def test_the_report_says_what_the_service_counted() -> None:
    told = report(tally(*WHOLE_STORY), LEDGER, CLEAN, FACTS)
    assert told["orders"]["PaperTowel"] == {"accepted": 2, "delivered": 0, "cancelled": 1, "open": 1}
    assert told["orders"]["Coffee"] == {"accepted": 0, "delivered": 0, "cancelled": 0, "open": 0}
    assert (told["replenish_calls"], told["blind_replenish_calls"], told["duplicates"]) == (3, 2002, 0)
    assert (told["days"], told["seconds"], told["verdict"]) == (30.0, 60.0, None)
    assert [chapter["happened"] for chapter in told["chapters"]] == [True] * len(CHAPTERS)


def shown(ending: Ending) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=80, highlight=False)
    for part in tables(report(tally(*WHOLE_STORY[:5]), LEDGER, ending, FACTS), UNICODE):
        console.print(part)
    return [line.rstrip() for line in out.getvalue().splitlines()]




def test_the_table_is_for_people() -> None:
    lines = shown(CLEAN)
    text = "\n".join(lines)
    assert "30.0 days in 60 seconds, 43,200 times real time, seed 7" in lines
    assert "PaperTowel                     2           0           1            1" in lines
    assert "replenish                   3   accepted 2, in_progress 1" in lines
    assert "by a client that retries blindly   2,002 (every 5 minutes while one is open)" in text
    assert "heap peak                          not told" in text
    assert "░ Coffee ordered, placed, shipped, delivered, refilled (not yet)" in lines
    assert max(map(len, lines)) <= 80


def test_an_interrupted_run_says_so() -> None:
    assert "Interrupted after 30.0 days in 60 seconds, 43,200 times real time, seed 7" in shown(Ending(0, interrupted=True))


# With the maker's gateway.

SENT = ("accepted", "started", "shipped", "delivered")
GATEWAY_STORY: list[tuple[str, str]] = [
    *life("Coffee", *SENT, "refilled"),
    *life("Coffee", "sold out", "awaiting_customer", "asked", "answered", "accepted", "fewer", *SENT[1:], "refilled"),
    *life("PaperTowel", *SENT, "awaiting_refill", "sent back", "return in transit", "pack returned", "nothing at home"),
    *life("PaperTowel", "accepted", "graded", "return completed"),
]
INTENTS = {"SN0001-Coffee-1": 1, "SN0001-Coffee-2": 1, "SN0001-PaperTowel-1": 1, "SN0001-PaperTowel-2": 1}


def by_the_agent(number: int, slot: str, kind: str) -> Event | None:
    """What the appliance shows, None when it is others who tell it."""
    if kind == "nothing at home":
        return Event(number, Source.AGENT, "level", slot, {"level": 3, "on_hand": 0})
    states = {"awaiting_customer": "customer must resolve the order", "awaiting_refill": "delivered", "held": ""}
    if kind in states or kind == "pack returned":
        reason = states.get(kind, kind)
        return Event(number, Source.AGENT, "order", slot, {"state": kind if kind in states else "held", "reason": reason})
    return None


def at_gateway(story: list[tuple[str, str]]) -> Tally:
    counted = Tally(STORIES["gateway"])
    counted.add(Event(0, Source.AGENT, "notice", None, {"result": "applied"}))
    for number, (slot, kind) in enumerate(story):
        fewer = {"fewer": True} if (slot, "fewer") in story[number + 1 : number + 2] and kind == "accepted" else {}
        if kind != "fewer":
            counted.add(by_the_agent(number, slot, kind) or Event(number, Source.SERVICE, kind, slot, fewer))
    return counted


def judged(story: list[tuple[str, str]], intents: dict[str, int] | None = None, notices: bool = True) -> str | None:
    facts = replace(FACTS, notices=notices)
    said = gateway_summary.report(at_gateway(story), Ledger({}, 3, intents or INTENTS), CLEAN, facts)["verdict"]
    assert said is None or isinstance(said, str)
    return said


def test_the_story_of_the_gateway_holds() -> None:
    assert judged(GATEWAY_STORY) is None


@pytest.mark.parametrize("lost", range(len(GATEWAY_STORY)))
def test_whatever_is_missing_from_the_story_of_the_gateway_is_missed(lost: int) -> None:
    if lost == len(GATEWAY_STORY) - 3:  # the next order is no part of the story
        return
    assert judged(GATEWAY_STORY[:lost] + GATEWAY_STORY[lost + 1 :]) is not None


def test_without_notices_nobody_tells_the_appliance_of_a_return() -> None:
    unheard = [entry for entry in GATEWAY_STORY if entry[1] not in ("pack returned", "nothing at home")]
    assert judged(unheard, notices=False) is None
    assert "no refill awaited" in str(judged(unheard))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"SN0001-Coffee-2": 2}, "The intent SN0001-Coffee-2 has 2 orders in the store."),
        ({"": 1}, "An order in the store is of no intent."),
        ({"SN0001-Coffee-4": 1}, "The intent SN0001-Coffee-3 has no order in the store, though a later one has."),
    ],
)
def test_an_intent_is_one_order_and_no_number_is_left_out(change: dict[str, int], sentence: str) -> None:
    assert judged(GATEWAY_STORY, {**INTENTS, **change}) == sentence


def test_an_order_beside_one_that_is_asked_about_is_a_duplicate() -> None:
    assert at_gateway(life("Coffee", "sold out", "accepted", "accepted")).duplicates["Coffee"] == 1
    assert at_gateway(life("Coffee", "sold out", "accepted", "started")).duplicates["Coffee"] == 0


def test_the_table_of_the_gateway_is_for_people() -> None:
    out = io.StringIO()
    ledger = Ledger({"createOrder": {"ok": 4, "ItemOutOfStock": 1}}, 9, INTENTS)
    said = gateway_summary.report(at_gateway(GATEWAY_STORY), ledger, CLEAN, FACTS)
    for part in gateway_summary.tables(said, UNICODE):
        Console(file=out, width=80, highlight=False).print(part)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert "PaperTowel                    2           1           1           0            1" in lines
    assert "createOrder                 5   ItemOutOfStock 1, ok 4" in lines
    assert "the person was asked, answered   1, 1" in lines
    assert "intents, orders in the store     4, 4" in lines
