"""One message, from what came in to what went out: published once, done only when the broker has it, and nothing unsigned."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tests.cloud.sender import KEY, NOW, TOPIC, Sender, drs_message
from tools.cloud import notice, sns
from tools.cloud.certificates import Unreachable
from tools.cloud.handler import Handler
from tools.cloud.outcomes import NotRelayed, Outcome, Verdict
from tools.cloud.seen import Seen

SENDER = Sender()
HOUR = 3600.0


class FakeBroker:
    """Takes notices; `hold` keeps their acknowledgements back, `refuse` is how many it refuses first."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str]] = []
        self.asked = 0
        self.refuse = 0
        self.acknowledges = asyncio.Event()
        self.acknowledges.set()

    async def publish(self, topic: str, payload: str) -> None:
        self.asked += 1
        await self.acknowledges.wait()
        if self.refuse:
            self.refuse -= 1
            raise NotRelayed(Outcome.BROKER, "the broker is away")
        self.published.append((topic, payload))


class World:
    """A handler with everything around it."""

    def __init__(self, **changed: Any) -> None:
        self.broker = FakeBroker()
        self.now = NOW.timestamp()
        self.counted: list[str] = []
        self.confirmed: list[str] = []
        self.sns_is_away = False
        parts: dict[str, Any] = {
            "trust": sns.Trust(frozenset({TOPIC})),
            "keys": self,
            "publish": self.broker.publish,
            "confirm": self._confirm,
            "seen": Seen(100, HOUR),
            "now": lambda: self.now,
            "count": lambda way, outcome: self.counted.append(outcome.word),
        }
        self.handler = Handler(**{**parts, **changed})

    async def key(self, url: str) -> rsa.RSAPublicKey:
        return KEY.public_key()

    async def _confirm(self, url: str) -> None:
        if self.sns_is_away:
            raise Unreachable("SNS is away")
        self.confirmed.append(url)

    async def post(self, given: Mapping[str, Any]) -> Outcome:
        return (await self.handler.signed("https", given, HOUR))[0]


def live(test: Callable[[World], Awaitable[None]], **changed: Any) -> World:
    """Run a story in a world, which is returned."""

    async def story() -> World:
        world = World(**changed)
        async with asyncio.timeout(10):
            await test(world)
        return world

    return asyncio.run(story())


def post(*messages: Mapping[str, Any], **changed: Any) -> tuple[World, list[Outcome]]:
    """Post one message after the other."""
    outcomes: list[Outcome] = []

    async def story(world: World) -> None:
        for message in messages:
            outcomes.append(await world.post(message))

    return live(story, **changed), outcomes


def test_notice_goes_to_its_devices_topic_as_it_is() -> None:
    message = '  {"deviceInfo": {"deviceIdentifier": {"serialNumber": "SN-1_a"}}, "é":1e2}\n'
    world, outcomes = post(SENDER.notification(message), prefix="acme/test")
    assert outcomes == [Outcome.PUBLISHED]
    assert world.broker.published == [("acme/test/SN-1_a/notice", message)]
    assert world.counted == ["published"]


def test_nothing_that_is_wrong_is_published() -> None:
    good = SENDER.notification()
    wrong = [
        {**good, "Message": drs_message("SN0002")},
        {**good, "TopicArn": TOPIC + "x"},
        {**good, "SigningCertURL": "https://example.org/a.pem"},
        SENDER.notification(Timestamp="2020-01-01T00:00:00.000Z"),
        {**good, "Signature": ""},
        {},
    ]
    world, outcomes = post(*wrong)
    expected = [Outcome.SIGNATURE, Outcome.TOPIC, Outcome.HOST, Outcome.STALE, Outcome.SIGNATURE, Outcome.MALFORMED]
    assert outcomes == expected
    assert all(outcome.verdict is Verdict.NEVER for outcome in outcomes)
    assert world.broker.asked == 0


def test_a_forged_message_does_not_hide_the_true_one() -> None:
    good = SENDER.notification()
    world, outcomes = post({**good, "Message": drs_message("SN0002")}, good)
    assert outcomes == [Outcome.SIGNATURE, Outcome.PUBLISHED]


def test_repeated_message_is_published_once() -> None:
    message = SENDER.notification()
    world, outcomes = post(message, message, SENDER.notification())
    assert outcomes == [Outcome.PUBLISHED, Outcome.DUPLICATE, Outcome.PUBLISHED]
    assert len(world.broker.published) == 2


def test_message_that_the_broker_did_not_take_is_tried_again() -> None:
    async def story(world: World) -> None:
        world.broker.refuse = 1
        message = SENDER.notification()
        assert [await world.post(message), await world.post(message)] == [Outcome.BROKER, Outcome.PUBLISHED]

    assert Outcome.BROKER.status == 503
    assert len(live(story).broker.published) == 1


