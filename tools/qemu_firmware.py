"""Build the emulated board's MicroPython from Debian's source package and tools/qemu/."""

from __future__ import annotations

import shutil
from pathlib import Path

from tools import debian

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "build" / "bin" / "qemu-firmware.elf"
PORT_FILES = ROOT / "tools" / "qemu"
BUILD = debian.Build("qemu-firmware", "The emulated board's MicroPython", ("micropython",))
BOARD = "APPLIANCE"

COMPILER = "arm-none-eabi-gcc"
EMULATOR = "qemu-system-arm"
PACKAGES = "build-essential dpkg-dev patch gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"


def port_files() -> list[Path]:
    """What is put over MicroPython's port for QEMU."""
    return sorted(file for file in PORT_FILES.rglob("*") if file.is_file() and file.name != "README.md")


def recipe() -> str:
    return debian.recipe(BOARD, [(str(file.relative_to(PORT_FILES)), file.read_text()) for file in port_files()])


def is_current() -> bool:
    return debian.is_made_by(RESULT, recipe())


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
    return {RESULT: port / f"build-{BOARD}" / "firmware.elf"}


def build() -> None:
    """Build it. Raises Unavailable or BuildError."""
    check_machine()
    BUILD.make(recipe(), compile_source)
