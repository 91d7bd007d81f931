"""Who is registered: devices, their slots, and what each slot is subscribed to."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tools.simulator.clock import Clock
from tools.simulator.journal import EventJournal

# Amazon's rule for serials and model ids.
NAME = re.compile(r"[A-Za-z0-9_+-]{1,64}")


@dataclass
class Slot:
    """One consumable: whether the customer subscribed it, and to what."""

    subscribed: bool = True
    product: str = "B00SIMULAT"
    quantity: int = 1
    unit: str = "count"
    last_status: dict[str, object] | None = None


@dataclass
class Device:
    """One appliance of one customer."""

    serial: str
    model: str
    test: bool
    slots: dict[str, Slot] = field(default_factory=dict)
    registered: bool = True
    last_status: dict[str, object] | None = None


class Registry:
    """The devices. A device that was deregistered stays known until it is registered again."""

    def __init__(self, clock: Clock, events: EventJournal) -> None:
        self._clock = clock
        self._events = events
        self._devices: dict[str, Device] = {}

    def __iter__(self) -> Iterator[Device]:
        return iter(list(self._devices.values()))

    def register(self, serial: str, model: str, slots: Mapping[str, bool], test: bool) -> Device:
        """Register a device. Raises ValueError for a bad name, or a serial that is registered now."""
        for name, value in (("serial", serial), ("model", model)):
            if not NAME.fullmatch(value):
                raise ValueError(f"{name} is {value!r}: 1 to 64 characters of A-Z a-z 0-9 - + _")
        if serial in self._devices and self._devices[serial].registered:
            raise ValueError(f"serial {serial!r} is registered already")
        device = Device(serial, model, test)
        self._devices[serial] = device
        self._emit("registered", serial, test=test)
        for slot, subscribed in slots.items():
            self.subscribe(serial, slot, subscribed)
        return device

    def device(self, serial: str) -> Device:
        """The device. Raises LookupError for an unknown serial."""
        if serial not in self._devices:
            raise LookupError(f"no device has the serial {serial!r}")
        return self._devices[serial]

    def slot(self, serial: str, slot: str) -> Slot:
        """One slot of a device. Raises LookupError if either is unknown."""
        slots = self.device(serial).slots
        if slot not in slots:
            raise LookupError(f"device {serial!r} has no slot {slot!r}")
        return slots[slot]

    def subscribe(self, serial: str, slot: str, subscribed: bool, product: str | None = None, quantity: int | None = None) -> Slot:
        """Subscribe or unsubscribe a slot, which is added if it is new, and choose its product."""
        if quantity is not None and quantity < 1:
            raise ValueError(f"quantity is {quantity}: it must be 1 or more")
        entry = self.device(serial).slots.setdefault(slot, Slot())
        entry.subscribed = subscribed
        entry.product = product or entry.product
        entry.quantity = quantity or entry.quantity
        self._emit("subscription_changed", serial, slot, subscribed=subscribed)
        return entry

    def deregister(self, serial: str) -> None:
        """Unlink the device from its customer."""
        self.device(serial).registered = False
        self._emit("deregistered", serial)

    def _emit(self, kind: str, serial: str, slot: str | None = None, **detail: object) -> None:
        self._events.emit(self._clock.now(), kind, serial, slot, None, **detail)
