"""Returns: what is written of external ones, and what is read of all. No I/O and no clock.

An external return was arranged outside of Buy with Prime; the store hears of it by updateOrder. There are two ways to write one,
and no third: `added` is for one that the order does not have and names its lines; `changed` is for one that it has and names it. The
API takes an update that does not name its return for a new one; none such can be made here. Returns that the store arranged by itself
are only read. So are refunds: a return never makes one; the store asks the merchant's own system for it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from tools.cloud.buywithprime import orders
from tools.cloud.buywithprime.models import (
    MOST_RETURN_ALIASES,
    Alias,
    AmountInput,
    Condition,
    ExecutionState,
    Grading,
    LineItemAmount,
    LineItemIdentifierInput,
    Order,
    OrderLineItemAmountInput,
    PackageState,
    Return,
    ReturnDetailsInput,
    ReturnForInput,
    ReturnIdentifierInput,
    ReturnLineItem,
    ReturnLineItemInput,
    ReturnPackage,
    ReturnPackageState,
    ReturnsInput,
    ReturnState,
    UpdateOrderInput,
)

# The alias that is an external return's own id; unique among the returns of an order.
RETURN_ALIAS = "EXTERNAL-RETURN-ID"

_S = TypeVar("_S", bound=StrEnum)

# How far each state is; a later one is never followed by an earlier. Of two that end, the one that says that goods moved is further.
_RANKS: dict[type[StrEnum], tuple[StrEnum, ...]] = {
    PackageState: (
        PackageState.UNKNOWN,
        PackageState.PENDING,
        PackageState.IN_TRANSIT,
        PackageState.CANCELLED,
        PackageState.DELIVERED,
    ),
    ReturnState: (ReturnState.UNKNOWN, ReturnState.DRAFT, ReturnState.CREATED, ReturnState.CANCELLED, ReturnState.COMPLETED),
    ReturnPackageState: (
        ReturnPackageState.UNKNOWN,
        ReturnPackageState.CREATED,
        ReturnPackageState.DROPPED_OFF,
        ReturnPackageState.IN_TRANSIT,
        ReturnPackageState.FAILED,
        ReturnPackageState.DELIVERED,
    ),
}
# Packages that were on their way to the fulfilment centre, or are there.
_LEFT = frozenset({ReturnPackageState.DROPPED_OFF, ReturnPackageState.IN_TRANSIT, ReturnPackageState.DELIVERED})
# Why a package FAILED that the carrier never had: its content is at home. With any other reason it had left.
_NEVER_LEFT = frozenset({"PICKUP_MISSED", "CARRIER_REJECTED"})


class ReturnError(ValueError):
    """A return that cannot be written; the text names the fault and nothing of the customer."""


def further(one: _S, other: _S) -> _S:
    """The later of two states of one thing, in whichever order they were heard of."""
    ranks = _RANKS[type(one)]
    return max(one, other, key=ranks.index)


# ---- Writing external returns


def return_alias(return_id: str) -> Alias:
    return Alias(alias_type=RETURN_ALIAS, alias_id=return_id)


def by_alias(return_id: str) -> ReturnIdentifierInput:
    """The return that was added under this id of ours."""
    return ReturnIdentifierInput(alias=return_alias(return_id))


def by_id(return_id: str) -> ReturnIdentifierInput:
    """The return by the id that the store gave it."""
    return ReturnIdentifierInput(id=return_id)


def added(order: Order, aliases: Iterable[Alias], state: ReturnState, units: Mapping[str, int]) -> UpdateOrderInput:
    """Add a return to an order as it was just read. `state`: CREATED or COMPLETED; `units`: how many of which line, by the line's id.
    By the first alias it is known again when the answer is lost, so there is one. Raises ReturnError."""
    listed = _aliases(order, aliases, None)
    if not listed:
        raise ReturnError("aliases: none: allowed: 1 or 2, by the first of which the return is known again")
    if state not in (ReturnState.CREATED, ReturnState.COMPLETED):
        raise ReturnError(f"state: {state}: allowed for a new return: CREATED, COMPLETED")
    _check_units(order, units)
    lines = tuple(_line(line_id, amount) for line_id, amount in units.items())
    return _update(ReturnDetailsInput(aliases=listed, state=state, return_line_items=lines))


def changed(
    order: Order, which: ReturnIdentifierInput, state: ReturnState | None = None, aliases: Iterable[Alias] | None = None
) -> UpdateOrderInput:
    """Change a return that an order has as it was just read: its state, its aliases, or both. `aliases` replace all that it has,
    and an empty list takes them all away; None leaves them. Raises ReturnError: an unknown return would become a new one."""
    known = find(order, which)
    if known is None:
        raise ReturnError("return: the order has none of this name: allowed: one that it has")
    if state not in (None, ReturnState.CREATED, ReturnState.CANCELLED, ReturnState.COMPLETED):
        raise ReturnError(f"state: {state}: allowed: CREATED, CANCELLED, COMPLETED")
    if state and further(known.state, state) is not state:
        raise ReturnError(f"state: {state}: allowed: none before {known.state}, which it has")
    listed = None if aliases is None else _aliases(order, aliases, known)
    return _update(ReturnDetailsInput(return_identifier=which, state=state, aliases=listed))


def find(order: Order, which: ReturnIdentifierInput) -> Return | None:
    """A return of the order; of several that have the alias the first that was added and stands."""
    found = [each for each in order.returns if each.id == which.id or which.alias in each.aliases]
    return min(found, key=_age, default=None)


def doubled(order: Order, which: ReturnIdentifierInput) -> list[UpdateOrderInput]:
    """What cancels all returns of this alias but the one that `find` gives, and takes the alias from them. Two who add a return at
    the same time come to have two of it, for the API may take both; whoever looks cancels the same ones."""
    kept = find(order, which)
    others = [each for each in order.returns if which.alias in each.aliases and each is not kept]
    return [changed(order, by_id(each.id), ReturnState.CANCELLED, []) for each in others if each.state is ReturnState.CREATED]


def _age(given: Return) -> tuple[bool, float, str]:
    return given.state is ReturnState.CANCELLED, given.created_at.timestamp() if given.created_at else 0.0, given.id


def _update(details: ReturnDetailsInput) -> UpdateOrderInput:
    return UpdateOrderInput(returns=ReturnsInput(details=(details,)))


def _line(line_id: str, amount: int) -> ReturnLineItemInput:
    which = OrderLineItemAmountInput(amount=AmountInput(value=amount), line_item_id=LineItemIdentifierInput(id=line_id))
    return ReturnLineItemInput(return_for=ReturnForInput(order_line_item_amounts=(which,)))


def _aliases(order: Order, given: Iterable[Alias], own: Return | None) -> tuple[Alias, ...]:
    """At most two, each once, and none that another return of the order has."""
    listed = tuple(given)
    if len(listed) > MOST_RETURN_ALIASES:
        raise ReturnError(f"aliases: {len(listed)}: allowed: at most {MOST_RETURN_ALIASES}")
    others = [alias for each in order.returns if each is not own for alias in each.aliases]
    if any(alias in others or listed.count(alias) > 1 for alias in listed):
        raise ReturnError("aliases: one is taken: allowed: such as no other return of the order has, each once")
    return listed


def _check_units(order: Order, units: Mapping[str, int]) -> None:
    """No more than were ordered and are not in another return."""
    if not units:
        raise ReturnError("units: none: allowed: at least one line of the order")
    left = units_left(order)
    for line_id, amount in units.items():
        if line_id not in left:
            raise ReturnError("units: a line that the order does not have: allowed: its own")
        if not 1 <= amount <= left[line_id]:
            raise ReturnError(f"units: {amount}: allowed: 1 to {left[line_id]}, which are not in a return yet")


# ---- Reading returns


def units_left(order: Order) -> dict[str, int]:
    """How many of each line are in no return, those that were cancelled aside."""
    left = {line.id: line.amount.value if line.amount else 0 for line in order.line_items}
    for each in order.returns:
        if each.state is not ReturnState.CANCELLED:
            for line_id, amount in units(each).items():
                left[line_id] = left.get(line_id, 0) - amount
    return left


def units(given: Return) -> Counter[str]:
    """How many of which line a return is for, by the line's id: from the return itself, else from its lines."""
    return _counted(given.items) or _counted(item for line in given.line_items for item in line.items)


