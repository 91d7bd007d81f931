"""Several sensors as one: what each mode makes of numbers, faults, and of sensors that are not ready at the same time."""

from replenish.core.errors import SensorFault, Settling
from replenish.sensors import composite
from replenish.sensors.scaled import Scaled

from host_tests.expect import cases, raises


class Cell(Scaled):
    """Numbers that a test sets; what is an exception is raised. `unready`: so many times it settles first."""

    raw_unit = "counts"

    def __init__(self, number, unready=0):
        self.number = number
        self.unready = unready
        self.asked = 0

    def raw(self):
        if self.unready:
            self.unready -= 1
            raise Settling(100)
        self.asked += 1
        if isinstance(self.number, Exception):
            raise self.number
        return self.number


class Gauge:
    """A level, without raw numbers."""

    def __init__(self, level):
        self.level = level

    def read(self):
        if isinstance(self.level, Exception):
            raise self.level
        return self.level


def of(mode, *sensors):
    return composite.Sensor({"mode": mode, "sensors": list(sensors)})


def test_cells_under_one_plate_are_calibrated_as_one():
    whole = of("sum", Cell(1000), Cell(-200), Cell(700))
    assert whole.scaled == (whole,) and whole.raw_unit == "sum of counts" and whole.raw() == 1500
    assert raises(SensorFault, whole.read).args == ("uncalibrated",)
    whole.points = 500, 0, 2500, 100
    assert whole.read() == 50
    whole.points = 1600, 0, 2600, 100
    assert raises(SensorFault, whole.read).args == ("lifted",)


def test_what_can_be_powered_down_is():
    class Thirsty(Cell):
        is_down = False

        def power_down(self):
            self.is_down = True

    cells = Thirsty(1), Thirsty(2)
    of("sum", cells[0], Gauge(3), cells[1]).power_down()
    assert cells[0].is_down and cells[1].is_down


def test_cells_that_are_not_ready_at_the_same_time():
    cells = Cell(1000, 2), Cell(200, 3), Cell(30)
    whole = of("sum", *cells)
    waits = 0
    while True:
        try:
            total = whole.raw()
            break
        except Settling as wait:
            assert wait.args == (100,)
            waits += 1
    assert total == 1230 and waits == 5
    assert [cell.asked for cell in cells] == [1, 1, 1], "no cell is read twice for one number"
    cells[0].number = 0
    assert whole.raw() == 230, "and none is left from the last one"


def test_a_fault_of_one_cell_is_a_fault_of_the_sum():
    cells = Cell(1000), Cell(OSError(110))
    whole = of("sum", *cells)
    raises(OSError, whole.raw)
    cells[1].number = 10
    cells[0].number = 5
    assert whole.raw() == 15


def test_levels_are_added_too():
    assert of("sum", Gauge(3), Gauge(4.5)).read() == 7.5
    assert of("sum", Gauge(3), Gauge(4.5)).scaled == ()


def faults():
    return OSError(19), ValueError("no"), SensorFault("stuck")


def check_first(levels, expected):
    assert of("first", *[Gauge(level) for level in levels]).read() == expected


def test_the_first_without_a_fault_counts():
    cases(check_first, (((1, 2), 1), ((OSError(19), 2), 2), ((ValueError(), SensorFault("stuck"), 3), 3)))


def test_without_any_the_first_ones_fault_is_told():
    for fault in faults():
        assert raises(type(fault), of("first", Gauge(fault), Gauge(OSError(5))).read) is fault


def test_the_smallest_level_counts_and_a_fault_of_any_is_one():
    assert of("smallest", Gauge(3), Gauge(2), Gauge(4)).read() == 2
    for fault in faults():
        assert raises(type(fault), of("smallest", Gauge(3), Gauge(fault)).read) is fault


def test_each_part_of_the_others_is_calibrated_for_itself():
    first, second = Cell(10), Cell(20)
    one = of("smallest", first, Gauge(1), second)
    assert one.scaled == (first, second)
    first.points, second.points = (0, 0, 100, 50), (0, 0, 10, 1)
    assert one.read() == 1
