"""The calls that ask and report: getOrderInfo, subscriptionInfo, deviceStatus, slotStatus. In memory only meanwhile (see
`app.forget`)."""

from . import calls
from .services import call


def order_info(agent, slot):
    """Ask how far the order is whose id the slot holds, and make durable what that changes."""
    order = slot.order
    held_id = order.held_id()
    answer, now = calls.send(agent, calls.request(agent, "order_info", held_id))
    said = calls.read(agent, "read_order_info", answer, held_id, slot.id)
    outcome = said[0]
    from .core import news

    order.next_poll = news.next_poll(order, agent.rules, now)
    if outcome in (call.OK, call.MISSING):
        news.learn(slot, said[1], now, now, said[2])
    else:
        order.next_poll = calls.failed(agent, outcome, answer, now)
    agent.save_level(slot, now)
    agent.save(slot)
    calls.note(agent, "order_info", slot, answer, said)


def subscription_info(agent):
    """Ask which slots are subscribed. A service that refuses version 2.0 by name is asked in 1.0 from then on."""
    answer, now = calls.send(agent, calls.request(agent, "subscription_info"))
    said = calls.read(agent, "read_subscription_info", answer)
    if said[0] == call.REFUSED and not agent.older_subscriptions and calls.read(agent, "is_version_refused", answer):
        agent.older_subscriptions = True  # and asked again at once
    elif said[0] != call.OK:
        calls.failed(agent, said[0], answer, now)
    else:
        for slot in agent.slots:
            if slot.order.subscription(now, said[1].get(slot.id, False)):
                agent.save(slot)
        from .core.reports import end_report

        agent.device.subscriptions_at = now
        end_report(agent.slots, agent.device, now)
        agent.save_device()
    calls.note(agent, "subscription_info", None, answer, said)


def status(agent, slot, now):
    """A status call: the device's, or a slot's."""
    device = agent.device
    before = slot and slot.level.reported
    request = _report(agent, slot, now)
    if not request:
        return
    answer, now = calls.send(agent, request)
    request = None
    said = calls.read(agent, "read_status", answer, "SlotStatus" if slot else "DeviceStatus")
    if said[0] not in (call.OK, call.REFUSED):  # a refused report is not repeated before tomorrow
        calls.failed(agent, said[0], answer, now)
        if slot:
            slot.level.reported = before
    else:
        from .core.reports import end_report

        (slot or device).status_sent = device.reporting_day(now) > device.reported_day  # else it was beside the day's report
        if end_report(agent.slots, device, now):
            agent.save_device()
    calls.note(agent, "slot_status" if slot else "device_status", slot, answer, said)


def _report(agent, slot, now):
    """The request that tells of the device, or of a slot; None when it must not leave because the store refused."""
    from .core import reports

    if slot is None:
        return calls.request(agent, "device_status", reports.active_at(agent.slots, now))
    level, used = slot.level, reports.is_use_due(slot, agent.device, now)
    level.reported = level.value
    level.reported_at = now
    # The first after a start is durable before it leaves, so that a board that dies in this call, or one that sleeps between its
    # calls, does not repeat it; what is told later is kept with the next level that is worth a write.
    if used and not slot.use_told and not agent.keep_level(slot, now):
        return None
    slot.use_told |= used
    return calls.request(agent, "slot_status", slot, reports.runs_out(slot, now))
