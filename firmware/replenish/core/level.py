"""How a level comes in: measured, told or counted, side by side; what of it is believed, what counts as use, what is a refill, and
when it is worth a write.

Times are Unix seconds; quantities are in the slot's unit. `slot` is a `slot.Slot`, in which all is kept.
"""

from micropython import const

from .errors import SensorFault, Settling

_STEP = 0.05  # of the capacity: a smaller rise is noise, not a refill; a larger step of a sensor is looked at again
_NOISE_READINGS = const(16)  # a sensor's noise is the mean of its last steps upward, for use makes none
_ABOVE_NOISE = const(8)  # so many of them a refill must rise: 4.5 standard deviations, for `base` is a low reading
_CREEP = 0.02  # of the capacity a day: what rises so slowly is drift; a refill comes at once
_LOOK_AGAIN_S = const(60)
_SAME_USE_S = const(600)  # a count that comes so soon after a measured fall, or up to twice as late, tells of the same use
_COUNT_STANDS_S = const(3600)  # where nobody measured for so long, what was counted stands
_SAVE_STEP = 0.05  # of the capacity: a smaller change is not worth a write
_SAVE_AGE_S = const(21600)  # ... until it is so old: at most 4 writes a day by age, 20 a refill by change
_SAVE_PAUSE_S = const(600)  # what flickers is written no more often: at most 144 changes a day, and the ends of as many
_DAY_S = const(86400)
_FAULTS = ("stuck",), ("lifted",), ("uncalibrated",)  # that a driver may tell, as the arguments of a SensorFault


def sample(slot, sensor, now):
    """See `Slot.sample`."""
    pause = slot.period_s
    slot.settle_ms = 0
    try:
        if hasattr(sensor, "used"):
            return _count(slot, sensor.used(), now)
        value = slot.check(sensor.read())
        slot.sensor_fault = None
        value, sure = _judged(slot, value)
        if value is None:
            pause = min(pause, _LOOK_AGAIN_S)
        else:
            see(slot, value, now, sure)
    except Settling as wait:
        slot.settle_ms = wait.args[0]
        pause = 1
    except SensorFault as fault:
        slot.sensor_fault = "sensor_" + (fault.args[0] if fault.args in _FAULTS else "silent")
    except OSError:
        slot.sensor_fault = "sensor_silent"
    except ValueError:
        slot.sensor_fault = "sensor_range"
    slot.sample_at = now + pause


def _count(slot, amount, now):
    """A sensor that counts use told of so much since the last time."""
    slot.sensor_fault = None
    slot.sample_at = now + slot.period_s
    if amount:
        use(slot, amount, now)
    else:
        slot.pass_time(now)


def _judged(slot, value):
    """(the level to take, whether two readings stand for it); None instead of a level: look again.

    What lies between the last measurement and the level, or near to either, is no jump; the first reading since the start is
    all there is.
    """
    level, step, doubt = slot.level.value, _STEP * slot.capacity, slot.doubt
    slot.doubt = None
    if slot.measured is None or level is None:
        return value, False
    if min(level, slot.measured) - step <= value <= max(level, slot.measured) + step:
        return value, False
    if doubt is None:
        slot.doubt = value
        return None, False
    middle = sorted((level, doubt, value))[1]  # of two that jump to the same side the nearer one, of two to both sides none
    if abs(value - middle) > step:
        slot.doubt = value
    return middle, True


def use(slot, amount, now):
    """See `Slot.use`."""
    if not amount >= 0:
        raise ValueError("amount %s: allowed: 0 or more" % amount)
    level = slot.level
    _see_fall(slot, 0.0, now)
    again = min(amount, max(0.0, slot.seen + slot.seen_before))
    slot.seen -= again
    before = slot.capacity if level.value is None else level.value
    value = max(0.0, before - (amount - again))
    slot.begin(before, now)
    slot.sensor_fault = None
    level.reported = max(level.reported, before)
    level.value = value
    level.at = now
    _count_down_to(slot, value, now)
    if now:
        slot.pass_time(now)


def see(slot, value, now, sure):
    """Take a measured level. sure: it stands for itself; else a fall counts as use only when a second one agrees."""
    level = slot.level
    slot.begin(value, now)
    slot.sensor_fault = None
    before = value if level.value is None else level.value
    level.reported = max(level.reported, before, value)
    passed = now - level.at
    level.value = value
    level.at = now
    if not now:  # no valid time yet: a level, and nothing that is counted in time
        return
    _see_fall(slot, before - value, now)
    if before < level.base and now - slot.measured_at > _COUNT_STANDS_S and value > (level.base + before) / 2:
        level.base = before  # it was counted down, and what is above that by more than counts are wrong was refilled
    last = level.base if slot.measured is None else slot.measured
    slot.measured = value
    slot.measured_at = now
    _fall(slot, value, now, sure)
    if slot.mode == "sensor":
        _rise(slot, last, value, passed, now)
    slot.review(now)