def _counted(items: Iterable[LineItemAmount]) -> Counter[str]:
    found: Counter[str] = Counter()
    for item in items:
        if item.line_item_id is not None:
            found[item.line_item_id] += item.amount.value
    return found


def left_home(order: Order) -> int:
    """How many units left the customer's home again, in all returns: of a COMPLETED one all, else those in packages that were
    handed over. It never falls as returns go on, and is never more than was ordered."""
    ordered = sum(line.amount.value for line in order.line_items if line.amount)
    return min(ordered, sum(_left(each) for each in order.returns))


def _left(given: Return) -> int:
    whole = units(given).total()
    if given.state is ReturnState.COMPLETED:
        return whole
    if given.state in (ReturnState.CANCELLED, ReturnState.DRAFT):
        return 0
    gone = [package for package in given.packages if _handed_over(package)]
    listed = sum(_counted(package.items).total() for package in gone)
    # Packages that do not say what is in them hold all of it, once all of them are gone.
    silent = any(not package.items for package in gone) and len(gone) == len(given.packages)
    return whole if silent else min(whole, listed)


def _handed_over(package: ReturnPackage) -> bool:
    failed_later = package.state is ReturnPackageState.FAILED and package.reason not in _NEVER_LEFT
    return package.state in _LEFT or failed_later


