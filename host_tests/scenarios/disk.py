"""A small disk of its own for an agent's state: it can be filled, freed, and made read-only, for real."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SIZE_KB = 256


class Disk:
    """A tmpfs at `path`, for a `with` statement. The test is skipped where it may not be mounted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ballast = path / "ballast.bin"

    def __enter__(self) -> Disk:
        self._path.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_KB}k", "tmpfs", str(self._path)], capture_output=True)
        if mounted.returncode:
            pytest.skip(f"needs root to mount a disk: {mounted.stderr.decode().strip()}")
        return self

    def __exit__(self, *exception: object) -> None:
        subprocess.run(["umount", str(self._path)], check=True)

    def fill(self) -> None:
        """Leave no room for another byte of content."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while file.write(bytes(1024)):
                    pass
            except OSError:
                return

    def free(self) -> None:
        """Room again."""
        self._ballast.unlink()

    def set_writable(self, writable: bool) -> None:
        """Mount it again, read-only or not. Refused by the system for as long as somebody has a file open for writing: so again."""
        option = "remount,rw" if writable else "remount,ro"
        for _ in range(1000):
            if not subprocess.run(["mount", "-o", option, str(self._path)], capture_output=True).returncode:
                return
        raise AssertionError(f"mount -o {option} was refused")
