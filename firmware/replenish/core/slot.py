"""The level of one slot: validity, consumption rate, run-out forecast, refill detection. No clock, no sensor: values are arguments.

Times are Unix seconds, 0 is never. Quantities are in the slot's unit.
"""

from . import order as o
from .isotime import DAY_S
from .order import Order

RANGE_LIMIT = 1.2  # a level above so many capacities is a fault of the sensor (law 7)
FULL = 0.9  # of the capacity: full again (law 5)
RISE = 0.05  # of the capacity: a smaller rise is noise, not a refill
SAVE_STEP = 0.05  # of the capacity: a smaller change is not worth a write
SAVE_AGE_S = 6 * 3600  # ... until it is so old: at most 4 writes a day by age, 20 a refill by change
SAVE_PAUSE_S = 600  # a need or a rise that flickers is written no more often: at most 144 beginnings a day
RATE_DAYS = 7.0  # time constant of the smoothed consumption rate
OBSERVED_DAYS = 3  # no forecast before so many days were seen


# The order's reasons that are faults, as the state topic names them.
ORDER_FAULTS = {
    o.REFUSED_400: "refused",
    o.REFUSED_404: "unknown_slot",
    o.REFILL_EXPECTED: "refill_expected",
    o.ORDER_LIMIT: "order_limit",
    o.RECORD_DAMAGED: "record_damaged",
}


class Level:
    """What is known of a slot's level: exactly what is durable."""

    def __init__(self):
        self.value = None  # the last valid level; None: never seen
        self.at = 0  # when it was seen
        self.low_water = 0.0  # the lowest level since the last refill: consumption and rises are measured from it
        self.low_since = 0  # since when there is a need without a break
        self.rise_since = 0  # since when a rise stands that may become a refill
        self.last_use = 0
        self.first_at = 0
        self.rate = 0.0  # units per day, smoothed
        self.rate_at = 0  # up to when consumption is counted in `rate`
        self.refills = 0  # number of the last refill, modulo 2^16: the order applies each once
        self.refill_amount = 0.0
        self.saved(0)

    def saved(self, now):
        """What stands here is durable."""
        self.saved_at = now
        self.saved_value = self.value
        self.saved_low = self.low_since
        self.saved_rise = self.rise_since
        self.saved_refills = self.refills

    def see(self, value, now, slot, detect_refill):
        """Take a valid level. detect_refill: a lasting rise is a refill; otherwise only a person's word or a delivery is."""
        if not self.first_at:
            self.low_water = value
            self.first_at = self.rate_at = now
        self.value = value
        self.at = now
        if not now:  # no valid time yet: a level, and nothing that is counted in time
            return
        if value < self.low_water:
            self._consume(self.low_water - value, now)
            self.low_water = value
        if not (detect_refill and value >= self.low_water + RISE * slot.capacity and value > slot.reorder_at):
            self.rise_since = 0
        elif not self.rise_since:
            self.rise_since = now
        if self.rise_since and slot.lasted(self.rise_since, now):
            self.refilled(value, value - self.low_water, now)

    def _consume(self, amount, now):
        days = max(now - self.rate_at, 60) / DAY_S
        seen = max(now - self.first_at, 60) / DAY_S
        weight = min(1.0, days / min(RATE_DAYS + days, seen))  # in the first week: the plain mean
        self.rate += (amount / days - self.rate) * weight
        self.rate_at = self.last_use = now

    def refilled(self, value, amount, now):
        """A refill is certain: a lasting rise, a person's word, or a delivery that fills the slot."""
        self.value = self.low_water = value
        self.at = now
        self.rise_since = self.low_since = 0
        self.rate_at = now
        self.refills = self.refills + 1 & 0xFFFF
        self.refill_amount = amount

    def days_left(self, on_hand, now):
        """Days until `value` + `on_hand` is used up at the smoothed rate; None when too little was seen to say."""
        if self.value is None or now - self.first_at < OBSERVED_DAYS * DAY_S:
            return None
        days = (now - self.rate_at) / DAY_S
        rate = self.rate * RATE_DAYS / (RATE_DAYS + days)  # nothing was used since: the rate is lower by now
        return (self.value + on_hand) / rate if rate > 0 else None

    def worth_saving(self, now, capacity):
        """Whether what is known must, or by change and age should, be written now.

        The end of a need or of a rise is written at once: from a stored beginning a reboot would count on.
        """
        if not self.unsaved():
            return False
        if self.saved_value is None or self.refills != self.saved_refills:
            return True
        if self.saved_low and self.low_since != self.saved_low or self.saved_rise and self.rise_since != self.saved_rise:
            return True
        if self.low_since != self.saved_low or self.rise_since != self.saved_rise:
            return now - self.saved_at >= SAVE_PAUSE_S
        return abs(self.value - self.saved_value) >= SAVE_STEP * capacity or now - self.saved_at >= SAVE_AGE_S

    def unsaved(self):
        """Whether anything here is not durable."""
        if self.value is None:
            return False
        now = (self.value, self.low_since, self.rise_since, self.refills)
        return now != (self.saved_value, self.saved_low, self.saved_rise, self.saved_refills)


