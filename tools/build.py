"""Compile the firmware for one board into build/<board>/, the tree that goes onto its file system.

    python -m tools.build --board NAME [--config CONFIG.json] [--dry-run]

The .mpy files are the same for every board: bytecode without native code, small integers of at most 30 bits, shared
constants folded in (see fold.py), and source names relative to firmware/, so that two builds of the same source are the
same bytes anywhere. With a configuration, what that never imports is left out (see trim.py).
build/<board>/files.json lists every file with its SHA-256 and what it was made from; it decides what is compiled again.
lib/replenish/whole, made last, is what the loader knows a whole version by (see slot.py). package.json is for `mip`: put the
folder onto a web server, then `mpremote mip install http://.../package.json`.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import archive, boards, fold, slot, target, trim

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
BUILD = ROOT / "build"

# 30-bit small integers: the file then loads on 32-bit and 64-bit interpreters. -O3: no line numbers, which would cost 3 KB of
# flash and 1.6 KB of heap; a traceback still names each function, and those are short.
FLAGS = ("-O3", "-msmall-int-bits=30")
# MicroPython runs these by name from source; they stay small.
STARTERS = ("boot.py", "main.py")
WHOLE = f"lib/{slot.NAME}"
PACKAGE = "package.json"
LOADER = "loader"  # imported by boot.py, outside of the package; its names stay


class BuildError(Exception):
    """A module does not compile; the message is the compiler's."""


@dataclass(frozen=True)
class Item:
    """One file of the tree: where it comes from, where it goes, and the name that tracebacks show (None: copied)."""

    source: Path
    place: str
    shown: str | None
    folded: bytes | None = None  # what is compiled instead of the source as it stands

    def content(self) -> bytes:
        return self.source.read_bytes() if self.folded is None else self.folded


def plan(firmware: Path, umqtt: Path | None, without: frozenset[str] = frozenset()) -> list[Item]:
    """Every file of a board's tree, in the tree's order; without: modules, by their places in the package. umqtt: None for a board
    whose image has it frozen: the file would be loaded instead, into the heap."""
    items = [Item(firmware / name, name, None) for name in STARTERS if (firmware / name).exists()]
    if (firmware / f"{LOADER}.py").exists():
        items.append(Item(firmware / f"{LOADER}.py", f"{LOADER}.mpy", LOADER))
    folder = fold.Folder(firmware)
    for source in sorted((firmware / "replenish").rglob("*.py")):
        name = source.relative_to(firmware)
        if str(source.relative_to(firmware / "replenish").with_suffix("")) in without:
            continue
        # A traceback shows the module's name, which is in the interpreter's memory anyway; a file's name would be one more.
        items.append(Item(source, f"lib/{name.with_suffix('.mpy')}", name.stem, folder.fold(source).encode()))
    if umqtt:
        items.append(Item(umqtt, "lib/umqtt/simple.mpy", "umqtt/simple.py"))
    return sorted(items, key=lambda item: item.place)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


