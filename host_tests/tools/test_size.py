"""`make size`: what it counts, and how that differs from the last release."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import size

ROOT = Path(__file__).resolve().parents[2]
needs_build = pytest.mark.skipif(not size.FILES.exists(), reason="build/unix is missing (make unix)")


def test_the_agent_s_modules_are_told_from_the_others(tmp_path: Path) -> None:
    files = {"lib/replenish/app.mpy": 10, "lib/umqtt/simple.mpy": 20, "loader.mpy": 5, "main.py": 1}
    (tmp_path / "files.json").write_text(json.dumps({"files": {place: {"bytes": count} for place, count in files.items()}}))
    assert size.sizes(tmp_path / "files.json") == ({"app": 10}, {"umqtt/simple": 20, "loader": 5})


@needs_build
def test_one_appliance_s_product_is_counted() -> None:
    own, _ = size.sizes(size.FILES)
    counted = size.of_appliance(own)
    assert {"app", "services/drs", "io/mqtt", "sensors/hx711", "sensors/scaled", "store/recordfiles", "io/vault"} <= set(counted)
    assert not {"services/gateway", "selftest", "experimental_link", "sensors/file", "store/flashlog", "core/part"} & set(counted)


def test_each_change_since_the_release_is_told() -> None:
    rows = size.table({"app": 1500, "new": 10, "same": 7}, {"loader": 3}, "1.2.0", {"app": 2000, "same": 7, "old": 40}).splitlines()
    told = {row.split()[0]: row.split()[1:] for row in rows[1:5]}
    assert told == {"app": ["1,500", "-500"], "new": ["10", "new"], "same": ["7"], "old": ["-", "gone,", "was", "40"]}
    assert rows[0].endswith("since 1.2.0") and "1,517  -530; 4% of the budget of 40,960" in rows[5]
    assert rows[-1].split() == ["loader", "3", "not", "counted"]


@needs_build
def test_the_budget_decides_the_status(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(size, "BUDGET_BYTES", 1 << 20)
    assert size.main([]) == 0
    monkeypatch.setattr(size, "BUDGET_BYTES", 1)
    assert size.main([]) == 1


@needs_build
def test_a_release_is_recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(size, "RELEASE", tmp_path / "sizes.json")
    size.main(["--record"])
    recorded = json.loads((tmp_path / "sizes.json").read_text())
    assert recorded["sizes"] == size.of_appliance(size.sizes(size.FILES)[0]) and recorded["version"].count(".") == 2


def test_what_is_seldom_is_there() -> None:
    for module in (module for modules in size.SELDOM.values() for module in modules):
        assert (ROOT / "firmware/replenish" / f"{module}.py").exists(), module
