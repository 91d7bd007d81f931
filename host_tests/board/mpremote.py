"""The real mpremote, as a program, at a board's port."""

from __future__ import annotations

import subprocess
import sys

from tools.emulator import Emulator

_LIMIT_S = 60


def mpremote(board: Emulator, *arguments: str) -> str:
    """What `mpremote connect PORT ARGUMENTS` printed. Raises AssertionError with its output when it fails."""
    command = [sys.executable, "-m", "mpremote", "connect", board.port, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    assert done.returncode == 0, f"{' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout
