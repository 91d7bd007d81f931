"""tools/debian.py, interpreter32.py and qemu_firmware.py without the network: the machine's fitness, the recipes, a failing step."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tools import apt, debian, interpreter32, qemu_firmware


def test_missing_programs_are_named_with_the_packages_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(apt.Unavailable, match=r"^gcc, make, patch, apt-get, dpkg-source not found \(apt install .*gcc-multilib"):
        interpreter32.check_machine()


def test_a_compiler_without_32bit_support_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in debian.PROGRAMS:
        file = tmp_path / name
        file.write_text("#!/bin/sh\nexit 1\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(apt.Unavailable, match=r"^gcc makes no 32-bit programs here \(apt install"):
        interpreter32.check_machine()


def built(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `build` leaves it: both programs and the stamp."""
    monkeypatch.setattr(interpreter32, "RESULT", folder / "micropython32")
    interpreter32.RESULT.touch()
    interpreter32.faults_program().touch()
    interpreter32.RESULT.with_suffix(".recipe").write_text(interpreter32.recipe())


def test_what_was_built_is_current_until_a_program_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built(tmp_path, monkeypatch)
    assert interpreter32.is_current()
    interpreter32.faults_program().unlink()
    assert not interpreter32.is_current()


def test_a_changed_recipe_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built(tmp_path, monkeypatch)
    monkeypatch.setattr(interpreter32, "C_OPTIONS", (*interpreter32.C_OPTIONS, "-DMORE"))
    assert not interpreter32.is_current()


def test_a_change_in_the_module_that_makes_memory_fail_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built(tmp_path, monkeypatch)
    other = tmp_path / "faults.c"
    other.write_text(interpreter32.FAULTS_SOURCE.read_text() + "\n")
    monkeypatch.setattr(interpreter32, "FAULTS_SOURCE", other)
    assert not interpreter32.is_current()


def test_a_program_is_put_in_place_in_one_step_and_runs(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho new\n")
    program.chmod(0o755)
    place = tmp_path / "bin" / "micropython32"
    debian.install(program, place)
    assert subprocess.run([place], capture_output=True, text=True, check=True).stdout == "new\n"
    assert list(place.parent.iterdir()) == [place]


def test_another_upstream_version_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "micropython_1.25.0+ds-1.dsc").touch()
    (tmp_path / "mbedtls_4.0.0-1.dsc").touch()
    assert debian.version_note(tmp_path, "micropython") is None
    note = debian.version_note(tmp_path, "mbedtls")
    assert note == "note: Debian now has mbedtls 4.0.0-1; this recipe was written for 3.6."


def test_a_failing_step_shows_the_logs_end_and_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "ROOT", tmp_path)
    (tmp_path / "build" / "log").mkdir(parents=True)
    with pytest.raises(apt.BuildError) as caught:
        interpreter32.BUILD.run(["sh", "-c", "seq 1 100; echo the reason >&2; exit 3"], tmp_path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-2] == "the reason"
    log = tmp_path / "build" / "log" / "micropython32.log"
    assert lines[-1] == f"The 32-bit MicroPython could not be built: `sh` failed; the whole log is {log}."


def test_the_emulated_board_names_its_compiler_and_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in debian.PROGRAMS:
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(apt.Unavailable, match=r"^arm-none-eabi-gcc, qemu-system-arm not found \(apt install .*gcc-arm-none-eabi"):
        qemu_firmware.check_machine()


def test_a_changed_file_of_the_port_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_firmware, "RESULT", tmp_path / "firmware.elf")
    monkeypatch.setattr(qemu_firmware, "KEPT", tmp_path)
    qemu_firmware.RESULT.touch()
    debian.stamp(qemu_firmware.RESULT).write_text(qemu_firmware.recipe())
    assert qemu_firmware.is_current()
    port = tmp_path / "qemu"
    shutil.copytree(qemu_firmware.PORT_FILES, port)
    monkeypatch.setattr(qemu_firmware, "PORT_FILES", port)
    (port / "README.md").write_text("only words")
    assert qemu_firmware.is_current()
    monkeypatch.setattr(qemu_firmware, "KEPT", tmp_path / "not kept")
    assert not qemu_firmware.is_current()
    monkeypatch.setattr(qemu_firmware, "KEPT", tmp_path)
    (port / "flash.c").write_text("another chip")
    assert not qemu_firmware.is_current()
