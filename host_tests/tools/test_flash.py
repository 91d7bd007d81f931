"""tools/flash.py through its dry run, and the commands' options against the installed esptool and mpremote."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from host_tests.tools import appliances, images
from host_tests.tools.test_appliance import GOOD
from tools import boards, build, flash, target
from tools.device import NEW, DeviceError, GoneError
from tools.flash import Work, work

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = ROOT / "build" / "venv" / "bin"
ESPTOOL, MPREMOTE = str(BIN / "esptool"), str(BIN / "mpremote")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The board's tree, not built: a dry run shows its files all the same."""
    monkeypatch.setattr(build, "BUILD", tmp_path)
    monkeypatch.setattr(build, "places", lambda made_for: ["boot.py", "lib/replenish/app.mpy", "main.py"])
    return tmp_path / "esp32_generic"


def image(folder: Path, name: str = "ESP32_GENERIC-20260101-v1.27.0.bin") -> Path:
    return images.write(folder / name, boards.load("esp32_generic"))


def config(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: object) -> Path:
    """A configuration with its secrets and two certificates; its check has tests of its own."""
    monkeypatch.setattr(target, "load_config", lambda path: json.loads(path.read_text()))
    values = {"secrets": "secrets.json", "tls": {"ca": ["ca.der", "certs/amazon/root.der"]}, **changes}
    (folder / "certs/amazon").mkdir(parents=True)
    for name in ("secrets.json", "ca.der", "certs/amazon/root.der"):
        (folder / name).write_text("{}")
    file = folder / "my.json"
    file.write_text(json.dumps(values))
    return file


