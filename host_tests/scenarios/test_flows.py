"""Whole lives of orders: the real agent against the simulated service over TLS, on each interpreter, on MicroPython in 96 KiB.

The times are virtual. After every test: no secret was said or kept where it must not be, and nothing was printed on stderr.
"""

from __future__ import annotations

import json
import random
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from host_tests.scenarios import backends
from host_tests.scenarios.appliance import CAPACITY, KILLED, LOW, SLOT, Agent, Appliance
from host_tests.scenarios.backends import DEAD_TOKEN
from host_tests.scenarios.interpreters import Interpreter
from tools.run.logfmt import parse_time
from tools.simulator.orders import DAY_S, HOUR_S

NewAppliance = Callable[..., Appliance]
GATEWAY_POLICY = {"resolution_grace_s": 2 * HOUR_S}  # where a call passes through gateway and store, and takes longer
# The order that an answer was lost of is told once more: by a refusal of the second, or by the intent's id.
TOLD_AGAIN = {
    "drs": ("blocked", "service says an order is in progress", "in_progress"),
    "gateway": ("accepted", "order accepted", "accepted"),
}


@pytest.fixture(params=backends.NAMES)
def backend(request: pytest.FixtureRequest) -> str:
    """Each back end in turn."""
    return str(request.param)


def only(backend: str, why: str) -> pytest.MarkDecorator:
    """A scenario that there is with one back end only."""
    assert why
    return pytest.mark.parametrize("backend", [backend], indirect=True)


@pytest.fixture
def new_appliance(request: pytest.FixtureRequest, interpreter: Interpreter, backend: str, tmp_path: Path) -> Iterator[NewAppliance]:
    """Makes appliances that live as long as the test."""
    if backend == "gateway" and interpreter.name == "micropython":
        pytest.skip("64 bits differ from 32 in nothing that this back end adds, but for the heap")
    made: list[Appliance] = []
    broker = request.getfixturevalue("mosquitto") if backend == "gateway" else None
    with ExitStack() as stack:

        def make(**options: Any) -> Appliance:
            policy = {**(GATEWAY_POLICY if broker else {}), **options.pop("policy", {})}
            options = {"backend": backend, "broker": broker, "policy": policy, **options}
            made.append(stack.enter_context(Appliance(interpreter, tmp_path, **options)))
            return made[-1]

        yield make
        for appliance in made:
            appliance.check()


def finish(appliance: Appliance, agent: Agent, slot: str = SLOT) -> None:
    """The agent knows of the order, the pack comes, and the customer puts it in; the slot's order is over."""
    agent.await_state(slot, "accepted", "awaiting_customer", "placed", "blocked")
    appliance.deliver()
    agent.await_state(slot, "awaiting_refill")
    appliance.set_level(CAPACITY, slot)
    agent.await_state(slot, "idle")
    assert agent.said("order", slot=slot)[-1]["reason"] == "refilled"


# Seed flow 1: the order that succeeds


def test_an_order_that_succeeds_and_then_another(new_appliance: NewAppliance) -> None:
    """Low, asked, accepted, placed, at home, refilled; each order is asked for once, and its life is followed by polling."""
    appliance = new_appliance()
    agent = appliance.start()
    agent.expect(event="level", slot=SLOT, level="12")
    for number in (1, 2):
        appliance.set_level(LOW)
        agent.expect(event="call", slot=SLOT, call="replenish", status="200", outcome="accepted")
        told = agent.expect(event="order", slot=SLOT, state="accepted", reason="order accepted")
        assert told["id"] == appliance.orders()[-1].order_id
        agent.expect(event="order", slot=SLOT, state="placed", reason="order placed")
        finish(appliance, agent)
        assert appliance.outcomes() == ["accepted"] * number
    assert agent.states() == ["asking", "accepted", "placed", "awaiting_refill", "idle"] * 2
    asked = [call.endpoint for call in appliance.calls() if call.endpoint != "token"]
    assert asked[:2] == ["subscription_info", "replenish"]
    assert [order.state for order in appliance.orders()] == ["delivered", "delivered"]
    # The service checks each header; what it refused was no more than a token that was dead.
    assert {call.answer for call in appliance.calls() if call.status != 200} <= {DEAD_TOKEN}
    assert agent.stop() == 0


