"""What is wrong with a board or an appliance: the files of bad_boards/, each with the sentences it must earn in its first lines.

A sentence is what follows the file's name. {boards} and {bases} stand for the boards there are and those that can be a base, {keys} for
the keys of an appliance file, {drivers} for the sensors there are, {without} for those without pins.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from host_tests.tools.appliances import put_files
from tools import appliance, boards, configuration
from tools.drivers import DRIVERS

HERE = Path(__file__).parent
BOARDS = sorted(file.name for file in (HERE / "bad_boards").glob("board_*.toml"))
APPLIANCES = sorted(file.name for file in (HERE / "bad_boards").glob("appliance_*.toml"))
# A person learns which key, what it is, and what it may be.
SENTENCE = re.compile(r"[^:]+: .*\S.*allowed: .+")


def expected(file: Path) -> list[str]:
    """The sentences of a file: its comment lines up to the first empty one."""
    lines = file.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    bases = [name for name in boards.names() if "\nbase = " not in (boards.FOLDER / name / "board.toml").read_text(encoding="utf-8")]
    known = {
        "boards": boards.names(),
        "bases": bases,
        "keys": sorted(appliance.TOP_KEYS),
        "drivers": configuration.drivers(),
        "without": sorted(name for name, driver in DRIVERS.items() if not driver.pins),
    }
    sentences = [line.removeprefix("# ") for line in lines]
    for word, names in known.items():
        sentences = [sentence.replace(f"{{{word}}}", ", ".join(names)) for sentence in sentences]
    return sentences


@pytest.mark.parametrize("name", BOARDS)
def test_a_bad_board_is_told_what_is_wrong(name: str, tmp_path: Path) -> None:
    file = tmp_path / "ours" / "board.toml"
    file.parent.mkdir()
    shutil.copy(HERE / "bad_boards" / name, file)
    with pytest.raises(boards.BoardError) as caught:
        boards.load(str(file))
    assert [fault.removeprefix(f"{file}: ") for fault in caught.value.faults] == expected(HERE / "bad_boards" / name)


@pytest.mark.parametrize("name", APPLIANCES)
def test_a_bad_appliance_is_told_what_is_wrong(name: str, tmp_path: Path) -> None:
    put_files(tmp_path)
    file = tmp_path / "appliance.toml"
    shutil.copy(HERE / "bad_boards" / name, file)
    with pytest.raises(appliance.ApplianceError) as caught:
        appliance.load(file)
    found = [fault.removeprefix(f"{file}: ").replace(f"{tmp_path}/", "") for fault in caught.value.faults]
    assert found == expected(HERE / "bad_boards" / name)


def test_there_are_many_and_all_say_which_what_and_what_instead() -> None:
    bad = [*BOARDS, *APPLIANCES]
    sentences = [sentence for name in bad for sentence in expected(HERE / "bad_boards" / name)]
    assert len(BOARDS) >= 50 and len(APPLIANCES) >= 50 and len(sentences) >= len(bad)
    assert [sentence for sentence in sentences if not SENTENCE.fullmatch(sentence)] == []


def test_a_bad_board_is_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ours" / "board.toml"
    file.parent.mkdir()
    file.write_text("title =")
    assert boards.main([str(file), "unix"]) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("unix") and shown.err.count("\n") == 1


ODD = ["-1", "nan", "true", '"x"', "[]", "{a = 1}", "[[1]]", "2026-01-01"]


@pytest.mark.parametrize("key", sorted({*boards.KEYS, *appliance.TOP_KEYS}))
def test_no_value_of_any_key_is_a_traceback(key: str, tmp_path: Path) -> None:
    put_files(tmp_path)
    judged = 0
    for odd in ODD:
        board, file = tmp_path / "raw" / "board.toml", tmp_path / "appliance.toml"
        board.write_text(f'base = "esp32_generic"\n{key} = {odd}\n' if key != "base" else f"base = {odd}\n")
        file.write_text(f'board = "esp32_generic"\n{key} = {odd}\n' if key != "board" else f"board = {odd}\n")
        try:
            boards.load(str(board))
        except boards.BoardError as error:
            judged += all(len(fault.splitlines()) == 1 for fault in error.faults)
        with pytest.raises(appliance.ApplianceError) as caught:
            appliance.load(file)
        judged += all(len(fault.splitlines()) == 1 for fault in caught.value.faults)
    assert judged > len(ODD)
