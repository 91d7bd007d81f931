"""An MQTT client for a synchronous test: what arrives is collected, and every wait has a deadline."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

DEADLINE_S = 20.0
RECONNECT_S = 0.05
_FAILED = 0x80  # a reason code from here on is a refusal

Found = TypeVar("Found")


class Refused(Exception):
    """The broker said no; the message is its reason."""


@dataclass(frozen=True)
class Message:
    """A message that arrived; retained: it was there before we subscribed."""

    topic: str
    payload: bytes
    qos: int
    retained: bool
    duplicate: bool

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Client:
    """A connected client. After a lost connection it connects again by itself and subscribes again to what it had."""

    def __init__(
        self,
        port: int,
        user: str,
        password: str | None,
        client_id: str = "",
        clean: bool = True,
        ca: Path | None = None,
        certificate: Path | None = None,
        will: tuple[str, bytes] | None = None,
    ) -> None:
        """client_id: "" for one that the broker makes up; clean: no session is kept; ca: PEM, None for no TLS; certificate: a
        PEM with key and chain; will: topic and payload. Raises Refused, or OSError when nobody is there."""
        self.messages: list[Message] = []
        self.session_present = False
        self._news = threading.Condition()
        self.connections = 0  # how often it was let in and had all its subscriptions
        self._answer: Any = None
        self._subscriptions: dict[str, int] = {}
        self._again: int | None = None  # the packet that subscribes again
        self._granted: dict[int, list[Any]] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id, clean_session=clean)
        self._client.username_pw_set(user, password)
        self._client.reconnect_delay_set(RECONNECT_S, RECONNECT_S)  # type: ignore[arg-type]  # declared int, taken as it is
        if will:
            self._client.will_set(*will, qos=1, retain=True)
        if ca:
            context = ssl.create_default_context(cafile=str(ca))
            if certificate:
                context.load_cert_chain(certificate)
            self._client.tls_set_context(context)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._connect(port)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _connect(self, port: int) -> None:
        self._client.connect("127.0.0.1", port, keepalive=60)
        self._client.loop_start()
        try:
            answer = self.wait(lambda: self._answer, "an answer to CONNECT")
        except AssertionError:
            self.close()
            raise
        if answer.is_failure:
            self.close()
            raise Refused(str(answer))

    def close(self) -> None:
        """Disconnect properly (no will is sent) and end the thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def cut(self) -> None:
        """Break the connection without a goodbye, and stay away: the broker publishes the will."""
        connection = self._client.socket()
        assert isinstance(connection, socket.socket), "not connected"
        # Not the TLS socket's own, which would say goodbye.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
        self.close()

    # What paho's thread tells

    def _on_connect(self, client: paho.Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._news:
            self._answer = reason
            self.session_present = flags.session_present
            if self._subscriptions and not reason.is_failure:
                self._again = client.subscribe(list(self._subscriptions.items()))[1]
            else:
                self.connections += 1
            self._news.notify_all()

    def _on_disconnect(self, client: paho.Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._news:
            if self._answer is None:  # closed instead of answered
                self._answer = reason
            self._news.notify_all()

    def _on_subscribe(self, client: paho.Client, data: Any, number: int, reasons: list[Any], properties: Any) -> None:
        with self._news:
            if number == self._again:
                self.connections += 1
            else:
                self._granted[number] = reasons
            self._news.notify_all()

    def _on_message(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        with self._news:
            self.messages.append(Message(message.topic, bytes(message.payload), message.qos, message.retain, message.dup))
            self._news.notify_all()

    # What a test does

    def subscribe(self, topic: str, qos: int = 1) -> None:
        """Returns when the broker has granted it. Raises Refused."""
        self._subscriptions[topic] = qos
        _, number = self._client.subscribe(topic, qos)
        assert number is not None, "not connected"
        reasons = self.wait(lambda: self._granted.pop(number, None), f"an answer to SUBSCRIBE {topic}")
        if any(reason.value >= _FAILED for reason in reasons):
            raise Refused(f"SUBSCRIBE {topic}: {reasons[0]}")

    def publish(self, topic: str, payload: bytes | str | dict[str, Any], qos: int = 1, retain: bool = False) -> None:
        """Returns when the broker has acknowledged it; not for what its rules forbid."""
        sent = self.publish_later(topic, payload, qos, retain)
        sent.wait_for_publish(DEADLINE_S)
        assert sent.is_published(), f"no acknowledgement of {topic}"

    def publish_later(
        self, topic: str, payload: bytes | str | dict[str, Any], qos: int = 1, retain: bool = False
    ) -> paho.MQTTMessageInfo:
        """Hand it to the thread that sends; for many messages at once."""
        return self._client.publish(topic, json.dumps(payload) if isinstance(payload, dict) else payload, qos, retain)

    def on(self, topic: str) -> list[Message]:
        """What has arrived on a topic, or on topics by a filter with + and #, oldest first."""
        with self._news:
            return [message for message in self.messages if paho.topic_matches_sub(topic, message.topic)]

    def expect(
        self,
        topic: str,
        condition: Callable[[Message], bool] = lambda message: True,
        count: int = 1,
        deadline_s: float = DEADLINE_S,
    ) -> Message:
        """The message of this topic or filter with which so many have met the condition. Waits for it."""

        def find() -> Message | None:
            found = [message for message in self.on(topic) if condition(message)]
            return found[count - 1] if len(found) >= count else None

        return self.wait(find, f"message {count} on {topic}", deadline_s)

    def wait(self, find: Callable[[], Found | None], what: str, deadline_s: float = DEADLINE_S) -> Found:
        """Look whenever something has arrived until `find` gives something; AssertionError after the deadline."""
        end = time.monotonic() + deadline_s
        with self._news:
            while (found := find()) is None:
                left = end - time.monotonic()
                assert left > 0, f"{what}: not within {deadline_s:g} s; last: {self.messages[-3:]}"
                self._news.wait(left)
        return found
