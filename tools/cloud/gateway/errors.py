"""What a call is answered when it has no snapshot. The words are the contract with the devices."""

import math
from http import HTTPStatus

from tools.cloud.gateway.adapters import AdapterError, OutcomeUnknown, Refused, Unavailable

RETRY_AFTER_S = 30


class APIError(Exception):
    """Status, word and a text for a person; `fields` go into the body beside them."""

    def __init__(self, status: HTTPStatus, word: str, message: str, retry_after_s: float | None = None, **fields: str | int) -> None:
        super().__init__(message)
        self.status = status
        self.word = word
        self.retry_after_s = retry_after_s
        self.fields = fields

    def body(self) -> dict[str, str | int]:
        return {"error": self.word, "message": str(self), **self.fields}

    def headers(self) -> dict[str, str]:
        return {} if self.retry_after_s is None else {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}


def bad_request(message: str) -> APIError:
    return APIError(HTTPStatus.BAD_REQUEST, "bad_request", message)


def unauthorized(message: str) -> APIError:
    return APIError(HTTPStatus.UNAUTHORIZED, "unauthorized", message)


def not_subscribed(slot: str) -> APIError:
    return APIError(HTTPStatus.FORBIDDEN, "not_subscribed", f"the slot {slot} is unsubscribed")


def over_cap(cap: str) -> APIError:
    return APIError(HTTPStatus.FORBIDDEN, "over_cap", f"the cap {cap} of 30 days would be exceeded", cap=cap)


def unknown_intent() -> APIError:
    return APIError(HTTPStatus.NOT_FOUND, "unknown_intent", "nothing exists under this intent_id")


def unknown_slot() -> APIError:
    return APIError(HTTPStatus.NOT_FOUND, "unknown_slot", "the device has no such slot")


def in_progress(intent_id: str, state: str) -> APIError:
    return APIError(HTTPStatus.CONFLICT, "in_progress", "another order of this slot is open", intent_id=intent_id, state=state)


def counter(latest: int) -> APIError:
    return APIError(HTTPStatus.CONFLICT, "counter", "the counter is too far above the latest that exists", latest=latest)


def not_possible(message: str) -> APIError:
    return APIError(HTTPStatus.CONFLICT, "not_possible", message)


def too_large(limit: int) -> APIError:
    return APIError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"the body is over {limit} bytes")


def too_many(retry_after_s: float) -> APIError:
    return APIError(HTTPStatus.TOO_MANY_REQUESTS, "too_many", "too many calls of this device", retry_after_s)


def unavailable(message: str, retry_after_s: float | None = None) -> APIError:
    return APIError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", message, RETRY_AFTER_S if retry_after_s is None else retry_after_s)


def outcome_unknown() -> APIError:
    return APIError(HTTPStatus.BAD_GATEWAY, "outcome_unknown", "what became of it is not known: repeat the same intent", RETRY_AFTER_S)


def of_adapter(error: AdapterError) -> APIError:
    """What an adapter could not do."""
    match error:
        case Unavailable():
            return unavailable(str(error), error.retry_after_s)
        case OutcomeUnknown():
            return outcome_unknown()
        case Refused():
            return not_possible(f"the shop refused it: {error.code}")
    return not_possible(str(error))
