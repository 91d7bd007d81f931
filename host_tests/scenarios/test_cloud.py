"""The device at its broker: a real mosquitto with TLS, passwords and rules, and real agents on each interpreter.

What the relay and the service bring to it is in test_notices.py; here an operator publishes what a test wants.
"""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from host_tests.mqtt.client import Client
from host_tests.mqtt.mosquitto import PREFIX, Mosquitto, require_program
from host_tests.scenarios.appliance import CAPACITY, LOW, SLOT, Appliance
from host_tests.scenarios.interpreters import Interpreter
from host_tests.unix_port import translate
from tools.run.appliance import SERIAL

BASE = f"{PREFIX}/{SERIAL}"
HEAPS = {"micropython": "128k", "micropython32": "88k"}  # with MQTT over TLS
NewAppliance = Callable[..., Appliance]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    require_program()
    with Mosquitto(tmp_path / "broker", devices={SERIAL: "opensesame-0815"}) as made:
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


def test_what_was_kept_is_heard_before_anything_is_ordered(new_appliance: NewAppliance, operator: Client) -> None:
    """A board that sleeps: commands that came meanwhile are obeyed in their order, each answered once, before the first call."""
    appliance = new_appliance(scale=20_000)
    appliance.wake()  # makes the session
    ids = [str(uuid.uuid4()) for _ in range(7)]
    for number, command_id in enumerate(ids):
        command(operator, command_id, "stock", slot=SLOT, on_hand=number / 10)
    command(operator, "stop", "hold")
    appliance.set_level(LOW)
    appliance.wake()
    state = operator.expect(f"{BASE}/state", lambda message: message.json["device"]["held"]).json
    assert state["slots"][SLOT]["on_hand"] == 0.6
    assert [message.json["id"] for message in operator.on(f"{BASE}/result")] == [*ids, "stop"]
    assert appliance.orders() == []
    command(operator, "go", "resume")
    wake = appliance.wake()
    assert len(appliance.orders()) == 1
    assert result(operator, "go") == {"id": "go", "ok": True}
    operator.expect(f"{BASE}/state", lambda message: message.json["slots"][SLOT]["order"]["state"] == "accepted")
    assert wake.said("cloud", state="lost") == []


def test_a_broker_that_goes_and_comes_back(new_appliance: NewAppliance, broker: Mosquitto, operator: Client) -> None:
    """A clean stop, a kill, and one that has forgotten all sessions: the agent backs off, comes back and hears what is sent."""
    appliance = new_appliance()
    agent = appliance.start()
    agent.expect(event="cloud", state="connected")
    broker.restart()
    agent.expect(event="cloud", state="lost")
    assert agent.expect(event="cloud", state="connected")["session"] == "kept"
    operator.wait(lambda: operator.connections > 1 or None, "the operator's own return")
    command(operator, "c-restart", "status")
    assert result(operator, "c-restart")["ok"]
    broker.kill()
    broker.forget()
    agent.expect(event="cloud", state="lost")
    broker.start()
    assert agent.expect(event="cloud", state="connected")["session"] == "new"
    with broker.operator() as again:
        again.subscribe(f"{BASE}/result")
        command(again, "c-kill", "status")
        assert result(again, "c-kill")["ok"]
    assert agent.stop() == 0


def test_junk_costs_nothing_and_never_the_connection(new_appliance: NewAppliance, operator: Client) -> None:
    appliance = new_appliance()
    agent = appliance.start()
    agent.expect(event="cloud", state="connected")
    junk = [b"", b"{", b"\xff" * 300, b"x" * 200_000, json.dumps({"id": 1}).encode(), b'{"id":"a b","name":"hold"}', b"[" * 2000]
    for payload in junk:
        for topic in ("notice", "command"):
            operator.publish(f"{BASE}/{topic}", payload)
    command(operator, "after", "status")
    assert result(operator, "after")["ok"]
    assert [message.json["id"] for message in operator.on(f"{BASE}/result")] == ["after"]
    assert agent.said("cloud", state="lost") == []
    assert agent.stop() == 0


def test_a_wrong_password_is_told_and_levels_and_orders_go_on(new_appliance: NewAppliance, broker: Mosquitto) -> None:
    appliance = new_appliance(mqtt={"user": "SN0002"})
    agent = appliance.start()
    assert "broker refuses: 5" in str(agent.expect(event="cloud", state="lost")["detail"])
    appliance.set_level(LOW)
    agent.await_state(SLOT, "accepted", "placed")
    assert agent.stop() == 0


def test_a_device_shows_its_own_certificate(new_appliance: NewAppliance, broker: Mosquitto, operator: Client) -> None:
    """Mutual TLS, as AWS IoT Core wants it; and two connections at a time, where the board has the memory."""
    own = broker.client_certificate(SERIAL)
    tls = {"certificate": str(own.certificate_der), "key": str(own.key_der), "sockets": 2}
    appliance = new_appliance(mqtt={"port": broker.mutual_port, "user": None}, tls=tls, heap="256k")
    agent = appliance.start()
    agent.expect(event="cloud", state="connected")
    appliance.set_level(LOW)
    operator.expect(f"{BASE}/state", lambda message: message.json["slots"][SLOT]["order"]["state"] == "accepted")
    command(operator, "mutual", "status")
    assert result(operator, "mutual")["ok"]
    assert len(agent.said("cloud")) == 1, "calls are made beside the connection"
    assert agent.stop() == 0


def test_home_assistant_is_told_within_the_broker_s_rules(new_appliance: NewAppliance, broker: Mosquitto) -> None:
    appliance = new_appliance(mqtt={"discovery": "homeassistant"})
    with broker.operator() as operator:
        operator.subscribe("homeassistant/#")
        agent = appliance.start()
        operator.expect("homeassistant/sensor/+/+/config", count=3)
        told = [message.json for message in operator.on("homeassistant/#")]
    assert {message["stat_t"].replace("~", message["~"]) for message in told} == {f"{BASE}/state"}
    assert len({message["uniq_id"] for message in told}) == 3
    assert agent.said("cloud", state="lost") == []
    assert agent.stop() == 0


def test_an_idle_step_at_the_broker_makes_no_garbage(new_appliance: NewAppliance, interpreter: Interpreter) -> None:
    if interpreter.is_cpython:
        pytest.skip("a heap that can be locked")
    appliance = new_appliance(scale=1)
    environment = interpreter.environment()
    program = translate.place(Path(__file__).with_name("idle_device.py"))
    command = interpreter.command(program, str(appliance.config), heap="256k")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.endswith("idle True\n"), done.stdout + done.stderr
