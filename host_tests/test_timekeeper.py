"""Law 11: time is never guessed forward."""

from replenish.core.timekeeper import Timekeeper

HOUR = 3600
DAY = 86400
BUILT = 1795219200
KNOWN = BUILT + 100 * DAY


def test_no_valid_time_stays_none_however_long_it_runs():
    time = Timekeeper(0, BUILT)
    for wall in (0, 1, 946684800, BUILT - 1):
        assert time.update(wall, 3600, False) == 0
        assert time.update(wall, 3600, True) == 0, "a trusted clock is no truer before the build date"


def test_the_first_time_after_the_build_date_is_taken():
    for trusted in (False, True):
        assert Timekeeper(0, BUILT).update(BUILT, 5, trusted) == BUILT
        assert Timekeeper(0, BUILT).update(KNOWN + 10000 * DAY, 5, trusted) == KNOWN + 10000 * DAY


def test_what_was_known_is_a_floor():
    time = Timekeeper(KNOWN, BUILT)
    assert time.now == KNOWN
    for wall in (0, BUILT - 1, BUILT, KNOWN - 1):
        assert time.update(wall, 0, False) == KNOWN
        assert time.update(wall, 0, True) == KNOWN


def test_a_clock_that_jumps_back_is_held_and_ticks_go_on():
    for trusted in (False, True):
        time = Timekeeper(KNOWN, BUILT)
        assert time.update(KNOWN + HOUR, 0, trusted) == KNOWN + HOUR
        assert time.update(KNOWN - DAY, 60, trusted) == KNOWN + HOUR + 60
        assert time.update(KNOWN - DAY + 60, 60, trusted) == KNOWN + HOUR + 120
        assert time.update(KNOWN + 2 * HOUR, 60, trusted) == KNOWN + 2 * HOUR, "until it has caught up"


def test_an_advance_of_a_day_beyond_ticks_is_taken_and_a_second_more_is_not():
    time = Timekeeper(KNOWN, BUILT)
    assert time.update(KNOWN + HOUR + DAY, HOUR, False) == KNOWN + HOUR + DAY
    time = Timekeeper(KNOWN, BUILT)
    assert time.update(KNOWN + HOUR + DAY + 1, HOUR, False) == KNOWN + HOUR
    time = Timekeeper(KNOWN, BUILT)
    assert time.update(KNOWN + HOUR + DAY + 1, HOUR, True) == KNOWN + HOUR + DAY + 1, "its own second source"


def doubted(ahead_s=30 * DAY):
    time = Timekeeper(KNOWN, BUILT)
    assert time.update(KNOWN + ahead_s, 0, False) == KNOWN
    return time


def test_a_doubted_advance_runs_on_ticks_until_a_second_source_agrees_within_an_hour():
    time = doubted()
    assert time.update(KNOWN + 30 * DAY + 500, 500, False) == KNOWN + 500
    assert time.confirm(KNOWN + 30 * DAY + 500 + HOUR + 1) == KNOWN + 500
    assert time.confirm(KNOWN + 30 * DAY + 500 - HOUR - 1) == KNOWN + 500
    assert time.confirm(KNOWN + 30 * DAY + 500 + HOUR) == KNOWN + 30 * DAY + 500, "the clock's own time, not the source's"
    assert doubted().confirm(KNOWN + 30 * DAY - HOUR) == KNOWN + 30 * DAY


def test_a_second_source_alone_moves_nothing():
    time = Timekeeper(KNOWN, BUILT)
    assert time.confirm(KNOWN + 30 * DAY) == KNOWN
    time.update(KNOWN + HOUR, 0, False)
    assert time.confirm(KNOWN + 30 * DAY) == KNOWN + HOUR
    assert Timekeeper(0, BUILT).confirm(KNOWN) == 0


def test_a_doubt_that_was_confirmed_or_withdrawn_is_over():
    time = doubted()
    time.confirm(KNOWN + 30 * DAY)
    assert time.confirm(KNOWN + 30 * DAY + HOUR) == KNOWN + 30 * DAY
    time = doubted()
    assert time.update(KNOWN + 60, 60, False) == KNOWN + 60, "the clock was set right again"
    assert time.confirm(KNOWN + 30 * DAY) == KNOWN + 60


def test_time_never_runs_backwards():
    time = Timekeeper(0, BUILT)
    last = 0
    for step in range(2000):
        wall = BUILT + (step * 7919 % 1000 - 300) * 7200
        now = time.update(wall, step % 4 * 50, step % 5 == 0)
        if step % 7 == 0:
            now = time.confirm(wall + step % 9000 - 4500)
        assert now >= last, (step, last, now)
        last = now
    assert last > BUILT


def test_a_clock_beyond_what_records_can_hold_is_not_believed():
    end = 0xFFFF0000
    for trusted in (False, True):
        for wall in (end, end + DAY, end * 1000):
            assert Timekeeper(0, BUILT).update(wall, 0, trusted) == 0
            time = Timekeeper(KNOWN, BUILT)
            assert time.update(wall, 60, trusted) == KNOWN + 60
            assert time.confirm(wall) == KNOWN + 60
        assert Timekeeper(0, BUILT).update(end - 1, 0, trusted) == end - 1
