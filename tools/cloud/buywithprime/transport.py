"""POST by verified TLS, on connections that are kept, with a limit on everything, telling whether a request got out."""

from __future__ import annotations

import ssl
from types import SimpleNamespace
from typing import Any, Self

import aiohttp

from tools.cloud.buywithprime.errors import TransportError
from tools.cloud.buywithprime.operations import Answer, Request, Settings

# Connections to one host, and how long an idle one is kept: below the minute after which load balancers close them.
_CONNECTIONS = 16
_KEPT_S = 30.0
_PIECE_BYTES = 65_536


class _Way(SimpleNamespace):
    """How far a request got."""

    out: bool = False


async def _connected(_session: aiohttp.ClientSession, context: Any, _params: object) -> None:
    context.trace_request_ctx.out = True


def _trace() -> aiohttp.TraceConfig:
    """Marks a request that has a connection: from then on bytes of it may have left."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_connected)
    trace.on_connection_reuseconn.append(_connected)
    return trace


class Transport:
    """Use it as `async with`. `context` verifies the host, by default with the system's authorities."""

    def __init__(self, settings: Settings, context: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._context = context or ssl.create_default_context()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._context, limit=_CONNECTIONS, keepalive_timeout=_KEPT_S),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[_trace()],
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, operation: str, request: Request) -> Answer:
        """The answer, whatever its status. Raises TransportError; `operation` is for its text.

        Redirects are answers: nothing is sent to a host that was not configured. aiohttp repeats no POST by itself.
        """
        if self._session is None:
            raise RuntimeError("the transport is not open: use it as `async with`")
        way = _Way()
        try:
            async with self._session.post(
                request.url, data=request.body, headers=request.headers, allow_redirects=False, trace_request_ctx=way
            ) as response:
                body = await self._read(operation, response)
                return Answer(response.status, body, response.headers.get("Retry-After"))
        except TimeoutError:
            raise TransportError(operation, f"no answer within {self._settings.timeout_s:g} s", way.out) from None
        except (aiohttp.ClientError, OSError) as error:
            # Its text may have the request's headers; its type says what is needed.
            raise TransportError(operation, type(error).__name__, way.out) from None

    async def _read(self, operation: str, response: aiohttp.ClientResponse) -> bytes:
        """The body, after decompression, up to its limit."""
        body = bytearray()
        async for piece in response.content.iter_chunked(_PIECE_BYTES):
            body += piece
            if len(body) > self._settings.most_body_bytes:
                raise TransportError(operation, f"an answer of more than {self._settings.most_body_bytes} bytes", sent=True)
        return bytes(body)
