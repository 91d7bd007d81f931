"""`make bench`: its arithmetic, the budgets of the flash by counts, and every flipped bit of every kind of record found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from host_tests.bench import __main__ as bench
from host_tests.bench import budgets, flips

ORDERS = {
    "orders": 10,
    "days": 365.25,
    "media": {
        "littlefs": {
            "full": False,
            "hottest": 50,
            "by": {
                "intent": [10, 20, 1000, 1],
                "accepted": [10, 20, 1500, 0],
                "cleared": [10, 20, 1400, 1],
                "transition": [40, 80, 6000, 2],
                "same state": [100, 200, 9000, 5],
                "level": [300, 600, 30000, 20],
            },
        },
        "log-2": {"full": True, "hottest": 0, "by": {}},
    },
}


def test_writes_are_added_by_kind() -> None:
    order = budgets.an_order(ORDERS, "littlefs")
    assert order["intent, accepted, cleared"] == [3, 6, 390, 0.2]
    assert order["every transition"] == [7, 14, 990, 0.4]
    assert order["all of the order's"] == [17, 34, 1890, 0.9]
    assert order["everything in its 8 days"] == [47, 94, 4890, 2.9]


def test_a_flash_lasts_as_long_as_its_hottest_block() -> None:
    assert budgets.hottest_in_ten_years(ORDERS, "littlefs") == 500
    assert budgets.years_until_worn(ORDERS, "littlefs") == 2000
    assert budgets.years_until_worn(ORDERS, "log-2") is None


def test_a_budget_that_is_exceeded_is_told() -> None:
    three, erases, writes, size = budgets.of_orders(ORDERS)
    assert three.kept and writes.kept and size.kept
    assert not erases.kept and str(erases).startswith("FAILED") and "0.2, at most 0.1" in str(erases)
    assert budgets.of_life("one slot", ORDERS).kept
    assert not budgets.of_flips([("order", 1, 1, 1, 1, 1, 1)]).kept
    longer = {"rows": [(10, "log-2", 5, 1000, 1), (1000, "log-2", 9, 1200, 1)]}
    assert [budget.kept for budget in budgets.of_recovery(longer)] == [False]


@pytest.mark.long
def test_one_whole_order_keeps_its_budget() -> None:
    orders = bench.measure("orders", 1, 200, 0)
    assert orders["orders"] == 200
    by = orders["media"]["littlefs"]["by"]
    assert all(by[kind][0] == 200 for kind in ("intent", "accepted", "cleared")), "each order was whole"
    assert [str(budget) for budget in budgets.of_orders(orders) if not budget.kept] == []
    assert budgets.of_life("one slot", orders).kept
    assert not any(figures["full"] for figures in orders["media"].values())


def test_the_counts_are_the_same_on_each_run() -> None:
    def counts(section: dict[str, Any]) -> dict[str, Any]:
        return {name: (figures["by"], figures["hottest"]) for name, figures in section["media"].items()}

    assert counts(bench.measure("quiet", 1, 60, 90)) == counts(bench.measure("quiet", 1, 60, 90))


def test_a_start_reads_no_more_after_more_orders() -> None:
    section = bench.measure("recovery", 5, 100)
    verdicts = budgets.of_recovery(section)
    assert len(verdicts) == len(bench.MEDIA) and section["writes"] >= 6
    assert [str(verdict) for verdict in verdicts if not verdict.kept] == []


def test_every_flipped_bit_and_every_truncation_is_found(tmp_path: Path) -> None:
    kinds = flips.records()
    assert len(kinds) == 7
    for kind, (key, payload) in kinds.items():
        folder = tmp_path / kind
        tried, cut, undetected = flips.in_file(key, payload, str(folder))
        assert (tried, cut, undetected) == (8 * (14 + len(key) + len(payload)), 13 + len(key) + len(payload), 0), kind
        tried, cut, undetected = flips.in_log(key, payload)
        assert tried > 8 * (14 + len(key) + len(payload)) and cut >= 32 and undetected == 0, kind
