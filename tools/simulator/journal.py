"""Bounded, numbered history, and the events of orders and devices that are kept in one."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

# About a day of a busy test farm; an entry is about a kilobyte.
DEFAULT_LIMIT = 50_000


class _Numbered(Protocol):
    @property
    def number(self) -> int: ...


Entry = TypeVar("Entry", bound=_Numbered)


class Journal(Generic[Entry]):
    """Entries numbered from 1 up. Beyond `limit` the oldest go, and `dropped` says how many went."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._subscribers: list[Callable[[Entry], None]] = []
        self.count = 0

    @property
    def dropped(self) -> int:
        """How many entries are no longer kept."""
        return self.count - len(self._entries)

    @property
    def next_number(self) -> int:
        """The number that the next entry must carry."""
        return self.count + 1

    def append(self, entry: Entry) -> None:
        """Keep `entry`, whose number must be `next_number`."""
        self.count += 1
        self._entries.append(entry)
        self.announce(entry)

    def announce(self, entry: Entry) -> None:
        """Tell the subscribers about `entry`: a new one, or one that has changed."""
        for subscriber in self._subscribers:
            subscriber(entry)

    def subscribe(self, callback: Callable[[Entry], None]) -> None:
        """Call `callback(entry)` for each entry from now on, at once and in order."""
        self._subscribers.append(callback)

    def after(self, number: int) -> list[Entry]:
        """The kept entries whose number is greater than `number`."""
        return [entry for entry in self._entries if entry.number > number]

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]


@dataclass(frozen=True)
class Event:
    """Something that happened to an order or a device, at its own virtual `time` (Unix seconds)."""

    number: int
    time: int
    kind: str
    device: str
    slot: str | None = None
    order_id: str | None = None
    detail: Mapping[str, object] = field(default_factory=dict)


class EventJournal(Journal[Event]):
    """The domain events; a publisher of notifications subscribes here."""

    def emit(
        self,
        time: int,
        kind: str,
        device: str,
        slot: str | None = None,
        order_id: str | None = None,
        **detail: object,
    ) -> None:
        """Record one event of `kind` and tell the subscribers."""
        self.append(Event(self.next_number, time, kind, device, slot, order_id, detail))
