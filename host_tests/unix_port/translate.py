"""The dual tests as MicroPython runs them: with the short names that the firmware has there (tools/names.py).

What a test asks of a thing is shortened: attributes, what a class defines, what is imported from the firmware, and what is looked up
by name. What stands by itself or is private is not: the test's own variables, functions and parameters keep their names.

A file that cannot be translated says so when it is imported: most of those are for CPython only.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tools import fold, names
from tools.build import FIRMWARE

ROOT = Path(__file__).resolve().parent.parent.parent
TREE = ROOT / "build" / "dual"
LOOKING_UP = "short_names"  # the module beside the tests that looks up names as they are on MicroPython
_HEAD = f"import {LOOKING_UP} as _short; "


class TranslationError(Exception):
    """A test cannot have the firmware's short names; the message says why."""


def _test_modules(tree: ast.Module) -> Iterator[str]:
    """What a test file calls the modules of tests that it imports: what stands in one by itself has its own name."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=found, level=0):
                folder = ROOT.joinpath(*module.split("."))
                yield from (name.asname or name.name for name in found if (folder / f"{name.name}.py").exists())


class _Translation:
    """One test file on its way."""

    def __init__(self, source: str, short: dict[str, str], families: dict[str, set[str]]) -> None:
        self._source, self._short, self._families = source, short, families
        self._tree = ast.parse(source)
        self._edits: set[tuple[int, int, int, str]] = set()  # (line, first byte, end byte, new text)
        self._modules = set(_test_modules(self._tree))

    def text(self) -> str:
        """Raises TranslationError."""
        self._visit(self._tree)
        lines = self._source.encode().splitlines(keepends=True)
        for line, first, end, new in sorted(self._edits, reverse=True):
            old = lines[line - 1]
            lines[line - 1] = old[:first] + new.encode() + old[end:]
        text = b"".join(lines).decode()
        return (_HEAD if "_short." in text else "") + text

    def _visit(self, node: ast.AST) -> None:
        match node:
            case ast.JoinedStr():  # whose columns Python 3.11 does not know
                self._translate_text(node)
                return
            case ast.Attribute(value=ast.Name(id=owner)) if owner in self._modules:
                pass
            case ast.Attribute(attr=name, end_lineno=int(line), end_col_offset=int(end)):
                self._shorten(name, line, end - len(name.encode()))
            case ast.ClassDef():
                self._translate_class(node)
            case ast.ImportFrom(module=str(module), level=0) if module.split(".")[0] == fold.PACKAGE:
                for alias in node.names:
                    kept = "" if alias.asname else f" as {alias.name}"
                    self._shorten(alias.name, alias.lineno, alias.col_offset, kept)
            case ast.Name(id=name) if name in names.LOOKING_UP:
                self._edits.add((node.lineno, node.col_offset, node.col_offset, "_short."))
        for child in ast.iter_child_nodes(node):
            self._visit(child)

    def _shorten(self, name: str, line: int, first: int, more: str = "") -> None:
        if name in self._short:
            self._edits.add((line, first, first + len(name.encode()), self._short[name] + more))
        elif name in self._short.values():
            raise TranslationError(f"line {line}: {name}: is what a name of the firmware becomes")

    def _translate_text(self, node: ast.JoinedStr) -> None:
        """An f-string: all that stands after a dot in it."""
        lines = self._source.encode().splitlines(keepends=True)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
            first = node.col_offset if line == node.lineno else 0
            end = node.end_col_offset if line == node.end_lineno else len(lines[line - 1])
            for found in re.finditer(rb"(?<=\.)[A-Za-z_]\w*", lines[line - 1][first:end]):
                self._shorten(found[0].decode(), line, first + found.start())

    def _translate_class(self, node: ast.ClassDef) -> None:
        family = names.attributes(node).union(*(self._families[ast.unparse(base).split(".")[-1]] for base in node.bases))
        self._families[node.name] = family
        self._check(node, family)
        own = dict(names.in_body(node))
        for part in node.body:
            if isinstance(part, (ast.FunctionDef, ast.ClassDef)):
                first = part.col_offset + len("def " if isinstance(part, ast.FunctionDef) else "class ")
                self._shorten(part.name, part.lineno, first)
                continue
            for name in ast.walk(part):
                if isinstance(name, ast.Name) and name.id in own:
                    self._shorten(name.id, name.lineno, name.col_offset)

    def _check(self, node: ast.ClassDef, family: set[str]) -> None:
        found: dict[str, str] = {}
        for name in sorted(family):
            other = found.setdefault(self._short.get(name, name), name)
            if other != name:
                why = f"{other} and {name} have one short name: see TOGETHER of tools/names.py"
                raise TranslationError(f"line {node.lineno}: {node.name}: {why}")


def public(short: dict[str, str]) -> dict[str, str]:
    """The names that tests may ask for."""
    return {name: letters for name, letters in short.items() if not name.startswith("_")}


def translate(source: str, folder: fold.Folder) -> str:
    """A test's text as MicroPython is to run it. Raises TranslationError."""
    return _Translation(source, public(folder.names.short), defaultdict(set, folder.names.families)).text()


def place(file: str | Path) -> Path:
    """Where the translation of a file of host_tests is, when `tree` has made it."""
    return TREE / Path(file).resolve().relative_to(ROOT)


def _refusal(source: str, why: Exception) -> str:
    return f"raise ImportError({f'not translated: {why}'!r})\n"


def _looking_up(short: dict[str, str]) -> str:
    """The module that looks up names."""
    lines = [f"_SHORT = {short!r}", "def called(name):", "    return _SHORT.get(name, name)"]
    for name in names.LOOKING_UP:
        lines += [f"_{name} = {name}", f"def {name}(thing, name, *more):", f"    return _{name}(thing, called(name), *more)"]
    return "\n".join([*lines, ""])


def _translated(folder: fold.Folder) -> Iterator[tuple[Path, str]]:
    """(place in TREE, text) of each file."""
    yield Path(LOOKING_UP + ".py"), _looking_up(public(folder.names.short))
    for file in sorted((ROOT / "host_tests").rglob("*.py")):
        source = file.read_text()
        try:
            text = translate(source, folder)
        except (TranslationError, SyntaxError) as error:
            text = _refusal(source, error)
        yield file.relative_to(ROOT), text


def _recipe() -> str:
    """A digest of all that the translations are made from."""
    digest = hashlib.sha256()
    for folder in (FIRMWARE, ROOT / "host_tests", ROOT / "tools"):
        for file in sorted(folder.rglob("*.py")):
            digest.update(f"{file} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def tree() -> Path:
    """The folder with the translated tests, made when it is not up to date."""
    TREE.mkdir(parents=True, exist_ok=True)
    recipe, stamp = _recipe(), TREE / "recipe"
    with (TREE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several runners at once: one translates
        if stamp.exists() and stamp.read_text() == recipe:
            return TREE
        stamp.unlink(missing_ok=True)
        wanted = dict(_translated(fold.Folder(FIRMWARE)))
        for file in TREE.rglob("*.py"):
            if file.relative_to(TREE) not in wanted:
                file.unlink()
        for place, text in wanted.items():
            (TREE / place).parent.mkdir(parents=True, exist_ok=True)
            (TREE / place).write_text(text)
        stamp.write_text(recipe)
    return TREE
