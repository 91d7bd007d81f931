"""Levels that earn trust: a real sensor's ways, and counted use beside it. Each story says what is used, what is a refill, and
what is needed; the sensor is read as the agent reads it, once a minute, and again when a reading jumps."""

from replenish.core.errors import SensorFault, Settling
from replenish.store.ledger import Ledger
from replenish.store.recovery import Recovery

from host_tests.expect import cases, raises
from host_tests.fakes import chance
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import Store
from host_tests.test_slot import DAY, HOUR, START, near, new_slot

MINUTE = 60


class Bench:
    """A slot of 100, low at 20, ten minutes to confirm, on a sensor that a test sets; `use` is the sum of what was counted."""

    def __init__(self, value=80.0, **given):
        given.setdefault("capacity", 100)
        given.setdefault("reorder_at", 20)
        self.slot = new_slot({"confirm_s": 600}, **given)
        self.level = self.slot.level
        self.value = value
        self.now = START
        self.shown = set()
        self.live(HOUR)

    def read(self):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value() if callable(self.value) else self.value

    def live(self, seconds, value=None):
        """So long with this reading; an exception is raised, a function is asked each time."""
        self.value = self.value if value is None else value
        end = self.now + seconds
        while self.now < end:
            if self.now >= self.slot.sample_at:
                self.slot.sample(self, self.now)
                self.shown.add(self.level.value)
            self.now += 10
        return self

    def use(self):
        """All that was ever counted as use: in these stories it falls into one day."""
        return self.level.used

    def check(self, value, use, refills=0):
        assert abs(self.level.value - value) < 0.01, self.level.value
        assert abs(self.use() - use) < 0.01, self.use()
        assert self.level.refills == refills and self.slot.fault() is None


# One bad reading


def check_bad_reading(level, bad):
    bench = Bench(level)
    need = bench.level.low_since
    for _ in range(20):
        bench.live(MINUTE, bad).live(5 * MINUTE, level)
    assert bench.shown == {level}, "not even shown"
    bench.check(level, 0)
    assert bench.level.low_water == bench.level.base == level
    assert bench.level.low_since == need and not bench.level.rise_since


def test_one_bad_reading_changes_nothing():
    cases(check_bad_reading, [(80, 0), (80, 21), (80, 100), (10, 100), (10, 60), (10, 0), (50, 44), (100, 0)])


def test_a_dip_of_less_than_a_step_is_no_use():
    bench = Bench(80)
    for _ in range(20):
        bench.live(MINUTE, 76).live(5 * MINUTE, 80)
    assert 76 in bench.shown, "it is near enough to be shown"
    bench.check(80, 0)


def test_a_small_dip_between_rare_readings_is_no_use():
    bench = Bench(80, sensor={"period_s": 1800})
    for _ in range(5):
        bench.live(1800, 76).live(3600, 80)
    assert 76 in bench.shown
    bench.check(80, 0)


def test_a_bad_reading_is_no_use_and_no_refill_when_it_is_the_only_one_of_a_wake():
    """A board that sleeps deeply reads once in each wake, and keeps only what is durable; an hour lies between two readings."""
    ledger = Ledger(Store())
    now = START
    for reading in [80] * 5 + [0] + [80] * 5 + [40] * 8:
        now += HOUR
        wake = new_slot({"confirm_s": 600}, capacity=100, reorder_at=20)
        Recovery(ledger).level(wake)
        wake.measure(reading, now)
        assert wake.level.value == reading, "a wake's only reading is taken"
        if wake.worth_saving(now):
            ledger.save_level(wake, now)
    assert wake.level.refills == 0 and wake.level.low_water == 40 and wake.level.used == 40


def check_change(first, second):
    bench = Bench(first)
    bench.slot.sample_at = bench.now
    bench.value = second
    bench.slot.sample(bench, bench.now)
    assert bench.level.value == first and bench.slot.sample_at == bench.now + MINUTE
    bench.slot.sample(bench, bench.now + MINUTE)
    assert bench.level.value == second, "within two readings"


def test_a_lasting_change_is_shown_with_the_second_reading():
    cases(check_change, [(80, 10), (80, 70), (10, 90), (80, 0), (0, 100)])


def test_a_rare_reading_that_jumps_is_repeated_after_a_minute():
    slot = new_slot(sensor={"period_s": DAY})
    bench = Bench()
    bench.value = 8
    slot.sample(bench, START)
    bench.value = 2
    slot.sample(bench, START + DAY)
    assert slot.level.value == 8 and slot.sample_at == START + DAY + 60
    slot.sample(bench, START + DAY + 60)
    assert slot.level.value == 2 and slot.sample_at == START + 2 * DAY + 60


