"""The cloud's whole way: the service publishes by SNS, the relay verifies and passes on, mosquitto keeps, the agent obeys.

Every part is the real one but for the service: SNS over HTTPS with signatures, the relay as a process, mosquitto with TLS, passwords
and rules, agents on both MicroPythons. The agents do not poll here, so what they know they know by notices.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from host_tests.mqtt.mosquitto import PREFIX, Mosquitto
from host_tests.scenarios.appliance import CAPACITY, LOW, SLOT, Agent, Appliance, wait_for
from host_tests.scenarios.interpreters import Interpreter
from host_tests.scenarios.relay import RelayProcess
from host_tests.scenarios.test_cloud import HEAPS
from tools.run.appliance import SERIAL
from tools.run.logfmt import parse_time
from tools.simulator.orders import DAY_S, HOUR_S, SlotKey

BASE = f"{PREFIX}/{SERIAL}"
DAILY = 86_400  # the scale at which a real second is a day
PLACED, SHIPPED, CANCELLED = "OrderPlacedNotification", "ItemShippedNotification", "OrderCancelledNotification"
# What an agent would ask by itself it asks after the test is over.
POLICY = {"poll_interval_s": 30 * DAY_S, "resolution_grace_s": 3 * DAY_S, "reorder_after_cancel_days": 0}


class Cloud:
    """An appliance that is told by notices alone, and all that stands between it and the service."""

    def __init__(self, stack: ExitStack, interpreter: Interpreter, folder: Path, broker: Mosquitto, **options: Any) -> None:
        """options: Appliance's."""
        policy = {**POLICY, **options.pop("policy", {})}
        (folder / "appliance").mkdir()
        options.setdefault("heap", HEAPS[interpreter.name])
        made = Appliance(interpreter, folder / "appliance", broker=broker, policy=policy, **options)
        self.broker = broker
        self.appliance = stack.enter_context(made)
        self.service = self.appliance.service
        self.relay = stack.enter_context(RelayProcess(folder / "relay", self.service, self.appliance.clock, broker))
        self.operator = stack.enter_context(broker.operator())
        self.operator.subscribe(f"{BASE}/#")
        self.service.settings.change(sns_retries=50)  # a relay takes its time to start again
        self.service.sns.subscribe(self.relay.url, self.relay.ca_pem)
        self.service.wait_until(lambda service: service.sns.confirmed, 20)

    def notices(self) -> list[str]:
        """The types of the notices that came to the broker, in their order."""
        return [message.json["notificationInfo"]["notificationType"] for message in self.operator.on(f"{BASE}/notice")]

    def start(self) -> Agent:
        """An agent, and the broker knows its session."""
        agent = self.appliance.start()
        self.operator.expect(f"{BASE}/availability", lambda message: message.payload == b"online")
        return agent

    def all_delivered(self) -> None:
        """Wait until the relay has taken all that was published."""
        self.service.wait_until(lambda service: service.sns.settled, 30)


NewCloud = Callable[..., Cloud]


@pytest.fixture
def new_cloud(interpreter: Interpreter, tmp_path: Path, mosquitto: Mosquitto) -> Iterator[NewCloud]:
    """Makes a cloud that lives as long as the test. Not on CPython: what differs there is no concern of the cloud's."""
    if interpreter.is_cpython:
        pytest.skip("runs on MicroPython")
    made: list[Cloud] = []
    with ExitStack() as stack:

        def make(**options: Any) -> Cloud:
            made.append(Cloud(stack, interpreter, tmp_path, mosquitto, **options))
            return made[-1]

        yield make
        for cloud in made:
            cloud.appliance.check()


def place(cloud: Cloud, agent: Agent) -> None:
    """An order, as far as the agent knows by its notice that it is placed. The service ships it when a day has passed."""
    cloud.appliance.set_level(LOW)
    agent.await_state(SLOT, "placed")


def ship(cloud: Cloud) -> None:
    """Let the service's day pass that a customer has to think better of it. The agent's own clock does not jump."""
    cloud.service.advance(DAY_S)


