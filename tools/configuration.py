"""The configuration, judged on the PC before anything starts: every fault at once, one line each.

    python -m tools.configuration CONFIG.json      exit status 2 and all faults when it is wrong

A fault reads `FILE: KEY: VALUE: allowed: WHAT`. What each key may be stands here and nowhere else; what a missing key is
worth stands in firmware/replenish/config.py, whose `load` gives the values too. A key without a default is required.
firmware/CONFIGURATION.md explains the keys; a test holds it to this file. Nothing is written.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import stat
import sys
import types
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from tools import profiles
from tools.boards import did_you_mean
from tools.drivers import DRIVERS, FOLDER, Driver
from tools.rules import Rule, amount, list_of, matching, object_of, one_of, one_or_several, or_null, text, whole
from tools.security import PROTECTIONS

FIRMWARE = Path(__file__).resolve().parent.parent / "firmware" / "replenish"

# Of any file read here. A board has some 100 KiB of heap; 64 slots are less than 20 KiB of JSON.
FILE_LIMIT_BYTES = 65_536
# Objects and lists within each other; a configuration has four.
NESTING_LIMIT = 16
SLOTS_LIMIT = 64
# The shortest watchdog with `mqtt`.
WITH_MQTT_S = 120
# Of mqtt.prefix and device.serial together: 122 bytes less "/" twice and "command".
TOPIC_LIMIT_BYTES = 113
# The longest value that a fault shows whole, in characters.
SHOWN_LIMIT = 60

MISSING = "missing"
NOT_SHOWN = "(not shown)"
READABLE = "a file that can be read"
OWN_KEY = "a file with the private key of tls.certificate, DER or PEM, without a password: RSA of 2048 bits or more or a NIST curve"
UPDATE_KEY = "a file update.pub of `make keys`"
CERTIFICATE = "a file with one certificate, DER or PEM, not expired, its key RSA of 2048 bits or more or of a NIST curve"


def _device_config() -> types.ModuleType:
    """The firmware's own reading of a configuration, by its place: the rest of the firmware needs MicroPython's modules."""
    loader = SourceFileLoader("replenish_config", str(FIRMWARE / "config.py"))
    module = types.ModuleType(loader.name)
    loader.exec_module(module)
    return module


_DEVICE = _device_config()
DEFAULTS: dict[str, dict[str, Any]] = _DEVICE.defaults()


# What a value may be

def drivers() -> tuple[str, ...]:
    """The sensors there are: one file each."""
    return tuple(name for name in sorted(DRIVERS) if (FOLDER / f"{name}.py").exists())


_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = rf"(?=[A-Za-z0-9.-]{{1,253}}(?![A-Za-z0-9.-])){_LABEL}(\.{_LABEL})*"
_PORT = r"(:0*([1-9]|[1-9][0-9]{1,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
# No "?" and "#": the agent appends a path or sends the URL as it is.
_URL_PATH = r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*"
_URL = rf"(?=.{{1,255}}$)https://{_NAME}{_PORT}{_URL_PATH}"

_BOOLEAN = Rule(lambda v: isinstance(v, bool), "true or false")
_HOST = matching(_NAME, "a host name or IPv4 address")
# The DRS back end appends "/replenish/..." to its endpoint.
_BASE_URL = matching(_URL, "a URL https://HOST[:PORT][/PATH] without a slash at the end")
_HTTPS_URL = matching(_URL + "/?", "a URL https://HOST[:PORT][/PATH]")
_PATH = text(255)
# Amazon's rule for the serial and the model of a device.
_AMAZON_NAME = matching(r"[A-Za-z0-9+_-]{1,64}", "1 to 64 characters of A-Z a-z 0-9 - + _")
_LEVELS = text(64)
# A "+" or "#" would be a wildcard.
_TOPIC = Rule(lambda v: _LEVELS.accepts(v) and not set("+#") & set(v), f"{_LEVELS.allowed} without + and #")
# The highest GPIO number of any ESP32; which pins a chip has, and for what, is looked up for the board (boards/).
_PIN = whole(0, 63)
_ACTIVE = one_of(("high", "low"))
LED: dict[str, Rule] = {"pin": _PIN, "active": _ACTIVE}
BUTTON: dict[str, Rule] = {"pin": _PIN, "active": _ACTIVE, "slot": or_null(text(64))}
_WATCHDOG = whole(60, 3600)  # a call takes up to 20 s, and before that the look-up of a name, which has no limit of its own
# IEEE 802.11: an SSID has up to 32 bytes, a WPA passphrase 8 to 63 printable ASCII characters.
_WIFI = {"ssid": text(32), "password": or_null(matching(r"[ -~]{8,63}", "8 to 63 printable ASCII characters"))}

_DAY_S = 86_400
_MONTH_S = 30 * _DAY_S

SECTIONS: dict[str, dict[str, Rule]] = {
    "device": {"model": _AMAZON_NAME, "serial": _AMAZON_NAME},
    "drs": {"endpoint": _BASE_URL, "test_device": _BOOLEAN, "include_non_live": _BOOLEAN},
    "gateway": {"url": _BASE_URL},
    "lwa": {"token_url": _HTTPS_URL, "consent_url": _HTTPS_URL, "client_id": text(128)},
    "tls": {
        "ca": list_of(_PATH, 8, "certificate files"),
        "certificate": or_null(_PATH),
        "key": or_null(_PATH),
        "sockets": whole(1, 2),
    },
    "mqtt": {
        "host": _HOST,
        "port": whole(1, 65_535),
        "tls": _BOOLEAN,
        "prefix": _TOPIC,
        "discovery": or_null(_TOPIC),
        "allow_deregister": _BOOLEAN,
        "user": or_null(text(128)),
    },
    "board": {
        "name": or_null(matching(r"[a-z0-9][a-z0-9_]{0,63}", "1 to 64 characters of a-z 0-9 _")),
        "profile": one_of(("bench", "standard", "product")),
        "led": or_null(object_of(LED)),
        "button": or_null(object_of(BUTTON)),
        "sleep": one_of(("none", "deep")),
        "watchdog_s": Rule(lambda v: _WATCHDOG.accepts(v) or (type(v) is int and v == 0), f"0 or {_WATCHDOG.allowed}"),
        "require": or_null(list_of(one_of(tuple(PROTECTIONS)), len(PROTECTIONS), f"of {', '.join(PROTECTIONS)}")),
    },
    "update": {"keys": list_of(_PATH, 3, "key files"), "url": or_null(_HTTPS_URL), "every_h": whole(24, 720)},
    "clock": {
        "ntp": or_null(one_or_several(_HOST, 4, "of them")),
        "time_scale": whole(1, 1_000_000),
        "scale_from": whole(0, 2**32 - 1),
    },
    "policy": {
        "confirm_s": whole(0, _DAY_S),
        "boot_spread_s": whole(0, _DAY_S),
        "resolution_grace_s": whole(60, 3 * _DAY_S),
        "probe_interval_s": whole(60, _MONTH_S),
        "poll_interval_s": whole(60, _MONTH_S),
        "slot_status_interval_s": whole(600, _DAY_S),
        "intent_fresh_s": whole(60, _DAY_S),
        "reorder_after_cancel_days": whole(0, 90),
        "delivered_hold_days": whole(1, 365),
        "in_doubt_days": whole(1, 90),
        "max_orders_30_days": whole(1, 100),
    },
}
# A sensor has the options of its driver too (tools/drivers.py).
SENSOR: dict[str, Rule] = {"driver": one_of(drivers()), "period_s": whole(1, _DAY_S)}
_SENSOR = Rule(lambda v: isinstance(v, dict), "an object with driver, period_s and the driver's options")
# What a composite is made of has no period of its own, and says a level.
PART: dict[str, Rule] = {"driver": one_of(tuple(name for name in drivers() if name != "composite" and not DRIVERS[name].counts))}
SLOT: dict[str, Rule] = {
    "id": text(64),
    "unit": text(16),
    "capacity": amount(zero=False),
    "reorder_at": amount(zero=True),
    "lead_days": whole(0, 60),
    "pack": or_null(amount(zero=False)),
    "packs": whole(1, 99),
    "least": or_null(whole(1, 99)),
    "stock": or_null(text(16)),
    "swap": _BOOLEAN,
    "life_days": or_null(whole(1, 3650)),
    "refill": one_of(("sensor", "manual", "on_delivery")),
    "sensor": or_null(_SENSOR),
}
TOP: dict[str, Rule] = {
    **{name: object_of(keys) for name, keys in SECTIONS.items()},
    "backend": one_of(("drs", "gateway")),
    "state": _PATH,
    "secrets": _PATH,
    "slots": list_of(Rule(lambda v: True, ""), SLOTS_LIMIT, "slots"),
}
# Of the sections, `mqtt` has a meaning by being there; without these nothing can be ordered.
REQUIRED_SECTIONS = {"device", "tls"}
BOARD_PARTS = {"led": LED, "button": BUTTON}
SECTIONS_OF_BACKEND = {"drs": {"drs", "lwa"}, "gateway": {"gateway"}}
SECRETS: dict[str, Rule] = {
    "refresh_token": or_null(text(2048)),
    "client_secret": or_null(text(512)),
    "mqtt_password": or_null(text(512)),
    "gateway_token": or_null(text(2048)),
    "wifi": or_null(one_or_several(object_of(_WIFI), 8, "of them")),
}


# Faults


def plain(name: str) -> str:
    """A file's or a key's name as it is, or quoted when it could break the line."""
    return name if name and name.isprintable() and ":" not in name else json.dumps(name)


def shown(value: object) -> str:
    """A value as JSON, cut after SHOWN_LIMIT characters, a password within a URL left out."""
    short = re.sub(r"//[^/@]*@", "//(not shown)@", json.dumps(value))
    return short if len(short) <= SHOWN_LIMIT else short[: SHOWN_LIMIT - 3] + "..."


def elsewhere(key: str) -> str:
    """Where a key belongs that is a secret's name; nothing for others."""
    return "in the file of the secrets, which is one unit's" if key in SECRETS else ""


