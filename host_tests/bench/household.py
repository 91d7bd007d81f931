"""Households in virtual time: the real agent, stepped as on a board that is always on, with a store that is measured.

The assumptions, all in one place:

- a slot holds 40 portions, 5 are used a day; its sensor is read hourly; the agent reports daily;
- `orders`: at 20 portions it orders; the order is placed after 2 hours, shipped after 20, delivered after 72, and refilled half
  a day later, when 8 days have gone by: 3.75 orders a month for each slot, the most that the fuse lets through by default;
- `quiet`: the same use, refilled every week and a half from elsewhere; never an order;
- `flicker`: an order is open for ever and the sensor, read every 30 seconds, swings as badly as it can: a need that begins is
  written, and ends at the next look, which is written too.
"""

import replenish.app

from host_tests.bench.media import Fan
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY
from host_tests.fakes.gateway import Gateway
from host_tests.fakes.replaced import Replaced
from host_tests.fakes.service import PLACED, Service
from host_tests.powerloss.world import iso, usual_id

HOUR = 3600
CAPACITY = 40
REORDER_AT = 20
USES_A_DAY = 5
CYCLE_S = 8 * DAY
_REFILL_AT = 7 * DAY + DAY // 2
FLICKER_PERIOD_S = 30


class Ticks:
    """The agent's ticks, in the clock's time."""

    def __init__(self, clock):
        self._clock = clock

    def ticks_ms(self):
        return self._clock.seconds * 1000

    @staticmethod
    def ticks_add(ticks, delta):
        return ticks + delta

    @staticmethod
    def ticks_diff(a, b):
        return a - b


class _Gc:
    """`gc` as the firmware sees it here: a collection at each call would move the media's megabytes again and again."""

    @staticmethod
    def collect():
        pass


class Market(Service):
    """Orders have ids of the usual form; every slot is subscribed; an ended order is forgotten, so that years fit the memory."""

    def __init__(self, clock, slots):
        Service.__init__(self, clock)
        self._slots = slots
        self.taken = 0

    def call(self, request):
        answer = Service.call(self, request)
        self.calls.clear()
        return answer

    def _replenish(self, slot):
        known = len(self.orders)
        answer = Service._replenish(self, slot)
        if len(self.orders) == known:
            return answer
        self.taken += 1
        self.orders[-1].id = usual_id(self.taken)
        return PLACED % self.orders[-1].id

    def _subscription_info(self, argument):
        pairs = ['"%s":{"subscribed":true}' % slot for slot in self._slots]
        return '{"slotsSubscriptionStatus":{%s}}' % ",".join(pairs)


    def age(self, order, age_s):
        """An order so many seconds after it was placed."""
        if age_s >= 72 * HOUR:
            order.status, order.open = "Closed", False
        elif age_s >= 20 * HOUR:
            order.status, order.delivery = "Shipped", iso(order.at + 5 * DAY)
        elif age_s >= 2 * HOUR:
            order.status = "Authorized"


class Counter(Gateway):
    """The same orders through the maker's gateway."""

    def __init__(self, clock, slots):
        Gateway.__init__(self, clock)
        self._slots = slots
        self.taken = 0

    def call(self, request):
        known = len(self.orders)
        answer = Gateway.call(self, request)
        self.taken += len(self.orders) - known
        self.calls.clear()
        self.tokens.clear()
        return answer

    def _subscription_info(self, argument, body):
        return 200, {"slots": {slot: {"subscribed": True} for slot in self._slots}}

    def age(self, order, age_s):
        if age_s >= 72 * HOUR:
            order.state = "DELIVERED"
        elif age_s >= 20 * HOUR:
            order.state, order.deliver_by = "IN_TRANSIT", order.at + 5 * DAY
        elif age_s >= 2 * HOUR:
            order.state = "STARTED"


