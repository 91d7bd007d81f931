"""tools/appliance.py: the configuration that an appliance file gives. What it refuses is in bad_boards/."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from host_tests.tools.appliances import put_files
from tools import appliance, boards, configuration

GOOD = """
board = "esp32_generic"
backend = "gateway"
device = {model = "acme-1"}
gateway = {url = "https://gateway.example.com"}
tls = {ca = ["ca.der"]}

[[slots]]
id = "Coffee"
capacity = 12
reorder_at = 3
sensor = {driver = "file", path = "level.txt"}
"""
XIAO_LED = {"pin": 15, "active": "low"}
SENSOR = '{driver = "file", path = "level.txt"}'


def put(folder: Path, text: str) -> Path:
    put_files(folder)
    file = folder / "appliance.toml"
    file.write_text(text, encoding="utf-8")
    return file


def made(folder: Path, text: str, serial: str | None = None) -> dict[str, Any]:
    return appliance.configuration(put(folder, text), serial)


def with_sensor(sensor: str) -> str:
    return GOOD.replace(SENSOR, sensor)


def with_top(line: str, board: str = "esp32_generic") -> str:
    return f"{line}\n" + GOOD.replace('"esp32_generic"', f'"{board}"')


def test_an_appliance_becomes_a_configuration(tmp_path: Path) -> None:
    assert made(tmp_path, GOOD) == {
        "backend": "gateway",
        "device": {"model": "acme-1"},
        "gateway": {"url": "https://gateway.example.com"},
        "tls": {"ca": ["ca.der"]},
        "board": {"name": "esp32_generic", "led": None, "button": {"pin": 0, "active": "low"}},
        "state": "state",
        "secrets": "secrets.json",
        "slots": [{"id": "Coffee", "capacity": 12, "reorder_at": 3, "sensor": {"driver": "file", "path": "level.txt"}}],
    }


def test_with_a_serial_it_is_what_an_agent_takes(tmp_path: Path) -> None:
    config = made(tmp_path, GOOD, "SN7")
    assert config["device"] == {"model": "acme-1", "serial": "SN7"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    values, faults = configuration.load(tmp_path / "config.json")
    assert faults == [] and values["board"]["watchdog_s"] == 120


def test_the_serial_of_a_unit_wins_over_the_file(tmp_path: Path) -> None:
    text = GOOD.replace('"acme-1"', '"acme-1", serial = "SN1"')
    assert made(tmp_path, text)["device"]["serial"] == "SN1"
    assert appliance.configuration(tmp_path / "appliance.toml", "SN2")["device"]["serial"] == "SN2"


def test_a_serial_that_amazon_would_refuse_is_refused(tmp_path: Path) -> None:
    with pytest.raises(appliance.ApplianceError, match='device.serial: "SN 1": allowed: 1 to 64 characters'):
        made(tmp_path, GOOD, "SN 1")


def test_labels_become_numbers(tmp_path: Path) -> None:
    text = with_top('led = {pin = "D10"}', "seeed_xiao_esp32c6").replace(
        SENSOR, '{driver = "hx711", data_pin = "D1", clock_pin = "IO2"}'
    )
    config = made(tmp_path, text)
    assert config["slots"][0]["sensor"] == {"driver": "hx711", "data_pin": 1, "clock_pin": 2}
    assert config["board"]["led"] == {"pin": 18}


def test_a_part_of_a_sensor_has_labels_too(tmp_path: Path) -> None:
    parts = '{driver = "hx711", data_pin = "D0", clock_pin = "D1"}, {driver = "hx711", data_pin = "D2", clock_pin = "D3"}'
    text = with_top("", "seeed_xiao_esp32c6").replace(SENSOR, f'{{driver = "composite", mode = "sum", sensors = [{parts}]}}')
    sensors = made(tmp_path, text)["slots"][0]["sensor"]["sensors"]
    assert [(part["data_pin"], part["clock_pin"]) for part in sensors] == [(0, 1), (2, 21)]


@pytest.mark.parametrize(
    ("line", "led", "button"),
    [
        ("", XIAO_LED, {"pin": 9, "active": "low"}),
        ('led = "none"', None, {"pin": 9, "active": "low"}),
        ('button = {pin = "D8", active = "high", slot = "Coffee"}', XIAO_LED, {"pin": 19, "active": "high", "slot": "Coffee"}),
    ],
)
def test_light_and_button_are_the_boards_unless_said(tmp_path: Path, line: str, led: object, button: object) -> None:
    board = made(tmp_path, with_top(line, "seeed_xiao_esp32c6"))["board"]
    assert (board["led"], board["button"]) == (led, button)


def test_a_pin_is_free_when_the_board_gives_up_its_light(tmp_path: Path) -> None:
    text = with_top('led = "none"', "um_feathers3").replace(SENSOR, '{driver = "hx711", data_pin = 12, clock_pin = "LED"}')
    assert made(tmp_path, text)["slots"][0]["sensor"]["clock_pin"] == 13


def test_an_exemption_lets_a_strapping_pin_through(tmp_path: Path) -> None:
    text = with_top('allow = ["IO12: the load cell\'s input does not pull it"]').replace(
        SENSOR, '{driver = "hx711", data_pin = 18, clock_pin = 12}'
    )
    assert made(tmp_path, text)["slots"][0]["sensor"]["clock_pin"] == 12


def test_a_board_may_stand_beside_it_and_keep_the_state_raw(tmp_path: Path) -> None:
    config = made(tmp_path, with_top("", "raw/board.toml"))
    assert (config["board"]["name"], config["state"]) == ("raw", "orders")


def test_adc2_is_free_without_wifi(tmp_path: Path) -> None:
    file = put(tmp_path, with_top("", "raw/board.toml").replace(SENSOR, '{driver = "adc", pin = 27}'))
    with (tmp_path / "raw" / "board.toml").open("a") as board:
        board.write('features = ["threads"]\n')
    assert appliance.configuration(file)["slots"][0]["sensor"]["pin"] == 27


def test_the_pc_has_neither_pins_nor_watchdog(tmp_path: Path) -> None:
    board = made(tmp_path, with_top("", "unix"))["board"]
    assert board == {"name": "unix", "led": None, "button": None, "watchdog_s": 0}


def test_deep_sleep_with_a_button_that_can_wake(tmp_path: Path) -> None:
    board = made(tmp_path, with_top('sleep = "deep"\nwatchdog_s = 60\nbutton = {pin = 33}'))["board"]
    assert (board["sleep"], board["watchdog_s"], board["button"]) == ("deep", 60, {"pin": 33})


def test_the_emulated_board_sleeps_without_pins(tmp_path: Path) -> None:
    assert made(tmp_path, with_top('sleep = "deep"', "qemu"))["board"]["sleep"] == "deep"


def test_the_bench_gets_its_short_waits(tmp_path: Path) -> None:
    config = made(tmp_path, with_top('profile = "bench"\npolicy = {confirm_s = 33}'))
    assert config["policy"]["confirm_s"] == 33 and config["policy"]["boot_spread_s"] < 600
    assert config["slots"][0]["sensor"]["period_s"] < 60


def test_it_is_printed_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = put(tmp_path, GOOD)
    assert appliance.main([str(file), "--serial", "SN1"]) == 0
    assert json.loads(capsys.readouterr().out) == appliance.configuration(file, "SN1")


def test_every_fault_is_a_line_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = put(tmp_path, GOOD.replace("reorder_at = 3", "reorder_at = 13").replace('"acme-1"', '"acme 1"'))
    assert appliance.main([str(file)]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and [line.startswith(f"{file}: ") for line in shown.err.splitlines()] == [True, True]


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    file = put(tmp_path, GOOD)
    (tmp_path / "secrets.json").write_text('{"gateway_token": 5, "mqtt_pasword": "hunter2"}')
    with pytest.raises(appliance.ApplianceError) as caught:
        appliance.load(file)
    assert len(caught.value.faults) == 2 and "hunter2" not in str(caught.value)


README = (boards.FOLDER / "README.md").read_text(encoding="utf-8")


def example(begin: str) -> str:
    """The example of boards/README.md that has this line: what is indented, without the command at its end."""
    blocks = re.findall(r"(?:^(?:    .*)?\n)+", README, re.MULTILINE)
    block = next(block for block in blocks if f"    {begin}" in block)
    return "\n".join(line[4:] for line in block.splitlines() if "build/venv" not in line)


def test_the_board_of_the_readme_is_good(tmp_path: Path) -> None:
    file = tmp_path / "coffee-machine" / "board.toml"
    file.parent.mkdir()
    file.write_text(example('base = "esp32_generic"'))
    board = boards.load(str(file))
    assert (board.pins["SCALE_DATA"], board.led) == (18, boards.Wire(5, "high"))


def test_the_appliance_of_the_readme_is_good(tmp_path: Path) -> None:
    put_files(tmp_path)
    (tmp_path / "amazon-root-ca-1.der").write_bytes((tmp_path / "ca.der").read_bytes())
    (tmp_path / "appliance.toml").write_text(example('board = "seeed_xiao_esp32c6"'))
    config = appliance.configuration(tmp_path / "appliance.toml", "SN0001")
    assert config["board"]["button"] == {"pin": 16, "slot": "Coffee"}


def test_the_readme_has_every_key() -> None:
    words = set(re.findall(r"`([a-z0-9_.]+)`", README))
    assert {key for key in boards.KEYS if key not in words} == set()
    assert {*appliance.OWN_KEYS, *boards.PARTITION} - words == set()
