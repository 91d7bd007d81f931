"""What a value of a configuration may be: a rule judges it, and says for a person what it accepts."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """`accepts` judges a value of any type and never raises; `allowed` says what it accepts, for a person."""

    accepts: Callable[[Any], bool]
    allowed: str
    choices: tuple[str, ...] = ()


def whole(low: int, high: int) -> Rule:
    # Not isinstance: True and False are ints too.
    return Rule(lambda v: type(v) is int and low <= v <= high, f"a whole number from {low} to {high}")


def amount(zero: bool) -> Rule:
    """A quantity in the slot's unit. Bounded, so that a board's single precision never overflows when they are added up."""
    limit = 1_000_000_000

    def accepts(v: Any) -> bool:
        return type(v) in (int, float) and (0 < v <= limit or (zero and v == 0))

    return Rule(accepts, f"a number from 0 to {limit}" if zero else f"a number above 0, at most {limit}")


def or_null(rule: Rule) -> Rule:
    return Rule(lambda v: v is None or rule.accepts(v), f"null or {rule.allowed}")


def text(limit: int) -> Rule:
    return Rule(
        lambda v: isinstance(v, str) and 0 < len(v) <= limit and v.isprintable(), f"1 to {limit} printable characters"
    )


def matching(pattern: str, allowed: str) -> Rule:
    expression = re.compile(pattern, re.ASCII)
    return Rule(lambda v: isinstance(v, str) and expression.fullmatch(v) is not None, allowed)


def one_of(choices: tuple[str, ...], note: str = "") -> Rule:
    return Rule(lambda v: v in choices, ", ".join(choices) + note, choices)


def object_of(keys: Collection[str]) -> Rule:
    """Its keys have rules of their own."""
    return Rule(lambda v: isinstance(v, dict), f"an object with {', '.join(sorted(keys))}")


def list_of(item: Rule, limit: int, what: str) -> Rule:
    return Rule(
        lambda v: isinstance(v, list) and 0 < len(v) <= limit and all(map(item.accepts, v)), f"a list of 1 to {limit} {what}"
    )


def one_or_several(item: Rule, limit: int, what: str) -> Rule:
    several = list_of(item, limit, what)
    return Rule(lambda v: (several if isinstance(v, list) else item).accepts(v), f"{item.allowed}, or {several.allowed}")