@pytest.mark.parametrize(("refuse", "expected"), [(0, [Outcome.PUBLISHED, Outcome.DUPLICATE]), (1, [Outcome.BROKER, Outcome.BROKER])])
def test_repetition_in_flight_shares_what_becomes_of_the_first(refuse: int, expected: list[Outcome]) -> None:
    async def story(world: World) -> None:
        world.broker.refuse = refuse
        world.broker.acknowledges.clear()
        message = SENDER.notification()
        both = [asyncio.create_task(world.post(message)) for _ in range(2)]
        await until(lambda: world.broker.asked == 1)
        await asyncio.sleep(0)
        assert not any(task.done() for task in both)
        world.broker.acknowledges.set()
        assert await asyncio.gather(*both) == expected
        assert world.broker.asked == 1

    live(story)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_sender_that_hangs_up_takes_nothing_back() -> None:
    async def story(world: World) -> None:
        world.broker.acknowledges.clear()
        message = SENDER.notification()
        hasty = asyncio.create_task(world.post(message))
        await until(lambda: world.broker.asked == 1)
        hasty.cancel()
        await asyncio.wait([hasty])
        world.broker.acknowledges.set()
        await until(lambda: bool(world.broker.published))
        assert world.handler.in_hand == 0
        assert await world.post(message) is Outcome.DUPLICATE

    live(story)


def test_message_is_forgotten_when_it_is_too_old_anyway() -> None:
    async def story(world: World) -> None:
        message = SENDER.notification()
        await world.post(message)
        world.now += HOUR
        assert await world.handler.vouched("lambda_sns", message) == (Outcome.PUBLISHED, "")
        world.now += 1
        assert await world.post(message) is Outcome.STALE

    live(story)


def test_messages_beyond_the_limit_are_put_off() -> None:
    async def story(world: World) -> None:
        world.broker.acknowledges.clear()
        first = asyncio.create_task(world.post(SENDER.notification()))
        await until(lambda: world.broker.asked == 1)
        assert await world.post(SENDER.notification()) is Outcome.BUSY
        world.broker.acknowledges.set()
        assert await first is Outcome.PUBLISHED
        assert await world.post(SENDER.notification()) is Outcome.PUBLISHED

    live(story, limit=1)
    assert Outcome.BUSY.status == 503


@pytest.mark.parametrize("serial", ["SN+1", "#", "", "a/b", "x" * 65, "é", "SN\n", 5, None, ["SN"], {}])
def test_serial_that_no_topic_can_have(serial: object) -> None:
    world, outcomes = post(SENDER.notification(drs_message(serial)))
    assert outcomes == [Outcome.SERIAL]
    assert Outcome.SERIAL.verdict is Verdict.DONE
    assert world.broker.asked == 0


@pytest.mark.parametrize(
    "message", ["", "hello", "[]", "{}", '{"deviceInfo": null}', '{"deviceInfo": {"deviceIdentifier": []}}', "[" * 99_999]
)
def test_message_for_no_device_is_done(message: str) -> None:
    world, outcomes = post(SENDER.notification(message))
    assert outcomes == [Outcome.NOT_FOR_A_DEVICE]
    assert Outcome.NOT_FOR_A_DEVICE.verdict is Verdict.DONE
    assert world.broker.asked == 0


def test_subscription_is_confirmed_once() -> None:
    message = SENDER.confirmation()
    world, outcomes = post(message, message)
    assert outcomes == [Outcome.CONFIRMED, Outcome.DUPLICATE]
    assert world.confirmed == [message["SubscribeURL"]]


def test_subscription_is_tried_again_while_sns_is_away() -> None:
    async def story(world: World) -> None:
        message = SENDER.confirmation()
        world.sns_is_away = True
        assert await world.post(message) is Outcome.UNREACHABLE
        world.sns_is_away = False
        assert await world.post(message) is Outcome.CONFIRMED

    live(story)


@pytest.mark.parametrize("url", ["http://sns.eu-west-1.amazonaws.com/", "https://example.org/", "https://sns.us-east-1.amazonaws.com/"])
def test_subscription_is_confirmed_nowhere_else(url: str) -> None:
    world, outcomes = post(SENDER.confirmation(SubscribeURL=url), SENDER.confirmation(TopicArn=TOPIC + "x"))
    assert outcomes == [Outcome.HOST, Outcome.TOPIC]
    assert world.confirmed == []


def test_unsubscription_is_told_and_left_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    world, outcomes = post(SENDER.confirmation("UnsubscribeConfirmation"))
    assert outcomes == [Outcome.UNSUBSCRIBED]
    assert world.confirmed == []
    assert f"unsubscribed from {TOPIC}" in caplog.text


def test_log_has_neither_tokens_nor_messages(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    good = SENDER.confirmation()
    post(good, {**good, "Message": "x"}, SENDER.notification("SECRET"), SENDER.notification(drs_message("SECRET+")))
    assert len(lines(caplog)) == 4
    assert "2336412f37" not in caplog.text
    assert "SECRET" not in caplog.text


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "relay"]


