"""How much a device and a customer may order within 30 days. No I/O, no clock."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from tools.cloud.gateway.model import Item, Snapshot

WINDOW_S = 30 * 86_400


@dataclass(frozen=True)
class Amount:
    """So many orders, packs in them, and what they cost."""

    orders: int = 0
    packs: int = 0
    spend: Decimal = Decimal(0)

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.orders + other.orders, self.packs + other.packs, self.spend + other.spend)


@dataclass(frozen=True)
class Caps:
    """The most for a device, and for all devices of a customer."""

    device: Amount
    customer: Amount


def bought(snapshots: Iterable[Snapshot], item: Item, since: float) -> Amount:
    """What the intents of one slot come to that were made since a time in Unix seconds; an order of unknown date counts."""
    total = Amount()
    for one in snapshots:
        if one.state.bought and (one.created is None or one.created >= since):
            packs = one.quantity or 0
            total += Amount(1, packs, item.total(packs) if one.total is None else one.total)
    return total


def exceeded(caps: Caps, device: Amount, customer: Amount) -> str | None:
    """The name of the first cap that these amounts are above."""
    for who, most, amount in (("device", caps.device, device), ("customer", caps.customer, customer)):
        for what in ("orders", "packs", "spend"):
            if getattr(amount, what) > getattr(most, what):
                return f"{who}_{what}"
    return None
