"""Asks customers by messages, in the background: again and again until the maker's service took it or there is no point any more."""

import asyncio
import logging
import random
from collections.abc import Callable

from tools.cloud.gateway.adapters import AdapterError
from tools.cloud.gateway.links import Kind, Link
from tools.cloud.gateway.memory import Memory
from tools.cloud.gateway.messages import Messenger, NotSent
from tools.cloud.gateway.model import Snapshot
from tools.cloud.gateway.service import Case

LOG = logging.getLogger("gateway")

# Real seconds; the range doubles with each failure.
FIRST_S = 1.0
LIMIT_S = 300.0


class People:
    """`tell` returns at once; what was not sent when this copy ends is sent by whichever sees next that it was not."""

    def __init__(
        self,
        messenger: Messenger,
        memory: Memory,
        now: Callable[[], float],
        link: Callable[[Case, Kind, Snapshot], Link],
        count: Callable[[str], None],
    ) -> None:
        """`count` hears `sent`, `failed` and `given_up`."""
        self._messenger = messenger
        self._memory = memory
        self._now = now
        self._link = link
        self._count = count
        self._sending: dict[Link, asyncio.Task[None]] = {}

    def tell(self, case: Case, kind: Kind, snapshot: Snapshot) -> bool:
        """See service.Tell."""
        link = self._link(case, kind, snapshot)
        if link not in self._sending:
            task = asyncio.create_task(self._send(link, case))
            self._sending[link] = task
            task.add_done_callback(lambda _: self._sending.pop(link, None))
        return True

    async def close(self) -> None:
        tasks = list(self._sending.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _send(self, link: Link, case: Case) -> None:
        failures = 0
        while self._now() < link.expires:
            try:
                await self._messenger.send(link, case.item, case.customer)
            except NotSent as error:
                self._count("failed")
                LOG.warning("a message to a customer was not sent: %s", error)
                await asyncio.sleep(random.uniform(0, min(LIMIT_S, FIRST_S * 2**failures)))
                failures = min(failures + 1, 16)
            else:
                self._count("sent")
                return await self._mark(link)
        self._count("given_up")
        return None

    async def _mark(self, link: Link) -> None:
        """So that nobody sends it again. If it cannot be marked, it is, and the Idempotency-Key tells that it is the same."""
        try:
            if link.kind is Kind.HOLD:
                for attempt in self._memory.attempts(link.intent_id):
                    await self._memory.end(attempt)
            else:
                await self._memory.mark_told(link.intent_id, link.asked)
        except AdapterError:
            LOG.warning("that a message was sent could not be remembered")
