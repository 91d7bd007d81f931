"""The control interface, over HTTP."""

import http.client
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from host_tests.tools.simulator_client import control, over_tls, refresh_request, request, send
from tools.simulator import Clock, SimulatorThread
from tools.simulator.control import OPERATIONS
from tools.simulator.orders import DAY_S

START = 1_700_000_000
DEVICE = "/devices/SN0001"
SLOT = DEVICE + "/slots/PaperTowel"


@pytest.fixture
def sim() -> Iterator[SimulatorThread]:
    with SimulatorThread(clock=Clock.manual(START)) as sim:
        sim.add_device()
        yield sim


def good(sim: SimulatorThread, method: str, path: str, body: Any = None) -> Any:
    """The JSON of a control call that must succeed."""
    status, answer = control(sim, method, path, body)
    assert status == 200, answer
    return answer


def replenish(sim: SimulatorThread) -> http.client.HTTPResponse:
    """One order call, with a token from the control interface."""
    token = good(sim, "POST", DEVICE + "/access_token")["access_token"]
    answer = send(over_tls(sim), request("replenish", token))
    answer.read()
    return answer


def test_the_state_tells_of_devices_slots_and_orders(sim: SimulatorThread) -> None:
    replenish(sim)
    good(sim, "POST", "/time", {"advance_s": 120})
    state = good(sim, "GET", "/state")
    device = state["devices"]["SN0001"]
    slot = device["slots"]["PaperTowel"]
    (order,) = slot["orders"]
    assert (state["now"], device["model"], device["registered"]) == (START + 120, "acme-brewer-1", True)
    assert device["refresh_token"] == sim.lwa.refresh_token("SN0001")
    assert (slot["subscribed"], slot["running"], slot["default"]) == (True, order["order_id"], {"kind": "success", "timings": {}})
    assert (order["state"], order["accepted_at"], order["placed_at"]) == ("placed", START, START + 120)
    assert order["cancel_until"] == START + 120 + DAY_S
    accepted = {"time": START, "kind": "accepted", "scenario": "success", "test": False}
    assert order["history"] == [accepted, {"time": START + 120, "kind": "placed"}]


def test_the_calls_are_listed_with_all_that_was_said(sim: SimulatorThread) -> None:
    sim.faults.add(kind="drop_after", endpoint="replenish")
    with pytest.raises(http.client.RemoteDisconnected):
        replenish(sim)
    replenish(sim)
    first, second = good(sim, "GET", "/calls")
    assert (first["method"], first["path"], first["endpoint"], first["slot"]) == (
        "POST",
        "/replenish/PaperTowel",
        "replenish",
        "PaperTowel",
    )
    assert dict(first["headers"])["x-amzn-type-version"] == "com.amazon.dash.replenishment.DrsReplenishInput@1.0"
    assert (first["acted"], first["outcome"], first["sent"], first["fault"]) == (True, "accepted", "none", "drop_after")
    assert '"detailCode":"STANDARD_ORDER_PLACED"' in first["answer"]
    assert (first["time"], first["serial"], first["connection"], first["index"]) == (START, "SN0001", 1, 1)
    assert abs(first["real_time"] - second["real_time"]) < 60
    assert (second["connection"], second["outcome"], second["sent"], second["status"]) == (2, "in_progress", "whole", 200)
    assert second["bytes_in"] > 600
    assert second["bytes_out"] > 400
    assert good(sim, "GET", "/calls?after=1") == [second]


def test_events_and_calls_come_together_as_data(sim: SimulatorThread) -> None:
    replenish(sim)
    good(sim, "POST", "/time", {"advance_s": 30 * DAY_S})
    data = good(sim, "GET", "/events")
    assert [event["kind"] for event in data["events"]] == [
        "registered",
        "subscription_changed",
        "accepted",
        "placed",
        "shipped",
        "delivered",
    ]
    assert [event["time"] - START for event in data["events"]][2:] == [0, 120, 120 + DAY_S, 120 + 4 * DAY_S]
    assert data["events"][2]["detail"] == {"scenario": "success", "test": False}
    assert [call["endpoint"] for call in data["calls"]] == ["replenish"]
    assert (data["now"], data["dropped"]) == (START + 30 * DAY_S, {"events": 0, "calls": 0})
    rest = good(sim, "GET", "/events?after=5&calls_after=1")
    assert ([event["kind"] for event in rest["events"]], rest["calls"]) == (["delivered"], [])


def test_events_that_are_due_are_told_of_though_nobody_looked_before(sim: SimulatorThread) -> None:
    replenish(sim)
    sim.clock.advance(120)
    assert good(sim, "GET", "/events")["events"][-1]["kind"] == "placed"


