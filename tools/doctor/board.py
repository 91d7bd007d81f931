"""A board at a serial port: what it is, what it has room for, and its clock. It is read, and started again afterwards."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Protocol

from tools.doctor import Finding
from tools.doctor.network import judge_clock

MINIMUM = (1, 23, 0)  # firmware/README.md
# A store that is full keeps no intent, so nothing is ordered; an update needs room beside what runs.
_LITTLE_BYTES = 65_536
_FACTS = (
    "(lambda sys, os, time: (sys.implementation.version[:3], sys.platform, os.statvfs('/')[0] * os.statvfs('/')[3], os.listdir(), "
    "time.time(), time.gmtime(0)[0]))(__import__('sys'), __import__('os'), __import__('time'))"
)
_NAMES = "__import__('replenish.io.vault', None, None, ('names',)).names()"
_SINCE_2000 = 946_684_800


class Board(Protocol):
    """What is asked of tools.device.Device."""

    def evaluate(self, expression: str) -> Any: ...
    def get(self, name: str) -> bytes: ...


def check(board: Board, config: dict[str, Any]) -> Iterator[Finding]:
    """config: of the board, with its defaults; empty where there is none."""
    version, platform, free, files, clock, epoch = board.evaluate(_FACTS)
    shown = ".".join(map(str, version))
    old = tuple(version) < MINIMUM
    wanted = ".".join(map(str, MINIMUM))
    yield Finding("MicroPython", not old, f"{shown} on {platform}", f"flash {wanted} or later: make flash IMAGE=" if old else "")
    full = free < _LITTLE_BYTES
    yield Finding("storage", not full, f"{free // 1024} KiB are free", "take what is not the agent's off the board" if full else "")
    now = clock + (_SINCE_2000 if epoch == 2000 else 0)
    if now < _SINCE_2000 + 86_400 * 365:
        yield Finding("board's clock", None, "it is not set: the board sets it when it joins its network")
    else:
        yield judge_clock("board's clock", now, "the board's")
    if config:
        yield from _configured(config, files)


def _configured(config: dict[str, Any], files: list[str]) -> Iterator[Finding]:
    folder = str(config["state"]).rstrip("/").rpartition("/")[2]
    kept = "files" if folder in files else f"the partition {folder}, or a folder that the first start makes"
    yield Finding("state", None, f"kept as {kept}")


def hidden_secrets(board: Board, config: dict[str, Any]) -> frozenset[str]:
    """The names of the secrets in the board's NVS, which the board tells; what they are it tells nobody. Raises what the board says."""
    return frozenset(board.evaluate(_NAMES)) if config["secrets"] == "nvs" else frozenset()


def check_secrets(config: dict[str, Any], names: Collection[str], has_radio: bool, port: str) -> Finding:
    """Whether the board has every secret that this configuration wants. names: of those that it has."""
    from tools.provision import SECRETS  # what it stands on is only there where boards are flashed

    wanted = [secret.name for secret in SECRETS if secret.needed(config, has_radio)] + ["wifi"] * has_radio
    where = "NVS" if config["secrets"] == "nvs" else Path(config["secrets"]).name
    if missing := [name for name in wanted if name not in names]:
        return Finding("secrets", False, f"{where} has no {' and no '.join(missing)}", f"make provision PORT={port}")
    return Finding("secrets", True, f"{where} has {', '.join(sorted(names)) or 'none, and none is needed'}")


def fetch(board: Board, folder: Path) -> Path:
    """The board's configuration, and what it names, as files here. Raises what the board says when there is none."""
    path = folder / "config.json"
    path.write_bytes(board.get("config.json"))
    given = json.loads(path.read_text())
    named = [*given.get("tls", {}).get("ca", []), given.get("tls", {}).get("certificate"), given.get("tls", {}).get("key")]
    named += (given.get("update") or {}).get("keys", [])
    if given.get("secrets") != "nvs":
        named.append(given.get("secrets"))
    for name in filter(None, named):
        place = folder / Path(str(name).lstrip("/")).name
        place.touch(mode=0o600)
        place.write_bytes(board.get(str(name)))
    return path

