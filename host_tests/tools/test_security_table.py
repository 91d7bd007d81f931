"""SECURITY.md: every provision has its row, each row that says it is met has tests that exist, and what it says of the source is so."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "SECURITY.md"
FIRMWARE = sorted((ROOT / "firmware").rglob("*.py"))

# The standard's table B.1: M mandatory, R recommended, whatever the condition.
ETSI = """
5.0-1M 5.1-1M 5.1-2M 5.1-2AR 5.1-3M 5.1-4M 5.1-5M 5.2-1M 5.2-2R 5.2-3R 5.3-1R 5.3-2M 5.3-3M 5.3-4AR 5.3-4BR 5.3-5R 5.3-6AR 5.3-6BR
5.3-7M 5.3-8M 5.3-9R 5.3-10M 5.3-11R 5.3-12R 5.3-13M 5.3-14R 5.3-15AR 5.3-15BR 5.3-16M 5.4-1M 5.4-2M 5.4-3M 5.4-4M 5.5-1M 5.5-2R
5.5-3R 5.5-4R 5.5-5M 5.5-6R 5.5-7M 5.5-8M 5.6-1M 5.6-2M 5.6-3R 5.6-4AM 5.6-4BR 5.6-5R 5.6-6R 5.6-7R 5.6-8R 5.6-9R 5.7-1R 5.7-2R
5.8-1R 5.8-2M 5.8-3M 5.9-1R 5.9-2R 5.9-3R 5.10-1R 5.11-1M 5.11-2R 5.11-3R 5.11-4R 5.12-1R 5.12-2R 5.12-3R 5.13-1AM 5.13-1BM 6-1M
6-2M 6-3AM 6-3BM 6-4R 6-5M 6-6M 6-7R 6-8R
""".split()
OTHERS = {"NIST IR 8425": 10, "UK PSTI": 3, "OWASP IoT Top 10 (2018)": 10}
WITH_TESTS = ("met", "part")
STATUS = (*WITH_TESTS, "maker", "not met", "n/a")


class Row(NamedTuple):
    """One row of one of the tables; `evidence` as it stands there, without the backticks."""

    name: str
    status: str
    how: str
    evidence: list[str]


def rows(text: str) -> list[Row]:
    """The rows of the tables that have a column `status`."""
    found = []
    columns: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            columns = []
        elif "status" in cells:
            columns = cells
        elif columns and not set(cells[0]) <= set("-: "):
            row = dict(zip(columns, cells, strict=True))
            name = row[columns[0]] + row.get("", "")
            found.append(Row(name, row["status"], row["how"], re.findall(r"`([^`]+)`", row["evidence"])))
    return found


def section(title: str) -> str:
    return re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[[*titles()].index(title) + 1].partition("\n")[2]


def titles() -> list[str]:
    return re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE)


@cache
def functions(path: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))


def faults(row: Row) -> list[str]:
    """What is wrong with a row."""
    found = [] if row.status in STATUS else [f"{row.name}: status {row.status!r}"]
    if len(row.how) < 20:
        found.append(f"{row.name}: says nothing")
    if row.status in WITH_TESTS and not row.evidence:
        found.append(f"{row.name}: {row.status}, and no test shows it")
    for test in row.evidence:
        name, _, function = test.partition("::")
        path = ROOT / "host_tests" / name
        if not path.is_file() or (function and function not in functions(path)):
            found.append(f"{row.name}: no such test: {test}")
    return found


def test_every_provision_has_one_row() -> None:
    assert [row.name for row in rows(section("ETSI EN 303 645 V3.1.3 (2024-09)"))] == ETSI
    assert {title: len(rows(section(title))) for title in OTHERS} == OTHERS


def test_every_row_has_its_reason_and_tests_that_exist() -> None:
    every = rows(PAGE.read_text())
    assert len(every) == len(ETSI) + sum(OTHERS.values())
    assert [fault for row in every for fault in faults(row)] == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (Row("5.9-9", "met", "because it is so, believe it", []), "no test shows it"),
        (Row("5.9-9", "fine", "because it is so, believe it", []), "status"),
        (Row("5.9-9", "n/a", "no", []), "says nothing"),
        (Row("5.9-9", "met", "because it is so, believe it", ["test_nothing.py::test_a"]), "no such test"),
        (Row("5.9-9", "met", "because it is so, believe it", ["test_lock.py::test_a"]), "no such test"),
    ],
)
def test_a_row_without_evidence_is_found(row: Row, said: str) -> None:
    assert [said in fault for fault in faults(row)] == [True]


def test_the_policy_says_what_it_must() -> None:
    policy = section("Reporting a vulnerability")
    for word in ("in private", "that it arrived", "how it stands", "Support period"):
        assert word in policy


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]*)(#[^)]*)?\)", PAGE.read_text())
    assert links
    for path, anchor in links:
        text = (ROOT / path).read_text()
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        anchors = {"#" + re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, (path, anchor)


# What a program that waits for others would call.
_LISTENING = {"listen", "bind"}
_SERVERS = {"webrepl", "bluetooth", "aioble", "uftpd", "utelnetserver"}


def listening(source: str) -> set[str]:
    """What in a module opens a way in."""
    tree = ast.parse(source)
    called = {n.func.attr for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)}
    imported = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    imported |= {str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    return (called & _LISTENING) | (imported & _SERVERS)


def test_the_firmware_listens_nowhere() -> None:
    assert len(FIRMWARE) > 50
    assert {str(file): found for file in FIRMWARE if (found := listening(file.read_text()))} == {}
    assert listening("import webrepl\nsocket.socket().bind(a)") == {"webrepl", "bind"}


# Of Amazon's tokens and client secrets, of PEM, and of anything long and random.
_SECRET = re.compile(r"Atz[ar]\|\w|amzn1\.oa2-cs\.|-----BEGIN [A-Z ]*PRIVATE|[0-9a-fA-F]{40,}|[A-Za-z0-9+/]{60,}={0,2}")


def secrets(source: str) -> list[str]:
    """The texts of a module that look like one. A long text in which no character comes twice is an alphabet."""
    values = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    texts = [value for value in values if isinstance(value, (str, bytes)) and _SECRET.search(str(value))]
    return [str(text) for text in texts if len(text) < 60 or len(set(text)) < len(text)]


def test_no_secret_stands_in_the_firmware() -> None:
    assert {str(file): found for file in FIRMWARE if (found := secrets(file.read_text()))} == {}
    assert secrets("a = 'Atzr|x'") and secrets("b = b'" + "0f" * 20 + "'")
