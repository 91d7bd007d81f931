"""The state topic's schema, the reference for whoever reads the topic, against documents of the agent in every state."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from replenish import state
from replenish.core import device, order

from host_tests import test_state

SCHEMAS = Path(__file__).resolve().parents[2] / "firmware" / "schema"
EXAMPLES = list(test_state.everything())


def load(name):
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return schema


STATE = load("state")


@pytest.mark.parametrize("appliance", [appliance for _, appliance in EXAMPLES], ids=[name for name, _ in EXAMPLES])
def test_what_is_published_is_as_the_schema_says(appliance):
    Draft202012Validator(STATE).validate(json.loads(state.document(appliance.agent)))


def objects(schema):
    """Every object of fixed keys within a schema."""
    if isinstance(schema, dict):
        if "required" in schema:
            yield schema
        for part in schema.values():
            yield from objects(part)


def test_every_key_is_required_and_no_other_allowed():
    found = list(objects(STATE))
    assert len(found) == 4
    for schema in found:
        assert schema["required"] == list(schema["properties"]) and schema["additionalProperties"] is False


def test_the_schema_names_the_states_and_faults_of_the_firmware():
    defs = STATE["$defs"]
    assert defs["order"]["properties"]["state"]["enum"] == order._STATES.split()
    assert all(len(reason) <= defs["order"]["properties"]["reason"]["maxLength"] for reason in order._REASONS.split("|"))
    of_device = STATE["properties"]["device"]["properties"]["fault"]["enum"]
    assert set(device._LINK_FAULTS.split()) <= set(of_device)
    readme = (SCHEMAS.parent / "README.md").read_text().split("Faults of a slot:")[1].split("`store_damaged`")[0]
    for fault in of_device[1:] + defs["slot"]["properties"]["fault"]["enum"][1:]:
        assert fault in readme or fault in device._LINK_FAULTS, fault
