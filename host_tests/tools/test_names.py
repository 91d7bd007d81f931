"""tools/names.py: which names are shortened, which must not be, and that no two meet that are called the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from host_tests import shim
from tools import archive, fold, names

shim.install()

from replenish.io import mqtt  # noqa: E402  (the firmware needs its stand-ins)

from host_tests.fakes.appliance import Appliance  # noqa: E402
from host_tests.fakes.board import DAY  # noqa: E402
from host_tests.fakes.broker import Broker  # noqa: E402
from host_tests.fakes.replaced import Replaced  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
STUBS = ROOT / "build" / "stubs"


def short_names(**modules: str) -> dict[str, str]:
    return names.Names({name: ast.parse(text) for name, text in modules.items()}).short


@pytest.mark.parametrize(
    "text",
    [
        "def way(): pass",
        "class way: pass",
        "way = 1",
        "a, (way, b) = 1, (2, 3)",
        "self.way = 1",
        "thing.way = 1",
        "class A:\n    way = 1",
        "class A:\n    way: int",
        "class A:\n    def way(self): pass",
        "def f():\n    def way(): pass",
        "def way(): pass\nx = 'by the way, yes'",
        "way = 1\nx = getattr(y, 'way')",
        "way = 1\nMY_FIELDS = 'some way'",
        "class A:\n    way: 'way'",
    ],
)
def test_what_the_package_defines_is_shortened(text: str) -> None:
    assert len(short_names(a=text)["way"]) == 1


@pytest.mark.parametrize(
    "text",
    [
        "x = way, y.way",  # nobody defines it here
        "def f():\n    way = 1",  # a local variable costs nothing
        "def f(a, way=1): pass\nself.way = 1",
        "self.way = 1\nf(way=1)",
        "self.way = 1\nx = 'way'",
        "self.way = 1\nx = {'some way': 1}",
        "way = const(1)",
        "class way(ValueError): pass",
        "class way(Exception): pass",
        "self.__way = 1\nself.way = 1\n'way'",
        "def __init__(self): pass",
    ],
)
def test_what_stays_as_it_is(text: str) -> None:
    found = short_names(a=text)
    assert "way" not in found and "__init__" not in found


@pytest.mark.parametrize("name", ["Agent", "confidence", "event_instance_id", "given_token", "readline", "way"])
def test_the_interface_foreign_names_and_modules_stay(name: str) -> None:
    assert name not in short_names(a=f"def {name}(): pass", **{"b.way": ""})


@pytest.mark.parametrize(
    ("text", "meet"),
    [
        ("class A:\n    def one(self): pass\n    def two(self): pass", True),
        ("class A:\n    one = 1\n    def f(self):\n        self.two = 1", True),
        ("class A:\n    one = 1\nclass B(A):\n    two = 1", True),
        ("class B(x.A):\n    two = 1\nclass A:\n    one = 1", True),
        ("class A:\n    one = 1\nclass B(A):\n    pass\nclass C(B):\n    two = 1", True),
        ("class A:\n    def f(self):\n        self.one = 1\nclass B:\n    def f(self):\n        self.two = 1", False),
        ("one = two = 1", True),
        ("class A:\n    one = 1\ndef f(two):\n    one(two)\ntwo = 1", True),
        ("class A:\n    def f(self):\n        self.one = 1\ntwo = 1", False),
        ("thing.one = 1\nclass B:\n    two = 1", True),  # of which class, nobody says
        ("class Agent:\n    def run(self): self.one = 1\nclass Link:\n    def run(self): self.two = 1\nhasattr(y, 'two')", True),
        ("class Agent:\n    def one(self): pass\ndef two(): pass", True),  # functions of one module, in a traceback
    ],
)
def test_names_that_may_meet_are_not_called_the_same(text: str, meet: bool) -> None:
    found = short_names(a=text)
    assert (found["one"] != found["two"]) == meet


def test_modules_share_and_a_name_is_the_same_everywhere() -> None:
    found = short_names(a="one = 1\nboth = 1", b="two = 1\nboth = 1", c="from a import one\nfrom b import two, both")
    assert len({found["one"], found["two"], found["both"]}) == 3
    found = short_names(a="one = 1\nboth = 1", b="two = 1\nboth = 1")
    assert found["one"] == found["two"] != found["both"]


def test_classes_of_two_modules_are_not_one_because_they_are_called_the_same() -> None:
    found = short_names(a="class A:\n    one = 1", b="class A:\n    two = 1")
    assert found["one"] == found["two"]
    found = short_names(a="class A:\n    one = 1", b="from a import A\nclass B(A):\n    two = 1")
    assert found["one"] != found["two"]


def test_short_names_are_new_and_do_not_end_with_the_alphabet() -> None:
    found = short_names(a="B = C.D = 1\n" + "\n".join(f"name_{i} = 1" for i in range(60)))
    letters = set(found.values())
    assert len(letters) == len(found) and not letters & {"B", "C", "D", "as", "if"} and {"A", "aa", "bb"} <= letters


# The firmware


@pytest.fixture(scope="module")
def firmware() -> names.Names:
    return fold.Folder(ROOT / "firmware").names


def defined(tree: ast.AST) -> set[str]:
    """Every name that a text gives to something, or asks of it."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.Attribute(attr=name):
                found.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
    return found


