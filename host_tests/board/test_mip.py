"""`mpremote mip install` of what `make build` made, on the emulated board: the agent as a library."""

from __future__ import annotations

from pathlib import Path

import pytest

from host_tests.board import chip
from host_tests.board.mpremote import mpremote
from tools import archive, boards, build
from tools.emulator import Emulator
from tools.target import Target


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small firmware, built."""
    for name, text in {"__init__": "from .core import slot", "version": 'VERSION = "1.2.3"', "core/slot": "LIMIT = 7"}.items():
        file = tmp_path / "firmware/replenish" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    build.build_tree(
        Target(boards.load("qemu")), tmp_path / "firmware", tmp_path / "tree", build.BUILD / "bin/mpy-cross", archive.umqtt_simple()
    )
    return tmp_path / "tree"


def test_mip_installs_the_library(board: Emulator, package: Path) -> None:
    mpremote(board, "mip", "install", "--target", "/lib", str(package / build.PACKAGE))
    assert chip.files(board.flash) == chip.tree(package)
    assert "lib/replenish/whole" in chip.files(board.flash)
    assert mpremote(board, "exec", "import replenish; print(replenish.slot)").startswith("<module 'replenish.core.slot'")
