"""A call as data: what is asked, the HTTP request that asks it, and what an HTTP answer to it means. Nothing here does I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode, urlsplit

from tools.cloud.buywithprime import documents, errors
from tools.cloud.buywithprime.models import (
    CancelOrderInput,
    CreateEventSubscriptionInput,
    CreateOrderInput,
    DeliveryPreviewInput,
    OrderIdentifierInput,
    UpdateOrderInput,
)

URL = "https://api.buywithprime.amazon.com/graphql"
TOKEN_URL = "https://api.buywithprime.amazon.com/token"
API_VERSION = "2024-11-01"
# The reference's name for it; Amazon's accelerators say X-Omni-TargetId.
TARGET_HEADER = "x-api-target-id"
# What a token lives if the answer does not say (Buy with Prime, "Authenticate to the API"), and before its end it is renewed.
TOKEN_LIFE_S = 900.0
_RENEW_BEFORE_S = 10.0
_OK = 200
_LONGEST_RETRY_AFTER_S = 86_400


@dataclass(frozen=True)
class Settings:
    """Whose store, where and with what patience. The three secrets are in no repr.

    `target_id` is the business product id; `target_headers` are the names under which it is sent. `access_key`, where the store
    has one, is sent as x-api-access-key. `timeout_s` is for one request, from connecting to the last byte. A call is tried `tries`
    times at most and begins no try later than `patience_s` after its first; between tries it waits a random part of 0 to
    `first_wait_s`, doubled each time up to `longest_wait_s`. Answers above `most_body_bytes` are not read.
    """

    client_id: str
    client_secret: str = field(repr=False)
    target_id: str
    url: str = URL
    token_url: str = TOKEN_URL
    api_version: str = API_VERSION
    target_headers: tuple[str, ...] = (TARGET_HEADER,)
    access_key: str | None = field(default=None, repr=False)
    timeout_s: float = 10.0
    tries: int = 4
    patience_s: float = 30.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 8.0
    most_body_bytes: int = 1_048_576

    def __post_init__(self) -> None:
        """Raises ValueError, which names the setting and quotes no secret."""
        for name in ("url", "token_url"):
            parts = urlsplit(getattr(self, name))
            if parts.scheme != "https" or not parts.hostname:
                raise ValueError(f"{name}: {getattr(self, name)!r}: allowed: https://HOST[:PORT]/PATH")
        for name in ("client_id", "client_secret", "target_id", "api_version"):
            _judge_header(name, getattr(self, name))
        if self.access_key is not None:
            _judge_header("access_key", self.access_key)
        if not self.target_headers or not all(name.replace("-", "").isalnum() and name.isascii() for name in self.target_headers):
            raise ValueError(f"target_headers: {self.target_headers!r}: allowed: names of headers, at least one")
        for name in ("timeout_s", "tries", "patience_s", "first_wait_s", "longest_wait_s", "most_body_bytes"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: {getattr(self, name)!r}: allowed: more than 0")


def _judge_header(name: str, value: str) -> None:
    if not value or not all("!" <= letter <= "~" for letter in value):
        raise ValueError(f"{name}: {'empty' if not value else 'has other characters'}: allowed: visible ASCII without blanks")


@dataclass(frozen=True)
class Request:
    """A POST; headers and body carry secrets, and the customer's address."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes = field(repr=False)
    retry_after: str | None = None


@dataclass(frozen=True)
class Operation:
    """What is asked. `repeatable`: asking again does no harm when the first time may have been carried out."""

    name: str
    document: str
    variables: Mapping[str, Any] = field(repr=False)
    repeatable: bool = True

    @property
    def changes(self) -> bool:
        return self.document.startswith("mutation")


def order(identifier: OrderIdentifierInput) -> Operation:
    """One order, whole."""
    return Operation("order", documents.ORDER, {"orderIdentifier": identifier.variables()})


def delivery_preview(wanted: DeliveryPreviewInput) -> Operation:
    """Offers to deliver products."""
    return Operation("deliveryPreview", documents.DELIVERY_PREVIEW, {"input": wanted.variables()})


def create_order(new: CreateOrderInput) -> Operation:
    """A new order; its alias makes it repeatable: the store refuses a second one."""
    return Operation("createOrder", documents.CREATE_ORDER, {"input": new.variables()})


def update_order(identifier: OrderIdentifierInput, change: UpdateOrderInput) -> Operation:
    """A change to an order. A line that is added without an alias would be added a second time by a second try, and so may be any
    return that is added: that the API refuses a return's alias that is taken is nowhere said."""
    new_return = any(each.return_identifier is None for each in (change.returns.details if change.returns else ()))
    lines = [line.aliases for line in change.line_items or () if line.id is None]
    variables = {"orderIdentifier": identifier.variables(), "input": change.variables()}
    return Operation("updateOrder", documents.UPDATE_ORDER, variables, repeatable=all(lines) and not new_return)


