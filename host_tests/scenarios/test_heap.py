"""A whole order, with TLS, in the heap of 64 KiB that the agent is to do with where objects have a board's size."""

from __future__ import annotations

from pathlib import Path

from host_tests.scenarios.appliance import CAPACITY, LOW, SLOT, Appliance
from host_tests.scenarios.interpreters import Interpreter


def test_a_slot_is_ordered_and_refilled_in_64_kib(board_like: Interpreter, tmp_path: Path) -> None:
    with Appliance(board_like, tmp_path, heap="64k") as appliance:
        appliance.set_level(LOW)
        agent = appliance.start()
        agent.await_state(SLOT, "placed")
        appliance.deliver()
        agent.await_state(SLOT, "awaiting_refill")
        appliance.set_level(CAPACITY)
        agent.await_state(SLOT, "idle")
        agent.stop()
        assert not [line for line in agent.lines if line.get("detail") == "out of memory"]
