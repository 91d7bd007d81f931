"""How the store refuses: families and codes, and the forms in which they were seen on the wire."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from graphql import GraphQLError


class Family(StrEnum):
    """What kind of refusal it is; only Validation says more in a code."""

    ACCESS_DENIED = "AccessDenied"
    CONFLICT = "Conflict"
    INTERNAL = "InternalServer"
    NOT_FOUND = "ResourceNotFound"
    THROTTLING = "Throttling"
    VALIDATION = "Validation"


# `errorCode` in the classification: like an HTTP status, though the answer's own is 200.
_ERROR_CODES = {
    Family.ACCESS_DENIED: 403,
    Family.CONFLICT: 409,
    Family.INTERNAL: 500,
    Family.NOT_FOUND: 404,
    Family.THROTTLING: 429,
    Family.VALIDATION: 400,
}


class StoreError(Exception):
    """A refusal of the API; the message says why, for people."""

    def __init__(self, family: Family, message: str, code: str | None = None, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.family = family
        self.code = code
        self.details = details

    @property
    def word(self) -> str:
        """The one word that says most: the code, or without one the family."""
        return self.code or str(self.family)


def invalid(message: str, code: str | None = None, **details: object) -> StoreError:
    """A Validation error."""
    return StoreError(Family.VALIDATION, message, code, details or None)


def unknown(what: str, value: object) -> StoreError:
    """Nothing of that name is there."""
    return StoreError(Family.NOT_FOUND, f"{what} {value!r} does not exist")


def as_json(error: GraphQLError, form: str, names: str) -> dict[str, Any]:
    """One entry of `errors`; `form` and `names` are the settings bwp_error_form and bwp_error_names."""
    entry: dict[str, Any] = dict(error.formatted)
    entry.pop("extensions", None)
    cause = error.original_error
    if error.path is None and not isinstance(cause, StoreError):
        # The document or its variables are wrong: graphql-core says how.
        cause = invalid(error.message)
    if not isinstance(cause, StoreError):
        raise error
    type_ = cause.family + {"exception": "Exception", "error": "Error"}[names]
    if form == "bare":
        return entry
    if form == "appsync":
        return {**entry, "errorType": type_, "errorInfo": {"code": cause.code} if cause.code else None}
    number = _ERROR_CODES[cause.family]
    classification: dict[str, object] = {"errorType": type_, "errorCode": str(number) if form == "text_code" else number}
    if cause.code is not None:
        classification["code"] = cause.code
    if cause.details is not None:
        classification["details"] = cause.details
    return {**entry, "extensions": {"classification": classification}}
