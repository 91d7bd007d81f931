"""What a run with the maker's gateway comes to: the checks of any run, and that each intent became one order."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from tools.run.summary import (
    Ending,
    Facts,
    Tally,
    basics,
    calls_table,
    chapters,
    common_figures,
    figures,
    grid,
    heading,
    spaced,
    verdict,
)
from tools.run.timeline import Glyphs

_COLUMNS = {"accepted": "ordered", "delivered": "delivered", "sent back": "sent back", "cancelled": "cancelled"}


@dataclass(frozen=True)
class Ledger:
    """The store's own account: its calls by name and outcome, and how many orders it has under each intent."""

    calls: Mapping[str, Mapping[str, int]]
    connections: int
    intents: Mapping[str, int]


def report(tally: Tally, ledger: Ledger, ending: Ending, facts: Facts) -> dict[str, Any]:
    """Everything about the run as plain data."""
    orders = {consumable.id: _order_counts(tally, consumable.id) for consumable in tally.story.consumables}
    return {
        **basics(tally, ending, facts),
        "orders": orders,
        "intents": dict(ledger.intents),
        "calls": {name: dict(outcomes) for name, outcomes in sorted(ledger.calls.items())},
        "gateway_calls": {name: dict(outcomes) for name, outcomes in sorted(tally.calls.items())},
        "connections": ledger.connections,
        "asked": _count(tally, "asked"),
        "answered": _count(tally, "answered"),
        "verdict": verdict(tally, ending, facts) or _intents_verdict(ledger.intents),
    }


def _count(tally: Tally, kind: str) -> int:
    return sum(life.kinds.count(kind) for lives in tally.lifetimes.values() for life in lives)


def _order_counts(tally: Tally, slot: str) -> dict[str, int]:
    lives = [life for life in tally.lifetimes[slot] if "accepted" in life.kinds]
    counts = {kind: sum(kind in life.kinds for life in lives) for kind in _COLUMNS}
    return {**counts, "open": sum(not life.over for life in lives)}


def _intents_verdict(intents: Mapping[str, int]) -> str | None:
    """One order for each intent, and no number left out: a number is used up by an order alone."""
    if "" in intents:
        return "An order in the store is of no intent."
    for intent, orders in intents.items():
        if orders != 1:
            return f"The intent {intent} has {orders} orders in the store."
    slots = Counter(intent.rpartition("-")[0] for intent in intents)
    for slot, count in slots.items():
        for number in range(1, count + 1):
            if f"{slot}-{number}" not in intents:
                return f"The intent {slot}-{number} has no order in the store, though a later one has."
    return None


def tables(report: Mapping[str, Any], glyphs: Glyphs) -> list[RenderableType]:
    """The end of the output, from a report."""
    at_gateway = calls_table("appliance to gateway", report["gateway_calls"])
    at_store = calls_table("gateway to store", report["calls"])
    at_store.add_row("all", f"{_total(report):,}", f"over {report['connections']:,} TLS connections", style="dim")
    told = figures(
        ("intents, orders in the store", f"{len(report['intents'])}, {sum(report['intents'].values())}"),
        ("the person was asked, answered", f"{report['asked']}, {report['answered']}"),
        *common_figures(report),
    )
    return spaced(heading(report), _orders(report["orders"]), at_gateway, at_store, told, chapters(report["chapters"], glyphs))


def _total(report: Mapping[str, Any]) -> int:
    return sum(sum(outcomes.values()) for outcomes in report["calls"].values())


def _orders(orders: Mapping[str, Mapping[str, int]]) -> Table:
    table = grid("orders at the store", *_COLUMNS.values(), "still open")
    for slot, counts in orders.items():
        table.add_row(slot, *(str(counts[name]) for name in (*_COLUMNS, "open")))
    return table
