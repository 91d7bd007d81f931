"""The agent on the emulated board, from the .mpy files that every board gets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from host_tests.board import chip
from host_tests.board.conftest import MakeBoard
from host_tests.board.line import CAPACITY, LOW, Line, appliance_files
from host_tests.board.mpremote import mpremote

SLOTS = ("A", "B")  # which the fakes' service knows
LIMIT_S = 30


@pytest.fixture
def line(make_board: MakeBoard, tree: dict[str, bytes]) -> Iterator[Line]:
    with Line(make_board(appliance_files(tree, SLOTS)), SLOTS) as made:
        assert made.attend(LIMIT_S, lambda: made.said("start"))
        yield made


def test_it_boots_without_a_network_and_says_so_once(line: Line) -> None:
    assert line.attend(LIMIT_S, lambda: len(line.said("stop")) > 1)
    assert [event["reason"] for event in line.said("offline")] == ["no network"]
    assert line.said("start")[0]["slots"] == "2"
    assert line.service.calls == []


def test_a_low_slot_is_ordered_once_and_followed_until_it_is_refilled(line: Line) -> None:
    line.levels["A"] = LOW
    line.step_s = 60
    assert line.attend(LIMIT_S, lambda: "accepted" in line.states("A"))
    line.service.end("A", "Closed")
    assert line.attend(LIMIT_S, lambda: "awaiting_refill" in line.states("A"))
    line.levels["A"] = CAPACITY
    assert line.attend(LIMIT_S, lambda: line.states("A")[-1] == "idle")
    assert [order.slot for order in line.service.orders] == ["A"]
    assert line.service.count("replenish") == 1


def test_the_ledger_outlives_a_power_cut(line: Line) -> None:
    line.levels["B"] = LOW
    line.step_s = 60
    assert line.attend(LIMIT_S, lambda: "accepted" in line.states("B"))
    line.cut_power()
    assert any(name.startswith("state/o-") for name in chip.files(line.board.flash))
    line.start()
    assert line.attend(LIMIT_S, lambda: line.states("B") == ["accepted"])
    assert line.service.count("replenish") == 1


def test_without_the_line_as_its_network_it_keeps_levels_and_calls_nobody(tree: dict[str, bytes], make_board: MakeBoard) -> None:
    files = appliance_files(tree, SLOTS)
    program = b"from replenish import Agent\nagent = Agent.load('config.json')\nagent.once()\nprint('over')\n"
    board = make_board({**files, "main.py": program, "A.level": b"1"})
    assert "over" in board.wait_for(">>> ")
    # At first its clock says 2000, so it would call nobody anyway.
    told = mpremote(board, "resume", "rtc", "--set", "exec", "agent.once(); print('over', agent.slot('A').level())")
    assert "over 1" in told and "event=call" not in told
