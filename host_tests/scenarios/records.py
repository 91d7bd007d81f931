"""What stands in an agent's state folder, read as the firmware reads it while no agent runs."""

from __future__ import annotations

import struct
from pathlib import Path

from replenish.core import order
from replenish.store import ledger
from replenish.store.recordfiles import RecordFiles

_WORDS = order._STATES.split()


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
        blank = bytes(ledger.ORDER_SIZE)
        values = dict(zip(ledger.ORDER[1:], struct.unpack_from(ledger.ORDER[0], payload or blank), strict=True))
        self.state = _WORDS[values["state"]]
        self.in_flight = bool(values["flags"] & order.IN_FLIGHT)
        self.asked_at: int = values["asked_at"]
        # Since when a call may have acted without the agent knowing it; 0: it knows.
        self.unknown_since: int = values["unknown_at"] or (self.asked_at if self.in_flight else 0)
