"""What becomes of an intent: one order, whatever gets lost; questions, a person's no, and the end of the hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from host_tests.cloud.gateway.copies import (
    COFFEE,
    CUSTOMER,
    DEVICE,
    FILTER,
    HOLD_S,
    PLENTY,
    QUESTION_S,
    SETTLE_S,
    START,
    Broker,
    Clock,
    Copy,
)
from host_tests.cloud.gateway.shop import Adapter, Shop
from tools.cloud.gateway import adapters
from tools.cloud.gateway.adapters import notify
from tools.cloud.gateway.caps import Caps
from tools.cloud.gateway.directory import Device
from tools.cloud.gateway.errors import APIError
from tools.cloud.gateway.links import Kind
from tools.cloud.gateway.model import GAP_LIMIT, Intent, IntentId, Return, ReturnState, Snapshot, State

FIRST = "SN0001-Coffee-1"


class World:
    """A shop, its adapter, a broker and a copy of the gateway."""

    def __init__(self, **given: object) -> None:
        self.clock = Clock()
        self.shop = Shop(self.clock.now)
        self.adapter = Adapter(self.shop)
        self.broker = Broker()
        self.given = given
        self.copy = self.another()

    def another(self) -> Copy:
        return Copy(self.broker, self.clock, self.adapter, **self.given)  # type: ignore[arg-type]


async def refused(call: Awaitable[object]) -> APIError:
    with pytest.raises(APIError) as caught:
        await call
    return caught.value


def run(story: Callable[[World], Awaitable[None]], **given: object) -> World:
    async def within() -> World:
        async with asyncio.timeout(10):
            world = World(**given)
            await story(world)
            return world

    return asyncio.run(within())


def test_an_intent_becomes_a_held_order() -> None:
    async def story(world: World) -> None:
        found = await world.copy.post()
        assert found.json() == {
            "intent_id": FIRST,
            "slot": "Coffee",
            "state": "PLACED",
            "quantity": 2,
            "created": "2027-01-15T08:00:00Z",
            "ask_again_s": HOLD_S + 1,
            "time": "2027-01-15T08:00:00Z",
        }
        assert await world.copy.post() == found
        assert world.shop.created == [FIRST]
        assert world.broker.unsettled == {}

    run(story)


def test_the_hold_ends_when_somebody_looks() -> None:
    async def story(world: World) -> None:
        await world.copy.post()
        world.clock.seconds += HOLD_S - 1
        assert (await world.copy.get()).state is State.PLACED
        assert world.copy.held == {world.shop.orders[FIRST].id: START + HOLD_S}
        world.clock.seconds += 1
        assert (await world.another().get()).state is State.STARTED
        assert world.adapter.calls.count("start") == 1

    run(story)


def test_two_copies_at_the_same_moment_make_one_order() -> None:
    async def story(world: World) -> None:
        answers = await asyncio.gather(world.copy.post(), world.another().post(), world.copy.post(), world.another().post())
        assert {found.state for found in answers} == {State.PLACED}
        assert world.shop.created == [FIRST]

    run(story)


@pytest.mark.parametrize("late", [False, True], ids=["prompt", "late"])
def test_copies_that_differ_make_one_order_at_any_distance(late: bool) -> None:
    """While the maker changes the adapter, the same intent is at a copy of each kind, one some steps behind the other."""
    alone = 0
    for steps in range(150):

        async def story(world: World, steps: int = steps) -> None:
            nonlocal alone
            other = Adapter(Shop(world.clock.now), "other")
            changed = Copy(world.broker, world.clock, Adapter(other.shop, "other"), [Adapter(world.shop)])
            world.copy.use(world.clock, world.adapter, other)
            world.adapter.faults["order"] = ["late"] if late else []
            first = asyncio.create_task(world.copy.post())
            for _ in range(steps):
                await asyncio.sleep(0)
            alone += first.done()
            await asyncio.gather(first, changed.post(), return_exceptions=True)
            world.clock.seconds += world.adapter.late_s
            world.shop.arrive()
            await changed.post()
            made = world.shop.created + other.shop.created
            assert made == [FIRST], f"{steps} steps behind: {made}"

        run(story)
    assert 0 < alone < 150


def test_a_no_is_heard_until_the_shop_is_asked() -> None:
    """However far a copy has come, it orders nothing after somebody said no at another."""
    for number in range(1, 100):

        async def story(world: World, number: int = number) -> None:
            world.adapter.pause_when = lambda: len(world.adapter.calls) == number
            beside = Copy(world.broker, world.clock, Adapter(world.shop))
            order = asyncio.create_task(world.copy.post())
            await asyncio.wait([order, asyncio.create_task(world.adapter.paused.wait())], return_when=asyncio.FIRST_COMPLETED)
            at_shop = world.adapter.calls[-1] == "order"
            answer = await beside.cancel()
            world.adapter.go_on.set()
            await order
            assert answer.state is State.CANCELLED
            assert (await world.another().get()).state is State.CANCELLED
            assert len(world.shop.created) == at_shop
            world.given["done"] = at_shop

        if run(story).given.pop("done"):
            break
    else:
        pytest.fail("the order was never reached")


def test_a_copy_that_stood_still_sends_nothing() -> None:
    """The others may take its attempt for settled."""

    async def story(world: World) -> None:
        other = Adapter(Shop(world.clock.now), "other")
        world.copy.use(world.clock, world.adapter, other)
        other.pause_when = lambda: any("attempts" in topic for topic in world.broker.retained)
        order = asyncio.create_task(world.copy.post())
        await other.paused.wait()
        world.clock.seconds += SETTLE_S / 2
        other.go_on.set()
        assert (await refused(order)).word == "unavailable"
        assert (world.shop.created, world.broker.unsettled) == ([], {})

    run(story)


def test_a_lost_answer_is_found_again() -> None:
    async def story(world: World) -> None:
        world.adapter.faults["order"] = ["lost"]
        assert (await refused(world.copy.post())).word == "outcome_unknown"
        assert (await world.another().get()).state is State.PLACED
        assert (await world.another().post()).state is State.PLACED
        assert world.shop.created == [FIRST]
        assert world.broker.unsettled == {}

    run(story)


def test_what_arrives_late_is_not_ordered_from_another_shop() -> None:
    """The request is still on its way when the maker has changed the adapter."""

    async def story(world: World) -> None:
        world.adapter.faults["order"] = ["late"]
        assert (await refused(world.copy.post())).word == "outcome_unknown"
        other = Adapter(Shop(world.clock.now), "other")
        changed = Copy(world.broker, world.clock, other, [world.adapter])
        world.adapter.faults["order"] = ["lost"]
        assert (await refused(changed.post())).word == "outcome_unknown"
        world.clock.seconds += world.adapter.late_s
        world.shop.arrive()
        assert (await changed.post()).state is State.PLACED
        assert (world.shop.created, other.shop.created) == ([FIRST], [])

    run(story)


def test_an_unknown_outcome_settles_when_nothing_can_come_any_more() -> None:
    async def story(world: World) -> None:
        world.adapter.faults["order"] = ["late"]
        assert (await refused(world.copy.post())).word == "outcome_unknown"
        world.shop.late.clear()  # it never arrives
        unsubscribed = Copy(world.broker, world.clock, world.adapter, device=unsubscribed_device())
        world.clock.seconds += SETTLE_S - 1
        assert (await unsubscribed.get()).state is State.UNKNOWN
        assert (await unsubscribed.post()).ask_again_s == 30
        world.clock.seconds += 1
        assert (await refused(unsubscribed.get())).word == "unknown_intent"
        assert (await refused(unsubscribed.post())).word == "not_subscribed"

    run(story)


def unsubscribed_device() -> Device:
    slots = {"Coffee": replace(COFFEE, subscribed=False), "Water-Filter": FILTER}
    return Device("SN0001", replace(CUSTOMER, devices={"SN0001": slots}))


def test_a_shop_that_did_nothing_leaves_nothing() -> None:
    async def story(world: World) -> None:
        world.adapter.faults["order"] = ["throttled"]
        error = await refused(world.copy.post())
        assert (error.word, error.headers()) == ("unavailable", {"Retry-After": "17"})
        assert world.broker.unsettled == {}
        error = await refused(world.copy.get())
        assert (error.word, int(error.headers()["Retry-After"])) == ("unavailable", 17)
        world.clock.seconds += 17
        assert (await refused(world.copy.get())).word == "unknown_intent"
        assert (await world.copy.post()).state is State.PLACED

    run(story)


def test_without_its_memory_the_gateway_orders_nothing() -> None:
    async def story(world: World) -> None:
        world.broker.down = True
        assert (await refused(world.copy.post())).word == "unavailable"
        assert (await refused(world.copy.get())).word == "unavailable"
        assert world.adapter.calls.count("order") == 0

    run(story)


def test_a_refusal_for_good_uses_the_intent_up() -> None:
    async def story(world: World) -> None:
        world.adapter.faults["order"] = ["refused"]
        for found in (await world.copy.post(), await world.another().get(), await world.another().post()):
            assert (found.state, found.code) == (State.FAILED, "InvalidAddress")
        assert (await world.copy.service.slots(DEVICE))["Coffee"] == {"subscribed": True, "latest": 1}
        assert (await world.copy.post(2)).state is State.PLACED

    run(story)


# Stock


def test_fewer_within_the_policy_are_ordered_without_asking() -> None:
    async def story(world: World) -> None:
        world.shop.stock = 2
        found = await world.copy.post(quantity=3, least=2)
        assert (found.state, found.quantity) == (State.PLACED, 2)
        assert world.copy.told == [(FIRST, Kind.HOLD)]

    run(story)


def test_fewer_of_a_number_not_known() -> None:
    """Only what the policy takes without asking is tried."""

    async def story(world: World) -> None:
        world.shop.stock, world.shop.knows_stock = 2, False
        assert (await world.copy.post(quantity=5, least=2)).quantity == 2

    run(story)


@pytest.mark.parametrize(("stock", "code", "ordered"), [(1, "SelectedQuantityNotAvailable", 1), (0, "ItemOutOfStock", 2)])
def test_a_person_takes_what_there_is(stock: int, code: str, ordered: int) -> None:
    async def story(world: World) -> None:
        world.shop.stock = stock
        found = await world.copy.post()
        assert (found.state, found.code, found.quantity) == (State.PENDING, code, stock)
        assert world.copy.told == [(FIRST, Kind.STOCK)]
        assert (await world.another().get()) == found
        if not stock:
            assert (await world.copy.agree()) == found
            world.shop.stock = 5
        agreed = await world.another().agree()
        assert (agreed.state, agreed.quantity) == (State.PLACED, ordered)
        assert await world.copy.post() == agreed
        assert world.shop.created == [FIRST]
        assert world.broker.unsettled == {}

    run(story)


def test_a_yes_outlives_the_copy_that_got_it() -> None:
    async def story(world: World) -> None:
        world.shop.stock = 1
        await world.copy.post()
        world.adapter.faults["order"] = ["down"]
        assert (await refused(world.copy.agree())).word == "unavailable"
        world.copy.die()
        world.clock.seconds += QUESTION_S
        found = await world.another().get()
        assert (found.state, found.quantity) == (State.PLACED, 1)

    run(story)


def test_a_question_without_an_answer_ends() -> None:
    async def story(world: World) -> None:
        world.shop.stock = 1
        await world.copy.post()
        world.clock.seconds += QUESTION_S - 1
        assert (await refused(world.copy.post(2))).word == "in_progress"
        world.clock.seconds += 1
        found = await world.copy.get()
        assert (found.state, found.code) == (State.FAILED, "SelectedQuantityNotAvailable")
        assert (await refused(world.copy.agree())).word == "not_possible"
        world.shop.stock = 5
        assert (await world.copy.post(2)).state is State.PLACED

    run(story)


# A person's no


def test_a_no_within_the_hold() -> None:
    async def story(world: World) -> None:
        await world.copy.post()
        assert (await world.another().cancel()).state is State.CANCELLED
        assert (await world.copy.cancel()).state is State.CANCELLED
        world.clock.seconds += HOLD_S
        assert (await world.copy.get()).state is State.CANCELLED
        assert "start" not in world.adapter.calls

    run(story)


def test_a_no_to_a_question() -> None:
    async def story(world: World) -> None:
        world.shop.stock = 1
        await world.copy.post()
        assert (await world.copy.cancel()).state is State.CANCELLED
        world.shop.stock = 5
        assert (await world.another().post()).state is State.CANCELLED
        assert (await refused(world.copy.agree())).word == "not_possible"
        assert world.shop.created == []

    run(story)


def test_a_no_that_comes_before_its_order_cancels_it() -> None:
    """The call to the shop is under way in one copy while the person says no at another."""

    async def story(world: World) -> None:
        world.adapter.faults["order"] = ["late"]
        assert (await refused(world.copy.post())).word == "outcome_unknown"
        assert (await world.another().cancel()).state is State.CANCELLED
        world.clock.seconds += world.adapter.late_s
        world.shop.arrive()
        assert world.shop.orders[FIRST].state is State.PLACED
        assert (await world.another().get()).state is State.CANCELLED
        assert world.shop.orders[FIRST].state is State.CANCELLED

    run(story)


def test_a_no_to_an_intent_that_was_never_heard_of_is_kept() -> None:
    async def story(world: World) -> None:
        assert (await world.copy.cancel()).state is State.CANCELLED
        assert (await world.another().post()).state is State.CANCELLED
        assert world.adapter.calls.count("order") == 0
        assert (await refused(world.copy.cancel(counter=2 + GAP_LIMIT))).word == "unknown_intent"

    run(story)


def test_a_no_elsewhere_is_heard_before_the_hold_ends() -> None:
    """It is known to the broker, and nobody could carry it out yet."""

    async def story(world: World) -> None:
        await world.copy.post()
        beside = Copy(world.broker, world.clock, Adapter(world.shop))
        beside.service._shops.current.adapter.faults["cancel"] = ["down"]  # type: ignore[attr-defined]
        assert (await refused(beside.cancel())).word == "unavailable"
        world.clock.seconds += HOLD_S
        assert (await world.copy.get()).state is State.CANCELLED
        assert "start" not in world.adapter.calls

    run(story)


def test_a_no_that_could_not_be_carried_out_is_later() -> None:
    async def story(world: World) -> None:
        await world.copy.post()
        world.adapter.faults["cancel"] = ["down"]
        assert (await refused(world.copy.cancel())).word == "unavailable"
        world.clock.seconds += HOLD_S
        assert (await world.another().get()).state is State.CANCELLED

    run(story)


def test_a_no_that_is_too_late() -> None:
    async def story(world: World) -> None:
        await world.copy.post()
        world.shop.move(FIRST, State.IN_TRANSIT)
        assert (await refused(world.copy.cancel())).word == "not_possible"
        assert world.broker.unsettled == {}
        world.shop.move(FIRST, State.DELIVERED)
        assert (await refused(world.copy.cancel())).word == "not_possible"
        assert world.adapter.calls.count("cancel") == 1

    run(story)


def test_a_no_that_was_granted_and_is_rejected_later_is_kept() -> None:
    async def story(world: World) -> None:
        async def reject(*given: object) -> Snapshot:
            raise adapters.Refused("REJECTED")

        await world.copy.post()
        assert (await world.copy.cancel()).state is State.CANCELLED
        world.shop.move(FIRST, State.PLACED)
        world.adapter.cancel = reject  # type: ignore[method-assign, assignment]
        world.clock.seconds += HOLD_S
        assert [(await copy.get()).state for copy in (world.copy, world.another(), world.copy)] == [State.CANCELLED] * 3
        assert world.adapter.calls.count("start") == 0
        assert (await world.another().post(2)).state is State.PLACED

    run(story)


def test_a_yes_to_the_hold_starts_it() -> None:
    async def story(world: World) -> None:
        await world.copy.post()
        assert (await world.copy.agree()).state is State.STARTED
        assert (await world.copy.agree()).state is State.STARTED
        await world.copy.cancel()
        assert (await refused(world.copy.agree())).word == "not_possible"

    run(story)


# Which intents may be


def test_an_open_order_blocks_its_slot_alone() -> None:
    async def story(world: World) -> None:
        await world.copy.post()
        error = await refused(world.copy.post(2))
        assert error.body() == {
            "error": "in_progress",
            "message": "another order of this slot is open",
            "intent_id": FIRST,
            "state": "PLACED",
        }
        assert (await world.copy.post(1, slot="Water-Filter")).state is State.PLACED
        world.shop.move(FIRST, State.DELIVERED)
        assert (await world.copy.post(2)).state is State.PLACED

    run(story)


def test_counters() -> None:
    async def story(world: World) -> None:
        error = await refused(world.copy.post(1 + GAP_LIMIT))
        assert (error.word, error.fields) == ("counter", {"latest": 0})
        assert (await world.copy.post(GAP_LIMIT)).state is State.PLACED
        world.shop.move(f"SN0001-Coffee-{GAP_LIMIT}", State.DELIVERED)
        assert (await world.copy.service.slots(DEVICE))["Coffee"]["latest"] == GAP_LIMIT
        assert (await refused(world.copy.post(2 * GAP_LIMIT + 1))).fields == {"latest": GAP_LIMIT}
        assert (await world.copy.post(2 * GAP_LIMIT)).state is State.PLACED
        assert (await world.another().service.slots(DEVICE))["Coffee"]["latest"] == 2 * GAP_LIMIT

    run(story)


def test_counters_go_on_when_a_former_shop_is_given_up() -> None:
    async def story(world: World) -> None:
        for counter in range(1, 2 * GAP_LIMIT):
            await world.copy.post(counter)
            world.shop.move(f"SN0001-Coffee-{counter}", State.DELIVERED)
        latest = 2 * GAP_LIMIT - 1
        later = Copy(world.broker, world.clock, Adapter(Shop(world.clock.now), "other"))
        assert (await later.service.slots(DEVICE))["Coffee"]["latest"] == latest
        await later.memory.sweep(world.clock.seconds + 1)
        await world.copy.get(1)
        assert (await later.post(latest + 1)).state is State.PLACED
        assert (await refused(later.post(latest + 1 + GAP_LIMIT + 1))).fields == {"latest": latest + 1}

    run(story)


def test_what_is_known_of_a_slot_is_not_asked_for_again() -> None:
    async def story(world: World) -> None:
        for counter in range(1, 31):
            world.shop.make(Intent(IntentId("SN0001", "Coffee", counter), 1, 1))
        asked = []
        for _ in range(2):
            before = len(world.adapter.calls)
            assert (await world.copy.service.slots(DEVICE))["Coffee"]["latest"] == 30
            asked.append(len(world.adapter.calls) - before)
        assert asked[1] == 2 * (GAP_LIMIT + 1) + 1 < asked[0]  # above the latest of both slots, and the latest itself

    run(story)


def test_an_attempt_that_came_to_nothing_does_not_count() -> None:
    async def story(world: World) -> None:
        world.adapter.faults["order"] = ["late"]
        assert (await refused(world.copy.post(GAP_LIMIT))).word == "outcome_unknown"
        assert (await world.copy.service.slots(DEVICE))["Coffee"]["latest"] == GAP_LIMIT
        world.shop.late.clear()
        world.clock.seconds += SETTLE_S
        assert (await world.copy.service.slots(DEVICE))["Coffee"]["latest"] == 0

    run(story)


def test_an_unsubscribed_slot_orders_nothing() -> None:
    async def story(world: World) -> None:
        copy = Copy(world.broker, world.clock, world.adapter, device=unsubscribed_device())
        error = await refused(copy.post())
        assert (error.word, "is unsubscribed" in str(error)) == ("not_subscribed", True)
        await world.copy.post()
        assert (await copy.post()).state is State.PLACED

    run(story)


CAPS = [
    ("device_orders", Caps(replace(PLENTY, orders=2), PLENTY)),
    ("device_packs", Caps(replace(PLENTY, packs=5), PLENTY)),
    ("device_spend", Caps(replace(PLENTY, spend=Decimal("74.99")), PLENTY)),
    ("customer_orders", Caps(PLENTY, replace(PLENTY, orders=2))),
    ("customer_packs", Caps(PLENTY, replace(PLENTY, packs=5))),
    ("customer_spend", Caps(PLENTY, replace(PLENTY, spend=Decimal("74.99")))),
]


@pytest.mark.parametrize(("cap", "caps"), CAPS, ids=[name for name, _ in CAPS])
def test_caps_are_of_thirty_days(cap: str, caps: Caps) -> None:
    """Two orders of two packs at 12.50 fit, a third does not, at this device or, for a customer's cap, at another."""

    async def story(world: World) -> None:
        other = Copy(world.broker, world.clock, world.adapter, caps=caps, device=Device("SN0002", CUSTOMER))
        third = other if cap.startswith("customer") else world.copy
        for counter in (1, 2):
            await world.copy.post(counter)
            world.shop.move(f"SN0001-Coffee-{counter}", State.DELIVERED)
            world.clock.seconds += 86_400
        number = 1 if third is other else 3
        error = await refused(third.post(number))
        assert (error.status, error.word, error.fields) == (403, "over_cap", {"cap": cap})
        world.shop.move("SN0001-Coffee-2", State.CANCELLED)
        again = third if third is other else world.another()
        fresh = Copy(world.broker, world.clock, world.adapter, caps=caps, device=again.device)
        assert (await fresh.post(number)).state is State.PLACED
        world.shop.move(f"{fresh.device.serial}-Coffee-{number}", State.DELIVERED)
        assert (await refused(fresh.post(number + 1))).word == "over_cap"
        world.clock.seconds += 29 * 86_400
        assert (await fresh.post(number + 1)).state is State.PLACED

    run(story, caps=caps)


