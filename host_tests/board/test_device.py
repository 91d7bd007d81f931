"""tools/device.py where only a microcontroller can tell: a statement that runs is ended by Ctrl-C on the line."""

from __future__ import annotations

import pytest

from host_tests.board.conftest import MakeBoard
from tools.device import Device


def test_starts_that_a_tool_ends_are_no_boot_loop(make_board: MakeBoard, tree: dict[str, bytes]) -> None:
    board = make_board({name: data for name, data in tree.items() if name != "main.py"})
    board.wait_for(">>> ")
    for _ in range(6):
        with Device(board.port) as device:
            assert device.evaluate("(__import__('loader').slot(), __import__('loader').safe())") == ("a", False)
            device.reset()


def test_whoever_breaks_off_while_the_board_works_leaves_it_running(make_board: MakeBoard) -> None:
    board = make_board({"main.py": b"print('its own program')\nimport time\ntime.sleep(1000)\n"})
    board.wait_for("its own program")

    def press_ctrl_c(line: str) -> None:
        assert line == "at work"
        raise KeyboardInterrupt

    start = len(board.transcript)
    with pytest.raises(KeyboardInterrupt), Device(board.port) as device:
        device.run("print('at work')\nwhile True:\n pass", show=press_ctrl_c)
    board.wait_for("its own program", start=start)
