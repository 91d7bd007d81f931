"""The appliance file: what one kind of appliance is, checked against the board that it is built on.

    python -m tools.appliance APPLIANCE.toml [--serial SN0001]     print the configuration; exit status 2 and every fault if wrong

It is TOML with the tables of a configuration (firmware/CONFIGURATION.md), the board it is for, and pins by the board's labels or by
number; boards/README.md has every key that is its own. What comes out is the JSON that the device reads, so both are judged by the
same rules (configuration.py); here the board's are added: pins, memory, deep sleep. Every fault is one line with the appliance
file's own names. Nothing is written.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools import boards, chips, pins, profiles
from tools import configuration as configurations
from tools.boards import Board, BoardError
from tools.drivers import DRIVERS
from tools.pins import Exemption, Use
from tools.sentences import did_you_mean, fault

# What the file has of its own; the others are those of a configuration, whose `board` is made of these.
BOARD_KEYS = tuple(key for key in configurations.SECTIONS["board"] if key != "name")
OWN_KEYS = ("allow", "board", *BOARD_KEYS)
TOP_KEYS = (*OWN_KEYS, *(key for key in configurations.TOP if key != "board"))
NOTHING = "none"  # TOML has no null: led = "none" leaves out the board's light

# What a whole wake takes with one slot, and what each further one and MQTT add, on a 32-bit machine.
# Source: firmware/README.md, "Size and memory": 64 KiB with one slot, 66 with two, 70 with four, 76 with one and MQTT over TLS.
WAKE_BYTES = 62 * 1024
SLOT_BYTES = 2 * 1024
MQTT_BYTES = 12 * 1024

# Stands in for what another fault has been told of, so that it is not told twice, and for the serial that each unit gets later.
_ANY_PIN = 0
_ANY_SERIAL = "SN0"


class ApplianceError(Exception):
    """An appliance file is wrong; `faults` has one sentence for each fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True)
class Appliance:
    """A file that was judged: its board, and the configuration. Without a serial, `config["device"]` has none."""

    board: Board
    config: dict[str, Any]


@dataclass(frozen=True)
class _Faults(configurations.Faults):
    """The faults of a configuration in the words of an appliance file."""

    def add(self, key: str, value: str, allowed: str) -> None:
        if key.endswith("pin") and value != "unknown key":
            allowed = "a GPIO number or a label of the board"
        allowed = allowed.replace("null or ", "no such key, or ").replace("an object with", "a table with")
        super().add(key.removeprefix("board."), value, allowed)

    def say(self, sentence: str) -> None:
        self.lines.append(f"{configurations.plain(self.file)}: {sentence}")


@dataclass
class _Reading:
    """One file on its way to a configuration: its table, its board (None when that is wrong) and how its pins are used."""

    table: dict[str, Any]
    board: Board | None
    faults: _Faults
    uses: list[Use] = field(default_factory=list)

    def pin(self, key: str, given: Any, role: str) -> int:
        """The GPIO that is meant; a fault when there is none."""
        labels = self.board.pins if self.board else {}
        gpio = pins.number(labels, given)
        if gpio is None:
            if self.board is not None or not isinstance(given, str):
                self.faults.say(fault(key, given, pins.unknown(labels, given)))
            return _ANY_PIN
        self.uses.append(Use(key, given, gpio, role))
        chip = self.board and self.board.chip_facts
        return gpio if chip and gpio in chip.gpios else _ANY_PIN


# From the table to the configuration


def parse(file: Path, faults: _Faults) -> dict[str, Any] | None:
    """The file's table, or None after saying why there is none."""
    try:
        table = tomllib.loads(configurations.read_file(file).decode())
    except OSError as error:
        faults.add("(file)", str(error.strerror), configurations.READABLE)
        return None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        faults.add("(file)", f"not TOML ({error})", "TOML in UTF-8")
        return None
    plain: dict[str, Any] = without_dates(table, "", faults)
    return plain


def without_dates(value: Any, key: str, faults: _Faults) -> Any:
    """The same without what JSON does not have: a date or a time is a fault, and a text from then on."""
    if isinstance(value, dict):
        return {name: without_dates(item, f"{key}.{name}".lstrip("."), faults) for name, item in value.items()}
    if isinstance(value, list):
        return [without_dates(item, f"{key}[{number}]", faults) for number, item in enumerate(value)]
    if isinstance(value, (datetime.date, datetime.time)):
        faults.add(key, str(value), "a number, or a text in quotes")
        return str(value)
    return value


