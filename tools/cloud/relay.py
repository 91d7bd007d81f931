"""The composition root: the parts of the relay as one process, or inside another one's event loop."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from aiohttp import web
from cryptography import x509

from tools.cloud import events, https, sns
from tools.cloud.broker import Broker
from tools.cloud.certificates import Certificates
from tools.cloud.clock import scaled
from tools.cloud.fetch import Fetcher
from tools.cloud.handler import Handler
from tools.cloud.metrics import Metrics
from tools.cloud.seen import Seen
from tools.cloud.settings import HTTPSettings, MQTTSettings, Settings

LOG = logging.getLogger("relay")


def authorities(ca: str | None) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(Path(ca).read_bytes()) if ca else []


def broker_context(settings: MQTTSettings) -> ssl.SSLContext | None:
    """Verified TLS to the broker, with our own certificate if it wants one."""
    if not settings.tls:
        return None
    context = ssl.create_default_context(cafile=settings.ca)
    if settings.certificate:
        context.load_cert_chain(settings.certificate, settings.key)
    return context


def server_context(settings: HTTPSettings) -> ssl.SSLContext | None:
    if settings.plain or settings.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.certificate, settings.key)
    return context


class Relay:
    """`async with Relay(settings) as relay:` runs it until the block ends; then what is in hand is finished.

    `url` is what SNS subscribes, None without the way in by HTTPS; `events_url` is what an API destination of EventBridge posts
    to, None without its section; `admin_url` has /live, /health and /metrics.
    """

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], float] | None = None,
        translations: events.Translations = events.NO_TRANSLATIONS,
    ) -> None:
        """`now` is the clock of the messages in Unix seconds, in place of the one of the settings; `translations` are beside the one
        that `eventbridge.gateway` opens."""
        self.settings = settings
        self.metrics = Metrics()
        self.url: str | None = None
        self.events_url: str | None = None
        self._translations = dict(translations)
        self.admin_url = ""
        trusted = settings.sns
        self._now = now or scaled(settings.clock.scale_from, settings.clock.time_scale)
        self.broker = Broker(settings.mqtt, broker_context(settings.mqtt), self.metrics.connection, self.metrics.acknowledged)
        self._fetcher = Fetcher(ssl.create_default_context(cafile=trusted.ca))
        self._seen = Seen(trusted.remember, self._longest_age_s() + trusted.max_ahead_s)
        self.handler = Handler(
            sns.Trust(frozenset(trusted.topics), frozenset(host.removesuffix(":443") for host in trusted.hosts), trusted.max_ahead_s),
            Certificates(self._fetcher.get, authorities(trusted.ca), lambda result: self.metrics.fetches.labels(result).inc()),
            self.broker.publish,
            self._fetcher.get,
            self._seen,
            self._now,
            settings.mqtt.prefix,
            self.metrics.outcome,
            trusted.max_in_hand,
            self._translations,
        )
        self.metrics.in_hand.set_function(lambda: self.handler.in_hand)
        self.metrics.in_flight.set_function(lambda: self.broker.in_flight)
        self.metrics.remembered.set_function(lambda: len(self._seen))
        self.metrics.forgotten.set_function(lambda: self._seen.forgotten_early)

    def _longest_age_s(self) -> int:
        """An older message is refused for its age, so it need not be remembered."""
        return max(self.settings.sns.max_age_s, self.settings.sqs.max_age_s if self.settings.sqs else 0)

    async def __aenter__(self) -> "Relay":
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._fetcher.close)
            await self._start_admin(stack)
            await stack.enter_async_context(self.broker)
            await self._open_translation(stack)
            # Left first, and each way in only when what came in by it is settled: it may have to go out to the broker.
            await self._start_ways_in(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stack.aclose()

    async def _start_admin(self, stack: contextlib.AsyncExitStack) -> None:
        given = self.settings.admin
        app = https.admin_application(self.metrics.text, lambda: self.broker.connected)
        self.admin_url = f"http://{named(given.bind)}:{await self._listen(stack, app, given.bind, given.port, None)}"

    async def _open_translation(self, stack: contextlib.AsyncExitStack) -> None:
        given = self.settings.eventbridge
        if given and given.gateway:
            from tools.cloud.gateway import events as gateway_events  # needs packages that other relays do without
            from tools.cloud.gateway.memory import Memory

            memory = Memory(self.broker, self.settings.mqtt.prefix, self.settings.mqtt.publish_limit_s)
            opened = gateway_events.opened(Path(given.gateway), self._now, memory)
            self._translations[events.BUY_WITH_PRIME] = await stack.enter_async_context(opened)

    async def _start_ways_in(self, stack: contextlib.AsyncExitStack) -> None:
        if given := self.settings.http:
            context = server_context(given)
            app = https.application(self.handler, given, self.settings.sns.max_age_s, self.settings.eventbridge)
            port = await self._listen(stack, app, given.bind, given.port, context)
            origin = f"{'https' if context else 'http'}://{named(given.bind)}:{port}"
            self.url = origin + given.path
            self.events_url = origin + self.settings.eventbridge.path if self.settings.eventbridge else None
        if queue := self.settings.sqs:
            from tools.cloud import sqs  # needs a package that a relay without a queue does without

            await stack.enter_async_context(sqs.receiving(queue, self.handler, self.broker.wait_connected))

    async def _listen(
        self, stack: contextlib.AsyncExitStack, app: web.Application, bind: str, port: int, context: ssl.SSLContext | None
    ) -> int:
        # Thrice publish_limit_s: waiting for a place, for a connection and for PUBACK; and the body before it.
        longest_s = 3 * self.settings.mqtt.publish_limit_s + https.READ_LIMIT_S
        return await listening(stack, app, bind, port, context, longest_s)


async def listening(
    stack: contextlib.AsyncExitStack, app: web.Application, bind: str, port: int, context: ssl.SSLContext | None, longest_s: float
) -> int:
    """The port that it came to listen at; when the stack is left, no more is accepted and what came in has `longest_s` seconds
    to be answered."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=longest_s, lingering_time=https.LINGER_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, bind, port, ssl_context=context).start()
    return int(runner.addresses[0][1])


def named(bind: str) -> str:
    """How to reach a listener from this machine."""
    if bind in ("0.0.0.0", "127.0.0.1", "::"):
        return "localhost"
    return f"[{bind}]" if ":" in bind else bind


async def run_until(settings: Settings, stop: asyncio.Event, started: Callable[[Relay], None]) -> None:
    """Run a relay until `stop` is set."""
    async with Relay(settings) as relay:
        started(relay)
        await stop.wait()
        LOG.info("stopping: nothing more is accepted")
