"""When to order, when to hold, what to ask: decisions only. What stands here is what Amazon's device guidelines and the laws ask.

Every function is a question about data that it is given; times are Unix seconds, 0 is never.
"""

from micropython import const

from . import device as d
from . import order as o
from . import reports
from .slot import FULL

DAY_S = const(86400)
_LONGEST_HOLDS = const(4)  # `delivered_hold_days` so many times, while a slot that is low lasts by its forecast
_MISSING_S = const(259200)  # an id that the service has not known for 72 hours is in doubt (law 12)
NEVER = const(0xFFFFFFFF)

# Why a slot that needs more does not ask for it now, beside a sensor's fault.
BY_STATE = "by its state"
NEED = "confirming the need"
NOT_SUBSCRIBED = "slot not subscribed"
SPREAD = "spreading first calls after a cold start"
BACKOFF = "waiting to call again"
ASK_SUBSCRIPTION = "asking for the subscription first"


# Time alone


def advance(slot, now):
    """Apply what time alone has brought for a slot's order, and a refill not yet applied. Returns whether anything changed."""
    changed = slot.apply_refill(now)
    while _due(slot, slot.order, slot.rules, now):
        changed = True
    return changed


def _due(slot, order, rules, now):
    """Apply the one event that is due. Returns whether there was one."""
    state = order.state
    if state == o.ASKING:
        if order.unknown_at:
            if now < order.unknown_at + rules["intent_fresh_s"]:
                return False
            order.doubt(o.STALE, now, o.NOT_REPEATED)
        elif slot.level.low_since or order.flags & o.PROBING:
            return False
        else:
            order.on(o.WITHDRAWN, now)
    elif o.ACCEPTED <= state <= o.SHIPPED:
        return _due_open(slot, order, rules["resolution_grace_s"], now)
    elif state == o.AWAITING_REFILL:
        if not (slot.at_home() and order.flags & o.STOCK_ADDED) and slot.lasted(slot.level.low_since, now):
            order.release(now)  # used up, by a person's word or by the slots that share it, or what was left of a pack is too little
        else:
            return slot.lasted(slot.short_since, now) and _due_at_home(slot, order, rules["delivered_hold_days"] * DAY_S, now)
    elif state == o.IN_DOUBT and now >= order.since + rules["in_doubt_days"] * DAY_S or state == o.HELD and _hold_over(slot, now):
        order.release(now)
    elif state == o.IDLE and slot.at_home() > 0 and not slot.level.low_since and slot.lasted(slot.short_since, now):
        order.on(o.STOCKED, now, o.AT_HOME)
    else:
        return False
    return True


def _due_at_home(slot, order, hold_s, now):
    """The slot is low and a pack at home. One that came early waits for room: the days count from when there is some. Many load when
    the slot is empty: while it is in use, and by the forecast something is left in it, it is waited longer."""
    if order.next_try > now:
        return False
    if not order.next_try:
        order.next_try = now + hold_s
        return True
    days = slot.days_left(now) if now - slot.level.last_use < hold_s // 2 else None
    days = int(days * slot.level.value / (slot.level.value + slot.at_home())) if days and slot.level.value else 0
    longest = order.since + _LONGEST_HOLDS * hold_s
    if days and now < longest:
        order.next_try = min(longest, now + days * DAY_S)
    else:
        order.expect(now, slot.elsewhere())
        slot.review(now)
    return True


def _due_open(slot, order, grace_s, now):
    if order.state == o.SHIPPED and order.delivery_at and now > order.delivery_at:
        from .news import deliver

        deliver(slot, now)
    elif order.missing_since and now >= order.missing_since + _MISSING_S:
        order.doubt(o.LOST, now, o.ID_LOST)
    else:
        # The poll at the grace's end comes first, so that nobody is asked to resolve an order that is placed. A gateway says when.
        end = order.accepted_at + grace_s
        if order.state != o.ACCEPTED or order.prefix or now < end or order.next_poll <= end and now < end + grace_s:
            return False
        order.on(o.OVERDUE, now, o.RESOLUTION)
    return True


def _hold_over(slot, now):
    order = slot.order
    if order.reason == o.CANCELLED_TWICE:
        return slot.level.value is not None and slot.level.value >= FULL * slot.capacity
    if order.reason == o.ORDER_LIMIT:
        return not order.fuse_free_at(now, slot.rules["max_orders_30_days"])
    return order.next_try and now >= order.next_try


