"""boot.py and main.py of a board: the loader decides first, and nothing that the version does can keep it from its next start."""

from __future__ import annotations

import runpy
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"


class Reset(BaseException):
    pass


class Board:
    """MicroPython's modules, the loader's and the agent's, as the two files see them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[object] = []
        self.is_safe = False
        self.error: BaseException | None = None
        loader = SimpleNamespace(start=lambda: self.done.append("start"), safe=lambda: self.is_safe)
        life = ModuleType("replenish.life")
        life.live = self._live  # type: ignore[attr-defined]
        modules = {"loader": loader, "machine": SimpleNamespace(reset=self._reset), "replenish.life": life}
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(sys, "platform", "esp32")
        monkeypatch.setattr(time, "sleep", lambda seconds: self.done.append(seconds))

    def _live(self, path: str, loader: object) -> None:
        self.done.append((path, loader is sys.modules["loader"]))
        if self.error:
            raise self.error

    def _reset(self) -> None:
        raise Reset

    def run(self, name: str) -> None:
        runpy.run_path(str(FIRMWARE / name), run_name="__main__")


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    return Board(monkeypatch)


def test_boot_leaves_all_to_the_loader(board: Board) -> None:
    board.run("boot.py")
    assert board.done == ["start"]


def test_main_lives(board: Board) -> None:
    board.run("main.py")
    assert board.done == [("config.json", True)]


def test_a_version_that_cannot_be_loaded_is_started_anew(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    board.error = MemoryError("Atzr|hunter2")
    with pytest.raises(Reset):
        board.run("main.py")
    assert board.done[1:] == [10]
    assert capsys.readouterr().out == "main: MemoryError\n", "what an error says may be a secret"


def test_in_safe_mode_the_serial_line_is_left_to_a_person(board: Board) -> None:
    board.is_safe = True
    board.error = ImportError("no module")
    board.run("main.py")
    assert board.done == [("config.json", True)]


def test_an_interrupt_gets_through(board: Board) -> None:
    board.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        board.run("main.py")