class Slot:
    """One consumable: its configuration, its level and its order."""

    def __init__(self, config, rules):
        """config: an entry of `slots`; rules: the section `policy`; see config.py for units and tools/configuration.py for ranges."""
        self.id = config["id"]
        self.unit = config["unit"]
        self.capacity = config["capacity"]
        self.reorder_at = config["reorder_at"]
        self.lead_days = config["lead_days"]
        self.pack = config["pack"]
        self.mode = config["refill"]
        self.rules = rules
        self.confirm_s = rules["confirm_s"]
        self.period_s = config["sensor"]["period_s"] if config["sensor"] else 0
        self.level = Level()
        self.order = Order()
        self.sensor_fault = None
        self.short_since = 0  # since when the slot itself is low, whatever is at home
        self.sample_at = 0  # when the sensor is read next
        self.status_sent = False  # slotStatus of this reporting day
        self.told_value = self.told_fault = self.told_wait = None  # what was told last of this slot, and when its level was
        self.told_at = 0

    def is_fault(self, value):
        """Whether a reading is a fault of the sensor and not a level (law 7)."""
        return not (value == value and 0 <= value <= RANGE_LIMIT * self.capacity)  # NaN is not equal to itself

    def sample(self, sensor, now):
        """Read the sensor."""
        try:
            self.measure(sensor.read(), now)
        except OSError:
            self.sensor_fault = "sensor_silent"
        except ValueError:
            self.sensor_fault = "sensor_range"

    def measure(self, value, now):
        """Take what was measured; a value that cannot be a level is a fault and changes no level."""
        self.sensor_fault = "sensor_range" if self.is_fault(value) else None
        if not self.sensor_fault:
            self.level.see(value, now, self, self.mode == "sensor")
            self.review(now)

    def use(self, amount, now):
        """Counted use: `amount` was taken out. Counts from full when no level was ever told; stops at 0."""
        before = self.capacity if self.level.value is None else self.level.value
        self.level.see(max(0.0, before - amount), now, self, False)
        self.review(now)

    def fill(self, value, now):
        """A refill is certain; the level is now `value` (a person's word, or a delivery that fills the slot)."""
        self.level.refilled(value, max(0.0, value - (self.level.value or 0.0)), now)
        self.apply_refill(now)

    def refill_by_person(self, value, now):
        """A person's word that the slot was refilled. It also ends the hold after a second cancellation (law 5)."""
        self.fill(value, now)
        if self.order.reason == o.CANCELLED_TWICE:
            self.order.release(now)

    def stock_by_person(self, on_hand, now):
        """A person's word what is at home and not loaded."""
        self.order.on_hand = on_hand
        self.review(now)

    def apply_refill(self, now):
        """Bring a refill of the level to the order, once. Returns whether there was one."""
        level, order = self.level, self.order
        if level.refills == order.refills_seen:
            return False
        order.refill(now, level.refill_amount, self.pack)
        order.refills_seen = level.refills
        self.review(now)
        return True

    def review(self, now):
        """Keep since when more is needed. To be called after each change of the level or of the stock at home."""
        level = self.level
        if not self.need(now):
            level.low_since = 0
        elif not level.low_since:
            level.low_since = now
        if not self.low():
            self.short_since = 0
        elif not self.short_since:
            self.short_since = now

    def need(self, now):
        """Why more is needed: "low", "forecast", or "" when there is enough."""
        level = self.level
        if level.value is None:
            return ""
        if level.value + self.order.on_hand <= self.reorder_at:
            return "low"
        days = level.days_left(self.order.on_hand, now)
        return "forecast" if days is not None and days <= self.lead_days else ""

    def low(self):
        """Whether the slot itself is low, whatever is at home."""
        return self.level.value is not None and self.level.value <= self.reorder_at

    def lasted(self, since, now):
        """Whether what began at `since` has lasted for the confirmation time."""
        return since and now - since >= self.confirm_s

    def fault(self):
        """The slot's fault as the state topic names it, or None."""
        return self.sensor_fault or ORDER_FAULTS.get(self.order.reason)
