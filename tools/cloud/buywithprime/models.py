"""What is written to the API and what is read from it, as typed values.

Written is version 2024-11-01 alone; the classes named ...Input are its input types, field by field, and `variables()` is their JSON.
Read are all three versions (2024-01-01, 2024-04-01, 2024-11-01) and the mixed forms of the published examples: unknown fields are
passed over, a null list is an empty one, and a word that is not on the list becomes UNKNOWN.

Money is Decimal and never a float. Tokens, and what tells who the customer is, are left out of every repr.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel

# The API's limits: of an order, of a return (ReturnDetailsInput), of lines (20 for Prime and 20 not).
MOST_ALIASES = 5
MOST_RETURN_ALIASES = 2
MOST_LINKS = 5
MOST_LINES_OF_A_KIND = 20
# A double keeps 15 digits exactly, and so does a JSON number in any parser.
_DIGITS = 15

_T = TypeVar("_T")


class Model(BaseModel):
    """A value: frozen, in the API's camelCase outside; its faults never quote what was given."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True, allow_inf_nan=False
    )


class Input(Model):
    """A value that is written: a name that it does not have is an error."""

    model_config = ConfigDict(extra="forbid")

    def variables(self) -> dict[str, Any]:
        """It as the JSON of a GraphQL variable; what is None is left out, an empty list is not."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _without_null(value: object) -> object:
    """A list without the nulls that GraphQL puts where an element could not be read; null itself is an empty list."""
    if value is None:
        return ()
    return [item for item in value if item is not None] if isinstance(value, (list, tuple)) else value


Listed = Annotated[tuple[_T, ...], BeforeValidator(_without_null)]


class _Word(StrEnum):
    """One of the API's words, in any case; a word that is not on the list is UNKNOWN, which every such class has."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        word = str(value).upper()
        return cls._value2member_map_.get(cls._older().get(word, word), cls["UNKNOWN"])  # type: ignore[return-value]

    @classmethod
    def _older(cls) -> dict[str, str]:
        """Other spellings, in capitals."""
        return {}


class ExecutionState(_Word):
    """Whether fulfilment may begin."""

    NOT_STARTED = "NOT_STARTED"
    STARTED = "STARTED"
    UNKNOWN = "UNKNOWN"


class PackageState(_Word):
    """Of one package, and of all packages of an order together."""

    PENDING = "PENDING"
    IN_TRANSIT = "IN_TRANSIT"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"


class ReturnState(_Word):
    """DRAFT: still being agreed upon."""

    DRAFT = "DRAFT"
    CREATED = "CREATED"
    CANCELLED = "CANCELLED"
    COMPLETED = "COMPLETED"
    UNKNOWN = "UNKNOWN"


class ReturnPackageState(_Word):
    """Of a package on its way back; examples say COMPLETED for DELIVERED."""

    CREATED = "CREATED"
    DROPPED_OFF = "DROPPED_OFF"
    IN_TRANSIT = "IN_TRANSIT"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _older(cls) -> dict[str, str]:
        return {"COMPLETED": "DELIVERED"}


class Condition(_Word):
    """How a returned unit was graded; FULFILLMENT_EXPIRED: too late to be graded at all."""

    SELLABLE = "SELLABLE"
    DEFECTIVE = "DEFECTIVE"
    DAMAGED = "DAMAGED"
    FULFILLMENT_EXPIRED = "FULFILLMENT_EXPIRED"
    UNKNOWN = "UNKNOWN"


class CancellationState(_Word):
    """PENDING: asked for; REJECTED: too late, it will be delivered."""

    PENDING = "PENDING"
    SUCCESS = "SUCCESS"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"


class CancellationReason(StrEnum):
    """Why the maker asks for a cancellation."""

    INCORRECT_SHIPPING_ADDRESS = "INCORRECT_SHIPPING_ADDRESS"
    ITEMS_ARRIVING_LATE = "ITEMS_ARRIVING_LATE"
    ORDERED_BY_MISTAKE = "ORDERED_BY_MISTAKE"
    OTHER = "OTHER"
    OUT_OF_STOCK = "OUT_OF_STOCK"
    PAYMENT_ISSUE = "PAYMENT_ISSUE"


