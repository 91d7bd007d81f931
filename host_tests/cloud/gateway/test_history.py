"""Asking upward: the latest counter of a slot is found among gaps, with few questions."""

from __future__ import annotations

import asyncio
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tools.cloud.gateway.history import Slot
from tools.cloud.gateway.model import GAP_LIMIT, IntentId, Snapshot, State

ID = IntentId("SN1", "Coffee", 1)


class Asked:
    """Knows which counters exist, and counts the questions."""

    def __init__(self, existing: set[int]) -> None:
        self.existing = existing
        self.questions: list[int] = []

    async def look(self, counter: int) -> Snapshot | None:
        self.questions.append(counter)
        return Snapshot(ID.with_counter(counter), State.DELIVERED, created=counter * 100) if counter in self.existing else None

    def latest(self, known: int = 0) -> int:
        return asyncio.run(Slot(self.look).latest(known))

    def back(self, latest: int, since: float) -> list[int]:
        return [found.id.counter for found in asyncio.run(Slot(self.look).back(latest, since))]


GAPS = st.lists(st.integers(1, GAP_LIMIT + 1), max_size=40)


@given(GAPS, st.randoms())
def test_latest_among_gaps(gaps: list[int], random: Random) -> None:
    """Each number is how far one existing counter is above the former."""
    existing: set[int] = set()
    for gap in gaps:
        existing.add(max(existing, default=0) + gap)
    asked = Asked(existing)
    latest = max(existing, default=0)
    assert asked.latest() == latest
    assert len(asked.questions) == len(set(asked.questions))
    if existing:
        assert Asked(existing).latest(random.choice(sorted(existing))) == latest


def test_a_longer_gap_is_not_looked_past() -> None:
    assert Asked({GAP_LIMIT + 2}).latest() == 0
    assert Asked({GAP_LIMIT + 1}).latest() == GAP_LIMIT + 1


def test_few_questions() -> None:
    asked = Asked(set(range(1, 1_001)))
    assert asked.latest() == 1_000
    assert len(asked.questions) < 120
    asked = Asked(set(range(1, 1_001)))
    assert asked.latest(1_000) == 1_000
    assert len(asked.questions) == GAP_LIMIT + 1


def test_backwards() -> None:
    assert Asked({1, 2, 3, 5, 14, 15}).back(15, 0) == [15, 14, 5, 3, 2, 1]
    assert Asked({1, 2, 3, 5, 14, 15}).back(15, 350) == [15, 14, 5, 3]
    assert Asked({1, 11}).back(11, 0) == [11]
    assert Asked({1, 10}).back(10, 0) == [10, 1]
    assert Asked(set()).back(0, 0) == []
