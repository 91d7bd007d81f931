"""The virtual clock."""

import pytest

from tools.simulator.clock import Clock

NS = 1_000_000_000


class Real:
    """A real time source that a test moves."""

    def __init__(self, seconds: int) -> None:
        self.ns = seconds * NS

    def __call__(self) -> int:
        return self.ns


def test_at_scale_one_virtual_time_is_real_time() -> None:
    assert Clock(0, 1, Real(1_700_000_123)).now() == 1_700_000_123
    assert Clock(1_600_000_000, 1, Real(1_700_000_123)).now() == 1_700_000_123


def test_time_runs_faster_from_the_instant_of_leaving() -> None:
    real = Real(1000)
    clock = Clock(1000, 43_200, real)
    assert clock.now() == 1000
    real.ns += 60 * NS
    assert clock.now() == 1000 + 30 * 86_400


def test_two_clocks_with_the_same_numbers_agree_to_the_second() -> None:
    # One nanosecond before the full second: a double would round up to it.
    real = Real(1_700_000_000)
    real.ns -= 1
    assert Clock(0, 43_200, real).now() == 1_700_000_000 * 43_200 - 1


def test_advance_moves_the_time_on_top_of_the_scale() -> None:
    real = Real(1000)
    clock = Clock(1000, 10, real)
    assert clock.advance(86_400) == 87_400
    real.ns += 3 * NS
    assert clock.now() == 87_430


def test_a_manual_clock_stands_until_it_is_advanced() -> None:
    clock = Clock.manual(5000)
    assert (clock.now(), clock.now()) == (5000, 5000)
    clock.advance(7)
    assert clock.now() == 5007


@pytest.mark.parametrize("seconds", [-1, 10**12])
def test_time_neither_goes_back_nor_leaves_the_calendar(seconds: int) -> None:
    clock = Clock.manual(5000)
    with pytest.raises(ValueError, match="cannot advance"):
        clock.advance(seconds)
    assert clock.now() == 5000


def test_a_negative_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="time_scale"):
        Clock(0, -1)
