"""The watchdog is fed when every part has spoken, and bites when one hangs."""

from replenish.io import watchdog

from host_tests.expect import raises
from host_tests.fakes.chip import Bitten, Chip

PARTS = ("person", "network", "step")


def speak(chip, dog, parts, seconds):
    for _ in range(seconds):
        chip.pass_ms(1000)
        for part in parts:
            dog.spoke(part)


def test_all_parts_together_keep_it_fed():
    with Chip() as chip:
        dog = watchdog.Watchdog(60, PARTS)
        speak(chip, dog, PARTS, 600)
        assert chip.feeds == 601


def test_one_part_that_hangs_is_seen_however_busy_the_others_are():
    for silent in PARTS:
        with Chip() as chip:
            dog = watchdog.Watchdog(60, PARTS)
            speak(chip, dog, PARTS, 100)
            others = [part for part in PARTS if part != silent]
            raises(Bitten, speak, chip, dog, others, 600)
            assert 159000 <= chip.ms <= 160000, "in its time"


def test_a_part_that_spoke_before_the_last_feed_must_speak_again():
    with Chip() as chip:
        dog = watchdog.Watchdog(60, PARTS)
        for part in PARTS:
            dog.spoke(part)
        fed = chip.feeds
        dog.spoke("person")
        dog.spoke("network")
        assert chip.feeds == fed
        dog.spoke("step")
        assert chip.feeds == fed + 1


def test_more_patience_for_what_takes_long():
    with Chip() as chip:
        dog = watchdog.Watchdog(60, PARTS)
        dog.prolong(600)
        chip.pass_ms(599000)
        dog.all_spoke()
        chip.pass_ms(599000)
        raises(Bitten, chip.pass_ms, 2000)


def test_none_where_none_is_wanted_or_there_is_none():
    with Chip() as chip:
        speak(chip, watchdog.Watchdog(0, PARTS), PARTS, 10)
        chip.pass_ms(10000000)
        assert chip.feeds == 0
    with Chip(without=("WDT",)) as chip:
        dog = watchdog.Watchdog(60, PARTS)
        dog.all_spoke()
        chip.pass_ms(10000000)
