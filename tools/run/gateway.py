"""The maker's gateway of a run: it orders at the simulated Buy with Prime store, and its messages reach the household.

Everything is real: the gateway and the relay with their settings in files, TLS, a signed token for the device, signed messages and
events; only the broker is a small one, and all share a process.
"""

import asyncio
import contextlib
import json
import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tools.cloud.buywithprime.events import SUBSCRIBED
from tools.cloud.gateway import settings as gateway_settings
from tools.cloud.gateway import tokens
from tools.cloud.gateway.gateway import Gateway as MakersGateway
from tools.cloud.relay import Relay
from tools.cloud.settings import EventBridgeSettings
from tools.ports import free_port
from tools.run import appliance, gateway_summary
from tools.run.appliance import HOLD_S, SERIAL
from tools.run.backend import Backend, Files
from tools.run.broker import Broker
from tools.run.cloud import RELAY, relay_settings
from tools.run.events import Event, Source
from tools.run.household import Household
from tools.run.person import Browser, PageError
from tools.run.story import STORIES
from tools.run.summary import Ending, Facts, Tally
from tools.simulator import Simulator
from tools.simulator.buywithprime.orders import Execution, Order
from tools.simulator.buywithprime.store import StoreEvent
from tools.simulator.buywithprime.token import CLIENT_ID, CLIENT_SECRET
from tools.simulator.calls import Call
from tools.simulator.subscriptions import DeliveryState, TopicDelivery
from tools.simulator.tls import Authority

# In the cloud's folder: the last page on which the person answered.
PAGE_FILE = "page.html"
_GATEWAY = "gateway"
_DAY_S = 86_400
# The longest life of the store's access tokens: two seconds at the usual speed. Then the gateway's client gets another one.
_ACCESS_TOKEN_S = _DAY_S
_TIMINGS = {
    "ship_after_s": _DAY_S // 2,
    "deliver_after_s": 2 * _DAY_S,
    "drop_off_after_s": _DAY_S,
    "return_deliver_s": 2 * _DAY_S,
    "grade_after_s": _DAY_S // 2,
}
_CALLS_PER_MINUTE = 10_000  # a virtual minute is 1.4 ms

_GATEWAY_TOML = """\
secrets = "secrets.toml"
[gateway]
adapter = "buy_with_prime"
directory = ["directory.toml"]
hold_s = {hold_s}
calls_per_minute = {calls_per_minute}
public_url = "https://localhost:{port}"
[http]
bind = "127.0.0.1"
port = {port}
certificate = "server.pem"
key = "server.key"
[tokens]
keys = ["devices.pub"]
[messages]
url = {messages}
ca = {ca}
[mqtt]
host = "localhost"
port = {broker}
ca = {ca}
user = "gateway"
[admin]
port = 0
[buy_with_prime]
target_id = {target_id}
url = "{store}/graphql"
token_url = "{store}/token"
ca = {store_ca}
"""
_SECRETS_TOML = """\
mqtt_password = {password}
page_keys = [{page_key}]
messages_key = {messages_key}
[buy_with_prime]
client_id = {client_id}
client_secret = {client_secret}
"""
_DIRECTORY_TOML = """\
[customers.ada]
name = "Ada"
email = "ada@example.com"
payment = "card on file"
[customers.ada.address]
street = "1 Main St"
locality = "Springfield"
region = "IL"
postal_code = "62701"
[customers.ada.devices.{serial}]
"""
_ITEM_TOML = '{slot} = {{sku = "ACME-{slot}", title = "{title}", price = "12.99"}}\n'

# The store's own events, as a run calls them; what else it tells is no news to anybody at home.
_KINDS = {
    "PACKAGE_DELIVERY_IN_TRANSIT": "shipped",
    "PACKAGE_DELIVERED": "delivered",
    "PACKAGE_DELIVERY_CANCELLED": "cancelled",
    "RETURN_STARTED": "return started",
    "RETURN_PACKAGE_IN_TRANSIT": "return in transit",
    "RETURN_PACKAGE_DELIVERED": "return delivered",
    "RETURN_ITEM_GRADED": "graded",
    "RETURN_COMPLETED": "return completed",
}
_SOLD_OUT = ("ItemOutOfStock", "SelectedQuantityNotAvailable")


