"""What an appliance's own program sees of a slot. In memory only where a program asks for it (`Agent.slot`)."""


class SlotFace:
    """One slot, as the appliance's own program sees it. No method here waits for the network; each is milliseconds."""

    def __init__(self, agent, slot):
        self._agent = agent
        self._slot = slot
        self.id = slot.id

    @property
    def order(self):
        """The order as a picture of this moment: `state` and the other names of the state topic's `order`."""
        return OrderView(self._slot.order)

    @property
    def fault(self):
        """The slot's fault by name, or None."""
        return self._slot.fault()

    def level(self, value=None):
        """Tell the level that was measured, in the slot's unit; without an argument: the last level, None if there is none.

        Raises ValueError for a value below 0 or above 1.2 times the capacity.
        """
        if value is None:
            return self._slot.level.value
        return self._agent.told(self._slot, self._slot.measure, value)

    def consume(self, amount):
        """Count use: `amount` (0 or more, in the slot's unit) was taken out. Raises ValueError."""
        self._agent.told(self._slot, self._slot.use, amount)

    def refilled(self, level=None):
        """A person's word: the slot was refilled, to `level` or, without it, to its capacity. Raises ValueError."""
        self._agent.told(self._slot, self._slot.refill_by_person, level)

    def stock(self, on_hand):
        """A person's word: so much is at home and not loaded. Raises ValueError when it is below 0."""
        self._agent.told(self._slot, self._slot.stock_by_person, on_hand)


class OrderView:
    """An order as others see it; the names are those of the state topic. Times are Unix seconds or None."""

    def __init__(self, order):
        self.state, self.reason = order.names()
        self.event_instance_id = order.own_id or order.progress_id or None
        self.since = order.since or None
        self.next_try = order.next_try or None
        self.deadline = order.deadline() or None
        self.attempts = order.attempts
        self.cancels = order.cancels
