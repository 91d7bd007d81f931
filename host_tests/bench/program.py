"""What is measured on MicroPython, one section a process: `program.py SECTION NUMBER...` prints one line of JSON."""

import gc
import json
import sys
import time

from host_tests.bench import household as life
from host_tests.bench.media import NAMES, Fan, Medium
from host_tests.bench.rivals import compare
from host_tests.fakes.board import Store

LOGS_AND_FILES = ("littlefs", "log-2", "log-4", "log-16")
_STARTS = 40  # of a log at so many fillings of its newest sector; the dearest counts


def _fan(count, names=NAMES, keep=False, **more):
    fan = Fan([Medium(name) for name in names], keep)
    return fan, life.Household(count, fan, **more)


def _figures(fan):
    figures = {}
    for medium in fan.media:
        figures[medium.name] = medium.figures()
    return figures


def _go_on(fan, days, whole):
    """The same changes again on littlefs alone, until so many whole days are over: it moves what has worn, so its hottest block is
    not to be told from a short life. What the writes cost is told from the agent's own days."""
    figures = _figures(fan)
    medium = fan.media[0]
    medium.by = {}
    lived = days
    while lived < whole:
        for key, payload in fan.changes:
            medium.put("again", key, payload)
        lived += days
    figures[medium.name]["hottest"] = max(medium.device.erases_of) * days / lived
    return figures


def orders(count, cycles, whole, backend=0):
    """Whole orders, with the use and the reports around them; backend 1: through the maker's gateway."""
    fan, house = _fan(count, keep=True, backend=("drs", "gateway")[backend])
    life.live_orders(house, 1)  # the first days differ: every file is new
    fan.forget()
    taken = life.live_orders(house, cycles)
    days = (cycles + 1) * 8 - 8 / count
    return {"orders": taken, "days": days, "media": _go_on(fan, days, whole)}


def quiet(count, days, whole):
    """Use and reports, never an order."""
    fan, house = _fan(count, LOGS_AND_FILES, True, reorder_at=0)
    life.live_quiet(house, 8)
    fan.forget()
    life.live_quiet(house, days)
    return {"orders": house.service.taken, "days": days, "media": _go_on(fan, days, whole)}


def flicker(count, hours, whole):
    """Some hours of the worst that a sensor can do."""
    fan, house = _fan(count, LOGS_AND_FILES, True, period_s=life.FLICKER_PERIOD_S)
    life.live_flicker(house, hours)
    return {"orders": 0, "days": hours / 24, "media": _go_on(fan, hours / 24, whole)}


def rivals(cycles):
    """The changes of so many orders, recorded from the agent, done by each way of keeping them."""
    fan, house = _fan(1, ("log-2",), True)
    taken = life.live_orders(house, cycles)
    return {"orders": taken, "rows": compare(fan.changes)}


def _started(house, medium):
    """(read operations, bytes read, microseconds) of mounting a medium and starting the agent on it."""
    before = medium.device.counts()
    began = time.ticks_us()  # type: ignore[attr-defined]
    medium.open()
    house._store = medium.store
    house.start()
    took = time.ticks_diff(time.ticks_us(), began)  # type: ignore[attr-defined]
    after = medium.device.counts()
    if after[0] != before[0]:
        raise ValueError("%s: the start wrote" % medium.name)
    return after[3] - before[3], after[4] - before[4], took


def recovery(*marks):
    """The dearest of some starts after so many past orders, for each mark."""
    fan, house = _fan(1, LOGS_AND_FILES, True)
    life.live_orders(house, 1)
    first = len(fan.changes)
    life.live_orders(house, 1)
    cycle = _transitions(fan.changes[first:])
    fan.changes = None
    rows = []
    done = 2
    for mark in marks:
        while done < mark:
            for key, payload in cycle:
                fan.put(key, payload)
            done += 1
        for medium in fan.media:
            rows.append((mark, medium.name) + _dearest(house, medium, cycle))
    return {"writes": len(cycle), "rows": rows}


def _transitions(changes):
    """The order's records that have another state than the one before."""
    state = None
    found = []
    for key, payload in changes:
        if key[:2] == "o-" and payload[0] != state:
            state = payload[0]
            found.append((key, payload))
    return found


def _dearest(house, medium, cycle):
    starts = []
    for number in range(_STARTS):
        key, payload = cycle[number % len(cycle)]
        medium.put("again", key, payload)
        starts.append(_started(house, medium))
    return max([s[0] for s in starts]), max([s[1] for s in starts]), sorted([s[2] for s in starts])[_STARTS // 2]


def heap(*counts):
    """Bytes of heap that a store takes with the records of so many slots, and the time of a put."""
    rows = []
    for count in counts:
        records = _records(count)
        for name in ("littlefs", "log-4" if count <= 4 else "log-16"):
            rows.append((count, name) + _heap(Medium(name), records))
    return {"rows": rows}


def _records(count):
    """What such a household has stored after a day."""
    store = Store()
    house = life.Household(count, store)
    house.step_until(house.clock.seconds + 24 * life.HOUR)
    return store.records


def _heap(medium, records):
    for key, payload in records.items():
        medium.put("first", key, payload)
    keys = list(records)
    medium.put_us = 0
    for number in range(200):
        medium.put("again", keys[number % len(keys)], records[keys[number % len(keys)]])
    put_us = medium.put_us // 200
    medium.open()
    medium.store = None
    gc.collect()
    before = gc.mem_alloc()  # type: ignore[attr-defined]
    medium.open()
    for key in keys:
        medium.store.get(key)
    gc.collect()
    return len(records), gc.mem_alloc() - before, put_us  # type: ignore[attr-defined]


if __name__ == "__main__":
    # The package has it run more often; here are megabytes of media to look through.
    gc.threshold(1 << 22)  # type: ignore[attr-defined]
    print(json.dumps(globals()[sys.argv[1]](*[int(argument) for argument in sys.argv[2:]])))