@only("drs", "the words are its own")
def test_the_newer_words_tell_of_the_shipping_and_the_date_of_the_delivery(new_appliance: NewAppliance) -> None:
    appliance = new_appliance(scale=43_200)
    appliance.service.settings.change(status_generation="newer")
    appliance.service.set_timings(ship_after_s=0, deliver_after_s=HOUR_S)
    appliance.set_level(LOW)
    agent = appliance.start()
    agent.expect(event="order", slot=SLOT, state="shipped", reason="on its way")
    line = agent.expect(event="order", slot=SLOT, state="awaiting_refill")
    ended_at = appliance.orders()[0].ended_at
    assert ended_at and parse_time(str(line["t"])) > ended_at  # the date is a day's end
    appliance.set_level(CAPACITY)
    agent.expect(event="order", slot=SLOT, state="idle", reason="refilled")
    assert agent.states() == ["asking", "accepted", "shipped", "awaiting_refill", "idle"]
    assert appliance.outcomes() == ["accepted"]


def test_the_order_is_not_repeated_while_the_pack_is_not_put_in(new_appliance: NewAppliance) -> None:
    """Delivered is not refilled: nothing more is asked for, although the slot is low."""
    appliance = new_appliance(scale=86_400)
    appliance.set_level(LOW)
    agent = appliance.start()
    agent.expect(event="order", state="accepted")
    appliance.deliver()
    agent.expect(event="order", state="awaiting_refill")
    appliance.pass_time(2 * DAY_S)
    assert appliance.outcomes() == ["accepted"]
    assert agent.states()[-1] == "awaiting_refill"


# Seed flow 2: the order that Amazon cannot place, and its customer


def start_unresolved(new_appliance: NewAppliance, **policy: int) -> tuple[Appliance, Agent]:
    """An order with a problem, as far as the appliance shows that its customer must act, and until when."""
    appliance = new_appliance(scale=86_400, policy=policy)
    appliance.service.set_scenarios(SLOT, queue=["unresolved"])
    appliance.set_level(LOW)
    agent = appliance.start()
    line = agent.expect(event="order", state="awaiting_customer", reason="customer must resolve the order")
    accepted_at = appliance.orders()[0].accepted_at
    # The agent's 72 hours begin when it asked, which was a call earlier.
    assert accepted_at - DAY_S <= parse_time(str(line["deadline"])) - 72 * HOUR_S <= accepted_at
    return appliance, agent


@only("drs", "its own problem with an order; what is sold out at the gateway is in test_gateway_flows.py")
def test_an_order_that_is_never_resolved_is_cancelled_and_then_held(new_appliance: NewAppliance) -> None:
    appliance, agent = start_unresolved(new_appliance, reorder_after_cancel_days=2)
    held = agent.expect(event="order", slot=SLOT, state="held", reason="not resolved in time, cancelled")
    (order,) = appliance.orders()
    assert (order.state, order.cancel_reason) == ("cancelled", "unresolved")
    assert order.ended_at and order.ended_at - order.accepted_at >= 72 * HOUR_S
    next_try = parse_time(str(held["next_try"]))
    assert next_try >= order.ended_at + 2 * DAY_S
    agent.expect(event="order", slot=SLOT, state="idle", reason="hold over")
    agent.expect(event="order", slot=SLOT, state="accepted")
    assert appliance.outcomes() == ["accepted", "accepted"]
    assert appliance.orders()[1].accepted_at >= next_try


@only("drs", "its own problem with an order")
def test_an_order_that_is_never_resolved_is_repeated_at_once_where_that_is_wanted(new_appliance: NewAppliance) -> None:
    appliance, agent = start_unresolved(new_appliance, reorder_after_cancel_days=0)
    agent.expect(event="order", slot=SLOT, state="asking")
    agent.expect(event="order", slot=SLOT, state="accepted")
    finish(appliance, agent)
    assert appliance.outcomes() == ["accepted", "accepted"]
    assert "held" not in agent.states()
    first, second = appliance.orders()
    assert first.state == "cancelled"
    assert first.ended_at and second.accepted_at >= first.ended_at
    assert "STANDARD_ORDER_PLACED" in appliance.calls("replenish")[1].answer


