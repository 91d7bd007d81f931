"""The table of rules in the README, and a watch over a run of all tests: each test that a rule stands on has to run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[3]
README = ROOT / "tools" / "cloud" / "buywithprime" / "README.md"
TESTS = "host_tests"

_ROW = re.compile(r"\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|")


class Row(NamedTuple):
    """`places` are FILE:NAME from the README's folder, `tests` FILE::FUNCTION from the root."""

    number: int
    rule: str
    places: list[str]
    tests: list[str]


def rows(text: str) -> list[Row]:
    """The rows of all tables that begin with a number."""
    return [
        Row(int(number), rule, re.findall(r"`([^`]+)`", places), [f"{TESTS}/{test}" for test in re.findall(r"`([^`]+)`", tests)])
        for number, rule, places, tests in _ROW.findall(text)
    ]


class Watch:
    """A pytest plugin: fails a run in which one of `tests` did not pass, though nothing failed."""

    def __init__(self, tests: Iterable[str]) -> None:
        self._named = frozenset(tests)
        self._passed: set[str] = set()
        self._skipped: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.partition("[")[0]
        if report.skipped:
            self._skipped.add(name)
        elif report.when == "call" and report.passed:
            self._passed.add(name)

    @property
    def lacking(self) -> list[str]:
        """Those that did not pass, or of which a case was skipped."""
        return sorted(self._named - (self._passed - self._skipped))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.lacking and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for name in self.lacking:
            terminalreporter.write_line(f"a rule of Buy with Prime stands on a test that did not run: {name}", red=True)


def watch(config: pytest.Config) -> None:
    """Watch over a run of everything; one that picks tests may leave any out. Of several processes the one that hears of all."""
    option = config.option
    # No rule stands on a long test.
    picked = option.keyword or option.markexpr not in ("", "not long") or option.collectonly
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not picked
    if whole and not hasattr(config, "workerinput"):
        tests = {test for row in rows(README.read_text()) for test in row.tests}
        config.pluginmanager.register(Watch(tests), "rules-of-buy-with-prime")
