"""An order, a preview and a cancellation as the API's types: plain mappings with the API's names, for graphql-core to select from.

What refers back to something is a function, so that it is made only when it is asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tools.simulator.buywithprime.catalogue import IDENTIFIER_TYPES
from tools.simulator.buywithprime.orders import (
    Alias,
    Amounts,
    Cancellation,
    Line,
    Order,
    Package,
    PackageState,
    Refund,
    Return,
    ReturnLine,
    ReturnPackage,
    Tracker,
)
from tools.simulator.buywithprime.previews import Group, Offer, Preview
from tools.simulator.settings import Settings

Viewed = dict[str, Any]
# How older examples spell the states of a package back.
_SEED_WORDS = {"DROPPED_OFF": "CREATED", "DELIVERED": "COMPLETED"}


def stamp(time: int) -> str:
    """A virtual time as the API writes it."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def dollars(cents: int) -> Viewed:
    """Money."""
    return {"amount": Decimal(cents) / 100, "currencyCode": "USD"}


def _amount(number: int) -> Viewed:
    return {"unit": "ONE", "value": number}


def _aliases(aliases: Sequence[Alias]) -> list[Viewed]:
    return [{"aliasType": alias.type, "aliasId": alias.id} for alias in aliases]


def _identifier(identifier: Mapping[str, Any]) -> Viewed:
    ((kind, value),) = identifier.items()
    inner = dict(value) if isinstance(value, Mapping) else {"value": value}
    return {"__typename": IDENTIFIER_TYPES[kind], **inner}


def preview(made: Preview) -> Viewed:
    """A DeliveryPreview."""
    return {"id": made.id, "deliveryGroups": [_group(group) for group in made.groups]}


def _group(group: Group) -> Viewed:
    products = [{"productIdentifier": _identifier(entry.identifier), "amount": _amount(entry.amount)} for entry in group.wanted]
    return {"id": group.id, "products": products, "deliveryOffers": [_offer(offer) for offer in group.offers]}


def _offer(offer: Offer) -> Viewed:
    text = "Free delivery with Prime" if offer.prime else "Delivery"
    return {
        "id": offer.id,
        "date": {"earliest": stamp(offer.earliest), "latest": stamp(offer.latest)},
        "expiresAt": stamp(offer.expires_at),
        "policy": {"messaging": {"messageText": text, "locale": "en-US", "badge": "PRIME" if offer.prime else None}},
        "price": {"totalPrice": dollars(offer.cents)},
        "terms": {"isPrimeEligible": offer.prime, "deliverySpeed": "STANDARD"},
    }


def cancellation(order: Order, made: Cancellation) -> Viewed:
    """A CancellationDetails."""
    return {
        "id": made.id,
        "state": made.state,
        "aliases": _aliases(made.aliases),
        "reason": made.reason,
        "additionalComments": made.comments,
        "requestedBy": made.requested_by,
        "createdAt": stamp(made.created_at),
        "updatedAt": stamp(made.updated_at),
        "canceledFor": {"orderLineItems": lambda _: OrderView(order).amounts({line.id: line.amount for line in order.lines})},
    }


