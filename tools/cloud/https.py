"""The way in by HTTPS: SNS and EventBridge post each message; the status tells them whether to post it again."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from tools.cloud import sns
from tools.cloud.handler import Handler
from tools.cloud.outcomes import NotRelayed, Outcome
from tools.cloud.settings import EventBridgeSettings, HTTPSettings

WAY = "https"
EVENTS_WAY = "eventbridge"
# What an API destination's connection of EventBridge is told to send.
KEY_HEADER = "x-api-key"
# A body comes whole within this, or not at all. SNS gives up after 15 s.
READ_LIMIT_S = 10
# How long the rest of a body that was refused is still read, so that its sender gets to see the answer.
LINGER_S = 1
Answer = Callable[[web.Request], Awaitable[web.Response]]
# The headers of SNS that repeat what the body says, which is what is signed.
_REPEATED = {
    "x-amz-sns-message-type": "Type",
    "x-amz-sns-message-id": "MessageId",
    "x-amz-sns-topic-arn": "TopicArn",
}


def check_headers(headers: Mapping[str, str], given: Mapping[str, Any]) -> None:
    """Raises NotRelayed for raw delivery, and for headers that SNS would not send with this body."""
    if headers.get("x-amz-sns-rawdelivery", "").lower() == "true":
        raise NotRelayed(Outcome.RAW, "raw message delivery is on, which takes the signature away: turn it off for this subscription")
    for header, key in _REPEATED.items():
        if headers.get(header) != given.get(key):
            raise NotRelayed(Outcome.HEADERS, f"the header {header} is missing or is not the body's {key}")


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(READ_LIMIT_S):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise NotRelayed(Outcome.TOO_LARGE, f"the body is over {request.client_max_size} bytes") from None
    except TimeoutError:
        raise NotRelayed(Outcome.SLOW, f"the body did not come within {READ_LIMIT_S} s") from None


def check_key(headers: Mapping[str, str], key: str) -> None:
    """Raises NotRelayed unless the header has the key; the time that this takes tells nothing of it."""
    if not hmac.compare_digest(headers.get(KEY_HEADER, "").encode("utf-8", "surrogateescape"), key.encode()):
        raise NotRelayed(Outcome.KEY, f"the header {KEY_HEADER} is missing or has another key")


def application(
    handler: Handler, settings: HTTPSettings, max_age_s: float, eventbridge: EventBridgeSettings | None = None
) -> web.Application:
    """POST to the path of the settings, which is SNS's, and with `eventbridge` to its path, which takes events."""

    async def post(request: web.Request) -> web.Response:
        try:
            body = await _body(request)
            # Looked at before the body: a raw body may be anything.
            if request.headers.get("x-amz-sns-rawdelivery"):
                check_headers(request.headers, {})
            given = sns.read_object(body)
            check_headers(request.headers, given)
        except NotRelayed as error:
            outcome, why = handler.refuse(WAY, error)
        else:
            outcome, why = await handler.signed(WAY, given, max_age_s)
        return _answer(outcome, why)

    app = web.Application(client_max_size=settings.max_body_bytes)
    app.router.add_post(settings.path, post)
    if eventbridge:
        app.router.add_post(eventbridge.path, _event_post(handler, eventbridge.key))
    return app


def _event_post(handler: Handler, key: str) -> Answer:
    async def post(request: web.Request) -> web.Response:
        try:
            # Before the body: who has no key is not read from.
            check_key(request.headers, key)
            given = sns.read_object(await _body(request))
        except NotRelayed as error:
            return _answer(*handler.refuse(EVENTS_WAY, error))
        return _answer(*await handler.event(EVENTS_WAY, given))

    return post


def _answer(outcome: Outcome, why: str) -> web.Response:
    return web.Response(status=outcome.status, text=f"{outcome.word}{': ' if why else ''}{why}\n")


def admin_application(metrics: Callable[[], bytes], healthy: Callable[[], bool]) -> web.Application:
    """/live: this process answers. /health: it can also do its work. /metrics: what it counts."""

    async def live(request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def health(request: web.Request) -> web.Response:
        return web.Response(text="ready\n") if healthy() else web.Response(status=503, text="the broker is not connected\n")

    async def text(request: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.router.add_routes([web.get("/live", live), web.get("/health", health), web.get("/metrics", text)])
    return app
