"""A year of many generated households, ordered for in several ways: how early, how late, how often dry, how much too much.

What is assumed of the households stands in `use` and `year`.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from host_tests.bench import use, year
from host_tests.bench.tables import table

HOUSEHOLDS = 30  # of each pattern
ALL = "all"
# Ways of ordering: (reorder_at in parts of the capacity, lead_days); None: who knows the future.
FORECAST = "forecast"
ORACLE = "oracle"
WAYS: dict[str, tuple[float, int] | None] = {
    FORECAST: (0.1, 7),  # 7 days before it is needed: Amazon's rule, and the default
    "at 10 %": (0.1, 0),
    "at 25 %": (0.25, 0),
    "at 50 %": (0.5, 0),
    ORACLE: None,
}


def lived(pattern: str, number: int, way: str) -> year.Year:
    """One household's year with one way of ordering."""
    home = year.Home(use.household(pattern, number))
    limits = WAYS[way]
    return year.live(home, year.Shipped(home, *limits) if limits else year.Oracle(home))


def _lived(pattern: str, households: int) -> dict[str, list[year.Year]]:
    return {way: [lived(pattern, number, way) for number in range(households)] for way in WAYS}


def measure(households: int = HOUSEHOLDS, patterns: Sequence[str] = tuple(use.PATTERNS)) -> dict[str, dict[str, Any]]:
    """{way: {pattern: figures}}, and of all patterns together, of so many households with each; on all cores."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        years = dict(zip(patterns, pool.map(_lived, patterns, [households] * len(patterns)), strict=True))
    years[ALL] = {way: [one for ways in years.values() for one in ways[way]] for way in WAYS}
    return {way: {pattern: figures(ways[way], ways[ORACLE]) for pattern, ways in years.items()} for way in WAYS}


def quantile(values: Iterable[float], part: float) -> float | None:
    """The value below which `part` of them lie; None when there are none."""
    ranked = sorted(values)
    return ranked[int(part * (len(ranked) - 1) + 0.5)] if ranked else None


def figures(years: Sequence[year.Year], best: Sequence[year.Year]) -> dict[str, Any]:
    """What came of some years, `best` being the same households' with the oracle. Counts are per year, times in days."""
    orders = [order for one in years for order in one.orders]
    ahead = [order.lasts_days for order in orders]
    spare = [order.spare_days for order in orders if order.spare_days is not None]
    off = [order.forecast_days - order.lasts_days for order in orders if order.forecast_days is not None]
    return {
        "years": len(years),
        "orders": len(orders) / len(years),
        "ahead": [quantile(ahead, part) for part in (0.1, 0.5, 0.9)],  # of the run-out, when it was ordered
        "spare": statistics.fmean([max(0.0, days) for days in spare]),  # stock at home when the parcel came
        "spare_p90": quantile(spare, 0.9),
        "late": sum(days < 0 for days in spare) / len(spare),  # parcels that came when there was nothing left
        "dry_days": sum(one.dry_days for one in years) / len(years),
        "dry_runs": sum(one.dry_runs for one in years) / len(years),
        "left": statistics.fmean([one.packs_left for one in years]),
        "more_left": max(one.packs_left - other.packs_left for one, other in zip(years, best, strict=True)),
        "more_orders": max(len(one.orders) - len(other.orders) for one, other in zip(years, best, strict=True)),
        "off": [quantile(off, 0.5), *[quantile([abs(days) for days in off], part) for part in (0.5, 0.9)]],
    }


_HEAD = "dry days, times, orders, ahead 10 %, 50 %, 90 %, in stock, 90 %, late %, left, most more, off, +- 50 %, +- 90 %".split(", ")


def tables(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """All ways beside each other, then one for each."""
    yield (
        "\nA year, in days and packs. Ahead: days before the run-out, at the order; in stock: days' worth at home when the parcel"
        "\ncame; late: parcels that came when nothing was left; left: packs at the year's end, and how many more than the oracle's"
        "\nat the most; off: the forecast less the truth, at the order. 10, 50, 90 %: so many are below."
    )
    for title, key in (("Dry days", "dry_days"), ("Packs left", "left")):
        rows = [[pattern, *[_cell(found[way][pattern][key]) for way in found]] for pattern in found[FORECAST]]
        yield table(title, ["pattern", *found], rows)
    for way, patterns in found.items():
        title = f"{way} ({patterns[ALL]['years']} household-years)"
        yield table(title, ["pattern", *_HEAD], [[pattern, *map(_cell, _row(one))] for pattern, one in patterns.items()])


def _row(one: dict[str, Any]) -> list[float | None]:
    stock = [one["spare"], one["spare_p90"], 100 * one["late"], one["left"], one["more_left"]]
    return [one["dry_days"], one["dry_runs"], one["orders"], *one["ahead"], *stock, *one["off"]]


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
