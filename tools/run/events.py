"""What happens in a run, whoever says it, as one kind of record; and these records put into the order of their times."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

# What the relay asks of SNS: no calls of the appliance.
RELAY_ENDPOINTS = ("sns", "signing_certificate")


class Source(StrEnum):
    """Who an event comes from."""

    AGENT = "agent"
    SERVICE = "service"
    CLOUD = "cloud"
    HOUSEHOLD = "household"
    PERSON = "person"


@dataclass(frozen=True)
class Event:
    """One thing that happened at `time` (virtual Unix seconds). `fields` are plain data; what they are depends on `kind`."""

    time: int
    source: Source
    kind: str
    slot: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The event as it is kept: the time as ISO 8601 UTC."""
        return {"time": iso(self.time), "source": str(self.source), "kind": self.kind, "slot": self.slot, "fields": dict(self.fields)}


def iso(time: int) -> str:
    """Unix seconds as ISO 8601 UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Sequencer:
    """Events come from several places, each with its own delay; here they wait until none that is older can still come."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, Event]] = []
        self._count = 0

    def put(self, event: Event) -> None:
        """Let an event wait for its turn."""
        self._count += 1
        heapq.heappush(self._waiting, (event.time, self._count, event))

    def take(self, until: int | None = None) -> list[Event]:
        """The events up to the time `until` (None: all), oldest first; those of one second in the order in which they came."""
        taken = []
        while self._waiting and (until is None or self._waiting[0][0] <= until):
            taken.append(heapq.heappop(self._waiting)[2])
        return taken
