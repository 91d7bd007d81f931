"""A button: bounces, presses, holds, the window of the reset, and what must never be taken for a press."""

from time import ticks_add  # type: ignore[attr-defined]  # the shim has it

from replenish.core import button

from host_tests.expect import cases

SOON = ticks_add(0, -3000)  # before the wrap, on whichever interpreter
SLICE = 20
NAMES = ("nothing", "pressed", "held", "reset")  # by the number


class Finger:
    """Looks at a button every 20 ms; the ticks wrap soon."""

    def __init__(self, counts=False, ticks=SOON):
        self.ticks = ticks
        self.button = button.Button(ticks, counts)
        self.meant = []

    def look(self, is_down, ms=SLICE):
        for _ in range(ms // SLICE):
            self.ticks = ticks_add(self.ticks, SLICE)
            meant = self.button.look(is_down, self.ticks)
            if meant:
                self.meant.append(NAMES[meant])

    def stage(self):
        return self.button.stage(self.ticks)


def pressed_for(ms):
    finger = Finger()
    finger.look(False, 200)
    finger.look(True, ms)
    finger.look(False, 200)
    assert not finger.button.is_busy()
    return finger.meant


def check_held(ms, *meant):
    assert pressed_for(ms) == list(meant)


def test_how_long_decides_what_is_meant():
    cases(
        check_held,
        [
            (20,),
            (60, "pressed"),
            (1400, "pressed"),
            (1600, "held"),
            (5900, "held"),
            (6100,),  # the warning: let go, and nothing happens
            (9900,),
            (10100, "reset"),
            (14900, "reset"),
            (15100,),  # stuck
            (3600000,),
        ],
    )


def test_nothing_is_meant_before_letting_go():
    finger = Finger()
    finger.look(False, 100)
    stages = []
    for _ in range(16000 // SLICE):
        finger.look(True)
        if finger.stage() not in stages[-1:]:
            stages.append(finger.stage())
    assert stages == [None, "held", "warning", "armed", None] and finger.meant == []
    assert not finger.button.is_busy()
    finger.look(False, 100)
    finger.look(True, 100)
    finger.look(False, 100)
    assert finger.meant == ["pressed"], "the next press counts again"


def test_a_contact_that_bounces_is_pressed_once():
    finger = Finger()
    finger.look(False, 100)
    for down in (1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0):
        finger.look(bool(down))
    assert finger.meant == ["pressed"]


def test_a_finger_that_nobody_looked_at_means_nothing():
    finger = Finger()
    finger.look(False, 100)
    finger.look(True, 1000)
    finger.ticks = ticks_add(finger.ticks, 11000)  # a call; the finger may have come and gone
    finger.look(True, 200)
    assert finger.stage() is None
    finger.look(False, 200)
    assert finger.meant == [], "no reset"
    finger.look(True, 200)
    finger.look(False, 200)
    assert finger.meant == ["pressed"]


def test_a_button_that_is_down_at_the_start():
    finger = Finger()
    finger.look(True, 12000)
    finger.look(False, 100)
    assert finger.meant == [], "a strapping pin, or a thing on it"
    woken = Finger(counts=True)
    woken.look(True, 12000)
    woken.look(False, 100)
    assert woken.meant == ["reset"], "the finger that woke the board"


def test_a_stuck_button_is_nothing_after_the_ticks_have_wrapped_and_wrapped():
    finger = Finger()
    finger.look(False, 100)
    finger.look(True, 16000)
    for _ in range(200000):
        finger.ticks = ticks_add(finger.ticks, 10000)
        finger.button.look(True, finger.ticks)
    finger.look(False, 100)
    assert finger.meant == [] and finger.stage() is None
