"""A program of tools/cloud as a process on one core, and what it costs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tools import toolchain

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MB = 1e6


class Process:
    """`url` is where it listens."""

    def __init__(self, core: int) -> None:
        self._core = core
        self.url = ""

    async def start(self, module: str, config: Path, secrets: Mapping[str, str] | None = None) -> None:
        """secrets: more of its environment. Raises RuntimeError when it does not start; it has said why on stderr."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, "--config", str(config)),
            cwd=toolchain.ROOT,
            env={**os.environ, **(secrets or {})},
            stdout=asyncio.subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, {self._core}),
        )
        assert self._process.stdout
        line = (await self._process.stdout.readline()).decode()
        if "https://" not in line:
            raise RuntimeError(f"{module} did not start: {line!r}")
        self.url = line[line.index("https://") :].split(";")[0]

    async def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.wait()

    @property
    def cpu_s(self) -> float:
        """Of a processor's time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    @property
    def resident_mb(self) -> float:
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * _PAGE_BYTES / _MB
