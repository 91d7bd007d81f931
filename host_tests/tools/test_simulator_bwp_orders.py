"""The simulated store's orders: what its rules allow, every code with which it refuses, and what becomes of a package."""

from typing import Any

import pytest

from host_tests.tools.bwp_client import ADDRESS, CUSTOMER, DAY, PRIME_SHOPPER, SKU, START, StoreClient, alias, line, order_input
from tools.simulator.orders import OrderRefused

PREVIEWED = {"location": {"shippingAddress": {key: ADDRESS[key] for key in ADDRESS if key != "name"}}, "shopperIdentity": PRIME_SHOPPER}


@pytest.fixture
def client() -> StoreClient:
    return StoreClient()


def prime_line(preview: Any, amount: int = 1, group: int = 0, sku: str = SKU) -> dict[str, Any]:
    """A line bound to the first offer of a preview's group."""
    offer = preview["deliveryGroups"][group]["deliveryOffers"][0]
    return line(amount, sku, id=offer["id"], deliveryPreviewId=preview["id"], deliveryTerms={"isPrimeEligible": True})


def test_an_order_is_read_back_as_it_was_written(client: StoreClient) -> None:
    amount = {"amount": 25.98, "currencyCode": "USD"}
    payments = {"summary": {"amount": amount, "paymentMethodDisplayString": "Visa", "state": "AUTHORIZED"}}
    detailed = line(2) | {
        "taxes": {"summary": {"collectableTaxAmount": {"amount": 1.5, "currencyCode": "USD"}}},
        "discounts": {"summary": {"amount": {"amount": 2, "currencyCode": "USD"}}},
    }
    order = client.order(client.create(detailed, aliases=[alias()], payments=payments)["id"])
    assert order["aliases"] == [alias()]
    assert order["metadata"] == {
        "executionState": "NOT_STARTED",
        "createdAt": "2023-11-14T22:13:20.000Z",
        "updatedAt": "2023-11-14T22:13:20.000Z",
    }
    assert order["customer"]["contact"] == {"name": "Pat Doe", "email": "pat@example.com"}
    assert order["payments"] == payments
    (item,) = order["lineItems"]
    assert item["amount"] == {"value": 2, "unit": "ONE"}
    assert item["product"] == {"title": "Coffee", "sku": {"value": SKU}, "price": {"amount": 12.99}}
    assert item["taxes"] == {"summary": {"collectableTaxAmount": {"amount": 1.5}}}
    assert item["discounts"] == {"summary": {"amount": {"amount": 2}}}
    assert order["packageInformation"]["summary"] == {"state": "PENDING"} == item["packageInformation"]["summary"]


def test_a_preview_offers_groups_with_prices_and_an_end(client: StoreClient) -> None:
    client.store.put_product("TOWEL", group="2")
    preview = client.preview((SKU, 2), ("TOWEL", 1), **PREVIEWED)
    assert [group["products"] for group in preview["deliveryGroups"]] == [
        [{"productIdentifier": {"__typename": "Sku", "value": SKU}, "amount": {"value": 2}}],
        [{"productIdentifier": {"__typename": "Sku", "value": "TOWEL"}, "amount": {"value": 1}}],
    ]
    prime, other = preview["deliveryGroups"][0]["deliveryOffers"]
    assert prime["expiresAt"] == "2023-11-14T22:28:20.000Z"
    assert [offer["terms"]["isPrimeEligible"] for offer in (prime, other)] == [True, False]
    assert [offer["price"]["totalPrice"]["amount"] for offer in (prime, other)] == [0, 5.99]
    assert [offer["policy"]["messaging"]["badge"] for offer in (prime, other)] == ["PRIME", None]
    order = client.create(prime_line(preview, 2), prime_line(preview, 1, 1, "TOWEL"), shopperIdentity=PRIME_SHOPPER)
    assert [item["deliveryOffer"]["details"]["id"] for item in order["lineItems"]] == [
        group["deliveryOffers"][0]["id"] for group in preview["deliveryGroups"]
    ]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, None),
        ({"amount": {"value": 2}}, "Validation"),
        ({"product": {**line()["product"], "identifier": {"productId": f"product-{SKU}"}}}, "Validation"),
        ({"deliveryPreviewId": "another"}, "Validation"),
        ({"id": "another"}, "Validation"),
        ({"id": None}, "Validation"),
        ({"recipient": {"deliveryAddress": {**ADDRESS, "postalCode": "73301"}}}, "AddressMismatch"),
        ({"shopperIdentity": {"lwaAccessToken": {"value": "neighbour"}}}, "ShopperIdMismatch"),
        ({"shopperIdentity": None}, "ShopperIdMismatch"),
        ({"expire": True}, "Validation"),
    ],
    ids=["kept", "quantity", "identifier", "preview", "offer", "no offer", "address", "shopper", "no shopper", "expired"],
)
def test_a_line_for_prime_keeps_to_its_preview(client: StoreClient, change: dict[str, Any], word: str | None) -> None:
    client.store.shoppers.put("neighbour", "shopper-neighbour")
    given = prime_line(client.preview(**PREVIEWED))
    details = given["selectedDeliveryOffer"]["details"]
    given.update({name: change[name] for name in ("amount", "product") if name in change})
    details.update({name: change[name] for name in ("deliveryPreviewId", "id") if name in change})
    order = order_input(given, shopperIdentity=PRIME_SHOPPER)
    order.update({name: change[name] for name in ("recipient", "shopperIdentity") if name in change})
    if "expire" in change:
        client.world.advance(900)
    if word is None:
        client.call("createOrder", input=order)
    else:
        assert client.refused("createOrder", input=order) == word
        assert client.store.orders() == []


