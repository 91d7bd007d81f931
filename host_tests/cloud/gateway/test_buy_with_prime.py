"""The adapter for Buy with Prime at the simulated store, over TLS: every order once, held, started, ended and returned."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tools.cloud.buywithprime import orders, returns
from tools.cloud.buywithprime.models import Cancellation, IdentityTokenInput
from tools.cloud.gateway.adapters import OutcomeUnknown, Refused, ShortOfStock, Surroundings, Unavailable, buy_with_prime
from tools.cloud.gateway.adapters.buy_with_prime import BuyWithPrime
from tools.cloud.gateway.adapters.shoppers import NoShopper
from tools.cloud.gateway.model import Address, Customer, Intent, IntentId, Item, Return, ReturnState, Snapshot, State
from tools.simulator import Clock, Simulator

START = 1_700_000_000
DAY_S = 86_400
SKU = "ACME-COFFEE-12"
ITEM = Item(SKU, "Coffee, 12 cups", Decimal("12.99"), "USD", discount=Decimal("1.00"), tax=Decimal("0.50"))
PRIME = replace(ITEM, prime=True)
INTENT = IntentId("SN0001", "Coffee", 1)
CUSTOMER = Customer(
    "ada", "Ada", "ada@example.com", Address("1 Main St", "Springfield", "IL", "62701"), {"SN0001": {"Coffee": ITEM}}, "card-of-ada"
)
# What the sandbox's shopper with Prime shows; LWA gives it for the customer's refresh token.
SHOPPER = base64.b64encode(b'{"type":"ACCESS_TOKEN","value":"sandbox-mocked-test-prime-shopper-access-token"}').decode()


class World:
    """The store, and the adapter at it."""

    def __init__(self, sim: Simulator, adapter: BuyWithPrime) -> None:
        self.sim = sim
        self.adapter = adapter

    async def order(self, quantity: int = 2, item: Item = ITEM, customer: Customer = CUSTOMER, counter: int = 1) -> Snapshot:
        intent = Intent(INTENT.with_counter(counter), quantity, quantity)
        return await self.adapter.order(intent, item, customer)

    async def find(self, counter: int = 1) -> Snapshot | None:
        return await self.adapter.find(INTENT.with_counter(counter), ITEM, CUSTOMER)

    async def start(self) -> Snapshot:
        return await self.adapter.start(INTENT, ITEM, CUSTOMER)

    async def cancel(self) -> Snapshot:
        return await self.adapter.cancel(INTENT, ITEM, CUSTOMER)

    async def put_return(self, quantity: int = 1, state: str = "CREATED", name: str = "X-1") -> Snapshot:
        return await self.adapter.put_return(INTENT, Return(name, quantity, ReturnState(state)), ITEM, CUSTOMER)

    async def after(self, seconds: int) -> Snapshot:
        """How the order stands so much later."""
        self.sim.clock.advance(seconds)
        found = await self.find()
        assert found
        return found

    @property
    def only(self) -> Any:
        """The one order of the store."""
        (order,) = self.sim.store.orders()
        return order

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """The variables of the calls of this operation that the store took part in."""
        calls = [call for call in self.sim.calls if call.operation == operation]
        return [json.loads(call.body)["variables"] for call in calls]


SECRETS = {"client_id": "simulated-store-client", "client_secret": "simulated-store-secret-0123456789abcdef"}


def settings_at(sim: Simulator) -> buy_with_prime.Settings:
    return buy_with_prime.Settings(
        sim.store.target_id, f"{sim.url}/graphql", f"{sim.url}/token", f"{sim.url}/auth/o2/token", ca=str(sim.ca_pem)
    )


async def no_wait(seconds: float) -> None:
    """Between two tries of the client."""


def live(story: Callable[[World], Awaitable[None]], **changed: Any) -> None:
    """Run a story; `changed` are settings of the simulator."""

    async def within() -> None:
        async with asyncio.timeout(30), Simulator(clock=Clock.manual(START)) as sim:
            sim.settings.change(**changed)
            around = Surroundings(sim.clock.now, None, 0)  # type: ignore[arg-type]  # there is nothing that it has to remember
            async with buy_with_prime.opened(settings_at(sim), SECRETS, around) as adapter:
                adapter._store._sleep = no_wait  # type: ignore[attr-defined]
                await story(World(sim, adapter))

    asyncio.run(within())


def stale_once(world: World, before: Any) -> None:
    """The adapter's next look at the order is an old one."""
    real, looks = world.adapter._store.order, [before]

    async def look(identifier: Any) -> Any:
        return looks.pop() if looks else await real(identifier)

    world.adapter._store.order = look  # type: ignore[method-assign]


