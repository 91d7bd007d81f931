"""The device at its broker: a real mosquitto with TLS, passwords and rules, and real agents on each interpreter.

What the relay and the service bring to it is in test_notices.py; here an operator publishes what a test wants.
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
from host_tests.scenarios.appliance import CAPACITY, LOW, SLOT, Appliance
from host_tests.scenarios.interpreters import Interpreter
from tools.run.appliance import SERIAL

BASE = f"{PREFIX}/{SERIAL}"
HEAPS = {"micropython": "160k", "micropython32": "96k"}  # with MQTT over TLS
NewAppliance = Callable[..., Appliance]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("broker"), devices={SERIAL: "opensesame-0815"}) as made:
        yield made


@pytest.fixture
def operator(broker: Mosquitto) -> Iterator[Client]:
    with broker.operator() as client:
        client.subscribe(f"{BASE}/#")
        yield client


@pytest.fixture
def new_appliance(interpreter: Interpreter, tmp_path: Path, broker: Mosquitto) -> Iterator[NewAppliance]:
    """Makes appliances that live as long as the test."""
    made: list[Appliance] = []
    with ExitStack() as stack:

        def make(**options: Any) -> Appliance:
            options = {"heap": HEAPS.get(interpreter.name, ""), "broker": broker, **options}
            made.append(stack.enter_context(Appliance(interpreter, tmp_path, **options)))
            return made[-1]

        yield make
        for appliance in made:
            appliance.check()


def command(operator: Client, command_id: str, name: str, **args: object) -> None:
    operator.publish(f"{BASE}/command", json.dumps({"id": command_id, "name": name, "args": args}))


def result(operator: Client, command_id: str) -> dict[str, Any]:
    return dict(operator.expect(f"{BASE}/result", lambda message: message.json["id"] == command_id).json)


def test_state_commands_and_availability(new_appliance: NewAppliance, operator: Client) -> None:
    appliance = new_appliance()
    agent = appliance.start()
    operator.expect(f"{BASE}/availability", lambda message: message.payload == b"online")
    operator.expect(f"{BASE}/state", lambda message: message.json["slots"][SLOT]["level"] == CAPACITY)
    command(operator, "c-1", "hold")
    assert result(operator, "c-1") == {"id": "c-1", "ok": True}
    operator.expect(f"{BASE}/state", lambda message: message.json["device"]["held"])
    appliance.set_level(LOW)
    command(operator, "c-2", "resume")
    command(operator, "c-3", "open_the_pod_bay_doors")
    assert result(operator, "c-2")["ok"]
    assert "open_the_pod_bay_doors" in result(operator, "c-3")["error"]
    operator.expect(f"{BASE}/state", lambda message: message.json["slots"][SLOT]["order"]["state"] == "accepted")
    assert agent.stop() == 0
    operator.expect(f"{BASE}/availability", lambda message: message.payload == b"offline")
