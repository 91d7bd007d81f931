"""Make build/venv, the Python that the tools and the tests run in, from the lock files.

Run by the Makefile with the system's own Python, so it uses the standard library only:

    python3 tools/environment.py run      what `make run` needs (about 10 s)
    python3 tools/environment.py all      that, and what tests, checks and flashing need
    python3 tools/environment.py stubs    the ESP32 type stubs, into build/stubs

Each stage leaves a stamp beside the environment with the hash of its lock file, and does nothing while that fits.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / "build" / "venv"
STUBS = ROOT / "build" / "stubs"
LOG = ROOT / "build" / "log" / "venv.log"
MINIMUM = (3, 11)

# stage -> (lock file, where it is installed, what the person reads while waiting)
STAGES = {
    "run": ("requirements-run.lock", VENV, "Python packages"),
    "all": ("requirements.lock", VENV, "Python packages for tests and checks"),
    "stubs": ("requirements-stubs.lock", STUBS, "ESP32 type stubs"),
}


class SetupError(Exception):
    """The environment cannot be made; the message is one sentence for the person."""


def fingerprint(lock: Path) -> str:
    """What the environment was made from: the lock's content and the Python that runs it."""
    version = ".".join(map(str, sys.version_info[:2]))
    return f"{version} {hashlib.sha256(lock.read_bytes()).hexdigest()}\n"


def stamp_of(stage: str) -> Path:
    return ROOT / "build" / f"venv-{stage}.stamp"


def is_current(stage: str) -> bool:
    lock, home, _ = STAGES[stage]
    stamp = stamp_of(stage)
    return home.is_dir() and stamp.is_file() and stamp.read_text() == fingerprint(ROOT / "tools" / lock)


def run_logged(command: list[str], env: dict[str, str] | None = None) -> None:
    """Run quietly into the log; on failure show the log's end. Raises SetupError."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("ab") as log:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, check=False)
    if done.returncode:
        tail = LOG.read_text(errors="replace").splitlines()[-15:]
        raise SetupError("\n".join([*tail, f"Installing Python packages failed; the whole log is {LOG}."]))


def pip_command() -> list[str]:
    """How to call pip for build/venv: its own, or the system's when the environment was made without one."""
    if (VENV / "bin" / "pip").exists():
        return [str(VENV / "bin" / "python"), "-m", "pip"]
    return [sys.executable, "-m", "pip", "--python", str(VENV / "bin" / "python")]


def has_module(name: str) -> bool:
    return subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, check=False).returncode == 0


def create_venv() -> None:
    """A fresh build/venv. Debian without python3-venv has no ensurepip: then the system's pip has to do it."""
    shutil.rmtree(VENV, ignore_errors=True)
    for stage in ("run", "all"):
        stamp_of(stage).unlink(missing_ok=True)
    if has_module("ensurepip"):
        run_logged([sys.executable, "-m", "venv", str(VENV)])
    elif has_module("pip") and has_module("venv"):
        run_logged([sys.executable, "-m", "venv", "--without-pip", str(VENV)])
    else:
        raise SetupError("This Python can make no virtual environment: install python3-venv (apt install python3-venv).")


def install(stage: str) -> None:
    """Install the stage's lock. setuptools is in the first stage, so building esptool downloads nothing unlocked."""
    lock, home, _ = STAGES[stage]
    command = [*pip_command(), "install", "-q", "--disable-pip-version-check", "--no-input", "--require-hashes"]
    command += ["--no-build-isolation", "-r", str(ROOT / "tools" / lock)]
    if stage == "stubs":
        shutil.rmtree(home, ignore_errors=True)
        command += ["--no-deps", "--target", str(home)]
    # An activated environment or a user site must not leak into ours.
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET")}
    run_logged(command, env)


def ensure(stage: str) -> None:
    """Bring one stage up to date, those below it first."""
    if is_current(stage):
        return
    if stage == "run":
        create_venv()
    else:
        if stage == "all" and stamp_of("all").exists():  # another lock than before: keep nothing of the old one
            stamp_of("run").unlink(missing_ok=True)
        ensure("run")
    started = time.monotonic()
    print(f"{STAGES[stage][2]}: installing ...", end="", flush=True)
    install(stage)
    stamp_of(stage).write_text(fingerprint(ROOT / "tools" / STAGES[stage][0]))
    print(f" done in {time.monotonic() - started:.0f} s", flush=True)


def main(argv: list[str]) -> int:
    if sys.version_info < MINIMUM:
        print(f"Python {MINIMUM[0]}.{MINIMUM[1]} or newer is needed; this is {sys.version.split()[0]} ({sys.executable}).")
        return 1
    if len(argv) != 1 or argv[0] not in STAGES:
        print(f"usage: environment.py {{{','.join(STAGES)}}}", file=sys.stderr)
        return 2
    VENV.parent.mkdir(exist_ok=True)
    try:
        with (VENV.parent / "environment.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two commands at once: the second finds the work done
            ensure(argv[0])
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
