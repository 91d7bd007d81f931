"""Returns: the merchant's own, which are written through updateOrder, and those that a customer asks the store for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tools.simulator.buywithprime.agenda import Agenda
from tools.simulator.buywithprime.errors import invalid, unknown
from tools.simulator.buywithprime.fates import StoreTimings
from tools.simulator.buywithprime.fulfilment import Fulfilment, Tell
from tools.simulator.buywithprime.orders import (
    CONDITIONS,
    Alias,
    Amounts,
    Order,
    PackageState,
    Return,
    ReturnLine,
    ReturnPackage,
    Tracker,
    shares,
)
from tools.simulator.buywithprime.previews import whole_amount
from tools.simulator.identifiers import Identifiers
from tools.simulator.orders import OrderRefused
from tools.simulator.settings import Settings

_MOST_ALIASES = 2
# A package back moves along these; a failed one has left them.
_WAY = ("CREATED", "DROPPED_OFF", "IN_TRANSIT", "DELIVERED")
FAILURES = ("CARRIER_REJECTED", "SHIPMENT_LOST", "PICKUP_MISSED", "UNDELIVERABLE", "OTHERS", "EXCEPTION")
_EVENTS = {
    "IN_TRANSIT": "RETURN_PACKAGE_IN_TRANSIT",
    "DELIVERED": "RETURN_PACKAGE_DELIVERED",
    "FAILED": "RETURN_PACKAGE_DELIVERY_FAILED",
}


def aliases_of(given: Sequence[Mapping[str, str]] | None) -> list[Alias]:
    """The aliases of an input."""
    return [Alias(entry["aliasType"], entry["aliasId"]) for entry in given or ()]


class ExternalReturns:
    """The merchant's own returns: they are added and updated through updateOrder, and cause no event."""

    def __init__(self, names: Identifiers, settings: Settings) -> None:
        self._names = names
        self._settings = settings

    def plan(self, order: Order, given: Mapping[str, Any] | None, now: int) -> Callable[[], None]:
        """Check a ReturnsInput, raising StoreError; what it returns does it."""
        details = (given or {}).get("details") or []
        changes = [self._plan_one(order, entry, now) for entry in details]

        def change_all() -> None:
            for change in changes:
                change()

        return change_all

    def _plan_one(self, order: Order, given: Mapping[str, Any], now: int) -> Callable[[], None]:
        if len(given.get("aliases") or ()) > _MOST_ALIASES:
            raise invalid(f"a return has at most {_MOST_ALIASES} aliases", "AliasLimitExceeded")
        if given.get("returnIdentifier"):
            return self._update(order, given, now)
        return self._add(order, given, now)

    def _add(self, order: Order, given: Mapping[str, Any], now: int) -> Callable[[], None]:
        # Without an identifier it is a new return, whatever its aliases say: the trap that clients have to know.
        state = given.get("state") or "CREATED"
        if state == "CANCELLED":
            raise invalid("a new return is CREATED or COMPLETED")
        aliases = aliases_of(given.get("aliases"))
        if self._settings.bwp_return_alias == "refused":
            self._check_free(order, aliases, None)
        lines = [ReturnLine(self._names.uuid(), *pair) for pair in self._amounts(order, given)]
        return lambda: order.returns.append(Return(self._names.uuid(), True, now, now, lines, aliases, state=state))

    def _amounts(self, order: Order, given: Mapping[str, Any]) -> list[tuple[str, int]]:
        amounts = [
            (_line_id(order, entry["lineItemId"]), whole_amount(entry["amount"]))
            for line in given.get("returnLineItems") or ()
            for entry in (line.get("returnFor") or {}).get("orderLineItemAmounts") or ()
        ]
        if not amounts:
            raise invalid("a new return needs returnLineItems")
        for line, amount in amounts:
            if amount > order.line(line).amount:
                raise invalid(f"{amount} of line {line!r} cannot come back: it has {order.line(line).amount}")
        return amounts

    def _update(self, order: Order, given: Mapping[str, Any], now: int) -> Callable[[], None]:
        found = _find(order, given["returnIdentifier"])
        if not found.external:
            raise invalid(f"return {found.id!r} is not an external one")
        if given.get("returnLineItems"):
            raise invalid("of a return only the state and the aliases can be updated")
        aliases = found.aliases if given.get("aliases") is None else aliases_of(given["aliases"])
        self._check_free(order, aliases, found)

        def change() -> None:
            found.aliases, found.updated_at = aliases, now
            found.state = given.get("state") or found.state

        return change

    @staticmethod
    def _check_free(order: Order, aliases: list[Alias], owner: Return | None) -> None:
        for entry in order.returns:
            for alias in aliases:
                if entry is not owner and alias in entry.aliases:
                    raise invalid(f"alias {alias.id!r} belongs to return {entry.id!r}", "AliasValueAlreadyExists")


