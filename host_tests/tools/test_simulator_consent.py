"""The consent page: what it shows, and where it sends the browser."""

import html
import json
import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from host_tests.tools.simulator_client import FORM
from host_tests.tools.test_simulator_lwa import VERIFIER, refresh, s256, swap
from tools.simulator import Clock
from tools.simulator.lwa import CLIENT_ID
from tools.simulator.wire import Request
from tools.simulator.world import World

RETURN_URL = "https://example.com/return"


@pytest.fixture
def world() -> World:
    return World(Clock.manual())


def scope_data(**changes: object) -> str:
    return json.dumps({"dash:replenish": {"device_model": "acme-1", "serial": "SN7", "is_test_device": True, **changes}})


def parameters(**changes: str | None) -> dict[str, str]:
    given: dict[str, str | None] = {
        "client_id": CLIENT_ID,
        "scope": "dash:replenish",
        "scope_data": scope_data(),
        "response_type": "code",
        "redirect_uri": RETURN_URL,
        "state": 'a"b&c',
        "code_challenge": s256(VERIFIER),
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in given.items() if value is not None}


def show(world: World, **changes: str | None) -> tuple[int, str]:
    """The page's status and text."""
    call, delivery = world.receive(Request("GET", "/ap/oa", query=urlencode(parameters(**changes))))
    assert call.endpoint == "consent"
    return call.status, delivery.payload.decode().partition("\r\n\r\n")[2]


def decide(world: World, page: str, decision: str) -> dict[str, str]:
    """What comes back when the customer presses a button of this page."""
    fields = {html.unescape(n): html.unescape(v) for n, v in re.findall(r'name="([^"]*)" value="([^"]*)">(?!A|D)', page)}
    body = urlencode({**fields, "decision": decision}).encode()
    call, delivery = world.receive(Request("POST", "/ap/oa", (("Content-Type", FORM),), body))
    assert call.status == 302
    (place,) = re.findall(r"Location: (\S+)", delivery.payload.decode())
    assert place.startswith(RETURN_URL + "?")
    return {name: values[0] for name, values in parse_qs(urlsplit(place).query).items()}


def test_consent_registers_the_device_and_gives_a_code(world: World) -> None:
    status, page = show(world)
    assert status == 200 and "SN7" in page and "acme-1, a test device" in page
    assert [device.serial for device in world.registry] == [], "showing the page does nothing"
    back = decide(world, page, "allow")
    assert back["state"] == 'a"b&c' and back["scope"] == "dash:replenish" and "error" not in back
    device = world.registry.device("SN7")
    assert (device.model, device.test, list(device.slots)) == ("acme-1", True, ["PaperTowel"])
    status, answer = swap(world, back["code"], code_verifier=VERIFIER)
    assert status == 200 and refresh(world, answer["refresh_token"])[0] == 200


def test_denial_gives_an_error_and_registers_nobody(world: World) -> None:
    back = decide(world, show(world)[1], "deny")
    assert (back["error"], back["state"], "code" in back) == ("access_denied", 'a"b&c', False)
    assert list(world.registry) == []


def test_linking_again_keeps_the_slots(world: World) -> None:
    world.add_device("SN7", "acme-1", {"Ink": True, "Paper": False})
    decide(world, show(world)[1], "allow")
    device = world.registry.device("SN7")
    assert device.test and {name: slot.subscribed for name, slot in device.slots.items()} == {"Ink": True, "Paper": False}
    world.registry.deregister("SN7")
    decide(world, show(world)[1], "allow")
    device = world.registry.device("SN7")
    assert device.registered and {name: slot.subscribed for name, slot in device.slots.items()} == {"Ink": True, "Paper": False}


BAD = [
    {"client_id": "other"},
    {"redirect_uri": "http://example.com/"},
    {"redirect_uri": "javascript:alert(1)"},
    {"redirect_uri": None},
    {"response_type": "token"},
    {"scope": "profile"},
    {"scope_data": None},
    {"scope_data": "[]"},
    {"scope_data": scope_data(serial="a b")},
    {"scope_data": scope_data(device_model="x" * 65)},
    {"scope_data": scope_data(is_test_device="true")},
    {"code_challenge": "short"},
    {"code_challenge_method": "S512"},
]


@pytest.mark.parametrize("changes", BAD, ids=str)
def test_what_is_wrong_gets_an_error_page_and_no_redirect(world: World, changes: dict[str, str | None]) -> None:
    status, page = show(world, **changes)
    assert status == 400 and "<form" not in page
    assert ("unknown scope" in page) == bool({"scope", "scope_data"} & changes.keys())


def test_other_methods_are_refused(world: World) -> None:
    call, _ = world.receive(Request("PUT", "/ap/oa"))
    assert (call.status, call.outcome) == (400, "refused")
