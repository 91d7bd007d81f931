"""Orders: what is sent, what keeps it from being sent, and what may be done with one that exists."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from graphql import parse, validate
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from host_tests.cloud.buywithprime.made import ADDRESS, INTENT, NOW, SHOPPER, order, preview, product, wanted
from tools.cloud.buywithprime import documents, orders, schema
from tools.cloud.buywithprime.errors import APIError, Fault
from tools.cloud.buywithprime.models import (
    Alias,
    CreateOrderInput,
    DeliveryPreview,
    DeliveryPreviewInput,
    IdentityTokenInput,
    LWAAccessTokenInput,
    Money,
    PackageState,
    PaymentDetailsInput,
    PaymentMethodInput,
    PaymentsInput,
    PaymentState,
    UpdateLineItemInput,
    UpdateOrderInput,
)
from tools.cloud.buywithprime.orders import BindingError, Line, Rule, Search, Standing


def sent(made: CreateOrderInput) -> dict[str, Any]:
    """What goes out, after the API's schema has nothing to say against the document."""
    assert validate(schema.load(), parse(documents.CREATE_ORDER)) == []
    return made.variables()


# ---- What is told of an order


def test_charges_stand_at_their_line() -> None:
    lines = [
        Line(product(), 2, Decimal("1.50"), Decimal("0.80"), Decimal("5.99")),
        Line(product("FILTER", "4.00"), 1),
    ]
    made = sent(orders.unattended(wanted(*lines)))
    first, second = made["lineItems"]
    assert first["discounts"] == {"summary": {"amount": {"amount": 1.5, "currencyCode": "USD"}}}
    assert first["taxes"] == {"summary": {"collectableTaxAmount": {"amount": 0.8, "currencyCode": "USD"}}}
    assert first["selectedDeliveryOffer"]["details"]["deliveryCharge"] == {"amount": 5.99, "currencyCode": "USD"}
    assert not {"discounts", "taxes"} & (second.keys() | made.keys())
    assert "deliveryCharge" not in second["selectedDeliveryOffer"]["details"]
    assert made["totalPrice"] == {"value": {"amount": 29.27, "currencyCode": "USD"}}


@given(st.lists(st.tuples(st.integers(1, 99), *[st.decimals(0, 999, places=2)] * 4), min_size=1, max_size=5))
def test_total_is_the_sum_of_the_lines(given: list[tuple[int, Decimal, Decimal, Decimal, Decimal]]) -> None:
    lines = [Line(product(f"S{n}", str(price)), q, min(d, price * q), t, c) for n, (q, price, d, t, c) in enumerate(given)]
    made = orders.unattended(wanted(*lines))
    assert made.total_price
    each = [q * p - min(d, p * q) + t + c for q, p, d, t, c in given]
    assert made.total_price.value.amount == sum(each)


def test_all_that_is_known_is_told() -> None:
    made = sent(orders.unattended(wanted(Line(product(), 2))))
    assert made["customer"] == {"id": "C-1", "contact": {"emailData": {"name": "Ann Bell", "email": "ann@example.com"}}}
    assert made["recipient"]["deliveryAddress"]["streetAddress"] == "1 Main St"
    assert made["lineItems"][0]["product"] == {
        "identifier": {"sku": "COFFEE"},
        "title": "Coffee",
        "price": {"amount": 9.99, "currencyCode": "USD"},
    }
    assert made["lineItems"][0]["amount"] == {"value": 2}


def test_payment_details_are_passed_on_as_they_are() -> None:
    paid = PaymentDetailsInput(
        id="pay-1",
        aliases=(Alias(alias_type="TRANSACTION", alias_id="t-1"),),
        amount=Money(amount=Decimal("9.99"), currency_code="USD"),
        payment_method=PaymentMethodInput(display_string="Visa ending in 1234"),
        state=PaymentState.CAPTURED,
    )
    made = orders.unattended(wanted(payments=PaymentsInput(details=(paid,))))
    assert made.payments and made.payments.details == (paid,)
    assert "payments" not in sent(orders.unattended(wanted()))


# ---- Without Prime


def test_unattended_order_needs_neither_preview_nor_shopper() -> None:
    made = sent(orders.unattended(wanted(shopper=SHOPPER)))
    assert made["lineItems"][0]["selectedDeliveryOffer"] == {
        "details": {"deliveryProvider": "AMAZON", "deliveryTerms": {"isPrimeEligible": False, "deliverySpeed": "STANDARD"}}
    }
    assert "shopperIdentity" not in made


