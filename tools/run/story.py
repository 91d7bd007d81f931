"""The stories as data, one for each back end: what the appliance holds, how the household uses it, and what becomes of its orders.

The numbers are chosen so that with any seed both slots go through their whole story within FULL_STORY_DAYS days. With `drs`
Coffee is forecast to run out and ordered on day 4 to 7; PaperTowel is low on day 2, its first order dies on day 5, the
policy lets it order again five days later, and that order is in the cupboard by day 17. With `gateway` Coffee is ordered on day 4 to 7,
again when the two bags run out, on day 13 to 18, and PaperTowel is low on day 16 to 18 and sent back by day 28.
"""

from dataclasses import dataclass, replace

FULL_STORY_DAYS = 30
DAY_S = 86_400


@dataclass(frozen=True)
class Consumable:
    """One slot. Quantities are in its `unit`; the sensor shows whole multiples of `resolution`, rounded up."""

    id: str
    unit: str
    capacity: int
    resolution: int
    at_start: float
    per_day: float
    portion: float
    reorder_at: int
    lead_days: int
    # The fates of its first orders, by the simulator's names; the later ones succeed.
    scenarios: tuple[str, ...] = ()
    # With `gateway`: what the shop calls a pack, how many one order asks for, what they bring together (None: exactly one refill), how
    # many the shop has, and whether the household sends the first parcel back unopened.
    title: str = ""
    packs: int = 1
    pack: int | None = None
    stock: int | None = None
    sends_back: bool = False

    def brings(self, packs: int) -> float:
        """What so many packs hold, in the slot's unit."""
        return (self.capacity if self.pack is None else self.pack) * packs / self.packs


COFFEE = Consumable("Coffee", "g", 1000, 1, at_start=820, per_day=72, portion=12, reorder_at=250, lead_days=6)
PAPER_TOWEL = Consumable(
    "PaperTowel",
    "count",
    12,
    1,
    at_start=6.5,
    per_day=0.37,
    portion=0.09,
    reorder_at=6,
    lead_days=0,
    scenarios=("unresolved", "resolved"),
)
CONSUMABLES = (COFFEE, PAPER_TOWEL)


@dataclass(frozen=True)
class Chapter:
    """Something that the story must bring: events of one order's life, in this order, all of the slot."""

    slot: str
    name: str
    kinds: tuple[str, ...]
    # What the appliance must have shown of it, in words of its own: states of the order, or reasons. `noticed`: what only notices bring
    # about, in the name and among these words.
    shown: tuple[str, ...] = ()
    noticed: str = ""
    shown_noticed: tuple[str, ...] = ()

    def to_show(self, notices: bool) -> set[str]:
        """What the appliance must have shown, with notices or without."""
        return {*self.shown, *(self.shown_noticed if notices else ())}

    def title(self, notices: bool) -> str:
        """The name, with notices or without."""
        return self.name + (self.noticed if notices else "")


CHAPTERS = (
    Chapter("Coffee", "ordered, placed, shipped, delivered, refilled", ("accepted", "placed", "shipped", "delivered", "refilled")),
    Chapter("PaperTowel", "not resolved in 72 hours, cancelled", ("accepted", "problem", "cancelled")),
    Chapter(
        "PaperTowel",
        "ordered again, resolved, placed, shipped, delivered, refilled",
        ("accepted", "problem", "resolved", "placed", "shipped", "delivered", "refilled"),
    ),
)


@dataclass(frozen=True)
class Story:
    """What happens with one back end."""

    consumables: tuple[Consumable, ...]
    chapters: tuple[Chapter, ...]


# Two bags of coffee in an order, and three in the shop: the second order finds one. The paper towels come when nobody wants them.
BAGS = replace(COFFEE, title="Coffee beans, 350 g", packs=2, pack=700, stock=3)
ROLLS = replace(PAPER_TOWEL, title="Paper towels, 12 rolls", at_start=12, scenarios=(), sends_back=True)
_STARTED = ("accepted", "started", "shipped", "delivered")
STORIES = {
    "drs": Story(CONSUMABLES, CHAPTERS),
    "gateway": Story(
        (BAGS, ROLLS),
        (
            Chapter("Coffee", "ordered, held for a day, started, on its way, delivered, refilled", (*_STARTED, "refilled")),
            Chapter(
                "Coffee",
                "only one of two packs left: the person was asked and said yes; it came, refilled",
                ("sold out", "asked", "answered", "accepted", "fewer", *_STARTED[1:], "refilled"),
                ("awaiting_customer",),
            ),
            Chapter(
                "PaperTowel",
                "delivered, sent back unopened, graded, return completed",
                (*_STARTED, "sent back", "return in transit", "graded", "return completed"),
                noticed="; no refill awaited, nothing at home",
                shown_noticed=("awaiting_refill", "pack returned", "nothing at home"),
            ),
        ),
    ),
}


class Calendar:
    """The household's own time: the run begins on day 1 at midnight, whatever time the PC's clock shows."""

    def __init__(self, start: int) -> None:
        """`start`: virtual Unix seconds at which the run begins."""
        self.start = start

    def day(self, time: int) -> int:
        """The day's number, from 1."""
        return (time - self.start) // DAY_S + 1

    def midnight(self, day: int) -> int:
        """When that day begins."""
        return self.start + (day - 1) * DAY_S

    def clock(self, time: int) -> str:
        """The time of day, 14:05."""
        minutes = (time - self.start) % DAY_S // 60
        return f"{minutes // 60:02}:{minutes % 60:02}"

    def moment(self, time: int) -> str:
        """Day and time."""
        return f"day {self.day(time)} {self.clock(time)}"
