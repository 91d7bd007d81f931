"""The transport on real TLS: who is believed, what is read, and whether a request got out."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, Self, TypeVar

import pytest
import trustme

from host_tests.cloud.buywithprime.samples import BY_ID, SETTINGS
from tools.cloud.buywithprime import Client
from tools.cloud.buywithprime.errors import TransportError
from tools.cloud.buywithprime.operations import Answer, Request, Settings
from tools.cloud.buywithprime.transport import Transport

_T = TypeVar("_T")
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
AUTHORITY = trustme.CA()
BODY = b'{"data": {"order": {"id": "order-1", "lineItems": []}}}'
TOKEN = b'{"access_token": "T", "expires_in": 900}'


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class Server:
    """A server of TLS that answers each request with what `answer` makes of its bytes; None: it closes the connection."""

    def __init__(self, answer: Callable[[bytes], bytes | None], name: str = "localhost", handler: Handler | None = None) -> None:
        self._answer = answer
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        AUTHORITY.issue_cert(name).configure_cert(self._context)
        self._handler = handler or self._serve
        self.requests: list[bytes] = []
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._handler, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self._answer(self.requests[-1])
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def settings(self, **changed: Any) -> Settings:
        base = f"https://localhost:{self.port}"
        return replace(SETTINGS, url=f"{base}/graphql", token_url=f"{base}/token", **{"timeout_s": 5.0, **changed})

    async def post(self, authority: trustme.CA = AUTHORITY, **changed: Any) -> Answer:
        settings = self.settings(**changed)
        async with Transport(settings, trusting(authority)) as transport:
            return await transport.post("order", Request(settings.url, {"Authorization": "Bearer T0ken"}, b"{}"))


def run(call: Coroutine[Any, Any, _T]) -> _T:
    return asyncio.run(asyncio.wait_for(call, 20))


def failure(server: Server, **changed: Any) -> TransportError:
    async def call() -> TransportError:
        async with server:
            with pytest.raises(TransportError) as caught:
                await server.post(**changed)
            return caught.value

    return run(call())


def test_a_client_works_over_TLS_on_one_connection() -> None:
    async def calls() -> None:
        async with Server(lambda asked: http(TOKEN if asked.startswith(b"POST /token ") else BODY)) as server:
            async with Client(server.settings(), context=trusting(AUTHORITY)) as client:
                for _ in range(3):
                    found = await client.order(BY_ID)
                    assert found is not None and found.id == "order-1"
            assert len(server.requests) == 4
            assert server.connections == 1
            assert b"\r\nAuthorization: Bearer T\r\n" in server.requests[1]
            assert b"\r\nx-api-version: 2024-11-01\r\n" in server.requests[1]

    run(calls())


def test_a_status_is_an_answer() -> None:
    async def call() -> Answer:
        async with Server(lambda _: http(b"busy", "503 Busy", "Retry-After: 7")) as server:
            return await server.post()

    answer = run(call())
    assert (answer.status, answer.body, answer.retry_after) == (503, b"busy", "7")


def test_a_redirect_is_not_followed() -> None:
    async def call() -> None:
        async with Server(lambda _: http(b"", "307 Over there", "Location: https://elsewhere.example.com/graphql")) as server:
            assert (await server.post()).status == 307
            assert len(server.requests) == 1

    run(call())


STRANGERS = {"authority": ("localhost", trustme.CA()), "name": ("elsewhere.example.com", AUTHORITY)}


@pytest.mark.parametrize("name, authority", STRANGERS.values(), ids=STRANGERS)
def test_a_host_that_is_not_the_one_is_told_nothing(name: str, authority: trustme.CA) -> None:
    server = Server(lambda _: http(BODY), name)
    error = failure(server, authority=authority)
    assert not error.sent
    assert "Certificate" in str(error)
    assert server.requests == []


def test_a_host_that_does_not_listen_was_told_nothing() -> None:
    async def call() -> TransportError:
        async with Server(lambda _: http(BODY)) as server:
            pass
        with pytest.raises(TransportError) as caught:
            await server.post()
        return caught.value

    assert not run(call()).sent


def test_a_host_that_closes_may_have_done_it() -> None:
    server = Server(lambda _: None)
    error = failure(server)
    assert error.sent
    assert len(server.requests) == 1, "a POST is not repeated behind our back"


def test_a_kept_connection_that_was_closed_may_have_done_it() -> None:
    """The server answers once on a connection and closes it on the second request: only its caller knows if that may be repeated."""

    async def call() -> None:
        answers = iter([http(BODY), None])
        async with Server(lambda _: next(answers)) as server:
            settings = server.settings()
            request = Request(settings.url, {}, b"{}")
            async with Transport(settings, trusting(AUTHORITY)) as transport:
                await transport.post("order", request)
                with pytest.raises(TransportError) as caught:
                    await transport.post("order", request)
            assert caught.value.sent
            assert (server.connections, len(server.requests)) == (1, 2)

    run(call())


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Listens until the other side has enough of it."""
    await reader.read()
    writer.close()


def test_a_host_that_is_silent_may_have_done_it() -> None:
    error = failure(Server(lambda _: None, handler=silent), timeout_s=0.3)
    assert error.sent
    assert str(error) == "order: no answer within 0.3 s"


def test_a_host_that_is_silent_before_TLS_was_told_nothing() -> None:
    async def call() -> TransportError:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        settings = replace(SETTINGS, url=f"https://localhost:{server.sockets[0].getsockname()[1]}/", timeout_s=0.3)
        async with server, Transport(settings, trusting(AUTHORITY)) as transport:
            with pytest.raises(TransportError) as caught:
                await transport.post("order", Request(settings.url, {}, b"{}"))
        return caught.value

    assert not run(call()).sent


def test_an_answer_that_stops_may_have_been_done() -> None:
    assert failure(Server(lambda _: http(BODY)[:-5]), timeout_s=0.3).sent


def test_an_answer_in_drops_has_one_limit_for_all_of_them() -> None:
    """Each byte comes in time, the whole does not."""

    async def drops(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not reader.at_eof():
            writer.write(b"x")
            await asyncio.sleep(0.02)
        writer.close()

    error = failure(Server(lambda _: None, handler=drops), timeout_s=0.3)
    assert (error.sent, str(error)) == (True, "order: no answer within 0.3 s")


@pytest.mark.parametrize(
    "answer",
    [http(b"x" * 5_001), http(gzip.compress(b"x" * 5_001), "200 OK", "Content-Encoding: gzip")],
    ids=["plain", "compressed"],
)
def test_a_long_answer_is_not_read(answer: bytes) -> None:
    error = failure(Server(lambda _: answer), most_body_bytes=5_000)
    assert error.sent
    assert str(error) == "order: an answer of more than 5000 bytes"


@pytest.mark.parametrize("answer", [b"\x00\x01\x02", b"HTTP/1.1 x\r\n\r\n", http(b"no gzip", "200 OK", "Content-Encoding: gzip")])
def test_what_is_not_HTTP_may_have_done_it(answer: bytes) -> None:
    error = failure(Server(lambda _: answer), timeout_s=0.5)
    assert error.sent
    assert "T0ken" not in str(error)


def test_a_transport_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        run(Transport(SETTINGS).post("order", Request(SETTINGS.url, {}, b"")))
