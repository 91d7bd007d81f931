"""The ADC's driver, at voltages that a test sets."""

from host_tests.expect import cases, raises
from host_tests.fakes import machine

machine.install()

from replenish.core.errors import SensorFault  # noqa: E402
from replenish.sensors import adc  # noqa: E402

PIN = 34


def sensor(volts, **options):
    """A driver at a pin; `volts`: one value, or several that come again and again."""
    board = machine.new()
    given = volts if isinstance(volts, tuple) else (volts,)
    state = [0]

    def voltage():
        state[0] += 1
        return int(given[state[0] // 2 % len(given)] * 1000000)  # each sample is looked at twice

    board.voltages[PIN] = voltage
    settings = adc.DEFAULTS.copy()
    settings.update({"pin": PIN, "capacity": 500})
    settings.update(options)
    return adc.Sensor(settings)


def test_a_voltage_is_told_in_microvolts():
    cases(lambda volts: abs(sensor(volts).raw() - volts * 1000000) < 2 or 1 / 0, ((0.2,), (1.1,), (2.4,)))


def test_the_attenuation_is_the_one_that_was_asked_for():
    for db, volts in ((0, 0.9), (2.5, 1.2), (6, 1.7), (11, 2.4)):
        assert sensor(volts, attenuation_db=db).raw() == int(volts * 1000000)
        raises(ValueError, sensor(volts + 0.1, attenuation_db=db).raw)


def test_an_end_of_the_range_is_a_wire_that_is_off_or_shorted():
    for volts in (0, 0.15, 2.45, 3.3):
        raises(ValueError, sensor(volts).raw)


def test_half_of_the_samples_at_an_end_are_too_many():
    assert sensor((1.0, 1.0, 1.0, 3.3), samples=16).raw() == 1000000
    raises(ValueError, sensor((1.0, 3.3), samples=16).raw)


def test_spikes_are_left_out():
    assert sensor((1.0, 1.0, 1.0, 2.2), samples=16).raw() == 1000000
    assert sensor(1.0, samples=1).raw() == 1000000


def test_empty_and_full_may_stand_in_the_configuration():
    assert sensor(1.0, empty_mv=500, full_mv=1500).read() == 250
    assert sensor(1.0, empty_mv=1500, full_mv=500).read() == 250
    raises(ValueError, sensor(0.4, empty_mv=500, full_mv=1500).read)
    assert sensor(0.495, empty_mv=500, full_mv=1500).read() == 0
    assert raises(SensorFault, sensor(1.0).read).args == ("uncalibrated",)


def test_a_reading_takes_less_than_five_milliseconds():
    one = sensor(1.0, samples=64)
    start = machine.time.us
    one.raw()
    assert 0 < machine.time.us - start < 5000