class OrderView:
    """Renders one order. The settings say which of the spellings that were seen is used."""

    def __init__(self, order: Order, settings: Settings | None = None) -> None:
        self._order = order
        self._settings = settings or Settings()

    def order(self) -> Viewed:
        """An Order."""
        order = self._order
        given = order.given
        return {
            "id": order.id,
            "aliases": _aliases(order.aliases),
            "customer": _customer(given["customer"]),
            "recipient": given.get("recipient"),
            "totalPrice": given.get("totalPrice"),
            "payments": given.get("payments"),
            "orderLinks": given.get("orderLinks"),
            "metadata": {
                "executionState": order.execution,
                "createdAt": stamp(order.created_at),
                "updatedAt": stamp(order.updated_at),
            },
            "lineItems": [self._line(line) for line in order.lines],
            "packageInformation": self._packages(order.packages),
            "cancellations": self._cancellations,
            "refunds": {"details": [self._refund(refund) for refund in order.refunds]},
            "returns": {"details": [self._return(made) for made in order.returns]},
        }

    def amounts(self, amounts: Amounts) -> list[Viewed]:
        """How many of which line."""
        order = self._order
        return [{"amount": _amount(amount), "lineItem": self._line_later(order.line(line))} for line, amount in amounts.items()]

    def _line_later(self, line: Line) -> Callable[[object], Viewed]:
        return lambda _: self._line(line)

    def _cancellations(self, _: object) -> Viewed:
        return {"details": [cancellation(self._order, made) for made in self._order.cancellations]}

    def _line(self, line: Line) -> Viewed:
        own = [package for package in self._order.packages if line.id in package.amounts]
        product = line.given.get("product")
        return {
            "id": line.id,
            "aliases": [dict(alias) for alias in line.given.get("aliases") or ()],
            "amount": _amount(line.amount),
            "createdAt": stamp(line.created_at),
            "cancellations": self._cancellations,
            "deliveryOffer": line.given["selectedDeliveryOffer"],
            "discounts": line.given.get("discounts"),
            "taxes": line.given.get("taxes"),
            "packageInformation": lambda _: self._packages(own),
            "product": _product(product) if product else None,
        }

    def _packages(self, packages: Sequence[Package]) -> Viewed | None:
        states = {package.state for package in packages}
        if not packages:
            return None
        return {
            "summary": {"state": next(state for state in PackageState if state in states)},
            "details": [self._package(package) for package in packages],
        }

    def _package(self, package: Package) -> Viewed:
        return {
            "id": package.id,
            "aliases": [],
            "state": package.state,
            "reason": package.reason,
            "packageInformationDetailsFor": {"orderLineItems": self.amounts(package.amounts)},
            "packageTracker": _tracker(package.tracker, package.due) if package.tracker else None,
        }

    def _refund(self, refund: Refund) -> Viewed:
        cause = refund.cause
        kind = "ReturnCause" if isinstance(cause, Return) else "CancellationCause"
        return {
            "id": refund.id,
            "state": refund.state,
            "aliases": [],
            "createdAt": stamp(refund.created_at),
            "updatedAt": stamp(refund.created_at),
            "refundTotal": {"totalAmount": dollars(refund.cents)},
            "refundFor": {
                "orderLineItems": self.amounts(refund.amounts),
                "causedBy": cause and {"__typename": kind, "id": cause.id, "state": cause.state},
            },
            "refundRequestReason": refund.reason,
        }

    def _return(self, made: Return) -> Viewed:
        return {
            "id": made.id,
            "state": made.state,
            "createdAt": stamp(made.created_at),
            "updatedAt": stamp(made.updated_at),
            "aliases": _aliases(made.aliases),
            "returnFor": {"orderLineItemAmounts": [part for line in made.lines for part in self.amounts({line.line: line.amount})]},
            "returnLineItems": [self._return_line(line) for line in made.lines],
            "returnPackageDetails": [self._return_package(package) for package in made.packages],
        }

    def _return_line(self, line: ReturnLine) -> Viewed:
        return {
            "id": line.id,
            "returnFor": {"orderLineItemAmounts": self.amounts({line.line: line.amount})},
            "returnReason": {"reasonCode": line.reason} if line.reason else None,
            "grading": {"summary": self._grading(line.grades)} if line.grades else None,
            "refundDetails": [self._refund(refund) for refund in line.refunds],
        }

    def _grading(self, grades: Mapping[str, int]) -> Viewed:
        upper = self._settings.bwp_condition_case == "upper"
        units = [
            {"amount": _amount(amount), "condition": word if upper else word.capitalize()} for word, amount in grades.items()
        ]
        return {"gradedAmount": _amount(sum(grades.values())), "unitWiseCondition": units}

    def _return_package(self, package: ReturnPackage) -> Viewed:
        older = self._settings.bwp_return_words == "seed"
        return {
            "id": package.id,
            "state": _SEED_WORDS.get(package.state, package.state) if older else package.state,
            "reason": package.reason,
            "packageTracker": _tracker(package.tracker, None),
            "returnPackageFor": {"orderLineItemAmounts": self.amounts(package.amounts)},
        }


def _customer(given: Mapping[str, Any]) -> Viewed:
    email = (given.get("contact") or {}).get("emailData") or {}
    return {"contact": {"id": None, "name": email.get("name"), "email": email.get("email")}}


def _product(given: Mapping[str, Any]) -> Viewed:
    ((kind, value),) = given["identifier"].items()
    known = {kind: {"value": value}} if kind in ("sku", "productId", "externalId") else {}
    return {"title": given["title"], "price": given["price"], **known}


def _tracker(tracker: Tracker, due: int | None) -> Viewed:
    milestones = [{"status": {"code": code}, "occurredAt": stamp(time)} for code, time in tracker.milestones]
    number = tracker.id.replace("-", "")[:18].upper()
    return {
        "trackingUrl": f"https://track.example/{number}",
        "packageTrackerIdentifier": {"trackingNumber": number, "carrierCode": "ups"},
        "estimatedDeliveryDate": {"earliest": stamp(due - 86_400), "latest": stamp(due)} if due is not None else None,
        "latestMilestone": milestones[-1],
        "milestones": milestones,
    }
