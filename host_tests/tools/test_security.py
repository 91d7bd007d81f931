"""What protects a board: the real espefuse on virtual eFuses of each family, and the statement that a board is asked with."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from host_tests.fakes.nvs import Board
from tools import security
from tools.security import Told

ROOT = Path(__file__).resolve().parents[2]

ESP32 = "FLASH_CRYPT_CNT 127 DISABLE_DL_ENCRYPT 1 DISABLE_DL_DECRYPT 1 DISABLE_DL_CACHE 1 ABS_DONE_1 1 JTAG_DISABLE 1"
LATER = "SPI_BOOT_CRYPT_CNT 7 DIS_DOWNLOAD_MANUAL_ENCRYPT 1 SECURE_BOOT_EN 1 DIS_PAD_JTAG 1 DIS_USB_JTAG 1 ENABLE_SECURITY_DOWNLOAD 1"
BURNED = {
    "esp32": ESP32 + " UART_DOWNLOAD_DIS 1",
    "esp32s3": LATER,
    "esp32c3": LATER,
    "esp32c6": LATER,
}


def there(findings: list[security.Finding]) -> dict[str, bool | None]:
    return {finding.name: finding.there for finding in findings}


@pytest.mark.parametrize("chip", ["esp32", "esp32c6"])
def test_a_chip_as_it_is_delivered(chip: str) -> None:
    found = security.judge(chip, security.read_fuses(chip, ["--virt"]), Told(True, False, False))
    assert there(found) == dict.fromkeys(security.PROTECTIONS, False)
    assert all(finding.remedy for finding in found)
    assert len(security.refused(found, security.PROTECTIONS)) == len(security.PROTECTIONS)


@pytest.mark.parametrize("chip", security.CHIPS)
def test_a_chip_that_is_locked(chip: str, tmp_path: Path) -> None:
    where = ["--virt", "--path-efuse-file", str(tmp_path / chip)]
    burn = [*security.ESPEFUSE, "--chip", chip, *where, "--do-not-confirm", "burn-efuse", *BURNED[chip].split()]
    subprocess.run(burn, capture_output=True, check=True)
    locked = security.judge(chip, security.read_fuses(chip, where), Told(False, True, False))
    assert there(locked) == dict.fromkeys(security.PROTECTIONS, True)
    assert security.refused(locked, security.PROTECTIONS) == []


class Registers:
    """machine.mem32 of a chip whose eFuses are in espefuse's file: one number, the last register first."""

    def __init__(self, chip: str, file: Path) -> None:
        self.start = import_module(f"espefuse.efuse.{chip}.mem_definition").EfuseDefineRegisters.DR_REG_EFUSE_BASE
        self.content = file.read_bytes()[::-1]

    def __getitem__(self, address: int) -> int:
        at = address - self.start
        return int.from_bytes(self.content[at : at + 4], "little")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what espefuse stands on
