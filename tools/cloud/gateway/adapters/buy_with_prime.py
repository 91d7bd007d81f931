"""Buy with Prime: an intent is an order of Amazon's store, which goes by the intent's id as its first alias.

The alias is all the memory that there is: an order is looked for before it is made, and the store refuses a second one of the same
alias. An order is made NOT_STARTED, which holds it. Standard delivery, unless the item is for Prime and the shopper's token is there.
"""

import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from pydantic import ValidationError

from tools import rules
from tools.cloud.buywithprime import operations, orders, returns
from tools.cloud.buywithprime.client import Client
from tools.cloud.buywithprime.errors import APIError, BuyWithPrimeError, Handling
from tools.cloud.buywithprime.models import (
    AddressInput,
    Cancellation,
    CancellationState,
    CancelOrderInput,
    ContactInput,
    CreateOrderInput,
    CustomerInput,
    DeliveryPreview,
    DeliveryPreviewInput,
    EmailDataInput,
    ExecutionState,
    IdentityTokenInput,
    Money,
    Order,
    OrderIdentifierInput,
    PackageState,
    PaymentDetailsInput,
    PaymentMethodInput,
    PaymentsInput,
    ProductIdentifier,
    PurchasedProductViewInput,
    ReturnState,
    UpdateOrderInput,
)
from tools.cloud.buywithprime.orders import BindingError, Line, Rule, Search, Standing, Wanted
from tools.cloud.buywithprime.returns import ReturnError
from tools.cloud.gateway.adapters import AdapterError, OutcomeUnknown, Refused, ShortOfStock, Surroundings, Unavailable
from tools.cloud.gateway.adapters.shoppers import NoShopper, Shoppers
from tools.cloud.gateway.adapters.standing import packs, snapshot
from tools.cloud.gateway.model import Customer, Intent, IntentId, Item, Return, Snapshot
from tools.cloud.settings import FILE
from tools.rules import list_of, matching, text

LOG = logging.getLogger("gateway")

_HEADER = matching(r"[!-~]{1,512}", "1 to 512 characters of printable ASCII without blanks")
_URL = matching(r"https://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._/-]*)?", "a URL https://HOST[:PORT][/PATH]")
RULES: dict[str, rules.Rule] = {
    "target_id": _HEADER,
    "url": _URL,
    "token_url": _URL,
    "lwa_url": _URL,
    "target_headers": list_of(matching(r"[A-Za-z0-9-]{1,64}", ""), 4, "names of headers"),
    "ca": FILE,
}
SECRETS: dict[str, rules.Rule] = {
    "client_id": _HEADER,
    "client_secret": _HEADER,
    "access_key": _HEADER,  # where the store has one
    "lwa_client_id": text(512),  # with its secret the security profile by which shoppers allow their tokens, for Prime
    "lwa_client_secret": text(512),
}
OPTIONAL_SECRETS = frozenset({"access_key", "lwa_client_id", "lwa_client_secret"})
FILES: frozenset[str] = frozenset({"ca"})


@dataclass(frozen=True)
class Settings:
    """`target_id` is the business product's id, `target_headers` the headers that it is sent in; `lwa_url` gives shoppers' tokens."""

    target_id: str
    url: str = operations.URL
    token_url: str = operations.TOKEN_URL
    lwa_url: str = "https://api.amazon.com/auth/o2/token"
    target_headers: tuple[str, ...] = (operations.TARGET_HEADER,)
    ca: str | None = None


class Store(Protocol):
    """What is used of the API's client."""

    async def order(self, identifier: OrderIdentifierInput) -> Order | None: ...

    async def delivery_preview(self, wanted: DeliveryPreviewInput) -> DeliveryPreview: ...

    async def create_order(self, new: CreateOrderInput) -> Order: ...

    async def update_order(self, identifier: OrderIdentifierInput, change: UpdateOrderInput) -> Order: ...

    async def cancel_order(self, identifier: OrderIdentifierInput, why: CancelOrderInput) -> Cancellation: ...


# ---- What an error means to whoever asked


def _told(error: BuyWithPrimeError, changing: bool) -> AdapterError:
    """`changing`: the call may have changed something; one that only asked is asked again."""
    if changing and error.sent:
        return OutcomeUnknown(str(error))
    if error.handling is Handling.AUTH:
        LOG.error("buy_with_prime: our credentials were refused: %s", error)
    if error.sent or error.handling in (Handling.RETRY, Handling.AUTH):
        return Unavailable(error.retry_after_s, str(error))
    return Refused(_code(error), str(error))