def test_order_is_made_not_started() -> None:
    assert sent(orders.unattended(wanted()))["desiredExecutionState"] == "NOT_STARTED"


def test_sku_stands_for_one_product() -> None:
    two = [Line(product(), 1), Line(product(title="Tea"), 1)]
    with pytest.raises(BindingError) as caught:
        orders.unattended(wanted(*two))
    assert [(found.rule, found.line) for found in caught.value.violations] == [(Rule.IDENTIFIER, 1)]
    orders.unattended(wanted(Line(product(), 1), Line(product(), 2)))


# ---- Aliases


def test_intent_is_the_first_alias() -> None:
    other = Alias(alias_type="SHOP", alias_id="7")
    made = sent(orders.unattended(wanted(aliases=(other,))))
    assert made["aliases"] == [{"aliasType": "DEVICE_INTENT_ID", "aliasId": INTENT}, {"aliasType": "SHOP", "aliasId": "7"}]
    assert orders.by_intent(INTENT).variables() == {"alias": {"aliasType": "DEVICE_INTENT_ID", "aliasId": INTENT}}


def test_aliases_are_at_most_five_and_each_once() -> None:
    others = [Alias(alias_type="SHOP", alias_id=str(number)) for number in range(5)]
    assert len(orders.aliases(INTENT, others[:4])) == 5
    with pytest.raises(ValueError, match="^aliases: 6: allowed: 5"):
        orders.aliases(INTENT, others)
    for twice in ([others[0], others[0]], [orders.intent_alias(INTENT)]):
        with pytest.raises(ValueError, match="^aliases: one is there twice"):
            orders.aliases(INTENT, twice)


# ---- With Prime: what binds a line to a preview

COFFEE, FILTER = Line(product(), 2, prime=True), Line(product("FILTER", "4.00"), 1, prime=True)
PRIME = wanted(COFFEE, FILTER, shopper=SHOPPER)
ASKED = orders.preview_input(PRIME)
TOGETHER = preview({"COFFEE": 2, "FILTER": 1})


def rules(
    made: CreateOrderInput, asked: DeliveryPreviewInput = ASKED, shown: DeliveryPreview = TOGETHER, later_s: int = 0
) -> set[Rule]:
    return {found.rule for found in orders.violations(made, asked, shown, NOW + timedelta(seconds=later_s))}


def test_preview_is_asked_with_shopper_and_whole_address() -> None:
    mixed = wanted(COFFEE, Line(product("TEA"), 1), shopper=SHOPPER)
    assert orders.preview_input(mixed).variables() == {
        "products": [{"productIdentifier": {"sku": "COFFEE"}, "amount": {"value": 2}}],
        "location": {
            "shippingAddress": {
                "streetAddress": "1 Main St",
                "locality": "Portland",
                "region": "OR",
                "postalCode": "97201",
                "countryCode": "US",
            }
        },
        "shopperIdentity": {"lwaAccessToken": {"value": "shoppers-token"}},
        "terms": {"isPrimeEligible": True},
    }


def test_line_for_prime_has_the_ids_of_preview_and_offer() -> None:
    made = sent(orders.bound(PRIME, ASKED, TOGETHER, NOW))
    for line in made["lineItems"]:
        details = line["selectedDeliveryOffer"]["details"]
        assert details == {
            "deliveryProvider": "AMAZON",
            "deliveryTerms": {"isPrimeEligible": True, "deliverySpeed": "STANDARD"},
            "deliveryPreviewId": "preview-1",
            "id": "offer-0-1",
        }
    assert made["shopperIdentity"] == {"lwaAccessToken": {"value": "shoppers-token"}}


def test_each_line_is_bound_to_the_group_that_holds_it() -> None:
    made = orders.bound(PRIME, ASKED, preview({"FILTER": 1}, {"COFFEE": 2}), NOW)
    assert [line.selected_delivery_offer.details.id for line in made.line_items] == ["offer-1-1", "offer-0-1"]


def test_line_without_prime_beside_one_with_it_is_bound_to_nothing() -> None:
    mixed = wanted(Line(product("TEA"), 1), COFFEE, shopper=SHOPPER)
    made = orders.bound(mixed, orders.preview_input(mixed), preview({"COFFEE": 2}), NOW)
    assert [line.selected_delivery_offer.details.is_prime for line in made.line_items] == [False, True]


