"""The table of rules says the truth: its places are in the code, its tests exist, and a run of everything runs them."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest

from host_tests.cloud.buywithprime.table import README, ROOT, Row, Watch, rows, watch

ROWS = rows(README.read_text())


@functools.cache
def names(file: Path) -> set[str]:
    """What a module defines: NAME, and CLASS.NAME of what stands in a class."""
    return {name for node in ast.parse(file.read_text()).body for name in _defined(node)}


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef):
        return [node.name, *(f"{node.name}.{name}" for inner in node.body for name in _defined(inner))]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def collected(tests: set[str]) -> set[str]:
    """The functions that pytest collects of the files of these."""
    files = sorted({test.partition("::")[0] for test in tests})
    command = [sys.executable, "-m", "pytest", "--collect-only", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return {line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line}


def test_rules_are_numbered_through() -> None:
    assert [row.number for row in ROWS] == list(range(1, len(ROWS) + 1))
    assert len(ROWS) > 70
    assert len({row.rule for row in ROWS}) == len(ROWS)
    assert all(row.places and row.tests for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_rule_is_where_the_table_says(row: Row) -> None:
    for place in row.places:
        file, _, name = place.partition(":")
        assert name in names((README.parent / file).resolve()), place


def test_every_test_of_the_table_is_collected(request: pytest.FixtureRequest) -> None:
    here = {item.nodeid.partition("[")[0] for item in request.session.items}
    elsewhere = {test for row in ROWS for test in row.tests} - here
    assert elsewhere - (collected(elsewhere) if elsewhere else set()) == set()


def test_every_code_of_the_seeds_has_a_rule() -> None:
    """And every state, condition and event."""
    text = " ".join(row.rule for row in ROWS)
    words = """ShopperIdMismatch InvalidOrderExecutionState ExecutionAlreadyStarted ExecutionCannotBeStartedDueToCancellation
        SelectedQuantityNotAvailable ItemOutOfStock NOT_STARTED STARTED CREATED COMPLETED CANCELLED IN_TRANSIT FAILED SELLABLE DEFECTIVE
        DAMAGED FULFILLMENT_EXPIRED REFUND_REQUESTED RETURN_STARTED RETURN_PACKAGE_IN_TRANSIT RETURN_PACKAGE_DELIVERED
        RETURN_PACKAGE_DELIVERY_FAILED RETURN_ITEM_GRADED RETURN_COMPLETED"""
    assert [word for word in words.split() if f"`{word}`" not in text] == []


# ---- The watch over a run

GOOD, CASES, BAD = (f"host_tests/test_it.py::test_{name}" for name in ("good", "cases", "bad"))


def report(nodeid: str, outcome: Literal["passed", "failed", "skipped"], when: Literal["setup", "call"] = "call") -> pytest.TestReport:
    return pytest.TestReport(nodeid, ("", None, ""), {}, outcome, None, when)


@pytest.mark.parametrize(
    ("reports", "lacking"),
    [
        ([report(GOOD, "passed"), report(f"{CASES}[1]", "passed"), report(f"{CASES}[2]", "passed"), report(BAD, "passed")], []),
        ([report(GOOD, "passed"), report(f"{CASES}[1]", "passed"), report(f"{CASES}[2]", "skipped"), report(BAD, "passed")], [CASES]),
        ([report(GOOD, "passed"), report(f"{CASES}[a::b]", "skipped", "setup"), report(BAD, "failed")], [BAD, CASES]),
        ([report(GOOD, "passed", "setup"), report("host_tests/other.py::test_good", "passed")], [BAD, CASES, GOOD]),
        ([], [BAD, CASES, GOOD]),
    ],
)
def test_watch_knows_what_did_not_run(reports: list[pytest.TestReport], lacking: list[str]) -> None:
    watching = Watch([GOOD, CASES, BAD])
    for each in reports:
        watching.pytest_runtest_logreport(each)
    assert watching.lacking == lacking


_TESTS = """
import pytest
def test_good(): pass
@pytest.mark.parametrize("case", [1, 2])
def test_cases(case):
    if case == 2: pytest.skip("for want of something")
"""
_CONFTEST = """
from host_tests.cloud.buywithprime.table import Watch
def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Watch(["test_it.py::test_good", "test_it.py::test_cases"]))
"""


def test_run_by_another_process_fails_for_a_test_that_was_skipped(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(_TESTS)
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n1", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    told = [line for line in done.stdout.splitlines() if line.startswith("a rule of Buy with Prime stands on a test")]
    assert [line.rpartition("::")[2] for line in told] == ["test_cases"]
    assert "2 passed, 1 skipped" in done.stdout


@pytest.mark.parametrize(
    ("changed", "watched"),
    [
        ({}, True),
        ({"args_source": pytest.Config.ArgsSource.ARGS}, False),
        ({"keyword": "cancel"}, False),
        ({"markexpr": "not long"}, True),
        ({"markexpr": "long"}, False),
        ({"collectonly": True}, False),
        ({"workerinput": {}}, False),
    ],
)
def test_run_of_everything_is_watched_by_one_process_and_no_other_run(changed: dict[str, Any], watched: bool) -> None:
    given = {"keyword": "", "markexpr": "", "collectonly": False, "args_source": pytest.Config.ArgsSource.TESTPATHS, **changed}
    manager = pytest.PytestPluginManager()
    watch(cast(pytest.Config, SimpleNamespace(option=SimpleNamespace(**given), pluginmanager=manager, **given)))
    assert manager.has_plugin("rules-of-buy-with-prime") is watched


def test_this_very_run_is_watched_if_it_is_of_everything(pytestconfig: pytest.Config) -> None:
    """By the hook in host_tests/conftest.py."""
    of_everything = pytestconfig.args_source is pytest.Config.ArgsSource.TESTPATHS and not hasattr(pytestconfig, "workerinput")
    picked = pytestconfig.option.keyword or pytestconfig.option.markexpr != "not long" and pytestconfig.option.markexpr
    assert pytestconfig.pluginmanager.has_plugin("rules-of-buy-with-prime") is bool(of_everything and not picked)
