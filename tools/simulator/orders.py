"""The order book: what becomes of an order, on a virtual clock.

Nothing here knows HTTP or how a service spells a state on the wire, so every back end of the
simulator can share it. Time passes lazily: an event is computed when somebody looks, but at exactly
its own time and in the order of those times, however rarely anybody looks.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from tools.simulator.clock import Clock
from tools.simulator.journal import EventJournal

HOUR_S = 3600
DAY_S = 24 * HOUR_S
_LONGEST_S = 3650 * DAY_S


class SlotKey(NamedTuple):
    """Which consumable of which appliance."""

    device: str
    slot: str


class OrderState(StrEnum):
    """Where an order stands."""

    ACCEPTED = "accepted"
    IN_RESOLUTION = "in_resolution"
    PLACED = "placed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class ScenarioKind(StrEnum):
    """What happens to an order when nobody interferes."""

    SUCCESS = "success"
    UNRESOLVED = "unresolved"
    RESOLVED = "resolved"


class OrderRefused(ValueError):
    """What was asked cannot be done to the order as it stands now; the message says why."""


class SlotBusy(OrderRefused):
    """The slot has an open order, `running`: there is never a second one."""

    def __init__(self, running: "Order") -> None:
        super().__init__(f"slot {running.key.slot} has the open order {running.order_id}")
        self.running = running


@dataclass(frozen=True)
class Timings:
    """How long each part of an order's life lasts, in seconds (0 to ten years).

    The 72 hours of resolution and the 24 hours to cancel are Amazon's; the others are ours.
    """

    place_after_s: int = 120
    problem_after_s: int = 120
    resolution_window_s: int = 72 * HOUR_S
    resolve_after_s: int = 30 * HOUR_S
    cancel_window_s: int = DAY_S
    ship_after_s: int = DAY_S
    deliver_after_s: int = 3 * DAY_S

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LONGEST_S:
                raise ValueError(f"{name} is {value!r}: a whole number of seconds, 0 to {_LONGEST_S}")
        if self.resolve_after_s >= self.resolution_window_s:
            raise ValueError("resolve_after_s must be shorter than resolution_window_s")

    def changed(self, changes: Mapping[str, int]) -> "Timings":
        """These timings with `changes`; raises ValueError for an unknown name or a bad value."""
        unknown = sorted(set(changes) - set(vars(self)))
        if unknown:
            raise ValueError(f"unknown timing {unknown[0]!r}: one of {', '.join(vars(self))}")
        return replace(self, **changes)


@dataclass(frozen=True)
class Scenario:
    """One order's fate: its kind, and the timings in which it differs from the book's."""

    kind: ScenarioKind = ScenarioKind.SUCCESS
    timings: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, form: "str | Mapping[str, object] | Scenario") -> "Scenario":
        """From "resolved", or from {"kind": "resolved", "resolve_after_s": 3600}.

        Raises ValueError, with what is allowed, for anything else.
        """
        if isinstance(form, Scenario):
            return form
        if not isinstance(form, str | Mapping):
            raise ValueError(f"unknown scenario {form!r}: a text, or an object with a kind")
        timings = {} if isinstance(form, str) else dict(form)
        kind = form if isinstance(form, str) else timings.pop("kind", None)
        if kind not in list(ScenarioKind):
            raise ValueError(f"unknown scenario {kind!r}: one of {', '.join(ScenarioKind)}")
        scenario = cls(ScenarioKind(str(kind)), timings)  # type: ignore[arg-type]
        Timings().changed(scenario.timings)
        return scenario


class _Step(NamedTuple):
    """The next thing that happens by itself."""

    wait: str
    events: tuple[str, ...]
    state: OrderState


_PLACING = _Step("place_after_s", ("placed",), OrderState.PLACED)
_PROBLEM = _Step("problem_after_s", ("problem",), OrderState.IN_RESOLUTION)
_TIME_OUT = _Step("resolution_window_s", ("cancelled",), OrderState.CANCELLED)
_RESOLVING = _Step("resolve_after_s", ("resolved", "placed"), OrderState.PLACED)
_SHIPPING = _Step("ship_after_s", ("shipped",), OrderState.SHIPPED)
_DELIVERY = _Step("deliver_after_s", ("delivered",), OrderState.DELIVERED)

_STEPS: dict[ScenarioKind, dict[OrderState, _Step]] = {
    ScenarioKind.SUCCESS: {
        OrderState.ACCEPTED: _PLACING,
        OrderState.PLACED: _SHIPPING,
        OrderState.SHIPPED: _DELIVERY,
    },
    ScenarioKind.UNRESOLVED: {
        OrderState.ACCEPTED: _PROBLEM,
        OrderState.IN_RESOLUTION: _TIME_OUT,
        # Reached only when a person resolves the problem after all.
        OrderState.PLACED: _SHIPPING,
        OrderState.SHIPPED: _DELIVERY,
    },
    ScenarioKind.RESOLVED: {
        OrderState.ACCEPTED: _PROBLEM,
        OrderState.IN_RESOLUTION: _RESOLVING,
        OrderState.PLACED: _SHIPPING,
        OrderState.SHIPPED: _DELIVERY,
    },
}


@dataclass
class Order:
    """One order and its life so far; times are virtual Unix seconds."""

    number: int
    order_id: str
    key: SlotKey
    product: str
    quantity: int
    test: bool
    scenario: ScenarioKind
    timings: Timings
    accepted_at: int
    state: OrderState = OrderState.ACCEPTED
    since: int = 0
    placed_at: int | None = None
    ended_at: int | None = None
    cancel_reason: str | None = None

    @property
    def open(self) -> bool:
        """Whether the order still blocks its slot."""
        return self.ended_at is None

    @property
    def delivery_estimate(self) -> int | None:
        """When the order is expected to arrive; None while, or because, it was never placed."""
        if self.placed_at is not None:
            start = self.placed_at
        elif self.state is OrderState.ACCEPTED:
            start = self.accepted_at + self.timings.place_after_s
        else:
            return None
        return start + self.timings.ship_after_s + self.timings.deliver_after_s

    @property
    def cancel_until(self) -> int | None:
        """When the customer's time to cancel is over; None before the order is placed."""
        return None if self.placed_at is None else self.placed_at + self.timings.cancel_window_s

    def step(self) -> _Step | None:
        """What happens next by itself; None when the life of the order is over."""
        return _STEPS[self.scenario].get(self.state)

    def due(self) -> int | None:
        """When that happens."""
        step = self.step()
        return None if step is None else self.since + int(getattr(self.timings, step.wait))