def test_returns() -> None:
    async def story(world: World) -> None:
        intent_id = (await world.copy.post()).id
        given = Return("r1", 1, ReturnState.COMPLETED)
        assert (await refused(world.copy.service.put_return(DEVICE, intent_id, given))).word == "not_possible"
        world.shop.move(FIRST, State.DELIVERED)
        for _ in range(2):
            found = await world.copy.service.put_return(DEVICE, intent_id, given)
            assert (found.state, found.returned) == (State.RETURNING, 1)
        found = await world.copy.service.put_return(DEVICE, intent_id, replace(given, id="r2"))
        assert (found.state, found.returned) == (State.RETURNED, 2)
        assert (await world.copy.post(2)).state is State.PLACED

    run(story)


def test_a_return_of_a_question() -> None:
    async def story(world: World) -> None:
        world.shop.stock = 0
        intent_id = (await world.copy.post()).id
        given = Return("r1", 1, ReturnState.CREATED)
        assert (await refused(world.copy.service.put_return(DEVICE, intent_id, given))).word == "not_possible"

    run(story)


# Changing the adapter


def test_an_order_at_the_former_shop_is_adopted() -> None:
    async def story(world: World) -> None:
        await world.copy.post()
        other = Adapter(Shop(world.clock.now), "other")
        changed = Copy(world.broker, world.clock, other, [world.adapter])
        assert (await changed.post()).state is State.PLACED
        assert (await refused(changed.post(2))).word == "in_progress"
        world.shop.move(FIRST, State.DELIVERED)
        assert (await changed.post(2)).state is State.PLACED
        assert (world.shop.created, other.shop.created) == ([FIRST], ["SN0001-Coffee-2"])

    run(story)


