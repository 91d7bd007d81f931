"""A program of tools/cloud as a process, which can be killed and started again at the same address."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tools import toolchain

END_S = 20


class CloudProcess:
    """`with CloudProcess(...) as process`: it runs, unless it was killed."""

    def __init__(self, module: str, config: Path, output: Path, ready: str, secrets: Mapping[str, str] | None = None) -> None:
        """ready: what its first line says; secrets: more of its environment."""
        self.output = output
        self._command = [sys.executable, "-m", module, "--config", str(config)]
        self._ready = ready
        self._secrets = secrets or {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process:
            self.kill()

    def start(self) -> None:
        """Returns when it is ready."""
        with self.output.open("ab") as output:
            environment = {**os.environ, **self._secrets}
            self._process = subprocess.Popen(
                self._command, cwd=toolchain.ROOT, env=environment, stdout=subprocess.PIPE, stderr=output
            )
        assert self._process.stdout
        line = self._process.stdout.readline().decode()
        assert self._ready in line, line + self.output.read_text()

    def kill(self) -> None:
        """kill -9. Returns when it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Stop it as its machine would; the exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        assert self._process and self._process.stdout
        self._process.send_signal(how)
        status = self._process.wait(END_S)
        self._process.stdout.close()
        self._process = None
        return status
