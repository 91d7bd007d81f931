"""The agent's lines, read: logfmt as firmware/replenish/io/console.py writes it."""

import json
import re
from datetime import UTC, datetime

from tools.run.events import Event, Source

_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
# What stands without quotes: no space, quote, "=", backslash or control character.
_BARE = re.compile(r'[^ "=\\\x00-\x1f]+')
_QUOTED = json.JSONDecoder()
_NUMBERS = {"level", "on_hand", "capacity", "status", "ms", "slots", "heap_free", "heap_peak"}

Value = str | int | float | None


def parse(line: str) -> dict[str, str | None]:
    """The keys and values of one line, `null` as None. Raises ValueError for a line that is not logfmt."""
    pairs: dict[str, str | None] = {}
    at = 0
    while True:
        found = _KEY.match(line, at)
        if found is None or found[1] in pairs:
            raise ValueError(f"no new key at column {at}")
        pairs[found[1]], at = _value(line, found.end())
        if at == len(line):
            return pairs
        if line[at] != " ":
            raise ValueError(f"no space at column {at}")
        at += 1


def _value(line: str, at: int) -> tuple[str | None, int]:
    if line[at : at + 1] == '"':
        value, end = _QUOTED.raw_decode(line, at)
        return value, end
    found = _BARE.match(line, at)
    if found is None:
        raise ValueError(f"no value at column {at}")
    return (None if found[0] == "null" else found[0]), found.end()


def agent_event(line: str, now: int) -> Event | None:
    """The event that a line of the agent tells, None if it tells none. `now` is for an agent that has no valid time yet."""
    try:
        pairs = parse(line)
        time = _time(pairs.pop("t"), now)
        kind = pairs.pop("event")
        slot = pairs.pop("slot", None)
        fields = {key: _number(value) if key in _NUMBERS else value for key, value in pairs.items()}
    except (KeyError, ValueError):
        return None
    return Event(time, Source.AGENT, kind, slot, fields) if kind else None


def _time(text: str | None, now: int) -> int:
    return now if text == "unknown" else parse_time(str(text))


def parse_time(text: str) -> int:
    """ISO 8601 UTC as Unix seconds. Raises ValueError."""
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())


def _number(text: str | None) -> Value:
    if text is None:
        return None
    return int(text) if text.lstrip("-").isdigit() else float(text)
