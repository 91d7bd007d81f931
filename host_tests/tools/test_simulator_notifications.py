"""The simulator's notifications, as the firmware reads them, and as a whole agent learns from them what polls would tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from replenish.services import call, notification

from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY, START
from host_tests.fakes.facts import kept
from tools.simulator.clock import Clock
from tools.simulator.journal import Event
from tools.simulator.lwa import CLIENT_ID
from tools.simulator.notifications import TYPES, VERSIONS, Notifications
from tools.simulator.orders import SlotKey
from tools.simulator.wire import Request
from tools.simulator.world import World

HOUR = 3600


class Messages(list[str]):
    """What a world notifies of, from now on."""

    def __init__(self, world: World, version: str = "2.0") -> None:
        super().__init__()
        self._notifications = Notifications(world.registry, world.book, version)
        world.events.subscribe(self._hear)

    def _hear(self, event: Event) -> None:
        message = self._notifications.render(event)
        if message is not None:
            self.append(message)


def whole_life(version: str) -> tuple[list[str], World]:
    """A device that is registered, orders twice, one order being cancelled, and goes."""
    world = World(Clock.manual(START))
    messages = Messages(world, version)
    world.add_device(model="acme-1", slots={"A": True, "B": False})
    world.book.open(SlotKey("SN0001", "A"), "B00SIMULAT")
    world.advance(10 * DAY)
    world.book.open(SlotKey("SN0001", "A"), "B00SIMULAT")
    world.advance(HOUR)
    world.book.cancel(SlotKey("SN0001", "A"))
    world.registry.deregister("SN0001")
    return messages, world


@pytest.mark.parametrize("version", VERSIONS)
def test_the_firmware_reads_every_one(version: str) -> None:
    messages, world = whole_life(version)
    read: list[Any] = [notification.read(message.encode(), "SN0001", "acme-1", 2) for message in messages]
    assert [entry for entry in read if isinstance(entry, str)] == []
    names = [json.loads(message)["notificationInfo"]["notificationType"] for message in messages]
    assert set(names) == set(TYPES.values())
    assert len({entry[1] for entry in read}) == len(read), "each has its own id"
    told = [event for event in world.events if event.kind in TYPES]
    assert [entry[2] for entry in read] == [event.time for event in told]
    first, second = (order.order_id for order in world.book.orders())
    abouts = [entry[3] for entry, event in zip(read, told, strict=True) if event.order_id]
    assert [about[:2] for about in abouts] == [("A", first), ("A", first), ("A", second), ("A", second)]
    assert START + 4 * DAY < abouts[0][2] == abouts[1][2] < START + 6 * DAY and abouts[3][2] == 0
    assert [entry[3] for entry in read if isinstance(entry[3], dict)] == [{"A": True}, {"A": True, "B": False}]


def test_a_version_that_is_none_is_refused() -> None:
    world = World(Clock.manual(START))
    with pytest.raises(ValueError, match=r"'3\.0': one of 1\.0, 2\.0"):
        Notifications(world.registry, world.book, "3.0")


class Household:
    """An appliance on the fake board whose service is a simulated world."""

    def __init__(self, version: str, **policy: int) -> None:
        self.world = World(Clock.manual(START))
        self.messages = Messages(self.world, version)
        self.appliance = Appliance(secrets={"refresh_token": self.world.add_device(model="acme-1", slots={"A": True})}, **policy)
        self.appliance.config["lwa"]["client_id"] = CLIENT_ID
        self.appliance.service = self
        self.appliance.restart()

    def close(self) -> None:
        """Like the agent's HTTP client."""

    def call(self, made: call.Request) -> call.Answer:
        """Like the agent's HTTP client."""
        self.world.advance(self.appliance.clock.seconds - self.world.clock.now())
        path = urlsplit(made.url).path
        _, delivery = self.world.receive(Request(made.method, path, tuple(made.headers.items()), made.body))
        head, _, body = delivery.payload.partition(b"\r\n\r\n")
        return call.Answer(int(head.split()[1]), {}, body)

    def live(self, seconds: int) -> None:
        self.appliance.live(seconds)
        self.world.advance(self.appliance.clock.seconds - self.world.clock.now())

    def order(self) -> None:
        self.appliance.sensors["A"].value = 2
        self.appliance.until_state("accepted", HOUR)


def cancel(household: Household) -> None:
    household.world.cancel_order("A")


LATE = {"kind": "resolved", "resolve_after_s": 70 * HOUR}
FATES: dict[str, tuple[Any, int, Callable[[Household], None] | None, int, str]] = {
    # what becomes of it, after how many hours the customer does something, how many more pass, the end
    "placed": ("success", 10, None, 10, "placed"),
    "shipped": ("success", 10, None, 30, "shipped"),
    "delivered": ("success", 10, None, 190, "awaiting_refill"),
    "cancelled": ("success", 10, cancel, 30, "held"),
    "cancelled in resolution": ("unresolved", 10, cancel, 30, "held"),
    "cancelled late": (LATE, 80, cancel, 10, "held"),
    "not resolved": ("unresolved", 10, None, 80, "held"),
    "resolved": ("resolved", 10, None, 30, "placed"),
}


def lived(fate: str, seed: int | None, version: str = "2.0") -> tuple[Any, Household]:
    """The outcome of an order. seed: the notices come all at the end, shuffled and doubled, without one: polls alone."""
    scenario, first_hours, act, more_hours, _ = FATES[fate]
    household = Household(version, poll_interval_s=HOUR if seed is None else 30 * DAY)
    household.world.set_scenarios("A", queue=[scenario])
    household.world.settings.status_generation = "newer" if fate == "shipped" else "older"  # the older words have none for that
    household.order()
    household.live(first_hours * HOUR)
    if act:
        act(household)
    household.live(more_hours * HOUR)
    if seed is not None:
        random = Random(seed)
        messages = household.messages + random.choices(household.messages, k=len(household.messages))
        random.shuffle(messages)
        for message in messages:
            household.appliance.agent.notice(message)
            if random.random() < 0.3:
                household.appliance.restart()
    household.live(HOUR)
    return kept(household.appliance.agent.slots[0]), household


@pytest.mark.parametrize("fate", FATES)
def test_shuffled_and_doubled_notices_tell_what_polls_tell(fate: str) -> None:
    polled, household = lived(fate, None)
    assert polled[0][0] == FATES[fate][4], polled
    assert household.world.summary()["calls"]["order_info"]["ok"] > 9  # type: ignore[index]
    for seed in range(6):
        noticed, household = lived(fate, seed, VERSIONS[seed % 2])
        assert noticed == polled, seed
        assert household.world.summary()["calls"].get("order_info", {}).get("ok", 0) < 4  # type: ignore[attr-defined]
        agent = household.appliance.agent
        assert not {"malformed", "unknown_type", "no_time"} & set(agent.dropped)
