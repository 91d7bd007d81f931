"""What the flash may be asked for, what the forecast must be worth, and whether it is kept. Figures are counts and times of virtual
lives, never of this machine.
"""

ERASES_OF_A_BLOCK = 100_000  # what a NOR flash's maker promises
TEN_YEARS_DAYS = 3652.5
_THREE = ("intent", "accepted", "cleared")
_TRANSITIONS = (*_THREE, "transition", "progress")


def added(by, kinds=None):
    """[writes, program operations, bytes programmed, erases] of these kinds of write, None: of all."""
    rows = [row for kind, row in by.items() if kinds is None or kind in kinds]
    return [sum(row[i] for row in rows) for i in range(4)]


def an_order(section, medium):
    """{name: [writes, operations, bytes, erases] of one order} of a section `orders`: the three writes, every transition, all of the
    order's records, and all that is written from one order to the next, levels and reports too."""
    by = section["media"][medium]["by"]
    groups = {
        "intent, accepted, cleared": _THREE,
        "every transition": _TRANSITIONS,
        "all of the order's": (*_TRANSITIONS, "same state"),
        "everything in its 8 days": None,
    }
    return {name: [figure / section["orders"] for figure in added(by, kinds)] for name, kinds in groups.items()}


def hottest_in_ten_years(section, medium):
    """Erases of the block that is erased most, if the section's days go on for ten years; None where the records do not fit."""
    figures = section["media"][medium]
    return None if figures["full"] else figures["hottest"] * TEN_YEARS_DAYS / section["days"]


def years_until_worn(section, medium):
    """Years until the hottest block has had its promised erases; None where the records do not fit."""
    erases = hottest_in_ten_years(section, medium)
    return erases and 10 * ERASES_OF_A_BLOCK / erases


class Budget:
    """`figure` must be at most `limit`."""

    def __init__(self, name, figure, limit):
        self.name = name
        self.figure = figure
        self.limit = limit

    @property
    def kept(self):
        return self.figure <= self.limit

    def __str__(self):
        return f"{'ok    ' if self.kept else 'FAILED'}  {self.name}: {self.figure:,.4g}, at most {self.limit:,.4g}"


def of_orders(section):
    """The budgets of one whole order on littlefs (one slot)."""
    order = an_order(section, "littlefs")
    three, all_transitions = order["intent, accepted, cleared"], order["every transition"]
    return [
        Budget("bytes programmed by intent, accepted, cleared on littlefs", three[2], 400),
        Budget("erases by them", three[3], 0.10),
        Budget("writes of every transition", all_transitions[0], 8),
        Budget("bytes programmed by them", all_transitions[2], 1200),
    ]


def of_life(name, section):
    """The hottest block after ten years on littlefs, in erases."""
    return Budget(f"erases of littlefs's hottest block in 10 years, {name}", hottest_in_ten_years(section, "littlefs"), 1000)


# What a start may read after many orders, in parts of what it reads after few. The log: no more, but its newest sector is not
# always equally full. littlefs: its directories move as they wear, which leaves a longer way to them; 1.44 after 10,000 orders is the
# most that was seen, and 1.33 after 20,000.
_LOG_READS = 1.1
_LITTLEFS_READS = 1.5


def of_recovery(section):
    """What a start reads does not grow with the orders there were."""
    budgets = []
    reads = {}
    for mark, medium, _, size, _ in section["rows"]:
        reads.setdefault(medium, []).append((mark, size))
    for medium, rows in reads.items():
        least, most = min(rows), max(rows)
        name = f"bytes read at a start after {most[0]:,} orders on {medium}, after {least[0]}: 1"
        budgets.append(Budget(name, most[1] / least[1], _LITTLEFS_READS if medium == "littlefs" else _LOG_READS))
    return budgets


def of_flips(rows):
    return Budget("flipped bits and truncations that change a record and are not found", sum(row[-1] for row in rows), 0)


# A quarter of the dry days of the fixed threshold at the same `reorder_at`; a twentieth was measured.
_DRY_DAYS = 0.25


def of_forecast(found):
    """What ordering by forecast must be worth, over all patterns."""
    forecast, fixed = found["forecast"]["all"], found["at 10 %"]["all"]
    return [Budget("dry days by forecast, at the same threshold without: 1", forecast["dry_days"] / fixed["dry_days"], _DRY_DAYS)]