def test_the_summary_totals_orders_calls_and_connections(sim: SimulatorThread) -> None:
    replenish(sim)
    good(sim, "POST", "/time", {"advance_s": 3600})
    replenish(sim)
    summary = good(sim, "GET", "/summary?blind_interval_s=60")
    assert summary["orders"] == {"SN0001/PaperTowel": {"accepted": 1, "placed": 1, "blocked_s": 3600, "blind_retry_calls": 60}}
    assert (summary["calls"], summary["calls_total"], summary["connections"]) == (
        {"replenish": {"accepted": 1, "in_progress": 1}},
        2,
        2,
    )
    assert summary["blind_retry"] == {"interval_s": 60, "calls": 60}
    assert good(sim, "GET", "/summary")["blind_retry"] == {"interval_s": 300, "calls": 12}


def test_time_moves_by_seconds_or_to_the_next_event(sim: SimulatorThread) -> None:
    assert good(sim, "POST", "/time", {"advance_s": 10}) == {"now": START + 10}
    assert control(sim, "POST", "/time", {"to_next_event": True})[0] == 400
    replenish(sim)
    assert good(sim, "POST", "/time", {"to_next_event": True}) == {"now": START + 130}
    assert good(sim, "POST", "/time") == {"now": START + 130}


def test_scenarios_timings_and_the_customer(sim: SimulatorThread) -> None:
    good(sim, "PUT", SLOT + "/scenarios", {"queue": ["unresolved", {"kind": "resolved", "resolve_after_s": 60}], "default": "success"})
    assert good(sim, "PATCH", "/timings", {"problem_after_s": 5})["problem_after_s"] == 5
    replenish(sim)
    assert control(sim, "POST", SLOT + "/resolve")[0] == 409
    good(sim, "POST", "/time", {"advance_s": 5})
    assert good(sim, "POST", SLOT + "/resolve")["state"] == "placed"
    cancelled = good(sim, "POST", SLOT + "/cancel")
    assert (cancelled["state"], cancelled["cancel_reason"]) == ("cancelled", "customer")
    status, answer = control(sim, "POST", SLOT + "/cancel")
    assert (status, answer) == (409, {"error": "slot PaperTowel has no open order"})
    replenish(sim)
    good(sim, "POST", "/time", {"advance_s": 65})
    assert good(sim, "GET", "/state")["devices"]["SN0001"]["slots"]["PaperTowel"]["orders"][1]["state"] == "placed"


def test_settings_are_changed_and_shown(sim: SimulatorThread) -> None:
    changed = good(sim, "PATCH", "/settings", {"status_generation": "older", "refresh_rotation": "strict", "in_progress_id": "new"})
    assert (changed["status_generation"], changed["refresh_rotation"], changed["in_progress_id"]) == ("older", "strict", "new")
    assert good(sim, "GET", "/state")["settings"] == changed
    assert sim.settings.status_generation == "older"


def test_a_device_is_added_and_its_slots_changed(sim: SimulatorThread) -> None:
    token = good(sim, "POST", "/devices", {"serial": "SN0002", "model": "m", "slots": {"Ink": False}, "test": True})["refresh_token"]
    assert send(over_tls(sim), refresh_request(token)).status == 200
    slot = good(sim, "PUT", "/devices/SN0002/slots/Ink", {"subscribed": True, "product": "B00INK0000", "quantity": 3})
    assert (slot["subscribed"], slot["product"], slot["quantity"]) == (True, "B00INK0000", 3)
    good(sim, "PUT", "/devices/SN0002/slots/Paper%20A4", {"subscribed": False})
    device = good(sim, "GET", "/state")["devices"]["SN0002"]
    assert (device["test"], {slot: entry["subscribed"] for slot, entry in device["slots"].items()}) == (
        True,
        {"Ink": True, "Paper A4": False},
    )


def test_an_unsubscribed_slot_orders_nothing(sim: SimulatorThread) -> None:
    good(sim, "PUT", SLOT, {"subscribed": False})
    assert replenish(sim).status == 400
    good(sim, "PUT", SLOT, {"subscribed": True})
    assert replenish(sim).status == 200


def test_tokens_are_expired_revoked_and_issued(sim: SimulatorThread) -> None:
    token = good(sim, "POST", DEVICE + "/access_token")["access_token"]
    good(sim, "POST", DEVICE + "/expire")
    assert send(over_tls(sim), request("device_status", token)).status == 400
    refresh_token = sim.lwa.refresh_token("SN0001")
    good(sim, "POST", DEVICE + "/revoke")
    assert send(over_tls(sim), refresh_request(refresh_token)).status == 400
    assert good(sim, "POST", DEVICE + "/code", {"redirect_uri": "https://example.com", "challenge": "x" * 43})["code"]


def test_a_deregistered_device_gets_no_tokens(sim: SimulatorThread) -> None:
    token = sim.lwa.access_token("SN0001")
    assert send(over_tls(sim), request("deregister", token)).status == 200
    assert control(sim, "POST", DEVICE + "/access_token")[0] == 409
    assert control(sim, "POST", DEVICE + "/code", {"redirect_uri": "x"})[0] == 409


