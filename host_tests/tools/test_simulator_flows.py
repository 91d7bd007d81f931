"""The two flows of Amazon's order-resolution page, sentence by sentence, as a device meets them."""

from collections.abc import Callable

import pytest

from host_tests.tools.simulator_client import Device
from tools.simulator import Clock, OrderState
from tools.simulator.orders import DAY_S, HOUR_S, OrderRefused
from tools.simulator.world import World

SLOT = "PaperTowel"
PLACED = "STANDARD_ORDER_PLACED"
BLOCKED = "ORDER_INPROGRESS"


@pytest.fixture
def world() -> World:
    world = World(Clock.manual())
    world.add_device()
    return world


def kinds(world: World) -> list[str]:
    """The orders' events so far; mails and notifications are made of these."""
    world.book.advance()
    return [event.kind for event in world.events if event.order_id]


def code(world: World) -> str:
    """What replenish answers now, with a token that is fresh whatever the time."""
    return Device(world).replenish()[0]


def blocked_until(world: World, condition: Callable[[], bool]) -> int:
    """Ask every hour; each answer must be the block until `condition`. Returns how often it was."""
    asked = 0
    while not condition():
        assert code(world) == BLOCKED
        asked += 1
        world.advance(HOUR_S)
    return asked


def test_the_successful_flow(world: World) -> None:
    # The request is received and answered as placed; the notification and the mail come from one event.
    assert code(world) == PLACED
    world.advance(120)
    assert kinds(world) == ["accepted", "placed"]
    # Further calls are answered "in progress" until the item has been delivered, and not once longer.
    order = world.orders(SLOT)[0]
    assert blocked_until(world, lambda: order.state is OrderState.DELIVERED) == 4 * 24
    assert kinds(world) == ["accepted", "placed", "shipped", "delivered"]
    assert code(world) == PLACED


def test_the_customer_has_24_hours_to_cancel(world: World) -> None:
    assert code(world) == PLACED
    world.advance(120 + DAY_S - 1)
    world.cancel_order(SLOT)
    assert kinds(world)[-1] == "cancelled"
    assert code(world) == PLACED
    world.advance(120 + DAY_S)
    with pytest.raises(OrderRefused):
        world.cancel_order(SLOT)
    assert code(world) == BLOCKED


def test_resolution_scenario_1_the_customer_does_not_resolve_it(world: World) -> None:
    world.set_scenarios(SLOT, queue=["unresolved"])
    # Answered as placed although there is a problem; no event of placing, but one of the mail.
    assert code(world) == PLACED
    world.advance(120)
    assert kinds(world) == ["accepted", "problem"]
    # For 72 hours every further call is answered "in progress".
    world.advance(72 * HOUR_S - 1)
    assert code(world) == BLOCKED
    assert kinds(world) == ["accepted", "problem"]
    # Then it is cancelled, and the slot is free at once.
    world.advance(1)
    assert kinds(world) == ["accepted", "problem", "cancelled"]
    assert world.events[-1].detail == {"reason": "unresolved"}
    assert code(world) == PLACED


def test_resolution_scenario_2_the_customer_resolves_it(world: World) -> None:
    world.set_scenarios(SLOT, queue=["resolved"])
    assert code(world) == PLACED
    world.advance(120 + 30 * HOUR_S)
    assert kinds(world) == ["accepted", "problem", "resolved", "placed"]
    # From placing on: 24 hours to cancel, and blocked until delivery.
    order = world.orders(SLOT)[0]
    assert order.cancel_until == world.clock.now() + DAY_S
    blocked_until(world, lambda: order.state is OrderState.DELIVERED)
    assert code(world) == PLACED


def test_the_customer_cancels_after_resolving(world: World) -> None:
    world.set_scenarios(SLOT, queue=["resolved"])
    assert code(world) == PLACED
    world.advance(120 + 30 * HOUR_S + DAY_S - 1)
    world.cancel_order(SLOT)
    assert code(world) == PLACED


def test_a_person_may_resolve_what_the_scenario_leaves_unresolved(world: World) -> None:
    world.set_scenarios(SLOT, queue=["unresolved"])
    assert code(world) == PLACED
    world.advance(HOUR_S)
    world.resolve_order(SLOT)
    assert kinds(world) == ["accepted", "problem", "resolved", "placed"]
    world.advance(80 * HOUR_S)
    assert "cancelled" not in kinds(world)


def test_moving_from_event_to_event_passes_through_the_whole_life(world: World) -> None:
    world.set_scenarios(SLOT, queue=["resolved"])
    assert code(world) == PLACED
    seen = []
    while world.book.next_due() is not None:
        world.advance_to_next_event()
        seen.append(kinds(world)[-1])
    assert seen == ["problem", "placed", "shipped", "delivered"]
    with pytest.raises(ValueError, match="no order is open"):
        world.advance_to_next_event()


def test_a_test_devices_self_test() -> None:
    world = World(Clock.manual())
    world.add_device(test=True)
    device = Device(world)
    assert device.replenish()[0] == "TEST_ORDER_PLACED"
    assert device.replenish()[0] == BLOCKED
    assert device.call("cancel_slot")[0].status == 200
    assert device.replenish()[0] == "TEST_ORDER_PLACED"
    world.subscribe(SLOT, False)
    assert device.call("replenish")[0].status == 400
    assert device.call("deregister")[0].status == 200
    assert device.call("replenish")[1] == {"message": "Invalid token"}


def test_the_summary_counts_orders_calls_and_what_blindness_would_cost(world: World) -> None:
    world.set_scenarios(SLOT, queue=["unresolved"])
    assert code(world) == PLACED
    world.advance(HOUR_S)
    assert code(world) == BLOCKED
    world.advance(80 * HOUR_S)
    assert code(world) == PLACED
    summary = world.summary(blind_interval_s=60)
    open_s = 120 + 72 * HOUR_S
    assert summary["orders"] == {
        "SN0001/PaperTowel": {"accepted": 2, "cancelled": 1, "blocked_s": open_s, "blind_retry_calls": open_s // 60}
    }
    assert summary["calls"] == {"replenish": {"accepted": 2, "in_progress": 1}}
    assert summary["blind_retry"] == {"interval_s": 60, "calls": open_s // 60}
