"""`make backup`, its restore and `make factory-reset` on the emulated board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from host_tests.board import chip, unit
from host_tests.board.conftest import MakeBoard
from host_tests.board.unit import TOKEN
from tools import backup, reset
from tools.device import Device
from tools.emulator import Emulator

pytestmark = pytest.mark.long

STATE = {"state/o-1": b"an order", "state/device": b"its record", "state/slots-0": b"the slots"}


@pytest.fixture
def own(tmp_path: Path) -> dict[str, bytes]:
    """What a unit has of its own."""
    config = unit.write(tmp_path / "unit")
    files = {"config.json": config.read_bytes(), "ca.pem": (tmp_path / "unit/ca.pem").read_bytes()}
    return {**files, "secrets.json": json.dumps({"gateway_token": TOKEN}).encode(), **STATE}


def started(make_board: MakeBoard, files: dict[str, bytes]) -> Emulator:
    board = make_board(files)
    board.wait_for(">>> ")
    return board


def test_a_backup_goes_onto_another_board(
    make_board: MakeBoard, own: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = started(make_board, own)
    assert backup.main(["--port", board.port, "--to", str(tmp_path / "kept")]) == 0
    assert "6 files" not in capsys.readouterr().out and not (tmp_path / "kept/secrets.json").exists()
    assert backup.main(["--port", board.port, "--to", str(tmp_path / "kept")]) == 1
    assert "it is there already" in capsys.readouterr().err
    assert backup.main(["--port", board.port, "--to", str(tmp_path / "all"), "--with-secrets"]) == 0
    assert (tmp_path / "all/secrets.json").stat().st_mode & 0o777 == 0o600
    other = started(make_board, {})
    assert backup.main(["--port", other.port, "--restore", str(tmp_path / "all")]) == 0
    assert chip.files(other.flash) == own
    said = capsys.readouterr()
    assert TOKEN not in said.out + said.err


def test_a_board_with_a_state_of_its_own_and_a_changed_backup_are_refused(
    make_board: MakeBoard, own: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "kept"
    assert backup.main(["--port", started(make_board, own).port, "--to", str(folder)]) == 0
    newer = {**own, "state/o-1": b"a newer order"}
    board = started(make_board, newer)
    assert backup.main(["--port", board.port, "--restore", str(folder)]) == 1
    assert "has a state of its own, which knows of newer orders" in capsys.readouterr().err
    assert chip.files(board.flash) == newer
    (folder / "state/o-1").write_bytes(b"forged")
    assert backup.main(["--port", board.port, "--restore", str(folder)]) == 1
    assert "not as it was saved: state/o-1" in capsys.readouterr().err


class Cut(Device):
    """Ctrl-C comes when one file of the state is there, and the second on its way."""

    def put(self, name: str, data: bytes, progress: Any = None) -> None:
        if name == "state/o-1":
            self.send(name + ".new", data)
            raise KeyboardInterrupt
        super().put(name, data, progress)


def test_a_restore_that_was_cut_lets_no_agent_begin_on_half_of_a_state(
    make_board: MakeBoard, own: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "kept"
    assert backup.main(["--port", started(make_board, own).port, "--to", str(folder)]) == 0
    mine = {"config.json": own["config.json"], "ca.pem": own["ca.pem"]}
    board = started(make_board, mine)
    monkeypatch.setattr(backup, "Device", Cut)
    assert backup.main(["--port", board.port, "--restore", str(folder)]) == 130
    assert "may have no configuration yet" in capsys.readouterr().err
    there = chip.files(board.flash)
    assert "config.json" not in there and "state/o-1" not in there and there["state/o-1.new"] == STATE["state/o-1"]
    monkeypatch.undo()
    assert backup.main(["--port", board.port, "--restore", str(folder)]) == 0
    assert chip.files(board.flash) == {**mine, **STATE}


def test_a_factory_reset_wants_the_serial_and_leaves_nothing_of_the_customer(
    make_board: MakeBoard, own: dict[str, bytes], tree: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = json.dumps({"gateway_token": TOKEN, "wifi": {"ssid": "home", "password": "canary-wifi"}}).encode()
    files = {**tree, **{name: data for name, data in own.items() if not name.startswith("state/")}, "secrets.json": secrets}
    del files["main.py"]
    board = started(make_board, files)
    assert reset.main(["--port", board.port], asked=lambda question: "SN0008") == 1
    assert "Nothing was erased" in capsys.readouterr().err
    assert json.loads(chip.files(board.flash)["secrets.json"])["wifi"]
    assert reset.main(["--port", board.port], asked=lambda question: "SN0007") == 0
    there = chip.files(board.flash)
    assert "wifi" not in json.loads(there["secrets.json"])
    assert b"canary-wifi" not in board.flash.read_bytes()[: 2 << 20]
    assert there["config.json"] == own["config.json"] and there["lib/replenish/app.mpy"] == tree["lib/replenish/app.mpy"]
    assert "SN0007 is as it was made" in capsys.readouterr().out


def test_dry_runs_reach_no_board(capsys: pytest.CaptureFixture[str]) -> None:
    for program, words in ((backup, "from /dev/nowhere to"), (reset, "factory_reset()")):
        assert program.main(["--port", "/dev/nowhere", "--dry-run"]) == 0
        assert words in capsys.readouterr().out
