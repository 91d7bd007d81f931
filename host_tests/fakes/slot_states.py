"""Slots and devices in the states that a test begins with. Their needs are confirmed, or their orders accepted, at START."""

from replenish import config as configuration
from replenish.core.device import Device
from replenish.core.slot import Slot

DAY = 86400
HOUR = 3600
START = 1800000000


def new_slot(rules=None, **given):
    """A slot of 10 that reorders at 3, without a forecast."""
    values = configuration.defaults()
    values["policy"].update(rules or {})
    slot = values["slot"]
    slot.update({"id": "A", "capacity": 10, "reorder_at": 3, "lead_days": 0, "sensor": {"period_s": 600}})
    slot.update(given)
    return Slot(slot, values["policy"])


def low_slot(rules=None, **given):
    """Its need is confirmed at START."""
    slot = new_slot(rules, **given)
    slot.measure(2, START - DAY)
    slot.order.subscribed = 1
    return slot


def new_device(now=START):
    """Linked, its subscriptions known, its report done."""
    device = Device("SN0001")
    device.linked = device.time_sure = True
    device.subscriptions_at = now
    device.reported_day = device.reporting_day(now)
    return device


def state(slot):
    return slot.order.names()[0]


def ordered(rules=None, **given):
    """Accepted at START."""
    slot = low_slot(rules, **given)
    slot.order.intend(START, True)
    slot.order.accept(START, "id-1", START + slot.rules["resolution_grace_s"])
    return slot


def blocked(rules=None):
    slot = low_slot(rules)
    slot.order.intend(START, True)
    slot.order.block(START, "id-9", START + 6 * HOUR)
    return slot
