"""The maker's own shop, by signed HTTPS requests; README.md beside the gateway has what it has to answer."""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, Field, ValidationError

from tools.cloud.gateway import tls
from tools.cloud.gateway.adapters import OutcomeUnknown, Refused, ShortOfStock, Surroundings, Unavailable
from tools.cloud.gateway.model import QUANTITY_LIMIT, Customer, Intent, IntentId, Item, Return, Snapshot, State
from tools.cloud.gateway.signing import HEADER, Signer
from tools.cloud.gateway.tokens import private_key
from tools.cloud.settings import FILE, SAFE_URL
from tools.rules import Rule, text, whole

# An order has some 500 bytes.
LIMIT_BYTES = 65_536

RULES: dict[str, Rule] = {"url": SAFE_URL, "ca": FILE, "limit_s": whole(1, 60)}
# A text is a shared key for HMAC-SHA256; a PEM private key, Ed25519, signs instead.
SECRETS: dict[str, Rule] = {"key": text(512)}
OPTIONAL_SECRETS: frozenset[str] = frozenset()
FILES: frozenset[str] = frozenset({"ca"})


@dataclass(frozen=True)
class Settings:
    """`url`: what `/orders` is appended to; `limit_s`: for each request."""

    url: str
    ca: str | None = None
    limit_s: int = 10


class Order(BaseModel):
    """What the shop answers of an order."""

    intent_id: str
    state: Literal["PENDING", "PLACED", "STARTED", "IN_TRANSIT", "DELIVERED", "CANCELLED", "FAILED", "RETURNING", "RETURNED"]
    quantity: int = Field(ge=1, le=QUANTITY_LIMIT)
    created: datetime
    code: str | None = Field(None, max_length=64)
    deliver_by: datetime | None = None
    returned: int | None = Field(None, ge=0, le=QUANTITY_LIMIT)
    time: datetime | None = None
    total: Decimal | None = None


@dataclass(frozen=True)
class _Answer:
    status: int
    body: Any
    retry_after_s: float | None


class Webhook:
    """Each method is one request; what its answer means depends on whether the request could have changed anything."""

    name = "webhook"

    def __init__(self, settings: Settings, signer: Signer, session: aiohttp.ClientSession) -> None:
        self._url = settings.url.rstrip("/")
        self._limit = aiohttp.ClientTimeout(total=settings.limit_s)
        self._signer = signer
        self._session = session

    async def order(self, intent: Intent, item: Item, customer: Customer) -> Snapshot:
        body = {"intent_id": str(intent.id), "serial": intent.id.serial, "slot": intent.id.slot, "counter": intent.id.counter,
                "quantity": intent.quantity, "reason": intent.reason, "item": _item(item), "customer": _customer(customer)}  # fmt: skip
        return await self._change(intent.id, "/orders", body, str(intent.id))

    async def find(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot | None:
        answer = await self._ask("GET", self._path(intent_id), b"", "")
        if answer.status == HTTPStatus.OK:
            try:
                return _snapshot(intent_id, answer.body)
            except ValueError:
                raise Unavailable(None, "the shop's answer is not an order") from None
        # A word of its own, so that a wrong path or another server's 404 is not taken for "there is no such order".
        if answer.status == HTTPStatus.NOT_FOUND and _word(answer.body) == "unknown_intent":
            return None
        raise Unavailable(answer.retry_after_s, f"the shop answered {answer.status} when asked for an order")

    async def start(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot:
        return await self._change(intent_id, f"{self._path(intent_id)}/start", {}, f"{intent_id}:start")

    async def cancel(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot:
        return await self._change(intent_id, f"{self._path(intent_id)}/cancel", {}, f"{intent_id}:cancel")

    async def put_return(self, intent_id: IntentId, given: Return, item: Item, customer: Customer) -> Snapshot:
        body = {"return_id": given.id, "quantity": given.quantity, "state": given.state}
        return await self._change(intent_id, f"{self._path(intent_id)}/returns", body, f"{intent_id}:return:{given.id}:{given.state}")

    def _path(self, intent_id: IntentId) -> str:
        return f"/orders/{quote(str(intent_id), safe='')}"

    async def _change(self, intent_id: IntentId, path: str, body: Mapping[str, Any], key: str) -> Snapshot:
        answer = await self._ask("POST", path, json.dumps(body).encode(), key)
        if answer.status in (HTTPStatus.OK, HTTPStatus.CREATED):
            try:
                return _snapshot(intent_id, answer.body)
            except ValueError:
                raise OutcomeUnknown("the shop's answer is not an order") from None
        raise _refusal(answer)

    async def _ask(self, method: str, path: str, body: bytes, key: str) -> _Answer:
        """Raises Unavailable, and OutcomeUnknown when a POST went out and no answer came."""
        url = self._url + path
        name = key.encode("ascii", "backslashreplace").decode()
        headers = {"Content-Type": "application/json", HEADER: self._signature(method, url, name, body)}
        if name:
            headers["Idempotency-Key"] = name
        try:
            async with self._session.request(
                method, tls.encoded(url), data=body or None, headers=headers, timeout=self._limit, allow_redirects=False
            ) as answer:
                return _Answer(answer.status, _json(await _body(answer.content)), _retry_after_s(answer.headers.get("Retry-After")))
        except aiohttp.ClientConnectorError as error:
            raise Unavailable(None, f"the shop cannot be reached: {type(error).__name__}") from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            if method == "GET":
                raise Unavailable(None, f"the shop did not answer: {type(error).__name__}") from None
            raise OutcomeUnknown(f"the shop did not answer: {type(error).__name__}") from None

    def _signature(self, method: str, url: str, key: str, body: bytes) -> str:
        return self._signer.header(int(time.time()), method, urlsplit(url).path, key, body)


def _refusal(answer: _Answer) -> Exception:
    """What a POST that was not done is told as."""
    word = _word(answer.body)
    if answer.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return Unavailable(answer.retry_after_s, f"the shop answered {answer.status}")
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):  # our fault, not the order's
        return Unavailable(None, f"the shop answered {answer.status}: does it have our key?")
    if answer.status == HTTPStatus.CONFLICT and word == "short_of_stock":
        return ShortOfStock(_available(answer.body), _code(answer.body) or "SelectedQuantityNotAvailable")
    if answer.status in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY) and word:
        return Refused(_code(answer.body) or word)
    return OutcomeUnknown(f"the shop answered {answer.status}")


async def _body(stream: aiohttp.StreamReader) -> bytes:
    """All of it, or a little more than the limit."""
    found = bytearray()
    while len(found) <= LIMIT_BYTES and (part := await stream.read(LIMIT_BYTES)):
        found += part
    return bytes(found)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content) if len(content) <= LIMIT_BYTES else None
    except (ValueError, RecursionError):
        return None


