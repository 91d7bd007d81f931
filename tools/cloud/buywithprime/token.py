"""The access token: one for all calls, renewed in time, and asked for once however many calls wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

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
        self._flight: asyncio.Task[str] | None = None

    async def get(self) -> str:
        """A token that is good for some seconds more. Raises TokenError and TransportError."""
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
            self._flight = asyncio.create_task(self._fetch())
            self._flight.add_done_callback(self._landed)
        # One who stops waiting does not take the token away from the others.
        return await asyncio.shield(self._flight)

    async def _fetch(self) -> str:
        asked = self._clock()
        self._token = token(await self._post("token", token_request(self._settings)))
        self._until = asked + self._token.use_s
        return self._token.value

    def _landed(self, flight: asyncio.Task[str]) -> None:
        self._flight = None
        # Looked at here, so that a failure for which nobody waits any more is no error of the event loop's.
        if not flight.cancelled():
            flight.exception()

    async def close(self) -> None:
        """Stop asking."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])
