"""The whole gateway on real sockets: TLS for devices and browsers, mosquitto, and a shop in memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web

from host_tests.cloud.gateway.copies import Clock
from host_tests.cloud.gateway.shop import Adapter, Shop
from host_tests.mqtt.mosquitto import GATEWAY, Mosquitto
from tools.cloud.gateway import tls, tokens
from tools.cloud.gateway.adapters import Surroundings, notify
from tools.cloud.gateway.gateway import Gateway
from tools.cloud.gateway.settings import CapsSettings, GatewaySettings, HTTPSettings, MessagesSettings, Settings, TokensSettings
from tools.cloud.settings import AdminSettings, MQTTSettings

DEADLINE_S = 20
PAGE_KEY = "page-key-" + "p" * 32
MESSAGES_KEY = "messages-key-" + "m" * 20
DIRECTORY = """
[customers.ada]
name = "Ada"
email = "ada@example.com"
payment = "card-of-ada"
[customers.ada.address]
street = "1 Main St"
locality = "Springfield"
region = "IL"
postal_code = "62701"
[customers.ada.devices.SN0001]
Coffee = {sku = "COFFEE-1", title = "Coffee beans", price = "12.50", order_link = "https://shop.example.com/coffee?a=1&b=2"}
Water-Filter = {sku = "FILTER-1", title = "Filter <small>", price = "4.00", subscribed = false}
[customers.ada.devices.SN0002]
Coffee = {sku = "COFFEE-1", title = "Coffee beans", price = "12.50"}
"""
FIRST = "SN0001-Coffee-1"
ORDER = {"intent_id": FIRST, "slot": "Coffee", "quantity": 2, "reason": "low"}


class Mailer:
    """The maker's service that sends messages: keeps them."""

    def __init__(self) -> None:
        self.got: list[tuple[Mapping[str, str], bytes]] = []
        self.status = 202
        self.url = ""

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status)

    async def serve(self, stack: contextlib.AsyncExitStack) -> None:
        app = web.Application()
        app.router.add_post("/send", self.take)
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/send"


@dataclass
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str]


class House:
    """`call` is a device's call, `gateways` the copies that run."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        self.folder = folder
        self.broker = broker
        self.clock = Clock()
        self.shop = Shop(self.clock.now)
        self.adapter = Adapter(self.shop)
        self.mailer = Mailer()
        self.authority = trustme.CA()
        self.key = tokens.new_key("EdDSA")
        self.old_key = tokens.new_key("ES256")
        self.gateways: list[Gateway] = []
        self.loop: asyncio.AbstractEventLoop | None = None
        self._write()

    def _write(self) -> None:
        self.authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        issued = self.authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(str(self.folder / "server.pem"))
        (self.folder / "directory.toml").write_text(DIRECTORY)
        (self.folder / "new.pub").write_bytes(tokens.public_pem(self.key))
        (self.folder / "old.pub").write_bytes(tokens.public_pem(self.old_key))

    def settings(self) -> Settings:
        server = str(self.folder / "server.pem")
        return Settings(
            GatewaySettings("memory", [str(self.folder / "directory.toml")], public_url="https://gateway.example.com"),
            MQTTSettings("localhost", self.broker.service_port, ca=str(self.broker.ca_pem), user=GATEWAY,
                         password=self.broker.passwords[GATEWAY]),
            HTTPSettings("127.0.0.1", 0, server, server, str(self.folder / "ca.pem")),
            CapsSettings(),
            TokensSettings([str(self.folder / "new.pub"), str(self.folder / "old.pub")]),
            MessagesSettings(self.mailer.url, key=MESSAGES_KEY),
            AdminSettings(port=0),
            adapters={"memory": None, "notify": notify.Settings()},
            adapter_secrets={"memory": {}, "notify": {}},
            page_keys=(PAGE_KEY,),
        )  # fmt: skip

    def token(self, serial: str = "SN0001") -> str:
        return tokens.issue(self.key, serial, self.clock.now())

    def trust(self, serial: str | None = None, authority: trustme.CA | None = None) -> ssl.SSLContext:
        """A client's TLS; with a serial it has a certificate."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if serial:
            (authority or self.authority).issue_cert(f"{serial}.example", common_name=serial).configure_cert(context)
        return context

    async def call(self, method: str, path: str, body: Any = None, copy: int = 0, serial: str = "SN0001", **given: Any) -> Answer:
        """`given`: of aiohttp's request; a token of `serial` unless there are headers."""
        given.setdefault("headers", {"Authorization": f"Bearer {self.token(serial)}"})
        given.setdefault("ssl", self.trust())
        if body is not None:
            given["data"] = body if isinstance(body, bytes) else json.dumps(body)
        url = tls.encoded(self.gateways[copy].url + path)
        async with aiohttp.ClientSession() as http, http.request(method, url, **given) as answer:
            text = await answer.text()
            return Answer(answer.status, json.loads(text) if answer.content_type == "application/json" else text, answer.headers)

    def ask(self, *given: Any) -> Answer:
        """`call` from outside the loop that the house runs in."""
        assert self.loop
        return asyncio.run_coroutine_threadsafe(self.call(*given), self.loop).result(DEADLINE_S)

    async def post(self, counter: int = 1, copy: int = 0, **changed: Any) -> Answer:
        return await self.call("POST", "/v1/replenish", {**ORDER, "intent_id": f"SN0001-Coffee-{counter}", **changed}, copy)

    async def metrics(self) -> str:
        async with aiohttp.ClientSession() as http, http.get(f"{self.gateways[0].admin_url}/metrics") as answer:
            return await answer.text()


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


