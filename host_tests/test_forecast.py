"""How fast a slot is used, what its weekdays are like, when it runs out, and how sure that is."""

from replenish.core import forecast
from replenish.core.slot import Level

from host_tests.expect import cases
from host_tests.fakes import chance

DAY = 86400
HOUR = 3600
START = 1800000000 // DAY * DAY  # a midnight
WEEKEND = (2, 3)  # which days of the week it is on does not matter


def near(a, b, share=0.02):
    return abs(a - b) <= share * max(abs(a), abs(b))


def lived(daily, days, start=START):
    """A level after so many whole days on each of which `daily(day)` was used, from 6 to 20 o'clock; and the time by then."""
    level = Level()
    level.first_at = level.rate_at = start
    live_on(level, daily, 0, days, start)
    return level, start + days * DAY


def live_on(level, daily, first, last, start=START):
    for day in range(first, last):
        for hour in range(6, 21, 2):
            forecast.count(level, daily(day) / 8, start + day * DAY + hour * HOUR)


def weekend(day):
    return 8.0 if day % 7 in WEEKEND else 0.5


# The mean rate


def check_steady(days):
    level, now = lived(lambda day: 5.0, days)
    assert near(level.rate, 5) and near(forecast.days_left(level, 60.0, now), 12)


def test_a_steady_use_is_known_from_the_third_day_on():
    cases(check_steady, [(3,), (5,), (10,), (100,)])
    level, now = lived(lambda day: 5.0, 2)
    assert forecast.days_left(level, 60.0, START + 3 * DAY - 1) is None, "no forecast before three days were seen"
    assert forecast.days_left(level, 60.0, START + 3 * DAY) is not None
    assert forecast.confidence(level, now) == 0


def test_what_was_never_used_has_no_end():
    level, now = lived(lambda day: 0.0, 10)
    assert forecast.days_left(level, 5.0, now) is None
    level, now = lived(lambda day: 0.0001, 10)
    assert forecast.days_left(level, 5.0, now) == 3650
    assert forecast.days_left(level, 0.0, now) == 0


def test_one_day_weighs_as_one_in_ten():
    level, now = lived(lambda day: 1.0, 70)
    live_on(level, lambda day: 11.0, 70, 71)
    forecast.count(level, 0.0, START + 71 * DAY)
    assert near(level.rate, 1 + 10 / 11)


def test_a_new_rate_is_learned_within_weeks():
    level, now = lived(lambda day: 1.0, 70)
    live_on(level, lambda day: 3.0, 70, 91)
    assert 2.5 < level.rate < 3.01


def check_unused(days, counted):
    level, now = lived(lambda day: 5.0, 70)
    found = forecast.days_left(level, 50.0, now + days * DAY)
    assert near(found, 10 * (11 + counted) / 11), found
    assert level.rate_at == START + 69 * DAY, "asking changes nothing"


def test_what_nobody_uses_any_more_lasts_longer_and_longer():
    cases(check_unused, [(days, days) for days in (0, 1, 3, 30, 100)])


def test_an_absence_of_up_to_a_month_is_no_news():
    cases(check_unused, [(days, 3) for days in (4, 10, 29)])
    level, now = lived(lambda day: 5.0, 70)
    week = level.week
    forecast.count(level, 1.0, now + 14 * DAY + 8 * HOUR)
    assert near(level.rate, 5) and level.week == week and level.used == 1.0
    forecast.count(level, 4.0, now + 14 * DAY + 20 * HOUR)
    forecast.count(level, 5.0, now + 16 * DAY - HOUR)
    assert near(level.rate, 5), "the day of the return is a day like others"
    level, now = lived(lambda day: 5.0, 70)
    forecast.count(level, 1.0, now + 40 * DAY)
    assert level.rate < 2, "nobody is away for so long"


def test_for_irregular_use_every_silence_counts():
    dice = chance.Random(4)
    days = [20.0 if dice.below(4) == 0 else 0.0 for _ in range(200)]
    level, now = lived(lambda day: days[day], 200)
    assert level.week[7] > 32 and 4 < level.rate < 7
    left = forecast.days_left(level, 50.0, now)
    assert forecast.days_left(level, 50.0, now + 10 * DAY) > 1.6 * left
    assert forecast.days_left(level, 50.0, now + 20 * DAY) > 2.2 * left


def test_use_after_a_long_silence_is_spread_over_it():
    level, now = lived(lambda day: 5.0, 70)
    week = level.week
    forecast.count(level, 100.0, now + 20 * DAY)
    assert near(level.rate, 5) and level.week == week
    forecast.count(level, 5.0, now + 20 * DAY + HOUR)
    assert level.used == 5.0


