"""Random stories of the model, lived by the shipped agent: after each move both must stand in the same place.

The agent is the real one on the fake board, with the fake service and its store; a power cut is a real restart from what is durable.
In the model every hold ends by itself, in any order: so a hold is over here when its own date is moved into the past, and the clock
hardly moves.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from replenish import asking, ordering
from replenish.core import news, policy
from replenish.core import order as o
from replenish.core.isotime import text

from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY, PowerCut
from host_tests.model.slot import Model, Slot

STATUSES = {
    "PENDING": "Pending",
    "STATUS_PLACED": "Authorized",
    "STATUS_SHIPPED": "Shipped",
    "DELIVERED": "Closed",
    "CANCELLED": "Canceled",
}
UNSUBSCRIBED = 400, {}, b'{"message":"Slot is unsubscribed"}'
# What a request meets, by the words of the model: for `Service.next`. The answers that name an order are the service's own.
FAULTS = {
    "the request does not leave": "unsent",
    "the request is lost on its way": "drop",
    "the service refuses the request": 400,
    "the service says: unsubscribed": UNSUBSCRIBED,
}
# What the customer and the service do to an order: its status afterwards.
LIVES = {
    "the order is placed": "Authorized",
    "the order is shipped": "Shipped",
    "the customer declines the order": "Canceled",
    "the customer cancels the order": "Canceled",
    "the order is not resolved in 72 hours": "Canceled",
    "the box arrives": "Closed",
}
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
        """What the agent does in each step before it calls anybody."""
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
            order.asked_at = min(order.asked_at, now - DAY)
        return policy.order_wait(self.slot, device, now) == ""

    # Moves

    def ask(self, script: list[str]) -> None:
        """One replenish call, during which all of `script` happens."""
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
                    said = answer(request)
            return said

        self.service.call = call  # type: ignore[method-assign]
        try:
            ordering.replenish(self.agent, self.slot, self.now())
        except PowerCut:
            self.appliance.store.cut_after = 0
            self.appliance.restart(2)
        finally:
            del self.service.call

    def live(self, told: str) -> None:
        order = self.service.open_order("A")
        order.status = LIVES[told]
        order.open = told in ("the order is placed", "the order is shipped")
        order.delivery = text(self.appliance.clock.seconds + 3 * DAY)

    def date(self, in_time: bool) -> None:
        """A cancellation that comes now is one within the 72 hours, or is not."""
        self.slot.order.accepted_at = self.now() - (3600 if in_time else 73 * 3600)

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

    def notice(self, told: str, slot: Slot) -> None:
        words = told.split()
        number, event = int(words[4]), words[6]
        order, now = self.slot.order, self.now()
        if self.id_of(number) == order.held_id():
            if event == "CANCELLED":
                self.date(slot.orders[number - 1].status != "timed out")
            news.learn(self.slot, getattr(o, event), now, now, now + 3 * DAY)
            self.agent.save(self.slot)

    def pass_time(self, told: str) -> None:
        order, now = self.slot.order, self.now()
        dates = {
            "the call is too old": ("unknown_at", DAY),
            "the grace is over": ("accepted_at", 6 * DAY + 1),
            "the id was unknown for 72 hours": ("missing_since", 3 * DAY),
            "the delivery date has passed": ("delivery_at", 1),
            "the hold of blocked is over": ("sign_at", 15 * DAY),
            "the hold of awaiting_refill is over": ("since", 15 * DAY),
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
            self.notice(told, slot)
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
        moves = [move for move in self.model.moves(slot, "right") if not self._adopts(slot, move[0])]
        for told, after in self.model.cut(slot):
            moves.append(("POWER CUT" + (told and ", ") + told, after))
        return moves + list(self.model.resume(slot))

    def _adopts(self, slot: Slot, told: str) -> bool:
        return told.startswith("a notice") and self.model.adopts(slot, int(told.split()[4]))

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
    for number in range(stories):
        replay = Replay(model, seed * 1000003 + number)
        replay.run(steps)
        yield replay
