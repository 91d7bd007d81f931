"""Build the emulated board's MicroPython from Debian's source package and tools/qemu/.

What was compiled is kept, so that an image with something else frozen into it takes seconds (`freeze`).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tools import debian

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "build" / "bin" / "qemu-firmware.elf"
PORT_FILES = ROOT / "tools" / "qemu"
BUILD = debian.Build("qemu-firmware", "The emulated board's MicroPython", ("micropython",))
BOARD = "APPLIANCE"
# The source with what was compiled of it.
KEPT = ROOT / "build" / "qemu-port"
_NOT_KEPT = ("docs", "examples", "logo", "tests")

COMPILER = "arm-none-eabi-gcc"
EMULATOR = "qemu-system-arm"
PACKAGES = "build-essential dpkg-dev patch gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"


def port_files() -> list[Path]:
    """What is put over MicroPython's port for QEMU."""
    return sorted(file for file in PORT_FILES.rglob("*") if file.is_file() and file.name != "README.md")


def recipe() -> str:
    return debian.recipe(BOARD, [(str(file.relative_to(PORT_FILES)), file.read_text()) for file in port_files()])


def is_current() -> bool:
    return debian.is_made_by(RESULT, recipe()) and KEPT.exists()


def check_machine() -> None:
    """Raises Unavailable naming what is missing, also for running it."""
    debian.check_programs((*debian.PROGRAMS, COMPILER, EMULATOR), PACKAGES)


def compile_source(folder: Path) -> dict[Path, Path]:
    """The firmware: where it goes and what was compiled."""
    tree = folder / "micropython"
    port = tree / "ports" / "qemu"
    for file in port_files():
        place = port / file.relative_to(PORT_FILES)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, place)
    BUILD.compile_cross(tree)
    BUILD.run(["make", debian.JOBS, f"BOARD={BOARD}"], port)
    _keep(tree)
    return {RESULT: _compiled()}


def _compiled() -> Path:
    return KEPT / "ports" / "qemu" / f"build-{BOARD}" / "firmware.elf"


def _keep(tree: Path) -> None:
    """Moved, for make goes by the dates of files; of 67 MB a third."""
    others = [port for port in (tree / "ports").iterdir() if port.is_dir() and port.name != "qemu"]
    for folder in [*others, *(tree / name for name in _NOT_KEPT)]:
        shutil.rmtree(folder)
    shutil.rmtree(KEPT, ignore_errors=True)
    tree.rename(KEPT)


def build() -> None:
    """Build it. Raises Unavailable or BuildError."""
    check_machine()
    BUILD.make(recipe(), compile_source)


def freeze(manifest: Path, settings: dict[str, str], place: Path) -> None:
    """The same firmware with what this manifest freezes, as the file `place`; one at a time. settings: what the manifest reads in its
    environment. Raises Unavailable or BuildError."""
    check_machine()
    if not is_current():
        build()
    port = KEPT / "ports" / "qemu"
    BUILD.log.parent.mkdir(exist_ok=True)
    # MicroPython makes it anew only when a frozen file is newer, not when another manifest leaves one out.
    (_compiled().parent / "frozen_content.c").unlink(missing_ok=True)
    command = ["make", debian.JOBS, f"BOARD={BOARD}", f"FROZEN_MANIFEST={manifest}"]
    BUILD.run([*command, *(f"{name}={value}" for name, value in settings.items())], port)
    debian.install(_compiled(), place)
