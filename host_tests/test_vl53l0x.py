"""The distance sensor's driver, at a register machine that measures nothing unless it was set up as ST does."""

from host_tests.expect import cases, raises
from host_tests.fakes import machine

machine.install()

from replenish.core.errors import SensorFault, Settling  # noqa: E402
from replenish.sensors import vl53l0x  # noqa: E402

machine.use(vl53l0x)

SCL, SDA = 22, 21
STOP = 0x3C  # the chip's own stop variable
GOOD_SPADS = b"\xff\x7f\xfe\xff\xff\x0f"
COMPLETE, SIGMA, NO_TARGET = 11, 1, 4


class Chip:
    """A VL53L0X: two pages of registers, and a little behind some of them."""

    def __init__(self, distance):
        self.address = 0x29
        self.distance = distance  # a number, or several one after the other
        self.status = COMPLETE
        self.model = 0xEE
        self.stuck = False  # it holds the clock
        self.nack_at = None  # the number of the transfer that it does not acknowledge
        self.deaf = False  # what is started never ends
        self.transfers = 0
        self.measured = 0
        self.power_on()

    def power_on(self):
        """All registers are what they are after power was applied."""
        self.page = 0
        self.registers = {}
        self.calibrated = set()
        self.done_at = self.what = None
        self.interrupt = 0
        self.result = bytes(12)

    def acknowledges(self):
        self.transfers += 1
        return self.transfers != self.nack_at

    def at(self, page, register):
        return self.registers.get((page, register), 0)

    def put(self, register, data):
        for offset in range(len(data)):
            self._put(register + offset, data[offset])

    def _put(self, register, value):
        if register == 0xFF:
            self.page = value
        self.registers[(self.page, register)] = value
        if (self.page, register) == (0, 0) and value & 1 and not self._is_unlocked():
            self._start()
        if (self.page, register) == (0, 0x0B) and value == 1:
            self.interrupt = 0
        if (self.page, register) == (7, 0x83) and value == 0:
            self.registers[(7, 0x83)] = 0x10  # the answer to what stands in 0x94

    def _is_unlocked(self):
        return self.at(0, 0x80) == 1

    def _start(self):
        assert not self.interrupt, "the last interrupt was not cleared"
        self.what = {1: "voltage", 2: "phase"}.get(self.at(0, 1), "range")
        self.done_at = machine.time.us + (33000 if self.what == "range" else 4000)

    def _is_ready(self):
        """Whether all that a measurement needs was set up."""
        spads = [self.at(0, 0xB0 + i) for i in range(6)]
        chosen = sum([bin(byte).count("1") for byte in spads])
        good = all([spads[i] & ~GOOD_SPADS[i] == 0 for i in range(6)])
        tuned = self.at(1, 0x4E) == 0x2C and self.at(0, 0x72) == 0xFE and self.at(0, 0x0A) == 4
        stop = self.at(1, 0x91) == STOP or self.at(0, 0x91) == STOP
        return chosen == 5 and good and spads[0] == 0 and spads[1] & 0x0F == 0 and tuned and stop and self.at(0, 1) == 0xE8

    def _work(self):
        if self.done_at is None or machine.time.us < self.done_at or self.deaf:
            return
        self.done_at = None
        self.interrupt = 4
        if self.what == "range":
            ready = self._is_ready() and self.calibrated == {"voltage", "phase"}
            distance = self.distance[self.measured % len(self.distance)] if isinstance(self.distance, tuple) else self.distance
            self.measured += 1
            status = self.status if ready else 0
            self.result = bytes((status << 3 | 1,)) + bytes(9) + bytes((distance >> 8, distance & 255))
        else:
            self.calibrated.add(self.what)

    def get(self, register, size):
        self._work()
        if (self.page, register) == (0, 0x14):
            return self.result[:size]
        if (self.page, register) == (0, 0xB0):
            return GOOD_SPADS[:size]
        assert size == 1
        special = {(0, 0xC0): self.model, (0, 0x13): self.interrupt, (7, 0x92): 0x85}  # five detectors of the kind with an aperture
        if self._is_unlocked():
            special[(1, 0x91)] = special[(0, 0x91)] = STOP
        return bytes((special.get((self.page, register), self.at(self.page, register)),))