@dataclass(frozen=True)
class Faults:
    """Collects the faults of one file; `secret`: no value of it is ever shown."""

    file: str
    secret: bool = False
    lines: list[str] = field(default_factory=list)

    def add(self, key: str, value: str, allowed: str) -> None:
        self.lines.append(f"{plain(self.file)}: {key}: {value}: allowed: {allowed}")

    def add_value(self, key: str, value: object, allowed: str) -> None:
        self.add(key, NOT_SHOWN if self.secret else shown(value), allowed)

    def judge(self, name: str, given: dict[str, Any], keys: Mapping[str, Rule], optional: Collection[str]) -> None:
        """Judge an object called `name` ("": the whole file) by the rules of its keys."""
        prefix = f"{name}." if name else ""
        for key in [key for key in given if key not in keys]:
            self.add(prefix + plain(key), "unknown key", elsewhere(key) or ", ".join(sorted(keys)) + did_you_mean(key, keys))
        for key, rule in keys.items():
            if key in given:
                self._judge_value(prefix + key, given[key], rule)
            elif key not in optional:
                self.add(prefix + key, MISSING, rule.allowed)

    def _judge_value(self, key: str, value: object, rule: Rule) -> None:
        if not rule.accepts(value):
            hint = did_you_mean(value, rule.choices) if isinstance(value, str) else ""
            self.add_value(key, value, rule.allowed + hint)


