"""A command from the maker's cloud is judged, obeyed and answered. In memory only while there is one (see `app.forget`).

None can do what a person at the appliance could not undo: no code, no address, no secret, no order. Its id is durable before its
effect; what came of it is durable before the broker may forget it.
"""

from micropython import const

from .core import strictjson
from .store import outbox

_ID_LIMIT = const(64)  # characters
_AMOUNT_LIMIT = const(1000000000)  # as of any amount in a configuration
_DAILY = const(64)  # commands in a day (UTC) and since the start, each four small writes and its effect's: law 14
_SAID_LIMIT = const(200)  # characters
_SHOWN_LIMIT = const(64)

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


def take(agent, payload):
    """Take one command. Returns None when it is obeyed or refused, and its result stands in the outbox; else in one word why not:
    "malformed" (no id to answer to), "duplicate", or "full", to be given again when results have arrived."""
    uplink = agent.uplink
    data = strictjson.read(payload) or {}
    command_id = data.get("id")
    if not isinstance(command_id, str) or not 0 < len(command_id) <= _ID_LIMIT or _shown(command_id) != command_id or " " in command_id:
        return "malformed"
    if not outbox.is_new(uplink, command_id):
        return "duplicate"
    if not outbox.has_room(uplink, command_id):
        return "full"
    answer = [command_id, None, _is_within_bounds(uplink, agent.time.now // 86400)]
    uplink.answers.append(answer)
    name, args = data.get("name"), data.get("args", {})
    if not isinstance(name, str):
        name = _shown(name)
    said = _judge(agent, data, name, args, answer[2])
    if not said:
        said = _obey(agent, answer, name, args) if _save(agent, answer) else NOT_WRITTEN
    if said is not None:
        _finish(agent, answer, said)
    agent.tell("command", None, ("id", command_id), ("name", name if name in _TAKES else None), ("result", said or "ok"))
    return None


def _is_within_bounds(uplink, day):
    """Count a command. Further ones of a day cost no write."""
    if day != uplink.day:
        uplink.day = day
        uplink.commands = 0
    uplink.commands += 1
    return uplink.commands <= _DAILY


def _save(agent, answer):
    """Make the outbox durable, if this answer is one that is to be. Returns whether all is as it should be."""
    return not answer[2] or agent.try_save(agent.ledger.save_outbox, outbox.pack(agent.uplink))


def _finish(agent, answer, said):
    """Note what came of a command: "" all went well."""
    answer[1] = said[:_SAID_LIMIT]
    _save(agent, answer)


def arrived(agent, answer):
    """The broker has a result."""
    outbox.arrived(agent.uplink, answer)
    if answer[2]:
        agent.try_save(agent.ledger.save_commands, agent.uplink.seen)
        _save(agent, answer)


def work(agent):
    """Obey the oldest of the commands that make a call."""
    answer, name, slot_id = agent.uplink.jobs.pop(0)
    try:
        said = agent.cancel_test_orders(slot_id) if name == _CALLS[0] else agent.deregister()
    except (OSError, ValueError) as error:
        said = NOT_WRITTEN if isinstance(error, OSError) else str(error)
    _finish(agent, answer, said or "")
    agent.tell("command", None, ("id", answer[0]), ("name", name), ("result", said or "ok"))


def _judge(agent, data, name, args, is_within_bounds):
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
    if not is_within_bounds and name not in ("hold", "status"):  # whatever was sent before: ordering can be stopped
        return "too many: allowed: %d a day" % _DAILY
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
    if name == "cancel_test_orders" and not agent.test_device:
        return "drs.test_device: false: allowed: true"
    if name == "deregister" and not agent.uplink.settings["allow_deregister"]:
        return "mqtt.allow_deregister: false: allowed: true"
    if name in _CALLS and not agent.device.linked:
        return "not linked"
    return ""


def _obey(agent, answer, name, args):
    """Returns what came of it; None: it makes a call, which is still to come."""
    if name in _CALLS:
        agent.uplink.jobs.append((answer, name, args.get("slot")))
        return None
    try:
        if name == "hold":
            if not agent.device.held:
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
    try:
        if name == "consume":
            agent.told(slot, slot.use, args["amount"])
        elif name == "stock":
            agent.told(slot, slot.stock_by_person, args["on_hand"])
        else:
            agent.told(slot, slot.refill_by_person, args.get("level"))
    except ValueError as error:
        return str(error)
    # A store that refuses is the device's fault, and told as that: the command has had its effect, and shall not be given again.
    if slot.level.value is not None:
        agent.keep_level(slot, agent.time.now)
    return ""


def _shown(value):
    """A value in a sentence, cut and in ASCII: nobody knows how long it is, and of what."""
    return "".join([char if " " <= char <= "~" else "?" for char in ("%s" % (value,))[:_SHOWN_LIMIT]])
