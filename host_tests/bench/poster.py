"""Posts SNS messages to relays over HTTPS and keep-alive, as cheaply as it can: it shares the machine with what it measures."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from host_tests.cloud.sender import headers

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def request(url: str, message: Mapping[str, Any]) -> bytes:
    """The whole of a POST, as SNS sends it."""
    body = json.dumps(message).encode()
    where = urlsplit(url)
    lines = [f"POST {where.path} HTTP/1.1", f"host: {where.netloc}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers(message).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    """One connection to a relay, opened at the first message and kept."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        where = urlsplit(url)
        self._host, self._port = where.hostname or "", where.port or 443
        self._context = context
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, data: bytes) -> int:
        """The status. Raises OSError when the relay is gone."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port, ssl=self._context)
        self._writer.write(data)
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            found = _LENGTH.search(head)
            await self._reader.readexactly(int(found[1]) if found else 0)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the relay closed the connection") from error
        return int(head[9:12])

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class Poster:
    """`async with Poster(urls, context, count) as poster`: so many connections to each relay."""

    def __init__(self, urls: list[str], context: ssl.SSLContext, count: int) -> None:
        self._free = [asyncio.Queue[Connection]() for _ in urls]
        self._all = [(free, Connection(url, context)) for _ in range(count) for url, free in zip(urls, self._free, strict=True)]
        self._next = 0

    async def __aenter__(self) -> Poster:
        for free, connection in self._all:
            free.put_nowait(connection)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for _, connection in self._all:
            connection.close()

    async def post(self, data: bytes, relay: int | None = None) -> int:
        """The status, when a connection was free and the relay has answered; relay: which one, None for the next in turn."""
        if relay is None:
            relay = self._next = (self._next + 1) % len(self._free)
        connection = await self._free[relay].get()
        try:
            return await connection.post(data)
        finally:
            self._free[relay].put_nowait(connection)
