"""The store over HTTP, without a socket: its token endpoint, and its GraphQL, which graphql-core executes on the client's schema."""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    execute,
    parse,
    validate,
)

from tools.cloud.buywithprime.schema import load
from tools.simulator.buywithprime import view
from tools.simulator.buywithprime.bus import EventBus
from tools.simulator.buywithprime.errors import Family, StoreError, as_json
from tools.simulator.buywithprime.operations import OPERATIONS
from tools.simulator.buywithprime.store import Store
from tools.simulator.buywithprime.token import ACCESS_KEY, TOKEN_PATH, Credential, Tokens
from tools.simulator.settings import Settings
from tools.simulator.wire import Request, Response

GRAPHQL_PATH = "/graphql"
VERSION = "2024-11-01"
_TARGET_HEADERS = ("x-api-target-id", "x-omni-targetid")
_KEPT_DOCUMENTS = 256
_ALIASES = "aliases { aliasId aliasType }"
_PART = "amount { value } lineItem { id }"
# What the control interface shows of an order.
_WHOLE = f"""{{ order(orderIdentifier: {{orderId: ""}}) {{ id {_ALIASES} metadata {{ executionState createdAt updatedAt }}
  lineItems {{ id {_ALIASES} amount {{ value }} product {{ title sku {{ value }} }} }}
  packageInformation {{ summary {{ state }} details {{ id state reason
    packageInformationDetailsFor {{ orderLineItems {{ {_PART} }} }} }} }}
  cancellations {{ details {{ state reason requestedBy }} }}
  refunds {{ details {{ id state refundRequestReason refundTotal {{ totalAmount {{ amount }} }} }} }}
  returns {{ details {{ id state {_ALIASES} returnPackageDetails {{ id state reason }}
    returnLineItems {{ id returnFor {{ orderLineItemAmounts {{ {_PART} }} }} }} }} }} }} }}"""

Resolver = Callable[..., Any]


@lru_cache(maxsize=1)
def schema() -> GraphQLSchema:
    """The schema, read once when the first document comes."""
    return load()


@lru_cache(maxsize=_KEPT_DOCUMENTS)
def _document(text: str) -> tuple[DocumentNode | None, tuple[GraphQLError, ...]]:
    """A document's meaning and what is wrong with it. Clients send the same few for ever."""
    try:
        document = parse(text)
    except GraphQLError as error:
        return None, (error,)
    return document, tuple(validate(schema(), document))


def endpoint(request: Request) -> str | None:
    """The name of what is asked for, as faults call it; None if it is none of the store's addresses."""
    return {TOKEN_PATH: "bwp_token", GRAPHQL_PATH: "bwp_graphql"}.get(request.path)


def operation(request: Request) -> str | None:
    """The first field that a GraphQL request asks for, such as createOrder; None for what cannot be read."""
    try:
        text = json.loads(request.body)["query"]
        document = _document(text)[0] if isinstance(text, str) else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    for definition in document.definitions if document else ():
        if isinstance(definition, OperationDefinitionNode):
            field = definition.selection_set.selections[0]
            return field.name.value if isinstance(field, FieldNode) else None
    return None


