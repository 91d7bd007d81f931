"""One household's year with one way of ordering, in virtual time: the parcels, the people, and what came of it.

What is assumed of them:

- an order arrives two to seven days after the day it was made on, in the daytime; the service says "placed" at once, from the day
  before on "shipped", to be there by the end of the day, and "closed" when it has arrived;
- half of the people load a pack when it arrives, as much as fits; the others when there is no more for the next portion, which
  they take at once;
- when there is nothing in the slot and nothing at home, nobody buys it elsewhere: what was wanted in that time is lost;
- the household begins with a full slot and nothing else, and the appliance knows nothing of it;
- the sensor is read hourly, and twice more around a refill.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from host_tests import shim

shim.install()

from replenish import config as configuration  # noqa: E402  (the firmware wants the shim)
from replenish.core import device as d  # noqa: E402
from replenish.core import news, policy  # noqa: E402
from replenish.core import order as o  # noqa: E402
from replenish.core.device import Device  # noqa: E402
from replenish.core.slot import Slot  # noqa: E402

from host_tests.bench.use import PACK, ROUNDING, YEAR_DAYS, Household  # noqa: E402

HOUR_S = 3600
_DELIVERY_DAYS = (2, 7)
_DELIVERY_HOURS = (9, 17)
_CONFIRM_S = 600  # after a refill somebody uses some of it before it is confirmed


@dataclass
class Order:
    """What was known, and what was true, when it was made; times in hours since the household's beginning."""

    made: int
    arrives: int
    lasts_days: float  # true: until what was at home then ran out
    forecast_days: float | None  # what the appliance thought of that
    spare_days: float | None = None  # true: what was at home lasted so long beyond the arrival; below 0: it was missing so long


@dataclass
class Year:
    """What came of it."""

    orders: list[Order] = field(default_factory=list)
    dry_days: int = 0  # on which something was wanted that was not there
    dry_runs: int = 0
    packs_left: float = 0.0  # at home unused, or on the way, at the end of the year


