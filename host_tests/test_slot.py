"""One slot: what counts as a level, a refill, a use and a need, and how often it is written."""

from replenish import config as configuration
from replenish.core.errors import SensorFault
from replenish.core.slot import Slot

from host_tests.expect import cases, raises

DAY = 86400
HOUR = 3600
START = 1800000000


def new_slot(rules=None, **given):
    """A slot of 10 that reorders at 3, with half an hour to confirm."""
    values = configuration.defaults()
    policy = values["policy"]
    policy["confirm_s"] = 1800
    policy.update(rules or {})
    slot = values["slot"]
    slot.update({"id": "A", "capacity": 10, "reorder_at": 3, "sensor": {"period_s": 60}})
    slot.update(given)
    return Slot(slot, policy)


def near(a, b, share=0.001):
    return abs(a - b) <= share * max(abs(a), abs(b))


# What is a level


def check_level(slot, value):
    slot.measure(value, START)
    assert slot.level.value == value and slot.level.at == START


def check_no_level(slot, value):
    assert "allowed" in str(raises(ValueError, slot.measure, value, START + 60))
    assert slot.level.value == 5 and slot.level.at == START


def test_a_level_is_a_number_from_0_to_1_2_times_the_capacity():
    cases(check_level, [(new_slot(), value) for value in (0, 0.0, 0.001, 3, 10, 11.9)])
    slot = new_slot()
    slot.measure(5, START)
    cases(check_no_level, [(slot, value) for value in (-0.001, -1, 12.1, 1e30, float("inf"), -float("inf"), float("nan"))])


class Sensor:
    def __init__(self, *readings):
        self.readings = list(readings)

    def read(self):
        reading = self.readings.pop(0)
        if isinstance(reading, Exception):
            raise reading
        return reading


def check_fault(reading, fault):
    slot = new_slot()
    sensor = Sensor(5, reading, 5.4)
    slot.sample(sensor, START)
    assert slot.fault() is None and slot.sample_at == START + 60
    slot.sample(sensor, START + 60)
    assert slot.fault() == fault and slot.level.value == 5 and slot.sample_at == START + 120
    slot.sample(sensor, START + 120)
    assert slot.fault() is None and slot.level.value == 5.4


def test_a_sensor_without_a_level_is_a_fault_until_it_has_one():
    table = [(OSError(19), "sensor_silent"), (ValueError("x"), "sensor_range"), (float("nan"), "sensor_range"), (-1, "sensor_range")]
    table += [(SensorFault("stuck"), "sensor_stuck"), (SensorFault("lifted"), "sensor_lifted")]
    table += [(SensorFault("uncalibrated"), "sensor_uncalibrated")]
    cases(check_fault, table)


def test_without_a_valid_time_a_level_is_shown_and_nothing_is_counted():
    slot = new_slot()
    slot.measure(2, 0)
    level = slot.level
    assert level.value == 2 and not (level.low_since or level.first_at or level.rise_since or slot.short_since)
    slot.measure(2, START)
    assert level.first_at == level.low_since == START


# Refills


def low(**given):
    """A slot that has been low for an hour, by START + 60; so that its need began then, it is told anew."""
    slot = new_slot(**given)
    slot.measure(10, START - 2 * HOUR)
    slot.measure(2, START - HOUR)
    slot.measure(2, START)
    slot.level.low_since = slot.short_since = 0
    slot.measure(2, START + 60)
    return slot


def test_a_rise_is_a_refill_when_it_has_lasted():
    slot = low()
    slot.measure(9.5, START + 120)
    slot.measure(9, START + 1919)
    assert slot.level.refills == 0 and slot.level.rise_since == START + 120
    slot.measure(9, START + 1920)
    level = slot.level
    assert (level.refills, level.refill_amount, level.rise_since, level.low_since) == (1, 7.5, 0, 0)
    slot.measure(9, START + 9999)
    assert level.refills == 1, "once"


def test_a_rise_that_does_not_last_begins_anew():
    slot = low()
    for i in range(20):
        slot.measure(9, START + 2000 * i + 120)
        slot.measure(9, START + 2000 * i + 1800)
        slot.measure(2, START + 2000 * i + 1980)
        assert slot.level.rise_since == 0
    assert slot.level.refills == 0


def check_no_rise(slot, value):
    for at in range(START + 120, START + 20000, 600):
        slot.measure(value, at)
    assert slot.level.refills == 0 and slot.level.rise_since == 0


def test_a_small_rise_or_one_below_the_threshold_is_no_refill():
    half_full = new_slot()
    half_full.measure(5, START)
    cases(check_no_rise, [(half_full, 5.49), (low(), 3), (low(), 2.4), (low(refill="manual"), 10), (low(refill="on_delivery"), 10)])
    slot = new_slot()
    slot.measure(5, START)
    slot.measure(5.6, START + 60)
    slot.measure(5.6, START + 1860)
    assert slot.level.refills == 1, "a twentieth of the capacity is none too small"


