"""Why the chip started, as a word, and how it is reset and put to sleep."""

from replenish.io import chip, rtc

from host_tests.expect import cases, raises
from host_tests.fakes.chip import CAUSES, Asleep, Chip, Reset
from host_tests.fakes.replaced import Replaced


class _Implementation:
    def __init__(self, machine):
        self._machine = machine


class _Sys:
    def __init__(self, machine):
        self.implementation = _Implementation(machine)


def cause_of(name, machine="Generic ESP32 module with ESP32", registers=None):
    with Chip() as fake:
        fake.cause = CAUSES.get(name, name)
        fake.registers.update(registers or {})
        with Replaced(chip, sys=_Sys(machine)):
            return chip.cause(rtc.of_board())


POWER = {0x3FF48034: 1, 0x60008038: 1, 0x600B0410: 1, 0x3F408038: 1}


def check_cause(name, word):
    assert cause_of(name, registers=POWER) == word


def test_causes():
    cases(
        check_cause,
        [
            ("PWRON_RESET", "power_on"),
            ("HARD_RESET", "hard"),
            ("WDT_RESET", "watchdog"),
            ("DEEPSLEEP_RESET", "wake"),
            ("SOFT_RESET", "soft"),
            (0, "unknown_0"),
            (77, "unknown_77"),
        ],
    )


def check_brown_out(machine, address):
    other = {known: 15 for known in POWER}
    assert cause_of("PWRON_RESET", machine, {address: 0xFC0 | 15}) == "brown_out"
    other[address] = 0x3381  # bits of other fields
    assert cause_of("PWRON_RESET", machine, other) == "power_on"


def test_a_brown_out_is_told_from_a_power_on():
    cases(
        check_brown_out,
        [
            ("Generic ESP32 module with ESP32", 0x3FF48034),
            ("Generic ESP32S2 module with ESP32S2", 0x3F408038),
            ("Generic ESP32S3 module with ESP32S3", 0x60008038),
            ("ESP32C3 module with ESP32C3", 0x60008038),
            ("ESP32-C6 Generic with ESP32-C6", 0x600B0410),
        ],
    )
    assert cause_of("PWRON_RESET", "MPS2 with Cortex-M3") == "power_on", "no register is read of a chip that is not known"


def test_an_own_restart_is_told_from_any_other():
    with Chip() as fake:
        raises(Reset, chip.restart, rtc.of_board())
        fake.start("HARD_RESET")
    with fake:
        assert chip.cause(rtc.of_board()) == "restart"
        fake.start("HARD_RESET")
    with fake:
        assert chip.cause(rtc.of_board()) == "hard", "a panic, later"


def check_wake(number, word):
    with Chip() as fake:
        fake.woke_by = number
        assert chip.wake() == word


def test_wakes():
    cases(check_wake, [(4, "timer"), (2, "pin"), (3, "pins"), (7, "pins"), (5, "unknown_5")])


def check_sleep(ms, pins, slept_ms, wakers):
    with Chip() as fake:
        fake.levels.update({number: not level for number, level in pins})
        assert raises(Asleep, chip.sleep_deep, rtc.of_board(), ms, pins, False).args[0] == slept_ms
        assert fake.wakers == wakers
    for reason, number in [(4, None), (5, None)] + [({"ext0": 2, "ext1": 3}[way], number) for way, number, _ in wakers]:
        fake.start("DEEPSLEEP_RESET", reason)
        with fake:
            assert chip.waker(rtc.of_board()) == number


def test_deep_sleep():
    day = 86400000
    cases(
        check_sleep,
        [
            (60000, [], 60000, []),
            (0, [], 1, []),
            (40 * day, [], day, []),
            (1000, [(0, False)], 1000, [("ext0", 0, False)]),
            (1000, [(0, False), (33, True)], 1000, [("ext0", 0, False), ("ext1", 33, True)]),
            (1000, [(5, False), (33, True)], 1000, [("ext0", 33, True)]),  # pin 5 cannot wake
        ],
    )
