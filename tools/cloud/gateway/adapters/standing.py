"""How an order of Buy with Prime stands, in the gateway's words. No I/O."""

from datetime import datetime

from tools.cloud.buywithprime import returns
from tools.cloud.buywithprime.models import CancellationState, Order, PackageState
from tools.cloud.buywithprime.returns import Progress
from tools.cloud.gateway.model import IntentId, Snapshot, State

# By the sum of its packages, when that says enough.
_BY_PACKAGES = {
    PackageState.IN_TRANSIT: State.IN_TRANSIT,
    PackageState.DELIVERED: State.DELIVERED,
    PackageState.CANCELLED: State.CANCELLED,
}
# Before a package moves: by whether fulfilment has begun, and by the furthest cancellation that was not rejected. What has not
# begun and was asked to end will not begin, for nobody starts it any more; what has begun may yet be delivered.
_BEFORE: dict[tuple[bool, CancellationState | None], State] = {
    (False, None): State.PLACED,
    (True, None): State.STARTED,
    (False, CancellationState.PENDING): State.CANCELLED,
    (True, CancellationState.PENDING): State.UNKNOWN,
    (False, CancellationState.SUCCESS): State.CANCELLED,
    (True, CancellationState.SUCCESS): State.CANCELLED,
}
# Why an order ended without a person's no: reasons of cancellations, and of packages.
_NO_NO = frozenset({"OUT_OF_STOCK", "PAYMENT_ISSUE", "UNFULFILLABLE", "UNDELIVERABLE"})


def snapshot(intent_id: IntentId, order: Order, known: Progress | None = None) -> Snapshot:
    """How an order stands; what earlier looks at it have shown, `known`, is not taken back."""
    seen = returns.progress(order)
    found = returns.merged(known, seen) if known else seen
    state = _state(order, found)
    code = _code(order) if state is State.CANCELLED else None
    arrivals = [each.tracker.estimated_delivery_date for each in order.packages.details if each.tracker]
    return Snapshot(
        intent_id,
        State.FAILED if code else state,
        code=code,
        quantity=packs(order) or None,
        created=_latest(order.created_at),
        deliver_by=_latest(*(each.latest for each in arrivals if each)),
        returned=found.left or None,
        time=_latest(order.updated_at, *(each.updated_at for each in order.returns)),
        total=order.total.amount if order.total else None,
    )


def packs(order: Order) -> int:
    """Packs that are ordered, without those of packages that were cancelled while others were not."""
    ordered = sum(line.amount.value for line in order.line_items if line.amount)
    packages = order.packages.details
    lost = [package for package in packages if package.state is PackageState.CANCELLED]
    return ordered if len(lost) == len(packages) else ordered - sum(item.amount.value for each in lost for item in each.contents)


def _state(order: Order, found: Progress) -> State:
    state = _BY_PACKAGES.get(found.packages) or _BEFORE[found.started, _asked(order)]
    if state is not State.DELIVERED:
        return state
    if found.returning:
        return State.RETURNING
    return State.RETURNED if 0 < packs(order) <= found.left else State.DELIVERED


def _asked(order: Order) -> CancellationState | None:
    """The furthest cancellation that stands."""
    states = {each.state for each in order.cancellations}
    return next((state for state in (CancellationState.SUCCESS, CancellationState.PENDING) if state in states), None)


def _code(order: Order) -> str | None:
    """Why it ended, when that was nobody's no."""
    told = [each.reason for each in order.cancellations if each.state is not CancellationState.REJECTED]
    told += [each.reason for each in order.packages.details if each.state is PackageState.CANCELLED]
    return next((reason for reason in told if reason in _NO_NO), None)


def _latest(*moments: datetime | None) -> int | None:
    return max((int(each.timestamp()) for each in moments if each), default=None)
