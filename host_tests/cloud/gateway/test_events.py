"""Events of Buy with Prime on their way to a device: in memory, and from the simulated store through a relay on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tests.cloud.broker import FakeBroker
from host_tests.cloud.buywithprime.made import order, parcel, returned
from host_tests.cloud.buywithprime.test_events import inner, thin
from host_tests.cloud.gateway.test_buy_with_prime import CUSTOMER, DAY_S, INTENT, ITEM, SECRETS, START, settings_at
from tools.cloud.buywithprime.errors import APIError
from tools.cloud.buywithprime.events import RETURN_EVENTS, subscriptions
from tools.cloud.buywithprime.models import Order
from tools.cloud.gateway import events, tokens
from tools.cloud.gateway.adapters import Refused, Surroundings, Unavailable, buy_with_prime
from tools.cloud.gateway.adapters.buy_with_prime import BuyWithPrime
from tools.cloud.gateway.directory import FileDirectory
from tools.cloud.gateway.events import BuyWithPrimeEvents
from tools.cloud.gateway.model import Intent
from tools.cloud.outcomes import NotRelayed, Outcome
from tools.cloud.relay import Relay
from tools.cloud.settings import (
    AdminSettings,
    EventBridgeSettings,
    HTTPSettings,
    MQTTSettings,
    Settings,
    SettingsError,
    SNSSettings,
)
from tools.simulator import Clock, Simulator
from tools.simulator.tls import Authority

DIRECTORY = """
[customers.ada]
name = "Ada"
email = "ada@example.com"
[customers.ada.address]
street = "1 Main St"
locality = "Springfield"
region = "IL"
postal_code = "62701"
[customers.ada.devices.SN0001]
Coffee = {sku = "ACME-COFFEE-12", title = "Coffee, 12 cups", price = "12.99"}
"""
OURS = "bp-1"
KEY = "0123456789abcdef"


@pytest.fixture
def directory(tmp_path: Path) -> FileDirectory:
    file = tmp_path / "directory.toml"
    file.write_text(DIRECTORY)
    return FileDirectory([file], "USD")


class FakeOrders:
    """The adapter: looks that it gives one after the other, the last one again and again."""

    def __init__(self, *looks: Order | None | Exception, name: str | None = "SN0001-Coffee-1") -> None:
        self.looks = list(looks)
        self.name = name
        self.asked: list[str] = []

    async def by_id(self, order_id: str) -> tuple[str | None, Order] | None:
        self.asked.append(order_id)
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, Exception):
            raise look
        return (self.name, look) if look else None


def told(translation: BuyWithPrimeEvents, given: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(one.serial, json.loads(one.payload)) for one in asyncio.run(translation.notices(given))]


def test_order_is_read_again_and_its_device_told(directory: FileDirectory) -> None:
    fake = FakeOrders(order(["DELIVERED"], [returned(state="COMPLETED")]))
    found = told(BuyWithPrimeEvents(fake, directory, OURS), inner("RETURN_COMPLETED", data={"order": {"id": "O-9"}}))
    assert found == [
        (
            "SN0001",
            {
                "intent_id": "SN0001-Coffee-1",
                "slot": "Coffee",
                "state": "DELIVERED",
                "quantity": 3,
                "created": "2026-03-01T12:00:00Z",
                "returned": 1,
                "time": "2024-11-14T12:00:00Z",  # when the event happened
                "id": "a2V5",
            },
        )
    ]
    assert fake.asked == ["O-1"]


def test_old_name_of_an_event_is_understood(directory: FileDirectory) -> None:
    fake = FakeOrders(order(["DELIVERED"]))
    assert told(BuyWithPrimeEvents(fake, directory, OURS), thin("DELIVERY_COMPLETED"))


@pytest.mark.parametrize(
    ("name", "look"),
    [(None, order()), ("SN0009-Coffee-1", order()), ("SN0001-Tea-1", order()), ("SN0001-Coffee-x", order()), ("SN0001-Coffee-1", None)],
)
def test_order_without_an_intent_of_ours_is_not_for_a_device(name: str | None, look: Order | None, directory: FileDirectory) -> None:
    assert told(BuyWithPrimeEvents(FakeOrders(look, name=name), directory, OURS), thin()) == []


@pytest.mark.parametrize(
    "given",
    [
        thin("REFUND_REQUESTED", f"businessProduct/{OURS}/order/O-1/refund/F"),
        thin("BUYABILITY_CHANGED", f"businessProduct/{OURS}/items/I"),
        thin("PACKAGE_TRACKER_MILESTONE_CHANGED", f"businessProduct/{OURS}/carrier/C/tracker/T"),
        thin("NEVER_HEARD_OF"),
    ],
)
def test_event_that_concerns_no_device_reads_nothing(given: dict[str, Any], directory: FileDirectory) -> None:
    fake = FakeOrders(order())
    assert told(BuyWithPrimeEvents(fake, directory, OURS), given) == []
    assert fake.asked == []


def refusal(translation: BuyWithPrimeEvents, given: dict[str, Any]) -> Outcome:
    with pytest.raises(NotRelayed) as caught:
        translation.key(given)
        asyncio.run(translation.notices(given))
    return caught.value.outcome


def test_what_is_no_event_of_ours_is_refused(directory: FileDirectory) -> None:
    translation = BuyWithPrimeEvents(FakeOrders(order()), directory, OURS)
    assert refusal(translation, thin("ANY", "businessProduct/bp-2/order/O-1")) is Outcome.FOREIGN
    assert refusal(translation, thin(time="x")) is Outcome.MALFORMED


@pytest.mark.parametrize("error", [Unavailable(3), Refused("AccessDenied")])
def test_shop_that_does_not_tell_is_asked_again_later(error: Exception, directory: FileDirectory) -> None:
    translation = BuyWithPrimeEvents(FakeOrders(error, order(["IN_TRANSIT"])), directory, OURS)
    assert refusal(translation, thin()) is Outcome.SHOP
    assert [each["state"] for _, each in told(translation, thin())] == ["IN_TRANSIT"]


# Looks at one order as time goes on.
LOOKS = [
    order(metadata={"executionState": "NOT_STARTED"}),
    order(["PENDING"], metadata={"executionState": "STARTED"}),
    order(["IN_TRANSIT"], metadata={"executionState": "STARTED"}),
    order(["DELIVERED"], metadata={"executionState": "STARTED"}),
    order(["DELIVERED"], [returned(units={"L-1": 3})], metadata={"executionState": "STARTED"}),
    order(["DELIVERED"], [returned(units={"L-1": 3}, returnPackageDetails=[parcel("IN_TRANSIT", {"L-1": 3})])]),
    order(["DELIVERED"], [returned(units={"L-1": 3}, state="COMPLETED", returnPackageDetails=[parcel("DELIVERED", {"L-1": 3})])]),
]
STORY = ["PLACED", "STARTED", "IN_TRANSIT", "DELIVERED", "RETURNING", "RETURNING", "RETURNED"]


@given(data=st.data())
def test_any_order_of_events_and_looks_gives_the_same_end(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each event finds the order as it is, or as it was a while ago; the last thing that a device is told is the furthest."""
    file = tmp_path_factory.mktemp("directory") / "directory.toml"
    file.write_text(DIRECTORY)
    numbers = data.draw(st.permutations(range(len(LOOKS))))
    translation = BuyWithPrimeEvents(FakeOrders(*(LOOKS[number] for number in numbers)), FileDirectory([file], "USD"), OURS)
    heard = [told(translation, thin(time=f"2024-11-14T12:00:{second:02d}Z"))[0][1] for second in range(len(LOOKS))]
    furthest = [max(numbers[: number + 1]) for number in range(len(numbers))]
    assert [each["state"] for each in heard] == [STORY[number] for number in furthest]
    assert heard[-1]["returned"] == 3
    assert [each.get("returned", 0) for each in heard] == sorted(each.get("returned", 0) for each in heard)


