"""tools/device.py on an interpreter behind a pty: statements, files, what a person is told; and power cuts while a file goes over."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pty
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
from serial.tools import list_ports

from host_tests.tools.unix_board import UnixBoard
from tools import device
from tools.device import Device, DeviceError, find_port


@pytest.fixture
def board(tmp_path: Path) -> Iterator[UnixBoard]:
    with UnixBoard(tmp_path / "board") as running:
        yield running


def test_statements_run_and_their_values_come_back(board: UnixBoard) -> None:
    with Device(board.port) as there:
        shown: list[str] = []
        assert there.run("print('one')\nprint('two', 2)", show=shown.append) == "one\ntwo 2\n"
        assert shown == ["one", "two 2"]
        assert there.evaluate("[1, 'a', None, b'x']") == [1, "a", None, b"x"]
        with pytest.raises(DeviceError, match=r"on the board: OSError: \[Errno 2\] ENOENT$"):
            there.run("open('nothing')")
        with pytest.raises(DeviceError, match="answer of 12 characters is no value: try again.$") as error:
            there.evaluate("type('', (), {'__repr__': lambda self: '{canary-91}'})()")
        assert error.value.__cause__ is None and error.value.__suppress_context__
        assert there.evaluate("2") == 2  # and goes on


def test_its_program_is_interrupted_and_starts_again_with_a_reset(board: UnixBoard) -> None:
    (board.folder / "boot.py").write_text("print('boot')\n")
    (board.folder / "main.py").write_text("import time\nprint('main')\nwhile True:\n time.sleep(0.05)\n")
    with Device(board.port) as there:
        assert there.evaluate("1") == 1
        assert board.starts[-1] == "soft"
        there.reset()
        lines = there.lines(20)
        said = [next(lines) for _ in range(3)]
        assert said == ["rst:0x1 (POWERON_RESET)", "boot", "main"]
    with Device(board.port) as there:
        assert there.evaluate("'time' in globals()") is False


def test_files_go_over_and_come_back(board: UnixBoard) -> None:
    data = os.urandom(5000)
    went: list[int] = []
    with Device(board.port) as there:
        there.make_folder("lib/deep/folder")
        there.make_folder("lib/deep")
        there.put("lib/deep/folder/file.bin", data, went.append)
        there.put("empty", b"")
        assert sum(went) == 5000 and len(went) > 1
        assert (board.folder / "lib/deep/folder/file.bin").read_bytes() == data
        assert there.get("lib/deep/folder/file.bin") == data and there.get("empty") == b""
        digest = hashlib.sha256(data).hexdigest()
        assert there.hashes() == {"lib/deep/folder/file.bin": digest, "empty": hashlib.sha256().hexdigest()}
        assert there.hashes("lib") == {"lib/deep/folder/file.bin": digest}
        there.remove("empty")
        assert there.hash("empty") is None
        with pytest.raises(DeviceError, match="empty: there is no such file"):
            there.get("empty")


def test_what_arrives_damaged_does_not_replace_what_was_there(board: UnixBoard) -> None:
    with Device(board.port) as there:
        there.put("file", b"old")
        there.run("_d = lambda text: binascii.a2b_base64(text)[:-1]")
        with pytest.raises(DeviceError, match="file.new: what the board has is not what was sent"):
            there.put("file", b"newer")
        assert there.hash("file.new") is None
    assert (board.folder / "file").read_bytes() == b"old"


def test_a_cut_leaves_the_old_file_or_the_new_one(board: UnixBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "SILENCE_S", 0.5)
    monkeypatch.setattr(device, "_READ_S", 0.5)
    old, new = b"old" * 900, b"new" * 1100
    with Device(board.port) as there:
        there.put("file", old)
        before = board.taken
        there.put("file", new)
        whole = board.taken - before
    for part in (0.3, 0.7):
        with Device(board.port) as there:
            there.put("file", old)
            board.cut_after = board.taken + int(whole * part)
            with pytest.raises(DeviceError, match="stopped answering"):
                there.put("file", new)
        board.power_on()
        with Device(board.port) as there:
            assert there.get("file") == old
            there.put("file", new)
            assert there.get("file") == new and set(there.hashes()) == {"file"}


@contextmanager
def held(port: str) -> Iterator[int]:
    """The port, locked by a program: by this process, which `_holders` never names."""
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def test_a_port_that_another_program_has_for_a_moment_is_waited_for(board: UnixBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[None] = []
    with held(board.port) as lock:

        def sleep(seconds: float) -> None:
            looked.append(None)
            if len(looked) == 3:
                fcntl.flock(lock, fcntl.LOCK_UN)

        monkeypatch.setattr(device, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
        with Device(board.port, interrupt=False):
            assert len(looked) == 3
    # ... a port that is not there is not
    with pytest.raises(DeviceError, match="there is no such port"):
        Device("/dev/nowhere")
    assert len(looked) == 3


def test_after_an_error_the_board_s_program_starts_again(board: UnixBoard) -> None:
    (board.folder / "main.py").write_text("import time\nwhile True:\n print('main')\n time.sleep(0.05)\n")

    with pytest.raises(DeviceError, match="ENOENT"), Device(board.port) as there:
        there.run("open('nothing')")
    with Device(board.port, interrupt=False) as there:
        assert "main" in islice(there.lines(20), 20)
    begun = board.starts.count("hard")
    with Device(board.port):
        pass
    assert board.starts.count("hard") == begun  # without an error it is the caller's to start it


def test_what_is_wrong_with_a_port_is_said(board: UnixBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "IN_USE_S", 0)
    with pytest.raises(DeviceError, match="PORT=/dev/nowhere: there is no such port; serial ports here: "):
        Device("/dev/nowhere")
    with Device(board.port), pytest.raises(DeviceError, match=f"PORT={board.port}: in use by .*: end that first"):
        Device(board.port)
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError, match="file: it is no serial port"):
        Device(str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("answer", "told"),
    [(b"", "the board does not answer"), (b"\r\ninvalid header: 0xffffffff\r\n", "the board says 'invalid header: 0xffffffff'")],
)
def test_a_port_without_micropython_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch, answer: bytes, told: str) -> None:
    monkeypatch.setattr(device, "INTERRUPT_S", 0.5)
    monkeypatch.setattr(device, "_READ_S", 0.05)
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    over = threading.Event()

    def say() -> None:
        while not over.wait(0.01):
            with suppress(BlockingIOError):  # nobody reads it any more
                os.write(ours, answer)

    saying = threading.Thread(target=say)
    saying.start()
    try:
        with pytest.raises(DeviceError, match=told):
            Device(os.ttyname(theirs))
    finally:
        over.set()
        saying.join()
        os.close(ours)
        os.close(theirs)


def test_a_board_that_falls_silent_is_said_to(board: UnixBoard) -> None:
    with Device(board.port) as there, pytest.raises(DeviceError, match="stopped answering"):
        there.run("import time; time.sleep(30)", timeout_s=0.1)


def ports(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    found = [SimpleNamespace(device=name, description="USB Serial", vid=0x10C4) for name in names]
    found.append(SimpleNamespace(device="/dev/ttyS0", description="n/a", vid=None))
    monkeypatch.setattr(list_ports, "comports", lambda: found)


def test_the_only_board_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ports(monkeypatch, "/dev/ttyUSB0")
    assert find_port(None) == "/dev/ttyUSB0"
    assert find_port("/dev/pts/3") == "/dev/pts/3"
    ports(monkeypatch, "/dev/ttyUSB1", "/dev/ttyUSB0")
    with pytest.raises(DeviceError, match="2 serial ports: .*\n  PORT=/dev/ttyUSB0  USB Serial\n  PORT=/dev/ttyUSB1  USB Serial"):
        find_port(None)
    ports(monkeypatch)
    with pytest.raises(DeviceError, match="No board is plugged in"):
        find_port(None)