class PaymentState(StrEnum):
    """How far a payment is, which the maker's own system knows."""

    AUTHORIZED = "AUTHORIZED"
    CANCELLED = "CANCELLED"
    CAPTURED = "CAPTURED"
    CLIENT_ACTION_REQUIRED = "CLIENT_ACTION_REQUIRED"
    CREATED = "CREATED"
    FAILED = "FAILED"
    IN_PROGRESS = "IN_PROGRESS"
    NOT_STARTED = "NOT_STARTED"
    READY_FOR_CONFIRMATION = "READY_FOR_CONFIRMATION"
    SUCCESS = "SUCCESS"


class DeliveryProvider(StrEnum):
    """Who delivers."""

    AMAZON = "AMAZON"
    MERCHANT = "MERCHANT"


# ---- What is written and read alike


class Alias(Model):
    """A name of the maker's for an order, a line or a return; the pair of both is unique where it belongs."""

    alias_type: Annotated[str, Field(min_length=1)]
    alias_id: Annotated[str, Field(min_length=1)]


class Money(Model):
    """An amount in a currency; at most 15 digits, so that it is exact as a JSON number."""

    amount: Annotated[Decimal, Field(max_digits=_DIGITS)]
    currency_code: Annotated[str, Field(pattern="^[A-Z]{3}$")]

    @field_serializer("amount")
    def _number(self, amount: Decimal) -> int | float:
        return int(amount) if amount == amount.to_integral_value() else float(amount)


def _not_negative(money: Money) -> Money:
    if money.amount < 0:
        raise ValueError("less than nothing; allowed: 0 or more, also for discounts")
    return money


Charge = Annotated[Money, AfterValidator(_not_negative)]


class Amount(Model):
    """How many, in packs. A whole number: a device orders nothing else."""

    value: Annotated[int, Field(validation_alias=AliasChoices("value", "amount"))]
    unit: str | None = None


class AmountInput(Input):
    """How many packs are ordered or returned."""

    value: Annotated[int, Field(ge=1)]
    unit: str | None = None


# How the kind of an identifier is spelt where it is read: in the name of its type, or as a key; compared without case and _.
_KINDS = {
    "sku": "sku",
    "productsku": "sku",
    "productid": "productId",
    "buywithprimeproductid": "productId",
    "id": "productId",
    "externalid": "externalId",
    "amazonsku": "amazonSku",
    "msku": "amazonSku",
}


class ProductIdentifier(Model):
    """A product by one of its names: `kind` is sku, productId, externalId or amazonSku; None where only a value was read."""

    kind: str | None = None
    value: str
    marketplace_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _any_form(cls, given: Any) -> Any:
        """{__typename, value} is what is read, {sku: ..} what is written, {SKU: ..} and {sku: {value: ..}} are in examples."""
        if not isinstance(given, dict) or "kind" in given:
            return given
        if isinstance(given.get("value"), str):
            return {**given, "kind": _kind(given.get("__typename"))}
        found = next(((_kind(key), value) for key, value in given.items() if value is not None and _kind(key)), None)
        if found is None:
            return given
        return {"kind": found[0], **(found[1] if isinstance(found[1], dict) else {"value": found[1]})}

    @model_serializer
    def _written(self) -> dict[str, Any]:
        if self.kind is None:
            raise ValueError("an identifier of an unknown kind cannot be written; allowed: " + ", ".join(sorted(set(_KINDS.values()))))
        if self.kind != "amazonSku":
            return {self.kind: self.value}
        whole = {"value": self.value, "marketplaceId": self.marketplace_id}
        return {self.kind: {key: value for key, value in whole.items() if value is not None}}

    def names_the_same(self, other: ProductIdentifier) -> bool:
        """Whether both are one product: the same value, of the same kind as far as both tell theirs."""
        return self.value == other.value and (self.kind == other.kind or None in (self.kind, other.kind))


def _kind(name: Any) -> str | None:
    letters = re.sub("[^a-z]", "", str(name).lower())
    return _KINDS.get(letters) or _KINDS.get(letters.removesuffix("identifier"))


