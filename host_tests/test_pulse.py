"""The pulse counter's driver: no pulse is lost but by the power, and none counts twice."""

import struct

from replenish.io import rtc

from host_tests.expect import cases
from host_tests.fakes import machine
from host_tests.fakes.appliance import Appliance

machine.install()

from replenish.sensors import pulse  # noqa: E402

machine.use(pulse)
PIN = 14
WORD = 8  # rtc.PULSE, which is folded in on MicroPython


class Clock:
    """The real-time clock's memory: outlasts everything but the power."""

    def __init__(self):
        self.content = b""

    def memory(self, content=None):
        if content is None:
            return self.content
        self.content = bytes(content)
        return None


def counter(clock=None, by_chip=True, **options):
    """A driver after a start; `clock` is what outlasted it."""
    machine.new()
    pulse.free_counters()
    machine.with_counter(by_chip)
    settings = dict(pulse.DEFAULTS, pin=PIN, memory=rtc.Memory(clock or Clock()), word=WORD)
    settings.update({"per_pulse": 0.5})
    settings.update(options)
    return pulse.Sensor(settings)


def check_counted(by_chip, edge, rising, used):
    one = counter(by_chip=by_chip, edge=edge)
    machine.edge(PIN, rising, 6)
    assert one.used() == used
    assert one.used() == 0
    machine.edge(PIN, rising, 1)
    assert one.used() == used / 6


def test_the_edges_that_were_asked_for_are_counted_once():
    table = []
    for by_chip in (True, False):
        table += [(by_chip, "falling", False, 3), (by_chip, "falling", True, 0)]
        table += [(by_chip, "rising", True, 3), (by_chip, "rising", False, 0)]
    cases(check_counted, table)


def test_without_a_free_counter_an_interrupt_counts():
    machine.with_counter(True)
    machine.new().counters = 0
    pulse.free_counters()
    one = pulse.Sensor(dict(pulse.DEFAULTS, pin=PIN, memory=rtc.Memory(Clock()), word=WORD, per_pulse=2))
    machine.edge(PIN, times=3)
    assert one.used() == 6


def test_a_contact_that_bounces_is_one_pulse():
    one = counter(debounce_ms=20)
    for _ in range(4):
        machine.edge(PIN, times=5)  # within no time
        machine.time.sleep_ms(19)
        machine.edge(PIN)
        machine.time.sleep_ms(1)
    assert one.used() == 2
    machine.time.sleep_ms(86400000)
    machine.edge(PIN)
    assert one.used() == 0.5


def test_an_interrupt_counts_to_a_limit_that_takes_no_memory():
    one = counter(by_chip=False, per_pulse=1)
    one.count = 0x3FFFFFFE
    machine.edge(PIN, times=5)
    assert one.used() == 0x3FFFFFFF
    machine.edge(PIN)
    assert one.used() == 1


def test_what_is_not_durable_outlasts_a_start():
    clock = Clock()
    one = counter(clock)
    machine.edge(PIN, times=7)
    assert one.used() == 3.5
    one = counter(clock)
    assert one.used() == 3.5, "the level was not durable: it is told again"
    one.saved()
    machine.edge(PIN, times=2)
    one.keep()
    one = counter(clock)
    machine.edge(PIN)
    assert one.used() == 1.5
    one.saved()
    assert counter(clock).used() == 0


def test_a_pulse_between_the_telling_and_the_saving_is_kept():
    clock = Clock()
    one = counter(clock)
    machine.edge(PIN, times=4)
    assert one.used() == 2
    machine.edge(PIN, times=3)
    one.keep()
    one.saved()
    assert counter(clock).used() == 1.5


def test_the_pulse_that_wakes_the_board_counts():
    clock = Clock()
    one = counter(clock)
    assert one.wake == (PIN, 0) and counter(edge="rising").wake == (PIN, 1)
    for by_chip in (True, False):
        one = counter(clock, by_chip)
        one.woken()
        assert one.used() == 0.5
        one.saved()


def check_lost(damage):
    clock = Clock()
    one = counter(clock)
    machine.edge(PIN, times=4)
    one.keep()
    assert counter(clock).used() == 2
    clock.content = damage(clock.content)
    assert counter(clock).used() == 0
    one = counter(clock)
    machine.edge(PIN)
    one.keep()
    assert counter(clock).used() == 0.5


def flip(content):
    return content[:45] + bytes((content[45] ^ 1,)) + content[46:]


def test_a_memory_that_lost_its_power_or_holds_chance_is_empty():
    table = [lambda content: b"", lambda content: bytes(len(content)), lambda content: b"\xa5" * len(content), flip]
    table += [lambda content: b"XX" + content[2:], lambda content: content[:40], lambda content: content[:-1]]
    cases(check_lost, [(damage,) for damage in table])


def test_two_programs_that_keep_numbers_do_not_forget_each_others():
    clock = Clock()
    other = rtc.Memory(clock)
    one = counter(clock)
    machine.edge(PIN, times=4)
    one.keep()
    other.keep(0, 77)
    assert counter(clock).used() == 2 and rtc.Memory(clock).number(0) == 77
    assert struct.unpack_from("<I", clock.content, 8)[0] == 77


def test_a_board_that_sleeps_counts_every_pulse_once_into_a_durable_level():
    clock = Clock()
    bench = Appliance([{"id": "A", "capacity": 1000, "reorder_at": 100, "refill": "manual"}])
    pulses = 0
    for _ in range(40):
        bench.sensors["A"] = counter(clock, per_pulse=1)
        bench.start(False)
        for _ in range(3):
            machine.edge(PIN, times=5)
            pulses += 5
            bench.agent.once()
            bench.clock.pass_s(600)
        machine.edge(PIN, times=1)
        pulses += 1
        bench.agent.stop("wake over", False)
    bench.sensors["A"] = counter(clock, per_pulse=1)
    bench.start(False)
    bench.agent.once()
    assert pulses == 640 and bench.agent.slot("A").level() == 360
    writes = [key for key in bench.store.writes if key[:2] == "l-"]
    assert 3 < len(writes) < 40, "most wakes wrote nothing"
