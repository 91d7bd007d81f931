"""boot.py: the network is joined and the clock set before main.py, and nothing of it can keep main.py from starting."""

from __future__ import annotations

import json
import runpy
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

BOOT = Path(__file__).resolve().parents[2] / "firmware" / "boot.py"
WIFI = {"wifi": {"ssid": "home", "password": "pw"}}


class Wlan:
    """A Wi-Fi station that has joined after so many looks; None: never."""

    def __init__(self, looks: int | None) -> None:
        self.looks = looks
        self.told: list[object] = []

    def active(self, on: bool) -> None:
        self.told.append(on)

    def connect(self, ssid: str, password: str) -> None:
        self.told.append((ssid, password))

    def isconnected(self) -> bool:
        if self.looks is None:
            return False
        self.looks -= 1
        return self.looks < 0


class Board:
    """A folder with the two files, and MicroPython's modules as boot.py sees them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.asked: list[str] = []
        self.waited_ms = 0
        self.ntp_fails = False
        self.ntptime = SimpleNamespace(host="pool.ntp.org", settime=self._settime)
        self._patch = monkeypatch
        self._folder = folder
        monkeypatch.chdir(folder)
        monkeypatch.setattr(time, "sleep_ms", self._sleep_ms, raising=False)

    def _settime(self) -> None:
        self.asked.append(self.ntptime.host)
        if self.ntp_fails:
            raise OSError(110)

    def _sleep_ms(self, ms: int) -> None:
        self.waited_ms += ms

    def boot(self, wlan: Wlan, secrets: Any, config: Any) -> None:
        for name, content in (("secrets.json", secrets), ("config.json", config)):
            if content is not None:
                (self._folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
        self._patch.setitem(sys.modules, "network", SimpleNamespace(STA_IF=0, WLAN=lambda interface: wlan))
        self._patch.setitem(sys.modules, "ntptime", self.ntptime)
        self._patch.setitem(sys.modules, "loader", SimpleNamespace(start=lambda: self.asked.append("loader")))
        runpy.run_path(str(BOOT), run_name="__main__")


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Board:
    return Board(monkeypatch, tmp_path)


def test_it_joins_the_network_and_sets_the_clock(board: Board) -> None:
    wlan = Wlan(looks=3)
    board.boot(wlan, WIFI, {"clock": {"ntp": "time.example.com"}, "secrets": "secrets.json"})
    assert wlan.told == [True, ("home", "pw")]
    assert board.asked == ["loader", "time.example.com"]
    assert board.waited_ms == 200


def test_a_network_that_never_comes_ends_after_twenty_seconds(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    board.boot(Wlan(looks=None), WIFI, {})
    assert board.waited_ms == 20000
    assert board.asked == ["loader"]
    assert "no network" in capsys.readouterr().out


@pytest.mark.parametrize("secrets", [None, "{", "[]", {}, {"wifi": None}])
def test_no_wifi_named_is_no_reason_to_stop(board: Board, secrets: Any) -> None:
    wlan = Wlan(looks=0)
    board.boot(wlan, secrets, None)
    assert wlan.told == []


def test_no_answer_from_the_time_server_is_said(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    board.ntp_fails = True
    board.boot(Wlan(looks=0), WIFI, {"clock": {"ntp": None}})
    assert board.asked == ["loader", "pool.ntp.org"]
    assert "no time from pool.ntp.org" in capsys.readouterr().out


def test_the_unix_board_is_left_alone(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "network", None)  # an import of it fails
    monkeypatch.setitem(sys.modules, "loader", SimpleNamespace(start=lambda: board.asked.append("loader")))
    runpy.run_path(str(BOOT), run_name="__main__")
    assert board.asked == ["loader"]