# ---- What is written


class OrderIdentifierInput(Input):
    """An order by the API's id or by one of its aliases; exactly one of them."""

    order_id: str | None = None
    alias: Alias | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        _exactly_one(self, "order_id", "alias")
        return self


def _exactly_one(model: BaseModel, *names: str) -> None:
    if sum(getattr(model, name) is not None for name in names) != 1:
        raise ValueError(f"{' and '.join(names)}: allowed: exactly one of them")


class SecretInput(Input):
    """The value of a token; no repr and no fault shows it."""

    value: Annotated[SecretStr, Field(min_length=1)]

    @field_serializer("value")
    def _plain(self, value: SecretStr) -> str:
        return value.get_secret_value()


class LWAAccessTokenInput(SecretInput):
    """The shopper's access token by Login with Amazon."""


class ApayCheckoutSessionIdInput(SecretInput):
    """The shopper's checkout at Amazon Pay."""

    value: Annotated[SecretStr, Field(min_length=1, max_length=256)]
    external_id: Annotated[str | None, Field(min_length=1, max_length=512, repr=False)] = None


class IdentityTokenInput(Input):
    """Who buys. An order for Prime needs it, an order without Prime does not."""

    lwa_access_token: LWAAccessTokenInput | None = None
    apay_checkout_session_id: ApayCheckoutSessionIdInput | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        _exactly_one(self, "lwa_access_token", "apay_checkout_session_id")
        return self


class ShippingAddressInput(Input):
    """Where to, as a preview is told; the more of it, the better the preview."""

    street_address: Annotated[str | None, Field(repr=False)] = None
    extended_address: Annotated[str | None, Field(repr=False)] = None
    locality: Annotated[str | None, Field(repr=False)] = None
    region: str | None = None
    postal_code: Annotated[str | None, Field(repr=False)] = None
    country_code: Annotated[str | None, Field(pattern="^[A-Z]{2}$")] = None


class AddressInput(ShippingAddressInput):
    """Where to and to whom, as an order is told."""

    name: Annotated[str | None, Field(repr=False)] = None
    contact_number: Annotated[str | None, Field(repr=False)] = None


class DeliveryLocationInput(Input):
    """Where to."""

    shipping_address: ShippingAddressInput


class DeliveryTermsInput(Input):
    """How it is delivered."""

    is_prime_eligible: bool | None = None
    delivery_speed: str | None = None


class DeliveryPreviewProductInput(Input):
    """What is to be delivered, and how many."""

    product_identifier: ProductIdentifier
    amount: AmountInput


class DeliveryPreviewInput(Input):
    """What, where to and for whom a preview is asked."""

    products: Annotated[tuple[DeliveryPreviewProductInput, ...], Field(min_length=1)]
    location: DeliveryLocationInput | None = None
    shopper_identity: IdentityTokenInput | None = None
    terms: DeliveryTermsInput | None = None


class EmailDataInput(Input):
    """A person by name and e-mail."""

    name: Annotated[str | None, Field(repr=False)] = None
    email: Annotated[str | None, Field(repr=False)] = None


class ContactInput(Input):
    """How a person is reached."""

    email_data: EmailDataInput


class CustomerInput(Input):
    """Who ordered; `id` is the maker's own."""

    id: str | None = None
    contact: ContactInput


class RecipientInput(Input):
    """Who gets it."""

    delivery_address: AddressInput


class TaxSummaryInput(Input):
    """Tax in one sum."""

    collectable_tax_amount: Charge


class TaxInput(Input):
    """Tax on a line, on a delivery, or on what of an order is neither."""

    summary: TaxSummaryInput


class DiscountSummaryInput(Input):
    """Discount in one sum, a positive one."""

    amount: Charge
    display_string: str | None = None


class DiscountDetailsInput(Input):
    """One discount, a positive one."""

    amount: Charge
    coupon_code: str | None = None
    aliases: tuple[Alias, ...] | None = None
    display_string: str | None = None


