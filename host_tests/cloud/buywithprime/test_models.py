"""What is written fits the schema, field by field; what is read may be of any version and of any quality."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, get_args

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNamedType,
    get_named_type,
    is_required_input_field,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from host_tests.cloud.buywithprime.samples import (
    BY_ID,
    INTENT,
    SHOPPER,
    SHOPPER_TOKEN,
    STREET,
    dollars,
    known_return,
    line,
    new_order,
    new_return,
    return_lines,
    returns,
)
from tools.cloud.buywithprime import models, schema
from tools.cloud.buywithprime.models import (
    Alias,
    Condition,
    DeliveryPreview,
    ExecutionState,
    Money,
    Order,
    OrderIdentifierInput,
    PackageState,
    ProductIdentifier,
    ReturnDetailsInput,
    ReturnPackageState,
    ReturnState,
)

SCHEMA = schema.load()
# Models that are written and read alike have the name of the type that is read; enums likewise. Where a type of the schema has
# another name than the model, it stands here.
NAMES = {
    "Alias": "AliasInput",
    "Money": "MoneyInput",
    "ProductIdentifier": "ProductIdentifierInput",
    "ExecutionState": "OrderExecutionStateInput",
    "ReturnState": "ReturnStateInput",
    "DeliveryProvider": "DeliveryProviderInput",
    "PaymentState": "PaymentStateInput",
    "CancellationReason": "CancellationReasonInput",
}
INPUTS = [
    value
    for value in vars(models).values()
    if isinstance(value, type) and issubclass(value, models.Input) and value is not models.Input and value is not models.SecretInput
]


def type_of(model: type) -> GraphQLNamedType:
    found = SCHEMA.get_type(NAMES.get(model.__name__, model.__name__))
    assert found is not None, f"{model.__name__} is no type of the API"
    return found


def classes(annotation: Any) -> set[type]:
    """The models and enums inside an annotation, behind Annotated, tuple and None."""
    if isinstance(annotation, type) and issubclass(annotation, (BaseModel, Enum)):
        return {annotation}
    return {found for part in get_args(annotation) for found in classes(part)}


@pytest.mark.parametrize("model", INPUTS, ids=lambda model: model.__name__)
def test_a_model_that_is_written_is_a_type_of_the_API(model: type[BaseModel]) -> None:
    kind = type_of(model)
    assert isinstance(kind, GraphQLInputObjectType)
    written = {str(info.alias): info for info in model.model_fields.values()}
    assert written.keys() <= kind.fields.keys()
    for name, of_the_api in kind.fields.items():
        info: FieldInfo | None = written.get(name)
        assert info is not None or not is_required_input_field(of_the_api), name
        assert info is None or info.is_required() or info.default is not None or not is_required_input_field(of_the_api), name
        if info is not None and (inner := classes(info.annotation)):
            assert {type_of(each) for each in inner} == {get_named_type(of_the_api.type)}, name


def test_the_words_that_are_written_are_those_of_the_API() -> None:
    for name in ("PaymentState", "CancellationReason", "DeliveryProvider", "ExecutionState", "ReturnState"):
        model = getattr(models, name)
        kind = type_of(model)
        assert isinstance(kind, GraphQLEnumType)
        assert kind.values.keys() == {member.name for member in model} - {"UNKNOWN", "DRAFT"}


def test_there_are_such_models() -> None:
    assert len(INPUTS) > 30


# ---- Written


@given(st.decimals(min_value=0, max_value=10**11, places=2))
def test_an_amount_of_money_keeps_its_digits_in_JSON(amount: Decimal) -> None:
    written = json.dumps(Money(amount=amount, currency_code="USD").model_dump(mode="json", by_alias=True))
    read = Money.model_validate(json.loads(written, parse_float=Decimal))
    assert read.amount == amount


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1234567890123.456"])
def test_money_that_JSON_cannot_carry_is_refused(amount: str) -> None:
    with pytest.raises(ValidationError):
        dollars(amount)


@pytest.mark.parametrize("given_, allowed", [({}, "exactly one"), ({"order_id": "1", "alias": INTENT}, "exactly one")])
def test_an_order_is_named_in_exactly_one_way(given_: dict[str, Any], allowed: str) -> None:
    with pytest.raises(ValidationError, match=allowed):
        OrderIdentifierInput(**given_)


def test_null_is_left_out_and_an_empty_list_is_not() -> None:
    written = returns(known_return(aliases=())).variables()
    assert written == {"returns": {"details": [{"returnIdentifier": {"id": "return-id-1"}, "aliases": []}]}}


def test_a_link_says_where_it_leads() -> None:
    written = new_order(order_links=(models.OrderLinkInput(url="https://shop.example.com/1"),)).variables()["orderLinks"]
    assert written == [{"destinationType": "EXTERNAL_ORDER_MANAGEMENT", "url": "https://shop.example.com/1"}]


@pytest.mark.parametrize("number, good", [(0, False), (1, True), (5, True), (6, False)])
def test_an_order_has_one_to_five_aliases(number: int, good: bool) -> None:
    aliases = tuple(Alias(alias_type="T", alias_id=str(i)) for i in range(number))
    if good:
        assert len(new_order(aliases=aliases).variables()["aliases"]) == number
    else:
        with pytest.raises(ValidationError, match="aliases"):
            new_order(aliases=aliases)


@pytest.mark.parametrize("prime, other, good", [(20, 20, True), (21, 0, False), (0, 21, False)])
def test_lines_of_each_kind_have_a_limit(prime: int, other: int, good: bool) -> None:
    lines = (line(prime=True),) * prime + (line(),) * other
    if good:
        new_order(line_items=lines)
    else:
        with pytest.raises(ValidationError, match="allowed: 20 of each"):
            new_order(line_items=lines)


@pytest.mark.parametrize("missing", ["delivery_preview_id", "id"])
def test_a_delivery_for_Prime_is_bound_to_an_offer(missing: str) -> None:
    details = line(prime=True).selected_delivery_offer.details
    with pytest.raises(ValidationError, match="allowed: those of the preview"):
        models.DeliveryOfferDetailsInput(**{**dict(details), missing: None})


def test_a_line_that_Amazon_delivers_has_a_product() -> None:
    with pytest.raises(ValidationError, match="product: missing"):
        models.LineItemInput(**{**dict(line()), "product": None})


def test_a_charge_is_not_negative() -> None:
    with pytest.raises(ValidationError, match="less than nothing"):
        models.DiscountSummaryInput(amount=dollars("-1"))


def test_an_unknown_state_is_not_asked_for() -> None:
    with pytest.raises(ValidationError, match="allowed: NOT_STARTED, STARTED"):
        new_order(desired_execution_state="PAUSED")


def test_a_name_that_the_API_does_not_have_is_refused() -> None:
    with pytest.raises(ValidationError, match="giftWrap"):
        new_order(giftWrap=True)


@pytest.mark.parametrize(
    "given_, why",
    [
        # What is meant as an update and lacks its identifier would be a new return.
        ({"aliases": (INTENT,), "state": ReturnState.COMPLETED}, "return_identifier: missing"),
        ({"aliases": (INTENT,)}, "return_identifier: missing"),
        ({"state": ReturnState.CANCELLED, "return_line_items": return_lines()}, "allowed: CREATED, COMPLETED"),
        ({"return_line_items": return_lines()}, "state: missing"),
        ({"return_identifier": {"id": "r"}, "state": "DRAFT"}, "allowed: CREATED, COMPLETED, CANCELLED"),
        ({"return_identifier": {"id": "r"}, "aliases": (INTENT,) * 3}, "aliases"),
    ],
)
def test_a_return_is_new_or_known(given_: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ReturnDetailsInput(**given_)


def test_a_new_return_is_written_as_the_API_wants_it() -> None:
    assert returns(new_return()).variables()["returns"]["details"] == [
        {
            "aliases": [{"aliasType": "EXTERNAL-RETURN-ID", "aliasId": "return-1"}],
            "state": "CREATED",
            "returnLineItems": [{"returnFor": {"orderLineItemAmounts": [{"amount": {"value": 1}, "lineItemId": {"id": "line-1"}}]}}],
        }
    ]


def test_no_repr_and_no_fault_tells_a_token_or_an_address() -> None:
    order = new_order(prime=True)
    for shown in (repr(order), str(order), repr(SHOPPER)):
        assert SHOPPER_TOKEN not in shown
        assert STREET not in shown
        assert "jo@example.com" not in shown
    assert order.variables()["shopperIdentity"] == {"lwaAccessToken": {"value": SHOPPER_TOKEN}}
    with pytest.raises(ValidationError) as caught:
        models.IdentityTokenInput(lwa_access_token={"value": [SHOPPER_TOKEN]})  # type: ignore[arg-type]
    assert SHOPPER_TOKEN not in str(caught.value)


# ---- Identifiers


@pytest.mark.parametrize(
    "given_, kind",
    [
        ({"__typename": "Sku", "value": "A"}, "sku"),
        ({"__typename": "SKU", "value": "A"}, "sku"),
        ({"__typename": "ProductIdentifierSku", "value": "A"}, None),
        ({"__typename": "SkuIdentifier", "value": "A"}, "sku"),
        ({"__typename": "ProductId", "value": "A"}, "productId"),
        ({"value": "A"}, None),
        ({"sku": "A"}, "sku"),
        ({"SKU": "A"}, "sku"),
        ({"sku": {"value": "A"}}, "sku"),
        ({"productId": {"value": "A"}, "title": None}, "productId"),
        ({"amazonSku": {"value": "A", "marketplaceId": "M"}}, "amazonSku"),
        ({"externalId": "A"}, "externalId"),
    ],
)
def test_an_identifier_is_read_in_every_form(given_: dict[str, Any], kind: str | None) -> None:
    read = ProductIdentifier.model_validate(given_)
    assert (read.kind, read.value) == (kind, "A")


def test_an_identifier_is_written_in_one_form() -> None:
    assert ProductIdentifier(kind="sku", value="A").model_dump() == {"sku": "A"}
    assert ProductIdentifier(kind="amazonSku", value="A").model_dump() == {"amazonSku": {"value": "A"}}
    with pytest.raises(ValueError, match="allowed: amazonSku, externalId, productId, sku"):
        ProductIdentifier(value="A").model_dump()


def test_which_identifiers_name_the_same() -> None:
    sku = ProductIdentifier(kind="sku", value="A")
    assert sku.names_the_same(ProductIdentifier(value="A"))
    assert not sku.names_the_same(ProductIdentifier(kind="productId", value="A"))
    assert not sku.names_the_same(ProductIdentifier(kind="sku", value="B"))


# ---- Read

AGREED = {"id": "o", "deliveryPreviewId": "p", "deliveryProvider": "AMAZON", "deliveryTerms": {"isPrimeEligible": True}}
NEWEST: dict[str, Any] = {
    "id": "order-1",
    "aliases": [{"aliasType": "DEVICE_INTENT_ID", "aliasId": "BREWER-1-Coffee-17"}],
    "metadata": {"executionState": "STARTED", "createdAt": "2026-11-01T10:00:00.123456789Z", "updatedAt": "2026-11-01T11:00:00Z"},
    "totalPrice": {"value": {"amount": Decimal("41.03"), "currencyCode": "USD"}},
    "lineItems": [
        {
            "id": "line-1",
            "amount": {"unit": "ONE", "value": 2},
            "aliases": [{"aliasType": "LINE", "aliasId": "1"}],
            "product": {"productId": {"value": "P"}, "title": "Coffee", "price": {"amount": 10, "currencyCode": "USD"}},
            "deliveryOffer": {"details": AGREED},
        }
    ],
    "packageInformation": {
        "summary": {"state": "IN_TRANSIT"},
        "details": [
            {
                "id": "package-1",
                "state": "IN_TRANSIT",
                "reason": None,
                "packageInformationDetailsFor": {"orderLineItems": [{"lineItem": {"id": "line-1"}, "amount": {"value": 2}}]},
                "packageTracker": {
                    "trackingUrl": "https://carrier.example.com/1",
                    "packageTrackerIdentifier": {"trackingNumber": "1Z", "carrierCode": "ups"},
                    "estimatedDeliveryDate": {"earliest": "2026-11-03T00:00:00Z", "latest": "2026-11-05T00:00:00Z"},
                    "latestMilestone": {"status": {"code": "IN_TRANSIT"}},
                },
            }
        ],
    },
    "returns": {"details": []},
    "refunds": {
        "details": [
            {
                "id": "refund-1",
                "state": "PENDING",
                "refundRequestReason": "RETURN_RECEIVED",
                "refundTotal": {"totalAmount": {"amount": 17.95, "currencyCode": "USD"}},
                "refundFor": {
                    "causedBy": {"id": "return-1"},
                    "orderLineItems": [{"lineItem": {"id": "line-1"}, "amount": {"value": 1}}],
                },
            }
        ]
    },
}


def test_an_order_is_read() -> None:
    order = Order.model_validate(NEWEST)
    assert (order.id, order.execution_state, order.total) == ("order-1", ExecutionState.STARTED, dollars("41.03"))
    assert order.created_at == datetime(2026, 11, 1, 10, 0, 0, 123456, UTC)
    assert order.has(INTENT) and not order.has(Alias(alias_type="OTHER", alias_id=INTENT.alias_id))
    [item] = order.line_items
    assert item.amount is not None and item.amount.value == 2
    assert item.delivery is not None
    assert (item.delivery.provider, item.delivery.is_prime, item.delivery.offer_id) == ("AMAZON", True, "o")
    assert item.product is not None and item.product.identifiers == (ProductIdentifier(kind="productId", value="P"),)
    [package] = order.packages.details
    assert order.packages.state is package.state is PackageState.IN_TRANSIT
    assert [(each.line_item_id, each.amount.value) for each in package.contents] == [("line-1", 2)]
    assert package.tracker is not None and package.tracker.estimated_delivery_date is not None
    assert package.tracker.estimated_delivery_date.latest == datetime(2026, 11, 5, tzinfo=UTC)
    assert (package.tracker.number, package.tracker.carrier, package.tracker.milestone) == ("1Z", "ups", "IN_TRANSIT")
    [refund] = order.refunds
    assert (refund.caused_by, refund.total, refund.request_reason) == ("return-1", dollars("17.95"), "RETURN_RECEIVED")
    assert [each.line_item_id for each in refund.items] == ["line-1"]


OLDEST: dict[str, Any] = {
    "id": "order-1",
    "orderAliases": [{"aliasType": "DEVICE_INTENT_ID", "aliasId": "BREWER-1-Coffee-17"}],
    "metadata": NEWEST["metadata"],
    "totalPrice": {"value": {"amount": "41.03", "currencyCode": "USD"}},
    "lineItems": [
        {
            "id": "line-1",
            "quantity": {"unit": "ONE", "amount": 2},
            "lineItemAliases": [{"aliasType": "LINE", "aliasId": "1"}],
            "purchasedItem": {
                "itemIdentifiers": [{"__typename": "ProductId", "value": "P"}],
                "title": "Coffee",
                "price": {"currentPrice": {"amount": "10", "currencyCode": "USD"}},
            },
            "deliveryOffer": {"details": {"id": "o", "deliveryPreviewId": "p", "deliveryProvider": "BUY_WITH_PRIME"}},
        }
    ],
    "deliveryInformation": {
        "summary": {"state": "IN_TRANSIT"},
        "details": [
            {
                **NEWEST["packageInformation"]["details"][0],
                "deliveryInformationDetailsFor": {"orderLineItemAmounts": [{"lineItem": {"id": "line-1"}, "amount": {"value": 2}}]},
            }
        ],
    },
    "returns": None,
    "refunds": NEWEST["refunds"],
}
del OLDEST["deliveryInformation"]["details"][0]["packageInformationDetailsFor"]


def test_an_order_of_the_oldest_version_is_the_same_order() -> None:
    assert Order.model_validate(OLDEST) == Order.model_validate(NEWEST)


@pytest.mark.parametrize("provider, terms, prime", [("PRIME", None, True), ("MERCHANT", None, False), ("AMAZON", None, False)])
def test_who_delivers_in_every_version(provider: str, terms: object, prime: bool) -> None:
    read = models.AgreedDelivery.model_validate({"details": {"deliveryProvider": provider, "deliveryTerms": terms}})
    assert (read.provider, read.is_prime) == ("MERCHANT" if provider == "MERCHANT" else "AMAZON", prime)


RETURNED: dict[str, Any] = {
    "id": "return-1",
    "state": "CREATED",
    "returnFor": {"orderLineItemAmounts": [{"lineItem": {"id": "line-1"}, "amount": {"value": 2}}]},
    "returnLineItems": [
        {
            "id": "return-line-1",
            "returnFor": {"orderLineItemAmounts": [{"lineItem": {"id": "line-1"}, "amount": {"value": 2}}]},
            "returnReason": {"reasonCode": "TOO_MUCH"},
            "grading": {
                "summary": {
                    "gradedAmount": {"unit": "ONE", "value": 2},
                    "unitWiseCondition": [
                        {"amount": {"value": 1}, "condition": "Sellable"},
                        {"amount": {"value": 1}, "condition": "FULFILLMENT_EXPIRED"},
                    ],
                }
            },
            "refundDetails": [{"id": "refund-1"}, None],
        }
    ],
    "returnPackageDetails": [
        {
            "id": "back-1",
            "state": "FAILED",
            "reason": "CARRRIER_REJECTED",
            "returnPackageFor": {"orderLineItemAmounts": [{"lineItem": {"id": "line-1"}, "amount": {"value": 2}}]},
        }
    ],
}


def test_a_return_is_read() -> None:
    [read] = Order.model_validate({"id": "o", "returns": {"details": [RETURNED, None]}}).returns
    [item], [package] = read.line_items, read.packages
    assert item.grading is not None
    assert item.grading.conditions == ((Condition.SELLABLE, 1), (Condition.FULFILLMENT_EXPIRED, 1))
    assert (item.reason_code, item.refund_ids) == ("TOO_MUCH", ("refund-1",))
    assert (package.state, package.reason) == (ReturnPackageState.FAILED, "CARRIER_REJECTED")
    assert read.items == item.items == package.items


def test_the_mixed_forms_of_the_examples_are_the_same_return() -> None:
    """orderLineItems, returnDeliveryFor, a single orderLineItem, and an amount inside the line."""
    amount = {"lineItem": {"id": "line-1"}, "amount": {"value": 2}}
    inside = {"lineItem": {"id": "line-1", "amount": {"value": 2}}}
    line_item = {**RETURNED["returnLineItems"][0], "orderLineItem": amount}
    del line_item["returnFor"]
    package = {**RETURNED["returnPackageDetails"][0], "returnDeliveryFor": {"orderLineItems": [inside]}}
    del package["returnPackageFor"]
    mixed = {"id": "return-1", "state": "created", "returnFor": {"orderLineItems": [amount]}, "returnLineItems": [line_item]}
    mixed["returnDeliveryDetails"] = [package]
    assert models.Return.model_validate(mixed) == models.Return.model_validate(RETURNED)


def test_a_package_on_its_way_back_has_one_word_for_arrived() -> None:
    read = {word: ReturnPackageState(word).name for word in ("COMPLETED", "delivered", "DROPPED_OFF", "?")}
    assert read == {"COMPLETED": "DELIVERED", "delivered": "DELIVERED", "DROPPED_OFF": "DROPPED_OFF", "?": "UNKNOWN"}


def test_no_time_is_worth_an_order() -> None:
    order = Order.model_validate({"id": "o", "metadata": {"createdAt": "soon", "updatedAt": "2026-11-01T10:00:00"}})
    assert order.created_at is None
    assert order.updated_at == datetime(2026, 11, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("newer", [True, False])
def test_a_preview_is_read_in_every_version(newer: bool) -> None:
    product = {"productIdentifier": {"__typename": "Sku", "value": "A"}, "amount": {"value": 2}}
    item = {"itemIdentifier": {"sku": "A"}, "quantity": {"amount": 2}}
    offer = {
        "id": "offer-1",
        "date": {"latest": "2026-11-05T00:00:00Z"},
        "expiresAt": "2026-11-01T10:15:00Z",
        "price": {"totalPrice": {"currencyCode": "USD", "amount": "0"}},
        "terms": {"isPrimeEligible": True, "deliverySpeed": "STANDARD"},
    }
    group = {"id": "g", "deliveryOffers": [offer]} | ({"products": [product]} if newer else {"items": [item]})
    preview = DeliveryPreview.model_validate({"id" if newer else "deliveryPreviewId": "preview-1", "deliveryGroups": [group]})
    [found] = preview.groups
    assert preview.id == "preview-1"
    assert found.products[0].identifier == ProductIdentifier(kind="sku", value="A")
    assert found.products[0].amount is not None and found.products[0].amount.value == 2
    [read] = found.offers
    assert (read.is_prime, read.price, read.delivery_speed) == (True, dollars("0"), "STANDARD")
    assert read.expires_at == datetime(2026, 11, 1, 10, 15, tzinfo=UTC)


JUNK: list[Any] = [None, True, -1, 1e300, "", "x", [], [None], {}, {"id": []}, [[]]]
GROUP = {"id": "g", "products": [{"productIdentifier": {"sku": "A"}, "amount": {"value": 1}}], "deliveryOffers": [{"id": "o"}]}


def replaced(whole: Any, junk: Any) -> Iterator[Any]:
    """`whole` once for each thing in it, with junk in that thing's place."""
    yield junk
    for key, inner in whole.items() if isinstance(whole, dict) else enumerate(whole) if isinstance(whole, list) else ():
        for other in replaced(inner, junk):
            copy = dict(whole) if isinstance(whole, dict) else list(whole)
            copy[key] = other
            yield copy


@pytest.mark.parametrize(
    "model, whole",
    [
        (Order, {**NEWEST, "returns": {"details": [RETURNED]}}),
        (Order, OLDEST),
        (DeliveryPreview, {"id": "preview", "deliveryGroups": [GROUP]}),
    ],
)
def test_anything_anywhere_is_read_or_refused(model: type[BaseModel], whole: dict[str, Any]) -> None:
    read = refused = 0
    for junk in JUNK:
        for value in replaced(whole, junk):
            try:
                model.model_validate(value)
                read += 1
            except ValidationError:
                refused += 1
    assert read > 20 and refused > 20


def test_a_fraction_of_a_pack_is_refused() -> None:
    assert models.Amount.model_validate({"value": Decimal("2.0")}).value == 2
    with pytest.raises(ValidationError):
        models.Amount.model_validate({"value": Decimal("0.5")})


def test_an_identifier_of_an_order_is_written_alone() -> None:
    assert BY_ID.variables() == {"orderId": "322-ABC1-AAAAAA"}
