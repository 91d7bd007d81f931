"""A product's serial line: closed, unless a person holds the button at the start; and no WebREPL in any case."""

import os
import sys

from replenish.io import lock

from host_tests.expect import raises, tmp


class Machine:
    """What `close` asks of MicroPython and of WebREPL."""

    def __init__(self):
        self.interrupt = 3
        self.stopped = 0
        self.kbd_intr = lambda character: setattr(self, "interrupt", character)  # no method: see fakes/nvs.py

    def stop(self):
        self.stopped += 1

    def close(self, is_held, path="/nowhere/webrepl_cfg.py"):
        modules: "dict" = sys.modules
        before = {name: modules.get(name) for name in ("micropython", "webrepl")}
        modules["micropython"] = modules["webrepl"] = self
        try:
            return lock.close(is_held, path)
        finally:
            for name in before:
                modules.pop(name)
                if before[name]:
                    modules[name] = before[name]


def test_nobody_interrupts_a_product():
    board = Machine()
    assert board.close(False) is True
    assert (board.interrupt, board.stopped) == (-1, 1)


def test_whoever_holds_the_button_at_the_start_may():
    board = Machine()
    assert board.close(True) is False
    assert (board.interrupt, board.stopped) == (3, 1), "WebREPL has no password of this appliance's: it is off all the same"


def test_the_password_of_webrepl_is_removed():
    path = tmp() + "/webrepl_cfg.py"
    with open(path, "w") as file:
        file.write("PASS = 'secret'")
    Machine().close(False, path)
    assert raises(OSError, os.stat, path)
