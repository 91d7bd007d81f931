"""What goes wrong between the service and its subscribers: messages lost, repeated, late and out of order."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from tools.simulator.faults import COUNT, SHARE, TEXT, TRUTH, Check, checked, is_number

_TWO_HOURS_S = 7200
# What each kind is made of; whatever is given along with the kind is added or wins.
KINDS: dict[str, dict[str, object]] = {
    "lose": {"lose": True},
    "duplicate": {"copies": 1},
    "double": {"doubles": 1},
    "delay": {"delay_s": _TWO_HOURS_S},
    "stale": {"delay_s": _TWO_HOURS_S, "stale": True},
    "reorder": {"hold": True},
}


@dataclass
class NoticeFault:
    """One thing that goes wrong. Every field is documented in README.md, under What goes wrong with notifications.

    `type`, `slot` and `serial` choose the messages (None: any); the first `skip` of them pass, then each is hit
    with `probability` until `count` were (0: for ever). The other fields say how, and compose.
    """

    kind: str = "custom"
    type: str | None = None
    slot: str | None = None
    serial: str | None = None
    skip: int = 0
    count: int = 1
    probability: float = 1.0
    lose: bool = False
    copies: int = 0
    doubles: int = 0
    gap_s: int = 0
    delay_s: int = 0
    stale: bool = False
    hold: bool = False
    number: int = 0
    hits: int = 0


_REPEATS = (is_number(0, 1000), "a whole number from 0 to 1000")
_SECONDS = (is_number(0, 31_536_000), "a whole number of virtual seconds from 0 to 31536000")
_CHECKS: dict[str, Check] = {
    "skip": COUNT,
    "count": (COUNT[0], f"{COUNT[1]}; 0 is for ever"),
    "probability": SHARE,
    "lose": TRUTH,
    "copies": _REPEATS,
    "doubles": _REPEATS,
    "gap_s": _SECONDS,
    "delay_s": _SECONDS,
    "stale": TRUTH,
    "hold": TRUTH,
}


def parser(types: Collection[str], by_device: bool = True) -> Callable[[Mapping[str, object]], NoticeFault]:
    """What makes a fault of its JSON form, where there are messages of these types; they are a device's if `by_device`.

    It raises ValueError with one sentence for an unknown or bad key.
    """
    device: dict[str, Check] = {"slot": TEXT, "serial": TEXT} if by_device else {}
    checks: dict[str, Check] = {"type": (lambda value: value in types, f"one of {', '.join(types)}"), **device, **_CHECKS}
    return lambda form: NoticeFault(**checked(form, KINDS, checks))  # type: ignore[arg-type]
