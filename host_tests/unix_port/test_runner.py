"""The runner of the dual tests, broken in every way that must not look like success."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from host_tests.unix_port import __main__ as unix_port

INTERPRETER = unix_port.INTERPRETERS[0]


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> unix_port.Outcome:
    """Run one test file of the given content under the 64-bit interpreter."""
    (folder / "test_one.py").write_text(text)
    original = unix_port.environment

    def environment(scratch: str) -> dict[str, str]:
        paths = original(scratch)
        return {**paths, "MICROPYPATH": f"{folder}:{paths['MICROPYPATH']}"}

    monkeypatch.setattr(unix_port, "environment", environment)
    monkeypatch.setattr(unix_port, "module_name", lambda file: file.stem)
    return unix_port.run_file(INTERPRETER, folder / "test_one.py", "1m")


def test_passing_tests_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "helper = 7\ntest_data = 8\ndef test_a():\n    pass\ndef test_b():\n    pass\n"
    assert run(tmp_path, monkeypatch, text) == unix_port.Outcome(2, 0, "")


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("assert 1 == 2", "AssertionError"),
        ("import sys; sys.exit(0)", "SystemExit"),
        ("bytearray(10_000_000)", "MemoryError"),
    ],
)
def test_a_failing_test_is_named_with_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, shown: str
) -> None:
    result = run(tmp_path, monkeypatch, f"def test_bad():\n    {body}\ndef test_good():\n    pass\n")
    assert (result.passed, result.failed) == (1, 1)
    assert "FAILED test_one.test_bad\n" in result.text
    assert shown in result.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def helper():\n    pass\n", "FAILED: exit status 1"),
        ("import nothing_of_this_name\n", "FAILED test_one cannot be imported"),
        ("def test_a(:\n", "SyntaxError"),
        ("import os\nos.system('kill -9 $PPID')\ndef test_a():\n    pass\n", "FAILED: exit status -9"),
    ],
    ids=["no test", "failing import", "syntax error", "crash"],
)
def test_what_ran_nothing_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, why: str) -> None:
    result = run(tmp_path, monkeypatch, text)
    assert (result.passed, result.failed) == (0, 1)
    assert why in result.text


def test_a_test_without_end_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unix_port, "FILE_LIMIT_S", 0.3)
    result = run(tmp_path, monkeypatch, "def test_a():\n    while True:\n        pass\n")
    assert (result.passed, result.failed) == (0, 1)
    assert result.text.endswith("FAILED: no end within 0.3 s\n")


def test_the_scratch_folder_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"from host_tests.expect import tmp\ndef test_a():\n    open({str(tmp_path / 'where')!r}, 'w').write(tmp())\n"
    assert run(tmp_path, monkeypatch, text).passed == 1
    assert not os.path.exists((tmp_path / "where").read_text())


def test_a_named_interpreter_that_is_missing_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert unix_port.main(["--interpreter", "/nonexistent"]) == 1
    assert capsys.readouterr().out == "missing: /nonexistent\n0 passed, 1 failed\n"


def test_a_missing_one_is_skipped_only_where_that_is_allowed() -> None:
    missing = [Path("/nonexistent")]
    assert unix_port.present(missing, required=False) == ([], 0)
    assert unix_port.present(missing, required=True) == ([], 1)