@dataclass
class SlotPlan:
    """The fates of a slot's coming orders: the queue first, then the default."""

    queue: deque[Scenario] = field(default_factory=deque)
    default: Scenario = field(default_factory=Scenario)

    def take(self) -> Scenario:
        """The next order's scenario."""
        return self.queue.popleft() if self.queue else self.default


class OrderBook:
    """All orders. One open order per slot: until it is delivered or cancelled it blocks the slot."""

    def __init__(
        self,
        clock: Clock,
        events: EventJournal,
        new_id: Callable[[], str],
        timings: Timings | None = None,
    ) -> None:
        """`new_id` names each order; `timings` hold for orders opened from then on."""
        self.timings = timings or Timings()
        self._clock = clock
        self._events = events
        self._new_id = new_id
        self._orders: dict[str, Order] = {}
        self._running: dict[SlotKey, Order] = {}
        self._plans: dict[SlotKey, SlotPlan] = {}

    def plan(self, key: SlotKey) -> SlotPlan:
        """The slot's plan; a new slot's orders all succeed."""
        return self._plans.setdefault(key, SlotPlan())

    def set_plan(
        self,
        key: SlotKey,
        queue: Iterable[str | Mapping[str, object] | Scenario] | None = None,
        default: str | Mapping[str, object] | Scenario | None = None,
    ) -> None:
        """Replace the queue, the default, or both. Raises ValueError and changes nothing if one is bad."""
        new_queue = None if queue is None else deque(Scenario.parse(form) for form in queue)
        new_default = None if default is None else Scenario.parse(default)
        plan = self.plan(key)
        plan.queue = plan.queue if new_queue is None else new_queue
        plan.default = new_default or plan.default

    def open(self, key: SlotKey, product: str, quantity: int = 1, test: bool = False) -> Order:
        """Accept an order for a slot. Raises SlotBusy while another one is open."""
        now = self.advance()
        if key in self._running:
            raise SlotBusy(self._running[key])
        scenario = self.plan(key).take()
        order = Order(
            number=len(self._orders) + 1,
            order_id=self._new_id(),
            key=key,
            product=product,
            quantity=quantity,
            test=test,
            scenario=scenario.kind,
            timings=self.timings.changed(scenario.timings),
            accepted_at=now,
            since=now,
        )
        self._orders[order.order_id] = self._running[key] = order
        self._emit(order, now, "accepted", scenario=str(scenario.kind), test=test)
        return order

    def running(self, key: SlotKey) -> Order | None:
        """The slot's open order."""
        self.advance()
        return self._running.get(key)

    def find(self, order_id: str) -> Order | None:
        """The order with that id, open or ended."""
        self.advance()
        return self._orders.get(order_id)

    def known(self, order_id: str) -> Order:
        """The order with that id as it stands, without letting time pass: for those who hear an event of it. Raises KeyError."""
        return self._orders[order_id]

    def orders(self, key: SlotKey | None = None) -> list[Order]:
        """All orders, or one slot's, oldest first."""
        self.advance()
        return [order for order in self._orders.values() if key in (None, order.key)]

    def resolve(self, key: SlotKey) -> Order:
        """The customer solves the order's problem now. Raises OrderRefused when it has none."""
        now = self.advance()
        order = self._open_order(key)
        if order.state is not OrderState.IN_RESOLUTION:
            raise OrderRefused(f"order {order.order_id} is {order.state}: it has no problem to solve")
        self._apply(order, _RESOLVING, now)
        return order

    def cancel(self, key: SlotKey) -> Order:
        """The customer cancels: during resolution, or within the cancel window of a placed order.

        Raises OrderRefused otherwise, and for a test order, which no customer can see.
        """
        now = self.advance()
        order = self._open_order(key)
        if order.test:
            raise OrderRefused(f"order {order.order_id} is a test order: customers do not see it")
        if not self._customer_may_cancel(order, now):
            raise OrderRefused(f"order {order.order_id} is {order.state} and can no longer, or not yet, be cancelled")
        self._cancel(order, now, "customer")
        return order

    def cancel_test(self, key: SlotKey) -> Order | None:
        """The maker cancels a test order: returns it, or None if the slot has no open order.

        Raises OrderRefused for a real order.
        """
        now = self.advance()
        order = self._running.get(key)
        if order is None:
            return None
        if not order.test:
            raise OrderRefused(f"order {order.order_id} is a real order: only its customer can cancel it")
        self._cancel(order, now, "test")
        return order

    def advance(self) -> int:
        """Let everything happen that is due by now, each at its own time; returns the time."""
        now = self._clock.now()
        while (due := self._next()) is not None and due[0] <= now:
            time, _, order, step = due
            self._apply(order, step, time)
        return now

    def next_due(self) -> int | None:
        """When the next thing happens by itself, in virtual Unix seconds; None if nothing will."""
        self.advance()
        due = self._next()
        return None if due is None else due[0]

    def _next(self) -> tuple[int, int, Order, _Step] | None:
        # Order numbers break ties, so two runs with the same calls tell the same story.
        candidates = []
        for order in self._running.values():
            due, step = order.due(), order.step()
            if due is not None and step is not None:
                candidates.append((due, order.number, order, step))
        return min(candidates, default=None)

    def _open_order(self, key: SlotKey) -> Order:
        if key not in self._running:
            raise OrderRefused(f"slot {key.slot} has no open order")
        return self._running[key]

    @staticmethod
    def _customer_may_cancel(order: Order, now: int) -> bool:
        if order.state is OrderState.PLACED and order.cancel_until is not None:
            return now < order.cancel_until
        return order.state is OrderState.IN_RESOLUTION

    def _cancel(self, order: Order, now: int, reason: str) -> None:
        order.cancel_reason = reason
        self._enter(order, OrderState.CANCELLED, now)
        self._emit(order, now, "cancelled", reason=reason)

    def _apply(self, order: Order, step: _Step, time: int) -> None:
        if step is _TIME_OUT:
            self._cancel(order, time, "unresolved")
            return
        self._enter(order, step.state, time)
        for event in step.events:
            self._emit(order, time, event)

    def _enter(self, order: Order, state: OrderState, time: int) -> None:
        order.state, order.since = state, time
        if state is OrderState.PLACED:
            order.placed_at = time
        if state in (OrderState.DELIVERED, OrderState.CANCELLED):
            order.ended_at = time
            del self._running[order.key]

    def _emit(self, order: Order, time: int, kind: str, **detail: object) -> None:
        self._events.emit(time, kind, order.key.device, order.key.slot, order.order_id, **detail)