def board_of(table: dict[str, Any], folder: Path, faults: _Faults) -> Board | None:
    """The board that the file names; None after saying what is wrong."""
    name = table.get("board")
    if not isinstance(name, str):
        allowed = f"{', '.join(boards.names())}, or the path of a board.toml"
        faults.add("board", configurations.MISSING if name is None else configurations.shown(name), allowed)
        return None
    try:
        return boards.load(str(folder / name) if name.endswith(".toml") else name)
    except BoardError as error:
        faults.lines.extend(problem.replace("BOARD=", f"{configurations.plain(faults.file)}: board: ", 1) for problem in error.faults)
        return None


def board_section(reading: _Reading) -> dict[str, Any]:
    """The configuration's `board`: what the file says, the board's own light and button where it says nothing."""
    table, board = reading.table, reading.board
    section: dict[str, Any] = {key: table[key] for key in BOARD_KEYS if key in table}
    if board is None:
        return section
    section["name"] = board.name
    if "watchdog" not in board.features:
        section.setdefault("watchdog_s", 0)
    for key, wire, role in (("led", board.led, "output"), ("button", board.button, "input")):
        if key not in table:
            section[key] = wire and {"pin": wire.pin, "active": wire.active}
        elif not isinstance(table[key], dict):
            section[key] = None
        elif "pin" in table[key]:
            section[key] = {**table[key], "pin": reading.pin(f"{key}.pin", table[key]["pin"], role)}
    return section


def sensor_section(reading: _Reading, key: str, sensor: Any) -> Any:
    """A sensor with GPIO numbers for its pins, and its parts' when it has some. What is no sensor is left to the rules."""
    if not isinstance(sensor, dict):
        return sensor
    driver = DRIVERS.get(str(sensor.get("driver")))
    made = dict(sensor)
    for option, role in driver.pins.items() if driver else ():
        if option in sensor:
            made[option] = reading.pin(f"{key}.{option}", sensor[option], role)
    if isinstance(sensor.get("sensors"), list):
        made["sensors"] = [sensor_section(reading, f"{key}.sensors[{n}]", part) for n, part in enumerate(sensor["sensors"])]
    return made


def slot_sections(reading: _Reading) -> Any:
    slots = reading.table.get("slots")
    if not isinstance(slots, list):
        return slots
    return [
        {**slot, "sensor": sensor_section(reading, f"slots[{n}].sensor", slot["sensor"])}
        if isinstance(slot, dict) and "sensor" in slot
        else slot
        for n, slot in enumerate(slots)
    ]


def assemble(reading: _Reading, serial: str | None) -> dict[str, Any]:
    """The configuration as it would be, whatever is wrong with it."""
    board = reading.board
    own = "state" if board is None or board.state_medium == "folder" else board.state_label
    config: dict[str, Any] = {"state": own, "secrets": "secrets.json"}
    config |= {key: value for key, value in reading.table.items() if key in configurations.TOP and key not in OWN_KEYS}
    config["board"] = board_section(reading)
    if "slots" in reading.table:
        config["slots"] = slot_sections(reading)
    device = config.get("device")
    if isinstance(device, dict):
        config["device"] = {"serial": _ANY_SERIAL, **device, **({"serial": serial} if serial is not None else {})}
    return profiles.fill(config)


def apart(config: dict[str, Any]) -> dict[str, Any]:
    """The same with two pins for light and button: that they have one is told with the other pins, once."""
    led, button = (config["board"].get(key) for key in ("led", "button"))
    if not (isinstance(led, dict) and isinstance(button, dict) and "pin" in led and led["pin"] == button.get("pin")):
        return config
    return {**config, "board": {**config["board"], "button": {**button, "pin": led["pin"] + 1}}}


# What the board has to say


def judge_keys(table: dict[str, Any], faults: _Faults) -> None:
    for key in [key for key in table if key not in TOP_KEYS]:
        allowed = configurations.elsewhere(key) or ", ".join(sorted(TOP_KEYS)) + did_you_mean(key, TOP_KEYS)
        faults.add(configurations.plain(key), "unknown key", allowed)
    for key in ("led", "button"):
        value = table.get(key, {})
        if not isinstance(value, dict) and value != NOTHING:
            faults.add_value(key, value, f'"{NOTHING}", or a table with pin')


def judge_board(reading: _Reading, board: Board, config: dict[str, Any]) -> None:
    """Everything that depends on the board, of a configuration whose values may still be of any kind."""
    judge_pins(reading, board)
    judge_buses(config.get("slots"), reading.faults)
    judge_pulls(reading, board, config.get("slots"))
    judge_sleep(reading, board, config)
    judge_features(board, config, reading.faults)
    judge_memory(board, config, reading.faults)
    judge_state(board, config.get("state"), reading.faults)