def _see_fall(slot, amount, now):
    passed = now - slot.seen_at
    if passed > _SAME_USE_S:
        slot.seen_before = slot.seen if passed <= 2 * _SAME_USE_S else 0.0
        slot.seen = 0.0
        slot.seen_at = now
    slot.seen += amount


def _fall(slot, value, now, sure):
    """A fall counts when it has lasted for the confirmation time and two readings agree: a container that is lifted comes
    back. Down to the highest level since."""
    fall = slot.fall
    if fall and fall[2] > 1 and slot.lasted(fall[1], now):
        _lower(slot, fall[0], now)
        fall = None
    if value >= slot.level.base:
        fall = None
    else:
        fall = (max(fall[0], value), fall[1], fall[2] + 1) if fall else (value, now, 2 if sure else 1)
        if fall[2] > 1 and slot.lasted(fall[1], now):
            _lower(slot, fall[0], now)
            fall = None
    slot.fall = fall


def _lower(slot, value, now):
    slot.level.base = min(slot.level.base, value)
    _count_down_to(slot, value, now)


def _count_down_to(slot, value, now):
    """Count what was used down to this level, once: by whom it was seen first does not matter."""
    level = slot.level
    if value < level.low_water:
        if now:
            from .forecast import count

            count(level, level.low_water - value, now)
            level.last_use = now
            slot.looked_at = 0
        level.low_water = value


def _rise(slot, last, value, passed, now):
    """A rise that lasts is a refill: from the level just before, `last`, to the highest since. People refill to use some: what was
    used so shortly before that it has not lasted below `base`, and what was used since, is use, and not a smaller refill."""
    level, base, step = slot.level, slot.level.base, _STEP * slot.capacity
    rise = value - base
    slot.noise += (min(max(value - last, 0.0), step) - slot.noise) / _NOISE_READINGS
    if rise < max(step, _ABOVE_NOISE * slot.noise):
        level.rise_since = 0
        slot.rise = None
        if rise > 0:
            level.base += min(rise, _CREEP * slot.capacity * min(max(passed, 0), _DAY_S) / _DAY_S)
        return
    # A last level far below `base` was a lifted container's.
    lowest, highest, since = slot.rise or (last if base - step < last < base else base, value, now)
    slot.rise = lowest, max(highest, value), since
    level.rise_since = (level.rise_since or now) if value > slot.reorder_at else 0
    if slot.lasted(level.rise_since or slot.pack and slot.at_home() and since, now):
        _load(slot, value, now)


def _load(slot, value, now):
    """A rise has lasted. Up to `reorder_at` it is no refill (law 4), but a rest of a pack: with it the stock is less all the same."""
    lowest, highest, _ = slot.rise
    _count_down_to(slot, lowest, now)
    if value > slot.reorder_at:
        slot.refilled(highest, highest - lowest, now)
    else:
        slot.order.on_hand -= min(slot.at_home(), highest - lowest)
        slot.level.base = slot.level.low_water = highest
        slot.rise = None
    slot.level.value = value
    _lower(slot, value, now)


def worth_saving(slot, now):
    """Whether what is not durable of a level must, or by change and age should, be written now.

    The end of a need or of a rise is written at once: from a stored beginning a reboot would count on. What began since
    the last write, if that was just now, begins anew at the next look: stored with the end it would need an end at once
    too, and two that flicker in turn would be written at every look.
    """
    level = slot.level
    value, low, rise, refills, water, installed_at = level.saved_marks
    if value is None or refills != level.refills or installed_at != level.installed_at:
        return True
    age = now - level.saved_at
    if low and low != level.low_since or rise and rise != level.rise_since:
        if age < _SAVE_PAUSE_S:
            level.low_since = low if low == level.low_since else 0
            level.rise_since = rise if rise == level.rise_since else 0
        return True
    step = max(abs(level.value - value), water - level.low_water)
    changed = low != level.low_since or rise != level.rise_since or step >= _SAVE_STEP * slot.capacity
    return age >= (_SAVE_PAUSE_S if changed else _SAVE_AGE_S)
