"""What the gateway speaks of: intents, what became of them, and for whom and what they are. No I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

# Packs in one intent.
QUANTITY_LIMIT = 99
REASON_LIMIT = 64
# Counters that a device may have skipped in a row, because nothing came to exist under them; one more is not looked past.
GAP_LIMIT = 8
# A counter has at most 32 bits on a device.
COUNTER_LIMIT = 2**31 - 1


@dataclass(frozen=True, order=True)
class IntentId:
    """`{serial}-{slot}-{counter}`. Serial and slot may have a `-` themselves, so the text cannot be split without knowing them."""

    serial: str
    slot: str
    counter: int

    def __str__(self) -> str:
        return f"{self.serial}-{self.slot}-{self.counter}"

    def with_counter(self, counter: int) -> "IntentId":
        """Another intent of the same slot."""
        return IntentId(self.serial, self.slot, counter)


@dataclass(frozen=True)
class Intent:
    """What a device wants ordered: `quantity` packs, 1 to 99, or down to `least` of them without asking anybody."""

    id: IntentId
    quantity: int
    least: int
    reason: str = ""


class State(StrEnum):
    """What became of an intent, as devices are told."""

    PENDING = "PENDING"  # a person has to answer
    PLACED = "PLACED"  # the order exists and is held
    STARTED = "STARTED"  # fulfilment began
    IN_TRANSIT = "IN_TRANSIT"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"  # by a person
    FAILED = "FAILED"  # ended without a person's no; the code says why
    RETURNING = "RETURNING"
    RETURNED = "RETURNED"  # all of it
    UNKNOWN = "UNKNOWN"  # the outcome is not known: ask again

    @property
    def open(self) -> bool:
        """Not ended: as long as an intent is so, its slot takes no other."""
        return self in _OPEN

    @property
    def bought(self) -> bool:
        """Counts against the caps: neither refused nor given up."""
        return self not in (State.CANCELLED, State.FAILED)


_OPEN = frozenset({State.PENDING, State.PLACED, State.STARTED, State.IN_TRANSIT, State.UNKNOWN})


class ReturnState(StrEnum):
    """Of an external return, as a device or the maker's service reports it."""

    CREATED = "CREATED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True)
class Return:
    """A return that was arranged elsewhere: `quantity` packs of one order. The same `id` again updates it."""

    id: str
    quantity: int
    state: ReturnState


@dataclass(frozen=True)
class Snapshot:
    """How an intent stands. Times are whole Unix seconds; None: not known, or does not apply."""

    id: IntentId
    state: State
    code: str | None = None
    quantity: int | None = None  # packs really ordered; of a stock question, what would be
    created: int | None = None
    deliver_by: int | None = None
    returned: int | None = None  # packs that left the home again, in all returns so far
    ask_again_s: int | None = None
    time: int | None = None  # when it came to stand so
    total: Decimal | None = None  # what the shop charges for it, for the caps; devices are not told

    def json(self) -> dict[str, Any]:
        """What a device is told; None is left out."""
        told = {
            "intent_id": str(self.id),
            "slot": self.id.slot,
            "state": self.state.value,
            "code": self.code,
            "quantity": self.quantity,
            "created": iso(self.created),
            "deliver_by": iso(self.deliver_by),
            "returned": self.returned,
            "ask_again_s": self.ask_again_s,
            "time": iso(self.time),
        }
        return {key: value for key, value in told.items() if value is not None}


def iso(seconds: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC, with whole seconds and a Z."""
    return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# From the directory


@dataclass(frozen=True)
class Address:
    """Where it is delivered, in the words of Buy with Prime."""

    street: str
    locality: str
    region: str
    postal_code: str
    country: str = "US"
    extended: str | None = None  # flat, floor
    phone: str | None = None


@dataclass(frozen=True)
class Item:
    """What one slot is replenished with: a pack. Prices are per pack, in the gateway's one currency."""

    sku: str
    title: str
    price: Decimal
    currency: str
    discount: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    order_link: str | None = None  # where a person orders it, for `notify`
    subscribed: bool = True  # the customer allows orders for the slot
    prime: bool = False  # deliver under the shopper's Prime membership, which needs Customer.shopper_token

    def total(self, quantity: int) -> Decimal:
        """What so many packs cost."""
        return (self.price - self.discount + self.tax) * quantity


@dataclass(frozen=True)
class Customer:
    """Who owns the devices. What opens anything of theirs is kept out of `repr`."""

    id: str
    name: str
    email: str
    address: Address
    devices: Mapping[str, Mapping[str, Item]] = field(repr=False)  # serial -> slot -> item
    payment: str | None = field(default=None, repr=False)  # the maker's reference of how it is paid
    shopper_token: str | None = field(default=None, repr=False)  # LWA refresh token of the shopper
