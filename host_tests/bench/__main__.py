"""`make bench`: the benchmarks in parts. Exit status 1 when a budget is not kept.

    python -m host_tests.bench [--part flash|forecast|relay|gateway|update|uplink|board] [--json FILE]

- flash: what the store costs the flash, as counted, beside the usual ways. What is assumed stands in `household`. The sections run
  on MicroPython, side by side.
- forecast: see `forecast`.
- relay, gateway, uplink, update, board: see there; only when asked for, because they want the machine for themselves.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from host_tests.bench import board, budgets, flips, forecast, gateway, relay, update, uplink
from host_tests.bench.tables import table
from host_tests.unix_port import translate
from host_tests.unix_port.__main__ import INTERPRETERS, environment

PROGRAM = str(translate.place(os.path.join(os.path.dirname(os.path.abspath(__file__)), "program.py")))
_HEAP = "64m"
# Name: the program's arguments. The dear ones first, so that both cores are busy to the end.
SECTIONS = {
    "recovery": ("recovery", 10, 100, 1000, 10000),
    "orders, 16 slots": ("orders", 16, 6, 1096),
    "flicker, 16 slots": ("flicker", 16, 6, 8),
    "orders, 1 slot": ("orders", 1, 200, 3652),
    "orders, 1 slot, gateway": ("orders", 1, 200, 3652, 1),
    "rivals": ("rivals", 50),
    "flicker, 1 slot": ("flicker", 1, 48, 200),
    "quiet, 1 slot": ("quiet", 1, 1000, 3652),
    "quiet, 16 slots": ("quiet", 16, 40, 730),
    "heap": ("heap", 4, 64),
}
MEDIA = ("littlefs", "log-2", "log-4", "log-16")


def measure(section, *numbers):
    """The figures of one section of `program`. Raises RuntimeError with what it printed when it fails."""
    interpreter = INTERPRETERS[section == "heap"]  # the heap is counted where objects are as small as on an ESP32
    command = [str(interpreter), "-X", f"heapsize={_HEAP}", PROGRAM, section, *map(str, numbers)]
    done = subprocess.run(command, env=environment(""), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return json.loads(done.stdout)


def measure_flips():
    """[(kind, flips in a file, truncations, not found, flips in a log, truncations, not found), ...]"""
    rows = []
    for kind, (key, payload) in flips.records().items():
        with tempfile.TemporaryDirectory() as folder:
            rows.append((kind, *flips.in_file(key, payload, folder), *flips.in_log(key, payload)))
    return rows


def measure_flash():
    with ThreadPoolExecutor(2) as pool:
        running = {name: pool.submit(measure, *arguments) for name, arguments in SECTIONS.items()}
        running["flips"] = pool.submit(measure_flips)
        return {name: future.result() for name, future in running.items()}


# Tables


def order_tables(found):
    for name in ("orders, 1 slot", "orders, 16 slots", "orders, 1 slot, gateway"):
        rows = []
        for medium in found[name]["media"]:
            if not found[name]["media"][medium]["full"]:
                rows += [(medium, what, *row) for what, row in budgets.an_order(found[name], medium).items()]
        head = ("medium", "of one order", "writes", "programs", "bytes", "erases")
        yield table(f"One order, from low to refilled ({name}, {found[name]['orders']} orders)", head, rows)


def life_table(found):
    rows = []
    for name in [f"{what}, {slots}" for what in ("quiet", "orders", "flicker") for slots in ("1 slot", "16 slots")]:
        section = found[name]
        for medium in MEDIA:
            day = [figure / section["days"] for figure in budgets.added(section["media"][medium]["by"])]
            ten, years = budgets.hottest_in_ten_years(section, medium), budgets.years_until_worn(section, medium)
            rows.append((name, medium, *((day[0], day[2], day[3]) if ten is not None else (None,) * 3), ten, years))
    head = ("household", "medium", "writes/day", "bytes/day", "erases/day", "hottest, 10 years", "years")
    title = "A day, and the flash: years until its hottest block was erased 100,000 times (full: does not fit)"
    return table(title, head, rows)


def rival_table(section):
    ours = next(row for row in section["rows"] if row[0] == "littlefs")
    rows = []
    for name, (changes, _, size, erases, _, read), hottest in section["rows"]:
        times = (size / ours[1][2], erases / ours[1][3])
        rows.append((name, size / changes, erases / changes, hottest, read / changes, *times))
    head = ("way", "bytes", "erases", "hottest", "bytes read", "x bytes", "x erases")
    title = f"The same {ours[1][0]:,} changes ({section['orders']} orders), each on average; x: as much as ours on littlefs"
    return table(title, head, rows)


def flash_tables(found):
    yield from order_tables(found)
    yield life_table(found)
    yield rival_table(found["rivals"])
    starts = [(f"{row[0]:,}", *row[1:]) for row in found["recovery"]["rows"]]
    title = "A start: mount, and read every record (one slot; the dearest of 40)"
    yield table(title, ("past orders", "medium", "reads", "bytes read", "us here"), starts)
    head = ("record", "flips, file", "cut short", "not found", "flips, log", "cut short", "not found")
    yield table("Every bit flipped, every truncation", head, found["flips"])
    stores = [(str(row[0]), *row[1:]) for row in found["heap"]["rows"]]
    yield table("Heap of a mounted store, 32-bit", ("slots", "medium", "records", "bytes of heap", "us a put here"), stores)


def judged_flash(found):
    """All budgets of the flash."""
    lives = [budgets.of_life(name, found[name]) for name in ("orders, 1 slot", "orders, 16 slots", "orders, 1 slot, gateway")]
    starts = budgets.of_recovery(found["recovery"])
    return [*budgets.of_orders(found["orders, 1 slot"]), *lives, *starts, budgets.of_flips(found["flips"])]


# Name: measuring, tables, budgets.
PARTS = {
    "flash": (measure_flash, flash_tables, judged_flash),
    "forecast": (forecast.measure, forecast.tables, budgets.of_forecast),
    "relay": (relay.measure, relay.tables, relay.judged),
    "gateway": (gateway.measure, gateway.tables, gateway.judged),
    "update": (update.measure, update.tables, update.judged),
    "uplink": (uplink.measure, uplink.tables, uplink.judged),
    "board": (board.measure, board.tables, board.judged),
}
_USUAL = ("flash", "forecast")


def show(part):
    """Measure a part, and print its tables and verdicts. Returns what was found, and whether all budgets are kept."""
    measured, tables, judged = PARTS[part]
    found = measured()
    for text in tables(found):
        print(text)
    verdicts = judged(found)
    print("\nBudgets")
    for budget in verdicts:
        print(f"  {budget}")
    return found, all(budget.kept for budget in verdicts)


def main():
    parser = argparse.ArgumentParser(prog="python -m host_tests.bench")
    parser.add_argument("--part", choices=PARTS, help=f"only this one; by default {' and '.join(_USUAL)}")
    parser.add_argument("--json", help="write the figures to this file as well")
    options = parser.parse_args()
    shown = {part: show(part) for part in ([options.part] if options.part else _USUAL)}
    if options.json:
        with open(options.json, "w") as file:
            json.dump({part: found for part, (found, _) in shown.items()}, file, indent=1)
    return 0 if all(kept for _, kept in shown.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
