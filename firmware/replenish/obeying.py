"""What a person asked for with the button is done."""

from .core import button
from .io import chip


def obey(life, meant, slot_id):
    """meant: what letting go of the button meant; slot_id: the slot that is refilled by a hold, None for every one that is low."""
    if meant == button.RESET:
        _reset_all(life)
    elif life.agent and meant == button.HELD:
        _refill(life, slot_id)
    elif life.agent:
        _tell_status(life)


def _refill(life, slot_id):
    for slot in life.agent.slots:
        is_low = slot.level.value is None or slot.level.value <= slot.reorder_at
        if slot.id == slot_id or not slot_id and is_low:
            life.agent.slot(slot.id).refilled()
            life.tell("button", ("refilled", slot.id))


def _tell_status(life):
    """The last events once more, then how each slot and the device are now, and what they wait for."""
    from .core.countdown import in_words
    from .life import show_log

    show_log()
    agent = life.agent
    for slot in agent.slots:
        state, reason = slot.order.names()
        waits = in_words(slot, agent.device, agent.time.now)
        pairs = ("level", slot.level.value), ("capacity", slot.capacity), ("fault", slot.fault())
        agent.tell("status", slot, *(pairs + (("state", state), ("reason", reason), ("waits", waits))))
    online = int(bool(life.online and life.online.is_joined()))
    shows = life.person.device_state()
    life.tell("status", ("shows", shows), ("fault", agent.fault), ("held", agent.device.held), ("online", online))


def _reset_all(life):
    """A person's factory reset: like `Agent.factory_reset`, in safe mode too, where there is no agent."""
    life.tell("button", ("reset", 1))
    life.prolong()
    if life.agent:
        life.agent.factory_reset()
    else:
        from .config import settings
        from .erase import reset_without_agent

        reset_without_agent(settings(life.path))
        life.loader.healthy()
    chip.restart(life.memory)
