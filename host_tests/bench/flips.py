"""Every single bit of every kind of record flipped, and every truncation, on both media: how many were tried, and how many changed
what is read without being found. CPython: it is the judging that is tested, and that is the same on each interpreter.
"""

import os

from host_tests import shim

shim.install()

from replenish import config as configuration  # noqa: E402  (the firmware wants the shim)
from replenish.core.device import Device as Appliance  # noqa: E402
from replenish.core.errors import StoreError  # noqa: E402
from replenish.core.slot import Slot  # noqa: E402
from replenish.store.flashlog import FlashLog  # noqa: E402
from replenish.store.ledger import Ledger  # noqa: E402
from replenish.store.recordfiles import RecordFiles  # noqa: E402

from host_tests.bench.device import Device  # noqa: E402
from host_tests.fakes.board import START, Store  # noqa: E402
from host_tests.powerloss.world import usual_id  # noqa: E402

_DAMAGED = "damaged"


def records():
    """{kind: (key, payload)}, written by the firmware's ledger."""
    defaults = configuration.defaults()
    slot = Slot({**defaults["slot"], "id": "Coffee", "capacity": 40, "reorder_at": 20}, defaults["policy"])
    slot.measure(17.5, START)
    slot.order.subscription(START, True)
    slot.order.intend(START, True)
    slot.order.accept(START + 5, "x", START + 3600)
    device = Appliance("SN0001")
    device.known_time, device.held, device.reported_day = START, 1, device.reporting_day(START)
    store = Store()
    ledger = Ledger(store)
    found = {}
    for kind, own, progress in (("order", usual_id(1), ""), ("order, long id", "x" * 255, ""), ("order in progress", "", usual_id(2))):
        slot.order.own_id, slot.order.progress_id = own, progress
        ledger.save_order(slot)
        key = next(key for key in store.records if key[0] == ("p" if progress else "o"))
        found[kind] = key, store.records[key]
    ledger.save_level(slot, START)
    ledger.save_device(device)
    ledger.save_token("Atzr|given", "Atzr|" + "t" * 2043)
    for kind in ("level", "device", "token"):
        found[kind] = next((key, payload) for key, payload in store.records.items() if key[0] == kind[0])
    found["slots"] = "slots-0", bytes(range(96))
    return found


def _read(store, key):
    try:
        return store.get(key)
    except StoreError:
        return _DAMAGED


def _flipped(data):
    """Each copy of the bytes with one bit flipped."""
    copy = bytearray(data)
    for at in range(len(copy)):
        for bit in range(8):
            copy[at] ^= 1 << bit
            yield copy
            copy[at] ^= 1 << bit


def in_file(key, payload, folder):
    """(flips, truncations, how many of them gave something else than the record and were not found), as a file.

    Cut to nothing is not among the truncations: on littlefs that is a file that was created and never closed.
    """
    RecordFiles(folder, True).put(key, payload)
    path = os.path.join(folder, key)
    with open(path, "rb") as file:
        whole = file.read()
    flips = undetected = 0
    with open(path, "r+b", buffering=0) as file:
        for copy in _flipped(whole):
            file.seek(0)
            file.write(copy)
            flips += 1
            undetected += _read(RecordFiles(folder, True), key) not in (payload, _DAMAGED)
        file.seek(0)
        file.write(whole)
        for size in range(len(whole) - 1, 0, -1):
            file.truncate(size)
            undetected += _read(RecordFiles(folder, True), key) not in (payload, _DAMAGED)
    return flips, len(whole) - 1, undetected


def in_log(key, payload):
    """The same in a raw log of two sectors: in the record, in what fills it up, and in its seal. A truncation is a record that
    reads as erased from some byte on, under its seal."""
    device = Device(2)
    FlashLog(device).put(key, b"an older one")
    first = FlashLog(device).at
    FlashLog(device).put(key, payload)
    end = FlashLog(device).at
    whole = bytes(device.image[first:end])
    size = len(whole) - 32
    flips = undetected = 0
    for copy in _flipped(whole):
        device.image[first:end] = copy
        flips += 1
        undetected += _read(FlashLog(device), key) not in (payload, _DAMAGED)
    for kept in range(size):
        device.image[first:end] = whole[:kept] + b"\xff" * (size - kept) + whole[size:]
        undetected += _read(FlashLog(device), key) not in (payload, _DAMAGED)
    return flips, size, undetected
