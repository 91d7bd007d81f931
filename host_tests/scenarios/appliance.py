"""One appliance at its customer's: a folder, who orders for it, and the agent as a process on one of the interpreters.

On MicroPython the agent is what `make unix` builds, behind its wrapper and in a heap of 96 KiB; on CPython it is the sources on
the shim. Nothing here waits for a fixed time: a test waits for a line of the agent, for the service, or for a process to end.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from host_tests.mqtt.mosquitto import Mosquitto
from host_tests.scenarios.backends import DRS, AtGateway
from host_tests.scenarios.interpreters import ROOT, Interpreter
from tools.run import appliance as run
from tools.run import logfmt
from tools.simulator import SimulatorThread
from tools.simulator.calls import Call
from tools.simulator.lwa import CLIENT_ID

HEAP = "96k"
SLOT = "PaperTowel"
CAPACITY = 12
LOW = 2.0
SCALE = 3600  # an hour a second
REFUSED = 2  # the exit status of an agent that was not started
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # the exit status of an interpreter that was, and of its wrapper
_SHOWN = 20_000  # characters of the agent's output that a failure shows: what a slot came from may lie far back
DEADLINE_S = 30  # real, for whatever a test waits for: far more than it takes


def pace(scale: int) -> dict[str, int]:
    """The policy: orders at once, and polls four times a real second. A test that is about other times asks for them."""
    interval_s = max(scale // 4, 60)
    return {"confirm_s": 0, "boot_spread_s": 0, "resolution_grace_s": interval_s, "poll_interval_s": interval_s}


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something has become true that nobody tells of."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.005)


Line = dict[str, str | None]


class Agent:
    """A running agent, and all that it said. The lines are read as they come; `expect` goes through them once, in order."""

    def __init__(self, command: list[str], environment: dict[str, str], wrapped: bool, folder: Path = ROOT) -> None:
        """wrapped: the command is build/unix/agent, which starts the interpreter and understands signals; folder: where it runs."""
        self.lines: list[Line] = []
        self.output = self.errors = ""
        self._wrapped = wrapped
        self._at = 0
        self._news = threading.Condition()
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self._interpreter: int | None = None
        self._threads = [
            threading.Thread(target=self._read_output, args=(self.process.stdout,), daemon=True),
            threading.Thread(target=self._read_errors, args=(self.process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read_output(self, stream: IO[str]) -> None:
        for text in stream:
            with self._news:
                self.output += text
                if text.endswith("\n") and text.startswith("t="):  # else it was killed while it wrote, or it is a traceback
                    self.lines.append(logfmt.parse(text[:-1]))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def _read_errors(self, stream: IO[str]) -> None:
        self.errors = stream.read()

    # What it says

    def expect(self, **wanted: str | None) -> Line:
        """The next line, after those that were passed already, with these keys and values. Waits for it."""

        def find() -> Line | None:
            while self._at < len(self.lines):
                line = self.lines[self._at]
                self._at += 1
                if line.items() >= wanted.items():
                    return line
            return None

        return self._wait(find, str(wanted))

    def expect_lines(self, count: int) -> None:
        """Wait until it has said so many lines."""
        self._wait(lambda: len(self.lines) >= count or None, f"{count} lines")

    def _wait(self, find: Callable[[], Any], what: str) -> Any:
        end = time.monotonic() + DEADLINE_S
        with self._news:
            while (found := find()) is None:
                left = end - time.monotonic()
                ended = not self._threads[0].is_alive()
                if left <= 0 or ended or not self._news.wait(left):
                    why = "the agent ended" if ended else "the agent did not say it"
                    raise AssertionError(f"{what}: {why}\n{self.output[-_SHOWN:]}")
        return found

    def said(self, event: str, **wanted: str | None) -> list[Line]:
        """All lines of a kind so far."""
        return [line for line in list(self.lines) if line["event"] == event and line.items() >= wanted.items()]

    def states(self, slot: str = SLOT) -> list[str | None]:
        """The states of a slot's order, as they were told."""
        return [line["state"] for line in self.said("order", slot=slot)]

    def await_state(self, slot: str, *states: str) -> None:
        """Wait until the state that was told last of a slot's order is one of these."""
        while not (told := self.states(slot)) or told[-1] not in states:
            self.expect(event="order", slot=slot)

    # How it ends

    def runs_for(self, seconds: float) -> bool:
        """Let it run for so long; whether it still does."""
        watch = os.pidfd_open(self.process.pid)
        try:
            return not select.select([watch], [], [], seconds)[0]
        finally:
            os.close(watch)

    def ended(self) -> int:
        """Wait for its end; the exit status."""
        status = self.process.wait(DEADLINE_S)
        for thread in self._threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive(), "somebody still holds the agent's output"
        return status

    def stop(self) -> int:
        """Ask it to stop as its user would; the exit status."""
        if self._wrapped:
            self.process.terminate()
        else:
            self.close_input()
        return self.ended()

    def close_input(self) -> None:
        """End its standard input, which stops an agent that has no wrapper."""
        assert self.process.stdin
        self.process.stdin.close()

    def interpreter(self) -> int:
        """A pidfd of the interpreter. To be asked for first while the agent runs; it is good until `end`."""
        if self._interpreter is None:
            pid = self.process.pid
            if self._wrapped:
                pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
            self._interpreter = os.pidfd_open(pid)
        return self._interpreter

    def kill(self) -> None:
        """kill -9 of the interpreter. Returns when it is gone."""
        signal.pidfd_send_signal(self.interpreter(), signal.SIGKILL)
        assert self.ended() in KILLED

    def cut_power(self) -> None:
        """kill -9 at this very instant, even if the wrapper has not started the interpreter yet. Returns when both are gone."""
        victim = self.process.pid
        if self._wrapped:
            # A wrapper that stands still starts nobody while we look; its child is killed first, so that it can still bury it.
            self.process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, victim, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            children = Path(f"/proc/{victim}/task/{victim}/children").read_text().split()
            victim = int(children[0]) if children else victim
        os.kill(victim, signal.SIGKILL)  # ours, or our own child's: not buried before we let it be, so the number is still its own
        self.process.send_signal(signal.SIGCONT)
        assert self.ended() in KILLED, (self.process.returncode, self.errors)

    def interpreter_ends(self) -> bool:
        """Whether the interpreter ends before the deadline, whatever its wrapper does."""
        return bool(select.select([self.interpreter()], [], [], DEADLINE_S)[0])

    def end(self) -> None:
        """After a test, whatever became of it: no process stays, and no thread."""
        if self.process.poll() is None:
            with contextlib.suppress(IndexError, FileNotFoundError):  # the wrapper has not started it yet, or is gone
                self.interpreter()
        if self._interpreter is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._interpreter, signal.SIGKILL)
            os.close(self._interpreter)
            self._interpreter = None
        self.process.kill()
        self.ended()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()


