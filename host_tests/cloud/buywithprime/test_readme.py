"""What README.md says of the client is what the code says."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path

from tools.cloud import buywithprime
from tools.cloud.buywithprime import Client, Handling, Settings

README = Path(buywithprime.__file__).with_name("README.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table after a heading, without its two rows of head."""
    table = re.search(r"((?:^\|.*\n)+)", README[README.index(heading) :], re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in table[1].splitlines()[2:]]


def shown(default: object) -> str:
    """A default as the table has it."""
    if default is MISSING:
        return "required"
    if isinstance(default, tuple):
        return ", ".join(map(str, default))
    return "none" if default is None else f"{default:g}" if isinstance(default, float) else str(default)


def test_every_setting_is_in_the_table_with_its_default() -> None:
    told = {}
    for names, _, default in rows("### Settings"):
        keys = re.findall("`([a-z_]+)`", names)
        told.update(zip(keys, default.replace("`", "").split(", ") if len(keys) > 1 and "," in default else [default.strip("`")] * 2))
    assert told == {field.name: shown(field.default) for field in fields(Settings)}


def test_every_method_is_in_the_table() -> None:
    public = {name for name, value in vars(Client).items() if callable(value) and not name.startswith("_")}
    assert {cells[0].strip("`") for cells in rows("## The client")} == public


def test_every_handling_is_in_the_table() -> None:
    assert [cells[0].strip("`") for cells in rows("### Errors")] == [handling.name for handling in Handling]
