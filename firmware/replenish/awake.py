"""A board that stays awake: a finger and a light many times a second, the network and the agent each second, for ever."""

import gc
import time

from micropython import const

from .core.errors import ProtocolError
from .io import chip

_SECOND_MS = const(1000)
_HEALTHY_S = const(60)  # a start counts as well when every part has worked for so long
_AGAIN_S = const(60)  # a step that met an error of the world
_OUT_OF_MEMORY = const(3)  # steps in a row


class Awake:
    """life: see life.py."""

    def __init__(self, life):
        self._life = life
        self._second_ticks = time.ticks_ms()
        self._rest_ms = self._seconds = 0
        self._failures = 0  # steps in a row that ended for want of memory
        self._unwell = True
        self._dirty = True  # what the light shows may have changed
        life.agent.on(self._heard)

    def stay(self):
        """Until the store asks for another start. Ends in a reset."""
        life = self._life
        while not life.agent.ledger.store.must_restart:
            self.turn()
        life.agent.stop("store must be mounted anew")
        chip.restart(life.memory)

    def turn(self):
        """A slice: the finger and the light; each second the rest, but not while a finger is on the button."""
        life = self._life
        ticks = time.ticks_ms()
        if life.person:
            life.person.look(ticks)
        life.dog.spoke("person")
        passed = time.ticks_diff(ticks, self._second_ticks)
        if passed >= _SECOND_MS and not (life.person and life.person.is_busy()):
            self._second_ticks = ticks
            self._rest_ms += passed
            seconds = self._rest_ms // _SECOND_MS
            self._rest_ms -= seconds * _SECOND_MS
            self._second(seconds)
        life.rest()

    def _second(self, seconds):
        life = self._life
        self._seconds += seconds
        if life.online and life.online.attend(seconds):
            self._dirty = True
        life.dog.spoke("network")
        if self._step():
            life.dog.spoke("step")
        if life.trial:
            life.trial.attend(seconds)
        if self._unwell and self._seconds >= _HEALTHY_S and not self._failures and not (life.trial and life.trial.still_open):
            self._unwell = False
            life.well()
        if self._dirty:
            self._dirty = False
            if life.person:
                life.person.show_device()

    def _step(self):
        """Returns whether the agent's step ended as one should."""
        agent = self._life.agent
        try:
            agent.step()
        except MemoryError:
            self._failures += 1
            gc.collect()
            if self._failures >= _OUT_OF_MEMORY:
                raise
            return False  # the next step goes back to what is durable
        except (OSError, ProtocolError) as error:
            self._life.tell_error(error)
            agent.break_off()
            agent.due_ticks = time.ticks_add(time.ticks_ms(), _AGAIN_S * 1000)
            self._seconds = -_AGAIN_S  # the minute that shows that it is well has a step in it
            return False
        self._failures = 0
        return True

    def _heard(self, kind, slot_id, pairs):
        self._dirty = True
        if self._life.trial:
            self._life.trial.heard(kind, slot_id, pairs)
