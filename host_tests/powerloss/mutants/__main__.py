"""Break the firmware on purpose, and see each break caught: `make powerloss-mutants`.

    python -m host_tests.powerloss.mutants [NAME ...]

A mutant is a patch of this folder (README.md says how one is written). Each is applied to a copy of the tree under build/mutants/,
where the one life on the one medium that must catch it is run, or a dual test. Exit status 1 when one survives, is caught by
something else than it says, or does not apply any more.
"""
# ruff: noqa: TID251  (a program for the PC)

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PATCHES = Path(__file__).parent
TREES = ROOT / "build" / "mutants"
CACHE = ROOT / "build" / "cache"
COPIED = ("boards", "firmware", "host_tests", "tools", "pyproject.toml")
NEEDLESS = shutil.ignore_patterns("__pycache__", "scenarios", "simulator", "corpus")
FIELDS = ("Breaks", "Law", "Runs", "Says", "Uncut")
UNCUT = {"keeps the laws": False, "breaks too": True}  # whether the life breaks a law without a cut as well
# What the power-loss runner prints of a failure: its text, and the command that repeats it.
FAILURE = re.compile(r"^    (\S.*)\n      make powerloss MEDIUM=\S+ LIFE=\S+ CUT=(\S+)$", re.MULTILINE)
# Only a law that is broken, a record that is lost, and a rule of the medium that is broken count; a mutant that merely dies does not.
COUNTS = ("Broken", "StoreError", "Misuse")
FAILED_TEST = re.compile(r"^FAILED (\S+)", re.MULTILINE)
SHOWN_OF_OUTPUT = 1500  # characters, when nothing better can be said


@dataclass(frozen=True)
class Mutant:
    """A patch and what it says of itself.

    breaks, law: for the person; runs: `powerloss MEDIUM LIFE`, or `test FILE::NAME`; says: what the failure's text must hold;
    uncut_breaks: the life fails without any cut as well.
    """

    name: str
    patch: Path
    breaks: str
    law: str
    runs: str
    says: str
    uncut_breaks: bool


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant. caught: what caught it, "" when nothing did; text: the failure, or why it does not count."""

    mutant: Mutant
    caught: str
    text: str
    seconds: float = 0.0


class Unfit(Exception):
    """A mutant that proves nothing: its patch does not apply, or its header is not whole."""


def read(patch: Path) -> Mutant:
    """A mutant from its file. Raises Unfit."""
    head = patch.read_text().partition("\n--- ")[0]
    fields = dict(re.findall(r"^# (\w+): (.+)$", head, re.MULTILINE))
    wrong = [name for name in FIELDS if name not in fields] + [name for name in fields if name not in FIELDS]
    if not wrong and fields["Uncut"] not in UNCUT:
        wrong.append("Uncut")
    if wrong:
        raise Unfit(f"{patch.name}: in the header are wanted: {', '.join(FIELDS)}; wrong: {', '.join(wrong)}")
    return Mutant(patch.stem, patch, fields["Breaks"], fields["Law"], fields["Runs"], fields["Says"], UNCUT[fields["Uncut"]])


def plant(mutant: Mutant, trees: Path) -> Path:
    """A copy of the tree with the mutant in it. Raises Unfit when the patch does not apply."""
    tree = trees / mutant.name
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=NEEDLESS)
        else:
            shutil.copy2(ROOT / name, tree / name)
    shutil.copytree(CACHE / "umqtt", tree / "build" / "cache" / "umqtt")  # the shim takes it from there
    # Without the ceiling git would find the repository above, and skip what is not of it.
    env = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)}
    done = subprocess.run(["git", "apply", str(mutant.patch)], cwd=tree, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unfit(f"the patch does not apply: {done.stderr.strip()}")
    return tree


def python(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module in a mutant's tree, with that tree's modules only."""
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(tree / "build" / "pycache")}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=tree, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def by_powerloss(mutant: Mutant, tree: Path, medium: str, life: str) -> tuple[str, str]:
    """(the command that repeats the first failure that counts or "", its text or why there is none)."""
    where = ("host_tests.powerloss", "--medium", medium, "--life", life)
    uncut = python(tree, *where, "--cut", "none")
    if bool(uncut.returncode) != mutant.uncut_breaks:
        return "", f"the life without a cut ended with status {uncut.returncode}: {uncut.stdout[-SHOWN_OF_OUTPUT:]}"
    cut = python(tree, *where)
    for text, number in FAILURE.findall(cut.stdout):
        if cut.returncode == 1 and number != "none" and text.startswith(COUNTS) and mutant.says in text:
            return f"{medium} {life} {number}", text
    return "", f"status {cut.returncode}, nowhere {mutant.says!r}: {cut.stdout[-SHOWN_OF_OUTPUT:]}"