def test_a_day_of_use_is_counted_once_however_it_is_told():
    one, now = lived(lambda day: 4.0, 30)
    other = Level()
    other.first_at = other.rate_at = START
    for day in range(30):
        forecast.count(other, 4.0, START + day * DAY + 12 * HOUR)
    forecast.count(one, 0.0, now)
    forecast.count(other, 0.0, now)
    assert near(one.rate, other.rate) and one.week == other.week


# The week


def test_the_weekdays_shares_are_learned_and_sum_to_a_week():
    level, now = lived(weekend, 70)
    shares = list(level.week[:7])
    high = [share for share in shares if share > 64]
    assert len(high) == 2 and 210 <= sum(shares) <= 238 and min(high) > 8 * min(shares), shares


def check_run_out(weekday):
    """From the start of each weekday 18.5 lasts until the same moment of use, whatever a mean says."""
    level, now = lived(weekend, 70 + weekday)
    left, day = 18.5, 70 + weekday
    while left > weekend(day):
        left -= weekend(day)
        day += 1
    days = forecast.days_left(level, 18.5, now)
    assert abs(days - (day - 70 - weekday + left / weekend(day))) < 0.7, days


def test_a_run_out_is_found_on_the_day_that_it_comes():
    cases(check_run_out, [(weekday,) for weekday in range(7)])
    slow, now = lived(weekend, 70 + 4)  # the day after a weekend: a mean of 2.6 a day would say less than four days
    assert forecast.days_left(slow, 10.0, now) > 5


def test_what_was_used_today_is_not_expected_again():
    level, now = lived(lambda day: 5.0, 70)
    forecast.count(level, 5.0, now + 8 * HOUR)
    assert near(forecast.days_left(level, 10.0, now + 8 * HOUR), 2 + 16 / 24)
    assert near(forecast.days_left(level, 10.0, now + 8 * HOUR) - forecast.days_left(level, 10.0, now + 9 * HOUR), 1 / 24, 0.05)


def test_a_week_that_is_forgotten_is_flat_again():
    level, now = lived(lambda day: 5.0 if day % 7 == 2 else 0.0, 70)
    assert level.week[(now // DAY + 2) % 7] > 200 and sum(level.week[:7]) <= 225
    live_on(level, lambda day: 5.0, 70, 170)
    assert max(level.week[:7]) - min(level.week[:7]) <= 4


# Confidence


def test_there_is_no_confidence_where_there_is_no_forecast():
    level = Level()
    assert forecast.confidence(level, START + 40 * DAY) == 0, "it was never dated"
    level.first_at = level.rate_at = START
    assert forecast.confidence(level, START + 40 * DAY) == 0, "nothing was ever used"


def check_confidence(days, daily, expected):
    level, now = lived(daily, days)
    assert forecast.confidence(level, now) == expected, level.week[7]


def test_confidence_comes_with_weeks_and_with_days_that_are_alike():
    dice = chance.Random(7)
    usual = [5 + dice.below(200) / 100 - 1 for _ in range(100)]
    wild = [40.0 if dice.below(20) == 0 else 0.0 for _ in range(100)]
    restless = [float(dice.below(10)) for _ in range(100)]
    table = [
        (2, lambda day: 5.0, 0),
        (3, lambda day: 5.0, 1),
        (13, lambda day: 5.0, 1),
        (14, lambda day: 5.0, 2),
        (28, lambda day: 5.0, 3),
        (98, lambda day: usual[day], 3),
        (98, lambda day: restless[day], 2),
        (98, lambda day: wild[day], 1),
        (98, weekend, 3),
    ]
    cases(check_confidence, table)


def test_what_days_are_usually_off_by_lets_an_order_come_earlier():
    level, now = lived(lambda day: 5.0, 40)
    assert 7.5 <= forecast.lead_days(level, 7) < 8, "half a day for the hour of the order"
    level, now = lived(lambda day: 0.0 if day % 2 else 10.0, 140)  # two weeks' shares are alike: each day is off by all of itself
    assert 24 <= level.week[7] <= 44
    spread = 1.25 * level.week[7] / 32
    for days in (1, 4, 9):
        assert near(forecast.lead_days(level, days), days + 0.5 + spread * (1, 2, 3)[(1, 4, 9).index(days)], 0.001)


def test_a_year_of_chance_leaves_numbers_that_are_numbers():
    dice = chance.Random(3)
    level = Level()
    level.first_at = level.rate_at = START + 12345
    now = START + 20000
    for _ in range(3000):
        now += 1 + dice.below(dice.below(3 * DAY) + 1)
        forecast.count(level, dice.below(1000) / 10 if dice.below(3) else 0.0, now)
        assert level.rate >= 0 and 0 <= level.week[7] <= 255 and len(level.week) == 8
        days = forecast.days_left(level, dice.below(5000) / 10, now + dice.below(20 * DAY))
        assert days is None or 0 <= days <= 3650
