"""Random stories of the model, lived by the shipped agent: after each move both must stand in the same place.

The agent is the real one on the fake board, with the fake service and its store; a power cut is a real restart from what is durable.
In the model every hold ends by itself, in any order: so a hold is over here when its own date is moved into the past, and the clock
hardly moves.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from replenish import app, asking, ordering
from replenish.core import order as o
from replenish.core import policy
from replenish.core.isotime import text

from host_tests.fakes import notices
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY, PowerCut
from host_tests.fakes.replaced import Replaced
from host_tests.model.slot import Model, Slot

STATUSES = {
    "PENDING": "Pending",
    "STATUS_PLACED": "Authorized",
    "STATUS_SHIPPED": "Shipped",
    "DELIVERED": "Closed",
    "CANCELLED": "Canceled",
}
NOTICES = {"STATUS_PLACED": notices.PLACED, "STATUS_SHIPPED": notices.SHIPPED, "CANCELLED": notices.CANCELLED}
UNSUBSCRIBED = 400, {}, b'{"message":"Slot is unsubscribed"}'
# What a request meets, by the words of the model: for `Service.next`. The answers that name an order are the service's own.
FAULTS = {
    "the request does not leave": "unsent",
    "the request is lost on its way": "drop",
    "the service refuses the request": 400,
    "the service says: unsubscribed": UNSUBSCRIBED,
}
# What the customer and the service do to an order.
LIVES = {
    "the order is placed": "STATUS_PLACED",
    "the order is shipped": "STATUS_SHIPPED",
    "the customer declines the order": "CANCELLED",
    "the customer cancels the order": "CANCELLED",
    "the order is not resolved in 72 hours": "CANCELLED",
    "the box arrives": "DELIVERED",
}
APART_S = 700  # more than the ten minutes by which a notice may be older than the intent whose order it names
SEEN = 18  # ids of notices that the device remembers
LEVELS = {"the slot is used up": 2, "the box is opened and filled in": 10, "the slot is filled from a shop": 10}
# What the agent does in the same step as what made it due.
AT_ONCE = (
    "the need is over before a call acted",
    "it is low, and a pack is at home",
    "the device still sees no refill",
    "the slot is full again",
)
_HINDERS = (
    "a poll",
    "a notice",
    "the customer",
    "the order is not",
    "the request",
    "the service refuses",
    "the service says",
    "the slot is filled",
    "the slot is unsub",
)


class Differs(Exception):
    """Model and code stand in different places; the text is the story up to there."""


class Bench:
    """The shipped agent with one slot, moved by the model's words."""

    def __init__(self) -> None:
        self.appliance = Appliance(["A"], confirm_s=0, resolution_grace_s=259200, max_orders_30_days=100)
        self.service = self.appliance.service
        self.dates: dict[tuple[int, str], int] = {}  # when what happened to which order
        self.applied: list[bytes] = []  # notices
        self.sent = self.adopted = 0
        self.observe()

    @property
    def agent(self):
        return self.appliance.agent

    @property
    def slot(self):
        return self.agent.slots[0]

    def now(self) -> int:
        return self.agent.tell_time()

    def observe(self) -> None:
        """What the agent does in each step before it calls anybody, twice: a level is believed when two readings agree."""
        for _ in range(2):
            self.appliance.clock.pass_s(2)
            self.slot.sample_at = 0
            self.agent._observe(self.slot, self.now())

    def id_of(self, number: int) -> str:
        return self.service.orders[number - 1].id if number else ""

    def may_ask(self) -> bool:
        """Whether the code's own gate is open, the backoff and the subscription's age apart."""
        self.appliance.clock.pass_s(2)
        order, device, now = self.slot.order, self.agent.device, self.now()
        device.next_try, device.subscriptions_at = 0, now
        if order.state != o.UNSUBSCRIBED:
            order.subscribed = 1
        if order.state in (o.ASKING, o.BLOCKED):
            order.next_try = 0
        asked_at = order.asked_at
        order.asked_at = min(asked_at, now - DAY)  # the probe interval is over
        wait = policy.order_wait(self.slot, device, now)
        order.asked_at = asked_at
        return wait == ""

    # Moves

    def ask(self, script: list[str]) -> None:
        """One replenish call, during which all of `script` happens."""
        self.appliance.clock.pass_s(APART_S)
        answer = self.service.call

        def call(request):
            said = None
            for told in script:
                if told.startswith("POWER CUT, after the first"):
                    self.appliance.store.cut_after = len(self.appliance.store.writes) + 1
                    return said
                if told.startswith("POWER CUT"):
                    raise PowerCut
                if told in LIVES:
                    self.live(told)
                elif told.startswith(("the request", "the service")):
                    self.service.next("replenish", *_meets(told))
                    orders = len(self.service.orders)
                    said = answer(request)
                    if len(self.service.orders) > orders:
                        self._before_the_call()
            return said

        self.service.call = call
        try:
            ordering.replenish(self.agent, self.slot, self.now())
        except PowerCut:
            self.appliance.store.cut_after = 0
            self.appliance.restart(2)
        finally:
            del self.service.call

    def _before_the_call(self) -> None:
        """What ended while a call was under way that then made an order ended long before it: the seconds of a call are none."""
        for happened, at in self.dates.items():
            self.dates[happened] = min(at, self.slot.order.asked_at - APART_S)

    def live(self, told: str) -> None:
        order = self.service.open_order("A")
        order.status = STATUSES[LIVES[told]]
        self.dates[self.service.orders.index(order) + 1, LIVES[told]] = self.now()
        order.open = told in ("the order is placed", "the order is shipped")
        order.delivery = text(self.appliance.clock.seconds + 3 * DAY)

    def date(self, in_time: bool) -> int:
        """A cancellation that comes now is one within the 72 hours, or is not. Returns when the order was accepted."""
        self.slot.order.accepted_at = self.now() - (3600 if in_time else 80 * 3600)
        return self.slot.order.accepted_at

    def poll(self, told: str, slot: Slot, model: Model) -> None:
        order, event = self.slot.order, told.split()[3].strip(",")
        held_id = order.held_id()
        if not policy.polled(order) or held_id != self.id_of(model.follows(slot)):
            raise Differs("a poll for another order")
        if event == "CANCELLED":
            self.date(not told.endswith("hours") and slot.orders[model.follows(slot) - 1].status != "timed out")
        item = {"status": STATUSES.get(event), "expectedDeliveryDate": text(self.now() + 3 * DAY)}
        body = json.dumps({"orderInfoData": {"instanceId": held_id, "orderItems": [item]}})
        self.service.next("order_info", 400 if event == "that" else body)
        asking.order_info(self.agent, self.slot)

    def notice(self, told: str, slot: Slot, model: Model) -> None:
        """A notification, as the maker's cloud hands it to the device; then it comes again, and so does an old one."""
        words = told.split()
        number, event = int(words[4]), words[6]
        order, at, adopted = self.slot.order, self.dates[number, event], model.adopts(slot, number, event)
        ours = adopted or number == model.follows(slot)
        if event == "CANCELLED" and ours:
            accepted_at = self.date(slot.orders[number - 1].status != "timed out")
            order.unknown_at = accepted_at if adopted and order.unknown_at else order.unknown_at
        order.missing_since = min(order.missing_since, at)  # one from before that says no more (README.md)
        self.sent += 1
        self.adopted += adopted
        delivery_at = 0 if event == "CANCELLED" else self.now() + 3 * DAY
        payload = notices.packed(notices.of_order(NOTICES[event], at, self.sent, self.id_of(number), delivery_at=delivery_at))
        word = self.agent.notice(payload)
        if (word == "not_ours") != (not ours) or word not in ("applied", "stale", "not_ours"):
            raise Differs(f"{told}: {word}")
        if word == "applied":
            self.applied.append(payload)
        for old in self.applied[-SEEN:][:1] + self.applied[-1:]:
            if self.agent.notice(old) != "duplicate":
                raise Differs("a notice is applied again")

    def pass_time(self, told: str) -> None:
        order, now = self.slot.order, self.now()
        dates = {
            "the call is too old": ("unknown_at", DAY),
            "the grace is over": ("accepted_at", 6 * DAY + 1),
            "the id was unknown for 72 hours": ("missing_since", 3 * DAY),
            "the delivery date has passed": ("delivery_at", 1),
            "the hold of blocked is over": ("sign_at", 15 * DAY),
            "the hold of awaiting_refill is over": ("next_try", 1),
            "the doubt is over": ("since", 15 * DAY),
            "the hold is over": ("next_try", 0),
        }
        name, age_s = dates[told.removeprefix("time: ")]
        setattr(order, name, now - age_s)
        self.agent.save(self.slot)

    def do(self, told: str, slot: Slot, model: Model) -> None:
        """One move that is no call."""
        if told in LIVES:
            self.live(told)
        elif told.startswith("POWER CUT"):
            self.appliance.restart(2)
        elif told.startswith("time: "):
            self.pass_time(told)
        elif told.startswith("a poll"):
            self.poll(told, slot, model)
        elif told.startswith("a notice"):
            self.notice(told, slot, model)
        elif told == "a person lets it go on":
            self.agent.resume()
        elif told in ("the slot is unsubscribed", "the slot is subscribed again"):
            self.service.subscribed["A"] = told.endswith("again")
            asking.subscription_info(self.agent)
            self.service.subscribed["A"] = True
        elif told in LEVELS:
            self.appliance.sensors["A"].value = LEVELS[told]
        if not (told.startswith("POWER CUT") and slot.flight[0]):
            self.observe()
        self.date(True)  # the dates of the model's holds are not those of one clock


