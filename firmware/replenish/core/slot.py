"""One slot: its level, refills, stock at home and need. How a level comes in stands in level.py, what it leads to in forecast.py;
both are in memory only when they are needed, and not while a service is called.

Times are Unix seconds, 0 is never. Quantities are in the slot's unit.
"""

from micropython import const

from . import order as o

_RANGE = 1.2  # a level above so many capacities is a fault of the sensor (law 7)
_STOCK_LIMIT = const(1000000000)  # as of every amount in a configuration
FULL = 0.9  # of the capacity: full again (law 5)
_DAY_S = const(86400)
_LOOK_AHEAD_S = const(3600)  # so old may a forecast be, if the amount is what it was; its code is in memory only when it is made
_LOOK_AHEAD_STEP = 0.01  # of the capacity


class Level:
    """What is known of a slot's level: exactly what is durable."""

    def __init__(self):
        self.value = None  # the last valid level, measured or counted; None: never seen
        self.at = 0  # when it was seen
        self.low_water = 0.0  # use is counted down to here since the last refill; of a part that ages: what is left by count
        self.low_since = 0  # since when there is a need without a break
        self.rise_since = 0  # since when a rise stands that may become a refill
        self.last_use = 0
        self.first_at = 0
        self.rate = 0.0  # units per day, smoothed: see forecast.py
        self.rate_at = 0  # up to when consumption is counted in `rate`
        self.refills = 0  # number of the last refill, modulo 2^16: the order applies each once
        self.refill_amount = 0.0  # below 0: it was none after all, see part.py
        self.base = 0.0  # the lowest lasting measurement since the last refill: what a rise is measured from
        self.used = 0.0  # since `rate_at`
        self.week = b"       \0"  # (seven times 32) what a forecast learned of the weekdays, and how far it is off: see forecast.py
        self.reported = 0.0  # the level that slotStatus was last told, or the highest since
        self.reported_at = 0
        self.installed_at = 0  # of a part that ages: since when
        self.part = b""  # ... and of the one before it: see part.py
        self.saved(0)

    def marks(self):
        """What decides whether a write is due."""
        return self.value, self.low_since, self.rise_since, self.refills, self.low_water, self.installed_at

    def saved(self, now):
        """What stands here is durable."""
        self.saved_at = now
        self.saved_marks = self.marks()


