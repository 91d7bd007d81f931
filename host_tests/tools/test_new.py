"""tools/new.py: whatever is answered, the folder that comes out is good, and what is there already stays as it is."""

from __future__ import annotations

import builtins
import io
import os
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from rich.console import Console

from tools import appliance, boards, new
from tools.drivers import DRIVERS
from tools.new import NewError
from tools.ports import free_port

GATEWAY = ["--orders", "gateway", "--url", "https://gateway.example.com"]
FILE = ["--board", "unix", "--slot", "A", "--sensor", "file"]
DRIVER = {"unix": "file", "esp32_generic": "switch"}
EVERY = [(name, way.driver) for name in boards.names() for way in new.ways_for(boards.load(name))]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert new.main([*arguments]) == 2
    return capsys.readouterr().err


def run(*arguments: str) -> None:
    assert new.main(["--slot", "Coffee", *arguments]) == 0


@pytest.mark.parametrize(("board", "sensor"), EVERY)
def test_every_sensor_on_every_board_comes_out_good(here: Path, board: str, sensor: str) -> None:
    run("--board", board, "--sensor", sensor, *GATEWAY)
    made = appliance.load(here / "coffee" / "appliance.toml", "SN1")
    assert made.board.name == board and made.config["slots"][0]["sensor"]["driver"] == sensor


def test_amazons_service_is_trusted_by_its_own_roots(here: Path) -> None:
    run("--board", "esp32_generic", "--sensor", "switch", "--orders", "drs", "--client", 'amzn1."x"')
    config = appliance.configuration(here / "coffee" / "appliance.toml")
    assert config["lwa"] == {"client_id": 'amzn1."x"'} and config["drs"]["test_device"] is True
    assert config["tls"]["ca"] == ["amazon-root-ca-1.der", "digicert-global-root-g2.der"]


@pytest.mark.parametrize("board", ["unix", "esp32_generic"])
def test_the_simulator_that_runs_is_found(here: Path, monkeypatch: pytest.MonkeyPatch, board: str) -> None:
    (here / "sim").mkdir()
    trustme.CA().cert_pem.write_to_path("ca.pem")
    url = "https://192.168.1.5:8443"
    env = {"DRS_URL": url, "DRS_TOKEN_URL": f"{url}/auth/o2/token", "DRS_CONSENT_URL": f"{url}/ap/oa", "DRS_CA": "ca.pem"}
    (here / "sim" / "env").write_text("".join(f"{key}={value}\n" for key, value in env.items()) + "DRS_CLIENT_ID='amzn1.x y'\n")
    monkeypatch.setattr(new, "SIMULATOR", here / "sim")
    run("--board", board, "--sensor", DRIVER[board], "--orders", "simulator")
    config = appliance.configuration(here / "coffee" / "appliance.toml")
    assert (config["drs"]["endpoint"], config["lwa"]["client_id"], config["tls"]["ca"]) == (url, "amzn1.x y", ["simulator.der"])


@pytest.mark.parametrize(("board", "command"), [("unix", "make sim"), ("esp32_generic", "make sim LAN=1")])
def test_without_a_simulator_it_says_how_to_start_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, board: str, command: str
) -> None:
    monkeypatch.setattr(new, "SIMULATOR", Path("none"))
    said = refused(capsys, "--board", board, "--slot", "Coffee", "--sensor", DRIVER[board], "--orders", "simulator")
    assert f"start one in another terminal, `{command}`, and" in said and not Path("coffee").exists()


def test_secrets_are_their_owners_and_hold_no_placeholder(here: Path) -> None:
    run("--board", "unix", "--sensor", "file", *GATEWAY)
    secrets = here / "coffee" / "secrets.json"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600 and secrets.read_text() == "{}\n"
    assert "secrets.json" in (here / "coffee" / ".gitignore").read_text().splitlines()


def test_what_exists_is_never_touched(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "coffee").mkdir()
    said = refused(capsys, "--board", "unix", "--slot", "Coffee", "--sensor", "file", *GATEWAY)
    assert "coffee exists; allowed: the name of a new folder" in said
    assert list((here / "coffee").iterdir()) == [] and list(here.iterdir()) == [here / "coffee"]


def test_the_folder_is_called_like_the_slot_or_as_said(here: Path) -> None:
    assert new.main(["--board", "unix", "--slot", "Pet-Food(dry)", "--sensor", "file", *GATEWAY]) == 0
    run("--board", "unix", "--sensor", "file", "--name", "brewer", *GATEWAY)
    assert sorted(folder.name for folder in here.iterdir()) == ["brewer", "pet-food-dry"]
    assert tomllib.loads((here / "pet-food-dry" / "appliance.toml").read_text())["slots"][0]["id"] == "Pet-Food(dry)"


def test_a_board_of_ones_own_is_named_by_its_path(here: Path) -> None:
    (here / "hardware").mkdir()
    (here / "hardware" / "board.toml").write_text('base = "esp32_generic_c3"\ntitle = "Ours"\npins = {DATA = 3, CLOCK = 4}\n')
    run("--board", "hardware/board.toml", "--sensor", "switch", *GATEWAY)
    made = appliance.load(here / "coffee" / "appliance.toml")
    assert (made.board.name, made.config["board"]["name"]) == ("hardware", "hardware")
    assert tomllib.loads((here / "coffee" / "appliance.toml").read_text())["board"] == "../hardware/board.toml"


