"""What announces the slots to Home Assistant: its MQTT discovery, three sensors for each slot, read from the state topic. In memory
only for that moment (see `app.forget`).

The keys are Home Assistant's own short ones ("MQTT Discovery", supported abbreviations); `~` is where the device's topics begin.
Its sensor shows the `None` that a template makes of null as "unknown".
"""

import json

from .core import order as o
from .store.ledger import tag
from .version import VERSION

# A day, in which the state is published at least once, and an hour: then a device that sleeps, and so has no will at the broker, is
# gone. The library's name and version are the origin, as Home Assistant asks of whoever sends this.
_CONFIG = (
    '{"~":%s,"stat_t":"~/state","avty_t":"~/availability","exp_aft":90000,"qos":1,"uniq_id":%s,"name":%s,"val_tpl":%s,%s,'
    '"dev":{"ids":%s,"name":%s,"mdl":%s,"sn":%s,"sw":%s},"o":{"name":"replenish","sw":%s}}'
)


def messages(agent, prefix, root):
    """Yields (topic, payload), each to be published retained; one at a time is in memory.

    prefix: Home Assistant's, usually "homeassistant"; root: what the device's own topics begin with, `<prefix>/<serial>`.
    """
    serial = agent.device.serial
    named = agent.model + " " + serial
    device = _quoted((named, named, agent.model, serial, VERSION, VERSION))
    states = json.dumps(_states())
    for slot in agent.slots:
        # The id is free text, and a topic is not; nor is it certain what else Home Assistant makes of a unique id.
        key = tag(slot.id)
        at = "{{ value_json.slots[%s]." % _literal(slot.id)
        for kind, title, value, more in _sensors(slot, states):
            about = _quoted((root, "%s_%s_%s" % (serial, key, kind), slot.id + " " + title, at + value + " }}"))
            # The serial is a level of its own, so that a broker's rules can keep each device to its own topics.
            yield "%s/sensor/%s/%s_%s/config" % (prefix, serial, key, kind), (_CONFIG % (about + (more,) + device)).encode()


def _sensors(slot, states):
    """(kind, title, place in the state's slot, keys of its own) of each sensor."""
    yield "level", "level", "level", '"stat_cla":"measurement","unit_of_meas":' + json.dumps(slot.unit)
    yield "run_out", "run-out", "run_out", '"dev_cla":"timestamp"'
    yield "order", "order", "order.state", '"dev_cla":"enum","ops":' + states


def _states():
    order = o.Order()
    names = []
    for order.state in range(o.UNSUBSCRIBED + 1):
        names.append(order.names()[0])
    return names


def _quoted(values):
    return tuple([json.dumps(value) for value in values])


def _literal(text):
    """A string as Jinja2 reads it between single quotes."""
    return "'%s'" % text.replace("\\", "\\\\").replace("'", "\\'")
