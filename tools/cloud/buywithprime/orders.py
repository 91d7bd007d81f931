"""Orders by best practice: how one is made, what is checked before it is sent, and what may be done with one that exists.

No I/O and no clock. An order is told all that is known of it, its charges line by line. It is delivered by Amazon without Prime
unless a line asks for Prime: that is the only delivery that needs neither a preview nor a fresh token of the shopper, so the only one
that goes unattended. A line for Prime is bound to an offer of a preview, by the rules that Rule lists.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum

from tools.cloud.buywithprime.errors import APIError, Handling
from tools.cloud.buywithprime.models import (
    MOST_ALIASES,
    AddressInput,
    Alias,
    AmountInput,
    CancellationReason,
    CancellationState,
    CancelOrderInput,
    CreateOrderInput,
    CustomerInput,
    DeliveryGroup,
    DeliveryLocationInput,
    DeliveryOfferDetailsInput,
    DeliveryOfferInput,
    DeliveryPreview,
    DeliveryPreviewInput,
    DeliveryPreviewProductInput,
    DeliveryProvider,
    DeliveryTermsInput,
    DiscountAllocationInput,
    DiscountSummaryInput,
    ExecutionState,
    IdentityTokenInput,
    LineItemInput,
    Money,
    Offer,
    Order,
    OrderIdentifierInput,
    OrderLinkInput,
    PackageState,
    PaymentsInput,
    PreviewedProduct,
    ProductIdentifier,
    PurchasedProductViewInput,
    RecipientInput,
    ShippingAddressInput,
    TaxInput,
    TaxSummaryInput,
    TotalPriceInput,
    UpdateLineItemInput,
    UpdateOrderInput,
)

# The alias that is a device's intent: the order's idempotency key, through every layer.
INTENT_ALIAS = "DEVICE_INTENT_ID"
STANDARD = "STANDARD"
# An offer has to be good until the order has surely arrived: as long as a call may take.
_OFFER_MARGIN = timedelta(seconds=10)


class Rule(StrEnum):
    """What binds a line to a preview; and EXPIRED, for which a new preview is the remedy."""

    IDENTIFIER = "identifier"
    QUANTITY = "quantity"
    PREVIEW = "preview id"
    OFFER = "offer id"
    ADDRESS = "address"
    SHOPPER = "shopper"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Violation:
    """A rule that would be broken, and where: a line's number from 0, None for the whole order."""

    rule: Rule
    line: int | None
    why: str

    def __str__(self) -> str:
        return f"{'the order' if self.line is None else f'line {self.line}'}: {self.rule}: {self.why}"


