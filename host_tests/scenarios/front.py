"""What stands before the maker's gateway: it ends the device's TLS, passes its calls on, and spoils them as a test wants.

It keeps the same record of calls, and takes the same faults, as the simulated service, under the same names for what is asked; so a
scenario looks at both back ends in the same way.
"""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any

from tools.simulator import Simulator
from tools.simulator.calls import Call
from tools.simulator.wire import Request, Response
from tools.simulator.world import Delivery

REPLENISH = "/v1/replenish"
_ENDPOINTS = {("POST", REPLENISH): "replenish", ("GET", "/v1/slots"): "subscription_info"}
# The gateway's own limit for a shop is shorter.
_LIMIT_S = 30
_KEPT_HEADERS = ("content-type", "retry-after")
_NOT_PASSED_ON = ("host", "connection", "content-length", "transfer-encoding")


class Front(Simulator):
    """Passes every call on to a gateway that listens without TLS on this machine; without one it answers 502."""

    def __init__(self, gateway_port: int, **options: Any) -> None:
        super().__init__(**options)
        self._gateway_port = gateway_port

    def target(self, request: Request) -> tuple[str, str | None]:
        """The call, by the name that the other back end has for the same, and the slot of an order."""
        asked = request.path.startswith(REPLENISH + "/") and request.method == "GET"
        endpoint = "order_info" if asked else _ENDPOINTS.get((request.method, request.path), "unknown")
        return endpoint, _slot(request) if endpoint == "replenish" else None

    async def answer(self, request: Request, connection: int, index: int, bytes_in: int) -> tuple[Call, Delivery]:
        call, fault = self.admit(request, connection, index, bytes_in)
        passed = await asyncio.to_thread(self.act, request) if call.acted else None
        return call, self.reply(request, call, fault, passed)

    def act(self, request: Request) -> Response:
        """What the gateway answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self._gateway_port, timeout=_LIMIT_S)
        headers = {name: value for name, value in request.headers if name.lower() not in _NOT_PASSED_ON}
        try:
            connection.request(request.method, request.path, request.body or None, headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return Response.of_json({"message": "Bad Gateway"}, 502, outcome="no_gateway")
        finally:
            connection.close()
        kept = {name.title(): value for name, value in answer.getheaders() if name.lower() in _KEPT_HEADERS}
        return Response(answer.status, body, kept, _outcome(answer.status, body))


def _slot(request: Request) -> str | None:
    try:
        return str(json.loads(request.body)["slot"])
    except (ValueError, LookupError, TypeError):
        return None


def _outcome(status: int, body: bytes) -> str:
    if status == 200:
        return "accepted"
    try:
        return str(json.loads(body)["error"])
    except (ValueError, LookupError, TypeError):
        return "refused"
