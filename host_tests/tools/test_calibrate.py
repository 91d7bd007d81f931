"""`make calibrate`: the whole walk as a process at the real agent, and what it refuses at a device that says what a test wants."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from host_tests.tools import unix_ports
from tools import calibrate
from tools.calibrate import CalibrationError, Part, Sensors, Terminal
from tools.unix_agent import UsageError

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60

# The real agent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration with two slots whose sensors are calibrated, one of them with two parts."""
    (tmp_path / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    (tmp_path / "secrets.json").write_text("{}")
    raw = {"driver": "raw_file", "path": "raw.txt"}
    slots = [
        {"id": "Coffee", "unit": "g", "capacity": 1000, "reorder_at": 200, "sensor": raw},
        {"id": "Tea", "capacity": 12, "reorder_at": 3, "sensor": {"driver": "composite", "mode": "smallest", "sensors": [raw, raw]}},
        {"id": "Milk", "capacity": 12, "reorder_at": 3, "sensor": {"driver": "file", "path": "raw.txt"}},
    ]
    config = {
        "device": {"model": "acme-brewer-1", "serial": "SN0001"},
        "backend": "drs",
        "drs": {"endpoint": "https://localhost:9"},
        "lwa": {"token_url": "https://localhost:9/auth/o2/token", "client_id": "c"},
        "tls": {"ca": ["ca.pem"]},
        "state": "state",
        "secrets": "secrets.json",
        "slots": slots,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "raw.txt").write_text("1000")
    return tmp_path


class Walk:
    """The program in a process, with a person who types."""

    def __init__(self, folder: Path, *options: str, interpreter: str = "micropython") -> None:
        self.text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.calibrate", "--config", str(folder / "config.json"), *options],
            cwd=ROOT,
            env={**os.environ, "MICROPYTHON": unix_ports.program(interpreter)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def wait_for(self, words: str) -> None:
        assert self.process.stdout
        end = time.monotonic() + LIMIT_S
        while words not in self.text:
            data = os.read(self.process.stdout.fileno(), 4096)
            assert data and time.monotonic() < end, f"no {words!r} in:\n{self.text}"
            self.text += data.decode()

    def type(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def end(self) -> int:
        out, _ = self.process.communicate(timeout=LIMIT_S)
        self.text += out.decode()
        return self.process.returncode


@contextmanager
def walk(folder: Path, *options: str, interpreter: str = "micropython") -> Iterator[Walk]:
    one = Walk(folder, *options, interpreter=interpreter)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.communicate()


@pytest.mark.parametrize("interpreter", unix_ports.NAMES)
def test_a_person_is_walked_through_and_the_agent_knows_it_from_then_on(folder: Path, interpreter: str) -> None:
    with walk(folder, "--slot", "Coffee", interpreter=interpreter) as one:
        one.wait_for("Press Enter")
        assert "Coffee: not calibrated" in one.text
        one.type("")
        one.wait_for("To how many g?")
        (folder / "raw.txt").write_text("-4000")
        one.type("500")
        one.wait_for("Press Enter when it is filled")
        one.type("")
        assert one.end() == 0, one.text
        assert "other way round" in one.text and "Now it reads 500 g" in one.text
    (folder / "raw.txt").write_text("-6500")
    environment = {**os.environ, "MICROPYTHON": unix_ports.program(interpreter)}
    agent = [str(ROOT / "build/unix/agent"), str(folder / "config.json"), "--once"]
    said = subprocess.run(agent, env=environment, capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
    assert "level=750 " in said.replace("level=750.0 ", "level=750 ")
    with walk(folder, "--show", interpreter=interpreter) as one:
        assert one.end() == 0
        assert f"Coffee: calibrated on {time.strftime('%Y-%m-%d', time.gmtime())}: 1000 is 0, -4000 is 500" in one.text
        assert "Tea, part 1: not calibrated" in one.text and "Milk" not in one.text


def test_full_like_empty_keeps_nothing(folder: Path) -> None:
    with walk(folder, "--slot", "Tea", "--part", "1") as one:
        for answer in ("", "", ""):
            one.type(answer)
        assert one.end() == 1
        assert "both read 1000" in one.text
    with walk(folder, "--show") as one:
        assert one.end() == 0 and one.text.count("not calibrated") == 3


def test_a_slot_has_to_be_named_where_there_are_several(folder: Path) -> None:
    with walk(folder) as one:
        assert one.end() == 2
        assert all(f"SLOT={slot!r} PART={number}" in one.text for slot, number in (("Coffee", 0), ("Tea", 0), ("Tea", 1)))


def test_nobody_at_the_terminal_keeps_nothing(folder: Path) -> None:
    with walk(folder, "--slot", "Coffee") as one:
        one.type("")
        assert one.end() == 1
        assert "Nobody is there" in one.text


def test_a_sensor_that_fails_is_told_with_what_to_do(folder: Path) -> None:
    (folder / "raw.txt").unlink()
    with walk(folder, "--slot", "Coffee") as one:
        one.type("")
        assert one.end() == 1
        assert "OSError" in one.text and "look at the wires" in one.text


def test_a_configuration_or_a_port_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate.main([]) == 2 and "PORT=" in capsys.readouterr().err


# What makes no calibration


class Told(Sensors):
    """A device whose numbers a test gives."""

    def __init__(self, answer: Callable[[], int | str]) -> None:
        self.slots = {"A": (10.0, "g")}
        self._answer = answer

    def raw(self, part: Part) -> int | str:
        return self._answer()


PART = Part("A", 0, "counts", None, 0)


def test_a_point_is_the_mean_of_readings_and_some_faults_are_put_up_with() -> None:
    numbers: list[int | str] = ["OSError 5", 10, 20, "ValueError", 10, 20, 10, 20, "OSError 5", 10, 20]
    mean, noise = calibrate.measure(Told(lambda: numbers.pop(0)), PART)
    assert mean == 15 and 5 < noise < 6 and not numbers


def test_more_faults_are_too_many() -> None:
    numbers: list[int | str] = ["SensorFault stuck"] * 4
    with pytest.raises(CalibrationError, match="always reads the same"):
        calibrate.measure(Told(lambda: numbers.pop(0)), PART)
    assert not numbers


@pytest.mark.parametrize(("full", "noise"), [(1000, 19.9), (-1000, 19.9), (50, 0.9)])
def test_a_span_well_above_the_noise_is_taken(full: int, noise: float) -> None:
    said = calibrate.judged((0, noise), (full, 0.0))
    assert ("other way round" in said) == (full < 0)


@pytest.mark.parametrize(("empty", "full"), [((5, 0.0), (5, 0.0)), ((0, 20.1), (1000, 0.0)), ((0, 0.0), (-1000, 20.1))])
def test_no_span_and_too_much_noise_are_refused(empty: tuple[int, float], full: tuple[int, float]) -> None:
    with pytest.raises(CalibrationError):
        calibrate.judged(empty, full)


@pytest.mark.parametrize(("answer", "level"), [("", 10), ("7", 7), ("2,5", 2.5), ("12", 12)])
def test_the_level_that_was_typed(answer: str, level: float) -> None:
    assert calibrate.level_of(answer, 10) == level


@pytest.mark.parametrize("answer", ["0", "-1", "12.1", "ten", "nan", "inf", "1e9"])
def test_no_level(answer: str) -> None:
    with pytest.raises(CalibrationError, match="is allowed"):
        calibrate.level_of(answer, 10)


def test_the_only_part_needs_no_name() -> None:
    assert calibrate.chosen([PART], None, None) is PART
    for parts in ([], [PART, PART]):
        with pytest.raises(UsageError):
            calibrate.chosen(parts, None, None)
    with pytest.raises(UsageError, match="SLOT='A'"):
        calibrate.chosen([PART], "B", None)


def test_what_is_kept_is_told_with_its_date() -> None:
    told: Any = Part("A", 0, "counts", (1, 0, 900, 10.0), 1795219200).told()
    assert told == "A: calibrated on 2026-11-21: 1 is 0, 900 is 10 (counts)."
    assert "by the configuration" in Part("A", 0, "mm", (200, 0, 50, 10), 0).told()


def test_what_is_typed_comes_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    before = os.dup(0)
    try:
        os.dup2(reading, 0)
        os.write(writing, b"one\ntwo\nthr")
        terminal = Terminal()
        assert (terminal.ask("?"), terminal.ask("?")) == ("one", "two")
        os.write(writing, b"ee\n")
        assert terminal.ask("?") == "three"
    finally:
        os.dup2(before, 0)
        for descriptor in (reading, writing, before):
            os.close(descriptor)


def test_ctrl_c_is_one_sentence(folder: Path) -> None:
    with walk(folder, "--slot", "Coffee") as one:
        one.wait_for("Press Enter")
        one.process.send_signal(signal.SIGINT)
        assert one.end() == 130
        assert one.text.endswith("\nBroken off: the calibration that was kept last counts, and ARGS=--show tells it.\n")
        assert "Traceback" not in one.text