@pytest.mark.parametrize(
    "shown",
    [
        preview({"COFFEE": 2, "FILTER": 2}),
        preview({"COFFEE": 2, "TEA": 1}),
        preview({"COFFEE": 2, "FILTER": 1}, prime=False),
        preview(),
    ],
)
def test_preview_that_has_no_offer_for_the_line(shown: DeliveryPreview) -> None:
    with pytest.raises(BindingError) as caught:
        orders.bound(PRIME, ASKED, shown, NOW)
    assert caught.value.rules == {Rule.OFFER}
    assert not caught.value.only_expired


BOUND = orders.bound(PRIME, ASKED, TOGETHER, NOW)


def with_details(made: CreateOrderInput, **changed: Any) -> CreateOrderInput:
    """With something else in the delivery of its first line."""
    first, *others = made.line_items
    details = first.selected_delivery_offer.details.model_copy(update=changed)
    offer = first.selected_delivery_offer.model_copy(update={"details": details})
    return made.model_copy(update={"line_items": (first.model_copy(update={"selected_delivery_offer": offer}), *others)})


def with_line(made: CreateOrderInput, **changed: Any) -> CreateOrderInput:
    first, *others = made.line_items
    return made.model_copy(update={"line_items": (first.model_copy(update=changed), *others)})


OTHER_SHOPPER = IdentityTokenInput(lwa_access_token=LWAAccessTokenInput(value=SecretStr("another's")))
OTHER_HOUSE = ADDRESS.model_copy(update={"street_address": "2 Main St"})


def broken(rule: Rule) -> CreateOrderInput:
    """The good order with just this rule broken."""
    if rule is Rule.IDENTIFIER:
        return with_line(BOUND, product=product("TEA"))
    if rule is Rule.QUANTITY:
        return with_line(BOUND, amount=BOUND.line_items[0].amount.model_copy(update={"value": 3}))
    if rule is Rule.PREVIEW:
        return with_details(BOUND, delivery_preview_id="preview-2")
    if rule is Rule.OFFER:
        return with_details(BOUND, id="offer-9")
    if rule is Rule.ADDRESS:
        assert BOUND.recipient
        return BOUND.model_copy(update={"recipient": BOUND.recipient.model_copy(update={"delivery_address": OTHER_HOUSE})})
    assert rule is Rule.SHOPPER
    return BOUND.model_copy(update={"shopper_identity": OTHER_SHOPPER})


SIX = [rule for rule in Rule if rule is not Rule.EXPIRED]


@pytest.mark.parametrize("rule", SIX)
def test_each_binding_rule_is_named_when_it_is_broken(rule: Rule) -> None:
    found = orders.violations(broken(rule), ASKED, TOGETHER, NOW)
    assert [each.rule for each in found] == [rule]
    assert found[0].line == (None if rule in (Rule.ADDRESS, Rule.SHOPPER) else 0)
    assert str(found[0]).startswith("the order: " if found[0].line is None else "line 0: ")


@given(st.sets(st.sampled_from([Rule.PREVIEW, Rule.QUANTITY, Rule.ADDRESS, Rule.SHOPPER, Rule.EXPIRED])), st.booleans())
def test_all_rules_that_are_broken_are_named_together(picked: set[Rule], tea: bool) -> None:
    """Each part of the order is taken from the good one or from the one that breaks its rule."""
    made = BOUND
    if Rule.PREVIEW in picked:
        made = with_details(made, delivery_preview_id="preview-2")
    for rule, name in ((Rule.ADDRESS, "recipient"), (Rule.SHOPPER, "shopper_identity")):
        if rule in picked:
            made = made.model_copy(update={name: getattr(broken(rule), name)})
    if Rule.QUANTITY in picked:
        made = with_line(made, amount=broken(Rule.QUANTITY).line_items[0].amount)
    if tea:  # whose quantity is nobody's then
        made, picked = with_line(made, product=product("TEA")), picked - {Rule.QUANTITY} | {Rule.IDENTIFIER}
    assert rules(made, later_s=900 if Rule.EXPIRED in picked else 0) == picked


_SKUS = st.sampled_from(["A", "B", "C", "D", "E"])


