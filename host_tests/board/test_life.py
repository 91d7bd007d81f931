"""A board's life over real resets: what a crash leaves behind, safe mode, and the way out of it over the serial line."""

from __future__ import annotations

import json

from host_tests.board import chip
from host_tests.board.conftest import MakeBoard
from host_tests.board.line import appliance_files
from host_tests.board.mpremote import mpremote
from tools.emulator import Emulator

UNHEALTHY = 5  # firmware/loader.py: starts in a row that never became well
DEFECT = b"raise ValueError('Atzr|hunter2')\n"


def appliance(tree: dict[str, bytes]) -> dict[str, bytes]:
    """A board as `make flash` leaves it: main.py is the firmware's own, and there is no network."""
    return {**appliance_files(tree, ("Coffee",)), **{name: tree[name] for name in tree if "/" not in name}, **whole(tree)}


def whole(tree: dict[str, bytes]) -> dict[str, bytes]:
    return {name: tree[name] for name in tree if name.endswith("/whole")}


def with_defect(tree: dict[str, bytes]) -> dict[str, bytes]:
    """A version in which a module cannot be loaded: each start of the agent ends there."""
    files = appliance(tree)
    del files["lib/replenish/startup.mpy"]
    return {**files, "lib/replenish/startup.py": DEFECT}


def event(board: Emulator, kind: str, start: int) -> dict[str, str]:
    """The next event of this kind that the board prints."""
    board.wait_for(f"event={kind}", 60, start)
    board.wait_for("\n", 10, board.transcript.index(f"event={kind}".encode(), start))
    line = board.transcript[start:].decode(errors="replace").split(f"event={kind}", 1)[1].splitlines()[0]
    return dict(pair.split("=", 1) for pair in line.split() if "=" in pair)


def test_a_crash_is_shown_after_the_reset_without_what_it_says(make_board: MakeBoard, tree: dict[str, bytes]) -> None:
    board = make_board(with_defect(tree))
    board.wait_for("crash: ValueError", 60)
    start = len(board.transcript)
    assert event(board, "boot", start)["cause"] == "restart", "the board reset itself"
    crash = event(board, "crash", start)
    assert (crash["what"], crash["number"]) == ("ValueError", "1")
    board.kill()
    record = json.loads(chip.files(board.flash)["crash"])
    assert record["what"] == "ValueError" and record["where"][-1].startswith("startup.py:1")
    assert b"hunter2" not in board.transcript


def test_five_starts_that_never_were_well_end_in_safe_mode_and_the_line_leads_out(
    make_board: MakeBoard, tree: dict[str, bytes]
) -> None:
    board = make_board(appliance(tree))
    for _ in range(UNHEALTHY):
        start = len(board.transcript)
        assert event(board, "boot", start)["safe"] == "0"
        board.wait_for("event=start", 60, start)
        start = len(board.transcript)
        board.restart()
    assert event(board, "boot", start)["safe"] == "1"
    board.wait_for("event=safe", 60, start)
    assert b"event=start" not in board.transcript[start:], "there is no agent"
    start = len(board.transcript)
    mpremote(board, "exec", "--no-follow", "import loader, machine; loader.healthy(); machine.reset()")
    assert event(board, "boot", start)["safe"] == "0"
    board.wait_for("event=start", 60, start)
