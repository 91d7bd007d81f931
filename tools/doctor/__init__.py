"""`make doctor`: what keeps a device from ordering, one sentence each with its remedy; nothing is ordered and nothing changed.

What it sends: look-ups of names, a question for the time by NTP, a TLS handshake with each service, the consent page's address,
one token request and one service call with made-up tokens; to a gateway the question for its slots; to a broker a connection under a
name of its own, a subscription that ends with it, and one `result` that answers no command. No secret is printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# How long each answer is waited for.
WAIT_S = 10.0


@dataclass(frozen=True)
class Finding:
    """One sentence about one thing; `good` None: it could not be looked at, or there is none. `remedy`: what to do."""

    about: str
    good: bool | None
    said: str
    remedy: str = ""


@dataclass(frozen=True)
class Patient:
    """What is looked at: a configuration with its defaults, its secrets, its anchors as DER. hidden: the names of secrets that it has
    and this PC does not read."""

    config: Mapping[str, Any]
    secrets: Mapping[str, Any]
    anchors: Mapping[str, bytes]
    hidden: frozenset[str] = frozenset()

    @property
    def backend(self) -> str:
        return str(self.config["backend"])
