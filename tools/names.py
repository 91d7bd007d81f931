"""Which names of the firmware are called something shorter on the device, and what.

MicroPython keeps every name of a function, an attribute or a variable of a module in the heap for ever, in one pool that doubles
when it is full. So what the package defines for itself gets a name of one or two letters, and as many names as possible get the
same: two need different ones only where one namespace may have both. A namespace is a module with all that stands in it by a bare
name, or a class with those that it is derived from. One spelling has one short name everywhere.

A name stays as it is when

- it is for somebody outside of the package (`INTERFACE`), or a thing that is not ours has it too (`FOREIGN`),
- it is a module's, or an error's class, whose name is told,
- it is a parameter that has a default, or stands before `=` in a call,
- it stands in a text, alone or with other words: what is looked up by it could not be told from a word of the configuration.

Names of attributes as data stand in a variable called `..._FIELDS`, as texts of one or more names, or directly in `getattr` and
its like: these texts are shortened with the names.
"""

from __future__ import annotations

import ast
import keyword
import re
import string
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

# For programs and tools outside of the package: firmware/README.md, "As a library" and "Linking"; main.py.
_LIBRARY = """
Agent load slot step run start once on update progress notice dropped hold resume cancel_test_orders deregister factory_reset stop fault
SlotFace id order level consume refilled new_part undo_new_part run_out confidence stock agree cancel
OrderView state event_instance_id since next_try deadline attempts cancels reason
Link url challenge finish
CodeLink begin user_code verification_uri poll poll_at over
Sensor read used Scaled raw raw_unit below points DEFAULTS add
calibration parts keep
VERSION
"""
# ... for `make link`, `make selftest` and `make provision`, which talk to a device by statements
_TOOLS = """
token given_token at_line
SelfTest registered subscription_info device_status slot_status cancel_test_order order_placed order_info order_in_progress
unsubscribed deregister tokens_invalid
names write
"""
# ... of loader.py, which is outside of the package
_LOADER = "start safe healthy slot other floors try_next what count image decide FOLDERS root"
# ... for main.py on a board, and for `make monitor` and `make provision`
_BOARD = "live show_log"
INTERFACE = frozenset((_LIBRARY + _TOOLS + _LOADER + " " + _BOARD).split())

# What the package defines, and MicroPython, its ESP32 port or a library has too: `umqtt.simple` and `requests` ask for some of
# these, and the others may be asked of a thing that is not ours. host_tests/tools/test_names.py tells which ones are missing.
_FOREIGN = """
MARK SOCK_STREAM accept block call_at cancel clear connect content context count decode disconnect end expected fill flags
floor get getaddrinfo head index info install items join json keys leave measure mode open parse partition pid ping post publish put
readline release remove scan send setblocking settimeout share simple socket subscribe tell text times topic total unpack update values
verify verify_mode wait write
"""
FOREIGN = frozenset(_FOREIGN.split())

# What nothing in the package has at once, but a class of the tests does, which stands for several of its classes.
TOGETHER = (("answers", "found"), ("refresh", "take"), ("agent", "damage", "note", "service", "show", "use"))

LOOKING_UP = ("getattr", "setattr", "hasattr", "delattr")
_FIELDS = "FIELDS"  # what the name of a variable ends with whose texts are names of attributes
_WORD = re.compile(r"\w+")
_ONLY_WORDS = re.compile(r"[\w ]+$")


def is_special(name: str) -> bool:
    """`__init__`, and `_`."""
    return name == "_" or name.startswith("__")


def _stored(node: ast.AST) -> Iterator[ast.Name]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part


def in_body(node: ast.ClassDef | ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """What is given a value in the body of a class or a module."""
    for part in node.body:
        if isinstance(part, (ast.FunctionDef, ast.ClassDef)):
            yield part.name, part
        else:
            yield from ((name.id, name) for name in _stored(part))


def attributes(node: ast.ClassDef) -> set[str]:
    """The attributes of a class, as far as its own text tells."""
    own = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute) and ast.unparse(part.value) in ("self", "cls")}
    return own | {name for name, _ in in_body(node)}


def looked_up(node: ast.AST) -> ast.Constant | None:
    """The name in `getattr(thing, "name")` and its like."""
    match node:
        case ast.Call(func=ast.Name(id=function), args=[_, ast.Constant(value=str()) as name, *_]) if function in LOOKING_UP:
            return name
    return None


def field_texts(tree: ast.AST) -> Iterator[ast.Constant]:
    """The texts that are names of attributes: in a `..._FIELDS`, or looked up."""
    for node in ast.walk(tree):
        name = looked_up(node)
        if name:
            yield name
        match node:
            case ast.Assign(targets=[ast.Name(id=variable)], value=value) if variable.endswith(_FIELDS):
                for text in ast.walk(value):
                    if isinstance(text, ast.Constant) and isinstance(text.value, str):
                        yield text


def _annotations(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.AnnAssign, ast.arg)) and node.annotation:
            yield node.annotation
        elif isinstance(node, ast.FunctionDef) and node.returns:
            yield node.returns


def _bare(tree: ast.AST) -> Iterator[str]:
    """Every name that stands in a module by itself, whatever it is there."""
    methods = {id(part) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for part in node.body}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.ClassDef(name=name):
                yield name
            case ast.FunctionDef(name=name) if id(node) not in methods:
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name.split(".")[0]


