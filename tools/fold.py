"""Put the firmware's constants into the places that use them, before it is compiled.

mpy-cross does that itself for `_X = const(1)` within one module: the name vanishes and costs nothing. A constant that several
modules share (`order.IDLE`) would stay: an entry in a module's dictionary, a name in the heap, and two look-ups at each use.
Folding makes shared constants as cheap as private ones: in the module that defines it, `X = const(…)` becomes `_X`; elsewhere
`module.X` becomes the number. Lines stay where they are, so tracebacks and the source agree.
"""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path


class FoldError(Exception):
    """A constant cannot be folded; the message says where and why."""


def constants(source: str) -> dict[str, int]:
    """The public `NAME = const(…)` of a module's text."""
    found = {}
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="const"), args=[value])):
                if not name.startswith("_"):
                    found[name] = int(ast.literal_eval(value))
    return found


def _aliases(source: str, package: list[str]) -> dict[str, str]:
    """{name in this module: dotted name of a module} for `from . import a`, `from ..b import c as d`."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                found[alias.asname or alias.name] = ".".join([*base, alias.name])
    return found


class Folder:
    """Folds the modules below `firmware`; it reads all of them first."""

    def __init__(self, firmware: Path) -> None:
        self._firmware = firmware
        self._constants = {
            ".".join(file.relative_to(firmware).with_suffix("").parts): constants(file.read_text())
            for file in sorted((firmware / "replenish").rglob("*.py"))
        }

    def fold(self, file: Path) -> str:
        """The folded text of one module. Raises FoldError."""
        source = file.read_text()
        parts = list(file.relative_to(self._firmware).with_suffix("").parts)
        own = self._constants[".".join(parts)]
        package = parts[:-1]
        aliases = {name: self._constants[module] for name, module in _aliases(source, package).items() if module in self._constants}
        for name, module in _aliases(source, package).items():
            owner, _, constant = module.rpartition(".")
            if constant in self._constants.get(owner, {}):
                raise FoldError(f"{file}: {name}: import the module {owner}, not its constant: only then it costs nothing")
        return _replace(source, own, aliases)


def _replace(source: str, own: dict[str, int], aliases: dict[str, dict[str, int]]) -> str:
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    lines = source.splitlines(keepends=True)
    edits: list[tuple[int, int, int, str]] = []  # (line, first column, end column, new text)
    for i, token in enumerate(tokens):
        if token.type != tokenize.NAME or (i and tokens[i - 1].string == "."):
            continue
        if token.string in aliases and tokens[i + 1].string == "." and tokens[i + 2].string in aliases[token.string]:
            value = aliases[token.string][tokens[i + 2].string]
            edits.append((token.start[0], token.start[1], tokens[i + 2].end[1], str(value)))
        elif token.string in own:
            edits.append((token.start[0], token.start[1], token.end[1], "_" + token.string))
    for line, first, end, text in reversed(edits):
        old = lines[line - 1]
        lines[line - 1] = old[:first] + text + old[end:]
    return "".join(lines)
