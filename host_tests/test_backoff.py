"""Full jitter: the bounds of each wait, and the service's own wish before it."""

from replenish.core import backoff

from host_tests.expect import cases

LAST = 16777215 / 16777216  # the largest fraction that the clock draws
WEEK = 604800


def test_the_ceiling_doubles_from_30_seconds_to_6_hours():
    ceilings = [backoff.ceiling_s(attempts) for attempts in range(1, 12)]
    assert ceilings == [30, 60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, 21600]
    assert backoff.ceiling_s(0xFFFF) == 21600  # the largest number of attempts that is kept


def check_bounds(attempts):
    ceiling = backoff.ceiling_s(attempts)
    assert backoff.delay_s(attempts, 0.0) == 1
    assert backoff.delay_s(attempts, LAST) in (ceiling - 1, ceiling)
    assert 0.4 * ceiling < backoff.delay_s(attempts, 0.5) < 0.6 * ceiling


def test_every_wait_is_between_a_second_and_the_ceiling():
    cases(check_bounds, [(attempts,) for attempts in (1, 2, 5, 10, 11, 12, 1000, 0xFFFF)])


def test_all_of_the_span_is_used_evenly():
    waits = [backoff.delay_s(11, i / 1000) for i in range(1000)]
    for tenth in range(10):
        inside = [wait for wait in waits if tenth * 2160 < wait <= (tenth + 1) * 2160]
        assert 95 <= len(inside) <= 105, (tenth, len(inside))


def check_retry_after(asked_s, added_s):
    for attempts in (1, 11):
        for random in (0.0, 0.5, LAST):
            assert backoff.delay_s(attempts, random, asked_s) == added_s + backoff.delay_s(attempts, random)


def test_retry_after_comes_before_the_jitter_and_is_bounded_to_a_week():
    cases(check_retry_after, [(0, 0), (1, 1), (7200, 7200), (WEEK, WEEK), (WEEK + 1, WEEK), (999999999, WEEK), (-5, 0)])
