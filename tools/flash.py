"""Put MicroPython, the agent and its configuration onto a board.

    python -m tools.flash --board NAME [--port PORT] [--image FILE.bin] [--config CONFIG.json] [--dry-run]
    python -m tools.flash --appliance APPLIANCE.toml [--serial SN0001] [--port PORT] [--image FILE.bin] [--dry-run]

--image erases the whole flash, state included, and writes the named MicroPython image. The files of build/<board>/ are then copied,
only those that the board has not: each one beside the one that it replaces, verified by its hash on the board. Until all are there
the old version stays what runs; then they are renamed, within a second or two, and the mark that the loader looks for is written
last. A copy that was cut is finished by the next one. Of a version that is frozen into the board's image (frozen.py) no file is
copied, and none stays that would run instead. --config copies the configuration as config.json, with the secrets and
certificates it names; --appliance does when the unit's serial is known, but for the secrets, which are each unit's own (provision.py).
--dry-run prints commands that come to the same and runs none.
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

from tools import archive, build, fold, frozen, image, profiles, slot, target
from tools.boards import Board
from tools.device import NEW, Device, DeviceError, GoneError, find_port
from tools.target import Target, TargetError

ROOT = Path(__file__).resolve().parent.parent
VENV_BIN = ROOT / "build" / "venv" / "bin"
# 460,800 is the rate of MicroPython's own instructions; every common USB bridge does it.
BAUD = "460800"
# A board that was just given its image makes its file system at its first start.
FIRST_START_S = 30
OTHER_SLOT = f"slot_b/{slot.NAME}"  # of firmware/loader.py, which starts /lib when only that is whole
_LOADER = f"{build.LOADER}.mpy"
_RENAMED_AT_ONCE = 40  # files of one statement
# The empty folders of a version, on the board.
_REMOVE_FOLDERS = """
import os
def clear(folder):
 for name, kind, *_ in os.ilistdir(folder):
  if kind == 0x4000:
   clear(folder + '/' + name)
 os.rmdir(folder)
if 'lib' in os.listdir() and 'replenish' in os.listdir('lib'):
 clear('lib/replenish')
"""


class FlashError(Exception):
    """Nothing was written, or it is to be done again; the message is one sentence a line."""


def image_command(board: Board, port: str, file: Path) -> list[str]:
    """Erase the flash and write the image. Raises ImageError when the file is not for this board."""
    image.check_file(board, file)
    assert board.image and board.chip  # noqa: S101 (check_file saw to it)
    esptool = [str(VENV_BIN / "esptool"), "--chip", board.chip, "--port", port, "--baud", BAUD]
    return [*esptool, "write-flash", "--erase-all", hex(board.image.offset), str(file)]


def named_files(made_for: Target) -> list[str]:
    """The files that a configuration names: its secrets, certificates and keys, relative to it. Raises FlashError."""
    values = json.loads(made_for.text or b"{}")
    tls = values["tls"]
    names = [*([] if values["secrets"] == "nvs" else [values["secrets"]]), *tls["ca"]]
    names += [tls[key] for key in ("certificate", "key") if tls.get(key)]
    names += (values.get("update") or {}).get("keys", [])
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise FlashError(f"{made_for.file}: {name}: only a path below the configuration's folder is allowed on a board.")
        if not (made_for.file.parent / name).is_file():
            raise FlashError(f"{made_for.file}: {name}: there is no such file.")
    return names


def check_target(made_for: Target) -> None:
    """Raises FlashError for what cannot be put onto this board."""
    board, config = made_for.board, made_for.config
    if board.port == "unix":
        raise FlashError(f"{board.name} is no board to flash: `make unix` builds the agent for this PC.")
    if config is None:
        return
    wanted = config["tls"].get("sockets", 1)
    if wanted > board.tls_sockets:
        allowed = f"{board.tls_sockets}, as {board.name} has memory for no more"
        raise FlashError(f"{made_for.file}: tls.sockets: {wanted}: allowed: {allowed}.")
    faults = profiles.check_product(made_for.file, config) if made_for.profile == "product" else []
    if faults:
        raise FlashError("\n".join(faults))


def firmware_files(tree: Path) -> dict[str, bytes]:
    """{place on the board: content} of a built tree, without the mark of a whole version."""
    return {place: (tree / place).read_bytes() for place in json.loads((tree / "files.json").read_text())["files"]}


def config_files(made_for: Target) -> dict[str, bytes]:
    """{place on the board: content} of the configuration and what it names. Raises FlashError."""
    if made_for.text is None:
        return {}
    named = {name: (made_for.file.parent / name).read_bytes() for name in named_files(made_for)}
    if made_for.is_shared:
        named.pop(json.loads(made_for.text)["secrets"], None)
    return {**named, "config.json": made_for.text}


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


def frozen_version(device: Device) -> str:
    """What the version is known by that is frozen into the board's image, as `frozen.digest`; "" for none."""
    return device.run(f"try:\n import {frozen.MARK} as found\n print(found.DIGEST)\nexcept ImportError:\n pass").strip()