class Household(Appliance):
    """`count` slots on a store."""

    def __init__(self, count, store, period_s=HOUR, reorder_at=REORDER_AT, backend="drs"):
        self._store = store
        self.names = ["S%02d" % number for number in range(count)]
        slots = [{"id": name, "capacity": CAPACITY, "reorder_at": reorder_at, "sensor": {"period_s": period_s}} for name in self.names]
        self._states = {}
        self._market = Counter if backend == "gateway" else Market
        Appliance.__init__(self, slots, backend=backend)
        for sensor in self.sensors.values():
            sensor.value = CAPACITY

    def start(self, cold=True):
        self.store = self._store
        if not isinstance(self.service, self._market):
            self.service = self._market(self.clock, self.names)
        replenish.app.forget = lambda name: None  # starts are many here
        with Replaced(replenish.app, gc=_Gc):
            Appliance.start(self, cold)
        if isinstance(self._store, Fan):
            self._store.name_write = self.name_write

    def name_write(self, key):
        """The kind of write under way: of an order, which transition, or that the state stays."""
        if key[:2] != "o-":
            return {"l": "level", "d": "device", "p": "progress", "s": "slots", "t": "token"}[key[0]]
        for slot in self.agent.slots:
            state = slot.order.names()[0]
            if state != self._states.get(slot.id, "idle"):
                self._states[slot.id] = state
                return {"asking": "intent", "accepted": "accepted", "idle": "cleared"}.get(state, "transition")
        return "same state"

    def step_until(self, end, look=lambda now: None):
        """Step to a time; `look(now)` lets happen what happens outside before each step."""
        with Replaced(replenish.app, time=Ticks(self.clock), gc=_Gc):
            while self.clock.seconds < end:
                look(self.clock.seconds)
                wait = self.agent.step()
                if wait:
                    self.clock.pass_s(max(1, min(wait, end - self.clock.seconds)))


def level_at(into):
    """The level of a slot so many seconds into its cycle."""
    return CAPACITY - USES_A_DAY * into // DAY if into < _REFILL_AT else CAPACITY


class Life:
    """What happens to a household's slots from `began` on; they are staggered over the cycle."""

    def __init__(self, household):
        self._household = household
        self._began = household.clock.seconds
        self.stagger_s = CYCLE_S // len(household.names)

    def into(self, number, now):
        """Seconds into the cycle of a slot; before its first cycle it is full."""
        since = now - self._began - number * self.stagger_s
        return since % CYCLE_S if since >= 0 else 0

    def look(self, now):
        household = self._household
        for number, name in enumerate(household.names):
            household.sensors[name].value = level_at(self.into(number, now))
        for order in household.service.orders:
            # Not at the same hours each time: littlefs compacts a folder's records every few days, and always the same write would pay.
            household.service.age(order, now - order.at - order.at // DAY % 11 * HOUR)
        household.service.orders = [order for order in household.service.orders if now - order.at < CYCLE_S]


def live_orders(household, cycles):
    """So many orders of each slot. Returns how many the service took."""
    life = Life(household)
    began = household.service.taken
    household.step_until(household.clock.seconds + (cycles + 1) * CYCLE_S - life.stagger_s, life.look)
    return household.service.taken - began


def live_quiet(household, days):
    """So many days of use without an order: the household was made with `reorder_at` 0."""
    life = Life(household)
    household.step_until(household.clock.seconds + days * DAY, life.look)


def live_flicker(household, hours):
    """Some hours of sensors that swing, while each slot's order is open and placed."""
    sensors = household.sensors
    for name in household.names:
        sensors[name].value = REORDER_AT
    household.step_until(household.clock.seconds + DAY)
    for order in household.service.orders:
        order.status = "Authorized"
    household.step_until(household.clock.seconds + DAY)

    def swing(now):
        """A need until it is stored, then none for one look."""
        for slot in household.agent.slots:
            stored = slot.level.saved_marks[1]
            sensors[slot.id].value = CAPACITY if stored else REORDER_AT

    household.store.forget()
    household.step_until(household.clock.seconds + hours * HOUR, swing)
