"""What `BOARD=` and `CONFIG=` mean to the tools for boards: which board, and with which configuration."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import boards, trim
from tools.boards import Board
from tools.unix_agent import UsageError, load_config


class TargetError(Exception):
    """A board, an appliance or a configuration that cannot be used: every fault in a sentence, one a line."""


@dataclass(frozen=True)
class Target:
    """A board; the configuration that it is to have, None for the firmware alone; `folder`: where the files are that it names."""

    board: Board
    config: dict[str, Any] | None = None
    folder: Path = Path()

    @property
    def profile(self) -> str:
        """bench, standard or product."""
        return str(((self.config or {}).get("board") or {}).get("profile", "standard"))

    def left_out(self, sources: dict[str, str]) -> dict[str, list[str]]:
        """See `trim.left_out`; the firmware alone has everything."""
        return {} if self.config is None else trim.left_out(self.config, self.board, sources)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--board", help=f"one of {', '.join(boards.names())}, or the path of a board.toml")
    parser.add_argument("--config", type=Path, help="configuration: then only what it uses goes along")


def read(options: argparse.Namespace) -> Target:
    """Raises TargetError."""
    try:
        if options.config:
            values = load_config(options.config)
            named = (values.get("board") or {}).get("name")
            return Target(_same(options.board, named), values, options.config.parent)
        if not options.board:
            raise TargetError(f"BOARD= or CONFIG= is needed; boards: {', '.join(boards.names())}.")
        return Target(boards.load(options.board))
    except (boards.BoardError, UsageError) as error:
        raise TargetError(str(error)) from None


def _same(given: str | None, named: str | None) -> Board:
    """The board that was given, or that the configuration names. Raises TargetError when those are two, or there is none."""
    if given and named and boards.load(given).name != named:
        raise TargetError(f"BOARD={given}: the configuration is for the board {named}.")
    if not given and not named:
        raise TargetError(f"BOARD= is needed: the configuration names no board; boards: {', '.join(boards.names())}.")
    return boards.load(given or str(named))
