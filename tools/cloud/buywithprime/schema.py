"""The API's schema as graphql-core knows it: for tests and for the simulator, which executes it; the client needs neither."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, cast

from graphql import GraphQLError, GraphQLScalarType, GraphQLSchema, build_schema

SOURCE = Path(__file__).with_name("schema.graphql")


def load() -> GraphQLSchema:
    """The schema in `schema.graphql`, its Decimal with digits that are neither lost nor invented."""
    schema = build_schema(SOURCE.read_text())
    scalar = cast(GraphQLScalarType, schema.type_map["Decimal"])
    scalar.coerce_output_value = _written
    scalar.coerce_input_value = _read
    return schema


def _read(value: Any) -> Decimal:
    """A JSON number, or a string with one, as a Decimal. Raises GraphQLError."""
    if isinstance(value, (int, float, str, Decimal)) and not isinstance(value, bool):
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = Decimal("NaN")
        if number.is_finite():
            return number
    raise GraphQLError(f"Decimal cannot represent {value!r}: allowed: a finite number, or a string with one")


def _written(value: Any) -> int | float:
    """The number as JSON has it: 1 rather than 1.0; exact for up to 15 digits."""
    number = _read(value)
    return int(number) if number == number.to_integral_value() else float(number)