def _word(body: Any) -> str:
    found = body.get("error") if isinstance(body, dict) else None
    return found[:64] if isinstance(found, str) else ""


def _code(body: Any) -> str:
    found = body.get("code") if isinstance(body, dict) else None
    return found[:64] if isinstance(found, str) else ""


def _available(body: dict[str, Any]) -> int | None:
    found = body.get("available")
    return found if type(found) is int and 0 <= found <= QUANTITY_LIMIT else None


def _retry_after_s(value: str | None) -> float | None:
    return float(value) if value and value.isascii() and value.isdigit() and len(value) < 7 else None


def _snapshot(intent_id: IntentId, body: Any) -> Snapshot:
    """Raises ValueError for what is not this intent's order."""
    try:
        order = Order.model_validate(body)
    except ValidationError:
        raise ValueError("not an order") from None
    if order.intent_id != str(intent_id):
        raise ValueError("another intent's order")
    return Snapshot(
        intent_id,
        State(order.state),
        code=order.code,
        quantity=order.quantity,
        created=_seconds(order.created),
        deliver_by=_seconds(order.deliver_by),
        returned=order.returned,
        time=_seconds(order.time),
        total=order.total,
    )


def _seconds(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _item(item: Item) -> dict[str, Any]:
    money = {"price": item.price, "discount": item.discount, "tax": item.tax}
    return {"sku": item.sku, "title": item.title, "currency": item.currency, **{name: str(value) for name, value in money.items()}}


def _customer(customer: Customer) -> dict[str, Any]:
    address = {name: value for name, value in vars(customer.address).items() if value is not None}
    found = {"id": customer.id, "name": customer.name, "email": customer.email, "address": address, "payment": customer.payment}
    return {name: value for name, value in found.items() if value is not None}


def signer_of(key: str) -> Signer:
    """A PEM private key, Ed25519, or the text of a shared key. Raises ValueError for a PEM of another kind."""
    if not key.startswith("-----BEGIN"):
        return Signer(key)
    found = private_key(key.encode())
    if not isinstance(found, Ed25519PrivateKey):
        raise ValueError("a key that is not Ed25519 cannot sign requests")
    return Signer(found)


@contextlib.asynccontextmanager
async def opened(settings: Settings, secrets: Mapping[str, Any], around: Surroundings) -> AsyncIterator[Webhook]:
    async with aiohttp.ClientSession(connector=tls.connector(Path(settings.ca) if settings.ca else None)) as session:
        yield Webhook(settings, signer_of(secrets["key"]), session)
