"""A broker in memory that does what a real one seldom does when it is wanted: refuses, falls silent, dies before its PUBACK."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field

CONNECT, PUBLISH, PINGREQ = 1, 3, 12
CONNACK, PUBACK, PINGRESP = 0x20, 0x40, 0xD0
PROTOCOL_3_1_1 = 4


@dataclass
class Peer:
    """One client's connection, with what it said in CONNECT."""

    writer: asyncio.StreamWriter
    texts: list[str] = field(default_factory=list)
    clean: bool = False

    def send(self, kind: int, body: bytes = b"") -> None:
        self.writer.write(bytes([kind, len(body)]) + body)


async def _packet(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    """Kind, flags and body of the next packet."""
    first = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return first >> 4, first & 0x0F, await reader.readexactly(length)


def _take(body: bytes) -> tuple[bytes, bytes]:
    """A field with its length before it, and the rest."""
    end = 2 + int.from_bytes(body[:2], "big")
    return body[2:end], body[end:]


class FakeBroker:
    """`async with FakeBroker() as broker:` on `broker.port`. `published` has (topic, payload) in the order of arrival."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._server: asyncio.Server | None = None
        self._unacknowledged: list[tuple[Peer, bytes]] = []
        self.peers: list[Peer] = []
        self.published: list[tuple[str, bytes]] = []
        self.most_unacknowledged = 0
        self.connects = 0
        self.acknowledges = True
        self.accepts = True
        self.answers = True
        self.port = 0

    async def __aenter__(self) -> FakeBroker:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Die: no more connections, and those that there are end at once."""
        if self._server:
            self._server.close()
            self.drop()
            await self._server.wait_closed()

    def drop(self) -> None:
        """End every connection; what was not acknowledged never will be."""
        for peer in self.peers:
            peer.writer.transport.abort()
        self.peers.clear()
        self._unacknowledged.clear()

    def acknowledge(self) -> None:
        """Acknowledge what was held back, and from now on everything."""
        self.acknowledges = True
        while self._unacknowledged:
            peer, packet_id = self._unacknowledged.pop(0)
            peer.send(PUBACK, packet_id)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(writer)
        try:
            while True:
                self._answer(peer, *await _packet(reader))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            if peer in self.peers:
                self.peers.remove(peer)

    def _answer(self, peer: Peer, kind: int, flags: int, body: bytes) -> None:
        if kind == CONNECT:
            self._connect(peer, body)
        elif kind == PUBLISH:
            assert flags == 0b0010, "QoS 1, not retained, not repeated"
            topic, rest = _take(body)
            self.published.append((topic.decode(), rest[2:]))
            self._unacknowledged.append((peer, rest[:2]))
            self.most_unacknowledged = max(self.most_unacknowledged, len(self._unacknowledged))
            if self.acknowledges:
                self.acknowledge()
        elif kind == PINGREQ:
            peer.send(PINGRESP)

    def _connect(self, peer: Peer, body: bytes) -> None:
        self.connects += 1
        name, rest = _take(body)
        assert (name, rest[0]) == (b"MQTT", PROTOCOL_3_1_1)
        peer.clean = bool(rest[1] & 0b10)
        rest = rest[4:]
        while rest:
            text, rest = _take(rest)
            peer.texts.append(text.decode())
        if self.accepts:
            self.peers.append(peer)
        if self.answers:
            peer.send(CONNACK, bytes([0, 0 if self.accepts else 5]))
