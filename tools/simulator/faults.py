"""Faults to order: what goes wrong with which call, how often, and on which side of acting."""

import base64
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Generic, Protocol, TypeVar

from tools.simulator.buywithprime.errors import Family
from tools.simulator.buywithprime.operations import OPERATIONS
from tools.simulator.drs import ENDPOINTS
from tools.simulator.lwa import ERRORS

# What each kind is made of; whatever is given along with the kind is added or wins.
KINDS: dict[str, dict[str, object]] = {
    "refuse": {"act": False, "status": 503},
    "fail_after": {"status": 500},
    "lwa_error": {"act": False, "error": "server_error"},
    "graphql_error": {"act": False, "family": "Throttling"},
    "delay": {"delay_s": 1.0},
    "drop_before": {"act": False, "cut": 0},
    "drop_after": {"cut": 0},
    "reset": {"reset": True, "cut": 0},
    "truncate": {"cut": 20},
    "raw": {"raw": ""},
    "body": {"body": ""},
    "huge": {"body_bytes": 1_000_000},
    "stall": {"stall": True},
    "trickle": {"trickle_s": 0.05},
    "chunked": {"chunked": True},
    "headers": {},
    "redirect": {"act": False, "status": 302, "location": "https://localhost:1/"},
    "close": {"close": True},
}
ENDPOINT_NAMES = (
    *("token", "consent"),
    *dict.fromkeys(endpoint.name for endpoint in ENDPOINTS),
    *("sns", "signing_certificate", "bwp_token", "bwp_graphql", "unknown"),
)
FOREVER = 0
_MAX_BODY_BYTES = 1 << 28


@dataclass
class Fault:
    """One thing that goes wrong. Every field is documented in README.md, under Faults.

    `endpoint`, `operation`, `slot` and `serial` choose the calls (None: any); the first `skip` of them pass, then each is hit
    with `probability` until `count` were (0: for ever). `act` says whether the service does what was asked. The
    other fields change the answer, and compose.
    """

    kind: str = "custom"
    endpoint: str | None = None
    operation: str | None = None
    slot: str | None = None
    serial: str | None = None
    skip: int = 0
    count: int = 1
    probability: float = 1.0
    act: bool = True
    delay_s: float = 0.0
    status: int | None = None
    error: str | None = None
    family: str | None = None
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    retry_after: int | None = None
    retry_after_date: bool = False
    location: str | None = None
    body: str | None = None
    body_bytes: int | None = None
    raw: str | None = None
    raw_base64: str | None = None
    chunked: bool = False
    close: bool = False
    cut: int | None = None
    reset: bool = False
    stall: bool = False
    trickle_s: float = 0.0
    number: int = 0
    hits: int = 0

    @property
    def raw_bytes(self) -> bytes | None:
        """The bytes to answer with instead of an answer; None to answer properly."""
        if self.raw_base64 is not None:
            return base64.b64decode(self.raw_base64)
        return None if self.raw is None else self.raw.encode()


def is_number(low: float, high: float, kinds: type | tuple[type, ...] = int) -> Callable[[object], bool]:
    """A check that a value is a number of one of these kinds, between the two."""
    return lambda value: isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high  # type: ignore[operator]


def _is_truth(value: object) -> bool:
    return isinstance(value, bool)


def _is_text(value: object) -> bool:
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        # Half of a surrogate pair, which JSON can write and UTF-8 cannot.
        return False


def _is_base64(value: object) -> bool:
    try:
        base64.b64decode(str(value), validate=True)
    except ValueError:
        return False
    return isinstance(value, str)


def _is_headers(value: object) -> bool:
    return isinstance(value, dict) and all(_is_text(text) for pair in value.items() for text in pair)