@pytest.mark.parametrize(
    ("stock", "create", "preview"),
    [(0, "ItemOutOfStock", "ProductOutOfStock"), (1, "SelectedQuantityNotAvailable", "ProductAmountUnavailable")],
)
def test_stock_sells_out_between_the_preview_and_the_order(client: StoreClient, stock: int, create: str, preview: str) -> None:
    client.store.put_product(SKU, stock=2)
    order = order_input(prime_line(client.preview((SKU, 2), **PREVIEWED), 2), shopperIdentity=PRIME_SHOPPER)
    client.create(line(2 - stock))
    assert client.refused("createOrder", input=order) == create
    wanted = {"products": [{"productIdentifier": {"sku": SKU}, "amount": {"value": 2}}]}
    assert client.refused("deliveryPreview", input=wanted) == preview


def test_a_preview_is_refused(client: StoreClient) -> None:
    client.store.put_product("PLAIN", prime=False)
    client.store.shoppers.put("old", "shopper", expired=True)

    def refused(sku: str = SKU, address: dict[str, str] | None = None, shopper: str | None = None) -> str:
        wanted: dict[str, Any] = {"products": [{"productIdentifier": {"sku": sku}, "amount": {"value": 1}}]}
        if address:
            wanted["location"] = {"shippingAddress": address}
        if shopper:
            wanted["shopperIdentity"] = {"lwaAccessToken": {"value": shopper}}
        return client.refused("deliveryPreview", input=wanted)

    assert refused("NONE") == "ResourceNotFound"
    assert refused("PLAIN") == "ProductNotPrimeEnabled"
    assert refused(address={"postalCode": "nowhere"}) == "InvalidAddress"
    assert refused(address={"postalCode": "99501", "region": "AK"}) == "InvalidDestination"
    assert refused(address={"postalCode": "1010", "countryCode": "AT"}) == "InvalidDestination"
    assert refused(shopper="old") == "ExpiredIdpToken"
    assert refused(shopper="forged") == "InvalidIdpToken"


def test_eligibility_tells_prime_members_from_others(client: StoreClient) -> None:
    client.store.shoppers.put("other", "shopper-2", prime=False)
    statuses = [client.call("shopperBwPEligibility", token=token) for token in (PRIME_SHOPPER, {"lwaAccessToken": {"value": "other"}})]
    assert statuses == [
        {"shopperId": "shopper-prime", "bwpEligibilityStatus": "PRIME"},
        {"shopperId": "shopper-2", "bwpEligibilityStatus": "NON_PRIME"},
    ]
    offers = client.preview(shopperIdentity={"lwaAccessToken": {"value": "other"}})["deliveryGroups"][0]["deliveryOffers"]
    assert [offer["terms"]["isPrimeEligible"] for offer in offers] == [False]


