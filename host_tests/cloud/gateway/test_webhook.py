"""The adapter to the maker's own shop: signed requests, and what each answer, or none, is taken for."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from host_tests.cloud.gateway.copies import COFFEE, CUSTOMER
from tools.cloud.gateway import tokens
from tools.cloud.gateway.adapters import AdapterError, OutcomeUnknown, Refused, ShortOfStock, Unavailable
from tools.cloud.gateway.adapters.webhook import LIMIT_BYTES, Settings, Webhook, opened, signer_of
from tools.cloud.gateway.model import Intent, IntentId, Return, ReturnState, Snapshot, State

KEY = "a shared key of the maker's"
ID = IntentId("SN0001", "Water/Fil ter", 7)
INTENT = Intent(ID, 2, 1, "low")
ORDER = {"intent_id": str(ID), "state": "PLACED", "quantity": 2, "created": "2027-01-15T08:00:00Z"}
PLACED = Snapshot(ID, State.PLACED, quantity=2, created=1_800_000_000)


class MakersShop:
    """Keeps what it is asked and answers what it was told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: tuple[int, Any, dict[str, str]] = (200, ORDER, {})
        self.silent = False
        self.over = asyncio.Event()
        self.breaks = False
        self.url = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.raw_path, dict(request.headers), await request.read()))
        if self.silent:
            await self.over.wait()
        if self.breaks and request.transport:
            request.transport.abort()
        status, body, headers = self.answer
        return web.Response(status=status, body=body if isinstance(body, bytes) else json.dumps(body).encode(), headers=headers)


@contextlib.asynccontextmanager
async def shop(key: str = KEY) -> AsyncIterator[tuple[MakersShop, Webhook]]:
    found = MakersShop()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", found.take)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api"
    try:
        async with aiohttp.ClientSession() as session:
            yield found, Webhook(Settings(found.url, limit_s=1), signer_of(key), session)
    finally:
        found.over.set()
        await runner.cleanup()


def run(story: Callable[[MakersShop, Webhook], Awaitable[None]], key: str = KEY) -> None:
    async def within() -> None:
        async with asyncio.timeout(20), shop(key) as made:
            await story(*made)

    asyncio.run(within())


CALLS: dict[str, Callable[[Webhook], Awaitable[Snapshot | None]]] = {
    "order": lambda adapter: adapter.order(INTENT, COFFEE, CUSTOMER),
    "find": lambda adapter: adapter.find(ID, COFFEE, CUSTOMER),
    "start": lambda adapter: adapter.start(ID, COFFEE, CUSTOMER),
    "cancel": lambda adapter: adapter.cancel(ID, COFFEE, CUSTOMER),
    "put_return": lambda adapter: adapter.put_return(ID, Return("r 1", 1, ReturnState.CREATED), COFFEE, CUSTOMER),
}
CHANGES = [name for name in CALLS if name != "find"]
PATH = "/api/orders/SN0001-Water%2FFil%20ter-7"


def test_requests() -> None:
    async def story(shop: MakersShop, adapter: Webhook) -> None:
        for call in CALLS.values():
            assert await call(adapter) == PLACED
        assert [(method, path, headers.get("Idempotency-Key")) for method, path, headers, _ in shop.asked] == [
            ("POST", "/api/orders", str(ID)),
            ("GET", PATH, None),
            ("POST", f"{PATH}/start", f"{ID}:start"),
            ("POST", f"{PATH}/cancel", f"{ID}:cancel"),
            ("POST", f"{PATH}/returns", f"{ID}:return:r 1:CREATED"),
        ]
        assert json.loads(shop.asked[0][3]) == {
            "intent_id": str(ID),
            "serial": "SN0001",
            "slot": "Water/Fil ter",
            "counter": 7,
            "quantity": 2,
            "reason": "low",
            "item": {"sku": "COFFEE-1", "title": "Coffee beans", "currency": "USD", "price": "12.50", "discount": "0", "tax": "0"},
            "customer": {
                "id": "ada",
                "name": "Ada",
                "email": "ada@example.com",
                "address": {
                    "street": "1 Main St",
                    "locality": "Springfield",
                    "region": "IL",
                    "postal_code": "62701",
                    "country": "US",
                },
            },
        }
        assert json.loads(shop.asked[4][3]) == {"return_id": "r 1", "quantity": 1, "state": "CREATED"}

    run(story)


def signed(request: tuple[str, str, dict[str, str], bytes]) -> tuple[str, str, bytes]:
    """The kind of a signature, itself, and what it is over, as a receiver makes it of README.md."""
    method, path, headers, body = request
    moment, signature = headers["Replenish-Signature"].split(",")
    kind, _, value = signature.partition("=")
    seconds = moment.removeprefix("t=")
    assert abs(int(seconds) - time.time()) < 60
    parts = [seconds, method, path, headers.get("Idempotency-Key", ""), hashlib.sha256(body).hexdigest()]
    return kind, value, "\n".join(parts).encode()


def test_signatures_with_a_shared_key() -> None:
    async def story(shop: MakersShop, adapter: Webhook) -> None:
        for call in CALLS.values():
            await call(adapter)
        for request in shop.asked:
            kind, value, text = signed(request)
            assert (kind, value) == ("hmac-sha256", hmac.new(KEY.encode(), text, hashlib.sha256).hexdigest())

    run(story)


def test_signatures_with_a_key_of_two_halves() -> None:
    key = Ed25519PrivateKey.generate()

    async def story(shop: MakersShop, adapter: Webhook) -> None:
        await CALLS["order"](adapter)
        kind, value, text = signed(shop.asked[0])
        assert kind == "ed25519"
        key.public_key().verify(base64.b64decode(value), text)
        with pytest.raises(InvalidSignature):
            key.public_key().verify(base64.b64decode(value), text + b"x")

    run(story, tokens.private_pem(key).decode())