@only("drs", "its own problem with an order")
def test_an_order_that_is_resolved_goes_on_to_its_end(new_appliance: NewAppliance) -> None:
    appliance, agent = start_unresolved(new_appliance)
    appliance.service.resolve_order(SLOT)
    agent.expect(event="order", slot=SLOT, state="placed", reason="order placed")
    finish(appliance, agent)
    assert agent.states() == ["asking", "accepted", "awaiting_customer", "placed", "awaiting_refill", "idle"]
    assert appliance.outcomes() == ["accepted"]
    assert [order.state for order in appliance.orders()] == ["delivered"]


# Faults of the service and of the way to it


LOST: dict[str, dict[str, object]] = {
    "closed": {"kind": "drop_after"},
    "reset": {"kind": "reset"},
    "cut": {"kind": "body", "body": '{"detailCode":"STANDARD_ORDER_PLACED","eventInst'},
    "500": {"kind": "fail_after"},
}


@pytest.mark.parametrize("name", LOST)
def test_an_answer_that_is_lost_after_acting_makes_no_second_order(new_appliance: NewAppliance, backend: str, name: str) -> None:
    """The call is repeated, and the order is followed by the id in that answer to its end."""
    state, reason, outcome = TOLD_AGAIN[backend]
    appliance = new_appliance()
    appliance.service.faults.add(endpoint="replenish", **LOST[name])
    appliance.set_level(LOW)
    agent = appliance.start()
    agent.expect(event="call", call="replenish", outcome="unknown")
    told = agent.expect(event="order", slot=SLOT, state=state, reason=reason)
    assert told["id"] == appliance.orders()[0].order_id
    finish(appliance, agent)
    assert appliance.outcomes() == ["accepted", outcome]
    assert appliance.calls("replenish")[0].lost
    assert len(appliance.orders()) == 1


REFUSALS: dict[str, tuple[dict[str, Any], str, int]] = {
    "503": ({"kind": "refuse", "status": 503, "retry_after": 1800}, "not_acted", 1800),
    "429": ({"kind": "refuse", "status": 429, "retry_after": 1800}, "not_acted", 1800),
    "429 without a time": ({"kind": "refuse", "status": 429}, "not_acted", 0),
    "500 without acting": ({"kind": "refuse", "status": 500}, "unknown", 0),
}


def test_an_outcome_that_stays_unknown_for_too_long_is_not_asked_for_again(new_appliance: NewAppliance) -> None:
    """The service has acted, says 500, and wants to be left alone until it would take a second order."""
    appliance = new_appliance(policy={"intent_fresh_s": 60})
    appliance.service.faults.add(kind="fail_after", endpoint="replenish", retry_after=HOUR_S)
    appliance.set_level(LOW)
    agent = appliance.start()
    agent.expect(event="call", call="replenish", status="500", outcome="unknown")
    appliance.deliver()
    agent.expect(event="order", slot=SLOT, state="in_doubt", reason="outcome unknown for too long")
    appliance.pass_time(2 * HOUR_S)
    appliance.set_level(CAPACITY)
    agent.expect(event="order", slot=SLOT, state="idle", reason="refilled")
    assert appliance.outcomes() == ["accepted"]


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_for_now_is_followed_by_one_order_and_not_earlier_than_asked(new_appliance: NewAppliance, name: str) -> None:
    fault, outcome, pause_s = REFUSALS[name]
    appliance = new_appliance()
    appliance.service.faults.add(endpoint="replenish", **fault)
    appliance.set_level(LOW)
    agent = appliance.start()
    agent.expect(event="call", call="replenish", status=str(fault["status"]), outcome=outcome)
    agent.expect(event="order", state="accepted")
    refused, accepted = appliance.calls("replenish")
    assert (refused.outcome, accepted.outcome) == ("not_acted", "accepted")
    assert accepted.time > refused.time + pause_s
    assert len(appliance.orders()) == 1