# Reading


class _Object(dict[str, Any]):
    """A JSON object that remembers which keys it was given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]


def read_file(path: Path) -> bytes:
    """The content of a regular file. Raises OSError, also for one over the limit."""
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe would block, a device would never end
        raise OSError(errno.EINVAL, "Is not a file")
    with path.open("rb") as file:
        data = file.read(FILE_LIMIT_BYTES + 1)
    if len(data) > FILE_LIMIT_BYTES:
        raise OSError(errno.EFBIG, f"Is over {FILE_LIMIT_BYTES} bytes")
    return data


def place(text: str, at: int) -> str:
    """Where character number `at` stands, as editors count."""
    before = text[:at]
    return f"line {before.count(chr(10)) + 1} column {at - before.rfind(chr(10))}"


def parse(data: bytes, faults: Faults) -> dict[str, Any] | None:
    """The JSON object of a file, or None after adding why there is none."""
    allowed = "a JSON object in UTF-8"
    try:
        document = data.decode()
        value = json.loads(document, object_pairs_hook=_Object)
    except UnicodeDecodeError as error:
        faults.add(f"byte {error.start}", "not UTF-8", allowed)
    except json.JSONDecodeError as error:
        faults.add(place(error.doc, error.pos), f"not JSON ({error.msg})", allowed)
    except ValueError:
        faults.add("(file)", "a number of thousands of digits", allowed)
    except RecursionError:
        faults.add(*_TOO_DEEP)
    else:
        if not isinstance(value, _Object):
            faults.add_value("(file)", value, allowed)
        elif find_doubles(value, faults):
            find_halves(document, faults)
            return value
    return None


# MicroPython's JSON reads each half of an escaped pair as a character of its own: the device would see another text.
_HALF = re.compile(r"(?<!\\)(?:\\\\)*(\\u[dD][89a-fA-F][0-9a-fA-F]{2})")


def find_halves(document: str, faults: Faults) -> None:
    """A fault for the first escaped surrogate, for they come in pairs."""
    if found := _HALF.search(document):
        value = NOT_SHOWN if faults.secret else found[1]
        faults.add(place(document, found.start(1)), value, "the character itself, not its two halves as escapes")


_TOO_DEEP = ("(file)", "nested too deep", f"at most {NESTING_LIMIT} objects and lists within each other")


def find_doubles(value: _Object, faults: Faults) -> bool:
    """A fault for each key that an object has twice; False when the nesting is too deep to go on."""
    level: list[tuple[str, Any]] = [("", value)]
    for _ in range(NESTING_LIMIT):
        for path, item in level:
            for name in item.twice if isinstance(item, _Object) else ():
                faults.add(path + plain(name), "given twice", "each key once")
        level = [inner for path, item in level for inner in _inside(path, item) if isinstance(inner[1], (dict, list))]
    if level:
        faults.add(*_TOO_DEEP)
    return not level


def _inside(path: str, item: Any) -> Iterator[tuple[str, Any]]:
    """What an object or list holds, each with the path that the names of its own keys begin with."""
    if isinstance(item, dict):
        yield from ((f"{path}{plain(name)}.", value) for name, value in item.items())
    else:
        yield from ((f"{path[:-1]}[{number}].", value) for number, value in enumerate(item))


# Judging


def judge(data: dict[str, Any], faults: Faults) -> None:
    """All that can be said about a configuration without looking at other files."""
    backend = data.get("backend")
    required = REQUIRED_SECTIONS | (SECTIONS_OF_BACKEND.get(backend, set()) if isinstance(backend, str) else set())
    faults.judge("", data, TOP, SECTIONS.keys() - required)
    for name, keys in SECTIONS.items():
        if isinstance(data.get(name), dict):
            faults.judge(name, data[name], keys, DEFAULTS.get(name, {}))
    judge_topics(data, faults)
    judge_bench(data, faults)
    if isinstance(data.get("board"), dict):
        judge_board(data["board"], data.get("slots"), faults)
        judge_watchdog(data["board"], data.get("mqtt"), faults)
    if TOP["slots"].accepts(data.get("slots")):
        judge_slots(data["slots"], faults)
        if backend == "gateway":
            judge_intents(data["slots"], faults)


def judge_bench(data: dict[str, Any], faults: Faults) -> None:
    """The device takes what the file says, so a file with the profile `bench` gives the short waits; see profiles.py."""
    for key, value in profiles.lacking(data):
        rule = SENSOR["period_s"] if key.endswith(".period_s") else SECTIONS["policy"][key.rpartition(".")[2]]
        faults.add(key, MISSING, f"{rule.allowed}, given because the profile is bench; its own is {value}")
    if profiles.buys_on_the_bench(data):
        faults.add("drs.test_device", "false", "true, because the profile is bench and Amazon's orders would be real")


def judge_board(board: dict[str, Any], slots: Any, faults: Faults) -> None:
    """Light and button, which have pins and rules of their own."""
    parts = {name: board[name] for name in BOARD_PARTS if isinstance(board.get(name), dict)}
    for name, part in parts.items():
        faults.judge(f"board.{name}", part, BOARD_PARTS[name], DEFAULTS[name])
    led, button = (parts.get(name, {}) for name in ("led", "button"))
    if _PIN.accepts(led.get("pin")) and led["pin"] == button.get("pin"):
        faults.add_value("board.button.pin", led["pin"], "another pin than board.led.pin")
    given = [slot.get("id") for slot in slots if isinstance(slot, dict)] if isinstance(slots, list) else []
    ids = [str(slot_id) for slot_id in given if SLOT["id"].accepts(slot_id)]
    wanted = button.get("slot")
    if wanted is not None and BUTTON["slot"].accepts(wanted) and ids and wanted not in ids:
        faults.add_value("board.button.slot", wanted, "null or the id of a slot" + did_you_mean(wanted, ids))


def judge_watchdog(board: dict[str, Any], mqtt: Any, faults: Faults) -> None:
    """A connection to the broker, what was kept there, and what is to be said take 20 and twice 40 s at the most (Agent.step)."""
    watchdog_s: Any = board.get("watchdog_s")
    if mqtt is not None and _WATCHDOG.accepts(watchdog_s) and watchdog_s < WITH_MQTT_S:
        faults.add_value("board.watchdog_s", watchdog_s, f"0 or a whole number from {WITH_MQTT_S} to 3600, because there is mqtt")


def judge_intents(slots: list[Any], faults: Faults) -> None:
    """An intent's id has the slot's in it, and goes through URLs, topics and the shop's records."""
    for number, slot in enumerate(slots):
        slot_id = slot.get("id") if isinstance(slot, dict) else None
        if SLOT["id"].accepts(slot_id) and not all(32 < ord(character) < 127 for character in str(slot_id)):
            faults.add_value(f"slots[{number}].id", slot_id, "visible ASCII characters, because backend is gateway")


