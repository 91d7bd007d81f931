"""Build the 32-bit Unix MicroPython from Debian's source packages.

Its objects have the size of the ESP32's and its floats are single, so heap limits and rounding seen here are the
board's. The same objects are linked a second time with tools/faults/, for the tests that want allocations to fail: that
costs a second, and the plain interpreter stays plain. No root is needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

from tools import apt

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "build" / "bin" / "micropython32"
FAULTS_SOURCE = ROOT / "tools" / "faults" / "faults.c"
WORK = ROOT / "build" / "debian"
LOG = ROOT / "build" / "log" / "micropython32.log"

SUITE = "trixie"
# The upstream versions this recipe was written for; another version is tried, and named.
EXPECTED = {"micropython": "1.25.0", "mbedtls": "3.6."}
# Debian links its own mbedTLS 2.28; with this patch taken back the 3.6 source is compiled in, as on the ESP32.
SYSTEM_TLS_PATCH = "debian/patches/0006-extmod-Use-system-mbedtls.patch"
MAKE_OPTIONS = (
    "MICROPY_FORCE_32BIT=1",
    "MICROPY_SSL_AXTLS=0",
    "MICROPY_SSL_MBEDTLS=1",
    "MICROPY_PY_BTREE=0",  # its source is not in the package
    "MICROPY_PY_FFI=0",  # would need a 32-bit libffi
    "FROZEN_MANIFEST=../../debian/config/manifest.py",
)
C_OPTIONS = (
    "-DMICROPY_FLOAT_IMPL=MICROPY_FLOAT_IMPL_FLOAT",
    "-DMBEDTLS_PEM_PARSE_C",  # trust anchors as PEM, off in MicroPython's own configuration
    "-DMBEDTLS_BASE64_C",
)
# The linker sends these calls to the functions of faults.c.
FAULTS_WRAPPED = ("gc_alloc", "gc_realloc", "mp_init")
PROGRAMS = ("gcc", "make", "patch", "apt-get", "dpkg-source")
PACKAGES = "build-essential gcc-multilib dpkg-dev patch"


def recipe() -> str:
    """A hash of everything that decides what comes out, so that a changed recipe is built again."""
    parts = [SUITE, EXPECTED, SYSTEM_TLS_PATCH, MAKE_OPTIONS, C_OPTIONS, platform.machine(), FAULTS_WRAPPED, FAULTS_SOURCE.read_text()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def faults_program() -> Path:
    """Where the second interpreter stands, the one whose allocations can be made to fail."""
    return RESULT.with_name(f"{RESULT.name}-faults")


def is_current() -> bool:
    stamp = RESULT.with_suffix(".recipe")
    return RESULT.exists() and faults_program().exists() and stamp.exists() and stamp.read_text() == recipe()


def missing_programs() -> list[str]:
    return [name for name in PROGRAMS if shutil.which(name) is None]


def compiles_32bit() -> bool:
    """Whether gcc can make 32-bit programs here: that needs the 32-bit C library's headers too."""
    source = b"#include <stdio.h>\nint main(void) { return 0; }\n"
    command = ["gcc", "-m32", "-x", "c", "-", "-o", "/dev/null"]
    return subprocess.run(command, input=source, capture_output=True, check=False).returncode == 0


def check_machine() -> None:
    """Raises Unavailable naming the first thing that is missing."""
    if missing := missing_programs():
        raise apt.Unavailable(f"{', '.join(missing)} not found (apt install {PACKAGES})")
    if not compiles_32bit():
        raise apt.Unavailable(f"gcc makes no 32-bit programs here (apt install {PACKAGES})")
    apt.check_keyring()


def run(command: list[str], cwd: Path, env: dict[str, str] | None = None) -> None:
    """Run one step quietly into the log. Raises BuildError with the log's end."""
    apt.run(command, cwd, LOG, "The 32-bit MicroPython could not be built", env)


def fetch() -> Path:
    """Download and verify the two source packages; returns their folder."""
    env = apt.environment(WORK / "apt", "deb-src", SUITE)
    folder = WORK / "source"
    folder.mkdir()
    run(["apt-get", "update"], folder, env)
    run(["apt-get", "source", "--download-only", *EXPECTED], folder, env)
    return folder


def version_note(folder: Path, name: str) -> str | None:
    """One line when the archive has another upstream version than this recipe knows."""
    found = next(folder.glob(f"{name}_*.dsc")).stem.split("_")[1]
    if found.startswith(EXPECTED[name]):
        return None
    return f"note: Debian now has {name} {found}; this recipe was written for {EXPECTED[name]}"


def unpack(folder: Path) -> Path:
    """MicroPython's source with mbedTLS's put in its place; returns the tree."""
    for name in EXPECTED:
        package = next(folder.glob(f"{name}_*.dsc"))
        # No signature check here: apt has verified the file against the archive's signed index.
        run(["dpkg-source", "--no-check", "-x", package.name, name], folder)
    tree = folder / "micropython"
    run(["patch", "-s", "-R", "-p1", "-i", SYSTEM_TLS_PATCH], tree)
    shutil.rmtree(tree / "lib" / "mbedtls", ignore_errors=True)
    (folder / "mbedtls").rename(tree / "lib" / "mbedtls")
    return tree


def compile_tree(tree: Path) -> tuple[Path, Path]:
    """Compile mpy-cross (it freezes the modules) and the interpreter; returns the program, and the one with faults."""
    jobs = f"-j{os.cpu_count() or 1}"
    # MAKEFLAGS of the `make` that called us would hand our targets' settings down.
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    run(["make", "-C", "mpy-cross", jobs], tree, env)
    port = tree / "ports" / "unix"
    interpreter = ["make", jobs, *MAKE_OPTIONS, f"CFLAGS_EXTRA={' '.join(C_OPTIONS)}", "BUILD=build-32"]
    run(interpreter, port, env)
    # Not by USER_C_MODULES: a module that the build knows of would be in every object, and in the plain interpreter.
    shutil.copy2(FAULTS_SOURCE, port / "faults.c")
    run([*interpreter, "build-32/faults.o"], port, env)
    wrapped = [f"-Wl,--wrap={name}" for name in FAULTS_WRAPPED]
    link = ["PROG=micropython-faults", f"LDFLAGS_EXTRA={' '.join(wrapped)} build-32/faults.o"]
    run([*interpreter, *link, "build-32/micropython-faults"], port, env)
    return port / "build-32" / "micropython", port / "build-32" / "micropython-faults"


def install(program: Path, place: Path) -> None:
    """Put a program into build/bin in one step, also where another one is running."""
    place.parent.mkdir(exist_ok=True)
    fresh = place.with_name(f"{place.name}.new")
    shutil.copy2(program, fresh)
    fresh.replace(place)


def build() -> None:
    """Build it if the recipe changed: about a minute on two cores. Raises Unavailable or BuildError."""
    check_machine()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    LOG.parent.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    started = time.monotonic()
    print("32-bit MicroPython from Debian's source, about a minute: fetching ...", end="", flush=True)
    folder = fetch()
    print(" compiling ...", end="", flush=True)
    program, with_faults = compile_tree(unpack(folder))
    install(program, RESULT)
    install(with_faults, faults_program())
    RESULT.with_suffix(".recipe").write_text(recipe())
    print(f" done in {time.monotonic() - started:.0f} s", flush=True)
    for name in EXPECTED:
        if note := version_note(folder, name):
            print(note)
    shutil.rmtree(WORK)