def test_a_redirect_to_another_host_is_not_followed(new_appliance: NewAppliance) -> None:
    appliance = new_appliance()
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        location = f"https://127.0.0.1:{elsewhere.getsockname()[1]}/replenish/{SLOT}"
        appliance.service.faults.add(kind="redirect", endpoint="replenish", location=location)
        appliance.set_level(LOW)
        agent = appliance.start()
        agent.expect(event="call", call="replenish", status="302", outcome="unknown")
        agent.expect(event="order", state="accepted")
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has even connected
            elsewhere.accept()
    assert appliance.outcomes() == ["not_acted", "accepted"]


@only("drs", "the gateway's device token lives as long as the maker wants")
def test_a_token_that_is_dead_before_its_time_is_fetched_once_more(new_appliance: NewAppliance) -> None:
    appliance = new_appliance()
    appliance.set_level(LOW)
    agent = appliance.start()
    agent.expect(event="order", state="accepted")
    # On a slow machine the token may have come to its own end before this end of it: then the next one dies.
    appliance.service.expire_access_tokens()
    while (look := agent.expect(event="call", call="order_info"))["status"] == "200":
        appliance.service.expire_access_tokens()
    assert (look["status"], look["outcome"]) == ("400", "bad_token")
    agent.expect(event="call", call="token", outcome="ok")
    agent.expect(event="call", call="order_info", status="200")
    refused = [call for call in appliance.calls("order_info") if call.status == 400]
    assert len(refused) == 1
    finish(appliance, agent)
    assert appliance.outcomes() == ["accepted"]


@only("drs", "there is no link to revoke at the gateway")
def test_a_revoked_link_is_silence_until_the_customer_links_again(new_appliance: NewAppliance) -> None:
    """A restart changes nothing; a new refresh token in the secrets does. The order that was open is followed to its end."""
    appliance = new_appliance(scale=86_400)
    appliance.set_level(LOW)
    agent = appliance.start()
    agent.expect(event="order", state="accepted")
    appliance.service.revoke()
    agent.expect(event="call", call="token", status="400", outcome="unlinked")
    agent.expect(event="fault", fault="link_revoked")
    seen = len(appliance.calls())
    appliance.pass_time(DAY_S)  # a day's report would be in it
    assert agent.stop() == 0
    agent = appliance.start()
    agent.expect(event="fault", fault="link_revoked")
    appliance.pass_time(DAY_S)
    assert len(appliance.calls()) == seen
    assert agent.stop() == 0
    appliance.link(appliance.service.lwa.link("SN0001", True))
    agent = appliance.start()
    agent.expect(event="call", call="token", outcome="ok")
    finish(appliance, agent)
    assert appliance.outcomes() == ["accepted"]
    assert agent.said("fault", fault="link_revoked") == []


# Slots


def test_an_unsubscribed_slot_orders_only_after_it_is_subscribed(new_appliance: NewAppliance) -> None:
    appliance = new_appliance(slots={SLOT: False})
    appliance.set_level(LOW)
    agent = appliance.start()
    agent.expect(event="order", slot=SLOT, state="unsubscribed")
    appliance.await_calls("subscription_info", 3)  # it asks again
    assert appliance.outcomes() == []
    appliance.backend.subscribe(SLOT, True)
    agent.expect(event="order", slot=SLOT, state="accepted")
    finish(appliance, agent)
    assert appliance.outcomes() == ["accepted"]


def test_a_customer_who_unsubscribes_stops_that_slot_and_no_other(new_appliance: NewAppliance) -> None:
    """The subscription was believed when the order left; the refusal stops the slot until subscriptionInfo says otherwise."""
    appliance = new_appliance(slots={SLOT: True, "Coffee": True})
    appliance.set_level(LOW, "Coffee")
    agent = appliance.start()
    agent.expect(event="order", slot="Coffee", state="accepted")
    appliance.backend.subscribe(SLOT, False)
    appliance.set_level(LOW)
    agent.expect(event="order", slot=SLOT, state="unsubscribed", reason="slot not subscribed")
    finish(appliance, agent, "Coffee")
    assert appliance.orders() == []
    assert appliance.outcomes("Coffee") == ["accepted"]


