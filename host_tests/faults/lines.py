"""On CPython: a MemoryError at every line of the firmware that an act executes."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any


class Lines:
    """The interface of points.py. A line that raises has not been executed."""

    error = (MemoryError,)
    ways = 1
    kind = ""
    way = None

    def __init__(self) -> None:
        self._count = self._first = 0
        self._lasting = self._spared = False

    def fail_at(self, k: int, lasting: bool = False, way: int = 0) -> None:
        self._first, self._lasting, self._count = k, lasting, 0
        sys.settrace(self._enter)

    def count(self) -> int:
        sys.settrace(None)
        return self._count

    def spare(self, on: bool) -> bool:
        before, self._spared = self._spared, on
        return before

    def meet(self, kind: str, ways: tuple[str, ...]) -> None:
        return None

    def lasts(self) -> bool:
        return False

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        return self._line if "/firmware/replenish/" in frame.f_code.co_filename else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line" and not self._spared:
            self._count += 1
            if self._first and (self._count >= self._first if self._lasting else self._count == self._first):
                self.kind = f"{frame.f_code.co_filename.rsplit('/', 1)[1]}:{frame.f_lineno}"
                raise MemoryError
        return self._line