def fill(cloud: Cloud, agent: Agent) -> None:
    """The agent knows that the pack is at home, and the customer puts it in."""
    agent.await_state(SLOT, "awaiting_refill")
    cloud.appliance.set_level(CAPACITY)
    agent.await_state(SLOT, "idle")


def polls(cloud: Cloud) -> int:
    """How often the agent was told what it asked: what has become of an order."""
    return sum(call.status == 200 for call in cloud.appliance.calls("order_info"))


# The flows of an order, by notices alone


def test_an_order_is_followed_from_its_placing_to_its_refill(new_cloud: NewCloud) -> None:
    cloud = new_cloud(scale=DAILY)
    cloud.service.set_timings(deliver_after_s=DAY_S)
    agent = cloud.start()
    place(cloud, agent)
    ship(cloud)
    agent.await_state(SLOT, "shipped")
    fill(cloud, agent)
    assert agent.states() == ["asking", "accepted", "placed", "shipped", "awaiting_refill", "idle"]
    assert cloud.notices() == [PLACED, SHIPPED]
    assert cloud.appliance.outcomes() == ["accepted"]
    assert polls(cloud) == 0


@pytest.mark.parametrize("days", [0, 5])
def test_an_order_that_is_not_resolved_is_cancelled_by_notice(new_cloud: NewCloud, days: int) -> None:
    """The block ends with the notice: at once for the next order, or, by the default policy, for a hold."""
    cloud = new_cloud(policy={"reorder_after_cancel_days": days, "resolution_grace_s": HOUR_S})
    cloud.service.set_scenarios(SLOT, queue=["unresolved"])
    agent = cloud.start()
    cloud.appliance.set_level(LOW)
    agent.await_state(SLOT, "awaiting_customer")
    asked = polls(cloud)  # at the end of the grace
    cloud.service.advance(73 * HOUR_S)  # 72 and a little; for the agent itself hardly an hour has passed
    if days:
        held = agent.expect(event="order", slot=SLOT, state="held")
        assert parse_time(str(held["next_try"])) - parse_time(str(held["t"])) > (days - 1) * DAY_S
    else:
        agent.await_state(SLOT, "placed")
        assert agent.states()[-3:] == ["asking", "accepted", "placed"]
    assert cloud.notices()[0] == CANCELLED
    assert polls(cloud) == asked
    assert cloud.appliance.outcomes() == ["accepted"] * (1 if days else 2)


def test_a_block_by_another_order_ends_with_its_notice(new_cloud: NewCloud) -> None:
    cloud = new_cloud()
    cloud.service.do(lambda service: service.book.open(SlotKey(SERIAL, SLOT), "B00PRODUCT"))
    agent = cloud.start()
    cloud.appliance.set_level(LOW)
    agent.await_state(SLOT, "blocked")
    cloud.service.cancel_order(SLOT)
    agent.await_state(SLOT, "placed")
    assert cloud.notices() == [PLACED, CANCELLED, PLACED]
    assert cloud.appliance.outcomes() == ["in_progress", "accepted"]


def test_an_answer_that_was_lost_is_learnt_from_the_notice(new_cloud: NewCloud) -> None:
    """The order was made and its id never came: the notice is this order's (law 3), so nothing is asked for again."""
    cloud = new_cloud()
    cloud.service.faults.add(kind="fail_after", endpoint="replenish", retry_after=12 * HOUR_S)
    agent = cloud.start()
    place(cloud, agent)
    (order,) = cloud.appliance.orders()
    assert agent.said("call", call="replenish", outcome="unknown")
    assert agent.said("order", slot=SLOT, state="placed")[0]["id"] == order.order_id
    ship(cloud)
    agent.await_state(SLOT, "shipped")
    assert cloud.appliance.outcomes() == ["accepted"]