@given(st.lists(st.dictionaries(_SKUS, st.integers(1, 9), min_size=1, max_size=3), min_size=1, max_size=3), st.data())
def test_any_order_of_a_previews_products_keeps_all_rules(groups: list[dict[str, int]], data: st.DataObject) -> None:
    seen: set[str] = set()
    apart = [{sku: n for sku, n in group.items() if not (sku in seen or seen.add(sku))} for group in groups]  # type: ignore[func-returns-value]
    products = [(sku, n) for group in apart for sku, n in group.items()]
    picked = data.draw(st.lists(st.sampled_from(products), min_size=1, unique=True))
    given = wanted(*(Line(product(sku), n, prime=True) for sku, n in picked), shopper=SHOPPER)
    asked = orders.preview_input(given)
    made = orders.bound(given, asked, preview(*apart), NOW)
    assert rules(made, asked, preview(*apart)) == set()
    for line in made.line_items:
        group = int((line.selected_delivery_offer.details.id or "").split("-")[1])
        assert line.product and line.product.identifier.value in apart[group]


def test_address_is_compared_as_far_as_the_preview_was_told() -> None:
    by_code = ASKED.model_copy(
        update={"location": ASKED.location and ASKED.location.model_copy(update={"shipping_address": ADDRESS.model_copy(update={
            "street_address": None, "locality": None, "region": None, "country_code": None})})}
    )  # fmt: skip
    assert rules(broken(Rule.ADDRESS), by_code) == set()
    assert rules(BOUND, ASKED.model_copy(update={"location": None})) == set()
    assert rules(BOUND.model_copy(update={"recipient": None})) == {Rule.ADDRESS}


def test_prime_without_a_shopper_is_not_sent() -> None:
    nobody = replace(PRIME, shopper=None)
    with pytest.raises(BindingError) as caught:
        orders.bound(nobody, orders.preview_input(nobody), TOGETHER, NOW)
    assert caught.value.rules == {Rule.SHOPPER}


def test_text_of_a_refusal_has_nothing_of_the_customer() -> None:
    with pytest.raises(BindingError) as caught:
        orders.bound(replace(PRIME, address=OTHER_HOUSE, shopper=OTHER_SHOPPER), ASKED, TOGETHER, NOW)
    assert caught.value.rules == {Rule.ADDRESS, Rule.SHOPPER}
    assert not [word for word in ("Main", "another's", "Ann") if word in str(caught.value) + repr(caught.value)]


def test_lines_that_an_update_adds_are_bound_too() -> None:
    line = BOUND.line_items[0]
    added = UpdateLineItemInput(amount=line.amount, product=line.product, selected_delivery_offer=line.selected_delivery_offer)
    whole = UpdateOrderInput(line_items=(added,), recipient=BOUND.recipient, shopper_identity=SHOPPER)
    assert orders.violations(whole, ASKED, TOGETHER, NOW) == []
    bare = UpdateOrderInput(line_items=(added.model_copy(update={"amount": None}),))
    assert {found.rule for found in orders.violations(bare, ASKED, TOGETHER, NOW)} == {Rule.QUANTITY, Rule.ADDRESS, Rule.SHOPPER}
    assert orders.violations(orders.START, ASKED, TOGETHER, NOW) == []


# ---- Offers that expire


@pytest.mark.parametrize(("left_s", "good"), [(11, True), (10, False), (0, False), (-1, False)])
def test_offer_that_has_expired_is_not_sent(left_s: int, good: bool) -> None:
    shown = preview({"COFFEE": 2, "FILTER": 1}, expires=(NOW + timedelta(seconds=left_s)).isoformat())
    if good:
        assert rules(orders.bound(PRIME, ASKED, shown, NOW), shown=shown) == set()
        return
    with pytest.raises(BindingError) as caught:
        orders.bound(PRIME, ASKED, shown, NOW)
    assert caught.value.only_expired


def test_offer_without_an_end_is_good() -> None:
    shown = preview({"COFFEE": 2, "FILTER": 1}, expires=None)
    assert rules(BOUND, shown=shown, later_s=10**9) == set()


def test_earliest_offer_that_is_still_good_is_taken() -> None:
    def offer(name: str, latest: str | None, expires: str) -> dict[str, Any]:
        return {"id": name, "date": {"latest": latest}, "expiresAt": expires, "terms": {"isPrimeEligible": True}}

    soon, later = "2026-03-01T12:00:05Z", "2026-03-01T13:00:00Z"
    offers = [offer("a", None, later), offer("b", "2026-03-05T00:00:00Z", later), offer("c", "2026-03-04T00:00:00Z", later),
              offer("d", "2026-03-02T00:00:00Z", soon)]  # fmt: skip
    products = [{"productIdentifier": {"value": "COFFEE"}, "amount": {"value": 2}}]
    shown = DeliveryPreview.model_validate({"id": "p", "deliveryGroups": [{"products": products, "deliveryOffers": offers}]})
    made = orders.bound(wanted(COFFEE, shopper=SHOPPER), ASKED, shown, NOW)
    assert made.line_items[0].selected_delivery_offer.details.id == "c"


