"""`make monitor`: a board that goes on while it is looked at, goes, and comes back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tests.tools.unix_board import UnixBoard
from tools import monitor
from tools.device import Device, DeviceError

MAIN = """import time
n = 0
while True:
 print("t=2026-06-01T00:00:00Z event=order slot=Coffee state=asking n=%d" % n)
 n += 1
 time.sleep(0.01)
"""


def test_a_running_board_is_not_interrupted(tmp_path: Path) -> None:
    (tmp_path / "board").mkdir()
    (tmp_path / "board/main.py").write_text(MAIN)
    with UnixBoard(tmp_path / "board") as board:
        with Device(board.port) as device:
            device.reset()
        counted = []
        for line in monitor.lines(board.port):
            found = re.search(r"n=(\d+)$", line)
            counted += [int(found[1])] if found else []
            if len(counted) == 50:
                break
        assert counted == list(range(counted[0], counted[0] + 50))
        assert board.starts[-1] == "hard"


class Going:
    """A board that says a line and is gone, cannot be reached once, and is back."""

    tries = 0

    def __init__(self, port: str, interrupt: bool = True) -> None:
        assert not interrupt
        Going.tries += 1
        if Going.tries == 2:
            raise DeviceError("no such port")

    def __enter__(self) -> Going:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def lines(self) -> Iterator[str]:
        yield f"line {Going.tries}"
        raise DeviceError("gone")


def test_a_board_that_goes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "Device", Going)
    monkeypatch.setattr(monitor, "_LOOK_S", 0)
    said = monitor.lines("/dev/ttyACM0")
    seen = [next(said) for _ in range(4)]
    assert seen == ["line 1", "-- /dev/ttyACM0 is gone: waiting for it", "-- /dev/ttyACM0 is back", "line 3"]


def test_events_have_colours_and_everything_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    order = monitor.paint("t=2026-06-01T00:00:00Z event=order slot=Coffee state=asking")
    assert re.fullmatch(r"\d\d:\d\d:\d\d t=2026\S+ event=order slot=Coffee state=asking", order.plain)
    assert order.spans[-1].style == monitor.COLOURS["order"]
    assert monitor.paint("rst:0x1 (POWERON_RESET)").spans[-1].style == "dim"


def test_a_port_that_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert monitor.main(["--port", "/dev/nowhere"]) == 1
    assert "there is no such port" in capsys.readouterr().err
    assert monitor.main(["--port", "/dev/nowhere", "--dry-run"]) == 0
    assert capsys.readouterr().out == "build/venv/bin/mpremote connect /dev/nowhere resume repl\n"
