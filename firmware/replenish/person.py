"""The person at a board: a light that tells how it is, and a button that is looked at. What is obeyed: obeying.py."""

import time

from .app import forget
from .core import button, light
from .io.pins import Contact, Lamp


class Person:
    """life: see life.py; led, contact: as configured, either may be None."""

    def __init__(self, life, led, contact):
        self._life = life
        self._lamp = led and Lamp(led["pin"], led["active"])
        self._contact = contact and Contact(contact["pin"], contact["active"])
        self._slot_id = contact and contact["slot"]
        self.waker = contact and (contact["pin"], contact["active"] == "high")  # as chip.sleep_deep wants it
        self._shown_since = time.ticks_ms()
        self._finger = button.Button(self._shown_since, False)
        self._state = "starting"
        self._pattern = light.pattern_of(self._state)

    def is_pressing(self):
        """Whether the button is down just now."""
        return bool(self._contact and self._contact.is_down())

    def is_busy(self):
        """Whether a finger is on the button that still means something."""
        return self._finger.is_busy()

    def expect(self):
        """The button woke the board: a finger that is on it counts from now on."""
        self._finger = button.Button(time.ticks_ms(), True)

    def stay(self, ms):
        """Look at the button for so long, and on while a finger is on it."""
        start = time.ticks_ms()
        while True:
            ticks = time.ticks_ms()
            self.look(ticks)
            if time.ticks_diff(ticks, start) >= ms and not self._finger.is_busy():
                return
            self._life.dog.all_spoke()
            self._life.rest()

    def look(self, ticks):
        """The button and the light. Returns whether the button was pressed, and let go."""
        meant = button.NOTHING
        if self._contact:
            meant = self._finger.look(self._contact.is_down(), ticks)
            stage = self._finger.stage(ticks)
            if stage or self._state in ("held", "warning", "armed"):
                self.show(stage or (self.device_state() if self._life.agent else "safe"))
            if meant:
                self._obey(meant)
        if self._lamp:
            self._lamp.show(light.is_lit(self._pattern, time.ticks_diff(ticks, self._shown_since)))
            if time.ticks_diff(ticks, self._shown_since) > 3600000:
                self._shown_since = ticks  # before ticks wrap
        return meant == button.PRESSED

    def show(self, state):
        """Let the light show a state of core/light.py."""
        if state != self._state:
            self._state = state
            self._pattern = light.pattern_of(state)
            self._shown_since = time.ticks_ms()

    def show_device(self):
        self.show(self.device_state())

    def put_out(self):
        if self._lamp:
            self._lamp.show(False)

    def device_state(self):
        """What the light is to show of the device."""
        agent, online = self._life.agent, self._life.online
        slots = [(slot.order.names()[0], slot.fault()) for slot in agent.slots]
        return light.state_of(agent.fault, not online or online.is_well(), agent.device.held, slots)

    def _obey(self, meant):
        from .obeying import obey

        obey(self._life, meant, self._slot_id)
        obey = None
        forget("obeying")
