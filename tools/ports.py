"""Ports for servers on this machine that cannot be told to choose one themselves."""

from __future__ import annotations

import contextlib
import secrets
import socket

# Linux gives ports from 32,768 on to outgoing connections: one of those could be taken while its server is down.
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A loopback port that nothing listens on, and that no outgoing connection will be given."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
