"""`make selftest`: it passes at a good service, fails at a bad one, never buys anything, and tells how far it came."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from host_tests.tools import unix_ports
from host_tests.unix_port.translate import translate
from tools import selftest
from tools.build import FIRMWARE
from tools.fold import Folder
from tools.link import SAYS, LinkError, UnixDevice, open_device
from tools.selftest import SLOT, STEPS, Row, Simulated
from tools.simulator.browser import press


def run(
    folder: Path, spoil: Callable[[Simulated], object] = lambda site: None, keep_link: bool = False
) -> tuple[list[Row], list[str], Path]:
    """The rows, what the service did with each order call, and the configuration. `spoil` comes when the device is linked."""
    rows: list[Row] = []
    with selftest.simulated(folder) as site:
        site.link()
        spoil(site)
        with open_device(site.config, None) as (device, path):
            selftest.run(device, path, site, keep_link, rows)
        return rows, [call.outcome for call in site.service.calls if call.endpoint == "replenish"], site.config


def failed(rows: list[Row]) -> list[str]:
    return [row.step for row in rows if row.result == "FAIL"]


def from_step(rows: list[Row], name: str) -> list[Row]:
    """The rows from the first of a step on."""
    return rows[[row.step for row in rows].index(name) :]


def test_all_steps_pass_at_the_simulator(tmp_path: Path) -> None:
    rows, orders, config = run(tmp_path / "a")
    assert [row.result for row in rows] == ["pass"] * (1 + len(STEPS)), rows
    assert orders == ["accepted", "in_progress", "accepted", "refused"]
    assert [row.step for row in rows if not row.request_id] == ["linked"] + [step.name for step in STEPS if step.words]
    assert from_step(rows, "order_placed")[0].happened == "status 200 TEST_ORDER_PLACED"
    assert json.loads((config.parent / "secrets.json").read_text()) == {}
    assert not (config.parent / "state" / "token").exists(), "deregistration takes the token along"


def test_it_fits_the_heap_that_linking_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROPYTHON", unix_ports.program("micropython32"))
    monkeypatch.setenv("HEAP", "80k")
    rows, _, _ = run(tmp_path / "a")
    assert failed(rows) == []


def test_it_begins_with_consent(tmp_path: Path) -> None:
    with selftest.simulated(tmp_path / "a") as site:
        assert list(site.service.do(lambda simulator: simulator.registry)) == [], "nobody has registered the device for it"
        site.link()
        calls = [(call.endpoint, call.outcome) for call in site.service.calls]
        (exchange,) = [call.body for call in site.service.calls if call.endpoint == "token"]
    assert calls[:2] == [("consent", "shown"), ("consent", "allowed")] and len(calls) == 3
    assert "grant_type=authorization_code" in exchange and "code_verifier=" in exchange


def test_a_token_that_was_handed_out_is_no_link(tmp_path: Path) -> None:
    rows: list[Row] = []
    with selftest.simulated(tmp_path / "a") as site:
        token = site.service.add_device(slots={SLOT: True}, test=True)
        (site.config.parent / "secrets.json").write_text(json.dumps({"refresh_token": token}))
        with open_device(site.config, None) as (device, path):
            selftest.run(device, path, site, False, rows)
        assert site.service.calls == []
    assert rows[0].result == "FAIL" and "secrets" in rows[0].happened
    assert {row.result for row in rows[1:]} == {"skipped"}


def test_a_device_that_is_registered_as_a_real_one_orders_nothing(tmp_path: Path) -> None:
    def make_real(site: Simulated) -> None:
        site.service.do(lambda simulator: setattr(simulator.registry.device("SN0001"), "test", False))

    rows, orders, _ = run(tmp_path / "a", make_real)
    assert failed(rows) == ["cancel_test_order"] and orders == []
    assert {row.result for row in from_step(rows, "cancel_test_order")[1:]} == {"skipped"}


def test_test_orders_leave_nothing_behind_that_stops_the_agent(tmp_path: Path) -> None:
    _, _, config = run(tmp_path / "a", keep_link=True)
    with open_device(config, None) as (device, path):
        device.run(f"from replenish import Agent; order = Agent.load({path!r}).slots[0].order")
        statement = f"print({SAYS!r} + repr((order.names(), order.cancels, sum(order.fuse))))"
        (said,) = device.run(translate(statement, Folder(FIRMWARE)))
    assert said == "(('idle', 'cancelled, free to order again'), 0, 0)"


def add(**fault: object) -> Callable[[Simulated], object]:
    return lambda site: site.service.faults.add(**fault)


def mute(muted: str) -> Callable[[Simulated], object]:
    """No notification of this name comes any more."""

    def spoil(site: Simulated) -> None:
        notice = site.notice
        site.notice = lambda name: None if name == muted else notice(name)  # type: ignore[method-assign]

    return spoil


def of_another(wrong: str) -> Callable[[Simulated], object]:
    """What comes under this name is another device's, or another order's."""

    def spoil(site: Simulated) -> None:
        notice = site.notice
        site.notice = lambda name: _other(notice(name)) if name == wrong else notice(name)  # type: ignore[method-assign]

    return spoil


def _other(payload: str | None) -> str:
    message = json.loads(payload or "{}")
    if "orderInfo" in message:
        message["orderInfo"]["instanceId"] = "amzn1.another"
    else:
        message["deviceInfo"]["deviceIdentifier"]["serialNumber"] = "SN0002"
    return json.dumps(message)


SPOILT: list[tuple[Callable[[Simulated], object], str]] = [
    (add(kind="refuse", endpoint="subscription_info", status=400), "registered"),
    (add(kind="refuse", endpoint="order_info", status=400), "order_info"),
    (add(kind="body", endpoint="order_info", body='{"orderInfoData":{"orderItems":[{"status":"Lost"}]}}'), "order_info"),
    (lambda site: site.service.settings.change(in_progress_code="ORDER_REFUSED"), "order_in_progress"),
    (add(kind="body", endpoint="replenish", body='{"detailCode":"TEST_ORDER_PLACED"}'), "order_placed"),
    (add(kind="refuse", endpoint="device_status"), "device_status"),
    (add(kind="refuse", endpoint="slot_status", status=400), "slot_status"),
    (add(kind="refuse", endpoint="deregister"), "deregister"),
    (lambda site: site.service.revoke(), "registered"),
    (lambda site: site.service.subscribe(SLOT, False), "subscription_info"),
    *((spoil(step.name), step.name) for step in STEPS if step.words for spoil in (mute, of_another)),
]


@pytest.mark.parametrize(("spoil", "step"), SPOILT, ids=[step for _, step in SPOILT])
def test_each_step_can_fail(tmp_path: Path, spoil: Callable[[Simulated], object], step: str) -> None:
    rows, _, _ = run(tmp_path / "a", spoil)
    assert failed(rows)[:1] == [step]


def test_a_real_order_is_told_as_one(tmp_path: Path) -> None:
    rows, _, _ = run(tmp_path / "a", lambda site: site.service.settings.change(test_placed_code="STANDARD_ORDER_PLACED"))
    order, *later = from_step(rows, "order_placed")
    assert order.result == "FAIL" and "REAL order" in order.happened
    assert {row.result for row in later} == {"skipped"}


def test_the_link_can_be_kept(tmp_path: Path) -> None:
    rows, _, config = run(tmp_path / "a", keep_link=True)
    assert [row.step for row in rows if row.result == "skipped"] == ["deregister", "tokens_invalid"]
    assert (config.parent / "state" / "token").exists()


def test_only_a_test_device_is_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with selftest.simulated(tmp_path / "a") as site:
        values = json.loads(site.config.read_text())
        values["drs"]["test_device"] = False
        site.config.write_text(json.dumps(values))
        assert selftest.main(["--config", str(site.config)]) == 2
        assert "test_device" in capsys.readouterr().err
        with open_device(site.config, None) as (device, path), pytest.raises(LinkError, match=r"drs\.test_device: false"):
            selftest.begin(device, path)  # the device refuses by itself, too, and it is told why
        assert site.service.calls == []


def test_the_program_and_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(selftest, "FOLDER", tmp_path / "a")
    report = tmp_path / "report.md"
    assert selftest.main(["--report", str(report)]) == 0
    assert f"{1 + len(STEPS)} passed, 0 failed" in capsys.readouterr().out
    text = report.read_text()
    assert text.count("| pass |") == 1 + len(STEPS) and text.startswith("# ")


def test_elsewhere_it_says_how_the_device_was_linked_and_that_no_notice_comes(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    with selftest.simulated(tmp_path / "a") as site:
        options = ["--config", str(site.config), "--report", str(report)]
        assert selftest.main(options) == 1
        first, second, *_ = json.loads(report.read_text())["steps"]
        assert first["result"] == "FAIL" and "run `make link`" in first["happened"] and second["happened"] == "after linked"
        site.link()
        assert selftest.main(options) == 0
    rows = {row["step"]: row for row in json.loads(report.read_text())["steps"]}
    skipped = {name for name, row in rows.items() if row["result"] == "skipped"}
    assert skipped == {"linked", "unsubscribed"} | {step.name for step in STEPS if step.words}
    assert "beforehand; its refresh token is in its state" in rows["linked"]["happened"] and "SNS" in rows["OrderPlaced"]["happened"]


# When it breaks off


class Dying:
    """A device that dies when it is asked for something."""

    def __init__(self, device: UnixDevice, when: str) -> None:
        self._device = device
        self._when = when

    def run(self, statement: str) -> list[str]:
        if self._when in statement:
            self._device._process.kill()
            self._device._process.wait()
        return self._device.run(statement)


@pytest.mark.parametrize(("when", "before"), [("order_info", 10), ("test.slot", 0), ("attempt.finish", 0)])
def test_what_it_knew_when_the_device_died_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], when: str, before: int
) -> None:
    @contextmanager
    def open_dying(config: Path | None, port: str | None) -> Iterator[tuple[Dying, str]]:
        with open_device(config, port) as (device, path):
            assert isinstance(device, UnixDevice)
            yield Dying(device, when), path

    monkeypatch.setattr(selftest, "FOLDER", tmp_path / "a")
    monkeypatch.setattr(selftest, "open_device", open_dying)
    assert selftest.main(["--report", str(tmp_path / "r.json")]) == 2
    *rows, last = json.loads((tmp_path / "r.json").read_text())["steps"]
    assert [row["result"] for row in rows] == ["pass"] * before
    assert (last["step"], last["happened"], last["result"]) == ("broken off", "the agent ended", "FAIL")
    assert f"{before} passed, 1 failed" in capsys.readouterr().out


def test_a_consent_that_fails_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def deny(url: str, decision: str, ca_pem: Path) -> str:
        return press(url, "deny", ca_pem)

    monkeypatch.setattr(selftest, "FOLDER", tmp_path / "a")
    monkeypatch.setattr(selftest, "press", deny)
    assert selftest.main(["--report", str(tmp_path / "r.json")]) == 2
    (row,) = json.loads((tmp_path / "r.json").read_text())["steps"]
    assert "consent_denied" in row["happened"] and "0 passed, 1 failed" in capsys.readouterr().out


@pytest.mark.parametrize(("error", "said"), [(OSError("no port"), "OSError no port"), (KeyboardInterrupt(), "KeyboardInterrupt")])
def test_whatever_it_breaks_off_for_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, said: str
) -> None:
    def test(options: argparse.Namespace, rows: list[Row]) -> None:
        rows.append(Row("first", "", "", None, "pass"))
        raise error

    monkeypatch.setattr(selftest, "test", test)
    assert selftest.main([]) == 2
    out = capsys.readouterr().out
    assert "first" in out and said in out


# The report


def test_a_failure_is_exit_status_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row("a", "b", "c|d", None, "pass"), Row("a", "b", "[red]", "id", "FAIL"), Row("a", "b", "", None, "skipped")]

    def pretend(options: argparse.Namespace, given: list[Row]) -> None:
        given.extend(rows)

    monkeypatch.setattr(selftest, "test", pretend)
    assert selftest.main(["--report", str(tmp_path / "r.json")]) == 1
    data = json.loads((tmp_path / "r.json").read_text())
    assert data["verdict"] == "1 passed, 1 failed, 1 skipped" and data["steps"][1]["happened"] == "[red]"
    assert "[red]" in capsys.readouterr().out, "nothing is taken for markup"
    assert "c\\|d" in selftest.as_markdown(rows)
