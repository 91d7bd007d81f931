"""`make flash` on the emulated board: what goes over, what does not, and a copy that is cut at every step."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from host_tests.board import chip
from host_tests.board.conftest import MakeBoard
from host_tests.board.mpremote import mpremote
from tools import boards, build, flash, slot
from tools.device import Device, DeviceError
from tools.emulator import Emulator

OLD = {"a": b"a" * 700, "b": b"b" * 10, "core/c": b"c" * 50, "core/gone": b"gone"}
NEW = {"a": b"A" * 1500, "b": b"b" * 10, "core/c": b"C" * 60, "fresh/d": b"d"}


def built(folder: Path, modules: dict[str, bytes], version: slot.Version) -> Path:
    """A small tree as `make build` leaves it."""
    inside = {f"replenish/{name}.mpy": data for name, data in modules.items()}
    files = {**{f"lib/{place}": data for place, data in inside.items()}, "boot.py": b"# boot of %d\n" % version[0]}
    for place, data in {**files, build.WHOLE: slot.whole(version, inside)}.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(data)
    (folder / "files.json").write_text(json.dumps({"files": {place: {} for place in files}}))
    return folder


def on_board(tree: Path) -> dict[str, bytes]:
    return chip.tree(tree)


def copy(board: Emulator, tree: Path) -> str:
    with Device(board.port) as device:
        return flash.put(device, tree, {})


def test_all_files_go_over_once(board: Emulator, tree: dict[str, bytes], capsys: pytest.CaptureFixture[str]) -> None:
    assert flash.main(["--board", "qemu", "--port", board.port]) == 0
    said = capsys.readouterr().out
    assert f"{len(tree) - 1} of {len(tree) - 1} files sent" in said and "MicroPython 1." in said
    assert chip.files(board.flash).items() >= tree.items()
    programs = board.gauge.bytes_programmed
    assert flash.main(["--board", "qemu", "--port", board.port]) == 0
    assert f"nothing of {len(tree) - 1} files sent" in capsys.readouterr().out
    assert board.gauge.bytes_programmed - programs < 1000  # what the board itself notes of its starts
    name = "lib/replenish/app.mpy"
    assert hashlib.sha256(tree[name]).hexdigest() in mpremote(board, "fs", "sha256sum", name)


def test_only_what_differs_goes_over_and_what_is_stale_goes(make_board: MakeBoard, tmp_path: Path) -> None:
    old, new = built(tmp_path / "old", OLD, (1, 0, 0)), built(tmp_path / "new", NEW, (2, 0, 0))
    others = {"config.json": b"{}", "lib/mine.mpy": b"mine", "slot_b/replenish/whole": b"another version", "start": b"record"}
    left = {"lib/replenish/b.mpy.new": b"of a cut copy", "boot.py.new": b"as well"}
    board = make_board({**on_board(old), **others, **left})
    board.wait_for(">>> ")
    assert copy(board, new).startswith("4 of 5 files sent, 1,573 bytes, 2 removed, in ")
    del others["slot_b/replenish/whole"]  # else the loader might start it
    assert chip.files(board.flash) == {**on_board(new), **others}
    assert copy(board, new).startswith("nothing of 5 files sent, in ")


def test_a_file_that_was_damaged_on_the_board_goes_over_again(make_board: MakeBoard, tmp_path: Path) -> None:
    tree = built(tmp_path / "tree", OLD, (1, 0, 0))
    board = make_board({**on_board(tree), "lib/replenish/a.mpy": b"damaged", build.WHOLE: b""})
    board.wait_for(">>> ")
    assert copy(board, tree).startswith("1 of 5 files sent")
    assert chip.files(board.flash) == on_board(tree)


class Cut(Device):
    """Whose board loses its power at a statement: `within`: while that runs, else before it."""

    def __init__(self, board: Emulator, at: int, within: bool) -> None:
        self._board, self.left, self._within = board, at, within
        super().__init__(board.port)

    def run(self, statement: str, *arguments: Any) -> str:
        self.left -= 1
        if self.left == 0:
            if self._within:
                self._transport.exec_raw_no_follow(statement)
            self._board.kill()
            raise DeviceError("the power is gone")
        return super().run(statement, *arguments)


def statements(make_board: MakeBoard, old: Path, new: Path) -> int:
    """How many a copy takes."""
    board = make_board(on_board(old))
    board.wait_for(">>> ")
    device = Cut(board, 0, False)
    with device:
        flash.put(device, new, {})
    return -device.left


@pytest.mark.parametrize("within", [False, True], ids=["between", "within"])
def test_a_copy_that_is_cut_never_leaves_a_mixed_version_to_run(make_board: MakeBoard, tmp_path: Path, within: bool) -> None:
    old, new = built(tmp_path / "old", OLD, (1, 0, 0)), built(tmp_path / "new", NEW, (2, 0, 0))
    versions = [on_board(old), on_board(new)]
    seen = []
    for at in range(2 if within else 1, statements(make_board, old, new) + 1, 2):
        board = make_board(versions[0])
        board.wait_for(">>> ")
        with Cut(board, at, within) as device, pytest.raises(DeviceError, match="the power is gone"):
            flash.put(device, new, {})
        there = chip.files(board.flash)
        marked = [version for version in versions if there.get(build.WHOLE) == version[build.WHOLE]]
        inside = {name: data for name, data in there.items() if name.startswith("lib/replenish/") and not name.endswith(".new")}
        for version in marked:
            assert inside == {name: data for name, data in version.items() if name.startswith("lib/replenish/")}
        seen.append(versions.index(marked[0]) if marked else None)
        board.start()
        board.wait_for(">>> ", start=len(board.transcript))
        copy(board, new)
        assert chip.files(board.flash) == versions[1]
        board.kill()
    assert seen == sorted(seen, key=[0, None, 1].index)
    assert seen.count(0) > 2 * seen.count(None) > 0  # the old version stays what runs for most of it


def test_another_micropython_is_refused_before_anything_is_copied(
    board: Emulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "build", lambda made_for: Path())
    programs = board.gauge.bytes_programmed
    assert flash.main(["--board", "esp32_generic", "--port", board.port]) == 1
    said = capsys.readouterr().err
    image = boards.load("esp32_generic").image
    assert image and said.startswith("The board runs the image APPLIANCE, and esp32_generic wants ESP32_GENERIC: get ")
    assert image.file in said and str(image.sha256) in said and "micropython.org/download/ESP32_GENERIC/" in said
    assert board.gauge.bytes_programmed == programs
