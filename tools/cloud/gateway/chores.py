"""What this copy does without being asked: ends holds that it has seen, sweeps the memory, reads the directory again."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from tools.cloud.gateway.adapters import AdapterError
from tools.cloud.gateway.directory import Directory
from tools.cloud.gateway.memory import Memory
from tools.cloud.gateway.model import IntentId, Snapshot, State
from tools.cloud.gateway.service import Service

LOG = logging.getLogger("gateway")

# Real seconds.
TICK_S = 0.25
REFRESH_S = 5.0
SWEEP_S = 3_600.0
# Seconds until a hold that could not be ended is tried again, and the most that are remembered: what is forgotten is started when
# its device asks, or by an event.
AGAIN_S = 10
HELD_LIMIT = 100_000


class Holds:
    """The orders that this copy has seen held, and when each is to be started."""

    def __init__(self, directory: Directory, now: Callable[[], float], tell: Callable[[Snapshot], Awaitable[object]]) -> None:
        self._directory = directory
        self._now = now
        self._tell = tell
        self._until: dict[IntentId, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def watch(self, intent_id: IntentId, until: float) -> None:
        if intent_id in self._until or len(self._until) < HELD_LIMIT:
            self._until[intent_id] = until

    async def end(self, service: Service) -> None:
        """Start what is due, and tell the devices."""
        due = [found for found, until in self._until.items() if until <= self._now()]
        for intent_id in due:
            del self._until[intent_id]
        await asyncio.gather(*(self._end(service, intent_id) for intent_id in due))

    async def _end(self, service: Service, intent_id: IntentId) -> None:
        device = self._directory.device(intent_id.serial)
        if device is None or intent_id.slot not in device.slots:
            return
        try:
            found = await service.standing(device, intent_id)
        except AdapterError as error:
            LOG.info("a hold was not ended yet: %s", type(error).__name__)
            self.watch(intent_id, self._now() + AGAIN_S)
            return
        if found is None:
            return
        if found.state is State.PLACED:  # it could not be started; `standing` has it watched for the past
            self._until[intent_id] = max(self._until.get(intent_id, 0), self._now() + AGAIN_S)
        else:
            await self._tell(found)


async def run(service: Service, holds: Holds, memory: Memory, directory: Directory, now: Callable[[], float], keep_s: float) -> None:
    """Until it is cancelled."""
    refreshed = swept = time.monotonic()
    while True:
        await asyncio.sleep(TICK_S)
        try:
            await holds.end(service)
            if time.monotonic() - refreshed >= REFRESH_S:
                refreshed = time.monotonic()
                directory.refresh()
            if time.monotonic() - swept >= SWEEP_S:
                swept = time.monotonic()
                await memory.sync()
                LOG.info("%d retained messages were cleared", await memory.sweep(now() - keep_s))
        except AdapterError as error:
            LOG.warning("a chore was put off: %s", type(error).__name__)
        except Exception as error:
            LOG.error("a chore failed: %s", type(error).__name__)
