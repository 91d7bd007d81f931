"""What announces the slots to Home Assistant: topics, keys, and names that need quoting. Home Assistant's own rules and templates are
applied to it in tools/test_discovery_schema.py."""

import gc
import json

from replenish import discovery

from host_tests.fakes.appliance import Appliance
from host_tests.test_state import ODD, STATES, odd_names

ROOT = "replenish/SN0001"
TOPIC = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"


def announced(appliance, prefix="homeassistant"):
    """[(topic, what it says)], in their order."""
    return [(topic, json.loads(payload)) for topic, payload in discovery.messages(appliance.agent, prefix, ROOT)]


def test_three_sensors_for_each_slot_under_names_of_their_own():
    found = announced(Appliance(("A", "B", {"id": "C"})))
    assert len(found) == 9
    for values in ([topic for topic, _ in found], [said["uniq_id"] for _, said in found], [said["name"] for _, said in found]):
        for value in values:
            assert values.count(value) == 1, value
    assert [said["name"] for _, said in found][:3] == ["A level", "A run-out", "A order"]


def test_topics_are_such_as_home_assistant_reads():
    for appliance in (Appliance(), odd_names()):
        for prefix in ("homeassistant", "a/b"):
            for topic, said in announced(appliance, prefix):
                assert topic.startswith(prefix + "/sensor/")
                node, key, last = topic[len(prefix + "/sensor/") :].split("/")
                assert last == "config" and said["uniq_id"] == node + "_" + key and said["dev"]["sn"] == node
                for letter in node + key:
                    assert letter in TOPIC, topic


def test_all_sensors_are_one_device_and_go_with_its_availability():
    found = [said for _, said in announced(Appliance(("A", "B")))]
    for said in found:
        assert (said["~"], said["stat_t"], said["avty_t"]) == (ROOT, "~/state", "~/availability")
        assert said["dev"] == found[0]["dev"] and said["o"]["sw"] == said["dev"]["sw"]
        assert said["exp_aft"] > 86400, "the state comes at least daily"
    device = found[0]["dev"]
    assert (device["mdl"], device["sn"], device["ids"]) == ("acme-1", "SN0001", "acme-1 SN0001")


def test_each_sensor_is_what_its_values_are():
    level, run_out, order = [said for _, said in announced(Appliance([{"id": "A", "unit": "g"}]))]
    assert (level["unit_of_meas"], level["stat_cla"]) == ("g", "measurement") and "dev_cla" not in level
    assert run_out["dev_cla"] == "timestamp" and "unit_of_meas" not in run_out
    assert (order["dev_cla"], order["ops"]) == ("enum", STATES.split())
    assert level["val_tpl"] == "{{ value_json.slots['A'].level }}"
    assert run_out["val_tpl"] == "{{ value_json.slots['A'].run_out }}"
    assert order["val_tpl"] == "{{ value_json.slots['A'].order.state }}"


def test_names_that_must_be_quoted_twice():
    found = announced(odd_names())
    assert [said["name"] for _, said in found[::3]] == [name + " level" for name in ODD]
    assert [said["unit_of_meas"] for _, said in found[::3]] == [name[:16] for name in ODD]
    quoted = announced(Appliance(["it's a \\"]))[0][1]["val_tpl"]
    assert quoted == "{{ value_json.slots['it\\'s a \\\\'].level }}"


def test_no_message_is_longer_than_1_kb_with_usual_names_and_no_secret_is_in_it():
    appliance = Appliance(["PaperTowel"], secrets={"refresh_token": "CANARY-r", "client_secret": "CANARY-c"})
    for _, payload in discovery.messages(appliance.agent, "homeassistant", ROOT):
        assert 300 < len(payload) < 800 and b"CANARY" not in payload


def test_one_message_at_a_time_is_in_memory():
    appliance = Appliance(["Slot%d" % number for number in range(16)])
    gc.collect()
    if hasattr(gc, "mem_alloc"):
        before = gc.mem_alloc()
        most = size = 0
        for _, payload in discovery.messages(appliance.agent, "homeassistant", ROOT):
            size += len(payload)
            gc.collect()
            most = max(most, gc.mem_alloc() - before)
        assert size > 16384 and most < 4096, most
