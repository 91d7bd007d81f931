"""A board at a serial port: statements run on it, files put onto it and read from it.

The raw REPL is spoken by mpremote's own transport, used as a library; what can go wrong at a desk becomes a `DeviceError`, one
sentence that says what, where and what to do.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import os
import stat
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport
from serial import SerialException
from serial.tools import list_ports

# How long a board may say nothing: while it is interrupted, while it runs boot.py, which may join a network, and by default while a
# statement runs (a call's total deadline on the device is 20 s).
INTERRUPT_S = 10
INTERRUPT_EVERY_S = 0.5
BOOT_S = 45
SILENCE_S = 20
NEW = ".new"  # what a file is called until it is whole, and until all that go together are there
# How long a port may be in use that has just come: ModemManager looks at each one, and a program that this one starts holds what this
# one had open until it is that program.
IN_USE_S = 2
# What a board that is to start anew after an error may take to give its prompt back: if it is dead, nobody wants to wait for it.
PROMPT_S = 3
# A read returns after so long with what there is: without, mpremote waits for ever for a board on a pty that says nothing.
_READ_S = 1.0
# What one statement carries of a file. The device needs the text, 4/3 of it, and the bytes in its heap at once.
_CHUNK = 1024
_PROMPT = b"raw REPL; CTRL-B to exit\r\n"

# Sent once, before files are looked at. Nothing of it is in memory any more when the board has been reset.
_FILES = """
import os, hashlib, binascii
_d = binascii.a2b_base64
def _sum(name):
 h = hashlib.sha256()
 b = bytearray(512)
 v = memoryview(b)
 with open(name, 'rb') as f:
  while True:
   n = f.readinto(b)
   if not n:
    break
   h.update(v[:n])
 return binascii.hexlify(h.digest()).decode()
def _walk(folder):
 for entry in os.ilistdir(folder or '.'):
  name = folder + entry[0]
  if entry[1] & 0x4000:
   if entry[0] not in ('.', '..'):
    _walk(name + '/')
  else:
   print(_sum(name), name)
"""


# What this program ended was no start that failed: five of those in a row are taken for a boot loop, and whoever runs five tools in
# five minutes would have an appliance in safe mode. A version on trial is left to confirm itself.
_RESET = """
try:
 import loader
 if loader.what() != 'trial':
  loader.healthy()
except Exception:
 pass
