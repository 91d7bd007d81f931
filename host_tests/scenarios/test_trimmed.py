"""A firmware that was built for one appliance, without what that never uses, lives through a whole order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host_tests.mqtt.mosquitto import Mosquitto
from host_tests.scenarios import backends
from host_tests.scenarios.appliance import CAPACITY, LOW, SLOT, Appliance
from host_tests.scenarios.interpreters import Interpreter
from tools import archive, boards, build, trim
from tools.target import Target
from tools.unix_agent import load_config


@pytest.mark.parametrize("cloud", [False, True], ids=["alone", "with mqtt"])
@pytest.mark.parametrize("backend", backends.NAMES)
def test_a_trimmed_firmware_lives_through_an_order(
    board_like: Interpreter, tmp_path: Path, backend: str, cloud: bool, mosquitto: Mosquitto
) -> None:
    if backend == "gateway" and not cloud:
        pytest.skip("a gateway's news come by MQTT in these scenarios")
    with Appliance(board_like, tmp_path, backend=backend, broker=mosquitto if cloud else None) as appliance:
        values = json.loads(appliance.config.read_text())
        values["board"] = {"profile": "product"}
        tree = tmp_path / "tree"
        made_for = Target(boards.load("unix"), {**load_config(appliance.config), "board": values["board"]})
        made = build.build_tree(made_for, build.FIRMWARE, tree, build.BUILD / "bin/mpy-cross", archive.umqtt_simple())
        assert len(made.left_out) >= 4
        agent = appliance.start_bare(tree)
        agent.expect(event="level", slot=SLOT, level=str(CAPACITY))
        appliance.set_level(LOW)
        agent.await_state(SLOT, "placed")
        appliance.deliver()
        agent.await_state(SLOT, "awaiting_refill")
        appliance.set_level(CAPACITY)
        agent.await_state(SLOT, "idle")
        assert agent.said("order", slot=SLOT)[-1]["reason"] == "refilled"
        assert appliance.outcomes() == ["accepted"]
        agent.stop()
        appliance.check()
        gone = [name for names in made.left_out.values() for name in names]
        assert gone and not any((tree / "lib/replenish" / f"{name}.mpy").exists() for name in gone)
        assert trim.drivers(values) == {"file"}