def by_test(mutant: Mutant, tree: Path, test: str) -> tuple[str, str]:
    """(the test that failed or "", what it said or why it does not count)."""
    done = python(tree, "pytest", test)
    failed = FAILED_TEST.search(done.stdout)
    # Status 1: tests were run and failed; 2 to 5: they were not run.
    if done.returncode == 1 and failed and mutant.says in done.stdout:
        return test, mutant.says
    return "", f"status {done.returncode}, nowhere {mutant.says!r}: {done.stdout[-SHOWN_OF_OUTPUT:]}"


def attempt(mutant: Mutant, trees: Path = TREES) -> Verdict:
    """Plant a mutant and run what must catch it."""
    started = time.monotonic()
    kind, *where = mutant.runs.split()
    try:
        tree = plant(mutant, trees)
        caught, text = by_powerloss(mutant, tree, *where) if kind == "powerloss" else by_test(mutant, tree, *where)
    except Unfit as error:
        caught, text = "", str(error)
    return Verdict(mutant, caught, text, time.monotonic() - started)


def repeat_command(verdict: Verdict) -> str:
    """What a person types to see it again, in the mutant's tree."""
    enter, interpreter = f"cd build/mutants/{verdict.mutant.name}", "../../venv/bin/python"
    if verdict.mutant.runs.startswith("test"):
        return f"{enter} && {interpreter} -m pytest {verdict.caught}"
    medium, life, cut = verdict.caught.split()
    return f"{enter} && {interpreter} -m host_tests.powerloss --medium {medium} --life {life} --cut {cut}"


def show(verdict: Verdict, whole: bool) -> None:
    """A row of the table. whole: with the failure's text and the command that repeats it."""
    mutant = verdict.mutant
    print(f"  {mutant.name:41} {mutant.law:31} {verdict.caught or 'SURVIVED':48} {verdict.seconds:5.1f}", flush=True)
    if whole or not verdict.caught:
        print(f"    {mutant.breaks}\n    {verdict.text}", flush=True)
    if whole and verdict.caught:
        print(f"    {repeat_command(verdict)}", flush=True)


def chosen(names: list[str], folder: Path = PATCHES) -> list[Path]:
    """The patches of these names, in part or whole; all when no name is given. Raises Unfit when a name chooses none."""
    patches = sorted(folder.glob("*.patch"))
    for name in names:
        if not any(name in patch.stem for patch in patches):
            raise Unfit(f"no mutant {name!r}; there are: {', '.join(patch.stem for patch in patches)}")
    return [patch for patch in patches if not names or any(name in patch.stem for name in names)]


def attempt_all(mutants: Iterable[Mutant], trees: Path) -> Iterator[Verdict]:
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield from pool.map(lambda mutant: attempt(mutant, trees), mutants)


def main(arguments: list[str] | None = None, folder: Path = PATCHES, trees: Path = TREES) -> int:
    parser = argparse.ArgumentParser(prog="python -m host_tests.powerloss.mutants")
    parser.add_argument("names", nargs="*", help="parts of the names of the patches; default: all")
    names = parser.parse_args(arguments).names
    started = time.monotonic()
    try:
        mutants = [read(patch) for patch in chosen(names, folder)]
    except Unfit as error:
        print(error, file=sys.stderr)
        return 1
    print(f"  {'mutant':41} {'law':31} {'caught by':48} seconds")
    survived = 0
    for verdict in attempt_all(mutants, trees):
        show(verdict, whole=bool(names))
        survived += not verdict.caught
    print(f"\n{len(mutants)} mutants, {survived} survived, {time.monotonic() - started:.0f} s")
    return 1 if survived or not mutants else 0


if __name__ == "__main__":
    sys.exit(main())