def ranger(distance, **options):
    """(driver, chip), connected."""
    chip = Chip(distance)
    machine.new().buses[(SCL, SDA)] = chip
    settings = dict(vl53l0x.DEFAULTS, sda_pin=SDA, scl_pin=SCL, capacity=100)
    settings.update(options)
    return vl53l0x.Sensor(settings), chip


def settled(sensor, read=None):
    """What it reads, waiting where it says so."""
    for _ in range(40):
        try:
            return (read or sensor.raw)()
        except Settling as wait:
            assert 0 < wait.args[0] <= 40
            machine.time.sleep_ms(wait.args[0])
    raise AssertionError("it never settles")


def test_a_distance_is_read_after_the_chip_was_set_up():
    sensor, chip = ranger(123)
    assert settled(sensor) == 123 and chip.measured == 3
    assert settled(sensor) == 123 and chip.measured == 6


def test_the_set_up_is_done_once():
    sensor, chip = ranger(300)
    settled(sensor)
    before = chip.transfers
    settled(sensor)
    assert chip.transfers - before < 60


def test_a_spike_is_no_distance():
    assert settled(ranger((200, 999, 201))[0]) == 201


def test_no_call_blocks():
    sensor, _ = ranger(123)
    worst = 0
    for _ in range(40):
        start = machine.time.us
        try:
            sensor.raw()
            break
        except Settling as wait:
            worst = max(worst, machine.time.us - start)
            machine.time.sleep_ms(wait.args[0])
    assert 5000 < worst < 15000, "the first call writes a hundred registers"


def test_another_chip_at_the_address_is_none():
    sensor, chip = ranger(123)
    chip.model = 0xEA  # a VL53L1X
    assert raises(OSError, settled, sensor).args[0] == 19
    chip.model = 0xEE
    assert settled(sensor) == 123


def test_no_chip_and_a_stuck_bus_are_silence():
    sensor, chip = ranger(123)
    machine.board.buses.clear()
    assert raises(OSError, settled, sensor).args[0] == 19
    machine.board.buses[(SCL, SDA)] = chip
    chip.stuck = True
    start = machine.time.us
    assert raises(OSError, settled, sensor).args[0] == 110
    assert machine.time.us - start < 3000
    chip.stuck = False
    assert settled(sensor) == 123


def test_a_missing_acknowledge_anywhere_is_silence_and_then_it_begins_anew():
    sensor, chip = ranger(123)
    settled(sensor)
    whole = chip.transfers
    for number in range(1, whole + 1):
        sensor, chip = ranger(123)
        chip.nack_at = number
        assert raises(OSError, settled, sensor).args[0] == 19
        assert settled(sensor) == 123, number
    assert whole > 100


def test_a_chip_that_never_ends_is_silence_after_a_third_of_a_second():
    sensor, chip = ranger(123)
    chip.deaf = True
    start = machine.time.us
    assert raises(OSError, settled, sensor).args[0] == 110
    assert 300000 <= machine.time.us - start < 400000
    chip.deaf = False
    assert settled(sensor) == 123


def test_a_chip_that_lost_its_power_is_set_up_again():
    sensor, chip = ranger(123)
    settled(sensor)
    chip.power_on()
    chip.distance = 77
    assert settled(sensor) == 77


def check_status(status, distance):
    sensor, chip = ranger(distance)
    chip.status = status
    raises(ValueError, settled, sensor)
    chip.status = COMPLETE
    chip.distance = 40
    assert settled(sensor) == 40


def test_no_target_and_a_bad_signal_are_no_distance():
    cases(check_status, ((SIGMA, 100), (NO_TARGET, 100), (0, 100), (COMPLETE, 8190), (COMPLETE, 8191)))


def test_the_container_says_what_a_distance_is():
    for distance, level in ((200, 0), (50, 100), (125, 50), (202, 0), (35, 110)):
        sensor, _ = ranger(distance, empty_mm=200, full_mm=50)
        assert abs(settled(sensor, sensor.read) - level) < 0.1
    sensor, _ = ranger(260, empty_mm=200, full_mm=50)
    raises(ValueError, settled, sensor, sensor.read)
    sensor, _ = ranger(100)
    assert raises(SensorFault, settled, sensor, sensor.read).args == ("uncalibrated",)