Story = Callable[[House], Awaitable[None]]


@contextlib.asynccontextmanager
async def house(folder: Path, broker: Mosquitto, copies: int, change: Callable[[Settings], Settings]) -> AsyncIterator[House]:
    async with contextlib.AsyncExitStack() as stack:
        found = House(folder, broker)
        await found.mailer.serve(stack)
        stack.enter_context(shop_in_use(found.adapter))
        for _ in range(copies):
            found.gateways.append(await stack.enter_async_context(Gateway(change(found.settings()), found.clock.now)))
        for gateway in found.gateways:
            await gateway.broker.wait_connected()
        yield found


@contextlib.contextmanager
def shop_in_use(adapter: Adapter) -> Any:
    """`memory` names an adapter."""

    @contextlib.asynccontextmanager
    async def opened(settings: object, secrets: object, around: Surroundings) -> AsyncIterator[Adapter]:
        yield adapter

    with pytest.MonkeyPatch.context() as patch:
        module = SimpleNamespace(RULES={}, SECRETS={}, FILES=frozenset(), Settings=None, opened=opened)
        patch.setitem(sys.modules, "tools.cloud.gateway.adapters.memory", module)
        yield


def same(given: Settings) -> Settings:
    return given


def run(
    story: Story, folder: Path, broker: Mosquitto, copies: int = 1, change: Callable[[Settings], Settings] = same,
    limit_s: float = DEADLINE_S,
) -> None:  # fmt: skip
    async def within() -> None:
        async with asyncio.timeout(limit_s), house(folder, broker, copies, change) as made:
            await story(made)

    asyncio.run(within())


@contextlib.contextmanager
def running(folder: Path, broker: Mosquitto, change: Callable[[Settings], Settings] = same) -> Iterator[House]:
    """A house in a thread of its own, for tests that are no coroutines."""
    made: Future[House] = Future()
    over = threading.Event()

    async def story(found: House) -> None:
        found.loop = asyncio.get_running_loop()
        made.set_result(found)
        await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=run, args=(story, folder, broker, 1, change, 600))
    thread.start()
    try:
        yield made.result(DEADLINE_S)
    finally:
        over.set()
        thread.join()
