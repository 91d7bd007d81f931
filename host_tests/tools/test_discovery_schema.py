"""The announcements to Home Assistant by its published rules (models of them from PyPI), and their templates on real states.

Home Assistant's own code took the same messages and states once, by hand (2025.4.4, with its test harness): every sensor had the
value that the state told, unknown for null, and was unavailable by the will.
"""

import json
import re
from datetime import datetime

import jinja2
import pytest
from ha_mqtt_models_pydantic import parse_component_payload
from ha_mqtt_models_pydantic.abbreviations import ABBREVIATIONS
from ha_mqtt_models_pydantic.components.sensor import Sensor
from replenish import discovery, state

from host_tests.test_discovery import ROOT
from host_tests.test_state import everything

EXAMPLES = [
    (json.loads(state.document(appliance.agent)), [*discovery.messages(appliance.agent, "homeassistant", ROOT)], name)
    for name, appliance in everything()
]
# Home Assistant, components/mqtt/discovery.py
TOPIC = re.compile(r"homeassistant/(?P<component>\w+)/(?:(?P<node_id>[a-zA-Z0-9_-]+)/)?(?P<object_id>[a-zA-Z0-9_-]+)/config")


def per_sensor():
    for said, messages, name in EXAMPLES:
        for topic, payload in messages:
            yield pytest.param(topic, json.loads(payload), said, id=f"{name}-{topic}")


@pytest.mark.parametrize(("topic", "config", "said"), list(per_sensor()))
def test_home_assistant_takes_it_and_its_template_finds_the_value(topic, config, said):
    found = TOPIC.fullmatch(topic)
    assert found and found["component"] == "sensor"
    sensor = parse_component_payload("sensor", config)
    assert isinstance(sensor, Sensor) and sensor.value_template
    known = {field.alias or name for name, field in Sensor.model_fields.items()} | {"~"}
    assert {ABBREVIATIONS.get(key, key) for key in config} <= known
    slot_id, _, title = config["name"].rpartition(" ")
    slot = said["slots"][slot_id]
    value = jinja2.Environment().from_string(sensor.value_template).render(value_json=said)
    match title:
        case "level":
            assert value == "None" if slot["level"] is None else float(value) == slot["level"]
        case "run-out":
            assert value == str(slot["run_out"]) and (value == "None" or datetime.fromisoformat(value).tzinfo)
        case "order":
            assert sensor.options and value == slot["order"]["state"] and value in sensor.options


def test_the_examples_have_values_and_nulls():
    slots = [slot for said, _, _ in EXAMPLES for slot in said["slots"].values()]
    for key in ("level", "run_out"):
        assert {slot[key] is None for slot in slots} == {True, False}
    assert len({slot["order"]["state"] for slot in slots}) == 11
