"""The gateway as a process that is killed at the worst of all moments, alone or with the device, and for days: one order each.

What stands in the simulated store is what counts: an order there for each need, and never a second one.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from host_tests.mqtt.mosquitto import Mosquitto
from host_tests.scenarios.appliance import CAPACITY, LOW, SLOT, Appliance, wait_for
from host_tests.scenarios.backends import AtGateway
from host_tests.scenarios.front import REPLENISH
from host_tests.scenarios.gateway import GatewayProcess
from host_tests.scenarios.interpreters import Interpreter
from host_tests.scenarios.shop import MakersShop
from tools.run.appliance import SERIAL
from tools.simulator import Clock, SimulatorThread
from tools.simulator.calls import Call
from tools.simulator.orders import DAY_S, HOUR_S

FAULT_RUNS = int(os.environ.get("FAULT_RUNS") or 12)
NEEDS = int(os.environ.get("GATEWAY_NEEDS") or 4)
SEED = int(os.environ.get("SEED") or 1)
SCALE = 10_000  # the longest pause of the device's backoff takes two real seconds, about as long as a gateway to start
POLICY = {"resolution_grace_s": 2 * HOUR_S, "max_orders_30_days": 100}
FIRST, SECOND = (f"{SERIAL}-{SLOT}-{number}" for number in (1, 2))


class Scene:
    """An appliance, a gateway that can be killed, and the store, which tells of each call after it has acted and before it answers."""

    def __init__(self, appliance: Appliance) -> None:
        assert isinstance(appliance.backend, AtGateway) and isinstance(appliance.backend.gateway, GatewayProcess)
        self.appliance = appliance
        self.backend = appliance.backend
        self.gateway = appliance.backend.gateway
        self.store = appliance.backend.store
        self.agent = appliance.start()
        self._plots: list[tuple[str, Callable[[], object]]] = []
        self.store.do(lambda store: store.calls.subscribe(self._hear))

    def _hear(self, call: Call) -> None:
        for plot in [plot for plot in self._plots if plot[0] == call.operation]:
            plot[1]()
            self._plots.remove(plot)  # only now: who waits for it may start the victims again

    def at(self, operation: str, act: Callable[[], object]) -> None:
        """Do that once, when the store has acted on the next such operation."""
        self.store.do(lambda store: self._plots.append((operation, act)))

    def die_at(self, operation: str, *who: str) -> None:
        """Let these die then: "gateway", "device"."""
        victim = self.agent.interpreter() if "device" in who else 0

        def kill() -> None:
            if "gateway" in who:
                self.gateway.kill()
            if victim:
                signal.pidfd_send_signal(victim, signal.SIGKILL)

        self.at(operation, kill)

    def await_death(self) -> None:
        """Wait until all that was to happen has happened."""
        wait_for(lambda: not self.store.do(lambda store: self._plots))

    def revive(self, *who: str) -> None:
        """Start those who died."""
        if "gateway" in who:
            self.gateway.start()
        if "device" in who:
            self.agent.ended()
            self.agent = self.appliance.start()

    def need(self) -> None:
        """The appliance has used up what it had."""
        self.appliance.set_level(LOW)

    def end_need(self) -> None:
        """The device knows of its order, the pack comes, and is put in."""
        self.agent.await_state(SLOT, "accepted", "placed", "shipped", "awaiting_refill")
        self.appliance.deliver()
        self.agent.await_state(SLOT, "awaiting_refill")
        self.appliance.set_level(CAPACITY)
        self.agent.await_state(SLOT, "idle")

    def intents(self) -> list[str]:
        """What the orders in the store were made for, oldest first."""
        return [order.order_id for order in self.appliance.orders()]

    def created(self) -> int:
        """How many orders the store has made."""
        return sum(call.operation == "createOrder" and call.acted and call.outcome == "ok" for call in self.store.calls)


@pytest.fixture
def new_scene(board_like: Interpreter, tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Callable[..., Scene]]:
    """Makes a scene that lives as long as the test."""
    made: list[Scene] = []
    with ExitStack() as stack:

        def make(**options: Any) -> Scene:
            options = {"scale": SCALE, "policy": POLICY, **options}
            appliance = Appliance(board_like, tmp_path, backend="gateway", broker=mosquitto, killable=True, **options)
            made.append(Scene(stack.enter_context(appliance)))
            made[-1].agent.expect(event="level")
            return made[-1]

        yield make
        for scene in made:
            scene.appliance.check()


@pytest.mark.parametrize("operation", ["createOrder", "updateOrder"])
@pytest.mark.parametrize("who", [("gateway",), ("device",), ("gateway", "device")], ids=["gateway", "device", "both"])
def test_one_order_whoever_dies_before_the_answer(new_scene: Callable[..., Scene], who: tuple[str, ...], operation: str) -> None:
    """createOrder makes the order, updateOrder starts it; the store has done it, and nobody has heard."""
    scene = new_scene()
    scene.die_at(operation, *who)
    scene.need()
    scene.await_death()
    assert scene.intents() == [FIRST]
    scene.revive(*who)
    scene.end_need()
    assert (scene.intents(), scene.created()) == ([FIRST], 1)
    assert scene.store.store.orders()[0].execution == "STARTED"


def test_a_gateway_that_dies_each_time_is_asked_until_it_lives(new_scene: Callable[..., Scene]) -> None:
    """Killed at four attempts in a row, each a call further: before it could look, after it created, looked and started."""
    scene = new_scene()
    for operation in ("order", "createOrder", "order", "updateOrder"):
        scene.die_at(operation, "gateway")
        scene.need()
        scene.await_death()
        scene.revive("gateway")
    scene.end_need()
    assert (scene.intents(), scene.created()) == ([FIRST], 1)
    assert len(scene.appliance.calls("replenish")) > 2


def test_an_answer_that_stays_lost_for_days_makes_no_second_order(new_scene: Callable[..., Scene]) -> None:
    """The order is made, its answer is lost, and for three days nobody can see it: longer than the intent is fresh."""
    scene = new_scene(scale=43_200)
    scene.store.faults.add(kind="graphql_error", family="InternalServer", act=True, operation="createOrder")
    add = scene.store.do(lambda store: store.faults.add)
    scene.at("createOrder", partial(add, kind="graphql_error", family="InternalServer", operation="order", count=0))
    scene.need()
    scene.await_death()
    scene.appliance.pass_time(3 * DAY_S)
    asked = scene.appliance.calls("replenish", "order_info")
    assert {call.status for call in asked} <= {502, 503} and len(asked) > 3
    scene.store.faults.clear()
    scene.end_need()
    assert (scene.intents(), scene.created()) == ([FIRST], 1)


@pytest.mark.parametrize("seed", range(2))
def test_any_of_them_may_die_at_any_call_of_any_order(new_scene: Callable[..., Scene], seed: int) -> None:
    """GATEWAY_NEEDS=100 SEED=7 tries it longer, or otherwise."""
    chance = random.Random(f"{SEED} {seed}")
    scene = new_scene()
    deaths = 0
    for _ in range(NEEDS):
        who = chance.choice([("gateway",), ("device",), ("gateway", "device")])
        scene.die_at(chance.choice(["order", "order", "createOrder", "updateOrder"]), *who)
        if chance.random() < 0.5:
            scene.store.faults.add(kind=chance.choice(["drop_after", "drop_before", "fail_after"]), operation="createOrder")
        scene.need()
        scene.await_death()
        deaths += 1
        scene.revive(*who)
        scene.end_need()
        scene.store.faults.clear()
    assert scene.intents() == [f"{SERIAL}-{SLOT}-{number}" for number in range(1, deaths + 1)]
    assert scene.created() == deaths


# Faults alone, and many of them: a client that does what the device does, without the device

AFTER, BEFORE = ("drop_after", "reset", "truncate", "fail_after"), ("drop_before", "refuse")


def spoil(backend: AtGateway, chance: random.Random) -> int:
    """One to four things go wrong between device, gateway and store; how many of them lose an answer after acting."""
    lost = 0
    for _ in range(chance.randint(1, 4)):
        late = chance.random() < 0.6
        lost += late
        at_front = chance.random() < 0.3
        operation = chance.choice(["order", "createOrder", "createOrder", "updateOrder"])
        where = {"endpoint": "replenish"} if at_front else {"operation": operation}
        faults = backend.service.faults if at_front else backend.store.faults
        if not at_front and chance.random() < 0.4:
            family = chance.choice(["InternalServer", "Throttling"])
            faults.add(kind="graphql_error", family=family, act=late and family == "InternalServer", **where)
        else:
            faults.add(kind=chance.choice(AFTER if late else BEFORE), **where)
    return lost


def ask_until_taken(backend: AtGateway, intent: str) -> int:
    """Send an intent until the gateway has taken it, as its device would, only that it has no patience; how often that was."""
    body = json.dumps({"intent_id": intent, "slot": SLOT, "quantity": 1, "reason": "low"}).encode()
    context = ssl.create_default_context(cafile=str(backend.service.ca_pem))
    for tries in range(1, 200):
        request = urllib.request.Request(backend.service.url + REPLENISH, body, backend.headers())
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return tries if json.load(answer)["intent_id"] == intent else 0
        except (OSError, ValueError, http.client.HTTPException):
            continue
    raise AssertionError(f"{intent} was never taken")


def test_random_faults_make_one_order_of_each_intent(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """FAULT_RUNS=1000 SEED=7 runs more of them, or others."""
    chance = random.Random(SEED)
    wanted = [f"{SERIAL}-{SLOT}-{number}" for number in range(1, FAULT_RUNS + 1)]
    tries = lost = 0
    with AtGateway(tmp_path, (int(time.time()), 60), {SLOT: True}, mosquitto) as backend:
        for intent in wanted:
            lost += spoil(backend, chance)
            tries += ask_until_taken(backend, intent)
            backend.service.faults.clear()
            backend.store.faults.clear()
            ask_until_taken(backend, intent)
            backend.deliver()
        made = [order.order_id for order in backend.orders(SLOT)]
    print({"intents": len(wanted), "orders": len(made), "tries": tries, "answers lost": lost})
    assert made == wanted
    assert tries > len(wanted)


# Another adapter while an order is in flight


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[SimulatorThread]:
    with SimulatorThread(kind=MakersShop, clock=Clock(), ca_dir=tmp_path / "shop-ca") as shop:
        yield shop


def change_adapter(scene: Scene, shop: SimulatorThread) -> None:
    """From the store to the maker's own shop, while the gateway is down."""
    scene.backend.files.use_webhook(shop.url, shop.ca_pem)
    scene.revive("gateway")


