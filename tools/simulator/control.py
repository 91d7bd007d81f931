"""The control interface: what `World` can do, as JSON over plain HTTP on the loopback."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from tools.simulator.buywithprime.control import OPERATIONS as STORE_OPERATIONS
from tools.simulator.control_input import Input
from tools.simulator.faults import as_json as fault_as_json
from tools.simulator.orders import OrderRefused
from tools.simulator.subscriptions import Notice
from tools.simulator.world import BLIND_INTERVAL_S, DEFAULT_MODEL, World, order_state


def _state(world: World, given: Input) -> object:
    return world.state()


def _summary(world: World, given: Input) -> object:
    return world.summary(given.number("blind_interval_s", BLIND_INTERVAL_S, low=1))


def _calls(world: World, given: Input) -> object:
    return [call.as_json() for call in world.calls.after(given.number("after"))]


def _events(world: World, given: Input) -> object:
    return {
        "now": world.book.advance(),
        "events": [asdict(event) for event in world.events.after(given.number("after"))],
        "calls": [call.as_json() for call in world.calls.after(given.number("calls_after"))],
        "dropped": {"events": world.events.dropped, "calls": world.calls.dropped},
    }


def _connections(world: World, given: Input) -> object:
    return [asdict(connection) for connection in world.connections if connection.number > given.number("after")]


def _time(world: World, given: Input) -> object:
    fields = given.fields(advance_s=int, to_next_event=bool)
    if fields.get("to_next_event"):
        return {"now": world.advance_to_next_event()}
    return {"now": world.advance(fields.get("advance_s", 0))}


def _settings(world: World, given: Input) -> object:
    world.settings.change(**given.body)
    return asdict(world.settings)


def _timings(world: World, given: Input) -> object:
    return asdict(world.set_timings(**given.body))


def _add_device(world: World, given: Input) -> object:
    fields = given.fields("serial", serial=str, model=str, slots=dict, test=bool, public=bool)
    if not all(isinstance(subscribed, bool) for subscribed in fields.get("slots", {}).values()):
        raise ValueError("slots: an object of slot ids, each true (subscribed) or false")
    return {"refresh_token": world.add_device(**{"model": DEFAULT_MODEL, **fields})}


def _revoke(world: World, given: Input) -> object:
    world.revoke(given.path["serial"])
    return {}


def _expire(world: World, given: Input) -> object:
    world.expire_access_tokens(given.path["serial"])
    return {}


def _access_token(world: World, given: Input) -> object:
    return {"access_token": world.lwa.access_token(_registered(world, given.path["serial"]))}


def _code(world: World, given: Input) -> object:
    fields = given.fields("redirect_uri", redirect_uri=str, challenge=str, method=str)
    return {"code": world.lwa.issue_code(_registered(world, given.path["serial"]), **fields)}


def _registered(world: World, serial: str) -> str:
    if not world.registry.device(serial).registered:
        raise OrderRefused(f"device {serial!r} is deregistered")
    return serial


def _slot(world: World, given: Input) -> object:
    fields = given.fields("subscribed", subscribed=bool, product=str, quantity=int)
    return asdict(world.registry.subscribe(given.path["serial"], given.path["slot"], **fields))


def _scenarios(world: World, given: Input) -> object:
    world.set_scenarios(**given.place, **given.fields(queue=list, default=(str, dict)))
    return {}


def _cancel(world: World, given: Input) -> object:
    return order_state(world.cancel_order(**given.place))


def _resolve(world: World, given: Input) -> object:
    return order_state(world.resolve_order(**given.place))


def _faults(world: World, given: Input) -> object:
    return [fault_as_json(fault) for fault in world.faults.pending()]


def _add_fault(world: World, given: Input) -> object:
    return fault_as_json(world.faults.add(**given.body))


def _clear_faults(world: World, given: Input) -> object:
    world.faults.clear()
    return {}


def _subscriptions(world: World, given: Input) -> object:
    return [subscription.as_json() for subscription in world.sns.subscriptions]


def _subscribe(world: World, given: Input) -> object:
    return world.sns.subscribe(**given.fields("endpoint", endpoint=str, ca=str, raw=bool)).as_json()


def _unsubscribe(world: World, given: Input) -> object:
    return world.sns.unsubscribe(given.path["arn"]).as_json()


def _publish(world: World, given: Input) -> object:
    fields = given.fields("message", message=str, subject=str, version=str, type=str, serial=str, slot=str)
    text, version = fields.pop("message"), fields.pop("version", None)
    attributes = {"version": {"Type": "String", "Value": version}} if version else {}
    world.sns.publish(Notice(text, attributes=attributes, **fields))
    return {}


def _deliveries(world: World, given: Input) -> object:
    return [delivery.as_json() for delivery in world.deliveries.after(given.number("after"))]


def _notice_faults(world: World, given: Input) -> object:
    return [fault_as_json(fault) for fault in world.sns.faults.pending()]


def _add_notice_fault(world: World, given: Input) -> object:
    return fault_as_json(world.sns.faults.add(**given.body))


def _clear_notice_faults(world: World, given: Input) -> object:
    world.sns.faults.clear()
    return {}


_DEVICE = "/control/devices/{serial}"
_SLOT = _DEVICE + "/slots/{slot}"

# Method, path, what does it, and what it is for.
OPERATIONS: tuple[tuple[str, str, Callable[[World, Input], object], str], ...] = (
    ("GET", "/control/state", _state, "devices, slots, orders, settings, timings"),
    ("GET", "/control/summary", _summary, "totals of orders and calls (?blind_interval_s=)"),
    ("GET", "/control/calls", _calls, "every call received (?after=NUMBER)"),
    ("GET", "/control/events", _events, "events and calls (?after=NUMBER&calls_after=NUMBER)"),
    ("GET", "/control/connections", _connections, "every connection accepted (?after=NUMBER)"),
    ("POST", "/control/time", _time, "advance_s, or to_next_event"),
    ("PATCH", "/control/settings", _settings, "change settings"),
    ("PATCH", "/control/timings", _timings, "change timings of orders to come"),
    ("POST", "/control/devices", _add_device, "serial, model, slots, test, public: register a device"),
    ("POST", _DEVICE + "/revoke", _revoke, "the customer revokes: every token dies"),
    ("POST", _DEVICE + "/expire", _expire, "the access tokens expire now"),
    ("POST", _DEVICE + "/access_token", _access_token, "an access token, for calls by hand"),
    ("POST", _DEVICE + "/code", _code, "redirect_uri, challenge, method: an authorization code"),
    ("PUT", _SLOT, _slot, "subscribed, product, quantity: add or change a slot"),
    ("PUT", _SLOT + "/scenarios", _scenarios, "queue, default: the fates of orders to come"),
    ("POST", _SLOT + "/cancel", _cancel, "the customer cancels the open order"),
    ("POST", _SLOT + "/resolve", _resolve, "the customer solves the open order's problem"),
    ("GET", "/control/faults", _faults, "the faults that wait"),
    ("POST", "/control/faults", _add_fault, "queue a fault"),
    ("DELETE", "/control/faults", _clear_faults, "forget all faults"),
    ("GET", "/control/subscriptions", _subscriptions, "who is subscribed to the notifications"),
    ("POST", "/control/subscriptions", _subscribe, "endpoint, ca, raw: subscribe an https address"),
    ("DELETE", "/control/subscriptions/{arn}", _unsubscribe, "end a subscription"),
    ("POST", "/control/notices", _publish, "message, subject, version, type, serial, slot: publish any text"),
    ("GET", "/control/deliveries", _deliveries, "every message sent to a subscriber (?after=NUMBER)"),
    ("GET", "/control/notice_faults", _notice_faults, "the faults that wait for notifications"),
    ("POST", "/control/notice_faults", _add_notice_fault, "queue a fault of notifications"),
    ("DELETE", "/control/notice_faults", _clear_notice_faults, "forget all faults of notifications"),
    *STORE_OPERATIONS,
)


def control_application(world: World) -> web.Application:
    """The web application that controls `world`."""
    application = web.Application()
    for method, path, operation, _ in OPERATIONS:
        application.router.add_route(method, path, _handler(world, operation))
    application.router.add_get("/", _index)
    application.router.add_get("/control", _index)
    return application


async def _index(request: web.Request) -> web.Response:
    rows = [f"{method:6} {path:64} {purpose}" for method, path, _, purpose in OPERATIONS]
    return web.Response(text="\n".join(rows) + "\n")


def _handler(world: World, operation: Callable[[World, Input], object]) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        try:
            given = Input(request.match_info, request.query, _body(await request.read()))
            return web.json_response(operation(world, given))
        except OrderRefused as refusal:
            return _error(409, refusal)
        except ValueError as error:
            return _error(400, error)
        except LookupError as error:
            return _error(404, error)

    return handle


def _body(data: bytes) -> dict[str, Any]:
    body = json.loads(data) if data else {}
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    return body


def _error(status: int, error: Exception) -> web.Response:
    return web.json_response({"error": str(error)}, status=status)
