"""The embedded MQTT broker of `make run`: rumqttd, which comes compiled inside the package iotcore, so it needs no root.

    async with Broker(folder, {"SN0001": "secret", "relay": "other"}, authority) as broker:
        ...  # localhost:{broker.port}, TLS by a certificate of the authority

MQTT 3.1.1 with QoS 1, sessions, retained messages and wills; who is refused gets no CONNACK but the end of the connection.
Everybody who has a password may read and write everything, and all is forgotten at the end: it is a broker for one desk.
Measured: 0.1 s until it listens, 29 MB. Of the other brokers on PyPI only amqtt is maintained; version 0.12.1, in pure Python,
sends each client all retained messages that anybody subscribed to, does not send again what was not acknowledged, and tells a
client that had been refused before that it has a session.
"""

import asyncio
import errno
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from tools.ports import free_port
from tools.simulator.tls import LOCAL_NAMES, Authority

ROOT = Path(__file__).resolve().parents[2]
_START_S = 20
_STOP_S = 5
_ATTEMPTS = 5  # a free port may be taken by somebody else before the broker has it
# What AWS IoT Core takes in one message, with the topic and the header.
_PACKET_BYTES = 128 * 1024 + 1024

# The numbers without a comment are those of rumqttd's own example.
_SETTINGS = """
id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 10
[v4.1]
name = "v4-1"
listen = "{bind}:{port}"
next_connection_delay_ms = 1
[v4.1.tls]
certpath = {certificate}
keypath = {key}
[v4.1.connections]
connection_timeout_ms = 60000
max_payload_size = {packet_bytes}
max_inflight_count = 100
dynamic_filters = true
[v4.1.connections.auth]
{users}
"""


class BrokerError(Exception):
    """The broker did not start; the message is one sentence."""


class Broker:
    """A broker, on the loopback by default, in a process of its own that ends with this one."""

    def __init__(
        self,
        folder: Path,
        users: Mapping[str, str],
        authority: Authority | None = None,
        bind: str = "127.0.0.1",
        port: int = 0,
        names: Iterable[str] = LOCAL_NAMES,
    ) -> None:
        """folder: for its files; users: names and passwords; authority: who certifies it, None for one of its own in `folder`;
        port: 0 for a free one; names: of its certificate."""
        self.port = port
        self._bind, self._fixed, self._names = bind, port, tuple(names)
        self._folder = folder.resolve()  # the process runs elsewhere
        self._users = users
        self._authority = authority or Authority(folder)
        self.ca_pem, self.ca_der = self._authority.pem, self._authority.der
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Broker":
        """Raises BrokerError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        pair = self._authority.write_server(self._folder, self._names)
        for _ in range(_ATTEMPTS):
            self.port = self._fixed or free_port()
            if await self._start(self._write_settings(*pair)):
                return self
            if await self._stop() != errno.EADDRINUSE:
                break
        raise BrokerError(f"The MQTT broker did not start: {self._said()}.")

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stop()

    def _write_settings(self, certificate: Path, key: Path) -> Path:
        file = self._folder / "broker.toml"
        # A JSON string is a TOML string.
        users = "\n".join(f"{json.dumps(user)} = {json.dumps(password)}" for user, password in self._users.items())
        paths = {"certificate": json.dumps(str(certificate)), "key": json.dumps(str(key))}
        file.touch(mode=0o600)
        place = {"bind": self._bind, "port": self.port}
        file.write_text(_SETTINGS.format(users=users, packet_bytes=_PACKET_BYTES, **place, **paths), encoding="utf-8")
        return file

    async def _start(self, settings: Path) -> bool:
        """Whether it takes connections."""
        with self._log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tools.run.rumqttd",
                settings,
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # the terminal's Ctrl-C reaches only us, and we end it in order
            )
        self._process = process
        async with asyncio.timeout(_START_S):
            return process.stdout is not None and await process.stdout.readline() == b"ready\n"

    @property
    def _log(self) -> Path:
        return self._folder / "broker.log"

    def _said(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line for line in reversed(lines) if line), "it said nothing")

    async def _stop(self) -> int | None:
        """Its exit status."""
        if self._process is None:
            return None
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            return await asyncio.wait_for(self._process.wait(), _STOP_S)
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()
