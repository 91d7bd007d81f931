"""The simulated store's returns: external ones through updateOrder, and a customer's with packages, grading and refunds."""

from typing import Any

import pytest

from host_tests.tools.bwp_client import DAY, StoreClient, line
from tools.simulator.orders import OrderRefused


@pytest.fixture
def client() -> StoreClient:
    return StoreClient()


def external(line_id: str, *aliases: str, amount: int = 1, **more: object) -> dict[str, Any]:
    """One new external return."""
    lines = [{"returnFor": {"orderLineItemAmounts": [{"amount": {"value": amount}, "lineItemId": {"id": line_id}}]}}]
    return {"aliases": named(*aliases), "state": "CREATED", "returnLineItems": lines, **more}


def named(*aliases: str) -> list[dict[str, str]]:
    """The aliases of a return."""
    return [{"aliasType": "EXTERNAL-RETURN-ID", "aliasId": name} for name in aliases]


def write(client: StoreClient, order_id: str, *details: dict[str, Any]) -> list[Any]:
    """Write returns; all that the order has."""
    return list(client.update(order_id, returns={"details": list(details)})["returns"]["details"])


def refused(client: StoreClient, order_id: str, *details: dict[str, Any]) -> str:
    """What is said of returns that may not be written."""
    return client.refused("updateOrder", id={"orderId": order_id}, input={"returns": {"details": list(details)}})


def test_an_external_return_is_added_and_updated_by_its_id_or_alias(client: StoreClient) -> None:
    order = client.delivered(line(2))
    (item,) = order["lineItems"]
    (made,) = write(client, order["id"], external(item["id"], "r-1"))
    assert (made["state"], made["aliases"], made["createdAt"]) == ("CREATED", named("r-1"), made["updatedAt"])
    assert made["returnFor"]["orderLineItemAmounts"] == [{"amount": {"value": 1}, "lineItem": {"id": item["id"]}}]
    client.world.advance(60)
    place = {"returnIdentifier": {"alias": named("r-1")[0]}}
    (made,) = write(client, order["id"], {**place, "state": "COMPLETED", "aliases": named("r-1", "rma")})
    assert (made["state"], made["aliases"]) == ("COMPLETED", named("r-1", "rma"))
    assert made["updatedAt"] > made["createdAt"]
    # A new list replaces the old one, no list leaves it, an empty one takes all away.
    (made,) = write(client, order["id"], {"returnIdentifier": {"id": made["id"]}, "state": "CANCELLED"})
    assert (made["state"], made["aliases"]) == ("CANCELLED", named("r-1", "rma"))
    (made,) = write(client, order["id"], {"returnIdentifier": {"id": made["id"]}, "aliases": []})
    assert (made["state"], made["aliases"]) == ("CANCELLED", [])
    assert client.types() == ["PACKAGE_DELIVERY_IN_TRANSIT", "PACKAGE_DELIVERED"]


def test_without_an_identifier_an_update_is_a_new_return(client: StoreClient) -> None:
    order = client.delivered(line(2))
    (item,) = order["lineItems"]
    write(client, order["id"], external(item["id"], "r-1"))
    states = [made["state"] for made in write(client, order["id"], external(item["id"], "r-1", state="COMPLETED"))]
    assert states == ["CREATED", "COMPLETED"]
    client.world.settings.change(bwp_return_alias="refused")
    assert refused(client, order["id"], external(item["id"], "r-1")) == "AliasValueAlreadyExists"


def test_an_external_return_is_refused(client: StoreClient) -> None:
    order = client.delivered(line(2))
    (item,) = order["lineItems"]
    write(client, order["id"], external(item["id"], "r-1"))
    place = {"returnIdentifier": {"alias": named("r-1")[0]}}
    assert refused(client, order["id"], external(item["id"], "a", "b", "c")) == "AliasLimitExceeded"
    assert refused(client, order["id"], {**place, "aliases": named("a", "b", "c")}) == "AliasLimitExceeded"
    assert refused(client, order["id"], external(item["id"], "r-2", state="CANCELLED")) == "Validation"
    assert refused(client, order["id"], external(item["id"], "r-2", amount=3)) == "Validation"
    assert refused(client, order["id"], {"aliases": named("r-1"), "state": "COMPLETED"}) == "Validation"
    assert refused(client, order["id"], external("no-line", "r-2")) == "ResourceNotFound"
    assert refused(client, order["id"], {"returnIdentifier": {"id": "no-return"}, "state": "COMPLETED"}) == "ResourceNotFound"
    assert refused(client, order["id"], {**external(item["id"], "r-1"), **place}) == "Validation"
    write(client, order["id"], external(item["id"], "r-2"))
    assert refused(client, order["id"], {**place, "aliases": named("r-2")}) == "AliasValueAlreadyExists"
    assert [made["aliases"] for made in client.order(order["id"])["returns"]["details"]] == [named("r-1"), named("r-2")]