def judge_topics(data: dict[str, Any], faults: Faults) -> None:
    """The topics are PREFIX/SERIAL/notice and so on; umqtt.simple subscribes to names of up to 122 bytes."""
    mqtt, device = data.get("mqtt"), data.get("device")
    serial: Any = device.get("serial") if isinstance(device, dict) else None
    if not isinstance(mqtt, dict) or not _AMAZON_NAME.accepts(serial):
        return
    if "+" in serial:
        faults.add_value("device.serial", serial, "no +, because there is mqtt: it is part of the topics")
    prefix = mqtt.get("prefix", DEFAULTS["mqtt"]["prefix"])
    if _TOPIC.accepts(prefix) and len(prefix.encode()) + len(serial) > TOPIC_LIMIT_BYTES:
        allowed = f"at most {TOPIC_LIMIT_BYTES} bytes together with device.serial, which has {len(serial)}"
        faults.add_value("mqtt.prefix", prefix, allowed)


def judge_slots(slots: list[Any], faults: Faults) -> None:
    for number, slot in enumerate(slots):
        name = f"slots[{number}]"
        if isinstance(slot, dict):
            faults.judge(name, slot, SLOT, DEFAULTS["slot"])
            judge_sensor(name, slot, faults)
            judge_reorder(name, slot, faults)
            judge_life(name, slot, faults)
            judge_packs(name, slot, faults)
        else:
            faults.add_value(name, slot, object_of(SLOT).allowed)
    judge_ids([slot.get("id") if isinstance(slot, dict) else None for slot in slots], faults)
    judge_stocks([{**DEFAULTS["slot"], **slot} if isinstance(slot, dict) else {} for slot in slots], faults)