@dataclass(frozen=True)
class _Class:
    """A class as its text tells it. place: of its module; own: its attributes without those of its bases."""

    place: str
    name: str
    bases: tuple[str, ...]
    own: frozenset[str]


class _Survey:
    """What the modules of a package say of their names."""

    def __init__(self, trees: dict[str, ast.Module]) -> None:
        self.defined: set[str] = set()
        self.kept = {part for where in trees for part in _WORD.findall(where.removesuffix(".py"))}  # modules
        self.together: list[set[str]] = []  # each: names of one namespace
        self.apart: set[str] = set()  # nothing else is to be called as these are
        self.identifiers: set[str] = set()
        # By a class's name: its attributes, with those of what it is derived from.
        self.families: dict[str, set[str]] = defaultdict(set)
        self._classes: list[_Class] = []
        self._given: set[str] = set()  # attributes that are set from outside of their class
        for place, tree in trees.items():
            self._read(place, tree)
        for found in self._classes:
            family = self._family(found)
            self.families[found.name] |= family
            self.together.append(family)
        self.together += [set(names) for names in TOGETHER]
        self.apart |= self._given - set().union(*self.together)

    def _read(self, place: str, tree: ast.Module) -> None:
        parts = list(ast.walk(tree))
        bare = set(_bare(tree))
        functions = {node.name for node in parts if isinstance(node, ast.FunctionDef)}
        self.together += [bare, functions]  # functions: a traceback shows the module's name and the function's
        self.identifiers |= bare | functions
        self.defined |= functions
        self.defined |= {name for name, _ in in_body(tree)}
        for node in parts:
            match node:
                case ast.ClassDef():
                    self._read_class(place, node)
                case ast.Attribute(attr=name, ctx=context):
                    self.identifiers.add(name)
                    if not isinstance(context, ast.Load):
                        self.defined.add(name)
                        self._given |= {name} - ({name} if ast.unparse(node.value) in ("self", "cls") else set())
                case ast.keyword(arg=str(name)):
                    self.kept.add(name)
                case ast.arguments(args=args, defaults=defaults) if defaults:
                    self.kept.update(arg.arg for arg in args[-len(defaults) :])
                case ast.Assign(value=ast.Call(func=ast.Name(id="const"))):
                    self.kept.update(name.id for name in _stored(node))
        self._read_texts(tree)

    def _read_texts(self, tree: ast.Module) -> None:
        """What stands in a text stays, unless the text is known to be the name of an attribute."""
        known = {id(text) for text in field_texts(tree)} | {id(part) for whole in _annotations(tree) for part in ast.walk(whole)}
        for node in ast.walk(tree):
            name = looked_up(node)
            if name:
                self.apart.add(str(name.value))
            if isinstance(node, ast.Constant) and id(node) not in known and _ONLY_WORDS.match(str(node.value)):
                self.kept.update(str(node.value).split())

    def _read_class(self, place: str, node: ast.ClassDef) -> None:
        bases = [ast.unparse(base).split(".")[-1] for base in node.bases]
        if any(base.endswith(("Error", "Exception")) for base in bases):
            self.kept.add(node.name)
        self.defined |= {name for name, _ in in_body(node)}
        self._classes.append(_Class(place, node.name, tuple(bases), frozenset(attributes(node))))

    def _family(self, found: _Class) -> set[str]:
        """The attributes of a class with those of its bases. A base is the module's own class, else every one that is called so."""
        family = set(found.own)
        for base in found.bases:
            called = [other for other in self._classes if other.name == base and other is not found]
            for other in [other for other in called if other.place == found.place] or called:
                family |= self._family(other)
        return family


def _letters(taken: set[str]) -> Iterator[str]:
    """A, B, ..., Z, aa, ab, ..., zz: without those that are taken."""
    for name in [*string.ascii_uppercase, *("".join(pair) for pair in product(string.ascii_lowercase, repeat=2))]:
        if name not in taken and not keyword.iskeyword(name):
            yield name
    raise ValueError("more names than short ones")


class Names:
    """The names of a package's modules. trees: by the places of the modules in it."""

    def __init__(self, trees: dict[str, ast.Module]) -> None:
        survey = _Survey(trees)
        self.families = survey.families  # {a class's name: the attributes that one called so may have}
        self.short = _shortened(survey)  # {name: what it is called on the device}


def _shortened(survey: _Survey) -> dict[str, str]:
    names = {name for name in survey.defined - survey.kept - INTERFACE - FOREIGN if not is_special(name)}
    others: dict[str, set[str]] = {name: names if name in survey.apart else survey.apart & names for name in names}
    for space in survey.together:
        for name in space & names:
            others[name] = others[name] | space & names
    letters = _letters(survey.identifiers | survey.kept)
    given: list[str] = []
    short: dict[str, str] = {}
    for name in sorted(names, key=lambda name: (-len(others[name]), name)):  # the hard ones first
        used = {short[other] for other in others[name] if other in short}
        free = next((letter for letter in given if letter not in used), None)
        if free is None:
            free = next(letters)
            given.append(free)
        short[name] = free
    return short
