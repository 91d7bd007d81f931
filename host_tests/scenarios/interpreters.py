"""The three interpreters on which scenarios run the firmware: CPython with the shim, and both Unix ports with the built .mpy files."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from host_tests.unix_port import translate

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = ROOT / "build" / "bin"
NAMES = ("cpython", "micropython", "micropython32")


@dataclass(frozen=True)
class Interpreter:
    """How to run a dual script: `name` is one of NAMES."""

    name: str

    @property
    def path(self) -> Path:
        return Path(sys.executable) if self.is_cpython else BIN / self.name

    @property
    def is_cpython(self) -> bool:
        return self.name == "cpython"

    def is_there(self) -> bool:
        return os.access(self.path, os.X_OK)

    def command(self, script: Path, *arguments: str, heap: str = "") -> list[str]:
        """heap: MicroPython's, such as "96k"; "" for the interpreter's default."""
        option = ["-X", f"heapsize={heap}"] if heap and not self.is_cpython else []
        return [str(self.path), *option, str(script), *arguments]

    def environment(self) -> dict[str, str]:
        """With the firmware and, on MicroPython, the scripts of host_tests in its names."""
        if self.is_cpython:
            return {**os.environ, "PYTHONPATH": str(ROOT)}
        return {**os.environ, "MICROPYPATH": f"{ROOT / 'build/unix/lib'}:{translate.tree()}:.frozen"}
