"""How often a device may call, and how long a shop is left alone."""

from __future__ import annotations

import asyncio
import random

import pytest

from host_tests.cloud.gateway.copies import COFFEE, CUSTOMER, Clock
from host_tests.cloud.gateway.shop import Adapter
from host_tests.cloud.gateway.shop import Shop as Store
from tools.cloud.gateway.adapters import OutcomeUnknown, Unavailable
from tools.cloud.gateway.model import IntentId
from tools.cloud.gateway.rate import Rate
from tools.cloud.gateway.shops import Shop

ID = IntentId("SN0001", "Coffee", 1)


def test_calls_of_a_device() -> None:
    rate = Rate(6)
    assert [rate.wait_s("a", 100) for _ in range(7)] == [0] * 6 + [10]
    assert rate.wait_s("b", 100) == 0
    assert rate.wait_s("a", 105) == 5
    assert rate.wait_s("a", 110) == 0
    assert rate.wait_s("a", 110) == 10
    assert [rate.wait_s("a", 10_000) for _ in range(7)] == [0] * 6 + [10]
    assert rate.wait_s("a", 0) == 10  # a clock that goes back gives nothing


def test_devices_are_forgotten_for_want_of_room() -> None:
    rate = Rate(1, limit=2)
    for who in ("a", "b", "c"):
        assert rate.wait_s(who, 0) == 0
    assert rate.wait_s("c", 0) == 60
    assert rate.wait_s("a", 0) == 0


def test_a_shop_is_left_alone_for_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(0)
    adapter = Adapter(Store(clock.now))
    seen: list[tuple[str, str]] = []
    shop = Shop(adapter, clock.now, lambda name, call, outcome, seconds: seen.append((call, outcome)))
    monkeypatch.setattr(random, "uniform", lambda low, high: high)

    async def find() -> float | None:
        """How long to wait, None when it went well."""
        try:
            await shop.find(ID, COFFEE, CUSTOMER)
        except (Unavailable, OutcomeUnknown) as error:
            return getattr(error, "retry_after_s", None) or 0
        return None

    async def story() -> None:
        adapter.faults["find"] = ["down"] * 8
        waits = []
        for _ in range(8):
            assert await find() == 0
            waits.append(await find())
            clock.seconds += waits[-1] or 0
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
        assert adapter.calls == ["find"] * 8
        assert await find() is None
        adapter.faults["find"] = ["throttled"]
        assert await find() == 17
        assert await find() == 17
        clock.seconds += 17
        assert await find() is None
        assert seen == [("find", "unavailable")] * 8 + [("find", "ok"), ("find", "unavailable"), ("find", "ok")]

    asyncio.run(story())
