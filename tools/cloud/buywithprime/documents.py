"""Every GraphQL document that is sent. They are constants: whatever varies is in the variables.

They ask for nothing that rests on an inference alone (schema.graphql says what does), because one field that the API does not have
would make it refuse the whole document. The mutations ask for little: an order that was created but cannot be read back
is harder to tell from one that was not created.
"""

_AMOUNT = "amount { unit value }"
_ALIASES = "aliases { aliasType aliasId }"
_MONEY = "{ amount currencyCode }"
_METADATA = "metadata { executionState createdAt updatedAt }"
_ITEMS = f"orderLineItems {{ lineItem {{ id }} {_AMOUNT} }}"
_ITEM_AMOUNTS = f"orderLineItemAmounts {{ lineItem {{ id }} {_AMOUNT} }}"
_TRACKER = """packageTracker {
  trackingUrl
  packageTrackerIdentifier { trackingNumber carrierCode }
  estimatedDeliveryDate { earliest latest }
  latestMilestone { status { code } occurredAt }
}"""

_PRODUCT = f"product {{ productId {{ value }} title price {_MONEY} }}"
_DELIVERY = "deliveryOffer { details { deliveryPreviewId id deliveryProvider deliveryTerms { isPrimeEligible } } }"
_CANCELLATIONS = "cancellations { details { state reason requestedBy createdAt } }"
_LINE_ITEMS = f"lineItems {{ id {_AMOUNT} {_ALIASES} {_PRODUCT} {_DELIVERY} {_CANCELLATIONS} }}"
_PACKAGES = f"""packageInformation {{
  summary {{ state }}
  details {{ id state reason packageInformationDetailsFor {{ {_ITEMS} }} {_TRACKER} }}
}}"""
_GRADING = f"grading {{ summary {{ gradedAmount {{ unit value }} unitWiseCondition {{ {_AMOUNT} condition }} }} }}"
_RETURN_LINES = f"""returnLineItems {{
  id
  returnFor {{ {_ITEM_AMOUNTS} }}
  returnReason {{ reasonCode }}
  {_GRADING}
  refundDetails {{ id }}
}}"""
_RETURN_PACKAGES = f"returnPackageDetails {{ id state reason returnPackageFor {{ {_ITEM_AMOUNTS} }} {_TRACKER} }}"
_RETURNS = f"""returns {{
  details {{
    id state createdAt updatedAt {_ALIASES}
    returnFor {{ {_ITEM_AMOUNTS} }}
    {_RETURN_LINES}
    {_RETURN_PACKAGES}
  }}
}}"""
_REFUNDS = f"""refunds {{
  details {{
    id state updatedAt refundRequestReason {_ALIASES}
    refundTotal {{ totalAmount {_MONEY} }}
    refundFor {{ causedBy {{ id }} {_ITEMS} }}
  }}
}}"""

ORDER = f"""query order($orderIdentifier: OrderIdentifierInput!) {{
  order(orderIdentifier: $orderIdentifier) {{
    id {_ALIASES} {_METADATA}
    totalPrice {{ value {_MONEY} }}
    {_LINE_ITEMS}
    {_PACKAGES}
    {_RETURNS}
    {_REFUNDS}
  }}
}}"""

DELIVERY_PREVIEW = f"""query deliveryPreview($input: DeliveryPreviewInput!) {{
  deliveryPreview(input: $input) {{
    id
    deliveryGroups {{
      id
      products {{ productIdentifier {{ __typename value }} {_AMOUNT} }}
      deliveryOffers {{
        id
        date {{ earliest latest }}
        expiresAt
        price {{ totalPrice {_MONEY} }}
        terms {{ isPrimeEligible deliverySpeed }}
      }}
    }}
  }}
}}"""

CREATE_ORDER = f"""mutation createOrder($input: CreateOrderInput!) {{
  createOrder(input: $input) {{
    order {{ id {_ALIASES} {_METADATA} lineItems {{ id {_AMOUNT} {_ALIASES} }} }}
  }}
}}"""

UPDATE_ORDER = f"""mutation updateOrder($orderIdentifier: OrderIdentifierInput!, $input: UpdateOrderInput!) {{
  updateOrder(orderIdentifier: $orderIdentifier, input: $input) {{
    order {{
      id {_ALIASES} {_METADATA}
      returns {{
        details {{ id state createdAt updatedAt {_ALIASES} returnLineItems {{ id returnFor {{ {_ITEM_AMOUNTS} }} }} }}
      }}
    }}
  }}
}}"""

CANCEL_ORDER = """mutation cancelOrder($orderIdentifier: OrderIdentifierInput!, $input: CancelOrderInput) {
  cancelOrder(orderIdentifier: $orderIdentifier, input: $input) {
    cancellation { id state reason requestedBy createdAt updatedAt }
  }
}"""

CREATE_EVENT_SUBSCRIPTION = """mutation createEventSubscription($input: CreateEventSubscriptionInput!) {
  createEventSubscription(input: $input) { subscriptionId }
}"""