def judge_sensor(name: str, slot: dict[str, Any], faults: Faults) -> None:
    sensor, refill = slot.get("sensor"), slot.get("refill", DEFAULTS["slot"]["refill"])
    if isinstance(sensor, dict):
        driver = judge_driver(f"{name}.sensor", sensor, SENSOR, slot.get("capacity"), faults)
        if driver and driver.counts and refill == "sensor":
            faults.add_value(f"{name}.refill", refill, f"manual, on_delivery, because {driver.name} counts use and sees no refill")
        if driver and driver.name == "switch":
            judge_contact(f"{name}.sensor", sensor, slot.get("reorder_at"), faults)
        if driver and driver.name == "composite":
            judge_parts(f"{name}.sensor", sensor, slot.get("capacity"), faults)
    elif sensor is None and refill == "sensor":
        value = "null" if "sensor" in slot else MISSING
        faults.add(f"{name}.sensor", value, f"{_SENSOR.allowed}; only another refill than sensor needs none")


def judge_contact(name: str, sensor: dict[str, Any], reorder_at: Any, faults: Faults) -> None:
    """A switch knows two levels: with both on one side of reorder_at it never orders, or always."""
    levels = {key: sensor.get(key) for key in ("active_level", "idle_level")}
    if not SLOT["reorder_at"].accepts(reorder_at) or not all(map(DRIVERS["switch"].options["active_level"].accepts, levels.values())):
        return
    low = [key for key, level in levels.items() if level <= reorder_at]
    if not low:
        allowed = f"at most reorder_at, {reorder_at}, here or for idle_level: else it is never low"
        faults.add_value(f"{name}.active_level", levels["active_level"], allowed)
    elif len(low) == 2:
        allowed = f"above reorder_at, {reorder_at}, here or for active_level: else it is always low"
        faults.add_value(f"{name}.idle_level", levels["idle_level"], allowed)


