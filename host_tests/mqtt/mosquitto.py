"""mosquitto as a process, set up as a maker would set it up: verified TLS, passwords, and rules of who may read and write what.

    with Mosquitto(folder, devices={"SN0001": "secret"}) as broker:
        with broker.operator() as operator:
            operator.subscribe("replenish/#")

Four ways in, on the loopback only:

| port | for | how a client proves who it is |
| --- | --- | --- |
| `port` | devices | TLS; user = serial, password; the client id becomes the user's name, so no device can take another's session |
| `mutual_port` | devices, as with AWS IoT Core | TLS with a client certificate, whose common name is the serial |
| `service_port` | `relay`, `gateway` and `operator` | TLS, password |
| `plain_port` | load tools, where thousands of handshakes would be measured instead | password, no TLS; only if asked for |

A device reads its notice and command topics and writes its own state, result, availability and discovery topics; the relay
writes notices and no more, the gateway those and its memory; the operator, who is the test, may do everything. What the rules
forbid to write, mosquitto 2.0 acknowledges to a 3.1.1 client and then closes the connection; what they forbid to read, it grants
and never sends.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import trustme

from host_tests.mqtt.client import Client
from tools import toolchain
from tools.ports import free_port

PROGRAM = toolchain.ROOT / "build" / "bin" / "mosquitto"
PREFIX = "replenish"
DISCOVERY = "homeassistant"
OPERATOR = "operator"
RELAY = "relay"
GATEWAY = "gateway"
DEADLINE_S = 20.0


def require_program() -> None:
    """Skip the test where the machine has no mosquitto; fail it where CI runs everything."""
    if not os.access(PROGRAM, os.X_OK):
        if not toolchain.must_have_all():
            pytest.skip(f"{PROGRAM} is missing (make mosquitto)")
        pytest.fail(f"{PROGRAM} is missing (make mosquitto)", pytrace=False)


def password_line(user: str, password: str) -> str:
    """A line of mosquitto's password file: PBKDF2 with SHA-512, 101 rounds, as mosquitto_passwd writes it."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
    return f"{user}:$7$101${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}\n"


def access_rules(prefix: str) -> str:
    """mosquitto's ACL file. `pattern` lines hold for every user, with %u as the user's name."""
    rules = [f"user {OPERATOR}", "topic readwrite #", f"user {RELAY}", "topic write +/+/notice"]
    rules += [f"user {GATEWAY}", "topic write +/+/notice", f"topic readwrite {prefix}-gateway/#"]
    rules += [f"pattern read {prefix}/%u/{name}" for name in ("notice", "command")]
    rules += [f"pattern write {prefix}/%u/{name}" for name in ("state", "result", "availability")]
    rules += [f"pattern write {DISCOVERY}/+/%u/{name}" for name in ("config", "+/config")]
    return "\n".join(rules) + "\n"


@dataclass(frozen=True)
class ClientCertificate:
    """What a device proves itself with: its certificate and key, both DER, as MicroPython's tls takes them, and as one PEM."""

    certificate_der: Path
    key_der: Path
    pem: Path


