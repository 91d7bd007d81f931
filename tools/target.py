"""What `BOARD=`, `APPLIANCE=` and `CONFIG=` mean to the tools for boards: which board, and with which configuration."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import appliance, boards, trim
from tools.boards import Board
from tools.unix_agent import UsageError, load_config


class TargetError(Exception):
    """A board, an appliance or a configuration that cannot be used: every fault in a sentence, one a line."""


@dataclass(frozen=True)
class Target:
    """A board; the configuration that it is to have, None for the firmware alone. `file`: where that is from, which has the files
    beside it that it names; `text`: as the device is to read it, None while the unit has no serial."""

    board: Board
    config: dict[str, Any] | None = None
    file: Path = Path()
    text: bytes | None = None

    @property
    def is_shared(self) -> bool:
        """The file is of many units: what is secret in it is not this one's."""
        return self.file.suffix == ".toml"

    @property
    def profile(self) -> str:
        """bench, standard or product."""
        return str(((self.config or {}).get("board") or {}).get("profile", "standard"))

    def left_out(self, sources: dict[str, str]) -> dict[str, list[str]]:
        """See `trim.left_out`; the firmware alone has everything."""
        return {} if self.config is None else trim.left_out(self.config, self.board, sources)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--board", help=f"one of {', '.join(boards.names())}, or the path of a board.toml")
    parser.add_argument("--appliance", type=Path, help="appliance file, which names its board: then only what it uses goes along")
    parser.add_argument("--serial", help="this unit's serial number, for an appliance file without one")
    parser.add_argument("--config", type=Path, help="the same by a configuration")


def chosen(options: argparse.Namespace) -> str:
    """The options as `make` is given them."""
    named = ("appliance", "serial") if options.appliance else ("config",) if options.config else ("board",)
    return " ".join(f"{name.upper()}={getattr(options, name)}" for name in named if getattr(options, name))


def read(options: argparse.Namespace) -> Target:
    """Raises TargetError."""
    try:
        if options.appliance:
            return of_appliance(options.appliance, options.serial)
        if options.config:
            load_config(options.config)  # every fault; but its paths are this machine's
            text = options.config.read_bytes()
            config = json.loads(text)
            named = (config.get("board") or {}).get("name")
            return Target(_same(options.board, named), config, options.config, text)
        if not options.board:
            raise TargetError(f"BOARD=, APPLIANCE= or CONFIG= is needed; boards: {', '.join(boards.names())}.")
        return Target(boards.load(options.board))
    except (boards.BoardError, appliance.ApplianceError, UsageError) as error:
        raise TargetError(str(error)) from None


def of_appliance(file: Path, serial: str | None) -> Target:
    """Raises ApplianceError."""
    made = appliance.load(file, serial)
    text = json.dumps(made.config, indent=1).encode() + b"\n"
    return Target(made.board, made.config, file, text if made.config["device"].get("serial") else None)


def _same(given: str | None, named: str | None) -> Board:
    """The board that was given, or that the configuration names. Raises TargetError when those are two, or there is none."""
    if given and named and boards.load(given).name != named:
        raise TargetError(f"BOARD={given}: the configuration is for the board {named}.")
    if not given and not named:
        raise TargetError(f"BOARD= is needed: the configuration names no board; boards: {', '.join(boards.names())}.")
    return boards.load(given or str(named))
