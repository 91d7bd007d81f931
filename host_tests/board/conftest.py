"""Boards for tests: see README.md here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from host_tests.board import chip
from tools import boards, build, emulator, qemu_firmware, toolchain

MakeBoard = Callable[..., emulator.Emulator]


@pytest.fixture(scope="session")
def firmware() -> Path:
    """The emulated board's MicroPython. Only where it cannot be built may it be missing, and not where CI runs everything."""
    if not qemu_firmware.RESULT.exists():
        if not toolchain.must_have_all():
            pytest.skip(f"{qemu_firmware.RESULT} is missing (make qemu)")
        pytest.fail(f"{qemu_firmware.RESULT} is missing (make qemu)", pytrace=False)
    return qemu_firmware.RESULT


@pytest.fixture(scope="session")
def tree() -> dict[str, bytes]:
    """What `make build BOARD=qemu` makes: {name on the board: content}."""
    assert build.main(["--board", "qemu"]) == 0
    return chip.tree(build.BUILD / boards.load("qemu").name)


@pytest.fixture
def make_board(firmware: Path, tmp_path: Path) -> Iterator[MakeBoard]:
    """`make_board(files=None, image=firmware)`: a running board, several in one test if need be; with files its flash holds them,
    else it is blank."""
    with ExitStack() as stack:

        def make(files: dict[str, bytes] | None = None, image: Path = firmware) -> emulator.Emulator:
            flash = tmp_path / f"flash-{len(list(tmp_path.glob('flash-*')))}.img"
            emulator.make_flash(flash, chip.image(files) if files else b"")
            return stack.enter_context(emulator.Emulator(flash, image))

        yield make


@pytest.fixture
def board(make_board: MakeBoard) -> emulator.Emulator:
    """A board with a blank flash, at its REPL."""
    made = make_board()
    made.wait_for(">>> ")
    return made


@pytest.fixture
def flashed(make_board: MakeBoard, tree: dict[str, bytes]) -> emulator.Emulator:
    """A board on which the built tree is, but main.py and a configuration: at its REPL, `import replenish` works."""
    made = make_board({name: data for name, data in tree.items() if name != "main.py"})
    made.wait_for(">>> ")
    return made
