"""Carries what the simulated services have to deliver: real HTTPS requests to the receivers, each when it is due."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import aiohttp

from tools.simulator.clock import Clock
from tools.simulator.outbound import Outbound
from tools.simulator.subscriptions import Attempt, Receiver, TopicDelivery

# How long to wait, in real seconds, before looking again: a clock may be advanced by somebody who tells nobody.
_LOOK_S = 0.05
# An idle connection to a receiver is kept this long, in real seconds: less than any usual server keeps its side.
_KEEP_S = 5.0
# As much of a receiver's answer is read, so that the connection can be used again.
_READ_BYTES = 65_536


class Courier:
    """Delivers while `run` runs."""

    def __init__(self, outbound: Outbound[Any, Any], next_event: Callable[[], int | None], clock: Clock) -> None:
        """`next_event` lets time pass for what is told of, and says when the next of it happens (None: nothing will)."""
        self._outbound = outbound
        self._next_event = next_event
        self._clock = clock
        self._work = asyncio.Event()
        outbound.wake = self._work.set

    async def run(self) -> None:
        """Deliver until cancelled. Attempts that are under way then are given up."""
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_S)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as attempts:
            while True:
                while taken := self._outbound.take():
                    attempts.create_task(self._attempt(session, *taken))
                self._work.clear()
                # Not wait_for: on Python 3.11 it can lose a cancellation that comes together with work.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s()):
                        await self._work.wait()

    def _pause_s(self) -> float | None:
        if not self._outbound.receivers:
            return None
        # Asking for the next event lets time pass for the orders, and so publishes what happened to them.
        dues = [due for due in (self._next_event(), self._outbound.next_due()) if due is not None]
        if not dues or not self._clock.time_scale:
            return _LOOK_S
        return min(_LOOK_S, max(0, min(dues) - self._clock.now()) / self._clock.time_scale)

    async def _attempt(self, session: aiohttp.ClientSession, receiver: Receiver, delivery: TopicDelivery) -> None:
        time, real_time = self._clock.now(), self._clock.real()
        status, error, retry_after_s = 0, None, None
        try:
            status, retry_after_s = await self._post(session, receiver, delivery)
        except (aiohttp.ClientError, OSError) as problem:
            error = f"{type(problem).__name__}: {problem}"
        ms = round((self._clock.real() - real_time) * 1000)
        self._outbound.finish(delivery, Attempt(time, real_time, status, error, ms, retry_after_s))

    async def _post(self, session: aiohttp.ClientSession, receiver: Receiver, delivery: TopicDelivery) -> tuple[int, int | None]:
        async with session.post(
            receiver.endpoint,
            data=delivery.body.encode(),
            headers=delivery.headers,
            ssl=receiver.context,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=self._outbound.timeout_s),
        ) as response:
            await response.content.read(_READ_BYTES)
            after = response.headers.get("Retry-After", "")
            return response.status, int(after) if after.isdecimal() else None
