"""A message to the device is read, applied and made durable. In memory only while there is one (see `app.forget`)."""

from .core import notice
from .services import notification


def take(agent, payload):
    """Take one notice. Returns in one word what came of it."""
    now = agent.tell_time()
    device = agent.device
    if isinstance(payload, str):
        payload = payload.encode("utf-8", "surrogatepass")
    if not isinstance(payload, (bytes, bytearray)):
        return notification.MALFORMED
    said = notification.read(payload, device.serial, agent.model, len(agent.slots))
    if isinstance(said, str):
        return said
    kind, message_id, at, about = said
    if not now:
        return "no_time"  # nothing was ever ordered, for the same reason
    if not notice.is_new(device, message_id):
        return "duplicate"
    for slot in agent.slots:
        agent.recover_flight(slot, now)
    word, changed = _apply(agent, kind, about, now, min(at, now))
    if word == notice.APPLIED:
        for slot in changed:
            agent.save(slot)
        if not agent.unsaved:  # else it shall come again
            notice.saw(device, message_id)
            agent.save_device()
        if agent.unsaved:
            return "not_durable"
    return word


def _apply(agent, kind, about, now, at):
    """Let it have its effect in memory. Returns what came of it, and the slots to be saved."""
    device, slots = agent.device, agent.slots
    if kind == notice.SUBSCRIPTIONS:
        return notice.of_subscriptions(slots, device, about, now, at)
    if kind == notice.REGISTERED:
        return notice.registered(device), ()
    if kind == notice.DEREGISTERED:
        return notice.deregistered(device, agent.token, at), ()
    for slot in slots:
        if slot.id == about[0]:
            return notice.of_order(slot, kind, about[1], now, at, about[2]), (slot,)
    return notice.NOT_OURS, ()
