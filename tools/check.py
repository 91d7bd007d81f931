"""`make check`: everything that can be said about the source without running it.

Every step runs, and each is one line, with its output only when it failed. Exit status 1 when any did.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools import boards, build

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE_CHECK = ["mypy", "--config-file", "tools/mypy_firmware.ini"]


def steps() -> list[tuple[str, list[str]]]:
    """What is run: a name for the person, and a module of ours with its arguments."""
    listed = [
        ("lint", ["ruff", "check", "--quiet", "."]),
        ("types, tools and tests", ["mypy", "tools", "host_tests"]),
        ("types, firmware", [*FIRMWARE_CHECK, "-p", "replenish"]),
        ("board facts", ["tools.boards"]),
        ("the order machine's drawing", ["tools.diagram", "--check"]),
    ]
    starters = [f"firmware/{name}" for name in (*build.STARTERS, f"{build.LOADER}.py") if (build.FIRMWARE / name).exists()]
    if starters:
        listed.append(("types, starters", [*FIRMWARE_CHECK, *starters]))
    listed += [(f"compile, {name}", ["tools.build", "--board", name]) for name in boards.names()]
    return listed


def run(name: str, command: list[str]) -> bool:
    """Run one step and print its line; True when it passed."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    print(f"  {name:28}{'FAILED' if done.returncode else 'ok'}", flush=True)
    if done.returncode:
        print(done.stdout + done.stderr, flush=True)
    return done.returncode == 0


def main() -> int:
    results = [run(name, command) for name, command in steps()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