# ---- Letting an order begin


def test_start_is_all_that_is_ever_written_of_the_execution_state() -> None:
    assert orders.START.variables() == {"desiredExecutionState": "STARTED"}


@pytest.mark.parametrize(
    ("execution", "packages", "cancelled", "expected"),
    [
        ("NOT_STARTED", [], [], Standing.HELD),
        ("NOT_STARTED", ["PENDING"], [], Standing.HELD),
        (None, [], [], Standing.HELD),
        ("STARTED", ["PENDING"], [], Standing.STARTED),
        ("STARTED", ["IN_TRANSIT"], [], Standing.STARTED),
        ("STARTED", ["CANCELLED", "DELIVERED"], [], Standing.STARTED),
        ("STARTED", ["CANCELLED"], [], Standing.ENDED),
        ("NOT_STARTED", ["CANCELLED", "CANCELLED"], [], Standing.ENDED),
        ("NOT_STARTED", ["PENDING"], ["PENDING"], Standing.ENDED),
        ("NOT_STARTED", ["PENDING"], ["SUCCESS"], Standing.ENDED),
        ("NOT_STARTED", ["PENDING"], ["REJECTED"], Standing.HELD),
    ],
)
def test_how_an_order_stands_to_being_started(execution: str, packages: list[str], cancelled: list[str], expected: Standing) -> None:
    asked = {"details": [{"id": f"X-{number}", "state": state} for number, state in enumerate(cancelled)]}
    line = {"id": "L-1", "amount": {"value": 1}, "cancellations": asked}
    assert orders.standing(order(packages, metadata={"executionState": execution}, lineItems=[line, line])) is expected


def refusal(code: str | None, family: str = "Validation") -> APIError:
    return APIError("updateOrder", [Fault(family, code)])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ExecutionAlreadyStarted", Standing.STARTED),
        ("InvalidOrderExecutionState", Standing.STARTED),
        ("ExecutionCannotBeStartedDueToCancellation", Standing.ENDED),
        ("ItemOutOfStock", None),
        (None, None),
    ],
)
def test_what_a_refused_start_says(code: str | None, expected: Standing | None) -> None:
    assert orders.standing_after(refusal(code)) is expected


@pytest.mark.parametrize(
    ("packages", "summary", "expected"),
    [
        (["DELIVERED", "PENDING", "IN_TRANSIT"], None, PackageState.PENDING),
        (["DELIVERED", "CANCELLED", "IN_TRANSIT"], None, PackageState.IN_TRANSIT),
        (["DELIVERED", "CANCELLED"], None, PackageState.DELIVERED),
        (["CANCELLED", "CANCELLED"], None, PackageState.CANCELLED),
        ([], "DELIVERED", PackageState.DELIVERED),
        (["PENDING"], "DELIVERED", PackageState.PENDING),
        (["QUANTUM"], "IN_TRANSIT", PackageState.IN_TRANSIT),
        ([], None, None),
    ],
)
def test_packages_are_summed(packages: list[str], summary: str | None, expected: PackageState | None) -> None:
    details = [{"id": str(number), "state": state} for number, state in enumerate(packages)]
    given = {"summary": {"state": summary} if summary else None, "details": details}
    assert orders.package_state(order(packageInformation=given)) is expected


# ---- Want of stock


@given(st.integers(1, 99), st.integers(0, 98))
def test_search_finds_how_many_there_are(wanted_packs: int, stock: int) -> None:
    stock = min(stock, wanted_packs - 1)
    search, asked = Search(wanted_packs), 0
    while (quantity := search.ask()) is not None:
        assert 0 < quantity < wanted_packs
        search, asked = search.heard(quantity, quantity <= stock), asked + 1
    assert search.offered == stock
    assert asked <= 7


def test_stock_is_asked_for_by_a_preview_for_nobody() -> None:
    asked = orders.stock_preview(product().identifier, 3, prime=False).variables()
    assert asked == {
        "products": [{"productIdentifier": {"sku": "COFFEE"}, "amount": {"value": 3}}],
        "terms": {"isPrimeEligible": False},
    }


def test_order_that_cannot_be_had_is_cancelled_for_want_of_stock_and_a_no_for_a_mistake() -> None:
    assert orders.NO_STOCK.variables() == {"reason": "OUT_OF_STOCK"}
    assert orders.PERSONS_NO.variables() == {"reason": "ORDERED_BY_MISTAKE"}
