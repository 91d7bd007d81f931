"""The library alone, at the simulated store over TLS: each method once, and a token that dies."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable

import pytest

from host_tests.cloud.buywithprime.samples import (
    BY_INTENT,
    INTENT,
    dollars,
    line,
    new_order,
    new_return,
    preview,
    returns,
    start,
    subscription,
)
from tools.cloud.buywithprime import Client, Handling, Settings
from tools.cloud.buywithprime.errors import APIError, TokenError
from tools.cloud.buywithprime.models import (
    CancellationReason,
    CancellationState,
    CancelOrderInput,
    DeliveryPreview,
    ExecutionState,
    IdentityTokenInput,
    LineItemInput,
    LWAAccessTokenInput,
    OrderIdentifierInput,
    ProductIdentifier,
    ReturnState,
)
from tools.simulator import Clock, Simulator

COFFEE = ProductIdentifier(kind="sku", value="ACME-COFFEE-12")
PRIME_SHOPPER = base64.b64encode(b'{"type":"ACCESS_TOKEN","value":"sandbox-mocked-test-prime-shopper-access-token"}').decode()
SHOPPER = IdentityTokenInput(lwa_access_token=LWAAccessTokenInput(value=PRIME_SHOPPER))  # type: ignore[arg-type]


def live(story: Callable[[Simulator, Client], Awaitable[None]], secret: str = "simulated-store-secret-0123456789abcdef") -> None:
    async def within() -> None:
        async with asyncio.timeout(30), Simulator(clock=Clock.manual(1_700_000_000)) as sim:
            settings = Settings(
                client_id="simulated-store-client",
                client_secret=secret,
                target_id=sim.store.target_id,
                url=f"{sim.url}/graphql",
                token_url=f"{sim.url}/token",
            )
            async with Client(settings, context=ssl.create_default_context(cafile=str(sim.ca_pem))) as client:
                await story(sim, client)

    asyncio.run(within())


def coffee(shown: DeliveryPreview | None = None) -> LineItemInput:
    """Two packs; with a preview, delivered for Prime by its first offer for that."""
    written = line(prime=shown is not None).model_dump(exclude={"product", "selected_delivery_offer"})
    product = line().product.model_copy(update={"identifier": COFFEE})  # type: ignore[union-attr]
    agreed = line(prime=shown is not None).selected_delivery_offer
    if shown is not None:
        offer = next(offer for offer in shown.groups[0].offers if offer.is_prime)
        details = agreed.details.model_copy(update={"delivery_preview_id": shown.id, "id": offer.id})
        agreed = agreed.model_copy(update={"details": details})
    return LineItemInput(**written, product=product, selected_delivery_offer=agreed)


def test_an_order_lives() -> None:
    async def story(sim: Simulator, client: Client) -> None:
        assert await client.order(BY_INTENT) is None
        created = await client.create_order(new_order(line_items=(coffee(),)))
        assert created.execution_state is ExecutionState.NOT_STARTED
        again = await client.create_order(new_order(line_items=(coffee(),)))
        assert (again.id, len(sim.store.orders())) == (created.id, 1)
        found = await client.order(OrderIdentifierInput(order_id=created.id))
        assert found is not None and found.has(INTENT)
        assert found.total == dollars("41.03")
        assert [item.amount.value for item in found.line_items if item.amount] == [2]
        started = await client.update_order(BY_INTENT, start())
        assert started.execution_state is ExecutionState.STARTED
        assert await client.create_event_subscription(subscription())

    live(story)


def test_an_order_for_Prime_is_bound_to_its_preview() -> None:
    async def story(_sim: Simulator, client: Client) -> None:
        asked = preview()
        wanted = asked.products[0].model_copy(update={"product_identifier": COFFEE})
        shown = await client.delivery_preview(asked.model_copy(update={"products": (wanted,), "shopper_identity": SHOPPER}))
        assert shown.groups[0].products[0].identifier == COFFEE
        order = await client.create_order(new_order(prime=True, line_items=(coffee(shown),), shopper_identity=SHOPPER))
        found = await client.order(OrderIdentifierInput(order_id=order.id))
        assert found is not None and found.line_items[0].delivery is not None
        assert (found.line_items[0].delivery.is_prime, found.line_items[0].delivery.delivery_preview_id) == (True, shown.id)

    live(story)


def test_an_order_is_cancelled() -> None:
    async def story(_sim: Simulator, client: Client) -> None:
        await client.create_order(new_order(line_items=(coffee(),)))
        asked = await client.cancel_order(BY_INTENT, CancelOrderInput(reason=CancellationReason.ORDERED_BY_MISTAKE))
        assert asked.state is CancellationState.PENDING
        found = await client.order(BY_INTENT)
        assert found is not None and [each.state for each in found.cancellations] == [CancellationState.PENDING]

    live(story)


def test_a_return_is_added() -> None:
    async def story(sim: Simulator, client: Client) -> None:
        created = await client.create_order(new_order(line_items=(coffee(),), desired_execution_state=ExecutionState.STARTED))
        sim.clock.advance(7 * 86_400)
        written = new_return().model_dump(by_alias=True, exclude_none=True)
        what = written["returnLineItems"][0]["returnFor"]["orderLineItemAmounts"][0]
        what["lineItemId"] = {"id": created.line_items[0].id}
        changed = await client.update_order(BY_INTENT, returns(type(new_return()).model_validate(written)))
        assert [each.state for each in changed.returns] == [ReturnState.CREATED]
        found = await client.order(BY_INTENT)
        assert found is not None and [each.line_item_id for each in found.returns[0].line_items[0].items] == [created.line_items[0].id]

    live(story)


def test_a_token_that_died_is_renewed() -> None:
    async def story(sim: Simulator, client: Client) -> None:
        assert await client.order(BY_INTENT) is None
        sim.clock.advance(901)  # the store's clock, and not the client's, which goes on using it
        assert await client.order(BY_INTENT) is None
        asked = [call.status for call in sim.calls if call.endpoint == "bwp_graphql"]
        assert len(asked) == 3 and asked[0] == asked[2] == 200
        assert asked[1] in (401, 403)

    live(story)


def test_credentials_that_are_wrong_are_told() -> None:
    async def story(_sim: Simulator, client: Client) -> None:
        with pytest.raises(TokenError) as caught:
            await client.order(BY_INTENT)
        assert (caught.value.handling, caught.value.sent) == (Handling.AUTH, False)

    live(story, secret="another")


def test_a_refusal_of_the_store_is_told() -> None:
    async def story(sim: Simulator, client: Client) -> None:
        with pytest.raises(APIError) as caught:
            await client.create_order(new_order())  # a product that the store does not have
        assert not caught.value.sent
        assert sim.store.orders() == []

    live(story)