class DiscountAllocationInput(Input):
    """Discounts on a line, on a delivery, or on what of an order is neither."""

    summary: DiscountSummaryInput | None = None
    details: tuple[DiscountDetailsInput, ...] | None = None


class PaymentSummaryInput(Input):
    """All payments in one sum; `payment_method_display_string` is for people: Visa ending in 1234."""

    amount: Charge
    payment_method_display_string: Annotated[str, Field(repr=False)]
    state: PaymentState | None = None


class PaymentMethodInput(Input):
    """What was paid with."""

    display_string: Annotated[str | None, Field(repr=False)] = None
    type: str | None = None


class PayerInput(Input):
    """Who paid."""

    id: Annotated[str | None, Field(repr=False)] = None
    billing_address: AddressInput | None = None
    contact: ContactInput | None = None


class PaymentDetailsInput(Input):
    """One payment; `aliases` name it in the maker's payment system."""

    aliases: tuple[Alias, ...] | None = None
    amount: Charge
    created_at: AwareDatetime | None = None
    id: str | None = None
    payer: PayerInput | None = None
    payment_method: PaymentMethodInput
    state: PaymentState | None = None
    updated_at: AwareDatetime | None = None


class PaymentsInput(Input):
    """How the order is paid, for whoever answers the shopper's questions; nothing is charged by it."""

    summary: PaymentSummaryInput | None = None
    details: tuple[PaymentDetailsInput, ...] | None = None


class VariationSelectionInput(Input):
    """Which variation: the dimension Size, the value Medium."""

    dimension: str
    value: str


class PurchasedProductViewInput(Input):
    """What was bought, at which price for one."""

    identifier: ProductIdentifier
    title: Annotated[str, Field(min_length=1)]
    price: Charge
    variation_selections: tuple[VariationSelectionInput, ...] | None = None


class DeliveryOfferDetailsInput(Input):
    """Who delivers a line, and how. For Prime it is the offer of a preview: both ids are required."""

    delivery_provider: DeliveryProvider
    delivery_terms: DeliveryTermsInput | None = None
    delivery_preview_id: str | None = None
    id: str | None = None
    delivery_charge: Charge | None = None
    discounts: DiscountAllocationInput | None = None
    taxes: TaxInput | None = None

    @property
    def is_prime(self) -> bool:
        return self.delivery_provider is DeliveryProvider.AMAZON and bool(self.delivery_terms and self.delivery_terms.is_prime_eligible)

    @model_validator(mode="after")
    def _bound(self) -> Self:
        if self.is_prime and (self.delivery_preview_id is None or self.id is None):
            raise ValueError("delivery_preview_id and id: missing; allowed: those of the preview and its offer, because it is Prime")
        return self


class DeliveryOfferInput(Input):
    """The delivery of a line."""

    details: DeliveryOfferDetailsInput


class LineItemInput(Input):
    """One product, and how many of it; charges of the line stand here and not at the order."""

    aliases: tuple[Alias, ...] | None = None
    amount: AmountInput
    discounts: DiscountAllocationInput | None = None
    payments: PaymentsInput | None = None
    product: PurchasedProductViewInput | None = None
    selected_delivery_offer: DeliveryOfferInput
    taxes: TaxInput | None = None

    @model_validator(mode="after")
    def _what(self) -> Self:
        if self.product is None and self.selected_delivery_offer.details.delivery_provider is DeliveryProvider.AMAZON:
            raise ValueError("product: missing; allowed: a product, because AMAZON delivers it")
        return self


class UpdateLineItemInput(Input):
    """A line that an order already has, by `id`, or one more."""

    id: str | None = None
    aliases: tuple[Alias, ...] | None = None
    amount: AmountInput | None = None
    discounts: DiscountAllocationInput | None = None
    payments: PaymentsInput | None = None
    product: PurchasedProductViewInput | None = None
    selected_delivery_offer: DeliveryOfferInput | None = None
    taxes: TaxInput | None = None


class TotalPriceInput(Input):
    """All of it."""

    value: Charge