@pytest.mark.parametrize("chip", security.CHIPS)
def test_what_espefuse_cannot_reach_the_program_reads_itself(
    chip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without download mode, which espefuse needs. Its own file of a chip that is half locked says what is right."""
    file = tmp_path / chip
    where = ["--virt", "--path-efuse-file", str(file)]
    half = BURNED[chip].split()
    half = ["FLASH_CRYPT_CNT" if chip == "esp32" else "SPI_BOOT_CRYPT_CNT", "3", *half[4:]]
    burn = [*security.ESPEFUSE, "--chip", chip, *where, "--do-not-confirm", "burn-efuse", *half]
    subprocess.run(burn, capture_output=True, check=True)
    monkeypatch.setitem(sys.modules, "machine", SimpleNamespace(mem32=Registers(chip, file)))

    def run(statement: str) -> str:
        exec(statement, {})
        return capsys.readouterr().out

    own, right = security.own_fuses(chip, run), security.read_fuses(chip, where)
    assert own == {name: right[name] for name in own} and len(own) >= 6
    told = Told(False, True, False)
    judged = there(security.judge(chip, own, told))
    assert judged == there(security.judge(chip, right, told)) and judged["no_download"] and not judged["flash_encryption"]
    monkeypatch.setitem(sys.modules, "machine", SimpleNamespace())
    assert security.own_fuses(chip, run) == {}


@pytest.mark.parametrize(
    ("fuses", "there"),
    [
        ({"SPI_BOOT_CRYPT_CNT": 0}, False),
        ({"SPI_BOOT_CRYPT_CNT": 1}, False),  # development mode
        ({"SPI_BOOT_CRYPT_CNT": 3}, False),  # switched off again
        ({"SPI_BOOT_CRYPT_CNT": 7, "DIS_DOWNLOAD_MANUAL_ENCRYPT": 0}, False),
        ({"SPI_BOOT_CRYPT_CNT": 7, "DIS_DOWNLOAD_MANUAL_ENCRYPT": 1}, True),
        ({"SPI_BOOT_CRYPT_CNT": 7, "DIS_DOWNLOAD_MANUAL_ENCRYPT": 0, "DIS_DOWNLOAD_MODE": 1}, True),
        ({"SPI_BOOT_CRYPT_CNT": None}, None),
        ({}, None),
    ],
)
def test_flash_encryption_is_there_when_it_is_for_ever(fuses: dict[str, int | None], there: bool | None) -> None:
    finding = security.judge("esp32c3", fuses, None)[0]
    assert (finding.name, finding.there) == ("flash_encryption", there)


def test_what_nobody_can_tell_is_not_there() -> None:
    findings = security.judge("esp32", {}, None)
    assert set(there(findings).values()) == {None}
    assert len(security.refused(findings, ["secure_boot", "nvs_encryption"])) == 2
    assert all(line.startswith("?") for line in security.lines(findings))


def test_keys_that_the_image_does_not_use_are_told() -> None:
    finding = security.judge("esp32s3", {"KEY_PURPOSE_2": "HMAC_UP"}, Told(True, False, False))[2]
    assert finding.there is False and "does not use them" in finding.sentence


def test_what_is_no_summary_and_what_is_no_chip() -> None:
    for text in ("", "{}x", '{"A": 1}', '{"A": {"readable": true}}', "A serial port is needed"):
        if text == "{}x":
            assert security.parse(text) == {}
            continue
        with pytest.raises(security.SecurityError):
            security.parse(text)
    with pytest.raises(security.SecurityError, match="esp8266: its eFuses are not known"):
        security.judge("esp8266", {}, None)
    with pytest.raises(security.SecurityError, match="could not read the eFuses of the esp32"):
        security.read_fuses("esp32", ["--port", "/dev/none"])


def test_what_a_product_must_not_have(tmp_path: Path) -> None:
    for name in ("secrets.json", "key.pem"):
        (tmp_path / name).write_text("{}")
        (tmp_path / name).chmod(0o640)
    config = {"secrets": "secrets.json", "tls": {"key": "key.pem"}, "mqtt": {"tls": False}}
    faults = list(security.product_faults(config, tmp_path))
    assert [key for key, _, _ in faults] == ["secrets", "tls.key", "mqtt.tls"] and "-rw-r-----" in faults[0][1]
    for name in ("secrets.json", "key.pem"):
        (tmp_path / name).chmod(0o600)
    assert list(security.product_faults({**config, "mqtt": {}}, tmp_path)) == []
    assert list(security.product_faults({"secrets": "nvs", "tls": {"key": None}, "mqtt": None}, tmp_path)) == []


def said(capsys: pytest.CaptureFixture[str], board: Board) -> Told:
    board.install()

    def run(statement: str) -> str:
        exec(statement, {})
        return capsys.readouterr().out

    return security.ask(run)


def test_the_board_is_asked_whether_its_nvs_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    board = Board()
    assert said(capsys, board) == Told(plain_nvs=True, nvs_keys=False, webrepl=False)
    board.Partition.image = bytearray(byte ^ 0x5A for byte in board.Partition.image)  # enciphered
    assert not said(capsys, board).plain_nvs
    with pytest.raises(security.SecurityError, match="does not say"):
        security.ask(lambda statement: "Traceback")


def test_the_statement_is_in_the_devices_own_language() -> None:
    micropython = ROOT / "build" / "bin" / "micropython"
    text = "from host_tests.fakes.nvs import Board\nBoard().install()\n" + security.STATEMENT
    done = subprocess.run([micropython, "-c", text], capture_output=True, text=True, cwd=ROOT, check=False, timeout=20)
    assert (done.stdout, done.stderr) == ("(True, False, False)\n", "")