def judge_driver(name: str, sensor: dict[str, Any], keys: dict[str, Rule], capacity: Any, faults: Faults) -> Driver | None:
    """Judge a sensor's own keys and the options of its driver, which is returned when there is one of that name."""
    if not keys["driver"].accepts(sensor.get("driver")):  # nobody knows which options it may have
        faults.judge(name, {key: sensor[key] for key in keys if key in sensor}, keys, DEFAULTS["sensor"])
        return None
    driver = DRIVERS[sensor["driver"]]
    faults.judge(name, sensor, {**keys, **driver.options}, {**DEFAULTS["sensor"], **driver.defaults})
    for key, rule in driver.options.items():
        value: Any = sensor.get(key)
        if key.endswith("_level") and rule.accepts(value) and SLOT["capacity"].accepts(capacity) and value > capacity:
            faults.add_value(f"{name}.{key}", value, f"a number from 0 to the capacity, {capacity}")
        if key == "per_pulse" and rule.accepts(value) and SLOT["capacity"].accepts(capacity) and value > capacity:
            faults.add_value(f"{name}.{key}", value, f"how much one pulse is, in the slot's unit, at most the capacity, {capacity}")
    if driver.points:
        judge_points(name, sensor, driver.points, driver.options, faults)
    return driver


def judge_points(name: str, sensor: dict[str, Any], points: tuple[str, str], rules: Mapping[str, Rule], faults: Faults) -> None:
    """What empty and full read like: a calibration on the device where neither is given, and not the same."""
    empty, full = (sensor.get(key) for key in points)
    if not all(rules[key].accepts(sensor.get(key)) for key in points):
        return
    for key, other in (points, points[::-1]):
        if sensor.get(key) is None and sensor.get(other) is not None:
            faults.add_value(f"{name}.{key}", None, f"a number, because there is {other}")
    if empty is not None and empty == full:
        faults.add_value(f"{name}.{points[1]}", full, f"another number than {points[0]}")


def judge_parts(name: str, sensor: dict[str, Any], capacity: Any, faults: Faults) -> None:
    """The sensors that a composite is made of."""
    rule = DRIVERS["composite"].options["sensors"]
    for number, part in enumerate(sensor["sensors"] if rule.accepts(sensor.get("sensors")) else ()):
        judge_driver(f"{name}.sensors[{number}]", part, PART, capacity, faults)


def judge_reorder(name: str, slot: dict[str, Any], faults: Faults) -> None:
    capacity: Any
    reorder_at: Any
    capacity, reorder_at = slot.get("capacity"), slot.get("reorder_at")
    if SLOT["capacity"].accepts(capacity) and SLOT["reorder_at"].accepts(reorder_at) and reorder_at >= capacity:
        faults.add_value(f"{name}.reorder_at", reorder_at, f"a number from 0 to less than the capacity, {capacity}")


def judge_life(name: str, slot: dict[str, Any], faults: Faults) -> None:
    """What a part that ages has left is counted, and only a person knows that a new one is in."""
    if slot.get("life_days") is None:
        return
    if (refill := slot.get("refill", DEFAULTS["slot"]["refill"])) != "manual":
        faults.add_value(f"{name}.refill", refill, "manual, because the slot has life_days")
    if slot.get("sensor") is not None:
        faults.add_value(f"{name}.sensor", slot["sensor"], "null, because the slot has life_days")