@pytest.mark.parametrize(
    ("order", "word"),
    [
        (order_input(line(sku="NONE")), "ResourceNotFound"),
        (order_input(line(0)), "Validation"),
        ({"customer": CUSTOMER, "lineItems": [line()]}, "InvalidAddress"),
        (order_input(recipient={"deliveryAddress": {**ADDRESS, "region": "HI"}}), "InvalidDestination"),
        ({**order_input(), "lineItems": []}, "Validation"),
        (order_input(*[line()] * 21), "Validation"),
        (order_input({name: value for name, value in line().items() if name != "product"}), "Validation"),
    ],
    ids=["product", "amount", "no address", "destination", "no line", "lines", "no product"],
)
def test_an_order_is_refused(client: StoreClient, order: dict[str, Any], word: str) -> None:
    assert client.refused("createOrder", input=order) == word
    assert client.store.orders() == []


def test_what_the_merchant_delivers_has_no_stock_and_no_package(client: StoreClient) -> None:
    order = client.create(line(sku="OF-MY-OWN", deliveryProvider="MERCHANT"))
    assert order["packageInformation"] is None
    assert client.update(order["id"], desiredExecutionState="STARTED")["metadata"]["executionState"] == "STARTED"


def test_an_alias_is_unique_in_the_store(client: StoreClient) -> None:
    first = client.create(aliases=[alias()])
    again = order_input(aliases=[alias()])
    assert client.refused("createOrder", input=again) == "Conflict"
    client.world.advance(5)
    assert client.refused("createOrder", input=again) == "AliasValueAlreadyExists"
    assert client.call("order", id={"alias": alias()})["id"] == first["id"]
    # The type is part of the name.
    other = client.create(aliases=[alias(type_="EXTERNAL_ID")])
    assert client.refused("updateOrder", id={"orderId": other["id"]}, input={"aliases": [alias()]}) == "AliasValueAlreadyExists"
    assert [entry.id for entry in client.store.orders()] == [first["id"], other["id"]]


def test_an_order_has_at_most_five_aliases(client: StoreClient) -> None:
    assert client.refused("createOrder", input=order_input(aliases=[alias(number) for number in range(6)])) == "Validation"
    order = client.create(aliases=[alias(number) for number in range(4)])
    assert client.refused("updateOrder", id={"orderId": order["id"]}, input={"aliases": [alias(8), alias(9)]}) == "Validation"
    # Its own are no news, and what is new is appended.
    assert client.update(order["id"], aliases=[alias(0), alias(4)])["aliases"] == [alias(number) for number in range(5)]
    assert client.refused("createOrder", input=order_input(aliases=[alias(7), alias(7)])) == "AliasValueAlreadyExists"


@pytest.mark.parametrize("name", ["order", "updateOrder", "cancelOrder"])
def test_an_order_that_is_not_there(client: StoreClient, name: str) -> None:
    more = {} if name == "order" else {"input": {}}
    assert client.refused(name, id={"orderId": "322-0000-000000"}, **more) == "ResourceNotFound"
    assert client.refused(name, id={"alias": alias()}, **more) == "ResourceNotFound"


def test_the_execution_state_goes_one_way(client: StoreClient) -> None:
    order_id = client.create()["id"]
    place = {"orderId": order_id}
    assert client.update(order_id, desiredExecutionState="NOT_STARTED")["metadata"]["executionState"] == "NOT_STARTED"
    client.world.advance(10 * DAY)
    assert client.order(order_id)["packageInformation"]["summary"] == {"state": "PENDING"}
    assert client.update(order_id, desiredExecutionState="STARTED")["metadata"]["executionState"] == "STARTED"
    assert client.refused("updateOrder", id=place, input={"desiredExecutionState": "NOT_STARTED"}) == "InvalidOrderExecutionState"
    assert client.update(order_id, desiredExecutionState="STARTED")["metadata"]["executionState"] == "STARTED"
    client.world.settings.change(bwp_started_again="refused")
    assert client.refused("updateOrder", id=place, input={"desiredExecutionState": "STARTED"}) == "ExecutionAlreadyStarted"
    client.world.settings.change(bwp_started_again="accepted")
    client.world.advance(DAY)
    assert client.refused("updateOrder", id=place, input={"desiredExecutionState": "STARTED"}) == "ExecutionAlreadyStarted"