def _meets(told: str) -> list:
    if told in FAULTS:
        return [FAULTS[told]]
    if told.endswith("is lost"):
        return ["lost"]
    if told.endswith("without an id"):
        code = "ORDER_INPROGRESS" if "in progress" in told else "STANDARD_ORDER_PLACED"
        return ['{"detailCode":"%s"}' % code]
    return []


class Replay:
    """One story, chosen at random from the model's moves, and lived."""

    def __init__(self, model: Model, seed: int) -> None:
        self.model, self.random = model, random.Random(seed)
        self.slot, self.bench = Slot(), Bench()
        self.told: list[str] = []
        self.calls = 0

    def _choices(self, slot: Slot) -> list[tuple[str, Slot]]:
        moves = list(self.model.moves(slot, "right"))
        for told, after in self.model.cut(slot):
            moves.append(("POWER CUT" + (told and ", ") + told, after))
        return moves + list(self.model.resume(slot))

    def _choose(self, slot: Slot) -> tuple[str, Slot]:
        """Any move; what brings an order on more often than what hinders it, so that stories get far."""
        moves = self._choices(slot)
        return self.random.choices(moves, [1 if told.startswith(_HINDERS) or told == "POWER CUT" else 6 for told, _ in moves])[0]

    def run(self, steps: int) -> None:
        for _ in range(steps):
            told, after = self._choose(self.slot)
            self.told.append(told)
            if told == "the device stores the intent and calls":
                self._ask(after)
            else:
                self.bench.do(told, self.slot, self.model)
                self.slot = after
                self._settle()
            self._compare()

    def _ask(self, slot: Slot) -> None:
        script = []
        while slot.flight[0] not in ("", "cut"):
            told, slot = self._choose(slot)
            script.append(told)
        self.told += script
        self.calls += any(told.startswith(("the request", "the service")) for told in script)
        self.bench.ask(script)
        self.slot = slot

    def _settle(self) -> None:
        """What the agent does at once, in the model too."""
        while due := [move for move in self.model.moves(self.slot, "right") if move[0] in AT_ONCE]:
            self.told.append(due[0][0])
            self.slot = due[0][1]

    def _compare(self) -> None:
        slot, bench, order = self.slot, self.bench, self.bench.slot.order
        modelled = {
            "state": slot.state,
            "calls": self.calls,
            "real orders": len(slot.orders),
            "own id": bench.id_of(slot.own),
            "id in progress": bench.id_of(slot.progress),
            "cancellations": slot.cancels,
            "may ask": self.model.may_ask(slot, "right"),
        }
        shipped = {
            "state": order.names()[0],
            "calls": bench.service.count("replenish"),
            "real orders": len(bench.service.orders),
            "own id": order.own_id,
            "id in progress": order.progress_id,
            "cancellations": order.cancels,
            "may ask": not slot.flight[0] and bench.may_ask(),
        }
        if modelled != shipped:
            wrong = [f"{name}: model {modelled[name]}, code {shipped[name]}" for name in modelled if modelled[name] != shipped[name]]
            raise Differs("\n".join([*self.told, *wrong]))


def replays(model: Model, stories: int, steps: int, seed: int = 1) -> Iterator[Replay]:
    """With all modules kept in memory: to load them again for each call and each notice takes half the time."""
    with Replaced(app, forget=lambda name: None):
        for number in range(stories):
            replay = Replay(model, seed * 1000003 + number)
            replay.run(steps)
            yield replay
