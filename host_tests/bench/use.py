"""What a household uses of one consumable, hour by hour: generated from a seed, the same on each run.

Each pattern is a function that makes one factor a day, about 1 on average, from the days' numbers (since 1970, local time) and
chance. How long a pack lasts, the time zone, and the weekday and season of the first day are drawn as well, so no two are alike.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

PACK = 100.0  # one order brings so much, in the slot's unit
ROUNDING = 1e-9  # of sums of many small uses
YEAR_DAYS = 365
BEYOND_DAYS = 730  # lived by nobody: in them runs out what is at home at the year's end
# How much of a day's use falls into each hour, from local midnight on.
_HOURS_AT_HOME = (0, 0, 0, 0, 0, 0, 2, 6, 7, 5, 4, 3, 3, 4, 4, 3, 3, 3, 4, 3, 2, 2, 0, 0)
_HOURS_AT_WORK = (0, 0, 0, 0, 0, 0, 0, 1, 5, 6, 5, 4, 4, 5, 4, 3, 2, 1, 0, 0, 0, 0, 0, 0)
_ZONES_H = (-8, -6, -5, 0, 1, 9)  # from UTC: where the service is offered
_PORTIONS = (3, 6)  # a day's use comes in so many
_FIRST_DAY = 20900  # since 1970, some months after the build date; a household begins within a year from it
_MONDAY = 3  # 1970 began on a Thursday

Days = Sequence[int]
Factors = list[float]


def weekday(day: int) -> int:
    """0 is Monday."""
    return (day + _MONDAY) % 7


def steady(days: Days, chance: random.Random) -> Factors:
    """Nearly the same every day."""
    return [chance.uniform(0.8, 1.2) for _ in days]


def weekend(days: Days, chance: random.Random) -> Factors:
    """On Saturday and Sunday three times as much as on another day."""
    return [chance.uniform(0.8, 1.2) * (3 if weekday(day) > 4 else 1) * 7 / 11 for day in days]


def office(days: Days, chance: random.Random) -> Factors:
    """From Monday to Friday only."""
    return [chance.uniform(0.8, 1.2) * (weekday(day) < 5) * 7 / 5 for day in days]


def holidays(days: Days, chance: random.Random) -> Factors:
    """Away for one to three weeks, about every three months."""
    factors = steady(days, chance)
    begin = chance.randrange(30, 90)
    while begin < len(days):
        end = begin + chance.randrange(7, 22)
        factors[begin:end] = [0.0] * len(factors[begin:end])
        begin = end + chance.randrange(45, 110)
    return factors


def seasonal(days: Days, chance: random.Random) -> Factors:
    """Four times as much in the best month as in the worst."""
    peak = chance.randrange(365)
    seasons = [1 + 0.6 * math.cos(math.tau * (day - peak) / 365) for day in days]
    return [factor * season for factor, season in zip(steady(days, chance), seasons, strict=True)]


def bursts(days: Days, chance: random.Random) -> Factors:
    """Guests: about once a month, for one to four days, four times as much."""
    factors = [0.78 * factor for factor in steady(days, chance)]
    begin = chance.randrange(5, 45)
    while begin < len(days):
        end = begin + chance.randrange(1, 5)
        factors[begin:end] = [4 * factor for factor in factors[begin:end]]
        begin = end + chance.randrange(10, 45)
    return factors


def rare(days: Days, chance: random.Random) -> Factors:
    """Nothing on three days of four."""
    return [4.0 * (chance.random() < 0.25) for _ in days]


def growth(days: Days, chance: random.Random) -> Factors:
    """From some day of the year on, twice as much: somebody moved in."""
    change = chance.randrange(60, 300)
    return [factor * (0.7 if number < change else 1.4) for number, factor in enumerate(steady(days, chance))]


def mixed(days: Days, chance: random.Random) -> Factors:
    """Weekends, holidays, seasons and guests at once, up to four times as much as on average."""
    parts = [pattern(days, chance) for pattern in (weekend, holidays, seasonal, bursts)]
    return [min(4.0, math.prod(factors)) for factors in zip(*parts, strict=True)]


@dataclass(frozen=True)
class Pattern:
    """A kind of household."""

    factors: Callable[[Days, random.Random], Factors]
    pack_lasts_days: tuple[float, float] = (12, 60)  # on average; drawn between these, evenly by ratio
    hours: tuple[int, ...] = _HOURS_AT_HOME
    capacity: float = PACK  # a slot smaller than the pack is filled from it several times
    noise: float = 0.002  # of the sensor, standard deviation in parts of the capacity
    outlier: float = 0.0  # share of readings that are wild: a hand on the scale
    whole: bool = False  # a pack is loaded whole, when the slot is empty: `pack` null; else people fill up from it


PATTERNS = {
    "steady": Pattern(steady),
    "weekend": Pattern(weekend),
    "office": Pattern(office, hours=_HOURS_AT_WORK),
    "holidays": Pattern(holidays),
    "seasonal": Pattern(seasonal),
    "bursts": Pattern(bursts),
    "growth": Pattern(growth),
    "slow": Pattern(rare, pack_lasts_days=(120, 300)),
    "noisy sensor": Pattern(steady, noise=0.02, outlier=0.005),
    "mixed": Pattern(mixed),
    "cartridge": Pattern(mixed, whole=True),
    "hopper": Pattern(weekend, pack_lasts_days=(24, 60), capacity=PACK / 4),
}


@dataclass(frozen=True)
class Household:
    """One household: `demand[n]` is what it wants in the n-th hour from `begin`, Unix seconds."""

    pattern: Pattern
    seed: str
    per_day: float
    zone_h: int
    begin: int
    demand: list[float]
    wanted: list[float]  # altogether, before the n-th hour

    def hours_lasting(self, hour: int, amount: float) -> int:
        """For how many whole hours from `hour` on `amount` suffices; as far as the days were made."""
        return bisect_right(self.wanted, self.wanted[hour] + amount + ROUNDING, hour + 1) - 1 - hour


def household(name: str, number: int) -> Household:
    """The household of this number with a pattern."""
    pattern, seed = PATTERNS[name], f"{name}/{number}"
    chance = random.Random(seed)
    fast, slow = pattern.pack_lasts_days
    per_day = PACK / math.exp(chance.uniform(math.log(fast), math.log(slow)))
    zone_h, first = chance.choice(_ZONES_H), _FIRST_DAY + chance.randrange(365)
    days = range(first, first + YEAR_DAYS + BEYOND_DAYS)
    demand = []
    for factor in pattern.factors(days, chance):
        demand += _hours(factor * per_day, pattern.hours, chance)
    return Household(pattern, seed, per_day, zone_h, (first * 24 - zone_h) * 3600, demand, [0.0, *accumulate(demand)])


def _hours(amount: float, weights: Sequence[int], chance: random.Random) -> Factors:
    """A day's use, spread over its hours in portions."""
    hours = [0.0] * 24
    portions = chance.randint(*_PORTIONS)
    for hour in chance.choices(range(24), weights, k=portions):
        hours[hour] += amount / portions
    return hours