def test_log_says_each_kind_of_refusal_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    bad = {**SENDER.notification(), "Signature": ""}
    world, outcomes = post(bad, bad, bad, {})
    assert world.counted == ["signature"] * 3 + ["malformed"]
    assert [line.split(":")[1] for line in lines(caplog)] == [" signature", " malformed"]


def event(source: str = "aws.partner/buywithprime/acme", **changed: Any) -> dict[str, Any]:
    given = {"version": "0", "id": "e-1", "source": source, "detail-type": "PACKAGE_DELIVERED", "detail": {}}
    return {**given, **changed}


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (event(), Outcome.NO_TRANSLATION),
        (event("aws.s3"), Outcome.NOT_FOR_A_DEVICE),
        (event("x.aws.partner/buywithprime/acme"), Outcome.NOT_FOR_A_DEVICE),
        (event(source=5), Outcome.NOT_FOR_A_DEVICE),  # type: ignore[arg-type]
        (event(id=None), Outcome.NO_TRANSLATION),
    ],
)
def test_event_of_eventbridge(given: dict[str, Any], outcome: Outcome) -> None:
    async def story(world: World) -> None:
        assert (await world.handler.queued("sqs", json.dumps(given), HOUR))[0] is outcome
        assert (await world.handler.event("eventbridge", given))[0] is outcome
        assert world.broker.asked == 0

    live(story)


class FakeTranslation:
    """Notices for as many devices as `detail` says; the shop that it has to ask is away at first."""

    def __init__(self) -> None:
        self.asked = 0

    def key(self, given: Mapping[str, Any]) -> str:
        if not isinstance(given.get("id"), str):
            raise NotRelayed(Outcome.MALFORMED, "no id")
        return str(given["id"])

    async def notices(self, given: Mapping[str, Any]) -> list[notice.Notice]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.asked == 1:
            raise NotRelayed(Outcome.SHOP, "the shop does not answer")
        return [notice.Notice(f"SN{number}", given["detail-type"]) for number in range(given["detail"]["devices"])]


def test_event_with_a_translation_is_published_once_for_each_device() -> None:
    fake = FakeTranslation()

    async def story(world: World) -> None:
        given = event("test.a", detail={"devices": 2})
        outcomes = [(await world.handler.event("eventbridge", given))[0] for _ in range(3)]
        assert outcomes == [Outcome.SHOP, Outcome.PUBLISHED, Outcome.DUPLICATE]
        assert world.broker.published == [(f"replenish/SN{number}/notice", "PACKAGE_DELIVERED") for number in range(2)]
        assert (await world.handler.event("eventbridge", event("test.a", id=None)))[0] is Outcome.MALFORMED

    live(story, translations={"test.": fake})
    assert fake.asked == 2
    assert Outcome.SHOP.verdict is Verdict.LATER


def test_event_of_nothing_for_a_device_is_done() -> None:
    fake = FakeTranslation()
    fake.asked = 1

    async def story(world: World) -> None:
        assert (await world.handler.event("sqs", event("test.a", detail={"devices": 0})))[0] is Outcome.NOT_FOR_A_DEVICE
        assert (world.broker.asked, fake.asked) == (0, 2)

    live(story, translations={"test.": fake})


def test_event_does_not_come_in_by_https() -> None:
    assert post(event())[1] == [Outcome.MALFORMED]


def test_fault_of_our_own_is_told_and_the_message_comes_again(caplog: pytest.LogCaptureFixture) -> None:
    async def publish(topic: str, payload: str) -> None:
        raise ZeroDivisionError

    world, outcomes = post(SENDER.notification(), publish=publish)
    assert outcomes == [Outcome.FAILED]
    assert Outcome.FAILED.status == 500
    assert world.counted == ["failed"]
    assert "ZeroDivisionError" in caplog.text


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40) | st.binary(max_size=40).map(lambda data: data.decode("latin-1")))
def test_any_signed_text_is_published_for_a_device_or_done(text: str) -> None:
    for message in (text, drs_message(text)):
        world, outcomes = post(SENDER.notification(message))
        assert outcomes[0].verdict is Verdict.DONE
        assert all(topic.count("/") == 2 and not set(topic) & set("+#") for topic, _ in world.broker.published)


def test_seen_keeps_the_last_ones() -> None:
    seen = Seen(2, 10)
    for number in range(3):
        seen.add(("topic", str(number)), 100 + number)
    assert [seen.has(("topic", str(number)), 103) for number in range(3)] == [False, True, True]
    assert (len(seen), seen.forgotten_early) == (2, 1)
    assert seen.has(("topic", "2"), 111.9)
    assert not seen.has(("topic", "2"), 112)
    seen.add(("topic", "3"), 112)
    assert (len(seen), seen.forgotten_early) == (1, 1)
