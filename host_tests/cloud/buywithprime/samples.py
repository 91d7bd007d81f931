"""Orders, previews and returns for the tests, and every operation that the client can emit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tools.cloud.buywithprime import operations
from tools.cloud.buywithprime.models import (
    AddressInput,
    Alias,
    AmountInput,
    CancellationReason,
    CancelOrderInput,
    ContactInput,
    CreateEventSubscriptionInput,
    CreateOrderInput,
    CustomerInput,
    DeliveryLocationInput,
    DeliveryOfferDetailsInput,
    DeliveryOfferInput,
    DeliveryPreviewInput,
    DeliveryPreviewProductInput,
    DeliveryProvider,
    DeliveryTermsInput,
    DiscountAllocationInput,
    DiscountSummaryInput,
    EmailDataInput,
    EventBridgeDestinationInput,
    EventDestinationInput,
    ExecutionState,
    IdentityTokenInput,
    LineItemIdentifierInput,
    LineItemInput,
    LWAAccessTokenInput,
    Money,
    OrderIdentifierInput,
    OrderLineItemAmountInput,
    PartnerEventSourceInput,
    PaymentsInput,
    PaymentState,
    PaymentSummaryInput,
    ProductIdentifier,
    PurchasedProductViewInput,
    RecipientInput,
    ReturnDetailsInput,
    ReturnForInput,
    ReturnIdentifierInput,
    ReturnLineItemInput,
    ReturnsInput,
    ReturnState,
    ShippingAddressInput,
    TaxInput,
    TaxSummaryInput,
    TotalPriceInput,
    UpdateOrderInput,
)
from tools.cloud.buywithprime.operations import Settings

SETTINGS = Settings(client_id="client-1", client_secret="s3cret-of-the-store", target_id="bp-1", access_key="k3y-of-the-store")
SHOPPER_TOKEN = "Atza|shopper"
INTENT = Alias(alias_type="DEVICE_INTENT_ID", alias_id="BREWER-1-Coffee-17")
BY_INTENT = OrderIdentifierInput(alias=INTENT)
BY_ID = OrderIdentifierInput(order_id="322-ABC1-AAAAAA")
COFFEE = ProductIdentifier(kind="sku", value="COFFEE-1KG")
SHOPPER = IdentityTokenInput(lwa_access_token=LWAAccessTokenInput(value=SHOPPER_TOKEN))  # type: ignore[arg-type]
STREET = "410 Terry Ave N"


def dollars(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency_code="USD")


def line(prime: bool = False) -> LineItemInput:
    """Two packs, with all that is charged on them."""
    details = DeliveryOfferDetailsInput(
        delivery_provider=DeliveryProvider.AMAZON,
        delivery_terms=DeliveryTermsInput(is_prime_eligible=prime, delivery_speed=None if prime else "STANDARD"),
        delivery_preview_id="preview-1" if prime else None,
        id="offer-1" if prime else None,
        delivery_charge=dollars("2.99"),
    )
    return LineItemInput(
        aliases=(Alias(alias_type="LINE", alias_id="1"),),
        amount=AmountInput(value=2, unit="ONE"),
        discounts=DiscountAllocationInput(summary=DiscountSummaryInput(amount=dollars("1"))),
        product=PurchasedProductViewInput(identifier=COFFEE, title="Coffee, 1 kg", price=dollars("17.95")),
        selected_delivery_offer=DeliveryOfferInput(details=details),
        taxes=TaxInput(summary=TaxSummaryInput(collectable_tax_amount=dollars("3.14"))),
    )


def new_order(prime: bool = False, **changed: Any) -> CreateOrderInput:
    """An order for Prime, or the unattended one without."""
    whole: dict[str, Any] = {
        "aliases": (INTENT,),
        "customer": CustomerInput(id="customer-1", contact=ContactInput(email_data=EmailDataInput(name="Jo", email="jo@example.com"))),
        "desired_execution_state": ExecutionState.NOT_STARTED,
        "line_items": (line(prime),),
        "payments": PaymentsInput(
            summary=PaymentSummaryInput(
                amount=dollars("41.03"), payment_method_display_string="Visa ending in 1234", state=PaymentState.AUTHORIZED
            )
        ),
        "recipient": RecipientInput(
            delivery_address=AddressInput(
                name="Jo", street_address=STREET, locality="Seattle", region="WA", postal_code="98109", country_code="US"
            )
        ),
        "shopper_identity": SHOPPER if prime else None,
        "total_price": TotalPriceInput(value=dollars("41.03")),
    }
    return CreateOrderInput(**(whole | changed))


def preview() -> DeliveryPreviewInput:
    address = ShippingAddressInput(street_address=STREET, locality="Seattle", region="WA", postal_code="98109", country_code="US")
    return DeliveryPreviewInput(
        products=(DeliveryPreviewProductInput(product_identifier=COFFEE, amount=AmountInput(value=2)),),
        location=DeliveryLocationInput(shipping_address=address),
        shopper_identity=SHOPPER,
    )


def start() -> UpdateOrderInput:
    return UpdateOrderInput(desired_execution_state=ExecutionState.STARTED)


def return_lines(amount: int = 1) -> tuple[ReturnLineItemInput, ...]:
    what = OrderLineItemAmountInput(amount=AmountInput(value=amount), line_item_id=LineItemIdentifierInput(id="line-1"))
    return (ReturnLineItemInput(return_for=ReturnForInput(order_line_item_amounts=(what,))),)


def returns(*details: ReturnDetailsInput) -> UpdateOrderInput:
    return UpdateOrderInput(returns=ReturnsInput(details=details))


def new_return(alias: str | None = "return-1") -> ReturnDetailsInput:
    named = () if alias is None else (Alias(alias_type="EXTERNAL-RETURN-ID", alias_id=alias),)
    return ReturnDetailsInput(aliases=named, state=ReturnState.CREATED, return_line_items=return_lines())


def known_return(**changed: Any) -> ReturnDetailsInput:
    return ReturnDetailsInput(return_identifier=ReturnIdentifierInput(id="return-id-1"), **changed)


def subscription() -> CreateEventSubscriptionInput:
    source = PartnerEventSourceInput(account="123456789012", name="maker-1")
    destination = EventDestinationInput(event_bridge=EventBridgeDestinationInput(region="us-east-1", partner_event_source=source))
    return CreateEventSubscriptionInput(destination=destination, event_type="RETURN_STARTED")


OPERATIONS = [
    operations.order(BY_ID),
    operations.order(BY_INTENT),
    operations.delivery_preview(preview()),
    operations.create_order(new_order()),
    operations.create_order(new_order(prime=True)),
    operations.update_order(BY_INTENT, start()),
    operations.update_order(BY_ID, returns(new_return(), known_return(state=ReturnState.CANCELLED), known_return(aliases=()))),
    operations.update_order(BY_ID, UpdateOrderInput(aliases=(INTENT,))),
    operations.cancel_order(BY_ID, CancelOrderInput(reason=CancellationReason.ORDERED_BY_MISTAKE, additional_comments="by the device")),
    operations.cancel_order(BY_ID, CancelOrderInput()),
    operations.create_event_subscription(subscription()),
]
