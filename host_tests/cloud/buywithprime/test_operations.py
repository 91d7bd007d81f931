"""A call as data: what is sent, and what an answer to it means."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tests.cloud.buywithprime.samples import (
    BY_ID,
    BY_INTENT,
    OPERATIONS,
    SETTINGS,
    STREET,
    known_return,
    new_order,
    new_return,
    returns,
    start,
)
from host_tests.cloud.buywithprime.wire import data, fault
from tools.cloud.buywithprime import errors, operations
from tools.cloud.buywithprime.models import Alias, AmountInput, ReturnState, UpdateLineItemInput, UpdateOrderInput
from tools.cloud.buywithprime.operations import Answer, Settings

CREATE = operations.create_order(new_order())
ORDER = operations.order(BY_ID)
UNCLASSIFIED = {"message": "m", "path": ["createOrder", "order", "metadata"]}


def answer(body: Any, status: int = 200, retry_after: str | None = None) -> Answer:
    return Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode(), retry_after)


# ---- What is sent


def test_the_headers_are_those_of_the_reference() -> None:
    request = operations.request(ORDER, replace(SETTINGS, access_key=None), "T")
    assert request.url == "https://api.buywithprime.amazon.com/graphql"
    assert request.headers == {
        "Authorization": "Bearer T",
        "Content-Type": "application/json",
        "x-api-version": "2024-11-01",
        "x-api-target-id": "bp-1",
    }


def test_the_headers_can_be_those_of_the_accelerators() -> None:
    settings = replace(SETTINGS, target_headers=("X-Omni-TargetId", "x-api-target-id"))
    headers = operations.request(ORDER, settings, "T").headers
    assert (headers["X-Omni-TargetId"], headers["x-api-target-id"]) == ("bp-1", "bp-1")
    assert headers["x-api-access-key"] == "k3y-of-the-store"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_the_body_is_a_document_and_its_variables(operation: operations.Operation) -> None:
    body = json.loads(operations.request(operation, SETTINGS, "T").body)
    assert body == {"query": operation.document, "variables": operation.variables}


def test_enums_and_money_are_JSON() -> None:
    sent = json.loads(operations.request(CREATE, SETTINGS, "T").body, parse_float=Decimal)["variables"]["input"]
    assert sent["desiredExecutionState"] == "NOT_STARTED"
    assert sent["totalPrice"] == {"value": {"amount": Decimal("41.03"), "currencyCode": "USD"}}
    details = sent["lineItems"][0]["selectedDeliveryOffer"]["details"]
    assert details["deliveryTerms"] == {"isPrimeEligible": False, "deliverySpeed": "STANDARD"}


@pytest.mark.parametrize(
    "change, repeatable",
    [
        (start(), True),
        (returns(new_return()), False),
        (returns(new_return(alias=None)), False),
        (returns(new_return(), new_return(alias=None)), False),
        (returns(known_return(state=ReturnState.COMPLETED)), True),
        (UpdateOrderInput(line_items=(UpdateLineItemInput(id="line-1", amount=AmountInput(value=1)),)), True),
        (UpdateOrderInput(line_items=(UpdateLineItemInput(amount=AmountInput(value=1)),)), False),
        (UpdateOrderInput(line_items=(UpdateLineItemInput(aliases=(Alias(alias_type="L", alias_id="1"),)),)), True),
    ],
)
def test_what_would_be_added_twice_is_not_repeatable(change: UpdateOrderInput, repeatable: bool) -> None:
    assert operations.update_order(BY_INTENT, change).repeatable is repeatable


def test_no_repr_tells_a_secret() -> None:
    request = operations.request(operations.create_order(new_order(prime=True)), SETTINGS, "T0ken")
    shown = f"{SETTINGS} {SETTINGS!r} {request} {CREATE} {answer('T0ken')}"
    shown += f"{operations.token_request(SETTINGS)} {operations.Token('T0ken', 1)}"
    for secret in ("s3cret", "k3y", "T0ken", STREET, "jo@example.com"):
        assert secret not in shown


@pytest.mark.parametrize(
    "changed, why",
    [
        ({"url": "http://api.example.com/graphql"}, "url: 'http"),
        ({"token_url": "https:///token"}, "token_url: "),
        ({"client_id": ""}, "client_id: empty"),
        ({"client_secret": "a\r\nX-Evil: 1"}, "client_secret: has other characters"),
        ({"access_key": "k\n"}, "access_key: has other characters"),
        ({"target_id": "bp 1"}, "target_id: "),
        ({"target_headers": ()}, "target_headers: "),
        ({"target_headers": ("x: y",)}, "target_headers: "),
        ({"tries": 0}, "tries: 0: allowed: more than 0"),
        ({"timeout_s": -1.0}, "timeout_s: "),
    ],
)
def test_settings_that_cannot_be_used_are_refused(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        replace(SETTINGS, **changed)
    assert "Evil" not in str(caught.value)


def test_the_settings_are_those_of_the_published_service() -> None:
    settings = Settings(client_id="c", client_secret="s", target_id="t")
    assert settings.token_url == "https://api.buywithprime.amazon.com/token"
    assert (settings.api_version, settings.target_headers, settings.access_key) == ("2024-11-01", ("x-api-target-id",), None)


# ---- What an answer means


def test_a_result_is_what_stands_under_the_name() -> None:
    assert operations.result(ORDER, data(order={"id": "o"})) == {"id": "o"}
    assert operations.result(ORDER, data(order=None)) is None
    assert operations.result(ORDER, answer({"data": {"order": {"id": "o"}}, "errors": [], "extensions": {}})) == {"id": "o"}


def test_numbers_keep_their_digits() -> None:
    found = operations.result(ORDER, answer(b'{"data": {"order": {"amount": 1.10}}}'))
    assert str(found) == "{'amount': Decimal('1.10')}"


def test_an_error_is_raised_as_it_is_classified() -> None:
    with pytest.raises(errors.APIError) as caught:
        operations.result(CREATE, fault("ValidationException", "ItemOutOfStock"))
    assert (caught.value.code, caught.value.handling, caught.value.sent) == ("ItemOutOfStock", errors.Handling.STOCK, False)
    assert str(caught.value) == "createOrder: Validation/ItemOutOfStock/400"


def test_what_was_created_and_only_not_read_in_full_is_a_result() -> None:
    created = {"order": {"id": "o", "metadata": None}}
    assert operations.result(CREATE, answer({"data": {"createOrder": created}, "errors": [UNCLASSIFIED]})) == created


def test_what_was_created_and_not_read_at_all_may_have_been_created() -> None:
    below = {**UNCLASSIFIED, "extensions": {"classification": {"errorType": "ValidationException", "errorCode": 400}}}
    with pytest.raises(errors.APIError) as caught:
        operations.result(CREATE, answer({"data": {"createOrder": {"order": None}}, "errors": [below]}))
    assert caught.value.sent


def test_of_a_query_half_an_answer_is_none() -> None:
    read = {"order": {"id": "o", "customer": {"id": "c"}}}
    half = fault("InternalServerException", error_code=500, path=["order", "returns"], data=read)
    with pytest.raises(errors.APIError) as caught:
        operations.result(ORDER, half)
    assert caught.value.handling is errors.Handling.RETRY


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b'"x"', b"{", b"\xff", b"[" * 100_000, {}, {"data": None}, {"data": []}, {"data": {"order": []}}]
    + [{"data": {"order": "x"}}, {"errors": "no list", "data": None}, {"errors": {}, "data": None}],
)
def test_what_is_no_answer_may_have_been_carried_out(body: Any) -> None:
    with pytest.raises(errors.UnexpectedAnswer) as caught:
        operations.result(ORDER, answer(body))
    assert (caught.value.handling, caught.value.sent) == (errors.Handling.RETRY, True)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_none(body: bytes) -> None:
    with pytest.raises(errors.BuyWithPrimeError):
        operations.result(ORDER, answer(body))


@pytest.mark.parametrize("given_, seconds", [("7", 7), (" 7 ", 7), ("999999", 86_400), ("-1", None), ("soon", None), (None, None)])
def test_a_wait_that_is_asked_for_is_read(given_: str | None, seconds: float | None) -> None:
    with pytest.raises(errors.HTTPError) as caught:
        operations.result(ORDER, answer({}, 429, given_))
    assert caught.value.retry_after_s == seconds


# ---- Tokens


def test_a_token_is_asked_for_with_the_credentials_and_without_a_scope() -> None:
    request = operations.token_request(replace(SETTINGS, client_secret="a&b=c+d%"))
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert parse_qs(request.body.decode(), strict_parsing=True) == {
        "grant_type": ["client_credentials"],
        "client_id": ["client-1"],
        "client_secret": ["a&b=c+d%"],
    }


@pytest.mark.parametrize(
    "expires_in, use_s",
    [(900, 890), ("900", 890), (900.0, 890), (12, 6)] + [(other, 890) for other in (None, "soon", -1, 0, [], 10**400, "nan")],
)
def test_a_token_is_used_until_shortly_before_its_end(expires_in: Any, use_s: float) -> None:
    read = operations.token(answer({"access_token": "T", "expires_in": expires_in}))
    assert (read.value, read.use_s) == ("T", use_s)


@pytest.mark.parametrize(
    "given_, handling",
    [
        (answer({"error": "invalid_client"}, 400), errors.Handling.AUTH),
        (answer({}, 401), errors.Handling.AUTH),
        (answer({}, 404), errors.Handling.AUTH),
        (answer({}, 429, "3"), errors.Handling.RETRY),
        (answer({}, 503), errors.Handling.RETRY),
        (answer(b"<html>"), errors.Handling.RETRY),
        (answer({}), errors.Handling.RETRY),
        (answer({"access_token": ""}), errors.Handling.RETRY),
        (answer({"access_token": "a\nb"}), errors.Handling.RETRY),
        (answer({"access_token": 1}), errors.Handling.RETRY),
    ],
)
def test_without_a_token_nothing_was_sent(given_: Answer, handling: errors.Handling) -> None:
    with pytest.raises(errors.TokenError) as caught:
        operations.token(given_)
    assert (caught.value.handling, caught.value.sent) == (handling, False)
    assert caught.value.retry_after_s == (3.0 if given_.retry_after else None)