def test_two_bad_readings_to_both_sides_change_nothing():
    bench = Bench(80)
    for reading in (0, 110, 0, 110):
        bench.live(MINUTE, reading)
    bench.live(HOUR, 80)
    assert bench.shown == {80}
    bench.check(80, 0)


def test_a_refill_between_two_rare_readings_is_seen_whole():
    """Six hours lie between readings; the low level was read twice, a minute apart, and stood until the next one."""
    slot = new_slot(sensor={"period_s": 6 * HOUR})
    bench, now = Bench(), START
    for reading in (8, 8, 2, 9, 9):
        bench.value = reading
        slot.sample(bench, now)
        if slot.doubt is not None:
            slot.sample(bench, now + MINUTE)
        now += 6 * HOUR
    assert (slot.level.refills, slot.level.refill_amount, slot.level.used) == (1, 7, 6)


def test_a_level_that_falls_fast_is_followed_one_reading_behind():
    bench = Bench(100)
    bench.live(8 * MINUTE, lambda: 100 - (bench.now - START - HOUR) // MINUTE * 10)
    assert bench.level.value == 40, bench.level.value


def test_the_first_reading_is_all_there_is():
    bench = Bench(7)
    assert bench.shown == {7} and bench.level.low_since == START


def test_a_doubt_orders_nothing():
    """Low for ten minutes less one, then a reading that says otherwise: it may be the end of the need (law 7)."""
    appliance = Appliance(slots=({"id": "A", "sensor": {"period_s": 60}},))
    appliance.live(HOUR)
    appliance.sensors["A"].value = 2
    appliance.live(660)
    appliance.sensors["A"].value = 5
    appliance.live(HOUR)
    assert appliance.service.count("replenish") == 0


# What a sensor does


def test_gaussian_noise_is_no_use_no_refill_and_no_need():
    dice = chance.Random(5)

    def noisy():
        return 50 + sum([dice.fraction() - 0.5 for _ in range(12)]) * 1.5  # a sigma of 1.5 % of the capacity

    bench = Bench(50)
    bench.live(DAY // 3, noisy)
    assert max(bench.shown) - min(bench.shown) > 6, "it was noisy"
    assert bench.level.refills == 0 and not bench.level.rise_since and not bench.level.low_since
    assert bench.use() < 5, "at most what the noise is wide, once"


def test_noise_between_rare_readings_is_no_refill():
    """A reading an hour: two in a row that are high are not rare, after two that were low."""
    dice = chance.Random(11)

    def noisy():
        return level + sum([dice.fraction() - 0.5 for _ in range(12)]) * 2  # a sigma of 2 % of the capacity

    level = 60
    bench = Bench(noisy, sensor={"period_s": HOUR})
    bench.live(60 * DAY)
    assert max(bench.shown) - min(bench.shown) > 10, "it was noisy"
    assert bench.level.refills == 0
    level = 90
    bench.live(3 * HOUR)
    assert bench.level.refills == 1 and 22 < bench.level.refill_amount < 42


def test_a_coarse_sensor_is_counted_by_its_steps():
    bench = Bench(100)
    began = bench.now
    bench.live(DAY // 3, lambda: round((100 - (bench.now - began) / 720) / 4) * 4)  # 40 in eight hours, in steps of 4
    assert bench.level.refills == 0
    assert 32 <= bench.use() <= 40


def test_noise_at_the_threshold_is_not_a_need_without_a_break():
    dice = chance.Random(9)
    appliance = Appliance(slots=({"id": "A", "capacity": 100, "reorder_at": 20, "sensor": {"period_s": 60}},))
    appliance.sensors["A"].value = 21
    appliance.live(HOUR)
    for _ in range(300):
        appliance.sensors["A"].value = 20.9 + dice.fraction() * 2 - 1  # now and then at or below it
        appliance.live(MINUTE)
    assert appliance.service.count("replenish") == 0
    appliance.sensors["A"].value = 19.9
    appliance.live(HOUR)
    assert appliance.service.count("replenish") == 1


def test_a_creep_upward_is_no_refill_and_the_next_refill_is_seen():
    bench = Bench(50)
    began = bench.now
    bench.live(8 * DAY, lambda: 50 + (bench.now - began) // HOUR / 16)  # one and a half in a hundred a day
    assert bench.level.refills == 0 and not bench.level.rise_since
    assert bench.level.value > 61 and bench.level.base > 60
    bench.live(HOUR, 95)
    assert bench.level.refills == 1 and near(bench.level.refill_amount, 34, 0.05)


def test_a_creep_downward_is_use():
    """From the level alone nobody can tell."""
    bench = Bench(50)
    began = bench.now
    bench.live(5 * DAY, lambda: 50 - (bench.now - began) // HOUR / 24)
    assert bench.level.refills == 0 and near(bench.level.rate, 1, 0.1)


def check_driver_fault(error, fault):
    bench = Bench(10)
    bench.live(30 * MINUTE, error)
    assert bench.slot.fault() == fault and bench.level.value == 10
    bench.live(5 * MINUTE, 10)
    bench.check(10, 0)
    appliance = Appliance()
    appliance.sensors["A"].value = 2
    appliance.live(300)
    appliance.sensors["A"].value = error
    appliance.live(DAY)
    assert appliance.service.count("replenish") == 0, "a need that nobody sees any more is not confirmed"
    assert appliance.agent.slot("A").fault == fault


def test_what_a_driver_reports_is_a_fault_and_no_level():
    cases(check_driver_fault, [(SensorFault(word), "sensor_" + word) for word in ("stuck", "lifted", "uncalibrated")])
    cases(check_driver_fault, [(OSError(5), "sensor_silent"), (SensorFault(), "sensor_silent"), (ValueError("x"), "sensor_range")])
    cases(check_driver_fault, [(value, "sensor_range") for value in (float("nan"), -0.1, 120.1)])


# What people do with a container


def test_a_container_lifted_for_minutes_is_no_use_and_no_need():
    bench = Bench(80)
    bench.live(9 * MINUTE, 0)
    assert bench.level.value == 0, "it is shown"
    assert bench.level.low_since and not bench.slot.lasted(bench.level.low_since, bench.now)
    bench.live(HOUR, 80)
    bench.check(80, 0)
    assert not bench.level.low_since and bench.level.base == 80


def test_a_lift_while_use_is_confirmed_is_not_use():
    bench = Bench(80)
    bench.live(9 * MINUTE, 70).live(5 * MINUTE, 0).live(HOUR, 70)
    bench.check(70, 10)


def test_a_container_that_is_set_back_elsewhere_on_the_scale_is_no_use():
    bench = Bench(80)
    for value in (79, 81, 80.5, 79.5):
        bench.live(3 * MINUTE, 0).live(HOUR, value)
    assert bench.level.refills == 0 and near(bench.use(), 1, 0.01)


def test_a_container_swapped_for_a_full_one_is_a_refill():
    bench = Bench(15)
    bench.live(4 * MINUTE, 0).live(HOUR, 100)
    bench.check(100, 0, 1)
    assert bench.level.refill_amount == 85, "15 went with the old one"
    swapped = Bench(15, swap=True)
    swapped.live(4 * MINUTE, 0).live(HOUR, 100)
    assert swapped.level.refill_amount == 100, "the new one came whole"


def test_a_container_that_stays_empty_is_used_up():
    bench = Bench(80)
    bench.live(20 * MINUTE, 0)
    bench.check(0, 80)
    assert bench.slot.lasted(bench.level.low_since, bench.now)


def check_partial(first, second, refills, amount):
    bench = Bench(first)
    bench.live(HOUR, second)
    assert bench.level.value == second and bench.use() == 0
    assert bench.level.refills == refills and bench.level.refill_amount == amount


def test_a_partial_refill_counts_above_the_threshold():
    cases(check_partial, [(10, 15, 0, 0), (10, 20, 0, 0), (10, 25, 1, 15), (10, 60, 1, 50), (40, 44, 0, 0), (40, 46, 1, 6)])
    bench = Bench(10)
    bench.live(HOUR, 19)
    assert bench.level.low_since == START, "a spoonful ends no need"
    bench.live(HOUR, 90)
    assert bench.level.refills == 1 and bench.level.refill_amount == 80, "both parts of it"
    bench.live(HOUR, 80)
    bench.check(80, 10, 1)


def test_what_is_used_around_a_refill_is_use_and_no_smaller_refill():
    bench = Bench(50)
    bench.live(2 * MINUTE, 46)
    bench.live(3 * MINUTE, 96)
    bench.live(HOUR, 90)
    assert bench.level.refill_amount == 50
    bench.check(90, 10, 1)


def test_a_container_that_was_lifted_to_be_filled_was_not_empty():
    bench = Bench(50)
    bench.live(3 * MINUTE, 0)
    assert bench.level.value == 0
    bench.live(HOUR, 96)
    assert bench.level.refill_amount == 46
    bench.check(96, 0, 1)


def test_a_refill_that_a_person_told_in_the_middle_is_not_counted_again():
    bench = Bench(10)
    bench.live(2 * MINUTE, 90)
    bench.slot.refill_by_person(50, bench.now)
    bench.live(HOUR)
    assert (bench.level.refills, bench.level.refill_amount) == (2, 40)


def test_a_rest_of_a_pack_leaves_the_stock_though_it_is_no_refill():
    bench = Bench(2, pack=100)
    slot = bench.slot
    slot.stock_by_person(15, bench.now)
    bench.live(9 * MINUTE, 12)
    assert slot.at_home() == 15, "not confirmed"
    bench.live(HOUR)
    assert slot.at_home() == 5 and slot.need(bench.now) == "low", "as much as before"
    bench.check(12, 0)
    bench.live(HOUR, 4)
    bench.check(4, 8)
    bench.live(HOUR, 99)
    bench.check(99, 8, 1)
    assert slot.apply_refill(bench.now) and bench.level.refill_amount == 95 and slot.at_home() == 0
    for given in ({}, {"pack": 100}):
        bench = Bench(2, **given)
        bench.slot.order.on_hand = 0.0 if given else 15.0
        bench.live(HOUR, 12)
        bench.live(HOUR, 99)
        assert bench.level.refill_amount == 97, "where one refill is all, or nothing was at home, both loads are one"


def test_a_refill_while_an_order_is_out_is_kept_in_mind():
    appliance = Appliance(slots=({"id": "A", "pack": 25},))
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted")
    appliance.sensors["A"].value = 9
    appliance.live(HOUR)
    appliance.service.open_order("A").status = "Authorized"
    appliance.until_state("placed")
    appliance.service.end("A", "Closed")
    appliance.until_state("idle", DAY)
    assert appliance.agent.slots[0].order.on_hand == 18, "7 of the 25 are loaded already"


# Counted use beside a sensor


def test_counted_use_shows_at_once_and_a_measurement_corrects_it():
    bench = Bench(80)
    bench.slot.use(10, bench.now)
    bench.check(70, 10)
    bench.live(HOUR, 71)  # a little less than what was counted
    bench.check(71, 10)
    bench.live(HOUR, 70)
    bench.check(70, 10)
    bench.live(HOUR, 68)
    bench.check(68, 12)


def check_wrong_count(counted):
    bench = Bench(80)
    bench.slot.use(counted, bench.now)
    assert bench.level.value == 80 - counted
    bench.live(MINUTE, 80)
    assert bench.level.value == 80, "the next reading says so: what was measured before is no jump"
    bench.live(2 * HOUR, 80)
    bench.check(80, counted)
    bench.live(HOUR, 80 - counted)
    bench.check(80 - counted, counted)


def test_a_count_that_no_measurement_confirms_is_corrected_and_is_no_refill():
    cases(check_wrong_count, [(3,), (10,), (50,)])


def test_use_that_the_sensor_saw_first_is_counted_once():
    for late_s in (20, 120, 500):
        bench = Bench(80)
        for level in (70, 60, 50):
            bench.live(late_s, level)
            bench.slot.use(10, bench.now)
            bench.live(30 * MINUTE, level)
            bench.check(level, 80 - level)


def test_use_that_was_counted_first_is_counted_once():
    for late_s in (20, 120, 500):
        bench = Bench(80)
        for level in (70, 60, 50):
            bench.slot.use(10, bench.now)
            bench.live(late_s, level + 10)
            bench.live(30 * MINUTE, level)
            bench.check(level, 80 - level)


def test_a_sensor_that_counts_more_than_the_appliance_is_believed():
    bench = Bench(80)
    for level in (68, 56, 44):
        bench.slot.use(10, bench.now)
        bench.live(30 * MINUTE, level)
    bench.check(44, 36)


def test_what_was_counted_while_the_sensor_was_silent_stands():
    bench = Bench(80)
    bench.live(5 * MINUTE, OSError(5))
    for _ in range(7):
        bench.slot.use(10, bench.now)
        bench.live(HOUR)
    assert bench.level.value == 10 and bench.slot.lasted(bench.level.low_since, bench.now)
    bench.live(HOUR, 90)
    assert bench.level.refills == 1 and bench.level.refill_amount == 80 and bench.use() == 70


def test_a_count_that_was_too_high_while_the_sensor_was_silent_is_no_refill():
    bench = Bench(80)
    bench.live(5 * MINUTE, OSError(5))
    for _ in range(4):
        bench.slot.use(10, bench.now)
        bench.live(HOUR)
    bench.live(2 * HOUR, 48)
    bench.check(48, 40)


def test_what_the_sensor_saw_long_ago_is_another_use():
    bench = Bench(80)
    bench.live(5 * MINUTE, 70).live(2 * HOUR, OSError(5))
    bench.slot.use(10, bench.now)
    assert bench.level.value == 60


# Another capacity


def restarted(old, **given):
    """A start with another configuration, on the level that was kept."""
    slot = new_slot(**given)
    ledger = Ledger(Store())
    ledger.save_level(old, START)
    Recovery(ledger).level(slot)
    return slot


def test_a_level_that_the_new_capacity_cannot_hold_is_a_fault_until_it_is_measured():
    slot = new_slot()
    for at in range(0, 5 * DAY, HOUR):
        slot.measure(10 - at / DAY * 0.1, START + at)
    rate, now = slot.level.rate, START + 5 * DAY
    small = restarted(slot, capacity=6)
    assert small.fault() == "sensor_range" and small.level.value is None and small.need(now) == ""
    small.measure(5.5, now)
    small.measure(5.5, now + HOUR)
    assert small.fault() is None and small.level.value == 5.5 and small.level.low_water == small.level.base == 5.5
    assert near(small.level.rate, rate) and small.level.refills == 0, "what a day uses is the same, and nobody used 4 at once"


def test_a_capacity_that_can_hold_the_level_changes_nothing():
    slot = new_slot()
    slot.measure(8, START)
    slot.measure(6, START + HOUR)
    slot.measure(6, START + 2 * HOUR)
    for capacity in (20, 5.5):
        other = restarted(slot, capacity=capacity)
        assert other.fault() is None and (other.level.value, other.level.low_water) == (6, 6)
        other.measure(6, START + 3 * HOUR)
        assert other.level.refills == 0 and other.level.used == 2


def test_a_counted_level_that_cannot_be_starts_full():
    slot = new_slot(refill="manual", sensor=None)
    slot.refill_by_person(10, START)
    other = restarted(slot, refill="manual", sensor=None, capacity=6)
    assert other.fault() == "sensor_range"
    other.use(1, START + HOUR)
    assert other.fault() is None and other.level.value == 5
    assert "allowed" in str(raises(ValueError, other.tell, 8, START + HOUR))


def test_a_kept_level_above_the_new_capacity_orders_nothing_and_is_told():
    appliance = Appliance()
    appliance.live(HOUR)
    appliance.config["slots"][0]["capacity"] = 8
    appliance.sensors["A"].value = OSError(5)
    appliance.restart()
    assert appliance.agent.slot("A").fault == "sensor_range"
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted")
    assert appliance.agent.slots[0].level.used == 0


# A sensor that settles


class Slow:
    """A sensor that has a reading at the n-th time it is asked."""

    def __init__(self, value, asks):
        self.value = value
        self.asks = asks
        self.asked = 0

    def read(self):
        self.asked += 1
        if self.asked % self.asks:
            raise Settling(40)
        return self.value


def test_a_sensor_that_settles_is_asked_again_a_second_later_and_has_no_fault():
    slot, sensor = new_slot(), Slow(7, 3)
    slot.sensor_fault = "sensor_stuck"
    for second in (0, 1):
        slot.sample(sensor, START + second)
        assert (slot.sample_at, slot.settle_ms, slot.level.value) == (START + second + 1, 40, None)
        assert slot.fault() == "sensor_stuck", "nothing is known yet"
    slot.sample(sensor, START + 2)
    assert (slot.sample_at, slot.settle_ms, slot.level.value) == (START + 2 + slot.period_s, 0, 7)
    assert slot.fault() is None


def test_a_wake_waits_for_sensors_that_settle():
    appliance = Appliance(["A", "B", "C"])
    appliance.sensors.update({"A": Slow(7, 4), "B": Slow(5, 2)})
    waited = appliance.console.waited = []
    appliance.agent.once()
    assert [appliance.agent.slot(name).level() for name in "ABC"] == [7, 5, 10]
    assert waited == [40, 40, 40]
    assert (appliance.sensors["A"].asked, appliance.sensors["B"].asked) == (4, 2)


def test_a_sensor_that_never_settles_does_not_keep_a_board_awake():
    appliance = Appliance()
    appliance.sensors["A"] = Slow(7, 10000)
    waited = appliance.console.waited = []
    assert appliance.agent.once() == 1
    assert 10 < len(waited) < 40
