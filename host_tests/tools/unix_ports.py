"""The Unix ports of MicroPython that tests of the tools start."""

from __future__ import annotations

import pytest

from tools import toolchain

NAMES = ("micropython", "micropython32")


def program(name: str) -> str:
    """The path of one of NAMES. Skips the test when the 32-bit one could not be built and need not be."""
    path = toolchain.ROOT / "build" / "bin" / name
    if name == "micropython32" and not path.exists() and not toolchain.must_have_32bit():
        pytest.skip(f"{path} is missing (make micropython32)")
    return str(path)
