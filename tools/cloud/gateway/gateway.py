"""The composition root: the parts of the gateway as one process, or inside another one's event loop."""

import asyncio
import contextlib
import logging
import secrets
import ssl
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import TracebackType

import aiohttp
from aiohttp import web

from tools.cloud import https
from tools.cloud.broker import Broker
from tools.cloud.clock import scaled
from tools.cloud.gateway import api, chores, memory, schema, tls, tokens
from tools.cloud.gateway.adapters import Surroundings, known
from tools.cloud.gateway.adapters.webhook import signer_of
from tools.cloud.gateway.caps import Amount, Caps
from tools.cloud.gateway.chores import Holds
from tools.cloud.gateway.links import Links
from tools.cloud.gateway.memory import Memory
from tools.cloud.gateway.messages import Messenger
from tools.cloud.gateway.metrics import Metrics
from tools.cloud.gateway.notices import Notices
from tools.cloud.gateway.pages import Pages
from tools.cloud.gateway.people import People
from tools.cloud.gateway.rate import Rate
from tools.cloud.gateway.service import Rules, Service
from tools.cloud.gateway.settings import CapsSettings, HTTPSettings, MessagesSettings, Settings, open_directory
from tools.cloud.gateway.shops import Shop, Shops
from tools.cloud.relay import broker_context, listening, named

LOG = logging.getLogger("gateway")

_DAY_S = 86_400
# At a clean end, for the calls that came in: the shop's limit several times over.
END_LIMIT_S = 30


def caps(given: CapsSettings) -> Caps:
    """The settings' numbers."""
    return Caps(
        Amount(given.device_orders, given.device_packs, Decimal(given.device_spend)),
        Amount(given.customer_orders, given.customer_packs, Decimal(given.customer_spend)),
    )


def server_context(given: HTTPSettings) -> ssl.SSLContext | None:
    """TLS that takes a client certificate of the maker's authority, if one is given, and asks nobody for one who has none:
    customers' browsers come in by the same door."""
    if given.plain or given.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(given.certificate, given.key)
    if given.client_ca:
        context.load_verify_locations(given.client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


class Gateway:
    """`async with Gateway(settings) as gateway:` runs it until the block ends; then what is in hand is finished.

    `url` is where devices call and browsers answer; `admin_url` has /live, /health and /metrics.
    """

    def __init__(self, settings: Settings, now: Callable[[], float] | None = None) -> None:
        """`now` is the clock in Unix seconds, in place of the one of the settings."""
        self.settings = settings
        self.metrics = Metrics()
        self.url = ""
        self.admin_url = ""
        self.now = now or scaled(settings.clock.scale_from, settings.clock.time_scale)
        self.directory = open_directory(settings)
        mqtt = settings.mqtt
        if mqtt.client_id is None:
            mqtt = replace(mqtt, client_id=f"gateway-{secrets.token_hex(6)}")
        self.broker = Broker(
            mqtt,
            broker_context(mqtt),
            self._broker_changed,
            listen=memory.listens_to(mqtt.prefix),
            on_message=lambda topic, payload: self.memory.hear(topic, payload),
        )
        self.memory = Memory(self.broker, mqtt.prefix, mqtt.publish_limit_s)
        self.notices = Notices(self.broker, mqtt.prefix, self.now, lambda result: self.metrics.notices.labels(result).inc())
        self.holds = Holds(self.directory, self.now, self.notices.tell)
        self.metrics.held.set_function(lambda: len(self.holds))
        self.metrics.remembered.set_function(lambda: len(self.memory))
        self.metrics.malformed.set_function(lambda: self.memory.malformed)

    def _broker_changed(self, connected: bool) -> None:
        self.metrics.connection(connected)
        if connected:
            self.memory.connected()

    async def __aenter__(self) -> "Gateway":
        async with contextlib.AsyncExitStack() as stack:
            await self._start_admin(stack)
            await stack.enter_async_context(self.broker)
            self.service = await self._service(stack)
            await self._start_server(stack)
            self._start_chores(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stack.aclose()

    async def _start_admin(self, stack: contextlib.AsyncExitStack) -> None:
        given = self.settings.admin
        app = https.admin_application(self.metrics.text, lambda: self.broker.connected)
        self.admin_url = f"http://{named(given.bind)}:{await listening(stack, app, given.bind, given.port, None, END_LIMIT_S)}"

    async def _service(self, stack: contextlib.AsyncExitStack) -> Service:
        given = self.settings.gateway
        around = Surroundings(self.now, self.memory, given.question_s)
        current, *former = [await self._shop(stack, name, around) for name in dict.fromkeys([given.adapter, *given.former])]
        rules = Rules(caps(self.settings.caps), given.hold_s, given.question_s, given.settle_s)
        service = Service(self.directory, Shops(current, former), self.memory, rules, self.now, held=self.holds.watch)
        if self.settings.messages:
            service.tell = (await self._people(stack, service, self.settings.messages)).tell
        return service

    async def _shop(self, stack: contextlib.AsyncExitStack, name: str, around: Surroundings) -> Shop:
        opened = known.module(name).opened(self.settings.adapters[name], self.settings.adapter_secrets[name], around)
        return Shop(await stack.enter_async_context(opened), self.now, self.metrics.shop)

    async def _people(self, stack: contextlib.AsyncExitStack, service: Service, given: MessagesSettings) -> People:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=tls.connector(Path(given.ca) if given.ca else None)))
        links = Links(self.settings.page_keys)
        public_url = self.settings.gateway.public_url or ""
        messenger = Messenger(session, given.url, signer_of(given.key), given.limit_s, links, public_url)
        people = People(messenger, self.memory, self.now, service.link, lambda result: self.metrics.messages.labels(result).inc())
        stack.push_async_callback(people.close)
        return people

    async def _start_server(self, stack: contextlib.AsyncExitStack) -> None:
        given = self.settings.http
        app = web.Application(client_max_size=given.max_body_bytes, middlewares=[api.plain_failures])
        app.add_routes(self._routes())
        context = server_context(given)
        port = await listening(stack, app, given.bind, given.port, context, END_LIMIT_S)
        self.url = f"{'https' if context else 'http'}://{named(given.bind)}:{port}"

    def _routes(self) -> list[web.RouteDef]:
        doorkeeper = api.Doorkeeper(self.directory, self._verifier(), Rate(self.settings.gateway.calls_per_minute), self.now)
        routes = api.API(self.service, doorkeeper, self.notices, self.metrics).routes()
        document = schema.document(self.settings.gateway.public_url)

        async def describe(request: web.Request) -> web.Response:
            return web.json_response(document)

        routes.append(web.get("/openapi.json", describe))
        if self.settings.page_keys:
            links = Links(self.settings.page_keys)
            routes += Pages(self.service, self.directory, links, self.notices, self.metrics, self.now).routes()
        return routes

    def _verifier(self) -> tokens.Verifier | None:
        given = self.settings.tokens
        if given is None:
            return None
        return tokens.Verifier([tokens.public_key(Path(name).read_bytes()) for name in given.keys], given.issuer)

    def _start_chores(self, stack: contextlib.AsyncExitStack) -> None:
        keep_s = self.settings.gateway.keep_days * _DAY_S
        task = asyncio.create_task(chores.run(self.service, self.holds, self.memory, self.directory, self.now, keep_s))
        stack.callback(task.cancel)


async def run_until(settings: Settings, stop: asyncio.Event, started: Callable[[Gateway], None]) -> None:
    """Run a gateway until `stop` is set."""
    async with Gateway(settings) as gateway:
        started(gateway)
        await stop.wait()
        LOG.info("stopping: nothing more is accepted")
