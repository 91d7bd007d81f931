"""One slot of the device, the service that takes its orders, the customer, and what the laws remember of them: as one small state.

Which state follows an event is looked up in the shipped table (core/order.py); what else an event brings, and when it may come, is
written here once more, from the laws and not from the code, and `replay.py` compares the two. Time is no number here: each hold is
running or over, and may be over at any moment, so whatever holds here holds for every configuration and for clocks however wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tools import diagram

STEPS = diagram.Table(diagram.SOURCE.read_text()).steps
OPEN = ("accepted", "awaiting_customer", "placed", "shipped")
FOLLOWS = (*OPEN, "blocked", "in_doubt", "awaiting_refill")  # there news of an order may be of use

# What the service knows of an order, and all that it may ever have said of it: an answer or a notice may be as old as it likes.
HISTORY = {
    "pending": ("PENDING",),
    "placed": ("PENDING", "STATUS_PLACED"),
    "shipped": ("PENDING", "STATUS_PLACED", "STATUS_SHIPPED"),
    "home": ("PENDING", "STATUS_PLACED", "STATUS_SHIPPED", "DELIVERED"),  # a box stands unopened
    "used": ("PENDING", "STATUS_PLACED", "STATUS_SHIPPED", "DELIVERED"),
    "declined": ("PENDING", "CANCELLED"),  # by the customer, before it was placed
    "timed out": ("PENDING", "CANCELLED"),
    "cancelled": ("PENDING", "STATUS_PLACED", "CANCELLED"),
}
LOCKED = ("pending", "placed", "shipped")  # the service answers "in progress" as long as there is such an order
NOTICES = ("STATUS_PLACED", "STATUS_SHIPPED", "CANCELLED")  # nobody is told of a delivery

Answer = tuple[str, int]  # what came of a call, and the number of the order that it names, 0: none
Move = tuple[str, "Slot"]


class Order(NamedTuple):
    status: str = "pending"
    news: int = 0  # how many of the things that one is notified of happened since the intent: such a notice may be the intent's
    young: bool = False  # the intent that has no answer yet made it, no longer than `intent_fresh_s` ago


class Slot(NamedTuple):
    """Orders are named by their place in `orders`, from 1; 0 is none."""

    # What the device keeps; durable, but for `flight`
    state: str = "idle"
    reason: str = ""  # of a hold: rest, timed out, full, refused, expected; of a doubt: not repeated, no id, lost
    own: int = 0
    progress: int = 0
    cancels: int = 0
    unknown: str = ""  # the oldest attempt of unknown outcome is "fresh"; "stale": it is too old, but the device's clock was lost
    placed: bool = False  # flags, as in core/order.py
    refilled: bool = False
    extra: bool = False
    alive: bool = False
    probing: bool = False
    stock: bool = False
    doubted: bool = False
    missing: bool = False  # the service does not know the id
    at_home: bool = False  # `on_hand`
    old: bool = False  # the hold after a delivery, or after a block's last sign of life, is over
    flight: Answer = ("", 0)  # a call that left: "sent", then its answer; "cut": the power failed
    # The world
    low: bool = False
    orders: tuple[Order, ...] = ()
    # What the laws remember
    justified: bool = False  # the need may still have an order
    kept: int = 0  # an order that was accepted and whose end the device was not told: its id must not be lost
    broken: str = ""

    def box(self) -> int:
        """The oldest order whose box stands unopened, or 0."""
        return next((n for n, order in enumerate(self.orders, 1) if order.status == "home"), 0)

    def open_order(self) -> int:
        return next((n for n, order in enumerate(self.orders, 1) if order.status in LOCKED), 0)

    def with_status(self, number: int, status: str) -> Slot:
        orders = list(self.orders)
        before = orders[number - 1]
        orders[number - 1] = before._replace(status=status, news=before.news + (status not in ("home", "used")))
        return self._replace(orders=tuple(orders))

    def on(self, event: str, reason: str = "", **more: Any) -> Slot:
        return self._replace(state=STEPS[self.state, event], reason=reason, **more)


PAST = -1  # the id of an order that ended, or that the device has given up: it is kept, and nothing is asked of it


class Model:
    """The moves of one slot. A subclass that does one of them wrongly is a model of a wrong device (wrong.py)."""

    asks_the_past = False  # whether the device may still be moved by an order that ended: then `tidy` must keep it

    # The device

    def follows(self, slot: Slot) -> int:
        """The order that getOrderInfo is asked for. In doubt about a call without an answer there is none: the ids that are
        still kept are of earlier orders. An in-progress id is newer than the own one, which goes when an order is accepted."""
        if slot.reason == "not repeated":
            return 0
        return slot.progress if slot.state == "blocked" else slot.progress or slot.own

    def may_probe(self, slot: Slot) -> bool:
        """Law 2: only if ordering would be allowed had the order ended unseen, and never while getOrderInfo answers."""
        return not (slot.progress and slot.alive) and (slot.refilled or slot.old)

    def may_ask(self, slot: Slot, clock: str) -> bool:
        if slot.flight[0] or not slot.low or slot.at_home:
            return False
        if slot.state == "asking":
            return self.may_repeat(slot, clock)
        return slot.state == "idle" or slot.state == "blocked" and self.may_probe(slot)

    def may_repeat(self, slot: Slot, clock: str) -> bool:
        """Law 3: within `intent_fresh_s` of the oldest attempt of unknown outcome. Law 11: who does not know the time cannot say."""
        return not slot.unknown or slot.unknown == "fresh" and clock == "right"

    def ask(self, slot: Slot) -> Slot:
        """The intent is durable, and the request leaves."""
        if slot.state == "idle" and not slot.doubted:
            slot = slot._replace(own=0, progress=0)
        orders = tuple(order._replace(news=0, young=order.young and slot.unknown != "") for order in slot.orders)
        licence = slot.justified or slot.state == "blocked" and slot.old and slot.low
        broken = "law 2: a call while a box stands unopened" if slot.box() and not (licence or slot.open_order()) else ""
        if slot.unknown == "stale":
            broken = "law 3: a call of unknown outcome is repeated when it is too old"
        probing = slot.probing or slot.state == "blocked"
        return slot.on("INTENT", orders=orders, probing=probing, justified=licence, flight=("sent", 0), broken=slot.broken or broken)

    def answered(self, slot: Slot) -> dict[str, Any]:
        """What an answer of the service sets back."""
        kept = {"unknown": "", "missing": False, "placed": False, "probing": False, "stock": False, "alive": True, "flight": ("", 0)}
        return {**kept, "refilled": False, "old": False}

    def accept(self, slot: Slot, number: int) -> Slot:
        event, reason = ("ACCEPTED_OK", "") if number else ("ACCEPTED_NO_ID", "no id")
        fresh = self.answered(slot)
        return slot.on(event, reason, **{**fresh, "own": number, "progress": 0, "doubted": False, "kept": number})

    def block(self, slot: Slot, number: int) -> Slot:
        fresh = self.answered(slot)
        return slot.on("IN_PROGRESS", **{**fresh, "progress": number, "refilled": slot.refilled and slot.probing and not slot.unknown})

    def fail(self, slot: Slot, event: str) -> Slot:
        unknown = slot.unknown or "fresh" if event == "UNKNOWN" else slot.unknown
        return slot.on(event, unknown=unknown, flight=("", 0))

    def refuse(self, slot: Slot, event: str, reason: str) -> Slot:
        if slot.unknown:  # a definite no says nothing of an earlier attempt
            return self.doubt(slot, "STALE", "not repeated")
        return slot.on(event, reason, flight=("", 0), probing=False)

    def doubt(self, slot: Slot, event: str, reason: str) -> Slot:
        return slot.on(event, reason, unknown="", doubted=True, probing=False, flight=("", 0))

    def take(self, slot: Slot) -> Slot:
        """The answer is taken and durable."""
        said, number = slot.flight
        if said == "accepted":
            return self.accept(slot, number)
        if said == "in progress":
            return self.block(slot, number)
        if said in ("refused", "unsubscribed"):
            return self.refuse(slot, *(("REFUSED", "refused") if said == "refused" else ("NOT_SUBSCRIBED", "")))
        return self.fail(slot, "NOT_ACTED" if said == "not acted" else "UNKNOWN")

    def polls(self, slot: Slot) -> bool:
        return slot.state in (*OPEN, "blocked", "in_doubt") and self.follows(slot) > 0

    def learn(self, slot: Slot, event: str, in_time: bool = True) -> Slot:
        """News of the held order. in_time: a cancellation is dated within 72 hours of the acceptance."""
        if (slot.state, event) not in STEPS:
            return self.corrected(slot) if slot.reason == "timed out" and (in_time or event != "CANCELLED") else slot
        if event == "CANCELLED":
            return self.cancelled(slot, counts=slot.placed or in_time)
        if event == "DELIVERED":
            return self.delivered(slot)
        reason = slot.reason if slot.state == "in_doubt" == STEPS[slot.state, event] else ""
        return slot.on(event, reason, placed=slot.placed or event != "PENDING", alive=True, missing=False, old=False)

    def cancelled(self, slot: Slot, counts: bool) -> Slot:
        cancels = slot.cancels + counts
        at_home = slot.at_home and not slot.stock
        end: dict[str, Any] = {"placed": False, "refilled": False, "stock": False, "doubted": False, "kept": 0}
        return slot.on(
            "CANCELLED", ("full" if cancels > 1 else "rest") if counts else "timed out", **end, cancels=cancels, at_home=at_home
        )

    def corrected(self, slot: Slot) -> Slot:
        """What was taken for a time-out was the customer's no: late news say so."""
        return slot._replace(cancels=slot.cancels + 1, reason="full" if slot.cancels else "rest")

    def delivered(self, slot: Slot) -> Slot:
        slot = slot.on("DELIVERED", stock=True, placed=True, at_home=slot.at_home or not slot.refilled, kept=0, old=False)
        return self.finish(slot) if slot.refilled else slot

    def finish(self, slot: Slot) -> Slot:
        end: dict[str, Any] = {"placed": False, "refilled": False, "stock": False, "doubted": False, "cancels": 0}
        return slot.on("REFILLED", kept=0, **end)

    def see_refill(self, slot: Slot) -> Slot:
        slot = slot._replace(at_home=False, extra=False)
        if slot.state in OPEN or slot.state == "blocked":
            return slot._replace(refilled=True)
        if slot.state in ("awaiting_refill", "in_doubt"):
            return self.finish(slot)
        if slot.state == "held" and slot.reason == "expected":
            return slot.on("RELEASED")
        return slot

    def expect(self, slot: Slot) -> Slot:
        """Law 4: no refill for so long. One order may go out all the same, then a person is waited for."""
        if slot.extra:
            return slot.on("EXPECTED", "expected")
        return slot.on("RELEASED", extra=True, at_home=False, justified=True)

    def adopts(self, slot: Slot, number: int, event: str) -> bool:
        """Law 3: news of an order, from after an intent that has no answer, is its answer."""
        order = slot.orders[number - 1]
        told = [happened for happened in HISTORY[order.status] if happened in NOTICES]
        if slot.flight[0] or event not in told[len(told) - order.news :]:
            return False
        if number in (slot.own, slot.progress):  # law 9: news of an earlier order never changes a newer one
            return False
        return slot.state == "asking" and slot.unknown != "" or slot.state == "in_doubt" and not self.follows(slot)

    def adopt(self, slot: Slot, number: int) -> Slot:
        if slot.state == "asking":
            return self.accept(slot, number)
        taken: dict[str, Any] = {"own": number, "kept": number}
        if slot.reason == "no id":
            return slot._replace(**taken)
        return slot._replace(**self.answered(slot), **taken, progress=0, doubted=False)

    def notice(self, slot: Slot, number: int, event: str) -> Slot:
        in_time = slot.orders[number - 1].status != "timed out"
        if self.adopts(slot, number, event):
            return self.learn(self.adopt(slot, number), event, in_time)
        return self.learn(slot, event, in_time) if number == self.follows(slot) else slot

    # Moves: what the device does

    def device_moves(self, slot: Slot, clock: str) -> Iterator[Move]:
        said, number = slot.flight
        if said == "cut":
            yield "the device finds a call without an answer", self.fail(slot, "UNKNOWN")
        elif said and said != "sent":
            yield "the device takes the answer and stores it", self.take(slot)
        if said:
            return
        if self.polls(slot):
            yield from self.poll_moves(slot)
        if slot.state == "asking" and slot.unknown == "stale" and clock == "right":
            yield "the device sees that the call is too old", self.doubt(slot, "STALE", "not repeated")
        if slot.state == "asking" and not slot.unknown and not slot.probing and not slot.low:
            yield "the need is over before a call acted", slot.on("WITHDRAWN")
        if slot.state == "held" and slot.reason == "full" and not slot.low:
            yield "the slot is full again", slot.on("RELEASED")
        if slot.state == "unsubscribed":
            yield "the slot is subscribed again", slot.on("SUBSCRIBED")
        if slot.state == "idle":
            yield "the slot is unsubscribed", slot.on("NOT_SUBSCRIBED")
            if slot.at_home and slot.low:
                yield "it is low, and a pack is at home", slot.on("STOCKED", old=False)

    def poll_moves(self, slot: Slot) -> Iterator[Move]:
        order = slot.orders[self.follows(slot) - 1]
        for event in HISTORY[order.status]:
            late = event == "CANCELLED" and not slot.placed
            if not late or order.status != "timed out":
                yield f"a poll answers {event}", self.learn(slot, event)
            if late:  # a poll does not tell when
                yield f"a poll answers {event}, after 72 hours", self.learn(slot, event, False)
        yield "a poll answers that the id is unknown", slot._replace(alive=False, missing=True)

    def time_moves(self, slot: Slot, clock: str) -> Iterator[Move]:
        """A hold is over. The device sees it: without a clock, by its ticks."""
        if slot.flight[0]:
            return
        state, reason = slot.state, slot.reason
        if state == "asking" and slot.unknown == "fresh":
            yield "time: the call is too old", self.doubt(slot, "STALE", "not repeated")
            if clock == "lost":
                yield "time: the call is too old, but the device was off", slot._replace(unknown="stale")
        elif state == "accepted":
            yield "time: the grace is over", slot.on("OVERDUE")
        if state in OPEN and slot.missing:
            yield "time: the id was unknown for 72 hours", self.doubt(slot, "LOST", "lost")
        if state == "shipped":
            yield "time: the delivery date has passed", self.delivered(slot)
        elif state in ("blocked", "awaiting_refill") and not slot.old:
            yield f"time: the hold of {state} is over", slot._replace(old=True)
        elif state == "awaiting_refill" and slot.low:
            yield "the device still sees no refill", self.expect(slot)
        elif state == "in_doubt":
            yield "time: the doubt is over", slot.on("RELEASED", justified=True)
        elif state == "held" and reason in ("rest", "timed out", "refused"):
            yield "time: the hold is over", slot.on("RELEASED")

    # Moves: what the service, the customer and the world do

    def service_moves(self, slot: Slot) -> Iterator[Move]:
        """A request arrives, or does not."""
        if slot.flight[0] != "sent":
            return
        yield "the request does not leave", slot._replace(flight=("not acted", 0))
        yield "the request is lost on its way", slot._replace(flight=("lost", 0))
        yield "the service refuses the request", slot._replace(flight=("refused", 0))
        yield "the service says: unsubscribed", slot._replace(flight=("unsubscribed", 0))
        number, said, acted = slot.open_order(), "in progress", slot
        if not number:
            number, said, acted = len(slot.orders) + 1, "accepted", self.order(slot)
        yield f"the service answers {said}", acted._replace(flight=(said, number))
        yield f"the service answers {said}, without an id", acted._replace(flight=(said, 0))
        yield f"the service acts, {said}, and the answer is lost", acted._replace(flight=("lost", 0))

    def order(self, slot: Slot) -> Slot:
        """A real order comes to be."""
        broken = "" if slot.justified else "law 1: a second real order for one need"
        ended = [order._replace(news=0) for order in slot.orders]  # before this one: seconds count as none (README.md)
        return slot._replace(orders=(*ended, Order(young=True)), justified=False, broken=slot.broken or broken)

    def order_moves(self, slot: Slot) -> Iterator[Move]:
        number = slot.open_order()
        if not number:
            return
        status = slot.orders[number - 1].status
        young = self.is_young(slot, slot.orders[number - 1])  # then it is not delivered yet, nor timed out (README.md)
        if status == "pending":
            yield "the order is placed", slot.with_status(number, "placed")
            yield "the customer declines the order", self.ended(slot, number, "declined")
            if not young:
                yield "the order is not resolved in 72 hours", self.ended(slot, number, "timed out")
        elif status == "placed":
            yield "the order is shipped", slot.with_status(number, "shipped")
            yield "the customer cancels the order", self.ended(slot, number, "cancelled")
        elif not young:
            yield "the box arrives", slot.with_status(number, "home")

    def is_young(self, slot: Slot, order: Order) -> bool:
        return order.young and slot.state == "asking" and (slot.unknown == "fresh" or slot.flight[0] != "")

    def ended(self, slot: Slot, number: int, status: str) -> Slot:
        return slot.with_status(number, status)._replace(justified=True)

    def notice_moves(self, slot: Slot) -> Iterator[Move]:
        if slot.flight[0]:
            return
        for number, order in enumerate(slot.orders, 1):
            for event in HISTORY[order.status]:
                if event in NOTICES:
                    after = self.notice(slot, number, event)
                    if after != slot and number != self.follows(slot) and not self.adopts(slot, number, event):
                        after = after._replace(broken="law 9: news of one order changes another")
                    yield f"a notice of order {number} says {event}", after

    def customer_moves(self, slot: Slot) -> Iterator[Move]:
        if slot.flight[0]:
            return  # the device looks at its sensors between calls
        if not slot.low:
            yield "the slot is used up", slot._replace(low=True, justified=True)
        elif slot.box():
            yield "the box is opened and filled in", self.see_refill(slot.with_status(slot.box(), "used")._replace(low=False))
        elif not slot.open_order():
            yield "the slot is filled from a shop", self.see_refill(slot._replace(low=False))

    # The power

    def cut(self, slot: Slot) -> Iterator[Move]:
        """The power fails, and comes back."""
        said, number = slot.flight
        off = slot._replace(flight=("cut", 0)) if said else slot
        yield "", off
        if said == "in progress" and number != slot.progress:
            yield "after the first of two records", off._replace(progress=number)
        if slot.low and slot.box():
            yield "filled and used up while off", off.with_status(slot.box(), "used")._replace(justified=True)

    def resume(self, slot: Slot) -> Iterator[Move]:
        """A person's word that ordering may go on."""
        if slot.state == "held" and slot.reason in ("refused", "expected"):
            yield "a person lets it go on", slot.on("RELEASED")

    # All of them

    def ask_moves(self, slot: Slot, clock: str) -> Iterator[Move]:
        """What wants the line, which has room for one call, and is not held."""
        if self.may_ask(slot, clock):
            yield "the device stores the intent and calls", self.ask(slot)

    def moves(self, slot: Slot, clock: str, asks: bool = True) -> Iterator[Move]:
        """What may happen to one slot while the device's clock is "right" or "lost"."""
        if asks:
            yield from self.ask_moves(slot, clock)
        for source in (self.service_moves, self.order_moves, self.notice_moves, self.customer_moves):
            yield from source(slot)
        yield from self.device_moves(slot, clock)
        yield from self.time_moves(slot, clock)

    def well_moves(self, slot: Slot) -> Iterator[Slot]:
        """What happens when nothing fails: calls are answered, orders take their course, time passes, the clock is right."""
        said, _ = slot.flight
        if said == "sent":
            number = slot.open_order()
            acted = slot if number else self.order(slot)
            yield acted._replace(flight=("in progress", number) if number else ("accepted", len(acted.orders)))
        for told, after in (*self.ask_moves(slot, "right"), *self.order_moves(slot), *self.time_moves(slot, "right")):
            if not told.startswith(("the customer", "the order is not")):
                yield after
        if self.polls(slot):
            yield self.learn(slot, HISTORY[slot.orders[self.follows(slot) - 1].status][-1])
        for told, after in self.device_moves(slot, "right"):
            if not told.startswith(("a poll", "the slot is unsub")):
                yield after

    def judged(self, slot: Slot) -> Slot:
        """The state tidied, after a look at the laws that are about a state and not a move."""
        if slot.kept and slot.own != slot.kept and not slot.broken:
            slot = slot._replace(broken="law 3: the id of an accepted order is lost")
        return self.tidy(slot)

    def tidy(self, slot: Slot) -> Slot:
        """The same without what nothing will ask for again, so that equal situations are equal states."""
        state, asking, follows = (
            slot.state,
            slot.state == "asking",
            self.follows(slot) and (slot.state in FOLLOWS or slot.reason == "timed out"),
        )
        used = {self.follows(slot)} if follows else set()
        used.add(slot.flight[1])
        if self.asks_the_past:
            used |= {slot.own, slot.progress}
        locked = slot.open_order()
        waits = asking and (slot.unknown or slot.flight[0]) or state == "in_doubt" and not self.follows(slot)  # so it may adopt
        places, orders, boxes = {0: 0, PAST: PAST}, [], 0
        for number, order in enumerate(slot.orders, 1):
            box = order.status == "home" and number not in used
            news = order.news if waits and number not in (slot.own, slot.progress) else 0
            if number in used or number == locked or box and not boxes or news:
                places[number] = len(orders) + 1
                orders.append(order._replace(news=news, young=self.is_young(slot, order)))
            else:
                places[number] = PAST
            boxes += box
        own = places[slot.own] if slot.own in used or slot.own == locked else PAST if slot.own and slot.kept else 0
        progress = places[slot.progress] if slot.progress in used or slot.progress == locked else 0
        return slot._replace(
            orders=tuple(orders),
            own=own,
            progress=progress,
            kept=own if slot.kept else 0,
            flight=(slot.flight[0], places[slot.flight[1]]),
            cancels=min(slot.cancels, 1),
            alive=slot.alive and state == "blocked",
            missing=slot.missing and state in OPEN,
            old=slot.old and state in ("blocked", "awaiting_refill"),
            justified=slot.justified and slot.low,
            placed=slot.placed and (bool(follows) or self.asks_the_past),
            refilled=slot.refilled and (bool(follows) or state == "blocked" or asking and slot.probing),
            stock=slot.stock and slot.at_home,
        )
