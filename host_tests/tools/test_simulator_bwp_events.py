"""The simulated store's events: their envelopes, who gets them, what goes wrong on the way, and how long they are tried."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from host_tests.tools.bwp_client import DAY, START, StoreClient, alias, order_input
from host_tests.tools.sns_subscriber import Subscriber
from tools.simulator import Clock, SimulatorThread
from tools.simulator.buywithprime.bus import EventBus
from tools.simulator.subscriptions import Attempt
from tools.simulator.world import World


class Receiver(StoreClient):
    """A store with one target, whose events are taken without a socket. `status` is how it answers, 0 not at all."""

    def __init__(self, clock: Clock | None = None, **options: Any) -> None:
        super().__init__(World(clock or Clock.manual(START)))
        self.bus: EventBus = self.world.bus
        self.target = self.bus.add_target("https://relay.test/events", api_key="a-key", **options)
        self.status = 200
        self.retry_after_s: int | None = None

    def take(self) -> list[Any]:
        """Send what is due now; the envelopes."""
        bodies = []
        while taken := self.bus.take():
            bodies.append(json.loads(taken[1].body))
            attempt = Attempt(self.world.clock.now(), 0.0, self.status, None, 1, self.retry_after_s)
            self.bus.finish(taken[1], attempt)
        return bodies

    def after(self, seconds: int) -> list[str]:
        """The types of what is sent after so many seconds."""
        self.world.advance(seconds)
        return [body["detail-type"] for body in self.take()]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver(types=["PACKAGE_DELIVERY_IN_TRANSIT", "PACKAGE_DELIVERED", "RETURN_STARTED"])


def test_a_thin_event(receiver: Receiver) -> None:
    order = receiver.create(desiredExecutionState="STARTED", aliases=[alias()])
    receiver.world.advance(DAY + 100)
    (event,) = receiver.take()
    package = order["packageInformation"]["details"][0]["id"]
    assert event == {
        "version": "0",
        "id": event["id"],
        "detail-type": "PACKAGE_DELIVERY_IN_TRANSIT",
        "source": "aws.partner/buywithprime/simulated-store",
        "account": "123456789012",
        "time": "2023-11-15T22:13:20Z",
        "region": "us-east-1",
        "resources": [f"businessProduct/{receiver.store.target_id}/order/{order['id']}/delivery/{package}"],
        "detail": {},
    }
    (delivery,) = receiver.bus.deliveries
    assert delivery.headers["x-api-key"] == "a-key"


def test_a_filled_event_has_a_key_of_its_own(receiver: Receiver) -> None:
    receiver.world.settings.change(bwp_envelope="filled")
    receiver.create(desiredExecutionState="STARTED")
    receiver.world.advance(DAY)
    (event,) = receiver.take()
    detail = event["detail"]
    assert base64.b64decode(detail["idempotencyKey"]).decode().partition("#")[2] == detail["eventId"]
    assert (detail["eventDescriptor"], detail["resources"]) == (event["detail-type"], event["resources"])
    assert (detail["apiVersion"], detail["eventTime"], detail["data"]) == ("2024-11-01", "2023-11-15T22:13:20.000Z", {})


def test_an_event_with_the_order_in_it(receiver: Receiver) -> None:
    receiver.world.settings.change(bwp_envelope="snapshot")
    order = receiver.delivered(aliases=[alias()])
    receiver.store.start_return(order["id"], by_hand=True)
    moving, there, started = (event["detail"]["data"]["order"] for event in receiver.take())
    assert (moving["id"], moving["aliases"]) == (order["id"], [alias()])
    # The state of when it happened, not of when it was sent.
    assert [order["packageInformation"]["summary"]["state"] for order in (moving, there)] == ["IN_TRANSIT", "DELIVERED"]
    assert started["returns"]["details"][0]["state"] == "CREATED"


def test_resources_of_returns_refunds_and_carriers() -> None:
    receiver = Receiver()
    receiver.world.settings.change(bwp_tracker_order=True)
    order = receiver.delivered()
    made = receiver.store.start_return(order["id"])
    receiver.world.advance(10 * DAY)
    place = f"businessProduct/{receiver.store.target_id}/order/{order['id']}"
    tails: dict[str, str] = {}
    for event in receiver.take():
        tails.setdefault(event["detail-type"], event["resources"][0].removeprefix(place))
    (refund,) = receiver.order(order["id"])["refunds"]["details"]
    (package,), (item,) = made.packages, made.lines
    assert {name: tail for name, tail in tails.items() if name.startswith("RE")} == {
        "RETURN_STARTED": f"/return/{made.id}",
        "RETURN_PACKAGE_IN_TRANSIT": f"/return/{made.id}/returnDelivery/{package.id}",
        "REFUND_REQUESTED": f"/refund/{refund['id']}",
        "RETURN_PACKAGE_DELIVERED": f"/return/{made.id}/returnDelivery/{package.id}",
        "RETURN_ITEM_GRADED": f"/return/{made.id}/returnLineItem/{item.id}",
        "RETURN_COMPLETED": f"/return/{made.id}",
    }
    assert "#" in made.id
    assert tails["PACKAGE_TRACKER_MILESTONE_CHANGED"].startswith("/carrier/ups/tracker/")


def test_a_carriers_event_may_leave_out_the_order() -> None:
    receiver = Receiver(types=["PACKAGE_TRACKER_MILESTONE_CHANGED"])
    receiver.delivered()
    resources = {event["resources"][0].rpartition("/")[0] for event in receiver.take()}
    assert resources == {f"businessProduct/{receiver.store.target_id}/carrier/ups/tracker"}


def test_only_what_was_subscribed_if_the_setting_says_so(receiver: Receiver) -> None:
    receiver.world.settings.change(eventbridge_subscribed=True)
    bridge = {"region": "us-east-1", "partnerEventSource": {"account": "123456789012", "name": "maker"}}
    receiver.call("createEventSubscription", input={"eventType": "PACKAGE_DELIVERED", "destination": {"eventBridge": bridge}})
    receiver.create(desiredExecutionState="STARTED")
    receiver.world.advance(4 * DAY)
    assert [(event["detail-type"], event["source"]) for event in receiver.take()] == [
        ("PACKAGE_DELIVERED", "aws.partner/buywithprime/maker"),
    ]


@pytest.mark.parametrize(
    ("fault", "then", "later"),
    [
        ({"kind": "lose"}, [], ["PACKAGE_DELIVERED"]),
        ({"kind": "duplicate"}, ["PACKAGE_DELIVERY_IN_TRANSIT"] * 2, ["PACKAGE_DELIVERED"]),
        ({"kind": "double"}, ["PACKAGE_DELIVERY_IN_TRANSIT"] * 2, ["PACKAGE_DELIVERED"]),
        ({"kind": "delay", "delay_s": 2 * DAY}, [], ["PACKAGE_DELIVERY_IN_TRANSIT", "PACKAGE_DELIVERED"]),
        ({"kind": "stale", "delay_s": 2 * DAY}, [], ["PACKAGE_DELIVERY_IN_TRANSIT", "PACKAGE_DELIVERED"]),
        ({"kind": "reorder"}, [], ["PACKAGE_DELIVERED", "PACKAGE_DELIVERY_IN_TRANSIT"]),
        ({"kind": "lose", "type": "PACKAGE_DELIVERED"}, ["PACKAGE_DELIVERY_IN_TRANSIT"], []),
    ],
    ids=["lose", "duplicate", "double", "delay", "stale", "reorder", "by type"],
)
def test_faults_of_events(receiver: Receiver, fault: dict[str, object], then: list[str], later: list[str]) -> None:
    receiver.bus.faults.add(**fault)
    receiver.create(desiredExecutionState="STARTED")
    assert receiver.after(DAY) == then
    assert receiver.after(2 * DAY) + receiver.after(DAY) == later


def test_a_doubled_event_keeps_its_key_and_a_duplicate_its_id_too(receiver: Receiver) -> None:
    receiver.world.settings.change(bwp_envelope="filled")
    receiver.bus.faults.add(kind="double")
    receiver.bus.faults.add(kind="duplicate")
    receiver.create(desiredExecutionState="STARTED")
    receiver.world.advance(DAY)
    doubled = receiver.take()
    receiver.world.advance(3 * DAY)
    duplicated = receiver.take()
    assert [len({event["detail"]["idempotencyKey"] for event in pair}) for pair in (doubled, duplicated)] == [1, 1]
    assert [len({event["id"] for event in pair}) for pair in (doubled, duplicated)] == [2, 1]


@pytest.mark.parametrize("bad", [{"type": "OrderPlacedNotification"}, {"slot": "Coffee"}, {"kind": "late"}])
def test_a_bad_fault_of_events(receiver: Receiver, bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="type is|unknown key 'slot'|unknown kind"):
        receiver.bus.faults.add(**bad)


def tries(receiver: Receiver, status: int, hours: int = 25) -> int:
    """How often an event is sent when it is always answered with that status."""
    receiver.status = status
    receiver.store.set_fates(default="unfulfillable")
    receiver.target.types = ("REFUND_REQUESTED",)
    receiver.create(desiredExecutionState="STARTED")
    receiver.world.advance(DAY)
    for _ in range(hours * 60):
        receiver.world.advance(60)
        receiver.take()
    (delivery,) = receiver.bus.deliveries
    return len(delivery.attempts)


@pytest.mark.parametrize("status", [0, 401, 429, 500, 503])
def test_an_event_is_tried_for_a_day(receiver: Receiver, status: int) -> None:
    assert 90 < tries(receiver, status) <= 186
    assert [entry.state for entry in receiver.bus.dead_letters] == ["dropped"]
    assert receiver.bus.counts == {"published": 1, "dropped": 1}
    (letter,) = receiver.bus.dead_letters
    assert letter.attempts[-1].time - letter.time <= DAY


@pytest.mark.parametrize("status", [302, 400, 403, 404])
def test_a_refused_event_is_dropped_at_once(receiver: Receiver, status: int) -> None:
    assert tries(receiver, status, hours=1) == 1
    assert len(receiver.bus.dead_letters) == 1


def test_the_number_of_retries_and_the_pause_a_target_asks_for(receiver: Receiver) -> None:
    receiver.world.settings.change(eventbridge_retries=2)
    receiver.retry_after_s = 3600
    assert tries(receiver, 503) == 3
    (delivery,) = receiver.bus.dead_letters
    assert [attempt.time - delivery.attempts[0].time for attempt in delivery.attempts] == [0, 3600, 7200]


def test_on_a_fast_clock_an_event_outlives_its_day() -> None:
    real = [START * 1_000_000_000]
    receiver = Receiver(Clock(START, 86_400, lambda: real[0]), types=["PACKAGE_DELIVERY_IN_TRANSIT"])
    receiver.status = 0
    receiver.create(desiredExecutionState="STARTED")
    for _ in range(100):
        real[0] += 1_000_000_000
        receiver.store.advance()
        receiver.take()
    (delivery,) = receiver.bus.deliveries
    # Once a real second, for a real minute.
    assert (delivery.state, len(delivery.attempts)) == ("dropped", 61)


def test_a_target_that_is_removed_gets_nothing_more(receiver: Receiver) -> None:
    receiver.delivered()
    receiver.bus.remove_target(receiver.target.arn)
    assert receiver.take() == []
    assert receiver.bus.counts["discarded"] == 2
    receiver.delivered()
    assert receiver.bus.counts["published"] == 2
    with pytest.raises(LookupError):
        receiver.bus.remove_target("arn:aws:events:none")


@pytest.mark.parametrize("bad", [{"url": "http://relay.test/"}, {"types": ["ORDER_PLACED"]}, {"api_key": "a\nb"}, {"header": "x y"}])
def test_a_bad_target(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="https://|one of|printable"):
        World(Clock.manual()).bus.add_target(**{"url": "https://relay.test/", **bad})


@pytest.fixture
def sim() -> Iterator[SimulatorThread]:
    with SimulatorThread(clock=Clock.manual(START)) as sim:
        yield sim


def test_events_go_over_https_with_the_key(sim: SimulatorThread, tmp_path: Path) -> None:
    with Subscriber(tmp_path) as target:
        target.statuses.append(500)
        sim.bus.add_target(target.url, target.ca, api_key="a-key", types=["PACKAGE_DELIVERED"])
        order = sim.store.create(order_input(desiredExecutionState="STARTED"))
        sim.advance(4 * DAY)
        sim.wait_until(lambda sim: len(sim.bus.deliveries[-1].attempts) == 1)
        sim.advance(4)
        sim.wait_until(lambda sim: sim.bus.settled and sim.bus.deliveries[-1].state == "delivered")
        first, again = target.got
        assert (first.text, first.headers["x-api-key"]) == (again.text, again.headers["x-api-key"])
        assert again.headers["x-api-key"] == "a-key"
        assert f"/order/{order.id}/delivery/" in json.loads(again.text)["resources"][0]
        assert "a-key" not in json.dumps(sim.bus.state())
