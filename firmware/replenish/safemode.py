"""A start in safe mode: no agent, no network, no order; only light, button and serial line."""

import time

from micropython import const

from .io import chip

_SAFE_S = const(86400)  # it ends by itself


def stay(life):
    """Until a press, for a day at the most, or until `loader.healthy()`. Ends in a reset."""
    life.tell("safe", ("ends_s", _SAFE_S))
    if life.person:
        life.person.show("safe")
    start = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), start) < _SAFE_S * 1000:
        if life.person and life.person.look(time.ticks_ms()):
            break
        life.dog.all_spoke()
        life.rest()
    life.loader.healthy()
    chip.restart(life.memory)