def test_no_name_of_micropython_or_a_library_is_shortened(firmware: names.Names) -> None:
    """One that is found here belongs into FOREIGN."""
    texts = [*STUBS.rglob("*.pyi"), *Path(shim.__file__).parent.rglob("modules/*.py"), archive.umqtt_simple()]
    theirs = set().union(*(defined(ast.parse(file.read_text())) for file in texts))
    theirs |= set(re.findall(r'\{"(\w+)", MP_ROM', (ROOT / "tools" / "faults" / "faults.c").read_text()))
    theirs |= {file.stem for file in texts}
    # Of a private one nobody but its module knows.
    theirs = {name for name in theirs if not name.startswith("_")}
    assert {"readinto", "ticks_ms", "MQTTClient", "check_msg", "status_code", "fail_at"} <= theirs
    assert not theirs & firmware.short.keys()
    assert names.FOREIGN <= theirs


def test_the_interface_is_what_the_readme_promises(firmware: names.Names) -> None:
    text = (ROOT / "firmware" / "README.md").read_text()
    library = text[text.index("## As a library") : text.index("## What is where")]
    promised = {name for code in re.findall(r"`([^`]*)`", library) for name in re.findall(r"\.(\w+)", code)}
    assert len(promised) > 20
    assert not promised & firmware.short.keys()


def test_the_pool_has_room(firmware: names.Names) -> None:
    """It doubles at some 620 names; each short one is one, whatever it stands for."""
    assert len(firmware.short) > 450
    assert len(set(firmware.short.values())) < 60
    assert not set(firmware.short.values()) & set(firmware.short)


def things(thing: object, seen: dict[int, object]) -> None:
    """All objects of the firmware's classes that can be reached from one."""
    if id(thing) in seen:
        return
    seen[id(thing)] = thing
    inner = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, (list, tuple)) else ()
    for part in [*inner, *getattr(thing, "__dict__", {}).values()]:
        things(part, seen)


def test_an_object_has_no_attribute_that_its_class_does_not_tell_of(firmware: names.Names) -> None:
    """Else it could be called as another one of the same object."""
    broker = Broker()
    with Replaced(mqtt, Stream=broker.stream):
        appliance = Appliance(mqtt={})
        appliance.sensors["A"].value = 2
        appliance.live(3 * DAY)
        appliance.agent.step()
        seen: dict[int, object] = {}
        things(appliance.agent, seen)
    ours = [thing for thing in seen.values() if type(thing).__module__.startswith("replenish.")]
    assert {type(thing).__name__ for thing in ours} > {"Agent", "Slot", "Order", "Level", "Device", "Uplink", "Link"}
    for thing in ours:
        assert vars(thing).keys() <= firmware.families[type(thing).__name__], type(thing)