def _code(error: BuyWithPrimeError) -> str:
    return (error.code or error.family or "refused") if isinstance(error, APIError) else "refused"


# ---- The adapter


@dataclass(frozen=True)
class _Attempt:
    """An order that is ready to be sent, and the preview that it is bound to, if it is."""

    new: CreateOrderInput
    asked: DeliveryPreviewInput | None = None
    preview: DeliveryPreview | None = None

    def expired(self, now: datetime) -> bool:
        """Whether its offer is no longer good."""
        if self.asked is None or self.preview is None:
            return False
        return any(each.rule is Rule.EXPIRED for each in orders.violations(self.new, self.asked, self.preview, now))


class BuyWithPrime:
    """The interface of all adapters, on the API's client."""

    name = "buy_with_prime"

    def __init__(self, store: Store, shoppers: Shoppers, now: Callable[[], float]) -> None:
        """`now()` is the store's clock, Unix seconds: that of offers."""
        self._store = store
        self._shoppers = shoppers
        self._now = now

    async def order(self, intent: Intent, item: Item, customer: Customer) -> Snapshot:
        known = await self._read(orders.by_intent(str(intent.id)))
        if known is not None:
            return snapshot(intent.id, known)
        try:
            made = await self._create(intent, item, customer)
        except APIError as error:
            if error.handling is Handling.STOCK and not error.sent:
                raise ShortOfStock(await self._available(intent, item, error), _code(error)) from None
            raise _told(error, changing=True) from None
        except BuyWithPrimeError as error:
            raise _told(error, changing=True) from None
        except ValidationError as error:
            where = ".".join(map(str, error.errors(include_input=False, include_context=False)[0]["loc"]))
            raise Refused("NotOrderable", f"no order can be made of the directory's item and customer: {where or 'all'}") from None
        # The answer to createOrder is short: of what it leaves out an adopted order may have more.
        return replace(snapshot(intent.id, made), total=_total(made, item, intent))

    async def find(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot | None:
        found = await self._read(orders.by_intent(str(intent_id)))
        return snapshot(intent_id, found) if found else None

    async def by_id(self, order_id: str) -> tuple[str | None, Order] | None:
        """The order of the store's own id and the intent that it goes by; None for one that is not there. Raises AdapterError."""
        found = await self._read(OrderIdentifierInput(order_id=order_id))
        if found is None:
            return None
        names = [alias.alias_id for alias in found.aliases if alias.alias_type == orders.INTENT_ALIAS]
        return (names[0] if names else None), found

    async def start(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot:
        found = await self._existing(intent_id)
        if orders.standing(found) is not Standing.HELD:
            return snapshot(intent_id, found)
        try:
            answer = await self._store.update_order(orders.by_intent(str(intent_id)), orders.START)
        except BuyWithPrimeError as error:
            return await self._not_started(intent_id, error)
        changes = {"execution_state": ExecutionState.STARTED, "updated_at": answer.updated_at or found.updated_at}
        return snapshot(intent_id, found.model_copy(update=changes))

    async def _not_started(self, intent_id: IntentId, error: BuyWithPrimeError) -> Snapshot:
        if isinstance(error, APIError) and orders.standing_after(error) is not None:
            # Someone else was quicker: another copy of the gateway, or a cancellation. The order tells which.
            return snapshot(intent_id, await self._existing(intent_id))
        if error.handling is Handling.STOCK and not error.sent:
            LOG.warning("buy_with_prime: an order is cancelled, because it is not there to be had: %s", error)
            return await self._call_off(intent_id, await self._existing(intent_id), orders.NO_STOCK)
        raise _told(error, changing=True) from None

    async def cancel(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot:
        found = await self._existing(intent_id)
        if orders.standing(found) is Standing.ENDED:
            return snapshot(intent_id, found)
        if orders.package_state(found) not in (None, PackageState.PENDING):
            raise Refused("TOO_LATE", "a package of the order is on its way")
        return await self._call_off(intent_id, found, orders.PERSONS_NO)

    async def _call_off(self, intent_id: IntentId, found: Order, why: CancelOrderInput) -> Snapshot:
        try:
            made = await self._store.cancel_order(orders.by_intent(str(intent_id)), why)
        except BuyWithPrimeError as error:
            if error.handling is Handling.DONE_BEFORE:
                return snapshot(intent_id, await self._existing(intent_id))
            raise _told(error, changing=True) from None
        if made.state is CancellationState.REJECTED:
            raise Refused("REJECTED", "the store does not cancel it any more")
        lines = [line.model_copy(update={"cancellations": (*line.cancellations, made)}) for line in found.line_items]
        return snapshot(intent_id, found.model_copy(update={"line_items": tuple(lines)}))

    async def put_return(self, intent_id: IntentId, given: Return, item: Item, customer: Customer) -> Snapshot:
        found = await self._existing(intent_id)
        try:
            change = _return(found, given)
        except ReturnError as error:
            raise Refused("RETURN", str(error)) from None
        if change is not None:
            found = await self._changed(intent_id, change)
        for cancelling in returns.doubled(found, returns.by_alias(given.id)):
            found = await self._changed(intent_id, cancelling)
        return snapshot(intent_id, found)

    async def _changed(self, intent_id: IntentId, change: UpdateOrderInput) -> Order:
        """The whole order after a change, also after one that someone else has made meanwhile."""
        try:
            await self._store.update_order(orders.by_intent(str(intent_id)), change)
        except BuyWithPrimeError as error:
            if error.handling is not Handling.DONE_BEFORE:
                raise _told(error, changing=True) from None
        return await self._existing(intent_id)

    async def _read(self, identifier: OrderIdentifierInput) -> Order | None:
        try:
            return await self._store.order(identifier)
        except BuyWithPrimeError as error:
            raise _told(error, changing=False) from None

    async def _existing(self, intent_id: IntentId) -> Order:
        found = await self._read(orders.by_intent(str(intent_id)))
        if found is None:
            raise Refused("ResourceNotFound", "the store has no order of this intent")
        return found

    # Making one

    async def _create(self, intent: Intent, item: Item, customer: Customer) -> Order:
        """The new order. What was refused because preview or token was too old is tried once more, with new ones."""
        attempt: _Attempt | None = None
        try:
            attempt = await self._attempt(intent, item, customer, fresh=False)
            return await self._store.create_order(attempt.new)
        except APIError as error:
            expired = attempt is not None and attempt.expired(self._moment())
            if error.sent or not (expired or error.handling is Handling.STALE):
                raise
        attempt = await self._attempt(intent, item, customer, fresh=True)
        return await self._store.create_order(attempt.new)

    async def _attempt(self, intent: Intent, item: Item, customer: Customer, fresh: bool) -> _Attempt:
        shopper = await self._shopper(item, customer, fresh)
        wanted = _wanted(intent, item, customer, shopper)
        if shopper is None:
            return _Attempt(orders.unattended(wanted))
        asked = orders.preview_input(wanted)
        try:
            return await self._bound(wanted, asked)
        except BindingError as error:
            if not error.only_expired:
                raise Refused("DeliveryPreview", str(error)) from None
        try:
            return await self._bound(wanted, asked)
        except BindingError as error:
            raise Unavailable(None, f"previews are too old when they come: {error}") from None

    async def _bound(self, wanted: Wanted, asked: DeliveryPreviewInput) -> _Attempt:
        try:
            preview = await self._store.delivery_preview(asked)
        except BuyWithPrimeError as error:
            if error.handling in (Handling.STOCK, Handling.STALE):
                raise
            raise _told(error, changing=False) from None
        return _Attempt(orders.bound(wanted, asked, preview, self._moment()), asked, preview)

    async def _shopper(self, item: Item, customer: Customer, fresh: bool) -> IdentityTokenInput | None:
        """The shopper's token for an item that is for Prime; None where it goes by standard delivery."""
        if not item.prime or customer.shopper_token is None:
            return None
        try:
            return await self._shoppers.token(customer.id, customer.shopper_token, fresh)
        except NoShopper as error:
            LOG.warning("buy_with_prime: an order goes without Prime: %s", error)
            return None

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)

    async def _available(self, intent: Intent, item: Item, error: APIError) -> int | None:
        """How many there are, by previews; 0 when it is sold out, None when previews do not tell."""
        if error.code in orders.SOLD_OUT:
            return 0
        search = Search(intent.quantity)
        while (quantity := search.ask()) is not None:
            try:
                await self._store.delivery_preview(orders.stock_preview(_identifier(item), quantity, item.prime))
            except BuyWithPrimeError as refusal:
                if refusal.handling is not Handling.STOCK:
                    return None
                search = search.heard(quantity, there=False)
            else:
                search = search.heard(quantity, there=True)
        return search.offered


def _identifier(item: Item) -> ProductIdentifier:
    return ProductIdentifier(kind="sku", value=item.sku)


def _wanted(intent: Intent, item: Item, customer: Customer, shopper: IdentityTokenInput | None) -> Wanted:
    price = Money(amount=item.price, currency_code=item.currency)
    line = Line(
        PurchasedProductViewInput(identifier=_identifier(item), title=item.title, price=price),
        intent.quantity,
        discount=item.discount * intent.quantity,
        tax=item.tax * intent.quantity,
        prime=shopper is not None,
    )
    contact = ContactInput(email_data=EmailDataInput(name=customer.name, email=customer.email))
    return Wanted(
        str(intent.id),
        CustomerInput(id=customer.id, contact=contact),
        _address(customer),
        (line,),
        payments=_payments(customer, line.total, item.currency),
        shopper=shopper,
    )


def _address(customer: Customer) -> AddressInput:
    given = customer.address
    return AddressInput(
        name=customer.name,
        street_address=given.street,
        extended_address=given.extended,
        locality=given.locality,
        region=given.region,
        postal_code=given.postal_code,
        country_code=given.country,
        contact_number=given.phone,
    )


def _payments(customer: Customer, total: Decimal, currency: str) -> PaymentsInput | None:
    """How it is paid, by the maker's own name for it: for who answers the shopper's questions. Nothing is charged by it."""
    if customer.payment is None:
        return None
    amount = Money(amount=total, currency_code=currency)
    paid = PaymentDetailsInput(id=customer.payment, amount=amount, payment_method=PaymentMethodInput(display_string=customer.payment))
    return PaymentsInput(details=(paid,))


def _total(made: Order, item: Item, intent: Intent) -> Decimal:
    return made.total.amount if made.total else item.total(packs(made) or intent.quantity)


def _return(order: Order, given: Return) -> UpdateOrderInput | None:
    """What makes the order's return as it is told to be; None when it is so. Raises ReturnError."""
    state = ReturnState(given.state.value)
    known = returns.find(order, returns.by_alias(given.id))
    if known is None:
        if state is ReturnState.CANCELLED:
            return None  # the store never heard of it, and need not hear that it is off
        return returns.added(order, [returns.return_alias(given.id)], state, _units(order, given.quantity))
    if returns.units(known).total() != given.quantity:
        raise ReturnError(f"quantity: {given.quantity}: allowed: {returns.units(known).total()}, as when it was added")
    return None if known.state is state else returns.changed(order, returns.by_id(known.id), state)


def _units(order: Order, quantity: int) -> dict[str, int]:
    """So many packs, of the order's lines one after the other."""
    units: dict[str, int] = {}
    for line_id, left in returns.units_left(order).items():
        taken = min(left, quantity - sum(units.values()))
        if taken > 0:
            units[line_id] = taken
    if sum(units.values()) < quantity:
        raise ReturnError(f"quantity: {quantity}: allowed: 1 to {sum(units.values())}, which are not in a return yet")
    return units


@contextlib.asynccontextmanager
async def opened(settings: Settings, secrets: Mapping[str, Any], around: Surroundings) -> AsyncIterator[BuyWithPrime]:
    given = operations.Settings(
        client_id=secrets["client_id"],
        client_secret=secrets["client_secret"],
        access_key=secrets.get("access_key"),
        target_id=settings.target_id,
        target_headers=tuple(settings.target_headers),
        url=settings.url,
        token_url=settings.token_url,
    )
    context = ssl.create_default_context(cafile=settings.ca)
    profile = secrets.get("lwa_client_id"), secrets.get("lwa_client_secret")
    async with Client(given, context=context) as client, Shoppers(given, settings.lwa_url, *profile, context=context) as shoppers:
        yield BuyWithPrime(client, shoppers, around.now)
