"""An update over real HTTPS, in pieces: on a server that is well, one that breaks answers off, and those that a device refuses."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from host_tests.fakes.signer import Bundle
from host_tests.fakes.slots import Slots
from host_tests.scenarios.interpreters import BIN, Interpreter
from host_tests.scenarios.wire.certificates import Authority
from host_tests.unix_port import translate
from tools.slot import whole

HEAP = "84k"  # with the package and this test's own names in it
FILES = [(f"replenish/part{number}.mpy", bytes([number]) * 3000) for number in range(6)]
NEXT = (9, 0, 0)


class Server(ThreadingHTTPServer):
    """Hands out `data` by ranges. behaves: "well", "breaks" (each third answer ends early), "whole" (knows no ranges),
    "changes" (another file after the fourth answer), "lies" (about where a piece stands)."""

    def __init__(self, authority: Authority, behaves: str, data: bytes) -> None:
        super().__init__(("localhost", 0), Handler)
        self.socket = authority.context().wrap_socket(self.socket, server_side=True)
        self.behaves, self.data, self.asked, self.broken = behaves, data, 0, 0
        self.url = f"https://localhost:{self.server_port}/acme.bundle"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A device that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        server.asked += 1
        data = server.data + b"x" if server.behaves == "changes" and server.asked > 4 else server.data
        if server.behaves == "whole":
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        piece = data[int(first) : int(last) + 1]
        shown = int(first) + (1 if server.behaves == "lies" else 0)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {shown}-{shown + len(piece) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(piece)))
        self.end_headers()
        if server.behaves == "breaks" and server.asked % 3 == 0:
            server.broken += 1
            self.wfile.write(piece[: len(piece) // 2])
            self.close_connection = True
            return
        self.wfile.write(piece)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca") / "ca.der")


@pytest.fixture(params=["micropython", "micropython32"])
def interpreter(request: pytest.FixtureRequest) -> Iterator[Interpreter]:
    found = Interpreter(request.param)
    if not found.is_there():
        pytest.skip(f"{BIN / request.param} is missing")
    yield found


def board(folder: Path) -> Slots:
    """A board whose slot a is whole."""
    slots = Slots(str(folder))
    slots.make()
    Path(slots.marker("a")).write_bytes(whole((0, 0, 1), {}))
    return slots


def fetch(interpreter: Interpreter, authority: Authority, url: str, folder: Path) -> list[str]:
    """What the device said of it."""
    environment = interpreter.environment()
    environment["MICROPYPATH"] += f":{BIN.parent / 'unix'}"
    script = translate.place(Path(__file__).with_name("update_device.py"))
    heap = HEAP if interpreter.name.endswith("32") else "128k"
    command = interpreter.command(script, str(authority.place), url, str(folder), heap=heap)
    done = subprocess.run(command, env=environment, cwd=BIN.parent.parent, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_it_is_fetched_in_pieces_and_tried(interpreter: Interpreter, authority: Authority, tmp_path: Path) -> None:
    slots = board(tmp_path)
    data = Bundle(FILES, NEXT).data()
    with Server(authority, "well", data) as server:
        assert fetch(interpreter, authority, server.url, tmp_path) == ["installed 9.0.0", "trial b"]
        assert server.asked == (len(data) + 2047) // 2048
    tree = slots.tree("b")
    assert tree.pop("replenish/whole")[3:9] == b"\x09\0\0\0\0\0" and sorted(tree.items()) == FILES


def test_answers_that_break_off_are_asked_for_again(interpreter: Interpreter, authority: Authority, tmp_path: Path) -> None:
    board(tmp_path)
    with Server(authority, "breaks", Bundle(FILES, NEXT).data()) as server:
        assert fetch(interpreter, authority, server.url, tmp_path) == ["installed 9.0.0", "trial b"]
        assert server.broken >= 3


@pytest.mark.parametrize(("behaves", "word"), [("whole", "no_ranges"), ("changes", "changed"), ("lies", "bad_range")])
def test_servers_that_are_refused(
    interpreter: Interpreter, authority: Authority, tmp_path: Path, behaves: str, word: str
) -> None:
    board(tmp_path)
    with Server(authority, behaves, Bundle(FILES, NEXT).data()) as server:
        assert fetch(interpreter, authority, server.url, tmp_path) == [word, "run a"]


def test_a_stranger_is_not_asked(interpreter: Interpreter, authority: Authority, tmp_path: Path) -> None:
    board(tmp_path)
    stranger = Authority(tmp_path / "stranger.der")
    with Server(stranger, "well", Bundle(FILES, NEXT).data()) as server:
        assert fetch(interpreter, authority, server.url, tmp_path) == ["unanswered", "run a"]
        assert server.asked == 0


def test_what_was_fetched_before_the_power_failed_is_not_fetched_again(
    interpreter: Interpreter, authority: Authority, tmp_path: Path
) -> None:
    slots = board(tmp_path)
    for place, content in FILES[:4]:
        os.makedirs(os.path.dirname(f"{slots.folder('b')}/{place}"), exist_ok=True)
        Path(f"{slots.folder('b')}/{place}").write_bytes(content)
    with Server(authority, "well", Bundle(FILES, NEXT).data()) as server:
        assert fetch(interpreter, authority, server.url, tmp_path) == ["installed 9.0.0", "trial b"]
        assert server.asked <= 5
