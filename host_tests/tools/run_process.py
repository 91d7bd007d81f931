"""A run as a person starts it: a process, what it prints, and what it leaves in its folder."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FASTEST = "200000"
LIMIT_S = 60.0


class Story:
    """One run, as a person starts it, in a process group of its own, which gets what the terminal would send."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        self.folder = folder
        self.text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.run", "--folder", str(folder), *options],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def read_until(self, words: str) -> None:
        """Read until `words` were printed."""
        out = self.process.stdout
        assert out is not None
        end = time.monotonic() + LIMIT_S
        while words not in self.text:
            ready = select.select([out], [], [], max(0.0, end - time.monotonic()))[0]
            data = os.read(out.fileno(), 65536) if ready else b""
            assert data, f"it ended, or {LIMIT_S} s went by, without {words!r}:\n{self.text}"
            self.text += data.decode()

    def interrupt(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> tuple[int, str]:
        """Wait for the end; returns the exit status and what was on stderr."""
        out, errors = self.process.communicate(timeout=LIMIT_S)
        self.text += out.decode()
        return self.process.returncode, errors.decode()

    def others(self) -> set[int]:
        """The processes that the run has started: all have its folder in their command line."""
        found = set()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(self.folder).encode() in command:
                found.add(int(entry.name))
        return found - {self.process.pid}

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "events.jsonl").read_text().splitlines()]

    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return found


def wait_for(condition: Callable[[], object]) -> None:
    """Look again and again, as only the kernel knows; fails after LIMIT_S."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end
        select.select([], [], [], 0.02)
