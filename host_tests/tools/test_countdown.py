"""tools/countdown.py: the agent's waits counted on, and a real agent on a terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trustme
from rich.console import Console

from tools import countdown
from tools.countdown import Countdown

ROOT = Path(__file__).resolve().parents[2]
WAIT = (
    't=2026-11-21T12:00:00Z event=wait slot=Coffee reason="confirming the need" what=low since=2026-11-21T11:56:48Z '
    'until=2026-11-21T12:06:48Z what2="first call|cold start" until2=2026-11-21T12:07:41Z'
)
# Generous: the machine may be busy.
LIMIT_S = 60


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


def test_a_wait_is_told_and_counted_on(clock: Time) -> None:
    counting = Countdown(clock=clock)
    counting.take(WAIT)
    assert counting.lines() == [("Coffee", "low 3:12 of 10:00; first call in 7:41: cold start")]
    clock.now += 9.9
    assert counting.lines() == [("Coffee", "low 3:21 of 10:00; first call in 7:32: cold start")]
    clock.now += 600
    assert counting.lines() == [("Coffee", "low 10:00 of 10:00; first call now: cold start")]


def test_a_later_event_sets_the_time_right(clock: Time) -> None:
    counting = Countdown(clock=clock)
    counting.take(WAIT)
    clock.now += 5
    counting.take("t=2026-11-21T12:01:00Z event=level slot=Coffee level=2")
    assert counting.lines()[0][1].startswith("low 4:12 of 10:00")


def test_a_scaled_clock_runs_as_fast_here(clock: Time) -> None:
    counting = Countdown(60, clock)
    counting.take(WAIT)
    clock.now += 1
    assert counting.lines()[0][1].startswith("low 4:12 of 10:00")


@pytest.mark.parametrize(
    "line", ["t=2026-11-21T12:00:01Z event=wait slot=Coffee reason=null", "t=unknown event=start slots=1", "t=unknown event=stop"]
)
def test_a_wait_that_is_over_is_gone(clock: Time, line: str) -> None:
    counting = Countdown(clock=clock)
    counting.take(WAIT)
    counting.take(line)
    assert counting.lines() == []


def test_the_devices_fault_stands_above(clock: Time) -> None:
    counting = Countdown(clock=clock)
    counting.take(WAIT)
    counting.take("t=unknown event=fault fault=no_valid_time detail=null")
    counting.take("t=unknown event=fault fault=store_damaged detail=sentence")
    assert [name for name, _ in counting.lines()] == ["device", "Coffee"]
    assert counting.lines()[0][1] == "no_valid_time"
    counting.take("t=2026-11-21T12:00:00Z event=fault fault=null detail=null")
    assert [name for name, _ in counting.lines()] == ["Coffee"]


@pytest.mark.parametrize("line", ["", "Traceback", "t=x event=wait", "t=2026-11-21T12:00:00Z event=wait slot=A reason=null"])
def test_what_is_no_wait_changes_nothing(clock: Time, line: str) -> None:
    counting = Countdown(clock=clock)
    counting.take(WAIT)
    counting.take(line)
    assert [name for name, _ in counting.lines()] == ["Coffee"]


def test_no_terminal_gets_the_events_alone() -> None:
    out = io.StringIO()
    countdown.show([WAIT + "\r\n", "Traceback [bold]\n"], Console(file=out))
    assert out.getvalue() == WAIT + "\nTraceback [bold]\n"


def write_appliance(folder: Path) -> Path:
    authority = trustme.CA()
    (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (folder / "secrets.json").write_text("{}")
    (folder / "level.txt").write_text("2")
    config = {
        "device": {"model": "acme-1", "serial": "SN0001"},
        "backend": "gateway",
        "gateway": {"url": "https://localhost:1"},
        "tls": {"ca": ["ca.pem"]},
        "state": "state",
        "secrets": "secrets.json",
        "slots": [{"id": "Coffee", "capacity": 10, "reorder_at": 3, "sensor": {"driver": "file", "path": "level.txt"}}],
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder / "config.json"


def read_until(terminal: int, wanted: str) -> str:
    """What the terminal shows, until `wanted` is in it."""
    shown, end = "", time.monotonic() + LIMIT_S
    while wanted not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        assert ready, f"{wanted!r} was not shown, but: {shown}"
        shown += os.read(terminal, 4096).decode(errors="replace")
    return shown


def test_the_agent_counts_down_on_a_terminal_and_stops_cleanly(tmp_path: Path) -> None:
    ours, its = pty.openpty()
    environment = {**os.environ, "COLUMNS": "200", "TERM": "xterm"}
    command: list[str | Path] = [sys.executable, "-I", ROOT / "tools" / "unix_agent.py", write_appliance(tmp_path)]
    with subprocess.Popen(command, stdout=its, stderr=its, stdin=subprocess.DEVNULL, env=environment, start_new_session=True) as agent:
        os.close(its)
        try:
            read_until(ours, "what=low")
            read_until(ours, "of 10:00; first call in ")
            agent.send_signal(signal.SIGINT)
            assert "stop" in read_until(ours, "event=stop")
            assert agent.wait(LIMIT_S) == 0
        finally:
            agent.kill()
            os.close(ours)
