"""Faults as sentences for a person: the key, the value as it is written, what is allowed, and what was perhaps meant."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The one known word that is nearest; nothing when none is near, or two are alike."""
    close = difflib.get_close_matches(word, list(known), n=2, cutoff=0.5)
    near = [difflib.SequenceMatcher(None, other, word).ratio() for other in close]
    return f"; did you mean {close[0]}?" if close and near[:1] != near[1:] else ""


def fault(key: str, given: object, why: str) -> str:
    """TOML has dates, which JSON shows as texts."""
    return f"{key}: {json.dumps(given, ensure_ascii=False, default=str)}: {why}"
