"""Board facts: boards/<name>/board.toml, read and validated.

Every fault of a file is reported at once, one sentence each, with the file, the key, the value and what is allowed.

    python -m tools.boards      list the boards; exit 1 and all faults when a file is wrong
"""

from __future__ import annotations

import difflib
import re
import sys
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "boards"

PORTS = ("unix", "esp32", "qemu")
CHIPS = ("esp32", "esp32c3", "esp32c6", "esp32s2", "esp32s3")
FEATURES = ("deep_sleep", "threads", "watchdog", "wifi")
MEDIA = ("folder", "partition")


class BoardError(Exception):
    """A board file is wrong or missing; `faults` has one sentence for each fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True)
class Image:
    """The MicroPython image that a person flashes before the agent's files."""

    file_pattern: str
    min_version: str
    offset: int


@dataclass(frozen=True)
class Board:
    """One board's facts. `image` and `chip` are None on the PC; `state_label` only for a partition."""

    name: str
    title: str
    port: str
    chip: str | None
    features: tuple[str, ...]
    heap_bytes: int
    tls_sockets: int
    state_medium: str
    state_label: str | None
    image: Image | None


# A check returns None when the value is allowed, else what is allowed.
Check = Callable[[object], str | None]


def text(pattern: str, allowed: str) -> Check:
    return lambda value: None if isinstance(value, str) and re.fullmatch(pattern, value) else allowed


def whole(low: int, high: int) -> Check:
    allowed = f"a whole number, {low} to {high}"
    return lambda value: None if type(value) is int and low <= value <= high else allowed


def one_of(names: tuple[str, ...]) -> Check:
    return lambda value: None if value in names else f"one of {', '.join(names)}"


def some_of(names: tuple[str, ...]) -> Check:
    allowed = f"a list of {', '.join(names)}, each at most once"

    def check(value: object) -> str | None:
        if not isinstance(value, list) or not all(item in names for item in value):
            return allowed
        return None if len(set(value)) == len(value) else allowed

    return check


# Every key there is: its check, and the ports that must have it. A port not named must not have it.
KEYS: dict[str, tuple[Check, tuple[str, ...]]] = {
    "title": (text(r".{1,60}", "a text of 1 to 60 characters"), PORTS),
    "port": (one_of(PORTS), PORTS),
    "chip": (one_of(CHIPS), ("esp32",)),
    "features": (some_of(FEATURES), PORTS),
    "memory.heap_bytes": (whole(16_384, 8_388_608), PORTS),
    "memory.tls_sockets": (whole(1, 4), PORTS),
    "image.file_pattern": (text(r"[\w.*-]+\.bin", "a file name pattern that ends in .bin"), ("esp32",)),
    "image.min_version": (text(r"\d+\.\d+\.\d+", "a version like 1.23.0"), ("esp32",)),
    "image.offset": (whole(0, 0xFFFF), ("esp32",)),
    "state.medium": (one_of(MEDIA), PORTS),
    "state.label": (text(r"[a-z0-9_]{1,15}", "1 to 15 of a-z, 0-9 and _"), ("esp32",)),
}


def flatten(table: dict[str, Any], prefix: str = "") -> dict[str, object]:
    """Nested tables as one with dotted keys."""
    flat: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def faults_of(values: dict[str, object]) -> list[str]:
    """Every fault of a board's values, "key: value: what is allowed"."""
    port = values.get("port")
    faults = [f"{key}: unknown key{did_you_mean(key, KEYS)}" for key in values if key not in KEYS]
    for key, (check, ports) in KEYS.items():
        if key not in values:
            if port in ports or key == "port":
                faults.append(f"{key}: missing: {check(None)}")
        elif port in PORTS and port not in ports:
            faults.append(f"{key}: {values[key]!r}: not allowed with port {port}")
        elif allowed := check(values[key]):
            faults.append(f"{key}: {values[key]!r}: {allowed}")
    return faults


def read(file: Path) -> dict[str, object]:
    """The file's values with dotted keys, valid. Raises BoardError."""
    try:
        values = flatten(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BoardError([f"{file}: {error}"]) from None
    if faults := faults_of(values):
        raise BoardError([f"{file}: {fault}" for fault in faults])
    return values


def names(folder: Path = FOLDER) -> list[str]:
    return sorted(file.parent.name for file in folder.glob("*/board.toml"))


def load(name: str, folder: Path = FOLDER) -> Board:
    """The board called `name`. Raises BoardError with every fault."""
    if name not in names(folder):
        known = names(folder)
        raise BoardError([f"BOARD={name}: unknown board{did_you_mean(name, known)} (there are {', '.join(known)})"])
    values: dict[str, Any] = read(folder / name / "board.toml")
    image = None
    if values["port"] == "esp32":
        image = Image(values["image.file_pattern"], values["image.min_version"], values["image.offset"])
    return Board(
        name=name,
        title=values["title"],
        port=values["port"],
        chip=values.get("chip"),
        features=tuple(values["features"]),
        heap_bytes=values["memory.heap_bytes"],
        tls_sockets=values["memory.tls_sockets"],
        state_medium=values["state.medium"],
        state_label=values.get("state.label"),
        image=image,
    )


def main() -> int:
    faults: list[str] = []
    for name in names():
        try:
            print(f"{name:16}{load(name).title}")
        except BoardError as error:
            faults += error.faults
    print("\n".join(faults), end="\n" if faults else "", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
