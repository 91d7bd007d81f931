"""Provisioning looks at a chip's protections before a secret goes onto it. The eFuses are espefuse's virtual ones."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from tools import boards, provision, security
from tools.image import RUNNING, ImageError
from tools.target import Target


class Device:
    """A board that answers `security.STATEMENT`, and keeps what else it was given."""

    answer = "(True, False, True)"
    registers = "[]"
    image = "ESP32_GENERIC"
    ran: list[str] = []

    def __init__(self, port: str) -> None:
        self.port = port

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, statement: str) -> str:
        if statement == security.STATEMENT:
            return self.answer
        if "mem32" in statement:
            return self.registers
        self.ran.append(statement)
        return ""

    def evaluate(self, expression: str) -> tuple[str, str, str, str, int]:
        assert expression == RUNNING
        return "esp32", "1.28.0", self.image, "", 3 << 8 | 6


def check(monkeypatch: pytest.MonkeyPatch, require: list[str] | None, where: list[str], board: str = "esp32_generic") -> str:
    Device.ran = []
    monkeypatch.setattr(provision, "Device", Device)
    text = io.StringIO()
    config: dict[str, Any] = {"board": {"require": require}}
    made_for = Target(board=boards.load(board), config=config)
    provision.check_protections("/dev/none", made_for, Console(file=text, soft_wrap=True), where)
    return text.getvalue()


def test_what_is_there_and_what_is_not_is_told_and_webrepl_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    said = check(monkeypatch, None, ["--virt"])
    assert "Flash encryption is off" in said and "NVS is not enciphered" in said and "WebREPL" in said
    assert Device.ran == [security.REMOVE_WEBREPL]


def test_a_board_without_what_is_required_gets_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(provision.ProvisionError, match="board.require: secure_boot: Secure boot is off"):
        check(monkeypatch, ["secure_boot"], ["--virt"])


def test_fuses_that_cannot_be_read_protect_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "could not read the eFuses" in check(monkeypatch, None, ["--port", "/dev/none"])
    with pytest.raises(provision.ProvisionError, match="Nobody can tell"):
        check(monkeypatch, ["secure_boot"], ["--port", "/dev/none"])


def test_a_chip_without_download_mode_is_judged_by_what_its_program_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    places = security._places("esp32")
    burned = [1 << low if name == "UART_DOWNLOAD_DIS" else 0 for name, (_, low, _) in places.items()]
    monkeypatch.setattr(Device, "registers", repr(burned))
    said = check(monkeypatch, ["no_download"], ["--port", "/dev/none"])
    assert "its program has read what follows" in said and "yes  Download mode is off or secure" in said
    with pytest.raises(provision.ProvisionError, match="Secure boot is off"):
        check(monkeypatch, ["secure_boot"], ["--port", "/dev/none"])


def test_another_board_is_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Device, "image", "ESP32_GENERIC_C3")
    with pytest.raises(ImageError, match="The board runs the image ESP32_GENERIC_C3"):
        check(monkeypatch, None, ["--virt"])


def test_the_emulated_board_has_nothing_to_tell_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no protection of its flash" in check(monkeypatch, None, [], "qemu")
    with pytest.raises(provision.ProvisionError, match="no eFuses"):
        check(monkeypatch, ["secure_boot"], [], "qemu")
