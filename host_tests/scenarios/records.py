"""What stands in an agent's state folder, read as the firmware reads it while no agent runs."""

from __future__ import annotations

from pathlib import Path

from replenish.core import order
from replenish.store import ledger
from replenish.store.recordfiles import RecordFiles
from replenish.store.recovery import read_order


def order_key(slot: str) -> str:
    """The key of a slot's order."""
    return "o-" + ledger.tag(slot)


def payloads(state: Path) -> dict[str, bytes]:
    """Every record, by its key. Raises StoreError for a damaged one."""
    store = RecordFiles(str(state), False)
    return {key: store.get(key) for key in store.keys()}


class KeptOrder:
    """A slot's order as its record has it; a slot that has none yet is idle."""

    def __init__(self, payload: bytes | None) -> None:
        kept = order.Order()
        assert not payload or not read_order(payload, kept)
        self.state = kept.names()[0]
        self.in_flight = bool(kept.flags & order.IN_FLIGHT)
        self.asked_at: int = kept.asked_at
        # Since when a call may have acted without the agent knowing it; 0: it knows.
        self.unknown_since: int = kept.unknown_at or (self.asked_at if self.in_flight else 0)
