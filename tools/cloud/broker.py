"""One MQTT connection to the broker, kept up, on which notices are published with QoS 1 and one filter may be listened to."""

import asyncio
import logging
import math
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

import aiomqtt

from tools.cloud.backoff import Backoff
from tools.cloud.outcomes import NotRelayed, Outcome
from tools.cloud.settings import MQTTSettings

LOG = logging.getLogger("relay")

KEEPALIVE_S = 30


def _refused(why: str) -> NotRelayed:
    return NotRelayed(Outcome.BROKER, why)


@dataclass
class _Session:
    """One connection; `lost` is done as soon as it is not to be trusted any more."""

    client: aiomqtt.Client
    lost: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def lose(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    async def publish(self, topic: str, payload: str, retain: bool) -> None:
        """Returns on PUBACK; raises NotRelayed when the connection ends first."""
        sending = asyncio.ensure_future(self.client.publish(topic, payload, qos=1, retain=retain, timeout=math.inf))
        try:
            await asyncio.wait({sending, self.lost}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise _refused("the broker's connection was lost before it acknowledged")
            sending.result()
        except aiomqtt.MqttError as error:
            raise _refused(f"the broker did not take it: {error}") from None
        finally:
            sending.cancel()


class Broker:
    """`async with Broker(...) as broker: await broker.publish(...)`. Connects by itself and again after a loss."""

    def __init__(
        self,
        settings: MQTTSettings,
        context: ssl.SSLContext | None,
        on_change: Callable[[bool], None] = lambda connected: None,
        on_acknowledged: Callable[[float], None] = lambda seconds: None,
        listen: str | None = None,
        on_message: Callable[[str, bytes], None] = lambda topic, payload: None,
    ) -> None:
        """`context` is None for a broker without TLS; `on_change` hears of each connection and loss; `on_message` gets the topic
        and payload of what is published under the filter `listen`, from the retained messages on, after each connection."""
        self._settings = settings
        self._context = context
        self._on_change = on_change
        self._on_acknowledged = on_acknowledged
        self._listen = listen
        self._on_message = on_message
        # Two clients of one name would throw each other out for ever.
        self._client_id = settings.client_id or f"relay-{secrets.token_hex(6)}"
        self._slots = asyncio.Semaphore(settings.in_flight)
        self._session: _Session | None = None
        self._up = asyncio.Event()
        self._stopping = False
        self._backoff = Backoff()
        self.in_flight = 0

    @property
    def connected(self) -> bool:
        return self._session is not None

    async def wait_connected(self) -> None:
        await self._up.wait()

    async def __aenter__(self) -> "Broker":
        self._task = asyncio.create_task(self._keep_connected())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping = True
        self._task.cancel()
        await asyncio.wait([self._task])

    async def publish(self, topic: str, payload: str, retain: bool = False) -> None:
        """Returns when the broker has acknowledged. Raises NotRelayed when the connection is lost, when there is none or no free
        place among those in flight for `publish_limit_s`, or no PUBACK for as long again."""
        limit_s = self._settings.publish_limit_s
        try:
            async with asyncio.timeout(limit_s):
                await self._slots.acquire()
        except TimeoutError:
            raise _refused(f"{self._settings.in_flight} notices are in flight since {limit_s} s") from None
        try:
            await self._publish(await self._connection(), topic, payload, retain)
        finally:
            self._slots.release()

    async def _connection(self) -> _Session:
        limit_s = self._settings.publish_limit_s
        try:
            async with asyncio.timeout(limit_s):
                while self._session is None:
                    await self._up.wait()
                return self._session
        except TimeoutError:
            raise _refused(f"no connection to the broker for {limit_s} s") from None

    async def _publish(self, session: _Session, topic: str, payload: str, retain: bool) -> None:
        started = time.monotonic()
        self.in_flight += 1
        try:
            async with asyncio.timeout(self._settings.publish_limit_s):
                await session.publish(topic, payload, retain)
        except TimeoutError:
            # Its packet id stays taken on this connection, and a broker that is silent for so long may be dead.
            self._give_up(session)
            raise _refused(f"the broker did not acknowledge within {self._settings.publish_limit_s} s") from None
        finally:
            self.in_flight -= 1
        self._on_acknowledged(time.monotonic() - started)

    async def _keep_connected(self) -> None:
        # Not by its cancellation alone, which gets lost: in wait_for of Python 3.11, with which aiomqtt connects, when it comes
        # together with CONNACK; and in a disconnection that fails, whose error takes its place.
        while not self._stopping:
            try:
                async with self._client() as client:
                    if not self._stopping:
                        await self._serve(client)
            except aiomqtt.MqttError as error:
                LOG.warning("no connection to the broker at %s:%d: %s", self._settings.host, self._settings.port, error)
            except Exception:
                LOG.exception("the broker's connection failed")  # all else waits for it, so it is tried again whatever it was
            if not self._stopping:
                await self._backoff.sleep()

    def _client(self) -> aiomqtt.Client:
        given = self._settings
        client = aiomqtt.Client(
            given.host,
            given.port,
            username=given.user,
            password=given.password,
            identifier=self._client_id,
            tls_context=self._context,
            clean_session=True,  # what is heard is retained, and what was not acknowledged comes again from AWS
            keepalive=KEEPALIVE_S,
            max_inflight_messages=given.in_flight,
            # Else a message after an acknowledgement would wait for the peer's own, 40 ms.
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
            timeout=given.publish_limit_s,
            logger=logging.getLogger("relay.mqtt"),
        )
        client.pending_calls_threshold = given.in_flight
        return client

    async def _serve(self, client: aiomqtt.Client) -> None:
        """Until the connection ends, or is given up."""
        if self._listen is not None:
            await client.subscribe(self._listen, qos=1)
        self._session = session = _Session(client)
        self._up.set()
        self._on_change(True)
        LOG.info("connected to the broker at %s:%d", self._settings.host, self._settings.port)
        self._backoff.started()
        try:
            await self._until_lost(session)
        finally:
            self._give_up(session)
            self._on_change(False)
        LOG.warning("the broker's connection was given up: it did not acknowledge in time")

    def _give_up(self, session: _Session) -> None:
        """What is published on it fails at once; what comes next waits for another connection."""
        if self._session is session:
            self._session = None
            self._up.clear()
        session.lose()

    async def _until_lost(self, session: _Session) -> None:
        """Returns when the connection was given up; raises MqttError when it ended by itself."""
        ended = asyncio.ensure_future(self._hear(session.client))
        try:
            await asyncio.wait((ended, session.lost), return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                ended.result()
        finally:
            ended.cancel()

    async def _hear(self, client: aiomqtt.Client) -> None:
        """Raises MqttError when the connection ends; nothing else ends it."""
        async for message in client.messages:
            self._on_message(message.topic.value, bytes(message.payload) if isinstance(message.payload, (bytes, bytearray)) else b"")
