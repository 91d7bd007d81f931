"""Calls and their tries: what is asked again, what is adopted, what is told; one token for all. Time is virtual."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from host_tests.cloud.buywithprime.samples import (
    BY_ID,
    BY_INTENT,
    INTENT,
    SETTINGS,
    SHOPPER_TOKEN,
    STREET,
    known_return,
    new_order,
    new_return,
    preview,
    returns,
    start,
    subscription,
)
from host_tests.cloud.buywithprime.wire import Script, Wire, data, fault, lost
from tools.cloud.buywithprime import BuyWithPrimeError, Client, Handling
from tools.cloud.buywithprime.errors import APIError, HTTPError, TokenError, TransportError, UnexpectedAnswer
from tools.cloud.buywithprime.models import CancellationReason, CancellationState, CancelOrderInput, ExecutionState, ReturnState
from tools.cloud.buywithprime.operations import Answer
from tools.cloud.buywithprime.token import TokenSource

_T = TypeVar("_T")
ORDER = {
    "id": "order-1",
    "aliases": [{"aliasType": INTENT.alias_type, "aliasId": INTENT.alias_id}],
    "metadata": {"executionState": "NOT_STARTED", "createdAt": "2026-11-01T10:00:00Z"},
    "lineItems": [{"id": "line-1", "amount": {"value": 2}}],
}
CREATED = data(createOrder={"order": ORDER})
FOUND = data(order=ORDER)
UPDATED = data(updateOrder={"order": {**ORDER, "metadata": {"executionState": "STARTED"}}})
TAKEN = fault("ValidationException", "AliasValueAlreadyExists")
CONFLICT = fault("ConflictException", error_code=409)
THROTTLED = fault("ThrottlingException", error_code=429)
DENIED = fault("AccessDeniedException", error_code=403)
BROKEN = fault("InternalServerException", error_code=500)
SOLD_OUT = fault("ValidationException", "ItemOutOfStock")
NOT_FOUND = fault("ResourceNotFoundException", error_code=404)
UNAUTHORIZED = Answer(401, b"")


def run(call: Coroutine[Any, Any, _T]) -> _T:
    return asyncio.run(call)


async def create(wire: Wire, settings: Any = SETTINGS) -> Any:
    async with wire, wire.client(settings) as client:
        return await client.create_order(new_order())


def refused(wire: Wire, settings: Any = SETTINGS) -> BuyWithPrimeError:
    with pytest.raises(BuyWithPrimeError) as caught:
        run(create(wire, settings))
    return caught.value


# ---- Results


def test_an_order_is_created() -> None:
    order = run(create(Wire(CREATED)))
    assert (order.id, order.execution_state) == ("order-1", ExecutionState.NOT_STARTED)


def test_every_call_has_its_result() -> None:
    async def calls() -> None:
        wire = Wire(
            data(deliveryPreview={"id": "p", "deliveryGroups": []}),
            FOUND,
            UPDATED,
            data(cancelOrder={"cancellation": {"id": "c", "state": "PENDING"}}),
            data(createEventSubscription={"subscriptionId": "s"}),
        )
        async with wire, wire.client() as client:
            assert (await client.delivery_preview(preview())).id == "p"
            found = await client.order(BY_INTENT)
            assert found is not None and found.has(INTENT)
            assert (await client.update_order(BY_ID, start())).execution_state is ExecutionState.STARTED
            asked = await client.cancel_order(BY_ID, CancelOrderInput(reason=CancellationReason.OTHER))
            assert asked.state is CancellationState.PENDING
            assert await client.create_event_subscription(subscription()) == "s"
        assert wire.tokens == 1

    run(calls())


@pytest.mark.parametrize("answer", [NOT_FOUND, data(order=None)])
def test_an_order_that_there_is_not_is_none(answer: Script) -> None:
    async def call() -> object:
        wire = Wire(answer)
        async with wire, wire.client() as client:
            return await client.order(BY_INTENT)

    assert run(call()) is None


def test_a_part_of_an_order_that_there_is_not_does_not_deny_the_order() -> None:
    gone = {**json.loads(NOT_FOUND.body)["errors"][0], "path": ["order", "lineItems", 0, "product"]}

    async def call() -> None:
        wire = Wire(Answer(200, json.dumps({"data": {"order": ORDER}, "errors": [gone]}).encode()))
        async with wire, wire.client() as client:
            with pytest.raises(APIError):
                await client.order(BY_INTENT)

    run(call())


def test_a_return_is_added_and_its_id_told() -> None:
    made = {"id": "r", "state": "CREATED", "aliases": [], "returnLineItems": []}

    async def call() -> None:
        wire = Wire(data(updateOrder={"order": {"id": "o", "returns": {"details": [made]}}}))
        async with wire, wire.client() as client:
            [told] = (await client.update_order(BY_ID, returns(new_return()))).returns
            assert (told.id, told.state) == ("r", ReturnState.CREATED)

    run(call())


@pytest.mark.parametrize("found", [None, {"order": None}, {"order": {"id": None}}])
def test_a_success_without_an_order_may_have_been_carried_out(found: object) -> None:
    error = refused(Wire(data(createOrder=found)))
    assert isinstance(error, UnexpectedAnswer)
    assert (error.handling, error.sent) == (Handling.RETRY, True)


# ---- Tries


PASSING = [THROTTLED, BROKEN, Answer(503, b""), Answer(429, b""), lost(), lost(sent=False), Answer(200, b"<html>")]


@pytest.mark.parametrize("first", PASSING, ids=repr)
def test_what_may_pass_is_tried_again_with_the_same_alias(first: Script) -> None:
    wire = Wire(first, CREATED)
    assert run(create(wire)).id == "order-1"
    assert wire.asked == ["createOrder", "createOrder"]
    assert wire.requests[0].body == wire.requests[1].body


def test_the_waits_grow_up_to_their_limit() -> None:
    wire = Wire(*[THROTTLED] * 6, CREATED)
    run(create(wire, replace(SETTINGS, tries=7, patience_s=100.0)))
    assert wire.slept == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


def test_a_wait_is_a_random_part_of_its_range() -> None:
    async def calls() -> None:
        wire = Wire(THROTTLED, THROTTLED, CREATED)
        chances = iter([0.25, 0.0])
        client = Client(SETTINGS, transport=wire, clock=lambda: wire.now, sleep=wire.sleep, chance=lambda: next(chances))
        async with wire, client:
            await client.create_order(new_order())
        assert wire.slept == [0.125, 0.0]

    run(calls())


def test_the_tries_have_an_end() -> None:
    wire = Wire(*[BROKEN] * 4)
    error = refused(wire)
    assert isinstance(error, APIError)
    assert (error.handling, error.sent, len(wire.requests)) == (Handling.RETRY, True, 4)


def test_the_patience_has_an_end() -> None:
    error = refused(Wire(THROTTLED, THROTTLED), replace(SETTINGS, patience_s=1.4))
    assert (error.handling, error.sent) == (Handling.RETRY, False)


def test_no_try_comes_earlier_than_it_was_asked_for() -> None:
    wire = Wire(Answer(429, b"", "3"), CREATED)
    run(create(wire))
    assert wire.slept == [3.0]


def test_a_wait_that_is_too_long_is_the_callers() -> None:
    error = refused(Wire(Answer(429, b"", "3600")))
    assert isinstance(error, HTTPError)
    assert (error.retry_after_s, error.sent) == (3600.0, False)


@pytest.mark.parametrize("answer", [SOLD_OUT, fault("ValidationException", "AddressMismatch"), Answer(400, b""), Answer(413, b"")])
def test_what_no_try_can_mend_is_told_at_once(answer: Answer) -> None:
    error = refused(Wire(answer))
    assert not error.sent
    assert error.handling in (Handling.STOCK, Handling.STALE, Handling.TERMINAL)


def test_what_would_be_added_twice_is_asked_once() -> None:
    async def call() -> None:
        wire = Wire(lost())
        async with wire, wire.client() as client:
            with pytest.raises(TransportError) as caught:
                await client.update_order(BY_ID, returns(new_return(alias=None)))
        assert caught.value.sent

    run(call())


@pytest.mark.parametrize("first", [lost(sent=False), THROTTLED])
def test_what_surely_was_not_added_is_asked_again(first: Script) -> None:
    async def call() -> None:
        wire = Wire(first, UPDATED)
        async with wire, wire.client() as client:
            await client.update_order(BY_ID, returns(new_return(alias=None), known_return(state=ReturnState.CANCELLED)))

    run(call())


def test_a_later_refusal_does_not_undo_an_earlier_doubt() -> None:
    """Try 1 may have started it, so that the refusal of try 2 proves nothing."""

    async def call() -> None:
        wire = Wire(lost(), fault("ValidationException", "InvalidOrderExecutionState"))
        async with wire, wire.client() as client:
            with pytest.raises(APIError) as caught:
                await client.update_order(BY_ID, start())
        assert (caught.value.handling, caught.value.sent) == (Handling.TERMINAL, True)

    run(call())


def test_a_query_that_was_lost_has_changed_nothing() -> None:
    async def call() -> None:
        wire = Wire(*[lost()] * 4)
        async with wire, wire.client() as client:
            with pytest.raises(TransportError) as caught:
                await client.order(BY_INTENT)
        assert not caught.value.sent

    run(call())


# ---- Adoption


@pytest.mark.parametrize("answers", [(TAKEN,), (CONFLICT,), (lost(), TAKEN), (BROKEN, CONFLICT)])
def test_an_order_that_an_earlier_try_made_is_adopted(answers: tuple[Script, ...]) -> None:
    wire = Wire(*answers, FOUND)
    assert run(create(wire)).id == "order-1"
    assert wire.asked == ["createOrder"] * len(answers) + ["order"]
    asked = json.loads(wire.requests[-1].body)["variables"]
    assert asked == {"orderIdentifier": {"alias": {"aliasType": "DEVICE_INTENT_ID", "aliasId": "BREWER-1-Coffee-17"}}}


def test_a_refusal_after_a_doubt_is_looked_into() -> None:
    assert run(create(Wire(lost(), SOLD_OUT, FOUND))).id == "order-1"


def test_a_refusal_after_a_doubt_stays_a_doubt_where_nothing_is_found() -> None:
    error = refused(Wire(lost(), SOLD_OUT, data(order=None)))
    assert (error.handling, error.sent) == (Handling.STOCK, True)


def test_an_alias_that_is_another_orders_is_told() -> None:
    error = refused(Wire(TAKEN, NOT_FOUND))
    assert isinstance(error, APIError)
    assert (error.code, error.handling) == ("AliasValueAlreadyExists", Handling.DONE_BEFORE)


def test_an_order_that_cannot_be_fetched_for_adoption_may_have_been_made() -> None:
    error = refused(Wire(TAKEN, *[lost(sent=False)] * 4))
    assert error.operation == "x" and error.handling is Handling.RETRY
    assert error.sent


# ---- Tokens


@pytest.mark.parametrize("answer", [UNAUTHORIZED, Answer(403, b""), DENIED])
def test_a_refused_token_is_renewed_once(answer: Answer) -> None:
    wire = Wire(answer, CREATED)
    assert run(create(wire)).id == "order-1"
    assert (wire.tokens, wire.slept) == (2, [])
    assert [request.headers["Authorization"] for request in wire.requests] == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize("answer", [UNAUTHORIZED, DENIED])
def test_a_new_token_that_is_refused_too_is_the_end(answer: Answer) -> None:
    wire = Wire(answer, answer)
    error = refused(wire)
    assert (error.handling, error.sent, wire.tokens) == (Handling.AUTH, False, 2)


def test_a_token_is_used_until_shortly_before_its_end() -> None:
    async def calls() -> None:
        wire = Wire(FOUND, FOUND, FOUND, expires_in="900")
        async with wire, wire.client() as client:
            for seconds, tokens in ((0, 1), (889, 1), (2, 2)):
                wire.now += seconds
                await client.order(BY_ID)
                assert wire.tokens == tokens

    run(calls())


def test_any_number_of_calls_ask_for_one_token() -> None:
    async def calls() -> None:
        wire = Wire(*[FOUND] * 20)
        wire.gate = asyncio.Event()
        async with wire, wire.client() as client:
            waiting = [asyncio.create_task(client.order(BY_ID)) for _ in range(20)]
            await asyncio.sleep(0)
            waiting[0].cancel()  # who asked first gives up: the others get the token nevertheless
            wire.answers.pop()
            wire.gate.set()
            done = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(done[0], asyncio.CancelledError)
        assert [getattr(each, "id", each) for each in done[1:]] == ["order-1"] * 19
        assert wire.tokens == 1

    run(calls())


def test_any_number_of_refused_calls_ask_for_one_new_token() -> None:
    async def calls() -> None:
        wire = Wire(*[UNAUTHORIZED] * 10, *[FOUND] * 10)
        async with wire, wire.client() as client:
            await asyncio.gather(*(client.order(BY_ID) for _ in range(10)))
        assert wire.tokens == 2

    run(calls())


def test_a_late_refusal_of_the_old_token_does_not_cost_the_new_one() -> None:
    async def calls() -> None:
        wire = Wire()
        tokens = TokenSource(SETTINGS, wire.post, lambda: wire.now)
        assert [await tokens.get(), await tokens.renew("token-1"), await tokens.renew("token-1")] == ["token-1", "token-2", "token-2"]

    run(calls())


def test_the_failure_of_a_token_is_that_of_all_who_wait() -> None:
    async def calls() -> None:
        wire = Wire()
        wire.token_answers = [Answer(401, b"")]
        async with wire, wire.client() as client:
            failed = await asyncio.gather(*(client.order(BY_ID) for _ in range(5)), return_exceptions=True)
        assert {type(each) for each in failed} == {TokenError}
        assert not wire.token_answers and wire.tokens == 0

    run(calls())


@pytest.mark.parametrize("first", [Answer(503, b""), Answer(429, b"", "2"), lost(), Answer(200, b"{}")], ids=repr)
def test_a_token_is_asked_for_again_when_it_may_come(first: Script) -> None:
    wire = Wire(CREATED)
    wire.token_answers = [first]
    assert run(create(wire)).id == "order-1"


def test_a_token_that_does_not_come_means_that_nothing_was_sent() -> None:
    wire = Wire()
    wire.token_answers = [lost()] * 4
    assert not refused(wire).sent


def test_a_client_that_is_closed_stops_asking_for_its_token() -> None:
    async def calls() -> None:
        wire = Wire()
        wire.gate = asyncio.Event()
        async with wire.client() as client:
            waiting = asyncio.create_task(client.order(BY_ID))
            await asyncio.sleep(0)
        assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)
        assert len(asyncio.all_tasks()) == 1

    run(calls())


# ---- Logs


def test_no_log_tells_a_secret_or_an_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = fault("ValidationException", "AddressMismatch", errors_=None)
    told = json.loads(echo.body)
    told["errors"][0]["message"] = f"{STREET} {SHOPPER_TOKEN} token-1 s3cret-of-the-store k3y-of-the-store"
    wire = Wire(THROTTLED, UNAUTHORIZED, Answer(200, json.dumps(told).encode()))

    async def call() -> None:
        async with wire, wire.client() as client:
            await client.create_order(new_order(prime=True))

    with pytest.raises(APIError) as caught:
        run(call())
    shown = caplog.text + str(caught.value) + repr(caught.value) + repr(caught.value.faults)
    assert "createOrder: Validation/AddressMismatch/400, try 2: STALE" in caplog.text
    for secret in (STREET, SHOPPER_TOKEN, "token-1", "token-2", "s3cret", "k3y", "jo@example.com"):
        assert secret not in shown