class Mosquitto:
    """A broker that can be stopped, killed and started again on the same ports with what it had stored."""

    def __init__(
        self,
        folder: Path,
        devices: Mapping[str, str],
        prefix: str = PREFIX,
        plain: bool = False,
        settings: Mapping[str, object] | None = None,
        names: tuple[str, ...] = ("localhost", "127.0.0.1"),
    ) -> None:
        """folder: an empty or new one; devices: serials and passwords; plain: `plain_port` too; settings: more of
        mosquitto's, and other values of those given here, a tuple for one that is repeated; names: of its certificate."""
        self.folder = folder
        self.prefix = prefix
        self.port, self.service_port, self.mutual_port = free_port(), free_port(), free_port()
        self.plain_port = free_port() if plain else None
        self.passwords = {**{user: secrets.token_urlsafe(12) for user in (OPERATOR, RELAY, GATEWAY)}, **devices}
        self._log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[Client] = []
        self._settings = {"max_queued_messages": 0, "max_inflight_messages": 20, **(settings or {})}
        self._authority = trustme.CA()
        self._write_files(names)

    # Its files

    @property
    def ca_pem(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def ca_der(self) -> Path:
        return self.folder / "ca.der"

    def _write_files(self, names: tuple[str, ...]) -> None:
        (self.folder / "stored").mkdir(parents=True)
        self._authority.cert_pem.write_to_path(self.ca_pem)
        self.ca_der.write_bytes(ssl.PEM_cert_to_DER_cert(self.ca_pem.read_text()))
        server = self._authority.issue_cert(*names)
        server.private_key_and_cert_chain_pem.write_to_path(self.folder / "server.pem")
        lines = [password_line(user, password) for user, password in self.passwords.items()]
        for name, text in {
            "passwords": "".join(lines),
            "rules": access_rules(self.prefix),
            "mosquitto.conf": "".join(f"{line}\n" for line in self._configuration()),
        }.items():
            file = self.folder / name
            file.touch(mode=0o600)
            file.write_text(text)

    def _configuration(self) -> list[str]:
        settings = {
            "user": "root",  # started by root, as in a container, it would else become one who may not read these files
            "allow_anonymous": "false",
            "password_file": self.folder / "passwords",
            "acl_file": self.folder / "rules",
            "persistence": "true",
            "persistence_location": f"{self.folder / 'stored'}/",
            "log_dest": "stderr",
            "log_type": ("all",),
            "set_tcp_nodelay": "true",
            **self._settings,
        }
        lines = [f"{name} {one}" for name, value in settings.items() for one in (value if isinstance(value, tuple) else (value,))]
        lines += self._listener(self.port, "use_username_as_clientid true")
        lines += self._listener(self.service_port)
        by_certificate = ("require_certificate true", "use_identity_as_username true", "use_username_as_clientid true")
        lines += self._listener(self.mutual_port, f"cafile {self.ca_pem}", *by_certificate)
        if self.plain_port:
            lines += [f"listener {self.plain_port} 127.0.0.1"]
        return lines

    def _listener(self, port: int, *settings: str) -> list[str]:
        server = self.folder / "server.pem"
        return [f"listener {port} 127.0.0.1", f"certfile {server}", f"keyfile {server}", *settings]

    def client_certificate(self, serial: str) -> ClientCertificate:
        """A new certificate for a device, from an authority that `mutual_port` trusts."""
        issued = self._authority.issue_cert(f"{serial}.devices.example", common_name=serial)
        pem = self.folder / f"{serial}.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(pem)
        found = ClientCertificate(self.folder / f"{serial}.crt.der", self.folder / f"{serial}.key.der", pem)
        found.certificate_der.write_bytes(ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode()))
        key = issued.private_key_pem.bytes().decode().splitlines()[1:-1]
        found.key_der.write_bytes(base64.b64decode("".join(key)))
        return found

    # Its life

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for client in self._clients:
            client.close()
        if self._process:
            self.kill()

    @property
    def log(self) -> str:
        """All that it said, over all its lives."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def await_log(self, pattern: str, count: int = 1) -> None:
        """Wait until it has said so often what fits a regular expression."""
        self._wait(lambda: len(re.findall(pattern, self.log)) >= count, pattern)

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + DEADLINE_S
        while not condition():
            assert self._process and self._process.poll() is None, f"mosquitto ended before: {what}\n{self.log[-2000:]}"
            assert time.monotonic() < end, f"not within {DEADLINE_S:g} s: {what}\n{self.log[-2000:]}"
            threading.Event().wait(0.005)

    @property
    def process_id(self) -> int:
        assert self._process, "the broker is not running"
        return self._process.pid

    def start(self) -> None:
        """Start it with what it stored; returns when it takes connections. Raises RuntimeError with its log when it does not."""
        assert not self._process, "the broker is running"
        lives = self.log.count(" running\n")
        with self._log.open("ab") as log:
            command = [str(PROGRAM), "-c", str(self.folder / "mosquitto.conf")]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.await_log(" running\n", lives + 1)
        except AssertionError as error:
            self.kill()
            raise RuntimeError("mosquitto did not start") from error

    def stop(self) -> None:
        """Stop it as its machine would at a shutdown: it stores sessions and queued messages first."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9: what it had not stored by itself is lost."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it stand still: connections stay, and nothing is answered, until `go_on` or `kill`."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """After `pause`: what came meanwhile is done now."""
        self._signal(signal.SIGCONT)

    def store(self) -> None:
        """Let it store sessions and queued messages now, so that they survive a `kill`. Returns when they are on the disk."""
        file = self.folder / "stored" / "mosquitto.db"
        before = file.stat().st_mtime_ns if file.exists() else 0
        self._signal(signal.SIGUSR1)
        self._wait(lambda: file.exists() and file.stat().st_mtime_ns != before, str(file))

    def forget(self) -> None:
        """While it is down: lose all sessions, queued and retained messages."""
        assert not self._process
        for file in (self.folder / "stored").iterdir():
            file.unlink()

    def restart(self) -> None:
        """Stop and start: every connection breaks, sessions and queued messages stay."""
        self.stop()
        self.start()

    def _signal(self, what: signal.Signals) -> None:
        assert self._process, "the broker is not running"
        self._process.send_signal(what)

    def _end(self, how: signal.Signals) -> None:
        self._signal(how)
        assert self._process
        self._process.wait(DEADLINE_S)
        self._process = None

    # Who comes in

    def client(self, user: str, **options: Any) -> Client:
        """A connected client by this user's password, on the port that is for it; options: Client's. Closed with the broker."""
        given = {"port": self.port, "user": user, "password": self.passwords.get(user), "client_id": user, "ca": self.ca_pem}
        if user in (OPERATOR, RELAY):  # several may be connected at once, each with an id that the broker makes up
            given.update(port=self.service_port, client_id="")
        client = Client(**{**given, **options})
        self._clients.append(client)
        return client

    def operator(self, **options: Any) -> Client:
        return self.client(OPERATOR, **options)
