"""What the fakes of the services share: the calls that came, the faults that a test wants, and the orders."""


class Faulty:
    """An HTTP client of the agent: `call` of a subclass notes each call and takes its fault."""

    def __init__(self, clock):
        self.clock = clock
        self.orders = []
        self.calls = []  # (time, name, argument)
        self._faults = {}

    def next(self, name, *faults):
        """What the next calls of this name meet; which faults there are, the subclass says."""
        self._faults.setdefault(name, []).extend(faults)

    def came(self, name, argument):
        """Note a call. Returns its fault, or None."""
        self.calls.append((self.clock.seconds, name, argument))
        faults = self._faults.get(name)
        return faults.pop(0) if faults else None

    def count(self, name):
        return len([call for call in self.calls if call[1] == name])

    def open_order(self, slot):
        for order in self.orders:
            if order.slot == slot and order.open:
                return order
        return None

    def close(self):
        pass
