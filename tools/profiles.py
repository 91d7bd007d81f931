"""What the profiles of a device mean: `bench` for a desk, `standard`, and `product`, which is sold.

The firmware knows no profile: the tools that generate a configuration write the short waits of `bench` into it (`fill`), so that
the file says all that the device does. What the maker gave stands, and a file that says `bench` without them is refused
(tools/configuration.py), or its waits would be the long ones. firmware/CONFIGURATION.md has the table; a test holds it to this file.

What a device that is sold must not have is told by `check_product`, one sentence each.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tools.security import product_faults

PROFILES = ("bench", "standard", "product")


@dataclass(frozen=True)
class Short:
    """A wait of the profile `bench`, in seconds, and why it is no shorter."""

    value: int
    why: str


# Days are not among them: they are promises to a customer (laws 4 and 5), and no day is short on a desk; what waits for days is ended
# by a person's word (`resume`, `refilled`). Nor is `intent_fresh_s`: the sooner it ends, the longer a lost answer stays in doubt.
BENCH: dict[str, Short] = {
    "policy.confirm_s": Short(10, "long enough to see it counted down, and for a hand on the scale to be no need"),
    "policy.boot_spread_s": Short(5, "one device is no region whose power comes back"),
    "policy.resolution_grace_s": Short(180, "the simulator places an order after 120: only one with a problem awaits its customer"),
    "policy.probe_interval_s": Short(60, "the least that is allowed"),
    "policy.poll_interval_s": Short(60, "the least that is allowed"),
    "policy.slot_status_interval_s": Short(600, "the least that is allowed"),
    "slots[].sensor.period_s": Short(5, "a jump is believed when the next reading agrees; each second would only warm the sensor"),
}
_SENSOR = "slots[].sensor."


def of(config: Mapping[str, Any]) -> str:
    """The profile that a configuration names. It need not have been judged."""
    board = config.get("board")
    name = board.get("profile", "standard") if isinstance(board, dict) else "standard"
    return name if name in PROFILES else "standard"


def fill(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a configuration with the short waits of its profile wherever it gives none of its own."""
    filled = copy.deepcopy(dict(config))
    if of(filled) == "bench":
        filled.setdefault("policy", {})
        for _, section, key, short in list(_places(filled)):
            section.setdefault(key, short.value)
    return filled


def lacking(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """(key, value) of each short wait that a configuration with the profile `bench` should give and does not."""
    if of(config) == "bench":
        for name, section, key, short in _places({"policy": {}, **config}):
            if key not in section:
                yield name, short.value


def _places(config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], str, Short]]:
    """(full key, the object that it belongs to, key, wait) wherever one of the table's may stand. What is no object is passed over."""
    slots = config.get("slots")
    for name, short in BENCH.items():
        key = name.rpartition(".")[2]
        if not name.startswith(_SENSOR):
            if isinstance(config.get("policy"), dict):
                yield name, config["policy"], key, short
            continue
        for number, slot in enumerate(slots if isinstance(slots, list) else ()):
            if isinstance(slot, dict) and isinstance(slot.get("sensor"), dict):
                yield name.replace("[]", f"[{number}]"), slot["sensor"], key, short


def buys_on_the_bench(config: Mapping[str, Any]) -> bool:
    """Whether a device of the profile `bench` would order for money at Amazon, after ten seconds of a need."""
    drs = config.get("drs")
    if of(config) != "bench" or config.get("backend") != "drs" or not isinstance(drs, dict):
        return False
    endpoint = drs.get("endpoint", "https://amazon.com")
    host = urlsplit(endpoint).hostname if isinstance(endpoint, str) else None
    return f".{host}".endswith(".amazon.com") and drs.get("test_device", False) is False


# What is sold

Fault = tuple[str, str, str]  # key, value, what is allowed
Check = Callable[[Mapping[str, Any], Path], Iterator[Fault]]


def _no_bench(config: Mapping[str, Any], folder: Path) -> Iterator[Fault]:
    """Neither the profile nor what it leaves behind in a file in which only its name was changed."""
    if of(config) == "bench":
        yield "board.profile", '"bench"', "product, because bench shortens the waits"
        return
    for name, section, key, short in _places(config):
        value = section.get(key)
        if name.startswith("policy.") and type(value) is int and value <= short.value:
            yield name, str(value), f"more than {short.value}, which is the wait of the profile bench"


def _no_test_device(config: Mapping[str, Any], folder: Path) -> Iterator[Fault]:
    drs = config.get("drs")
    for key, why in (("test_device", "its orders buy nothing"), ("include_non_live", "only a model that is certified may be sold")):
        if isinstance(drs, dict) and drs.get(key):
            yield f"drs.{key}", json.dumps(drs[key]), f"false, because {why}"


# Each is given the configuration, judged, and the folder that its paths count from.
PRODUCT_CHECKS: tuple[Check, ...] = (_no_bench, _no_test_device, product_faults)


def check_product(path: Path, config: Mapping[str, Any]) -> list[str]:
    """Why a device with this configuration must not be sold, a line each; empty when it may. path: of the file that it is from."""
    return [
        f"{path}: {key}: {value}: allowed: {allowed}"
        for check in PRODUCT_CHECKS
        for key, value, allowed in check(config, path.parent)
    ]
