"""What there is with the maker's gateway only: questions to a person, holds, returns, the store's events, and how a device proves
itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from host_tests.mqtt.client import Client
from host_tests.mqtt.mosquitto import PREFIX, Mosquitto
from host_tests.scenarios.appliance import CAPACITY, LOW, SLOT, Agent, Appliance, wait_for
from host_tests.scenarios.backends import AtGateway
from host_tests.scenarios.interpreters import Interpreter
from host_tests.scenarios.relay import RelayProcess
from host_tests.scenarios.test_cloud import HEAPS
from tools.run.appliance import SERIAL
from tools.simulator import SimulatorThread
from tools.simulator.buywithprime.catalogue import DEFAULT_SKU
from tools.simulator.orders import DAY_S, HOUR_S

FIRST = f"{SERIAL}-{SLOT}-1"
POLICY = {"resolution_grace_s": 2 * HOUR_S}
NewHome = Callable[..., "Home"]


class Home:
    """An appliance, the gateway that it calls, and the store."""

    def __init__(self, appliance: Appliance) -> None:
        assert isinstance(appliance.backend, AtGateway)
        self.appliance = appliance
        self.backend = appliance.backend
        self.store: SimulatorThread = appliance.backend.store

    def order(self) -> Any:
        """The only order of the store, as it is now."""
        (order,) = self.store.store.orders()
        return order

    def await_order(self) -> Any:
        """Wait until there is an order."""
        wait_for(lambda: bool(self.store.store.orders()))
        return self.order()


@pytest.fixture
def new_home(board_like: Interpreter, tmp_path: Path, mosquitto: Mosquitto) -> Iterator[NewHome]:
    """Makes homes that live as long as the test."""
    made: list[Home] = []
    with ExitStack() as stack:

        def make(**options: Any) -> Home:
            policy = {**POLICY, **options.pop("policy", {})}
            appliance = Appliance(board_like, tmp_path, backend="gateway", broker=mosquitto, policy=policy, **options)
            made.append(Home(stack.enter_context(appliance)))
            return made[-1]

        yield make
        for home in made:
            home.appliance.check()


# What is sold out, and the person who is asked


def start_short(new_home: NewHome, stock: int, **options: Any) -> tuple[Home, Agent]:
    """Two packs are wanted and fewer are there, as far as the appliance shows that somebody is asked."""
    home = new_home(packs=2, **options)
    home.store.store.put_product(DEFAULT_SKU, stock=stock)
    home.appliance.set_level(LOW)
    agent = home.appliance.start()
    agent.expect(event="order", slot=SLOT, state="awaiting_customer")
    assert home.store.store.orders() == []
    return home, agent


def test_fewer_packs_are_ordered_when_the_person_says_so(new_home: NewHome) -> None:
    home, agent = start_short(new_home, stock=1)
    assert home.backend.answer(FIRST, "agree") == 200
    agent.await_state(SLOT, "accepted", "placed")
    order = home.order()
    assert [line.amount for line in order.lines] == [1]
    home.appliance.deliver()
    agent.await_state(SLOT, "awaiting_refill")
    assert [found.order_id for found in home.appliance.orders()] == [FIRST]
    assert "SelectedQuantityNotAvailable" in [call.outcome for call in home.store.calls]


def test_nothing_is_ordered_when_the_person_says_no(new_home: NewHome) -> None:
    home, agent = start_short(new_home, stock=1)
    assert home.backend.answer(FIRST, "cancel") == 200
    agent.await_state(SLOT, "held")
    assert home.store.store.orders() == []


def test_what_is_there_again_is_ordered_when_the_person_says_so(new_home: NewHome) -> None:
    home, agent = start_short(new_home, stock=0)
    assert "ItemOutOfStock" in [call.outcome for call in home.store.calls]
    home.store.store.put_product(DEFAULT_SKU, stock=5)
    assert home.backend.answer(FIRST, "agree") == 200
    agent.await_state(SLOT, "accepted", "placed")
    assert [line.amount for line in home.order().lines] == [2]


# The hold, and what becomes of the order


def test_a_held_order_is_cancelled_by_its_customer(new_home: NewHome) -> None:
    """As long as it is held nothing was begun: the store cancels it, and the device respects the no."""
    home = new_home(gateway={"hold_s": 12 * HOUR_S})
    home.appliance.set_level(LOW)
    agent = home.appliance.start()
    agent.await_state(SLOT, "accepted", "placed")
    assert home.order().execution == "NOT_STARTED"
    assert home.backend.answer(FIRST, "cancel") == 200
    agent.await_state(SLOT, "held")
    home.store.wait_until(lambda store: store.store.orders()[0].summary == "CANCELLED")
    assert home.order().execution == "NOT_STARTED"


def test_a_hold_ends_by_itself(new_home: NewHome) -> None:
    home = new_home(gateway={"hold_s": 2 * HOUR_S})
    home.appliance.set_level(LOW)
    home.appliance.start()
    order = home.await_order()
    home.store.wait_until(lambda store: order.execution == "STARTED")
    updates = [call for call in home.store.calls if call.operation == "updateOrder"]
    assert updates[0].time >= order.created_at + 2 * HOUR_S


def test_an_order_is_followed_from_its_shipping_to_its_delivery(new_home: NewHome) -> None:
    home = new_home()
    home.store.store.set_timings(ship_after_s=3 * HOUR_S, deliver_after_s=2 * HOUR_S)
    home.appliance.set_level(LOW)
    agent = home.appliance.start()
    for state in ("accepted", "placed", "shipped", "awaiting_refill"):
        agent.expect(event="order", slot=SLOT, state=state)
    home.appliance.set_level(CAPACITY)
    agent.await_state(SLOT, "idle")


def test_an_order_that_cannot_be_fulfilled_is_tried_again_later(new_home: NewHome) -> None:
    home = new_home(policy={"probe_interval_s": HOUR_S})
    home.store.store.set_fates(queue=[{"kind": "unfulfillable", "ship_after_s": HOUR_S}])
    home.appliance.set_level(LOW)
    agent = home.appliance.start()
    agent.await_state(SLOT, "held")
    agent.await_state(SLOT, "accepted")
    assert [(found.order_id[-1], found.state) for found in home.appliance.orders()] == [("1", "cancelled"), ("2", "pending")]


# What the store tells by itself


class Told:
    """A home at a broker, to which the store's events come through the relay. The agent asks for nothing by itself."""

    def __init__(self, stack: ExitStack, new_home: NewHome, folder: Path, broker: Mosquitto, **options: Any) -> None:
        policy = {"poll_interval_s": 30 * DAY_S, "resolution_grace_s": 3 * DAY_S, **options.pop("policy", {})}
        self.home = new_home(policy=policy, mqtt={}, heap=HEAPS["micropython32"], **options)
        store, clock = self.home.store, self.home.appliance.clock
        self.relay = stack.enter_context(RelayProcess(folder / "relay", store, clock, broker, self.home.backend.files.config))
        store.bus.add_target(self.relay.events_url, self.relay.ca_pem, api_key=self.relay.events_key)
        self.operator: Client = stack.enter_context(broker.operator())
        self.operator.subscribe(f"{PREFIX}/{SERIAL}/#")
        store.store.set_fates(default="by_hand")
        self.home.appliance.set_level(LOW)
        self.agent = self.home.appliance.start()
        self.agent.await_state(SLOT, "accepted", "placed")
        self.order = self.home.await_order()
        store.wait_until(lambda store: self.order.execution == "STARTED")

    def move(self, state: str, reason: str | None = None) -> None:
        """The package goes on."""
        self.home.store.store.move_package(self.order.id, state=state, reason=reason)

    def notices(self) -> list[str]:
        """The states that the device was told of."""
        return [message.json["state"] for message in self.operator.on(f"{PREFIX}/{SERIAL}/notice")]


