"""The endpoints of the Dash Replenishment Service: what they demand, do, and answer."""

import json
from datetime import UTC, datetime
from typing import NamedTuple

from tools.simulator.identifiers import Identifiers
from tools.simulator.lwa import LWA
from tools.simulator.orders import DAY_S, Order, OrderBook, OrderRefused, OrderState, SlotBusy, SlotKey
from tools.simulator.registry import Device, Registry
from tools.simulator.settings import Settings
from tools.simulator.wire import Request, Response

TYPE_PREFIX = "com.amazon.dash.replenishment."
_ERROR_DOMAIN = "http://internal.amazon.com/coral/com.amazon.parkeraccioservice/"
# The documented delivery dates end a day on the Pacific coast: 07:59:59 UTC.
_DAY_END_S = 8 * 3600 - 1


class Endpoint(NamedTuple):
    """One row of the service's table. A path part in braces is a parameter."""

    name: str
    method: str
    path: tuple[str, ...]
    takes: str
    gives: tuple[str, ...]


ENDPOINTS = (
    Endpoint("replenish", "POST", ("replenish", "{slot}"), "DrsReplenishInput@1.0", ("DrsReplenishResult@1.0",)),
    Endpoint("slot_status", "POST", ("slotStatus", "{slot}"), "DrsSlotStatusInput@1.0", ("DrsSlotStatusResult@1.0",)),
    Endpoint("device_status", "POST", ("deviceStatus",), "DrsDeviceStatusInput@1.0", ("DrsDeviceStatusResult@1.0",)),
    Endpoint(
        "subscription_info",
        "GET",
        ("subscriptionInfo",),
        "DrsSubscriptionInfoInput@1.0",
        ("DrsSubscriptionInfoResult@2.0", "DrsSubscriptionInfoResult@1.0"),
    ),
    Endpoint("order_info", "GET", ("getOrderInfo", "{id}"), "DrsOrderInfoInput@1.0", ("DrsOrderInfoResult@1.0",)),
    Endpoint("deregister", "DELETE", ("registration",), "DrsDeregisterInput@2.0", ("DrsDeregisterResult@1.0",)),
    Endpoint(
        "deregister",
        "DELETE",
        ("deviceModels", "{model}", "devices", "{serial}", "registration"),
        "DrsDeregisterInput@1.0",
        ("DrsDeregisterResult@1.0",),
    ),
    Endpoint(
        "cancel_test_orders",
        "DELETE",
        ("testOrders", "slots", "{slot}"),
        "DrsCancelTestOrdersInput@1.0",
        ("DrsCancelTestOrdersResult@1.0",),
    ),
    Endpoint(
        "cancel_test_orders",
        "DELETE",
        ("testOrders",),
        "DrsCancelTestOrdersInput@1.0",
        ("DrsCancelTestOrdersResult@1.0",),
    ),
)

# How each generation of the documents spells an order's state. Which of our states a word covers is
# inferred where the documents do not say: see README.md.
STATUS_WORDS = {
    "older": {
        OrderState.ACCEPTED: "Pending",
        OrderState.IN_RESOLUTION: "Pending",
        OrderState.PLACED: "Authorized",
        OrderState.SHIPPED: "Authorized",
        OrderState.DELIVERED: "Closed",
        OrderState.CANCELLED: "Canceled",
    },
    "newer": {
        OrderState.ACCEPTED: "Processing",
        OrderState.IN_RESOLUTION: "Processing",
        OrderState.PLACED: "Processing",
        OrderState.SHIPPED: "Shipped",
        OrderState.DELIVERED: "Shipped",
        OrderState.CANCELLED: "Cancelled",
    },
}


class DRSError(Exception):
    """A refusal, with its status and the message of its body."""

    def __init__(self, status: int, message: str, kind: str = "InvalidRequestException") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class Route(NamedTuple):
    """Which endpoint a request is for, and the parameters of its path."""

    endpoint: Endpoint
    parameters: dict[str, str]


