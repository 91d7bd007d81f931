"""The state topic: what is published of the device and its slots, as JSON. In memory only for that moment (see `app.forget`).

firmware/schema/state.schema.json says what each value may be. A format for the whole and for each slot, and not a dict of them:
the names are then no names of MicroPython's, which it would keep for ever.
"""

import json
from binascii import crc32

from .core import view
from .core.isotime import text
from .version import VERSION

_DEVICE = '{"device":{"serial":%s,"model":%s,"version":%s,"time":%s,"uptime_s":%d,"linked":%s,"held":%s,"fault":%s},"slots":{'
_SLOT = (
    '%s:{"level":%s,"on_hand":%s,"capacity":%s,"unit":%s,"subscribed":%s,'
    '"order":{"state":%s,"event_instance_id":%s,"since":%s,"next_try":%s,"deadline":%s,"attempts":%d,"cancels":%d,"reason":%s},'
    '"run_out":%s,"last_use":%s,"fault":%s}'
)


def document(agent):
    """The state as it is by the last step, as a bytearray: 250 bytes for the device and 350 to 550 for each slot.

    Made twice, first for its length: so its one piece is found in the heap before small ones lie everywhere.
    """
    said = bytearray(sum([len(piece) for piece in _pieces(agent)]))
    at = 0
    for piece in _pieces(agent):
        said[at : at + len(piece)] = piece
        at += len(piece)
    return said[:at] if at < len(said) else said  # a thread of the appliance's program may have told something meanwhile


def _pieces(agent):
    device, now = agent.device, agent.time.now
    about = device.serial, agent.model, VERSION, text(now)
    wrong = bool(device.linked), bool(device.held), agent.fault
    yield (_DEVICE % (_quoted(about) + (agent.uptime_s,) + _quoted(wrong))).encode()
    separator = b""
    for slot in agent.slots:
        yield separator
        yield _slot(slot, device, now)
        separator = b","
    yield b"}}"


def _slot(slot, device, now):
    name, event_id, since, next_try, deadline, attempts, cancels, reason = view.of_order(slot, device, now)
    amounts = _number(slot.level.value), _number(slot.at_home()), _number(slot.capacity)
    about = slot.unit, (None, True, False)[slot.order.subscribed], name, event_id, text(since), text(next_try), text(deadline)
    end = reason, text(view.run_out(slot, now)), text(slot.level.last_use), slot.fault()
    values = _quoted((slot.id,)) + amounts + _quoted(about) + (attempts, cancels) + _quoted(end)
    return (_SLOT % values).encode()


def _quoted(values):
    return tuple([json.dumps(value) for value in values])


def _number(value):
    """A number as JSON has it; `null` for none, and for one that is not finite, which JSON does not know."""
    if isinstance(value, int):
        return "%d" % value
    return "null" if value is None or value - value != 0 else "%.6g" % value


def essence(agent):
    """A number that changes when the state must be published at once: with an order, a subscription, a fault, a hold or the link.

    Each failed call is such a change, for it moves `attempts` and `next_try`; how often calls fail is bounded by the backoff, to some
    twenty in the first day and then four to eight a day. What moves with the level, or by itself, is none: `level`, `on_hand`,
    `run_out`, `last_use`, and of `reason` and `next_try` what a need waits for before there is an order, which would come and go with
    a level that wavers about `reorder_at`.
    """
    device = agent.device
    crc = crc32(str((device.linked, device.held, agent.fault, device.attempts)).encode())
    for slot in agent.slots:
        order = slot.order
        ids = order.own_id, order.progress_id, slot.fault()
        numbers = order.state, order.reason, order.since, order.next_try, order.accepted_at, order.attempts, order.cancels
        crc = crc32(str((ids, numbers, order.subscribed)).encode(), crc)
    return crc
