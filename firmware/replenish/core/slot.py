"""One slot: its level from measurements and from counted use, side by side; refill detection; need. No clock, no sensor bus:
values are arguments.

Times are Unix seconds, 0 is never. Quantities are in the slot's unit.
"""

from micropython import const

from . import forecast
from . import order as o
from .errors import SensorFault

_RANGE = 1.2  # a level above so many capacities is a fault of the sensor (law 7)
FULL = 0.9  # of the capacity: full again (law 5)
_STEP = 0.05  # of the capacity: a smaller rise is noise, not a refill; a larger step of a sensor is looked at again
_CREEP = 0.02  # of the capacity a day: what rises so slowly is drift; a refill comes at once
_LOOK_AGAIN_S = const(60)
_SAME_USE_S = const(600)  # a count that comes so soon after a measured fall, or up to twice as late, tells of the same use
_COUNT_STANDS_S = const(3600)  # where nobody measured for so long, what was counted stands
_SAVE_STEP = 0.05  # of the capacity: a smaller change is not worth a write
_SAVE_AGE_S = const(21600)  # ... until it is so old: at most 4 writes a day by age, 20 a refill by change
_SAVE_PAUSE_S = const(600)  # what flickers is written no more often: at most 144 changes a day, and the ends of as many
_DAY_S = const(86400)


