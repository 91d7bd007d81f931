"""The way in by SQS, against moto's SNS, SQS and EventBridge: nothing leaves the queue before the broker has it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest

from host_tests.cloud.aws import AWS
from host_tests.cloud.sender import Sender, drs_message, stamp
from host_tests.cloud.test_handler import FakeBroker
from tools.cloud import sqs
from tools.cloud.certificates import Certificates
from tools.cloud.handler import Handler
from tools.cloud.outcomes import Outcome
from tools.cloud.seen import Seen
from tools.cloud.settings import SQSSettings
from tools.cloud.sns import Trust

YEAR = 366 * 86_400.0


class World:
    """A queue, its receivers, and a broker that is connected once `connected` is set."""

    def __init__(self, cloud: AWS) -> None:
        self.broker = FakeBroker()
        self.connected = asyncio.Event()
        self.connected.set()
        self.waiting = asyncio.Event()
        self.counted: list[str] = []
        self.handler = Handler(
            Trust(frozenset({cloud.topic})),
            Certificates(cloud.certificate),
            self.broker.publish,
            cloud.certificate,
            Seen(100, YEAR),
            time.time,
            count=self._count,
        )

    def _count(self, way: str, outcome: Outcome) -> None:
        assert way == "sqs"
        self.counted.append(outcome.word)

    async def _ready(self) -> None:
        self.waiting.set()
        await self.connected.wait()

    @contextlib.asynccontextmanager
    async def receiving(self, cloud: AWS) -> AsyncIterator[None]:
        given = SQSSettings(cloud.queue_url, "eu-west-1", cloud.url, receivers=1, visibility_s=0)
        async with sqs.receiving(given, self.handler, self._ready):
            yield


def run(cloud: AWS, story: Callable[[World], Awaitable[None]]) -> World:
    """Run a story, in which the receivers are at work."""

    async def within() -> World:
        world = World(cloud)
        async with asyncio.timeout(20), world.receiving(cloud):
            await story(world)
        return world

    return asyncio.run(within())


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def short_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqs, "POLL_S", 1)


def test_what_sns_signed_and_queued_is_published_and_deleted(aws: AWS) -> None:
    messages = [drs_message(number=number) for number in range(12)]
    for message in messages:
        aws.publish(message)

    async def story(world: World) -> None:
        await until(lambda: aws.left(aws.queue_url) == 0)

    world = run(aws, story)
    assert sorted(payload for _, payload in world.broker.published) == sorted(messages)
    assert world.counted == ["published"] * 12


def test_nothing_is_deleted_before_the_broker_has_it(aws: AWS) -> None:
    aws.publish(drs_message())

    async def story(world: World) -> None:
        world.broker.refuse = 2
        await until(lambda: world.counted)
        assert aws.left(aws.queue_url) == 1
        await until(lambda: aws.left(aws.queue_url) == 0)

    world = run(aws, story)
    assert world.counted == ["broker", "broker", "published"]


def test_nothing_is_received_while_the_broker_is_away(aws: AWS) -> None:
    """Else an outage would use up the tries, and good messages would end among the dead."""
    aws.publish(drs_message())

    async def story() -> None:
        world = World(aws)
        world.connected.clear()
        async with asyncio.timeout(20), world.receiving(aws):
            await world.waiting.wait()
            assert aws.times_received() == 0
            world.connected.set()
            await until(lambda: aws.left(aws.queue_url) == 0)
        assert world.counted == ["published"]

    asyncio.run(story())


def test_poison_goes_where_the_redrive_policy_says(aws: AWS) -> None:
    poison = [drs_message(), "hello", json.dumps(Sender().notification(TopicArn=aws.topic, Timestamp=stamp(datetime.now(UTC))))]
    for body in poison:
        aws.send(body)

    async def story(world: World) -> None:
        await until(lambda: aws.left(aws.dead_url) == len(poison))

    world = run(aws, story)
    assert set(world.counted) == {"malformed", "unreachable"}
    assert world.broker.asked == 0


def test_message_for_no_device_is_deleted(aws: AWS) -> None:
    aws.publish("You have been subscribed.")

    async def story(world: World) -> None:
        await until(lambda: aws.left(aws.queue_url) == 0)

    assert run(aws, story).counted == ["not_for_a_device"]


def test_event_of_buy_with_prime_is_counted_and_deleted(aws: AWS) -> None:
    aws.put_event("aws.partner/buywithprime/acme")
    assert aws.left(aws.queue_url) == 1

    async def story(world: World) -> None:
        await until(lambda: aws.left(aws.queue_url) == 0)

    assert run(aws, story).counted == ["no_translation"]


def test_batch_that_was_received_is_finished_when_it_stops(aws: AWS) -> None:
    async def story() -> None:
        world = World(aws)
        aws.publish(drs_message())
        world.broker.acknowledges.clear()
        stack = contextlib.AsyncExitStack()
        async with asyncio.timeout(20):
            await stack.enter_async_context(world.receiving(aws))
            await until(lambda: world.broker.asked)
            leaving = asyncio.create_task(stack.aclose())
            await asyncio.sleep(0)
            assert not leaving.done()
            world.broker.acknowledges.set()
            await leaving
        assert (world.counted, aws.left(aws.queue_url)) == (["published"], 0)

    asyncio.run(story())


def test_queue_that_is_away_is_tried_again(aws: AWS, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        world = World(aws)
        given = SQSSettings(aws.queue_url.replace("notices", "none"), "eu-west-1", aws.url, receivers=1)
        async with asyncio.timeout(20), sqs.receiving(given, world.handler, world._ready):
            await until(lambda: caplog.text.count("sqs: ") >= 3)

    asyncio.run(story())