def test_noise_is_never_a_refill():
    slot = new_slot()
    for i in range(3000):
        slot.measure(6 + (i * 7919 % 100 - 50) / 250, START + 60 * i)  # 4 % of the capacity up and down
    assert slot.level.refills == 0


def test_no_confirmation_at_all_is_allowed():
    slot = new_slot({"confirm_s": 0})
    slot.measure(2, START)
    assert slot.lasted(slot.level.low_since, START)
    slot.measure(9, START)
    assert slot.level.refills == 1


def test_a_refill_reaches_the_order_once_and_takes_its_stock():
    slot = low(pack=20)
    slot.order.on_hand = 12.0
    slot.refill_by_person(9, START + 120)
    assert (slot.level.refills, slot.order.refills_seen, slot.order.on_hand) == (1, 1, 5)
    assert not slot.apply_refill(START + 180)
    assert slot.order.on_hand == 5


def test_the_number_of_a_refill_wraps():
    slot = low()
    slot.level.refills = slot.order.refills_seen = 0xFFFF
    slot.refill_by_person(None, START + 120)
    assert slot.level.refills == slot.order.refills_seen == 0
    assert slot.level.value == 10


def test_a_persons_word_is_checked_before_it_counts():
    slot = low()
    for value in (-1, 12.1, float("nan")):
        raises(ValueError, slot.refill_by_person, value, START)
        raises(ValueError, slot.stock_by_person, min(value, -1), START)
    for on_hand in (float("nan"), float("inf"), 1000000100):  # single precision has steps of 64 there
        fault = raises(ValueError, slot.stock_by_person, on_hand, START)
        assert "allowed: a number from 0 to 1000000000" in str(fault)
    assert slot.stock_by_person(1000000000, START) and slot.stock_by_person(0, START)
    assert slot.level.refills == 0 and slot.order.on_hand == 0 and slot.level.value == 2


# Use


def test_counted_use_starts_full_and_ends_empty():
    slot = new_slot(refill="manual", sensor=None)
    slot.use(1, START)
    assert slot.level.value == 9
    slot.use(0, START)
    assert slot.level.value == 9
    slot.use(100, START + 60)
    assert slot.level.value == 0
    for amount in (-0.1, float("nan")):
        raises(ValueError, slot.use, amount, START)
    assert slot.level.value == 0 and slot.level.last_use == START + 60


def test_use_is_never_a_refill():
    slot = low()
    slot.refill_by_person(9, START + 120)
    for i in range(5):
        slot.use(1, START + 180 + HOUR * i)
    assert slot.level.refills == 1 and slot.level.value == 4


# Rate and forecast


