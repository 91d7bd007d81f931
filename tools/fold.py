"""Put the firmware's constants into the places that use them, and shorten its names, before it is compiled.

mpy-cross does that itself for `_X = const(1)` within one module: the name vanishes and costs nothing. A constant that several
modules share (`order.IDLE`) would stay: an entry in a module's dictionary, a name in the heap, and two look-ups at each use.
Folding makes shared constants as cheap as private ones: in the module that defines it, `X = const(…)` becomes `_X`; elsewhere
`module.X` becomes the number. Lines stay where they are, so tracebacks and the source agree.

A parameter without a default is given by its position; on the device it is called p0, p1, ... What else the package names for itself
gets short names there that are the same in all modules: see names.py. What those in a traceback stand for is told by
`python -m tools.fold MODULE`.

What cannot be folded with certainty (a constant that is assigned again, a local name that hides one, a private name of another
module) is an error, not a guess.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tools import names

PACKAGE = "replenish"


class FoldError(Exception):
    """A constant cannot be folded; the message says where and why."""


def _tree(source: str) -> ast.Module:
    """The module's syntax; nothing for a text that is not Python: the compiler will say what is wrong with it."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def constants(source: str) -> dict[str, int]:
    """The public `NAME = const(…)` of a module's text. Raises FoldError for one that is not a whole number."""
    found = {}
    for node in _tree(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="const"), args=[value])):
                if not name.startswith("_"):
                    found[name] = _number(name, value)
    return found


def _number(name: str, node: ast.expr) -> int:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        value = None
    if type(value) is not int:
        raise FoldError(f"line {node.lineno}: {name}: only a whole number, written out, can be shared; else name it _{name}")
    return value


def _imports(tree: ast.AST, package: list[str]) -> Iterator[tuple[str, str, ast.stmt]]:
    """(name in this module, dotted name of what it stands for, statement) of each import from our package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            for alias in node.names:
                yield alias.asname or alias.name, ".".join([*base, alias.name]), node
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name, node) if alias.asname else (alias.name.split(".")[0],) * 2 + (node,)


def _bound(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Every name that is given a value other than by an import."""
    methods = {id(child) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for child in node.body}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name, node
            case ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                yield name, node
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                if id(node) not in methods:  # a method hides nothing from the code inside it
                    yield name, node
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                for name in names:
                    yield name, node


