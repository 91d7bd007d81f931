"""How fast a slot is used, how sure that is, and when it runs out: a mean rate, and how the week's days differ from each other.

Nothing here knows levels or stock; amounts are in the slot's unit, times are Unix seconds. What is learned is in the fields of
`slot.Level`: `rate`, `rate_at`, `used`, `first_at`, and `week`: seven bytes for the days' shares, and one for the error.

In memory only when something was used, and about hourly; not while a service is called.

A day is a day of UTC, by its number since 1970, and its place in the week is that number modulo 7: the names of the days do not
matter. Far from Greenwich an evening belongs to the next day, always to the same one, so the pattern is shifted, not blurred;
with daylight saving time it is off by an hour.
"""

from micropython import const

_DAY_S = const(86400)
_WEEK_S = const(604800)
_OBSERVED_S = const(259200)  # no forecast before three days were seen
_RATE_DAYS = const(10)  # time constant of the mean rate: with 7 a party counts for too much, with 14 a holiday is noticed too late
_SHAPE_WEEKS = const(4)  # ... and of each weekday's share
_SPREAD_DAYS = const(21)  # ... and of the error
_ABSENT_DAYS = const(4)  # no use for longer than a long weekend: nobody is there, and the rate is what it was ...
_HOLIDAY_DAYS = const(30)  # ... unless it is for longer than a holiday
_GAP_DAYS = const(7)  # more use than in an absence, after so many days without news, is spread over them: nobody knows when it was
_UNIT = const(32)  # a weekday that is like the mean one; so a slot that is used on one day a week, 224, fits a byte
_WEEK = const(224)  # the sum of a week
_LONGEST_DAYS = 3650.0

_SPARE_DAYS = 0.5  # an order is made at any hour and arrives on a day
_SIGMA = 1.25  # a standard deviation, in mean errors (of a normal distribution)

# Confidence
LOW = const(1)  # fewer than two weeks were seen, or a day's use is usually off by more than a mean day's
MEDIUM = const(2)
HIGH = const(3)  # four weeks were seen, and a day's use is usually off by less than half of a mean day's


def count(level, amount, now):
    """`amount` was used until now, since the last use."""
    today = now // _DAY_S
    days = today - level.rate_at // _DAY_S
    if _is_absence(level, days) and amount <= _ABSENT_DAYS * level.rate:
        _end_day(level, level.rate_at // _DAY_S * _DAY_S + _DAY_S)
        level.rate_at = today * _DAY_S  # nobody was there: nothing is learned of the days between
    elif days > _GAP_DAYS:
        return _spread(level, amount, now)
    while level.rate_at // _DAY_S < today:
        _end_day(level, level.rate_at // _DAY_S * _DAY_S + _DAY_S)
    level.used += amount


def _spread(level, amount, now):
    weight = _known_days(level)
    level.rate = (level.rate * weight + level.used + amount) / (weight + (now - level.rate_at) / _DAY_S)
    level.used = 0.0
    level.rate_at = now


def _is_absence(level, days):
    """Whether so many days without use say that nobody is there; not where a day's use is usually off by more than a mean day's."""
    return _ABSENT_DAYS < days <= _HOLIDAY_DAYS and level.week[7] <= _UNIT


def _known_days(level):
    """How many days stand behind the rate: in the beginning it is the plain mean."""
    return min(_RATE_DAYS, max(0, level.rate_at - level.first_at) / _DAY_S)


def _share(level, day):
    """How much of a mean day's use this day has."""
    return level.week[day % 7] / _UNIT


def _end_day(level, end):
    """The day is over at `end`: learn from what was used on it."""
    day = level.rate_at // _DAY_S
    length = (end - level.rate_at) / _DAY_S  # less than 1 on the first day only
    share = _share(level, day)
    weight = _known_days(level)
    error = abs(level.used - level.rate * share)
    if weight + length * share:  # by its weight: a day on which nobody ever uses anything tells nothing
        level.rate = (level.rate * weight + level.used) / (weight + length * share)
    if length == 1 and level.rate:
        _learn(level, day % 7, level.used / level.rate, error / level.rate, (end - level.first_at) // _DAY_S)
    level.used = 0.0
    level.rate_at = end


def _learn(level, weekday, share, error, days):
    """Move a weekday's share, and the error, a little towards what was seen; the week's sum stays."""
    shares = list(level.week)
    spread = shares.pop()
    spread += round((min(_UNIT * error, 255) - spread) / min(_SPREAD_DAYS, days + 1))
    shares[weekday] += (min(_UNIT * share, _WEEK) - shares[weekday]) / min(_SHAPE_WEEKS, days // 7 + 2)
    total = sum(shares) or 1
    level.week = bytes([min(255, round(share * _WEEK / total)) for share in shares] + [spread])


def days_left(level, amount, now):
    """Days until `amount` is used up; None when too little was seen to say."""
    if now - level.first_at < _OBSERVED_S:
        return None
    today = now // _DAY_S
    rate, used = _present(level, today)
    if not rate or amount / rate > _LONGEST_DAYS:
        return _LONGEST_DAYS if rate else None
    left = ((today + 1) * _DAY_S - now) / _DAY_S  # what is expected of today and did not come yet, comes in the rest of it
    expected = max(0.0, rate * _share(level, today) - used)
    if amount <= expected:
        return left * amount / expected if amount else 0.0
    amount -= expected
    weeks = int(amount / (7 * rate))
    amount -= weeks * 7 * rate
    days = left + 7 * weeks
    for day in range(today + 1, today + 8):
        expected = rate * _share(level, day)
        if amount <= expected:
            return days + (amount / expected if amount > 0 else 0.0)
        amount -= expected
        days += 1
    return days  # what rounding left


def _present(level, today):
    """(rate, used today) as they are by now: since `rate_at` nothing was used but `used`, and the rate is lower for it, as far as
    that is no absence."""
    day = level.rate_at // _DAY_S
    if day == today and level.rate:
        return level.rate, level.used
    weight = _known_days(level)
    if _is_absence(level, today - day):
        today = day + _ABSENT_DAYS
    passed = (today - day) // 7 * 7.0
    for other in range(day, day + (today - day) % 7):
        passed += _share(level, other)
    total = weight + max(passed, 0.0)
    return ((level.rate * weight + level.used) / total if total else level.used), 0.0


def confidence(level, now):
    """LOW, MEDIUM or HIGH; 0 when there is no forecast."""
    if not level.rate or now - level.first_at < _OBSERVED_S:
        return 0
    weeks = (now - level.first_at) // _WEEK_S
    if weeks < 2 or level.week[7] > _UNIT:
        return LOW
    return MEDIUM if weeks < 4 or level.week[7] > _UNIT // 2 else HIGH


def lead_days(level, days):
    """From how many days before the run-out on, by the mean, to order what is needed `days` (1 or more) ahead: a standard deviation
    of the use of so many days comes on top. In a year of generated use that halved the days on which a slot was dry; 1.3 deviations
    left a few less, for more stock."""
    return days + _SPARE_DAYS + _SIGMA / _UNIT * level.week[7] * days**0.5
