"""The clock: scaled time from two numbers, whole seconds on ticks, and randomness."""

from replenish.core import isotime
from replenish.io import clock

from host_tests.expect import cases
from host_tests.fakes.replaced import Replaced

WRAP = 1 << 30  # a 32-bit interpreter's ticks begin anew here


class Time:
    """MicroPython's `time`, moved by hand. Ticks begin a second before they wrap."""

    def __init__(self, now_s=1795300000):
        self.now_ns = now_s * 1000000000
        self.ticks = WRAP - 1000

    def pass_ms(self, ms):
        self.now_ns += ms * 1000000
        self.ticks = (self.ticks + ms) % WRAP

    def time_ns(self):
        return self.now_ns - isotime.EPOCH * 1000000000

    def time(self):
        return self.time_ns() / 1000000000

    def ticks_ms(self):
        return self.ticks

    def ticks_diff(self, a, b):
        return (a - b + WRAP // 2) % WRAP - WRAP // 2


def with_time(check, *args):
    """Call `check(time, ...)` while the clock's `time` is one of ours."""
    time = Time()
    with Replaced(clock, time=time):
        check(time, *args)


def check_now(time, scale_from, time_scale):
    made = clock.Clock(scale_from, time_scale, True)
    for ms in (0, 1, 998, 1, 1000, 86399999, 1):
        time.pass_ms(ms)
        real_ms = time.now_ns // 1000000
        assert made.now() == scale_from + (real_ms - scale_from * 1000) * time_scale // 1000, (ms, made.now())


def test_scaled_time_by_the_formula():
    table = [
        (0, 1),
        (1795300000, 1),
        (1795299990, 1),
        (1795300000, 60),
        (1795299990, 43200),
        (1795300100, 43200),
        (1795299999, 1000000),
    ]
    for row in table:
        with_time(check_now, *row)


def test_two_clocks_with_the_same_numbers_agree():
    def check(time):
        first = clock.Clock(1795299990, 43200, True)
        time.pass_ms(12345)
        second = clock.Clock(1795299990, 43200, True)
        assert first.now() == second.now() == 1795299990 + 22345 * 43200 // 1000

    with_time(check)


def test_it_is_known_whether_time_is_scaled():
    assert not clock.Clock(0, 1, False).scaled and clock.Clock(0, 60, True).scaled
    assert clock.Clock(0, 1, True).trusted is True and clock.Clock(0, 1, False).trusted is False


def check_elapsed(time, time_scale, steps):
    made = clock.Clock(0, time_scale, False)
    passed_ms = told_s = 0
    for ms in steps:
        time.pass_ms(ms)
        passed_ms += ms
        told_s += made.elapsed_s()
        assert told_s == passed_ms * time_scale // 1000, ms  # nothing is lost and nothing invented


def test_seconds_on_ticks_lose_nothing_across_the_wrap():
    steps = (0, 1, 999, 1, 999, 500, 500, 333, 333, 334, 86400000, 7, (1 << 29) - 1)
    for time_scale in (1, 7, 43200):
        with_time(check_elapsed, time_scale, steps)
    with_time(check_elapsed, 1, (1,) * 2500)


def check_real(time_scale, seconds, expected_ms):
    made = clock.Clock(0, time_scale, True)
    assert made.real_ms(seconds) == expected_ms
    assert expected_ms * time_scale >= seconds * 1000 > (expected_ms - 1) * time_scale, "rounded up, and no further"


def test_real_time_until_scaled_seconds_have_passed():
    table = [(1, 0, 0), (1, 1, 1000), (1, 604800, 604800000), (60, 1, 17), (60, 60, 1000), (43200, 1, 1), (43200, 43, 1)]
    cases(check_real, table + [(43200, 44, 2), (43200, 86400, 2000), (1000000, 1, 1), (1000000, 1001, 2), (1000000, 2592000, 2592)])


def test_fractions():
    drawn = [clock.Clock(0, 1, True).fraction() for _ in range(200)]
    assert min(drawn) >= 0 and max(drawn) < 1
    assert len(set(drawn)) > 190 and min(drawn) < 0.1 and max(drawn) > 0.9


class Source:
    """An `os` whose random bytes are known."""

    def __init__(self, data):
        self.data = data

    def urandom(self, size):
        assert size == len(self.data)
        return self.data


def fraction(data):
    with Replaced(clock, os=Source(data)):
        return clock.Clock(0, 1, True).fraction()


def test_the_ends_of_a_fraction():
    for data, value in ((b"\x00\x00\x00", 0), (b"\x80\x00\x00", 0.5), (b"\x00\x00\x01", 2**-24)):
        assert fraction(data) == value
    assert 0.99999 < fraction(b"\xff\xff\xff") < 1


def test_the_boards_own_time():
    """Not a fake: whole seconds of the interpreter's clock."""
    import time

    before = int(time.time()) + isotime.EPOCH
    now = clock.Clock(0, 1, True).now()
    assert before <= now <= int(time.time()) + isotime.EPOCH
