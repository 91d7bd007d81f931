"""The way in by SQS: a queue that an SNS topic feeds is emptied, each message taken off only when it is done."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from tools.cloud.backoff import Backoff
from tools.cloud.handler import Handler
from tools.cloud.outcomes import Verdict
from tools.cloud.settings import SQSSettings

LOG = logging.getLogger("relay")

WAY = "sqs"
# SQS's own limits: the longest poll, and the most messages of one call.
POLL_S = 20
BATCH = 10


class Queue(Protocol):
    """What is used of the SQS client of aiobotocore."""

    async def receive_message(self, **given: Any) -> Mapping[str, Any]: ...

    async def delete_message_batch(self, **given: Any) -> Mapping[str, Any]: ...


@contextlib.asynccontextmanager
async def client(settings: SQSSettings) -> AsyncIterator[Queue]:
    """The queue's service; AWS credentials come from where its tools look for them: environment, files or the machine's role."""
    from aiobotocore.session import get_session  # half a second to load, and only a queue needs it

    async with get_session().create_client("sqs", region_name=settings.region, endpoint_url=settings.endpoint_url) as found:
        yield found


class Receiver:
    """One loop over the queue. What is refused stays in it, for its redrive policy to put aside."""

    def __init__(self, queue: Queue, settings: SQSSettings, handler: Handler, ready: Callable[[], Awaitable[None]]) -> None:
        """`ready()` returns when the broker is connected: receiving before would use up the tries that the redrive policy gives."""
        self._queue = queue
        self._settings = settings
        self._handler = handler
        self._ready = ready
        self._backoff = Backoff()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; a batch that was received is finished."""
        while not stop.is_set():
            try:
                messages = await _unless(stop, self._receive())
                if messages:
                    await self._finish(messages)
            except (BotoCoreError, ClientError, OSError) as error:
                LOG.warning("sqs: %s", error)
                await _unless(stop, self._backoff.sleep())

    async def _receive(self) -> list[Mapping[str, Any]]:
        await self._ready()
        answer = await self._queue.receive_message(
            QueueUrl=self._settings.queue_url,
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=POLL_S,
            VisibilityTimeout=self._settings.visibility_s,
        )
        self._backoff.started()
        return list(answer.get("Messages", []))

    async def _finish(self, messages: list[Mapping[str, Any]]) -> None:
        outcomes = await asyncio.gather(
            *(self._handler.queued(WAY, message["Body"], self._settings.max_age_s) for message in messages)
        )
        done = [m for m, (outcome, _) in zip(messages, outcomes, strict=True) if outcome.verdict is Verdict.DONE]
        if done:
            await self._delete(done)

    async def _delete(self, messages: list[Mapping[str, Any]]) -> None:
        entries = [{"Id": str(number), "ReceiptHandle": m["ReceiptHandle"]} for number, m in enumerate(messages)]
        answer = await self._queue.delete_message_batch(QueueUrl=self._settings.queue_url, Entries=entries)
        for failure in answer.get("Failed", []):
            # It comes again, is known, and is then deleted.
            LOG.warning("sqs: a message that is done was not deleted: %s", failure.get("Code"))


async def _unless(stop: asyncio.Event, work: Awaitable[Any]) -> Any:
    """What `work` gives, or None as soon as `stop` is set."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        stopping.cancel()
        if working.cancel():
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await working


@contextlib.asynccontextmanager
async def receiving(settings: SQSSettings, handler: Handler, ready: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Receivers at work until the block is left; then each finishes its batch."""
    stop = asyncio.Event()
    async with client(settings) as queue:
        tasks = [asyncio.create_task(Receiver(queue, settings, handler, ready).run(stop)) for _ in range(settings.receivers)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)
