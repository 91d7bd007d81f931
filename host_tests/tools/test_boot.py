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
    """The board starts anew; which way."""


class Board:
    """MicroPython's modules, the loader's and the agent's, as the two files see them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[object] = []
        self.is_safe = False
        self.error: BaseException | None = None
        self.what = "run"
        loader = SimpleNamespace(
            start=lambda: self.done.append("start"),
            safe=lambda: self.is_safe,
            what=lambda: self.what,
            healthy=lambda: self.done.append("healthy"),
        )
        machine = SimpleNamespace(reset=lambda: self._reset("hard"), soft_reset=lambda: self._reset("soft"))
        life = ModuleType("replenish.life")
        life.live = self._live  # type: ignore[attr-defined]
        modules = {"loader": loader, "machine": machine, "replenish.life": life}
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(sys, "platform", "esp32")
        monkeypatch.setattr(time, "sleep", lambda seconds: self.done.append(seconds))

    def _live(self, path: str, loader: object) -> None:
        self.done.append((path, loader is sys.modules["loader"]))
        if self.error:
            raise self.error

    def _reset(self, kind: str) -> None:
        raise Reset(kind)

    def run(self, name: str) -> None:
        runpy.run_path(str(FIRMWARE / name), run_name="__main__")

    def starts_anew(self) -> list[object]:
        """Run main.py, which ends in a reset: what it did after the life ended, and which reset it was."""
        self.done.clear()
        with pytest.raises(Reset) as reset:
            self.run("main.py")
        return [*self.done[1:], str(reset.value)]


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    return Board(monkeypatch)


def test_boot_leaves_all_to_the_loader(board: Board) -> None:
    board.run("boot.py")
    assert board.done == ["start"]


def test_a_configuration_that_cannot_be_used_is_read_again_and_again_and_nothing_is_written(board: Board) -> None:
    assert board.starts_anew() == [60, "soft"]
    assert board.done[0] == ("config.json", True)
    board.what = "other"
    assert board.starts_anew() == [60, "soft"]


def test_a_version_on_trial_that_cannot_use_the_configuration_comes_to_be_given_up(board: Board) -> None:
    board.what = "trial"
    assert board.starts_anew() == [60, "hard"], "which the loader counts"


def test_a_version_that_cannot_be_loaded_is_started_anew(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    board.error = MemoryError("Atzr|hunter2")
    assert board.starts_anew() == [10, "hard"]
    assert capsys.readouterr().out == "main: MemoryError\n", "what an error says may be a secret"


def test_safe_mode_ends_though_nothing_of_the_version_can_be_loaded(board: Board) -> None:
    board.is_safe = True
    assert board.starts_anew() == [3600, "healthy", "hard"], "the configuration"
    board.error = ImportError("no module")
    assert board.starts_anew() == [3600, "healthy", "hard"]


def test_an_interrupt_gets_through(board: Board) -> None:
    board.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        board.run("main.py")


def test_a_person_may_interrupt_the_wait(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    for board.is_safe in (False, True):
        for board.error in (None, ImportError("no module")):
            with pytest.raises(KeyboardInterrupt):
                board.run("main.py")
