"""What can go wrong in a call, and what to do about each of it.

The API tells an error's family (`errorType`: ValidationException) and mostly its reason (`code`: ItemOutOfStock). What is to be done
follows from the code where it is known, else from the family, so that a code of tomorrow is dealt with as its family is.
Every error says beside this whether the request may have been carried out: see `sent`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Handling(Enum):
    """What to do. Each has its sentence, for the log."""

    DONE_BEFORE = "an earlier try did it: ask for the order by its alias, and adopt it"
    AUTH = "renew the token once, then stop: the credentials or their scopes are wrong"
    RETRY = "try again with the same alias, and with backoff"
    TERMINAL = "stop and say why"
    STALE = "take a new preview or a new shopper token, once"
    STOCK = "there is not enough: let the person choose"
    ALREADY = "it is so already: success"


# By code, which is the reason of a Validation error; anything else of that family is TERMINAL. Where a code comes from: the
# best practices for orders, and the reference's pages on troubleshooting orders, previews and returns.
_BY_CODE = {
    "AliasValueAlreadyExists": Handling.DONE_BEFORE,
    "SelectedQuantityNotAvailable": Handling.STOCK,
    "ProductAmountUnavailable": Handling.STOCK,
    "ItemOutOfStock": Handling.STOCK,
    "ProductOutOfStock": Handling.STOCK,
    "AddressMismatch": Handling.STALE,
    "ExpiredIdpToken": Handling.STALE,
    "InvalidIdpToken": Handling.STALE,
    "ExecutionAlreadyStarted": Handling.ALREADY,
    "ExecutionCannotBeStartedDueToCancellation": Handling.TERMINAL,
    "InvalidOrderExecutionState": Handling.TERMINAL,
    "ShopperIdMismatch": Handling.TERMINAL,
    "InvalidAddress": Handling.TERMINAL,
    "InvalidDestination": Handling.TERMINAL,
    "ProductNotPrimeEnabled": Handling.TERMINAL,
    "AliasLimitExceeded": Handling.TERMINAL,
}
_BY_FAMILY = {
    "Conflict": Handling.DONE_BEFORE,
    "AccessDenied": Handling.AUTH,
    "Throttling": Handling.RETRY,
    "InternalServer": Handling.RETRY,
    "ResourceNotFound": Handling.TERMINAL,
    "Validation": Handling.TERMINAL,
}
# An errorCode is like an HTTP status.
_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_REQUEST_TIMEOUT = 408
_TOO_MANY_REQUESTS = 429
_SERVER = 500
_MOST_MESSAGE = 300


@dataclass(frozen=True)
class Fault:
    """One error of an answer. `message` is the API's words, for people: it may quote what was sent, so nothing here logs it."""

    family: str = ""
    code: str | None = None
    error_code: int | None = None
    message: str = field(default="", repr=False)
    path: tuple[str | int, ...] = ()

    @property
    def handling(self) -> Handling:
        """By code; else RETRY for an errorCode of 500 or more; else by family; else by errorCode."""
        if self.code in _BY_CODE:
            return _BY_CODE[self.code]
        if (self.error_code or 0) >= _SERVER:
            return Handling.RETRY
        if self.family in _BY_FAMILY:
            return _BY_FAMILY[self.family]
        if self.error_code:
            return _by_status(self.error_code)
        # Not classified at all. GraphQL gives a path to what happened while executing, and none to what kept it from being executed.
        return Handling.RETRY if self.path else Handling.TERMINAL

    @property
    def sent(self) -> bool:
        """Whether it may have been carried out nevertheless: the API's own failures do not tell. A throttled one was not."""
        if self.family == "Throttling" or self.error_code == _TOO_MANY_REQUESTS:
            return False
        return self.handling in (Handling.RETRY, Handling.DONE_BEFORE)

    def __str__(self) -> str:
        return "/".join(str(part) for part in (self.family or "error", self.code, self.error_code) if part)


def _by_status(status: int) -> Handling:
    if status in (_UNAUTHORIZED, _FORBIDDEN):
        return Handling.AUTH
    if status >= _SERVER or status in (_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS):
        return Handling.RETRY
    return Handling.TERMINAL


