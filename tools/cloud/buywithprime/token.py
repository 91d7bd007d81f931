"""The access token: one for all calls, renewed in time, and asked for once however many calls wait for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from tools.cloud.buywithprime.errors import TokenError, TransportError
from tools.cloud.buywithprime.operations import Answer, Request, Settings, Token, token, token_request

Post = Callable[[str, Request], Awaitable[Answer]]


class TokenSource:
    """Gives the token. Asking for many in quick succession is throttled, so a failure is that of all who waited for it."""

    def __init__(self, settings: Settings, post: Post, clock: Callable[[], float]) -> None:
        """`post` asks, `clock` is in seconds and never goes back."""
        self._settings = settings
        self._post = post
        self._clock = clock
        self._token: Token | None = None
        self._until = 0.0
        self._asked = 0.0
        self._flight: asyncio.Future[Answer] | None = None

    async def get(self) -> str:
        """A token that is good for some seconds more. Raises TokenError."""
        if self._token is not None and self._clock() < self._until:
            return self._token.value
        return await self._renew()

    async def renew(self, refused: str) -> str:
        """Another token than the one that was refused; when another call has renewed it already, that one."""
        if self._token is not None and self._token.value == refused:
            self._token = None
        return await self.get()

    async def _renew(self) -> str:
        if self._flight is None:
            self._asked = self._clock()
            self._flight = asyncio.ensure_future(self._post("token", token_request(self._settings)))
            self._flight.add_done_callback(self._landed)
        try:
            # One who stops waiting does not take the token away from the others. Each reads the answer for itself, because
            # an error is marked with what the call that it ends had done before.
            return token(await asyncio.shield(self._flight)).value
        except TransportError as error:
            raise TokenError("token", str(error), error.handling) from None

    def _landed(self, flight: asyncio.Future[Answer]) -> None:
        """Keep what came; it is called before anybody who waits goes on."""
        self._flight = None
        # A failure is looked at here too, so that one for which nobody waits any more is no error of the event loop's.
        if flight.cancelled() or flight.exception() is not None:
            return
        with contextlib.suppress(TokenError):
            self._token = token(flight.result())
            self._until = self._asked + self._token.use_s

    async def close(self) -> None:
        """Stop asking."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])