def test_repeated_and_reordered_notices_change_nothing(new_cloud: NewCloud) -> None:
    """The second arrives first, three times: once more by SNS with its id, which the relay knows, and once with a new one."""
    cloud = new_cloud(scale=DAILY)
    cloud.service.set_timings(ship_after_s=0, deliver_after_s=2 * DAY_S)
    cloud.service.sns.faults.add(kind="reorder", type=PLACED)
    cloud.service.sns.faults.add(type=SHIPPED, copies=1, doubles=1)
    agent = cloud.start()
    cloud.appliance.set_level(LOW)
    agent.await_state(SLOT, "shipped")
    cloud.all_delivered()
    assert sorted(cloud.notices()[:3]) == [SHIPPED, SHIPPED, PLACED]
    fill(cloud, agent)
    assert agent.states() == ["asking", "accepted", "shipped", "awaiting_refill", "idle"]
    assert cloud.appliance.outcomes() == ["accepted"]


# What breaks on the way


def test_a_notice_outlives_a_restart_of_the_broker(new_cloud: NewCloud) -> None:
    cloud = new_cloud()
    agent = cloud.start()
    place(cloud, agent)
    cloud.broker.stop()
    ship(cloud)
    agent.expect(event="cloud", state="lost")
    cloud.service.wait_until(lambda service: service.sns.deliveries[-1].attempts, 20)
    cloud.broker.start()
    agent.expect(event="cloud", state="connected", session="kept")
    agent.await_state(SLOT, "shipped")
    assert cloud.service.deliveries[-1].attempts[0].status == 503


@pytest.mark.parametrize("broker_dies", [False, True])
def test_a_relay_killed_before_it_acknowledged_loses_nothing(new_cloud: NewCloud, broker_dies: bool) -> None:
    """It has published and the broker does not answer. Killed with the relay, the broker never read the notice; else it may have, and
    gets it once more when SNS tries again: the agent knows it again."""
    cloud = new_cloud()
    agent = cloud.start()
    place(cloud, agent)
    cloud.broker.store()
    cloud.broker.pause()
    ship(cloud)
    wait_for(lambda: cloud.relay.metric("relay_in_flight") == 1)
    cloud.relay.kill()
    if broker_dies:
        cloud.broker.kill()
        cloud.broker.start()
    else:
        cloud.broker.go_on()
    cloud.relay.start()
    agent.await_state(SLOT, "shipped")
    wait_for(lambda: cloud.service.deliveries[-1].state == "delivered")
    statuses = [attempt.status for attempt in cloud.service.deliveries[-1].attempts]
    assert len(statuses) > 1 and set(statuses[:-1]) == {0}
    cloud.operator.expect(f"{BASE}/notice", count=2)
    # Whether what lay there reached a broker that lives depends on how the system ends a killed process's connection.
    assert cloud.notices() in ([PLACED, SHIPPED], [PLACED, SHIPPED] + [SHIPPED] * (not broker_dies))
    assert agent.states() == ["asking", "accepted", "placed", "shipped"]


def test_a_device_that_was_away_for_three_days_hears_what_happened_in_its_order(new_cloud: NewCloud) -> None:
    """Accepted, then away; placed and shipped meanwhile, the broker restarted between, and low all the time: no second order."""
    cloud = new_cloud(scale=DAILY)
    cloud.service.set_timings(place_after_s=DAY_S, ship_after_s=DAY_S, deliver_after_s=DAY_S)
    agent = cloud.start()
    cloud.appliance.set_level(LOW)
    agent.await_state(SLOT, "accepted")
    assert agent.stop() == 0
    cloud.operator.expect(f"{BASE}/notice")
    cloud.broker.restart()
    cloud.appliance.pass_time(2 * DAY_S)
    cloud.operator.expect(f"{BASE}/notice", count=2)
    again = cloud.appliance.start()
    for _ in (PLACED, SHIPPED):
        again.expect(event="notice", result="applied")
    again.expect(event="cloud", state="connected", session="kept")
    fill(cloud, again)
    assert [state for state in again.states() if state != "shipped"] == ["accepted", "awaiting_refill", "idle"]
    kinds = [line["event"] for line in again.lines]
    assert kinds.index("notice") < kinds.index("call")  # what was kept for it is heard before it asks anybody
    assert cloud.notices() == [PLACED, SHIPPED]
    assert cloud.appliance.outcomes() == ["accepted"]


