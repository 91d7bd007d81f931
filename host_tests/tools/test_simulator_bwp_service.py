"""The simulated store's endpoints: tokens, headers, permissions, the forms of an error, faults, and that every code is reached."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from host_tests.tools.bwp_client import DOCUMENTS, SKU, StoreClient, alias, graphql_request, order_input, token_request
from tools.simulator.buywithprime.errors import Family
from tools.simulator.wire import Request

FOLDER = Path(__file__).resolve().parents[2] / "tools/simulator/buywithprime"
QUERY = "query q($id: OrderIdentifierInput!) { order(orderIdentifier: $id) { id } }"


@pytest.fixture
def client() -> StoreClient:
    return StoreClient()


def ask(
    client: StoreClient, text: object = QUERY, token: str | None = None, variables: object = None, **headers: str | None
) -> tuple[int, Any]:
    """One call: its status and its JSON."""
    token = client.world.tokens.access_token() if token is None else token
    target = headers.pop("target", client.store.target_id) or ""
    call, answer = client.send(graphql_request(token, target, text, variables or {"id": {"orderId": "x"}}, **headers))
    return call.status, answer


def classification(answer: Any) -> Any:
    """What the only error says of itself."""
    (error,) = answer["errors"]
    return error["extensions"]["classification"]


def test_a_token_lasts_fifteen_minutes(client: StoreClient) -> None:
    call, answer = client.send(token_request())
    assert (call.endpoint, call.outcome, answer["token_type"], answer["expires_in"]) == ("bwp_token", "ok", "bearer", 900)
    client.world.clock.advance(899)
    assert ask(client, token=answer["access_token"])[0] == 200
    client.world.clock.advance(1)
    assert ask(client, token=answer["access_token"]) == (401, {"message": "Unauthorized"})
    client.world.settings.change(bwp_expires_in="text")
    assert client.send(token_request())[1]["expires_in"] == "900"


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "wrong"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"grant_type": "refresh_token"}, 400, "unsupported_grant_type"),
        ({"grant_type": None}, 400, "unsupported_grant_type"),
    ],
)
def test_a_token_is_refused(client: StoreClient, fields: dict[str, str | None], status: int, error: str) -> None:
    call, answer = client.send(token_request(**fields))
    assert (call.status, call.outcome, answer["error"]) == (status, error, error)


def test_the_token_endpoint_takes_forms_by_post(client: StoreClient) -> None:
    good = token_request()
    assert client.send(Request("GET", "/token"))[0].status == 405
    assert client.send(Request("POST", "/token", (("Content-Type", "application/json"),), good.body))[0].status == 400


def test_many_tokens_in_quick_succession_are_throttled(client: StoreClient) -> None:
    client.world.settings.change(bwp_tokens_per_minute=3)
    assert [client.send(token_request())[0].status for _ in range(4)] == [200, 200, 200, 429]
    client.world.clock.advance(60)
    assert client.send(token_request())[0].status == 200
    client.world.settings.change(bwp_tokens_per_minute=0)
    assert {client.send(token_request())[0].status for _ in range(50)} == {200}


def test_deleted_credentials_end_their_tokens(client: StoreClient) -> None:
    client.world.tokens.put_credential("part", "secret")
    token = client.world.tokens.access_token("part")
    assert ask(client, token=token)[0] == 200
    client.world.tokens.delete_credential("part")
    assert ask(client, token=token)[0] == 401
    with pytest.raises(LookupError):
        client.world.tokens.delete_credential("part")
    client.world.tokens.expire()
    assert client.send(token_request(client_id="part", client_secret="secret"))[0].status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer forged"}, 401),
        ({"Authorization": "Basic dTpw"}, 401),
        ({"x-api-version": None}, 400),
        ({"x-api-version": "2024-04-01"}, 400),
        ({"x-api-target-id": None}, 400),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
def test_headers_are_checked(client: StoreClient, headers: dict[str, str | None], status: int) -> None:
    assert ask(client, **headers)[0] == status


def test_the_target_has_two_names_and_must_be_this_store(client: StoreClient) -> None:
    other_name: dict[str, Any] = {"x-api-target-id": None, "X-Omni-TargetId": client.store.target_id}
    assert classification(ask(client, **other_name)[1])["errorType"] == "ResourceNotFoundException"
    status, answer = ask(client, target="bp-another")
    assert (status, classification(answer)) == (200, {"errorType": "AccessDeniedException", "errorCode": 403})


def test_an_access_key_if_the_setting_asks_for_it(client: StoreClient) -> None:
    client.world.settings.change(bwp_access_key=True)
    assert ask(client)[0] == 403
    assert ask(client, **{"x-api-access-key": "simulated-store-access-key"})[0] == 200


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"query": 3}', b'{"query": "{ __typename }", "variables": []}', b"{"])
def test_a_body_that_is_none(client: StoreClient, body: bytes) -> None:
    good = graphql_request(client.world.tokens.access_token(), client.store.target_id, "")
    call, _ = client.send(Request("POST", "/graphql", good.headers, body))
    assert call.status == 400


def test_only_post(client: StoreClient) -> None:
    good = graphql_request(client.world.tokens.access_token(), client.store.target_id, "")
    assert client.send(Request("GET", "/graphql", good.headers))[0].status == 405


@pytest.mark.parametrize("text", ["{", "{ orders { id } }", "{ order(orderIdentifier: {}) { id } }", "query q($id: ID) { __typename }"])
def test_a_document_that_breaks_the_schema(client: StoreClient, text: str) -> None:
    status, answer = ask(client, text)
    assert status == 200
    assert {error["extensions"]["classification"]["errorType"] for error in answer["errors"]} == {"ValidationException"}


def test_variables_that_break_the_schema(client: StoreClient) -> None:
    for variables in ({}, {"id": {"orderId": "x", "alias": alias()}}, {"id": {"nothing": 1}}):
        _, answer = ask(client, variables={"id": None, **variables})
        assert {error["extensions"]["classification"]["errorType"] for error in answer["errors"]} == {"ValidationException"}


def test_credentials_without_the_permission_are_denied(client: StoreClient) -> None:
    client.world.tokens.put_credential("reader", "secret", ("View Order Data",))
    token = client.world.tokens.access_token("reader")
    assert classification(ask(client, token=token)[1])["errorType"] == "ResourceNotFoundException"
    _, answer = ask(client, DOCUMENTS["createOrder"], token, {"input": order_input()})
    assert classification(answer) == {"errorType": "AccessDeniedException", "errorCode": 403}
    assert (client.store.orders(), client.world.calls[-1].outcome) == ([], "AccessDenied")
    with pytest.raises(ValueError, match="scope 'All'"):
        client.world.tokens.put_credential("reader", "secret", ("All",))


FULL = {"classification": {"errorType": "ValidationException", "errorCode": 400, "code": "ItemOutOfStock"}}


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        ({}, {"extensions": FULL}),
        ({"bwp_error_form": "text_code"}, {"extensions": {"classification": {**FULL["classification"], "errorCode": "400"}}}),
        ({"bwp_error_names": "error"}, {"extensions": {"classification": {**FULL["classification"], "errorType": "ValidationError"}}}),
        ({"bwp_error_form": "bare"}, {}),
        ({"bwp_error_form": "appsync"}, {"errorType": "ValidationException", "errorInfo": {"code": "ItemOutOfStock"}}),
    ],
)
def test_the_forms_of_an_error(client: StoreClient, settings: dict[str, str], more: dict[str, Any]) -> None:
    client.store.put_product(SKU, stock=0)
    client.world.settings.change(**settings)
    _, answer = client.ask(DOCUMENTS["createOrder"], input=order_input())
    (error,) = answer["errors"]
    assert (answer["data"], error.pop("path")) == ({"createOrder": None}, ["createOrder"])
    assert error.pop("message") == f"{SKU} is out of stock"
    assert error.pop("locations")
    assert error == more


def test_the_preview_names_the_product_that_is_short(client: StoreClient) -> None:
    client.store.put_product(SKU, stock=0)
    wanted = {"products": [{"productIdentifier": {"sku": SKU}, "amount": {"value": 1}}]}
    _, answer = client.ask(DOCUMENTS["deliveryPreview"], input=wanted)
    assert classification(answer)["details"] == {"product": SKU}


def test_a_fault_hits_one_operation(client: StoreClient) -> None:
    client.world.faults.add(kind="graphql_error", operation="createOrder")
    assert ask(client)[1]["data"] == {"order": None}
    call, answer = client.ask(DOCUMENTS["createOrder"], input=order_input())
    assert (call.operation, call.fault, call.acted, call.outcome) == ("createOrder", "graphql_error", False, "not_acted")
    assert (answer["data"], classification(answer)["errorType"]) == ({"createOrder": None}, "ThrottlingException")
    assert client.store.orders() == []
    assert client.create()["id"]


def test_an_answer_is_lost_after_the_store_acted(client: StoreClient) -> None:
    client.world.faults.add(kind="graphql_error", family="InternalServer", act=True, endpoint="bwp_graphql")
    call, answer = client.ask(DOCUMENTS["createOrder"], input=order_input(aliases=[alias()]))
    assert (call.outcome, call.spoilt) == ("ok", True)
    assert classification(answer) == {"errorType": "InternalServerException", "errorCode": 500}
    assert [order.aliases[0].id for order in client.store.orders()] == ["SN0001-Coffee-1"]
    assert client.refused("createOrder", input=order_input(aliases=[alias()])) == "Conflict"


@pytest.mark.parametrize("endpoint", ["bwp_token", "bwp_graphql"])
def test_faults_know_the_endpoints(client: StoreClient, endpoint: str) -> None:
    client.world.faults.add(kind="refuse", endpoint=endpoint, status=503, retry_after=7)
    statuses = (client.send(token_request())[0].status, ask(client)[0])
    assert statuses == ((503, 200) if endpoint == "bwp_token" else (200, 503))


@pytest.mark.parametrize("bad", [{"operation": "orders"}, {"family": "Greed"}, {"code": 3}])
def test_a_bad_fault(client: StoreClient, bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(bad))} is "):
        client.world.faults.add(**bad)


def test_event_subscriptions(client: StoreClient) -> None:
    def destination(name: str) -> dict[str, Any]:
        return {"eventBridge": {"region": "us-east-1", "partnerEventSource": {"account": "123456789012", "name": name}}}

    given = {"eventType": "RETURN_STARTED", "destination": destination("maker")}
    made = client.call("createEventSubscription", input=given)["subscriptionId"]
    assert client.refused("createEventSubscription", input=given) == "SubscriptionAlreadyExists"
    other = {"eventType": "RETURN_COMPLETED", "destination": destination("other")}
    assert client.refused("createEventSubscription", input=other) == "DestinationNameAlreadyExists"
    assert client.refused("createEventSubscription", input={**given, "eventType": "ORDER_PLACED"}) == "Validation"
    assert client.call("deleteEventSubscription", id=made) == {"subscriptionId": made}
    assert client.refused("deleteEventSubscription", id=made) == "ResourceNotFound"


def codes_in_the_source() -> set[str]:
    """The codes with which the store says that something is invalid."""
    calls = [node for path in FOLDER.glob("*.py") for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    named = [call.args[1] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "invalid" and len(call.args) > 1]
    return {str(argument.value) for argument in named if isinstance(argument, ast.Constant)}


def test_every_code_and_family_that_the_store_knows_is_reached_by_a_test() -> None:
    codes = codes_in_the_source()
    assert {"ItemOutOfStock", "ShopperIdMismatch", "ExecutionAlreadyStarted", "ProductNotPrimeEnabled"} < codes
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_simulator_bwp_*.py"))
    reached = {word.removesuffix("Exception") for word in re.findall(r'"(\w+)"', tests)}
    assert {*codes, *Family} - reached == set()


def test_the_same_seed_gives_the_same_names() -> None:
    def story() -> str:
        client = StoreClient()
        order = client.delivered(aliases=[alias()])
        client.store.start_return(order["id"])
        return json.dumps(client.order(order["id"]))

    assert story() == story()
