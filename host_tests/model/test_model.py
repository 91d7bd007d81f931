"""The exploration itself: nothing is broken in what is shipped, and every wrong device is caught by a shortest story."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from host_tests.model import wrong
from host_tests.model.__main__ import fault
from host_tests.model.explore import START, Place, Walk, forgotten, never_idle, steps
from host_tests.model.pair import Pair, Pairable
from host_tests.model.slot import Model, Slot
from tools import diagram

TABLE = diagram.Table(diagram.SOURCE.read_text())
# Which law catches a wrong device, and in how many moves.
CAUGHT = {
    "EagerProbe": ("a call while a box stands unopened", 11),
    "StoreAfter": ("the id of an accepted order is lost", 5),
    "BlindResend": ("repeated when it is too old", 6),
    "FloorClock": ("repeated when it is too old", 6),
    "PlacedForEver": ("a need is forgotten", 7),
    "OneId": ("the id of an accepted order is lost", 14),
    "OwnIdFirst": ("a call while a box stands unopened", 21),
    "OldRefillKept": ("a call while a box stands unopened", 20),
    "OldOrderEndsDoubt": ("a call while a box stands unopened", 18),
    "OldNoticeAdopted": ("a call while a box stands unopened", 14),
    "AnyNoticeApplied": ("news of one order changes another", 7),
    "DeliveredIsRefilled": ("a call while a box stands unopened", 9),
    "JumpBelieved": ("a call while a box stands unopened", 9),
    "NeedForgotten": ("a need is forgotten", 3),
    "Impatient": ("the id of an accepted order is lost", 5),
}


@pytest.fixture(scope="module")
def walk() -> Walk:
    return Walk(Model())


def test_no_law_is_broken_and_no_need_forgotten_whatever_befalls_one_slot(walk: Walk) -> None:
    assert walk.found is None
    assert forgotten(walk, Model()) is None
    assert never_idle(walk) is None
    assert len(walk.came) > 50_000 and walk.transitions > 350_000


def test_every_state_is_visited(walk: Walk) -> None:
    assert {slot.state for slot, _ in walk.came} == set(TABLE.states)


def test_two_slots_and_a_power_cut_break_no_law_and_always_find_back_to_idle() -> None:
    """`make model` allows three power cuts, in three times the time."""
    pair = Pair(Pairable(), 1)
    assert pair.states > 10_000_000 and pair.transitions() > 100_000_000
    assert {fact.cuts for fact, _ in pair.reached} == {0, 1}
    assert pair.broken() == 0
    assert pair.never_idle() == 0


def test_two_slots_agree_with_a_plain_search_of_pairs() -> None:
    """The rows of bits, against pairs that are visited one by one, on a device that does little."""

    class Little(Pairable):
        def moves(self, slot: Slot, clock: str, asks: bool = True) -> Iterator[tuple[str, Slot]]:
            words = ("used up", "stores", "lost on its way", "accepted", "opened", "arrives", "shipped", "placed", "DELIVERED")
            return (move for move in super().moves(slot, clock, asks) if any(word in move[0] for word in words))

    model, pair = Little(), Pair(Little(), 1)
    start = (START, START, 1, "right", False)
    found, todo = {start}, [start]
    while todo:
        for after in _pairs(model, *todo.pop()):
            if after not in found:
                found.add(after)
                todo.append(after)
    assert pair.states == len(found) > 1000


def _pairs(model: Model, first: Slot, second: Slot, cuts: int, clock: str, held: bool) -> Iterator[tuple]:
    for mine, other, turn in ((first, second, False), (second, first, True)):
        asks = not held and other.flight[0] in ("", "cut")
        for _, after in model.moves(mine, clock, asks):
            both = (other, model.judged(after)) if turn else (model.judged(after), other)
            yield *both, cuts, clock, held
    resumed = [next((model.judged(after) for _, after in model.resume(slot)), slot) for slot in (first, second)]
    yield *(resumed if held else (first, second)), cuts, clock, not held
    yield first, second, cuts, "right", held
    if cuts:
        for _, one in model.cut(first):
            for _, two in model.cut(second):
                for later in (clock, "lost"):
                    yield model.judged(one), model.judged(two), cuts - 1, later, held


def test_what_is_tidied_away_changes_nothing() -> None:
    """A state and its tidied form lead to the same tidied states; those that the tidied one leaves out are the state itself."""
    model, compared = Model(), 0
    for seed in range(200):
        chance, place = random.Random(seed), (START, "right")
        for _ in range(40):
            tidy = model.judged(place[0]), place[1]
            after = {(model.judged(slot), clock) for _, (slot, clock) in steps(model, place)}
            again = {(model.judged(slot), clock) for _, (slot, clock) in steps(model, tidy)}
            assert after | {tidy} == again | {tidy}, place
            compared += place[0] != tidy[0]
            place = chance.choice(list(steps(model, place)))[1]
    assert compared > 1000


@pytest.mark.parametrize("device", wrong.DEVICES, ids=lambda device: device.__name__)
def test_a_wrong_device_is_caught_with_a_shortest_story(device: type[Model]) -> None:
    # A forgotten need is one in all that can be reached, which is much: so without what two slots do without, as make model is not.
    model = type(device.__name__, (device, Pairable), {})() if "forgotten" in CAUGHT[device.__name__][0] else device()
    walk = Walk(model)
    caught = fault(walk, model)
    assert caught
    said, place = caught
    words, length = CAUGHT[device.__name__]
    assert words in said
    assert len(walk.story(place)) == length


@pytest.mark.parametrize(
    "device", [wrong.StoreAfter, wrong.BlindResend, wrong.FloorClock, wrong.Impatient], ids=lambda device: device.__name__
)
def test_no_shorter_story_catches_it(device: type[Model]) -> None:
    """Every sequence of moves, nothing tidied and nothing remembered."""
    model, length = device(), CAUGHT[device.__name__][1]

    def breaks(place: Place, moves: int) -> bool:
        slot = model.judged(place[0])
        return bool(slot.broken) or moves > 0 and any(breaks(after, moves - 1) for _, after in steps(model, place))

    assert not breaks((START, "right"), length - 1)


def test_every_wrong_device_is_listed() -> None:
    assert {device.__name__ for device in wrong.DEVICES} == set(CAUGHT)