def test_an_order_from_hold_to_delivery() -> None:
    async def story(world: World) -> None:
        assert await world.find() is None
        placed = await world.order()
        assert placed == Snapshot(INTENT, State.PLACED, quantity=2, created=START, time=START, total=Decimal("24.98"))
        assert await world.find() == placed
        started = await world.start()
        assert (started.state, started.quantity) == (State.STARTED, 2)
        moving = await world.after(DAY_S)
        assert moving.state is State.IN_TRANSIT
        assert moving.deliver_by and moving.deliver_by > START + DAY_S
        assert (await world.after(3 * DAY_S)).state is State.DELIVERED

    live(story)


def test_an_order_says_all_that_the_store_should_know() -> None:
    async def story(world: World) -> None:
        await world.order()
        (sent,) = world.asked("createOrder")
        given = sent["input"]
        assert given["aliases"] == [{"aliasType": "DEVICE_INTENT_ID", "aliasId": "SN0001-Coffee-1"}]
        assert given["desiredExecutionState"] == "NOT_STARTED"
        (line,) = given["lineItems"]
        assert line["discounts"] == {"summary": {"amount": {"amount": 2, "currencyCode": "USD"}}}
        assert line["taxes"] == {"summary": {"collectableTaxAmount": {"amount": 1, "currencyCode": "USD"}}}
        assert given["payments"]["details"][0]["id"] == "card-of-ada"
        assert given["recipient"]["deliveryAddress"]["postalCode"] == "62701"
        assert "shopperIdentity" not in given
        assert world.asked("deliveryPreview") == []

    live(story)


def test_repeated_intent_is_the_same_order() -> None:
    async def story(world: World) -> None:
        first = await world.order(2)
        assert await world.order(5) == first
        assert len(world.asked("createOrder")) == 1
        assert (await world.order(1, counter=2)).id.counter == 2
        assert len(world.sim.store.orders()) == 2

    live(story)


@pytest.mark.parametrize("kind", ["drop_after", "reset", "fail_after", "truncate"])
def test_order_whose_answer_is_lost_is_adopted(kind: str) -> None:
    async def story(world: World) -> None:
        world.sim.faults.add(kind=kind, operation="createOrder")
        placed = await world.order()
        assert placed.state is State.PLACED
        calls = [call for call in world.sim.calls if call.operation == "createOrder"]
        assert [(call.fault, call.acted) for call in calls] == [(kind, True), (None, True)]  # refused the second time, for its alias
        assert world.only.lines[0].amount == 2

    live(story)


def test_order_whose_every_answer_is_lost_is_adopted_later() -> None:
    """The gateway dies, or gives up: nobody knows, until the same intent is repeated."""

    async def story(world: World) -> None:
        world.sim.faults.add(kind="drop_after", operation="createOrder", count=0)
        with pytest.raises(OutcomeUnknown):
            await world.order()
        world.sim.faults.clear()
        assert (await world.order()).state is State.PLACED
        assert world.only

    live(story)


def test_two_copies_that_order_at_once_make_one_order() -> None:
    async def story(world: World) -> None:
        found = await asyncio.gather(*(world.order() for _ in range(4)))
        assert {(each.state, each.quantity) for each in found} == {(State.PLACED, 2)}
        assert world.only

    live(story)


@pytest.mark.parametrize("fault", [{"kind": "refuse"}, {"kind": "graphql_error", "family": "Throttling"}, {"kind": "drop_before"}])
def test_store_that_does_nothing_is_unavailable_to_who_asks(fault: dict[str, Any]) -> None:
    async def story(world: World) -> None:
        world.sim.faults.add(endpoint="bwp_graphql", operation="order", count=0, **fault)
        for call in (world.find(), world.order(), world.start(), world.cancel(), world.put_return()):
            with pytest.raises(Unavailable):
                await call
        assert world.sim.store.orders() == []

    live(story)


