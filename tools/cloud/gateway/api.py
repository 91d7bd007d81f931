"""The API over HTTPS: who calls, what is asked, and what the service answers."""

import asyncio
import json
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from tools.cloud.gateway import errors, schema
from tools.cloud.gateway.directory import Device, Directory
from tools.cloud.gateway.errors import APIError
from tools.cloud.gateway.metrics import Metrics
from tools.cloud.gateway.model import Intent, IntentId, Return, Snapshot
from tools.cloud.gateway.notices import Notices
from tools.cloud.gateway.rate import Rate
from tools.cloud.gateway.schema import Call, Replenish, ReturnBody
from tools.cloud.gateway.service import Service
from tools.cloud.gateway.tokens import TokenError, Verifier

LOG = logging.getLogger("gateway")

# A body comes whole within this, or not at all.
READ_LIMIT_S = 10
_BEARER = "bearer "

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def common_name(certificate: dict[str, Any] | None) -> str | None:
    """The CN of a verified client certificate, in the form of ssl.getpeercert."""
    parts = [value for part in (certificate or {}).get("subject", ()) for name, value in part if name == "commonName"]
    return parts[0] if len(parts) == 1 else None


class Doorkeeper:
    """Tells which device calls: by its certificate, by its token, or by both if they say the same."""

    def __init__(self, directory: Directory, verifier: Verifier | None, rate: Rate, now: Callable[[], float]) -> None:
        self._directory = directory
        self._verifier = verifier
        self._rate = rate
        self._now = now

    def device(self, request: web.Request) -> Device:
        """Raises APIError 401 for a caller that is no device of ours, 429 for one that calls too often."""
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport else None
        serials = {self._serial(request.headers.get("Authorization")), common_name(certificate)} - {None}
        if len(serials) != 1:
            raise errors.unauthorized("a device token or a client certificate is needed, and both have to say the same")
        device = self._directory.device(str(serials.pop()))
        if device is None:
            raise errors.unauthorized("no device of ours")
        if wait_s := self._rate.wait_s(device.serial, self._now()):
            raise errors.too_many(wait_s)
        return device

    def _serial(self, header: str | None) -> str | None:
        if header is None:
            return None
        if self._verifier is None or not header.lower().startswith(_BEARER):
            raise errors.unauthorized("the Authorization header is no device token")
        try:
            return self._verifier.serial(header[len(_BEARER) :].strip(), self._now())
        except TokenError as error:
            raise errors.unauthorized(str(error)) from None


async def _object(request: web.Request) -> Any:
    try:
        async with asyncio.timeout(READ_LIMIT_S):
            return json.loads(await request.read())
    except web.HTTPRequestEntityTooLarge:
        raise errors.too_large(request.client_max_size) from None
    except TimeoutError:
        raise errors.bad_request(f"the body did not come within {READ_LIMIT_S} s") from None
    except (ValueError, RecursionError):
        raise errors.bad_request("the body is not JSON") from None


def _fault(error: ValidationError) -> APIError:
    """The first fault, without the value that was given."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"])) or "the body"
    return errors.bad_request(f"{where}: {first['msg']}"[:200])


class API:
    """The handlers of schema.CALLS."""

    def __init__(self, service: Service, doorkeeper: Doorkeeper, notices: Notices, metrics: Metrics) -> None:
        self._service = service
        self._doorkeeper = doorkeeper
        self._notices = notices
        self._metrics = metrics

    def routes(self) -> list[web.RouteDef]:
        # As aiohttp has it, the name in the path is matched against what is percent-encoded and given decoded.
        return [web.route(call.method, call.path, self._handler(call)) for call in schema.CALLS]

    def _handler(self, call: Call) -> Handler:
        do: Callable[[Device, web.Request, Any], Awaitable[dict[str, Any]]] = getattr(self, f"_{call.name}")

        async def handle(request: web.Request) -> web.Response:
            started = time.monotonic()
            try:
                device = self._doorkeeper.device(request)
                body = call.body.model_validate(await _object(request)) if call.body else None
                answer = web.json_response(await do(device, request, body))
            except ValidationError as error:
                answer = failure(_fault(error))
            except APIError as error:
                answer = failure(error)
            self._metrics.request(call.name, answer.status, time.monotonic() - started)
            return answer

        return handle

    async def _replenish(self, device: Device, request: web.Request, body: Replenish) -> dict[str, Any]:
        least = body.quantity if body.least is None else body.least
        if body.slot not in device.slots:
            raise errors.unknown_slot()
        intent_id = device.intent_id(body.intent_id, body.slot)
        if intent_id is None:
            raise errors.unknown_intent()
        if least > body.quantity:
            raise errors.bad_request("least: more than quantity")
        return (await self._service.replenish(device, Intent(intent_id, body.quantity, least, body.reason))).json()

    async def _get(self, device: Device, request: web.Request, body: None) -> dict[str, Any]:
        return (await self._service.get(device, _intent_id(device, request))).json()

    async def _agree(self, device: Device, request: web.Request, body: object) -> dict[str, Any]:
        return (await self._service.agree(device, _intent_id(device, request))).json()

    async def _cancel(self, device: Device, request: web.Request, body: object) -> dict[str, Any]:
        return (await self._service.cancel(device, _intent_id(device, request))).json()

    async def _returns(self, device: Device, request: web.Request, body: ReturnBody) -> dict[str, Any]:
        given = Return(body.return_id, body.quantity, body.state)
        found: Snapshot = await self._service.put_return(device, _intent_id(device, request), given)
        # Whoever arranged the return calls with the device's key: this answer is not read by the device.
        await self._notices.tell(found)
        return found.json()

    async def _slots(self, device: Device, request: web.Request, body: None) -> dict[str, Any]:
        return {"slots": await self._service.slots(device)}


def _intent_id(device: Device, request: web.Request) -> IntentId:
    """The intent in the path, if it can be one of this device's; to everybody else's there is the same answer as to none."""
    found = device.intent_id(request.match_info["intent_id"])
    if found is None:
        raise errors.unknown_intent()
    return found


def failure(error: APIError) -> web.Response:
    headers = error.headers()
    if error.status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return web.json_response(error.body(), status=error.status, headers=headers)


@web.middleware
async def plain_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What the server itself answers, in the API's form; and a fault of ours as 500, which a device takes for not known."""
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as error:
        answer = failure(APIError(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "this path has other methods"))
        answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except web.HTTPNotFound:
        return failure(APIError(HTTPStatus.NOT_FOUND, "not_found", "there is nothing at this path"))
    except web.HTTPException:
        raise
    except Exception as error:
        # Without its text, which might quote what a customer or a shop said.
        LOG.error("a call failed: %s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
        return failure(APIError(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "a fault of the gateway's own"))
