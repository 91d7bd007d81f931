"""A MemoryError at every line that a call executes: nothing stays open, and the next call works.

On CPython, where lines can be traced; test_http.py does the same at every operation of the network on all interpreters, and
test_low_memory.py does it with heaps that really are full.
"""

from __future__ import annotations

import ast
import gc
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from replenish.io import http, stream
from replenish.services import call, drs, drs_answers

from host_tests.fakes import answers
from host_tests.fakes.network import Context, Network, Peer

REQUEST = drs.Drs("https://service.example").replenish("Atza|token", "PaperTowel")
TRACED = ("/firmware/replenish/", "/shim/modules/requests.py")


# Names, small integers and nothing else. The last five stand between the last write and the note that the request has left.
WITHOUT_MEMORY = (
    "self.sent = self._reusable = False",
    "if count is not None:",
    "return count",
    "while at < len(data):",
    "self.written += at",
    "self.sent = True",
)


def lines_without_memory() -> set[tuple[str, int]]:
    """What needs no memory on a device, so that no MemoryError can come from there.

    These are the lines above, a bare `try:`, the clean-up in `Client.call`, and the closing of sockets, for which
    test_stream.py proves it.
    """
    found: set[tuple[str, int]] = set()
    used: set[str] = set()
    for module in (http, stream):
        name = inspect.getsourcefile(module) or ""
        for node in ast.walk(ast.parse(Path(name).read_text())):
            if not isinstance(node, ast.stmt):
                continue
            first_line = ast.unparse(node).partition("\n")[0]
            used.add(first_line)
            bodies: list[ast.stmt] = []
            if isinstance(node, ast.Try):
                found.add((name, node.lineno))
                bodies = node.finalbody
            elif isinstance(node, ast.FunctionDef) and node.name in ("close", "_close", "_end"):
                bodies = [node]
            elif first_line in WITHOUT_MEMORY:
                found.add((name, node.lineno))
            for statement in bodies:
                found.update((name, line) for line in range(statement.lineno, (statement.end_lineno or 0) + 1))
    assert used.issuperset(WITHOUT_MEMORY), "an exemption that nothing needs any more"
    return found


SPARED = lines_without_memory()


class Tracer:
    """Counts the lines of the firmware that may need memory, and raises a MemoryError at the so manieth (0: never)."""

    def __init__(self, raise_at: int = 0) -> None:
        self.count = 0
        self.where = ""
        self._raise_at = raise_at

    def __enter__(self) -> Tracer:
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        return self._line if is_traced(frame.f_code) else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line" and (frame.f_code.co_filename, frame.f_lineno) not in SPARED:
            self.count += 1
            if self.count == self._raise_at:
                self.where = f"{frame.f_code.co_filename.rsplit('/', 1)[1]}:{frame.f_lineno}"
                raise MemoryError
        return self._line


def is_traced(code: CodeType) -> bool:
    return any(part in code.co_filename for part in TRACED)


def check(earlier: int, raise_at: int) -> int:
    """A call after `earlier` good ones; returns how many lines it had. With a fault, what must hold then."""
    peer = Peer(*[answers.GOOD] * (earlier + 1))
    with Network(peer, Peer(answers.GOOD)) as network:
        client = http.Client(Context(), 20000)
        for _ in range(earlier):
            client.call(REQUEST)
        answer = None
        with Tracer(raise_at) as tracer:
            answer = client.call(REQUEST)
        if not raise_at:
            assert answer.status == 200
            return tracer.count
        assert tracer.where, "the fault did not happen"
        assert (answer.status, answer.body, answer.error) == (0, b"", "out of memory"), tracer.where
        assert answer.sent or peer.requests == earlier, f"{tracer.where}: it says that the request had not left"
        assert network.open() == 0, f"{tracer.where}: a socket is open"
        peer.more(answers.GOOD)
        outcome, event_id, _ = drs_answers.read_replenish(client.call(REQUEST))
        assert (call.OUTCOMES[outcome], event_id) == ("accepted", answers.ID), f"{tracer.where}: no next call"
        client.close()
        assert network.open() == 0
        return tracer.count


@pytest.fixture(autouse=True)
def small_heap() -> Iterator[None]:
    """A failed call collects garbage, which here would go through all that pytest has loaded."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize(("earlier", "least"), [(0, 300), (1, 250)], ids=["first call", "call on a kept connection"])
def test_memory_error_at_every_line(earlier: int, least: int) -> None:
    count = check(earlier, 0)
    assert count > least
    for raise_at in range(1, count + 1):
        check(earlier, raise_at)
