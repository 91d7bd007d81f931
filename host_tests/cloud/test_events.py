"""The door for events of EventBridge: who has the key comes in, and the answer says whether to come again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from host_tests.cloud.test_relay import World
from host_tests.cloud.test_relay import world as relay_world
from tools.cloud.events import Translations
from tools.cloud.notice import Notice
from tools.cloud.outcomes import NotRelayed, Outcome
from tools.cloud.settings import EventBridgeSettings, Settings

KEY = "0123456789abcdef"
EVENT = {"id": "e-1", "source": "test.a", "detail-type": "PACKAGE_DELIVERED", "detail": {}}


class Echo:
    """One notice for each event, unless `refuses` is set."""

    refuses: Outcome | None = None

    def key(self, given: Mapping[str, Any]) -> str:
        return str(given.get("id"))

    async def notices(self, given: Mapping[str, Any]) -> list[Notice]:
        if self.refuses:
            raise NotRelayed(self.refuses, "for a test")
        return [Notice("SN0001", str(given["detail-type"]))]


Post = Callable[..., Awaitable[tuple[int, str]]]


def run(story: Callable[[World, Post, Echo], Awaitable[None]], folder: Path) -> None:
    echo = Echo()
    translations: Translations = {"test.": echo}

    def with_events(given: Settings) -> Settings:
        return replace(given, eventbridge=EventBridgeSettings(key=KEY))

    async def within() -> None:
        async with relay_world(folder, with_events, translations=translations) as made:

            async def post(body: object = EVENT, key: str | None = KEY) -> tuple[int, str]:
                assert made.relay.events_url
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                given = {} if key is None else {"x-api-key": key}
                async with made.http.post(made.relay.events_url, data=data, headers=given, ssl=made.trust) as answer:
                    return answer.status, (await answer.text()).split(":")[0].strip()

            await story(made, post, echo)

    asyncio.run(within())


def test_event_with_the_key_is_published_once(tmp_path: Path) -> None:
    async def story(world: World, post: Post, echo: Echo) -> None:
        assert [await post(), await post()] == [(200, "published"), (200, "duplicate")]
        assert world.broker.published == [("replenish/SN0001/notice", b"PACKAGE_DELIVERED")]
        found = await world.metrics()
        assert found['relay_received_total{outcome="published",way="eventbridge"}'] == 1

    run(story, tmp_path)


@pytest.mark.parametrize("key", [None, "", KEY[:-1], KEY + "x", KEY.upper(), "é" * 16])
def test_event_without_the_key_is_refused(key: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story(world: World, post: Post, echo: Echo) -> None:
        assert await post(key=key) == (401, "key")
        assert world.broker.published == []

    run(story, tmp_path)
    assert "eventbridge: key" in caplog.text
    assert KEY not in caplog.text


def test_key_is_asked_for_before_the_body_is_read(tmp_path: Path) -> None:
    async def story(world: World, post: Post, echo: Echo) -> None:
        assert await post(b"{" * 300_000, key="other") == (401, "key")
        assert await post(b"{" * 300_000) == (413, "too_large")
        assert await post(b"{") == (400, "malformed")
        assert await post([]) == (400, "malformed")

    run(story, tmp_path)


def test_event_is_posted_again_while_the_shop_is_away(tmp_path: Path) -> None:
    async def story(world: World, post: Post, echo: Echo) -> None:
        echo.refuses = Outcome.SHOP
        assert await post() == (503, "shop")
        echo.refuses = None
        assert await post() == (200, "published")

    run(story, tmp_path)


def test_doors_are_apart(tmp_path: Path) -> None:
    """SNS's door takes no events, that of events no messages of SNS, and without its section there is none."""

    async def story(world: World, post: Post, echo: Echo) -> None:
        assert await world.post({**EVENT, "Type": "x", "MessageId": "x", "TopicArn": "x"}) == (400, "malformed")
        assert await post(world.sender.notification()) == (200, "not_for_a_device")
        assert world.broker.published == []

    run(story, tmp_path)

    async def without() -> None:
        async with relay_world(tmp_path) as made:
            assert made.relay.events_url is None
            assert (await made.post(EVENT | {"Type": "x", "MessageId": "x", "TopicArn": "x"}, path="/../events"))[0] == 404

    asyncio.run(without())
