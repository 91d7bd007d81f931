"""What will become of the orders to come, and how long each part of it lasts."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from tools.simulator.orders import DAY_S, HOUR_S

_LONGEST_S = 3650 * DAY_S
_MOST_PACKAGES = 20


@dataclass(frozen=True)
class StoreTimings:
    """How long each part lasts, in virtual seconds (0 to ten years). All of them are ours: Amazon gives no numbers."""

    ship_after_s: int = DAY_S
    deliver_after_s: int = 3 * DAY_S
    split_gap_s: int = DAY_S
    cancel_decide_s: int = 60
    drop_off_after_s: int = 2 * DAY_S
    return_scan_s: int = 6 * HOUR_S
    return_deliver_s: int = 4 * DAY_S
    grade_after_s: int = DAY_S

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LONGEST_S:
                raise ValueError(f"{name} is {value!r}: a whole number of seconds, 0 to {_LONGEST_S}")

    def changed(self, changes: Mapping[str, object]) -> "StoreTimings":
        """These timings with `changes`; raises ValueError for an unknown name or a bad value."""
        for name in changes:
            if name not in vars(self):
                raise ValueError(f"unknown timing {name!r}: one of {', '.join(vars(self))}")
        return replace(self, **changes)  # type: ignore[arg-type]


class FateKind(StrEnum):
    """What happens to an order's packages when nobody interferes."""

    DELIVERED = "delivered"
    UNFULFILLABLE = "unfulfillable"
    UNDELIVERABLE = "undeliverable"
    BY_HAND = "by_hand"


class Decision(StrEnum):
    """How a cancellation that is asked for is decided: by how the packages stand, always against it, or by hand."""

    USUAL = "usual"
    REJECTED = "rejected"
    BY_HAND = "by_hand"


@dataclass(frozen=True)
class Fate:
    """One order's fate: the kind, how many packages it is split into, what becomes of a wish to cancel, and timings of its own."""

    kind: FateKind = FateKind.DELIVERED
    packages: int = 1
    cancellation: Decision = Decision.USUAL
    timings: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, form: object) -> "Fate":
        """From "delivered", or from {"kind": "delivered", "packages": 2, "ship_after_s": 60}.

        Raises ValueError, with what is allowed, for anything else.
        """
        given: dict[str, Any] = dict(form) if isinstance(form, Mapping) else {"kind": form}
        kind = _one_of(FateKind, "kind", given.pop("kind", FateKind.DELIVERED))
        packages = given.pop("packages", 1)
        if not isinstance(packages, int) or isinstance(packages, bool) or not 1 <= packages <= _MOST_PACKAGES:
            raise ValueError(f"packages is {packages!r}: a whole number from 1 to {_MOST_PACKAGES}")
        cancellation = _one_of(Decision, "cancellation", given.pop("cancellation", Decision.USUAL))
        StoreTimings().changed(given)
        return cls(kind, packages, cancellation, given)


Word = TypeVar("Word", bound=StrEnum)


def _one_of(words: type[Word], name: str, value: object) -> Word:
    for word in words:
        if word == value:
            return word
    raise ValueError(f"{name} is {value!r}: one of {', '.join(words)}")


@dataclass
class Fates:
    """The fates of the coming orders: the queue first, then the default."""

    queue: deque[Fate] = field(default_factory=deque)
    default: Fate = field(default_factory=Fate)

    def take(self) -> Fate:
        """The next order's fate."""
        return self.queue.popleft() if self.queue else self.default

    def plan(self, queue: Iterable[object] | None = None, default: object | None = None) -> None:
        """Replace the queue, the default, or both. Raises ValueError and changes nothing if one is bad."""
        new_queue = None if queue is None else deque(Fate.parse(form) for form in queue)
        new_default = None if default is None else Fate.parse(default)
        self.queue = self.queue if new_queue is None else new_queue
        self.default = new_default or self.default
