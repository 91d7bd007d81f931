"""What the service is told of levels and of the device, and when: daily, and as use goes on (Amazon, device status endpoints).

Times are Unix seconds, 0 is never.
"""

from micropython import const

from . import device as d

_DAY_S = const(86400)
_RUN_OUT_UNKNOWN_S = const(31536000)  # what slotStatus, which requires a date, is told while no forecast can be made
_USED = 0.05  # of the capacity: a smaller fall of a level may be noise, and is not reported before the day's report


def next_report(slots, device, now):
    """(kind, slot or None) of what is still missing of the day's report, or None."""
    if not device.status_sent:
        return d.STATUS, None
    for slot in slots:
        if not slot.status_sent and slot.level.value is not None:
            return d.STATUS, slot
    return (d.SUBSCRIPTION_INFO, None) if now >= device.subscriptions_at + d.SUBSCRIPTION_AGE_S else None


def is_use_due(slot, device, now):
    """Whether a slot was used so much, since slotStatus was last told, that it is to be told again before the day's report.

    Once in each interval: these begin at the device's own second, so that the slots of one device, and not those of all devices,
    report together.
    """
    level, interval_s = slot.level, slot.rules["slot_status_interval_s"]
    if level.value is None or slot.order.subscribed == 2 or level.reported - level.value < _USED * slot.capacity:
        return False
    return (now - device.report_offset_s) // interval_s > (level.reported_at - device.report_offset_s) // interval_s


def end_report(slots, device, now):
    """Note the day's report as done if it is. Returns whether it is."""
    day = device.reporting_day(now)
    if day <= device.reported_day or next_report(slots, device, now):
        return False
    device.reported_day = day
    device.status_sent = False
    for slot in slots:
        slot.status_sent = False
    return True


def active_at(slots, now):
    """What deviceStatus is told of when the appliance was last used: the last use or refill; `now` while no level was seen."""
    return max([max(slot.level.last_use, slot.level.rate_at) for slot in slots]) or now


def runs_out(slot, now):
    """What slotStatus is told of when the slot will be empty, in Unix seconds."""
    days = slot.days_left(now)
    return now + (_RUN_OUT_UNKNOWN_S if days is None else int(min(days, 3650) * _DAY_S))
