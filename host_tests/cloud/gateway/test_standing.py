"""How an order of Buy with Prime stands, in the gateway's words: every row of the tables, and what is told beside the state."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from host_tests.cloud.buywithprime.made import NOW, items, order, parcel, returned
from tools.cloud.buywithprime import returns
from tools.cloud.buywithprime.models import Order
from tools.cloud.gateway.adapters.standing import packs, snapshot
from tools.cloud.gateway.model import IntentId, State

INTENT = IntentId("SN0001", "Coffee", 1)
NOON = int(NOW.timestamp())


def made(
    execution: str, packages: list[str], cancellations: list[str] | None = None, reason: str | None = None, **changed: Any
) -> Order:
    told = {"details": [{"state": state, "reason": reason} for state in cancellations or ()]}
    line = {"id": "L-1", "amount": {"value": 3}, "cancellations": told}
    metadata = {"executionState": execution, "createdAt": "2026-03-01T12:00:00Z", "updatedAt": "2026-03-01T12:00:00Z"}
    return order(packages, lineItems=[line], metadata=metadata, **changed)


@pytest.mark.parametrize(
    ("execution", "packages", "cancellations", "state"),
    [
        ("NOT_STARTED", [], [], "PLACED"),
        ("NOT_STARTED", ["PENDING"], [], "PLACED"),
        ("NOT_STARTED", ["PENDING"], ["REJECTED"], "PLACED"),
        ("NOT_STARTED", ["PENDING"], ["PENDING"], "CANCELLED"),
        ("NOT_STARTED", ["PENDING"], ["SUCCESS"], "CANCELLED"),
        ("STARTED", ["PENDING"], [], "STARTED"),
        ("STARTED", ["PENDING", "DELIVERED"], [], "STARTED"),
        ("STARTED", ["PENDING"], ["REJECTED"], "STARTED"),
        ("STARTED", ["PENDING"], ["PENDING"], "UNKNOWN"),
        ("STARTED", ["PENDING"], ["REJECTED", "PENDING"], "UNKNOWN"),
        ("STARTED", ["PENDING"], ["PENDING", "SUCCESS"], "CANCELLED"),
        ("STARTED", ["IN_TRANSIT"], ["PENDING"], "IN_TRANSIT"),
        ("STARTED", ["IN_TRANSIT", "CANCELLED"], [], "IN_TRANSIT"),
        ("STARTED", ["DELIVERED", "CANCELLED"], [], "DELIVERED"),
        ("STARTED", ["CANCELLED"], [], "CANCELLED"),
        ("NOT_STARTED", ["CANCELLED"], [], "CANCELLED"),
        ("STARTED", ["HOVERING"], [], "STARTED"),
    ],
)
def test_state_of_an_order(execution: str, packages: list[str], cancellations: list[str], state: str) -> None:
    assert snapshot(INTENT, made(execution, packages, cancellations)).state == state


def test_every_state_of_the_api_has_one_of_ours() -> None:
    words = ["PENDING", "IN_TRANSIT", "DELIVERED", "CANCELLED", "UNHEARD_OF"]
    asked = [[], ["PENDING"], ["SUCCESS"], ["REJECTED"], ["UNHEARD_OF"]]
    packages = [[], *([word] for word in words)]
    for execution, package, cancellations in itertools.product(["NOT_STARTED", "STARTED", "UNHEARD_OF"], packages, asked):
        assert snapshot(INTENT, made(execution, package, cancellations)).state in State


@pytest.mark.parametrize("reason", ["OUT_OF_STOCK", "PAYMENT_ISSUE"])
def test_cancellation_that_was_nobodys_no_failed(reason: str) -> None:
    found = snapshot(INTENT, made("NOT_STARTED", ["CANCELLED"], ["SUCCESS"], reason))
    assert (found.state, found.code) == (State.FAILED, reason)


@pytest.mark.parametrize("reason", ["ORDERED_BY_MISTAKE", "ITEMS_ARRIVING_LATE", "OTHER", None])
def test_cancellation_that_was_a_no(reason: str | None) -> None:
    found = snapshot(INTENT, made("NOT_STARTED", ["CANCELLED"], ["SUCCESS"], reason))
    assert (found.state, found.code) == (State.CANCELLED, None)


@pytest.mark.parametrize(
    ("reason", "state", "code"),
    [
        ("UNFULFILLABLE", State.FAILED, "UNFULFILLABLE"),
        ("UNDELIVERABLE", State.FAILED, "UNDELIVERABLE"),
        ("CUSTOMER_REQUESTED", State.CANCELLED, None),
        (None, State.CANCELLED, None),
    ],
)
def test_package_tells_why_it_was_cancelled(reason: str | None, state: State, code: str | None) -> None:
    package = {"details": [{"id": "D-1", "state": "CANCELLED", "reason": reason}]}
    found = snapshot(INTENT, made("STARTED", [], packageInformation=package))
    assert (found.state, found.code) == (state, code)


def test_rejected_cancellation_tells_nothing() -> None:
    found = snapshot(INTENT, made("STARTED", ["CANCELLED"], ["REJECTED"], "OUT_OF_STOCK"))
    assert (found.state, found.code) == (State.CANCELLED, None)


@pytest.mark.parametrize(
    ("given", "state", "left"),
    [
        ([], "DELIVERED", None),
        ([returned(state="DRAFT")], "DELIVERED", None),
        ([returned()], "RETURNING", None),
        ([returned(returnPackageDetails=[parcel("IN_TRANSIT", {"L-1": 1})])], "RETURNING", 1),
        ([returned(state="COMPLETED")], "DELIVERED", 1),
        ([returned(state="COMPLETED"), returned("R-2")], "RETURNING", 1),
        ([returned(state="COMPLETED", units={"L-1": 3})], "RETURNED", 3),
        ([returned(state="COMPLETED", units={"L-1": 2}), returned("R-2", "COMPLETED")], "RETURNED", 3),
        ([returned(state="CANCELLED", units={"L-1": 3})], "DELIVERED", None),
    ],
)
def test_returns_of_an_order_that_is_at_home(given: list[dict[str, Any]], state: str, left: int | None) -> None:
    found = snapshot(INTENT, made("STARTED", ["DELIVERED"], returns=given))
    assert (found.state, found.returned) == (state, left)


def test_times_and_total() -> None:
    def package(latest: str | None) -> dict[str, Any]:
        return {"id": str(latest), "state": "IN_TRANSIT", "packageTracker": {"estimatedDeliveryDate": {"latest": latest}}}

    latest = [package(time) for time in ("2026-03-01T13:00:00Z", "2026-03-01T15:00:00Z", None)]
    late = {"details": [*latest, {"id": "x", "state": "IN_TRANSIT"}]}
    price = {"value": {"amount": 29.97, "currencyCode": "USD"}}
    back = [returned(updatedAt="2026-03-01T12:00:09Z"), returned("R-2", updatedAt="nonsense")]
    found = snapshot(INTENT, made("STARTED", [], packageInformation=late, totalPrice=price, returns=back))
    assert (found.created, found.time, found.deliver_by, str(found.total)) == (NOON, NOON + 9, NOON + 3 * 3600, "29.97")
    bare = snapshot(INTENT, order(metadata=None))
    assert (bare.created, bare.time, bare.deliver_by, bare.total, bare.quantity) == (None, None, None, None, 3)


def test_packs_are_without_those_that_will_not_come() -> None:
    def package(name: str, state: str, amount: int) -> dict[str, Any]:
        held = items({"L-1": amount})["orderLineItemAmounts"]
        return {"id": name, "state": state, "packageInformationDetailsFor": {"orderLineItems": held}}

    both = {"details": [package("D-1", "CANCELLED", 1), package("D-2", "DELIVERED", 2)]}
    assert packs(made("STARTED", [], packageInformation=both)) == 2
    none = {"details": [package("D-1", "CANCELLED", 1), package("D-2", "CANCELLED", 2)]}
    assert packs(made("STARTED", [], packageInformation=none)) == 3


def test_older_look_does_not_go_back() -> None:
    known = returns.progress(made("STARTED", ["DELIVERED"], returns=[returned(state="COMPLETED", units={"L-1": 3})]))
    found = snapshot(INTENT, made("NOT_STARTED", ["PENDING"]), known)
    assert (found.state, found.returned) == (State.RETURNED, 3)