import machine
machine.reset()
"""


class DeviceError(Exception):
    """A board cannot be reached, or did not do what was asked; the message is for a person."""


class GoneError(DeviceError):
    """The port went away under an open connection: unplugged, or a board with its own USB that starts anew."""


def _ports() -> list[Any]:
    """The serial ports of this machine that something is plugged into."""
    return sorted((port for port in list_ports.comports() if port.vid is not None), key=lambda port: str(port.device))


def find_port(given: str | None) -> str:
    """The port that was given, or else the only one there is. Raises DeviceError with a list of them."""
    if given:
        return given
    ports = _ports()
    if len(ports) == 1:
        return str(ports[0].device)
    if not ports:
        raise DeviceError("No board is plugged in at USB: plug it in with a cable that carries data, or name its port with PORT=.")
    listed = "".join(f"\n  PORT={port.device}  {port.description}" for port in ports)
    raise DeviceError(f"{len(ports)} serial ports: say which one is the board's:{listed}")


def _holders(port: str) -> str:
    """The programs that have the port open, as far as this user may see them."""
    place, names = os.path.realpath(port), []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(folder.name) != os.getpid() and any(os.path.realpath(file) == place for file in (folder / "fd").iterdir()):
                names.append(f"{(folder / 'comm').read_text().strip()} (process {folder.name})")
    return " and ".join(names) or "another program"


def _fault(port: str) -> str | None:
    """Why a port cannot be opened, and what to do; None when it can, so that another program has it."""
    if not os.path.exists(port):
        there = ", ".join(found.device for found in _ports()) or "none: is the board plugged in?"
        return f"PORT={port}: there is no such port; serial ports here: {there}"
    if not stat.S_ISCHR(os.stat(port).st_mode):
        return f"PORT={port}: it is no serial port."
    if not os.access(port, os.R_OK | os.W_OK):
        return f"PORT={port}: no permission: `sudo usermod -aG dialout $USER`, then log in again."
    try:
        os.close(os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError as error:
        return f"PORT={port}: it cannot be opened: {error.strerror}."
    return None


def _open(port: str) -> SerialTransport:
    """Raises DeviceError; when another program has the port, only after IN_USE_S."""
    end = time.monotonic() + IN_USE_S
    while True:
        try:
            return SerialTransport(port, timeout=_READ_S)
        except (TransportError, OSError):
            fault = _fault(port)
            if fault is None and time.monotonic() >= end:
                fault = f"PORT={port}: in use by {_holders(port)}: end that first."
        if fault:
            raise DeviceError(fault)
        time.sleep(0.05)


class Device:
    """One board. A context manager; `interrupt` stops its program and starts the interpreter anew, so that all of the heap is free
    and boot.py has run, main.py not. What was interrupted is started again when the context ends with an error, so that an appliance
    does not stand still unseen; without one that is the caller's, by `reset`. Each method raises DeviceError."""

    def __init__(self, port: str, interrupt: bool = True) -> None:
        self.port = port
        self._has_files = False
        self._is_stopped = False  # its program was interrupted, and not started again
        self._is_busy = False  # a statement was sent, and its end not seen
        self._transport = _open(port)
        if interrupt:
            try:
                self._interrupt()
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> Device:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self._is_stopped and error is not None and not isinstance(error, GoneError):
                with suppress(DeviceError):
                    self.reset()
        finally:
            self.close()

    def close(self) -> None:
        """Leave the board as it is. Unlike `reset` this does not start its program."""
        with suppress(OSError):
            self._transport.close()

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """What can happen while the board is asked."""
        try:
            yield
        except SerialException:
            raise GoneError(f"{self.port}: the board is gone: unplugged, or starting anew.") from None
        except (TransportError, struct.error, OSError) as error:
            raise DeviceError(f"{self.port}: the board stopped answering ({error}): reset it and try again.") from None

    def _interrupt(self) -> None:
        """Into the raw REPL, and through a soft reset there. mpremote's own way has no end while a board prints without a pause."""
        with self._asked():
            self._reach_prompt(INTERRUPT_S)
            self._transport.serial.write(b"\x04")
            said = self._read_until(b"soft reboot\r\n", INTERRUPT_S) + self._read_until(_PROMPT, BOOT_S)
        if not said.endswith(_PROMPT):
            raise DeviceError(f"{self.port}: boot.py did not end within {BOOT_S} s: reset the board and try again.")
        self._transport.in_raw_repl = self._is_stopped = True

    def _reach_prompt(self, limit_s: float) -> None:
        """To the raw REPL's prompt, whatever runs. Raises DeviceError."""
        said, end = b"", time.monotonic() + limit_s
        while not said.endswith(_PROMPT):
            if time.monotonic() > end:
                raise DeviceError(self._why_silent(said))
            self._transport.serial.write(b"\r\x03\x03\r\x01")  # a start that is under way may swallow them
            said = self._read_until(_PROMPT, INTERRUPT_EVERY_S)
        self._is_busy = False

    def _read_until(self, ending: bytes, limit_s: float) -> bytes:
        """What the board says up to this, and not a byte more, or within so many seconds."""
        said, end = bytearray(), time.monotonic() + limit_s
        while not said.endswith(ending) and time.monotonic() < end:
            if self._transport.serial.in_waiting:
                said += self._transport.serial.read(1)
            else:
                time.sleep(0.002)
        return bytes(said)

    def _why_silent(self, said: bytes) -> str:
        lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip().isprintable() and line.strip()]
        if not lines:
            return (
                f"{self.port}: the board does not answer: is it MicroPython (IMAGE= puts it on), is it this port? "
                "A product build has its console off: see tools/README.md."
            )
        return f"{self.port}: no MicroPython prompt; the board says {lines[-1][:80]!r}: IMAGE= puts MicroPython on."

    def run(self, statement: str, timeout_s: float | None = None, show: Callable[[str], None] | None = None) -> str:
        """Run statements, after ending one that still runs; what they printed. timeout_s: how long the board may say nothing (None:
        SILENCE_S). show: called with each line as it comes."""
        said, line = bytearray(), bytearray()

        def take(data: bytes) -> None:
            said.extend(data)
            line.extend(data)
            if show and data == b"\n":
                show(line.decode("utf-8", "replace").rstrip("\r\n"))
                line.clear()

        with self._asked():
            self._end_busy()
            self._is_busy = True
            self._transport.exec_raw_no_follow(statement)
            _, trace = self._transport.follow(SILENCE_S if timeout_s is None else timeout_s, take)
        self._is_busy = False
        if trace:
            last = trace.decode("utf-8", "replace").strip().splitlines()[-1]
            raise DeviceError(f"{self.port}: on the board: {last}")
        return said.removesuffix(b"\x04").decode("utf-8", "replace").replace("\r\n", "\n")

    def _end_busy(self) -> None:
        """What was broken off on the PC goes on on the board until it is told so."""
        if self._is_busy:
            self._reach_prompt(PROMPT_S)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, of plain Python types."""
        said = self.run(f"print(repr({expression}))")
        try:
            return ast.literal_eval(said.strip())
        except (ValueError, SyntaxError):
            # What it said is not shown: it may be a secret.
            told = f"the board's answer of {len(said)} characters is no value: try again."
            raise DeviceError(f"{self.port}: {expression}: {told}") from None

    # Files. Names are relative to the board's root, without a slash in front.

    def _know_files(self) -> None:
        if not self._has_files:
            self.run(_FILES)
            self._has_files = True

    def hash(self, name: str) -> str | None:
        """The SHA-256 of a file, computed on the board; None when there is none."""
        self._know_files()
        said = self.run(f"try:\n print(_sum({name!r}))\nexcept OSError as error:\n print(error.errno == 2 and '-' or error)").strip()
        if said != "-" and len(said) != 64:
            raise DeviceError(f"{self.port}: {name}: cannot be read on the board: {said}")
        return None if said == "-" else said

    def hashes(self, folder: str = "") -> dict[str, str]:
        """{name: SHA-256} of every file below a folder that is there, computed on the board."""
        self._know_files()
        lines = self.run(f"_walk({folder and folder + '/'!r})").splitlines()
        return {name: digest for digest, _, name in (line.partition(" ") for line in lines)}

    def make_folder(self, name: str) -> None:
        """The folder and those around it, if they are not there."""
        for folder in [*reversed(PurePosixPath(name).parents), PurePosixPath(name)]:
            if str(folder) not in (".", "/"):
                self.run(f"import os\ntry:\n os.mkdir({str(folder)!r})\nexcept OSError as error:\n if error.errno != 17: raise")

    def send(self, name: str, data: bytes, progress: Callable[[int], None] | None = None) -> None:
        """Write a file in place, and verify it by its hash on the board. Its folder must be there. progress: called with the bytes
        that went over since the last call."""
        self._know_files()
        parts = [data[place : place + _CHUNK] for place in range(0, len(data), _CHUNK)] or [b""]
        said = ""
        for number, part in enumerate(parts):
            # A file of one part is one statement: each costs the line's latency twice.
            begin = f"_f = open({name!r}, 'wb')\n" if number == 0 else ""
            end = f"\n_f.close()\nprint(_sum({name!r}))" if number == len(parts) - 1 else ""
            said = self.run(f"{begin}_ = _f.write(_d({base64.b64encode(part).decode()!r})){end}")
            if progress:
                progress(len(part))
        if said.strip() != hashlib.sha256(data).hexdigest():
            self.remove(name)
            raise DeviceError(f"{self.port}: {name}: what the board has is not what was sent: try again, with another cable.")

    def put(self, name: str, data: bytes, progress: Callable[[int], None] | None = None) -> None:
        """Write a file beside the one that is there, see `send`, then rename it: a cut at any instant leaves the old file or the new
        one."""
        self.send(name + NEW, data, progress)
        self.rename(name + NEW, name)

    def get(self, name: str) -> bytes:
        """A file's bytes, verified by its hash on the board."""
        digest = self.hash(name)
        if digest is None:
            raise DeviceError(f"{self.port}: {name}: there is no such file on the board.")
        self.run(f"from binascii import b2a_base64 as _e\n_f = open({name!r}, 'rb')")
        data = bytearray()
        while part := base64.b64decode(self.run(f"print(_e(_f.read({_CHUNK})).decode())")):
            data += part
        self.run("_f.close()")
        if hashlib.sha256(data).hexdigest() != digest:
            raise DeviceError(f"{self.port}: {name}: what came is not what the board has: try again, with another cable.")
        return bytes(data)

    def rename(self, old: str, new: str) -> None:
        self.run(f"import os; os.rename({old!r}, {new!r})")

    def remove(self, name: str) -> None:
        self.run(f"import os; os.remove({name!r})")

    def reset(self) -> None:
        """A hard reset: the board's own program starts. A statement that still runs is ended before."""
        with self._asked():
            self._end_busy()
            self._transport.exec_raw_no_follow(_RESET)
        self._has_files = self._is_stopped = False

    def lines(self, limit_s: float | None = None) -> Iterator[str]:
        """What the board prints, line by line, without its end; for ever, or until it said nothing for limit_s seconds."""
        line, last = bytearray(), time.monotonic()
        while True:
            with self._asked():
                data = self._transport.serial.read(max(1, self._transport.serial.in_waiting))
            if data:
                last = time.monotonic()
            elif limit_s is not None and time.monotonic() - last >= limit_s:
                return
            *whole, rest = (line + data).split(b"\n")
            line = bytearray(rest)
            # Ctrl-D: the end of what a statement said, when a reset is in the middle of one.
            yield from (part.decode("utf-8", "replace").strip("\x04\r") for part in whole)
