"""Put MicroPython, the agent and its configuration onto a board.

    python -m tools.flash --board NAME --port PORT [--image FILE.bin] [--config CONFIG.json] [--dry-run]

--image erases the whole flash, state included, and writes the named MicroPython image. The files of build/<board>/
are then copied with mpremote, which leaves out those that the board has already. --config copies the configuration as
config.json, with the secrets and the certificates it names. --dry-run prints each command and runs none.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path, PurePosixPath

from tools import archive, boards, build
from tools.boards import Board
from tools.unix_agent import UsageError, load_config

ROOT = Path(__file__).resolve().parent.parent
VENV_BIN = ROOT / "build" / "venv" / "bin"
# 460,800 is the rate of MicroPython's own instructions; every common USB bridge does it.
BAUD = "460800"


class FlashError(Exception):
    """Nothing was written; the message is one sentence a line."""


def image_commands(board: Board, port: str, image: Path) -> list[list[str]]:
    """Erase the flash and write the image. Raises FlashError when the file is not for this board."""
    if board.image is None or board.chip is None:
        raise FlashError(f"{board.name} takes no image.")
    if not image.is_file():
        raise FlashError(f"IMAGE={image}: there is no such file.")
    if not fnmatch.fnmatch(image.name, board.image.file_pattern):
        raise FlashError(f"IMAGE={image}: for {board.name} a file named {board.image.file_pattern} is allowed.")
    esptool = [str(VENV_BIN / "esptool"), "--chip", board.chip, "--port", port, "--baud", BAUD]
    return [[*esptool, "erase-flash"], [*esptool, "write-flash", hex(board.image.offset), str(image)]]


def named_files(config: Path) -> list[str]:
    """The files that a configuration names: its secrets and certificates, relative to it. Raises FlashError."""
    values = json.loads(config.read_text())
    tls = values["tls"]
    names = [values["secrets"], *tls["ca"], *(tls[key] for key in ("certificate", "key") if tls.get(key))]
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


def folders_of(names: list[str]) -> list[str]:
    """The folders that must be on the board before these files, outer ones first."""
    parents = {parent for name in names for parent in PurePosixPath(name).parents}
    return sorted(str(parent) for parent in parents if str(parent) != ".")


def copy(source: Path, target: str) -> list[str]:
    return ["fs", "cp", str(source), f":{target}"]


def config_commands(mpremote: list[str], config: Path) -> list[list[str]]:
    """Copy the configuration and what it names. `fs mkdir` would fail on a folder that is there."""
    names = named_files(config)
    commands = []
    for folder in folders_of(names):
        path = PurePosixPath(folder)
        outer = repr(str(path.parent)) if len(path.parts) > 1 else ""
        commands.append([*mpremote, "exec", f"import os; {path.name!r} in os.listdir({outer}) or os.mkdir({folder!r})"])
    commands += [[*mpremote, *copy(config.parent / name, name)] for name in names]
    return [*commands, [*mpremote, *copy(config, "config.json")]]


def file_commands(board: Board, mpremote: list[str]) -> list[list[str]]:
    """Copy the built tree. main.py goes last: until then a half-copied agent is not started."""
    tree = build.BUILD / board.name
    starters = [name for name in build.STARTERS if (build.FIRMWARE / name).exists()]
    starters.insert(0, f"{build.LOADER}.mpy")
    return [[*mpremote, "fs", "cp", "-r", str(tree / "lib"), ":"], *([*mpremote, *copy(tree / name, name)] for name in starters)]


def commands_for(board: Board, port: str, image: Path | None, config: Path | None) -> list[list[str]]:
    """Every command, in order. Raises FlashError."""
    if board.port == "unix":
        raise FlashError(f"{board.name} is no board to flash: `make unix` builds the agent for this PC.")
    mpremote = [str(VENV_BIN / "mpremote"), "connect", port]
    commands = image_commands(board, port, image) if image else []
    if config:
        check_sockets(board, config)
        commands += config_commands(mpremote, config)
    commands += file_commands(board, mpremote)
    return [*commands, [*mpremote, "reset"]]


def run(commands: list[list[str]], dry_run: bool) -> None:
    """Print each command and, unless it is a dry run, run it; stop at the first that fails. Raises FlashError."""
    for command in commands:
        print(shlex.join(command), flush=True)
        if not dry_run and subprocess.run(command, check=False).returncode:
            raise FlashError(f"`{os.path.basename(command[0])}` failed; run the same command again to go on.")


def flash(options: argparse.Namespace) -> None:
    """Raises BoardError, BuildError, UsageError or FlashError."""
    board = boards.load(options.board)
    if options.config:
        load_config(options.config)
    commands = commands_for(board, options.port, options.image, options.config)
    if not options.dry_run:
        build.build(board)
    run(commands, options.dry_run)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.flash", description="Put the agent onto a board.")
    parser.add_argument("--board", required=True, help=f"one of {', '.join(boards.names())}")
    parser.add_argument("--port", default="auto", help="serial port, such as /dev/ttyUSB0 (default: the first one found)")
    parser.add_argument("--image", type=Path, help="MicroPython image: erases the flash first")
    parser.add_argument("--config", type=Path, help="configuration; its secrets and certificates go along")
    parser.add_argument("--dry-run", action="store_true", help="print the commands, run none")
    try:
        flash(parser.parse_args(argv))
    except (boards.BoardError, build.BuildError, archive.ArchiveError, UsageError, FlashError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
