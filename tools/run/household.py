"""The people around the appliance: they use things up by day, and fill a slot some hours after a parcel came.

No clock and no files: the time is an argument. The same seed gives the same days, however often anybody looks.
"""

import heapq
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

from tools.run.events import Event, Source
from tools.run.story import DAY_S, Calendar, Consumable

# How much of the day's use falls into each hour, from midnight on: none at night, most of it at breakfast.
_HOURS = (0, 0, 0, 0, 0, 0, 2, 6, 7, 5, 4, 3, 3, 4, 4, 3, 3, 3, 4, 3, 2, 2, 0, 0)
_DAY_FACTOR = (0.8, 1.2)
_REFILL_AFTER_S = (6 * 3600, 16 * 3600)
# Nobody refills at night; in the morning it is the first thing done, within an hour and a half.
_AWAKE_S = (7 * 3600, 22 * 3600)
_MORNING_S = 5400
# How long a message waits until somebody reads it.
_READ_AFTER_S = (1 * 3600, 5 * 3600)


class Supply:
    """One consumable in the house, with random numbers of its own, so that the others' fate does not change its days."""

    def __init__(self, consumable: Consumable, seed: int) -> None:
        self.consumable = consumable
        self.level = float(consumable.at_start)
        self._random = random.Random(f"{seed}/{consumable.id}/use")
        self.parcels = 0
        self._refills = random.Random(f"{seed}/{consumable.id}/refill")

    @property
    def reading(self) -> float:
        """What the sensor shows."""
        step = self.consumable.resolution
        return math.ceil(round(self.level / step, 6)) * step

    def uses(self, midnight: int) -> list[int]:
        """When something is used on the day that begins at `midnight`."""
        mean = self.consumable.per_day * self._random.uniform(*_DAY_FACTOR) / self.consumable.portion
        hours = self._random.choices(range(24), _HOURS, k=round(mean))
        return [midnight + hour * 3600 + self._random.randrange(3600) for hour in hours]

    def refill_time(self, delivered: int, calendar: Calendar) -> int:
        """When somebody refills the slot with what was delivered at `delivered`."""
        return self._awake(delivered + int(self._refills.uniform(*_REFILL_AFTER_S)), calendar)

    def read_time(self, sent: int, calendar: Calendar) -> int:
        """When somebody reads a message about the slot that was sent at `sent`."""
        return self._awake(sent + int(self._refills.uniform(*_READ_AFTER_S)), calendar)

    def _awake(self, time: int, calendar: Calendar) -> int:
        of_day = time - calendar.midnight(calendar.day(time))
        if _AWAKE_S[0] <= of_day < _AWAKE_S[1]:
            return time
        tomorrow = calendar.day(time) + (of_day >= _AWAKE_S[1])
        return calendar.midnight(tomorrow) + _AWAKE_S[0] + self._refills.randrange(_MORNING_S)


class Household:
    """All supplies, and what will be done with them."""

    def __init__(self, consumables: Sequence[Consumable], seed: int, calendar: Calendar) -> None:
        self.supplies = {consumable.id: Supply(consumable, seed) for consumable in consumables}
        self._calendar = calendar
        self._plans: list[tuple[int, str, str, float | str]] = []
        self._now = calendar.start
        for slot in self.supplies:
            self._plan_day(slot, calendar.start, 0)

    def advance(self, now: int) -> list[Event]:
        """Live until `now`: what was done since the last time, oldest first."""
        events = []
        while self._plans and self._plans[0][0] <= now:
            time, action, slot, given = heapq.heappop(self._plans)
            self._now = max(self._now, time)
            events += _ACTIONS[action](self, slot, time, given)
        self._now = max(self._now, now)
        return events

    def delivered(self, slot: str, time: int, amount: float | None = None) -> None:
        """A parcel of `amount` (None: exactly one refill) came at `time`: somebody will refill the slot, though not before what is
        past; or send the parcel back, if it is one that nobody wants."""
        supply = self.supplies[slot]
        supply.parcels += 1
        unwanted = supply.consumable.sends_back and supply.parcels == 1
        at = supply.refill_time(time, self._calendar)
        self._plan("send back" if unwanted else "refill", slot, at, amount or supply.consumable.capacity)

    def asked(self, slot: str, time: int, link: str) -> None:
        """A message with a question came at `time`: somebody will open its link and answer."""
        self._plan("answer", slot, self.supplies[slot].read_time(time, self._calendar), link)

    def _plan(self, action: str, slot: str, time: int, given: float | str) -> None:
        heapq.heappush(self._plans, (max(time, self._now), action, slot, given))

    def _plan_day(self, slot: str, midnight: int, _: object) -> list[Event]:
        self._plan("plan", slot, midnight + DAY_S, 0)
        for time in self.supplies[slot].uses(midnight):
            self._plan("use", slot, time, 0)
        return []

    def _use(self, slot: str, time: int, _: object) -> list[Event]:
        supply = self.supplies[slot]
        before = supply.level
        supply.level = max(0.0, before - supply.consumable.portion)
        events = [Event(time, Source.HOUSEHOLD, "used", slot, {"level": supply.reading})] if before > 0 else []
        if before > 0 and supply.level == 0:
            events.append(Event(time, Source.HOUSEHOLD, "empty", slot, {"level": supply.reading}))
        return events

    def _refill(self, slot: str, time: int, amount: float) -> list[Event]:
        supply = self.supplies[slot]
        supply.level = min(supply.level + amount, float(supply.consumable.capacity))
        return [Event(time, Source.HOUSEHOLD, "refilled", slot, {"level": supply.reading})]

    def _send_back(self, slot: str, time: int, _: object) -> list[Event]:
        return [Event(time, Source.PERSON, "sent back", slot)]

    def _answer(self, slot: str, time: int, link: str) -> list[Event]:
        return [Event(time, Source.PERSON, "opens", slot, {"link": link})]


_ACTIONS: dict[str, Callable[[Household, str, int, Any], list[Event]]] = {
    "plan": Household._plan_day,
    "use": Household._use,
    "refill": Household._refill,
    "send back": Household._send_back,
    "answer": Household._answer,
}
