"""The schema of the API: whole, and its numbers exact."""

from __future__ import annotations

from decimal import Decimal

import pytest
from graphql import GraphQLError, GraphQLScalarType, parse, validate, validate_schema

from tools.cloud.buywithprime import schema

LOADED = schema.load()
DECIMAL = LOADED.type_map["Decimal"]


def test_it_is_a_schema() -> None:
    assert validate_schema(LOADED) == []
    assert {"deliveryPreview", "order", "shopperBwPEligibility"} == LOADED.query_type.fields.keys()  # type: ignore[union-attr]


@pytest.mark.parametrize("given, number", [(1, 1), (2.99, Decimal("2.99")), ("10.00", Decimal("10.00")), (-0.1, Decimal("-0.1"))])
def test_a_number_is_read_with_its_digits(given: object, number: object) -> None:
    assert isinstance(DECIMAL, GraphQLScalarType)
    assert DECIMAL.coerce_input_value(given) == number


@pytest.mark.parametrize("given", ["abc", "", True, None, float("nan"), "Infinity", []])
def test_what_is_no_number_is_refused(given: object) -> None:
    assert isinstance(DECIMAL, GraphQLScalarType)
    with pytest.raises(GraphQLError, match="allowed: a finite number"):
        DECIMAL.coerce_input_value(given)


def test_a_number_is_written_as_JSON_has_it() -> None:
    assert isinstance(DECIMAL, GraphQLScalarType)
    assert [repr(DECIMAL.coerce_output_value(n)) for n in (Decimal("1.0"), Decimal("19.99"), 3)] == ["1", "19.99", "3"]


def test_one_order_is_named_in_one_way() -> None:
    both = parse('{ order(orderIdentifier: {orderId: "1", alias: {aliasId: "2", aliasType: "T"}}) { id } }')
    assert "exactly one" in validate(LOADED, both)[0].message.lower()
