"""Delivery previews: what could be delivered together, when, and until when that is offered."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.simulator.buywithprime.catalogue import Catalogue, Product
from tools.simulator.buywithprime.errors import invalid
from tools.simulator.buywithprime.shoppers import Shopper, check_address, same_address
from tools.simulator.clock import Clock
from tools.simulator.identifiers import Identifiers
from tools.simulator.settings import Settings

_DAY_S = 86_400
# What the delivery costs whoever has no Prime, in cents.
_CHARGE_CENTS = 599

Identifier = Mapping[str, Any]


@dataclass
class Wanted:
    """So many of a product, under the identifier that the client gave."""

    identifier: Identifier
    product: Product
    amount: int


@dataclass
class Offer:
    """One way to deliver a group; times are virtual Unix seconds."""

    id: str
    prime: bool
    cents: int
    earliest: int
    latest: int
    expires_at: int


@dataclass
class Group:
    """What travels together."""

    id: str
    wanted: list[Wanted]
    offers: list[Offer]


@dataclass
class Preview:
    """One answer, and what it was asked for: `address` and `shopper_id` are None if none was given."""

    id: str
    groups: list[Group]
    address: Mapping[str, Any] | None
    shopper_id: str | None

    def offer(self, offer_id: str) -> tuple[Group, Offer]:
        """An offer and the group that it is for. Raises StoreError."""
        for group in self.groups:
            for offer in group.offers:
                if offer.id == offer_id:
                    return group, offer
        raise invalid(f"delivery preview {self.id!r} has no offer {offer_id!r}")


def whole_amount(amount: Mapping[str, Any]) -> int:
    """How many an AmountInput means. Raises StoreError unless it is a whole number, 1 or more."""
    value = amount["value"]
    if value != int(value) or value < 1:
        raise invalid(f"amount is {value}: it must be a whole number, 1 or more")
    return int(value)


class Previews:
    """Makes previews, and says whether a line of an order keeps to one."""

    def __init__(self, clock: Clock, settings: Settings, names: Identifiers, catalogue: Catalogue) -> None:
        self._clock = clock
        self._settings = settings
        self._names = names
        self._catalogue = catalogue
        self._previews: dict[str, Preview] = {}

    def make(self, given: Mapping[str, Any], shopper: Shopper | None) -> Preview:
        """Preview the delivery of a DeliveryPreviewInput. Raises StoreError."""
        address = (given.get("location") or {}).get("shippingAddress")
        if address is not None:
            check_address(address)
        wanted = [self._wanted(entry, given.get("terms") or {}) for entry in given["products"]]
        groups = [self._group(list(part), shopper) for part in _parted(wanted)]
        preview = Preview(self._names.uuid(), groups, address, shopper.shopper_id if shopper else None)
        self._previews[preview.id] = preview
        return preview

    def expire(self) -> None:
        """End every offer now."""
        for preview in self._previews.values():
            for group in preview.groups:
                for offer in group.offers:
                    offer.expires_at = min(offer.expires_at, self._clock.now())

    def check(self, line: Mapping[str, Any], amount: int, address: Mapping[str, Any] | None, shopper: Shopper | None) -> None:
        """Raises StoreError if a line breaks a rule of the preview that its delivery offer names."""
        details = line["selectedDeliveryOffer"]["details"]
        preview = self._previews.get(details.get("deliveryPreviewId") or "")
        if preview is None:
            raise invalid(f"there is no delivery preview {details.get('deliveryPreviewId')!r}")
        group, offer = preview.offer(details.get("id") or "")
        if offer.expires_at <= self._clock.now():
            raise invalid(f"delivery offer {offer.id!r} has expired")
        self._check_product(line["product"]["identifier"], amount, group)
        if preview.address is not None and (address is None or not same_address(preview.address, address)):
            raise invalid("the delivery address is not the delivery preview's", "AddressMismatch")
        if preview.shopper_id != (shopper.shopper_id if shopper else None):
            raise invalid("the shopper is not the delivery preview's", "ShopperIdMismatch")

    @staticmethod
    def _check_product(identifier: Identifier, amount: int, group: Group) -> None:
        for wanted in group.wanted:
            if wanted.identifier == identifier:
                if wanted.amount != amount:
                    raise invalid(f"the amount is {amount}, and in the delivery preview {wanted.amount}")
                return
        raise invalid(f"the offer's group has no product {dict(identifier)!r}")

    def _wanted(self, entry: Mapping[str, Any], terms: Mapping[str, Any]) -> Wanted:
        product = self._catalogue.find(entry["productIdentifier"])
        amount = whole_amount(entry["amount"])
        if not product.prime and terms.get("isPrimeEligible") is not False:
            raise invalid(f"{product.sku} is not enabled for Prime", "ProductNotPrimeEnabled", product=product.sku)
        if product.stock == 0:
            raise invalid(f"{product.sku} is out of stock", "ProductOutOfStock", product=product.sku)
        if not product.has(amount):
            raise invalid(f"{amount} of {product.sku} are not available", "ProductAmountUnavailable", product=product.sku)
        return Wanted(entry["productIdentifier"], product, amount)

    def _group(self, wanted: list[Wanted], shopper: Shopper | None) -> Group:
        # Whoever gave no identity sees what a Prime member would get: the least accurate preview.
        prime = all(entry.product.prime for entry in wanted) and (shopper is None or shopper.prime)
        offers = [self._offer(prime=True, days=2)] if prime else []
        return Group(self._names.uuid(), wanted, [*offers, self._offer(prime=False, days=5)])

    def _offer(self, prime: bool, days: int) -> Offer:
        now = self._clock.now()
        due = now + days * _DAY_S
        cents = 0 if prime else _CHARGE_CENTS
        return Offer(self._names.uuid(), prime, cents, due - _DAY_S, due, now + self._settings.bwp_offer_s)


def _parted(wanted: list[Wanted]) -> Iterable[Iterable[Wanted]]:
    groups: dict[str, list[Wanted]] = {}
    for entry in wanted:
        groups.setdefault(entry.product.group, []).append(entry)
    return groups.values()