@pytest.mark.parametrize(
    ("item", "customer"),
    [
        (replace(ITEM, discount=Decimal("99.00")), CUSTOMER),
        (replace(ITEM, currency="dollars"), CUSTOMER),
        (replace(ITEM, title=""), CUSTOMER),
        (ITEM, replace(CUSTOMER, address=replace(CUSTOMER.address, country="USA"))),
    ],
)
def test_item_or_customer_that_makes_no_order_is_refused(item: Item, customer: Customer) -> None:
    async def story(world: World) -> None:
        with pytest.raises(Refused) as caught:
            await world.order(2, item, customer)
        assert caught.value.code == "NotOrderable"
        assert not [word for word in ("Main", "ada@", "99") if word in str(caught.value)]
        assert world.asked("createOrder") == []

    live(story)


# ---- Want of stock


@pytest.mark.parametrize(
    ("stock", "wanted", "available", "code"),
    [(0, 2, 0, "ItemOutOfStock"), (1, 2, 1, "SelectedQuantityNotAvailable"), (3, 9, 3, "SelectedQuantityNotAvailable")],
)
@pytest.mark.parametrize("prime", [True, False])
def test_too_little_stock_is_told_and_nothing_is_ordered(stock: int, wanted: int, available: int, code: str, prime: bool) -> None:
    """Whether it is sold with Prime or not; previews tell how many there are."""

    async def story(world: World) -> None:
        world.sim.store.put_product(SKU, stock=stock, prime=prime)
        with pytest.raises(ShortOfStock) as caught:
            await world.order(wanted)
        assert (caught.value.available, caught.value.code) == (available, code)
        assert world.sim.store.orders() == []
        assert bool(world.asked("deliveryPreview")) is (available > 0)  # of what is sold out nothing need be asked
        assert {each["input"]["lineItems"][0]["amount"]["value"] for each in world.asked("createOrder")} == {wanted}
        if available:
            assert (await world.order(available)).quantity == available

    live(story)


def test_stock_that_previews_do_not_tell() -> None:
    async def story(world: World) -> None:
        world.sim.store.put_product(SKU, stock=1)
        world.sim.faults.add(kind="graphql_error", operation="deliveryPreview", family="AccessDenied", count=0)
        with pytest.raises(ShortOfStock) as caught:
            await world.order()
        assert caught.value.available is None

    live(story)


def test_sold_out_after_the_order_was_made_cancels_it_whole() -> None:
    """Never fewer than were ordered, without a word: the device is told why it ended."""

    async def story(world: World) -> None:
        await world.order()
        world.sim.faults.add(kind="graphql_error", operation="updateOrder", family="Validation", code="SelectedQuantityNotAvailable")
        ended = await world.start()
        assert (ended.state, ended.code, ended.quantity) == (State.FAILED, "OUT_OF_STOCK", 2)
        assert world.asked("cancelOrder")[0]["input"] == {"reason": "OUT_OF_STOCK"}
        found = await world.after(DAY_S)
        assert (found.state, found.code) == (State.FAILED, "OUT_OF_STOCK")

    live(story)


# ---- Letting it begin


def test_start_asks_first_and_begins_once() -> None:
    async def story(world: World) -> None:
        await world.order()
        assert (await world.start()).state is (await world.start()).state is State.STARTED
        assert len(world.asked("updateOrder")) == 1
        await world.after(DAY_S)
        assert (await world.start()).state is State.IN_TRANSIT
        assert len(world.asked("updateOrder")) == 1

    live(story)


def test_starts_at_once_begin_once() -> None:
    async def story(world: World) -> None:
        await world.order()
        found = await asyncio.gather(*(world.start() for _ in range(4)))
        assert {each.state for each in found} == {State.STARTED}

    live(story, bwp_started_again="refused")


@pytest.mark.parametrize("code", ["ExecutionAlreadyStarted", "InvalidOrderExecutionState"])
def test_start_that_comes_too_late_tells_how_the_order_stands(code: str) -> None:
    async def story(world: World) -> None:
        await world.order()
        world.sim.faults.add(kind="graphql_error", operation="updateOrder", family="Validation", code=code)
        assert (await world.start()).state is State.PLACED  # which is how it stands: the refusal was the test's
        assert len(world.asked("order")) == 3

    live(story)


