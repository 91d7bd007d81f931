"""device.py, or mqtt_device.py, as a process on one of the interpreters."""

from __future__ import annotations

import json
import select
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from host_tests.scenarios.interpreters import Interpreter
from host_tests.unix_port import translate

SCRIPT = Path(__file__).with_name("device.py")
TOKEN = "Atza|" + "t" * 361  # 366 characters, as the shortest real ones have
GRACE_S = 20  # beyond a call's deadline, until the device counts as hanging


class DeviceError(Exception):
    """The device crashed or hangs."""


class Device:
    """One device that makes calls. A context manager; the process ends with it."""

    def __init__(self, interpreter: Interpreter, anchors: list[Path], heap: str = "", script: Path = SCRIPT) -> None:
        if not interpreter.is_cpython:
            script = translate.place(script)
        self._command = interpreter.command(script, *map(str, anchors), heap=heap)
        self._environment = interpreter.environment()
        self._errors = tempfile.TemporaryFile("w+")

    def __enter__(self) -> Device:
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def start(
        self, endpoint: str, call: str = "replenish", timeout_ms: int = 5000, close: bool = False, left: int | None = None
    ) -> None:
        """Tell the device to make a call; `result` waits for its end."""
        asked = {"call": call, "endpoint": endpoint, "token": TOKEN, "timeout_ms": timeout_ms, "close": close, "left": left}
        self.tell(asked, timeout_ms / 1000 + GRACE_S)

    def tell(self, asked: dict[str, Any], limit_s: float) -> None:
        """Give the script a line; `result` waits so long for what it reports."""
        assert self._process.stdin
        self._limit_s = limit_s
        try:
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._dead("crashed before a call") from None

    def result(self) -> dict[str, Any]:
        """What the script reports. Raises DeviceError."""
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], self._limit_s)[0]:
            self._process.kill()
            raise self._dead("hangs")
        line = self._process.stdout.readline()
        if not line:
            raise self._dead("crashed in a call")
        found: dict[str, Any] = json.loads(line)
        return found

    def call(self, endpoint: str, **asked: Any) -> dict[str, Any]:
        """`start` and `result`."""
        self.start(endpoint, **asked)
        return self.result()

    def _dead(self, how: str) -> DeviceError:
        code = self._process.wait(GRACE_S)
        self._errors.seek(0)
        return DeviceError(f"the device {how} (status {code}): {self._errors.read()[-2000:]}")