@pytest.mark.parametrize("started", ["NOT_STARTED", "STARTED"])
def test_a_cancelled_order_is_not_started(client: StoreClient, started: str) -> None:
    order_id = client.create(desiredExecutionState=started)["id"]
    place, wish = {"orderId": order_id}, {"desiredExecutionState": "STARTED"}
    client.call("cancelOrder", id=place)
    assert client.refused("updateOrder", id=place, input=wish) == "ExecutionCannotBeStartedDueToCancellation"
    client.world.advance(60)
    assert client.order(order_id)["packageInformation"]["summary"] == {"state": "CANCELLED"}
    assert client.refused("updateOrder", id=place, input=wish) == "ExecutionCannotBeStartedDueToCancellation"


def test_an_update_is_done_whole_or_not_at_all(client: StoreClient) -> None:
    client.store.put_product(SKU, stock=5)
    order = client.create(line(2), aliases=[alias()])
    (item,) = order["lineItems"]
    good = {"lineItems": [{"id": item["id"], "amount": {"value": 3}}], "aliases": [alias(2)]}
    bad = {**good, "returns": {"details": [{"aliases": [alias(n) for n in range(3)]}]}}
    assert client.refused("updateOrder", id={"orderId": order["id"]}, input=bad) == "AliasLimitExceeded"
    assert (client.order(order["id"]), client.store.catalogue.product(SKU).stock) == (order, 3)
    assert [line["amount"]["value"] for line in client.update(order["id"], **good)["lineItems"]] == [3]
    assert client.store.catalogue.product(SKU).stock == 2


def test_lines_are_added_and_changed_until_the_order_is_started(client: StoreClient) -> None:
    client.store.put_product(SKU, stock=4)
    order_id = client.create(line(2))["id"]
    assert client.refused("updateOrder", id={"orderId": order_id}, input={"lineItems": [line(3)]}) == "SelectedQuantityNotAvailable"
    assert client.store.catalogue.product(SKU).stock == 2
    order = client.update(order_id, lineItems=[line(2)], desiredExecutionState="STARTED")
    assert [item["amount"]["value"] for item in order["lineItems"]] == [2, 2]
    (package,) = order["packageInformation"]["details"]
    assert [part["amount"]["value"] for part in package["packageInformationDetailsFor"]["orderLineItems"]] == [2, 2]
    client.world.advance(DAY)
    assert client.order(order_id)["packageInformation"]["summary"] == {"state": "IN_TRANSIT"}
    late = {"lineItems": [line()]}
    assert client.refused("updateOrder", id={"orderId": order_id}, input=late) == "InvalidOrderExecutionState"
    assert client.refused("updateOrder", id={"orderId": order_id}, input={"lineItems": [{"id": "x"}]}) == "InvalidOrderExecutionState"


def test_a_new_address_keeps_to_the_preview_too(client: StoreClient) -> None:
    order_id = client.create(prime_line(client.preview(**PREVIEWED)), shopperIdentity=PRIME_SHOPPER)["id"]
    moved = {"recipient": {"deliveryAddress": {**ADDRESS, "postalCode": "73301"}}}
    assert client.refused("updateOrder", id={"orderId": order_id}, input=moved) == "AddressMismatch"
    unknown = {"lineItems": [{"id": "x", "amount": {"value": 1}}]}
    assert client.refused("updateOrder", id={"orderId": order_id}, input=unknown) == "ResourceNotFound"


def test_a_package_goes_its_way(client: StoreClient) -> None:
    order_id = client.create(line(2), desiredExecutionState="STARTED")["id"]
    assert client.order(order_id)["packageInformation"]["details"][0]["packageTracker"] is None
    client.world.advance(DAY)
    (package,) = client.order(order_id)["packageInformation"]["details"]
    assert package["state"] == "IN_TRANSIT"
    assert package["packageTracker"]["estimatedDeliveryDate"] == {"latest": "2023-11-18T22:13:20.000Z"}
    client.store.milestone(order_id, code="DELAYED")
    client.world.advance(3 * DAY)
    (package,) = client.order(order_id)["packageInformation"]["details"]
    codes = [entry["status"]["code"] for entry in package["packageTracker"]["milestones"]]
    assert codes == ["INFO_RECEIVED", "IN_TRANSIT", "DELAYED", "OUT_FOR_DELIVERY", "DELIVERED"]
    assert package["packageTracker"]["latestMilestone"] == {"status": {"code": "DELIVERED"}, "occurredAt": "2023-11-18T22:13:20.000Z"}
    assert client.types() == ["PACKAGE_DELIVERY_IN_TRANSIT", "PACKAGE_DELIVERED"]


