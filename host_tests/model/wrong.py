"""Wrong devices: each does one thing otherwise than the laws ask, and the model must catch it with a shortest story."""

from __future__ import annotations

from collections.abc import Iterator

from host_tests.model.slot import OPEN, STEPS, Model, Move, Slot


class EagerProbe(Model):
    """A block is probed as soon as getOrderInfo does not answer, though a box may stand unopened."""

    def may_probe(self, slot: Slot) -> bool:
        return not (slot.progress and slot.alive)


class StoreAfter(Model):
    """An accepted order's id is stored only after the answer was acted on."""

    def take(self, slot: Slot) -> Slot:
        return slot._replace(flight=("acted", slot.flight[1])) if slot.flight[0] == "accepted" else super().take(slot)

    def device_moves(self, slot: Slot, clock: str) -> Iterator[Move]:
        if slot.flight[0] == "acted":
            yield "the device stores it", super().accept(slot, slot.flight[1])
        else:
            yield from super().device_moves(slot, clock)

    def cut(self, slot: Slot) -> Iterator[Move]:
        for told, off in super().cut(slot):
            yield told, off._replace(kept=slot.flight[1]) if slot.flight[0] == "acted" else off


class BlindResend(Model):
    """A call of unknown outcome is repeated, however old it is."""

    def may_repeat(self, slot: Slot, clock: str) -> bool:
        return True

    def time_moves(self, slot: Slot, clock: str) -> Iterator[Move]:
        if slot.state == "asking" and slot.unknown == "fresh" and not slot.flight[0]:
            yield "time: the call is too old", slot._replace(unknown="stale")
        else:
            yield from super().time_moves(slot, clock)

    def device_moves(self, slot: Slot, clock: str) -> Iterator[Move]:
        return (move for move in super().device_moves(slot, clock) if "too old" not in move[0])


class FloorClock(Model):
    """After a start without a clock the last known time is taken for the time, so a call seems as fresh as it was."""

    def may_repeat(self, slot: Slot, clock: str) -> bool:
        return not (slot.unknown == "stale" and clock == "right")


class PlacedForEver(Model):
    """An order once seen placed is believed to be so until a notice comes: it is not polled any more."""

    def polls(self, slot: Slot) -> bool:
        return super().polls(slot) and slot.state not in ("placed", "shipped")


class OneId(Model):
    """There is one id, and the one of an in-progress answer takes its place."""

    def block(self, slot: Slot, number: int) -> Slot:
        return super().block(slot, number)._replace(own=number or slot.own)


class OwnIdFirst(Model):
    """An order that came out of a block is followed by an older id of the device's own."""

    asks_the_past = True

    def follows(self, slot: Slot) -> int:
        return slot.own if super().follows(slot) and slot.own and slot.state != "blocked" else super().follows(slot)


class OldRefillKept(Model):
    """A refill from before a lost call still counts for the order that the call may have made."""

    def block(self, slot: Slot, number: int) -> Slot:
        return super().block(slot, number)._replace(refilled=slot.refilled and slot.probing)


class OldOrderEndsDoubt(Model):
    """A doubt about a call without an answer ends with news of an order from before that call."""

    asks_the_past = True

    def follows(self, slot: Slot) -> int:
        return super().follows(slot._replace(reason=""))


class OldNoticeAdopted(Model):
    """News from between two attempts that have no answer is taken for the answer to both."""

    def ask(self, slot: Slot) -> Slot:
        asked = super().ask(slot)
        return asked._replace(orders=slot.orders) if slot.unknown else asked

    def order(self, slot: Slot) -> Slot:
        made = super().order(slot)
        return made._replace(orders=(*slot.orders, made.orders[-1])) if slot.unknown else made


class AnyNoticeApplied(Model):
    """A notice is applied whatever order it names."""

    def notice(self, slot: Slot, number: int, event: str) -> Slot:
        return self.learn(slot, event)


class DeliveredIsRefilled(Model):
    """A delivered pack is taken for one that was filled in."""

    def delivered(self, slot: Slot) -> Slot:
        return self.finish(super().delivered(slot._replace(refilled=False)))._replace(at_home=False)


class JumpBelieved(Model):
    """A clock that jumps ahead ends every hold at once."""

    def time_moves(self, slot: Slot, clock: str) -> Iterator[Move]:
        yield from super().time_moves(slot, clock)
        if slot.state in ("in_doubt", "awaiting_refill") and (slot.state, "RELEASED") in STEPS:
            yield "the clock jumps a month ahead", slot.on("RELEASED", at_home=False)


class NeedForgotten(Model):
    """A call that came to nothing is not repeated."""

    def may_repeat(self, slot: Slot, clock: str) -> bool:
        return False


class Impatient(Model):
    """A second order follows the first at once when a need lasts."""

    def may_ask(self, slot: Slot, clock: str) -> bool:
        return super().may_ask(slot, clock) or slot.state in OPEN and slot.low and not slot.flight[0]

    def ask(self, slot: Slot) -> Slot:
        return super().ask(slot._replace(state="idle") if slot.state in OPEN else slot)


DEVICES = [
    device for device in list(globals().values()) if isinstance(device, type) and issubclass(device, Model) and device is not Model
]
