"""tools/frozen.py without a board: what is frozen, and how a person makes an ESP32's image of it."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest

from host_tests.tools import test_appliance
from tools import boards, build, frozen
from tools.target import Target


@pytest.fixture
def firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small firmware in place of ours, in which a module has an attribute of its own name; what is built of it goes here too."""
    texts = {
        "boot.py": "import loader\n",
        "loader.py": "from replenish.core import level\nlevel.of()\n",
        "replenish/__init__.py": "",
        "replenish/version.py": 'VERSION = "1.2.3"\n',
        "replenish/core/level.py": "from micropython import const\nLIMIT = const(7)\ndef of():\n    of.level = LIMIT\n",
    }
    for name, text in texts.items():
        file = tmp_path / "firmware" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "build" / "frozen").mkdir(parents=True)
    monkeypatch.setattr(build, "FIRMWARE", tmp_path / "firmware")
    monkeypatch.setattr(frozen, "FOLDER", tmp_path / "build" / "frozen")

    def built(made_for: Target) -> Path:
        tree = tmp_path / "build" / made_for.board.name
        build.build_tree(made_for, tmp_path / "firmware", tree, build.BUILD / "bin" / "mpy-cross", None)
        return tree

    monkeypatch.setattr(build, "build", built)
    return tmp_path / "firmware"


def test_what_is_frozen_is_what_is_built_under_the_names_it_is_imported_by(firmware: Path, tmp_path: Path) -> None:
    made_for = Target(boards.load("esp32_generic"))
    frozen.write(made_for, tmp_path / "frozen")
    tree = tmp_path / "build" / "esp32_generic"
    files = [file for file in (tmp_path / "frozen").rglob("*") if file.is_file()]
    found = {str(file.relative_to(tmp_path / "frozen")): file.read_bytes() for file in files}
    assert sorted(found) == [
        "loader.mpy",
        "replenish/__init__.mpy",
        "replenish/core/level.mpy",
        "replenish/version.mpy",
        "replenish_frozen.py",
    ]
    assert found["replenish_frozen.py"].decode() == f'DIGEST = "{frozen.digest(tree)}"\n'
    assert b"replenish/core/level.py\0" in found["replenish/core/level.mpy"]
    assert b"level\0" in found["replenish/core/level.mpy"], "the attribute has a name of its own"
    assert b"replenish/core/level.py" not in (tree / "lib/replenish/core/level.mpy").read_bytes()
    assert b"LIMIT" not in found["replenish/core/level.mpy"], "constants are folded"


def test_what_was_frozen_before_and_is_no_more_is_gone(firmware: Path, tmp_path: Path) -> None:
    (tmp_path / "frozen").mkdir()
    (tmp_path / "frozen" / "old.mpy").touch()
    frozen.write(Target(boards.load("esp32_generic")), tmp_path / "frozen")
    assert not (tmp_path / "frozen" / "old.mpy").exists()


@pytest.mark.parametrize(
    ("board", "kind"), [("esp32_generic", "BOARD=ESP32_GENERIC"), ("esp32_generic_ota", "BOARD=ESP32_GENERIC BOARD_VARIANT=OTA")]
)
def test_an_esp32_image_is_made_by_commands_and_has_a_name_that_flash_takes(
    firmware: Path, board: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert frozen.main(["--board", board]) == 0
    said = capsys.readouterr().out
    assert f"make {kind} FROZEN_MANIFEST={frozen.MANIFEST} REPLENISH_BOARD={board}" in said
    image = boards.load(board).image
    assert f"make flash BOARD={board} IMAGE=" in said
    name = Path(said.split("IMAGE=")[1].strip()).name
    assert image and fnmatch.fnmatch(name, image.file_pattern)
    assert (frozen.FOLDER / board / "replenish" / "version.mpy").exists()


def test_the_image_of_an_appliance_is_flashed_for_that_appliance(
    firmware: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = test_appliance.put(tmp_path, test_appliance.GOOD)
    assert frozen.main(["--appliance", str(file), "--serial", "SN0001"]) == 0
    assert f"make flash APPLIANCE={file} SERIAL=SN0001 IMAGE=" in capsys.readouterr().out


def test_a_board_without_an_image_is_refused_before_anything_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    assert frozen.main(["--board", "unix"]) == 1
    assert capsys.readouterr().err == "unix: there is no image to freeze the agent into.\n"


def test_what_does_not_compile_is_told(firmware: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (firmware / "replenish/version.py").write_text('VERSION = "1.2.3"\nX = (\n')
    assert frozen.main(["--board", "esp32_generic"]) == 1
    assert "version.py" in capsys.readouterr().err