def _chain(node: ast.expr) -> list[str]:
    """The names of `a.b.c`, or [] for an expression of another kind."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        owner = _chain(node.value)
        return [*owner, node.attr] if owner else []
    return []


def _tokens(source: str) -> Iterator[tuple[tuple[int, int], str]]:
    """((line, first byte), name) of each name; none in a text that is not Python."""
    if not _tree(source).body:
        return
    lines = source.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            line, column = token.start
            yield (line, len(lines[line - 1][:column].encode())), token.string


def _is_private(name: str | None) -> bool:
    return name is not None and len(name) > 1 and name[0] == "_" and name[1] != "_"


class Folder:
    """Folds the modules below `firmware`; it reads all of them first."""

    def __init__(self, firmware: Path) -> None:
        """Raises FoldError."""
        self._firmware = firmware
        self._constants: dict[str, dict[str, int]] = {}
        trees = {}
        for file in sorted((firmware / PACKAGE).rglob("*.py")):
            trees[".".join(self._parts(file))] = _tree(file.read_text())
            try:
                self._constants[".".join(self._parts(file))] = constants(file.read_text())
            except FoldError as error:
                raise FoldError(f"{file}: {error}") from None
        self.names = names.Names(trees)

    def _parts(self, file: Path) -> list[str]:
        return list(file.relative_to(self._firmware).with_suffix("").parts)

    def fold(self, file: Path) -> str:
        """The folded text of one module. Raises FoldError."""
        return self._module(file).folded()

    def short_names(self, file: Path) -> dict[str, str]:
        """{name: what it is called on the device} of all names in one module."""
        short = self.names.short
        return {name: short[name] for _, name in sorted(_tokens(file.read_text())) if name in short}

    def _module(self, file: Path) -> _Module:
        parts = self._parts(file)
        return _Module(file, ".".join(parts), parts[:-1], self._constants, self.names.short)


class _Module:
    """One module on its way through the folder."""

    def __init__(self, file: Path, name: str, package: list[str], shared: dict[str, dict[str, int]], short: dict[str, str]) -> None:
        self._file, self._package, self._shared, self._short = file, package, shared, short
        self._source = file.read_text()
        self._tree = _tree(self._source)
        self._own = shared[name]
        self._meant: dict[str, str] = {}  # what a name of this module stands for, dotted
        self._edits: list[tuple[int, int, int, str]] = []  # (line, first byte, end byte, new text)
        self._read_imports()

    def _refuse(self, node: ast.AST, what: str) -> FoldError:
        return FoldError(f"{self._file}: line {getattr(node, 'lineno', '?')}: {what}")

    def folded(self) -> str:
        self._check_names()
        self._visit(self._tree, None)
        self._number_parameters(self._tree, 0)
        self._shorten()
        lines = self._source.encode().splitlines(keepends=True)  # the tree counts columns in bytes
        for line, first, end, text in sorted(self._edits, reverse=True):
            old = lines[line - 1]
            lines[line - 1] = old[:first] + text.encode() + old[end:]
        # The compiler knows `const` by itself: to import it would cost each module an entry in its dictionary.
        return b"".join(lines).decode().replace("from micropython import const\n", "\n")

    def _read_imports(self) -> None:
        for name, meant, node in _imports(self._tree, self._package):
            owner, _, leaf = meant.rpartition(".")
            shared = self._shared.get(owner, {})
            if leaf in shared or leaf == "*" and shared:
                raise self._refuse(node, f"{leaf}: import the module {owner}, not its constant: only then it costs nothing")
            if self._meant.get(name, meant) != meant and self._has_constants(meant, self._meant[name]):
                raise self._refuse(node, f"{name}: stands for {self._meant[name]} elsewhere in this module")
            self._meant[name] = meant

    def _has_constants(self, *modules: str) -> bool:
        return any(self._shared.get(module) for module in modules)

    def _check_names(self) -> None:
        """A name that hides a constant, or the module it comes from, would be folded where it means something else."""
        definitions = [node.targets[0] for node in self._tree.body if isinstance(node, ast.Assign)]
        seen: set[str] = set()
        for name, node in _bound(self._tree):
            if name in self._own and (node not in definitions or name in seen):
                raise self._refuse(node, f"{name}: is a constant of this module")
            if name.startswith("_") and name[1:] in self._own:
                raise self._refuse(node, f"{name}: is what {name[1:]} becomes")
            if self._has_constants(self._meant.get(name, "")):
                raise self._refuse(node, f"{name}: is the module {self._meant[name]} here")
            seen.add(name)

    def _visit(self, node: ast.AST, parent: ast.AST | None, in_text: bool = False) -> None:
        """Note an edit for each use of a constant. in_text: inside an f-string, whose columns Python 3.11 does not know."""
        text = self._replacement(node, parent)
        if text is None or not isinstance(node, ast.expr):
            for child in ast.iter_child_nodes(node):
                self._visit(child, node, in_text or isinstance(node, ast.JoinedStr))
            return
        if in_text or node.lineno != node.end_lineno:
            raise self._refuse(node, f"{ast.unparse(node)}: a constant stands on one line and not in an f-string")
        self._edits.append((node.lineno, node.col_offset, node.end_col_offset or 0, text))

    def _number_parameters(self, node: ast.AST, depth: int) -> None:
        """Note the edits that call parameters without a default by their number. depth: how many those around it have."""
        for child in ast.iter_child_nodes(node):
            inner = depth
            if isinstance(child, (ast.FunctionDef, ast.Lambda)):
                given = child.args.args[: len(child.args.args) - len(child.args.defaults)]
                for parameter in [given for given in given if given.arg not in ("self", "cls")]:
                    self._rename(child, parameter, f"p{inner}")
                    inner += 1
            self._number_parameters(child, inner)

    def _rename(self, function: ast.FunctionDef | ast.Lambda, parameter: ast.arg, short: str) -> None:
        uses = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == parameter.arg]
        others = [node for name, node in _bound(function) if name == parameter.arg and node not in (*uses, parameter, function)]
        if others or any(isinstance(node, ast.JoinedStr) for node in ast.walk(function)):
            raise self._refuse(parameter, f"{parameter.arg}: a parameter that means something else too, or an f-string beside one")
        if short in {name for name, _ in _bound(self._tree)} | set(self._meant):
            raise self._refuse(function, f"{short}: is what a parameter becomes")
        places: list[ast.arg | ast.Name] = [parameter, *uses]
        for place in places:
            first = place.col_offset
            self._edits.append((place.lineno, first, first + len(parameter.arg.encode()), short))

    def _shorten(self) -> None:
        """Note the edits that give names short ones, where no other edit stands."""
        self._check_private()
        edited = {(line, at) for line, first, end, _ in self._edits for at in range(first, end)}
        for place, name in _tokens(self._source):
            if name in self._short and place not in edited:
                self._edits.append((*place, place[1] + len(name.encode()), self._short[name]))
        for node in ast.walk(self._tree):
            for inner in ast.walk(node) if isinstance(node, ast.JoinedStr) else ():
                if getattr(inner, "id", getattr(inner, "attr", None)) in self._short:
                    raise self._refuse(node, f"{ast.unparse(inner)}: a name that is shortened, in an f-string")
        for text in names.field_texts(self._tree):
            self._shorten_text(text)

    def _shorten_text(self, node: ast.Constant) -> None:
        """Shorten the names in a text that stands between two quotes on one line."""
        text = str(node.value)
        if node.lineno != node.end_lineno or (node.end_col_offset or 0) - node.col_offset != len(text.encode()) + 2:
            raise self._refuse(node, f"{text!r}: names of attributes stand on one line, without escapes")
        for found in re.finditer(r"\w+", text):
            first = node.col_offset + 1 + found.start()
            if found[0] in self._short:
                self._edits.append((node.lineno, first, first + len(found[0]), self._short[found[0]]))

    def _check_private(self) -> None:
        """Raises FoldError for a private name that this module does not define."""
        known = {name for name, _ in _bound(self._tree)} | set(self._meant)
        for node in ast.walk(self._tree):
            match node:
                case ast.ClassDef():
                    known |= names.attributes(node)
                case ast.Attribute(attr=name, ctx=ast.Store()):
                    known.add(name)
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Attribute) and _is_private(node.attr) and node.attr not in known:
                raise self._refuse(node, f"{node.attr}: a private name of another module")

    def _replacement(self, node: ast.AST, parent: ast.AST | None) -> str | None:
        """What to write instead of this node; None when it is no use of a constant."""
        if isinstance(node, ast.Name) and node.id in self._own:
            return "_" + node.id
        if not isinstance(node, ast.Attribute):
            return None
        names = _chain(node)
        if not names or names[0] not in self._meant:
            return None
        module = ".".join([self._meant[names[0]], *names[1:-1]])
        if names[-1] not in self._shared.get(module, {}):
            return None
        if not isinstance(node.ctx, ast.Load):
            raise self._refuse(node, f"{ast.unparse(node)}: a constant cannot be set")
        value = self._shared[module][names[-1]]
        return f"({value})" if value < 0 or isinstance(parent, ast.Attribute) else str(value)


def main(argv: list[str]) -> int:
    """Print what the short names of some modules stand for."""
    firmware = Path(__file__).resolve().parent.parent / "firmware"
    for file in map(Path, argv):
        for name, short in Folder(firmware).short_names(file.resolve()).items():
            print(f"{file}: {short} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