def test_an_order_in_flight_stays_where_it_was_made(new_scene: Callable[..., Scene], shop: SimulatorThread) -> None:
    scene = new_scene()
    scene.die_at("createOrder", "gateway")
    scene.need()
    scene.await_death()
    change_adapter(scene, shop)
    scene.end_need()
    assert (scene.intents(), list(shop.taken)) == ([FIRST], [])
    scene.need()
    scene.agent.await_state(SLOT, "accepted", "placed")
    assert (scene.intents(), list(shop.taken)) == ([FIRST], [SECOND])


def test_an_intent_that_never_got_to_the_store_goes_to_the_shop(new_scene: Callable[..., Scene], shop: SimulatorThread) -> None:
    scene = new_scene()
    scene.die_at("order", "gateway")
    scene.need()
    scene.await_death()
    change_adapter(scene, shop)
    scene.agent.await_state(SLOT, "accepted", "placed")
    assert (scene.intents(), list(shop.taken)) == ([], [FIRST])


def test_a_former_adapter_that_cannot_be_asked_lets_nothing_be_ordered(new_scene: Callable[..., Scene], shop: SimulatorThread) -> None:
    scene = new_scene()
    scene.die_at("createOrder", "gateway")
    scene.need()
    scene.await_death()
    scene.store.faults.add(kind="graphql_error", family="InternalServer", operation="order", count=0)
    change_adapter(scene, shop)
    seen = len(scene.appliance.calls("replenish"))
    scene.appliance.await_calls("replenish", seen + 2)
    assert {call.status for call in scene.appliance.calls("replenish")[seen:-1]} <= {502, 503}
    assert list(shop.taken) == []
    scene.store.faults.clear()
    scene.end_need()
    assert (scene.intents(), list(shop.taken)) == ([FIRST], [])