class OrderLinkInput(Input):
    """Where the maker shows the order."""

    destination_type: Annotated[str, Field(pattern="^EXTERNAL_ORDER_MANAGEMENT$")] = "EXTERNAL_ORDER_MANAGEMENT"
    url: Annotated[str, Field(pattern="^https://")]


def _known(state: ExecutionState) -> ExecutionState:
    if state is ExecutionState.UNKNOWN:
        raise ValueError("unknown; allowed: NOT_STARTED, STARTED")
    return state


DesiredExecutionState = Annotated[ExecutionState, AfterValidator(_known)]
OrderAliases = Annotated[tuple[Alias, ...], Field(max_length=MOST_ALIASES)]


class CreateOrderInput(Input):
    """A new order. Its first alias is its idempotency key, so there has to be one; without a state fulfilment does not begin."""

    aliases: Annotated[OrderAliases, Field(min_length=1)]
    customer: CustomerInput
    desired_execution_state: DesiredExecutionState | None = None
    discounts: DiscountAllocationInput | None = None
    line_items: Annotated[tuple[LineItemInput, ...], Field(min_length=1)]
    order_links: Annotated[tuple[OrderLinkInput, ...] | None, Field(max_length=MOST_LINKS)] = None
    payments: PaymentsInput | None = None
    recipient: RecipientInput | None = None
    shopper_identity: IdentityTokenInput | None = None
    taxes: TaxInput | None = None
    total_price: TotalPriceInput | None = None

    @field_validator("line_items")
    @classmethod
    def _not_too_many(cls, lines: tuple[LineItemInput, ...]) -> tuple[LineItemInput, ...]:
        prime = sum(line.selected_delivery_offer.details.is_prime for line in lines)
        if max(prime, len(lines) - prime) > MOST_LINES_OF_A_KIND:
            raise ValueError(f"{prime} lines for Prime and {len(lines) - prime} not; allowed: {MOST_LINES_OF_A_KIND} of each")
        return lines


class ReturnIdentifierInput(Input):
    """A return that the order has; exactly one of both."""

    id: str | None = None
    alias: Alias | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        _exactly_one(self, "id", "alias")
        return self


class LineItemIdentifierInput(Input):
    """A line of the order; exactly one of both."""

    id: str | None = None
    alias: Alias | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        _exactly_one(self, "id", "alias")
        return self


class OrderLineItemAmountInput(Input):
    """How many of which line go back."""

    amount: AmountInput
    line_item_id: LineItemIdentifierInput


class ReturnForInput(Input):
    """What goes back."""

    order_line_item_amounts: Annotated[tuple[OrderLineItemAmountInput, ...], Field(min_length=1)]


class ReturnLineItemInput(Input):
    """What goes back, line by line."""

    return_for: ReturnForInput


class ReturnDetailsInput(Input):
    """An external return: a new one with its lines, or, with `return_identifier`, one that the order has.

    The API takes whatever comes without `return_identifier` for a new return, its aliases notwithstanding; so an update that lacks
    it is refused here, where it can still be told by its missing lines or its state.
    """

    return_identifier: ReturnIdentifierInput | None = None
    aliases: Annotated[tuple[Alias, ...] | None, Field(max_length=MOST_RETURN_ALIASES)] = None
    state: ReturnState | None = None
    return_line_items: tuple[ReturnLineItemInput, ...] | None = None

    @model_validator(mode="after")
    def _new_or_known(self) -> Self:
        allowed = (ReturnState.CREATED, ReturnState.COMPLETED)
        if self.return_identifier is not None:
            allowed += (ReturnState.CANCELLED, None)  # type: ignore[assignment]
        elif not self.return_line_items:
            raise ValueError("return_identifier: missing; allowed: the return to update, or return_line_items of a new one")
        if self.state not in allowed:
            words = ", ".join(state for state in allowed if state)
            raise ValueError(f"state: {self.state or 'missing'}; allowed: {words}")
        return self


class ReturnsInput(Input):
    """External returns, each added or updated."""

    details: Annotated[tuple[ReturnDetailsInput, ...], Field(min_length=1)]


