"""The firmware's own requests at the simulator, and its reading of what comes back, for every endpoint in both versions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from replenish.services import call, drs, drs_answers, registration

from tools.simulator import Clock, OrderState
from tools.simulator.drs import STATUS_WORDS
from tools.simulator.orders import DAY_S
from tools.simulator.wire import Request
from tools.simulator.world import World

START = 1_700_000_000
OK, ACCEPTED, IN_PROGRESS = (call.OUTCOMES.index(name) for name in ("ok", "accepted", "in_progress"))


class Slot:
    """What slotStatus tells of a slot."""

    id = "PaperTowel"
    capacity = 12
    value = 3.25
    last_use = START - 60
    first_at = START - DAY_S

    def __init__(self) -> None:
        self.level = self

    def at_home(self) -> float:
        return 0.5


class Bench:
    """A test device that is registered at a simulator without a socket."""

    def __init__(self) -> None:
        self.world = World(Clock.manual(START))
        self.world.add_device(slots={"PaperTowel": True, "Coffee": False}, test=True)
        self.token = self.world.lwa.access_token("SN0001")
        self.service = drs.Drs("https://drs.example")

    def ask(self, made: call.Request) -> call.Answer:
        """The answer to a request, as io/http.py would hand it over."""
        path = urlsplit(made.url).path
        _, delivery = self.world.receive(Request(made.method, path, tuple(made.headers.items()), made.body))
        head, _, body = delivery.payload.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return call.Answer(int(first.split()[1]), headers, body)

    def refused(self, made: call.Request) -> call.Answer:
        """The answer when the version that is wanted of it is unknown."""
        made.headers["x-amzn-accept-type"] += "9"
        return self.ask(made)


@pytest.fixture
def bench() -> Bench:
    return Bench()


Ask = Callable[[Bench], call.Request]
CALLS: dict[str, tuple[Ask, Callable[[call.Answer], Any], int]] = {
    "replenish": (lambda b: b.service.replenish(b.token, "PaperTowel"), drs_answers.read_replenish, ACCEPTED),
    "subscription_info": (lambda b: b.service.subscription_info(b.token), drs_answers.read_subscription_info, OK),
    "device_status": (lambda b: b.service.device_status(b.token, START), lambda a: drs_answers.read_status(a, "DeviceStatus"), OK),
    "slot_status": (
        lambda b: b.service.slot_status(b.token, Slot(), START + 1),
        lambda a: drs_answers.read_status(a, "SlotStatus"),
        OK,
    ),
    "cancel_slot": (lambda b: registration.cancel_test_orders(b.service, b.token, "Coffee"), registration.read_test_orders, OK),
    "cancel_all": (lambda b: registration.cancel_test_orders(b.service, b.token, None), registration.read_test_orders, OK),
    "deregister": (lambda b: registration.deregister(b.service, b.token), registration.read_deregister, OK),
    "deregister_1": (
        lambda b: registration.deregister_1(b.service, b.token, "acme-brewer-1", "SN0001"),
        registration.read_deregister,
        OK,
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_request_is_what_the_service_demands(bench: Bench, name: str) -> None:
    make, read, outcome = CALLS[name]
    refused = bench.refused(make(bench))
    assert call.OUTCOMES[read(refused)[0]] == "refused" and refused.headers["x-amzn-requestid"]
    answer = bench.ask(make(bench))
    assert read(answer)[0] == outcome
    assert answer.headers["x-amzn-type-version"] == make(bench).headers["x-amzn-accept-type"]


def test_subscriptions_in_both_versions(bench: Bench) -> None:
    expected = (OK, {"PaperTowel": True, "Coffee": False}, "2 slots")
    newer = bench.ask(bench.service.subscription_info(bench.token))
    assert b"productInfoList" in newer.body and drs_answers.read_subscription_info(newer) == expected
    assert drs_answers.is_version_refused(bench.refused(bench.service.subscription_info(bench.token)))
    older = bench.ask(drs.Drs("https://drs.example", True).subscription_info(bench.token))
    assert b"productInfoList" not in older.body and drs_answers.read_subscription_info(older) == expected


@pytest.mark.parametrize("generation", STATUS_WORDS)
@pytest.mark.parametrize("state", OrderState)
def test_every_status_of_both_generations_is_understood(bench: Bench, generation: str, state: OrderState) -> None:
    bench.world.settings.status_generation = generation
    word = STATUS_WORDS[generation][state]
    _, event_id, _ = drs_answers.read_replenish(bench.ask(bench.service.replenish(bench.token, "PaperTowel")))
    answer = bench.ask(bench.service.order_info(bench.token, event_id))
    was = STATUS_WORDS[generation][OrderState.ACCEPTED].encode()
    answer.body = answer.body.replace(was, word.encode())
    outcome, event, delivery_at, detail = drs_answers.read_order_info(answer, event_id, "PaperTowel")
    assert (outcome, detail) == (OK, word) and event > 0 and delivery_at > START
    answer.body = re.sub(rb'("expectedDeliveryDate": ?)"[^"]+"', rb"\1null", answer.body)
    assert drs_answers.read_order_info(answer, event_id, "PaperTowel") == (OK, event, 0, word)


def test_a_cancelled_test_order_frees_the_slot(bench: Bench) -> None:
    replenish = bench.service.replenish(bench.token, "PaperTowel")
    assert [drs_answers.read_replenish(bench.ask(replenish))[0] for _ in range(2)] == [ACCEPTED, IN_PROGRESS]
    said = registration.read_test_orders(bench.ask(registration.cancel_test_orders(bench.service, bench.token, "PaperTowel")))
    assert said[1] == ["PaperTowel"]
    assert drs_answers.read_replenish(bench.ask(replenish))[0] == ACCEPTED


def test_after_the_deregistration_every_token_is_dead(bench: Bench) -> None:
    bench.ask(registration.deregister(bench.service, bench.token))
    for name in ("replenish", "subscription_info", "device_status"):
        make, read, _ = CALLS[name]
        assert call.OUTCOMES[read(bench.ask(make(bench)))[0]] == "bad_token"