def test_start_of_an_order_that_is_being_cancelled_is_not_sent() -> None:
    async def story(world: World) -> None:
        await world.order()
        world.sim.store.cancel_by_shopper(world.only.id)
        assert (await world.start()).state is State.CANCELLED
        assert world.asked("updateOrder") == []

    live(story)


def test_start_that_a_cancellation_overtakes() -> None:
    async def story(world: World) -> None:
        await world.order()
        # Between the question and the start: what the adapter read is what stood before.
        before = await world.adapter._store.order(orders.by_intent(str(INTENT)))
        world.sim.store.cancel_by_shopper(world.only.id)
        stale_once(world, before)
        assert (await world.start()).state is State.CANCELLED
        assert len(world.asked("updateOrder")) == 1

    live(story)


def test_start_whose_answer_is_lost() -> None:
    async def story(world: World) -> None:
        await world.order()
        world.sim.faults.add(kind="drop_after", operation="updateOrder", count=0)
        with pytest.raises(OutcomeUnknown):
            await world.start()
        world.sim.faults.clear()
        assert (await world.find() or pytest.fail()).state is State.STARTED

    live(story)


# ---- Cancelling


def test_no_within_the_hold() -> None:
    async def story(world: World) -> None:
        await world.order()
        assert (await world.cancel()).state is State.CANCELLED
        assert world.asked("cancelOrder")[0]["input"] == {"reason": "ORDERED_BY_MISTAKE"}
        assert (await world.cancel()).state is State.CANCELLED
        assert len(world.asked("cancelOrder")) == 1
        assert (await world.after(DAY_S)).state is State.CANCELLED

    live(story)


def test_no_after_the_start_is_decided_by_the_store() -> None:
    async def story(world: World) -> None:
        await world.order()
        await world.start()
        assert (await world.cancel()).state is State.UNKNOWN
        assert (await world.after(60)).state is State.CANCELLED

    live(story)


def test_no_that_the_store_does_not_grant() -> None:
    async def story(world: World) -> None:
        world.sim.store.set_fates(default={"kind": "delivered", "cancellation": "rejected"})
        await world.order()
        await world.start()
        await world.cancel()
        assert (await world.after(60)).state is State.STARTED
        assert (await world.after(DAY_S)).state is State.IN_TRANSIT
        with pytest.raises(Refused, match="on its way"):
            await world.cancel()

    live(story)


def test_no_that_is_said_twice_at_once() -> None:
    async def story(world: World) -> None:
        await world.order()
        before = await world.adapter._store.order(orders.by_intent(str(INTENT)))
        await world.cancel()
        stale_once(world, before)
        assert (await world.cancel()).state is State.CANCELLED
        assert len(world.asked("cancelOrder")) == 2

    live(story)


def test_no_that_is_rejected_at_once() -> None:
    async def story(world: World) -> None:
        await world.order()

        async def rejected(identifier: Any, why: Any) -> Cancellation:
            return Cancellation.model_validate({"state": "REJECTED"})

        world.adapter._store.cancel_order = rejected  # type: ignore[method-assign]
        with pytest.raises(Refused) as caught:
            await world.cancel()
        assert caught.value.code == "REJECTED"

    live(story)


@pytest.mark.parametrize(("fate", "code"), [("unfulfillable", "UNFULFILLABLE"), ("undeliverable", "UNDELIVERABLE")])
def test_order_that_ends_without_anybodys_no(fate: str, code: str) -> None:
    async def story(world: World) -> None:
        world.sim.store.set_fates(default=fate)
        await world.order()
        await world.start()
        ended = await world.after(10 * DAY_S)
        assert (ended.state, ended.code) == (State.FAILED, code)

    live(story)


