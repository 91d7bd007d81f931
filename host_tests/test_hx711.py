"""The load cell's driver, at a chip that counts the clock's edges and forgives none that is too long."""

from host_tests.expect import cases, raises
from host_tests.fakes import machine

machine.install()

from replenish.core.errors import SensorFault, Settling  # noqa: E402
from replenish.sensors import hx711  # noqa: E402

machine.use(hx711)

DATA, CLOCK = 4, 5
LIMIT_US = 2000  # what one call may take


class Chip:
    """An HX711. `counts(gain, number of the conversion)` is what it measures; `line`: what DOUT is stuck at."""

    def __init__(self, counts):
        self.counts = counts
        self.line = None
        self.resets = 0
        self.conversions = 0
        self.high_since = None
        self._begin()

    def _begin(self):
        self.resets += 1
        self.gain = 128
        self.pulses = 0
        self.ready_at = machine.time.us + 400000

    def _next(self):
        """The conversion goes on after the number was fetched, at the gain that the pulses chose."""
        if self.pulses >= 25:
            self.gain = {25: 128, 26: 32, 27: 64}[self.pulses]
            self.ready_at += 100000 * ((machine.time.us - self.ready_at) // 100000 + 1)
            self.pulses = 0

    def read(self, pin):
        assert pin == DATA
        if self.line is not None:
            return self.line
        if self.high_since is None:
            if self.pulses >= 25:
                return 1 if machine.time.us < self.ready_at + 100000 else self._fetched()
            return int(machine.time.us < self.ready_at)
        return self._bit()

    def _fetched(self):
        self._next()
        return int(machine.time.us < self.ready_at)

    def _bit(self):
        if self.pulses > 24:
            return 1
        return self.number >> (24 - self.pulses) & 1

    def write(self, pin, value):
        assert pin == CLOCK
        if value and self.high_since is None:
            self._rise()
            self.high_since = machine.time.us
        elif not value and self.high_since is not None:
            if machine.time.us - self.high_since > 60:
                self._begin()
            self.high_since = None

    def _rise(self):
        if self.pulses >= 25 and machine.time.us >= self.ready_at + 100000:
            self._next()
        if machine.time.us >= self.ready_at:
            if not self.pulses:
                self.number = self.counts(self.gain, self.conversions) & 0xFFFFFF
                self.conversions += 1
            self.pulses += 1


def noisy(counts):
    return lambda gain, number: counts + (number * 7) % 5 - 2


def cell(counts, gain=128):
    """(driver, chip, board), the chip connected."""
    board = machine.new()
    chip = Chip(counts)
    board.wires = {DATA: chip, CLOCK: chip}
    return hx711.Sensor({"data_pin": DATA, "clock_pin": CLOCK, "gain": gain}), chip, board


def settled(sensor, read=None):
    """What it reads, waiting where it says so."""
    for _ in range(40):
        try:
            return (read or sensor.raw)()
        except Settling as wait:
            assert 0 < wait.args[0] <= 400
            machine.time.sleep_ms(wait.args[0])
    raise AssertionError("it never settles")


def test_numbers_of_both_signs_are_read():
    for counts in (0, 1, -1, 123456, -123456, 0x7FFFF0, -0x7FFFF0):
        sensor, chip, _ = cell(noisy(counts))
        assert abs(settled(sensor) - counts) <= 2
        assert chip.conversions == 5 and chip.gain == 128


def test_a_reading_never_blocks():
    sensor, chip, _ = cell(noisy(5000))
    calls = 0
    while True:
        start = machine.time.us
        calls += 1
        try:
            sensor.raw()
            break
        except Settling as wait:
            assert machine.time.us - start < LIMIT_US
            machine.time.sleep_ms(wait.args[0])
    assert machine.time.us - start < LIMIT_US and calls >= 6


def test_it_has_no_power_in_a_deep_sleep_and_begins_anew_behind_it():
    sensor, chip, board = cell(noisy(5000))
    settled(sensor)
    sensor.power_down()
    machine.time.sleep_ms(3600000)
    assert chip.high_since is not None and machine.time.us - chip.high_since > 60, "its clock is up"
    assert board.held == {CLOCK}, "or the pin would float"
    sensor = hx711.Sensor({"data_pin": DATA, "clock_pin": CLOCK, "gain": 128})  # the next start
    assert chip.high_since is None, "the pin is no longer held"
    assert abs(settled(sensor) - 5000) <= 2


def test_another_gain_is_chosen_and_the_first_number_dropped():
    for gain in (64, 32):
        sensor, chip, _ = cell(lambda gain, number: gain * 1000 + number % 3, gain)
        assert settled(sensor) // 1000 == gain
        assert chip.conversions == 6 and sensor.raw_unit == "counts at gain %d" % gain


def test_a_spike_is_no_reading():
    sensor, chip, _ = cell(lambda gain, number: 900000 if number == 2 else 5000 + number)
    assert 5000 <= settled(sensor) <= 5004


def test_equal_counts_are_a_stuck_cell():
    sensor, chip, _ = cell(lambda gain, number: 4711)
    assert raises(SensorFault, settled, sensor).args == ("stuck",)
    chip.counts = noisy(4711)
    assert abs(settled(sensor) - 4711) <= 2


def test_a_cell_beyond_its_range_is_no_number():
    for end in (lambda gain, number: 0x7FFFFF, lambda gain, number: -0x800000):
        sensor, chip, _ = cell(end)
        raises(ValueError, settled, sensor)
        assert chip.conversions == 1


def test_a_line_that_stays_up_is_silence_after_half_a_second():
    sensor, chip, _ = cell(noisy(5000))
    chip.line = 1
    start = machine.time.us
    assert raises(OSError, settled, sensor).args[0] == 110
    assert 500000 <= machine.time.us - start < 1200000
    resets = chip.resets
    chip.line = None
    assert abs(settled(sensor) - 5000) <= 2 and resets >= 2


def test_a_line_that_stays_down_is_no_number_either():
    sensor, chip, _ = cell(noisy(5000))
    chip.line = 0
    assert raises(OSError, settled, sensor).args[0] == 5


def test_no_chip_is_silence():
    sensor, chip, board = cell(noisy(5000))
    board.wires = {}
    assert raises(OSError, settled, sensor).args[0] == 5


def test_interrupts_do_not_stretch_the_clock():
    sensor, chip, board = cell(noisy(5000))
    board.interrupt_us = 200
    resets = chip.resets
    assert abs(settled(sensor) - 5000) <= 2
    assert chip.resets == resets and not board.masked


def test_a_clock_that_is_too_slow_is_noticed():
    sensor, chip, board = cell(noisy(5000))
    board.slow_us = 40
    resets = chip.resets
    assert raises(OSError, settled, sensor).args[0] == 5
    assert chip.resets >= resets + 3, "the chip did power down"
    board.slow_us = 0
    assert abs(settled(sensor) - 5000) <= 2


def test_a_chip_that_begins_anew_in_between_is_asked_again():
    sensor, chip, board = cell(noisy(5000))
    raises(Settling, sensor.raw)
    machine.time.sleep_ms(450)
    board.slow_us = 40
    raises(Settling, sensor.raw)
    board.slow_us = 0
    assert abs(settled(sensor) - 5000) <= 2


def test_a_board_that_starts_within_a_number_begins_the_chip_anew():
    sensor, chip, _ = cell(noisy(5000))
    machine.time.sleep_ms(450)
    chip.write(CLOCK, 1)
    chip.write(CLOCK, 0)
    sensor = hx711.Sensor({"data_pin": DATA, "clock_pin": CLOCK, "gain": 128})
    assert abs(settled(sensor) - 5000) <= 2 and chip.resets == 3


def test_a_minute_and_a_day_between_readings():
    sensor, chip, _ = cell(noisy(5000))
    for seconds in (60, 86400, 1):
        assert abs(settled(sensor) - 5000) <= 2
        machine.time.sleep_ms(1000 * seconds)


def check_level(counts, expected):
    sensor, chip, _ = cell(noisy(counts))
    sensor.points = 100000, 0, 500000, 1000
    if isinstance(expected, str):
        assert raises(SensorFault, settled, sensor, sensor.read).args == (expected,)
    else:
        assert abs(settled(sensor, sensor.read) - expected) < 0.1


def test_two_points_make_a_level():
    cases(check_level, ((300000, 500), (500000, 1000), (700000, 1500), (100000, 0), (93000, 0), (90000, "lifted"), (-100000, "lifted")))


def test_a_cell_may_be_mounted_the_other_way_round():
    sensor, chip, _ = cell(noisy(-300000))
    sensor.points = -100000, 0, -500000, 1000
    assert abs(settled(sensor, sensor.read) - 500) < 0.1


def test_without_points_there_is_no_level_but_a_fault_of_the_wires_comes_first():
    sensor, chip, _ = cell(noisy(5000))
    assert raises(SensorFault, settled, sensor, sensor.read).args == ("uncalibrated",)
    chip.line = 1
    raises(OSError, settled, sensor, sensor.read)