def fault(error: Any) -> Fault:
    """A Fault from one element of an answer's `errors`, whatever of it is missing or of another type."""
    error = error if isinstance(error, dict) else {}
    told = _inside(error, "extensions", "classification")
    told = told if isinstance(told, dict) else {"errorType": told} if isinstance(told, str) else {}
    # AppSync's older form has the type and a reason beside the message.
    family = _family(told.get("errorType")) or _family(told.get("type")) or _family(error.get("errorType"))
    code = _text(told.get("code")) or _text(error.get("errorInfo"))
    path = error.get("path")
    return Fault(
        family=family,
        # A Validation error without a reason of its own has the family's name in the reason's place.
        code=None if code is None or _family(code) in _BY_FAMILY else code,
        error_code=_number(told.get("errorCode")),
        message=(_text(error.get("message")) or "")[:_MOST_MESSAGE],
        path=tuple(step for step in path if isinstance(step, (str, int))) if isinstance(path, list) else (),
    )


def _inside(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str | None:
    """A word or a sentence without what a log or a terminal would stumble over."""
    return re.sub(r"[^\x20-\x7e]", "?", value) if isinstance(value, str) and value else None


def _family(name: Any) -> str:
    """ValidationException, ValidationError and Validation are one family."""
    return re.sub("(Exception|Error)$", "", _text(name) or "")


def _number(value: Any) -> int | None:
    """An errorCode, which is an integer or a string with one."""
    digits = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    return int(digits) if re.fullmatch("[0-9]{1,4}", digits) else None


class BuyWithPrimeError(Exception):
    """A call that has no result.

    `handling` says what to do. `sent` is True where a change may have been carried out, and False where it surely was not: an
    order may be given up, or sent elsewhere, in the second case only. `retry_after_s`: how long the other side asked to wait.
    """

    def __init__(self, operation: str, what: str, handling: Handling, sent: bool, retry_after_s: float | None = None) -> None:
        super().__init__(f"{operation}: {what}")
        self.operation = operation
        self.handling = handling
        self.sent = sent
        self.retry_after_s = retry_after_s


class APIError(BuyWithPrimeError):
    """The API refused, in its own words; `faults` are all of them, `fault` the one that decides."""

    def __init__(self, operation: str, faults: Iterable[Fault], sent: bool = False) -> None:
        self.faults = tuple(faults)
        self.fault = min(self.faults, key=lambda each: _RANK[each.handling])
        super().__init__(operation, str(self.fault), self.fault.handling, sent or any(each.sent for each in self.faults))

    @property
    def code(self) -> str | None:
        """The reason, such as ItemOutOfStock; None where only the family is known."""
        return self.fault.code

    @property
    def family(self) -> str:
        """Such as Validation."""
        return self.fault.family


# Of several errors at once the first here decides: that it is done outweighs all else, and success needs all to say so.
_RANK = {handling: rank for rank, handling in enumerate(Handling)}


class HTTPError(BuyWithPrimeError):
    """An HTTP status in place of an answer: the request did not get as far as GraphQL, or what did got lost behind a 5xx, a redirect
    or a 2xx of somebody else's."""

    def __init__(self, operation: str, status: int, retry_after_s: float | None = None) -> None:
        sent = not _BAD_REQUEST <= status < _SERVER or status == _REQUEST_TIMEOUT
        super().__init__(operation, f"HTTP status {status}", _by_status(status), sent, retry_after_s)
        self.status = status


class TokenError(BuyWithPrimeError):
    """There is no token, so nothing was asked of the API."""

    def __init__(self, operation: str, what: str, handling: Handling, retry_after_s: float | None = None) -> None:
        super().__init__(operation, what, handling, sent=False, retry_after_s=retry_after_s)


class UnexpectedAnswer(BuyWithPrimeError):
    """An answer that is none: not JSON, or without what was asked for. Whether it was carried out is not known."""

    def __init__(self, operation: str, what: str) -> None:
        super().__init__(operation, what, Handling.RETRY, sent=True)


class TransportError(BuyWithPrimeError):
    """No answer. `sent` is False where not a byte of the request left this machine."""

    def __init__(self, operation: str, what: str, sent: bool) -> None:
        super().__init__(operation, what, Handling.RETRY, sent)