# Whether a value is allowed, and what is, in words.
Check = tuple[Callable[[object], bool], str]
_SECONDS = (is_number(0, 86_400, (int, float)), "a number of real seconds from 0 to 86400")
COUNT = (is_number(0, 1_000_000), "a whole number from 0 to 1000000")
SHARE = (is_number(0, 1, (int, float)), "a number from 0 to 1")
TEXT = (_is_text, "a text")
TRUTH = (_is_truth, "true or false")
_CHECKS: dict[str, Check] = {
    "endpoint": (lambda value: value in ENDPOINT_NAMES, f"one of {', '.join(ENDPOINT_NAMES)}"),
    "operation": (lambda value: value in OPERATIONS, f"one of {', '.join(OPERATIONS)}"),
    "slot": TEXT,
    "serial": TEXT,
    "skip": COUNT,
    "count": (COUNT[0], f"{COUNT[1]}; 0 is for ever"),
    "probability": SHARE,
    "act": TRUTH,
    "delay_s": _SECONDS,
    "status": (is_number(100, 999), "a whole number from 100 to 999"),
    "error": (lambda value: value in ERRORS, f"one of {', '.join(ERRORS)}"),
    "family": (lambda value: value in list(Family), f"one of {', '.join(Family)}"),
    "code": TEXT,
    "headers": (_is_headers, "an object of texts"),
    "retry_after": (is_number(0, 10_000_000), "a whole number of seconds, 0 or more"),
    "retry_after_date": TRUTH,
    "location": TEXT,
    "body": TEXT,
    "body_bytes": (is_number(0, _MAX_BODY_BYTES), f"a whole number from 0 to {_MAX_BODY_BYTES}"),
    "raw": TEXT,
    "raw_base64": (_is_base64, "base64"),
    "chunked": TRUTH,
    "close": TRUTH,
    "cut": (is_number(0, _MAX_BODY_BYTES), f"a whole number from 0 to {_MAX_BODY_BYTES}"),
    "reset": TRUTH,
    "stall": TRUTH,
    "trickle_s": _SECONDS,
}


def checked(form: Mapping[str, object], kinds: Mapping[str, Mapping[str, object]], checks: Mapping[str, Check]) -> dict[str, object]:
    """The fields of a fault from its JSON form. Raises ValueError with one sentence for an unknown or bad key."""
    given = {key: value for key, value in form.items() if value is not None}
    kind = given.pop("kind", "custom")
    if kind != "custom" and kind not in kinds:
        raise ValueError(f"unknown kind {kind!r}: one of {', '.join(kinds)}, or custom")
    for name, value in given.items():
        if name not in checks:
            raise ValueError(f"unknown key {name!r}: one of kind, {', '.join(checks)}")
        good, allowed = checks[name]
        if not good(value):
            raise ValueError(f"{name} is {value!r}: it must be {allowed}")
    return {"kind": kind, **kinds.get(str(kind), {}), **given}


def parse(form: Mapping[str, object]) -> Fault:
    """A fault of a call from its JSON form. Raises ValueError with one sentence for an unknown or bad key."""
    return Fault(**checked(form, KINDS, _CHECKS))  # type: ignore[arg-type]


class _Queued(Protocol):
    """What the queue asks of a fault."""

    number: int
    skip: int
    count: int
    hits: int
    probability: float


Queued = TypeVar("Queued", bound=_Queued)


class FaultQueue(Generic[Queued]):
    """The faults that wait. The oldest one that matches a call, or a notification, hits it, alone."""

    def __init__(self, parse: Callable[[Mapping[str, object]], Queued], seed: int = 1) -> None:
        """`parse` makes a fault of its JSON form; `seed` decides what a `probability` leaves open."""
        self._parse = parse
        self._random = random.Random(seed)
        self._faults: list[Queued] = []
        self._added = 0

    def add(self, /, **form: object) -> Queued:
        """Queue a fault: `add(kind="refuse", endpoint="replenish", status=429, retry_after=60)`.

        Raises ValueError with one sentence for an unknown or bad value.
        """
        fault = self._parse(form)
        self._added += 1
        fault.number = self._added
        self._faults.append(fault)
        return fault

    def take(self, **traits: str | None) -> Queued | None:
        """The fault that hits a call, or a notification, with these traits, counted; None if all goes well.

        A fault is meant for it if each of its fields of those names is None or the same.
        """
        for fault in self._faults:
            if any(getattr(fault, name) not in (None, value) for name, value in traits.items()):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if self._random.random() >= fault.probability:
                continue
            fault.hits += 1
            if fault.count != FOREVER and fault.hits >= fault.count:
                self._faults.remove(fault)
            return fault
        return None

    def pending(self) -> list[Queued]:
        """The faults that can still hit, oldest first."""
        return list(self._faults)

    def clear(self) -> None:
        """Forget them all."""
        self._faults.clear()


def as_json(fault: Any) -> dict[str, object]:
    """The fault without the fields that say nothing."""
    plain = type(fault)()
    values = {entry.name: getattr(fault, entry.name) for entry in fields(fault)}
    return {
        name: value
        for name, value in values.items()
        if name in ("kind", "number", "count", "hits", "act") or value != getattr(plain, name)
    }