class Tree:
    """build/<board>/ and its list of files."""

    def __init__(self, folder: Path, mpy_cross: Path, arch: str | None = None) -> None:
        self.folder = folder
        self.mpy_cross = mpy_cross
        self.flags = (*FLAGS, *([f"-march={arch}"] if arch else []))
        self.recipe = f"{sha256(mpy_cross)} {' '.join(self.flags)}"
        self.listed = self._read_list()

    def _read_list(self) -> dict[str, dict[str, Any]]:
        """What the last build recorded; nothing when it was made by another compiler or other flags."""
        try:
            record = json.loads((self.folder / "files.json").read_text())
        except (OSError, ValueError):
            return {}
        files: dict[str, dict[str, Any]] = record["files"] if record.get("recipe") == self.recipe else {}
        return files

    def is_current(self, item: Item) -> bool:
        """The output is on disk as recorded, and so is its source."""
        record, output = self.listed.get(item.place), self.folder / item.place
        if record is None or record["source"] != (item.shown or item.place) or not output.is_file():
            return False
        return record["sha256"] == sha256(output) and record["source_sha256"] == hashlib.sha256(item.content()).hexdigest()

    def command(self, item: Item, output: Path) -> list[str]:
        """How this file is made."""
        if item.shown is None:
            return ["cp", str(item.source), str(output)]
        return [str(self.mpy_cross), *self.flags, "-s", item.shown, "-o", str(output), str(item.source if item.folded is None else "-")]

    def make(self, item: Item) -> None:
        """Make one file and put it in place in one step, so that a running agent never reads half of one."""
        output = self.folder / item.place
        output.parent.mkdir(parents=True, exist_ok=True)
        fresh = output.with_suffix(".new")
        done = subprocess.run(self.command(item, fresh), input=item.folded, capture_output=True, check=False)
        if done.returncode:
            fresh.unlink(missing_ok=True)
            raise BuildError(f"{item.source}:\n{done.stderr.decode().strip()}")
        fresh.replace(output)

    def remove_stale(self, items: list[Item]) -> None:
        """A module removed from the source must not stay importable."""
        wanted = {self.folder / item.place for item in items} | {self.folder / WHOLE}
        for file in [*(self.folder / "lib").rglob("*"), *(self.folder / name for name in STARTERS)]:
            if file.is_file() and file not in wanted:
                file.unlink()
        for folder in sorted((self.folder / "lib").rglob("*"), reverse=True):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def write_whole(self, version: slot.Version, items: list[Item]) -> None:
        """The mark of a whole version, over all of its files."""
        lib = Path("lib")
        inside = [Path(item.place) for item in items if item.place.startswith("lib/replenish/")]
        content = slot.whole(version, {str(place.relative_to(lib)): (self.folder / place).read_bytes() for place in inside})
        self._replace(WHOLE, content)

    def write_package(self, version: slot.Version, items: list[Item]) -> None:
        """What `mip` installs of it below its target, /lib: the agent as a library, the mark last. Not boot.py and main.py, which are
        the board's own there."""
        lib = "lib/"
        inside = [item.place for item in items if item.place.startswith(lib)] + [WHOLE]
        urls = [[place.removeprefix(lib), place] for place in inside]
        self._replace(PACKAGE, (json.dumps({"version": ".".join(map(str, version)), "urls": urls}, indent=1) + "\n").encode())

    def _replace(self, place: str, content: bytes) -> None:
        fresh = self.folder / f"{place}.new"
        fresh.write_bytes(content)
        fresh.replace(self.folder / place)

    def write_list(self, board: str, items: list[Item], left_out: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
        """Write files.json, without dates or absolute paths: equal builds have equal lists."""
        files = {}
        for item in items:
            output = self.folder / item.place
            files[item.place] = {
                "bytes": output.stat().st_size,
                "sha256": sha256(output),
                "source": item.shown or item.place,
                "source_sha256": hashlib.sha256(item.content()).hexdigest(),
            }
        whole = self.folder / WHOLE
        record = {"board": board, "left_out": left_out, "recipe": self.recipe, "files": files}
        record["whole"] = {"place": WHOLE, "bytes": whole.stat().st_size, "sha256": sha256(whole)}
        self._replace("files.json", (json.dumps(record, indent=1) + "\n").encode())
        return files


@dataclass(frozen=True)
class Result:
    """What a build came to: files, files made now, bytes of .mpy, what was left out and for what it is."""

    files: int
    made: int
    mpy_bytes: int
    left_out: dict[str, list[str]]


def build_tree(made_for: target.Target, firmware: Path, folder: Path, mpy_cross: Path, umqtt: Path | None) -> Result:
    """Bring a board's tree up to date. Raises BuildError."""
    (folder / WHOLE).parent.mkdir(parents=True, exist_ok=True)
    left_out = made_for.left_out(trim.sources_of(firmware / "replenish"))
    without = frozenset(name for names in left_out.values() for name in names)
    tree, items = Tree(folder, mpy_cross, made_for.board.mpy_arch), plan(firmware, umqtt, without)
    due = [item for item in items if not tree.is_current(item)]
    for item in due:
        tree.make(item)
    tree.remove_stale(items)
    version = slot.firmware_version(firmware)
    tree.write_whole(version, items)
    tree.write_package(version, items)
    files = tree.write_list(made_for.board.name, items, left_out)
    size = sum(record["bytes"] for place, record in files.items() if place.endswith(".mpy"))
    return Result(len(items) + 1, len(due), size, left_out)


def plan_for(made_for: target.Target, firmware: Path, umqtt: Path | None) -> list[Item]:
    """The same for what a target uses."""
    left_out = made_for.left_out(trim.sources_of(firmware / "replenish"))
    return plan(firmware, umqtt, frozenset(name for names in left_out.values() for name in names))


def show_commands(made_for: target.Target, folder: Path, firmware: Path, mpy_cross: Path, umqtt: Path | None) -> None:
    """Print what a build from nothing would run."""
    tree = Tree(folder, mpy_cross, made_for.board.mpy_arch)
    for item in plan_for(made_for, firmware, umqtt):
        read = "" if item.folded is None else f"  # reads {item.source}, folded"
        print(shlex.join(tree.command(item, folder / item.place)) + read)


def places(made_for: target.Target) -> list[str]:
    """The files of a board's tree, all but the mark of a whole version, without building them."""
    return [item.place for item in plan_for(made_for, FIRMWARE, library(made_for.board, fetch=False))]


def write_launcher(place: Path) -> None:
    """build/unix/agent: a shell line, because the environment's path may be too long or odd for a `#!` line."""
    python, program = BUILD / "venv" / "bin" / "python", ROOT / "tools" / "unix_agent.py"
    fresh = place.with_suffix(".new")
    fresh.write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} -I {shlex.quote(str(program))} "$@"\n')
    fresh.chmod(0o755)
    fresh.replace(place)


def library(board: boards.Board, fetch: bool = True) -> Path | None:
    """`umqtt.simple`'s source, for a board whose image does not have it. Raises archive.ArchiveError."""
    if board.image is not None:
        return None
    return archive.umqtt_simple() if fetch else archive.CACHE / "umqtt" / "simple.py"


def build(made_for: target.Target) -> Path:
    """Build one board's tree and say its size; returns its folder. Raises BuildError and archive.ArchiveError."""
    board = made_for.board
    folder = BUILD / board.name
    with (BUILD / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two commands at once: the second finds the work done
        result = build_tree(made_for, FIRMWARE, folder, BUILD / "bin" / "mpy-cross", library(board))
        if board.port == "unix":
            write_launcher(folder / "agent")
    print(f"{os.path.relpath(folder)}: {result.files} files, {result.made} made now, {result.mpy_bytes:,} bytes of .mpy")
    if result.left_out:
        print(f"left out, as this appliance never uses it: {'; '.join(result.left_out)}")
    return folder


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.build", description="Compile the firmware for one board.")
    target.add_options(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the commands, change nothing")
    options = parser.parse_args(argv)
    try:
        made_for = target.read(options)
        if options.dry_run:
            show_commands(made_for, BUILD / made_for.board.name, FIRMWARE, BUILD / "bin" / "mpy-cross", library(made_for.board, False))
            return 0
        build(made_for)
    except (target.TargetError, BuildError, fold.FoldError, archive.ArchiveError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nBroken off: the tree is not whole; run the same command again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
