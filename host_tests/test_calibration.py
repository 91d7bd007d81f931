"""Calibration: what was found is durable, dated, of these raw numbers only, and where it is damaged there is no level."""

import struct

from replenish import calibration as calibrating_program
from replenish import startup
from replenish.core.errors import Settling, StoreError
from replenish.sensors import composite
from replenish.sensors.scaled import Scaled
from replenish.store import calibration, ledger

from host_tests.expect import cases, raises
from host_tests.fakes import machine
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import PowerCut, Store

machine.use(calibrating_program)
KEY = "c-" + ledger.tag("A")


class Cell(Scaled):
    """A raw number that a test sets; an exception is raised."""

    raw_unit = "counts at gain 128"

    def __init__(self, number=0, nominal=None):
        self.number = number
        self.points = nominal

    def raw(self):
        if isinstance(self.number, Exception):
            raise self.number
        return self.number


def started(cell, store=None):
    """An appliance whose only slot, of 10, has this sensor, with what was calibrated before."""
    bench = Appliance()
    bench.store = store or bench.store
    bench.sensors = {"A": cell}
    again(bench)
    return bench


def again(bench):
    bench.restart(60)
    startup.calibrate(bench.agent)


def level(bench):
    """(level, fault) after a reading."""
    bench.live(1200)
    slot = bench.agent.slot("A")
    return slot.level(), slot.fault


def test_without_a_calibration_there_is_a_fault_and_no_order():
    bench = started(Cell(500))
    assert level(bench) == (None, "sensor_uncalibrated")
    bench.live(86400)
    assert bench.state() == "idle"
    assert bench.agent.slot("A").calibration().parts() == [("counts at gain 128", None, 0)]


def test_two_points_are_durable_with_their_date():
    bench = started(Cell(2600))
    bench.agent.slot("A").calibration().keep(100, 0, 5100, 10)
    found = bench.clock.seconds
    assert level(bench) == (5, None)
    assert len(bench.store.records[KEY]) == 24
    bench.sensors["A"] = Cell(2600)
    again(bench)
    assert bench.agent.slot("A").calibration().parts() == [("counts at gain 128", (100, 0, 5100, 10), found)]
    assert level(bench) == (5, None)


def test_it_can_be_repeated_and_the_other_way_round():
    bench = started(Cell(2600))
    calibrating = bench.agent.slot("A").calibration()
    calibrating.keep(100, 0, 5100, 10)
    assert level(bench) == (5, None)
    calibrating.keep(5100, 0, 100, 10)
    bench.sensors["A"].number = 1100
    assert level(bench) == (8, None)


def test_another_point_than_empty_and_full_will_do():
    bench = started(Cell(0))
    bench.agent.slot("A").calibration().keep(1000, 2, 3000, 6)
    assert level(bench) == (0, None)


def check_refused(points):
    bench = started(Cell(2600))
    calibrating = bench.agent.slot("A").calibration()
    calibrating.keep(100, 0, 5100, 10)
    before = dict(bench.store.records)
    assert "allowed" in str(raises(ValueError, calibrating.keep, *points))
    assert bench.store.records == before and bench.sensors["A"].points == (100, 0, 5100, 10)


def test_points_that_make_no_line_are_refused():
    cases(check_refused, [(point,) for point in ((100, 0, 100, 10), (100, 5, 200, 5), (100, -1, 200, 5), (100, 0, 200, 12.1))])


def test_there_is_no_calibration_without_a_date():
    bench = Appliance(trusted=False)
    bench.sensors = {"A": Cell(2600)}
    bench.clock.seconds = 0
    bench.store = Store()
    bench.start()
    startup.calibrate(bench.agent)
    if bench.agent.tell_time():
        raise AssertionError("the device knows the time")
    assert "time" in str(raises(ValueError, bench.agent.slot("A").calibration().keep, 100, 0, 5100, 10))
    assert KEY not in bench.store.records


def test_a_store_that_refuses_leaves_the_old_one():
    bench = started(Cell(2600))
    calibrating = bench.agent.slot("A").calibration()
    calibrating.keep(100, 0, 5100, 10)
    bench.store.full_for = ["c-"]
    raises(OSError, calibrating.keep, 0, 0, 10, 10)
    assert bench.sensors["A"].points == (100, 0, 5100, 10)
    assert level(bench) == (5, None)


def test_a_power_cut_leaves_the_old_one_or_the_new_one():
    for cut, expected in (("cut_before", 5), ("cut_after", 2.5)):
        bench = started(Cell(2600))
        bench.agent.slot("A").calibration().keep(100, 0, 5100, 10)
        setattr(bench.store, cut, len(bench.store.writes) + 1)
        raises(PowerCut, bench.agent.slot("A").calibration().keep, 100, 0, 10100, 10)
        setattr(bench.store, cut, 0)
        bench.sensors["A"] = Cell(2600)
        again(bench)
        assert level(bench) == (expected, None)


def test_what_was_found_for_another_gain_is_none():
    bench = started(Cell(2600))
    bench.agent.slot("A").calibration().keep(100, 0, 5100, 10)
    other = bench.sensors["A"] = Cell(2600)
    other.raw_unit = "counts at gain 64"
    again(bench)
    assert level(bench) == (None, "sensor_uncalibrated")
    other.points = 0, 0, 5200, 10
    again(bench)
    assert level(bench) == (5, None), "the configuration's points are of this sensor"