class Appliance:
    """A registered device with one or more slots of capacity 12, full at first, and the service that it talks to."""

    def __init__(
        self,
        interpreter: Interpreter,
        folder: Path,
        scale: int = SCALE,
        slots: Mapping[str, bool] | None = None,
        policy: Mapping[str, int] | None = None,
        test: bool = False,
        public: bool = True,
        heap: str = HEAP,
        linked: bool = True,
        broker: Mosquitto | None = None,
        mqtt: Mapping[str, object] | None = None,
        tls: Mapping[str, object] | None = None,
        clock_error_s: int = 0,
        backend: str = "drs",
        packs: int = 1,
        **at_gateway: Any,
    ) -> None:
        """slots: ids, and whether the customer subscribed them; policy: beside `pace`; test: a test device; public: linked
        without a client secret; heap: MicroPython's; linked: the secrets hold a refresh token from the start;
        broker: of its cloud; mqtt, tls: more of these sections of the configuration; clock_error_s: by how much the agent's clock
        is ahead of the service's, in virtual seconds; backend: who orders. With "gateway" the broker is the gateway's, and the
        appliance's only if there is `mqtt`; packs: of one order; at_gateway: more for AtGateway."""
        self.folder = folder
        self.state = folder / "state"
        self.agents: list[Agent] = []
        self._interpreter = interpreter
        self._heap = heap
        self._linked = linked
        self._broker = broker
        self._mqtt = mqtt or {}
        self._tls = tls or {}
        self.clock = (int(time.time()), scale)  # the service's
        self._clock_error_s = clock_error_s
        self._slots = slots or {SLOT: True}
        self._packs = packs
        self._policy = {**pace(scale), **(policy or {})}
        if backend == "gateway":
            assert broker
            self.backend: DRS | AtGateway = AtGateway(folder, self.clock, self._slots, broker, **at_gateway)
            self._broker = broker if mqtt is not None else None
        else:
            self.backend = DRS(folder, self.clock, self._slots, test, public)

    def __enter__(self) -> Appliance:
        self.service: SimulatorThread = self.backend.__enter__().service
        for slot in self._slots:
            self.set_level(CAPACITY, slot)
        self.config = run.write_configuration(self.folder, self._configuration(), self._secrets())
        if self._linked and isinstance(self.backend, DRS):
            self.link(self.backend.register())
        return self

    def __exit__(self, *exception: Any) -> None:
        try:
            for agent in self.agents:
                agent.end()
        finally:
            self.backend.__exit__(*exception)

    def _configuration(self) -> dict[str, Any]:
        began, scale = self.clock
        clock = began - (self._clock_error_s // (scale - 1) if self._clock_error_s else 0), scale
        config = run.configuration([], self.service.url, [self.service.ca_der], CLIENT_ID, clock)
        self.backend.configure(config)
        config["policy"] = self._policy
        config["slots"] = [self._slot(slot) for slot in self._slots]
        if self._broker:
            config["tls"]["ca"].append(str(self._broker.ca_der))
            config["tls"].update(self._tls)
            config["mqtt"] = {"host": "127.0.0.1", "port": self._broker.port, "user": run.SERIAL, **self._mqtt}
        return config

    def _secrets(self) -> dict[str, str]:
        secrets = self.backend.given_secrets()
        if self._broker:
            secrets["mqtt_password"] = self._broker.passwords[run.SERIAL]
        return secrets

    def _slot(self, slot: str) -> dict[str, Any]:
        sensor = {"driver": "file", "path": run.level_file(slot), "period_s": max(self.clock[1] // 20, 60)}
        # No forecast: a level that a test lowers from one minute to the next would order by it.
        return {"id": slot, "capacity": CAPACITY, "reorder_at": 3, "lead_days": 0, "packs": self._packs, "sensor": sensor}

    # What people do with it

    def link(self, refresh_token: str) -> None:
        """Put a refresh token of DRS into the secrets."""
        assert isinstance(self.backend, DRS)
        self.backend.tokens.add(refresh_token)
        secrets = {"refresh_token": refresh_token, **self._secrets()}
        (self.folder / "secrets.json").write_text(json.dumps(secrets))

    def set_level(self, level: float, slot: str = SLOT) -> None:
        """What the slot's sensor shows from now on."""
        run.write_level(self.folder, slot, level)

    def deliver(self) -> None:
        """What is placed arrives."""
        self.backend.deliver()

    def start(self, *options: str) -> Agent:
        """Start an agent."""
        cpython = self._interpreter.is_cpython
        program = [sys.executable, "-m", "host_tests.shim"] if cpython else [str(run.AGENT)]
        environment = {**self._interpreter.environment(), "PYTHONUNBUFFERED": "1"}
        if not cpython:
            environment.update(HEAP=self._heap, MICROPYTHON=str(self._interpreter.path))
        return self._started(Agent([*program, str(self.config), *options], environment, wrapped=not cpython))

    def start_bare(self, tree: Path = run.AGENT.parent) -> Agent:
        """Start an agent of a built tree as its wrapper would, on MicroPython: in a fraction of the time that the wrapper takes for
        itself."""
        command = self._interpreter.command(Path("main.py"), str(self.config), heap=self._heap)
        environment = {**os.environ, "MICROPYPATH": "lib:.frozen"}
        return self._started(Agent(command, environment, wrapped=False, folder=tree))

    def _started(self, agent: Agent) -> Agent:
        self.agents.append(agent)
        return agent

    def wake(self) -> Agent:
        """One wake from deep sleep, from its beginning to its end."""
        agent = self.start("--once")
        assert agent.ended() == 0, agent.errors
        return agent

    # What the service saw

    def calls(self, *endpoints: str) -> list[Call]:
        """The calls of these endpoints, of all when none is named, oldest first."""
        return [call for call in self.service.calls if not endpoints or call.endpoint in endpoints]

    def outcomes(self, slot: str = SLOT) -> list[str]:
        """What became of a slot's order calls in the service's eyes."""
        return self.backend.outcomes(slot)

    def orders(self, slot: str = SLOT) -> list[Any]:
        """A slot's orders, oldest first."""
        return list(self.backend.orders(slot))

    def pass_time(self, seconds: int) -> None:
        """Wait until so much virtual time has passed."""
        end = self.service.clock.now() + seconds
        self.service.wait_until(lambda service: service.clock.now() >= end, DEADLINE_S)

    def await_calls(self, endpoint: str, count: int) -> None:
        """Wait until the service has seen so many calls of an endpoint."""
        self.service.wait_until(lambda service: sum(call.endpoint == endpoint for call in service.calls) >= count, DEADLINE_S)

    # What must hold after every test

    def secrets(self) -> set[str]:
        """Every secret that there ever was."""
        return self.backend.secrets()

    def check(self) -> None:
        """What every test demands of its agents beside its own: no secret leaked, and nothing was said on stderr."""
        for agent in self.agents:
            agent.end()
        assert self.leaks() == []
        assert [agent.errors for agent in self.agents if agent.process.returncode != REFUSED and agent.errors] == []

    def leaks(self) -> list[str]:
        """Where a secret stands that must not: what the agents said, and the state but for the rotated refresh token."""
        texts = {f"agent {n}": agent.output + agent.errors for n, agent in enumerate(self.agents)}
        for file in self.state.glob("*"):
            texts[file.name] = file.read_bytes().decode("latin-1")
        rotated = texts.pop("token", "")
        texts["token"] = "".join(rotated.split(self.stored_token())) if rotated else ""
        # A part of a token is one too; 24 characters are not a coincidence.
        return [where for where, text in texts.items() for secret in self.secrets() if contains_part(text, secret, 24)]

    def stored_token(self) -> str:
        """The refresh token that the state keeps."""
        record = (self.state / "token").read_bytes().decode("latin-1")
        return next(secret for secret in self.secrets() if secret in record and secret.startswith("Atzr|"))


def contains_part(text: str, secret: str, size: int) -> bool:
    """Whether `text` holds any `size` characters in a row of `secret`."""
    return any(secret[i : i + size] in text for i in range(len(secret) - size + 1))