def cancel_order(identifier: OrderIdentifierInput, why: CancelOrderInput) -> Operation:
    """The wish to cancel an order."""
    variables = {"orderIdentifier": identifier.variables(), "input": why.variables()}
    return Operation("cancelOrder", documents.CANCEL_ORDER, variables)


def create_event_subscription(wanted: CreateEventSubscriptionInput) -> Operation:
    """Events of a type, from now on."""
    return Operation("createEventSubscription", documents.CREATE_EVENT_SUBSCRIPTION, {"input": wanted.variables()})


def request(operation: Operation, settings: Settings, token: str) -> Request:
    """The HTTP request that asks for it."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "x-api-version": settings.api_version,
        **dict.fromkeys(settings.target_headers, settings.target_id),
    }
    if settings.access_key is not None:
        headers["x-api-access-key"] = settings.access_key
    body = json.dumps({"query": operation.document, "variables": operation.variables}, separators=(",", ":"))
    return Request(settings.url, headers, body.encode())


def result(operation: Operation, answer: Answer) -> dict[str, Any] | None:
    """What stands under the operation's name in the answer, None where that is null without an error.

    Raises HTTPError, APIError and UnexpectedAnswer. Of a mutation that was carried out and could only not be read back in full the
    part that came is the result; of a query an incomplete answer is an error, because a list that is missing would look empty.
    """
    if answer.status != _OK:
        raise errors.HTTPError(operation.name, answer.status, _seconds(answer.retry_after))
    told = _json(operation.name, answer.body)
    faults = [errors.fault(each) for each in told.get("errors") or ()]
    data = told.get("data")
    found = data.get(operation.name) if isinstance(data, dict) else None
    if faults and not (operation.changes and _has_id(found)):
        # Below its own field a mutation fails only after it was carried out.
        deeper = operation.changes and any(len(each.path) > 1 for each in faults)
        raise errors.APIError(operation.name, faults, sent=deeper)
    if not faults and not isinstance(data, dict):
        raise errors.UnexpectedAnswer(operation.name, "neither data nor errors")
    if found is not None and not isinstance(found, dict):
        raise errors.UnexpectedAnswer(operation.name, "data is no object")
    return found


def _has_id(found: Any) -> bool:
    """Whether what was made or changed told its id."""
    return isinstance(found, dict) and any(isinstance(each, dict) and each.get("id") for each in found.values())


def _json(operation: str, body: bytes) -> dict[str, Any]:
    """The object in a body, its numbers with their digits. Raises UnexpectedAnswer."""
    try:
        told = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("errors") or [], list):
        raise errors.UnexpectedAnswer(operation, f"{len(body)} bytes that are no GraphQL answer")
    return told


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds; its other form, a date, is passed over: it needs both clocks to agree."""
    digits = (retry_after or "").strip()
    return float(min(int(digits), _LONGEST_RETRY_AFTER_S)) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None


@dataclass(frozen=True)
class Token:
    """An access token and how long it is to be used, in seconds from when it was asked for."""

    value: str = field(repr=False)
    use_s: float


def token_request(settings: Settings) -> Request:
    """The HTTP request for an access token (OAuth 2.0, client credentials; no scope is sent: the credentials have theirs)."""
    form = {"grant_type": "client_credentials", "client_id": settings.client_id, "client_secret": settings.client_secret}
    return Request(settings.token_url, {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form).encode())


def token(answer: Answer) -> Token:
    """The token in an answer. Raises TokenError."""
    if answer.status != _OK:
        error = errors.HTTPError("token", answer.status, _seconds(answer.retry_after))
        # 400 is how OAuth answers to a client that it does not know (RFC 6749, 5.2).
        handling = errors.Handling.AUTH if error.handling is errors.Handling.TERMINAL else error.handling
        raise errors.TokenError("token", f"HTTP status {answer.status}", handling, error.retry_after_s)
    try:
        told = _json("token", answer.body)
    except errors.UnexpectedAnswer as error:
        raise errors.TokenError("token", "an answer that is no JSON object", error.handling) from None
    value = told.get("access_token")
    if not isinstance(value, str) or not value or not all("!" <= letter <= "~" for letter in value):
        raise errors.TokenError("token", "an answer without an access_token", errors.Handling.RETRY)
    life_s = _life_s(told.get("expires_in"))
    return Token(value, max(life_s - _RENEW_BEFORE_S, life_s / 2))


def _life_s(expires_in: Any) -> float:
    """Seconds from a number or a string with one; what is neither is the usual life."""
    try:
        life_s = float(expires_in)
    except (TypeError, ValueError, OverflowError):
        return TOKEN_LIFE_S
    return life_s if 0 < life_s <= _LONGEST_RETRY_AFTER_S else TOKEN_LIFE_S