def test_faults_are_queued_listed_and_cleared(sim: SimulatorThread) -> None:
    fault = good(sim, "POST", "/faults", {"kind": "refuse", "endpoint": "replenish", "status": 429, "retry_after": 60, "count": 2})
    assert fault == {
        "kind": "refuse",
        "endpoint": "replenish",
        "count": 2,
        "act": False,
        "status": 429,
        "retry_after": 60,
        "number": 1,
        "hits": 0,
    }
    answer = replenish(sim)
    assert (answer.status, answer.getheader("Retry-After")) == (429, "60")
    assert [entry["hits"] for entry in good(sim, "GET", "/faults")] == [1]
    assert good(sim, "DELETE", "/faults") == {}
    assert replenish(sim).status == 200


def test_connections_are_listed_with_their_calls_and_bytes(sim: SimulatorThread) -> None:
    connection = over_tls(sim)
    for _ in range(3):
        send(connection, request("subscription_info", sim.lwa.access_token("SN0001"))).read()
    (entry,) = good(sim, "GET", "/connections")
    calls = good(sim, "GET", "/calls")
    assert [(call["connection"], call["index"]) for call in calls] == [(1, 1), (1, 2), (1, 3)]
    assert (entry["number"], entry["calls"], entry["closed_at"]) == (1, 3, None)
    assert entry["bytes_in"] == sum(call["bytes_in"] for call in calls)
    assert entry["bytes_out"] == sum(call["bytes_out"] for call in calls)
    assert entry["accepted_at"] <= entry["secured_at"]
    assert good(sim, "GET", "/connections?after=1") == []
    connection.close()
    closed_at = sim.wait_until(lambda sim: sim.connections[0].closed_at)
    assert closed_at >= entry["secured_at"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/calls?after=x", None, 400, "after"),
        ("GET", "/summary?blind_interval_s=0", None, 400, "blind_interval_s"),
        ("POST", "/time", {"advance_s": -1}, 400, "forward"),
        ("POST", "/time", {"advance_s": "1"}, 400, "advance_s"),
        ("POST", "/time", {"advance_s": True}, 400, "advance_s"),
        ("POST", "/time", {"advance_s": 10**30}, 400, "calendar"),
        ("POST", "/time", {"by": 1}, 400, "'by'"),
        ("POST", "/time", [], 400, "object"),
        ("PATCH", "/settings", {"colour": 1}, 400, "colour"),
        ("PATCH", "/settings", {"self": 1}, 400, "self"),
        ("PATCH", "/timings", {"ship_after_s": "x"}, 400, "ship_after_s"),
        ("PATCH", "/timings", {"self": 1}, 400, "self"),
        ("POST", "/devices", {}, 400, "serial is missing"),
        ("POST", "/devices", {"serial": "a b"}, 400, "64 characters"),
        ("POST", "/devices", {"serial": "SN0001"}, 400, "already"),
        ("POST", "/devices", {"serial": "SN0009", "slots": {"Ink": 1}}, 400, "slots"),
        ("POST", "/devices/SN0009/revoke", None, 404, "SN0009"),
        ("POST", "/devices/SN0009/access_token", None, 404, "SN0009"),
        ("POST", DEVICE + "/code", {}, 400, "redirect_uri"),
        ("POST", DEVICE + "/code", {"redirect_uri": "x", "method": "S1"}, 400, "S256"),
        ("PUT", SLOT, {}, 400, "subscribed is missing"),
        ("PUT", SLOT, {"subscribed": True, "quantity": 0}, 400, "quantity"),
        ("PUT", SLOT + "/scenarios", {"queue": ["lucky"]}, 400, "lucky"),
        ("PUT", SLOT + "/scenarios", {"queue": "success"}, 400, "queue"),
        ("PUT", DEVICE + "/slots/Ink/scenarios", {"queue": []}, 404, "Ink"),
        ("POST", DEVICE + "/slots/Ink/cancel", None, 404, "Ink"),
        ("POST", "/faults", {"kind": "explode"}, 400, "explode"),
    ],
)
def test_a_bad_control_call_is_refused_in_one_sentence(
    sim: SimulatorThread, method: str, path: str, body: Any, status: int, words: str
) -> None:
    before = good(sim, "GET", "/state")
    answered, answer = control(sim, method, path, body)
    assert (answered, words in answer["error"]) == (status, True), answer
    assert good(sim, "GET", "/state") == before


def test_a_body_that_is_not_json_is_refused(sim: SimulatorThread) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(sim.control_url).port, timeout=10)
    connection.request("POST", "/control/faults", b"{kind")
    assert connection.getresponse().status == 400


def test_the_index_names_every_operation(sim: SimulatorThread) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(sim.control_url).port, timeout=10)
    connection.request("GET", "/control")
    text = connection.getresponse().read().decode()
    assert len(text.splitlines()) == len(OPERATIONS)
    assert all(path in text for _, path, _, _ in OPERATIONS)
