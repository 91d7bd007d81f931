"""tools/profiles.py: the short waits of a desk, and what must not be sold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tools import configuration, profiles
from tools.rules import Rule

ROOT = Path(__file__).resolve().parents[2]
PATH = Path("config.json")


def bench(**more: Any) -> dict[str, Any]:
    slots = [{"id": "Coffee", "sensor": {"driver": "file", "path": "level.txt"}}, {"id": "Filter", "sensor": None}]
    return {"backend": "gateway", "board": {"name": "unix", "profile": "bench"}, "slots": slots, **more}


def rule_and_default(name: str) -> tuple[Rule, int]:
    key = name.rpartition(".")[2]
    section = "policy" if name.startswith("policy.") else "sensor"
    rules = configuration.SECTIONS["policy"] if section == "policy" else configuration.SENSOR
    return rules[key], configuration.DEFAULTS[section][key]


@pytest.mark.parametrize("name", profiles.BENCH)
def test_each_short_wait_is_allowed_and_shorter_than_the_default(name: str) -> None:
    rule, default = rule_and_default(name)
    short = profiles.BENCH[name]
    assert rule.accepts(short.value), rule.allowed
    assert short.value < default
    assert not (short.why == "the least that is allowed" and rule.accepts(short.value - 1))


def test_bench_fills_in_what_the_maker_left_out_and_nothing_else() -> None:
    given = bench(policy={"confirm_s": 300, "max_orders_30_days": 2})
    filled = profiles.fill(given)
    assert filled["policy"] == {
        "confirm_s": 300,
        "max_orders_30_days": 2,
        "boot_spread_s": 5,
        "resolution_grace_s": 180,
        "probe_interval_s": 60,
        "poll_interval_s": 60,
        "slot_status_interval_s": 600,
    }
    assert filled["slots"][0]["sensor"] == {"driver": "file", "path": "level.txt", "period_s": 5}
    assert filled["slots"][1]["sensor"] is None
    assert given["policy"] == {"confirm_s": 300, "max_orders_30_days": 2}, "what is given stays as it is"
    assert profiles.fill(filled) == filled


@pytest.mark.parametrize("board", [{"name": "unix"}, {"profile": "standard"}, {"profile": "product"}, None, "bench"])
def test_no_other_profile_shortens_anything(board: Any) -> None:
    given = bench(board=board)
    assert profiles.fill(given) == given
    assert not list(profiles.lacking(given))


def test_what_a_bench_file_lacks_is_what_filling_adds() -> None:
    assert dict(profiles.lacking(bench(policy={"confirm_s": 600}))) == {
        "policy.boot_spread_s": 5,
        "policy.resolution_grace_s": 180,
        "policy.probe_interval_s": 60,
        "policy.poll_interval_s": 60,
        "policy.slot_status_interval_s": 600,
        "slots[0].sensor.period_s": 5,
    }
    assert not list(profiles.lacking(profiles.fill(bench())))


@pytest.mark.parametrize("wrong", [{"policy": 3}, {"slots": "no"}, {"slots": [3, {"sensor": 5}]}])
def test_what_is_of_the_wrong_kind_is_left_to_its_own_fault(wrong: dict[str, Any]) -> None:
    given = bench(**wrong)
    assert all(profiles.fill(given)[name] == value for name, value in wrong.items())
    lacking = [name for name, _ in profiles.lacking(given)]
    assert lacking and not any(name.startswith(tuple(wrong)) for name in lacking)


@pytest.mark.parametrize(
    ("drs", "buys"),
    [
        ({}, True),
        ({"test_device": True}, False),
        ({"endpoint": "https://dash-replenishment-service-na.amazon.com"}, True),
        ({"endpoint": "https://localhost:8443"}, False),
        ({"endpoint": "https://notamazon.com"}, False),
        ({"endpoint": 3}, False),
    ],
)
def test_a_device_on_the_bench_does_not_buy_at_amazon(drs: dict[str, Any], buys: bool) -> None:
    assert profiles.buys_on_the_bench(bench(backend="drs", drs=drs)) is buys
    assert not profiles.buys_on_the_bench(bench(backend="drs", drs=drs, board={"profile": "standard"}))
    assert not profiles.buys_on_the_bench(bench(drs=drs))


def judged(config: dict[str, Any]) -> list[str]:
    faults = configuration.Faults("config.json")
    configuration.judge(config, faults)
    return [line for line in faults.lines if "bench" in line]


def test_a_bench_file_that_lacks_its_waits_is_refused() -> None:
    lines = judged(bench(policy={}))
    assert len(lines) == len(profiles.BENCH)
    allowed = "a whole number from 0 to 86400, given because the profile is bench; its own is 10"
    assert lines[0] == f"config.json: policy.confirm_s: missing: allowed: {allowed}"
    assert judged(profiles.fill(bench(policy={}))) == []


def test_a_bench_file_that_would_buy_is_refused() -> None:
    assert judged(profiles.fill(bench(backend="drs", drs={}))) == [
        "config.json: drs.test_device: false: allowed: true, because the profile is bench and Amazon's orders would be real"
    ]


def test_bench_is_not_sold() -> None:
    assert profiles.check_product(PATH, profiles.fill(bench())) == [
        'config.json: board.profile: "bench": allowed: product, because bench shortens the waits'
    ]


def test_the_waits_of_bench_are_not_sold_under_another_name() -> None:
    left = profiles.fill(bench()) | {"board": {"profile": "product"}}
    faults = profiles.check_product(PATH, left)
    assert faults[0] == "config.json: policy.confirm_s: 10: allowed: more than 10, which is the wait of the profile bench"
    assert len(faults) == sum(name.startswith("policy.") for name in profiles.BENCH)


def test_a_test_device_is_not_sold() -> None:
    given = {"backend": "drs", "board": {"profile": "product"}, "drs": {"test_device": True, "include_non_live": True}}
    assert profiles.check_product(PATH, given) == [
        "config.json: drs.test_device: true: allowed: false, because its orders buy nothing",
        "config.json: drs.include_non_live: true: allowed: false, because only a model that is certified may be sold",
    ]


def test_a_product_may_be_sold() -> None:
    for given in ({"board": {"profile": "product"}, "drs": {}}, {}, {"policy": {"confirm_s": 600}}):
        assert profiles.check_product(PATH, given) == []


def test_the_page_has_the_table() -> None:
    page = (ROOT / "firmware" / "CONFIGURATION.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `([\w.\[\]]+)` \| (.+) \|$", page, re.MULTILINE)
    assert rows == [(str(short.value), name, short.why) for name, short in profiles.BENCH.items()]
