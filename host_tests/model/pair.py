"""Every reachable state of a device with two slots and a number of power cuts.

Which states a slot has, and what follows each, is found once. A set of pairs of them is then, for each state of the first slot, one
long number with a bit for each state of the second, and millions of pairs move with a few operations on numbers. All the same each
pair is visited by itself: it is a bit that is set once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from host_tests.model.explore import CLOCKS, START, Walk, is_idle
from host_tests.model.slot import Model, Move, Slot

_LEFT_OUT = ("refuse", "unsubscribed", "without an id", "the id is unknown")


class Pairable(Model):
    """What is left out for two slots, because it concerns one slot alone and is explored there: calls that are refused, answers and
    services without ids, the count of cancellations."""

    def moves(self, slot: Slot, clock: str, asks: bool = True) -> Iterator[Move]:
        return (move for move in super().moves(slot, clock, asks) if not any(words in move[0] for words in _LEFT_OUT))

    def cut(self, slot: Slot) -> Iterator[Move]:
        return (move for move in super().cut(slot) if "two records" not in move[0])

    def cancelled(self, slot: Slot, counts: bool) -> Slot:
        return super().cancelled(slot._replace(cancels=0), True)._replace(cancels=0)


class Shared(NamedTuple):
    """What two slots of a device share, beside the line for one call at a time."""

    cuts: int
    clock: str
    held: bool


class Image:
    """Where the states of a set of bits lead to, looked up eight bits at a time."""

    def __init__(self, after: list[list[int]]) -> None:
        self._masks = [sum(1 << number for number in set(numbers)) for numbers in after]
        self._size = (len(after) + 7) // 8
        self._known: list[dict[int, int]] = [{} for _ in range(self._size)]

    def of(self, row: int) -> int:
        image = 0
        for place, byte in enumerate(row.to_bytes(self._size, "little")):
            if byte:
                part = self._known[place].get(byte)
                if part is None:
                    part = self._known[place][byte] = self._join(place * 8, byte)
                image |= part
        return image

    def _join(self, start: int, byte: int) -> int:
        joined = 0
        for bit in range(8):
            if byte >> bit & 1:
                joined |= self._masks[start + bit]
        return joined


def reversed_lists(after: list[list[int]]) -> list[list[int]]:
    before: list[list[int]] = [[] for _ in after]
    for number, numbers in enumerate(after):
        for other in numbers:
            before[other].append(number)
    return before


class Moves:
    """One kind of move as lists of numbers, with the image of a set under it."""

    def __init__(self, lists: list[list[int]]) -> None:
        self.lists = lists
        self.image = Image(lists).of

    def backwards(self) -> Moves:
        return Moves(reversed_lists(self.lists))


class Pair:
    """A device with two slots and a number of power cuts, all reachable states of it."""

    def __init__(self, model: Model, cuts: int) -> None:
        self.slots = sorted({slot for slot, _ in Walk(model).came})
        number = {slot: n for n, slot in enumerate(self.slots)}
        self.rest = sum(1 << n for n, slot in enumerate(self.slots) if slot.flight[0] in ("", "cut"))

        def lists(moves: Callable[[Slot], Iterable[tuple[str, Slot]]]) -> Moves:
            return Moves([[number[model.judged(after)] for _, after in moves(slot)] for slot in self.slots])

        stay = Moves([[n] for n in range(len(self.slots))])
        cut, resume = lists(model.cut), lists(lambda slot: list(model.resume(slot)) or [("", slot)])
        self.facts = [Shared(left, clock, held) for left in range(cuts + 1) for clock in CLOCKS for held in (False, True)]
        alone = {clock: lists(lambda slot, clock=clock: model.moves(slot, clock, asks=False)) for clock in CLOCKS}  # type: ignore[misc]
        asks = {clock: lists(lambda slot, clock=clock: model.ask_moves(slot, clock)) for clock in CLOCKS}  # type: ignore[misc]
        self.alone = {fact: alone[fact.clock] for fact in self.facts}
        self.asks = {fact: asks[fact.clock] for fact in self.facts if not fact.held}
        self.joint: list[tuple[Shared, Shared, Moves]] = []
        for fact in self.facts:
            self.joint.append((fact, fact._replace(held=not fact.held), resume if fact.held else stay))
            if fact.clock == "lost":
                self.joint.append((fact, fact._replace(clock="right"), stay))
            if fact.cuts:
                for clock in {fact.clock, "lost"}:
                    self.joint.append((fact, fact._replace(cuts=fact.cuts - 1, clock=clock), cut))
        start = {(self.facts[-1]._replace(clock="right", held=False), number[START]): 1 << number[START]}
        self.reached = self.spread(start)
        self.states = sum(row.bit_count() for row in self.reached.values())

    def spread(self, rows: dict[tuple[Shared, int], int]) -> dict[tuple[Shared, int], int]:
        """Everything to be reached from `rows`."""
        reached, todo = dict(rows), dict(rows)
        while todo:
            fact, first = key = next(iter(todo))
            row = self._moved_alone(fact, first, todo.pop(key), reached)
            for after, fresh in self._moved(fact, first, row):
                fresh &= ~reached.get(after, 0)
                if fresh:
                    reached[after] = reached.get(after, 0) | fresh
                    todo[after] = todo.get(after, 0) | fresh
        return reached

    def _moved_alone(self, fact: Shared, first: int, row: int, reached: dict[tuple[Shared, int], int]) -> int:
        """The row with all that the second slots of it reach while the first one rests, and was not reached yet."""
        before, all_new = reached[fact, first], row
        while row:
            after = self.alone[fact].image(row)
            if fact in self.asks and self.rest >> first & 1:
                after |= self.asks[fact].image(row)
            row = after & ~before & ~all_new
            all_new |= row
        reached[fact, first] = before | all_new
        return all_new

    def _moved(self, fact: Shared, first: int, row: int) -> Iterator[tuple[tuple[Shared, int], int]]:
        """Where the pairs of a first slot and a row of second ones lead by moves of the first, and of both."""
        for after in self.alone[fact].lists[first]:
            yield (fact, after), row
        if fact in self.asks:
            resting = row & self.rest
            for after in self.asks[fact].lists[first] if resting else ():
                yield (fact, after), resting
        for before, later, moves in self.joint:
            if before == fact:
                seconds = moves.image(row)
                for after in moves.lists[first]:
                    yield (later, after), seconds

    def transitions(self) -> int:
        """How many moves there are between the states; the two slots are alike, so those of the second are as many."""
        total = 0
        for (fact, first), row in self.reached.items():
            total += 2 * len(self.alone[fact].lists[first]) * row.bit_count()
            if fact in self.asks:
                total += 2 * len(self.asks[fact].lists[first]) * (row & self.rest).bit_count()
            for before, _, moves in self.joint:
                if before == fact:
                    total += len(moves.lists[first]) * row.bit_count()
        return total

    def turn_back(self) -> None:
        """From now on `spread` goes against the moves."""
        turned: dict[int, Moves] = {}

        def back(moves: Moves) -> Moves:
            return turned.setdefault(id(moves), moves.backwards()) if id(moves) not in turned else turned[id(moves)]

        self.alone = {fact: back(moves) for fact, moves in self.alone.items()}
        self.asks = {fact: back(moves) for fact, moves in self.asks.items()}
        self.joint = [(later, before, back(moves)) for before, later, moves in self.joint]

    def broken(self) -> int:
        return sum(row.bit_count() for (_, first), row in self.reached.items() if self.slots[first].broken)

    def never_idle(self) -> int:
        """How many reached states have no way back to two idle slots."""
        idle = [n for n, slot in enumerate(self.slots) if is_idle(slot)]
        both = sum(1 << n for n in idle)
        goal = {(fact, n): both & self.reached.get((fact, n), 0) for fact in self.facts for n in idle}
        self.turn_back()
        fine = self.spread({key: row for key, row in goal.items() if row})
        return sum((row & ~fine.get(key, 0)).bit_count() for key, row in self.reached.items())
