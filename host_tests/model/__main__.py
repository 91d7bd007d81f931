"""`make model`: explore the order machine, and tell what each wrong device would do. Exit status 1 when a law can be broken."""

from __future__ import annotations

import sys
import time

from host_tests.model import wrong
from host_tests.model.explore import Place, Walk, forgotten, never_idle
from host_tests.model.pair import Pair, Pairable
from host_tests.model.slot import Model

CUTS = 3


def show(name: str, states: int, transitions: int, began: float) -> None:
    print(f"{name}: {states:,} states, {transitions:,} transitions, {time.process_time() - began:.0f} s of CPU", flush=True)


def fault(walk: Walk, model: Model) -> tuple[str, Place] | None:
    """What is wrong with a model, and the place that a shortest story leads to."""
    if walk.found:
        return walk.found[0].broken, walk.found
    place = forgotten(walk, model)
    if place:
        return "a need is forgotten: from here on no order comes, though all is well", place
    place = never_idle(walk)
    return ("from here the slot never gets back to idle", place) if place else None


def tell(title: str, said: str, story: list[str]) -> None:
    print(f"\n{title}\n  {said}")
    for number, told in enumerate(story, 1):
        print(f"  {number:3} {told}", flush=True)


def main() -> int:
    began = time.process_time()
    model = Model()
    walk = Walk(model)
    show("one slot, everything, any number of power cuts", len(walk.came), walk.transitions, began)
    found = fault(walk, model)
    print(f"  {walk.depth} moves to the farthest of them; {time.process_time() - began:.0f} s with the ways back from all of them")
    if found:
        tell("The order machine", found[0], walk.story(found[1]))
    began = time.process_time()
    pair = Pair(Pairable(), CUTS)
    show(f"two slots, {CUTS} power cuts", pair.states, pair.transitions(), began)
    broken, stuck = pair.broken(), pair.never_idle()
    print(f"  laws are broken in {broken} of these; {stuck} have no way back to idle; {time.process_time() - began:.0f} s with that")
    for device in wrong.DEVICES:
        walk = Walk(device())
        caught = fault(walk, device())
        if caught:
            tell(f"{device.__name__}: {device.__doc__}", caught[0], walk.story(caught[1]))
        else:
            print(f"\n{device.__name__}: NOT CAUGHT")
            broken += 1
    return 1 if found or broken or stuck else 0


if __name__ == "__main__":
    sys.exit(main())
