"""`make bench PART=board`: the heap that the agent takes on a 32-bit microcontroller, and its way to the first event.

On the emulated board (host_tests/board/), with one, two and three slots that all order. Bytes are the board's, the same on each run but
for what garbage happens to lie about; times are this machine's, for QEMU computes as fast as it can, and judge nothing.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from host_tests import shim
from host_tests.bench.budgets import Budget
from host_tests.bench.tables import table
from tools import boards, build, emulator, target

_SLOTS = ("A", "B", "C")
_LIMIT_S = 60
_KEPT_BYTES = 44 * 1024  # by the loaded agent with three slots: of the 64 KiB that a whole wake has to do with, the rest is a call's


def measure() -> dict[str, Any]:
    shim.install()
    from host_tests.board import chip

    build.build(target.Target(boards.load("qemu")))
    tree = chip.tree(build.BUILD / "qemu")
    return {"rows": [_measured(tree, _SLOTS[: count + 1]) for count in range(len(_SLOTS))]}


def _measured(tree: dict[str, bytes], slots: tuple[str, ...]) -> dict[str, int]:
    """One appliance: from a cold start until all of its slots have ordered."""
    from host_tests.board import chip
    from host_tests.board.line import LOW, Line, appliance_files

    with tempfile.TemporaryDirectory() as folder:
        flash = Path(folder) / "flash.img"
        emulator.make_flash(flash, chip.image(appliance_files(tree, slots)))
        with emulator.Emulator(flash) as board, Line(board, slots) as line:
            line.levels = dict.fromkeys(slots, LOW)
            line.step_s = 60
            if not line.attend(_LIMIT_S, lambda: all("accepted" in line.states(slot) for slot in slots)):
                raise RuntimeError(board.transcript.decode(errors="replace"))
            line.attend(_LIMIT_S, lambda: line.asked[-1][0] == "idle")
            loaded = line.figures("loaded")
            peak = next(given[1] for given in reversed(line.asked) if given[0] == "idle")
            return {"slots": len(slots), "boot": line.figures("begin")["free"], "peak": peak, **loaded}


def tables(found: dict[str, Any]) -> Iterator[str]:
    rows = [(f"{row['slots']}", row["boot"], row["free"], row["peak"], row["begun_ms"], row["took_ms"]) for row in found["rows"]]
    head = ("slots", "free at boot", "free, loaded", "in use after an order, with garbage", "ms to main.py's agent", "ms to load it")
    yield table("Bytes of heap on the emulated board, of 112 KiB; times are this machine's", head, rows)


def judged(found: dict[str, Any]) -> list[Budget]:
    return [Budget("bytes of heap that the loaded agent keeps", max(row["boot"] - row["free"] for row in found["rows"]), _KEPT_BYTES)]
