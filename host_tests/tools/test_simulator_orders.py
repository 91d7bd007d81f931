"""The order book alone: no HTTP, no service, a clock that stands."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.simulator.clock import Clock
from tools.simulator.journal import Event, EventJournal
from tools.simulator.orders import DAY_S, HOUR_S, OrderBook, OrderRefused, OrderState, Scenario, SlotBusy, SlotKey, Timings

START = 1_700_000_000
KEY = SlotKey("SN0001", "PaperTowel")
OTHER = SlotKey("SN0001", "Coffee")


class Bench:
    """A book, its clock and its events."""

    def __init__(self, **timings: int) -> None:
        self.clock = Clock.manual(START)
        self.events = EventJournal()
        names = iter(range(1, 10_000))
        self.book = OrderBook(self.clock, self.events, lambda: f"order-{next(names)}", Timings(**timings))

    def at(self, seconds: int) -> None:
        """Go to `seconds` after the start."""
        self.clock.advance(START + seconds - self.clock.now())

    def story(self) -> list[tuple[int, str]]:
        """What happened until now, each with its seconds after the start."""
        self.book.advance()
        return [(event.time - START, event.kind) for event in self.events]


@pytest.fixture
def bench() -> Bench:
    return Bench()


SUCCESS = [(0, "accepted"), (120, "placed"), (120 + DAY_S, "shipped"), (120 + 4 * DAY_S, "delivered")]
UNRESOLVED = [(0, "accepted"), (120, "problem"), (120 + 72 * HOUR_S, "cancelled")]
_SOLVED = 120 + 30 * HOUR_S
RESOLVED = [
    (0, "accepted"),
    (120, "problem"),
    (_SOLVED, "resolved"),
    (_SOLVED, "placed"),
    (_SOLVED + DAY_S, "shipped"),
    (_SOLVED + 4 * DAY_S, "delivered"),
]


@pytest.mark.parametrize(("scenario", "story"), [("success", SUCCESS), ("unresolved", UNRESOLVED), ("resolved", RESOLVED)])
def test_each_scenario_tells_its_story_at_its_own_times(bench: Bench, scenario: str, story: list[tuple[int, str]]) -> None:
    bench.book.set_plan(KEY, default=scenario)
    bench.book.open(KEY, "B00")
    bench.at(30 * DAY_S)
    assert bench.story() == story


@pytest.mark.parametrize(("scenario", "story"), [("success", SUCCESS), ("unresolved", UNRESOLVED), ("resolved", RESOLVED)])
def test_nothing_happens_a_second_early(scenario: str, story: list[tuple[int, str]]) -> None:
    for index, (time, _) in enumerate(story[1:], 1):
        bench = Bench()
        bench.book.set_plan(KEY, default=scenario)
        bench.book.open(KEY, "B00")
        bench.at(time - 1)
        assert len(bench.story()) == len([entry for entry in story if entry[0] < time]) <= index
        bench.at(time)
        assert (time, story[index][1]) in bench.story()


@given(st.lists(st.integers(0, 2 * DAY_S), max_size=30), st.sampled_from(["success", "unresolved", "resolved"]))
def test_the_story_does_not_depend_on_how_often_anybody_looks(pauses: list[int], scenario: str) -> None:
    looked, unseen = Bench(), Bench()
    for bench in (looked, unseen):
        bench.book.set_plan(KEY, default=scenario)
        bench.book.open(KEY, "B00")
    for pause in pauses:
        looked.clock.advance(pause)
        looked.book.advance()
    unseen.clock.advance(sum(pauses))
    assert looked.story() == unseen.story()


@given(
    st.lists(
        st.tuples(st.integers(0, 3 * DAY_S), st.sampled_from(["open", "cancel", "resolve"]), st.sampled_from([KEY, OTHER])), max_size=40
    )
)
def test_whatever_is_tried_a_slot_has_one_open_order_and_time_never_goes_back(steps: list[tuple[int, str, SlotKey]]) -> None:
    bench = Bench()
    bench.book.set_plan(KEY, default="resolved")
    bench.book.set_plan(OTHER, default="unresolved")
    actions: dict[str, Callable[[SlotKey], object]] = {
        "open": lambda key: bench.book.open(key, "B00"),
        "cancel": bench.book.cancel,
        "resolve": bench.book.resolve,
    }
    for pause, action, key in steps:
        bench.clock.advance(pause)
        try:
            actions[action](key)
        except OrderRefused:
            assert action != "open" or bench.book.running(key)
        for slot in (KEY, OTHER):
            still_open = [order for order in bench.book.orders(slot) if order.open]
            assert still_open == [order for order in [bench.book.running(slot)] if order]
    times = [event.time for event in bench.events]
    assert times == sorted(times)


def test_events_of_several_slots_come_in_the_order_of_their_times() -> None:
    bench = Bench()
    bench.book.set_plan(OTHER, default={"kind": "success", "place_after_s": 60})
    bench.book.open(KEY, "B00")
    bench.book.open(OTHER, "B01")
    bench.at(DAY_S)
    kinds = [(event.slot, event.kind) for event in bench.events]
    assert kinds == [("PaperTowel", "accepted"), ("Coffee", "accepted")]
    bench.book.advance()
    assert [(event.slot, event.kind) for event in bench.events][2:] == [("Coffee", "placed"), ("PaperTowel", "placed")]


def test_subscribers_hear_each_event_once_with_its_order_and_time(bench: Bench) -> None:
    heard: list[Event] = []
    bench.events.subscribe(heard.append)
    order = bench.book.open(KEY, "B00")
    bench.at(10 * DAY_S)
    bench.book.advance()
    bench.book.advance()
    assert [(event.time - START, event.kind) for event in heard] == SUCCESS
    assert {event.order_id for event in heard} == {order.order_id}
    assert [event.number for event in heard] == [1, 2, 3, 4]


def test_a_slot_is_blocked_until_delivery_and_free_in_that_second(bench: Bench) -> None:
    first = bench.book.open(KEY, "B00")
    bench.at(120 + 4 * DAY_S - 1)
    with pytest.raises(SlotBusy) as busy:
        bench.book.open(KEY, "B00")
    assert busy.value.running is first
    bench.at(120 + 4 * DAY_S)
    assert bench.book.open(KEY, "B00").order_id != first.order_id
    assert first.state is OrderState.DELIVERED


def test_slots_do_not_block_each_other(bench: Bench) -> None:
    bench.book.open(KEY, "B00")
    assert bench.book.open(OTHER, "B01").open


def test_successive_orders_take_the_queue_and_then_the_default(bench: Bench) -> None:
    bench.book.set_plan(KEY, queue=["unresolved", {"kind": "resolved", "resolve_after_s": 60}], default="success")
    ends = []
    for _ in range(4):
        order = bench.book.open(KEY, "B00")
        bench.clock.advance(20 * DAY_S)
        bench.book.advance()
        ends.append((str(order.scenario), str(order.state)))
    assert ends == [("unresolved", "cancelled"), ("resolved", "delivered"), ("success", "delivered"), ("success", "delivered")]


def test_a_busy_slot_uses_up_no_scenario(bench: Bench) -> None:
    bench.book.set_plan(KEY, queue=["success", "unresolved"])
    bench.book.open(KEY, "B00")
    for _ in range(3):
        with pytest.raises(SlotBusy):
            bench.book.open(KEY, "B00")
    assert [scenario.kind for scenario in bench.book.plan(KEY).queue] == ["unresolved"]


@pytest.mark.parametrize(
    "form", ["", "lucky", 5, None, {"kind": "lucky"}, {}, {"kind": "success", "place_in": 5}, {"kind": "success", "place_after_s": -1}]
)
def test_a_bad_scenario_is_refused_and_changes_nothing(bench: Bench, form: object) -> None:
    bench.book.set_plan(KEY, queue=["resolved"])
    with pytest.raises(ValueError):
        bench.book.set_plan(KEY, queue=["success", form], default="unresolved")  # type: ignore[list-item]
    assert [scenario.kind for scenario in bench.book.plan(KEY).queue] == ["resolved"]
    assert bench.book.plan(KEY).default == Scenario()


@pytest.mark.parametrize(
    "changes",
    [{"ship_after_s": -1}, {"ship_after_s": 1.5}, {"ship_after_s": True}, {"ship_after_s": 10**10}, {"resolve_after_s": 72 * HOUR_S}],
)
def test_a_bad_timing_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        Timings().changed(changes)


def test_an_unknown_timing_is_named() -> None:
    with pytest.raises(ValueError, match="unknown timing 'ship_in'"):
        Timings().changed({"ship_in": 5})


def test_timings_change_for_orders_to_come_only(bench: Bench) -> None:
    before = bench.book.open(KEY, "B00")
    bench.book.timings = Timings(place_after_s=5)
    after = bench.book.open(OTHER, "B01")
    bench.at(5)
    bench.book.advance()
    assert (before.state, after.state) == (OrderState.ACCEPTED, OrderState.PLACED)


class TestCustomerCancels:
    """What the customer may do, and when."""

    @pytest.mark.parametrize("seconds", [120, 120 + DAY_S - 1])
    def test_within_24_hours_of_placing(self, seconds: int) -> None:
        bench = Bench(ship_after_s=2 * DAY_S)
        order = bench.book.open(KEY, "B00")
        bench.at(seconds)
        bench.book.cancel(KEY)
        assert (order.state, order.cancel_reason, order.ended_at) == (OrderState.CANCELLED, "customer", START + seconds)
        assert bench.book.open(KEY, "B00").open
        assert (seconds, "cancelled") in bench.story()

    @pytest.mark.parametrize("seconds", [0, 119, 120 + DAY_S, 120 + 30 * HOUR_S])
    def test_neither_before_it_is_placed_nor_when_the_24_hours_are_over(self, seconds: int) -> None:
        bench = Bench(ship_after_s=2 * DAY_S)
        order = bench.book.open(KEY, "B00")
        bench.at(seconds)
        with pytest.raises(OrderRefused, match="cannot be cancelled|can no longer"):
            bench.book.cancel(KEY)
        assert order.open

    def test_not_once_it_is_shipped(self) -> None:
        bench = Bench(ship_after_s=HOUR_S)
        order = bench.book.open(KEY, "B00")
        bench.at(120 + HOUR_S)
        with pytest.raises(OrderRefused):
            bench.book.cancel(KEY)
        assert order.state is OrderState.SHIPPED

    @pytest.mark.parametrize("seconds", [120, 120 + 72 * HOUR_S - 1])
    def test_at_any_time_of_the_resolution(self, bench: Bench, seconds: int) -> None:
        bench.book.set_plan(KEY, default="unresolved")
        order = bench.book.open(KEY, "B00")
        bench.at(seconds)
        bench.book.cancel(KEY)
        assert order.cancel_reason == "customer"

    def test_after_a_resolution_the_24_hours_count_from_placing(self, bench: Bench) -> None:
        bench.book.timings = Timings(ship_after_s=3 * DAY_S)
        bench.book.set_plan(KEY, default="resolved")
        bench.book.open(KEY, "B00")
        bench.at(_SOLVED + DAY_S - 1)
        assert bench.book.cancel(KEY).state is OrderState.CANCELLED

    def test_never_a_test_order_or_nothing(self, bench: Bench) -> None:
        with pytest.raises(OrderRefused, match="no open order"):
            bench.book.cancel(KEY)
        bench.book.open(KEY, "B00", test=True)
        bench.at(200)
        with pytest.raises(OrderRefused, match="test order"):
            bench.book.cancel(KEY)


class TestCustomerResolves:
    """The customer deals with the mail about a problem."""

    def test_an_order_in_resolution_is_placed_at_once(self, bench: Bench) -> None:
        bench.book.set_plan(KEY, default="unresolved")
        bench.book.open(KEY, "B00")
        bench.at(5 * HOUR_S)
        bench.book.resolve(KEY)
        bench.at(20 * DAY_S)
        assert bench.story()[2:] == [
            (5 * HOUR_S, "resolved"),
            (5 * HOUR_S, "placed"),
            (5 * HOUR_S + DAY_S, "shipped"),
            (5 * HOUR_S + 4 * DAY_S, "delivered"),
        ]

    def test_in_the_last_second_but_not_after_it(self, bench: Bench) -> None:
        bench.book.set_plan(KEY, default="unresolved")
        bench.book.open(KEY, "B00")
        bench.at(120 + 72 * HOUR_S - 1)
        assert bench.book.resolve(KEY).state is OrderState.PLACED
        bench.book.set_plan(OTHER, default="unresolved")
        bench.book.open(OTHER, "B01")
        bench.clock.advance(120 + 72 * HOUR_S)
        with pytest.raises(OrderRefused, match="no open order"):
            bench.book.resolve(OTHER)

    def test_only_where_there_is_a_problem(self, bench: Bench) -> None:
        bench.book.open(KEY, "B00")
        bench.at(200)
        with pytest.raises(OrderRefused, match="no problem"):
            bench.book.resolve(KEY)


class TestTestOrders:
    """Orders that nobody pays for."""

    def test_are_cancelled_by_their_maker_at_any_time(self, bench: Bench) -> None:
        for seconds in (0, 200, 2 * DAY_S):
            bench.book.open(KEY, "B00", test=True)
            bench.clock.advance(seconds)
            order = bench.book.cancel_test(KEY)
            assert order is not None
            assert (order.state, order.cancel_reason) == (OrderState.CANCELLED, "test")
        assert bench.book.cancel_test(KEY) is None

    def test_a_real_order_is_not_cancelled_that_way(self, bench: Bench) -> None:
        order = bench.book.open(KEY, "B00")
        with pytest.raises(OrderRefused, match="real order"):
            bench.book.cancel_test(KEY)
        assert order.open


class TestEstimate:
    """When the order should arrive."""

    def test_is_the_truth_as_far_as_it_is_known(self, bench: Bench) -> None:
        order = bench.book.open(KEY, "B00")
        arrival = START + 120 + 4 * DAY_S
        for seconds in (0, 120, 120 + DAY_S, 120 + 4 * DAY_S):
            bench.at(seconds)
            bench.book.advance()
            assert order.delivery_estimate == arrival
        assert order.ended_at == arrival

    def test_is_unknown_during_resolution_and_after_its_failure(self, bench: Bench) -> None:
        bench.book.set_plan(KEY, default="unresolved")
        order = bench.book.open(KEY, "B00")
        for seconds in (120, 120 + 72 * HOUR_S):
            bench.at(seconds)
            bench.book.advance()
            assert order.delivery_estimate is None

    def test_is_known_again_once_resolved(self, bench: Bench) -> None:
        bench.book.set_plan(KEY, default="resolved")
        order = bench.book.open(KEY, "B00")
        bench.at(_SOLVED)
        bench.book.advance()
        assert order.delivery_estimate == START + _SOLVED + 4 * DAY_S


def test_next_due_leads_from_event_to_event_to_the_end(bench: Bench) -> None:
    bench.book.open(KEY, "B00")
    times = []
    while (due := bench.book.next_due()) is not None:
        times.append(due - START)
        bench.at(times[-1])
    assert times == [time for time, _ in SUCCESS[1:]]


def test_a_journal_is_bounded_and_says_what_it_dropped() -> None:
    journal = EventJournal(limit=3)
    for time in range(5):
        journal.emit(time, "tick", "SN0001")
    assert ([event.number for event in journal], journal.dropped, journal.count) == ([3, 4, 5], 2, 5)
    assert [event.number for event in journal.after(4)] == [5]