def judge_packs(name: str, slot: dict[str, Any], faults: Faults) -> None:
    packs, least = slot.get("packs", DEFAULTS["slot"]["packs"]), slot.get("least")
    if least is not None and SLOT["packs"].accepts(packs) and SLOT["least"].accepts(least) and least > packs:
        faults.add_value(f"{name}.least", least, f"null or a whole number from 1 to packs, {packs}")


def judge_stocks(slots: list[dict[str, Any]], faults: Faults) -> None:
    """One stock at home is counted in one unit and grows by one kind of pack."""
    first: dict[str, int] = {}
    for number, slot in enumerate(slots):
        stock = slot.get("stock")
        if not (stock and SLOT["stock"].accepts(stock)):
            continue
        name, other = f"slots[{number}]", slots[first.setdefault(stock, number)]
        if [given.get("stock") for given in slots].count(stock) < 2:
            faults.add_value(f"{name}.stock", stock, "a stock that another slot names as well")
        if slot.get("pack") is None:
            faults.add_value(f"{name}.pack", None, "what one order brings, because the slot shares a stock")
        for key in ("unit", "pack"):
            if slot.get(key) != other.get(key):
                faults.add_value(f"{name}.{key}", slot.get(key), f"that of slots[{first[stock]}], which shares the stock")


def judge_ids(ids: list[Any], faults: Faults) -> None:
    """The store keeps a slot under the CRC-32 of its id (firmware/replenish/store/ledger.py: tag)."""
    first: dict[int, int] = {}
    for number, slot_id in enumerate(ids):
        if not SLOT["id"].accepts(slot_id):
            continue
        other = first.setdefault(zlib.crc32(slot_id.encode()), number)
        if other != number:
            what = "that" if ids[other] == slot_id else "whose CRC-32"
            faults.add_value(f"slots[{number}].id", slot_id, f"an id {what} no other slot has; slots[{other}] has it")


# Other files

_PEM = b"-----BEGIN"


def judge_files(data: dict[str, Any], folder: Path, faults: Faults) -> None:
    """The files that a configuration names. Names that are wrong themselves have their fault already."""
    tls = data.get("tls")
    if isinstance(tls, dict) and SECTIONS["tls"]["ca"].accepts(tls.get("ca")):
        for number, name in enumerate(tls["ca"]):
            if reason := certificate_fault(folder / name):
                faults.add(f"tls.ca[{number}]", f"{shown(name)} ({reason})", CERTIFICATE)
    if _PATH.accepts(data.get("state")):
        judge_state(data["state"], folder, faults)
    if _PATH.accepts(data.get("secrets")):
        judge_secrets(data["secrets"], folder, faults)


    if isinstance(tls, dict):
        judge_own(tls, folder, faults)
    update = data.get("update")
    if isinstance(update, dict) and SECTIONS["update"]["keys"].accepts(update.get("keys")):
        for number, name in enumerate(update["keys"]):
            if reason := update_key_fault(folder / name):
                faults.add(f"update.keys[{number}]", f"{shown(name)} ({reason})", UPDATE_KEY)


def update_key_fault(path: Path) -> str | None:
    """Why a file is not who may sign an update, as the device wants it."""
    try:
        data = read_file(path)
    except OSError as error:
        return str(error.strerror)
    return None if len(data) == 384 and data[0] >= 128 and data[-1] & 1 else "not a key for updates"


def judge_own(tls: dict[str, Any], folder: Path, faults: Faults) -> None:
    """The device's own certificate, which a peer may ask for, and its key: both or none."""
    given = {name: tls.get(name) for name in ("certificate", "key")}
    if not all(_PATH.accepts(value) or value is None for value in given.values()):
        return
    for name, other in (("certificate", "key"), ("key", "certificate")):
        if given[name] is None and given[other] is not None:
            faults.add(f"tls.{name}", "null", f"a file, because there is tls.{other}")
    if None in given.values():
        return
    if reason := certificate_fault(folder / str(given["certificate"])):
        faults.add("tls.certificate", f"{shown(given['certificate'])} ({reason})", CERTIFICATE)
    elif reason := key_fault(folder / str(given["key"]), folder / str(given["certificate"])):
        faults.add("tls.key", f"{shown(given['key'])} ({reason})", OWN_KEY)


