"""One slot: its level, validity, consumption rate, run-out forecast and refill detection. No clock, no sensor bus: values are
arguments.

Times are Unix seconds, 0 is never. Quantities are in the slot's unit.
"""

from micropython import const

from . import order as o

_RANGE = 1.2  # a level above so many capacities is a fault of the sensor (law 7)
FULL = 0.9  # of the capacity: full again (law 5)
_RISE = 0.05  # of the capacity: a smaller rise is noise, not a refill
_SAVE_STEP = 0.05  # of the capacity: a smaller change is not worth a write
_SAVE_AGE_S = const(21600)  # ... until it is so old: at most 4 writes a day by age, 20 a refill by change
_SAVE_PAUSE_S = const(600)  # what flickers is written no more often: at most 144 changes a day, and the ends of as many
_RATE_DAYS = const(7)  # time constant of the smoothed consumption rate
_OBSERVED_S = const(259200)  # no forecast before three days were seen
_DAY_S = const(86400)


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
        self.reported = 0.0  # the level that slotStatus was last told, or the highest since
        self.reported_at = 0
        self.saved(0)

    def marks(self):
        """What decides whether a write is due."""
        return self.value, self.low_since, self.rise_since, self.refills

    def saved(self, now):
        """What stands here is durable."""
        self.saved_at = now
        self.saved_marks = self.marks()


