"""Faults to order: what goes wrong with which call, how often, and on which side of acting."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields

from tools.simulator.drs import ENDPOINTS
from tools.simulator.lwa import ERRORS

# What each kind is made of; whatever is given along with the kind is added or wins.
KINDS: dict[str, dict[str, object]] = {
    "refuse": {"act": False, "status": 503},
    "fail_after": {"status": 500},
    "lwa_error": {"act": False, "error": "server_error"},
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
ENDPOINT_NAMES = ("token", "consent", *dict.fromkeys(endpoint.name for endpoint in ENDPOINTS), "unknown")
FOREVER = 0
_MAX_BODY_BYTES = 1 << 28


@dataclass
class Fault:
    """One thing that goes wrong. Every field is documented in README.md, under Faults.

    `endpoint`, `slot` and `serial` choose the calls (None: any); the first `skip` of them pass, then
    `count` are hit (0: for ever). `act` says whether the service does what was asked. The other
    fields change the answer, and compose.
    """

    kind: str = "custom"
    endpoint: str | None = None
    slot: str | None = None
    serial: str | None = None
    skip: int = 0
    count: int = 1
    act: bool = True
    delay_s: float = 0.0
    status: int | None = None
    error: str | None = None
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
    def spent(self) -> bool:
        """Whether it will hit no more calls."""
        return self.count != FOREVER and self.hits >= self.count

    @property
    def raw_bytes(self) -> bytes | None:
        """The bytes to answer with instead of an answer; None to answer properly."""
        if self.raw_base64 is not None:
            return base64.b64decode(self.raw_base64)
        return None if self.raw is None else self.raw.encode()

    def matches(self, endpoint: str, slot: str | None, serial: str | None) -> bool:
        """Whether such a call is one of those that it is meant for."""
        wanted = (self.endpoint, self.slot, self.serial)
        return all(want in (None, have) for want, have in zip(wanted, (endpoint, slot, serial), strict=True))


def _number(low: float, high: float, kinds: type | tuple[type, ...] = int) -> Callable[[object], bool]:
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


_SECONDS = (_number(0, 86_400, (int, float)), "a number of real seconds from 0 to 86400")
_COUNT = (_number(0, 1_000_000), "a whole number from 0 to 1000000")
_TEXT = (_is_text, "a text")
_TRUTH = (_is_truth, "true or false")
_CHECKS: dict[str, tuple[Callable[[object], bool], str]] = {
    "endpoint": (lambda value: value in ENDPOINT_NAMES, f"one of {', '.join(ENDPOINT_NAMES)}"),
    "slot": _TEXT,
    "serial": _TEXT,
    "skip": _COUNT,
    "count": (_COUNT[0], f"{_COUNT[1]}; 0 is for ever"),
    "act": _TRUTH,
    "delay_s": _SECONDS,
    "status": (_number(100, 999), "a whole number from 100 to 999"),
    "error": (lambda value: value in ERRORS, f"one of {', '.join(ERRORS)}"),
    "headers": (_is_headers, "an object of texts"),
    "retry_after": (_number(0, 10_000_000), "a whole number of seconds, 0 or more"),
    "retry_after_date": _TRUTH,
    "location": _TEXT,
    "body": _TEXT,
    "body_bytes": (_number(0, _MAX_BODY_BYTES), f"a whole number from 0 to {_MAX_BODY_BYTES}"),
    "raw": _TEXT,
    "raw_base64": (_is_base64, "base64"),
    "chunked": _TRUTH,
    "close": _TRUTH,
    "cut": (_number(0, _MAX_BODY_BYTES), f"a whole number from 0 to {_MAX_BODY_BYTES}"),
    "reset": _TRUTH,
    "stall": _TRUTH,
    "trickle_s": _SECONDS,
}


def parse(form: Mapping[str, object]) -> Fault:
    """A fault from its JSON form. Raises ValueError with one sentence for an unknown or bad key."""
    given = {key: value for key, value in form.items() if value is not None}
    kind = given.pop("kind", "custom")
    if kind != "custom" and kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}: one of {', '.join(KINDS)}, or custom")
    for name, value in given.items():
        if name not in _CHECKS:
            raise ValueError(f"unknown key {name!r}: one of kind, {', '.join(_CHECKS)}")
        good, allowed = _CHECKS[name]
        if not good(value):
            raise ValueError(f"{name} is {value!r}: it must be {allowed}")
    values: dict[str, object] = {"kind": kind, **KINDS.get(str(kind), {}), **given}
    return Fault(**values)  # type: ignore[arg-type]


class FaultQueue:
    """The faults that wait for their calls. The oldest one that matches a call hits it, alone."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._added = 0

    def add(self, /, **form: object) -> Fault:
        """Queue a fault: `add(kind="refuse", endpoint="replenish", status=429, retry_after=60)`.

        Raises ValueError with one sentence for an unknown or bad value.
        """
        fault = parse(form)
        self._added += 1
        fault.number = self._added
        self._faults.append(fault)
        return fault

    def take(self, endpoint: str, slot: str | None, serial: str | None) -> Fault | None:
        """The fault that hits such a call, counted; None if the call goes well."""
        for fault in self._faults:
            if not fault.matches(endpoint, slot, serial):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.hits += 1
            if fault.spent:
                self._faults.remove(fault)
            return fault
        return None

    def pending(self) -> list[Fault]:
        """The faults that can still hit, oldest first."""
        return list(self._faults)

    def clear(self) -> None:
        """Forget them all."""
        self._faults.clear()


def as_json(fault: Fault) -> dict[str, object]:
    """The fault without the fields that say nothing."""
    plain = Fault()
    values = {entry.name: getattr(fault, entry.name) for entry in fields(fault)}
    return {
        name: value
        for name, value in values.items()
        if name in ("kind", "number", "count", "hits", "act") or value != getattr(plain, name)
    }