class Home:
    """The slot and what else is there, as they truly are."""

    def __init__(self, household: Household) -> None:
        self.household = household
        self.level = household.pattern.capacity
        self.stock = 0.0  # at home, not loaded
        self.coming: Order | None = None
        self.hour = 0
        self.year = Year()
        self._into_s = 0  # the hour
        self.loads = 0
        self._look: Callable[[], None] = lambda: None
        self._dry_since: int | None = None
        self._dry_day = -1
        self._chance = random.Random(household.seed + "/home")
        self._loads_at_once = self._chance.random() < 0.5 and not household.pattern.whole
        self._readings = random.Random(household.seed + "/sensor")

    @property
    def now(self) -> int:
        """Unix seconds."""
        return self.household.begin + self.hour * HOUR_S + self._into_s

    def lasts_hours(self) -> int:
        """How long what is at home will last, in truth."""
        return self.household.hours_lasting(self.hour, self.level + self.stock)

    def arrival(self, hour: int) -> int:
        """When an order arrives that would be the next and be made in this hour. Every way of ordering meets the same parcels."""
        chance = random.Random(f"{self.household.seed}/parcel {len(self.year.orders)}")
        days, of_day = chance.randint(*_DELIVERY_DAYS), chance.randint(*_DELIVERY_HOURS)
        return (hour // 24 + days) * 24 + of_day  # a household's first hour begins at its midnight

    def promised(self, order: Order) -> int:
        """When the day of arrival is over, Unix seconds."""
        return self.household.begin + (order.arrives // 24 + 1) * 24 * HOUR_S

    def order(self, forecast_days: float | None) -> Order:
        self.coming = Order(self.hour, self.arrival(self.hour), self.lasts_hours() / 24, forecast_days)
        self.year.orders.append(self.coming)
        return self.coming

    def live(self, look: Callable[[], None]) -> None:
        """One hour: a parcel may come, people use what they want, if it is there, and the appliance looks."""
        self._look = look
        loads = self.loads
        if self.coming and self.hour >= self.coming.arrives:
            self._receive(self.coming)
        self._use(self.household.demand[self.hour])
        self.hour += 1
        if self.loads > loads:
            self._into_s = _CONFIRM_S - HOUR_S
            look()
            self._into_s = 0
        look()

    def _receive(self, order: Order) -> None:
        order.spare_days = self.lasts_hours() / 24 if self._dry_since is None else (self._dry_since - self.hour) / 24
        self.stock += PACK
        self.coming = None
        if self._loads_at_once:
            self._load()

    def _use(self, wanted: float) -> None:
        while wanted > self.level + ROUNDING:
            if not self.stock:
                self._lack()
                break
            wanted -= self.level
            self.level = 0.0
            self._load()
        self.level = max(0.0, self.level - wanted)

    def _load(self) -> None:
        """As much as fits; the appliance sees it before it is used."""
        amount = min(self.stock, self.household.pattern.capacity - self.level)
        self.level += amount
        self.stock -= amount
        self.loads += 1
        self._dry_since = None
        self._look()

    def _lack(self) -> None:
        if self._dry_since is None:
            self._dry_since = self.hour
            self.year.dry_runs += 1
        self.year.dry_days += self._dry_day != self.hour // 24
        self._dry_day = self.hour // 24

    def read(self) -> float:
        """What the sensor shows: a level, whatever the noise does."""
        pattern = self.household.pattern
        shown = self._readings.gauss(self.level, pattern.noise * pattern.capacity)
        if self._readings.random() < pattern.outlier:
            shown = self._readings.uniform(0, pattern.capacity)
        return round(min(max(shown, 0.0), 1.1 * pattern.capacity), 1)

    def end(self) -> Year:
        self.year.packs_left = self.stock / PACK + bool(self.coming)
        return self.year


class Orderer(Protocol):
    """A way of ordering: looks once an hour."""

    def look(self) -> None: ...


class Oracle:
    """Knows what will be wanted and when a parcel would arrive: orders in the last hour from which it still comes in time."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def look(self) -> None:
        home = self._home
        if not home.coming and home.arrival(home.hour + 1) > home.hour + home.lasts_hours():
            home.order(None)


class Shipped:
    """The firmware's core decides; what is left out of the agent is the network, the store and the daily reports."""

    def __init__(self, home: Home, reorder_at: float, lead_days: int) -> None:
        """reorder_at: in parts of the capacity."""
        pattern = home.household.pattern
        defaults = configuration.defaults()
        config = {
            **defaults["slot"],
            "id": "S",
            "capacity": pattern.capacity,
            "reorder_at": reorder_at * pattern.capacity,
            "lead_days": lead_days,
            "pack": None if pattern.whole else PACK,
            "sensor": {"period_s": HOUR_S},
        }
        self._home = home
        self._rules = defaults["policy"]
        self.slot = Slot(config, self._rules)
        self.slot.order.subscribed = 1
        self._device = Device("SN0001")
        self._device.linked = True
        self._device.reported_day = policy.NEVER  # no reports
        self._order: Order | None = None

    def look(self) -> None:
        slot, device = self.slot, self._device
        now = device.subscriptions_at = self._sampled()
        policy.advance(slot, now)
        due = policy.next_call((slot,), device, now)
        if due and due[0] == d.REPLENISH:
            self._replenish(now)
        elif due:
            self._poll(now)

    def _sampled(self) -> int:
        """The time after a look; a slot that wants to look again soon does so first."""
        now = self._home.now
        self.slot.sample(self._home, now)
        while self.slot.sample_at < now + HOUR_S:
            now = self.slot.sample_at
            self.slot.sample(self._home, now)
        return now

    def _replenish(self, now: int) -> None:
        slot, home = self.slot, self._home
        free_at = slot.order.fuse_free_at(now, self._rules["max_orders_30_days"])
        if free_at:
            return slot.order.limit(now, free_at)
        slot.order.intend(now, slot.need(now) == "low")
        if home.coming:
            return slot.order.block(now, "id", now + self._rules["poll_interval_s"])
        self._order = home.order(slot.days_left(now))
        return slot.order.accept(now, "id", now + self._rules["resolution_grace_s"])

    def _poll(self, now: int) -> None:
        slot, home, order = self.slot, self._home, self._order
        slot.order.next_poll = news.next_poll(slot.order, self._rules, now)
        if not order or home.hour >= order.arrives:
            news.learn(slot, o.DELIVERED, now, now, 0)
        elif home.hour >= order.arrives - 24:
            news.learn(slot, o.STATUS_SHIPPED, now, now, home.promised(order))
        else:
            news.learn(slot, o.STATUS_PLACED, now, now, 0)


def live(home: Home, orderer: Orderer) -> Year:
    """The whole year."""
    for _ in range(YEAR_DAYS * 24):
        home.live(orderer.look)
    return home.end()
