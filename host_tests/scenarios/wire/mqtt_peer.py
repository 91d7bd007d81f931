"""A broker that misbehaves at an exact byte: peer.py, speaking MQTT instead of HTTP.

It has one notice for the device, which it gives behind the answer to the second subscription.
"""

from __future__ import annotations

from collections.abc import Iterator

from host_tests.fakes.broker import CONNECT, DISCONNECT, PINGREQ, PUBACK, PUBLISH, SUBSCRIBE, message, packet
from host_tests.scenarios.wire.peer import Connection, Server

TOPIC = b"replenish/SN1/"
NOTICE = b"a notice"
_SUBSCRIPTIONS = 2


class BrokerConnection(Connection):
    """`requests` of the ledger are the packets that came. An answer is a TLS record of its own."""

    _at = 0  # of what came: where the first packet begins that has no answer
    _subscribed = 0

    def _turn(self) -> None:
        data = self._receive(self._allowed("in"))
        if self._fault.plain:
            self._ledger.request.extend(data)
        else:
            self._send(self._tls.feed(data))
        for kind, body in self._packets():
            self._ledger.requests += 1
            for answer in self._answers(kind, body):
                self._answer((answer,))
        self._cut_when_reached()

    def _packets(self) -> Iterator[tuple[int, bytes]]:
        came = self._ledger.request
        while len(came) >= self._at + 2:
            size = came[self._at + 1]
            assert size < 128, "the device has nothing to say that is longer"
            end = self._at + 2 + size
            if len(came) < end:
                return
            kind, body = came[self._at], bytes(came[self._at + 2 : end])
            self._at = end
            yield kind, body

    def _answers(self, kind: int, body: bytes) -> Iterator[bytes]:
        if kind == CONNECT:
            yield packet(0x20, b"\0\0")
        elif kind == SUBSCRIBE | 2:
            yield packet(0x90, body[:2] + b"\x01")
            self._subscribed += 1
            if self._subscribed == _SUBSCRIPTIONS:
                yield message(TOPIC + b"notice", NOTICE)
        elif kind == PINGREQ:
            yield packet(0xD0, b"")
        elif kind & 0xF0 == PUBLISH:
            topic = body[0] << 8 | body[1]
            yield packet(PUBACK, body[2 + topic : 4 + topic])
        else:
            assert kind in (PUBACK, DISCONNECT), kind


class Broker(Server):
    connection = BrokerConnection