class UpdateOrderInput(Input):
    """What is to change; None leaves it as it is. Aliases are added to those that the order has."""

    aliases: OrderAliases | None = None
    desired_execution_state: DesiredExecutionState | None = None
    discounts: DiscountAllocationInput | None = None
    line_items: tuple[UpdateLineItemInput, ...] | None = None
    payments: PaymentsInput | None = None
    recipient: RecipientInput | None = None
    returns: ReturnsInput | None = None
    shopper_identity: IdentityTokenInput | None = None
    taxes: TaxInput | None = None
    total_price: TotalPriceInput | None = None


class CancelOrderInput(Input):
    """Why the whole order is to be cancelled."""

    aliases: OrderAliases | None = None
    additional_comments: str | None = None
    reason: CancellationReason | None = None


class PartnerEventSourceInput(Input):
    """Where in AWS the events are to appear: the account's id and a name that is unique in all of AWS."""

    account: Annotated[str, Field(pattern="^[0-9]{12}$")]
    name: Annotated[str, Field(min_length=1)]


class EventBridgeDestinationInput(Input):
    """EventBridge in a region."""

    region: Annotated[str, Field(pattern="^[a-z]{2}(-gov)?-[a-z]+-[0-9]$")]
    partner_event_source: PartnerEventSourceInput


class EventDestinationInput(Input):
    """Where events go."""

    event_bridge: EventBridgeDestinationInput


class CreateEventSubscriptionInput(Input):
    """One type of event to one destination."""

    destination: EventDestinationInput
    event_type: Annotated[str, Field(pattern="^[A-Z_]+$")]


# ---- What is read


def _at(given: Any, *path: str) -> Any:
    """What stands under these names, one inside the other; None where there is nothing, or no object to look into."""
    for name in path:
        given = given.get(name) if isinstance(given, dict) else None
    return given


def _items(given: Any) -> list[Any]:
    """A list without nulls; what is no list is an empty one."""
    return [item for item in given if item is not None] if isinstance(given, (list, tuple)) else []


def _either(*names: str) -> Any:
    """A field that has been called by each of these names; the first is that of 2024-11-01."""
    return Field(default=None, validation_alias=AliasChoices(*names))


def _list_of_either(*names: str) -> Any:
    return Field(default=(), validation_alias=AliasChoices(*names))


class LineItemAmount(Model):
    """How many of which line item."""

    amount: Amount
    line_item_id: Annotated[str | None, Field(validation_alias="lineItemId")] = None

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        """An example has the amount inside the line."""
        line = given.get("lineItem") if isinstance(given, dict) else None
        return {"amount": line.get("amount"), "lineItemId": line.get("id"), **given} if isinstance(line, dict) else given


def _amounts(given: Any) -> Any:
    """The list in {orderLineItemAmounts: [..]}; it has been orderLineItems, and a single orderLineItem."""
    if not isinstance(given, dict):
        return _without_null(given)
    if "lineItem" in given:
        return [given]
    return _without_null(given.get("orderLineItemAmounts") or given.get("orderLineItems"))


LineItemAmounts = Annotated[tuple[LineItemAmount, ...], BeforeValidator(_amounts)]


def _instant(value: Any, read: ValidatorFunctionWrapHandler) -> datetime | None:
    """A time in UTC; what is no time is None, because no time is worth losing an order's state for."""
    try:
        found = None if value is None else read(value)
    except ValidationError:
        return None
    return found and (found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC))


Instant = Annotated[datetime | None, WrapValidator(_instant)]


class DateRange(Model):
    """When it is delivered."""

    earliest: Instant = None
    latest: Instant = None


class Tracker(Model):
    """The carrier's word on a package."""

    url: Annotated[str | None, Field(validation_alias="trackingUrl")] = None
    number: str | None = None
    carrier: str | None = None
    estimated_delivery_date: DateRange | None = None
    milestone: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {
            "number": _at(given, "packageTrackerIdentifier", "trackingNumber"),
            "carrier": _at(given, "packageTrackerIdentifier", "carrierCode"),
            "milestone": _at(given, "latestMilestone", "status", "code"),
            **given,
        }