def route(request: Request) -> Route:
    """Find the endpoint. Raises DRSError: 404 for an unknown path, 405 for a known path's other method."""
    segments = request.segments()
    known = False
    for endpoint in ENDPOINTS:
        parameters = _match(endpoint.path, segments)
        if parameters is not None and endpoint.method == request.method:
            return Route(endpoint, parameters)
        known = known or parameters is not None
    if known:
        raise DRSError(405, f"{request.method} is not allowed here", "MethodNotAllowedException")
    raise DRSError(404, f"no operation at {request.path}", "UnknownOperationException")


def _match(path: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    if len(path) != len(segments):
        return None
    parameters = {}
    for part, segment in zip(path, segments, strict=True):
        if part.startswith("{"):
            parameters[part.strip("{}")] = segment
        elif part != segment:
            return None
    return parameters


def error_response(error: DRSError) -> Response:
    """The answer that carries a refusal."""
    headers = {"x-amzn-ErrorType": f"{error.kind}:{_ERROR_DOMAIN}"}
    return Response.of_json({"message": str(error)}, error.status, headers, outcome="refused")


class DRS:
    """Every endpoint, on the registry, the tokens and the order book that it is given."""

    def __init__(self, registry: Registry, lwa: LWA, book: OrderBook, identifiers: Identifiers, settings: Settings) -> None:
        self._registry = registry
        self._lwa = lwa
        self._book = book
        self._identifiers = identifiers
        self._settings = settings
        self._actions = {
            "replenish": self._replenish,
            "slot_status": self._slot_status,
            "device_status": self._device_status,
            "subscription_info": self._subscription_info,
            "order_info": self._order_info,
            "deregister": self._deregister,
            "cancel_test_orders": self._cancel_test_orders,
        }

    def handle(self, request: Request) -> Response:
        """One call of the service."""
        try:
            where = route(request)
            _check_versions(where.endpoint, request)
            device = self._device(request)
            response = self._actions[where.endpoint.name](device, where.parameters, request)
        except DRSError as error:
            return error_response(error)
        response.headers["x-amzn-type-version"] = str(request.header("x-amzn-accept-type"))
        return response

    def _device(self, request: Request) -> Device:
        if request.bearer is None:
            raise DRSError(400, "header Authorization must be: Bearer <access token>", "MissingTokenException")
        serial = self._lwa.bearer(request.bearer)
        if serial is None:
            raise DRSError(400, "Invalid token", "InvalidTokenException")
        return self._registry.device(serial)

    def _replenish(self, device: Device, parameters: dict[str, str], request: Request) -> Response:
        slot_id = parameters["slot"]
        slot = device.slots.get(slot_id)
        if slot is None:
            raise DRSError(404, f"slot {slot_id} does not exist", "ResourceNotFoundException")
        if not slot.subscribed:
            message = f"Unable to place order - slot : <{slot_id}> is unsubscribed."
            raise DRSError(self._settings.unsubscribed_status, message)
        try:
            order = self._book.open(SlotKey(device.serial, slot_id), slot.product, slot.quantity, device.test)
        except SlotBusy as busy:
            return self._in_progress(busy.running)
        code = self._settings.test_placed_code if device.test else self._settings.placed_code
        return _replenish_answer(code, order.order_id, "accepted")

    def _in_progress(self, running: Order) -> Response:
        new = self._settings.in_progress_id == "new"
        instance_id = self._identifiers.event_instance_id() if new else running.order_id
        return _replenish_answer(self._settings.in_progress_code, instance_id, "in_progress")

    def _slot_status(self, device: Device, parameters: dict[str, str], request: Request) -> Response:
        slot = device.slots.get(parameters["slot"])
        if slot is None:
            raise DRSError(400, f"slot {parameters['slot']} does not exist")
        body = _json_object(request)
        for name in ("expectedReplenishmentDate", "lastUseDate"):
            _check_date(body, name)
        for name in ("remainingQuantityInUnit", "originalQuantityInUnit", "totalQuantityOnHand"):
            _check_quantity(body, name)
        slot.last_status = body
        return Response()

    def _device_status(self, device: Device, parameters: dict[str, str], request: Request) -> Response:
        body = _json_object(request)
        _check_date(body, "mostRecentlyActiveDate")
        device.last_status = body
        return Response()

    def _subscription_info(self, device: Device, parameters: dict[str, str], request: Request) -> Response:
        slots: dict[str, object] = {}
        detailed = str(request.header("x-amzn-accept-type")).endswith("@2.0")
        for name, slot in device.slots.items():
            product = {"asin": slot.product, "quantity": slot.quantity, "unit": slot.unit}
            products = [product] if slot.subscribed else []
            slots[name] = {"productInfoList": products, "subscribed": slot.subscribed} if detailed else slot.subscribed
        return Response.of_json({"slotsSubscriptionStatus": slots})

    def _order_info(self, device: Device, parameters: dict[str, str], request: Request) -> Response:
        order = self._book.find(parameters["id"])
        if order is None or order.key.device != device.serial:
            raise DRSError(self._settings.unknown_order_status, f"unknown event instance id {parameters['id']}")
        item = {
            "asin": order.product,
            "expectedDeliveryDate": delivery_date(order),
            "quantity": order.quantity,
            "slotId": order.key.slot,
            "status": STATUS_WORDS[self._settings.status_generation][order.state],
        }
        return Response.of_json({"orderInfoData": {"instanceId": order.order_id, "orderItems": [item]}})

    def _deregister(self, device: Device, parameters: dict[str, str], request: Request) -> Response:
        named = (parameters.get("model", device.model), parameters.get("serial", device.serial))
        if named != (device.model, device.serial):
            raise DRSError(400, "the path names another device than the token")
        self._lwa.revoke(device.serial)
        self._registry.deregister(device.serial)
        return Response()

    def _cancel_test_orders(self, device: Device, parameters: dict[str, str], request: Request) -> Response:
        slots = [parameters["slot"]] if "slot" in parameters else list(device.slots)
        if unknown := [slot for slot in slots if slot not in device.slots]:
            raise DRSError(400, f"slot {unknown[0]} does not exist")
        if not device.test:
            raise DRSError(400, f"device {device.serial} is not a test device")
        statuses = []
        for slot in slots:
            try:
                self._book.cancel_test(SlotKey(device.serial, slot))
            except OrderRefused as refusal:
                raise DRSError(400, str(refusal)) from None
            statuses.append({"orderStatus": "NO_ORDER_IN_PROGRESS", "slotId": slot})
        return Response.of_json({"slotOrderStatuses": statuses})


def _check_versions(endpoint: Endpoint, request: Request) -> None:
    wanted = {"x-amzn-type-version": (endpoint.takes,), "x-amzn-accept-type": endpoint.gives}
    for name, values in wanted.items():
        allowed = [TYPE_PREFIX + value for value in values]
        if request.header(name) not in allowed:
            raise DRSError(400, f"header {name} must be {' or '.join(allowed)}, not {request.header(name)}")


def _replenish_answer(code: str, instance_id: str, outcome: str) -> Response:
    return Response.of_json({"detailCode": code, "eventInstanceId": instance_id}, outcome=outcome)


def _json_object(request: Request) -> dict[str, object]:
    try:
        body = json.loads(request.body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise DRSError(400, "the body is not JSON", "SerializationException") from None
    if not isinstance(body, dict):
        raise DRSError(400, "the body is not a JSON object", "SerializationException")
    return body


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check_date(body: dict[str, object], name: str) -> None:
    value = body.get(name)
    try:
        if not isinstance(value, str):
            raise ValueError
        datetime.fromisoformat(value)
    except ValueError:
        raise DRSError(400, f"{name} must be an ISO 8601 date, such as 2015-12-28T10:00:00Z, not {value!r}") from None


def _check_quantity(body: dict[str, object], name: str) -> None:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise DRSError(400, f"{name} must be a number, 0 or more, not {value!r}")


def delivery_date(order: Order) -> str | None:
    """The end of the day on which the order is to arrive, as the service writes it; None while it is not placed."""
    estimate = order.delivery_estimate
    if estimate is None:
        return None
    end = estimate + (_DAY_END_S - estimate) % DAY_S
    return datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
