"""Link a device to its customer's account: `make link CONFIG=config.json`, or `make link PORT=/dev/ttyUSB0` for a board.

The device makes the address of the consent page; this program opens it in a browser, waits on this machine for what the page sends
back, and hands that to the device, which alone can swap the code for tokens. No token and no verifier ever reaches this program.
With PORT= the device is a board, whose own config.json counts; else it is the agent of CONFIG= on this PC, whose state folder is
locked meanwhile, so that a running agent must be stopped first.

Exit status: 0 linked, 1 not, 2 for wrong usage or a device that cannot be used, 130 broken off.
"""

from __future__ import annotations

import argparse
import html
import os
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from tools.unix_agent import UNIX, UsageError, heap_option, interpreter, load_config, lock_state

REDIRECT = "http://localhost:8914/"
# A customer signs in, reads and perhaps looks for a password.
CONSENT_S = 600
# A call's total deadline on the device is 20 s; a board starts, joins its network and loads the agent before.
DEVICE_S = 120
SAYS = "link: "  # what the lines begin with that are for this program ...
FAILS = "link! "  # ... and the last one, of a statement that raised an error

# What to do about each fault; firmware/README.md has the same table.
REMEDIES = {
    "not_linked": "run `make link`",
    "link_refused": "the refresh token is not taken any more: run `make link` again",
    "link_revoked": "the customer took the permission back: ask, then run `make link` again",
    "consent_denied": "the customer said no: ask, then run `make link` again",
    "consent_refused": "compare model, serial, client_id and the client's Allowed Return URLs with the developer console",
    "state_mismatch": "the answer belongs to another attempt: close old browser windows and run `make link` again",
    "code_expired": "the code lives for five minutes and is good once: run `make link` again; is the redirect address an allowed one?",
    "client_refused": "correct lwa.client_id, or client_secret in the secrets",
    "link_unanswered": "no usable answer from lwa.token_url: look at the network, then run `make link` again",
    "store_failed": "the token could not be kept: look at the state's medium, then run `make link` again",
    "no_valid_time": "the device does not know the time: see to its network, then run `make link` again",
}


class LinkError(Exception):
    """The device did not do its part; the message is for the person."""


class Device(Protocol):
    """A device that runs Python statements, all in one session."""

    def run(self, statement: str) -> list[str]:
        """Run a statement; the lines that it printed for this program. Raises LinkError."""


