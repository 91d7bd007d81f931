"""What is known of an order: its lines, packages, cancellations, refunds and returns. Times are virtual Unix seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Alias(NamedTuple):
    """A name that the client gave to something."""

    type: str
    id: str


class Execution(StrEnum):
    """Whether fulfilment may begin."""

    NOT_STARTED = "NOT_STARTED"
    STARTED = "STARTED"


class PackageState(StrEnum):
    """Where a package stands; of an order's summary, the first of these that fits."""

    PENDING = "PENDING"
    IN_TRANSIT = "IN_TRANSIT"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"


CANCEL_REASONS = ("CUSTOMER_REQUESTED", "UNFULFILLABLE", "UNDELIVERABLE")
MILESTONES = (
    "PENDING",
    "INFO_RECEIVED",
    "IN_TRANSIT",
    "DELAYED",
    "OUT_FOR_DELIVERY",
    "AVAILABLE_FOR_PICKUP",
    "DELIVERY_ATTEMPTED",
    "DELIVERED",
    "EXCEPTION",
    "LOST",
    "UNDELIVERABLE",
    "RETURN_TO_SENDER",
    "CUSTOMER_ACTION",
)
CONDITIONS = ("SELLABLE", "DEFECTIVE", "DAMAGED", "FULFILLMENT_EXPIRED")
# What travels, by line id.
Amounts = dict[str, int]


def shares(amounts: Amounts, parts: int) -> list[Amounts]:
    """The amounts dealt out to so many parts, or fewer when there are not as many units."""
    units = [line for line, amount in amounts.items() for _ in range(amount)]
    dealt = [units[number::parts] for number in range(min(parts, len(units)))]
    return [{line: share.count(line) for line in dict.fromkeys(share)} for share in dealt]


@dataclass
class Line:
    """One line of an order. `given` is the input that it was made of; `sku` is None when the merchant delivers it."""

    id: str
    given: Mapping[str, Any]
    amount: int
    sku: str | None
    created_at: int


@dataclass
class Tracker:
    """A carrier's record of a package: the milestones and when each was reached."""

    id: str
    milestones: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class Package:
    """One package to the customer; while it is pending it has no tracker."""

    id: str
    amounts: Amounts
    state: PackageState = PackageState.PENDING
    reason: str | None = None
    due: int | None = None
    tracker: Tracker | None = None


@dataclass
class Cancellation:
    """Somebody asked that the whole order be cancelled: PENDING, SUCCESS or REJECTED."""

    id: str
    created_at: int
    updated_at: int
    aliases: list[Alias]
    reason: str | None
    comments: str | None
    requested_by: str
    state: str = "PENDING"


@dataclass
class Refund:
    """What the merchant is asked to pay back. `cause` is the type, id and state of the return or the cancellation behind it."""

    id: str
    amounts: Amounts
    cents: int
    reason: str
    created_at: int
    cause: "Cancellation | Return | None"
    state: str = "PENDING"


@dataclass
class ReturnLine:
    """So many of an order's line that come back, and the conditions found so far."""

    id: str
    line: str
    amount: int
    reason: str | None = None
    grades: dict[str, int] = field(default_factory=dict)
    refunds: list[Refund] = field(default_factory=list)


@dataclass
class ReturnPackage:
    """One package back: CREATED, DROPPED_OFF, IN_TRANSIT, DELIVERED or FAILED."""

    id: str
    amounts: Amounts
    tracker: Tracker
    state: str = "CREATED"
    reason: str | None = None


@dataclass
class Return:
    """One return. An `external` one is the merchant's own, which the store only keeps."""

    id: str
    external: bool
    created_at: int
    updated_at: int
    lines: list[ReturnLine]
    aliases: list[Alias] = field(default_factory=list)
    packages: list[ReturnPackage] = field(default_factory=list)
    state: str = "CREATED"


@dataclass
class Order:
    """One order. `given` is its input as it stands after all updates."""

    id: str
    created_at: int
    updated_at: int
    given: dict[str, Any]
    lines: list[Line]
    aliases: list[Alias]
    execution: Execution = Execution.NOT_STARTED
    packages: list[Package] = field(default_factory=list)
    cancellations: list[Cancellation] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    returns: list[Return] = field(default_factory=list)

    @property
    def summary(self) -> PackageState | None:
        """What its packages come to; None when Amazon delivers nothing of it."""
        states = {package.state for package in self.packages}
        return next((state for state in PackageState if state in states), None)

    @property
    def cancelling(self) -> Cancellation | None:
        """The cancellation that was asked for and not decided."""
        return next((entry for entry in self.cancellations if entry.state == "PENDING"), None)

    def line(self, line_id: str) -> Line:
        """The line. Raises LookupError."""
        return _of(self.lines, line_id, f"order {self.id!r} has no line")

    def package(self, package_id: str) -> Package:
        """The package. Raises LookupError."""
        return _of(self.packages, package_id, f"order {self.id!r} has no package")

    def return_(self, return_id: str) -> Return:
        """The return. Raises LookupError."""
        return _of(self.returns, return_id, f"order {self.id!r} has no return")


def _of(entries: list[Any], wanted: str, sentence: str) -> Any:
    for entry in entries:
        if entry.id == wanted:
            return entry
    raise LookupError(f"{sentence} {wanted!r}")