def test_a_line_is_named_by_its_alias_too(client: StoreClient) -> None:
    mark = {"aliasType": "LINE", "aliasId": "l-1"}
    order = client.delivered({**line(2), "aliases": [mark]})
    given = external("", "r-1")
    given["returnLineItems"][0]["returnFor"]["orderLineItemAmounts"][0]["lineItemId"] = {"alias": mark}
    (made,) = write(client, order["id"], given)
    assert made["returnFor"]["orderLineItemAmounts"][0]["lineItem"]["id"] == order["lineItems"][0]["id"]


def test_a_customers_return_is_scanned_graded_and_paid_back(client: StoreClient) -> None:
    order = client.delivered(line(3))
    made = client.store.start_return(order["id"], conditions=["SELLABLE", "DAMAGED"], reason="TOO_STRONG")
    assert made.id.endswith("#RF")
    client.world.advance(2 * DAY)
    (read,) = client.order(order["id"])["returns"]["details"]
    assert [package["state"] for package in read["returnPackageDetails"]] == ["DROPPED_OFF"]
    assert client.order(order["id"])["refunds"]["details"] == []
    client.world.advance(6 * 3600)
    (refund,) = client.order(order["id"])["refunds"]["details"]
    assert (refund["state"], refund["refundRequestReason"]) == ("PENDING", "RETURN_DROPPED_OFF_PICKED_UP")
    assert refund["refundFor"]["causedBy"] == {"__typename": "ReturnCause", "id": made.id, "state": "CREATED"}
    assert refund["refundTotal"]["totalAmount"]["amount"] == 38.97
    client.world.advance(5 * DAY)
    (read,) = client.order(order["id"])["returns"]["details"]
    (item,) = read["returnLineItems"]
    assert (read["state"], item["returnReason"]) == ("COMPLETED", {"reasonCode": "TOO_STRONG"})
    assert item["refundDetails"] == [{"id": refund["id"]}]
    assert item["grading"]["summary"] == {
        "gradedAmount": {"value": 3},
        "unitWiseCondition": [{"condition": "SELLABLE", "amount": {"value": 2}}, {"condition": "DAMAGED", "amount": {"value": 1}}],
    }
    assert client.types()[2:] == [
        "RETURN_STARTED",
        "RETURN_PACKAGE_IN_TRANSIT",
        "REFUND_REQUESTED",
        "RETURN_PACKAGE_DELIVERED",
        "RETURN_ITEM_GRADED",
        "RETURN_COMPLETED",
    ]
    named_by = {event.type: event.pairs for event in client.store.events}
    assert named_by["RETURN_COMPLETED"] == (("return", made.id),)
    assert named_by["RETURN_PACKAGE_DELIVERED"] == (("return", made.id), ("returnDelivery", made.packages[0].id))
    assert named_by["RETURN_ITEM_GRADED"] == (("return", made.id), ("returnLineItem", item["id"]))
    assert named_by["REFUND_REQUESTED"] == (("refund", refund["id"]),)


def test_a_package_back_is_lost(client: StoreClient) -> None:
    order = client.delivered(line(2))
    client.store.start_return(order["id"], failure="SHIPMENT_LOST")
    client.world.advance(10 * DAY)
    (read,) = client.order(order["id"])["returns"]["details"]
    (package,) = read["returnPackageDetails"]
    assert (read["state"], package["state"], package["reason"]) == ("COMPLETED", "FAILED", "SHIPMENT_LOST")
    assert read["returnLineItems"][0]["grading"] is None
    assert client.types()[-2:] == ["RETURN_PACKAGE_DELIVERY_FAILED", "RETURN_COMPLETED"]