def test_quantity_is_without_the_package_that_did_not_come() -> None:
    async def story(world: World) -> None:
        world.sim.store.set_fates(default={"kind": "by_hand", "packages": 2})
        await world.order()
        await world.start()
        one, other = world.only.packages
        world.sim.store.move_package(world.only.id, one.id, state="CANCELLED", reason="UNFULFILLABLE")
        assert (await world.find() or pytest.fail()).quantity == 1
        world.sim.store.move_package(world.only.id, other.id, state="IN_TRANSIT")
        world.sim.store.move_package(world.only.id, other.id, state="DELIVERED")
        found = await world.find()
        assert found and (found.state, found.quantity) == (State.DELIVERED, 1)

    live(story)


# ---- Prime


class FakeShoppers:
    """Gives the store's own shopper with Prime; `tokens` come first."""

    def __init__(self, *tokens: str | Exception) -> None:
        self.tokens = list(tokens)
        self.fresh: list[bool] = []

    async def token(self, customer: str, refresh_token: str, fresh: bool) -> Any:
        assert (customer, refresh_token) == ("ada", "Atzr|ada")
        self.fresh.append(fresh)
        token = self.tokens.pop(0) if self.tokens else SHOPPER
        if isinstance(token, Exception):
            raise token
        return IdentityTokenInput.model_validate({"lwaAccessToken": {"value": token}})


MEMBER = replace(CUSTOMER, shopper_token="Atzr|ada")


def with_shoppers(world: World, *tokens: str | Exception) -> FakeShoppers:
    fake = FakeShoppers(*tokens)
    world.adapter._shoppers = fake  # type: ignore[assignment]
    return fake


def test_prime_is_bound_to_a_preview() -> None:
    async def story(world: World) -> None:
        with_shoppers(world)
        assert (await world.order(2, PRIME, MEMBER)).state is State.PLACED
        (asked,) = world.asked("deliveryPreview")
        assert asked["input"]["shopperIdentity"] == {"lwaAccessToken": {"value": SHOPPER}}
        (sent,) = world.asked("createOrder")
        details = sent["input"]["lineItems"][0]["selectedDeliveryOffer"]["details"]
        assert details["deliveryTerms"]["isPrimeEligible"] is True
        assert {"deliveryPreviewId", "id"} <= details.keys()

    live(story)


def test_offer_that_is_too_old_when_it_comes_is_asked_for_again() -> None:
    """The first preview's offers are good for less than a call may take; the second's for longer."""

    async def story(world: World) -> None:
        with_shoppers(world)
        preview = world.adapter._store.delivery_preview

        async def then_long(wanted: Any) -> Any:
            found = await preview(wanted)
            world.sim.settings.change(bwp_offer_s=900)
            return found

        world.adapter._store.delivery_preview = then_long  # type: ignore[method-assign]
        assert (await world.order(2, PRIME, MEMBER)).state is State.PLACED
        assert (len(world.asked("deliveryPreview")), len(world.asked("createOrder"))) == (2, 1)

    live(story, bwp_offer_s=5)


def test_offer_that_expires_on_the_way_is_replaced_once() -> None:
    async def story(world: World) -> None:
        with_shoppers(world)
        create, expired = world.adapter._store.create_order, []

        async def late(new: Any) -> Any:
            if not expired:
                expired.append(True)
                world.sim.clock.advance(60)
            return await create(new)

        world.adapter._store.create_order = late  # type: ignore[method-assign]
        assert (await world.order(2, PRIME, MEMBER)).state is State.PLACED
        assert (len(world.asked("deliveryPreview")), len(world.asked("createOrder"))) == (2, 2)
        assert world.only

    live(story, bwp_offer_s=60)


def test_offers_that_are_always_too_old() -> None:
    async def story(world: World) -> None:
        with_shoppers(world)
        with pytest.raises(Unavailable, match="too old"):
            await world.order(2, PRIME, MEMBER)
        assert world.asked("createOrder") == []

    live(story, bwp_offer_s=5)


def test_shoppers_token_that_expired_is_renewed_once() -> None:
    async def story(world: World) -> None:
        world.sim.store.shoppers.put("old-token", "shopper-prime", expired=True)
        fake = with_shoppers(world, "old-token")
        assert (await world.order(2, PRIME, MEMBER)).state is State.PLACED
        assert fake.fresh == [False, True]
        fake = with_shoppers(world, "old-token", "old-token")
        with pytest.raises(Refused) as caught:
            await world.order(2, PRIME, MEMBER, counter=2)
        assert caught.value.code == "ExpiredIdpToken"

    live(story)


