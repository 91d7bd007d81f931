"""Use that the application counts, from anywhere: an interrupt, another thread, a callback of the agent.

    from replenish.sensors import counted
    counted.add("Coffee", 1)

`slot.consume` does the same at once, but belongs to the thread that the agent runs in. What is added here is taken at the next reading
and is in memory only until then.
"""

_counts = {}  # by slot id, in the slot's unit


def add(slot_id, amount):
    """Count use. Microseconds; for whole numbers below 2^30 no memory is taken, so an interrupt may call it.

    Raises KeyError for a slot without this driver.
    """
    _counts[slot_id] += amount


class Sensor:
    """No options."""

    def __init__(self, options):
        self._slot = options["slot"]
        _counts[self._slot] = 0

    def used(self):
        """What was used since the last call."""
        amount = _counts[self._slot]
        _counts[self._slot] -= amount  # not = 0: it may have grown meanwhile
        return amount