@only("drs", "the gateway has no test orders")
def test_the_order_of_a_test_device_counts_as_accepted(new_appliance: NewAppliance) -> None:
    appliance = new_appliance(test=True)
    appliance.set_level(LOW)
    agent = appliance.start()
    agent.expect(event="call", call="replenish", outcome="accepted", detail="TEST_ORDER_PLACED")
    agent.expect(event="order", state="accepted")
    finish(appliance, agent)
    assert appliance.outcomes() == ["accepted"]
    assert [order.test for order in appliance.orders()] == [True]


FOUR = {"PaperTowel": True, "Coffee": True, "Filter": True, "Detergent": True}
FOUR_HEAP = "112k"  # of the 64-bit interpreter, whose objects are twice as large as a board's; 32 bits need 67k


def test_four_slots_that_are_low_at_once_are_each_ordered_once(new_appliance: NewAppliance) -> None:
    appliance = new_appliance(slots=FOUR, heap=FOUR_HEAP)
    for slot in FOUR:
        appliance.set_level(LOW, slot)
    agent = appliance.start()
    for slot in FOUR:
        agent.expect(event="call", call="replenish", slot=slot, outcome="accepted")
    ordering = [call for call in appliance.calls() if call.endpoint != "token"][:5]
    assert [call.endpoint for call in ordering] == ["subscription_info", *["replenish"] * 4]
    assert {call.connection for call in ordering} == {1}
    appliance.deliver()
    for slot in FOUR:
        appliance.set_level(CAPACITY, slot)
    for slot in FOUR:
        agent.await_state(slot, "idle")
        assert appliance.outcomes(slot) == ["accepted"]
    assert agent.stop() == 0


def test_a_whole_wake_is_one_connection(new_appliance: NewAppliance, backend: str) -> None:
    """Token, orders, a poll, the subscriptions and the day's report: the services are one host here, so that is one connection."""
    appliance = new_appliance(scale=20_000, slots=FOUR, heap=FOUR_HEAP)
    appliance.set_level(LOW)
    appliance.wake()
    appliance.pass_time(DAY_S + HOUR_S)
    seen = len(appliance.calls()), len(appliance.service.connections)
    for slot in ("Coffee", "Filter"):
        appliance.set_level(LOW, slot)
    appliance.wake()
    calls = appliance.calls()[seen[0] :]
    reported = list(FOUR) if backend == "drs" else []  # the gateway wants to know of orders alone
    assert {"subscription_info", "order_info"} < {call.endpoint for call in calls}
    assert {"token", "device_status"} <= {call.endpoint for call in calls} or not reported
    assert [call.slot for call in calls if call.endpoint == "replenish"] == ["Coffee", "Filter"]
    assert [call.slot for call in calls if call.endpoint == "slot_status"] == reported
    assert len(appliance.service.connections) == seen[1] + 1


# Wakes of a board that sleeps deeply in between


def test_wakes_alone_carry_an_order_from_low_to_its_end(new_appliance: NewAppliance) -> None:
    """No wake lasts as long as the confirmation: since when the slot is low is kept from one to the next."""
    confirm_s = 6 * HOUR_S
    appliance = new_appliance(scale=20_000, policy={"confirm_s": confirm_s})
    appliance.set_level(LOW)
    wakes: list[Agent] = []
    wake_until(appliance, wakes, lambda states: bool(appliance.orders()))
    appliance.deliver()
    wake_until(appliance, wakes, lambda states: states == ["awaiting_refill"])
    appliance.set_level(CAPACITY)
    wake_until(appliance, wakes, lambda states: not states)
    orders = appliance.orders()
    assert appliance.outcomes() == ["accepted"]
    assert orders[0].accepted_at >= times(wakes[0])[0] + confirm_s
    assert max(last - first for first, last in map(times, wakes)) < confirm_s
    assert [wake.lines[-1]["event"] for wake in wakes] == ["stop"] * len(wakes)


