"""Put MicroPython, the agent and its configuration onto a board.

    python -m tools.flash --board NAME [--port PORT] [--image FILE.bin] [--config CONFIG.json] [--dry-run]

--image erases the whole flash, state included, and writes the named MicroPython image. The files of build/<board>/ are then copied,
only those that the board has not: each one beside the one that it replaces, verified by its hash on the board. Until all are there
the old version stays what runs; then they are renamed, within a second or two, and the mark that the loader looks for is written
last. A copy that was cut is finished by the next one. --config copies the configuration as config.json, with the secrets and
certificates it names. --dry-run prints commands that come to the same and runs none.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from tools import archive, build, fold, image, slot, target
from tools.boards import Board
from tools.device import Device, DeviceError, find_port
from tools.target import Target, TargetError

ROOT = Path(__file__).resolve().parent.parent
VENV_BIN = ROOT / "build" / "venv" / "bin"
# 460,800 is the rate of MicroPython's own instructions; every common USB bridge does it.
BAUD = "460800"
# A board that was just given its image makes its file system at its first start.
FIRST_START_S = 30
NEW = ".new"  # what a file is called until all of them are there
OTHER_SLOT = f"slot_b/{slot.NAME}"  # of firmware/loader.py, which starts /lib when only that is whole
_RENAMED_AT_ONCE = 40  # files of one statement


class FlashError(Exception):
    """Nothing was written, or it is to be done again; the message is one sentence a line."""


def image_commands(board: Board, port: str, file: Path) -> list[list[str]]:
    """Erase the flash and write the image. Raises ImageError when the file is not for this board."""
    image.check_file(board, file)
    assert board.image and board.chip  # noqa: S101 (check_file saw to it)
    esptool = [str(VENV_BIN / "esptool"), "--chip", board.chip, "--port", port, "--baud", BAUD]
    return [[*esptool, "erase-flash"], [*esptool, "write-flash", hex(board.image.offset), str(file)]]


def named_files(config: Path) -> list[str]:
    """The files that a configuration names: its secrets and certificates, relative to it. Raises FlashError."""
    values = json.loads(config.read_text())
    tls = values["tls"]
    names = [*([] if values["secrets"] == "nvs" else [values["secrets"]]), *tls["ca"]]
    names += [tls[key] for key in ("certificate", "key") if tls.get(key)]
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise FlashError(f"{config}: {name}: only a path below the configuration's folder is allowed on a board.")
        if not (config.parent / name).is_file():
            raise FlashError(f"{config}: {name}: there is no such file.")
    return names


def check_sockets(board: Board, config: Path) -> None:
    """Raises FlashError when the configuration wants more connections at a time than the board has memory for."""
    wanted = json.loads(config.read_text())["tls"].get("sockets", 1)
    if wanted > board.tls_sockets:
        raise FlashError(f"{config}: tls.sockets: {wanted}: allowed: {board.tls_sockets}, as {board.name} has memory for no more.")


def firmware_files(tree: Path) -> dict[str, Path]:
    """{place on the board: file} of a built tree. Of one that is not built yet, in a dry run: nothing."""
    return {place: tree / place for place in json.loads((tree / "files.json").read_text())["files"]}


def config_files(config: Path | None) -> dict[str, Path]:
    """{place on the board: file} of the configuration and what it names. Raises FlashError."""
    if config is None:
        return {}
    return {**{name: config.parent / name for name in named_files(config)}, "config.json": config}


# What is to be done, from what is there


@dataclass(frozen=True)
class Work:
    """What a copy comes to. `send`: to be sent; `rename`: to be renamed then, those that an earlier copy left beside among them;
    `remove`: nobody's any more."""

    send: tuple[str, ...]
    rename: tuple[str, ...]
    remove: tuple[str, ...]


def work(wanted: dict[str, str], there: dict[str, str]) -> Work:
    """wanted, there: {place: SHA-256}. Stale is what is in the agent's folder and not of this version, and what a cut copy left."""
    due = [place for place, digest in wanted.items() if there.get(place) != digest]
    send = [place for place in due if there.get(place + NEW) != wanted[place]]
    kept = {*wanted, *(place + NEW for place in due), build.WHOLE}
    stale = [place for place in there if place not in kept and (_is_ours(place) or place.removesuffix(NEW) in wanted)]
    return Work(tuple(send), tuple(due), tuple(sorted(stale)))


def _is_ours(place: str) -> bool:
    return place.startswith(("lib/replenish/", "lib/umqtt/"))


def looked_at(device: Device, wanted: dict[str, str]) -> dict[str, str]:
    """{place: SHA-256} of what is on the board of all that concerns us."""
    there = {}
    if device.evaluate("'lib' in __import__('os').listdir()"):
        there = device.hashes("lib")
    for place in [place + end for place in wanted if not place.startswith("lib/") for end in ("", NEW)]:
        digest = device.hash(place)
        if digest:
            there[place] = digest
    return there


# Doing it


def send(device: Device, files: dict[str, Path], places: tuple[str, ...]) -> int:
    """Put the files beside those that they replace; returns the bytes that went over."""
    total = sum(files[place].stat().st_size for place in places)
    for folder in folders_of(list(places)):
        device.make_folder(folder)
    with bar() as progress:
        task = progress.add_task("", total=total)
        for place in places:
            progress.update(task, description=place)
            device.send(place + NEW, files[place].read_bytes(), lambda count: progress.advance(task, count))
    return total


