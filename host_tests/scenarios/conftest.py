"""Fixtures of the scenarios."""

from __future__ import annotations

import pytest

from host_tests.scenarios.interpreters import NAMES, Interpreter
from tools import toolchain


@pytest.fixture(scope="session", params=NAMES)
def interpreter(request: pytest.FixtureRequest) -> Interpreter:
    """Each interpreter in turn. Only the 32-bit one may be missing, and not where CI runs everything."""
    return there(Interpreter(request.param))


@pytest.fixture(scope="session")
def board_like() -> Interpreter:
    """The interpreter that is most like a board, for scenarios in which the cloud is in question and not the device."""
    return there(Interpreter("micropython32"))


def there(found: Interpreter) -> Interpreter:
    """The interpreter if it can be run. Else the test is skipped, or failed."""
    if not found.is_there():
        if found.name == "micropython32" and not toolchain.must_have_32bit():
            pytest.skip(f"{found.path} is missing (make micropython32)")
        pytest.fail(f"{found.path} is missing (make unix micropython32)", pytrace=False)
    return found