def test_another_shopper_is_refused() -> None:
    """The token changes hands between preview and order."""

    async def story(world: World) -> None:
        with_shoppers(world)
        world.sim.faults.add(kind="graphql_error", operation="createOrder", family="Validation", code="ShopperIdMismatch")
        with pytest.raises(Refused) as caught:
            await world.order(2, PRIME, MEMBER)
        assert caught.value.code == "ShopperIdMismatch"
        assert len(world.asked("createOrder")) == 1

    live(story)


def test_prime_goes_by_standard_delivery_without_the_shopper() -> None:
    async def story(world: World) -> None:
        refused = with_shoppers(world, NoShopper("unlinked"))
        for counter, customer in ((1, CUSTOMER), (2, MEMBER)):
            assert (await world.order(1, PRIME, customer, counter)).state is State.PLACED
        assert refused.fresh == [False]
        assert world.asked("deliveryPreview") == []
        assert all(
            line["selectedDeliveryOffer"]["details"]["deliveryTerms"]["isPrimeEligible"] is False
            for sent in world.asked("createOrder")
            for line in sent["input"]["lineItems"]
        )

    live(story)


def test_stock_that_a_preview_for_prime_refuses() -> None:
    async def story(world: World) -> None:
        with_shoppers(world)
        world.sim.store.put_product(SKU, stock=1)
        with pytest.raises(ShortOfStock) as caught:
            await world.order(2, PRIME, MEMBER)
        assert (caught.value.available, caught.value.code) == (1, "ProductAmountUnavailable")

    live(story)


# ---- Returns


async def delivered(world: World, quantity: int = 2) -> None:
    await world.order(quantity)
    await world.start()
    assert (await world.after(4 * DAY_S)).state is State.DELIVERED


@pytest.mark.parametrize("words", ["reference", "seed"])
@pytest.mark.parametrize("case", ["upper", "capitalized"])
def test_a_return_of_the_stores_own_from_start_to_grading(words: str, case: str) -> None:
    async def story(world: World) -> None:
        await delivered(world, 3)
        made = world.sim.store.start_return(
            world.only.id, amounts={world.only.lines[0].id: 2}, reason="NOT-on-any-list", conditions=["SELLABLE", "DAMAGED"]
        )
        found = await world.find()
        assert found and (found.state, found.returned) == (State.RETURNING, None)
        found = await world.after(2 * DAY_S + 6 * 3600)
        assert (found.state, found.returned) == (State.RETURNING, 2)
        found = await world.after(5 * DAY_S)
        assert (found.state, found.returned, found.quantity) == (State.DELIVERED, 2, 3)
        _, order = await world.adapter.by_id(world.only.id) or pytest.fail()
        (graded,) = returns.gradings(order.returns[0])
        assert (graded.line, graded.units) == (world.only.lines[0].id, 2)
        assert {condition.value: number for condition, number in graded.conditions.items()} == {"SELLABLE": 1, "DAMAGED": 1}
        assert order.returns[0].line_items[0].reason_code == "NOT-on-any-list"
        assert order.returns[0].id == made.id

    live(story, bwp_return_words=words, bwp_condition_case=case)


def test_return_of_all_is_returned() -> None:
    async def story(world: World) -> None:
        await delivered(world)
        world.sim.store.start_return(world.only.id)
        found = await world.after(10 * DAY_S)
        assert (found.state, found.returned) == (State.RETURNED, 2)

    live(story)


def test_external_return_is_added_updated_and_repeated() -> None:
    async def story(world: World) -> None:
        await delivered(world)
        added = await world.put_return()
        assert (added.state, added.returned) == (State.RETURNING, None)
        assert await world.put_return() == added
        done = await world.put_return(state="COMPLETED")
        assert (done.state, done.returned) == (State.DELIVERED, 1)
        assert await world.put_return(state="COMPLETED") == done
        both = await world.put_return(state="COMPLETED", name="X-2")
        assert (both.state, both.returned) == (State.RETURNED, 2)
        assert [(made.aliases[0].id, made.state) for made in world.only.returns] == [("X-1", "COMPLETED"), ("X-2", "COMPLETED")]
        assert len(world.asked("updateOrder")) == 1 + 3  # the start, and each of the three changes

    live(story)