def key_fault(path: Path, certificate: Path) -> str | None:
    """Why a file is not the private key of a certificate that is usable."""
    data, fault = read_one(path)
    if fault:
        return fault
    try:
        key = (load_pem_private_key if is_pem(data) else load_der_private_key)(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "not a private key without a password"
    return None if key.public_key() == read_certificate(read_file(certificate)).public_key() else "of another certificate"


def certificate_fault(path: Path) -> str | None:
    """Why a file is no usable certificate. One that is not valid yet is: the device may start later."""
    data, fault = read_one(path)
    if fault:
        return fault
    try:
        certificate = read_certificate(data)
        key, end = certificate.public_key(), certificate.not_valid_after_utc
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        return "not a certificate"
    if not is_usable(key):
        return "another kind of key"
    return f"expired on {end:%Y-%m-%d}" if end < datetime.now(UTC) else None


def read_one(path: Path) -> tuple[bytes, str | None]:
    """A file with one certificate or key, and what is wrong with it: a second one the device would not read."""
    try:
        data = read_file(path)
    except OSError as error:
        return b"", str(error.strerror)
    return data, "more than one PEM block" if is_pem(data) and data.count(_PEM) > 1 else None


def is_pem(data: bytes) -> bool:
    """As the device tells the two forms apart: text before the first line it would not read."""
    return data.startswith(_PEM)


def read_certificate(data: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(data) if is_pem(data) else x509.load_der_x509_certificate(data)


def is_usable(key: object) -> bool:
    """Whether MicroPython's mbedTLS verifies with such a key: it has no Ed25519, and its default profile no short RSA."""
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= 2048
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1))


def judge_state(name: str, folder: Path, faults: Faults) -> None:
    """The state's folder is made when it is missing; what stands in its place cannot be replaced."""
    path = folder / name
    for there in (path, *path.parents):
        if os.path.lexists(there):
            if not os.path.isdir(there):
                faults.add("state", f"{shown(name)} ({plain(str(there))} is not a folder)", "a folder, or a name that is free")
            return


def judge_secrets(name: str, folder: Path, faults: Faults) -> None:
    if name == _DEVICE.IN_NVS:  # written by `make provision`, which judges them itself; nobody else can look
        return
    path = folder / name
    try:
        data = read_file(path)
    except OSError as error:
        faults.add("secrets", f"{shown(name)} ({error.strerror})", READABLE)
        return
    inside = Faults(str(path), secret=True, lines=faults.lines)
    secrets = parse(data, inside)
    if secrets is None:
        return
    inside.judge("", secrets, SECRETS, SECRETS)
    judge_wifi(secrets.get("wifi"), inside)


def judge_wifi(wifi: Any, faults: Faults) -> None:
    """One network, or several in the order in which they are tried."""
    if not SECRETS["wifi"].accepts(wifi):
        return
    for name, network in [("wifi", wifi)] if isinstance(wifi, dict) else [(f"wifi[{n}]", one) for n, one in enumerate(wifi or ())]:
        faults.judge(name, network, _WIFI, ())


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Any], list[str]]:
    """(configuration, faults) of a file: all defaults filled in and its paths beside it, as the device will have them.

    The configuration is empty when there are faults. Raises nothing for what a file or its content can be.
    """
    faults = Faults(os.fspath(path))
    try:
        content = read_file(Path(path))
    except OSError as error:
        faults.add("(file)", str(error.strerror), READABLE)
        return {}, faults.lines
    data = parse(content, faults)
    if data is not None:
        judge(data, faults)
        judge_files(data, Path(path).parent, faults)
    values: dict[str, Any] = {} if faults.lines else _DEVICE.settings(os.fspath(path))
    return values, faults.lines


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.configuration", description="Judge an agent's configuration.")
    parser.add_argument("config", metavar="CONFIG.json")
    _, faults = load(parser.parse_args(argv).config)
    print("\n".join(faults), end="\n" if faults else "", file=sys.stderr)
    return 2 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
