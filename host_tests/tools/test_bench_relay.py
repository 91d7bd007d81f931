"""`make bench PART=relay`: a small run of it, and what its budgets say of a bad one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from host_tests.bench import relay
from host_tests.bench.fleet import length_of, packet
from host_tests.mqtt.mosquitto import require_program


def test_two_relays_bring_every_message_to_its_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    require_program()
    for name, value in {"WARM_UP": 10, "FLAT_OUT": 150, "PACED": 30, "REPEATED": 20}.items():
        monkeypatch.setattr(relay, name, value)
    found = asyncio.run(relay.Bench(copies=2, devices=40).run())
    assert found["posted"] == 10 + 150 + 30 + 2 * 20
    assert (found["refused"], found["lost"], found["doubled"]) == (0, 0, 0)
    assert found["doubled_of_repeated"] == 20  # the relays know nothing of each other; it is the device that knows a notice again
    assert 0 < found["paced_p50_ms"] <= found["paced_p99_ms"]
    assert "\n  2            40  " in next(relay.tables([found]))


def run(**changed: Any) -> dict[str, Any]:
    return {"copies": 1, "devices": 10, "lost": 0, "refused": 0, "doubled": 0, "mb_at_end": 60.0, **changed}


@pytest.mark.parametrize("fault", [{"lost": 1}, {"refused": 1}, {"doubled": 1}, {"devices": 10_000, "mb_at_end": 65.0}])
def test_a_loss_a_refusal_a_double_and_memory_for_devices_break_the_budgets(fault: dict[str, Any]) -> None:
    assert all(budget.kept for budget in relay.judged([run(), run(devices=10_000)]))
    assert [budget.kept for budget in relay.judged([run(), run(**fault)])].count(False) == 1


def test_a_message_that_did_not_arrive_is_lost_and_one_that_did_twice_is_doubled() -> None:
    bench = relay.Bench(copies=1, devices=2)
    for number in range(3):
        bench.messages.posted[number] = 0.0
    for number in (0, 1, 1):
        bench.messages.arrived(b'{"notificationId": "n.%d"}' % number)
    found = bench.delivered(range(3), range(3, 3))
    assert (found["lost"], found["doubled"]) == (1, 1)


@pytest.mark.parametrize("size", [0, 127, 128, 20_000])
def test_the_fleets_packets_have_their_length(size: int) -> None:
    whole = packet(0x30, bytes(size))
    found = length_of(whole)
    assert found and sum(found) == len(whole) and found[0] == size
    assert length_of(whole[:1]) is None
