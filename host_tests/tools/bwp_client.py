"""A plain client of the simulated store, for its tests: documents and literals are written out, not taken from it."""

import json
from typing import Any
from urllib.parse import urlencode

from tools.simulator import Clock
from tools.simulator.calls import Call
from tools.simulator.wire import Request
from tools.simulator.world import World

START = 1_700_000_000
DAY = 86_400
SKU = "ACME-COFFEE-12"
ADDRESS = {
    "name": "Pat Doe",
    "streetAddress": "1 Main St",
    "locality": "Austin",
    "region": "TX",
    "postalCode": "78701",
    "countryCode": "US",
}
CUSTOMER = {"contact": {"emailData": {"name": "Pat Doe", "email": "pat@example.com"}}}
PRIME_SHOPPER = {
    "lwaAccessToken": {
        "value": "eyJ0eXBlIjoiQUNDRVNTX1RPS0VOIiwidmFsdWUiOiJzYW5kYm94LW1vY2tlZC10ZXN0LXByaW1lLXNob3BwZXItYWNjZXNzLXRva2VuIn0="
    }
}
LINE = "amount { value } lineItem { id }"
ORDER = """id aliases { aliasType aliasId } metadata { executionState createdAt updatedAt }
  customer { contact { name email } } recipient { deliveryAddress { postalCode } }
  payments { summary { amount { amount currencyCode } paymentMethodDisplayString state } }
  lineItems { id amount { value unit } aliases { aliasId } product { title sku { value } price { amount } }
    discounts { summary { amount { amount } } } taxes { summary { collectableTaxAmount { amount } } }
    deliveryOffer { details { id deliveryProvider deliveryTerms { isPrimeEligible } } }
    packageInformation { summary { state } } cancellations { details { state } } }
  packageInformation { summary { state } details { id state reason
    packageInformationDetailsFor { orderLineItems { %(line)s } }
    packageTracker { packageTrackerIdentifier { trackingNumber carrierCode } estimatedDeliveryDate { latest }
      latestMilestone { status { code } occurredAt } milestones { status { code } } } } }
  cancellations { details { state reason requestedBy } }
  refunds { details { id state refundRequestReason refundTotal { totalAmount { amount } }
    refundFor { orderLineItems { %(line)s } causedBy { __typename id state } } } }
  returns { details { id state createdAt updatedAt aliases { aliasType aliasId }
    returnFor { orderLineItemAmounts { %(line)s } }
    returnLineItems { id returnReason { reasonCode } returnFor { orderLineItemAmounts { %(line)s } } refundDetails { id }
      grading { summary { gradedAmount { value } unitWiseCondition { condition amount { value } } } } }
    returnPackageDetails { id state reason returnPackageFor { orderLineItemAmounts { %(line)s } }
      packageTracker { latestMilestone { status { code } } } } } }""" % {"line": LINE}
DOCUMENTS = {
    "createOrder": f"mutation m($input: CreateOrderInput!) {{ createOrder(input: $input) {{ order {{ {ORDER} }} }} }}",
    "updateOrder": "mutation m($id: OrderIdentifierInput!, $input: UpdateOrderInput!) "
    f"{{ updateOrder(orderIdentifier: $id, input: $input) {{ order {{ {ORDER} }} }} }}",
    "cancelOrder": "mutation m($id: OrderIdentifierInput!, $input: CancelOrderInput) "
    "{ cancelOrder(orderIdentifier: $id, input: $input) { cancellation { id state reason requestedBy additionalComments "
    "aliases { aliasId } canceledFor { orderLineItems { amount { value } } } } } }",
    "order": f"query q($id: OrderIdentifierInput!) {{ order(orderIdentifier: $id) {{ {ORDER} }} }}",
    "deliveryPreview": "query q($input: DeliveryPreviewInput!) { deliveryPreview(input: $input) { id deliveryGroups { id "
    "products { productIdentifier { __typename value } amount { value } } deliveryOffers { id date { earliest latest } expiresAt "
    "policy { messaging { badge } } price { totalPrice { amount currencyCode } } terms { isPrimeEligible deliverySpeed } } } } }",
    "shopperBwPEligibility": "query q($token: IdentityTokenInput!) "
    "{ shopperBwPEligibility(identityToken: $token) { shopperId bwpEligibilityStatus } }",
    "createEventSubscription": "mutation m($input: CreateEventSubscriptionInput!) "
    "{ createEventSubscription(input: $input) { subscriptionId } }",
    "deleteEventSubscription": "mutation m($id: ID!) { deleteEventSubscription(subscriptionId: $id) { subscriptionId } }",
}