class Package(Model):
    """One package on its way to the customer; while it is PENDING it may be split."""

    id: str
    state: PackageState
    reason: str | None = None
    aliases: Listed[Alias] = ()
    contents: LineItemAmounts = _list_of_either("packageInformationDetailsFor", "deliveryInformationDetailsFor", "deliveryFor")
    tracker: Tracker | None = _either("packageTracker", "deliveryTracker")


class Packages(Model):
    """The packages of an order; `state` is the API's sum of them."""

    state: PackageState | None = None
    details: Listed[Package] = ()

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        return {"state": _at(given, "summary", "state"), **given} if isinstance(given, dict) else given


class Product(Model):
    """What was bought."""

    identifiers: tuple[ProductIdentifier, ...] = ()
    title: str | None = None
    price: Money | None = None

    @model_validator(mode="before")
    @classmethod
    def _any_form(cls, given: Any) -> Any:
        """Identifiers are fields of the product, or one `identifier`, or a list; the price was once {currentPrice: ..}."""
        if not isinstance(given, dict):
            return given
        found = [{key: given[key]} for key in ("productId", "sku", "externalId", "amazonSku") if given.get(key)]
        found += [given["identifier"]] if given.get("identifier") else []
        found += _items(given.get("itemIdentifiers"))
        price = given.get("price")
        return {"identifiers": found, **given, "price": price.get("currentPrice", price) if isinstance(price, dict) else price}


class AgreedDelivery(Model):
    """How a line was to be delivered when the order was placed."""

    delivery_preview_id: str | None = None
    offer_id: Annotated[str | None, Field(validation_alias="id")] = None
    provider: str | None = None
    is_prime: bool = False

    @model_validator(mode="before")
    @classmethod
    def _any_version(cls, given: Any) -> Any:
        """Older versions say PRIME or BUY_WITH_PRIME where this one says AMAZON and isPrimeEligible."""
        if not isinstance(given, dict):
            return given
        inner = given["details"] if isinstance(given.get("details"), dict) else given
        provider = inner.get("deliveryProvider")
        older = provider in ("PRIME", "BUY_WITH_PRIME")
        prime = older or _at(inner, "deliveryTerms", "isPrimeEligible") is True
        return {**inner, "provider": "AMAZON" if older else provider, "is_prime": prime}


class Cancellation(Model):
    """A cancellation that was asked for; what came of it is read from the order. Its id is told in the answer to it only."""

    id: str | None = None
    state: CancellationState
    reason: str | None = None
    requested_by: str | None = None
    created_at: Instant = None
    updated_at: Instant = None


def _details(given: Any) -> Any:
    """The list in {details: [..]}."""
    return _without_null(given.get("details")) if isinstance(given, dict) else _without_null(given)


class LineItem(Model):
    """A line of an order."""

    id: str
    amount: Amount | None = _either("amount", "quantity")
    aliases: Listed[Alias] = _list_of_either("aliases", "lineItemAliases")
    product: Product | None = _either("product", "purchasedItem")
    delivery: AgreedDelivery | None = _either("deliveryOffer")
    cancellations: Annotated[tuple[Cancellation, ...], BeforeValidator(_details)] = ()