class Damaged(Store):
    """Records whose keys begin so are damaged; until they are set aside."""

    bad: "tuple" = ()

    def get(self, key):
        if key in self.bad:
            raise StoreError("record %s: checksum wrong" % key)
        return Store.get(self, key)

    def set_aside(self, key):
        self.bad = ()
        Store.set_aside(self, key)


def test_a_damaged_one_is_a_fault_for_good_whatever_the_configuration_says():
    store = Damaged()
    bench = started(Cell(2600, (0, 0, 5200, 10)), store)
    bench.agent.slot("A").calibration().keep(100, 0, 5100, 10)
    assert level(bench) == (5, None)
    store.bad = (KEY,)
    for _ in range(3):
        bench.sensors["A"] = Cell(100, (0, 0, 5200, 10))
        again(bench)
        assert level(bench) == (5, "sensor_uncalibrated")
        bench.live(7200)
        assert bench.state() == "idle", "a level that is no level orders nothing"
    assert KEY in store.aside
    bench.agent.slot("A").calibration().keep(100, 0, 5100, 10)
    assert level(bench)[1] is None
    again(bench)
    assert level(bench)[1] is None


def test_one_that_cannot_be_read_now_is_a_fault_until_it_can():
    bench = started(Cell(2600, (0, 0, 5200, 10)))
    bench.agent.slot("A").calibration().keep(100, 0, 5100, 10)
    sensor = Cell(2600, (0, 0, 5200, 10))
    bench.store.unreadable = 1
    assert "Errno 5" in calibration.load(bench.store, "A", (sensor,))
    assert sensor.points is None
    assert calibration.load(bench.store, "A", (sensor,)) == "" and sensor.points == (100, 0, 5100, 10)


def check_length(size):
    store, sensor = Store(), Cell(0, (0, 0, 5200, 10))
    store.records[KEY] = bytes(size)
    assert "bytes" in calibration.load(store, "A", (sensor,))
    assert sensor.points is None


def test_a_record_of_another_length_is_none():
    cases(check_length, ((0,), (2,), (23,)))


def test_equal_points_from_a_record_are_none():
    store, sensor = Store(), Cell(0)
    sensor.points, sensor.calibrated_at = (5, 0, 5, 10), 1
    calibration.save(store, "A", (sensor,))
    fresh = Cell(0)
    assert calibration.load(store, "A", (fresh,)) == "" and fresh.points is None


def test_the_parts_of_a_composite_have_points_of_their_own():
    def sensor():
        return composite.Sensor({"mode": "smallest", "sensors": [Cell(50), Cell(900)]})

    bench = started(sensor())
    bench.agent.slot("A").calibration().keep(0, 0, 100, 10, 1)
    assert level(bench) == (None, "sensor_uncalibrated")
    bench.agent.slot("A").calibration().keep(0, 0, 100, 10, 0)
    assert len(bench.store.records[KEY]) == 48
    bench.sensors["A"] = sensor()
    again(bench)
    bench.sensors["A"].scaled[1].number = 30
    assert level(bench) == (3, None)
    raises(IndexError, bench.agent.slot("A").calibration().raw, 2)


def test_four_parts_fit_a_record_of_128_bytes():
    store, cells = Store(), [Cell() for _ in range(4)]
    for cell in cells:
        cell.points, cell.calibrated_at = (-(1 << 23), 0, (1 << 23) - 1, 1000.5), 0xFFFFFFFF
    calibration.save(store, "A", cells)
    assert len(store.records[KEY]) + 14 + len(KEY) <= 128
    fresh = [Cell() for _ in range(4)]
    assert calibration.load(store, "A", fresh) == ""
    assert fresh[3].points == (-(1 << 23), 0, (1 << 23) - 1, 1000.5) and fresh[3].calibrated_at == 0xFFFFFFFF
    assert struct.calcsize("<ififII") == 24


class Slow(Cell):
    """Settles so many times before each number."""

    asks = 3

    def raw(self):
        self.asks -= 1
        if self.asks:
            raise Settling(400)
        return Cell.raw(self)


def test_a_raw_number_is_waited_for_but_not_for_ever():
    bench = started(Slow(4711))
    bench.sensors["A"].asks = 3
    start = machine.time.us
    assert bench.agent.slot("A").calibration().raw() == 4711
    assert machine.time.us - start == 800000
    assert raises(OSError, bench.agent.slot("A").calibration().raw).args[0] == 110
    assert machine.time.us - start < 12000000


def test_a_slot_without_such_a_sensor_is_an_error():
    bench = Appliance(["A", {"id": "B", "refill": "manual", "sensor": None}])
    for slot in "AB":
        assert "calibrated" in str(raises(ValueError, bench.agent.slot(slot).calibration))


def test_a_factory_reset_keeps_it():
    bench = started(Cell(2600))
    bench.agent.slot("A").calibration().keep(100, 0, 5100, 10)
    bench.live(1200)
    assert "l-" + ledger.tag("A") in bench.store.records
    bench.agent.factory_reset()
    assert KEY in bench.store.records and "l-" + ledger.tag("A") not in bench.store.records
