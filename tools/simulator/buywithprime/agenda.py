"""What will happen by itself: each thing at exactly its own virtual time, however rarely anybody looks."""

import heapq
from collections.abc import Callable

from tools.simulator.clock import Clock


class Agenda:
    """Things to do, by their time; of two with the same time the one that was put down first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: list[tuple[int, int, Callable[[int], None]]] = []
        self._added = 0

    def at(self, due: int, act: Callable[[int], None]) -> None:
        """Call `act(due)` when `due`, in virtual Unix seconds, has come."""
        self._added += 1
        heapq.heappush(self._entries, (due, self._added, act))

    def advance(self) -> int:
        """Do all that is due by now; returns the time."""
        now = self._clock.now()
        while self._entries and self._entries[0][0] <= now:
            due, _, act = heapq.heappop(self._entries)
            act(due)
        return now

    def next_due(self) -> int | None:
        """When the next thing is to be done; None if nothing is."""
        self.advance()
        return self._entries[0][0] if self._entries else None