@pytest.mark.parametrize("days", [-1, 30])
def test_a_devices_wrong_clock_makes_no_order_more_or_less(new_cloud: NewCloud, days: int) -> None:
    """Behind, every notice is from the future, and the pack is at home when the device thinks that it is; ahead, each is older than
    the order that it is about, and what is shipped must have come long ago."""
    cloud = new_cloud(scale=DAILY, clock_error_s=days * DAY_S)
    cloud.service.set_timings(ship_after_s=DAY_S // 2, deliver_after_s=HOUR_S)
    agent = cloud.start()
    for number in (1, 2):
        place(cloud, agent)
        fill(cloud, agent)
        wait_for(lambda: cloud.appliance.orders()[-1].state == "delivered")
        assert cloud.appliance.outcomes() == ["accepted"] * number
    assert cloud.notices() == [PLACED, SHIPPED] * 2
    call = cloud.appliance.calls("replenish")[-1]
    wrong_s = parse_time(str(agent.said("call", call="replenish")[-1]["t"])) - call.time
    assert abs(wrong_s - days * DAY_S) < DAY_S


FLOOD = {"micropython": 1_000, "micropython32": 10_000}
FLOOD_SCALE = DAILY // 8  # on a slow machine, too, there come more in a day's eight seconds than a day's few
A_DAYS_NOTICES = 16 + 8  # of one slot (inbox.py)


def junk(real: bytes, count: int) -> Iterator[bytes]:
    """The subscription off and on, orders that nobody made, another device's orders, and no notices at all: too long, some of it."""
    for number in range(count):
        told = json.loads(real)
        told["notificationInfo"]["notificationId"] += f".{number}"
        if number % 4 == 0:
            del told["orderInfo"]
            told["notificationInfo"]["notificationType"] = "SubscriptionChangedNotification"
            told["subscriptionInfo"] = {"slotsSubscriptionStatus": {SLOT: number % 8 == 4}}
        elif number % 4 == 1:
            told["orderInfo"]["instanceId"] += str(number)
        elif number % 4 == 2:
            told["deviceInfo"]["deviceIdentifier"]["serialNumber"] += str(number)
        yield json.dumps(told).encode() if number % 4 < 3 else b"x" * (number % 4_000)


def test_a_flood_of_notices_is_acknowledged_and_dropped_but_for_each_days_few(new_cloud: NewCloud, interpreter: Interpreter) -> None:
    """What comes a day after it counts again. With room for it: short of memory, a device drops more."""
    cloud = new_cloud(scale=FLOOD_SCALE, heap="160k")
    cloud.service.set_timings(ship_after_s=300 * DAY_S)
    agent = cloud.start()
    place(cloud, agent)
    real = cloud.operator.on(f"{BASE}/notice")[0].payload
    cloud.operator.close()  # it need not hear it all as well
    with cloud.broker.operator() as operator:
        operator.subscribe(f"{BASE}/result")
        for payload in junk(real, FLOOD[interpreter.name]):
            operator.publish_later(f"{BASE}/notice", payload)
        operator.publish(f"{BASE}/command", {"id": "after-the-flood", "name": "status", "args": {}})
        operator.expect(f"{BASE}/result", lambda message: message.json == {"id": "after-the-flood", "ok": True}, deadline_s=90)
    assert cloud.broker.log.count(f"Received PUBACK from {SERIAL} ") > FLOOD[interpreter.name]
    applied = Counter(str(line["t"])[:10] for line in agent.said("notice", result="applied"))
    assert A_DAYS_NOTICES - 1 <= max(applied.values()) <= A_DAYS_NOTICES  # a line's day may be the one after its notice's
    cloud.appliance.pass_time(DAY_S)
    wait_for(lambda: polls(cloud) == 1)  # at the end of its grace; it would ask again in a month
    cloud.service.advance(300 * DAY_S)
    agent.await_state(SLOT, "shipped")
    assert cloud.appliance.outcomes() == ["accepted"]
