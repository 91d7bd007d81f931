"""A person's answer at the device to what the maker's gateway asks. In memory only meanwhile (see `app.forget`)."""

from . import calls
from .manual import ask, settle
from .services import call


def answer(agent, slot, verb):
    """See `SlotFace.agree` and `SlotFace.cancel`."""
    held_id = slot.order.held_id()
    answered, now = ask(agent, _request, held_id, verb)
    said = calls.read(agent, "read_order_info", answered, held_id)
    if said[0] == call.OK:
        from .core.snapshot import follow

        follow(slot, said[1], now)
        slot.order.next_poll = now
        agent.save_level(slot, now)
        agent.save(slot)
    return settle(agent, verb, answered, said)


def _request(service, token, intent_id, verb):
    return service.answer(token, intent_id, verb)
