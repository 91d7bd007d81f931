"""One outcome, whatever is heard first: histories, arrivals and repetitions that chance draws. What is compared: fakes/facts.py."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from host_tests.fakes.facts import ANSWERS, CANCELLED, CLOSED, HOUR, PLACED, SHIPPED, START, Follower, History, expected

END = START + 94 * HOUR
HEARD: list[bool] = []  # of each example: whether it said enough to be compared


@st.composite
def histories(draw: st.DrawFn) -> History:
    """An order that gets so far, at some hours of 93, and may be cancelled then."""
    hours = sorted(draw(st.lists(st.integers(1, 92), min_size=4, max_size=4, unique=True)))
    events = [PLACED, SHIPPED, CLOSED][: draw(st.integers(0, 3))]
    facts = [(hours[i], event, draw(st.integers(96, 300)) if event != CLOSED else 0) for i, event in enumerate(events)]
    needs = [{events[-1]}] if events else []
    if not events or draw(st.booleans()):
        facts.append((hours[3], CANCELLED, 0))
        needs = [{CANCELLED}, set(events)] if events else [{CANCELLED}]
    return History("drawn", facts, needs)


@st.composite
def schedules(draw: st.DrawFn, history: History) -> list[tuple[int, int]]:
    """(time, number of a notice, or -1 for a poll), by time: each notice any number of times after its fact, and polls."""
    news = []
    for number, (at, _, _) in enumerate(history.facts):
        news += [(at + draw(st.integers(0, END - at)), number) for _ in range(draw(st.integers(0, 3)))]
    news += [(draw(st.integers(START + 60, END)), -1) for _ in range(draw(st.integers(0, 4)))]
    return sorted(draw(st.permutations(news)), key=lambda entry: entry[0])


def told_by_a_poll_in_time(history: History, news: list[tuple[int, int]]) -> bool:
    """Whether a poll before the end of the 72 hours, or a notice, dates a cancellation: else it is taken for later than it was."""
    at = history.facts[-1][0]
    limit = START + 72 * HOUR
    return at >= limit or any(number == len(history.facts) - 1 or number < 0 and at <= now < limit for now, number in news)


@settings(max_examples=600)
@given(st.data(), histories(), st.sampled_from(ANSWERS), st.sampled_from([None, 25]))
def test_no_order_of_the_news_makes_a_difference(data: st.DataObject, history: History, answer: str, pack: int | None) -> None:
    news = data.draw(schedules(history))
    follower = Follower(history, answer, "older", pack)
    for now, number in news:
        if number < 0:
            follower.poll(now)
        else:
            follower.notice(number, now)
    dated = len(history.facts) > 1 or told_by_a_poll_in_time(history, news)
    HEARD.append(follower.knows() and dated)
    if HEARD[-1]:
        assert follower.outcome() == expected(history, pack)


def test_most_of_them_said_enough() -> None:
    assert HEARD.count(True) > 150, HEARD.count(True)