@pytest.fixture
def new_told(new_home: NewHome, tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Callable[..., Told]]:
    with ExitStack() as stack:
        yield lambda **options: Told(stack, new_home, tmp_path, mosquitto, **options)


@pytest.mark.parametrize("envelope", ["thin", "snapshot"])
def test_an_order_is_followed_by_its_notices(new_told: Callable[..., Told], envelope: str) -> None:
    told = new_told()
    told.home.store.settings.change(bwp_envelope=envelope)
    asked = len(told.home.appliance.calls())
    told.move("IN_TRANSIT")
    told.agent.await_state(SLOT, "shipped")
    told.move("DELIVERED")
    told.agent.await_state(SLOT, "awaiting_refill")
    told.home.appliance.set_level(CAPACITY)
    told.agent.await_state(SLOT, "idle")
    assert len(told.home.appliance.calls()) == asked
    assert {"IN_TRANSIT", "DELIVERED"} <= set(told.notices())


@pytest.mark.parametrize("kind", ["duplicate", "double", "reorder"])
def test_events_that_come_twice_or_out_of_order_change_nothing(new_told: Callable[..., Told], kind: str) -> None:
    told = new_told()
    told.home.store.bus.faults.add(kind=kind, type="PACKAGE_DELIVERY_IN_TRANSIT")
    told.move("IN_TRANSIT")
    told.move("DELIVERED")
    told.agent.await_state(SLOT, "awaiting_refill")
    told.home.store.wait_until(lambda store: store.bus.settled and len(store.bus.deliveries) > 3, 20)
    assert told.agent.states()[-1] == "awaiting_refill"


