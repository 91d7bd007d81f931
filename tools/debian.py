"""Build the 32-bit Unix MicroPython from Debian's source packages.

Its objects have the size of the ESP32's and its floats are single, so heap limits and rounding seen here are the
board's. The same objects are linked a second time with tools/faults/, for the tests that want allocations to fail: that
costs a second, and the plain interpreter stays plain. apt fetches and verifies the sources (signed release file, then
hashes) with a configuration of its own under build/, so the machine's package lists stay as they are and no root is
needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "build" / "bin" / "micropython32"
FAULTS_SOURCE = ROOT / "tools" / "faults" / "faults.c"
WORK = ROOT / "build" / "debian"
LOG = ROOT / "build" / "log" / "micropython32.log"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

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


class Unavailable(Exception):
    """This machine cannot build it; the message says why, without a full stop."""


class BuildError(Exception):
    """A step of the build failed; the message is the log's end and one sentence."""


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


def entries(text: str) -> Iterator[dict[str, str]]:
    """The stanzas of a deb822 `.sources` file, with lower-case keys; comments and disabled stanzas left out."""
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t].*)*)", "\n".join(lines), re.MULTILINE))
        entry = {key.lower(): " ".join(value.split()) for key, value in fields.items()}
        if entry.get("uris") and entry.get("enabled", "yes").lower() != "no":
            yield entry


def mirrors_in(name: str, text: str) -> Iterator[str]:
    """The repository addresses named in one apt source file, in both of apt's formats."""
    if name.endswith(".sources"):
        for entry in entries(text):
            yield from entry["uris"].split()
    else:
        yield from re.findall(r"^\s*deb(?:-src)?\s+(?:\[[^\]]*\]\s*)?(\S+)", text, re.MULTILINE)


def mirror(apt: Path = Path("/etc/apt")) -> str:
    """This machine's Debian archive, from its own apt settings. Raises Unavailable."""
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    for file in files:
        if file.suffix in (".list", ".sources") and file.is_file():
            for address in mirrors_in(file.name, file.read_text()):
                if address.rstrip("/").endswith("/debian"):
                    return address
    raise Unavailable("apt on this machine names no Debian archive")


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
        raise Unavailable(f"{', '.join(missing)} not found (apt install {PACKAGES})")
    if not compiles_32bit():
        raise Unavailable(f"gcc makes no 32-bit programs here (apt install {PACKAGES})")
    if not KEYRING.exists():
        raise Unavailable(f"{KEYRING} not found (apt install debian-archive-keyring)")


def run(command: list[str], cwd: Path, env: dict[str, str] | None = None) -> None:
    """Run one step quietly into the log. Raises BuildError with the log's end."""
    with LOG.open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    if done.returncode:
        tail = LOG.read_text(errors="replace").splitlines()[-20:]
        sentence = f"The 32-bit MicroPython could not be built: `{command[0]}` failed; the whole log is {LOG}."
        raise BuildError("\n".join([*tail, sentence]))


def write_apt_settings() -> Path:
    """An apt of our own under build/: one signed source, no share in the system's lists, cache or locks."""
    apt = WORK / "apt"
    for folder in ("parts", "lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True)
    source = f"Types: deb-src\nURIs: {mirror()}\nSuites: {SUITE}\nComponents: main\nSigned-By: {KEYRING}\n"
    (apt / "parts" / "source.sources").write_text(source)
    settings = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": str(apt / "parts"),
        "Dir::State::lists": str(apt / "lists"),
        "Dir::Cache": str(apt / "cache"),
        # apt drops to a user who may not read this folder; as an ordinary user it changes nothing.
        "APT::Sandbox::User": "",
        "APT::Get::Assume-Yes": "true",
    }
    file = apt / "apt.conf"
    file.write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    return file


def fetch() -> Path:
    """Download and verify the two source packages; returns their folder."""
    env = {**os.environ, "APT_CONFIG": str(write_apt_settings()), "LC_ALL": "C"}
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
