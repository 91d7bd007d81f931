"""The control interface of the simulated store."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from host_tests.tools.bwp_client import DAY, DOCUMENTS, SKU, START, alias, graphql_request, line, order_input, token_request
from host_tests.tools.simulator_client import control, over_tls, send
from tools.simulator import Clock, SimulatorThread


@pytest.fixture
def sim() -> Iterator[SimulatorThread]:
    with SimulatorThread(clock=Clock.manual(START)) as sim:
        yield sim


def do(sim: SimulatorThread, method: str, path: str, body: object = None) -> Any:
    """One operation that must succeed."""
    status, answer = control(sim, method, "/store" + path, body)
    assert status == 200, answer
    return answer


def test_an_order_over_tls_and_what_a_person_does_with_it(sim: SimulatorThread) -> None:
    connection = over_tls(sim)
    token = json.loads(send(connection, token_request()).read())["access_token"]
    given = {"input": order_input(line(2), aliases=[alias()], desiredExecutionState="STARTED")}
    request = graphql_request(token, sim.store.target_id, DOCUMENTS["createOrder"], given)
    order_id = json.loads(send(connection, request).read())["data"]["createOrder"]["order"]["id"]
    assert [(call.endpoint, call.operation) for call in sim.calls] == [("bwp_token", None), ("bwp_graphql", "createOrder")]
    (order,) = do(sim, "GET", "/orders")
    assert (order["id"], order["aliases"], order["metadata"]["executionState"]) == (order_id, [alias()], "STARTED")
    place = "/orders/" + order_id
    do(sim, "POST", place + "/package", {"state": "IN_TRANSIT"})
    do(sim, "POST", place + "/milestone", {"code": "OUT_FOR_DELIVERY"})
    do(sim, "POST", place + "/package", {"state": "DELIVERED"})
    made = do(sim, "POST", place + "/returns", {"by_hand": True, "reason": "TOO_STRONG"})
    back = place + "/returns/" + quote(made["id"], safe="")
    do(sim, "POST", back + "/package", {"state": "DELIVERED"})
    assert do(sim, "POST", back + "/grades", {"grades": {"SELLABLE": 1, "DAMAGED": 1}})["state"] == "COMPLETED"
    state = do(sim, "GET", "")
    assert state["orders"][0]["returns"]["details"][0]["state"] == "COMPLETED"
    assert (state["target_id"], state["products"][0]["sku"]) == (sim.store.target_id, SKU)
    types = [event["type"] for event in do(sim, "GET", "/events")]
    assert types[-3:] == ["RETURN_PACKAGE_DELIVERED", "RETURN_ITEM_GRADED", "RETURN_COMPLETED"]
    assert do(sim, "GET", f"/events?after={len(types) - 1}")[0]["type"] == "RETURN_COMPLETED"


def test_a_cancellation_is_asked_for_and_decided(sim: SimulatorThread) -> None:
    do(sim, "PUT", "/fates", {"queue": [{"cancellation": "by_hand"}]})
    place = "/orders/" + sim.store.create(order_input()).id
    assert do(sim, "POST", place + "/cancel")["requested_by"] == "SHOPPER"
    assert control(sim, "POST", "/store" + place + "/cancel")[0] == 409
    assert do(sim, "POST", place + "/cancellation", {"success": False})["state"] == "REJECTED"


def test_the_time_goes_on_to_the_next_thing_in_the_store(sim: SimulatorThread) -> None:
    do(sim, "PATCH", "/timings", {"ship_after_s": 100})
    sim.store.create(order_input(desiredExecutionState="STARTED"))
    assert control(sim, "POST", "/time", {"to_next_event": True}) == (200, {"now": START + 100})
    assert sim.store.orders()[0].packages[0].state == "IN_TRANSIT"


def test_products_shoppers_offers_credentials_and_tokens(sim: SimulatorThread) -> None:
    assert do(sim, "PUT", "/products/TOWEL", {"stock": 2, "cents": 500, "prime": False, "title": "Towels", "group": "2"})["stock"] == 2
    assert do(sim, "PUT", "/products/TOWEL", {"stock": None})["stock"] is None
    do(sim, "PUT", "/shoppers", {"token": "t", "shopper_id": "s", "expired": True})
    do(sim, "PUT", "/credentials/part", {"secret": "s", "scopes": ["View Order Data"]})
    do(sim, "DELETE", "/credentials/part")
    do(sim, "POST", "/offers/expire")
    token = do(sim, "POST", "/access_token")["access_token"]
    do(sim, "POST", "/tokens/expire")
    answer = send(over_tls(sim), graphql_request(token, sim.store.target_id, "{ __typename }"))
    assert answer.status == http.client.UNAUTHORIZED


def test_targets_deliveries_and_faults_of_events(sim: SimulatorThread) -> None:
    target = do(sim, "POST", "/targets", {"url": "https://localhost:1/events", "ca": str(sim.ca_pem), "api_key": "secret-key"})
    assert do(sim, "GET", "/targets") == [target]
    do(sim, "POST", "/event_faults", {"kind": "double", "type": "PACKAGE_DELIVERED"})
    assert [fault["kind"] for fault in do(sim, "GET", "/event_faults")] == ["double"]
    do(sim, "DELETE", "/event_faults")
    assert do(sim, "GET", "/event_faults") == []
    sim.store.create(order_input(desiredExecutionState="STARTED"))
    sim.advance(DAY)
    sim.wait_until(lambda sim: all(delivery.attempts for delivery in sim.bus.deliveries))
    assert [delivery["notification"] for delivery in do(sim, "GET", "/deliveries?after=1")] == ["PACKAGE_DELIVERY_IN_TRANSIT"]
    do(sim, "DELETE", "/targets/" + quote(target["arn"], safe=""))
    assert {delivery["state"] for delivery in do(sim, "GET", "/deliveries")} == {"discarded"}
    assert "secret-key" not in json.dumps([target, do(sim, "GET", "")])


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/products/TOWEL", {"stock": -1}, 400),
        ("PUT", "/products/TOWEL", {"speed": 1}, 400),
        ("PUT", "/fates", {"default": "lost"}, 400),
        ("PATCH", "/timings", {"ship_after_s": "soon"}, 400),
        ("PUT", "/shoppers", {"shopper_id": "s"}, 400),
        ("PUT", "/credentials/part", {}, 400),
        ("PUT", "/credentials/part", {"secret": "s", "scopes": ["All"]}, 400),
        ("DELETE", "/credentials/part", None, 404),
        ("POST", "/orders/ORDER/package", {"state": "GONE"}, 400),
        ("POST", "/orders/ORDER/package", {"state": "CANCELLED"}, 400),
        ("POST", "/orders/ORDER/package", {"state": "DELIVERED", "package_id": "x"}, 404),
        ("POST", "/orders/none/package", {"state": "DELIVERED"}, 404),
        ("POST", "/orders/ORDER/milestone", {"code": "LATE"}, 409),
        ("POST", "/orders/ORDER/cancellation", {"success": True}, 409),
        ("POST", "/orders/ORDER/returns", {}, 409),
        ("POST", "/orders/ORDER/returns", {"amounts": {"x": "y"}}, 400),
        ("POST", "/orders/ORDER/returns", {"amounts": {"x": 1}}, 404),
        ("POST", "/orders/ORDER/returns/none/package", {"state": "DELIVERED"}, 404),
        ("POST", "/orders/ORDER/returns/none/grades", {"grades": {"SELLABLE": 0}}, 400),
        ("POST", "/targets", {"url": "http://localhost/"}, 400),
        ("DELETE", "/targets/none", None, 404),
        ("POST", "/event_faults", {"slot": "Coffee"}, 400),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(sim: SimulatorThread, method: str, path: str, body: object, status: int) -> None:
    order_id = sim.store.create(order_input()).id
    answer = control(sim, method, "/store" + path.replace("ORDER", order_id), body)
    assert answer[0] == status, answer
    assert len(answer[1]["error"]) > 5