@dataclass
class Address:
    """Where the appliance finds gateway and broker, with what it proves itself there, and who hears of the messages to the customer."""

    url: str
    token: str
    broker: int  # 0: no notices
    password: str
    authority: Authority
    on_message: Callable[[dict[str, Any]], None]


@contextlib.contextmanager
def _logged(file: Path) -> Iterator[None]:
    """What gateway and relay log goes to the file, not between the lines of the story."""
    handler = logging.FileHandler(file, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in ("gateway", "relay")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()


@contextlib.asynccontextmanager
async def _cloud(sim: Simulator, folder: Path, notices: bool) -> AsyncIterator[Address]:
    """A broker, the gateway, the service that sends its messages and, with notices, the relay that hears the store's events. Raises
    BrokerError and SettingsError."""
    sim.settings.change(bwp_token_s=_ACCESS_TOKEN_S)
    authority = Authority(folder)
    passwords = {user: secrets.token_urlsafe(16) for user in (SERIAL, RELAY, _GATEWAY)}
    key = tokens.new_key("EdDSA")
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_logged(folder / "cloud.log"))
        broker = await stack.enter_async_context(Broker(folder / "broker", passwords, authority))
        token = tokens.issue(key, SERIAL, sim.clock.now())
        address = Address("", token, broker.port if notices else 0, passwords[SERIAL], authority, lambda message: None)
        messages = await _mailer(stack, authority, address)
        path = _write_gateway(sim, folder / "gateway", authority, broker.port, passwords[_GATEWAY], messages)
        (path.parent / "devices.pub").write_bytes(tokens.public_pem(key))
        gateway = await stack.enter_async_context(MakersGateway(gateway_settings.read(path), sim.clock.now))
        await gateway.broker.wait_connected()
        address.url = gateway.url
        if notices:
            api_key = secrets.token_urlsafe(32)
            events = EventBridgeSettings(gateway=str(path), key=api_key)
            heard = relay_settings(sim, folder, authority, broker.port, passwords[RELAY], events)
            relay = await stack.enter_async_context(Relay(heard, sim.clock.now))
            sim.bus.add_target(str(relay.events_url), authority.pem, api_key, types=SUBSCRIBED)
        yield address


async def _mailer(stack: contextlib.AsyncExitStack, authority: Authority, address: Address) -> str:
    """The maker's service that sends messages to customers; returns its URL."""

    sent: set[str] = set()

    async def send(request: web.Request) -> web.Response:
        key = request.headers["Idempotency-Key"]
        if key not in sent:
            sent.add(key)
            address.on_message(await request.json())
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/send", send)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.server_context()).start()
    return f"https://localhost:{runner.addresses[0][1]}/send"