def test_a_former_shop_that_does_not_answer_stops_orders() -> None:
    async def story(world: World) -> None:
        other = Adapter(Shop(world.clock.now), "other")
        changed = Copy(world.broker, world.clock, other, [world.adapter])
        world.adapter.faults["find"] = ["down"]
        assert (await refused(changed.post())).word == "unavailable"
        assert other.shop.created == []

    run(story)


# Asking the person


def asking(world: World, *other: adapters.Adapter) -> Copy:
    """A copy whose adapter is `notify`, or was it until `other` came."""
    copy = world.another()
    asks = notify.Notify(notify.Settings(), adapters.Surroundings(world.clock.now, copy.memory, QUESTION_S))
    copy.use(world.clock, *other, asks)
    return copy


def test_a_person_orders_by_herself() -> None:
    async def story(world: World) -> None:
        copy = asking(world)
        found = await copy.post()
        assert (found.state, found.code, found.quantity) == (State.PENDING, "asked", 2)
        assert copy.told == [(FIRST, Kind.NOTIFY)]
        assert await asking(world).post() == found
        agreed = await asking(world).agree()
        assert (agreed.state, agreed.quantity, agreed.deliver_by) == (State.STARTED, 2, START + 5 * 86_400)
        assert await copy.agree() == agreed
        assert (await refused(copy.post(2))).word == "in_progress"
        world.clock.seconds += 5 * 86_400
        assert (await copy.get()).state is State.DELIVERED
        assert (await copy.post(2)).state is State.PENDING

    run(story)


