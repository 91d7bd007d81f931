"""Freeze the agent into a MicroPython image: `make frozen`.

    python -m tools.frozen --board NAME | --appliance APPLIANCE.toml | --config CONFIG.json

build/frozen/<board>/ holds what firmware/manifest.py freezes: what `make build` compiles, compiled with other source names. A file's
is the short one that its tracebacks show; a frozen module is imported by its own. The emulated board's image is made here, as
build/frozen/<board>.elf; an ESP32's needs ESP-IDF and MicroPython's source, and the commands are printed.

The module `replenish_frozen` tells `make flash` what a board's image holds.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from tools import apt, archive, build, fold, qemu_firmware, target
from tools.boards import Board

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "frozen"
MANIFEST = ROOT / "firmware" / "manifest.py"
_BOARD = "REPLENISH_BOARD"  # in the manifest's environment
MARK = "replenish_frozen"
_DIGEST = slice(9, 41)  # of `replenish/whole`: see firmware/loader.py


class FrozenError(Exception):
    """There is nothing to freeze for this board; the message is for a person."""


def digest(tree: Path) -> str:
    """What a built tree's version is known by: `whole`'s digest of its files."""
    return (tree / build.WHOLE).read_bytes()[_DIGEST].hex()


def write(made_for: target.Target, folder: Path) -> None:
    """What the manifest freezes. Raises what `build.build` does."""
    tree = build.build(made_for)
    shutil.rmtree(folder, ignore_errors=True)
    made = build.Tree(folder, ROOT / "build" / "bin" / "mpy-cross", made_for.board.mpy_arch)
    for item in build.plan_for(made_for, build.FIRMWARE, build.library(made_for.board)):
        if item.shown is not None:
            place = item.place.removeprefix("lib/")
            made.make(replace(item, place=place, shown=place.removesuffix(".mpy") + ".py"))
    (folder / f"{MARK}.py").write_text(f'DIGEST = "{digest(tree)}"\n')


def commands(board: Board) -> list[list[str]]:
    """How the image of an ESP32 is made in MicroPython's source. Raises FrozenError."""
    if board.image is None:
        raise FrozenError(f"{board.name}: there is no image to freeze the agent into.")
    name, _, variant = board.image.name.partition("-")
    kind = [f"BOARD={name}", *([f"BOARD_VARIANT={variant}"] if variant else [])]
    made = f"build-{board.image.name}/firmware.bin"
    version = board.image.version
    return [
        ["make", *kind, f"FROZEN_MANIFEST={MANIFEST}", f"{_BOARD}={board.name}"],
        ["cp", made, str(FOLDER / f"{board.image.name}-v{version}.bin")],
    ]


def make_images(made_for: target.Target, wanted: dict[Path, Path]) -> None:
    """The emulated board's images: {file: the manifest that says what is frozen into it}. Raises ERRORS."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would write the same folder
        write(made_for, FOLDER / made_for.board.name)
        for place, manifest in wanted.items():
            qemu_firmware.freeze(manifest, {_BOARD: made_for.board.name}, place)


def frozen(made_for: target.Target, chosen: str) -> None:
    """chosen: what `make` was told to freeze, such as "BOARD=esp32_generic". Raises ERRORS."""
    board = made_for.board
    if board.port == "qemu":
        place = FOLDER / f"{board.name}.elf"
        make_images(made_for, {place: MANIFEST})
        print(f"{os.path.relpath(place)}: the image, for `make emulator FIRMWARE=`")
        return
    todo = commands(board)
    write(made_for, FOLDER / board.name)
    print("In ports/esp32 of MicroPython's source, with ESP-IDF's environment:")
    for command in todo:
        print(f"    {shlex.join(command)}")
    # The same, for another appliance's version is another one, and its files would run instead.
    print(f"Then here: make flash {chosen} IMAGE={os.path.relpath(todo[1][2])}")


ERRORS = (target.TargetError, build.BuildError, fold.FoldError, archive.ArchiveError, apt.Unavailable, apt.BuildError, FrozenError)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.frozen", description="Freeze the agent into a MicroPython image.")
    target.add_options(parser)
    options = parser.parse_args(argv)
    try:
        frozen(target.read(options), target.chosen(options))
    except ERRORS as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nBroken off: the image is not made; run the same command again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
