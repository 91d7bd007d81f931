"""What the copies know together: heard in order, gathered anew after each connection, and swept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from host_tests.cloud.gateway.copies import PREFIX, Broker
from tools.cloud.gateway import memory as module
from tools.cloud.gateway import records
from tools.cloud.gateway.adapters import Unavailable
from tools.cloud.gateway.memory import Memory
from tools.cloud.gateway.model import IntentId
from tools.cloud.gateway.records import Attempt, Mark, Question, Record

ID = IntentId("SN-1", "a/b +#-", 3)
RECORD = Record(ID, 2, 1, "low", 100, Question("ItemOutOfStock", 0, 100))
ATTEMPT = Attempt(ID, "ab", "webhook", 2, 1, "low", 100, 100.5)


def run(story: Callable[[Broker, Memory], Awaitable[None]]) -> None:
    async def within() -> None:
        broker = Broker()
        async with asyncio.timeout(10):
            await story(broker, connected(broker))

    asyncio.run(within())


def connected(broker: Broker) -> Memory:
    found = Memory(broker, PREFIX, 5)
    broker.connect(found)
    return found


def test_what_one_writes_another_knows_after_a_mark() -> None:
    async def story(broker: Broker, memory: Memory) -> None:
        other = connected(broker)
        await memory.put(RECORD)
        await memory.begin(ATTEMPT)
        await memory.refuse(ID, 101.9)
        await memory.mark_told(ID, 100)
        assert other.record(ID) is None
        await other.sync()
        assert (other.record(ID), other.attempts(ID), other.refusal(ID), other.told(RECORD)) == (RECORD, [ATTEMPT], Mark(ID, 101), True)
        assert not other.told(replace(RECORD, question=Question("ItemOutOfStock", 0, 102)))
        assert set(broker.retained) == {
            f"replenish-gateway/{kind}" for kind in ("intents/" + NAME, "attempts/" + NAME + "/ab", "refusals/" + NAME, "told/" + NAME)
        }
        for undo in (memory.clear(ID), memory.end(ATTEMPT), memory.take_back(ID)):
            await undo
        await other.sync()
        assert (other.record(ID), other.attempts(ID), other.refusal(ID)) == (None, [], None)

    run(story)


NAME = "SN-1-a%2Fb%20%2B%23--3"


def test_what_was_cleared_while_the_connection_was_lost() -> None:
    async def story(broker: Broker, memory: Memory) -> None:
        await memory.put(RECORD)
        await memory.sync()
        broker.drop(memory)
        await connected(broker).clear(ID)
        broker.connect(memory)
        assert memory.record(ID) == RECORD  # as long as it is not known better
        await memory.sync()
        assert memory.record(ID) is None

    run(story)


def test_a_mark_that_does_not_come_back() -> None:
    async def story(broker: Broker, memory: Memory) -> None:
        deaf = Memory(broker, PREFIX, 0.01)
        with pytest.raises(Unavailable):
            await deaf.sync()
        broker.down = True
        with pytest.raises(Unavailable):
            await memory.sync()
        broker.down = False
        await memory.sync()

    run(story)


def test_marks_are_shared_by_those_who_wait_together() -> None:
    async def story(broker: Broker, memory: Memory) -> None:
        await asyncio.gather(*(memory.sync() for _ in range(50)))
        assert len(broker.published) == 1

    run(story)


def test_one_who_comes_later_waits_for_a_mark_of_her_own() -> None:
    """What is acknowledged while a mark is on its way need not be before it."""

    async def story(broker: Broker, memory: Memory) -> None:
        other = connected(broker)
        early = asyncio.create_task(other.sync())
        while not broker.published:
            await asyncio.sleep(0)
        await memory.put(RECORD)
        await other.sync()
        assert other.record(ID) == RECORD
        await early

    run(story)


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("intents/x", records.dumps(RECORD)),
        (f"intents/{NAME}", "{"),
        (f"intents/{NAME}", "[]"),
        (f"intents/{NAME}", records.dumps(RECORD).replace('"counter":3', '"counter":0')),
        (f"intents/{NAME}", records.dumps(RECORD).replace('"quantity":2', '"quantity":"2"')),
        (f"attempts/{NAME}/cd", records.dumps(ATTEMPT)),
        (f"attempts/{NAME}", records.dumps(ATTEMPT)),
        (f"refusals/{NAME}", records.dumps(Mark(ID, -1))),
        (f"other/{NAME}", records.dumps(Mark(ID, 1))),
    ],
)
def test_what_is_none_of_ours_is_left_out(topic: str, payload: str) -> None:
    async def story(broker: Broker, memory: Memory) -> None:
        await memory.put(RECORD)
        await broker.publish(f"{PREFIX}-gateway/{topic}", payload, retain=True)
        await memory.sync()
        assert memory.malformed == 1
        assert (len(memory), memory.record(ID)) == (1, RECORD)

    run(story)


def test_sweeping_keeps_what_tells_where_the_counter_is() -> None:
    async def story(broker: Broker, memory: Memory) -> None:
        for counter in (1, 2, 5):
            await memory.put(replace(RECORD, id=ID.with_counter(counter), created=counter))
        await memory.refuse(ID.with_counter(4), 1)
        await memory.begin(replace(ATTEMPT, id=ID.with_counter(9), time=1))
        await memory.sync()
        assert await memory.sweep(2) == 3
        await memory.sync()
        assert sorted(broker.retained) == [f"replenish-gateway/intents/{NAME[:-1]}{counter}" for counter in (2, 5)]
        assert await memory.sweep(100) == 1
        await memory.sync()
        assert memory.latest("SN-1", "a/b +#-") == 5
        assert len(memory) == 1

    run(story)


def test_the_filter_of_its_topics() -> None:
    assert module.listens_to("home/replenish") == "home/replenish-gateway/#"
