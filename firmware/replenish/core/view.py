"""A slot and its order as others see them, one picture for the appliance's own program and the state topic. In memory only then.

Times are Unix seconds; None is never, or not known.
"""

from . import order as o
from . import policy


def of_order(slot, device, now):
    """The order by the names of the state topic and in their order: state, event_instance_id, since, next_try, deadline, attempts,
    cancels, reason."""
    order = slot.order
    state, reason = order.names()
    wait = policy.order_wait(slot, device, now)
    # While it asks, its own reason says which answer it waits for.
    if wait and wait != policy.BY_STATE and (order.state != o.ASKING or wait != policy.BACKOFF):
        reason = wait
    event_id = order.own_id or order.progress_id or None
    next_try = _next_try(slot, order, device, now)
    return state, event_id, order.since or None, next_try, order.deadline() or None, order.attempts, order.cancels, reason


def _next_try(slot, order, device, now):
    """When time alone lets the slot ask for an order, ask again, or ends its hold. None: at once, or only news or a person can."""
    at = order.next_try
    if order.state == o.IN_DOUBT:
        at = order.since + slot.rules["in_doubt_days"] * policy.DAY_S
    elif order.state in (o.IDLE, o.ASKING, o.BLOCKED):
        if not slot.level.low_since or device.held or not device.linked or slot.sensor_fault or order.subscribed == 2:
            return None
        if order.state == o.BLOCKED:
            at = policy.probe_at(slot)
        at = max(at, slot.level.low_since + slot.rules["confirm_s"], device.first_call_at, device.next_try)
    return at if now < at < policy.NEVER else None


def run_out(slot, now):
    """When level and stock will be used up; None while too little was seen to say, and without a valid time."""
    days = slot.days_left(now) if now else None
    return None if days is None else now + int(days * policy.DAY_S)