def test_events_happen_at_their_own_time_however_late_one_looks(client: StoreClient) -> None:
    client.create(desiredExecutionState="STARTED")
    client.create(desiredExecutionState="STARTED")
    client.world.advance(30 * DAY)
    times = [event.time - START for event in client.store.events if event.pairs[0][0] == "delivery"]
    assert times == [DAY, DAY, 4 * DAY, 4 * DAY]


def test_an_order_is_split(client: StoreClient) -> None:
    client.store.set_fates(queue=[{"packages": 2, "split_gap_s": 2 * DAY}])
    order_id = client.create(line(3), desiredExecutionState="STARTED")["id"]
    packages = client.order(order_id)["packageInformation"]["details"]
    assert [entry["packageInformationDetailsFor"]["orderLineItems"][0]["amount"]["value"] for entry in packages] == [2, 1]
    client.world.advance(DAY)
    assert client.order(order_id)["packageInformation"]["summary"] == {"state": "PENDING"}
    client.world.advance(2 * DAY)
    assert client.order(order_id)["packageInformation"]["summary"] == {"state": "IN_TRANSIT"}
    client.world.advance(3 * DAY)
    assert client.order(order_id)["packageInformation"]["summary"] == {"state": "DELIVERED"}


@pytest.mark.parametrize(("fate", "reason"), [("unfulfillable", "UNFULFILLABLE"), ("undeliverable", "UNDELIVERABLE")])
def test_a_package_that_never_arrives_is_cancelled_and_paid_back(client: StoreClient, fate: str, reason: str) -> None:
    client.store.put_product(SKU, stock=2)
    client.store.set_fates(default=fate)
    order = client.delivered(line(2))
    (package,) = order["packageInformation"]["details"]
    assert (package["state"], package["reason"]) == ("CANCELLED", reason)
    assert client.store.catalogue.product(SKU).stock == 2
    (refund,) = order["refunds"]["details"]
    assert (refund["refundRequestReason"], refund["refundTotal"]["totalAmount"]["amount"]) == ("CANCELLED_ORDER", 25.98)
    assert refund["refundFor"]["causedBy"] is None
    assert client.types()[-2:] == ["PACKAGE_DELIVERY_CANCELLED", "REFUND_REQUESTED"]


def test_a_package_is_moved_by_hand(client: StoreClient) -> None:
    client.store.set_fates(default="by_hand")
    order_id = client.create(desiredExecutionState="STARTED")["id"]
    client.world.advance(30 * DAY)
    assert client.order(order_id)["packageInformation"]["summary"] == {"state": "PENDING"}
    with pytest.raises(OrderRefused, match="no carrier|no package"):
        client.store.milestone(order_id, code="LOST")
    client.store.move_package(order_id, state="IN_TRANSIT")
    with pytest.raises(OrderRefused, match="is IN_TRANSIT: it cannot become PENDING"):
        client.store.move_package(order_id, state="PENDING")
    client.store.move_package(order_id, state="CANCELLED", reason="UNDELIVERABLE")
    assert client.order(order_id)["packageInformation"]["details"][0]["reason"] == "UNDELIVERABLE"
    with pytest.raises(OrderRefused):
        client.store.move_package(order_id, state="DELIVERED")


