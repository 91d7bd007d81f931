"""Thousands of devices that do nothing but wait for their notices: MQTT 3.1.1 at its least, one connection each.

Of the agent's client they have what a broker and a relay notice: a connection, a user and password, one subscription with QoS 1,
and a PUBACK for each message. A real one would take a hundred times the memory of this machine.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterator

PASSWORD = "a-device's-password"
_CONNACK_OK = b"\x20\x02\x00\x00"
_SUBACK_1 = b"\x90\x03\x00\x01\x01"
_PUBLISH_QOS1 = 0x32
_AT_ONCE = 50  # connections that are made at the same time: fewer than the broker lets wait


def string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("!H", len(data)) + data


def packet(kind: int, body: bytes) -> bytes:
    """A control packet, with its length in as many bytes as it takes."""
    length, size = bytearray(), len(body)
    while True:
        size, digit = divmod(size, 128)
        length.append(digit | (0x80 if size else 0))
        if not size:
            return bytes([kind]) + bytes(length) + body


def length_of(data: bytes) -> tuple[int, int] | None:
    """(size of the body, where it begins) of the packet that begins `data`; None while that has not all come."""
    size = shift = 0
    for at in range(1, min(len(data), 5)):
        size |= (data[at] & 0x7F) << shift
        shift += 7
        if not data[at] & 0x80:
            return size, at + 1
    return None


class Device(asyncio.Protocol):
    """One connection. `ready` is done when it is subscribed, or failed."""

    def __init__(self, serial: str, topic: str, arrived: Callable[[bytes], None]) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._serial = serial
        self._topic = topic
        self._transport: asyncio.Transport
        self._arrived = arrived
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # Clean session, user and password; no keepalive, so that nothing but notices is measured.
        body = string("MQTT") + b"\x04\xc2\x00\x00" + string(self._serial) + string(self._serial) + string(PASSWORD)
        transport.write(packet(0x10, body))

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (found := length_of(self._data)) and len(self._data) >= sum(found):
            size, begin = found
            whole, self._data = self._data[: begin + size], self._data[begin + size :]
            self._take(whole, begin)

    def _take(self, whole: bytes, begin: int) -> None:
        if whole[0] & 0xF6 == _PUBLISH_QOS1:
            payload = begin + 2 + int.from_bytes(whole[begin : begin + 2], "big")
            self._transport.write(b"\x40\x02" + whole[payload : payload + 2])
            self._arrived(whole[payload + 2 :])
        elif whole == _CONNACK_OK:
            self._transport.write(packet(0x82, b"\x00\x01" + string(self._topic) + b"\x01"))
        elif whole == _SUBACK_1:
            self.ready.set_result(None)
        else:
            self._fail(f"{self._serial}: the broker said {whole[:8]!r}")

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"{self._serial}: the connection was lost: {error}")

    def _fail(self, why: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(why))

    def close(self) -> None:
        self._transport.abort()


class Fleet:
    """`async with Fleet(...)`: that many devices, connected and subscribed."""

    def __init__(self, port: int, serials: list[str], prefix: str, arrived: Callable[[bytes], None]) -> None:
        """port: the broker's, without TLS; `arrived` gets each payload."""
        self._port = port
        self._serials = serials
        self._prefix = prefix
        self._arrived = arrived
        self._devices: list[Device] = []

    async def __aenter__(self) -> Fleet:
        waiting = iter(self._serials)
        await asyncio.gather(*(self._connect(waiting) for _ in range(_AT_ONCE)))
        return self

    async def _connect(self, waiting: Iterator[str]) -> None:
        for serial in waiting:
            device = Device(serial, f"{self._prefix}/{serial}/notice", self._arrived)
            self._devices.append(device)
            await asyncio.get_running_loop().create_connection(lambda made=device: made, "127.0.0.1", self._port)  # type: ignore[misc]
            await device.ready

    async def __aexit__(self, *error: object) -> None:
        for device in self._devices:
            device.close()
        await asyncio.sleep(0)  # the transports close in the next turn