def used_daily(amount, days, start=100, every_s=600, **given):
    """A slot of 100 from which `amount` a day was taken in equal steps; and the time it is by then."""
    slot = new_slot(capacity=100, reorder_at=5, **given)
    for i in range(days * DAY // every_s + 1):
        slot.measure(start - amount * i * every_s / DAY, START + i * every_s)
    return slot, START + days * DAY


def test_no_forecast_before_three_days_were_seen():
    slot, now = used_daily(5, 2)
    assert slot.days_left(now) is None and slot.need(now) == ""
    assert slot.days_left(START + 3 * DAY - 1) is None
    assert slot.days_left(START + 3 * DAY) is not None
    assert new_slot().days_left(START) is None


def test_a_steady_use_is_known_in_its_first_week_and_later():
    for days in (3, 5, 10, 18):
        slot, now = used_daily(5, days)
        assert near(slot.level.rate, 5, 0.03), slot.level.rate
        assert near(slot.days_left(now), (100 - 5 * days) / 5, 0.03)


def test_how_often_a_sensor_is_read_does_not_matter_much():
    """A fall counts with the reading after it, so that a daily reading is a day behind, once."""
    for every_s, share in ((60, 0.03), (HOUR, 0.05), (DAY // 4, 0.1), (DAY, 0.3)):
        slot, now = used_daily(5, 10, every_s=every_s)
        assert near(slot.level.rate, 5, share), (every_s, slot.level.rate)


def test_stock_at_home_counts_as_much_as_what_is_loaded():
    slot, now = used_daily(5, 10)
    alone = slot.days_left(now)
    slot.stock_by_person(50.0, now)
    assert near(slot.days_left(now), 2 * alone, 0.02)


# Need


def test_low_is_at_or_below_the_threshold_stock_included():
    slot = new_slot()
    assert slot.need(START) == "", "nothing is known"
    for value, on_hand, need in ((3.1, 0, ""), (3, 0, "low"), (0, 0, "low"), (2, 1, "low"), (2, 1.5, ""), (0, 100, "")):
        slot.measure(value, START)
        slot.stock_by_person(on_hand, START)
        assert slot.need(START) == need, (value, on_hand)
        assert bool(slot.level.low_since) == bool(need)
        assert bool(slot.short_since) == (value <= 3), "short says nothing of stock"


def test_the_forecast_is_a_need_within_the_lead_time():
    for rate, days, lead_days in ((2, 46, 9), (5, 16, 4), (8, 10, 2)):
        slot, now = used_daily(rate, days, lead_days=lead_days)
        assert slot.need(now) == "forecast"
        asked = (now - slot.level.low_since) / DAY
        left = (100 - rate * days) / rate
        assert lead_days + 0.4 <= asked + left <= lead_days + 0.8, asked + left
    never, now = used_daily(5, 15, lead_days=0)
    assert never.need(now) == ""


def test_a_need_counts_from_its_beginning_without_a_break():
    slot = low()
    for i in range(10):
        slot.measure(2, START + 60 + 60 * i)
    assert slot.level.low_since == slot.short_since == START + 60
    assert not slot.lasted(slot.level.low_since, START + 60 + 1799)
    assert slot.lasted(slot.level.low_since, START + 60 + 1800)
    slot.measure(3.1, START + 700)
    assert slot.level.low_since == 0 and not slot.lasted(0, START + 10 * DAY)
    slot.measure(3, START + 760)
    assert slot.level.low_since == START + 760


# Writes


def check_day(most, least, every_s, value):
    """How often a level is written on a day of `value(i)`, once the first one is."""
    slot = new_slot()
    slot.measure(10, START)
    slot.level.saved(START)
    count = 0
    for i in range(DAY // every_s):
        now = START + (i + 1) * every_s
        slot.measure(value(i), now)
        slot.apply_refill(now)
        if slot.worth_saving(now):
            slot.level.saved(now)
            count += 1
    assert least <= count <= most, count


def test_a_day_has_few_writes_whatever_the_sensor_does():
    cases(
        check_day,
        [
            (0, 0, 60, lambda i: 10),
            (4, 4, 60, lambda i: 10 - i / 100000),  # slow use: by age
            (24, 16, 60, lambda i: 10 - i / 144),  # the whole slot in a day: by change
            (144, 100, 60, lambda i: i % 2 * 2),  # empty or nearly so
            (288, 100, 60, lambda i: 2 + i % 2 * 8),  # low and full in turn
            (288, 100, 10, lambda i: 2 + i % 2 * 8),
            (288, 100, 60, lambda i: 3 + i % 2 / 100),  # about the threshold
            (288, 100, 60, lambda i: 5 + i % 2),  # noise above a twentieth of the capacity
            (288, 100, 60, lambda i: (10, 2, 5, 3, 9)[i * 7919 % 5]),
        ],
    )


def saved(slot, now):
    slot.level.saved(now)
    return slot


def test_what_a_reboot_must_not_count_on_is_written_at_once():
    assert new_slot().worth_saving(START) is False, "nothing is known"
    slot = new_slot()
    slot.measure(10, START)
    assert slot.worth_saving(START), "the first level"
    slot = saved(low(), START + 60)
    slot.measure(4, START + 61)
    assert slot.worth_saving(START + 61), "a stored need that ended"
    slot = low()
    slot.measure(9, START + 120)
    slot = saved(slot, START + 120)
    slot.measure(2, START + 121)
    assert slot.worth_saving(START + 121), "a stored rise that ended"
    slot = saved(low(), START + 60)
    slot.refill_by_person(None, START + 61)
    assert slot.worth_saving(START + 61), "a refill"


def test_a_beginning_is_written_after_a_pause():
    slot = new_slot()
    slot.measure(10, START)
    slot = saved(slot, START)
    slot.measure(2, START + 599)
    assert not slot.worth_saving(START + 599)
    assert slot.worth_saving(START + 600)


def test_an_end_right_after_a_write_stores_no_other_beginning():
    slot = low()
    slot = saved(slot, START + 60)
    slot.measure(9, START + 120)
    assert slot.level.rise_since == START + 120
    assert slot.worth_saving(START + 120)
    assert (slot.level.low_since, slot.level.rise_since) == (0, 0)
    slot = saved(slot, START + 120)
    slot.measure(9, START + 180)
    assert slot.level.rise_since == START + 180, "it begins at the next look"
    slot.measure(9, START + 1980)
    assert slot.level.refills == 1
    slot = low()
    slot = saved(slot, START + 60)
    slot.measure(9, START + 660)
    assert slot.worth_saving(START + 660) and slot.level.rise_since == START + 660, "nothing flickers here"