# Doing it


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def send(device: Device, files: dict[str, bytes], places: tuple[str, ...]) -> int:
    """Put the files beside those that they replace; returns the bytes that went over."""
    total = sum(len(files[place]) for place in places)
    for folder in folders_of(list(places)):
        device.make_folder(folder)
    with bar(total) as progress:
        task = progress.add_task("", total=total)
        for place in places:
            progress.update(task, description=place)
            device.send(place + NEW, files[place], lambda count: progress.advance(task, count))
    return total


def folders_of(names: list[str]) -> list[str]:
    """The folders that must be on the board before these files, outer ones first."""
    parents = {parent for name in names for parent in PurePosixPath(name).parents}
    return sorted(str(parent) for parent in parents if str(parent) != ".")


def bar(total: int) -> Progress:
    """A bar for so many bytes of a copy, on a terminal."""
    columns = TextColumn("{task.description:44}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(elapsed_when_finished=True)
    return Progress(*columns, transient=True, disable=total == 0 or not sys.stdout.isatty())


def put_in_place(device: Device, todo: Work, mark: bytes, marked: str | None) -> None:
    """From here to the mark no version runs if the power fails, and the next copy goes on; see firmware/loader.py. mark: none for a
    version in the image; marked: the SHA-256 of the mark that is there."""
    changes = any(map(_is_ours, (*todo.rename, *todo.remove)))
    if marked and (changes or not mark):
        device.remove(build.WHOLE)
    for names in _parts(todo.remove):
        device.run(f"import os\nfor name in {names!r}:\n os.remove(name)")
    for names in _parts(todo.rename):
        device.run(f"import os\nfor name in {names!r}:\n os.rename(name + {NEW!r}, name)")
    if mark and (changes or marked != digest(mark)):
        device.put(build.WHOLE, mark)
    if device.hash(OTHER_SLOT):
        device.remove(OTHER_SLOT)


def _parts(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(names), _RENAMED_AT_ONCE):
        yield names[start : start + _RENAMED_AT_ONCE]


def copy(device: Device, files: dict[str, bytes], mark: bytes) -> str:
    """Bring the board's files up to date; returns what that came to, in a sentence. mark: of the version in these files, none where
    that is in the image."""
    begun = time.monotonic()
    wanted = {place: digest(data) for place, data in files.items()}
    there = looked_at(device, wanted)
    todo = work(wanted, there)
    count = send(device, files, todo.send)
    put_in_place(device, todo, mark, there.get(build.WHOLE))
    seconds = time.monotonic() - begun
    what = f"{len(todo.send)} of {len(files)} files sent, {count:,} bytes" if todo.send else f"nothing of {len(files)} files sent"
    more = f", {len(todo.remove)} removed" if todo.remove else ""
    return f"{what}{more}, in {seconds:.1f} s"


def clear_for_frozen(device: Device) -> None:
    """Remove what would be found before the image's, or hide a folder of the application's from it (firmware/loader.py)."""
    if device.hash(_LOADER):
        device.remove(_LOADER)
    device.run(_REMOVE_FOLDERS)


def put(device: Device, tree: Path, settings: dict[str, bytes]) -> str:
    """The built version and the settings onto a board, and what that came to."""
    there = frozen_version(device)
    if there != frozen.digest(tree):
        said = copy(device, {**firmware_files(tree), **settings}, (tree / build.WHOLE).read_bytes())
        return f"{said}; another version is frozen into the image, and what was copied runs instead" if there else said
    said = copy(device, settings, b"")
    clear_for_frozen(device)
    return f"this version is frozen into the image; {said}"


@contextmanager
def opened(port: str, limit_s: float) -> Iterator[Device]:
    """The board at a port, which may not be there yet when it starts anew, or not be this user's yet, or go once more. Raises
    DeviceError."""
    with _come(port, time.monotonic() + limit_s) as device:
        yield device


def _come(port: str, end: float) -> Device:
    while True:
        while not os.access(port, os.R_OK | os.W_OK) and time.monotonic() < end:
            time.sleep(0.1)
        try:
            return Device(port)
        except GoneError:
            if time.monotonic() >= end:
                raise


def dry_run(made_for: Target, port: str, file: Path | None) -> Iterator[list[str]]:
    """Commands that come to the same, for a board that has nothing yet."""
    if file:
        yield image_command(made_for.board, port, file)
    mpremote = [str(VENV_BIN / "mpremote"), "connect", port]
    tree = build.BUILD / made_for.board.name
    files = {place: str(tree / place) for place in build.places(made_for)}
    if made_for.text is not None:
        files |= {name: str(made_for.file.parent / name) for name in config_files(made_for)}
        files["config.json"] = str(made_for.file)
    yield from ([*mpremote, "fs", "mkdir", f":{folder}"] for folder in folders_of(list(files)))
    yield from ([*mpremote, "fs", "cp", source, f":{place}"] for place, source in files.items())
    yield [*mpremote, "fs", "cp", str(tree / build.WHOLE), f":{build.WHOLE}"]
    yield [*mpremote, "reset"]


def write_image(board: Board, port: str, file: Path) -> None:
    """Raises ImageError, FlashError."""
    lost = "the board may have no MicroPython now: run the same command again"
    try:
        done = subprocess.run(image_command(board, port, file), check=False)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Broken off: {lost}.") from None
    if done.returncode:
        raise FlashError(f"{port}: esptool could not write the image: {lost}.")


def check_board(device: Device, board: Board, say: Console) -> None:
    """Say what the board runs. Raises ImageError when it is not what it should be."""
    found = image.running(device.evaluate(image.RUNNING))
    image.check_running(board, found)
    say.print(f"{device.port}: MicroPython {found.version} for {found.build or found.machine}, bytecode {found.mpy}", highlight=False)


def flash(options: argparse.Namespace, say: Console) -> None:
    """Raises what main() knows."""
    made_for = target.read(options)
    check_target(made_for)
    settings = config_files(made_for)
    if options.dry_run:
        for command in dry_run(made_for, options.port or "PORT", options.image):
            note = f"  # what tools.appliance prints of {options.appliance}" if str(options.appliance) in command else ""
            print(shlex.join(command) + note)
        return
    if options.image:
        image.check_file(made_for.board, options.image)
    tree = build.build(made_for)
    port = find_port(options.port)
    if options.image:
        write_image(made_for.board, port, options.image)
    with opened(port, FIRST_START_S if options.image else 0) as device:
        check_board(device, made_for.board, say)
        say.print(f"{port}: {put(device, tree, settings)}", highlight=False)
        device.reset()
    if made_for.config and made_for.text is None:
        say.print("It has no configuration yet: its serial is not known. `make provision` gives it one.", highlight=False)


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
    except KeyboardInterrupt as error:
        print(f"\n{str(error) or 'Broken off: run the same command again to go on; a board has started again.'}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