def test_external_return_that_is_called_off() -> None:
    async def story(world: World) -> None:
        await delivered(world)
        await world.put_return(2)
        off = await world.put_return(2, "CANCELLED")
        assert (off.state, off.returned) == (State.DELIVERED, None)
        assert (await world.put_return(1, "CANCELLED", "never-heard-of")) == off
        with pytest.raises(Refused, match="none before CANCELLED"):
            await world.put_return(2, "CREATED")
        assert (await world.put_return(2, "CREATED", "X-2")).state is State.RETURNING

    live(story)


@pytest.mark.parametrize("quantity", [2, 3])
def test_no_more_is_returned_than_there_is(quantity: int) -> None:
    async def story(world: World) -> None:
        await delivered(world)
        await world.put_return(1)
        with pytest.raises(Refused, match=f"^quantity: {quantity}: allowed: 1 to 1"):
            await world.put_return(quantity, name="X-2")
        with pytest.raises(Refused, match=f"^quantity: {quantity}: allowed: 1, as when it was added"):
            await world.put_return(quantity)

    live(story)


@pytest.mark.parametrize("alias", ["new", "refused"])
def test_return_whose_answer_is_lost_is_added_once(alias: str) -> None:
    """The store may take a second return of the same alias for one more, so nothing is added twice without looking."""

    async def story(world: World) -> None:
        await delivered(world)
        world.sim.faults.add(kind="drop_after", operation="updateOrder")
        with pytest.raises(OutcomeUnknown):
            await world.put_return()
        assert (await world.put_return()).state is State.RETURNING
        assert len(world.only.returns) == 1

    live(story, bwp_return_alias=alias)


@pytest.mark.parametrize("alias", ["new", "refused"])
def test_returns_that_two_copies_add_at_once_come_to_one(alias: str) -> None:
    async def story(world: World) -> None:
        await delivered(world)
        before = await world.adapter._store.order(orders.by_intent(str(INTENT)))
        await world.put_return()
        stale_once(world, before)
        assert (await world.put_return()).state is State.RETURNING
        states = [made.state for made in world.only.returns]
        assert sorted(states) == (["CANCELLED", "CREATED"] if alias == "new" else ["CREATED"])
        assert (await world.put_return(state="COMPLETED")).returned == 1

    live(story, bwp_return_alias=alias)


def test_order_that_is_not_there_is_neither_started_nor_returned() -> None:
    async def story(world: World) -> None:
        for call in (world.start(), world.cancel(), world.put_return()):
            with pytest.raises(Refused) as caught:
                await call
            assert caught.value.code == "ResourceNotFound"
        assert await world.adapter.by_id("322-NONE-AAAAAA") is None

    live(story)


def test_order_of_somebody_else_has_no_intent() -> None:
    async def story(world: World) -> None:
        await world.order()
        world.only.aliases.clear()
        assert (await world.adapter.by_id(world.only.id) or pytest.fail())[0] is None

    live(story)


def test_credentials_that_are_refused_are_told_of_and_nothing_is_done(caplog: pytest.LogCaptureFixture) -> None:
    async def story(world: World) -> None:
        world.sim.faults.add(kind="graphql_error", operation="order", family="AccessDenied", count=0)
        with pytest.raises(Unavailable):
            await world.order()
        assert world.sim.store.orders() == []

    live(story)
    assert "our credentials were refused" in caplog.text
    assert not [word for word in ("0123456789abcdef", "Main St", "ada@example.com", "card-of-ada") if word in caplog.text]


def test_every_setting_has_a_rule() -> None:
    assert buy_with_prime.OPTIONAL_SECRETS < buy_with_prime.SECRETS.keys()
    assert {field.name for field in fields(buy_with_prime.Settings)} == buy_with_prime.RULES.keys()


def test_times_are_those_of_the_store() -> None:
    async def story(world: World) -> None:
        assert (await world.order()).created == int(datetime.fromtimestamp(START, UTC).timestamp())
        world.sim.clock.advance(100)
        assert (await world.start()).time == START + 100

    live(story)