class BindingError(ValueError):
    """What would be sent breaks rules, all of which are named; the text holds nothing of the customer."""

    def __init__(self, violations: Iterable[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(map(str, self.violations)))

    @property
    def rules(self) -> set[Rule]:
        return {violation.rule for violation in self.violations}

    @property
    def only_expired(self) -> bool:
        """Whether a new preview mends it."""
        return self.rules == {Rule.EXPIRED}


@dataclass(frozen=True)
class Line:
    """So many packs of one product. `discount`, `tax` and `delivery` are for the whole line, in the currency of its price."""

    product: PurchasedProductViewInput
    quantity: int
    discount: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    delivery: Decimal = Decimal(0)
    prime: bool = False
    aliases: tuple[Alias, ...] = ()

    @property
    def total(self) -> Decimal:
        return self.product.price.amount * self.quantity - self.discount + self.tax + self.delivery


@dataclass(frozen=True)
class Wanted:
    """All that is known of an order before it is made. `payments` is passed on as it is: whoever answers the shopper sees it."""

    intent_id: str
    customer: CustomerInput
    address: AddressInput
    lines: tuple[Line, ...]
    payments: PaymentsInput | None = None
    shopper: IdentityTokenInput | None = field(default=None, repr=False)
    aliases: tuple[Alias, ...] = ()
    links: tuple[OrderLinkInput, ...] = ()


def intent_alias(intent_id: str) -> Alias:
    return Alias(alias_type=INTENT_ALIAS, alias_id=intent_id)


def by_intent(intent_id: str) -> OrderIdentifierInput:
    """The order of an intent."""
    return OrderIdentifierInput(alias=intent_alias(intent_id))


def aliases(intent_id: str, others: Iterable[Alias] = ()) -> tuple[Alias, ...]:
    """The intent's first. Raises ValueError for more than five, and for the same one twice; that another order of the store has
    one, only the store knows: AliasValueAlreadyExists."""
    listed = (intent_alias(intent_id), *others)
    if len(listed) > MOST_ALIASES:
        raise ValueError(f"aliases: {len(listed)}: allowed: {MOST_ALIASES}, the intent's included")
    if len({(alias.alias_type, alias.alias_id) for alias in listed}) < len(listed):
        raise ValueError("aliases: one is there twice: allowed: each once")
    return listed


# ---- Making an order


def unattended(wanted: Wanted) -> CreateOrderInput:
    """The order without Prime: no preview, no shopper. Raises BindingError for a SKU that stands for two products."""
    return _checked(_order(wanted, [None] * len(wanted.lines)), _ambiguous(wanted.lines))


def preview_input(wanted: Wanted) -> DeliveryPreviewInput:
    """What a preview is asked for: the lines for Prime, the whole address, and the shopper. Raises ValueError without such a line."""
    products = tuple(
        DeliveryPreviewProductInput(product_identifier=line.product.identifier, amount=AmountInput(value=line.quantity))
        for line in wanted.lines
        if line.prime
    )
    given = {name: getattr(wanted.address, name) for name in ShippingAddressInput.model_fields}
    location = DeliveryLocationInput(shipping_address=ShippingAddressInput(**given))
    terms = DeliveryTermsInput(is_prime_eligible=True)
    return DeliveryPreviewInput(products=products, location=location, shopper_identity=wanted.shopper, terms=terms)


def bound(wanted: Wanted, asked: DeliveryPreviewInput, preview: DeliveryPreview, now: datetime) -> CreateOrderInput:
    """The order with its lines for Prime bound to the preview that `asked` brought, each to an offer of the group that holds it.
    Raises BindingError; when that is `only_expired`, a new preview mends it."""
    offers = [_offer_for(line, preview, now) if line.prime else None for line in wanted.lines]
    unoffered = [
        Violation(Rule.OFFER, number, "no group of the preview has this product in this quantity and an offer for Prime")
        for number, (line, offer) in enumerate(zip(wanted.lines, offers, strict=True))
        if line.prime and offer is None
    ]
    if unoffered:
        raise BindingError(unoffered)
    made = _order(wanted, [_prime(preview.id, offer) if offer else None for offer in offers])
    return _checked(made, [*_ambiguous(wanted.lines), *violations(made, asked, preview, now)])


def _checked(made: CreateOrderInput, found: list[Violation]) -> CreateOrderInput:
    if found:
        raise BindingError(found)
    return made


def _order(wanted: Wanted, deliveries: list[DeliveryOfferDetailsInput | None]) -> CreateOrderInput:
    """`deliveries`: how each line is delivered, None without Prime."""
    lines = [_line(line, delivery or _standard()) for line, delivery in zip(wanted.lines, deliveries, strict=True)]
    total = sum((line.total for line in wanted.lines), Decimal(0))
    return CreateOrderInput(
        aliases=aliases(wanted.intent_id, wanted.aliases),
        customer=wanted.customer,
        # What is left out is NOT_STARTED; said, so that it does not hang on a default that a version may change.
        desired_execution_state=ExecutionState.NOT_STARTED,
        line_items=tuple(lines),
        order_links=wanted.links or None,
        payments=wanted.payments,
        recipient=RecipientInput(delivery_address=wanted.address),
        shopper_identity=wanted.shopper if any(deliveries) else None,
        total_price=TotalPriceInput(value=_money(total, wanted.lines[0])),
    )


def _line(line: Line, delivery: DeliveryOfferDetailsInput) -> LineItemInput:
    """With its discount, tax and delivery charge, where it has any."""
    if line.delivery:
        delivery = delivery.model_copy(update={"delivery_charge": _money(line.delivery, line)})
    discount = DiscountAllocationInput(summary=DiscountSummaryInput(amount=_money(line.discount, line)))
    tax = TaxInput(summary=TaxSummaryInput(collectable_tax_amount=_money(line.tax, line)))
    return LineItemInput(
        aliases=line.aliases or None,
        amount=AmountInput(value=line.quantity),
        discounts=discount if line.discount else None,
        product=line.product,
        selected_delivery_offer=DeliveryOfferInput(details=delivery),
        taxes=tax if line.tax else None,
    )


def _money(amount: Decimal, line: Line) -> Money:
    return Money(amount=amount, currency_code=line.product.price.currency_code)


def _standard() -> DeliveryOfferDetailsInput:
    terms = DeliveryTermsInput(is_prime_eligible=False, delivery_speed=STANDARD)
    return DeliveryOfferDetailsInput(delivery_provider=DeliveryProvider.AMAZON, delivery_terms=terms)


def _prime(preview_id: str, offer: Offer) -> DeliveryOfferDetailsInput:
    terms = DeliveryTermsInput(is_prime_eligible=True, delivery_speed=offer.delivery_speed)
    return DeliveryOfferDetailsInput(
        delivery_provider=DeliveryProvider.AMAZON, delivery_terms=terms, delivery_preview_id=preview_id, id=offer.id
    )


def _offer_for(line: Line, preview: DeliveryPreview, now: datetime) -> Offer | None:
    """An offer for Prime of the group that holds the line: one that is still good before one that is not, the earliest first."""
    wanted = line.product.identifier, line.quantity
    groups = [group for group in preview.groups if any(_is(product, *wanted) for product in group.products)]
    offers = [offer for group in groups for offer in group.offers if offer.is_prime]
    return min(offers, key=lambda offer: (_expired(offer, now), *_latest(offer)), default=None)


def _latest(offer: Offer) -> tuple[bool, float]:
    """Sorts by the latest day of delivery; an unknown one comes last."""
    latest = offer.date.latest if offer.date else None
    return latest is None, latest.timestamp() if latest else 0.0


def _is(product: PreviewedProduct, identifier: ProductIdentifier, quantity: int) -> bool:
    same = product.identifier is not None and product.identifier.names_the_same(identifier)
    return same and product.amount is not None and product.amount.value == quantity


def _expired(offer: Offer, now: datetime) -> bool:
    return offer.expires_at is not None and offer.expires_at <= now + _OFFER_MARGIN


def _ambiguous(lines: Iterable[Line]) -> list[Violation]:
    """A SKU has to stand for one product. The catalogue is not seen from here, but two lines that disagree are."""
    first: dict[str, tuple[str, Money]] = {}
    found = []
    for number, line in enumerate(lines):
        told = line.product.title, line.product.price
        if first.setdefault(line.product.identifier.value, told) != told:
            found.append(Violation(Rule.IDENTIFIER, number, "another line has the same identifier for another product"))
    return found


# ---- Checking what is about to be sent


def violations(
    given: CreateOrderInput | UpdateOrderInput, asked: DeliveryPreviewInput, preview: DeliveryPreview, now: datetime
) -> list[Violation]:
    """Every rule that lines for Prime would break, in an order that is made or that gets more lines. `asked` is what brought the
    preview, for address and shopper are not in its answer. Lines that are not for Prime are bound to nothing."""
    found: list[Violation] = []
    lines: list[LineItemInput | UpdateLineItemInput] = [*(given.line_items or ())]
    prime = [(number, line) for number, line in enumerate(lines) if _details(line).is_prime]
    for number, line in prime:
        found += [Violation(rule, number, why) for rule, why in _of_line(line, preview, now)]
    if prime:
        found += [Violation(rule, None, why) for rule, why in _of_order(given, asked)]
    return found


def _details(line: LineItemInput | UpdateLineItemInput) -> DeliveryOfferDetailsInput:
    return line.selected_delivery_offer.details if line.selected_delivery_offer else _standard()


def _of_line(line: LineItemInput | UpdateLineItemInput, preview: DeliveryPreview, now: datetime) -> Iterator[tuple[Rule, str]]:
    details = _details(line)
    if details.delivery_preview_id != preview.id:
        yield Rule.PREVIEW, "the id is not that of the preview"
    chosen = [(group, offer) for group in preview.groups for offer in group.offers if offer.id == details.id]
    if not chosen:
        yield Rule.OFFER, "the preview has no offer of this id"
    yield from _product(line, [group for group, _ in chosen] or [*preview.groups])
    if any(_expired(offer, now) for _, offer in chosen):
        yield Rule.EXPIRED, "the offer is no longer good"


def _product(line: LineItemInput | UpdateLineItemInput, groups: Iterable[DeliveryGroup]) -> Iterator[tuple[Rule, str]]:
    """The line against the products of the groups that its offer is of."""
    products = [product for group in groups for product in group.products]
    identifier = line.product.identifier if line.product else None
    same = [product for product in products if identifier and product.identifier and product.identifier.names_the_same(identifier)]
    if not same:
        yield Rule.IDENTIFIER, "the offer is not for this product"
    elif not line.amount or all(product.amount is None or product.amount.value != line.amount.value for product in same):
        yield Rule.QUANTITY, "the offer is for another quantity"


def _of_order(given: CreateOrderInput | UpdateOrderInput, asked: DeliveryPreviewInput) -> Iterator[tuple[Rule, str]]:
    previewed = asked.location.shipping_address if asked.location else None
    to = given.recipient.delivery_address if given.recipient else None
    # What the preview was not told of the address may be anything.
    told = [name for name in ShippingAddressInput.model_fields if getattr(previewed, name, None) is not None]
    if any(getattr(to, name, None) != getattr(previewed, name) for name in told):
        yield Rule.ADDRESS, "the preview was for another address"
    if given.shopper_identity is None or given.shopper_identity != asked.shopper_identity:
        yield Rule.SHOPPER, "the preview was for another shopper, or for none"


# ---- Letting an order begin

# The only execution state that is ever written to an order that exists, so that none is asked to go back.
START = UpdateOrderInput(desired_execution_state=ExecutionState.STARTED)


class Standing(Enum):
    """How an order stands to being started."""

    HELD = "held"
    STARTED = "started"
    ENDED = "ended"


def standing(order: Order) -> Standing:
    """To be asked before START is sent: only an order that is HELD takes it. ENDED: cancelled, or asked to be."""
    asked_to_end = any(each.state in (CancellationState.PENDING, CancellationState.SUCCESS) for each in order.cancellations)
    if asked_to_end or package_state(order) is PackageState.CANCELLED:
        return Standing.ENDED
    return Standing.STARTED if order.execution_state is ExecutionState.STARTED else Standing.HELD


def standing_after(error: APIError) -> Standing | None:
    """What a refused START says of the order, which someone else started or ended since it was asked; None: nothing.
    InvalidOrderExecutionState says that it is started: the refusal of a way back, which is never sent."""
    if error.handling is Handling.ALREADY or error.code == "InvalidOrderExecutionState":
        return Standing.STARTED
    return Standing.ENDED if error.code == "ExecutionCannotBeStartedDueToCancellation" else None


def package_state(order: Order) -> PackageState | None:
    """The sum of all packages, from the packages themselves where they are known: PENDING while any is, then IN_TRANSIT, then
    DELIVERED when one has arrived, CANCELLED when all are. None: there is none yet."""
    states = {package.state for package in order.packages.details}
    for state in (PackageState.PENDING, PackageState.IN_TRANSIT, PackageState.DELIVERED, PackageState.CANCELLED):
        if state in states:
            return state
    return order.packages.state


# ---- Want of stock

# A quantity is changed by nobody here. Before there is an order, who wants fewer asks for fewer, and is told how many there are; an
# order that turns out not to be there to be had is cancelled whole.
SOLD_OUT = frozenset({"ItemOutOfStock", "ProductOutOfStock"})
NO_STOCK = CancelOrderInput(reason=CancellationReason.OUT_OF_STOCK)
PERSONS_NO = CancelOrderInput(reason=CancellationReason.ORDERED_BY_MISTAKE)


@dataclass(frozen=True)
class Search:
    """How many there are, when `refused` were not: by previews, which order nothing, of `ask()` each until that is None."""

    refused: int
    offered: int = 0

    def ask(self) -> int | None:
        return (self.offered + self.refused) // 2 if self.refused - self.offered > 1 else None

    def heard(self, quantity: int, there: bool) -> "Search":
        """After a preview: it was offered, or refused for want of stock."""
        return Search(self.refused, quantity) if there else Search(quantity, self.offered)


def stock_preview(identifier: ProductIdentifier, quantity: int, prime: bool) -> DeliveryPreviewInput:
    """For nobody and to nowhere: it says whether so many are there."""
    product = DeliveryPreviewProductInput(product_identifier=identifier, amount=AmountInput(value=quantity))
    return DeliveryPreviewInput(products=(product,), terms=DeliveryTermsInput(is_prime_eligible=prime))
