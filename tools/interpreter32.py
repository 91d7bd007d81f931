"""Build the 32-bit Unix MicroPython from Debian's source packages.

Its objects have the size of the ESP32's and its floats are single, so heap limits and rounding seen here are the
board's. The same objects are linked a second time with tools/faults/, for the tests that want allocations to fail: that
costs a second, and the plain interpreter stays plain.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tools import apt, debian

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "build" / "bin" / "micropython32"
FAULTS_SOURCE = ROOT / "tools" / "faults" / "faults.c"
BUILD = debian.Build("micropython32", "The 32-bit MicroPython", ("micropython", "mbedtls"))

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
PACKAGES = "build-essential gcc-multilib dpkg-dev patch"


def recipe() -> str:
    return debian.recipe(SYSTEM_TLS_PATCH, MAKE_OPTIONS, C_OPTIONS, FAULTS_WRAPPED, FAULTS_SOURCE.read_text())


def faults_program() -> Path:
    """Where the second interpreter stands, the one whose allocations can be made to fail."""
    return RESULT.with_name(f"{RESULT.name}-faults")


def is_current() -> bool:
    return debian.is_made_by(RESULT, recipe()) and faults_program().exists()


def compiles_32bit() -> bool:
    """Whether gcc can make 32-bit programs here: that needs the 32-bit C library's headers too."""
    source = b"#include <stdio.h>\nint main(void) { return 0; }\n"
    command = ["gcc", "-m32", "-x", "c", "-", "-o", "/dev/null"]
    return subprocess.run(command, input=source, capture_output=True, check=False).returncode == 0


def check_machine() -> None:
    """Raises Unavailable naming the first thing that is missing."""
    debian.check_programs(debian.PROGRAMS, PACKAGES)
    if not compiles_32bit():
        raise apt.Unavailable(f"gcc makes no 32-bit programs here (apt install {PACKAGES})")


def put_tls_in(folder: Path) -> Path:
    """MicroPython's source with mbedTLS's put in its place; returns the tree."""
    tree = folder / "micropython"
    BUILD.run(["patch", "-s", "-R", "-p1", "-i", SYSTEM_TLS_PATCH], tree)
    shutil.rmtree(tree / "lib" / "mbedtls", ignore_errors=True)
    (folder / "mbedtls").rename(tree / "lib" / "mbedtls")
    return tree


def compile_source(folder: Path) -> dict[Path, Path]:
    """The interpreter, and the one with faults: where each goes and what was compiled."""
    tree = put_tls_in(folder)
    BUILD.compile_cross(tree)
    port = tree / "ports" / "unix"
    interpreter = ["make", debian.JOBS, *MAKE_OPTIONS, f"CFLAGS_EXTRA={' '.join(C_OPTIONS)}", "BUILD=build-32"]
    BUILD.run(interpreter, port)
    # Not by USER_C_MODULES: a module that the build knows of would be in every object, and in the plain interpreter.
    shutil.copy2(FAULTS_SOURCE, port / "faults.c")
    BUILD.run([*interpreter, "build-32/faults.o"], port)
    wrapped = [f"-Wl,--wrap={name}" for name in FAULTS_WRAPPED]
    link = ["PROG=micropython-faults", f"LDFLAGS_EXTRA={' '.join(wrapped)} build-32/faults.o"]
    BUILD.run([*interpreter, *link, "build-32/micropython-faults"], port)
    return {RESULT: port / "build-32" / "micropython", faults_program(): port / "build-32" / "micropython-faults"}


def build() -> None:
    """Build it. Raises Unavailable or BuildError."""
    check_machine()
    BUILD.make(recipe(), compile_source)
