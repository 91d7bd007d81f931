"""The consent page of Login with Amazon: where a customer lets a device order, and from where the browser brings the code back."""

import html
import json
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from tools.simulator.lwa import LWA
from tools.simulator.registry import NAME, Registry
from tools.simulator.wire import Request, Response

CONSENT_PATH = "/ap/oa"
SCOPE = "dash:replenish"
# What may be an Allowed Return URL: https, or this machine.
_RETURN_URL = re.compile(r"https://\S+|http://(localhost|127\.0\.0\.1)(:\d+)?(/\S*)?")
_CHALLENGE = re.compile(r"[A-Za-z0-9_.~-]{43,128}")
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Simulated consent</title>
<h1>Let {serial} order for you?</h1><p>Model {model}{kind}. This is the simulator: nothing is ever bought.</p>
<form method="post" action="{path}">{fields}
<button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button></form></html>
"""


class _Asked(NamedTuple):
    """What the device asks for."""

    serial: str
    model: str
    test: bool


class ConsentError(Exception):
    """The page cannot be shown; the message is one sentence. Nobody is redirected."""


class ConsentPage:
    """GET shows the page; its form posts the same fields and the customer's decision."""

    def __init__(self, lwa: LWA, registry: Registry, slots: Mapping[str, bool]) -> None:
        """`slots` are those of a device that is linked for the first time."""
        self._lwa = lwa
        self._registry = registry
        self.slots = dict(slots)

    def handle(self, request: Request) -> Response:
        """One call of the page."""
        text = request.query if request.method == "GET" else request.body.decode("utf-8", "replace")
        given = dict(parse_qsl(text, keep_blank_values=True))
        try:
            asked = self._judge(request.method, given)
        except ConsentError as error:
            page = f"<!doctype html><title>Error</title><p>{html.escape(str(error))}"
            return Response(400, page.encode(), {"Content-Type": "text/html; charset=utf-8"}, outcome="refused")
        decision = given.pop("decision", None)
        if request.method == "GET" or decision is None:
            return Response(200, _page(asked, given).encode(), {"Content-Type": "text/html; charset=utf-8"}, outcome="shown")
        return self._decided(asked, given, decision == "allow")

    def _judge(self, method: str, given: dict[str, str]) -> _Asked:
        if method not in ("GET", "POST"):
            raise ConsentError(f"{method} is not allowed here.")
        if not self._lwa.knows(given.get("client_id", "")):
            raise ConsentError("Unknown client_id.")
        if not _RETURN_URL.fullmatch(given.get("redirect_uri", "")):
            raise ConsentError("The redirect URI is not among the client's Allowed Return URLs.")
        if given.get("response_type") != "code":
            raise ConsentError("Only response_type=code is allowed for this scope.")
        method_of_challenge, challenge = given.get("code_challenge_method", "plain"), given.get("code_challenge")
        if challenge is not None and (method_of_challenge not in ("S256", "plain") or not _CHALLENGE.fullmatch(challenge)):
            raise ConsentError("The code_challenge is not usable.")
        return _asked(given)

    def _decided(self, asked: _Asked, given: dict[str, str], allowed: bool) -> Response:
        answer = {"error": "access_denied", "error_description": "The customer denied the request"}
        if allowed:
            self._register(asked)
            challenge = given.get("code_challenge")
            method = given.get("code_challenge_method", "plain")
            answer = {"code": self._lwa.issue_code(asked.serial, given["redirect_uri"], challenge, method), "scope": SCOPE}
        if "state" in given:
            answer["state"] = given["state"]
        place = given["redirect_uri"] + ("&" if "?" in given["redirect_uri"] else "?") + urlencode(answer)
        return Response(302, b"", {"Location": place}, outcome="allowed" if allowed else "denied")

    def _register(self, asked: _Asked) -> None:
        known = next((device for device in self._registry if device.serial == asked.serial), None)
        if known is None or not known.registered:
            slots = self.slots if known is None else {name: slot.subscribed for name, slot in known.slots.items()}
            known = self._registry.register(asked.serial, asked.model, slots, asked.test)
        known.model, known.test = asked.model, asked.test


def _asked(given: dict[str, str]) -> _Asked:
    """The device of the scope data. Raises ConsentError, in the words of Amazon's page where they are known."""
    try:
        entry = json.loads(given.get("scope_data", ""))[SCOPE]
        asked = _Asked(entry["serial"], entry["device_model"], entry.get("is_test_device", False))
        good = NAME.fullmatch(asked.serial) and NAME.fullmatch(asked.model) and isinstance(asked.test, bool)
    except (ValueError, KeyError, TypeError):
        good = None
    if given.get("scope") != SCOPE or not good:
        raise ConsentError("An unknown scope was requested.")
    return asked


def _page(asked: _Asked, given: dict[str, str]) -> str:
    fields = "".join(f'<input type="hidden" name="{html.escape(n)}" value="{html.escape(v)}">' for n, v in given.items())
    kind = ", a test device" if asked.test else ""
    return _PAGE.format(serial=html.escape(asked.serial), model=html.escape(asked.model), kind=kind, path=CONSENT_PATH, fields=fields)
