"""A slot's intents, found by asking for one counter after the other: the shop has no list of them. No clock.

A device may have skipped up to GAP_LIMIT counters in a row, so a counter without an intent says nothing of those near it.
"""

import asyncio
from collections.abc import Awaitable, Callable

from tools.cloud.gateway.model import COUNTER_LIMIT, GAP_LIMIT, Snapshot

Look = Callable[[int], Awaitable[Snapshot | None]]


class Slot:
    """One slot's intents as far as they were asked for."""

    def __init__(self, look: Look) -> None:
        """`look` finds the intent with a counter."""
        self._ask = look
        self._seen: dict[int, Snapshot | None] = {}

    async def look(self, counter: int) -> Snapshot | None:
        if counter not in self._seen:
            self._seen[counter] = await self._ask(counter)
        return self._seen[counter]

    async def latest(self, known: int) -> int:
        """The highest counter that exists, 0 for none. `known`: one that exists, or 0; the nearer it is, the fewer are asked for."""
        low, step = known, 1
        after = await self._next(low, COUNTER_LIMIT)
        while after:
            low, step = after, step * 2
            high = min(low + step, COUNTER_LIMIT)
            after = await self._next(high, COUNTER_LIMIT)
        return await self._bisect(low, low + step if step > 1 else low)

    async def _bisect(self, low: int, high: int) -> int:
        """The latest, which is at least `low`, which exists, and at most `high`."""
        while low < high:
            middle = (low + high) // 2
            after = await self._next(middle, high)
            low, high = (after, high) if after else (low, middle)
        return low

    async def _next(self, counter: int, limit: int) -> int:
        """The first that exists within a gap's reach above `counter`, up to `limit`; 0 for none."""
        within = range(counter + 1, min(counter + 1 + GAP_LIMIT, limit) + 1)
        if within and await self.look(within[0]):
            return within[0]
        # Mostly the first or none of them exists, so that these may as well be asked for together.
        found = await asyncio.gather(*map(self.look, within[1:]))
        return next((number for number, one in zip(within[1:], found, strict=True) if one), 0)

    async def back(self, latest: int, since: float) -> list[Snapshot]:
        """Those from `latest` down to the first that came to be before a time in Unix seconds, that one included."""
        found: list[Snapshot] = []
        missing = 0
        for counter in range(latest, 0, -1):
            one = await self.look(counter)
            missing = 0 if one else missing + 1
            if one:
                found.append(one)
            if missing > GAP_LIMIT or (one and one.created is not None and one.created < since):
                break
        return found
