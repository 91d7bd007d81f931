"""What becomes of an order's packages on the virtual clock, and what that leads to: events, refunds, stock that is there again."""

from collections.abc import Callable
from functools import partial

from tools.simulator.buywithprime.agenda import Agenda
from tools.simulator.buywithprime.catalogue import Catalogue
from tools.simulator.buywithprime.fates import Decision, Fate, FateKind, StoreTimings
from tools.simulator.buywithprime.orders import (
    CANCEL_REASONS,
    MILESTONES,
    Amounts,
    Cancellation,
    Order,
    Package,
    PackageState,
    Refund,
    Return,
    Tracker,
    shares,
)
from tools.simulator.identifiers import Identifiers
from tools.simulator.orders import OrderRefused

# tell(time, type of the event, order, (kind, id) of what it is about besides the order)
Tell = Callable[..., None]

_FINAL = (PackageState.DELIVERED, PackageState.CANCELLED)
# Where a state leads, and the event that says so.
_EVENTS = {
    PackageState.IN_TRANSIT: "PACKAGE_DELIVERY_IN_TRANSIT",
    PackageState.DELIVERED: "PACKAGE_DELIVERED",
    PackageState.CANCELLED: "PACKAGE_DELIVERY_CANCELLED",
}


class Fulfilment:
    """The packages of all orders."""

    def __init__(self, agenda: Agenda, names: Identifiers, catalogue: Catalogue, tell: Tell) -> None:
        self._agenda = agenda
        self._names = names
        self._catalogue = catalogue
        self._tell = tell

    def begin(self, order: Order, fate: Fate, timings: StoreTimings, now: int) -> None:
        """Fulfilment begins: the pending package is split, and each part goes its way."""
        order.packages = [part for package in order.packages for part in self._split(package, fate.packages)]
        for number, package in enumerate(order.packages):
            self._plan(order, package, fate.kind, timings, now + number * timings.split_gap_s)

    def _split(self, package: Package, parts: int) -> list[Package]:
        if parts == 1:
            return [package]
        return [Package(self._names.uuid(), share) for share in shares(package.amounts, parts)]

    def _plan(self, order: Order, package: Package, kind: FateKind, timings: StoreTimings, start: int) -> None:
        shipped = start + timings.ship_after_s
        there = shipped + timings.deliver_after_s
        package.due = None if kind is FateKind.UNFULFILLABLE else there
        if kind is FateKind.UNFULFILLABLE:
            self._later(shipped, order, package, PackageState.CANCELLED, "UNFULFILLABLE")
        elif kind is not FateKind.BY_HAND:
            self._later(shipped, order, package, PackageState.IN_TRANSIT)
            self._agenda.at(there - timings.deliver_after_s // 6, partial(self._out_for_delivery, order, package))
            end = (PackageState.DELIVERED, None) if kind is FateKind.DELIVERED else (PackageState.CANCELLED, "UNDELIVERABLE")
            self._later(there, order, package, *end)

    def _later(self, due: int, order: Order, package: Package, state: PackageState, reason: str | None = None) -> None:
        def act(time: int) -> None:
            # Somebody may have been quicker: a person by hand, or a cancellation.
            if _leads_on(package.state, state):
                self._enter(order, package, state, reason, time)

        self._agenda.at(due, act)

    def _out_for_delivery(self, order: Order, package: Package, time: int) -> None:
        if package.state is PackageState.IN_TRANSIT:
            self._mark(order, package, "OUT_FOR_DELIVERY", time)

    def move(self, order: Order, package: Package, state: str, reason: str | None, time: int) -> None:
        """Move a package on by hand. Raises ValueError for a bad word and OrderRefused when it leads back."""
        if state not in list(PackageState):
            raise ValueError(f"state is {state!r}: one of {', '.join(PackageState)}")
        if (reason is not None) != (state == PackageState.CANCELLED) or reason not in (None, *CANCEL_REASONS):
            raise ValueError(f"reason is {reason!r}: one of {', '.join(CANCEL_REASONS)} for a cancelled package, null for another")
        if not _leads_on(package.state, PackageState(state)):
            raise OrderRefused(f"package {package.id} is {package.state}: it cannot become {state}")
        self._enter(order, package, PackageState(state), reason, time)

    def milestone(self, order: Order, package: Package, code: str, time: int) -> None:
        """A milestone of the carrier, by hand. Raises ValueError for a bad word and OrderRefused without a carrier."""
        if code not in MILESTONES:
            raise ValueError(f"code is {code!r}: one of {', '.join(MILESTONES)}")
        if package.tracker is None:
            raise OrderRefused(f"package {package.id} is {package.state}: no carrier has it")
        self._mark(order, package, code, time)

    def _enter(self, order: Order, package: Package, state: PackageState, reason: str | None, time: int) -> None:
        package.state, package.reason, order.updated_at = state, reason, time
        if state is PackageState.CANCELLED:
            self._cancelled(order, package, time)
        else:
            package.tracker = package.tracker or Tracker(self._names.uuid(), [("INFO_RECEIVED", time)])
            self._mark(order, package, str(state), time)
        self._tell(time, _EVENTS[state], order, ("delivery", package.id))
        if state is PackageState.CANCELLED:
            cause = next((wish for wish in order.cancellations if wish.state == "SUCCESS"), None)
            self.request_refund(order, package.amounts, "CANCELLED_ORDER", cause, time)

    def _cancelled(self, order: Order, package: Package, time: int) -> None:
        for line, amount in package.amounts.items():
            sku = order.line(line).sku
            if sku is not None:
                self._catalogue.give_back({sku: amount})
        if package.tracker is not None:
            self._mark(order, package, "UNDELIVERABLE", time)

    def _mark(self, order: Order, package: Package, code: str, time: int) -> None:
        if package.tracker is not None:
            package.tracker.milestones.append((code, time))
            self._tell(time, "PACKAGE_TRACKER_MILESTONE_CHANGED", order, ("carrier", "ups"), ("tracker", package.tracker.id))

    def request_refund(self, order: Order, amounts: Amounts, reason: str, cause: Cancellation | Return | None, time: int) -> Refund:
        """The merchant is asked to pay back what so many of each line cost."""
        cents = sum(amount * _cents(order, line) for line, amount in amounts.items())
        refund = Refund(self._names.uuid(), amounts, cents, reason, time, cause)
        order.refunds.append(refund)
        self._tell(time, "REFUND_REQUESTED", order, ("refund", refund.id))
        return refund

    # Cancelling the whole order.

    def ask_to_cancel(self, order: Order, cancellation: Cancellation, fate: Fate, timings: StoreTimings) -> None:
        """A cancellation is asked for: it is decided a little later."""
        order.cancellations.append(cancellation)
        order.updated_at = cancellation.created_at
        if fate.cancellation is not Decision.BY_HAND:
            due, against = cancellation.created_at + timings.cancel_decide_s, fate.cancellation is Decision.REJECTED
            self._agenda.at(due, partial(self._decide_by_itself, order, cancellation, against))

    def _decide_by_itself(self, order: Order, cancellation: Cancellation, against: bool, time: int) -> None:
        if cancellation.state == "PENDING":
            self.decide(order, cancellation, not against and order.summary in (PackageState.PENDING, None), time)

    def decide(self, order: Order, cancellation: Cancellation, success: bool, time: int) -> None:
        """Decide it: with success everything that is pending is cancelled."""
        cancellation.state = "SUCCESS" if success else "REJECTED"
        cancellation.updated_at = order.updated_at = time
        for package in order.packages:
            if success and package.state is PackageState.PENDING:
                self._enter(order, package, PackageState.CANCELLED, "CUSTOMER_REQUESTED", time)


def _leads_on(old: PackageState, new: PackageState) -> bool:
    ranks = {PackageState.PENDING: 0, PackageState.IN_TRANSIT: 1, PackageState.DELIVERED: 2, PackageState.CANCELLED: 2}
    return old not in _FINAL and ranks[new] > ranks[old]


def _cents(order: Order, line_id: str) -> int:
    product = order.line(line_id).given.get("product")
    return round(product["price"]["amount"] * 100) if product else 0
