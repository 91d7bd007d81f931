"""Every document is one that the API can execute, and every value goes as a variable of the right type."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    Node,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    ValueNode,
    VariableNode,
    parse,
    validate,
    visit,
)
from graphql.execution.values import get_variable_values
from graphql.language import Visitor

from host_tests.cloud.buywithprime.samples import OPERATIONS
from tools.cloud.buywithprime import documents, operations, schema
from tools.cloud.buywithprime.operations import Operation

SCHEMA = schema.load()


def constants() -> Iterator[tuple[str, str]]:
    """All documents by name: found, not listed, so that a new one is not forgotten."""
    for name, value in vars(documents).items():
        if isinstance(value, str) and not name.startswith("_"):
            yield name, value


def judge(document: str, variables: object) -> list[GraphQLError]:
    """What GraphQL has against a document with these variables."""
    parsed = parse(document)
    faults = list(validate(SCHEMA, parsed))
    defined = parsed.definitions[0]
    assert isinstance(defined, OperationDefinitionNode)
    coerced = get_variable_values(SCHEMA, defined.variable_definitions or (), variables)  # type: ignore[arg-type]
    return faults + (coerced if isinstance(coerced, list) else [])


class Literals(Visitor):
    """Collects values that stand in a document itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def enter(self, node: object, *_: object) -> None:
        if isinstance(node, ValueNode) and not isinstance(node, VariableNode):
            self.found.append(str(node))


def literals(document: DocumentNode) -> list[str]:
    seen = Literals()
    visit(document, seen)
    return seen.found


class Inferred(TypeInfoVisitor):
    """Collects the fields that a document selects although the schema only infers them."""

    def __init__(self) -> None:
        self._info = TypeInfo(SCHEMA)
        self.found: list[str] = []
        super().__init__(self._info, Visitor())

    def enter(self, node: Node, *rest: object) -> object:
        told = super().enter(node, *rest)
        field = self._info.get_field_def()
        if isinstance(node, FieldNode) and field is not None and (field.description or "").startswith("Inferred"):
            self.found.append(node.name.value)
        return told


def inferred(document: str) -> list[str]:
    seen = Inferred()
    visit(parse(document), seen)
    return seen.found


def test_there_are_documents() -> None:
    assert {"ORDER", "DELIVERY_PREVIEW", "CREATE_ORDER", "UPDATE_ORDER", "CANCEL_ORDER"} <= {name for name, _ in constants()}


@pytest.mark.parametrize("name, document", list(constants()))
def test_a_document_is_valid_and_has_no_values_in_it(name: str, document: str) -> None:
    parsed = parse(document)
    assert validate(SCHEMA, parsed) == []
    assert literals(parsed) == []
    assert len(parsed.definitions) == 1


@pytest.mark.parametrize("name, document", list(constants()))
def test_no_document_rests_on_a_field_that_is_inferred(name: str, document: str) -> None:
    assert inferred(document) == []


def test_an_inferred_field_would_be_seen() -> None:
    assert inferred('{ order(orderIdentifier: {orderId: "1"}) { id cancellations { details { state } } } }') == ["cancellations"]


def test_a_value_in_a_document_would_be_seen() -> None:
    assert literals(parse('{ order(orderIdentifier: {orderId: "1"}) { id } }'))


def test_what_GraphQL_refuses_is_seen() -> None:
    assert judge(documents.ORDER, {"orderIdentifier": {"orderId": "1", "alias": {"aliasId": "1", "aliasType": "T"}}})
    assert judge(documents.ORDER, {"orderIdentifier": {"id": "1"}})
    assert judge("query order { nothing }", {})


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_the_variables_are_of_the_types_that_the_document_says(operation: Operation) -> None:
    assert judge(operation.document, operation.variables) == []


def test_every_operation_and_every_document_is_among_those() -> None:
    """Functions of operations.py that return an Operation, by their source: each has a sample here."""
    tree = ast.parse(inspect.getsource(operations))
    made = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and ast.unparse(node.returns or node) == "Operation"}
    camel = {"".join(part.title() if i else part for i, part in enumerate(name.split("_"))) for name in made}
    assert camel == {operation.name for operation in OPERATIONS}
    assert {document for _, document in constants()} == {operation.document for operation in OPERATIONS}


def test_the_name_of_an_operation_is_its_field() -> None:
    for operation in OPERATIONS:
        defined = parse(operation.document).definitions[0]
        assert isinstance(defined, OperationDefinitionNode)
        assert [field.name.value for field in defined.selection_set.selections] == [operation.name]  # type: ignore[attr-defined]
        assert operation.changes == (defined.operation.value == "mutation")