def test_a_person_does_not_order() -> None:
    async def story(world: World) -> None:
        copy = asking(world)
        await copy.post()
        assert (await copy.cancel()).state is State.CANCELLED
        assert (await asking(world).post()).state is State.CANCELLED
        assert (await copy.post(2)).state is State.PENDING
        world.clock.seconds += QUESTION_S
        assert (await copy.get(2)).state is State.FAILED

    run(story)


def test_what_was_asked_outlives_a_change_to_a_shop() -> None:
    async def story(world: World) -> None:
        await asking(world).post()
        changed = asking(world, world.adapter)
        assert (await changed.post()).state is State.PENDING
        assert (await changed.agree()).state is State.STARTED
        assert world.shop.created == []

    run(story)


@pytest.mark.parametrize("answered", ["before", "after"])
def test_what_a_person_ordered_is_ordered_from_no_shop(answered: str) -> None:
    """Also when `notify` is in use no more."""

    async def story(world: World) -> None:
        copy = asking(world)
        await copy.post()
        if answered == "before":
            await copy.agree()
        changed = world.another()
        if answered == "after":
            await changed.agree()
        assert (await changed.get()).state is State.UNKNOWN
        assert (await changed.post()).state is State.UNKNOWN
        assert world.shop.created == []
        assert (await asking(world, world.adapter).get()).state is State.STARTED

    run(story)
