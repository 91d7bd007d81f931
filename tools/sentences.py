"""Faults as sentences for a person: the key, the value as it is written, what is allowed, and what was perhaps meant."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def fault(key: str, given: object, why: str) -> str:
    return f"{key}: {json.dumps(given, ensure_ascii=False)}: {why}"