def test_a_return_in_two_packages_by_hand(client: StoreClient) -> None:
    order = client.delivered(line(2))
    made = client.store.start_return(order["id"], packages=2, by_hand=True)
    client.world.advance(90 * DAY)
    assert [package.state for package in made.packages] == ["CREATED", "CREATED"]
    first, second = (package.id for package in made.packages)
    client.store.move_return(order["id"], made.id, second, state="IN_TRANSIT")
    with pytest.raises(OrderRefused, match="is IN_TRANSIT: it cannot become DROPPED_OFF"):
        client.store.move_return(order["id"], made.id, second, state="DROPPED_OFF")
    client.store.move_return(order["id"], made.id, second, state="DELIVERED")
    client.store.move_return(order["id"], made.id, state="FAILED", reason="PICKUP_MISSED")
    assert [package.state for package in made.packages] == ["FAILED", "DELIVERED"]
    client.store.grade(order["id"], made.id, {"FULFILLMENT_EXPIRED": 1})
    assert client.order(order["id"])["returns"]["details"][0]["state"] == "COMPLETED"
    with pytest.raises(OrderRefused, match="cannot become"):
        client.store.move_return(order["id"], made.id, first, state="IN_TRANSIT")
    with pytest.raises(OrderRefused, match="2 units, of which 1"):
        client.store.grade(order["id"], made.id, {"SELLABLE": 2})


def test_a_return_is_not_over_before_its_package_has_ended(client: StoreClient) -> None:
    order = client.delivered()
    made = client.store.start_return(order["id"], by_hand=True)
    client.store.grade(order["id"], made.id, {"SELLABLE": 1})
    assert made.state == "CREATED"
    client.store.move_return(order["id"], made.id, state="DELIVERED")
    assert made.state == "COMPLETED"


def test_only_what_arrived_is_sent_back_and_only_once(client: StoreClient) -> None:
    order_id = client.create(line(2))["id"]
    with pytest.raises(OrderRefused, match="0 are there"):
        client.store.start_return(order_id)
    client.update(order_id, desiredExecutionState="STARTED")
    client.world.advance(4 * DAY)
    (item,) = client.order(order_id)["lineItems"]
    client.store.start_return(order_id, amounts={item["id"]: 1})
    with pytest.raises(OrderRefused, match="1 are there"):
        client.store.start_return(order_id)
    with pytest.raises(LookupError):
        client.store.start_return(order_id, amounts={"no-line": 1})
    with pytest.raises(ValueError, match="failure is 'EATEN'"):
        client.store.start_return(order_id, amounts={item["id"]: 1}, failure="EATEN")
    with pytest.raises(ValueError, match="condition 'SHINY'"):
        client.store.start_return(order_id, amounts={item["id"]: 1}, conditions=["SHINY"])


def test_a_customers_return_is_not_written_through_update_order(client: StoreClient) -> None:
    order = client.delivered()
    made = client.store.start_return(order["id"])
    assert refused(client, order["id"], {"returnIdentifier": {"id": made.id}, "state": "COMPLETED"}) == "Validation"
    assert client.order(order["id"])["returns"]["details"][0]["state"] == "CREATED"
    (added,) = write(client, order["id"], external(order["lineItems"][0]["id"], "r-1"))[1:]
    with pytest.raises(OrderRefused, match="the merchant's own"):
        client.store.grade(order["id"], added["id"], {"SELLABLE": 1})


def test_older_words_by_the_settings(client: StoreClient) -> None:
    client.world.settings.change(bwp_return_words="seed", bwp_condition_case="capitalized")
    order = client.delivered()
    client.store.start_return(order["id"])
    client.world.advance(2 * DAY)
    assert client.order(order["id"])["returns"]["details"][0]["returnPackageDetails"][0]["state"] == "CREATED"
    client.world.advance(9 * DAY)
    (read,) = client.order(order["id"])["returns"]["details"]
    assert read["returnPackageDetails"][0]["state"] == "COMPLETED"
    assert read["returnLineItems"][0]["grading"]["summary"]["unitWiseCondition"][0]["condition"] == "Sellable"
