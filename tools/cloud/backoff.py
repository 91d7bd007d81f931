"""Waiting between tries: full jitter, so that many relays do not come back in the same second."""

import asyncio
import random
import time

FIRST_S = 0.5
LIMIT_S = 30.0
# What held for as long as the longest wait was no failure.
_HELD_S = LIMIT_S


class Backoff:
    """Doubles the range of each wait until something held."""

    def __init__(self) -> None:
        self._failures = 0
        self._since: float | None = None

    def started(self) -> None:
        """What is tried has begun to work; it counts as held if it does so for a while."""
        self._since = time.monotonic()

    async def sleep(self) -> None:
        """Wait a random part of the range; call it after each failure."""
        if self._since is not None and time.monotonic() - self._since >= _HELD_S:
            self._failures = 0
        self._since = None
        await asyncio.sleep(random.uniform(0, min(LIMIT_S, FIRST_S * 2**self._failures)))
        self._failures = min(self._failures + 1, 16)
