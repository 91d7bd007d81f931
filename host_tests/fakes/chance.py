"""Chance for the dual tests: `random` draws other numbers on each interpreter."""


class Random:
    """Random numbers that are the same on every interpreter."""

    def __init__(self, seed):
        self._state = seed * 2654435761 % 4294967296

    def fraction(self):
        """From 0 up to 1."""
        self._state = (self._state * 1664525 + 1013904223) % 4294967296
        return (self._state >> 8) / 16777216

    def below(self, limit):
        """A whole number from 0 up to `limit`."""
        return int(self.fraction() * limit)
