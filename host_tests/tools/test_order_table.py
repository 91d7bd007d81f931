"""The order table as text: what must hold for every path through it, whatever the code around it does."""

from __future__ import annotations

import re

import pytest

from tools import diagram, fold

SOURCE = diagram.SOURCE.read_text()
NUMBERS = fold.constants(SOURCE)
TABLE = diagram.Table(SOURCE)
LETTERS, STATES, EVENTS, STEPS = TABLE.letters, TABLE.states, TABLE.events, TABLE.steps


def test_the_table_is_a_row_for_each_state_and_a_column_for_each_event() -> None:
    assert len(TABLE.rows) == len(STATES) == len(LETTERS) == 11
    assert [len(row) for row in TABLE.rows] == [23] * 11 == [len(EVENTS)] * 11
    assert TABLE.rows == re.findall(r'^    "([a-z-]+)"  # \w', SOURCE, re.MULTILINE), "a line of the source is a row"
    assert set("".join(TABLE.rows)) <= set(LETTERS + "-")


def test_names_and_numbers_agree() -> None:
    for number, state in enumerate(STATES):
        assert NUMBERS[state.upper()] == number
    for number, event in enumerate(EVENTS):
        assert NUMBERS[event] == number
    reasons = diagram.assigned(SOURCE, "_REASONS").split("|")
    assert NUMBERS["NOT_ORDERED"] == len(reasons) - 1, "the last reason: recovery takes a greater number for damage"
    assert len(set(reasons)) == len(reasons)
    assert NUMBERS["UNSUBSCRIBED"] == len(STATES) - 1


def test_each_row_says_whose_it_is() -> None:
    said = re.findall(r'^    "[a-z-]+"  # (\w) (\w+)', SOURCE, re.MULTILINE)
    assert said == list(zip(LETTERS, STATES, strict=True))


def test_only_an_intent_leads_to_asking() -> None:
    into = {(state, event) for (state, event), after in STEPS.items() if after == "asking" and state != "asking"}
    assert into == {("idle", "INTENT"), ("blocked", "INTENT")}


def test_a_call_is_answered_only_where_one_was_decided() -> None:
    for event in ("NOT_ACTED", "UNKNOWN", "ACCEPTED_OK", "ACCEPTED_NO_ID", "IN_PROGRESS", "STALE", "WITHDRAWN"):
        assert {state for state, what in STEPS if what == event} == {"asking"}, event


def test_only_evidence_of_the_end_leads_back_to_idle() -> None:
    into = {event for (state, event), after in STEPS.items() if after == "idle" and state != "idle"}
    assert into == {"REFILLED", "RELEASED", "WITHDRAWN", "SUBSCRIBED"}
    # An open order needs two: a refill alone is kept in mind until the delivery, and a cancellation is a hold first.
    for state in ("accepted", "awaiting_customer", "placed", "shipped", "blocked"):
        assert "idle" not in {after for (before, _), after in STEPS.items() if before == state}, state


def test_an_open_order_never_leads_to_another_call() -> None:
    open_states = {"accepted", "awaiting_customer", "placed", "shipped"}
    for (state, _), after in STEPS.items():
        if state in open_states:
            assert after in open_states | {"awaiting_refill", "held", "in_doubt"}, (state, after)


def test_no_news_takes_a_shipped_order_back() -> None:
    rank = ["accepted", "awaiting_customer", "placed", "shipped"]
    for (state, event), after in STEPS.items():
        if state in rank and after in rank:
            assert rank.index(after) >= rank.index(state), (state, event, after)


def closure(start: str, steps: set[tuple[str, str]]) -> set[str]:
    """Every state to be reached from `start`."""
    found = {start}
    while True:
        more = {after for before, after in steps if before in found} - found
        if not more:
            return found
        found |= more


def test_every_state_is_reached_and_every_state_can_end() -> None:
    steps = {(before, after) for (before, _), after in STEPS.items()}
    assert closure("idle", steps) == set(STATES)
    assert closure("idle", {(after, before) for before, after in steps}) == set(STATES)


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_is_allowed_somewhere(event: str) -> None:
    assert any(what == event for _, what in STEPS)


def test_what_is_at_home_can_always_be_refilled() -> None:
    assert {state for state, event in STEPS if event == "REFILLED"} == set(STATES)