@dataclass(frozen=True)
class Graded:
    """What grading said of one line of a return: how many units of it were graded, and how many were found in which condition."""

    line: str
    units: int
    conditions: Mapping[Condition, int]


def gradings(given: Return) -> tuple[Graded, ...]:
    """Of each line of a return that was graded, by the order's line; units of a condition that is not known here count as UNKNOWN."""
    return tuple(_graded(line, line.grading) for line in given.line_items if line.grading is not None)


def _graded(line: ReturnLineItem, grading: Grading) -> Graded:
    conditions: Counter[Condition] = Counter()
    for condition, amount in grading.conditions:
        conditions[condition] += amount
    counted = grading.graded.value if grading.graded else conditions.total()
    return Graded(next(iter(_counted(line.items)), ""), counted, dict(conditions))


# ---- Only forward


@dataclass(frozen=True)
class Progress:
    """How far an order is, of which nothing goes back: its packages, its returns and their packages by id, the units that left."""

    started: bool = False
    packages: PackageState = PackageState.UNKNOWN
    returns: Mapping[str, ReturnState] = field(default_factory=dict)
    parcels: Mapping[str, ReturnPackageState] = field(default_factory=dict)
    left: int = 0

    @property
    def returning(self) -> bool:
        """Whether a return is agreed upon and has not ended."""
        return ReturnState.CREATED in self.returns.values()


def progress(order: Order) -> Progress:
    """How far it is by one look at it."""
    return Progress(
        order.execution_state is ExecutionState.STARTED,
        orders.package_state(order) or PackageState.UNKNOWN,
        {each.id: each.state for each in order.returns},
        {package.id: package.state for each in order.returns for package in each.packages},
        left_home(order),
    )


def merged(one: Progress, other: Progress) -> Progress:
    """How far it is by two looks, either of which may be the older, or both the same: looks may be merged in any order."""
    return Progress(
        one.started or other.started,
        further(one.packages, other.packages),
        _each_further(one.returns, other.returns),
        _each_further(one.parcels, other.parcels),
        max(one.left, other.left),
    )


def _each_further(one: Mapping[str, _S], other: Mapping[str, _S]) -> dict[str, _S]:
    both = {name: further(one[name], other[name]) for name in one.keys() & other.keys()}
    return {**one, **other, **both}
