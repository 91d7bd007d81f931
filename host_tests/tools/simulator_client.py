"""A plain client of the simulator, for its tests: the literals are written out, not taken from it."""

import http.client
import json
import socket
import ssl
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tools.simulator.calls import Call
from tools.simulator.lwa import CLIENT_ID
from tools.simulator.wire import Request
from tools.simulator.world import World

PREFIX = "com.amazon.dash.replenishment."
FORM = "application/x-www-form-urlencoded"
SLOT_STATUS = {
    "expectedReplenishmentDate": "2015-12-28T10:00:00Z",
    "remainingQuantityInUnit": 3.5,
    "originalQuantityInUnit": 10,
    "totalQuantityOnHand": 20,
    "lastUseDate": "2015-12-21T10:00:00Z",
}
DEVICE_STATUS = {"mostRecentlyActiveDate": "2015-12-21T10:00:00Z"}

# name: method, path, type version, accept type, body
CALLS: dict[str, tuple[str, str, str, str, Any]] = {
    "replenish": ("POST", "/replenish/PaperTowel", "DrsReplenishInput@1.0", "DrsReplenishResult@1.0", None),
    "slot_status": ("POST", "/slotStatus/PaperTowel", "DrsSlotStatusInput@1.0", "DrsSlotStatusResult@1.0", SLOT_STATUS),
    "device_status": ("POST", "/deviceStatus", "DrsDeviceStatusInput@1.0", "DrsDeviceStatusResult@1.0", DEVICE_STATUS),
    "subscription_info": ("GET", "/subscriptionInfo", "DrsSubscriptionInfoInput@1.0", "DrsSubscriptionInfoResult@2.0", None),
    "order_info": ("GET", "/getOrderInfo/ID", "DrsOrderInfoInput@1.0", "DrsOrderInfoResult@1.0", None),
    "deregister": ("DELETE", "/registration", "DrsDeregisterInput@2.0", "DrsDeregisterResult@1.0", None),
    "deregister_v1": (
        "DELETE",
        "/deviceModels/acme-brewer-1/devices/SN0001/registration",
        "DrsDeregisterInput@1.0",
        "DrsDeregisterResult@1.0",
        None,
    ),
    "cancel_slot": ("DELETE", "/testOrders/slots/PaperTowel", "DrsCancelTestOrdersInput@1.0", "DrsCancelTestOrdersResult@1.0", None),
    "cancel_all": ("DELETE", "/testOrders", "DrsCancelTestOrdersInput@1.0", "DrsCancelTestOrdersResult@1.0", None),
}


def request(name: str, token: str | None, path: str | None = None, body: Any = None, **headers: str | None) -> Request:
    """A good request of one endpoint; `headers` (underscores for dashes) replace, or with None remove, some."""
    method, usual_path, takes, gives, usual_body = CALLS[name]
    values: dict[str, str | None] = {
        "Authorization": f"Bearer {token}" if token else None,
        "x-amzn-type-version": PREFIX + takes,
        "x-amzn-accept-type": PREFIX + gives,
        "Content-Type": "application/json" if usual_body else None,
    }
    values.update({key.replace("_", "-"): value for key, value in headers.items()})
    data = usual_body if body is None else body
    payload = b"" if data is None else data if isinstance(data, bytes) else json.dumps(data).encode()
    pairs = tuple((key, value) for key, value in values.items() if value is not None)
    return Request(method, path or usual_path, pairs, payload)


def token_request(content_type: str = FORM, **fields: str) -> Request:
    """A request of the token endpoint."""
    return Request("POST", "/auth/o2/token", (("Content-Type", content_type),), urlencode(fields).encode())


def refresh_request(refresh_token: str, **more: str) -> Request:
    """A refresh as a device without a secret sends it."""
    return token_request(grant_type="refresh_token", refresh_token=refresh_token, client_id=CLIENT_ID, **more)


def ask(world: World, what: Request) -> tuple[Call, Any]:
    """Send to a world without a socket: the call's record and the answer's JSON (None without a body)."""
    call, _ = world.receive(what)
    return call, json.loads(call.answer) if call.answer else None


class Device:
    """One appliance's calls, without a socket, with an access token of its own."""

    def __init__(self, world: World, serial: str = "SN0001") -> None:
        self.world = world
        self.token = world.lwa.access_token(serial)

    def call(self, name: str, **options: Any) -> tuple[Call, Any]:
        """One call of an endpoint of CALLS."""
        return ask(self.world, request(name, self.token, **options))

    def replenish(self) -> tuple[str, str]:
        """The detail code and the id that replenish answers."""
        call, answer = self.call("replenish")
        assert call.status == 200, answer
        return answer["detailCode"], answer["eventInstanceId"]

    def order_item(self, instance_id: str) -> dict[str, Any]:
        """The one item that getOrderInfo tells of."""
        call, answer = self.call("order_info", path="/getOrderInfo/" + quote(instance_id, safe=""))
        assert call.status == 200, answer
        assert answer["orderInfoData"]["instanceId"] == instance_id
        (item,) = answer["orderInfoData"]["orderItems"]
        return dict(item)


def trusting(sim: Any) -> ssl.SSLContext:
    """A TLS context that trusts the simulator and nobody else."""
    return ssl.create_default_context(cafile=str(sim.ca_pem))


def over_tls(sim: Any, timeout_s: float = 10) -> http.client.HTTPSConnection:
    """A connection to the service, not opened yet."""
    where = urlsplit(sim.url)
    return http.client.HTTPSConnection("localhost", where.port, context=trusting(sim), timeout=timeout_s)


def send(connection: http.client.HTTPConnection, what: Request) -> http.client.HTTPResponse:
    """Send a request on a connection and return the answer, its body unread."""
    connection.request(what.method, what.path, what.body or None, dict(what.headers))
    return connection.getresponse()


def as_bytes(what: Request, version: str = "1.1", *more: str) -> bytes:
    """The request's bytes, with further header lines."""
    lines = [f"{what.method} {what.path} HTTP/{version}", "Host: localhost", f"Content-Length: {len(what.body)}"]
    lines += [f"{name}: {value}" for name, value in what.headers] + list(more)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + what.body


def raw_socket(sim: Any, timeout_s: float = 10) -> ssl.SSLSocket:
    """A TLS socket to the service."""
    plain = socket.create_connection(("127.0.0.1", urlsplit(sim.url).port or 0), timeout_s)
    return trusting(sim).wrap_socket(plain, server_hostname="localhost")


def until_end(connection: ssl.SSLSocket) -> bytes:
    """Everything that comes until the peer closes."""
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return data


def control(sim: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One call of the control interface: its status and its JSON."""
    where = urlsplit(sim.control_url)
    connection = http.client.HTTPConnection("127.0.0.1", where.port, timeout=10)
    connection.request(method, "/control" + path, None if body is None else json.dumps(body))
    response = connection.getresponse()
    status, answer = response.status, json.loads(response.read())
    connection.close()
    return status, answer