def test_a_key_of_another_kind() -> None:
    with pytest.raises(ValueError, match="Ed25519"):
        signer_of(tokens.private_pem(tokens.new_key("ES256")).decode())


def test_all_of_an_order() -> None:
    async def story(shop: MakersShop, adapter: Webhook) -> None:
        more = {"state": "RETURNING", "code": "x", "deliver_by": "2027-01-15T10:00:00+02:00", "returned": 1, "total": "24.99",
                "time": "2027-01-15T08:00:01", "unknown": 1}  # fmt: skip
        shop.answer = (200, {**ORDER, **more}, {})
        found = await CALLS["find"](adapter)
        assert found and found.json() | {"total": str(found.total)} == {
            "intent_id": str(ID),
            "slot": "Water/Fil ter",
            "state": "RETURNING",
            "code": "x",
            "quantity": 2,
            "created": "2027-01-15T08:00:00Z",
            "deliver_by": "2027-01-15T08:00:00Z",
            "returned": 1,
            "time": "2027-01-15T08:00:01Z",
            "total": "24.99",
        }

    run(story)


# What an answer to a change is taken for, and what the same answer is taken for when an order was only asked for.
ANSWERS: list[tuple[int, Any, dict[str, str], AdapterError, AdapterError]] = [
    (429, {}, {"Retry-After": "9"}, Unavailable(9), Unavailable(9)),
    (503, b"<html>", {}, Unavailable(None), Unavailable(None)),
    (503, {}, {"Retry-After": "tomorrow"}, Unavailable(None), Unavailable(None)),
    (401, {}, {}, Unavailable(None), Unavailable(None)),
    (403, {}, {}, Unavailable(None), Unavailable(None)),
    (409, {"error": "short_of_stock", "available": 1, "code": "C"}, {}, ShortOfStock(1, "C"), Unavailable(None)),
    (409, {"error": "short_of_stock"}, {}, ShortOfStock(None, "SelectedQuantityNotAvailable"), Unavailable(None)),
    (409, {"error": "short_of_stock", "available": "1"}, {}, ShortOfStock(None, "SelectedQuantityNotAvailable"), Unavailable(None)),
    (409, {"error": "too_late"}, {}, Refused("too_late"), Unavailable(None)),
    (422, {"error": "address", "code": "BadAddress"}, {}, Refused("BadAddress"), Unavailable(None)),
    (422, b"oops", {}, OutcomeUnknown("x"), Unavailable(None)),
    (404, {"error": "other"}, {}, OutcomeUnknown("x"), Unavailable(None)),
    (400, {"error": "bad"}, {}, OutcomeUnknown("x"), Unavailable(None)),
    (500, {}, {}, OutcomeUnknown("x"), Unavailable(None)),
    (302, {}, {"Location": "/elsewhere"}, OutcomeUnknown("x"), Unavailable(None)),
    (200, b"{", {}, OutcomeUnknown("x"), Unavailable(None)),
    (200, [], {}, OutcomeUnknown("x"), Unavailable(None)),
    (200, {**ORDER, "intent_id": "SN0001-Coffee-8"}, {}, OutcomeUnknown("x"), Unavailable(None)),
    (200, {**ORDER, "state": "LOST"}, {}, OutcomeUnknown("x"), Unavailable(None)),
    (200, {**ORDER, "quantity": 0}, {}, OutcomeUnknown("x"), Unavailable(None)),
    (200, json.dumps(ORDER).encode() + b" " * LIMIT_BYTES, {}, OutcomeUnknown("x"), Unavailable(None)),
]


def facts(error: AdapterError) -> tuple[object, ...]:
    """What the gateway goes by."""
    return type(error), *(getattr(error, name, None) for name in ("retry_after_s", "available", "code"))


def test_answers() -> None:
    async def story(shop: MakersShop, adapter: Webhook) -> None:
        for status, body, headers, changing, asking in ANSWERS:
            shop.answer = (status, body, headers)
            for name, call in CALLS.items():
                with pytest.raises(AdapterError) as caught:
                    await call(adapter)
                assert facts(caught.value) == facts(asking if name == "find" else changing), (status, body, name)

    run(story)


def test_nothing_under_the_id() -> None:
    async def story(shop: MakersShop, adapter: Webhook) -> None:
        shop.answer = (404, {"error": "unknown_intent"}, {})
        assert await CALLS["find"](adapter) is None

    run(story)


@pytest.mark.parametrize("way", ["silent", "breaks"])
def test_no_answer(way: str) -> None:
    async def story(shop: MakersShop, adapter: Webhook) -> None:
        setattr(shop, way, True)
        for name in ("order", "find"):
            with pytest.raises(Unavailable if name == "find" else OutcomeUnknown):
                await CALLS[name](adapter)

    run(story)


def test_nobody_there() -> None:
    async def story(shop: MakersShop, adapter: Webhook) -> None:
        adapter._url = "http://127.0.0.1:1"
        for call in CALLS.values():
            with pytest.raises(Unavailable):
                await call(adapter)

    run(story)


def test_an_answer_without_end() -> None:
    """No more of it is read than an order can have."""

    async def story(shop: MakersShop, adapter: Webhook) -> None:
        shop.answer = (200, b"x" * 50_000_000, {})
        with pytest.raises(OutcomeUnknown):
            await CALLS["order"](adapter)

    run(story)


def test_it_opens_with_the_authorities_of_the_settings() -> None:
    async def within() -> None:
        async with opened(Settings("https://shop.example.com/"), {"key": KEY}, None) as adapter:  # type: ignore[arg-type]
            assert adapter.name == "webhook"

    asyncio.run(within())
