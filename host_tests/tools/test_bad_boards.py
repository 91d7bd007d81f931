"""What is wrong with a board or an appliance: the files of bad_boards/, each with the sentences it must earn in its first lines.

A sentence is what follows the file's name. {boards} and {bases} stand for the boards there are, and those that can be a base.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tools import boards

HERE = Path(__file__).parent
BAD = sorted(file.name for file in (HERE / "bad_boards").glob("board_*.toml"))
# A person learns which key, what it is, and what it may be.
SENTENCE = re.compile(r"[^:]+: .*\S.*allowed: .+")


def expected(file: Path) -> list[str]:
    """The sentences of a file: its comment lines up to the first empty one."""
    lines = file.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    bases = [name for name in boards.names() if "\nbase = " not in (boards.FOLDER / name / "board.toml").read_text(encoding="utf-8")]
    known = {"{boards}": ", ".join(boards.names()), "{bases}": ", ".join(bases)}
    sentences = [line.removeprefix("# ") for line in lines]
    for word, names in known.items():
        sentences = [sentence.replace(word, names) for sentence in sentences]
    return sentences


@pytest.mark.parametrize("name", BAD)
def test_a_bad_board_is_told_what_is_wrong(name: str, tmp_path: Path) -> None:
    file = tmp_path / "ours" / "board.toml"
    file.parent.mkdir()
    shutil.copy(HERE / "bad_boards" / name, file)
    with pytest.raises(boards.BoardError) as caught:
        boards.load(str(file))
    assert [fault.removeprefix(f"{file}: ") for fault in caught.value.faults] == expected(HERE / "bad_boards" / name)


def test_there_are_many_and_all_say_which_what_and_what_instead() -> None:
    sentences = [sentence for name in BAD for sentence in expected(HERE / "bad_boards" / name)]
    assert len(BAD) >= 50 and len(sentences) >= len(BAD)
    assert [sentence for sentence in sentences if not SENTENCE.fullmatch(sentence)] == []


def test_a_bad_board_is_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ours" / "board.toml"
    file.parent.mkdir()
    file.write_text("title =")
    assert boards.main([str(file), "unix"]) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("unix") and shown.err.count("\n") == 1
