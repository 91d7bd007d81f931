"""A command from the maker's cloud is judged, obeyed and answered. In memory only while there is one (see `app.forget`).

None can do what a person at the appliance could not undo: no code, no address, no secret, no order. Its id is durable before its
effect; what came of it is durable before the broker may forget it.
"""

from micropython import const

from .core import strictjson
from .face import SlotFace
from .services import call
from .store import outbox

_ID_LIMIT = const(64)  # characters
_AMOUNT_LIMIT = const(1000000000)  # as of any amount in a configuration
_DAILY = const(64)  # commands obeyed in a day (UTC) and since the start, each some small writes: law 14

# What each takes, "?" behind what may be missing.
_TAKES = {
    "status": "",
    "consume": "slot amount",
    "refill": "slot level?",
    "stock": "slot on_hand",
    "hold": "",
    "resume": "",
    "cancel_test_orders": "slot?",
    "deregister": "",
}
_CALLS = "cancel_test_orders", "deregister"  # these make a call: in a step of their own

NOT_WRITTEN = "store: not written"
INTERRUPTED = "interrupted: it may have had its effect"


def take(agent, payload):
    """Take one command. Returns None when it is obeyed or refused, and its result stands in the outbox; else in one word why not:
    "malformed" (no id to answer to), "duplicate", or "full", to be given again when results have arrived."""
    uplink = agent.uplink
    data = strictjson.read(payload) or {}
    command_id = data.get("id")
    if not isinstance(command_id, str) or not call.printable(command_id, _ID_LIMIT):
        return "malformed"
    if not outbox.is_new(uplink, command_id):
        return "duplicate"
    if not outbox.has_room(uplink, command_id):
        return "full"
    outbox.begin(uplink, command_id)
    name, args = data.get("name"), data.get("args", {})
    if not isinstance(name, str):
        name = _shown(name)
    said = _judge(agent, data, name, args)
    if not said:
        if save(agent):
            said = _obey(agent, command_id, name, args)
        else:
            said = NOT_WRITTEN
    finish(agent, command_id, said)
    agent.tell("command", None, ("id", command_id), ("name", name if name in _TAKES else None), ("result", said or "ok"))
    return None


def save(agent):
    """Make the outbox durable. Returns whether it is."""
    return agent.try_save(agent.ledger.save_outbox, outbox.pack(agent.uplink))


def finish(agent, command_id, said):
    """Note what came of a command: "" all went well, None it is still under way."""
    for answer in agent.uplink.answers:
        if answer[0] == command_id:
            answer[1] = said
    if said is not None:
        save(agent)


def work(agent):
    """Obey the oldest of the commands that make a call."""
    command_id, name, slot_id = agent.uplink.jobs.pop(0)
    try:
        said = agent.cancel_test_orders(slot_id) if name == _CALLS[0] else agent.deregister()
    except (OSError, ValueError) as error:
        said = NOT_WRITTEN if isinstance(error, OSError) else str(error)
    finish(agent, command_id, said or "")
    agent.tell("command", None, ("id", command_id), ("name", name), ("result", said or "ok"))


def _judge(agent, data, name, args):
    """What is wrong with a command, or "" """
    for key in data:
        if key not in ("id", "name", "args"):
            return "%s: unknown key: allowed: id, name, args" % _shown(key)
    if name not in _TAKES:
        return "name: %s: allowed: %s" % (_shown(name), ", ".join(sorted(_TAKES)))
    if not isinstance(args, dict):
        return "args: allowed: an object"
    takes = _TAKES[name].split()
    for key in args:
        if key not in takes and key + "?" not in takes:
            return "args: %s: unknown key: allowed: %s" % (_shown(key), ", ".join(takes) or "none")
    for key in takes:
        said = _judge_value(agent, key, args)
        if said:
            return said
    return _judge_moment(agent, name)


def _judge_value(agent, key, args):
    optional = key.endswith("?")
    key = key.strip("?")
    value = args.get(key)
    if value is None:
        return "" if optional else "%s: missing" % key
    if key == "slot":
        ids = [slot.id for slot in agent.slots]
        return "" if value in ids else "slot: %s: allowed: %s" % (_shown(value), ", ".join(ids))
    if type(value) in (int, float) and 0 <= value <= _AMOUNT_LIMIT:
        return ""
    return "%s: %s: allowed: a number from 0 to %d" % (key, _shown(value), _AMOUNT_LIMIT)


def _judge_moment(agent, name):
    """Why a command is not allowed in the state that the device is in, or "" """
    uplink = agent.uplink
    if name not in ("hold", "status"):  # whatever was sent before: ordering can be stopped
        day = agent.time.now // 86400
        if day != uplink.day:
            uplink.day = day
            uplink.commands = 0
        uplink.commands += 1
        if uplink.commands > _DAILY:
            return "too many: allowed: %d a day" % _DAILY
    if name == "cancel_test_orders" and not agent.test_device:
        return "drs.test_device: false: allowed: true"
    if name == "deregister" and not uplink.settings["allow_deregister"]:
        return "mqtt.allow_deregister: false: allowed: true"
    if name in _CALLS and not agent.device.linked:
        return "not linked"
    return ""


def _obey(agent, command_id, name, args):
    """Returns what came of it."""
    if name in _CALLS:
        agent.uplink.jobs.append((command_id, name, args.get("slot")))
        return None
    try:
        if name == "hold":
            agent.hold()
        elif name == "resume":
            agent.resume()
        elif name == "status":
            agent.uplink.told_at = 0
        else:
            return _tell_slot(agent, name, args)
    except OSError:
        return NOT_WRITTEN
    return ""


def _tell_slot(agent, name, args):
    for slot in agent.slots:
        if slot.id == args["slot"]:
            break
    face = SlotFace(agent, slot)
    try:
        if name == "consume":
            face.consume(args["amount"])
        elif name == "stock":
            face.stock(args["on_hand"])
        else:
            face.refilled(args.get("level"))
    except ValueError as error:
        return str(error)
    if not agent.try_save(agent.ledger.save_level, slot, agent.time.now) or slot in agent.unsaved:
        return NOT_WRITTEN
    return ""


def _shown(value):
    """A value in a sentence, cut: nobody knows how long it is."""
    return ("%s" % (value,))[:40]