class Slot:
    """One consumable: its configuration, its level and its order."""

    def __init__(self, config, rules, prefix=""):
        """config: an entry of `slots`; rules: the section `policy`; units and ranges: CONFIGURATION.md; prefix: see `Order`."""
        self.id = config["id"]
        self.unit = config["unit"]
        self.capacity = config["capacity"]
        self.reorder_at = config["reorder_at"]
        self.lead_days = config["lead_days"]
        self.pack = config["pack"]
        self.packs = config["packs"]  # that one order asks for
        self.least = config["least"] or config["packs"]
        self.mode = config["refill"]
        self.whole = config["swap"]  # a refill is a new container or part
        self.rules = rules
        self.period_s = config["sensor"]["period_s"] if config["sensor"] else 0
        self.level = Level()
        self.order = o.Order(prefix)
        self.shared: tuple[Slot, ...] = ()  # the other slots that are fed from the same stock at home
        self.sensor_fault = None
        self.short_since = 0  # since when the slot itself is low, whatever is at home
        self.sample_at = 0  # when the sensor is read next
        self.settle_ms = 0  # ... because it has no reading yet: it will have one, or get on with it, in so many real milliseconds
        self.status_sent = False  # slotStatus of this reporting day
        self.use_told = False  # by slotStatus, since this start
        self.told_value = self.told_fault = None  # what was told last, and when the level was
        self.told_wait = None, 0xFFFFFFFF, o.IDLE  # why it waits, when time next has something to say (never, in policy.py), its state
        self.told_at = 0
        self.told_state = "idle"
        self.order_by = 0  # when to order by the forecast; 0: nothing is known
        self.looked_at = 0
        self._looked_for = 0.0
        # What level.py keeps between two levels.
        self.measured = None  # the last measurement since the start, whatever was counted since, ...
        self.measured_at = 0
        self.noise = 0.0  # how far a reading is above the last one, on average: use only lowers it
        self.doubt = None  # a reading that jumped, and waits for another one that agrees
        self.fall = None  # (highest level, since, readings) of a fall that does not count yet
        self.rise = None  # (level just before, highest level, since) of a rise that does not count yet
        self.seen = 0.0  # what measurements fell below the level since `seen_at`: the appliance may yet count it, ...
        self.seen_before = 0.0  # ... and in the ten minutes before
        self.seen_at = 0

    # What comes in

    def check(self, value):
        """`value` if it can be a level (law 7), else ValueError."""
        if not 0 <= value <= _RANGE * self.capacity:  # false for NaN as well
            raise ValueError("level %s: allowed: a number from 0 to 1.2 times %s" % (value, self.capacity))
        return value

    def sample(self, sensor, now):
        """Read the sensor. A reading that jumps is taken when the next one, a minute later, agrees."""
        from .level import sample

        sample(self, sensor, now)

    def measure(self, value, now):
        """Take what was measured once. Raises ValueError when that cannot be a level; then the level stands."""
        from .level import see

        see(self, self.check(value), now, False)

    def tell(self, value, now):
        """Take a level that is told as certain. Raises ValueError."""
        from .level import see

        see(self, self.check(value), now, True)

    def use(self, amount, now):
        """Counted use: `amount`, 0 or more, was taken out; else ValueError. From full when no level was told; stops at 0.

        What a sensor saw just before is not taken out again.
        """
        from .level import use

        use(self, amount, now)

    def refill_by_person(self, value, now):
        """A person's word that the slot was refilled to `value`, None: to its capacity. It also ends the hold after a second
        cancellation (law 5). Raises ValueError."""
        self.fill(self.capacity if value is None else self.check(value), now)
        if self.order.reason == o.CANCELLED_TWICE:
            self.order.release(now)
        return True

    def stock_by_person(self, on_hand, now):
        """A person's word what is at home and not loaded. Raises ValueError."""
        if not 0 <= on_hand <= _STOCK_LIMIT:
            raise ValueError("on_hand %s: allowed: a number from 0 to %d" % (on_hand, _STOCK_LIMIT))
        self.order.on_hand = on_hand - self.elsewhere()
        self.review(now)
        return True

    # The stock at home

    def elsewhere(self):
        """What the other slots of a shared stock brought home, less what they loaded: below 0 where they loaded from ours."""
        total = 0.0
        for slot in self.shared:
            total += slot.order.on_hand
        return total

    def at_home(self):
        """What is at home and not loaded."""
        return max(0.0, self.order.on_hand + self.elsewhere())

    # The level

    def begin(self, value, now):
        """The first level of all, or the first valid one: nothing is measured or counted from before it."""
        level = self.level
        if level.value is None or now and not level.first_at:
            level.low_water = level.base = value
        if now and not level.first_at:
            level.first_at = level.rate_at = now

    def refilled(self, value, amount, now):
        level = self.level
        self.begin(value, now)
        level.value = level.low_water = level.base = value
        level.at = now
        level.rise_since = level.low_since = 0
        level.refills = level.refills + 1 & 0xFFFF
        level.refill_amount = self.capacity if self.whole else amount
        self.fall = self.rise = None
        self.seen = self.seen_before = 0.0

    def fill(self, value, now):
        """A refill is certain without a sensor: a person's word, or a delivery that fills the slot."""
        self.refilled(value, max(0.0, value - (self.level.value or 0.0)), now)
        self.apply_refill(now)

    def apply_refill(self, now):
        """Bring a refill of the level to the order, once. Returns whether there was one."""
        level, order = self.level, self.order
        if level.refills == order.refills_seen:
            return False
        order.refill(now, level.refill_amount, self.pack, self.elsewhere())
        order.refills_seen = level.refills
        self.review(now)
        return True

    def pass_time(self, now):
        """What time alone does: a need may begin by the forecast."""
        if self.level.value is not None:
            self.begin(self.level.value, now)  # it may have been told before there was a time
        self.review(now)

    def days_left(self, now):
        """Days until level and stock are used up; None when too little was seen to say."""
        level = self.level
        if level.value is None:
            return None
        from .forecast import days_left

        return days_left(level, level.value + self.at_home(), now)

    def need(self, now):
        """Why more is needed (law 7): "low", "forecast", or "" when there is enough."""
        value = self.level.value
        if value is None or value + self.at_home() <= self.reorder_at:
            return "" if value is None else "low"
        return "forecast" if self.order_by and now >= self.order_by else ""

    def review(self, now):
        """Keep since when more is needed. To be called after each change of the level or of the stock at home."""
        self._review(now)
        for slot in self.shared:
            slot._review(now)

    def _review(self, now):
        level = self.level
        if self.lead_days and level.value is not None:
            self._look_ahead(level.value + self.at_home(), now)
        level.low_since = (level.low_since or now) if self.need(now) else 0
        short = level.value is not None and level.value <= self.reorder_at
        self.short_since = (self.short_since or now) if short else 0

    def _look_ahead(self, amount, now):
        """Forecast anew when it is due, or the amount is another."""
        if now - self.looked_at < _LOOK_AHEAD_S and abs(amount - self._looked_for) < _LOOK_AHEAD_STEP * self.capacity:
            return
        from .forecast import lead_days

        self.looked_at = now
        self._looked_for = amount
        days = self.days_left(now)
        self.order_by = 0 if days is None else now + int((days - lead_days(self.level, self.lead_days)) * _DAY_S)

    def lasted(self, since, now):
        """Whether what began at `since` has lasted for the confirmation time."""
        return since and now - since >= self.rules["confirm_s"]

    def worth_saving(self, now):
        """Whether what is known of the level must, or by change and age should, be written now."""
        if self.level.value is None or self.level.saved_marks == self.level.marks():
            return False
        from .level import worth_saving

        return worth_saving(self, now)

    def fault(self):
        """The slot's fault as the state topic names it, or None."""
        return self.sensor_fault or _ORDER_FAULTS.get(self.order.reason)


_ORDER_FAULTS = {
    o.REFUSED_400: "refused",
    o.REFUSED_404: "unknown_slot",
    o.NOT_FULFILLED: "not_fulfilled",
    o.REFILL_EXPECTED: "refill_expected",
    o.ORDER_LIMIT: "order_limit",
    o.RECORD_DAMAGED: "record_damaged",
}
