"""tools/fold.py: every use of a shared constant is folded, each name is shortened wherever it stands, nothing else is touched, and what
is uncertain is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import fold

ROOT = Path(__file__).resolve().parents[2]
MPY_CROSS = ROOT / "build" / "bin" / "mpy-cross"
ORDER = "IDLE = const(0)\nFAR = const(-5)\nNEVER = const(0xFFFFFFFF)\n_OWN = const(9)\nplain = 7\n"


def fold_text(tmp_path: Path, text: str, name: str = "core/policy.py", order: str = ORDER, shorten: bool = False) -> str:
    """The folded text of one module beside `core/order.py`. shorten: names, too."""
    package = tmp_path / "firmware" / "replenish"
    for place, content in (("__init__.py", ""), ("core/order.py", order), (name, text)):
        file = package / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    folder = fold.Folder(tmp_path / "firmware")
    if not shorten:
        folder.names.short.clear()
    return folder.fold(package / name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = o.IDLE", "x = 0"),
        ("x = o.NEVER + o.IDLE", "x = 4294967295 + 0"),
        ("f(o.IDLE, key=o.IDLE, *[o.IDLE])", "f(0, key=0, *[0])"),
        ("f(IDLE=o.IDLE, o=1)", "f(IDLE=0, o=1)"),
        ("x = 1 -o.FAR ** 2", "x = 1 -(-5) ** 2"),
        ("x = o.IDLE.to_bytes(1, 'big')", "x = (0).to_bytes(1, 'big')"),
        ("x = o.plain, o.Order, o.order.IDLE", "x = o.plain, o.Order, o.order.IDLE"),
        ("x = self.o.IDLE, f().IDLE, a[0].IDLE, IDLE", "x = self.o.IDLE, f().IDLE, a[0].IDLE, IDLE"),
        ("x = 'o.IDLE' # o.IDLE", "x = 'o.IDLE' # o.IDLE"),
        ("x = f'o.IDLE {x}'", "x = f'o.IDLE {x}'"),
        ("x = ('ä', o.IDLE, 'ä', o.IDLE)", "x = ('ä', 0, 'ä', 0)"),
        ("def f(a=o.IDLE):\n    return lambda: o.IDLE", "def f(a=0):\n    return lambda: 0"),
        (
            "class A:\n    IDLE = o.IDLE\n    def o(self):\n        return self.IDLE",
            "class A:\n    IDLE = 0\n    def o(self):\n        return self.IDLE",
        ),
        ("x[o.IDLE] = {o.IDLE: o.IDLE}", "x[0] = {0: 0}"),
        ("x = (\n    o.IDLE,\n    o.IDLE if y else 1,\n)", "x = (\n    0,\n    0 if y else 1,\n)"),
    ],
)
def test_a_use_becomes_the_number(tmp_path: Path, text: str, expected: str) -> None:
    head = "from . import order as o\n"
    assert fold_text(tmp_path, head + text) == head + expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("core/a.py", "from . import order\nx = order.IDLE"),
        ("core/a.py", "from .. import core\nx = core.order.IDLE"),
        ("app.py", "from .core import order\nx = order.IDLE"),
        ("app.py", "def f():\n    from .core import order\n    return order.IDLE"),
        ("services/a.py", "from ..core import order\nx = order.IDLE"),
        ("services/a.py", "from replenish.core import order\nx = order.IDLE"),
        ("services/a.py", "import replenish.core.order\nx = replenish.core.order.IDLE"),
        ("services/a.py", "import replenish.core.order as order\nx = order.IDLE"),
    ],
)
def test_every_way_to_import_the_module(tmp_path: Path, name: str, text: str) -> None:
    folded = fold_text(tmp_path, text, name)
    assert ".IDLE" not in folded and folded.rstrip().endswith(" 0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A = const(1)\nx = A + A", "_A = const(1)\nx = _A + _A"),
        ("A = const(1)\nf(A=A, b=A)", "_A = const(1)\nf(A=_A, b=_A)"),
        ("A = const(1)\nx.A = y.A + A", "_A = const(1)\nx.A = y.A + _A"),
        ("A = const(1)\nx = 'A', {'A': A}  # A", "_A = const(1)\nx = 'A', {'A': _A}  # A"),
        ("A = const(1)\ndef f(a=A):\n    return [A for b in a]", "_A = const(1)\ndef f(a=_A):\n    return [_A for b in a]"),
        ("A = 1\nx = A", "A = 1\nx = A"),
        ("def broken(:\n    A", "def broken(:\n    A"),  # left to the compiler, which says what is wrong
        ("_A = const('text')\nx = _A", "_A = const('text')\nx = _A"),
    ],
)
def test_the_module_of_a_constant_keeps_it_private(tmp_path: Path, text: str, expected: str) -> None:
    assert fold_text(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(now, key):\n    return now + x.now[key]", "def f(p0, p1):\n    return p0 + x.now[p1]"),
        ("def f(now, key=1):\n    return g(now, key=key)", "def f(p0, key=1):\n    return g(p0, key=key)"),
        ("class A:\n    def now(self, now):\n        self.now = now", "class A:\n    def now(self, p0):\n        self.now = p0"),
        ("def f(a):\n    return lambda b: a + b", "def f(p0):\n    return lambda p1: p0 + p1"),
        ("x = [lambda ö: ö + 'ö' for y in z]", "x = [lambda p0: p0 + 'ö' for y in z]"),
        ("def f(a):\n    a += 1\n    return [a for b in a]", "def f(p0):\n    p0 += 1\n    return [p0 for b in p0]"),
        ("def f(*a, **b):\n    return a, b", "def f(*a, **b):\n    return a, b"),
    ],
)
def test_a_parameter_without_a_default_gets_a_number(tmp_path: Path, text: str, expected: str) -> None:
    assert fold_text(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def go():\n    return go", "def A():\n    return A"),
        ("class A:\n    def _go(self):\n        self.x = y._go", "class B:\n    def B(self):\n        self.C = y.B"),
        ("way = ('ä', 'ö'); x = 'ä', way", "A = ('ä', 'ö'); B = 'ä', A"),
        ("def f(way):\n    x.way = way", "def A(p0):\n    x.B = p0"),
        ("def f():\n    global way\n    way = 1\nway = 0", "def A():\n    global B\n    B = 1\nB = 0"),
        ("IDLE = const(1)\nway = IDLE", "_IDLE = const(1)\nA = _IDLE"),
        ("way = 1\nx = getattr(y, 'way'), hasattr(y, 'gone')", "A = 1\nB = getattr(y, 'A'), hasattr(y, 'gone')"),
        ("way = 1\nFIELDS = '<Iway', 'way gone', way", "B = 1\nA = '<Iway', 'B gone', B"),
        ("_, a = x.__name__, _", "_, A = x.__name__, _"),
    ],
)
def test_a_name_gets_a_short_one(tmp_path: Path, text: str, expected: str) -> None:
    assert fold_text(tmp_path, text, order="", shorten=True) == expected


def test_what_a_short_name_stands_for_is_told(folder: fold.Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert fold.main([str(ROOT / "firmware" / "replenish" / "io" / "clock.py")]) == 0
    assert f"clock.py: {folder.names.short['real_ms']} real_ms\n" in capsys.readouterr().out


def test_nothing_imports_what_the_compiler_knows(tmp_path: Path) -> None:
    assert fold_text(tmp_path, "from micropython import const\n_A = const(1)\n") == "\n_A = const(1)\n"


OWN = "A = const(1)\n"
THEIRS = "from . import order as o\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("from .order import IDLE", "IDLE: import the module replenish.core.order"),
        ("from .order import IDLE as WAIT", "IDLE: import the module"),
        ("from replenish.core.order import IDLE", "IDLE: import the module"),
        ("from .order import *", "import the module"),
        (THEIRS + "o.IDLE = 1", "o.IDLE: a constant cannot be set"),
        (THEIRS + "o.IDLE += 1", "o.IDLE: a constant cannot be set"),
        (THEIRS + "del o.IDLE", "o.IDLE: a constant cannot be set"),
        (THEIRS + "def f(o):\n    return o.IDLE", "line 2: o: is the module"),
        (THEIRS + "for o in x:\n    pass", "o: is the module"),
        (THEIRS + "def f():\n    from . import other as o\n    return o.IDLE", "o: stands for replenish.core.order elsewhere"),
        (THEIRS + "x = f'{o.IDLE}'", "o.IDLE: a constant stands on one line and not in an f-string"),
        (THEIRS + "x = f'{y:{o.IDLE}}'", "not in an f-string"),
        (THEIRS + "x = (o.\n    IDLE)", "a constant stands on one line"),
        (OWN + "x = f'{A}'", "not in an f-string"),
        (OWN + "A += 1", "line 2: A: is a constant of this module"),
        (OWN + "A = 2", "A: is a constant of this module"),
        (OWN + "A = const(2)", "A: is a constant of this module"),
        (OWN + "def f(A):\n    return A", "A: is a constant of this module"),
        (OWN + "def f():\n    global A", "A: is a constant of this module"),
        (OWN + "class B:\n    A = 2", "A: is a constant of this module"),
        (OWN + "try:\n    f()\nexcept OSError as A:\n    pass", "A: is a constant of this module"),
        (OWN + "def A():\n    pass", "A: is a constant of this module"),
        (OWN + "_A = 2", "_A: is what A becomes"),
        ("def f(a):\n    def g(a):\n        return a\n    return g", "a: a parameter that means something else too"),
        ("def f(a):\n    return f'{a}'", "or an f-string beside one"),
        ("def f(p1, a):\n    return p1", "p1: is what a parameter becomes"),
        ("x = y._go", "_go: a private name of another module"),
        (THEIRS + "x = o._OWN", "_OWN: a private name of another module"),
        ("A = const('text')", "A: only a whole number"),
        ("A = const(1 << 3)", "A: only a whole number"),
        ("A = const(True)", "A: only a whole number"),
        ("B = const(1)\nA = const(B)", "A: only a whole number"),
    ],
)
def test_what_cannot_be_folded_with_certainty_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(fold.FoldError) as refused:
        fold_text(tmp_path, text)
    assert said in str(refused.value)
    assert "policy.py" in str(refused.value) and "line " in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("way = 1\nx = f'{way}'", "line 2: way: a name that is shortened, in an f-string"),
        ("way = 1\nx = f'{y.way}'", "y.way: a name that is shortened, in an f-string"),
        ("FIELDS = 'one \\n two'", "'one \\n two': names of attributes stand on one line, without escapes"),
        ("FIELDS = ('one '\n 'two')", "names of attributes stand on one line"),
    ],
)
def test_a_name_that_cannot_be_shortened_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(fold.FoldError) as refused:
        fold_text(tmp_path, text, shorten=True)
    assert said in str(refused.value)


FIRMWARE = sorted((ROOT / "firmware" / "replenish").rglob("*.py"))


@pytest.fixture(scope="module")
def folder() -> fold.Folder:
    return fold.Folder(ROOT / "firmware")


@pytest.mark.parametrize("file", FIRMWARE, ids=lambda file: file.name)
def test_the_firmware_keeps_its_lines_and_compiles(folder: fold.Folder, file: Path, tmp_path: Path) -> None:
    folded = folder.fold(file)
    assert folded.count("\n") == file.read_text().count("\n")
    command = [str(MPY_CROSS), "-msmall-int-bits=30", "-o", str(tmp_path / "a.mpy"), "-"]
    done = subprocess.run(command, input=folded.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_no_shared_constant_is_left_in_the_firmware(folder: fold.Folder) -> None:
    shared = {name for file in FIRMWARE for name in fold.constants(file.read_text())}
    assert len(shared) > 60
    compiled = "\n".join(line.split("#")[0] for file in FIRMWARE for line in folder.fold(file).splitlines())
    assert "order.IDLE" not in compiled and "o.IDLE" not in compiled and "call.ACCEPTED" not in compiled
