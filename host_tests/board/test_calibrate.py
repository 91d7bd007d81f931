"""`make calibrate` on the emulated board: raw numbers from a file there, and on its flash the two points with their date."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from host_tests.board import chip, unit
from host_tests.board.conftest import MakeBoard
from tools import calibrate
from tools.calibrate import Sensors, Terminal
from tools.device import Device
from tools.doctor import __main__ as doctor
from tools.emulator import Emulator
from tools.link import Device as Linked
from tools.link import open_device, set_clock

EMPTY, FULL = 1_000, 61_000
SENSOR = {"driver": "raw_file", "path": "raw.txt"}


@pytest.fixture
def board(make_board: MakeBoard, tree: dict[str, bytes], tmp_path: Path) -> Emulator:
    """With the agent and the configuration of a slot whose sensor is not calibrated. Its clock says 2000, as after any power cut."""
    slot = {"id": "Coffee", "unit": "g", "capacity": 1000, "reorder_at": 200, "sensor": SENSOR}
    here = {"gateway": {"url": "https://localhost:9"}, "clock": {"ntp": "localhost"}}
    config = unit.write(tmp_path / "unit", mqtt=None, slots=[slot], **here).read_bytes().replace(b'"mqtt": null, ', b"")
    anchor = (tmp_path / "unit" / "ca.pem").read_bytes()
    firmware = {name: data for name, data in tree.items() if name != "main.py"}
    made = make_board({**firmware, "config.json": config, "secrets.json": b"{}", "ca.pem": anchor, "raw.txt": b"%d" % EMPTY})
    made.wait_for(">>> ")
    return made


class Filler(Terminal):
    """A person who looks once, and fills the container when asked to how much."""

    def __init__(self, device: Linked) -> None:
        super().__init__()
        self._device = device
        self.told: list[str] = []

    def say(self, text: str) -> None:
        self.told.append(text)

    def ask(self, question: str) -> str:
        self._device.run(f"with open('raw.txt', 'w') as f: f.write('{FULL}')")
        return ""

    def watch(self, look: Callable[[], str]) -> None:
        self.told.append(look())


def test_a_board_without_network_and_clock_is_calibrated_and_knows_when(board: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    with Device(board.port) as device:
        assert device.evaluate("__import__('time').gmtime()[0]") == 2000
    with open_device(None, board.port, joins=False) as (device, path):
        sensors = Sensors(device, path)
        (part,) = sensors.parts()
        person = Filler(device)
        calibrate.calibrate(sensors, part, person)
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert "Now it reads 1000 g" in person.told[-2]
    assert re.fullmatch(rf"Coffee: calibrated on {today}: {EMPTY} is 0, {FULL} is 1000 \(.+\)\.", person.told[-1]), person.told
    assert any(name.startswith("state/c-") for name in chip.files(board.flash))
    # It is durable, and `make calibrate ARGS=--show` tells it after a power cut, when the clock says 2000 again.
    board.restart()
    board.wait_for(">>> ", start=len(board.transcript))
    assert calibrate.main(["--port", board.port, "--show"]) == 0
    assert f"Coffee: calibrated on {today}" in capsys.readouterr().out
    assert doctor.main(["--port", board.port]) == 1
    said = capsys.readouterr().out
    assert f"✓ calibration: Coffee: calibrated on {today}: {EMPTY} is 0, {FULL} is 1000" in said
    assert f"✗ secrets: secrets.json has no gateway_token; make provision PORT={board.port}.\n" in said


def test_a_board_that_was_never_calibrated_is_told_so_and_gets_no_state(board: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    before = chip.files(board.flash)
    assert doctor.main(["--port", board.port]) == 1
    said = capsys.readouterr().out
    assert f"orders nothing; make calibrate PORT={board.port} SLOT=Coffee.\n" in said
    after = chip.files(board.flash)
    assert {**after, "start": before["start"]} == before, "more than the loader's count of starts has changed"


def test_a_clock_that_the_board_has_stays(board: Emulator) -> None:
    with Device(board.port) as device:
        device.run("import machine; machine.RTC().datetime((2031, 5, 6, 1, 7, 8, 9, 0))")
        device.run(set_clock())
        assert device.evaluate("__import__('time').gmtime()[:3]") == (2031, 5, 6)