def _line_id(order: Order, identifier: Mapping[str, Any]) -> str:
    ((kind, value),) = identifier.items()
    for line in order.lines:
        if value == line.id if kind == "id" else aliases_of([value])[0] in aliases_of(line.given.get("aliases")):
            return line.id
    raise unknown("line item", value)


def _find(order: Order, identifier: Mapping[str, Any]) -> Return:
    ((kind, value),) = identifier.items()
    for entry in order.returns:
        if value == entry.id if kind == "id" else aliases_of([value])[0] in entry.aliases:
            return entry
    raise unknown("return", value)


@dataclass(frozen=True)
class _Plan:
    """How a return goes on by itself: `failure` is why its packages never arrive, `conditions` are found one unit after the other."""

    timings: StoreTimings
    failure: str | None
    conditions: tuple[str, ...]


class CustomerReturns:
    """The returns that customers ask for: they have packages, are graded, and lead to refunds."""

    def __init__(self, agenda: Agenda, names: Identifiers, fulfilment: Fulfilment, tell: Tell) -> None:
        self._agenda = agenda
        self._names = names
        self._fulfilment = fulfilment
        self._tell = tell

    def start(
        self,
        order: Order,
        now: int,
        timings: StoreTimings,
        amounts: Amounts | None = None,
        packages: int = 1,
        reason: str = "UNWANTED",
        failure: str | None = None,
        conditions: Sequence[str] = ("SELLABLE",),
        by_hand: bool = False,
    ) -> Return:
        """A customer sends back so many of each line (None: everything). Raises OrderRefused and ValueError."""
        wanted = {line.id: line.amount for line in order.lines} if amounts is None else dict(amounts)
        self._check(order, wanted, failure, conditions)
        # Such an id was seen in public: a reader must not cut it at the #.
        made = Return(f"{self._names.uuid()}#RF", False, now, now, [])
        made.lines = [ReturnLine(self._names.uuid(), line, amount, reason) for line, amount in wanted.items()]
        made.packages = [self._package(part, now) for part in shares(wanted, packages)]
        order.returns.append(made)
        order.updated_at = now
        self._tell(now, "RETURN_STARTED", order, ("return", made.id))
        if not by_hand:
            plan = _Plan(timings, failure, tuple(conditions))
            for package in made.packages:
                self._plan(order, made, package, plan, now)
        return made

    def _package(self, amounts: Amounts, now: int) -> ReturnPackage:
        return ReturnPackage(self._names.uuid(), amounts, Tracker(self._names.uuid(), [("PENDING", now)]))

    @staticmethod
    def _check(order: Order, amounts: Amounts, failure: str | None, conditions: Sequence[str]) -> None:
        if failure not in (None, *FAILURES):
            raise ValueError(f"failure is {failure!r}: one of {', '.join(FAILURES)}, or null")
        _check_conditions(conditions)
        for line_id, amount in amounts.items():
            there = sum(package.amounts.get(line_id, 0) for package in order.packages if package.state is PackageState.DELIVERED)
            lines = [line for entry in order.returns if entry.state != "CANCELLED" for line in entry.lines]
            gone = sum(line.amount for line in lines if line.line == line_id)
            if not 1 <= amount <= there - gone:
                raise OrderRefused(f"{amount} of line {order.line(line_id).id} cannot be sent back: {there - gone} are there")

    def _plan(self, order: Order, made: Return, package: ReturnPackage, plan: _Plan, now: int) -> None:
        timings = plan.timings
        dropped = now + timings.drop_off_after_s
        scanned = dropped + timings.return_scan_s
        there = scanned + timings.return_deliver_s
        for due, state in ((dropped, "DROPPED_OFF"), (scanned, "IN_TRANSIT")):
            self._agenda.at(due, partial(self._by_itself, order, made, package, state, None))
        if plan.failure is not None:
            self._agenda.at(there, partial(self._by_itself, order, made, package, "FAILED", plan.failure))
            return
        self._agenda.at(there, partial(self._by_itself, order, made, package, "DELIVERED", None))
        self._agenda.at(there + timings.grade_after_s, partial(self._grade_package, order, made, package, plan.conditions))

    def _by_itself(self, order: Order, made: Return, package: ReturnPackage, state: str, reason: str | None, time: int) -> None:
        if _leads_on(package.state, state):
            self._enter(order, made, package, state, reason, time)

    def move(self, order: Order, made: Return, package: ReturnPackage, state: str, reason: str | None, time: int) -> None:
        """Move a package back on by hand. Raises ValueError for a bad word and OrderRefused when it leads back."""
        if state not in (*_WAY, "FAILED"):
            raise ValueError(f"state is {state!r}: one of {', '.join(_WAY)}, FAILED")
        if (reason is not None) != (state == "FAILED") or reason not in (None, *FAILURES):
            raise ValueError(f"reason is {reason!r}: one of {', '.join(FAILURES)} for a failed package, null for another")
        if not _leads_on(package.state, state):
            raise OrderRefused(f"package {package.id} is {package.state}: it cannot become {state}")
        self._enter(order, made, package, state, reason, time)

    def _enter(self, order: Order, made: Return, package: ReturnPackage, state: str, reason: str | None, time: int) -> None:
        package.state, package.reason = state, reason
        made.updated_at = order.updated_at = time
        if state in _EVENTS:
            package.tracker.milestones.append(("EXCEPTION" if state == "FAILED" else state, time))
            self._tell(time, _EVENTS[state], order, ("return", made.id), ("returnDelivery", package.id))
        if state == "IN_TRANSIT":
            refund = self._fulfilment.request_refund(order, package.amounts, "RETURN_DROPPED_OFF_PICKED_UP", made, time)
            for line in made.lines:
                line.refunds += [refund] if line.line in package.amounts else []
        self._maybe_complete(order, made, time)

    def _grade_package(self, order: Order, made: Return, package: ReturnPackage, conditions: Sequence[str], time: int) -> None:
        """Find the conditions of the units of a package, in turn, of those that nobody graded by hand."""
        for line in made.lines:
            open_ = min(package.amounts.get(line.line, 0), line.amount - sum(line.grades.values()))
            found = [conditions[number % len(conditions)] for number in range(open_)]
            if found and package.state == "DELIVERED":
                self._grade(order, made, line, {word: found.count(word) for word in dict.fromkeys(found)}, time)

    def grade(self, order: Order, made: Return, line_id: str, grades: Mapping[str, int], time: int) -> None:
        """Grade units of a return's line by hand. Raises ValueError, LookupError and OrderRefused."""
        _check_conditions(tuple(grades))
        line = next((line for line in made.lines if line.id == line_id), None)
        if line is None:
            raise LookupError(f"return {made.id!r} has no line {line_id!r}")
        if sum(line.grades.values()) + sum(grades.values()) > line.amount:
            raise OrderRefused(f"line {line_id} has {line.amount} units, of which {sum(line.grades.values())} are graded")
        self._grade(order, made, line, grades, time)

    def _grade(self, order: Order, made: Return, line: ReturnLine, grades: Mapping[str, int], time: int) -> None:
        for word, amount in grades.items():
            line.grades[word] = line.grades.get(word, 0) + amount
        made.updated_at = order.updated_at = time
        self._tell(time, "RETURN_ITEM_GRADED", order, ("return", made.id), ("returnLineItem", line.id))
        self._maybe_complete(order, made, time)

    def _maybe_complete(self, order: Order, made: Return, time: int) -> None:
        """A return is over when what arrived is graded, and the rest is known never to arrive."""
        lost = {line.line: sum(p.amounts.get(line.line, 0) for p in made.packages if p.state == "FAILED") for line in made.lines}
        graded = all(sum(line.grades.values()) >= line.amount - lost[line.line] for line in made.lines)
        ended = all(package.state in ("DELIVERED", "FAILED") for package in made.packages)
        if graded and ended and made.state == "CREATED":
            made.state, made.updated_at = "COMPLETED", time
            self._tell(time, "RETURN_COMPLETED", order, ("return", made.id))


def _check_conditions(words: Sequence[str]) -> None:
    for word in words:
        if word not in CONDITIONS:
            raise ValueError(f"condition {word!r}: one of {', '.join(CONDITIONS)}")
    if not words:
        raise ValueError(f"no condition: at least one of {', '.join(CONDITIONS)}")


def _leads_on(old: str, new: str) -> bool:
    if old not in _WAY[:-1]:
        return False
    return new == "FAILED" or _WAY.index(new) > _WAY.index(old)