class Slot:
    """One consumable: its configuration, its level and its order."""

    def __init__(self, config, rules):
        """config: an entry of `slots`; rules: the section `policy`; units and ranges: CONFIGURATION.md."""
        self.id = config["id"]
        self.unit = config["unit"]
        self.capacity = config["capacity"]
        self.reorder_at = config["reorder_at"]
        self.lead_days = config["lead_days"]
        self.pack = config["pack"]
        self.mode = config["refill"]
        self.rules = rules
        self.period_s = config["sensor"]["period_s"] if config["sensor"] else 0
        self.level = Level()
        self.order = o.Order()
        self.sensor_fault = None
        self.short_since = 0  # since when the slot itself is low, whatever is at home
        self.sample_at = 0  # when the sensor is read next
        self.status_sent = False  # slotStatus of this reporting day
        self.use_told = False  # by slotStatus, since this start
        self.told_value = self.told_fault = self.told_wait = None  # what was told last, and when the level was
        self.told_at = 0
        self.told_state = "idle"

    # What comes in

    def sample(self, sensor, now):
        """Read the sensor."""
        try:
            self.measure(sensor.read(), now)
        except OSError:
            self.sensor_fault = "sensor_silent"
        except ValueError:
            self.sensor_fault = "sensor_range"
        self.sample_at = now + self.period_s

    def check(self, value):
        """`value` if it can be a level (law 7), else ValueError."""
        if not 0 <= value <= _RANGE * self.capacity:  # false for NaN as well
            raise ValueError("level %s: allowed: a number from 0 to 1.2 times %s" % (value, self.capacity))
        return value

    def measure(self, value, now):
        """Take what was measured. Raises ValueError when that cannot be a level; then the level stands."""
        self._see(self.check(value), now, self.mode == "sensor")

    def use(self, amount, now):
        """Counted use: `amount`, 0 or more, was taken out; else ValueError. From full when no level was told; stops at 0."""
        if not amount >= 0:
            raise ValueError("amount %s: allowed: 0 or more" % amount)
        before = self.capacity if self.level.value is None else self.level.value
        self._see(max(0.0, before - amount), now, False)

    def refill_by_person(self, value, now):
        """A person's word that the slot was refilled to `value`, None: to its capacity. It also ends the hold after a second
        cancellation (law 5). Raises ValueError."""
        self.fill(self.capacity if value is None else self.check(value), now)
        if self.order.reason == o.CANCELLED_TWICE:
            self.order.release(now)
        return True

    def stock_by_person(self, on_hand, now):
        """A person's word what is at home and not loaded. Raises ValueError."""
        if not on_hand >= 0:
            raise ValueError("on_hand %s: allowed: 0 or more" % on_hand)
        self.order.on_hand = on_hand
        self.review(now)
        return True

    # The level

    def _see(self, value, now, detect_refill):
        """Take a valid level. detect_refill: a lasting rise is a refill; otherwise only a person's word or a delivery is."""
        level = self.level
        self.sensor_fault = None
        level.reported = max(level.reported, level.value or 0.0, value)
        level.value = value
        level.at = now
        if not now:  # no valid time yet: a level, and nothing that is counted in time
            return
        if not level.first_at:
            level.low_water = value
            level.first_at = level.rate_at = now
        used = level.low_water - value
        if used > 0:
            days = max(now - level.rate_at, 60) / _DAY_S
            seen = max(now - level.first_at, 60) / _DAY_S
            # In the first week: the plain mean.
            level.rate += (used / days - level.rate) * min(1.0, days / min(_RATE_DAYS + days, seen))
            level.rate_at = level.last_use = now
            level.low_water = value
        if not detect_refill or -used < _RISE * self.capacity or value <= self.reorder_at:
            level.rise_since = 0
        else:
            level.rise_since = level.rise_since or now
            if self.lasted(level.rise_since, now):
                self._refilled(value, -used, now)
        self.review(now)

    def _refilled(self, value, amount, now):
        level = self.level
        level.value = level.low_water = value
        level.at = level.rate_at = now
        level.rise_since = level.low_since = 0
        level.refills = level.refills + 1 & 0xFFFF
        level.refill_amount = amount

    def fill(self, value, now):
        """A refill is certain without a sensor: a person's word, or a delivery that fills the slot."""
        self._refilled(value, max(0.0, value - (self.level.value or 0.0)), now)
        self.apply_refill(now)

    def apply_refill(self, now):
        """Bring a refill of the level to the order, once. Returns whether there was one."""
        level, order = self.level, self.order
        if level.refills == order.refills_seen:
            return False
        order.refill(now, level.refill_amount, self.pack)
        order.refills_seen = level.refills
        self.review(now)
        return True

    def days_left(self, now):
        """Days until level and stock are used up at the smoothed rate; None when too little was seen to say."""
        level = self.level
        if level.value is None or now - level.first_at < _OBSERVED_S:
            return None
        # Nothing was used since `rate_at`: the rate is lower by now.
        rate = level.rate * _RATE_DAYS / (_RATE_DAYS + (now - level.rate_at) / _DAY_S)
        return (level.value + self.order.on_hand) / rate if rate > 0 else None

    def need(self, now):
        """Why more is needed (law 7): "low", "forecast", or "" when there is enough."""
        value = self.level.value
        if value is None or value + self.order.on_hand <= self.reorder_at:
            return "" if value is None else "low"
        days = self.days_left(now)
        return "forecast" if days is not None and days <= self.lead_days else ""

    def review(self, now):
        """Keep since when more is needed. To be called after each change of the level or of the stock at home."""
        level = self.level
        level.low_since = (level.low_since or now) if self.need(now) else 0
        short = level.value is not None and level.value <= self.reorder_at
        self.short_since = (self.short_since or now) if short else 0

    def lasted(self, since, now):
        """Whether what began at `since` has lasted for the confirmation time."""
        return since and now - since >= self.rules["confirm_s"]

    def worth_saving(self, now):
        """Whether what is known of the level must, or by change and age should, be written now.

        The end of a need or of a rise is written at once: from a stored beginning a reboot would count on. What began since
        the last write, if that was just now, begins anew at the next look: stored with the end it would need an end at once
        too, and two that flicker in turn would be written at every look.
        """
        level = self.level
        value, low, rise, refills = level.saved_marks
        if level.value is None or level.saved_marks == level.marks():
            return False
        if value is None or refills != level.refills:
            return True
        age = now - level.saved_at
        if low and low != level.low_since or rise and rise != level.rise_since:
            if age < _SAVE_PAUSE_S:
                level.low_since = low if low == level.low_since else 0
                level.rise_since = rise if rise == level.rise_since else 0
            return True
        changed = low != level.low_since or rise != level.rise_since or abs(level.value - value) >= _SAVE_STEP * self.capacity
        return age >= (_SAVE_PAUSE_S if changed else _SAVE_AGE_S)

    def fault(self):
        """The slot's fault as the state topic names it, or None."""
        return self.sensor_fault or _ORDER_FAULTS.get(self.order.reason)


_ORDER_FAULTS = {
    o.REFUSED_400: "refused",
    o.REFUSED_404: "unknown_slot",
    o.REFILL_EXPECTED: "refill_expected",
    o.ORDER_LIMIT: "order_limit",
    o.RECORD_DAMAGED: "record_damaged",
}
