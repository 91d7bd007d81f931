"""The store: what may be done to its orders, and what becomes of them. It knows neither HTTP nor GraphQL.

What the API calls an input comes as a plain mapping with the API's names. What a client may not do raises StoreError; what a
person or a test asks for raises ValueError for a bad value, LookupError for what is not there and OrderRefused for what cannot be.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.simulator.buywithprime.agenda import Agenda
from tools.simulator.buywithprime.catalogue import Catalogue, Product
from tools.simulator.buywithprime.errors import Family, StoreError, invalid, unknown
from tools.simulator.buywithprime.fates import Fate, Fates, StoreTimings
from tools.simulator.buywithprime.fulfilment import Fulfilment
from tools.simulator.buywithprime.orders import Alias, Amounts, Cancellation, Execution, Line, Order, Package, PackageState, Return
from tools.simulator.buywithprime.previews import Preview, Previews, whole_amount
from tools.simulator.buywithprime.returns import CustomerReturns, ExternalReturns, aliases_of
from tools.simulator.buywithprime.shoppers import Shopper, Shoppers, check_address
from tools.simulator.clock import Clock
from tools.simulator.identifiers import Identifiers
from tools.simulator.journal import Journal
from tools.simulator.orders import OrderRefused
from tools.simulator.settings import Settings

_MOST_ALIASES = 5
_MOST_LINES = 20
# Parts of an order that an update replaces as they are.
_REPLACED = ("customer", "discounts", "orderLinks", "payments", "recipient", "shopperIdentity", "taxes", "totalPrice")

Given = Mapping[str, Any]
Change = Callable[[], None]


@dataclass(frozen=True)
class StoreEvent:
    """Something that happened in the store, at its own virtual `time`. `pairs` name what it happened to, besides the order."""

    number: int
    time: int
    type: str
    order_id: str
    pairs: tuple[tuple[str, str], ...]


class Store:
    """Products, previews, orders and returns of one store."""

    def __init__(self, clock: Clock, settings: Settings, seed: int) -> None:
        self.catalogue = Catalogue()
        self.shoppers = Shoppers()
        self.fates = Fates()
        self.timings = StoreTimings()
        self.events: Journal[StoreEvent] = Journal()
        self._settings = settings
        self._names = Identifiers(settings, f"store {seed}")
        self.target_id = f"bp-{self._names.uuid()}"
        self._agenda = Agenda(clock)
        self.previews = Previews(clock, settings, self._names, self.catalogue)
        self._fulfilment = Fulfilment(self._agenda, self._names, self.catalogue, self._tell)
        self._external = ExternalReturns(self._names, settings)
        self._returns = CustomerReturns(self._agenda, self._names, self._fulfilment, self._tell)
        self._orders: dict[str, Order] = {}
        self._by_alias: dict[Alias, Order] = {}
        self._fates: dict[str, tuple[Fate, StoreTimings]] = {}

    # What a client does.

    def preview(self, given: Given) -> Preview:
        """A DeliveryPreviewInput."""
        self.advance()
        return self.previews.make(given, self.shoppers.find(given.get("shopperIdentity")))

    def create(self, given: Given) -> Order:
        """A CreateOrderInput."""
        now = self.advance()
        aliases = aliases_of(given.get("aliases"))
        self._check_aliases(aliases, now)
        shopper = self.shoppers.find(given.get("shopperIdentity"))
        lines = self._lines([(None, entry) for entry in given["lineItems"]], given, shopper, now)
        self.catalogue.take(_stock(lines))
        order = Order(self._order_id(), now, now, dict(given), lines, [])
        self._name(order, aliases)
        order.packages = self._packages(lines)
        fate = self.fates.take()
        self._orders[order.id] = order
        self._fates[order.id] = (fate, self.timings.changed(fate.timings))
        if given.get("desiredExecutionState") == Execution.STARTED:
            self._start(order, now)
        return order

    def update(self, identifier: Given, given: Given) -> Order:
        """An UpdateOrderInput: all of it, or nothing when a part of it is refused."""
        now = self.advance()
        order = self.find(identifier)
        changes = [
            self._plan_aliases(order, given, now),
            self._external.plan(order, given.get("returns"), now),
            self._plan_execution(order, given.get("desiredExecutionState"), now),
        ]
        # Planned last, because it takes stock; done first, because what is started are the new lines.
        changes.insert(0, self._plan_lines(order, given, now))
        order.given.update({name: given[name] for name in _REPLACED if given.get(name) is not None})
        order.updated_at = now
        for change in changes:
            change()
        return order

    def cancel(self, identifier: Given, given: Given | None, requested_by: str = "MERCHANT") -> Cancellation:
        """A CancelOrderInput: the whole order."""
        now = self.advance()
        order, wish = self.find(identifier), given or {}
        aliases = aliases_of(wish.get("aliases"))
        if len(aliases) > _MOST_ALIASES:
            raise invalid(f"a cancellation has at most {_MOST_ALIASES} aliases")
        if order.cancelling or order.summary is PackageState.CANCELLED:
            raise StoreError(Family.CONFLICT, f"order {order.id!r} is being cancelled, or is already")
        made = Cancellation(self._names.uuid(), now, now, aliases, wish.get("reason"), wish.get("additionalComments"), requested_by)
        self._fulfilment.ask_to_cancel(order, made, *self._fates[order.id])
        return made

    def find(self, identifier: Given) -> Order:
        """The order that an OrderIdentifierInput means."""
        self.advance()
        ((kind, value),) = identifier.items()
        if kind == "orderId":
            if value in self._orders:
                return self._orders[value]
            raise unknown("order", value)
        order = self._named(*aliases_of([value]))
        if order is None:
            raise unknown("order", dict(value))
        return order

    # What a person or a test does.

    def orders(self) -> list[Order]:
        """All orders, oldest first."""
        self.advance()
        return list(self._orders.values())

    def order(self, order_id: str) -> Order:
        """One order. Raises LookupError."""
        self.advance()
        if order_id not in self._orders:
            raise LookupError(f"no order has the id {order_id!r}")
        return self._orders[order_id]

    def known(self, order_id: str) -> Order:
        """One order as it stands, without letting time pass: for those who hear an event of it. Raises KeyError."""
        return self._orders[order_id]

    def put_product(self, sku: str, /, **changes: object) -> Product:
        """Add a product or change one; see Catalogue.put."""
        return self.catalogue.put(sku, **changes)

    def set_fates(self, queue: Iterable[object] | None = None, default: object | None = None) -> None:
        """Decide the fates of the coming orders: the queue, then the default for ever."""
        self.fates.plan(queue, default)

    def set_timings(self, /, **changes: object) -> StoreTimings:
        """Change how long the parts of an order's life last, for orders to come."""
        self.timings = self.timings.changed(changes)
        return self.timings

    def move_package(self, order_id: str, package_id: str | None = None, *, state: str, reason: str | None = None) -> Package:
        """Move a package on (None: the first one that can still move)."""
        order = self.order(order_id)
        package = order.package(package_id) if package_id else _first(order.packages, ("PENDING", "IN_TRANSIT"), order)
        self._fulfilment.move(order, package, state, reason, self.advance())
        return package

    def milestone(self, order_id: str, package_id: str | None = None, *, code: str) -> Package:
        """The carrier reports a milestone of a package (None: the first one that is under way)."""
        order = self.order(order_id)
        package = order.package(package_id) if package_id else _first(order.packages, ("IN_TRANSIT",), order)
        self._fulfilment.milestone(order, package, code, self.advance())
        return package

    def cancel_by_shopper(self, order_id: str) -> Cancellation:
        """The customer asks that the order be cancelled."""
        try:
            return self.cancel({"orderId": self.order(order_id).id}, None, "SHOPPER")
        except StoreError as error:
            raise OrderRefused(str(error)) from error

    def decide_cancellation(self, order_id: str, success: bool) -> Cancellation:
        """Decide the cancellation that was asked for."""
        order = self.order(order_id)
        cancellation = order.cancelling
        if cancellation is None:
            raise OrderRefused(f"nobody asked to cancel order {order.id}, or it is decided")
        self._fulfilment.decide(order, cancellation, success, self.advance())
        return cancellation

    def start_return(self, order_id: str, **options: Any) -> Return:
        """The customer sends something back; the options are those of CustomerReturns.start."""
        return self._returns.start(self.order(order_id), self.advance(), self.timings, **options)

    def move_return(
        self, order_id: str, return_id: str, package_id: str | None = None, *, state: str, reason: str | None = None
    ) -> Return:
        """Move a package of a customer's return on (None: the first one that can still move)."""
        order = self.order(order_id)
        made = order.return_(return_id)
        on_its_way = ("CREATED", "DROPPED_OFF", "IN_TRANSIT")
        wanted = next((package for package in made.packages if package.id == package_id), None) if package_id else None
        if package_id and wanted is None:
            raise LookupError(f"return {return_id!r} has no package {package_id!r}")
        self._returns.move(order, made, wanted or _first(made.packages, on_its_way, made), state, reason, self.advance())
        return made

    def grade(self, order_id: str, return_id: str, grades: Mapping[str, int], line_id: str | None = None) -> Return:
        """Grade units of a return's line (None: its first): so many of each condition."""
        order = self.order(order_id)
        made = order.return_(return_id)
        if not made.lines or made.external:
            raise OrderRefused(f"return {return_id} is the merchant's own: nobody grades it here")
        self._returns.grade(order, made, line_id or made.lines[0].id, grades, self.advance())
        return made

    def advance(self) -> int:
        """Let everything happen that is due by now; returns the time."""
        return self._agenda.advance()

    def next_due(self) -> int | None:
        """When the next thing happens by itself; None if nothing will."""
        return self._agenda.next_due()

    # The rules.

    def _check_aliases(self, aliases: list[Alias], now: int, own: Order | None = None) -> None:
        before = own.aliases if own else []
        if len({*before, *aliases}) > _MOST_ALIASES:
            raise invalid(f"an order has at most {_MOST_ALIASES} aliases")
        if len(set(aliases)) < len(aliases):
            raise invalid("an alias is given twice", "AliasValueAlreadyExists")
        for alias in aliases:
            owner = self._named(alias)
            if owner is None or owner is own:
                continue
            if own is None and now < owner.created_at + self._settings.bwp_conflict_s:
                raise StoreError(Family.CONFLICT, f"an order with the alias {alias.id!r} is being created")
            raise invalid(f"the alias {alias.id!r} belongs to another order", "AliasValueAlreadyExists")

    def _named(self, alias: Alias) -> Order | None:
        return self._by_alias.get(alias)

    def _name(self, order: Order, aliases: list[Alias]) -> None:
        order.aliases += [alias for alias in aliases if alias not in order.aliases]
        self._by_alias.update(dict.fromkeys(aliases, order))

    def _lines(self, entries: Sequence[tuple[str | None, Given]], order: Given, shopper: Shopper | None, now: int) -> list[Line]:
        prime = [entry for _, entry in entries if _is_prime(entry)]
        if not entries or len(prime) > _MOST_LINES or len(entries) - len(prime) > _MOST_LINES:
            raise invalid(f"an order has 1 to {_MOST_LINES} lines for Prime, and as many that are not")
        address = (order.get("recipient") or {}).get("deliveryAddress")
        return [self._line(line_id, entry, address, shopper, now) for line_id, entry in entries]

    def _line(self, line_id: str | None, given: Given, address: Given | None, shopper: Shopper | None, now: int) -> Line:
        amount = whole_amount(given["amount"])
        details = given["selectedDeliveryOffer"]["details"]
        sku = None
        if details["deliveryProvider"] == "AMAZON":
            sku = self._checked_product(given, address).sku
            if _is_prime(given) and not (details.get("deliveryPreviewId") and details.get("id")):
                raise invalid("deliveryPreviewId and id are required for Prime")
            if details.get("deliveryPreviewId") or details.get("id"):
                self.previews.check(given, amount, address, shopper)
        return Line(line_id or self._names.uuid(), given, amount, sku, now)

    def _checked_product(self, given: Given, address: Given | None) -> Product:
        if not given.get("product"):
            raise invalid("product is required where Amazon delivers")
        if address is None:
            raise invalid("recipient.deliveryAddress is required where Amazon delivers", "InvalidAddress")
        check_address(address)
        return self.catalogue.find(given["product"]["identifier"])

    def _plan_aliases(self, order: Order, given: Given, now: int) -> Change:
        aliases = aliases_of(given.get("aliases"))
        self._check_aliases(aliases, now, order)
        return lambda: self._name(order, aliases)

    def _plan_lines(self, order: Order, given: Given, now: int) -> Change:
        if not given.get("lineItems") and not given.get("recipient"):
            return _nothing
        if order.execution is not Execution.NOT_STARTED:
            raise invalid("the order is STARTED: its lines and its recipient stay as they are", "InvalidOrderExecutionState")
        merged = {line.id: line.given for line in order.lines}
        new: list[tuple[str | None, Given]] = []
        for entry in given.get("lineItems") or ():
            if entry.get("id") is None:
                new.append((None, entry))
            elif entry["id"] in merged:
                merged[entry["id"]] = {**merged[entry["id"]], **entry}
            else:
                raise unknown("line item", entry["id"])
        shopper = self.shoppers.find(given.get("shopperIdentity") or order.given.get("shopperIdentity"))
        lines = self._lines([*merged.items(), *new], {**order.given, **given}, shopper, now)
        return self._plan_stock(order, lines)

    def _plan_stock(self, order: Order, lines: list[Line]) -> Change:
        old, new = _stock(order.lines), _stock(lines)
        self.catalogue.give_back(old)
        try:
            self.catalogue.take(new)
        except StoreError:
            self.catalogue.take(old)
            raise

        def change() -> None:
            created = {line.id: line.created_at for line in order.lines}
            for line in lines:
                line.created_at = created.get(line.id, line.created_at)
            order.lines, order.packages = lines, self._packages(lines)

        return change

    def _plan_execution(self, order: Order, desired: str | None, now: int) -> Change:
        if desired is None:
            return _nothing
        if desired == Execution.NOT_STARTED:
            if order.execution is Execution.STARTED:
                raise invalid("the order is STARTED already", "InvalidOrderExecutionState")
            return _nothing
        if order.cancelling or order.summary is PackageState.CANCELLED:
            raise invalid("the order is cancelled", "ExecutionCannotBeStartedDueToCancellation")
        if order.execution is Execution.NOT_STARTED:
            return lambda: self._start(order, now)
        if order.summary is not PackageState.PENDING or self._settings.bwp_started_again == "refused":
            raise invalid("the order is STARTED and under way", "ExecutionAlreadyStarted")
        return _nothing

    def _start(self, order: Order, now: int) -> None:
        order.execution = Execution.STARTED
        self._fulfilment.begin(order, *self._fates[order.id], now)

    def _packages(self, lines: list[Line]) -> list[Package]:
        amounts: Amounts = {line.id: line.amount for line in lines if line.sku is not None}
        return [Package(self._names.uuid(), amounts)] if amounts else []

    def _order_id(self) -> str:
        letters = self._names.uuid().replace("-", "").upper()
        return f"322-{letters[:4]}-{letters[4:10]}"

    def _tell(self, time: int, type_: str, order: Order, *pairs: tuple[str, str]) -> None:
        self.events.append(StoreEvent(self.events.next_number, time, type_, order.id, pairs))


def _nothing() -> None:
    """No change."""


def _is_prime(given: Given) -> bool:
    terms = given["selectedDeliveryOffer"]["details"].get("deliveryTerms") or {}
    return bool(terms.get("isPrimeEligible"))


def _stock(lines: list[Line]) -> dict[str, int]:
    amounts: dict[str, int] = {}
    for line in lines:
        if line.sku is not None:
            amounts[line.sku] = amounts.get(line.sku, 0) + line.amount
    return amounts


def _first(entries: Sequence[Any], states: tuple[str, ...], owner: Order | Return) -> Any:
    for entry in entries:
        if entry.state in states:
            return entry
    raise OrderRefused(f"{owner.id} has no package that is {' or '.join(states)}")
