"""Every reachable state of a device with one slot and all that can befall it; the way to a state is a story."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from host_tests.model.slot import Model, Slot

CLOCKS = ("right", "lost")
START = Slot()
Place = tuple[Slot, str]  # a slot, and whether the device's clock is right


def steps(model: Model, place: Place) -> Iterator[tuple[str, Place]]:
    """What may happen to a device with one slot, of which nothing else is known: any number of power cuts and of a person's holds."""
    slot, clock = place
    if slot.broken:
        return
    for told, after in model.moves(slot, clock):
        yield told, (after, clock)
    for told, after in model.cut(slot):
        for later in {clock, "lost"}:
            yield "POWER CUT" + (told and ", ") + told + (", the clock is lost" if later != clock else ""), (after, later)
    if clock == "lost":
        yield "the clock is set right", (slot, "right")
    for told, after in model.resume(slot):
        yield told, (after, clock)


class Walk:
    """All places that a model reaches, breadth first: so the way back from any of them is a shortest story."""

    def __init__(self, model: Model, stop: Callable[[Slot], bool] = lambda slot: slot.broken != "") -> None:
        self.came: dict[Place, tuple[Place, str] | None] = {(START, "right"): None}
        self.depth = self.transitions = 0
        self.found: Place | None = None
        self.after: dict[Place, list[Place]] = {}
        self._judged: dict[Slot, Slot] = {}
        layer = list(self.came)
        while layer and not self.found:
            layer = list(self._next(model, layer, stop))
            self.depth += bool(layer)

    def _next(self, model: Model, layer: Iterable[Place], stop: Callable[[Slot], bool]) -> Iterator[Place]:
        for place in layer:
            after = self.after[place] = []
            for told, (slot, clock) in steps(model, place):
                judged = self._judged.get(slot)
                if judged is None:
                    judged = self._judged[slot] = model.judged(slot)
                new = judged, clock
                after.append(new)
                self.transitions += 1
                if new not in self.came:
                    self.came[new] = place, told
                    yield new
                    if stop(new[0]):
                        self.found = new
                        return

    def story(self, place: Place) -> list[str]:
        """The moves that lead to a place, none fewer."""
        lines = []
        step = self.came[place]
        while step:
            lines.append(step[1])
            step = self.came[step[0]]
        return lines[::-1]

    def stuck(self, good: Callable[[Place], bool], follow: Callable[[Place], Iterable[Place]]) -> Place | None:
        """A nearest place from which no `follow` leads to a good one, or None."""
        before: dict[Place, list[Place]] = {}
        for place in self.came:
            for after in follow(place):
                before.setdefault(after, []).append(place)
        todo = [place for place in self.came if good(place)]
        fine = set(todo)
        while todo:
            for place in before.get(todo.pop(), ()):
                if place not in fine:
                    fine.add(place)
                    todo.append(place)
        return next((place for place in self.came if place not in fine), None)


def is_idle(slot: Slot) -> bool:
    return slot.state == "idle" and not slot.low


def is_served(slot: Slot) -> bool:
    """There is no need, or what it asks for is on its way, or at home, or the appliance shows that it waits for a person."""
    person = slot.state == "held" and slot.reason in ("full", "expected", "refused")
    return not slot.low or slot.open_order() > 0 or slot.box() > 0 or person


def never_idle(walk: Walk) -> Place | None:
    """A place from which the slot never gets back to `idle`, whatever happens."""
    return walk.stuck(lambda place: is_idle(place[0]), lambda place: walk.after[place])


def forgotten(walk: Walk, model: Model) -> Place | None:
    """A place with a need from which no order comes, though from now on nothing fails and nobody interferes."""

    def well(place: Place) -> Iterator[Place]:
        for slot in model.well_moves(place[0]):
            yield model.judged(slot), "right"

    return walk.stuck(lambda place: is_served(place[0]), well)
