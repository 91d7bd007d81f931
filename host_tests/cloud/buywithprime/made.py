"""Orders, previews and returns as the API would give them, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from tools.cloud.buywithprime import orders
from tools.cloud.buywithprime.models import (
    AddressInput,
    ContactInput,
    CustomerInput,
    DeliveryPreview,
    EmailDataInput,
    IdentityTokenInput,
    LWAAccessTokenInput,
    Money,
    Order,
    ProductIdentifier,
    PurchasedProductViewInput,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
INTENT = "SN0001-Coffee-1"
ADDRESS = AddressInput(
    name="Ann Bell", street_address="1 Main St", locality="Portland", region="OR", postal_code="97201", country_code="US"
)
CUSTOMER = CustomerInput(id="C-1", contact=ContactInput(email_data=EmailDataInput(name="Ann Bell", email="ann@example.com")))
SHOPPER = IdentityTokenInput(lwa_access_token=LWAAccessTokenInput(value=SecretStr("shoppers-token")))


def product(sku: str = "COFFEE", price: str = "9.99", title: str | None = None) -> PurchasedProductViewInput:
    money = Money(amount=Decimal(price), currency_code="USD")
    return PurchasedProductViewInput(identifier=ProductIdentifier(kind="sku", value=sku), title=title or sku.title(), price=money)


def wanted(*lines: orders.Line, **changed: Any) -> orders.Wanted:
    """An order of one pack of coffee, or of these lines."""
    given = {"customer": CUSTOMER, "address": ADDRESS, "lines": lines or (orders.Line(product(), 1),), **changed}
    return orders.Wanted(INTENT, **given)


def preview(*groups: Mapping[str, int], prime: bool = True, expires: str | None = "2026-03-01T12:15:00Z") -> DeliveryPreview:
    """A preview with these groups, SKU to quantity, each with an offer for Prime after one without."""
    terms = [{"isPrimeEligible": good, "deliverySpeed": "STANDARD"} for good in ((False, True) if prime else (False,))]
    return DeliveryPreview.model_validate(
        {
            "id": "preview-1",
            "deliveryGroups": [
                {
                    "id": f"group-{number}",
                    "products": [
                        {"productIdentifier": {"__typename": "Sku", "value": sku}, "amount": {"value": amount}}
                        for sku, amount in group.items()
                    ],
                    "deliveryOffers": [
                        {"id": f"offer-{number}-{place}", "expiresAt": expires, "terms": given} for place, given in enumerate(terms)
                    ],
                }
                for number, group in enumerate(groups)
            ],
        }
    )


def items(units: Mapping[str, int]) -> dict[str, Any]:
    """So many of each line."""
    return {"orderLineItemAmounts": [{"lineItem": {"id": line}, "amount": {"value": amount}} for line, amount in units.items()]}


def returned(name: str = "R-1", state: str = "CREATED", units: Mapping[str, int] | None = None, **changed: Any) -> dict[str, Any]:
    """A return of one unit of line L-1, or of these."""
    return {"id": name, "state": state, "returnFor": items(units or {"L-1": 1}), **changed}


def parcel(state: str, units: Mapping[str, int] | None = None, name: str = "P-1", reason: str | None = None) -> dict[str, Any]:
    """A package on its way back."""
    held = {} if units is None else {"returnPackageFor": items(units)}
    return {"id": name, "state": state, "reason": reason, **held}


def order(
    packages: Sequence[str] = (), returns: Sequence[Mapping[str, Any]] = (), lines: Mapping[str, int] | None = None, **changed: Any
) -> Order:
    """An order of three units of line L-1, or of these lines, with packages of these states."""
    given: dict[str, Any] = {
        "id": "O-1",
        "aliases": [{"aliasType": orders.INTENT_ALIAS, "aliasId": INTENT}],
        "metadata": {"executionState": "NOT_STARTED", "createdAt": "2026-03-01T12:00:00Z"},
        "lineItems": [{"id": name, "amount": {"value": amount}} for name, amount in (lines or {"L-1": 3}).items()],
        "packageInformation": {"details": [{"id": f"D-{number}", "state": state} for number, state in enumerate(packages)]},
        "returns": {"details": list(returns)},
    }
    return Order.model_validate({**given, **changed})