def wake_until(appliance: Appliance, wakes: list[Agent], done: Callable[[list[str | None]], bool]) -> None:
    """Wake until `done(states)`; a wake tells in which state an order is, unless that is idle."""
    for _ in range(100):
        wakes.append(appliance.wake())
        if done(wakes[-1].states()):
            return
    raise AssertionError("a hundred wakes were not enough\n" + wakes[-1].output)


def times(wake: Agent) -> tuple[int, int]:
    """When a wake began and ended, in virtual Unix seconds."""
    return parse_time(str(wake.lines[0]["t"])), parse_time(str(wake.lines[-1]["t"]))


def test_a_wake_with_nothing_to_do_ends_at_once_and_calls_nobody(new_appliance: NewAppliance) -> None:
    """At the real speed: were any interval slept out, it would not end before the deadline."""
    appliance = new_appliance(scale=1)
    for _ in range(3):
        first, last = times(appliance.wake())
        assert last - first <= 2
    assert appliance.calls() == []


# Stops and kills


def test_a_stop_is_clean_and_the_next_agent_goes_on(new_appliance: NewAppliance) -> None:
    appliance = new_appliance()
    appliance.set_level(LOW)
    agent = appliance.start()
    agent.expect(event="order", state="accepted")
    assert agent.stop() == 0
    assert agent.lines[-1]["event"] == "stop"
    agent = appliance.start()
    told = agent.expect(event="order", slot=SLOT)  # accepted, or placed if a poll came before the stop
    assert told["id"] == appliance.orders()[0].order_id
    finish(appliance, agent)
    assert agent.stop() == 0
    assert appliance.outcomes() == ["accepted"]


def test_a_stop_within_a_call_waits_for_the_answer(new_appliance: NewAppliance) -> None:
    appliance = new_appliance(scale=1)
    appliance.service.faults.add(kind="delay", endpoint="replenish", delay_s=1.0)
    appliance.set_level(LOW)
    agent = appliance.start()
    appliance.await_calls("replenish", 1)
    assert agent.stop() == 0
    assert [line["outcome"] for line in agent.said("call", call="replenish")] == ["accepted"]
    assert agent.states() == ["asking", "accepted"]


@pytest.mark.parametrize("seed", range(3))
def test_an_agent_that_is_killed_again_and_again_orders_once(new_appliance: NewAppliance, backend: str, seed: int) -> None:
    """kill -9 between any two of its lines, from the first start on."""
    chance = random.Random(seed)
    appliance = new_appliance()
    appliance.set_level(LOW)
    for _ in range(5):
        agent = appliance.start()
        agent.expect_lines(chance.randint(1, 6))
        agent.kill()
    agent = appliance.start()
    finish(appliance, agent)
    assert agent.stop() == 0
    assert len(appliance.orders()) == 1
    first, *more = appliance.outcomes()
    assert first == "accepted" and set(more) <= {TOLD_AGAIN[backend][2]}


def kill_within(appliance: Appliance, endpoint: str) -> None:
    """Lower the level, and kill -9 the agent at the worst of all moments of its first such call: the service has acted, and its
    answer is not yet on the way."""
    agent = appliance.start()
    agent.expect(event="level")
    victims = [agent.interpreter()]

    def kill(call: Any) -> None:
        if call.endpoint == endpoint and victims:
            signal.pidfd_send_signal(victims.pop(), signal.SIGKILL)

    appliance.service.do(lambda service: service.calls.subscribe(kill))
    appliance.set_level(LOW)
    assert agent.ended() in KILLED
    assert appliance.calls()[-1].endpoint == endpoint