def judge_pins(reading: _Reading, board: Board) -> None:
    exempt = exemptions(reading, board)
    if board.pinout is None:
        problems = [without_pins(board, use) for use in reading.uses]
    else:
        problems = pins.faults(board.pinout, reading.uses, exempt, inherited(reading, board))
    for problem in problems:
        reading.faults.say(problem)


def without_pins(board: Board, use: Use) -> str:
    """The fault of using a pin where there are none."""
    drivers = ", ".join(sorted(name for name, driver in DRIVERS.items() if not driver.pins))
    allowed = f"a sensor without: {drivers}" if use.key.startswith("slots") else f'"{NOTHING}"'
    return fault(use.key, use.given, f"{board.name} has no pins; allowed: {allowed}")


def exemptions(reading: _Reading, board: Board) -> list[Exemption]:
    given = reading.table.get("allow", [])
    if not isinstance(given, list):
        reading.faults.add_value("allow", given, 'a list of "PIN: REASON"')
        return []
    found = []
    for number, item in enumerate(given):
        one, problem = pins.exemption(board.pins, f"allow[{number}]", item)
        if problem:
            reading.faults.say(problem)
        elif one:
            found.append(one)
    return found


def inherited(reading: _Reading, board: Board) -> list[Use]:
    """The board's own light and button where the file leaves them: judged with the board."""
    parts = (("led", "light", board.led, "output"), ("button", "button", board.button, "input"))
    return [
        Use(f'the board\'s {word} ({key} = "{NOTHING}" frees it)', wire.pin, wire.pin, role)
        for key, word, wire, role in parts
        if wire and key not in reading.table
    ]


