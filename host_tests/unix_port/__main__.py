"""Run the dual tests on Unix MicroPython, from the PC side.

    python -m host_tests.unix_port [--interpreter build/bin/micropython32] [--heap 1m] [files ...]

Without --interpreter: the 64-bit and the 32-bit one. Each file runs in a fresh interpreter, as many at once as there are cores, with
`replenish` from the built .mpy files, so what is tested is what a board gets, and translated into the short names that these have
(`translate`).
A file that ran nothing, or did not end, is a failure; so is a missing interpreter where CI=true or REQUIRE_32=1 asks for both.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from host_tests.unix_port import translate
from tools import toolchain

ROOT = Path(__file__).resolve().parent.parent.parent
RUNNER = translate.place(Path(__file__).with_name("runner.py"))
LIB = ROOT / "build" / "unix" / "lib"
INTERPRETERS = (ROOT / "build" / "bin" / "micropython", ROOT / "build" / "bin" / "micropython32")
FILE_LIMIT_S = 300  # of a file that hangs: the longest takes a minute where nothing else runs
CLOSING_LINE = re.compile(r"^(\d+) passed, (\d+) failed$", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """What one file, or several added up, came to. `text` is for the person: what the failures printed."""

    passed: int
    failed: int
    text: str = ""


def module_name(file: Path) -> str:
    """The dotted name under which a test file of this repository is imported."""
    return ".".join(file.resolve().relative_to(ROOT).with_suffix("").parts)


def environment(scratch: str) -> dict[str, str]:
    path = ":".join([str(LIB), str(translate.tree()), str(LIB.parent), ".frozen"])  # the last but one: loader.mpy
    return {**os.environ, "MICROPYPATH": path, "HOST_TESTS_TMP": scratch}


def outcome(code: int, output: str) -> Outcome:
    """Read the runner's closing line. No such line (a crash), no test, or a bad status without one is a failure."""
    found = CLOSING_LINE.findall(output)
    passed, failed = map(int, found[-1]) if found else (0, 0)
    if failed or (code == 0 and passed):
        return Outcome(passed, failed, output if failed else "")
    why = f"exit status {code}" if code else "no test ran"
    return Outcome(passed, 1, f"{output}FAILED: {why}\n")


def run_file(interpreter: Path, file: Path, heap: str) -> Outcome:
    """Run one test file in a fresh interpreter with its own scratch folder."""
    command = [str(interpreter), "-X", f"heapsize={heap}", str(RUNNER), module_name(file)]
    with tempfile.TemporaryDirectory(prefix="unix_port_") as scratch:
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=environment(scratch),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=FILE_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            output = (error.stdout or b"").decode(errors="replace") if isinstance(error.stdout, bytes) else ""
            return Outcome(0, 1, f"{output}FAILED: no end within {FILE_LIMIT_S} s\n")
    return outcome(done.returncode, done.stdout)


def report(file: Path, result: Outcome, seconds: float) -> None:
    print(f"  {file.name:32} {result.passed:4} passed, {result.failed} failed  {seconds:5.1f} s", flush=True)
    if result.text:
        print(result.text, flush=True)


def timed(interpreter: Path, file: Path, heap: str) -> tuple[Outcome, float]:
    """What a file came to, and how long it took."""
    started = time.monotonic()
    return run_file(interpreter, file, heap), time.monotonic() - started


def report_interpreter(interpreter: Path, files: list[Path], results: Iterator[tuple[Outcome, float]]) -> Outcome:
    """Print a line for each file of one interpreter, in their order; returns the sum."""
    print(f"{interpreter.name}:", flush=True)
    passed = failed = 0
    for file, (result, seconds) in zip(files, results, strict=True):
        report(file, result, seconds)
        passed, failed = passed + result.passed, failed + result.failed
    print(f"{interpreter.name}: {passed} passed, {failed} failed", flush=True)
    return Outcome(passed, failed)


def run_all(interpreters: list[Path], files: list[Path], heap: str) -> list[Outcome]:
    """Run every file on every interpreter: a core that has no file left of one takes those of the next."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        running = [pool.map(partial(timed, interpreter, heap=heap), files) for interpreter in interpreters]
        return [report_interpreter(one, files, results) for one, results in zip(interpreters, running, strict=True)]


def present(wanted: list[Path], required: bool) -> tuple[list[Path], int]:
    """The interpreters that are there, and how many missing ones count as failures."""
    there = [interpreter for interpreter in wanted if os.access(interpreter, os.X_OK)]
    for interpreter in wanted:
        if interpreter not in there:
            print(f"{'missing' if required else 'skipped'}: {interpreter}", flush=True)
    return there, len(wanted) - len(there) if required else 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m host_tests.unix_port")
    parser.add_argument("--interpreter", action="append", type=Path, help="may be repeated; must be there")
    parser.add_argument("--heap", default="1m", help="the interpreter's heap (default 1m)")
    parser.add_argument("files", nargs="*", type=Path, help="default: every host_tests/test_*.py")
    options = parser.parse_args(argv)
    files = options.files or sorted((ROOT / "host_tests").glob("test_*.py"))
    wanted = options.interpreter or list(INTERPRETERS)
    there, failed = present(wanted, bool(options.interpreter) or toolchain.must_have_32bit())
    results = run_all([interpreter.absolute() for interpreter in there], files, options.heap)
    passed, failed = sum(result.passed for result in results), failed + sum(result.failed for result in results)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