class Level:
    """What is known of a slot's level: exactly what is durable."""

    def __init__(self):
        self.value = None  # the last valid level, measured or counted; None: never seen
        self.at = 0  # when it was seen
        self.low_water = 0.0  # use is counted down to here since the last refill; of a life slot: what is left by count
        self.low_since = 0  # since when there is a need without a break
        self.rise_since = 0  # since when a rise stands that may become a refill
        self.last_use = 0
        self.first_at = 0
        self.rate = 0.0  # units per day, smoothed: see forecast.py
        self.rate_at = 0  # up to when consumption is counted in `rate`
        self.refills = 0  # number of the last refill, modulo 2^16: the order applies each once
        self.refill_amount = 0.0  # below 0: it was none after all, see `part.undo`
        self.base = 0.0  # the lowest lasting measurement since the last refill: what a rise is measured from
        self.used = 0.0  # since `rate_at`
        self.shape = forecast.FLAT  # how much of the week's use each weekday has
        self.spread = 0  # how far a day's use is off, usually
        self.reported = 0.0  # the level that slotStatus was last told, or the highest since
        self.reported_at = 0
        self.installed_at = 0  # of a life slot: since when the part ages
        self.part_before = 0.0  # the part before this one: what was left of it by count, ...
        self.part_before_at = 0  # ... since when it aged, ...
        self.part_taken = 0.0  # ... what of the stock at home its successor took, ...
        self.undoable = 0  # ... and whether all that can be taken back
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

    def __init__(self, config, rules):
        """config: an entry of `slots`; rules: the section `policy`; units and ranges: CONFIGURATION.md."""
        self.id = config["id"]
        self.unit = config["unit"]
        self.capacity = config["capacity"]
        self.reorder_at = config["reorder_at"]
        self.lead_days = config["lead_days"]
        self.pack = config["pack"]
        self.mode = config["refill"]
        self.life_days = config["life_days"]
        self.whole = config["swap"] or self.life_days is not None  # a refill is a new container or part
        self.rules = rules
        self.period_s = config["sensor"]["period_s"] if config["sensor"] else 0
        self.level = Level()
        self.order = o.Order()
        self.shared = ()  # the other slots that are fed from the same stock at home
        self.sensor_fault = None
        self.short_since = 0  # since when the slot itself is low, whatever is at home
        self.sample_at = 0  # when the sensor is read next
        self.status_sent = False  # slotStatus of this reporting day
        self.use_told = False  # by slotStatus, since this start
        self.told_value = self.told_fault = self.told_wait = None  # what was told last, and when the level was
        self.told_at = 0
        self.told_state = "idle"
        self.measured = None  # the last measurement since the start, whatever was counted since, ...
        self.measured_at = 0
        self.doubt = None  # a reading that jumped, and waits for another one that agrees
        self.fall = None  # (highest level, since, readings) of a fall that does not count yet
        self.seen = 0.0  # what measurements fell below the level since `seen_at`: the appliance may yet count it, ...
        self.seen_before = 0.0  # ... and in the ten minutes before
        self.seen_at = 0

    # What comes in

    def sample(self, sensor, now):
        """Read the sensor. A reading that jumps is taken when the next one, a minute later, agrees."""
        pause = self.period_s
        try:
            value = self.check(sensor.read())
            self.sensor_fault = None
            value, sure = self._judged(value)
            if value is None:
                pause = min(pause, _LOOK_AGAIN_S)
            else:
                self._see(value, now, sure)
        except SensorFault as fault:
            self.sensor_fault = "sensor_" + fault.args[0]
        except OSError:
            self.sensor_fault = "sensor_silent"
        except ValueError:
            self.sensor_fault = "sensor_range"
        self.sample_at = now + pause

    def _judged(self, value):
        """(the level to take, whether two readings stand for it); None instead of a level: look again.

        What lies between the last measurement and the level, or near to either, is no jump; the first reading since the start is
        all there is.
        """
        level, step, doubt = self.level.value, _STEP * self.capacity, self.doubt
        self.doubt = None
        if self.measured is None or level is None:
            return value, False
        if min(level, self.measured) - step <= value <= max(level, self.measured) + step:
            return value, False
        if doubt is None:
            self.doubt = value
            return None, False
        middle = sorted((level, doubt, value))[1]  # of two that jump to the same side the nearer one, of two to both sides none
        if abs(value - middle) > step:
            self.doubt = value
        return middle, True

    def check(self, value):
        """`value` if it can be a level (law 7), else ValueError."""
        if not 0 <= value <= _RANGE * self.capacity:  # false for NaN as well
            raise ValueError("level %s: allowed: a number from 0 to 1.2 times %s" % (value, self.capacity))
        return value

    def measure(self, value, now):
        """Take what was measured once. Raises ValueError when that cannot be a level; then the level stands."""
        self._see(self.check(value), now, False)

    def tell(self, value, now):
        """Take a level that is told as certain. Raises ValueError; also for a life slot, whose level is counted."""
        if self.life_days:
            raise ValueError("level: allowed for a part that ages: consume, new_part")
        self._see(self.check(value), now, True)

    def use(self, amount, now):
        """Counted use: `amount`, 0 or more, was taken out; else ValueError. From full when no level was told; stops at 0.

        What a sensor saw just before is not taken out again.
        """
        if not amount >= 0:
            raise ValueError("amount %s: allowed: 0 or more" % amount)
        level = self.level
        self._see_fall(0.0, now)
        again = min(amount, max(0.0, self.seen + self.seen_before))
        self.seen -= again
        before = level.low_water if self.life_days else level.value
        if level.value is None:
            before = self.capacity
        value = max(0.0, before - (amount - again))
        self._begin(before, now)
        self.sensor_fault = None
        level.value = value
        level.at = now
        self._count_down_to(value, now)
        if now:
            self.pass_time(now)

    def refill_by_person(self, value, now):
        """A person's word that the slot was refilled to `value`, None: to its capacity; of a life slot: that a new part is in. It
        also ends the hold after a second cancellation (law 5). Raises ValueError."""
        if self.life_days:
            if value is not None:
                raise ValueError("level %s: allowed for a part that ages: none, it is new" % value)
            from .part import install

            install(self, now)
        value = self.capacity if value is None else self.check(value)
        self.fill(value, now)
        if self.order.reason == o.CANCELLED_TWICE:
            self.order.release(now)
        return True

    def stock_by_person(self, on_hand, now):
        """A person's word what is at home and not loaded. Raises ValueError."""
        if not on_hand >= 0:
            raise ValueError("on_hand %s: allowed: 0 or more" % on_hand)
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

    def restored(self):
        """The level was read from the store. What cannot be one, because the capacity is another by now, is a fault until there
        is a new one; a level that stands below what was measured is a fall that began."""
        level = self.level
        if level.value is None:
            return
        try:
            self.check(level.value)
        except ValueError:
            level.value = None
            self.sensor_fault = "sensor_range"
            return
        self.measured_at = level.at
        if level.value < level.base:
            self.fall = (level.value, level.at, 1)

    def _begin(self, value, now):
        """The first level of all, or the first valid one: nothing is measured or counted from before it."""
        level = self.level
        if level.value is None or now and not level.first_at:
            level.low_water = level.base = value
        if now and not level.first_at:
            level.first_at = level.rate_at = now

    def _see(self, value, now, sure):
        """Take a measured level. sure: it stands for itself; else a fall counts as use only when a second one agrees."""
        level = self.level
        self._begin(value, now)
        self.sensor_fault = None
        level.reported = max(level.reported, level.value or 0.0, value)
        before = value if level.value is None else level.value
        passed = now - level.at
        level.value = value
        level.at = now
        if not now:  # no valid time yet: a level, and nothing that is counted in time
            return
        self._see_fall(before - value, now)
        if before < level.base and now - self.measured_at > _COUNT_STANDS_S and value > (level.base + before) / 2:
            level.base = before  # it was counted down, and what is above that by more than counts are wrong was refilled
        self.measured = value
        self.measured_at = now
        self._fall(value, now, sure)
        if self.mode == "sensor":
            self._rise(value, passed, now)
        self.review(now)

    def _see_fall(self, amount, now):
        passed = now - self.seen_at
        if passed > _SAME_USE_S:
            self.seen_before = self.seen if passed <= 2 * _SAME_USE_S else 0.0
            self.seen = 0.0
            self.seen_at = now
        self.seen += amount

    def _fall(self, value, now, sure):
        """A fall counts when it has lasted for the confirmation time and two readings agree: a container that is lifted comes
        back. Down to the highest level since."""
        fall = self.fall
        if fall and fall[2] > 1 and self.lasted(fall[1], now):
            self._lower(fall[0], now)
            fall = None
        if value >= self.level.base:
            fall = None
        else:
            fall = (max(fall[0], value), fall[1], fall[2] + 1) if fall else (value, now, 2 if sure else 1)
            if fall[2] > 1 and self.lasted(fall[1], now):
                self._lower(fall[0], now)
                fall = None
        self.fall = fall

    def _lower(self, value, now):
        self.level.base = min(self.level.base, value)
        self._count_down_to(value, now)

    def _count_down_to(self, value, now):
        """Count what was used down to this level, once: by whom it was seen first does not matter."""
        level = self.level
        if value < level.low_water:
            if now:
                forecast.count(level, level.low_water - value, now)
                level.last_use = now
            level.low_water = value

    def _rise(self, value, passed, now):
        level = self.level
        rise = value - level.base
        if rise >= _STEP * self.capacity:
            level.rise_since = (level.rise_since or now) if value > self.reorder_at else 0
            if self.lasted(level.rise_since, now):
                self._refilled(value, rise, now)
            return
        level.rise_since = 0
        if rise > 0:
            level.base += min(rise, _CREEP * self.capacity * min(max(passed, 0), _DAY_S) / _DAY_S)

    def _refilled(self, value, amount, now):
        level = self.level
        self._begin(value, now)
        level.value = level.low_water = level.base = value
        level.at = now
        level.rise_since = level.low_since = 0
        level.refills = level.refills + 1 & 0xFFFF
        level.refill_amount = self.capacity if self.whole else amount
        self.fall = None
        self.seen = self.seen_before = 0.0

    def fill(self, value, now):
        """A refill is certain without a sensor: a person's word, or a delivery that fills the slot."""
        self._refilled(value, max(0.0, value - (self.level.value or 0.0)), now)
        self.apply_refill(now)

    def apply_refill(self, now):
        """Bring a refill of the level to the order, once. Returns whether there was one."""
        level, order = self.level, self.order
        if level.refills == order.refills_seen:
            return False
        if level.refill_amount < 0:
            order.take_back(-1 - level.refill_amount)
        else:
            order.refill(now, level.refill_amount, self.pack, self.elsewhere())
        order.refills_seen = level.refills
        self.review(now)
        return True

    def pass_time(self, now):
        """What time alone does: a part ages by whole days from its installation, a need may begin by the forecast."""
        level = self.level
        if self.life_days:
            self._begin(self.capacity if level.value is None else level.low_water, now)
            level.installed_at = level.installed_at or now
            days = (now - level.installed_at) // _DAY_S
            level.value = min(level.low_water, self.capacity * max(0, self.life_days - days) / self.life_days)
        self.review(now)

    def days_left(self, now):
        """Days until level and stock are used up, by use or by age; None when too little was seen to say."""
        level = self.level
        if level.value is None:
            return None
        if not self.life_days:
            return forecast.days_left(level, level.value + self.at_home(), now)
        by_use = forecast.days_left(level, level.low_water + self.at_home(), now)
        by_age = (level.installed_at - now) / _DAY_S + self.life_days * (1 + self.at_home() / self.capacity)
        return max(0.0, by_age if by_use is None else min(by_use, by_age))

    def need(self, now):
        """Why more is needed (law 7): "low", "forecast", or "" when there is enough."""
        value = self.level.value
        if value is None or value + self.at_home() <= self.reorder_at:
            return "" if value is None else "low"
        days = self.days_left(now)
        return "forecast" if days is not None and days <= forecast.lead_days(self.level, self.lead_days, now) else ""

    def review(self, now):
        """Keep since when more is needed. To be called after each change of the level or of the stock at home."""
        self._review(now)
        for slot in self.shared:
            slot._review(now)

    def _review(self, now):
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
        value, low, rise, refills, water, installed_at = level.saved_marks
        if level.value is None or level.saved_marks == level.marks():
            return False
        if value is None or refills != level.refills or installed_at != level.installed_at:
            return True
        age = now - level.saved_at
        if low and low != level.low_since or rise and rise != level.rise_since:
            if age < _SAVE_PAUSE_S:
                level.low_since = low if low == level.low_since else 0
                level.rise_since = rise if rise == level.rise_since else 0
            return True
        step = max(abs(level.value - value), water - level.low_water)
        changed = low != level.low_since or rise != level.rise_since or step >= _SAVE_STEP * self.capacity
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
