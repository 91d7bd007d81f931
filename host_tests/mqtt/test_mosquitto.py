"""The tests' own broker: who gets in, who may read and write what, and what survives its restart."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tests.mqtt.client import Refused
from host_tests.mqtt.mosquitto import OPERATOR, RELAY, Mosquitto, require_program
from tools.run.appliance import SERIAL

ONE, TWO = "SN0001", "SN0002"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    require_program()
    with Mosquitto(tmp_path_factory.mktemp("broker"), {ONE: "one's", TWO: "two's"}, plain=True) as started:
        yield started


def topic(name: str, serial: str = ONE) -> str:
    return f"replenish/{serial}/{name}"


def test_a_wrong_password_and_an_unknown_user_are_refused(broker: Mosquitto) -> None:
    for user, password in ((ONE, "two's"), (ONE, None), ("SN0003", "two's"), (OPERATOR, ""), (RELAY, "one's")):
        with pytest.raises(Refused, match="Not authorized"):
            broker.client(user, password=password)


def test_a_client_that_does_not_know_the_authority_does_not_connect(broker: Mosquitto) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        broker.client(ONE, ca=Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"))


def test_a_device_reads_its_own_notices_and_commands(broker: Mosquitto) -> None:
    with broker.operator() as operator, broker.client(ONE) as device:
        for name in ("notice", "command"):
            device.subscribe(topic(name))
            operator.publish(topic(name), {"for": name})
            assert device.expect(topic(name)).json == {"for": name}


def test_a_device_reads_nothing_else(broker: Mosquitto) -> None:
    with broker.operator() as operator, broker.client(TWO) as device:
        for forbidden in (topic("notice"), topic("command"), topic("state"), topic("state", TWO), "replenish/#"):
            device.subscribe(forbidden)  # a 3.1.1 broker grants it, and then sends nothing
            if "#" not in forbidden:
                operator.publish(forbidden, b"not for you")
        # The broker keeps the order, so with this one the others would have come.
        operator.publish(topic("notice", TWO), b"for you")
        assert device.expect(topic("notice", TWO)).payload == b"for you"
        assert {message.topic for message in device.messages} == {topic("notice", TWO)}


def refused(broker: Mosquitto, user: str, *topics: str) -> None:
    """Publish to each on a connection of its own, which the broker then closes."""
    for forbidden in topics:
        with broker.client(user) as client:
            client.publish_later(forbidden, b"forbidden")
            broker.await_log(rf"Denied PUBLISH from \S+ \(d0, q1, r0, m1, '{forbidden}'")


def test_a_device_writes_its_own_topics_and_nothing_else(broker: Mosquitto) -> None:
    others = [topic(name, TWO) for name in ("state", "result", "availability", "notice", "command")]
    own = [topic(name) for name in ("state", "result", "availability")]
    own += [f"homeassistant/{part}/config" for part in (f"device/{ONE}", f"sensor/{ONE}/PaperTowel_level")]
    with broker.operator() as operator:
        operator.subscribe("replenish/#")
        operator.subscribe("homeassistant/#")
        refused(broker, ONE, *others, topic("notice"), topic("command"), f"homeassistant/device/{TWO}/config")
        with broker.client(ONE) as device:
            for mine in own:
                device.publish(mine, b"mine")
        operator.expect(own[-1])
        assert [message.topic for message in operator.messages] == own


def test_the_relay_writes_notices_and_nothing_else(broker: Mosquitto) -> None:
    with broker.operator() as operator, broker.client(RELAY) as relay:
        operator.subscribe("replenish/#")
        relay.subscribe("replenish/#")
        refused(broker, RELAY, topic("command"), topic("state"))
        relay.publish(topic("notice"), b"from the relay")
        operator.publish(topic("state"), b"not for the relay")
        operator.expect(topic("state"))
        assert [message.payload for message in operator.messages] == [b"from the relay", b"not for the relay"]
        assert relay.messages == []


def test_no_device_takes_anothers_session_by_its_client_id(broker: Mosquitto) -> None:
    with broker.operator() as operator, broker.client(ONE, client_id=ONE, clean=False) as owner:
        owner.subscribe(topic("notice"))
        with broker.client(TWO, client_id=ONE, clean=False) as thief:
            assert not thief.session_present
            operator.publish(topic("notice"), b"for the owner")
            assert owner.expect(topic("notice")).payload == b"for the owner"
            assert thief.messages == []
    broker.client(ONE).close()  # clean: the session is gone


def test_a_client_certificate_is_a_device_without_a_password(broker: Mosquitto) -> None:
    certificate = broker.client_certificate(ONE)
    with broker.operator() as operator:
        operator.subscribe("replenish/#")
        with broker.client("", port=broker.mutual_port, password=None, certificate=certificate.pem) as device:
            device.publish(topic("state"), b"mine")
        operator.expect(topic("state"))
        assert [message.topic for message in operator.messages] == [topic("state")]


def test_without_its_certificate_a_device_does_not_connect_there(broker: Mosquitto) -> None:
    with pytest.raises((OSError, Refused)):  # by TLS 1.3 a client believes in the connection until it reads
        broker.client(ONE, port=broker.mutual_port)
    broker.await_log("peer did not return a certificate")


def test_the_plain_port_wants_the_password_too(broker: Mosquitto) -> None:
    with broker.client(ONE, port=broker.plain_port, ca=None) as device:
        device.publish(topic("state"), b"mine")
    with pytest.raises(Refused, match="Not authorized"):
        broker.client(ONE, port=broker.plain_port, ca=None, password="two's")


def test_the_will_is_published_when_the_connection_breaks(broker: Mosquitto) -> None:
    with broker.operator() as operator:
        operator.subscribe(topic("availability"))
        device = broker.client(ONE, will=(topic("availability"), b"offline"))
        device.publish(topic("availability"), b"online", retain=True)
        device.cut()
        assert operator.expect(topic("availability"), count=2).payload == b"offline"


def leave_a_session(broker: Mosquitto) -> None:
    with broker.client(SERIAL, clean=False) as device:
        assert not device.session_present
        device.subscribe(topic("notice", SERIAL))


def publish(broker: Mosquitto, *payloads: bytes) -> None:
    with broker.operator() as operator:
        for payload in payloads:
            operator.publish(topic("notice", SERIAL), payload)


def received(broker: Mosquitto, count: int) -> list[bytes]:
    with broker.client(SERIAL, clean=False) as device:
        assert device.session_present
        device.expect(topic("notice", SERIAL), count=count)
        return [message.payload for message in device.messages]


def test_a_session_and_its_queue_survive_a_restart(mosquitto: Mosquitto) -> None:
    leave_a_session(mosquitto)
    publish(mosquitto, b"1", b"2")
    mosquitto.restart()
    publish(mosquitto, b"3")
    assert received(mosquitto, 3) == [b"1", b"2", b"3"]


def test_what_was_stored_survives_a_kill(mosquitto: Mosquitto) -> None:
    leave_a_session(mosquitto)
    publish(mosquitto, b"1")
    mosquitto.store()
    publish(mosquitto, b"2")
    mosquitto.kill()
    mosquitto.start()
    publish(mosquitto, b"3")
    assert received(mosquitto, 2) == [b"1", b"3"]


def test_a_client_comes_back_after_a_restart_and_subscribes_again(mosquitto: Mosquitto) -> None:
    with mosquitto.operator() as operator:
        operator.subscribe(topic("notice", SERIAL))
        mosquitto.restart()
        operator.wait(lambda: operator.connections == 2 or None, "the second connection")
        publish(mosquitto, b"after")
        operator.expect(topic("notice", SERIAL), lambda message: message.payload == b"after")
