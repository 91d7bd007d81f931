"""The schemas of the topics: the state's against documents of the agent in every state, the commands' and results' against examples."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from replenish import commands, state
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


COMMANDS = [
    ("status", {}, True),
    ("status", {"slot": "A"}, False),
    ("consume", {"slot": "A", "amount": 0.5}, True),
    ("consume", {"slot": "A"}, False),
    ("consume", {"slot": "A", "amount": -1}, False),
    ("consume", {"slot": "A", "amount": "1"}, False),
    ("refill", {"slot": "A"}, True),
    ("refill", {"slot": "A", "level": 9}, True),
    ("refill", {"level": 9}, False),
    ("stock", {"slot": "A", "on_hand": 3}, True),
    ("stock", {"slot": "A"}, False),
    ("hold", {}, True),
    ("resume", {}, True),
    ("cancel_test_orders", {}, True),
    ("cancel_test_orders", {"slot": "A"}, True),
    ("cancel_test_orders", {"slots": ["A"]}, False),
    ("deregister", {}, True),
    ("order", {"slot": "A"}, False),
]


def takes(args):
    return " ".join(key + ("" if key in args.get("required", []) else "?") for key in args.get("properties", {}))


def test_the_schema_has_the_commands_of_the_firmware():
    rules = [rule["properties"] for rule in load("command")["oneOf"]]
    assert {rule["name"]["const"]: takes(rule["args"]) for rule in rules} == commands._TAKES


@pytest.mark.parametrize(("name", "args", "good"), COMMANDS)
def test_a_command_has_its_own_arguments_and_no_other(name, args, good):
    assert Draft202012Validator(load("command")).is_valid({"id": "c1", "name": name, "args": args}) is good


def test_a_command_has_an_id_of_up_to_64_characters():
    judge = Draft202012Validator(load("command")).is_valid
    assert judge({"id": "x" * 64, "name": "hold", "args": {}})
    assert judge({"id": "c1", "name": "hold"}) and not judge({"id": "c1", "name": "consume"})
    for bad in ({}, {"id": ""}, {"id": "x" * 65}, {"id": "a b"}, {"id": "\xe4"}, {"id": 7}, {"id": "c1", "url": "x"}):
        assert not judge(bad | {"name": "hold", "args": {}}), bad


def test_a_result_says_why_not_if_and_only_if_it_was_not_done():
    judge = Draft202012Validator(load("result")).is_valid
    assert judge({"id": "c1", "ok": True}) and judge({"id": "c1", "ok": False, "error": "unknown slot"})
    for bad in ({"ok": True, "error": "x"}, {"ok": False}, {"ok": False, "error": ""}, {"ok": None}):
        assert not judge({"id": "c1"} | bad), bad
