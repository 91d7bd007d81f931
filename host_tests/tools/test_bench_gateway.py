"""`make bench PART=gateway`: a small run of it, and what its budgets say of a bad one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from host_tests.bench import gateway
from host_tests.mqtt.mosquitto import require_program


def test_two_gateways_make_one_order_of_each_intent(monkeypatch: pytest.MonkeyPatch) -> None:
    require_program()
    for name, value in {"DEVICES": 12, "PACED": 4, "PACED_PER_S": 100}.items():
        monkeypatch.setattr(gateway, name, value)
    found = asyncio.run(gateway.Bench(copies=2).run())
    assert (found["refused"], found["doubled"], found["missing"]) == (0, 0, 0)
    assert found["asked_per_order"] == 12  # twice its own id, nine that might be later ones, and the order
    assert 0 < found["paced_p50_ms"] <= found["paced_p99_ms"]
    assert "\n  2       " in next(gateway.tables([found]))


@pytest.mark.parametrize("fault", ["refused", "doubled", "missing"])
def test_a_refusal_a_double_and_a_loss_break_the_budgets(fault: str) -> None:
    good: dict[str, Any] = {"refused": 0, "doubled": 0, "missing": 0}
    assert all(budget.kept for budget in gateway.judged([good]))
    assert [budget.kept for budget in gateway.judged([good, {**good, fault: 1}])].count(False) == 1