def _write_gateway(sim: Simulator, folder: Path, authority: Authority, broker: int, password: str, messages: str) -> Path:
    """The gateway's files; returns its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    authority.write_server(folder)
    texts = {
        "ca": authority.pem.resolve(),
        "store_ca": sim.ca_pem.resolve(),
        "messages": messages,
        "target_id": sim.store.target_id,
        "password": password,
        "page_key": secrets.token_urlsafe(48),
        "messages_key": secrets.token_urlsafe(48),
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }
    # A JSON string is a TOML string.
    values: dict[str, Any] = {name: json.dumps(str(value)) for name, value in texts.items()}
    values |= {"port": free_port(), "broker": broker, "store": sim.url, "hold_s": HOLD_S, "calls_per_minute": _CALLS_PER_MINUTE}
    (folder / "gateway.toml").write_text(_GATEWAY_TOML.format(**values), encoding="utf-8")
    (folder / "secrets.toml").touch(mode=0o600)
    (folder / "secrets.toml").write_text(_SECRETS_TOML.format(**values), encoding="utf-8")
    items = "".join(_ITEM_TOML.format(slot=consumable.id, title=consumable.title) for consumable in STORIES["gateway"].consumables)
    (folder / "directory.toml").write_text(_DIRECTORY_TOML.format(serial=SERIAL) + items, encoding="utf-8")
    return folder / "gateway.toml"


class Gateway(Backend):
    """The maker's gateway, and the store behind it."""

    story = STORIES["gateway"]

    def __init__(self, sim: Simulator, put: Callable[[Event], None], household: Household, address: Address) -> None:
        super().__init__(sim, put, household)
        self._address = address
        self._told: dict[str, str] = {}
        self._answers: set[asyncio.Task[None]] = set()
        self._page = address.authority.pem.with_name(PAGE_FILE)
        self._consumables = {consumable.id: consumable for consumable in self.story.consumables}
        sim.store.set_timings(**_TIMINGS)
        for consumable in self.story.consumables:
            sim.store.put_product(f"ACME-{consumable.id}", title=consumable.title, stock=consumable.stock)
        address.on_message = self._on_message
        sim.calls.subscribe(self._on_call)
        sim.store.events.subscribe(self._on_store)
        sim.bus.deliveries.subscribe(self._on_delivery)

    @staticmethod
    def cloud(sim: Simulator, folder: Path, notices: bool) -> AbstractAsyncContextManager[Address]:
        return _cloud(sim, folder, notices)

    def files(self) -> Files:
        address = self._address
        ca = address.authority.der.resolve()
        config = appliance.gateway_configuration(self.story.consumables, address.url, [ca], self.clock, address.broker)
        secrets = {"gateway_token": address.token}
        return config, {**secrets, "mqtt_password": address.password} if address.broker else secrets

    def advance(self) -> int:
        return self.sim.store.advance()

    def act(self, event: Event) -> None:
        if event.kind == "sent back":
            self.put(event)
            order = next(order for order in reversed(self.sim.store.orders()) if self._slot(order) == event.slot)
            self.sim.store.start_return(order.id)
        elif event.kind == "opens":
            task = asyncio.create_task(self._answer(str(event.slot), str(event.fields["link"])))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)
        else:
            self.put(event)

    async def settle(self) -> None:
        if self._answers:
            await asyncio.wait(self._answers)

    def report(self, tally: Tally, ending: Ending, facts: Facts) -> dict[str, Any]:
        calls: dict[str, Counter[str]] = {}
        for call in self.sim.calls:
            calls.setdefault(_name(call), Counter())[call.outcome] += 1
        intents = Counter(_intent(order) for order in self.sim.store.orders())
        return gateway_summary.report(tally, gateway_summary.Ledger(calls, self.sim.connections.count, intents), ending, facts)

    async def _answer(self, slot: str, link: str) -> None:
        """The person opens the page of a question, and says yes."""
        try:
            async with Browser(self._address.authority.pem) as browser:
                page = await browser.open(link)
                self._page.write_text(page.text, encoding="utf-8")
                self._person("answered", slot, page=page.title, button=page.buttons["yes"])
                became = await browser.press(link, "yes")
                self._person("reads", slot, page=became.title)
        except (PageError, aiohttp.ClientError, TimeoutError) as error:
            self._person("gives up", slot, why=str(error) or type(error).__name__)

    def _person(self, kind: str, slot: str, **fields: object) -> None:
        self.put(Event(self.sim.clock.now(), Source.PERSON, kind, slot, fields))

    def _on_message(self, message: dict[str, Any]) -> None:
        now = self.sim.clock.now()
        slot = self._slot_of(message["intent_id"])
        fields = {"kind": message["kind"], "subject": message["subject"]}
        self.put(Event(now, Source.CLOUD, "asked" if message["kind"] == "stock" else "message", slot, fields))
        if slot and message["kind"] == "stock":
            self.household.asked(slot, now, message["link"])

    def _on_call(self, call: Call) -> None:
        if not call.endpoint.startswith("bwp_") or call.sent == "pending":  # pending: announced again when the answer is out
            return
        intent = _asked_intent(call)
        slot = self._slot_of(intent) if intent else None
        fields = {"endpoint": _name(call), "status": call.status, "outcome": call.outcome, "ms": call.ms}
        self.put(Event(call.time, Source.SERVICE, "call", slot, fields))
        if call.operation == "createOrder" and call.outcome in _SOLD_OUT:
            self.put(Event(call.time, Source.SERVICE, "sold out", slot, {"code": call.outcome, "intent": intent}))
        elif call.operation in ("createOrder", "updateOrder", "cancelOrder"):
            self._look(call.time)

    def _look(self, now: int) -> None:
        """Tell what a call has made of the orders: of that the store makes no events."""
        for order in self.sim.store.orders():
            if order.id not in self._told:
                self._told[order.id] = "accepted"
                self._tell(order.created_at, "accepted", order, **self._amount(order))
            if order.execution is Execution.STARTED and self._told[order.id] == "accepted":
                self._told[order.id] = "started"
                self._tell(now, "started", order)

    def _amount(self, order: Order) -> dict[str, object]:
        packs = _packs(order)
        consumable = self._consumables.get(self._slot(order) or "")
        return {"intent": _intent(order), "packs": packs, "fewer": consumable is not None and packs < consumable.packs}

    def _on_store(self, event: StoreEvent) -> None:
        order = self.sim.store.known(event.order_id)
        if event.type not in _KINDS:
            return
        fields = {}
        if event.type == "RETURN_ITEM_GRADED":
            fields["found"] = ", ".join(word for made in order.returns for line in made.lines for word in line.grades)
        self._tell(event.time, _KINDS[event.type], order, **fields)
        if event.type == "PACKAGE_DELIVERED":
            self._arrived(event.time, order)

    def _arrived(self, time: int, order: Order) -> None:
        slot = self._slot(order)
        if slot in self._consumables:
            self.household.delivered(slot, time, self._consumables[slot].brings(_packs(order)))
            product = self.sim.store.put_product(f"ACME-{slot}")
            if product.stock == 0:
                self.sim.store.put_product(product.sku, stock=None)
                self._tell(time, "restocked", order)

    def _on_delivery(self, delivery: TopicDelivery) -> None:
        order_id = next((order_id for order_id in self._told if order_id in delivery.body), None)
        if order_id and delivery.state is DeliveryState.DELIVERED:  # a carrier's milestone names no order, and is for no device
            self.tell_delivery(delivery, self._slot(self.sim.store.known(order_id)))

    def _tell(self, time: int, kind: str, order: Order, **fields: object) -> None:
        self.put(Event(time, Source.SERVICE, kind, self._slot(order), {**fields, "order_id": order.id}))

    def _slot(self, order: Order) -> str | None:
        return self._slot_of(_intent(order))

    def _slot_of(self, intent: str) -> str | None:
        return next((slot for slot in self._consumables if intent.rpartition("-")[0] == f"{SERIAL}-{slot}"), None)


def _intent(order: Order) -> str:
    """The alias that an order was made with."""
    return next((alias.id for alias in order.aliases), "")


def _packs(order: Order) -> int:
    return sum(line.amount for line in order.lines)


def _name(call: Call) -> str:
    """What was called, as the store names it."""
    return call.operation or ("token" if call.endpoint == "bwp_token" else call.endpoint)


def _asked_intent(call: Call) -> str | None:
    """The intent that a call of GraphQL speaks of, if it does by name."""
    try:
        given = json.loads(call.body)["variables"]
        alias = given["input"]["aliases"][0] if call.operation == "createOrder" else next(iter(given["orderIdentifier"].values()))
        return str(alias["aliasId"])
    except (ValueError, LookupError, TypeError):
        return None