def folders_of(names: list[str]) -> list[str]:
    """The folders that must be on the board before these files, outer ones first."""
    parents = {parent for name in names for parent in PurePosixPath(name).parents}
    return sorted(str(parent) for parent in parents if str(parent) != ".")


def bar() -> Progress:
    """A bar for the bytes of a copy, on a terminal."""
    columns = TextColumn("{task.description:44}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(elapsed_when_finished=True)
    return Progress(*columns, transient=True, disable=not sys.stdout.isatty())


def put_in_place(device: Device, todo: Work, mark: bytes, marked: str | None) -> None:
    """From here to the mark no version runs if the power fails, and the next copy goes on; see firmware/loader.py. marked: the SHA-256
    of the mark that is there."""
    changes = any(map(_is_ours, (*todo.rename, *todo.remove)))
    if changes and marked:
        device.remove(build.WHOLE)
    for names in _parts(todo.remove):
        device.run(f"import os\nfor name in {names!r}:\n os.remove(name)")
    for names in _parts(todo.rename):
        device.run(f"import os\nfor name in {names!r}:\n os.rename(name + {NEW!r}, name)")
    if changes or marked != hashlib.sha256(mark).hexdigest():
        device.put(build.WHOLE, mark)
    if device.hash(OTHER_SLOT):
        device.remove(OTHER_SLOT)


def _parts(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(names), _RENAMED_AT_ONCE):
        yield names[start : start + _RENAMED_AT_ONCE]


def copy(device: Device, files: dict[str, Path], tree: Path) -> str:
    """Bring the board's files up to date; returns what that came to, in a sentence."""
    begun = time.monotonic()
    wanted = {place: hashlib.sha256(file.read_bytes()).hexdigest() for place, file in files.items()}
    mark = (tree / build.WHOLE).read_bytes()
    there = looked_at(device, wanted)
    todo = work(wanted, there)
    count = send(device, files, todo.send)
    put_in_place(device, todo, mark, there.get(build.WHOLE))
    seconds = time.monotonic() - begun
    what = f"{len(todo.send)} of {len(files)} files sent, {count:,} bytes" if todo.send else f"nothing of {len(files)} files sent"
    more = f", {len(todo.remove)} removed" if todo.remove else ""
    return f"{what}{more}, in {seconds:.1f} s"


@contextmanager
def opened(port: str, limit_s: float) -> Iterator[Device]:
    """The board at a port, which may not be there yet when it starts anew. Raises DeviceError."""
    end = time.monotonic() + limit_s
    while not os.path.exists(port) and time.monotonic() < end:
        time.sleep(0.1)
    with Device(port) as device:
        yield device


def dry_run(made_for: Target, port: str, options: argparse.Namespace) -> Iterator[list[str]]:
    """Commands that come to the same, for a board that has nothing yet."""
    if options.image:
        yield from image_commands(made_for.board, port, options.image)
    mpremote = [str(VENV_BIN / "mpremote"), "connect", port]
    tree = build.BUILD / made_for.board.name
    files = {place: tree / place for place in build.places(made_for)} | config_files(options.config)
    yield from ([*mpremote, "fs", "mkdir", f":{folder}"] for folder in folders_of(list(files)))
    yield from ([*mpremote, "fs", "cp", str(file), f":{place}"] for place, file in files.items())
    yield [*mpremote, "fs", "cp", str(tree / build.WHOLE), f":{build.WHOLE}"]
    yield [*mpremote, "reset"]


def write_image(board: Board, port: str, file: Path) -> None:
    """Raises ImageError, FlashError."""
    for command in image_commands(board, port, file):
        if subprocess.run(command, check=False).returncode:
            raise FlashError(f"`{os.path.basename(command[0])}` failed; run the same command again to go on.")


def check_target(made_for: Target, config: Path | None) -> None:
    """Raises FlashError for what cannot be put onto this board."""
    if made_for.board.port == "unix":
        raise FlashError(f"{made_for.board.name} is no board to flash: `make unix` builds the agent for this PC.")
    if config:
        check_sockets(made_for.board, config)
        config_files(config)


def flash(options: argparse.Namespace, say: Console) -> None:
    """Raises what main() knows."""
    made_for = target.read(options)
    board = made_for.board
    check_target(made_for, options.config)
    if options.dry_run:
        for command in dry_run(made_for, options.port or "PORT", options):
            print(shlex.join(command))
        return
    if options.image:
        image.check_file(board, options.image)
    tree = build.build(made_for)
    port = find_port(options.port)
    if options.image:
        write_image(board, port, options.image)
    with opened(port, FIRST_START_S if options.image else 0) as device:
        found = image.running(device.evaluate(image.RUNNING))
        image.check_running(board, found)
        say.print(f"{port}: MicroPython {found.version} for {found.build or found.machine}, bytecode {found.mpy}", highlight=False)
        files = {**firmware_files(tree), **config_files(options.config)}
        say.print(f"{port}: {copy(device, files, tree)}", highlight=False)
        device.reset()


ERRORS = (TargetError, build.BuildError, fold.FoldError, archive.ArchiveError, image.ImageError, DeviceError, FlashError)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.flash", description="Put the agent onto a board.")
    target.add_options(parser)
    parser.add_argument("--port", help="serial port, such as /dev/ttyUSB0 (default: the only one there is)")
    parser.add_argument("--image", type=Path, help="MicroPython image: erases the flash first")
    parser.add_argument("--dry-run", action="store_true", help="print commands, run none")
    try:
        flash(parser.parse_args(argv), Console(soft_wrap=True))
    except ERRORS as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nBroken off: run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
