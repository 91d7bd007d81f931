"""The translation of the dual tests: what a test asks of the firmware has the short name, nothing else has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from host_tests.unix_port import translate
from host_tests.unix_port.__main__ import INTERPRETERS, environment
from tools import fold
from tools.build import FIRMWARE

# In the firmware these are A, B, C, and A again, of another class.
THING = """
class Kept:
    def f(self):
        self.one = self.two = 1
class Other:
    def f(self):
        self.third = self._own = 1
"""

BOARD = "from host_tests.fakes import board as b\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> fold.Folder:
    package = tmp_path_factory.mktemp("firmware") / "replenish"
    package.mkdir()
    (package / "thing.py").write_text(THING)
    return fold.Folder(package.parent)


def expected(text: str, folder: fold.Folder) -> str:
    """`<name>` stands for the short name."""
    for name, short in folder.names.short.items():
        text = text.replace(f"<{name}>", short)
    return text


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("x.one = y.two.three\n", "x.<one> = y.<two>.three\n"),
        ("one = two(one=two)\n", "one = two(one=two)\n"),
        ("def g(one):\n    return one.one\n", "def g(one):\n    return one.<one>\n"),
        ("x._own = y.__one__\n", "x._own = y.__one__\n"),
        ("x = 'one', 'x.one'  # x.one\n", "x = 'one', 'x.one'  # x.one\n"),
        ("x = 'ä', x.one, 'ä', x.one\n", "x = 'ä', x.<one>, 'ä', x.<one>\n"),
        ("x = f'{x.one:{y.two}} one {x. two}'\n", "x = f'{x.<one>:{y.<two>}} one {x. two}'\n"),
        ("from replenish.thing import Kept\nKept()\n", "from replenish.thing import <Kept> as Kept\nKept()\n"),
        ("from replenish.thing import Kept as K, x\n", "from replenish.thing import <Kept> as K, x\n"),
        ("from host_tests.fakes import one\n", "from host_tests.fakes import one\n"),
        ("class A:\n    one = 1\n    x = y = one, two\n", "class A:\n    <one> = 1\n    x = y = <one>, two\n"),
        ("class A:\n    def one(self, two):\n        one = two\n", "class A:\n    def <one>(self, two):\n        one = two\n"),
        (BOARD + "b.one = b.Clock.one\n", BOARD + "b.one = b.Clock.<one>\n"),
        ("from host_tests.fakes.board import Clock\nClock.one\n", "from host_tests.fakes.board import Clock\nClock.<one>\n"),
        ('"""What."""\nx = getattr(y, z)\n', 'import short_names as _short; """What."""\nx = _short.getattr(y, z)\n'),
    ],
)
def test_what_becomes_of_a_test(folder: fold.Folder, text: str, becomes: str) -> None:
    assert translate.translate(text, folder) == expected(becomes, folder)


def test_the_firmware_of_this_test_shares_a_name(folder: fold.Folder) -> None:
    short = folder.names.short
    assert short["third"] in (short["one"], short["two"])


def test_names_that_are_called_the_same_on_one_object_are_refused(folder: fold.Folder) -> None:
    same = next(name for name in ("one", "two") if folder.names.short[name] == folder.names.short["third"])
    for text in (
        f"class A:\n    {same} = 1\n    third = 2\n",
        f"class A:\n    def f(self):\n        self.{same} = self.third\n",
        "class A(thing.Kept):\n    third = 2\n",
    ):
        with pytest.raises(translate.TranslationError, match=f"({same} and third|third and {same}) have one short name"):
            translate.translate(text, folder)
    with pytest.raises(translate.TranslationError, match="line 1: .: is what a name of the firmware becomes"):
        translate.translate(f"x.{folder.names.short['one']} = 1\n", folder)


def test_a_name_that_is_looked_up_is_translated_when_it_is() -> None:
    program = "import short_names as s\nprint(s.called('save_order'), s.called('way'), s.hasattr(s, 'called'), s.getattr(s, 'x', 7))"
    run = [str(INTERPRETERS[0]), "-c", program]
    done = subprocess.run(run, env=environment(""), capture_output=True, text=True, check=True)
    short = fold.Folder(FIRMWARE).names.short
    assert done.stdout == f"{short['save_order']} way True 7\n"


def test_every_dual_test_is_translated() -> None:
    tests = translate.tree() / "host_tests"
    folders = (".", "fakes", "faults", "powerloss", "bench", "scenarios/wire")
    files = [file for folder in folders for file in tests.glob(f"{folder}/*.py")]
    assert len(files) > 50
    refused = {file.name: file.read_text() for file in files if file.read_text().startswith("raise ImportError")}
    assert not refused


def test_a_file_that_cannot_be_translated_says_so_when_it_is_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "host_tests").mkdir()
    (tmp_path / "host_tests" / "odd.py").write_text("def odd(:\n")
    monkeypatch.setattr(translate, "ROOT", tmp_path)
    monkeypatch.setattr(translate, "TREE", tmp_path / "tree")
    text = (translate.tree() / "host_tests" / "odd.py").read_text()
    with pytest.raises(ImportError, match="not translated: invalid syntax"):
        exec(text)


def test_a_file_that_is_gone_is_gone_from_the_tree_too() -> None:
    stray = translate.tree() / "host_tests" / "stray.py"
    stray.write_text("")
    (translate.TREE / "recipe").unlink()
    assert not (translate.tree() / "host_tests" / "stray.py").exists()
