"""`make selftest`: it passes at a good service, fails at a bad one, and never buys anything."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import selftest
from tools.link import LinkError, open_device
from tools.selftest import SLOT, STEPS, Row
from tools.simulator import SimulatorThread


def run(
    folder: Path, spoil: Callable[[SimulatorThread], object] = lambda service: None, keep_link: bool = False
) -> tuple[dict[int, Row], list[str], Path]:
    """The rows by their number, what the service did with each order call, and the configuration."""
    with selftest.simulated(folder) as (config, service):
        spoil(service)
        with open_device(config, None) as (device, path):
            rows = selftest.run(device, path, lambda slot: selftest.unsubscribe_at(service, slot), keep_link)
        return dict(enumerate(rows)), [call.outcome for call in service.calls if call.endpoint == "replenish"], config


def failed(rows: dict[int, Row]) -> list[str]:
    return [row.step for row in rows.values() if row.result == "FAIL"]


def test_all_steps_pass_at_the_simulator(tmp_path: Path) -> None:
    rows, orders, config = run(tmp_path / "a")
    assert [row.result for row in rows.values()] == ["pass"] * len(STEPS)
    assert orders == ["accepted", "in_progress", "accepted", "refused"]
    assert all(row.request_id for row in rows.values())
    assert rows[5].happened == "status 200 TEST_ORDER_PLACED"
    assert json.loads((config.parent / "secrets.json").read_text()) == {}, "deregistration takes the token along"


def test_a_device_that_is_registered_as_a_real_one_orders_nothing(tmp_path: Path) -> None:
    def make_real(service: SimulatorThread) -> None:
        service.do(lambda simulator: setattr(simulator.registry.device("SN0001"), "test", False))

    rows, orders, _ = run(tmp_path / "a", make_real)
    assert failed(rows) == ["cancel_test_order"] and orders == []
    assert {row.result for number, row in rows.items() if number > 4} == {"skipped"}


SPOILT: list[tuple[Callable[[SimulatorThread], object], str]] = [
    (lambda service: service.settings.change(in_progress_code="ORDER_REFUSED"), "order_in_progress"),
    (lambda service: service.faults.add(kind="body", endpoint="replenish", body='{"detailCode":"TEST_ORDER_PLACED"}'), "order_placed"),
    (lambda service: service.faults.add(kind="refuse", endpoint="device_status"), "device_status"),
    (lambda service: service.faults.add(kind="refuse", endpoint="slot_status", status=400), "slot_status"),
    (lambda service: service.faults.add(kind="refuse", endpoint="deregister"), "deregister"),
    (lambda service: service.revoke(), "registered"),
    (lambda service: service.subscribe(SLOT, False), "subscription_info"),
]


@pytest.mark.parametrize(("spoil", "step"), SPOILT, ids=[step for _, step in SPOILT])
def test_each_step_can_fail(tmp_path: Path, spoil: Callable[[SimulatorThread], object], step: str) -> None:
    rows, _, _ = run(tmp_path / "a", spoil)
    assert failed(rows)[:1] == [step]


def test_a_real_order_is_told_as_one(tmp_path: Path) -> None:
    rows, _, _ = run(tmp_path / "a", lambda service: service.settings.change(test_placed_code="STANDARD_ORDER_PLACED"))
    assert rows[5].result == "FAIL" and "REAL order" in rows[5].happened
    assert {row.result for number, row in rows.items() if number > 5} == {"skipped"}


def test_the_link_can_be_kept(tmp_path: Path) -> None:
    rows, _, config = run(tmp_path / "a", keep_link=True)
    assert [row.step for row in rows.values() if row.result == "skipped"] == ["deregister", "tokens_invalid"]
    assert "refresh_token" in json.loads((config.parent / "secrets.json").read_text())


def test_only_a_test_device_is_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with selftest.simulated(tmp_path / "a") as (config, service):
        values = json.loads(config.read_text())
        values["drs"]["test_device"] = False
        config.write_text(json.dumps(values))
        assert selftest.main(["--config", str(config)]) == 2
        assert "test_device" in capsys.readouterr().err
        with open_device(config, None) as (device, path), pytest.raises(LinkError):
            selftest.begin(device, path)  # the device refuses by itself, too
        assert service.calls == []


def test_the_program_and_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(selftest, "FOLDER", tmp_path / "a")
    report = tmp_path / "report.md"
    assert selftest.main(["--report", str(report)]) == 0
    assert f"{len(STEPS)} passed, 0 failed" in capsys.readouterr().out
    text = report.read_text()
    assert text.count("| pass |") == len(STEPS) and text.startswith("# ")


def test_a_failure_is_exit_status_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row("a", "b", "c|d", None, "pass"), Row("a", "b", "[red]", "id", "FAIL"), Row("a", "b", "", None, "skipped")]

    def pretend(options: argparse.Namespace) -> list[Row]:
        return rows

    monkeypatch.setattr(selftest, "test", pretend)
    assert selftest.main(["--report", str(tmp_path / "r.json")]) == 1
    data = json.loads((tmp_path / "r.json").read_text())
    assert data["verdict"] == "1 passed, 1 failed, 1 skipped" and data["steps"][1]["happened"] == "[red]"
    assert "[red]" in capsys.readouterr().out, "nothing is taken for markup"
    assert "c\\|d" in selftest.as_markdown(rows)