def sensors_of(slots: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(key, sensor) of every sensor with a known driver, the parts of a composite among them."""
    for number, slot in enumerate(slots if isinstance(slots, list) else ()):
        sensor = slot.get("sensor") if isinstance(slot, dict) else None
        yield from _with_parts(f"slots[{number}].sensor", sensor)


def _with_parts(key: str, sensor: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(sensor, dict):
        if configurations.SENSOR["driver"].accepts(sensor.get("driver")):
            yield key, sensor
        parts = sensor.get("sensors")
        for number, part in enumerate(parts if isinstance(parts, list) else ()):
            yield from _with_parts(f"{key}.sensors[{number}]", part)


def judge_buses(slots: Any, faults: _Faults) -> None:
    """Sensors share the two wires of a bus only when they have different addresses."""
    first: dict[tuple[Any, ...], str] = {}
    for key, sensor in sensors_of(slots):
        driver = DRIVERS[sensor["driver"]]
        wires = tuple(str(sensor.get(option)) for option, role in driver.pins.items() if role == "open_drain")
        address = sensor.get("address", driver.defaults.get("address"))
        other = first.setdefault((wires, str(address)), key) if wires else key
        if other != key:
            faults.say(fault(f"{key}.driver", driver.name, f"{other} has its address on the same pins; allowed: pins of its own"))


def judge_pulls(reading: _Reading, board: Board, slots: Any) -> None:
    """A contact on a pin without resistors inside needs one outside, and a word that there is one."""
    chip = board.chip_facts
    pulled = {key: sensor.get("pull", DRIVERS[sensor["driver"]].defaults.get("pull")) for key, sensor in sensors_of(slots)}
    for use in reading.uses:
        pull = pulled.get(use.key.rpartition(".")[0])
        if chip and use.gpio in chip.input_only and pull in ("up", "down"):
            why = f'GPIO{use.gpio} has no pull-{pull} inside; allowed: pull = "none" and a resistor outside, or another pin'
            reading.faults.say(fault(use.key, use.given, why))


def judge_sleep(reading: _Reading, board: Board, config: dict[str, Any]) -> None:
    """Deep sleep, and what has to wake the chip from it."""
    section, faults, chip = config["board"], reading.faults, board.chip_facts
    if section.get("sleep") != "deep":
        return
    if "deep_sleep" not in board.features:
        faults.add("sleep", '"deep"', f"none, because {board.name} has no deep sleep")
    if "deep_sleep" not in board.features or chip is None:
        return
    awake = f"cannot wake the {chip.title} from deep sleep; allowed: {chips.spans(chip.wake)}"
    button = section.get("button")
    if "button" not in reading.table and isinstance(button, dict) and button["pin"] not in chip.wake:
        faults.say(fault("sleep", "deep", f"the board's button, GPIO{button['pin']}, {awake}, or button = \"{NOTHING}\""))
    counting = {f"{key}.pin" for key, sensor in sensors_of(config.get("slots")) if DRIVERS[sensor["driver"]].counts}
    for use in reading.uses:
        if use.gpio in chip.gpios - chip.wake and (use.key == "button.pin" or use.key in counting):
            faults.say(fault(use.key, use.given, f"GPIO{use.gpio} {awake}, or sleep = \"none\""))


def judge_features(board: Board, config: dict[str, Any], faults: _Faults) -> None:
    section = config["board"]
    watchdog_s = section.get("watchdog_s", configurations.DEFAULTS["board"]["watchdog_s"])
    if watchdog_s and "watchdog" not in board.features:
        faults.add_value("watchdog_s", watchdog_s, f"0, because {board.name} has no watchdog")
    if section.get("profile") == "product":
        for feature in ("watchdog", "wifi"):
            if feature not in board.features:
                faults.add("profile", '"product"', f"bench, standard, because {board.name} has no {feature}")
    if config.get("secrets") == "nvs" and board.port != "esp32":
        faults.add("secrets", '"nvs"', f"a file, because {board.name} has no NVS")


def judge_memory(board: Board, config: dict[str, Any], faults: _Faults) -> None:
    tls, slots = config.get("tls"), config.get("slots")
    wanted: Any = tls.get("sockets", 1) if isinstance(tls, dict) else 1
    if type(wanted) is int and wanted > board.tls_sockets:
        faults.add("tls.sockets", str(wanted), f"{board.tls_sockets}, because {board.name} has memory for no more")
    if not isinstance(slots, list) or board.port == "unix":
        return
    # MicroPython's ESP32 port lets the heap double once, and adds all PSRAM (ports/esp32/mpconfigport.h).
    heap = board.heap_bytes * (2 if board.chip else 1) + board.psram_bytes
    room = heap - WAKE_BYTES - (MQTT_BYTES if "mqtt" in config else 0)
    if len(slots) > (limit := max(room // SLOT_BYTES, 1)):
        faults.add("slots", f"{len(slots)} of them", f"at most {limit}, because {board.name} has a heap of {heap // 1024} KiB")


def judge_state(board: Board, state: Any, faults: _Faults) -> None:
    """On an ESP32 a label of the partition table means that partition, raw: its content is gone (firmware/replenish/io/flash.py)."""
    if not board.partitions or not isinstance(state, str):
        return
    found = board.partition(state)
    if board.state_medium == "partition" and state != board.state_label:
        faults.add_value("state", state, f"{board.state_label}, the partition that {board.name} has for it")
    elif board.state_medium == "folder" and found is not None:
        faults.add_value("state", state, f"a folder's name; {board.name} has a partition of this name, as {found.kind}")


# The whole


def load(file: Path, serial: str | None = None) -> Appliance:
    """The appliance of a file, its configuration with this unit's serial or the file's. Raises ApplianceError with every fault."""
    faults = _Faults(str(file))
    table = parse(file, faults)
    if table is None:
        raise ApplianceError(faults.lines)
    judge_keys(table, faults)
    board = board_of(table, file.parent, faults)
    reading = _Reading(table, board, faults)
    config = assemble(reading, serial)
    configurations.judge(apart(config), faults)
    configurations.judge_files(config, file.parent, faults)
    if board is not None:
        judge_board(reading, board, config)
    if not faults.lines and profiles.of(config) == "product":
        judge_product(config, file.parent, faults)
    if faults.lines or board is None:
        raise ApplianceError(faults.lines)
    if serial is None and "serial" not in table["device"]:
        del config["device"]["serial"]
    return Appliance(board, config)


def judge_product(config: dict[str, Any], folder: Path, faults: _Faults) -> None:
    for check in profiles.PRODUCT_CHECKS:
        for key, value, allowed in check(config, folder):
            faults.add(key, value, allowed)


def configuration(file: Path, serial: str | None = None) -> dict[str, Any]:
    """The configuration alone, see `load`."""
    return load(file, serial).config


def main(argv: list[str] | None = None) -> int:
    about = "Check an appliance file and print its configuration."
    parser = argparse.ArgumentParser(prog="python -m tools.appliance", description=about)
    parser.add_argument("file", metavar="APPLIANCE.toml", type=Path)
    parser.add_argument("--serial", help="this unit's serial number, when the file has none or another")
    options = parser.parse_args(argv)
    try:
        made = load(options.file, options.serial)
    except ApplianceError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(made.config, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
