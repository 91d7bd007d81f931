"""What an appliance's own program sees of a slot. In memory only where a program asks for it (`Agent.slot`)."""


class SlotFace:
    """One slot, as the appliance's own program sees it. `agree` and `cancel` make a call; each of the others is milliseconds."""

    def __init__(self, agent, slot):
        self._agent = agent
        self._slot = slot
        self.id = slot.id

    @property
    def order(self):
        """The order as a picture of this moment: `state` and the other names of the state topic's `order`."""
        from .core.view import of_order

        return OrderView(*of_order(self._slot, self._agent.device, self._agent.time.now))

    @property
    def fault(self):
        """The slot's fault by name, or None."""
        return self._slot.fault()

    def level(self, value=None):
        """Tell the level that was measured, in the slot's unit; without an argument: the last level, None if there is none.

        Raises ValueError for a value below 0 or above 1.2 times the capacity, and for any of a slot with `life_days`.
        """
        if value is None:
            return self._slot.level.value
        return self._agent.told(self._slot, self._slot.tell, value)

    def consume(self, amount):
        """Count use: `amount` (0 or more, in the slot's unit) was taken out. Raises ValueError."""
        self._agent.told(self._slot, self._slot.use, amount)

    def refilled(self, level=None):
        """A person's word: the slot was refilled, to `level` or, without it, to its capacity. Of a slot with `life_days`: a new part
        is in. Raises ValueError."""
        self._agent.told(self._slot, self._slot.refill_by_person, level)

    def calibration(self):
        """What the sensor's raw numbers mean: see calibration.py. Raises ValueError where nothing is calibrated."""
        parts = getattr(self._agent.sensors.get(self.id), "scaled", ())
        if not parts:
            raise ValueError("slot %s: its sensor is not calibrated" % self.id)
        from .calibration import Calibration

        return Calibration(self._agent, self._slot, parts)

    def new_part(self):
        """A person's word: a new part is in, which ages from now on. The same as `refilled()`. Raises ValueError for a slot without
        `life_days`."""
        self._agent.told(self._slot, self._ages().refill_by_person, None)

    def undo_new_part(self):
        """The last `new_part` was a mistake: the part from before is back, with its age, less what was used since; and at home
        what the new one took. Once, also after a reboot.

        Raises ValueError when there is nothing to undo, and when the order has gone on by the new part.
        """
        self._agent.told(self._slot, self._ages().undo, None)

    def _ages(self):
        if not hasattr(self._slot, "undo"):
            raise ValueError("new_part: allowed: a slot with life_days")
        return self._slot

    @property
    def run_out(self):
        """When level and stock will be used up, Unix seconds; None while too little was seen to say."""
        from .core.view import run_out

        return run_out(self._slot, self._agent.time.now)

    @property
    def confidence(self):
        """How much to trust `run_out`: "high" when four weeks were seen and a day's use is usually off by less than half of a mean
        day's; "low" in the first two weeks, and when it is off by more than a whole one; else "medium". None: no forecast."""
        from .core.forecast import confidence

        return (None, "low", "medium", "high")[confidence(self._slot.level, self._agent.time.now)]

    def agree(self):
        """A person's yes to what the maker's gateway asks (`order.state` "awaiting_customer"): to order fewer packs, or now.

        Returns None when the gateway has it, else why not in a phrase. Blocks for one call: 20 s at the most, the name look-up apart.
        """
        return self._answer("agree")

    def cancel(self):
        """A person's no to an order of the maker's gateway, as long as it lets it be cancelled. Otherwise like `agree`."""
        return self._answer("cancel")

    def _answer(self, verb):
        from .app import forget, forget_calls
        from .core import policy

        if not self._slot.order.prefix or not policy.polled(self._slot.order):
            return "no order that can be answered"
        from .answering import answer

        try:
            return answer(self._agent, self._slot, verb)
        finally:
            forget("answering")
            forget_calls()

    def stock(self, on_hand):
        """A person's word: so much is at home and not loaded. Raises ValueError when it is below 0."""
        self._agent.told(self._slot, self._slot.stock_by_person, on_hand)


class OrderView:
    """An order as others see it; the names and their meaning are those of the state topic. Times are Unix seconds or None."""

    def __init__(self, state, event_instance_id, since, next_try, deadline, attempts, cancels, reason):
        self.state = state
        self.event_instance_id = event_instance_id
        self.since = since
        self.next_try = next_try
        self.deadline = deadline
        self.attempts = attempts
        self.cancels = cancels
        self.reason = reason
