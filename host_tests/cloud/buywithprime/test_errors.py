"""Which error is what: its family, its reason, what to do about it, and whether the request may have been carried out."""

from __future__ import annotations

from typing import Any

import pytest

from tools.cloud.buywithprime.errors import APIError, Fault, Handling, HTTPError, fault

DONE, STOCK, STALE, ALREADY = Handling.DONE_BEFORE, Handling.STOCK, Handling.STALE, Handling.ALREADY
TERMINAL, AUTH, RETRY = Handling.TERMINAL, Handling.AUTH, Handling.RETRY


def classified(**told: Any) -> dict[str, Any]:
    return {"message": "m", "path": ["createOrder"], "extensions": {"classification": told}}


# Each row: family, code, errorCode; how it is handled, and whether it may have been carried out.
TABLE = [
    ("ValidationException", "AliasValueAlreadyExists", 400, DONE, True),
    ("ConflictException", None, 409, DONE, True),
    ("ValidationException", "SelectedQuantityNotAvailable", 400, STOCK, False),
    ("ValidationException", "ProductAmountUnavailable", 400, STOCK, False),
    ("ValidationException", "ItemOutOfStock", 400, STOCK, False),
    ("ValidationException", "ProductOutOfStock", 400, STOCK, False),
    ("ValidationException", "AddressMismatch", 400, STALE, False),
    ("ValidationException", "ExpiredIdpToken", 400, STALE, False),
    ("ValidationException", "InvalidIdpToken", 400, STALE, False),
    ("ValidationException", "ExecutionAlreadyStarted", 400, ALREADY, False),
    ("ValidationException", "ExecutionCannotBeStartedDueToCancellation", 400, TERMINAL, False),
    ("ValidationException", "InvalidOrderExecutionState", 400, TERMINAL, False),
    ("ValidationException", "ShopperIdMismatch", 400, TERMINAL, False),
    ("ValidationException", "InvalidAddress", 400, TERMINAL, False),
    ("ValidationException", "InvalidDestination", 400, TERMINAL, False),
    ("ValidationException", "ProductNotPrimeEnabled", 400, TERMINAL, False),
    ("ValidationException", "AliasLimitExceeded", 400, TERMINAL, False),
    ("ValidationException", "CodeOfTomorrow", 400, TERMINAL, False),
    ("ValidationException", None, 400, TERMINAL, False),
    ("ResourceNotFoundException", None, 404, TERMINAL, False),
    ("AccessDeniedException", None, 403, AUTH, False),
    ("ThrottlingException", None, 429, RETRY, False),
    ("ThrottlingException", None, 503, RETRY, False),
    ("InternalServerException", None, 500, RETRY, True),
    ("InternalServerException", None, None, RETRY, True),
    ("FamilyOfTomorrowException", None, 503, RETRY, True),
    ("FamilyOfTomorrowException", "CodeOfTomorrow", 429, RETRY, False),
    ("FamilyOfTomorrowException", None, 401, AUTH, False),
    ("FamilyOfTomorrowException", None, 422, TERMINAL, False),
    ("ValidationException", "CodeOfTomorrow", 500, RETRY, True),
    # The code is the reason, whatever the family is called.
    ("InternalServerException", "ItemOutOfStock", 500, STOCK, False),
]


@pytest.mark.parametrize("family, code, error_code, handling, sent", TABLE)
@pytest.mark.parametrize("spell", [lambda name: name, lambda name: name.replace("Exception", "Error"), lambda name: name[:-9]])
def test_every_error_has_its_handling(family: str, code: str, error_code: Any, handling: Handling, sent: bool, spell: Any) -> None:
    read = fault(classified(errorType=spell(family), code=code, errorCode=error_code))
    assert (read.family, read.code, read.error_code) == (family[:-9], code, error_code)
    assert (read.handling, read.sent) == (handling, sent)


@pytest.mark.parametrize("given, read", [(400, 400), ("400", 400), ("4xx", None), (True, None), (4.5, None), (None, None), ([], None)])
def test_an_errorCode_is_an_integer_or_a_string_with_one(given: object, read: int | None) -> None:
    assert fault(classified(errorType="ValidationException", errorCode=given)).error_code == read


@pytest.mark.parametrize(
    "error, family, code",
    [
        # As the reference has it in full: type and errorType, and the family where a reason would stand.
        (classified(type="ValidationError", code="ValidationError", details={}, errorType="ValidationException"), "Validation", None),
        (classified(type="ConflictError"), "Conflict", None),
        # graphql-java's own, before anything is executed.
        ({"message": "m", "extensions": {"classification": "ValidationError"}}, "Validation", None),
        # AppSync's.
        ({"message": "m", "errorType": "ValidationException", "errorInfo": "ItemOutOfStock"}, "Validation", "ItemOutOfStock"),
        ({"message": "m", "extensions": None}, "", None),
        ({"message": "m", "extensions": {"classification": None}}, "", None),
        ({"message": "m", "extensions": []}, "", None),
        ({}, "", None),
        (None, "", None),
        ("no object", "", None),
        ([], "", None),
    ],
)
def test_an_error_is_read_in_every_form(error: Any, family: str, code: str | None) -> None:
    read = fault(error)
    assert (read.family, read.code) == (family, code)


@pytest.mark.parametrize("path, handling, sent", [(["createOrder"], RETRY, True), (None, TERMINAL, False), ("order", TERMINAL, False)])
def test_what_is_not_classified_may_have_been_carried_out_if_it_was_executed(path: Any, handling: Handling, sent: bool) -> None:
    read = fault({"message": "m", "path": path})
    assert (read.handling, read.sent) == (handling, sent)


def of(*faults: tuple[str, str | None]) -> APIError:
    return APIError("createOrder", [Fault(family=family, code=code) for family, code in faults])


def test_of_several_errors_the_weightiest_decides() -> None:
    stock, done = ("Validation", "ItemOutOfStock"), ("Validation", "AliasValueAlreadyExists")
    already = ("Validation", "ExecutionAlreadyStarted")
    assert of(stock, done).handling is DONE
    assert of(already).handling is ALREADY
    assert of(already, stock).handling is STOCK
    assert of(stock, ("InternalServer", None)).handling is RETRY
    assert of(stock, ("InternalServer", None)).sent
    assert not of(already, stock).sent


def test_an_error_tells_what_it_is_and_not_what_was_sent() -> None:
    told = classified(errorType="ValidationException", code="Bad\nCode") | {"message": "410 Terry Ave N"}
    error = APIError("createOrder", [fault(told)])
    assert str(error) == "createOrder: Validation/Bad?Code"
    assert "Terry" not in repr(error.fault)
    assert error.fault.message == "410 Terry Ave N"
    assert (error.family, error.code) == ("Validation", "Bad?Code")


@pytest.mark.parametrize(
    "status, handling, sent",
    [
        (202, TERMINAL, True),
        (301, TERMINAL, True),
        (400, TERMINAL, False),
        (401, AUTH, False),
        (403, AUTH, False),
        (404, TERMINAL, False),
        (408, RETRY, True),
        (413, TERMINAL, False),
        (429, RETRY, False),
        (500, RETRY, True),
        (502, RETRY, True),
        (503, RETRY, True),
        (504, RETRY, True),
    ],
)
def test_every_HTTP_status_has_its_handling(status: int, handling: Handling, sent: bool) -> None:
    error = HTTPError("order", status)
    assert (error.handling, error.sent, error.status) == (handling, sent, status)
    assert str(error) == f"order: HTTP status {status}"
