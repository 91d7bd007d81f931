"""Who owns which device, and what each slot of it is replenished with: TOML files, read again when they change.

They hold addresses and may hold shoppers' tokens, so no fault shows a value of theirs.
"""

import logging
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from tools.cloud.gateway.model import COUNTER_LIMIT, Address, Customer, IntentId, Item
from tools.cloud.settings import BOOLEAN, TABLE, SettingsError, optional
from tools.configuration import Faults, plain
from tools.rules import Rule, matching, text

LOG = logging.getLogger("gateway")

MONEY = r"[0-9]{1,7}(\.[0-9]{1,2})?"
_MONEY = matching(MONEY, "an amount of money in quotation marks, like \"12.49\"")
_SERIAL = matching(r"[A-Za-z0-9_-]{1,64}", "1 to 64 characters of A-Z a-z 0-9 - _")
_SLOT = text(64)
_LINK = matching(r"https://[!-~]{1,500}", "a URL https://...")
_MONEYS = ("price", "discount", "tax")

_ITEM: dict[str, Rule] = {
    "sku": text(128),
    "title": text(128),
    **dict.fromkeys(_MONEYS, _MONEY),
    "order_link": _LINK,
    "subscribed": BOOLEAN,
    "prime": BOOLEAN,
}
_ADDRESS: dict[str, Rule] = {
    **dict.fromkeys(("street", "locality", "region", "extended"), text(128)),
    "postal_code": text(16),
    "country": matching(r"[A-Z]{2}", "two capitals, as of ISO 3166"),
    "phone": text(32),
}
_CUSTOMER: dict[str, Rule] = {
    "name": text(128),
    "email": matching(r"[^@\s]{1,64}@[^@\s]{1,190}", "an e-mail address"),
    "address": TABLE,
    "devices": TABLE,
    "payment": text(256),
    "shopper_token": text(2_048),
}


@dataclass(frozen=True)
class Device:
    """A device of a customer's: what it may order."""

    serial: str
    customer: Customer

    @property
    def slots(self) -> Mapping[str, Item]:
        return self.customer.devices[self.serial]

    def intent_id(self, name: str, slot: str | None = None) -> IntentId | None:
        """The intent of this name, if it can be one of this device, and of the slot when one is given."""
        start, _, counter = name.rpartition("-")
        known = start.removeprefix(f"{self.serial}-")
        if known == start or known not in self.slots or slot not in (None, known) or not _is_counter(counter):
            return None
        return IntentId(self.serial, known, int(counter))


def _is_counter(digits: str) -> bool:
    return digits.isascii() and digits.isdigit() and digits[0] != "0" and len(digits) <= 10 and int(digits) <= COUNTER_LIMIT


class Directory(Protocol):
    """Where devices are looked up; a maker with a database of customers puts it behind this."""

    def device(self, serial: str) -> Device | None: ...

    def owner_of(self, intent: str) -> Device | None:
        """The device that an intent's name can be of."""

    def refresh(self) -> None:
        """Take over what changed; never raises."""


class FileDirectory:
    """All customers of some TOML files."""

    def __init__(self, files: list[Path], currency: str) -> None:
        """Raises SettingsError."""
        self._files = files
        self._currency = currency
        self._changed = self._stamps()
        self._devices, self._starts = _index(_read(files, currency), files)

    def device(self, serial: str) -> Device | None:
        return self._devices.get(serial)

    def owner_of(self, intent: str) -> Device | None:
        return self._starts.get(intent.rpartition("-")[0])

    def refresh(self) -> None:
        """Read the files again if one has changed; what is faulty is logged, and what was known goes on."""
        stamps = self._stamps()
        if stamps == self._changed:
            return
        self._changed = stamps
        try:
            self._devices, self._starts = _index(_read(self._files, self._currency), self._files)
        except SettingsError as error:
            LOG.error("the directory was changed and cannot be used, the former one goes on:\n%s", error)

    def _stamps(self) -> list[tuple[int, int] | None]:
        return [_stamp(file) for file in self._files]


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _read(files: Iterable[Path], currency: str) -> list[Customer]:
    lines: list[str] = []
    customers: list[Customer] = []
    for file in files:
        faults = Faults(str(file), secret=True)
        tables = _tables(file, faults)
        for name, given in tables.items():
            before = len(faults.lines)
            _judge(f"customers.{plain(name)}", given, faults)
            if len(faults.lines) == before:
                customers.append(_customer(name, given, currency))
        lines += faults.lines
    if lines:
        raise SettingsError(lines)
    return customers


def _tables(file: Path, faults: Faults) -> dict[str, Any]:
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        faults.add("(file)", f"{type(error).__name__}", "a TOML file in UTF-8")
        return {}
    faults.judge("", data, {"customers": TABLE}, ())
    found = data.get("customers")
    return found if isinstance(found, dict) else {}


def _judge(name: str, given: object, faults: Faults) -> None:
    if not isinstance(given, dict):
        return faults.add_value(name, given, TABLE.allowed)
    faults.judge(name, given, _CUSTOMER, {"payment", "shopper_token"})
    if isinstance(given.get("address"), dict):
        faults.judge(f"{name}.address", given["address"], _ADDRESS, optional(Address))
    devices = given.get("devices")
    for serial, slots in devices.items() if isinstance(devices, dict) else ():
        device = f"{name}.devices.{plain(serial)}"
        if not _SERIAL.accepts(serial):
            faults.add(device, "a serial", _SERIAL.allowed)
        if not isinstance(slots, dict):
            faults.add_value(device, slots, TABLE.allowed)
            continue
        for slot, item in slots.items():
            _judge_item(f"{device}.{plain(slot)}", slot, item, faults)
    return None


def _judge_item(name: str, slot: str, item: object, faults: Faults) -> None:
    if not _SLOT.accepts(slot):
        faults.add(name, "a slot", _SLOT.allowed)
    if isinstance(item, dict):
        faults.judge(name, item, _ITEM, optional(Item))
    else:
        faults.add_value(name, item, TABLE.allowed)


def _customer(name: str, given: dict[str, Any], currency: str) -> Customer:
    devices = {
        serial: {slot: _item(item, currency) for slot, item in slots.items()} for serial, slots in given["devices"].items()
    }
    return Customer(name, **{**given, "address": Address(**given["address"]), "devices": devices})


def _item(given: dict[str, Any], currency: str) -> Item:
    return Item(**{**given, "currency": currency, **{key: Decimal(given[key]) for key in _MONEYS if key in given}})


def _index(customers: list[Customer], files: list[Path]) -> tuple[dict[str, Device], dict[str, Device]]:
    """By serial, and by what an intent's name is before its counter. Raises SettingsError when two would be the same."""
    devices: dict[str, Device] = {}
    starts: dict[str, Device] = {}
    faults = Faults(", ".join(map(str, files)))
    for customer in customers:
        for serial, slots in customer.devices.items():
            if serial in devices:
                faults.add(f"devices.{serial}", "given twice", "each device once")
            devices[serial] = Device(serial, customer)
            for slot in slots:
                start = f"{serial}-{slot}"
                if starts.get(start, devices[serial]).serial != serial:
                    name = f"devices.{serial}.{plain(slot)}"
                    faults.add(name, "its intents would be called like another device's", "another serial or slot")
                starts[start] = devices[serial]
    if faults.lines:
        raise SettingsError(faults.lines)
    return devices, starts
