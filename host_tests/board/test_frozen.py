"""The agent frozen into the emulated board's image: it orders from there, and an update and `make flash` find their way around it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from host_tests.board import chip, unit
from host_tests.board.conftest import MakeBoard
from host_tests.board.line import CAPACITY, LOW, Line, appliance_files
from host_tests.board.mpremote import mpremote
from host_tests.board.test_update import BAD, CONFIG, GOOD, PROGRAM, TRIES, compiled, made
from host_tests.fakes.signer import Signer
from tools import boards, build, bundle, flash, frozen, provision, slot
from tools.emulator import Emulator
from tools.target import Target

SLOTS = ("A",)
LIMIT_S = 60
OWN = ".".join(map(str, slot.firmware_version(build.FIRMWARE)))
MakeFrozen = Callable[[dict[str, bytes]], Emulator]


@pytest.fixture(scope="session")
def images(firmware: Path, tree: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """The image as `make frozen` makes it, by whether main.py is in it: without it an application has a program of its own."""
    folder = tmp_path_factory.mktemp("frozen")
    own = folder / "manifest.py"
    own.write_text(f"include({str(frozen.MANIFEST)!r}, program=False)\n")
    found = {False: folder / "own.elf", True: folder / "image.elf"}
    frozen.make_images(Target(boards.load("qemu")), {found[False]: own, found[True]: frozen.MANIFEST})
    return found


@pytest.fixture
def make_frozen(make_board: MakeBoard, images: dict[bool, Path]) -> MakeFrozen:
    """A running board with the agent in its image; main.py is a file."""
    return lambda files: make_board(files, images[False])


def without_lib(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if not name.startswith("lib/")}


def test_a_slot_is_ordered_and_refilled_without_a_file_of_the_agent(make_frozen: MakeFrozen, tree: dict[str, bytes]) -> None:
    board = make_frozen(without_lib(appliance_files(tree, SLOTS)))
    with Line(board, SLOTS) as line:
        line.levels["A"] = LOW
        line.step_s = 60
        assert line.attend(LIMIT_S, lambda: "accepted" in line.states("A")), board.transcript
        line.service.end("A", "Closed")
        assert line.attend(LIMIT_S, lambda: "awaiting_refill" in line.states("A"))
        line.levels["A"] = CAPACITY
        assert line.attend(LIMIT_S, lambda: line.states("A")[-1] == "idle")
        assert line.service.count("replenish") == 1
    assert not [name for name in chip.names(board.flash) if name.endswith(".mpy")]


def test_it_takes_less_heap_than_the_same_agent_from_files(
    make_board: MakeBoard, make_frozen: MakeFrozen, tree: dict[str, bytes]
) -> None:
    kept = []
    for board in (make_board(appliance_files(tree, SLOTS)), make_frozen(without_lib(appliance_files(tree, SLOTS)))):
        with Line(board, SLOTS) as line:
            assert line.attend(LIMIT_S, lambda: any(asked[0] == "loaded" for asked in line.asked))
            kept.append(line.figures("begin")["free"] - line.figures("loaded")["free"])
    assert kept[1] < 0.6 * kept[0], kept


def test_the_whole_image_lives_from_a_configuration_alone(
    make_board: MakeBoard, images: dict[bool, Path], tree: dict[str, bytes]
) -> None:
    files = without_lib(appliance_files(tree, SLOTS))
    del files["main.py"]
    board = make_board(files, images[True])
    board.wait_for("event=boot", LIMIT_S)
    board.wait_for("event=start", LIMIT_S)
    assert b"slot=null start=none" in board.transcript, "there is a slot with files"


@pytest.fixture
def appliance(make_frozen: MakeFrozen) -> Emulator:
    config = {"config.json": json.dumps(CONFIG).encode(), "secrets.json": b"{}", "update.pub": Signer().key}
    board = make_frozen({"main.py": PROGRAM, **config})
    board.wait_for(f"runs {OWN}  none")
    board.wait_for("well")
    return board


def small(tree: dict[str, bytes]) -> dict[str, bytes]:
    """As much of an agent as the program of these tests asks for: a bundle that is copied and verified in a second."""
    return {"lib/replenish/__init__.mpy": compiled(""), "lib/replenish/core/order.mpy": tree["lib/replenish/core/order.mpy"]}


def test_an_update_runs_before_the_frozen_version_if_it_is_well(appliance: Emulator, tree: dict[str, bytes], tmp_path: Path) -> None:
    start = len(appliance.transcript)
    bundle.install(made(small(tree), tmp_path, BAD, Signer()), appliance.port)
    appliance.wait_for(f"runs {OWN}  reverted", LIMIT_S, start)
    assert appliance.transcript[start:].count(b"ill b trial") == TRIES
    start = len(appliance.transcript)
    appliance.restart()
    appliance.wait_for(f"runs {OWN}  run", LIMIT_S, start)
    bundle.install(made(small(tree), tmp_path, GOOD, Signer()), appliance.port)
    appliance.wait_for("runs 9.0.0 b trial", LIMIT_S, start)
    appliance.wait_for("well", start=appliance.transcript.rindex(b"runs"))
    start = len(appliance.transcript)
    appliance.restart()
    appliance.wait_for("runs 9.0.0 b run", LIMIT_S, start)


def test_flash_sends_no_file_of_a_frozen_version_and_removes_what_would_hide_it(
    make_frozen: MakeFrozen, tree: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {name: tree[name] for name in tree if name.startswith("lib/")} | {"lib/replenish/version.mpy": b"another"}
    board = make_frozen({**other, "loader.mpy": tree["loader.mpy"], "lib/mine.py": b"NUMBER = 7\n", "slot_b/replenish/whole": b"old"})
    board.wait_for(">>> ")
    with pytest.MonkeyPatch.context() as patch:
        # With a configuration it would be trimmed, and another version.
        patch.setattr(build, "build", lambda made_for: build.BUILD / "qemu")
        assert flash.main(["--config", str(unit.write(tmp_path / "unit")), "--port", board.port]) == 0
    assert "this version is frozen into the image; 3 of 3 files sent" in capsys.readouterr().out
    there = chip.names(board.flash)
    assert {"ca.pem", "config.json", "secrets.json", "lib/mine.py"} <= set(there)
    assert not [name for name in there if name.startswith(("lib/replenish", "lib/umqtt", "slot_b", "loader"))]
    found = mpremote(board, "resume", "exec", "import mine, replenish; print(mine.NUMBER, replenish.__path__)")
    assert found.strip() == "7 .frozen/replenish"


def test_provisioning_finds_the_frozen_agent(make_frozen: MakeFrozen, tmp_path: Path) -> None:
    board = make_frozen({"start": b"none"})
    board.wait_for(">>> ")
    person = unit.Typing(unit.PASSWORD, unit.TOKEN)
    assert provision.main(["--config", str(unit.write(tmp_path / "unit")), "--port", board.port, "--no-link"], person) == 0
    assert json.loads(chip.files(board.flash)["secrets.json"])["gateway_token"] == unit.TOKEN
