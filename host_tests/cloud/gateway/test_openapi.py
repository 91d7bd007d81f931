"""The OpenAPI document: it is one, it says what there is, and whatever is sent by it is answered as it says."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.schemas import BaseSchema

from host_tests.cloud.gateway.copies import START
from host_tests.cloud.gateway.house import FIRST, House, running
from host_tests.mqtt.mosquitto import Mosquitto
from tools.cloud.gateway import schema
from tools.cloud.gateway.api import API
from tools.cloud.gateway.model import IntentId, Snapshot, State
from tools.cloud.gateway.settings import Settings

EXAMPLES = int(os.environ.get("EXAMPLES", "30"))


def plain(given: Settings) -> Settings:
    """Without TLS and, as it is one device that calls all the time, with room for its calls."""
    http = replace(given.http, plain=True, certificate=None, key=None, client_ca=None)
    return replace(given, http=http, gateway=replace(given.gateway, calls_per_minute=100_000, public_url=None), messages=None)


@pytest.fixture(scope="module")
def fuzzed(started_broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("fuzzed"), started_broker, plain) as house:
        yield house


@pytest.fixture(scope="module")
def described(fuzzed: House) -> Any:
    return schemathesis.openapi.from_url(f"{fuzzed.gateways[0].url}/openapi.json")


CALLS = {call.name: call for call in schema.CALLS}


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", CALLS)
def test_whatever_is_sent(name: str, mode: GenerationMode, fuzzed: House, described: BaseSchema) -> None:
    """No 5xx, and each answer has a status, headers and a body that the document has for it. Half of the calls are about an intent
    that exists."""
    call = CALLS[name]
    statuses: Counter[int] = Counter()
    fuzzed.shop.orders.setdefault(FIRST, Snapshot(IntentId("SN0001", "Coffee", 1), State.DELIVERED, quantity=2, created=START))
    operation = described[call.path][call.method]
    cases = operation.as_strategy(generation_mode=mode)
    if "{intent_id}" in call.path:
        cases = st.one_of(cases, operation.as_strategy(generation_mode=mode, path_parameters={"intent_id": FIRST}))

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(cases)
    def send(case: schemathesis.Case) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {fuzzed.token()}"})
        statuses[answer.status_code] += 1
        case.validate_response(answer)

    send()
    if mode is GenerationMode.POSITIVE and name != "replenish":
        assert statuses[200] + statuses[409] > EXAMPLES // 10


def test_the_calls_of_a_device_are_as_described(fuzzed: House) -> None:
    """Random intents are mostly not there: these are."""
    fuzzed.shop.orders.clear()
    body = {"intent_id": FIRST, "slot": "Coffee", "quantity": 2, "least": 1, "reason": "low"}
    answers = {
        "replenish": fuzzed.ask("POST", "/v1/replenish", body),
        "get": fuzzed.ask("GET", f"/v1/replenish/{FIRST}"),
        "cancel": fuzzed.ask("POST", f"/v1/replenish/{FIRST}/cancel", {}),
        "slots": fuzzed.ask("GET", "/v1/slots"),
    }
    shared = schema.document(None)["components"]
    for name, answer in answers.items():
        assert answer.status == 200, answer.body
        model = {"$ref": f"#/components/schemas/{CALLS[name].answer.__name__}", "components": shared}
        jsonschema.validate(answer.body, model)


def test_every_call_has_its_handler() -> None:
    assert {name.removeprefix("_") for name in vars(API)} >= CALLS.keys()


def test_where_it_is() -> None:
    assert "servers" not in schema.document(None)
    assert schema.document("https://gateway.example.com")["servers"] == [{"url": "https://gateway.example.com"}]