def due_at(slot, now):
    """When time alone, or the end of a confirmation, may next have something to say of a slot; NEVER if only news can."""
    order, rules, level = slot.order, slot.rules, slot.level
    state = order.state
    times = [order.next_try]
    for since in (level.low_since, level.rise_since, slot.short_since):
        times.append(since and since + rules["confirm_s"])
    if polled(order):
        times.append(order.next_poll)
    if state == o.ASKING:
        times.append(order.unknown_at and order.unknown_at + rules["intent_fresh_s"])
    elif o.ACCEPTED <= state <= o.SHIPPED:
        times.append(order.accepted_at + 2 * rules["resolution_grace_s"])
        times.append(order.delivery_at and order.delivery_at + 1)
        times.append(order.missing_since and order.missing_since + _MISSING_S)
    elif state == o.BLOCKED:
        times.append(probe_at(slot))
    elif state == o.IN_DOUBT:
        times.append(order.since + rules["in_doubt_days"] * DAY_S)
    due = NEVER
    for at in times:
        if now < at < due:
            due = at
    return due


# Ordering


def probe_at(slot):
    """When a blocked slot may ask whether the block ended, which is an order call (law 2); NEVER while the order answers."""
    order, rules = slot.order, slot.rules
    if order.held_id() and order.flags & o.ALIVE:
        return NEVER
    ended = order.sign_at + rules["delivered_hold_days"] * DAY_S
    if order.flags & o.SEEN_REFILL:
        ended = order.since
    return max(ended, order.asked_at + rules["probe_interval_s"], order.next_try)


def order_wait(slot, device, now):
    """Why a slot that needs more does not ask for it now; "" when it may, None when it needs nothing.

    The one gate in front of every replenish call, the fuse apart (law 13: `Order.fuse_free_at`).
    """
    order = slot.order
    state = order.state
    if not slot.level.low_since:
        return None
    if state == o.BLOCKED and now < probe_at(slot) or state not in (o.IDLE, o.ASKING, o.BLOCKED):
        return BY_STATE
    if not slot.lasted(slot.level.low_since, now) or slot.doubt is not None:
        return NEED
    return gate(slot, device, now)


def gate(slot, device, now):
    """As `order_wait`, once the need is confirmed."""
    order = slot.order
    if slot.sensor_fault:
        return slot.sensor_fault
    if _is_on_order(slot):
        return "on order for a slot that shares the stock"
    if device.held:
        return "ordering is on hold"
    if not device.linked:
        return "not linked to an account"
    asking = order.state == o.ASKING
    if asking and order.unknown_at and not device.time_sure:
        return "not sure what time it is"  # the call of unknown outcome may be older than it looks (law 3)
    if order.subscribed == 2:
        return NOT_SUBSCRIBED
    if now < device.first_call_at:
        return SPREAD
    if now < device.next_try or asking and now < order.next_try:
        return BACKOFF
    if order.subscribed == 0 or now >= device.subscriptions_at + d.SUBSCRIPTION_AGE_S:
        return ASK_SUBSCRIPTION
    return ""


def _is_on_order(slot):
    """Whether another slot of the same stock has an order that is, or may be, open. Of two that are asking both may go on: one at
    a time, and the answer to the first stops the second."""
    for other in slot.shared:
        state = other.order.state
        if o.ACCEPTED <= state <= o.SHIPPED or state in (o.BLOCKED, o.IN_DOUBT) or state == o.ASKING != slot.order.state:
            return True
    return False


# Calls


def polled(order):
    """Whether there is an order to ask getOrderInfo for."""
    state = order.state
    if state == o.AWAITING_REFILL:
        return order.prefix and order.own_id  # the gateway knows of returns
    return (o.ACCEPTED <= state <= o.SHIPPED or state in (o.BLOCKED, o.IN_DOUBT)) and order.held_id()


def next_call(slots, device, now):
    """(kind, slot or None) of the call to make now, or None."""
    if not now or not device.linked or now < device.first_call_at or now < device.next_try:
        return None
    ask = now >= recheck_at(slots, device)
    for slot in slots:
        wait = order_wait(slot, device, now)
        if wait == "":
            return d.REPLENISH, slot
        ask = ask or wait == ASK_SUBSCRIPTION
    for slot in slots:
        if polled(slot.order) and now >= slot.order.next_poll:
            return d.ORDER_INFO, slot
    if ask:
        return d.SUBSCRIPTION_INFO, None
    if device.backend != d.DRS:
        return None  # the state topic says it all
    if device.reporting_day(now) > device.reported_day:
        return reports.next_report(slots, device, now)
    for slot in slots:
        if reports.is_use_due(slot, device, now):
            return d.STATUS, slot
    return None


def recheck_at(slots, device):
    """When an unsubscribed slot asks again, at least daily (law 8)."""
    for slot in slots:
        if slot.order.subscribed == 2:
            return device.subscriptions_at + min(slot.rules["poll_interval_s"], DAY_S)
    return NEVER


def call_at(slots, device, now):
    """When the next call that belongs to no order may be due, or a gate before all calls opens; NEVER while there is no link."""
    gate = max(device.first_call_at, device.next_try)
    if gate > now:
        return gate  # polls and orders may wait behind it as well
    due = recheck_at(slots, device) if device.linked else NEVER
    if device.linked and device.backend == d.DRS:
        due = min(due, device.next_report())
    return due if due > now else NEVER