def dry_run(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[list[str]]:
    assert flash.main(["--board", "esp32_generic", "--port", "/dev/tty X", "--dry-run", *arguments]) == 0
    return [shlex.split(line) for line in capsys.readouterr().out.splitlines()]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert flash.main(["--dry-run", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_a_dry_run_names_every_file_and_the_mark_last(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = [MPREMOTE, "connect", "/dev/tty X"]
    assert dry_run(capsys) == [
        [*board, "fs", "mkdir", ":lib"],
        [*board, "fs", "mkdir", ":lib/replenish"],
        [*board, "fs", "cp", f"{tree}/boot.py", ":boot.py"],
        [*board, "fs", "cp", f"{tree}/lib/replenish/app.mpy", ":lib/replenish/app.mpy"],
        [*board, "fs", "cp", f"{tree}/main.py", ":main.py"],
        [*board, "fs", "cp", f"{tree}/lib/replenish/whole", ":lib/replenish/whole"],
        [*board, "reset"],
    ]


def test_only_what_differs_is_sent_and_what_an_earlier_copy_left_is_used() -> None:
    wanted = {"lib/replenish/same.mpy": "1", "lib/replenish/changed.mpy": "2", "lib/replenish/left.mpy": "3", "main.py": "4"}
    there = {"lib/replenish/same.mpy": "1", "lib/replenish/changed.mpy": "x", "lib/replenish/left.mpy" + NEW: "3"}
    there |= {"lib/replenish/old.mpy": "5", "lib/replenish/same.mpy" + NEW: "6", "lib/mine.mpy": "7", build.WHOLE: "8"}
    due = ("lib/replenish/changed.mpy", "lib/replenish/left.mpy", "main.py")
    stale = ("lib/replenish/old.mpy", "lib/replenish/same.mpy" + NEW)
    assert work(wanted, there) == Work(send=("lib/replenish/changed.mpy", "main.py"), rename=due, remove=stale)
    assert work(wanted, wanted | {build.WHOLE: "8"}) == Work((), (), ())


def test_the_device_s_own_certificate_and_key_go_along(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = {"ca": ["ca.der"], "certificate": "own.der", "key": "own.key"}
    file = config(tmp_path, monkeypatch, tls=tls)
    for name in ("own.der", "own.key"):
        (tmp_path / name).write_text("")
    copied = [command[-1] for command in dry_run(capsys, "--config", str(file)) if "cp" in command]
    assert {":own.der", ":own.key"} <= set(copied)


def test_more_connections_than_the_board_has_memory_for_are_refused(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = config(tmp_path, monkeypatch, tls={"ca": ["ca.der"], "sockets": 2})
    said = refused(capsys, "--board", "esp32_generic", "--config", str(file))
    assert said == f"{file}: tls.sockets: 2: allowed: 1, as esp32_generic has memory for no more.\n"


def test_of_an_appliance_the_configuration_goes_once_the_serial_is_known_and_never_the_secrets(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    appliances.put_files(tmp_path)
    file = tmp_path / "appliance.toml"
    file.write_text(GOOD)
    copied = []
    for more in ([], ["--serial", "SN0007"]):
        assert flash.main(["--appliance", str(file), "--port", "/dev/tty X", "--dry-run", *more]) == 0
        commands = [shlex.split(line, comments=True) for line in capsys.readouterr().out.splitlines()]
        copied.append({command[-1] for command in commands if "cp" in command})
    assert ":config.json" not in copied[0] and copied[1] - copied[0] == {":config.json", ":ca.der"}


def test_an_image_is_erased_and_written_first(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = image(tmp_path)
    esptool = [ESPTOOL, "--chip", "esp32", "--port", "/dev/tty X", "--baud", "460800"]
    commands = dry_run(capsys, "--image", str(file))
    assert commands[0] == [*esptool, "write-flash", "--erase-all", "0x1000", str(file)]
    assert commands[1:] == dry_run(capsys)


def test_a_configuration_goes_with_its_secrets_and_certificates(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = config(tmp_path, monkeypatch)
    copied = {command[-1]: command[-2] for command in dry_run(capsys, "--config", str(file)) if "cp" in command}
    assert copied[":secrets.json"] == f"{tmp_path}/secrets.json" and copied[":config.json"] == str(file)
    assert {":ca.der", ":certs/amazon/root.der"} <= set(copied)
    folders = [command[-1] for command in dry_run(capsys, "--config", str(file)) if "mkdir" in command]
    assert folders == [":certs", ":certs/amazon", ":lib", ":lib/replenish"]


@pytest.mark.parametrize("name", ["../secrets.json", "/etc/secrets.json"])
def test_a_file_outside_the_configurations_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = config(tmp_path, monkeypatch, secrets=name)
    said = refused(capsys, "--board", "esp32_generic", "--config", str(file))
    assert said == f"{file}: {name}: only a path below the configuration's folder is allowed on a board.\n"


def test_a_missing_secrets_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = config(tmp_path, monkeypatch, secrets="other.json")
    said = refused(capsys, "--board", "esp32_generic", "--config", str(file))
    assert said == f"{file}: other.json: there is no such file.\n"


def test_an_image_for_another_board_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = image(tmp_path, "ESP32_GENERIC_C3-20260101-v1.27.0.bin")
    said = refused(capsys, "--board", "esp32_generic", "--image", str(file))
    assert said.startswith(f"IMAGE={file}: for esp32_generic a file named ESP32_GENERIC-[0-9v]*.bin is allowed; get ")


def test_an_image_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "--board", "esp32_generic", "--image", "/nonexistent.bin")
    assert said.startswith("IMAGE=/nonexistent.bin: No such file or directory; get ")


def test_the_pc_is_no_board_to_flash(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "--board", "unix")
    assert said == "unix is no board to flash: `make unix` builds the agent for this PC.\n"


class Coming:
    """A board that goes when it is first opened, and so often more as `goes` says."""

    goes = 1

    def __init__(self, port: str) -> None:
        Coming.goes -= 1
        if Coming.goes >= 0:
            raise GoneError("gone")

    def __enter__(self) -> Coming:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_a_board_that_starts_anew_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = tmp_path / "port"
    monkeypatch.setattr(flash, "Device", Coming)
    monkeypatch.setattr("time.sleep", lambda seconds: port.touch())
    with flash.opened(str(port), 10) as device:
        assert isinstance(device, Coming) and port.exists()
    Coming.goes = 1
    with pytest.raises(DeviceError, match="gone"), flash.opened(str(port), 0):
        pass


def help_of(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env={"COLUMNS": "200", "PATH": "/usr/bin:/bin"}, check=False)
    return done.stdout + done.stderr


def test_the_installed_esptool_knows_the_options(tmp_path: Path) -> None:
    command = flash.image_command(boards.load("esp32_generic"), "port", image(tmp_path))
    at = command.index("write-flash")
    top, own = help_of(ESPTOOL, "--help"), help_of(ESPTOOL, "write-flash", "--help")
    assert all(option in top for option in command[1:at] if option.startswith("--")) and "write-flash" in top
    assert command[at + 1] in own and "<address> <filename>" in own


def test_the_installed_mpremote_knows_the_commands(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    used = {command[3] for command in dry_run(capsys)}
    assert used == {"fs", "reset"}
    for name in ("connect", "fs"):
        assert help_of(MPREMOTE, name, "--help").startswith(f"usage: {name} ")
    assert "  reset " in help_of(MPREMOTE, "help")  # a shortcut of mpremote's own, without a --help