class Grading(Model):
    """How many units of a return were graded, and how."""

    graded: Amount | None = None
    conditions: tuple[tuple[Condition, int], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        units = _items(_at(given, "summary", "unitWiseCondition"))
        pairs = [(_at(unit, "condition"), _at(unit, "amount", "value")) for unit in units]
        return {"graded": _at(given, "summary", "gradedAmount"), "conditions": pairs, **given}


class ReturnLineItem(Model):
    """A line of a return. The reason's code is opaque."""

    id: str | None = None
    items: LineItemAmounts = _list_of_either("returnFor", "orderLineItem")
    reason_code: str | None = None
    grading: Grading | None = None
    refund_ids: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        refunds = [_at(refund, "id") for refund in _items(given.get("refundDetails")) if _at(refund, "id")]
        return {"reason_code": _at(given, "returnReason", "reasonCode"), "refund_ids": refunds, **given}


class ReturnPackage(Model):
    """A package on its way back; `reason` tells why it FAILED."""

    id: str
    state: ReturnPackageState
    reason: str | None = None
    items: LineItemAmounts = _list_of_either("returnPackageFor", "returnDeliveryFor")
    tracker: Tracker | None = _either("packageTracker", "deliveryTracker")

    @field_validator("reason")
    @classmethod
    def _spelt(cls, reason: str | None) -> str | None:
        """One page of the reference has an R too many."""
        return "CARRIER_REJECTED" if reason == "CARRRIER_REJECTED" else reason


class Return(Model):
    """A return, the customer's or an external one."""

    id: str
    state: ReturnState
    created_at: Instant = None
    updated_at: Instant = None
    aliases: Listed[Alias] = ()
    items: LineItemAmounts = _list_of_either("returnFor")
    line_items: Listed[ReturnLineItem] = _list_of_either("returnLineItems")
    packages: Listed[ReturnPackage] = _list_of_either("returnPackageDetails", "returnDeliveryDetails")


class Refund(Model):
    """A refund, which is only ever read here: money is the maker's own system's matter."""

    id: str
    state: str | None = None
    aliases: Listed[Alias] = ()
    updated_at: Instant = None
    request_reason: Annotated[str | None, Field(validation_alias="refundRequestReason")] = None
    total: Money | None = None
    items: LineItemAmounts = ()
    caused_by: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        what = given.get("refundFor")
        total = _at(given, "refundTotal", "totalAmount")
        return {"total": total, "items": what, "caused_by": _at(what, "causedBy", "id"), **given}


class Order(Model):
    """An order as the store has it. What was not asked for is empty."""

    id: str
    aliases: Listed[Alias] = _list_of_either("aliases", "orderAliases")
    execution_state: ExecutionState | None = None
    created_at: Instant = None
    updated_at: Instant = None
    line_items: Listed[LineItem] = ()
    packages: Packages = Field(default=Packages(), validation_alias=AliasChoices("packageInformation", "deliveryInformation"))
    returns: Annotated[tuple[Return, ...], BeforeValidator(_details)] = ()
    refunds: Annotated[tuple[Refund, ...], BeforeValidator(_details)] = ()
    total: Money | None = None

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        meta = {name: _at(given, "metadata", name) for name in ("executionState", "createdAt", "updatedAt")}
        return {**meta, "total": _at(given, "totalPrice", "value"), **given}

    @field_validator("packages", mode="before")
    @classmethod
    def _none_yet(cls, given: Any) -> Any:
        return {} if given is None else given

    @property
    def cancellations(self) -> tuple[Cancellation, ...]:
        """Those of its lines; what several lines have alike is there once."""
        return tuple(dict.fromkeys(each for line in self.line_items for each in line.cancellations))

    def has(self, alias: Alias) -> bool:
        """Whether this order goes by that alias."""
        return alias in self.aliases


class Offer(Model):
    """A way to deliver a group of products, good until `expires_at`."""

    id: str
    date: DateRange | None = None
    expires_at: Instant = None
    price: Money | None = None
    is_prime: bool | None = None
    delivery_speed: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        price = given.get("price")
        return {
            "isPrime": _at(given, "terms", "isPrimeEligible"),
            "deliverySpeed": _at(given, "terms", "deliverySpeed"),
            **given,
            "price": price.get("totalPrice") if isinstance(price, dict) and "totalPrice" in price else price,
        }


class PreviewedProduct(Model):
    """A product of a group."""

    identifier: ProductIdentifier | None = _either("productIdentifier", "itemIdentifier")
    amount: Amount | None = _either("amount", "quantity")


class DeliveryGroup(Model):
    """What would be delivered together, and the offers for it."""

    id: str | None = None
    products: Listed[PreviewedProduct] = _list_of_either("products", "items")
    offers: Listed[Offer] = _list_of_either("deliveryOffers")


class DeliveryPreview(Model):
    """What the store offers to deliver; several groups are several shipments."""

    id: Annotated[str, Field(validation_alias=AliasChoices("id", "deliveryPreviewId"))]
    groups: Listed[DeliveryGroup] = _list_of_either("deliveryGroups")