def test_a_sensor_gets_pins_that_are_free(here: Path) -> None:
    (here / "ours").mkdir()
    (here / "ours" / "board.toml").write_text(
        'base = "esp32_generic_c3"\ntitle = "Ours"\npins = {LIGHT = 3, SDA = 4, KEY = 9, SCL = 5}\nled = {pin = "LIGHT"}\n'
    )
    assert list(new.free_pins(boards.load("ours/board.toml"), "output")) == [4, 5]
    plain = boards.load("esp32_generic")
    assert {34, 36, 39} <= set(new.free_pins(plain, "adc")) and not {34, 36, 39} & set(new.free_pins(plain, "input"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--board", "unixx"], "--board unixx: unknown board; did you mean unix?"),
        (["--board", "unix", "--slot", ""], "--slot : allowed: 1 to 64 printable characters"),
        (["--board", "unix", "--slot", "A", "--sensor", "fil"], "did you mean file?"),
        ([*FILE, "--orders", "drss"], "--orders drss: allowed: simulator, drs, gateway; did you mean drs?"),
        ([*FILE, *GATEWAY[:3], "http://x"], "--url http://x: allowed: a URL https://"),
        ([*FILE, *GATEWAY, "--name", "../x"], "--name ../x: allowed: 1 to 60 of"),
        ([*FILE, "--orders", "drs"], "--client: missing, and there is no terminal"),
        ([], "--board: missing, and there is no terminal to ask at"),
    ],
)
def test_a_wrong_option_is_one_sentence(here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    shown = refused(capsys, *arguments)
    assert said in shown and shown.count("\n") == 1 and list(here.iterdir()) == []


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, answers: list[str]) -> tuple[Console, io.StringIO]:
    given: Iterator[str] = iter(answers)
    monkeypatch.setattr(builtins, "input", lambda prompt="": next(given))
    screen = io.StringIO()
    return Console(file=screen, force_terminal=True, width=100, highlight=False), screen


def answers(board: str, driver: str = "", orders: str = "gateway") -> new.Answers:
    found = boards.load(board)
    ways = new.ways_for(found)
    way = next((way for way in ways if way.driver == driver), ways[0])
    return new.Answers(found, "Coffee", way, orders, "https://gateway.example.com", "coffee")


@pytest.mark.parametrize(("board", "first"), [("esp32_generic", "switch"), ("unix", "file"), ("qemu", "counted")])
def test_the_first_sensor_needs_no_calibration(board: str, first: str) -> None:
    made = answers(board)
    assert made.way.driver == first and not DRIVERS[first].calibrated
    assert not any("calibrate" in command for _, command in new.next_commands(made))


@pytest.mark.parametrize("driver", ["hx711", "vl53l0x", "adc"])
def test_a_sensor_that_reads_raw_numbers_is_calibrated_before_it_is_watched(driver: str) -> None:
    commands = [command for _, command in new.next_commands(answers("esp32_generic", driver))]
    assert commands[-2:] == ["make calibrate SLOT=Coffee", "make monitor"]


def test_the_switch_of_the_first_test_order_is_a_wire_to_the_pin_that_it_has() -> None:
    assert new.next_commands(answers("esp32_generic"))[-1] == ("watch it; a wire from GPIO4 to ground makes it low", "make monitor")
    assert new.next_commands(answers("seeed_xiao_esp32c6"))[-1][0] == "watch it; a wire from D0 to ground makes it low"


def test_what_is_printed_for_the_emulated_board_can_be_pasted() -> None:
    listed = new.next_commands(answers("qemu"))
    port = "PORT=build/qemu-flash.port"
    assert [command for _, command in listed[2:]] == [
        "make emulator",
        f"make flash {port} APPLIANCE=coffee/appliance.toml",
        f"make provision {port} APPLIANCE=coffee/appliance.toml",
        f"make monitor {port}",
    ]
    assert "Wi-Fi" not in " ".join(what for what, _ in listed) and port.partition("=")[2] in listed[2][0]


def test_a_board_with_a_radio_wants_a_simulator_that_it_can_reach(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new, "SIMULATOR", here)
    (here / "env").write_text("DRS_URL=https://localhost:40000\n")
    assert new.simulator_facts(boards.load("unix")) == {"DRS_URL": "https://localhost:40000"}
    with pytest.raises(NewError, match="is for this PC alone; start one in another terminal, `make sim LAN=1`, and"):
        new.simulator_facts(boards.load("esp32_generic"))


def test_make_new_finds_what_make_sim_wrote(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new, "SIMULATOR", here / "build" / "sim")
    ports = ["--port", str(free_port()), "--broker-port", str(free_port())]
    command = [sys.executable, "-m", "tools.simulator", "--lan", "127.0.0.1", *ports]
    process = subprocess.Popen(command, cwd=here, env={**os.environ, "PYTHONPATH": str(new.ROOT)}, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert any("For a board on the desk" in line for line in process.stdout)
        facts = new.simulator_facts(boards.load("unix"))
        assert facts["DRS_URL"] == f"https://localhost:{ports[1]}" and Path(facts["DRS_CA"]).exists()
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def test_a_person_is_asked_three_questions(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    console, screen = at_a_terminal(monkeypatch, ["esp32_genric", "unix", "", "file", "gateway", "http://x", "https://gateway.example.com"])
    monkeypatch.setattr(new, "Console", lambda **options: console)
    assert new.main([]) == 0
    shown = screen.getvalue()
    assert all(question in shown for question in ("1  Which board", "2  What does it use up", "3  Who orders"))
    assert "did you mean esp32_generic?" in shown and "a URL https://HOST[:PORT][/PATH]" in shown
    config = appliance.configuration(here / "coffee" / "appliance.toml")
    assert (config["board"]["name"], config["slots"][0]["sensor"]["driver"]) == ("unix", "file")