class UnixDevice:
    """The agent of a configuration on this PC: statements go in by the interpreter's standard input."""

    _LOOP = f"""import sys
try:
 for line in sys.stdin:
  try:
   exec(line)
  except Exception as error:
   print({FAILS!r} + repr(error))
   raise
  print({SAYS + "."!r})
except KeyboardInterrupt:
 pass
"""

    def __init__(self, lock: int) -> None:
        command = [interpreter(os.environ.get("MICROPYTHON")), *heap_option(os.environ.get("HEAP")), "-c", self._LOOP]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=UNIX,
            env={**os.environ, "MICROPYPATH": "lib:.frozen"},
            pass_fds=(lock,),
            text=True,
        )

    def run(self, statement: str) -> list[str]:
        assert self._process.stdin and self._process.stdout  # noqa: S101 (both are pipes)
        try:
            self._process.stdin.write(statement + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise LinkError("the agent ended") from None
        said: list[str] = []
        for line in self._process.stdout:
            if line == SAYS + ".\n":
                return said
            if line.startswith(FAILS):
                raise LinkError(line[len(FAILS) :].rstrip("\n"))
            _sort(line, said)
        raise LinkError("the agent ended")

    def end(self) -> None:
        assert self._process.stdin and self._process.stdout  # noqa: S101
        with suppress(BrokenPipeError):  # what it did not live to read
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


# A board that was started anew has no network, and no time: its own program, which sees to them, does not run. From
# MicroPython's own modules, for those of the firmware have other names there.
JOIN = """
def _join():
 try:
  import network, ntptime, time
 except ImportError:
  return
 from replenish.config import load
 config, secrets = load('config.json')
 given = secrets.get('wifi') or []
 wlan = network.WLAN(network.STA_IF)
 wlan.active(True)
 for one in given if isinstance(given, list) else [given]:
  if not wlan.isconnected():
   wlan.connect(one['ssid'], one.get('password'))
   for _ in range(200):
    if wlan.isconnected():
     break
    time.sleep_ms(100)
 if not wlan.isconnected():
  raise OSError('none of the networks in the secrets could be joined')
 hosts = config['clock']['ntp'] or ntptime.host
 for host in hosts if isinstance(hosts, list) else [hosts]:
  ntptime.host = host
  try:
   return ntptime.settime()
  except OSError:
   print('no time from', host)
_join()
"""


# For what needs no network: the date that it has, when it kept one while it was without power, else this PC's.
SET_CLOCK = """
import time
if time.gmtime()[0] < 2024:
 import machine
 machine.RTC().datetime({when})
"""


def set_clock() -> str:
    """The statement that gives a board this PC's time, as machine.RTC has it: UTC, with the day of the week before the hour."""
    at = time.gmtime()
    when = (at.tm_year, at.tm_mon, at.tm_mday, at.tm_wday, at.tm_hour, at.tm_min, at.tm_sec, 0)
    return SET_CLOCK.format(when=when)


class Board:
    """A board at a serial port, started anew, so that its program does not run beside ours."""

    def __init__(self, port: str, joins: bool) -> None:
        """joins: see open_device. Raises UsageError."""
        from tools import device  # what it stands on is not installed for a device on this PC

        self._error = device.DeviceError
        try:
            self._device = device.Device(port)
        except device.DeviceError as error:
            raise UsageError(str(error)) from None
        try:
            self._device.run(JOIN if joins else set_clock(), DEVICE_S)
        except device.DeviceError as error:
            self.end()
            raise UsageError(str(error)) from None
        except BaseException:
            self.end()
            raise

    def run(self, statement: str) -> list[str]:
        said: list[str] = []
        try:
            self._device.run(statement, DEVICE_S, lambda line: _sort(line + "\n", said))
        except self._error as error:
            raise LinkError(str(error)) from None
        return said

    def end(self) -> None:
        """Let its program go on, linked or not."""
        with suppress(self._error):
            self._device.reset()
        self._device.close()


def _sort(line: str, said: list[str]) -> None:
    """Keep a line that is for us, show any other: what the agent tells holds no secret."""
    if line.startswith(SAYS):
        said.append(line[len(SAYS) :].rstrip("\r\n"))
    else:
        print(line, end="", flush=True)


@contextmanager
def open_device(config: Path | None, port: str | None, joins: bool = True) -> Iterator[tuple[Device, str]]:
    """The device and the path of its configuration as it knows it; without either, the board at the only port. joins: a board joins
    its network, and learns the time there; else it gets the time from this PC. Raises UsageError."""
    if port is None and config is None:
        from tools import device  # see Board

        try:
            port = device.find_port(None)
        except device.DeviceError as error:
            raise UsageError(f"CONFIG= names the configuration of an agent on this PC, PORT= a board: {error}") from None
    if port:
        board = Board(port, joins)
        try:
            yield board, "config.json"
        finally:
            board.end()
        return
    assert config is not None  # noqa: S101 (else there is a port)
    values = load_config(config)
    lock = lock_state(Path(values["state"]))
    try:
        agent = UnixDevice(lock)
        try:
            yield agent, str(config.resolve())
        finally:
            agent.end()
    finally:
        os.close(lock)


# What the device is asked to do


def begin(device: Device, path: str, redirect_uri: str) -> str:
    """The address of the consent page. Raises LinkError."""
    # The agent itself comes last: a board has no room for all of it at once.
    statement = f"from replenish.link import Link; attempt = Link({path!r}, {redirect_uri!r}); print({SAYS!r} + attempt.url)"
    said = device.run(f"{statement}; attempt.url = None")
    if len(said) != 1 or not said[0].startswith("https://"):
        raise LinkError("the device named no consent page")
    return said[0]


def finish(device: Device, path: str, answer: dict[str, str]) -> str | None:
    """Hand what the page sent back to the device: None when it is linked, else the fault. Raises LinkError."""
    state, code, error = answer.get("state", ""), answer.get("code", ""), answer.get("error")
    load = f"from replenish import Agent; agent = Agent.load({path!r})"
    said = device.run(f"{load}; print({SAYS!r} + str(attempt.finish(agent, {state!r}, {code!r}, {error!r})))")
    if len(said) != 1:
        raise LinkError("the device did not say what came of it")
    return None if said[0] == "None" else said[0]


# What the browser brings back


class _Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        if place.path != self.server.path:
            self._say(404, "Nothing here.")
            return
        answer = {name: values[0] for name, values in parse_qs(place.query).items()}
        if "code" not in answer and "error" not in answer:
            self._say(400, "This page waits for the consent page's answer.")
            return
        self._say(200, self.server.take(answer))

    def _say(self, status: int, sentence: str) -> None:
        page = f"<!doctype html><meta charset=utf-8><title>Link</title><p>{html.escape(sentence)}".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """A request's line has the code in it."""


class Listener(HTTPServer):
    """Waits on this machine for the browser, at `redirect_uri`, whose port 0 becomes a free one. `take(answer)` returns the sentence
    that the browser then shows."""

    def __init__(self, redirect_uri: str, take: Callable[[dict[str, str]], str]) -> None:
        place = urlsplit(redirect_uri)
        if place.scheme != "http" or place.hostname not in ("localhost", "127.0.0.1") or place.port is None:
            raise UsageError(f"--redirect {redirect_uri}: http://localhost:PORT/PATH is allowed.")
        self.path = place.path or "/"
        self.taken = False
        self._take = take
        try:
            super().__init__(("127.0.0.1", place.port), _Handler)
        except OSError as error:
            raise UsageError(f"--redirect {redirect_uri}: {error.strerror}.") from None
        self.redirect_uri = place._replace(netloc=f"{place.hostname}:{self.server_port}").geturl()
        self.timeout = 1.0  # how often `wait` looks at the time

    def take(self, answer: dict[str, str]) -> str:
        """The first answer counts."""
        if self.taken:
            return "This attempt is over."
        self.taken = True
        return self._take(answer)

    def wait(self, seconds: float) -> bool:
        """Answer requests until the page's answer was taken; False when that took too long."""
        end = time.monotonic() + seconds
        while not self.taken and time.monotonic() < end:
            self.handle_request()
        return self.taken


def told(fault: str | None) -> str:
    """What came of it, and what to do, in one sentence."""
    return "The device is linked." if fault is None else f"Not linked: {fault}: {REMEDIES.get(fault, 'see firmware/README.md')}."


def link(device: Device, path: str, redirect_uri: str, show: Callable[[str], object]) -> str | None:
    """The whole flow: None when the device is linked, else the fault. `show` opens the consent page. Raises LinkError, UsageError."""
    ended: list[str | LinkError | None] = []

    def take(answer: dict[str, str]) -> str:
        try:
            fault = finish(device, path, answer)
        except LinkError as error:
            ended.append(error)
            return f"Not linked: {error}"
        ended.append(fault)
        return told(fault)

    with Listener(redirect_uri, take) as listener:
        show(begin(device, path, listener.redirect_uri))
        if not listener.wait(CONSENT_S):
            raise LinkError(f"nobody decided within {CONSENT_S} s")
    if isinstance(ended[0], LinkError):  # the browser has shown it; the terminal is to say it, too
        raise ended[0]
    return ended[0]


def show_page(url: str, browser: bool) -> None:
    print(f"Consent page:\n{url}", flush=True)
    if not f".{urlsplit(url).hostname}".endswith(".amazon.com"):
        # A simulator's authority is in the device's tls.ca and in no browser.
        print("If your browser warns of this page: Advanced, then Proceed or Accept the Risk and Continue.", flush=True)
    if browser and not webbrowser.open(url):
        print("No browser could be opened: open that address yourself, on this machine.", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.link", description="Link a device to its customer's account.")
    parser.add_argument("--config", type=Path, help="the agent on this PC that has this configuration")
    parser.add_argument("--port", help="the board at this serial port")
    parser.add_argument("--redirect", default=REDIRECT, help=f"one of the client's Allowed Return URLs (default: {REDIRECT})")
    parser.add_argument("--no-browser", action="store_true", help="print the page's address, open nothing")
    options = parser.parse_args(argv)
    try:
        with open_device(options.config, options.port) as (device, path):
            fault = link(device, path, options.redirect, lambda url: show_page(url, not options.no_browser))
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except LinkError as error:
        print(f"Not linked: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nBroken off: not linked, unless the browser says so already; an older link is as it was.", file=sys.stderr)
        return 130
    print(told(fault), flush=True)
    return 0 if fault is None else 1


if __name__ == "__main__":
    sys.exit(main())
