"""The PC's end of the serial line of an emulated appliance: its service, its clock and its people (programs/appliance.py).

The service stands here, not on the board: its ledger of orders outlives every kill.
"""

from __future__ import annotations

import json
import os
import select
import shlex
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from typing import Any

from replenish.services.call import Request

from host_tests.fakes.board import START
from host_tests.fakes.service import Service
from host_tests.unix_port import translate
from tools import fold
from tools.build import FIRMWARE
from tools.emulator import Emulator

_PROGRAM = Path(__file__).with_name("programs") / "appliance.py"
_CHUNK_BYTES = 4096
_LOOK_S = 0.01  # how often to look whether something is so, of which the line does not tell
CAPACITY, LOW = 12, 2
# Nothing here waits for people: what is low is ordered at once, and an order is asked after every minute.
POLICY = {"confirm_s": 0, "boot_spread_s": 0, "resolution_grace_s": 60, "poll_interval_s": 60, "max_orders_30_days": 100}


def appliance_files(tree: dict[str, bytes], slots: tuple[str, ...], **policy: int) -> dict[str, bytes]:
    """What is on the flash of a new appliance: the built tree, program, configuration, full slots; policy: beside POLICY."""
    kept = {name: data for name, data in tree.items() if name.startswith("lib/")}
    config = {
        "device": {"model": "acme-1", "serial": "SN0001"},
        "backend": "drs",
        "drs": {"endpoint": "https://drs.test"},
        "lwa": {"client_id": "amzn1.application-oa2-client.x", "token_url": "https://lwa.test/auth/o2/token"},
        "tls": {"ca": ["ca.der"]},
        "state": "state",
        "secrets": "secrets.json",
        "slots": [_slot(name) for name in slots],
        "policy": {**POLICY, **policy},
    }
    return {
        **kept,
        "main.py": translate.translate(_PROGRAM.read_text(), fold.Folder(FIRMWARE)).encode(),
        "config.json": json.dumps(config).encode(),
        "secrets.json": b'{"refresh_token": "Atzr|r"}',
        **{f"{name}.level": str(CAPACITY).encode() for name in slots},
    }


def _slot(name: str) -> dict[str, Any]:
    sensor = {"driver": "file", "path": f"{name}.level", "period_s": 1}
    return {"id": name, "capacity": CAPACITY, "reorder_at": 3, "lead_days": 0, "sensor": sensor}


class Clock:
    """Unix seconds of the world around the appliance."""

    def __init__(self) -> None:
        self.seconds = START


class Line:
    """Answers what the appliance asks. `service` is the fakes' one; `levels` reach the appliance when it asks next.

    slow: how long the service takes over an answer, in real seconds, each time it is called.
    """

    def __init__(self, board: Emulator, slots: tuple[str, ...], slow: Callable[[], float] = lambda: 0.0) -> None:
        self.board = board
        self.slots = slots
        self.clock = Clock()
        self.service = Service(self.clock)
        self.levels = dict.fromkeys(slots, CAPACITY)
        self.step_s = 0  # by which time moves on whenever the appliance asks what happened
        self.events: list[dict[str, str]] = []  # of this start
        self.asked: list[list[Any]] = []  # ... what it asked for
        self._slow = slow
        self._port = os.open(board.port, os.O_RDWR | os.O_NOCTTY)
        self._rest = b""
        self._answer: tuple[float, bytes] | None = None  # when it is to leave, and what

    def __enter__(self) -> Line:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._port)

    def cut_power(self) -> bool:
        """kill -9, at this instant. What had left the board by then is heard all the same. Returns whether a call was under way."""
        self.board.kill()
        while select.select([self._port], [], [], 0)[0]:
            self._read()
        in_call = self._answer is not None and self.asked[-1][0] == "call"
        self._rest, self._answer = b"", None
        return in_call

    def start(self) -> None:
        """Give the power back, after a cut if it is on."""
        self.cut_power()  # else what the board had asked before would be answered now
        self.events, self.asked = [], []
        self.board.restart()

    def attend(self, seconds: float, until: Callable[[], object] = lambda: False) -> bool:
        """Answer for so long, or until something is so; returns whether it was."""
        deadline = time.monotonic() + seconds
        while not until():
            left = min(deadline, self._answer[0] if self._answer else deadline) - time.monotonic()
            if self._answer and left <= 0 and time.monotonic() >= self._answer[0]:
                os.write(self._port, self._answer[1])
                self._answer = None
            elif time.monotonic() >= deadline:
                return False
            elif select.select([self._port], [], [], min(max(0, left), _LOOK_S))[0]:
                self._read()
        return True

    def _read(self) -> None:
        *lines, self._rest = (self._rest + os.read(self._port, _CHUNK_BYTES)).split(b"\n")
        for line in lines:
            self._take(line.decode(errors="replace").strip())

    def _take(self, line: str) -> None:
        if line.startswith("ask "):
            word, *given = json.loads(line[4:])
            self.asked.append([word, *given])
            delay_s = self._slow() if word == "call" else 0
            answer = getattr(self, f"_{word}")(*given)
            self._answer = time.monotonic() + delay_s, json.dumps(answer).encode() + b"\n"
        elif line.startswith("t="):
            self.events.append(dict(pair.split("=", 1) for pair in shlex.split(line)))
        elif "Traceback" in line:
            raise AssertionError(self.board.wait_for(">>> ", start=self.board.transcript.rindex(b"Traceback")))

    def _begin(self, figures: dict[str, int]) -> dict[str, Any]:
        return {"time": self.clock.seconds, "levels": self.levels}

    def _loaded(self, figures: dict[str, int]) -> None:
        return None

    def _idle(self, heap_peak: int) -> dict[str, Any]:
        self.clock.seconds += self.step_s
        return {"time": self.clock.seconds, "levels": self.levels}

    def _call(self, method: str, url: str, headers: dict[str, str], body: str) -> list[Any]:
        answer = self.service.call(Request(method, url, headers, body.encode()))
        date = {"date": formatdate(self.clock.seconds, usegmt=True)}
        return [answer.status, {**answer.headers, **date}, answer.body.decode(), answer.sent, answer.error]

    # What a test asks

    def states(self, slot: str) -> list[str]:
        """The states of a slot's order since this start."""
        return [event["state"] for event in self.said("order") if event["slot"] == slot]

    def figures(self, word: str) -> dict[str, int]:
        """What the appliance told of itself at `begin` or when it was `loaded`."""
        return next(given[0] for name, *given in self.asked if name == word)

    def said(self, kind: str) -> list[dict[str, str]]:
        """The agent's events of this kind since this start."""
        return [event for event in self.events if event["event"] == kind]
