"""Ctrl-C at a tool: one sentence says what state things are in, exit status 130, and no traceback."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tools import backup, boards, build, bundle, calibrate, flash, link, provision, reset
from tools.device import DeviceError

PORT = ["--port", "/dev/nowhere"]


@pytest.mark.parametrize(
    ("tool", "where", "arguments", "told"),
    [
        (backup, "find_port", PORT, "nothing was kept"),
        (backup, "read", ["--restore", "kept"], "run the same command again"),
        (build, "build", ["--board", "unix"], "the tree is not whole"),
        (bundle, "install", ["install", "a.bundle"], "the board has started again"),
        (bundle, "make_keys", ["keys", "folder"], "no key was made"),
        (bundle, "make", ["make", "--board", "unix", "--key", "k"], "no bundle was made"),
        (calibrate, "open_device", PORT, "the calibration that was kept last counts"),
        (flash, "flash", ["--board", "unix"], "run the same command again"),
        (link, "open_device", PORT, "not linked"),
        (provision, "run", ["--board", "unix"], "run the same command again"),
        (reset, "find_port", PORT, "Nothing was erased"),
    ],
)
def test_ctrl_c_ends_in_a_sentence(
    tool: ModuleType, where: str, arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tool, where, press)
    assert tool.main(arguments) == 130
    said = capsys.readouterr().err
    assert said.startswith("\nBroken off") and told in said and said.count("\n") == 2


class Erasing:
    """A board on which this happens while it erases: at the statement that does, or at the start, which goes on with a begun one."""

    port = "/dev/nowhere"

    def __init__(self, event: BaseException, at: str) -> None:
        self.event = event
        self.at = at

    def run(self, statement: str, *_: object) -> str:
        if statement == self.at:
            raise self.event
        return ""


def test_what_was_begun_is_not_called_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reset, "configuration", lambda device: {"device": {"serial": "SN0001"}})
    events = KeyboardInterrupt(), DeviceError("the board stopped answering.")
    for event, at in itertools.product(events, (reset.LOAD, reset.ERASE)):
        board: Any = Erasing(event, at)
        with pytest.raises(type(event), match="Erasing may have begun: the board's next start finishes it"):
            reset.reset(board, lambda question: "SN0001")


def test_without_a_person_a_factory_reset_names_the_way(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def nobody(*_: object) -> None:
        raise EOFError

    monkeypatch.setattr(reset, "find_port", nobody)
    assert reset.main(PORT) == 1
    assert "ARGS=--yes erases without asking" in capsys.readouterr().err


def test_an_image_that_was_broken_off_may_have_left_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def write(*_: object) -> None:
        flash.write_image(board, "/dev/nowhere", tmp_path)

    board = boards.load("esp32_generic")
    monkeypatch.setattr(flash, "image_command", lambda *_: ["esptool"])
    monkeypatch.setattr("subprocess.run", press)
    monkeypatch.setattr(flash, "flash", write)
    assert flash.main(["--board", "esp32_generic"]) == 130
    assert "the board may have no MicroPython now" in capsys.readouterr().err