def token_request(**more: str | None) -> Request:
    """A request for an access token; `more` replace, or with None remove, fields."""
    fields: dict[str, str | None] = {
        "grant_type": "client_credentials",
        "client_id": "simulated-store-client",
        "client_secret": "simulated-store-secret-0123456789abcdef",
        **more,
    }
    body = urlencode({name: value for name, value in fields.items() if value is not None}).encode()
    return Request("POST", "/token", (("Content-Type", "application/x-www-form-urlencoded"),), body)


def graphql_request(token: str | None, target_id: str, text: object, variables: object = None, **headers: str | None) -> Request:
    """A request of GraphQL; `headers` (underscores for dashes) replace, or with None remove, some."""
    values: dict[str, str | None] = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "x-api-version": "2024-11-01",
        "x-api-target-id": target_id,
    }
    values.update({name.replace("_", "-"): value for name, value in headers.items()})
    pairs = tuple((name, value) for name, value in values.items() if value is not None)
    return Request("POST", "/graphql", pairs, json.dumps({"query": text, "variables": variables or {}}).encode())


def line(amount: int = 1, sku: str = SKU, **details: object) -> dict[str, Any]:
    """A line of an order that Amazon delivers; without details not for Prime, and so bound to no preview."""
    offer = {"deliveryProvider": "AMAZON", "deliveryTerms": {"isPrimeEligible": False, "deliverySpeed": "STANDARD"}, **details}
    product = {"identifier": {"sku": sku}, "title": "Coffee", "price": {"amount": 12.99, "currencyCode": "USD"}}
    return {"amount": {"value": amount}, "product": product, "selectedDeliveryOffer": {"details": offer}}


def alias(number: object = 1, type_: str = "DEVICE_INTENT_ID") -> dict[str, str]:
    """The alias of an order."""
    return {"aliasType": type_, "aliasId": f"SN0001-Coffee-{number}"}


def order_input(*lines: dict[str, Any], **more: object) -> dict[str, Any]:
    """An order of one pack unless other lines are given."""
    return {"customer": CUSTOMER, "recipient": {"deliveryAddress": ADDRESS}, "lineItems": list(lines) or [line()], **more}


class StoreClient:
    """One merchant's calls, without a socket."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World(Clock.manual(START))
        self.store = self.world.store

    def send(self, request: Request) -> tuple[Call, Any]:
        """Send a request: the call's record and the answer's JSON."""
        call, _ = self.world.receive(request)
        return call, json.loads(call.answer)

    def ask(self, text: str, **variables: object) -> tuple[Call, Any]:
        """Execute a document, with a token that is good."""
        return self.send(graphql_request(self.world.tokens.access_token(), self.store.target_id, text, variables))

    def call(self, name: str, **variables: object) -> Any:
        """One operation that must succeed: what it answers."""
        _, answer = self.ask(DOCUMENTS[name], **variables)
        assert "errors" not in answer, answer
        return answer["data"][name]

    def refused(self, name: str, **variables: object) -> str:
        """One operation that must be refused: its code, or without one its family."""
        call, answer = self.ask(DOCUMENTS[name], **variables)
        (error,) = answer["errors"]
        classification = error["extensions"]["classification"]
        word = classification.get("code") or classification["errorType"].removesuffix("Exception")
        assert (call.status, call.outcome, answer["data"], error["path"]) == (200, word, {name: None}, [name])
        return str(word)

    def create(self, *lines: dict[str, Any], **more: object) -> Any:
        """Create an order."""
        return self.call("createOrder", input=order_input(*lines, **more))["order"]

    def update(self, order_id: str, **changes: object) -> Any:
        """Update an order."""
        return self.call("updateOrder", id={"orderId": order_id}, input=changes)["order"]

    def order(self, order_id: str) -> Any:
        """Query an order."""
        return self.call("order", id={"orderId": order_id})

    def preview(self, *wanted: tuple[str, int], **more: object) -> Any:
        """Preview a delivery."""
        products = [{"productIdentifier": {"sku": sku}, "amount": {"value": amount}} for sku, amount in wanted or [(SKU, 1)]]
        return self.call("deliveryPreview", input={"products": products, **more})

    def delivered(self, *lines: dict[str, Any], **more: object) -> Any:
        """An order that has arrived."""
        order = self.create(*lines, desiredExecutionState="STARTED", **more)
        self.world.advance(4 * DAY)
        return self.order(order["id"])

    def types(self) -> list[str]:
        """The types of the events up to now, those of carriers left out."""
        self.store.advance()
        return [event.type for event in self.store.events if event.type != "PACKAGE_TRACKER_MILESTONE_CHANGED"]
