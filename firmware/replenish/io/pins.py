"""The status light and the button, at their pins."""


class Lamp:
    """A light at a pin; `show` it lit or dark."""

    def __init__(self, pin, active):
        """active: "high" or "low", the level at which it is lit."""
        from machine import Pin

        self._dark = active == "low"
        self._lit = False
        self._pin = Pin(pin, Pin.OUT, value=self._dark)

    def show(self, lit):
        if lit != self._lit:
            self._lit = lit
            self._pin.value(lit != self._dark)


class Contact:
    """A button at a pin."""

    def __init__(self, pin, active):
        """active: "high" or "low", the level while it is pressed."""
        from machine import Pin

        self._up = active == "low"
        try:
            self._pin = Pin(pin, Pin.IN, Pin.PULL_UP if self._up else Pin.PULL_DOWN)
        except ValueError:
            self._pin = Pin(pin, Pin.IN)  # one that only reads, and has no pull of its own

    def is_down(self):
        return bool(self._pin.value()) != self._up
