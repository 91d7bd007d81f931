"""The whole service without a socket: a request goes in, a call's record and what to send come out."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from email.utils import formatdate

from tools.simulator import drs as drs_module
from tools.simulator.buywithprime import service as bwp
from tools.simulator.buywithprime.bus import EventBus
from tools.simulator.buywithprime.service import StoreService
from tools.simulator.buywithprime.store import Store
from tools.simulator.buywithprime.token import Tokens
from tools.simulator.calls import Call, CallJournal, Connection, kept_text
from tools.simulator.clock import Clock
from tools.simulator.consent import CONSENT_PATH, ConsentPage
from tools.simulator.drs import DRS, DRSError
from tools.simulator.faults import Fault, FaultQueue
from tools.simulator.faults import parse as parse_fault
from tools.simulator.identifiers import Identifiers
from tools.simulator.journal import EventJournal, Journal
from tools.simulator.lwa import LWA, TOKEN_PATH
from tools.simulator.orders import Order, OrderBook, Scenario, SlotKey, Timings
from tools.simulator.registry import Registry, Slot
from tools.simulator.settings import Settings
from tools.simulator.sns import SNS
from tools.simulator.sns_api import SNSPages
from tools.simulator.sns_api import endpoint as sns_endpoint
from tools.simulator.wire import Request, Response, encode, reason_phrase

DEFAULT_SERIAL = "SN0001"
DEFAULT_MODEL = "acme-brewer-1"
DEFAULT_SLOT = "PaperTowel"
# What a client without any memory would do: ask again every five minutes while its slot is low.
BLIND_INTERVAL_S = 300

ScenarioForm = str | Mapping[str, object] | Scenario


@dataclass
class Delivery:
    """What to send, and how. `whole` is the length that the answer would have had."""

    payload: bytes
    whole: int
    delay_s: float = 0.0
    trickle_s: float = 0.0
    stall: bool = False
    reset: bool = False
    close: bool = False


class World:
    """Devices, tokens, orders, faults and history of one simulated service.

    Its parts may be used directly: `book`, `registry`, `lwa`, `consent`, `drs`, `sns`, `faults`, `settings`,
    `clock`, `calls`, `connections`, `events`, `deliveries`, and of the Buy with Prime store `store`, `tokens`, `bus`,
    `store_service`. Slots are named by the slot's id and, where it is not the default one, the device's serial.
    Methods raise ValueError for what cannot be done and LookupError for what is not
    there; the message is one sentence.
    """

    def __init__(self, clock: Clock | None = None, seed: int = 1, timings: Timings | None = None) -> None:
        self.clock = clock or Clock()
        self.settings = Settings()
        self.calls = CallJournal()
        self.connections: Journal[Connection] = Journal()
        self.events = EventJournal()
        self.faults = FaultQueue(parse_fault, seed)
        self.identifiers = Identifiers(self.settings, seed)
        self.registry = Registry(self.clock, self.events)
        self.lwa = LWA(self.clock, self.identifiers, self.settings)
        self.book = OrderBook(self.clock, self.events, self.identifiers.event_instance_id, timings)
        self.consent = ConsentPage(self.lwa, self.registry, {DEFAULT_SLOT: True})
        self.drs = DRS(self.registry, self.lwa, self.book, self.identifiers, self.settings)
        # Names of its own: orders and tokens are called the same whether or not anybody is notified of them.
        names = Identifiers(self.settings, f"sns {seed}")
        self.sns = SNS(self.clock, self.settings, names, self.registry, self.book, seed)
        self.deliveries = self.sns.deliveries
        self.store = Store(self.clock, self.settings, seed)
        self.bus = EventBus(self.clock, self.settings, self.store, seed)
        self.tokens = Tokens(self.clock, self.settings, Identifiers(self.settings, f"store tokens {seed}"))
        self.store_service = StoreService(self.store, self.bus, self.tokens, self.settings)
        self.bus.select = self.store_service.select
        self._sns_pages = SNSPages(self.sns, names)
        self.events.subscribe(self.sns.hear)

    # What a person, a test or the control interface does.

    def add_device(
        self,
        serial: str = DEFAULT_SERIAL,
        model: str = DEFAULT_MODEL,
        slots: Mapping[str, bool] | None = None,
        test: bool = False,
        public: bool = True,
    ) -> str:
        """Register a device (its slots: id to subscribed) and return its refresh token.

        `test` makes its orders test orders. A device that is not `public` was linked by a web server,
        so its refreshes need the client secret.
        """
        self.registry.register(serial, model, {DEFAULT_SLOT: True} if slots is None else slots, test)
        return self.lwa.link(serial, public)

    def subscribe(self, slot: str, subscribed: bool = True, serial: str = DEFAULT_SERIAL) -> Slot:
        """The customer subscribes or unsubscribes a slot; a new slot is added."""
        return self.registry.subscribe(serial, slot, subscribed)

    def set_scenarios(
        self,
        slot: str,
        queue: Iterable[ScenarioForm] | None = None,
        default: ScenarioForm | None = None,
        serial: str = DEFAULT_SERIAL,
    ) -> None:
        """Decide the fates of a slot's coming orders: the queue, then the default for ever."""
        self.book.set_plan(self._key(slot, serial), queue, default)

    def set_timings(self, /, **changes: int) -> Timings:
        """Change how long the parts of an order's life last, for orders accepted from now on."""
        self.book.timings = self.book.timings.changed(changes)
        return self.book.timings

    def cancel_order(self, slot: str, serial: str = DEFAULT_SERIAL) -> Order:
        """Cancel the slot's open order as its customer."""
        return self.book.cancel(self._key(slot, serial))

    def resolve_order(self, slot: str, serial: str = DEFAULT_SERIAL) -> Order:
        """Solve the problem of the slot's open order as its customer."""
        return self.book.resolve(self._key(slot, serial))

    def revoke(self, serial: str = DEFAULT_SERIAL) -> None:
        """The customer takes the permission back: no token of the device works any more."""
        self.lwa.revoke(self.registry.device(serial).serial)

    def expire_access_tokens(self, serial: str = DEFAULT_SERIAL) -> None:
        """End the device's access tokens before their time."""
        self.lwa.expire(self.registry.device(serial).serial)

    def advance(self, seconds: int) -> int:
        """Let virtual time pass for the service; returns the new time."""
        self.clock.advance(seconds)
        self.book.advance()
        self.store.advance()
        self.bus.advance()
        return self.sns.advance()

    def advance_to_next_event(self) -> int:
        """Move the time to the next thing that happens to an order by itself. ValueError if nothing will."""
        due = min((due for due in (self.book.next_due(), self.store.next_due()) if due is not None), default=None)
        if due is None:
            raise ValueError("nothing is going to happen: no order is open")
        return self.advance(max(0, due - self.clock.now()))

    def orders(self, slot: str, serial: str = DEFAULT_SERIAL) -> list[Order]:
        """A slot's orders, oldest first."""
        return self.book.orders(self._key(slot, serial))

    def _key(self, slot: str, serial: str) -> SlotKey:
        self.registry.slot(serial, slot)
        return SlotKey(serial, slot)

    # What a client does.

    def receive(self, request: Request, connection: int = 0, index: int = 0, bytes_in: int = 0) -> tuple[Call, Delivery]:
        """Record a complete request, act on it unless a fault forbids, and say what to send."""
        call, fault = self.admit(request, connection, index, bytes_in)
        return call, self.reply(request, call, fault, self.act(request) if call.acted else None)

    def admit(self, request: Request, connection: int, index: int, bytes_in: int) -> tuple[Call, Fault | None]:
        """The first part of `receive`: the record of a request, and the fault that hits it. `acted` says whether to act on it."""
        call = self._record(request, connection, index, bytes_in)
        fault = self.faults.take(endpoint=call.endpoint, operation=call.operation, slot=call.slot, serial=call.serial)
        call.fault = fault.kind if fault else None
        call.acted = fault is None or fault.act
        return call, fault

    def reply(self, request: Request, call: Call, fault: Fault | None, answer: Response | None) -> Delivery:
        """The last part of `receive`: what to send, where the answer is None if nobody acted."""
        true = answer or Response(outcome="not_acted")
        response = true if fault is None else self._spoil(true, fault, call.operation)
        self._complete_headers(response)
        delivery = self._delivery(request, response, fault)
        call.outcome = true.outcome
        if fault is None or fault.raw_bytes is None:
            call.status, call.answer = response.status, kept_text(response.body)
        else:
            call.answer = kept_text(delivery.payload)
        call.spoilt = (call.status, response.body.rstrip()) != (true.status, true.body)
        self.calls.append(call)
        return delivery

    def receive_part(self, request: Request, connection: int = 0, index: int = 0, bytes_in: int = 0) -> Call:
        """Record a request whose body never came whole; nobody acts on it."""
        call = self._record(request, connection, index, bytes_in)
        call.complete, call.sent = False, "none"
        self.calls.append(call)
        return call

    def _record(self, request: Request, connection: int, index: int, bytes_in: int) -> Call:
        endpoint, slot = self.target(request)
        return Call(
            number=self.calls.next_number,
            time=self.book.advance(),
            real_time=self.clock.real(),
            connection=connection,
            index=index,
            method=request.method,
            path=request.path,
            query=request.query,
            http_version="{}.{}".format(*request.version),
            headers=list(request.headers),
            body=kept_text(request.body),
            endpoint=endpoint,
            slot=slot,
            serial=self.lwa.owner(request.bearer),
            bytes_in=bytes_in,
            operation=bwp.operation(request) if endpoint == "bwp_graphql" else None,
        )

    def target(self, request: Request) -> tuple[str, str | None]:
        """The endpoint's name, one of those that faults know, and the slot in the path."""
        if request.path == CONSENT_PATH:
            return "consent", None
        if is_token_call(request):
            return "token", None
        if name := sns_endpoint(request) or bwp.endpoint(request):
            return name, None
        try:
            where = drs_module.route(request)
        except DRSError:
            return "unknown", None
        return where.endpoint.name, where.parameters.get("slot")

    def act(self, request: Request) -> Response:
        """Do what a request asks for."""
        if request.path == CONSENT_PATH:
            return self.consent.handle(request)
        if sns_endpoint(request):
            return self._sns_pages.handle(request)
        if bwp.endpoint(request):
            return self.store_service.handle(request)
        return self.lwa.handle(request) if is_token_call(request) else self.drs.handle(request)

    def _spoil(self, response: Response, fault: Fault, operation: str | None) -> Response:
        # A copy, so that the true answer can still be compared with what is sent.
        response = replace(response, headers=dict(response.headers))
        if fault.error is not None:
            response = self.lwa.refusal(fault.error)
        if fault.family is not None:
            response = self.store_service.refusal(fault.family, fault.code, operation)
        status = fault.status if fault.status is not None else response.status
        if status != response.status or not fault.act and fault.error is None and fault.family is None:
            message = b"" if status == 204 else b'{"message":"%s"}' % reason_phrase(status).encode()
            response = Response(status, message, {"Content-Type": "application/json"})
        if fault.body is not None:
            response.body = fault.body.encode()
        if fault.body_bytes is not None:
            # Spaces after the end of the JSON text: huge, and still well-formed.
            response.body = response.body.ljust(fault.body_bytes)
        response.headers.update(self._fault_headers(fault))
        return response

    def _fault_headers(self, fault: Fault) -> dict[str, str]:
        headers = {}
        if fault.retry_after is not None:
            date = formatdate(self.clock.now() + fault.retry_after, usegmt=True)
            headers["Retry-After"] = date if fault.retry_after_date else str(fault.retry_after)
        if fault.location is not None:
            headers["Location"] = fault.location
        return {**headers, **fault.headers}

    def _complete_headers(self, response: Response) -> None:
        date = formatdate(self.clock.now(), usegmt=True)
        if "x-amzn-RequestId" not in response.headers:
            response.headers["x-amzn-RequestId"] = self.identifiers.uuid()
        response.headers = {"x-amz-date": date, "Date": date, **response.headers}

    def _delivery(self, request: Request, response: Response, fault: Fault | None) -> Delivery:
        plain = fault or Fault()
        close = not request.keep_alive or plain.close or plain.cut is not None or plain.raw_bytes is not None
        in_chunks = self.settings.chunked or plain.chunked
        payload = encode(response, request.version, close, in_chunks) if plain.raw_bytes is None else plain.raw_bytes
        # A stall comes instead of the answer, unless a cut says how much of it goes out before.
        cut = 0 if plain.stall and plain.cut is None else plain.cut
        return Delivery(
            payload=payload[:cut],
            whole=len(payload),
            delay_s=plain.delay_s,
            trickle_s=plain.trickle_s,
            stall=plain.stall,
            reset=plain.reset,
            close=close,
        )

    # What the history says.

    def state(self) -> dict[str, object]:
        """Devices, slots and orders as plain data."""
        now = self.book.advance()
        return {
            "now": now,
            "time_scale": self.clock.time_scale,
            "advanced_s": self.clock.advanced_s,
            "settings": asdict(self.settings),
            "timings": asdict(self.book.timings),
            "devices": {device.serial: self._device_state(device.serial) for device in self.registry},
            "sns": self.sns.state(),
        }

    def _device_state(self, serial: str) -> dict[str, object]:
        device = self.registry.device(serial)
        return {
            "model": device.model,
            "test": device.test,
            "registered": device.registered,
            "refresh_token": self.lwa.refresh_token(serial),
            "last_status": device.last_status,
            "slots": {slot: self._slot_state(serial, slot) for slot in device.slots},
        }

    def _slot_state(self, serial: str, slot: str) -> dict[str, object]:
        key = SlotKey(serial, slot)
        plan, running = self.book.plan(key), self.book.running(key)
        return {
            **asdict(self.registry.slot(serial, slot)),
            "queue": [asdict(scenario) for scenario in plan.queue],
            "default": asdict(plan.default),
            "running": running.order_id if running else None,
            "orders": [{**order_state(order), "history": self._history(order)} for order in self.book.orders(key)],
        }

    def _history(self, order: Order) -> list[dict[str, object]]:
        return [{"time": event.time, "kind": event.kind, **event.detail} for event in self.events if event.order_id == order.order_id]

    def summary(self, blind_interval_s: int = BLIND_INTERVAL_S) -> dict[str, object]:
        """Totals: orders by slot and by end, calls by endpoint and outcome, and what blindness would cost.

        `blind_retry` counts the replenish calls that a client would have made that asks again every
        `blind_interval_s` seconds for as long as its slot was blocked.
        """
        now = self.book.advance()
        return {
            "now": now,
            "orders": {"/".join(key): totals for key, totals in self._order_totals(now, blind_interval_s).items()},
            "calls": self._call_totals(),
            "calls_total": self.calls.count,
            "calls_dropped_from_the_record": self.calls.dropped,
            "connections": self.connections.count,
            "blind_retry": {
                "interval_s": blind_interval_s,
                "calls": sum(_blind_calls(order, now, blind_interval_s) for order in self.book.orders()),
            },
        }

    def _order_totals(self, now: int, blind_interval_s: int) -> dict[SlotKey, dict[str, int]]:
        totals: dict[SlotKey, dict[str, int]] = {}
        for order in self.book.orders():
            entry = totals.setdefault(order.key, Counter())
            entry["accepted"] += 1
            entry[str(order.state)] += order.state != "accepted"
            entry["blocked_s"] += _blocked_s(order, now)
            entry["blind_retry_calls"] += _blind_calls(order, now, blind_interval_s)
        return totals

    def _call_totals(self) -> dict[str, dict[str, int]]:
        totals: dict[str, dict[str, int]] = {}
        for call in self.calls:
            outcome = f"{call.outcome}, answer lost" if call.lost else call.outcome
            entry = totals.setdefault(call.endpoint, Counter())
            entry[outcome] += 1
        return totals

    def connect_notifier(self, notify: Callable[[object], None]) -> None:
        """Call `notify` whenever a call, an event or a delivery is recorded, or a delivery has changed."""
        self.calls.subscribe(notify)
        self.events.subscribe(notify)
        self.deliveries.subscribe(notify)
        self.store.events.subscribe(notify)
        self.bus.deliveries.subscribe(notify)


def is_token_call(request: Request) -> bool:
    """Whether the path is the token endpoint's; one of Amazon's samples spells it /auth/O2/token."""
    return request.path.lower() == TOKEN_PATH


def order_state(order: Order) -> dict[str, object]:
    """One order as plain data."""
    values = {**asdict(order), "delivery_estimate": order.delivery_estimate, "cancel_until": order.cancel_until}
    return {name: value for name, value in values.items() if name != "key"}


def _blocked_s(order: Order, now: int) -> int:
    return (now if order.ended_at is None else order.ended_at) - order.accepted_at


def _blind_calls(order: Order, now: int, interval_s: int) -> int:
    return _blocked_s(order, now) // interval_s
