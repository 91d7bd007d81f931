"""What of the client does I/O, and what does not: imports point one way."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tools.cloud import buywithprime

FOLDER = Path(buywithprime.__file__).parent
OURS = "tools.cloud.buywithprime"
# Time is an argument, and so is chance; what is sent and what came back are values.
OUTSIDE = {"aiohttp", "asyncio", "logging", "os", "random", "socket", "ssl", "time"}
SHELL = {"__init__", "client", "schema", "token", "transport"}
CORE = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem not in SHELL)


def imported(module: str) -> set[str]:
    """Whole names of modules that a module imports; of ours, each by its own name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((FOLDER / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{OURS}.{alias.name}" for alias in node.names} if node.module == OURS else {node.module or ""}
    return found


@pytest.mark.parametrize("module", CORE)
def test_the_core_does_no_IO(module: str) -> None:
    names = imported(module)
    assert not {name.split(".")[0] for name in names} & OUTSIDE
    assert {name.removeprefix(f"{OURS}.") for name in names if name.startswith(OURS)} <= set(CORE)


@pytest.mark.parametrize("module", sorted((SHELL - {"schema"}) | set(CORE)))
def test_the_client_needs_no_GraphQL_library(module: str) -> None:
    libraries = {name.split(".")[0] for name in imported(module)} - sys.stdlib_module_names - {"tools"}
    assert libraries <= {"aiohttp", "pydantic"}


def test_there_is_a_core() -> None:
    assert {"documents", "errors", "models", "operations"} <= set(CORE)
    assert "aiohttp" in imported("transport") and "graphql" in imported("schema")