@pytest.mark.parametrize(
    ("backend", "endpoint"),
    [("drs", "token")] + [(name, call) for name in backends.NAMES for call in ("subscription_info", "replenish", "order_info")],
    indirect=["backend"],
)
def test_an_agent_that_is_killed_within_a_call_orders_once(new_appliance: NewAppliance, backend: str, endpoint: str) -> None:
    appliance = new_appliance()
    kill_within(appliance, endpoint)
    finish(appliance, appliance.start())
    assert appliance.outcomes() == ["accepted"] + [TOLD_AGAIN[backend][2]] * (endpoint == "replenish")
    assert len(appliance.orders()) == 1


def test_an_order_that_came_and_went_while_the_agent_was_dead_is_not_repeated(new_appliance: NewAppliance) -> None:
    """Killed before the answer, started when the service would take a second order: only the intent, durable before the call,
    knows that there may have been a first."""
    appliance = new_appliance(policy={"intent_fresh_s": 60})
    kill_within(appliance, "replenish")
    appliance.deliver()
    appliance.pass_time(HOUR_S)
    agent = appliance.start()
    agent.expect(event="order", slot=SLOT, state="in_doubt", reason="outcome unknown for too long")
    appliance.pass_time(HOUR_S)
    appliance.set_level(CAPACITY)
    agent.expect(event="order", slot=SLOT, state="idle", reason="refilled")
    assert appliance.outcomes() == ["accepted"]


def test_a_wrapper_that_is_killed_leaves_no_agent(new_appliance: NewAppliance, interpreter: Interpreter) -> None:
    """On CPython there is no wrapper; what it holds, the agent's standard input, is closed all the same."""
    appliance = new_appliance()
    appliance.set_level(LOW)
    agent = appliance.start()
    agent.expect(event="order", state="accepted")
    agent.interpreter()
    if interpreter.is_cpython:
        agent.close_input()
    else:
        agent.process.kill()
    assert agent.interpreter_ends()
    agent.ended()
    assert agent.lines[-1]["event"] == "stop"
    finish(appliance, appliance.start())
    assert appliance.outcomes() == ["accepted"]


@pytest.mark.parametrize("interpreter", ["micropython", "micropython32"], indirect=True)
def test_a_second_agent_on_the_same_state_is_refused(new_appliance: NewAppliance) -> None:
    """The lock is the wrapper's, which starts MicroPython only."""
    appliance = new_appliance()
    agent = appliance.start()
    agent.expect(event="start")
    refused = appliance.start()
    assert refused.ended() == 2
    assert (refused.output, refused.errors) == ("", f"{appliance.state}: another agent is running on this state folder.\n")
    appliance.set_level(LOW)
    agent.expect(event="order", state="accepted")  # the first one does not mind


# Secrets


@only("drs", "the tokens are its own; the gateway's is in test_gateway_flows.py")
@pytest.mark.parametrize("echo", ["{token}", "token={token}", "({token})", "Bearer {token} is bad"])
def test_no_secret_is_said_or_kept_but_the_rotated_refresh_token(new_appliance: NewAppliance, echo: str) -> None:
    """A device that was linked with a client secret, a refresh token that is replaced each time it is used, and services that
    repeat the tokens that they refuse."""
    appliance = new_appliance(public=False)
    appliance.service.settings.change(refresh_rotation="strict")
    assert isinstance(appliance.backend, backends.DRS)
    (given,) = appliance.backend.tokens
    appliance.service.faults.add(kind="refuse", endpoint="token", status=503, body=json.dumps({"error": echo.format(token=given)}))
    appliance.set_level(LOW)
    agent = appliance.start()
    agent.expect(event="call", call="token", status="503")
    agent.expect(event="order", state="accepted")
    access = str(appliance.calls("replenish")[0].header("Authorization")).split()[1]
    refusal = json.dumps({"message": echo.format(token=access)})
    appliance.service.faults.add(kind="refuse", endpoint="order_info", status=503, body=refusal)
    agent.expect(event="call", call="order_info", status="503")
    assert agent.stop() == 0
    rotated = appliance.stored_token()
    assert rotated != given
    agent = appliance.start()
    finish(appliance, agent)
    assert appliance.outcomes() == ["accepted"]
    assert {given, rotated, access} < appliance.secrets()