class StoreService:
    """Answers what clients of the store ask."""

    def __init__(self, store: Store, bus: EventBus, tokens: Tokens, settings: Settings) -> None:
        self._store = store
        self._tokens = tokens
        self._settings = settings
        resolvers: dict[str, Resolver] = {
            "deliveryPreview": self._delivery_preview,
            "order": self._order,
            "shopperBwPEligibility": self._eligibility,
            "createOrder": self._create_order,
            "updateOrder": self._update_order,
            "cancelOrder": self._cancel_order,
            "createEventSubscription": lambda input: {"subscriptionId": bus.subscribe(input)},
            "deleteEventSubscription": lambda subscriptionId: {"subscriptionId": bus.unsubscribe(subscriptionId)},
        }
        self._root = {name: partial(_resolve, name, resolver) for name, resolver in resolvers.items()}

    def handle(self, request: Request) -> Response:
        """Answer a request for which `endpoint` has a name."""
        if request.path == TOKEN_PATH:
            return self._tokens.handle(request)
        credential = self._tokens.bearer(request.bearer)
        if credential is None:
            return _message(401, "Unauthorized")
        return self._refused(request) or self._execute(request, credential)

    def refusal(self, family: str, code: str | None, operation: str | None) -> Response:
        """An answer that refuses, in the form that the settings say, without a reason of its own."""
        error = StoreError(Family(family), "refused because a fault has it so", code)
        data, path = ({operation: None}, [operation]) if operation else (None, None)
        return self._answer(data, [GraphQLError(str(error), path=path, original_error=error)])

    def _refused(self, request: Request) -> Response | None:
        """What is wrong before anything is executed."""
        if request.method != "POST":
            return _message(405, f"{request.method} is not allowed here")
        if (request.header("content-type") or "").partition(";")[0].strip().lower() != "application/json":
            return _message(415, "the content type must be application/json")
        if request.header("x-api-version") != VERSION:
            return _message(400, f"header x-api-version must be {VERSION}, not {request.header('x-api-version')}")
        if self._settings.bwp_access_key and request.header("x-api-access-key") != ACCESS_KEY:
            return _message(403, "header x-api-access-key is missing or wrong")
        targets = [value for name in _TARGET_HEADERS if (value := request.header(name)) is not None]
        if not targets:
            return _message(400, "header x-api-target-id is missing")
        if any(target != self._store.target_id for target in targets):
            return self._answer(None, [_error(StoreError(Family.ACCESS_DENIED, "these credentials are not this store's"))])
        return None

    def _execute(self, request: Request, credential: Credential) -> Response:
        try:
            body = json.loads(request.body)
            text, variables = body["query"], {} if body.get("variables") is None else body["variables"]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return _message(400, 'the body must be a JSON object with "query"')
        if not isinstance(text, str) or not isinstance(variables, dict):
            return _message(400, "query must be a text and variables an object")
        document, errors = _document(text)
        if document is None or errors:
            return self._answer(None, list(errors))
        result = execute(schema(), document, self._root, credential, variables, body.get("operationName"))
        if not isinstance(result, ExecutionResult):
            raise TypeError("every resolver of the store answers at once")
        return self._answer(result.data, result.errors or [])

    def orders(self) -> list[dict[str, Any]]:
        """All orders in the API's words, oldest first."""
        return [self.select(order.id, _WHOLE)["order"] for order in self._store.orders()]

    def select(self, order_id: str, document: str) -> dict[str, Any]:
        """What a document selects of an order, as an event carries it."""
        root = {"order": view.OrderView(self._store.known(order_id), self._settings).order()}
        result = execute(schema(), parse(document), root)
        if not isinstance(result, ExecutionResult) or result.data is None:
            raise TypeError("the document must select from an order")
        return dict(result.data)

    def _answer(self, data: dict[str, Any] | None, errors: list[GraphQLError]) -> Response:
        body: dict[str, Any] = {"data": data}
        if not errors:
            return Response.of_json(body)
        settings = self._settings
        body["errors"] = [as_json(error, settings.bwp_error_form, settings.bwp_error_names) for error in errors]
        cause = errors[0].original_error
        return Response.of_json(body, outcome=cause.word if isinstance(cause, StoreError) else "Validation")

    # The root fields.

    def _delivery_preview(self, input: Mapping[str, Any]) -> object:
        return view.preview(self._store.preview(input))

    def _order(self, orderIdentifier: Mapping[str, Any]) -> object:
        return self._view(self._store.find(orderIdentifier))

    def _eligibility(self, identityToken: Mapping[str, Any]) -> object:
        shopper = self._store.shoppers.find(identityToken)
        if shopper is None:
            return None
        return {"shopperId": shopper.shopper_id, "bwpEligibilityStatus": "PRIME" if shopper.prime else "NON_PRIME"}

    def _create_order(self, input: Mapping[str, Any]) -> object:
        return {"order": self._view(self._store.create(input))}

    def _update_order(self, orderIdentifier: Mapping[str, Any], input: Mapping[str, Any]) -> object:
        return {"order": self._view(self._store.update(orderIdentifier, input))}

    def _cancel_order(self, orderIdentifier: Mapping[str, Any], input: Mapping[str, Any] | None = None) -> object:
        made = self._store.cancel(orderIdentifier, input)
        return {"cancellation": view.cancellation(self._store.find(orderIdentifier), made)}

    def _view(self, order: Any) -> dict[str, Any]:
        return view.OrderView(order, self._settings).order()


def _resolve(name: str, resolver: Resolver, info: GraphQLResolveInfo[Credential], **arguments: Any) -> Any:
    if OPERATIONS[name] not in info.context.scopes:
        raise StoreError(Family.ACCESS_DENIED, f"these credentials lack the scope {OPERATIONS[name]}")
    return resolver(**arguments)


def _error(cause: StoreError) -> GraphQLError:
    return GraphQLError(str(cause), original_error=cause)


def _message(status: int, message: str) -> Response:
    return Response.of_json({"message": message}, status, outcome="refused")
