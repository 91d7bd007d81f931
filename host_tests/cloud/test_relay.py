"""The whole relay on real sockets: TLS to SNS, TLS for SNS, and a broker that may die."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from host_tests.cloud.broker import FakeBroker
from host_tests.cloud.sender import NOW, TOPIC, Host, Sender, drs_message, headers
from tools.cloud import events, https
from tools.cloud.relay import Relay
from tools.cloud.settings import AdminSettings, HTTPSettings, MQTTSettings, Settings, SNSSettings

Post = Callable[..., Awaitable[tuple[int, str]]]


class World:
    """SNS, a relay and a broker. `post` is what SNS does."""

    def __init__(self, folder: Path, host: Host, broker: FakeBroker, relay: Relay, http: aiohttp.ClientSession) -> None:
        self.folder, self.host, self.broker, self.relay, self.http = folder, host, broker, relay, http
        self.trust = ssl.create_default_context(cafile=host.ca_pem)

    @property
    def sender(self) -> Sender:
        return self.host.sender

    async def post(self, given: Mapping[str, Any], body: bytes | None = None, path: str = "", **changed: Any) -> tuple[int, str]:
        """Status and word of the answer."""
        assert self.relay.url
        data = json.dumps(given).encode() if body is None else body
        async with self.http.post(self.relay.url + path, data=data, headers=headers(given, **changed), ssl=self.trust) as answer:
            return answer.status, (await answer.text()).split(":")[0].strip()

    async def metrics(self) -> dict[str, float]:
        async with self.http.get(f"{self.relay.admin_url}/metrics") as answer:
            text = await answer.text()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in text.splitlines() if line[0] != "#")}

    async def health(self) -> dict[str, int]:
        found = {}
        for path in ("live", "health"):
            async with self.http.get(f"{self.relay.admin_url}/{path}") as answer:
                found[path] = answer.status
        return found


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0)


def settings(host: Host, broker: FakeBroker, folder: Path, **mqtt: Any) -> Settings:
    certificate, key = host.issue(folder, "relay")
    return Settings(
        SNSSettings([TOPIC], [host.name], str(host.ca_pem)),
        MQTTSettings("127.0.0.1", **{"port": broker.port, "tls": False, "publish_limit_s": 5, **mqtt}),
        HTTPSettings("127.0.0.1", 0, certificate=str(certificate), key=str(key)),
        admin=AdminSettings(port=0),
    )


@contextlib.asynccontextmanager
async def world(
    folder: Path,
    change: Callable[[Settings], Settings] = lambda given: given,
    translations: events.Translations = events.NO_TRANSLATIONS,
    **mqtt: Any,
) -> AsyncIterator[World]:
    """A world in which the relay is connected."""
    async with asyncio.timeout(20), Host(folder) as host, FakeBroker() as broker, aiohttp.ClientSession() as http:
        async with Relay(change(settings(host, broker, folder, **mqtt)), NOW.timestamp, translations) as relay:
            await relay.broker.wait_connected()
            yield World(folder, host, broker, relay, http)


def run(story: Callable[[World], Awaitable[None]], folder: Path, **given: Any) -> None:
    async def within() -> None:
        async with world(folder, **given) as made:
            await story(made)

    asyncio.run(within())


def test_notices_reach_the_broker(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        first, second = world.sender.notification(), world.sender.notification(drs_message("SN2"), "2", Subject="S")
        answers = [await world.post(given) for given in (first, first, second)]
        assert answers == [(200, "published"), (200, "duplicate"), (200, "published")]
        assert world.broker.published == [
            ("replenish/SN0001/notice", first["Message"].encode()),
            ("replenish/SN2/notice", second["Message"].encode()),
        ]
        assert world.host.asked == ["/SimpleNotificationService-0123456789abcdef.pem"]

    run(story, tmp_path)


def test_subscription_is_confirmed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        assert await world.post(world.sender.confirmation()) == (200, "confirmed")
        assert world.host.asked[1:] == ["/?Action=ConfirmSubscription&Token=2336412f37"]

    run(story, tmp_path)


@pytest.mark.parametrize(("status", "padding"), [(500, 0), (404, 0), (302, 0), (200, 65_536)])
def test_certificate_that_sns_does_not_give(status: int, padding: int, tmp_path: Path) -> None:
    """An error, a redirect, which is not followed, and a body without end."""

    async def story(world: World) -> None:
        world.host.status, world.host.padding = status, b"\n" * padding
        assert await world.post(world.sender.notification()) == (503, "unreachable")
        assert len(world.host.asked) == 1
        assert world.broker.published == []

    run(story, tmp_path)


def test_signer_of_another_authority(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.host.sign_with(trustme.CA())
        assert await world.post(world.sender.notification()) == (403, "certificate")

    run(story, tmp_path)


def test_host_that_cannot_prove_who_it_is(tmp_path: Path) -> None:
    """Its certificate is from another authority than the relay was told."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))

    async def story(world: World) -> None:
        assert await world.post(world.sender.notification()) == (503, "unreachable")
        assert world.host.asked == []

    run(story, tmp_path, change=lambda given: replace(given, sns=replace(given.sns, ca=str(other))))


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"x_amz_sns_message_type": None}, "headers"),
        ({"x_amz_sns_message_type": "SubscriptionConfirmation"}, "headers"),
        ({"x_amz_sns_message_id": "other"}, "headers"),
        ({"x_amz_sns_message_id": None}, "headers"),
        ({"x_amz_sns_topic_arn": TOPIC + "x"}, "headers"),
        ({"x_amz_sns_rawdelivery": "true"}, "raw"),
    ],
)
def test_headers_have_to_fit_the_body(changed: dict[str, Any], word: str, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        assert await world.post(world.sender.notification(), **changed) == (400, word)
        assert world.broker.published == []

    run(story, tmp_path)


def test_raw_delivery_is_told_whatever_the_body_is(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        given = world.sender.notification()
        for body in (given["Message"].encode(), b"hello"):
            assert await world.post(given, body, x_amz_sns_rawdelivery="true", x_amz_sns_message_id=None) == (400, "raw")

    run(story, tmp_path)


def test_bodies_that_are_none(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        given = world.sender.notification()
        whole = json.dumps(given).encode()
        assert await world.post(given, whole[:-5]) == (400, "malformed")
        assert await world.post(given, whole + b" " * 262_144) == (413, "too_large")
        assert await world.post(given, b"") == (400, "malformed")
        assert (await world.post(given, path="/other"))[0] == 404
        assert world.relay.url
        async with world.http.get(world.relay.url, ssl=world.trust) as answer:
            assert answer.status == 405
        assert world.broker.published == []

    run(story, tmp_path)


async def _send_raw(world: World, text: bytes) -> bytes:
    """What comes back until the relay closes the connection."""
    assert world.relay.url
    reader, writer = await asyncio.open_connection("localhost", int(world.relay.url.split(":")[2].split("/")[0]), ssl=world.trust)
    writer.write(text)
    found = await reader.read()
    writer.close()
    return found


def test_body_that_never_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "READ_LIMIT_S", 0.05)

    async def story(world: World) -> None:
        answer = await _send_raw(world, b"POST /sns HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 500\r\n\r\n{")
        assert answer.startswith(b"HTTP/1.1 503")

    run(story, tmp_path)


def test_broker_that_is_away(tmp_path: Path) -> None:
    """Nobody is told that a notice has arrived; and it comes through when SNS tries again."""

    async def story(world: World) -> None:
        given = world.sender.notification()
        assert await world.health() == {"live": 200, "health": 200}
        await world.broker.stop()
        await until(lambda: not world.relay.broker.connected)
        assert await world.post(given) == (503, "broker")
        assert await world.health() == {"live": 200, "health": 503}
        assert (await world.metrics())["relay_broker_connected"] == 0
        await world.broker.start()
        await world.relay.broker.wait_connected()
        assert await world.post(given) == (200, "published")
        assert await world.health() == {"live": 200, "health": 200}

    run(story, tmp_path, publish_limit_s=1)


def test_broker_that_comes_back_in_time(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.broker.stop()
        await until(lambda: not world.relay.broker.connected)
        waiting = asyncio.create_task(world.post(world.sender.notification()))
        await until(lambda: world.host.asked)
        await world.broker.start()
        assert await waiting == (200, "published")

    run(story, tmp_path)


def test_broker_that_dies_before_it_acknowledges(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        given = world.sender.notification()
        world.broker.acknowledges = False
        waiting = asyncio.create_task(world.post(given))
        await until(lambda: world.broker.published)
        assert (await world.metrics())["relay_in_flight"] == 1
        assert not waiting.done()
        world.broker.drop()
        assert await waiting == (503, "broker")
        world.broker.acknowledges = True
        assert await world.post(given) == (200, "published")
        assert len(world.broker.published) == 2

    run(story, tmp_path)


def test_broker_that_falls_silent_is_left_for_a_new_connection(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        given = world.sender.notification()
        world.broker.acknowledges = False
        assert await world.post(given) == (503, "broker")
        world.broker.acknowledges = True
        await world.relay.broker.wait_connected()
        assert await world.post(given) == (200, "published")
        assert (await world.metrics())["relay_broker_connections_total"] == 2

    run(story, tmp_path, publish_limit_s=1)


def test_broker_that_refuses_the_relay(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.broker.accepts = False
        world.broker.drop()
        await until(lambda: not world.relay.broker.connected)
        assert await world.post(world.sender.notification()) == (503, "broker")
        world.broker.accepts = True
        await world.relay.broker.wait_connected()
        assert await world.post(world.sender.notification()) == (200, "published")

    run(story, tmp_path, publish_limit_s=1)


def test_broker_that_does_not_answer_connect(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.broker.answers = False
        world.broker.drop()
        await until(lambda: world.broker.connects == 3)
        world.broker.answers = True
        await world.relay.broker.wait_connected()
        assert await world.post(world.sender.notification()) == (200, "published")

    run(story, tmp_path, publish_limit_s=1)


def test_notices_in_flight_are_bounded(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.broker.acknowledges = False
        posts = [asyncio.create_task(world.post(world.sender.notification())) for _ in range(20)]
        await until(lambda: world.relay.handler.in_hand == 20 and len(world.broker.published) == 3)
        found = await world.metrics()
        assert (found["relay_in_hand"], found["relay_in_flight"]) == (20, 3)
        world.broker.acknowledge()
        assert {await post for post in posts} == {(200, "published")}
        assert world.broker.most_unacknowledged == 3

    run(story, tmp_path, in_flight=3)


def test_stopping_answers_what_came_in_and_takes_no_more(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as made:
            made.broker.acknowledges = False
            waiting = asyncio.create_task(made.post(made.sender.notification()))
            await until(lambda: made.broker.published)
            leaving = asyncio.create_task(made.relay.__aexit__(None, None, None))
            assert made.relay.url
            address = "localhost", int(made.relay.url.split(":")[2].split("/")[0])
            await until(lambda: _refuses(address))
            for _ in range(5_000):
                await asyncio.sleep(0)
            assert not leaving.done() and not waiting.done()
            made.broker.acknowledge()
            assert await waiting == (200, "published")
            await leaving
            assert not made.relay.broker.connected

    asyncio.run(story())


def test_stopping_at_every_step_of_a_connection() -> None:
    """wait_for of Python 3.11 loses a cancellation that comes together with what it waits for; aiomqtt connects with it."""

    async def story() -> None:
        async with FakeBroker() as broker:
            for turns in range(8):
                relay = relay_to(broker, tls=False)
                async with asyncio.timeout(10), relay:
                    await until(lambda: broker.peers)
                    for _ in range(turns):
                        await asyncio.sleep(0)
                await until(lambda: not broker.peers)

    asyncio.run(story())


def _refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_two_relays_side_by_side(tmp_path: Path) -> None:
    """Each message goes to either, some to both: none is lost, and none is published more than once by each."""

    async def story(world: World) -> None:
        second = settings(world.host, world.broker, tmp_path)
        async with Relay(second, NOW.timestamp) as other:
            await other.broker.wait_connected()
            twin = World(tmp_path, world.host, world.broker, other, world.http)
            messages = [world.sender.notification(drs_message(number=number)) for number in range(12)]
            for number, message in enumerate(messages):
                for relay in ([world], [twin], [world, twin, world])[number % 3]:
                    assert (await relay.post(message))[0] == 200
            counts = [[payload for _, payload in world.broker.published].count(m["Message"].encode()) for m in messages]
            assert counts == [1, 1, 2] * 4
            names = {peer.texts[0] for peer in world.broker.peers}
            assert len(names) == 2 and "" not in names  # with the same one, each would throw the other out

    run(story, tmp_path)


def test_metrics_count_by_way_and_outcome(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        given = world.sender.notification()
        for message in (given, given, {**given, "Signature": ""}, world.sender.notification("{}")):
            await world.post(message)
        found = await world.metrics()
        received = {name: value for name, value in found.items() if name.startswith("relay_received_total")}
        assert received == {
            f'relay_received_total{{outcome="{word}",way="https"}}': 1.0
            for word in ("published", "duplicate", "signature", "not_for_a_device")
        }
        assert found["relay_published_total"] == found["relay_duplicates_total"] == found["relay_puback_seconds_count"] == 1
        assert found['relay_certificate_fetches_total{result="ok"}'] == 1
        assert (found["relay_remembered_messages"], found["relay_in_flight"], found["relay_broker_connected"]) == (1, 0, 1)

    run(story, tmp_path)


def broker_over_tls(ca: trustme.CA, clients: bool = False) -> FakeBroker:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(context)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        ca.configure_trust(context)
    return FakeBroker(context)


def relay_to(broker: FakeBroker, **mqtt: Any) -> Relay:
    given = Settings(SNSSettings([TOPIC]), MQTTSettings("localhost", broker.port, **mqtt), admin=AdminSettings(port=0))
    return Relay(given)


def test_broker_over_tls_with_a_password(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def story() -> None:
        async with broker_over_tls(ca) as broker:
            relay = relay_to(broker, ca=str(tmp_path / "ca.pem"), user="u", password="p", client_id="relay-1")
            async with asyncio.timeout(10), relay:
                await relay.broker.wait_connected()
                assert (broker.peers[0].texts, broker.peers[0].clean) == (["relay-1", "u", "p"], True)

    asyncio.run(story())


def test_broker_that_wants_a_certificate_of_ours(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    issued = ca.issue_cert("relay.example")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "relay.pem"))
    ours = str(tmp_path / "relay.pem")

    async def story() -> None:
        async with broker_over_tls(ca, clients=True) as broker:
            async with asyncio.timeout(10), relay_to(broker, ca=str(tmp_path / "ca.pem"), certificate=ours, key=ours) as relay:
                await relay.broker.wait_connected()
                await relay.broker.publish("replenish/SN0001/notice", "{}")
                assert broker.published == [("replenish/SN0001/notice", b"{}")]

    asyncio.run(story())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_broker_that_cannot_prove_who_it_is(host: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of another authority; or of the right one, for another name."""
    ca, other = trustme.CA(), trustme.CA()
    (other if host == "localhost" else ca).cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def story() -> None:
        async with broker_over_tls(ca) as broker:
            given = MQTTSettings(host, broker.port, ca=str(tmp_path / "ca.pem"), user="u", password="SECRET")
            async with asyncio.timeout(10), Relay(Settings(SNSSettings([TOPIC]), given, admin=AdminSettings(port=0))) as relay:
                await until(lambda: "certificate verify failed" in caplog.text)
                assert not relay.broker.connected
                assert broker.peers == []

    asyncio.run(story())
    assert "SECRET" not in caplog.text