def test_progress_of_few_orders_is_remembered(directory: FileDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_REMEMBERED", 1)
    other = LOOKS[2].model_copy(update={"id": "O-2"})
    translation = BuyWithPrimeEvents(FakeOrders(LOOKS[3], other, LOOKS[2]), directory, OURS)
    assert [told(translation, thin())[0][1]["state"] for _ in range(3)] == ["DELIVERED", "IN_TRANSIT", "IN_TRANSIT"]


# ---- The whole way


class World:
    """The store, a relay that it posts its events to, and a broker that hears what devices are told."""

    def __init__(self, sim: Simulator, made: Relay, broker: FakeBroker, adapter: BuyWithPrime) -> None:
        self.sim, self.relay, self.broker, self.adapter = sim, made, broker, adapter

    async def order(self) -> str:
        """The id of an order that has begun."""
        await self.adapter.order(Intent(INTENT, 2, 2), ITEM, CUSTOMER)
        await self.adapter.start(INTENT, ITEM, CUSTOMER)
        return str(self.sim.store.orders()[0].id)

    def heard(self) -> list[dict[str, Any]]:
        assert {topic for topic, _ in self.broker.published} <= {"replenish/SN0001/notice"}
        return [json.loads(payload) for _, payload in self.broker.published]

    async def settle(self) -> None:
        """Until every event that the store sent is taken or given up; time goes on while it waits to send one again."""
        while any(delivery.state == "pending" for delivery in self.sim.bus.deliveries):
            await asyncio.sleep(0.001)
            if not any(target.in_flight for target in self.sim.bus.targets):
                self.sim.advance(1)


@contextlib.asynccontextmanager
async def whole(folder: Path, **changed: Any) -> AsyncIterator[World]:
    authority = Authority(folder / "relay-ca")
    certificate, key = authority.write_server(folder)
    (folder / "directory.toml").write_text(DIRECTORY)
    async with Simulator(clock=Clock.manual(START), ca_dir=folder / "store-ca") as sim, FakeBroker() as broker:
        sim.settings.change(**changed)
        store = settings_at(sim)
        (folder / "gateway.toml").write_text(
            f"""
            secrets = "gateway-secrets.toml"
            [gateway]
            adapter = "buy_with_prime"
            directory = ["directory.toml"]
            [http]
            plain = true
            [tokens]
            keys = ["device.pub"]
            [mqtt]
            host = "localhost"
            tls = false
            [buy_with_prime]
            target_id = "{store.target_id}"
            url = "{store.url}"
            token_url = "{store.token_url}"
            ca = "store-ca/ca.pem"
            """
        )
        secrets = "\n".join(f'{name} = "{value}"' for name, value in SECRETS.items())
        (folder / "gateway-secrets.toml").write_text(f"[buy_with_prime]\n{secrets}\n")
        (folder / "device.pub").write_bytes(tokens.public_pem(tokens.new_key("EdDSA")))
        given = Settings(
            SNSSettings(["arn:aws:sns:eu-west-1:123456789012:drs"]),
            MQTTSettings("127.0.0.1", broker.port, tls=False),
            HTTPSettings("127.0.0.1", 0, certificate=str(certificate), key=str(key)),
            EventBridgeSettings(gateway=str(folder / "gateway.toml"), key=KEY),
            admin=AdminSettings(port=0),
        )
        around = Surroundings(sim.clock.now, None, 0)  # type: ignore[arg-type]
        async with Relay(given, sim.clock.now) as made, buy_with_prime.opened(store, SECRETS, around) as adapter:
            assert made.events_url
            sim.bus.add_target(made.events_url, authority.pem, KEY)
            yield World(sim, made, broker, adapter)


def run(story: Callable[[World], Awaitable[None]], folder: Path, **changed: Any) -> None:
    async def within() -> None:
        async with asyncio.timeout(30), whole(folder, **changed) as world:
            await world.relay.broker.wait_connected()
            await story(world)

    asyncio.run(within())


@pytest.mark.parametrize("envelope", ["thin", "filled", "snapshot"])
def test_device_hears_of_its_order_and_of_what_goes_back(envelope: str, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        name = await world.order()
        world.sim.advance(DAY_S)
        await world.settle()
        world.sim.advance(3 * DAY_S)
        await world.settle()
        world.sim.store.start_return(name)
        await world.settle()
        for _ in range(8):
            world.sim.advance(DAY_S)
            await world.settle()
        states = [each["state"] for each in world.heard()]
        assert list(dict.fromkeys(states)) == ["IN_TRANSIT", "DELIVERED", "RETURNING", "RETURNED"]
        last = world.heard()[-1]
        assert (last["intent_id"], last["quantity"], last["returned"]) == ("SN0001-Coffee-1", 2, 2)
        ids = [each["id"] for each in world.heard()]
        assert len(set(ids)) == len(ids)

    run(story, tmp_path, bwp_envelope=envelope)


def test_doubled_disordered_and_refused_events_are_told_once_each(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.order()
        world.sim.bus.faults.add(kind="double", count=0)
        world.sim.faults.add(kind="graphql_error", operation="order", family="AccessDenied", count=4)
        world.sim.advance(5 * DAY_S)
        await world.settle()
        heard = world.heard()
        assert {each["state"] for each in heard} == {"DELIVERED"}
        assert len({each["id"] for each in heard}) == len(heard)
        deliveries = list(world.sim.bus.deliveries)
        assert len({json.loads(each.body)["id"] for each in deliveries}) == len(deliveries) >= 2 * len(heard)
        assert 503 in [attempt.status for delivery in deliveries for attempt in delivery.attempts]

    run(story, tmp_path, bwp_envelope="filled")


def test_only_subscribed_events_come(tmp_path: Path) -> None:
    """Subscribed by the client, in the form that the store takes; twice is once too often."""

    async def story(world: World) -> None:
        name = await world.order()
        world.sim.advance(4 * DAY_S)
        assert list(world.sim.bus.deliveries) == []
        client = world.adapter._store
        for wanted in subscriptions("123456789012", "us-east-1", "acme-brewers", RETURN_EVENTS):
            assert await client.create_event_subscription(wanted)  # type: ignore[attr-defined]
        with pytest.raises(APIError) as caught:
            await client.create_event_subscription(wanted)  # type: ignore[attr-defined]
        assert caught.value.code == "SubscriptionAlreadyExists"
        world.sim.store.start_return(name)
        for _ in range(10):
            world.sim.advance(DAY_S)
            await world.settle()
        sent = [json.loads(delivery.body) for delivery in world.sim.bus.deliveries]
        assert {each["source"] for each in sent} == {"aws.partner/buywithprime/acme-brewers"}
        assert {each["detail-type"] for each in sent} == {*RETURN_EVENTS} - {"RETURN_PACKAGE_DELIVERY_FAILED"}
        assert world.heard()[-1]["state"] == "RETURNED"

    run(story, tmp_path, eventbridge_subscribed=True)


def test_stranger_at_the_door_changes_nothing(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.sim.bus.targets[0].headers = {"x-api-key": KEY[::-1]}
        await world.order()
        world.sim.advance(DAY_S)
        while not any(delivery.attempts for delivery in world.sim.bus.deliveries):
            await asyncio.sleep(0.001)
        assert {attempt.status for delivery in world.sim.bus.deliveries for attempt in delivery.attempts} == {401}
        assert world.heard() == []
        assert not [call for call in world.sim.calls if call.operation == "order" and '"orderId":' in call.body]

    run(story, tmp_path)


def test_gateway_without_the_adapter_translates_nothing(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        text = (tmp_path / "gateway.toml").read_text().split("[buy_with_prime]")[0].replace("buy_with_prime", "webhook")
        (tmp_path / "gateway.toml").write_text(text + '[webhook]\nurl = "https://shop.example.com"')
        (tmp_path / "gateway-secrets.toml").write_text('[webhook]\nkey = "x"')
        with pytest.raises(SettingsError, match=r"gateway\.adapter: not buy_with_prime: allowed: buy_with_prime, there or in"):
            async with Relay(world.relay.settings):
                pass

    run(story, tmp_path)
