"""Use that the application counts: taken once, whoever adds meanwhile."""

from replenish.core.errors import SensorFault
from replenish.sensors import counted

from host_tests.expect import raises
from host_tests.fakes.appliance import Appliance


def sensor(slot="A"):
    return counted.Sensor({"slot": slot})


def test_what_was_added_is_taken_once():
    one, other = sensor("A"), sensor("B")
    counted.add("A", 2)
    counted.add("A", 0.5)
    assert (one.used(), other.used()) == (2.5, 0)
    assert one.used() == 0


def test_a_slot_without_this_driver_is_an_error():
    sensor("A")
    raises(KeyError, counted.add, "C", 1)


def appliance():
    bench = Appliance([{"id": "A", "refill": "manual"}])
    bench.sensors["A"] = sensor()
    bench.start()
    return bench


def test_the_slot_takes_it_at_the_next_reading_and_orders():
    bench = appliance()
    bench.live(600)
    counted.add("A", 4)
    bench.live(1200)
    assert bench.agent.slot("A").level() == 6 and bench.state() == "idle"
    counted.add("A", 3)
    bench.until_state("accepted", 7200)
    assert bench.agent.slot("A").level() == 3


class Broken:
    """A counter that cannot be read."""

    def __init__(self, fault):
        self.fault = fault

    def used(self):
        raise self.fault


def test_a_counter_that_fails_is_a_fault_and_heals():
    bench = appliance()
    counting = bench.sensors["A"]
    for fault, word in ((OSError(5), "sensor_silent"), (SensorFault("stuck"), "sensor_stuck")):
        bench.sensors["A"] = Broken(fault)
        bench.live(1300)
        assert bench.agent.slot("A").fault == word
        bench.sensors["A"] = counting
        bench.live(1300)
        assert bench.agent.slot("A").fault is None
