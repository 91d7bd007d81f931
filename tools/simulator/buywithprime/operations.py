"""What can be asked of the store by GraphQL: its root fields, and the permission that each needs."""

OPERATIONS = {
    "deliveryPreview": "View Delivery Preview",
    "order": "View Order Data",
    "shopperBwPEligibility": "View Shopper Buy with Prime Eligibility",
    "createOrder": "Edit Order Data",
    "updateOrder": "Edit Order Data",
    "cancelOrder": "Edit Order Data",
    # Which permission the events need is not known.
    "createEventSubscription": "View Order Data",
    "deleteEventSubscription": "View Order Data",
}
SCOPES = tuple(dict.fromkeys(OPERATIONS.values()))