def test_an_event_that_is_lost_is_made_up_for_by_asking(new_told: Callable[..., Told]) -> None:
    told = new_told(policy={"poll_interval_s": 6 * HOUR_S, "resolution_grace_s": 6 * HOUR_S})
    told.home.store.bus.faults.add(kind="lose", count=0)
    told.move("DELIVERED")
    told.agent.await_state(SLOT, "awaiting_refill")
    assert "DELIVERED" not in told.notices()
    assert told.home.store.bus.counts["lost"] > 0


def test_events_that_a_dead_relay_missed_come_when_it_lives(new_told: Callable[..., Told]) -> None:
    told = new_told()
    told.relay.kill()
    told.move("IN_TRANSIT")
    told.home.store.wait_until(lambda store: any(delivery.attempts for delivery in store.bus.deliveries), 20)
    told.relay.start()
    told.agent.await_state(SLOT, "shipped")
    statuses = [attempt.status for attempt in told.home.store.bus.deliveries[0].attempts]
    assert statuses[0] == 0 and statuses[-1] == 200


def test_a_pack_that_is_sent_back_is_no_longer_at_home(new_told: Callable[..., Told]) -> None:
    """Unopened: the slot waits for no refill any more, and what comes next is another order."""
    told = new_told(policy={"reorder_after_cancel_days": 0})
    told.move("DELIVERED")
    told.agent.await_state(SLOT, "awaiting_refill")
    made = told.home.store.store.start_return(told.order.id, by_hand=True)
    told.home.store.store.move_return(told.order.id, made.id, state="IN_TRANSIT")
    told.agent.await_state(SLOT, "accepted")
    assert [found.order_id[-1] for found in told.home.appliance.orders()] == ["1", "2"]
    assert told.notices()[-1] in ("RETURNING", "RETURNED")


# How a device proves itself, and what it must not say


@pytest.mark.parametrize("echo", ["{token}", "Bearer {token} is bad"])
def test_the_device_token_is_not_said(new_home: NewHome, echo: str) -> None:
    home = new_home()
    (token,) = home.appliance.secrets()
    body = json.dumps({"error": "unauthorized", "message": echo.format(token=token)})
    home.appliance.service.faults.add(kind="refuse", endpoint="replenish", status=503, body=body)
    home.appliance.set_level(LOW)
    agent = home.appliance.start()
    agent.expect(event="call", call="replenish", status="503")
    agent.await_state(SLOT, "accepted", "placed")


def test_a_token_that_is_not_believed_is_a_fault_and_no_order(new_home: NewHome) -> None:
    home = new_home()
    secrets = json.loads((home.appliance.folder / "secrets.json").read_text())
    (home.appliance.folder / "secrets.json").write_text(json.dumps({"gateway_token": secrets["gateway_token"][:-8] + "AAAAAAAA"}))
    home.appliance.set_level(LOW)
    agent = home.appliance.start()
    agent.expect(event="call", status="401")
    agent.expect(event="fault")
    assert home.store.store.orders() == []


@pytest.mark.parametrize("proof", ["token", "certificate"])
def test_a_device_calls_the_gateway_itself(new_home: NewHome, proof: str) -> None:
    """No load balancer: the gateway ends TLS, and a certificate of the maker's authority is as good as a token."""
    home = new_home(direct=proof)
    home.appliance.set_level(LOW)
    agent = home.appliance.start()
    agent.await_state(SLOT, "accepted", "placed")
    assert [found.order_id for found in home.appliance.orders()] == [FIRST]
    assert home.appliance.calls() == []  # nothing passed through the front
