"""Programs compiled from Debian's MicroPython source package: fetched, verified, patched, compiled under build/debian/, installed.

What is common to interpreter32.py and qemu_firmware.py. No root is needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools import apt

ROOT = Path(__file__).resolve().parent.parent

SUITE = "trixie"
# The upstream versions these recipes were written for; another version is tried, and named.
EXPECTED = {"micropython": "1.25.0", "mbedtls": "3.6."}
# What every build here calls, beside its own compiler.
PROGRAMS = ("gcc", "make", "patch", "apt-get", "dpkg-source")
JOBS = f"-j{os.cpu_count() or 1}"


def recipe(*parts: object) -> str:
    """A hash of everything that decides what comes out, so that a changed recipe is built again."""
    return hashlib.sha256(json.dumps([SUITE, EXPECTED, platform.machine(), parts]).encode()).hexdigest()


def stamp(result: Path) -> Path:
    """Where it stands which recipe made this program."""
    return result.with_suffix(".recipe")


def is_made_by(result: Path, made_by: str) -> bool:
    return result.exists() and stamp(result).exists() and stamp(result).read_text() == made_by


def check_programs(names: tuple[str, ...], packages: str) -> None:
    """Raises Unavailable naming the programs that are missing here, and the packages that bring them."""
    if missing := [name for name in names if shutil.which(name) is None]:
        raise apt.Unavailable(f"{', '.join(missing)} not found (apt install {packages})")


def version_note(folder: Path, name: str) -> str | None:
    """One line when the archive has another upstream version than these recipes know."""
    found = next(folder.glob(f"{name}_*.dsc")).stem.split("_")[1]
    if found.startswith(EXPECTED[name]):
        return None
    return f"note: Debian now has {name} {found}; this recipe was written for {EXPECTED[name]}"


def install(program: Path, place: Path) -> None:
    """Put a program into build/bin in one step, also where another one is running."""
    place.parent.mkdir(exist_ok=True)
    fresh = place.with_name(f"{place.name}.new")
    shutil.copy2(program, fresh)
    fresh.replace(place)


@dataclass(frozen=True)
class Build:
    """One program's build: its name in build/, what a person calls it, and the source packages that it needs."""

    name: str
    title: str
    sources: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return ROOT / "build" / "debian" / self.name

    @property
    def log(self) -> Path:
        return ROOT / "build" / "log" / f"{self.name}.log"

    def run(self, command: list[str], cwd: Path) -> None:
        """Run one step quietly into the log. Raises BuildError with the log's end."""
        # MAKEFLAGS of the `make` that called us would hand our targets' settings down.
        env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
        self._run(command, cwd, env)

    def _run(self, command: list[str], cwd: Path, env: dict[str, str] | None = None) -> None:
        apt.run(command, cwd, self.log, f"{self.title} could not be built", env)

    def fetch(self) -> Path:
        """Download, verify and unpack the source packages, each into a folder of its name; returns the folder of all."""
        env = apt.environment(self.folder / "apt", "deb-src", SUITE)
        folder = self.folder / "source"
        folder.mkdir()
        self._run(["apt-get", "update"], folder, env)
        self._run(["apt-get", "source", "--download-only", *self.sources], folder, env)
        for name in self.sources:
            package = next(folder.glob(f"{name}_*.dsc"))
            # No signature check here: apt has verified the file against the archive's signed index.
            self._run(["dpkg-source", "--no-check", "-x", package.name, name], folder)
        return folder

    def compile_cross(self, tree: Path) -> None:
        """mpy-cross, which freezes modules into what is compiled next."""
        self.run(["make", "-C", "mpy-cross", JOBS], tree)

    def make(self, made_by: str, compile_source: Callable[[Path], dict[Path, Path]]) -> None:
        """Fetch, compile and install, about a minute on two cores: `compile_source` gives {place in build/bin: what was compiled},
        the first of which gets the stamp. Raises Unavailable or BuildError."""
        apt.check_keyring()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.log.parent.mkdir(exist_ok=True)
        self.log.unlink(missing_ok=True)
        started = time.monotonic()
        print(f"{self.title} from Debian's source, about a minute: fetching ...", end="", flush=True)
        folder = self.fetch()
        print(" compiling ...", end="", flush=True)
        programs = compile_source(folder)
        for place, program in programs.items():
            install(program, place)
        stamp(next(iter(programs))).write_text(made_by)
        print(f" done in {time.monotonic() - started:.0f} s", flush=True)
        for name in self.sources:
            if note := version_note(folder, name):
                print(note)
        shutil.rmtree(self.folder)
