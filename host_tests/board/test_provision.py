"""`make provision` on the emulated board: configuration and secrets, once more, broken off; and that no secret is ever shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host_tests.board import chip, unit
from host_tests.board.conftest import MakeBoard
from host_tests.board.unit import PASSWORD, TOKEN, Typing
from tools import build, provision
from tools.emulator import Emulator


def run(board: Emulator, config: Path, person: Typing, *more: str) -> int:
    return provision.main(["--config", str(config), "--port", board.port, *more], person)


def on_board(board: Emulator, name: str) -> object:
    return json.loads(chip.files(board.flash)[name])


def test_a_unit_gets_its_configuration_and_secrets_and_keeps_them(
    flashed: Emulator, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = unit.write(tmp_path / "unit")
    person = Typing(PASSWORD, TOKEN)
    assert run(flashed, config, person) == 0
    assert person.asked == ["Password of the MQTT broker", "Token of this device at the maker's gateway"]
    assert on_board(flashed, "secrets.json") == {"mqtt_password": PASSWORD, "gateway_token": TOKEN}
    assert chip.files(flashed.flash)["config.json"] == config.read_bytes()
    assert chip.files(flashed.flash)["ca.pem"] == (tmp_path / "unit/ca.pem").read_bytes()
    # Once more, with Enter: all stays, nothing is written.
    programmed = flashed.gauge.bytes_programmed
    flashed.restart()
    flashed.wait_for(">>> ", start=len(flashed.transcript))
    person = Typing("", "other-" + TOKEN)
    assert run(flashed, config, person) == 0
    assert person.asked[0].endswith(", Enter keeps what it has")
    assert on_board(flashed, "secrets.json") == {"mqtt_password": PASSWORD, "gateway_token": "other-" + TOKEN}
    assert programmed < flashed.gauge.bytes_programmed < programmed + 4000
    said = capfd.readouterr()
    assert "Configuration of SN0007: as it was" in said.out and "kept mqtt_password" in said.out
    assert PASSWORD not in said.out + said.err and TOKEN not in said.out + said.err
    assert PASSWORD.encode() not in flashed.transcript and TOKEN.encode() not in flashed.transcript


def test_a_file_says_it_instead_of_a_person(flashed: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = unit.write(tmp_path / "unit")
    given = tmp_path / "given.json"
    given.write_text(json.dumps({"mqtt_password": PASSWORD}))
    assert run(flashed, config, Typing(), "--secrets", str(given)) == 1
    assert capsys.readouterr().err.startswith("gateway_token: needed: SECRETS= names a JSON file")
    given.write_text(json.dumps({"mqtt_password": PASSWORD, "gateway_token": TOKEN}))
    assert run(flashed, config, Typing(), "--secrets", str(given)) == 0
    assert on_board(flashed, "secrets.json") == {"mqtt_password": PASSWORD, "gateway_token": TOKEN}
    given.write_text(json.dumps({"mqtt_pasword": PASSWORD}))
    assert run(flashed, config, Typing(), "--secrets", str(given)) == 1
    said = capsys.readouterr().err
    assert "mqtt_pasword: allowed: an object with" in said and PASSWORD not in said


def test_a_board_without_the_agent_is_told_what_to_do(board: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(board, unit.write(tmp_path / "unit"), Typing(PASSWORD, TOKEN)) == 1
    assert "there is no agent on the board yet that can be loaded: `make flash` first" in capsys.readouterr().err
    assert chip.files(board.flash) == {}


def test_an_agent_in_no_slot_is_provisioned(
    make_board: MakeBoard, tree: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As one that is frozen into the image: `import` finds it, no slot is whole."""
    board = make_board({name.removeprefix("lib/"): data for name, data in tree.items() if name not in ("main.py", build.WHOLE)})
    board.wait_for(">>> ")
    config = unit.write(tmp_path / "unit")
    assert run(board, config, Typing(PASSWORD, TOKEN)) == 0, capsys.readouterr().err
    assert chip.files(board.flash)["config.json"] == config.read_bytes()


def test_a_dry_run_shows_no_secret_and_reaches_no_board(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = unit.write(tmp_path / "unit")
    (tmp_path / "unit/secrets.json").write_text(json.dumps({"gateway_token": TOKEN}))
    assert provision.main(["--config", str(config), "--port", "/dev/nowhere", "--dry-run"], Typing()) == 0
    said = capsys.readouterr().out
    assert "copy config.json to /dev/nowhere, if it differs" in said and "gateway_token" in said and TOKEN not in said


def test_the_wi_fi_is_asked_for_as_often_as_there_are_networks() -> None:
    person = Typing("home", "first-password", "guests", "", "")
    assert provision.ask_wifi(person, False) == [{"ssid": "home", "password": "first-password"}, {"ssid": "guests"}]
    assert provision.ask_wifi(Typing(""), True) is None


def test_a_unit_without_a_secret_has_the_file_all_the_same(
    flashed: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lwa = {"client_id": "amzn1.application-oa2-client.x"}
    config = unit.write(tmp_path / "unit", backend="drs", drs={}, lwa=lwa, mqtt=None)
    values = json.loads(config.read_text())
    del values["mqtt"], values["gateway"]
    config.write_text(json.dumps(values))
    assert run(flashed, config, Typing()) == 0
    assert on_board(flashed, "secrets.json") == {}
    # It has no network over which it could be linked, and nobody was asked for a Wi-Fi.
    assert "Not linked: qemu has no network" in capsys.readouterr().out
    assert provision.main(["--config", str(config), "--dry-run"], Typing()) == 0
    said = capsys.readouterr().out
    assert "make link" not in said and "wifi" not in said


def test_a_board_with_a_radio_is_linked_and_gets_its_wi_fi(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lwa = {"client_id": "amzn1.application-oa2-client.x"}
    config = unit.write(tmp_path / "unit", backend="drs", drs={}, lwa=lwa, mqtt=None, board={"name": "esp32_generic"})
    values = json.loads(config.read_text())
    del values["mqtt"], values["gateway"]
    config.write_text(json.dumps(values))
    assert provision.main(["--config", str(config), "--dry-run"], Typing()) == 0
    said = capsys.readouterr().out
    assert "make link PORT=PORT" in said and "secrets.json: wifi, mqtt_password" in said
