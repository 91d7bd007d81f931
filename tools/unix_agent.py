"""build/unix/agent: run the agent under Unix MicroPython, and stop it cleanly on a signal.

    build/unix/agent CONFIG.json [--once]

MicroPython has no signal handlers, so this program holds the write end of the interpreter's standard input: on
SIGTERM, SIGINT or SIGHUP it closes it, the agent sees the end of its input and stops. Killed with -9, the kernel closes
it, with the same effect. The state folder is locked with a descriptor that the interpreter inherits, so the lock lasts
as long as either process.

On a terminal the agent's waits are counted down under its events (tools/countdown.py).

Environment: HEAP=96k sets the MicroPython heap, MICROPYTHON=/path another interpreter.
Exit status: 0 after a clean stop, 2 for wrong usage, a bad configuration or a second agent, else the agent's own.

Started with `python -I`, from any folder: it imports the standard library, and what it needs of tools/ by its place.
"""

from __future__ import annotations

import argparse
import fcntl
import importlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
UNIX = ROOT / "build" / "unix"
# An agent in a call to a service ends it by the call's total deadline, 20 s; past that it hangs.
STOP_LIMIT_S = 30
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
HEAP_LIMITS = (16 * 1024, 512 * 1024 * 1024)


class UsageError(Exception):
    """The agent is not started; the message is one sentence a line for the person. Exit status 2."""


def heap_option(setting: str | None) -> list[str]:
    """The interpreter's option for HEAP=; no setting is the interpreter's default. Raises UsageError."""
    if not setting:
        return []
    found = re.fullmatch(r"([1-9][0-9]{0,9})([kKmM]?)", setting)
    size = int(found[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[found[2].lower()] if found else 0
    if not HEAP_LIMITS[0] <= size <= HEAP_LIMITS[1]:
        raise UsageError(f"HEAP={setting}: bytes, or KiB with k, or MiB with m, from 16k to 512m, are allowed.")
    return ["-X", f"heapsize={size}"]


def interpreter(setting: str | None) -> str:
    """The MicroPython to run. Raises UsageError when it is not there."""
    path = Path(setting) if setting else ROOT / "build" / "bin" / "micropython"
    if not os.access(path, os.X_OK) or path.is_dir():
        raise UsageError(f"MICROPYTHON={path}: an executable MicroPython is allowed (`make unix` provides one).")
    return str(path)


def ours(name: str) -> types.ModuleType:
    """A module of tools/, by its place."""
    sys.dont_write_bytecode = True  # a bad configuration writes nothing, anywhere
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module("tools." + name)
    finally:
        sys.path.remove(str(ROOT))


def load_config(path: Path) -> dict[str, Any]:
    """The configuration as the agent will have it. Raises UsageError with every fault."""
    configuration = ours("configuration")
    values, faults = configuration.load(path)
    if faults:
        raise UsageError("\n".join(faults))
    return values


def lock_state(folder: Path) -> int:
    """Make the state folder if needed and lock it; returns the descriptor that holds the lock. Raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # a folder that is there may still not take a file
            pass
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UsageError(f"{folder}: the state folder cannot be used: {error.strerror}.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise UsageError(f"{folder}: another agent is running on this state folder.") from None
    return lock


def unblock_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def start(command: list[str], lock: int, heard: bool) -> subprocess.Popen[bytes]:
    """Start the interpreter in a session of its own: a terminal's Ctrl-C reaches only us, the agent only its input.

    In build/unix, so that the path of modules is short: MicroPython keeps each module's file name in its heap. heard: its events come
    through us.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if heard else None,
        cwd=UNIX,
        env={**os.environ, "MICROPYPATH": "lib:.frozen"},
        pass_fds=(lock,),
        start_new_session=True,
        preexec_fn=unblock_signals,
    )


def wait_for_end(child: subprocess.Popen[bytes], limit_s: float) -> bool:
    """Wait for the child's end; False when the limit passed first. SIGCHLD is blocked, so none is missed."""
    end = time.monotonic() + limit_s
    while child.poll() is None:
        left = end - time.monotonic()
        if left <= 0:
            return False
        signal.sigtimedwait({signal.SIGCHLD}, left)
    return True


def stop(child: subprocess.Popen[bytes]) -> int:
    """Ask the agent to stop by closing its input; returns our exit status."""
    assert child.stdin is not None  # noqa: S101 (start() made it a pipe)
    child.stdin.close()
    if not wait_for_end(child, STOP_LIMIT_S):
        child.kill()
        child.wait()
        print(f"The agent did not stop within {STOP_LIMIT_S} s and was killed.", file=sys.stderr)
    return exit_status(child)


def exit_status(child: subprocess.Popen[bytes]) -> int:
    """The child's status as a shell shows it: 128 + the signal when it died of one."""
    code = child.returncode
    return code if code >= 0 else 128 - code


def supervise(child: subprocess.Popen[bytes]) -> int:
    """Wait for the agent's end or a signal. SIGCHLD without an end (a stopped child) is passed over."""
    while child.poll() is None:
        if signal.sigwait(STOP_SIGNALS | {signal.SIGCHLD}) in STOP_SIGNALS:
            return stop(child)
    return exit_status(child)


def count_down(child: subprocess.Popen[bytes], scale: int) -> threading.Thread:
    """Show the agent's events, and its waits under them, until it ends. The signals stay blocked in the thread too."""
    countdown, console = ours("countdown"), importlib.import_module("rich.console").Console()
    assert child.stdout is not None  # noqa: S101 (start() made it a pipe)
    lines = (line.decode(errors="replace") for line in child.stdout)
    thread = threading.Thread(target=countdown.show, args=(lines, console, scale))
    thread.start()
    return thread


def run(options: argparse.Namespace) -> int:
    """Check everything, then start and supervise the agent; returns the exit status. Raises UsageError."""
    # Blocked, not handled: they wait until supervise() asks for them, and none can fall between two statements.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS | {signal.SIGCHLD})
    command = [interpreter(os.environ.get("MICROPYTHON")), *heap_option(os.environ.get("HEAP"))]
    command += ["main.py", os.path.abspath(options.config)]
    if options.once:
        command.append("--once")
    config = load_config(Path(options.config))
    child = start(command, lock_state(Path(config["state"])), sys.stdout.isatty())
    shown = count_down(child, config["clock"]["time_scale"]) if child.stdout else None
    status = supervise(child)
    if shown:
        shown.join()
    return status


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="agent", description="Run the replenishment agent under Unix MicroPython.")
    parser.add_argument("config", metavar="CONFIG.json")
    parser.add_argument("--once", action="store_true", help="one wake cycle, then exit")
    try:
        return run(parser.parse_args(argv))
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
