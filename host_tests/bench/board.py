"""`make bench PART=board`: the heap that the agent takes on a 32-bit microcontroller, and its way to the first event.

On the emulated board (host_tests/board/), with one, two and three slots that all order, from files and frozen into the image.
Bytes are the board's, the same on each run but for what garbage happens to lie about; times are this machine's, for QEMU computes as
fast as it can, and judge nothing.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from host_tests import shim
from host_tests.bench.budgets import Budget
from host_tests.bench.tables import table
from tools import boards, build, emulator, frozen, target

_SLOTS = ("A", "B", "C")
_LIMIT_S = 60
_KEPT_BYTES = 44 * 1024  # by the loaded agent with three slots: of the 64 KiB that a whole wake has to do with, the rest is a call's
_KEPT_FROZEN_BYTES = 18 * 1024  # ... by the one in the image, whose bytecode stays in flash


def measure() -> dict[str, Any]:
    shim.install()
    from host_tests.board import chip

    qemu = target.Target(boards.load("qemu"))
    build.build(qemu)
    tree = chip.tree(build.BUILD / "qemu")
    with tempfile.TemporaryDirectory() as folder:
        image, manifest = Path(folder) / "frozen.elf", Path(folder) / "manifest.py"
        manifest.write_text(f"include({str(frozen.MANIFEST)!r}, program=False)\n")
        frozen.make_images(qemu, {image: manifest})
        rows = [_measured(tree, _SLOTS[: count + 1], made) for made in (None, image) for count in range(len(_SLOTS))]
    return {"rows": rows}


def _measured(tree: dict[str, bytes], slots: tuple[str, ...], image: Path | None) -> dict[str, Any]:
    """One appliance: from a cold start until all of its slots have ordered. image: with the agent inside, None: from files."""
    from host_tests.board import chip
    from host_tests.board.line import LOW, Line, appliance_files

    files = {name: data for name, data in appliance_files(tree, slots).items() if not image or not name.startswith("lib/")}
    with tempfile.TemporaryDirectory() as folder:
        flash = Path(folder) / "flash.img"
        emulator.make_flash(flash, chip.image(files))
        with emulator.Emulator(flash, image or emulator.FIRMWARE) as board, Line(board, slots) as line:
            line.levels = dict.fromkeys(slots, LOW)
            line.step_s = 60
            if not line.attend(_LIMIT_S, lambda: all("accepted" in line.states(slot) for slot in slots)):
                raise RuntimeError(board.transcript.decode(errors="replace"))
            line.attend(_LIMIT_S, lambda: line.asked[-1][0] == "idle")
            loaded = line.figures("loaded")
            peak = next(given[1] for given in reversed(line.asked) if given[0] == "idle")
            kind = "frozen" if image else "files"
            return {"from": kind, "slots": len(slots), "boot": line.figures("begin")["free"], "peak": peak, **loaded}


def tables(found: dict[str, Any]) -> Iterator[str]:
    columns = ("from", "slots", "boot", "free", "peak", "begun_ms", "took_ms")
    rows = [tuple(row[name] for name in columns) for row in found["rows"]]
    in_use = "in use after an order, with garbage"
    head = ("from", "slots", "free at boot", "free, loaded", in_use, "ms to main.py's agent", "ms to load it")
    yield table("Bytes of heap on the emulated board, of 112 KiB; times are this machine's", head, rows)


def judged(found: dict[str, Any]) -> list[Budget]:
    kept = {kind: max(row["boot"] - row["free"] for row in found["rows"] if row["from"] == kind) for kind in ("files", "frozen")}
    return [
        Budget("bytes of heap that the loaded agent keeps", kept["files"], _KEPT_BYTES),
        Budget("... that the one in the image keeps", kept["frozen"], _KEPT_FROZEN_BYTES),
    ]
