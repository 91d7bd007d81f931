"""`make bench PART=forecast`: the households are what they are named for, the year is lived by its rules, the core decides as the
whole agent does, and ordering by forecast is worth it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest

from host_tests.bench import budgets, forecast, use, year
from host_tests.bench.use import PACK, YEAR_DAYS, Household
from host_tests.fakes.appliance import Appliance
from host_tests.powerloss.world import iso

NUMBERS = range(5)
SAMPLE = ("steady", "office", "holidays", "mixed")


def days_of(household: Household) -> list[float]:
    """The year's use by local days."""
    return [sum(household.demand[day * 24 : day * 24 + 24]) for day in range(YEAR_DAYS)]


def weekdays_of(household: Household) -> list[int]:
    first = (household.begin // 3600 + household.zone_h) // 24
    return [use.weekday(first + day) for day in range(YEAR_DAYS)]


def runs(flags: list[bool]) -> list[int]:
    """How long each stretch of true ones is."""
    return [len(list(group)) for flag, group in groupby(flags) if flag]


@pytest.fixture(params=NUMBERS)
def number(request: pytest.FixtureRequest) -> Any:
    return request.param


# The households


@pytest.mark.parametrize("name", use.PATTERNS)
def test_a_household_is_the_same_each_time_and_no_two_are_alike(name: str) -> None:
    assert use.household(name, 1) == use.household(name, 1)
    assert use.household(name, 1).demand != use.household(name, 2).demand


@pytest.mark.parametrize("name", use.PATTERNS)
def test_a_pack_lasts_as_long_as_it_was_drawn(name: str, number: int) -> None:
    household = use.household(name, number)
    fast, slow = household.pattern.pack_lasts_days
    assert fast <= PACK / household.per_day <= slow
    assert statistics.fmean(days_of(household)) == pytest.approx(household.per_day, rel=0.35)


def test_some_hours_are_for_sleeping(number: int) -> None:
    household = use.household("steady", number)
    assert not any(household.demand[hour] for hour in range(YEAR_DAYS * 24) if hour % 24 in (0, 1, 2, 3, 4, 5, 22, 23))


def test_steady_is_nearly_the_same_each_day(number: int) -> None:
    household = use.household("steady", number)
    assert all(0.79 * household.per_day <= day <= 1.21 * household.per_day for day in days_of(household))


def test_a_weekend_takes_three_times_as_much(number: int) -> None:
    household = use.household("weekend", number)
    days = list(zip(weekdays_of(household), days_of(household), strict=True))
    ends = statistics.fmean([used for day, used in days if day in (5, 6)])
    assert ends == pytest.approx(3 * statistics.fmean([used for day, used in days if day < 5]), rel=0.1)


def test_nobody_is_at_the_office_on_a_weekend(number: int) -> None:
    household = use.household("office", number)
    assert all((used > 0) == (day < 5) for day, used in zip(weekdays_of(household), days_of(household), strict=True))


@pytest.mark.parametrize("name", ["holidays", "mixed"])
def test_holidays_last_one_to_three_weeks(name: str, number: int) -> None:
    away = runs([used == 0 for used in days_of(use.household(name, number))])
    assert 2 <= len(away) <= 6 and all(7 <= days <= 21 for days in away[:-1])


def test_the_best_month_takes_four_times_the_worst(number: int) -> None:
    days = days_of(use.household("seasonal", number))
    months = [statistics.fmean(days[day : day + 30]) for day in range(0, 335, 5)]
    assert 3.2 < max(months) / min(months) < 4.5


def test_guests_stay_for_one_to_four_days(number: int) -> None:
    days = days_of(use.household("bursts", number))
    guests = runs([used > 2 * statistics.median(days) for used in days])
    assert 7 <= len(guests) <= 25 and all(stay <= 4 for stay in guests)


def test_growth_doubles_the_use_once(number: int) -> None:
    household = use.household("growth", number)
    days = days_of(household)
    assert statistics.fmean(days[-60:]) == pytest.approx(2 * statistics.fmean(days[:60]), rel=0.1)
    more = [used > household.per_day for used in days]
    assert runs(more) == [sum(more)] and more[-1], "from one day on"


def test_a_slow_user_uses_nothing_on_most_days(number: int) -> None:
    household = use.household("slow", number)
    assert 0.6 < sum(used == 0 for used in days_of(household)) / YEAR_DAYS < 0.9 and PACK / household.per_day >= 120


def test_a_noisy_sensor_is_ten_times_as_noisy() -> None:
    spreads = []
    for name in ("noisy sensor", "steady"):
        home = year.Home(use.household(name, 1))
        home.level = 60.0
        readings = [home.read() for _ in range(2000)]
        assert all(0 <= reading <= 110 for reading in readings)
        spreads.append(statistics.stdev(sorted(readings)[50:-50]))
        assert (max(readings) - min(readings) > 50) == (name == "noisy sensor"), "and sometimes wild"
    assert spreads[0] > 8 * spreads[1]


# The year


def test_nothing_comes_from_nowhere(number: int) -> None:
    home = year.Home(use.household("hopper", number))
    orderer = year.Oracle(home)
    wanted = 0.0
    for hour in range(YEAR_DAYS * 24):
        wanted += home.household.demand[hour]
        home.live(orderer.look)
        assert 0 <= home.level <= home.household.pattern.capacity and home.stock >= 0
    arrived = len(home.year.orders) - bool(home.coming)
    brought = home.household.pattern.capacity + arrived * PACK
    used = brought - home.level - home.stock
    assert used == pytest.approx(wanted) if not home.year.dry_days else used < wanted
    assert home.loads > 3 * arrived, "a hopper takes a quarter of a pack"


def test_without_orders_it_is_dry_from_the_run_out_on() -> None:
    household = use.household("steady", 3)
    home = year.Home(household)
    lasts = home.lasts_hours()
    for _ in range(YEAR_DAYS * 24):
        home.live(lambda: None)
    assert home.end().dry_runs == 1
    assert home.year.dry_days == YEAR_DAYS - lasts // 24


def test_every_way_of_ordering_meets_the_same_parcels() -> None:
    made = {way: forecast.lived("steady", 4, way).orders for way in ("forecast", "oracle")}
    taken = [[order.arrives // 24 - order.made // 24 for order in orders] for orders in made.values()]
    assert min(map(len, taken)) > 5
    assert all(first == second for first, second in zip(*taken, strict=False))
    assert {days for one in taken for days in one} <= {2, 3, 4, 5, 6, 7}


@pytest.mark.parametrize("name", ["steady", "office", "holidays", "slow"])
def test_the_oracle_is_never_dry_and_never_a_day_early(name: str, number: int) -> None:
    lived = forecast.lived(name, number, "oracle")
    assert lived.dry_days == 0 and lived.packs_left <= 1.05 and lived.orders
    at_work = 3.2 if name == "office" else 1.0  # what suffices for Friday suffices for the weekend
    lasting = [order.spare_days for order in lived.orders if order.spare_days is not None]
    assert all(0 <= days <= at_work or name in ("slow", "holidays") for days in lasting)


def test_figures_are_of_all_years() -> None:
    first = year.Year([year.Order(0, 48, 8.0, 7.0, 6.0), year.Order(100, 148, 2.0, 4.0, -1.0)], 3, 1, 0.5)
    second = year.Year([year.Order(0, 48, 7.0, None, None)], 0, 0, 2.0)
    found = forecast.figures([first, second], [second, first])
    assert (found["years"], found["orders"], found["dry_days"], found["dry_runs"]) == (2, 1.5, 1.5, 0.5)
    assert (found["spare"], found["late"], found["left"]) == (3.0, 0.5, 1.25)
    assert (found["more_left"], found["more_orders"]) == (1.5, 1)
    assert found["ahead"] == [2.0, 7.0, 8.0] and found["off"] == [2.0, 2.0, 2.0]


# The core


class WholeAgent:
    """A way of ordering: the agent as it is shipped, with the services in memory."""

    def __init__(self, home: year.Home, reorder_at: float, lead_days: int) -> None:
        self._home = home
        capacity = home.household.pattern.capacity
        limits = {"reorder_at": reorder_at * capacity, "lead_days": lead_days}
        self._appliance = Appliance([{"id": "A", "capacity": capacity, "pack": PACK, "sensor": {"period_s": year.HOUR_S}, **limits}])
        self._taken: list[Any] = []
        self.slot = self._appliance.agent.slots[0]

    def look(self) -> None:
        home, appliance = self._home, self._appliance
        appliance.clock.seconds = home.now
        for parcel, order in self._taken:
            self._progress(parcel, order)
        self.slot.sample_at = 0
        self._sample()
        while self.slot.sample_at < appliance.clock.seconds + year.HOUR_S:
            appliance.clock.seconds = self.slot.sample_at
            self._sample()
        if len(appliance.service.orders) > len(self._taken):
            self._taken.append((home.order(None), appliance.service.orders[-1]))

    def _sample(self) -> None:
        self._appliance.sensors["A"].value = self._home.read()
        self._appliance.agent.once()

    def _progress(self, parcel: year.Order, order: Any) -> None:
        home = self._home
        if home.hour >= parcel.arrives:
            order.status, order.open = "Closed", False
        elif home.hour >= parcel.arrives - 24:
            order.status, order.delivery = "Shipped", iso(home.promised(parcel))
        else:
            order.status = "Authorized"


@pytest.mark.parametrize(("name", "reorder_at", "lead_days"), [("mixed", 0.1, 7), ("steady", 0.5, 0)])
def test_the_core_alone_lives_as_the_whole_agent_does(name: str, reorder_at: float, lead_days: int) -> None:
    ways: list[Callable[..., year.Shipped | WholeAgent]] = [year.Shipped, WholeAgent]
    lives = []
    for way in ways:
        home = year.Home(use.household(name, 1))
        orderer = way(home, reorder_at, lead_days)
        states = []
        for _ in range(150 * 24):
            home.live(orderer.look)
            states.append((orderer.slot.order.names()[0], orderer.slot.order.on_hand > 10))
        lives.append((states, [order.made for order in home.year.orders]))
    (core, core_made), (agent, agent_made) = lives
    assert len(core_made) >= 4 and core_made == agent_made
    differing = sum(one != other for one, other in zip(core, agent, strict=True))
    # Each asks at hours of its own, six apart, whether an order is shipped and whether it is there.
    assert differing <= 2 * 6 * len(core_made)


# The verdict


@pytest.fixture(scope="module")
def sample() -> dict[str, Any]:
    return forecast.measure(2, SAMPLE)


def test_ordering_by_forecast_keeps_its_budgets(sample: dict[str, Any]) -> None:
    assert sample["at 10 %"]["all"]["dry_days"] > 10, "there is something to be better than"
    assert [str(budget) for budget in budgets.of_forecast(sample) if not budget.kept] == []


def test_ordering_by_forecast_buys_no_more_than_one_pack_ahead(sample: dict[str, Any]) -> None:
    """One order at a time (law 1), and none while what is at home lasts (laws 4 and 7)."""
    for pattern in SAMPLE:
        assert sample["forecast"][pattern]["more_orders"] <= 1, pattern
        assert sample["forecast"][pattern]["more_left"] <= 1.05, pattern


def test_the_tables_say_it(sample: dict[str, Any]) -> None:
    text = "\n".join(forecast.tables(sample))
    assert all(name in text for name in [*SAMPLE, *forecast.WAYS, "8 household-years"])


def test_a_forecast_that_is_worth_nothing_is_told(sample: dict[str, Any]) -> None:
    worse = {**sample, "forecast": sample["at 10 %"]}
    assert not any(budget.kept for budget in budgets.of_forecast(worse))