@pytest.mark.parametrize(
    ("after", "fate", "state", "packages"),
    [
        (0, "delivered", "SUCCESS", "CANCELLED"),
        (DAY, "delivered", "REJECTED", "IN_TRANSIT"),
        (4 * DAY, "delivered", "REJECTED", "DELIVERED"),
        (0, {"cancellation": "rejected"}, "REJECTED", "PENDING"),
        (0, {"cancellation": "by_hand"}, "PENDING", "PENDING"),
    ],
)
def test_a_cancellation_is_asked_for_and_decided(client: StoreClient, after: int, fate: object, state: str, packages: str) -> None:
    client.store.put_product(SKU, stock=2)
    client.store.set_fates(default=fate)
    order_id = client.create(line(2), desiredExecutionState="STARTED")["id"]
    client.world.advance(after)
    wish = {"reason": "ORDERED_BY_MISTAKE", "additionalComments": "a device's mistake", "aliases": [alias(1, "CANCELLATION")]}
    cancellation = client.call("cancelOrder", id={"orderId": order_id}, input=wish)["cancellation"]
    assert cancellation == {
        "id": cancellation["id"],
        "state": "PENDING",
        "reason": "ORDERED_BY_MISTAKE",
        "requestedBy": "MERCHANT",
        "additionalComments": "a device's mistake",
        "aliases": [{"aliasId": "SN0001-Coffee-1"}],
        "canceledFor": {"orderLineItems": [{"amount": {"value": 2}}]},
    }
    assert client.refused("cancelOrder", id={"orderId": order_id}) == "Conflict"
    client.world.advance(60)
    order = client.order(order_id)
    assert [entry["state"] for entry in order["cancellations"]["details"]] == [state]
    assert order["lineItems"][0]["cancellations"]["details"] == [{"state": state}]
    assert order["packageInformation"]["summary"] == {"state": packages}
    assert client.store.catalogue.product(SKU).stock == (2 if state == "SUCCESS" else 0)
    if state == "SUCCESS":
        assert order["packageInformation"]["details"][0]["reason"] == "CUSTOMER_REQUESTED"
        causes = [refund["refundFor"]["causedBy"] for refund in order["refunds"]["details"]]
        assert causes == [{"__typename": "CancellationCause", "id": cancellation["id"], "state": "SUCCESS"}]


def test_what_was_planned_does_not_happen_to_what_ended_before(client: StoreClient) -> None:
    cancelled, early = (client.create(desiredExecutionState="STARTED")["id"] for _ in range(2))
    client.call("cancelOrder", id={"orderId": cancelled})
    client.store.move_package(early, state="DELIVERED")
    client.world.advance(5 * DAY)
    assert client.types() == ["PACKAGE_DELIVERED", "PACKAGE_DELIVERY_CANCELLED", "REFUND_REQUESTED"]
    assert client.order(cancelled)["packageInformation"]["summary"] == {"state": "CANCELLED"}


def test_only_what_is_pending_is_cancelled(client: StoreClient) -> None:
    client.store.set_fates(default={"packages": 2, "split_gap_s": 30 * DAY, "cancellation": "by_hand"})
    order_id = client.create(line(2), desiredExecutionState="STARTED")["id"]
    client.world.advance(DAY)
    client.call("cancelOrder", id={"orderId": order_id})
    client.store.decide_cancellation(order_id, success=True)
    states = [package["state"] for package in client.order(order_id)["packageInformation"]["details"]]
    assert states == ["IN_TRANSIT", "CANCELLED"]


def test_a_refund_is_not_caused_by_a_cancellation_that_was_rejected(client: StoreClient) -> None:
    client.store.set_fates(default={"kind": "undeliverable", "cancellation": "rejected"})
    order_id = client.create(desiredExecutionState="STARTED")["id"]
    client.call("cancelOrder", id={"orderId": order_id})
    client.world.advance(4 * DAY)
    assert [refund["refundFor"]["causedBy"] for refund in client.order(order_id)["refunds"]["details"]] == [None]


def test_the_customer_and_the_test_decide_cancellations_too(client: StoreClient) -> None:
    client.store.set_fates(default={"cancellation": "by_hand"})
    order_id = client.create()["id"]
    with pytest.raises(OrderRefused):
        client.store.decide_cancellation(order_id, success=True)
    client.store.cancel_by_shopper(order_id)
    with pytest.raises(OrderRefused):
        client.store.cancel_by_shopper(order_id)
    client.store.decide_cancellation(order_id, success=True)
    (entry,) = client.order(order_id)["cancellations"]["details"]
    assert (entry["requestedBy"], entry["state"]) == ("SHOPPER", "SUCCESS")


@pytest.mark.parametrize("bad", ["lost", 7, {"kind": 3}, {"packages": 0}, {"cancellation": "no"}, {"ship_after_s": -1}, {"speed": 3}])
def test_a_bad_fate_changes_nothing(client: StoreClient, bad: object) -> None:
    client.store.set_fates(queue=["unfulfillable"])
    with pytest.raises(ValueError, match=r": (one of|a whole number)"):
        client.store.set_fates(queue=["delivered", bad])
    assert [fate.kind for fate in client.store.fates.queue] == ["unfulfillable"]
