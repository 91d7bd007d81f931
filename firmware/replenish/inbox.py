"""A message to the device is read, applied and made durable. In memory only while there is one (see `app.forget`)."""

from micropython import const

from .core import device as d
from .core import notice

# Notices applied in a day (UTC) and since the start, each at most a write for the device and one for each slot it changes: law 14.
_DAILY = const(16)
_DAILY_OF_SLOT = const(8)  # an order's life has three


def take(agent, payload):
    """Take one notice. Returns in one word what came of it."""
    now = agent.tell_time()
    device = agent.device
    if isinstance(payload, str):
        payload = payload.encode("utf-8", "surrogatepass")
    if not isinstance(payload, (bytes, bytearray)):
        return "malformed"
    said = _read(agent, payload)
    if isinstance(said, str):
        return said
    kind, message_id, at, about = said
    if not now:
        return "no_time"  # nothing was ever ordered, for the same reason
    if not notice.is_new(device, message_id):
        return "duplicate"
    if not _is_within_bounds(device, now // 86400, _DAILY + _DAILY_OF_SLOT * len(agent.slots)):
        return "too_many"
    for slot in agent.slots:
        agent.recover_flight(slot, now)
    word, changed = _apply(agent, kind, about, now, min(at, now))
    if word == notice.APPLIED:
        device.notices += 1
        for slot in changed:
            agent.save(slot)
        if not agent.unsaved:  # else it shall come again
            notice.saw(device, message_id)
            agent.save_device()
        if agent.unsaved:
            return "not_durable"
    return word


def _read(agent, payload):
    """(kind, id, time, what it is about) by the back end that it is from, or in one word why it is of no use."""
    if agent.device.backend == d.GATEWAY:
        from .services.gateway_answers import read_notice

        said = read_notice(payload)
        return said if isinstance(said, str) else (notice.SNAPSHOT,) + said
    from .services import notification

    return notification.read(payload, agent.device.serial, agent.model, len(agent.slots))


def _is_within_bounds(device, day, most):
    if device.notices_day != day:
        device.notices_day = day
        device.notices = 0
    return device.notices < most


def _apply(agent, kind, about, now, at):
    """Let it have its effect in memory. Returns what came of it, and the slots to be saved."""
    device, slots = agent.device, agent.slots
    if kind == notice.SUBSCRIPTIONS:
        return notice.of_subscriptions(slots, device, about, now, at)
    if kind == notice.REGISTERED:
        return notice.registered(slots, device, at)
    if kind == notice.DEREGISTERED:
        return notice.deregistered(device, agent.token, at), ()
    for slot in slots:
        if slot.id == about[0]:
            return notice.of_order(slot, kind, about[1], now, at, about[2]), (slot,)
    return notice.NOT_OURS, ()
