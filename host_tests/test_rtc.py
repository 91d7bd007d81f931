"""Numbers that outlive a reset: kept, found again, and taken for nothing when a bit of them is wrong."""

from replenish.io import rtc

from host_tests.fakes.chip import Chip

NETWORK, SET_AT, LAST_PULSE = 0, 3, 15  # places: constants of a module are not there on MicroPython


def found(data):
    """What a memory with these bytes holds."""
    with Chip() as chip:
        chip.rtc_memory = data
        memory = rtc.of_board()
        return memory.is_fresh, [memory.number(place) for place in range(16)]


def kept():
    with Chip() as chip:
        memory = rtc.of_board()
        assert memory.is_fresh and memory.number(NETWORK) == 0
        memory.keep(NETWORK, 7)
        memory.keep(SET_AT, 0xFFFFFFFF)
        memory.keep(LAST_PULSE, 123456789)
        return chip.rtc_memory


def test_they_are_found_again():
    data = kept()
    assert len(data) == 92
    assert found(data) == (False, [7, 0, 0, 0xFFFFFFFF] + [0] * 11 + [123456789])


def test_one_wrong_bit_and_all_are_nothing():
    data = kept()
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        assert found(bytes(damaged)) == (True, [0] * 16), bit
    for size in range(len(data)):
        assert found(data[:size]) == (True, [0] * 16), size


def test_what_stands_behind_them_stays():
    with Chip() as chip:
        rtc.of_board().keep(NETWORK, 1)
        chip.rtc_memory += b"the appliance's own"
        memory = rtc.of_board()
        memory.keep(NETWORK, 2)
        assert chip.rtc_memory[92:] == b"the appliance's own" and rtc.of_board().number(NETWORK) == 2


def test_two_that_know_nothing_of_each_other_keep_what_the_other_kept():
    with Chip():
        one, other = rtc.of_board(), rtc.of_board()
        one.keep(NETWORK, 1)
        other.keep(LAST_PULSE, 5)
        one.keep(SET_AT, 9)
        both = rtc.of_board()
        assert (both.number(NETWORK), both.number(LAST_PULSE), both.number(SET_AT)) == (1, 5, 9)


def test_nothing_is_written_that_does_not_change():
    with Chip() as chip:
        memory = rtc.of_board()
        memory.keep(NETWORK, 0)
        assert chip.rtc_memory == b""


def test_a_board_without_such_a_memory_keeps_them_for_this_start():
    with Chip(without=("RTC",)):
        memory = rtc.of_board()
        memory.keep(NETWORK, 3)
        assert memory.number(NETWORK) == 3 and rtc.of_board().number(NETWORK) == 0
