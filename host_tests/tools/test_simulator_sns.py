"""The simulated SNS, over HTTPS: what a subscriber gets, and what becomes of what it does not take."""

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.verification import PolicyBuilder, Store

from host_tests.tools.simulator_client import control, over_tls, request, send
from host_tests.tools.sns_subscriber import Subscriber, fetch
from tools.simulator import Authority, Clock, SimulatorThread

START = 1_700_000_000
STARTED = "2023-11-14T22:13:20.000Z"
TOPIC = "arn:aws:sns:us-east-1:123456789012:DashReplenishment"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
# The order of the lines that are signed, as SNS's guide lists it.
NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


@pytest.fixture
def sim() -> Iterator[SimulatorThread]:
    with SimulatorThread(clock=Clock.manual(START)) as sim:
        yield sim


@pytest.fixture
def subscriber(tmp_path: Path) -> Iterator[Subscriber]:
    with Subscriber(tmp_path) as subscriber:
        yield subscriber


def delivered(sim: SimulatorThread, number: int = -1) -> Any:
    """The record of a delivery, once nothing more will happen to it."""
    return sim.wait_until(lambda sim: sim.deliveries[number].state != "pending" and sim.deliveries[number])


def attempted(sim: SimulatorThread, times: int) -> Any:
    """The record of the last delivery, once it was tried so many times."""
    return sim.wait_until(lambda sim: len(sim.deliveries[-1].attempts) == times and sim.deliveries[-1])


def registered(sim: SimulatorThread, serial: str = "SN0001") -> None:
    """Let something happen of which one notification tells."""
    sim.add_device(serial, slots={})


def verify(sim: SimulatorThread, envelope: dict[str, Any], names: tuple[str, ...]) -> None:
    """Verify as a receiver does, with its own means; raises InvalidSignature."""
    status, pem = fetch(sim, envelope["SigningCertURL"])
    assert status == 200
    certificate = x509.load_pem_x509_certificate(pem.encode())
    store = Store([x509.load_pem_x509_certificate(sim.ca_pem.read_bytes())])
    name = x509.DNSName("sns.us-east-1.amazonaws.com")
    PolicyBuilder().store(store).build_server_verifier(name).verify(certificate, [])
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey) and key.key_size == 2048
    text = "".join(f"{name}\n{envelope[name]}\n" for name in names if name in envelope)
    algorithm = {"1": hashes.SHA1(), "2": hashes.SHA256()}[envelope["SignatureVersion"]]
    key.verify(base64.b64decode(envelope["Signature"]), text.encode(), padding.PKCS1v15(), algorithm)


class TestSubscribing:
    def test_an_endpoint_is_asked_and_confirms(self, sim: SimulatorThread, subscriber: Subscriber) -> None:
        asked = sim.sns.subscribe(subscriber.url, subscriber.ca)
        delivered(sim)
        (got,) = subscriber.got
        envelope = got.envelope
        assert list(envelope) == [
            "Type",
            "MessageId",
            "Token",
            "TopicArn",
            "Message",
            "SubscribeURL",
            "Timestamp",
            "SignatureVersion",
            "Signature",
            "SigningCertURL",
        ]
        assert (envelope["Type"], envelope["TopicArn"], envelope["Timestamp"]) == ("SubscriptionConfirmation", TOPIC, STARTED)
        assert envelope["Message"].startswith(f"You have chosen to subscribe to the topic {TOPIC}.\nTo confirm")
        assert envelope["SubscribeURL"] == f"{sim.url}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token={envelope['Token']}"
        assert got.headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
        assert "x-amz-sns-subscription-arn" not in got.headers
        verify(sim, envelope, CONFIRMATION)
        assert sim.sns.subscriptions[0].state == "pending"
        for _ in range(2):
            status, xml = fetch(sim, envelope["SubscribeURL"])
            assert (status, re.findall("<SubscriptionArn>(.*)</SubscriptionArn>", xml)) == (200, [asked.arn])
        assert re.fullmatch(f"{TOPIC}:{UUID}", asked.arn)
        assert sim.sns.subscriptions[0].state == "confirmed"

    def test_nothing_is_delivered_before(self, sim: SimulatorThread, subscriber: Subscriber) -> None:
        sim.sns.subscribe(subscriber.url, subscriber.ca)
        registered(sim, "SN-before")
        delivered(sim)
        fetch(sim, subscriber.got[0].envelope["SubscribeURL"])
        registered(sim, "SN-after")
        delivered(sim, 1)
        assert subscriber.types() == ["SubscriptionConfirmation", "Notification"]
        assert subscriber.got[1].notice["deviceInfo"]["deviceIdentifier"]["serialNumber"] == "SN-after"

    def test_a_token_that_is_wrong_or_old_confirms_nothing(self, sim: SimulatorThread, subscriber: Subscriber) -> None:
        sim.sns.subscribe(subscriber.url, subscriber.ca)
        delivered(sim)
        url = subscriber.got[0].envelope["SubscribeURL"]
        for bad, status, code in (
            (url[:-1], 400, "InvalidParameter"),
            (url.partition("&Token")[0], 400, "InvalidParameter"),
            (url.replace("Dash", "Other"), 404, "NotFound"),
            (url.replace("Confirm", "Forget"), 400, "InvalidAction"),
        ):
            answer = fetch(sim, bad)
            assert (answer[0], re.findall("<Code>(.*)</Code>", answer[1])) == (status, [code])
        sim.advance(3 * 86_400)
        assert fetch(sim, url)[0] == 400
        assert sim.sns.subscriptions[0].state == "pending"
        sim.sns.subscribe(subscriber.url, subscriber.ca)
        delivered(sim, 1)
        assert fetch(sim, subscriber.got[1].envelope["SubscribeURL"])[0] == 200

    def test_one_that_missed_its_confirmation_is_asked_again(self, sim: SimulatorThread, subscriber: Subscriber) -> None:
        subscriber.statuses = [500, 500, 500, 500]
        sim.sns.subscribe(subscriber.url, subscriber.ca)
        for times in range(1, 5):
            attempted(sim, times)
            sim.advance(20)
        again = sim.sns.subscribe(subscriber.url, subscriber.ca)
        delivered(sim, 1)
        first, *_, last = subscriber.got
        assert [entry.arn for entry in sim.sns.subscriptions] == [again.arn]
        assert first.envelope["Token"] == last.envelope["Token"] and first.envelope["MessageId"] != last.envelope["MessageId"]

    def test_who_unsubscribes_gets_one_last_message(self, sim: SimulatorThread, subscriber: Subscriber) -> None:
        subscriber.subscribe(sim)
        subscriber.statuses = [503]
        registered(sim)
        attempted(sim, 1)
        url = subscriber.got[0].envelope["UnsubscribeURL"]
        assert fetch(sim, url)[0] == 200
        delivered(sim)
        registered(sim, "SN-unheard")
        assert fetch(sim, url)[0] == 200
        sim.advance(3600)
        sim.wait_until(lambda sim: sim.sns.settled)
        assert subscriber.types() == ["Notification", "UnsubscribeConfirmation"]
        last = subscriber.got[1]
        assert last.envelope["Message"].startswith(f"You have chosen to deactivate subscription {sim.sns.subscriptions[0].arn}.\n")
        assert last.headers["x-amz-sns-subscription-arn"] == sim.sns.subscriptions[0].arn
        verify(sim, last.envelope, CONFIRMATION)
        assert [entry.state for entry in sim.deliveries] == ["delivered", "discarded", "delivered"]
        assert fetch(sim, last.envelope["SubscribeURL"])[0] == 200
        registered(sim, "SN-back")
        delivered(sim)
        assert subscriber.got[2].notice["deviceInfo"]["deviceIdentifier"]["serialNumber"] == "SN-back"
        assert fetch(sim, url.replace("arn:aws", "arn:other"))[0] == 404

    @pytest.mark.parametrize("url", ["http://localhost/", "https://", "localhost:8443", "https://name:word@localhost/"])
    def test_only_plain_https_addresses_are_subscribed(self, sim: SimulatorThread, url: str) -> None:
        with pytest.raises(ValueError, match="begins with https://"):
            sim.sns.subscribe(url)

    def test_a_file_that_is_no_certificate_is_named(self, sim: SimulatorThread, tmp_path: Path) -> None:
        bad = tmp_path / "bad.pem"
        bad.write_text("nothing")
        for path in (bad, tmp_path / "absent.pem"):
            with pytest.raises(ValueError, match=f"ca is '{path}': no file of certificates"):
                sim.sns.subscribe("https://localhost/", path)
        assert sim.sns.subscriptions == []


class TestMessages:
    @pytest.mark.parametrize("version", [1, 2])
    def test_the_signature_verifies_and_covers_what_it_should(
        self, sim: SimulatorThread, subscriber: Subscriber, version: int
    ) -> None:
        sim.settings.change(signature_version=version)
        subscriber.subscribe(sim)
        registered(sim)
        delivered(sim)
        envelope = subscriber.got[0].envelope
        assert envelope["SignatureVersion"] == str(version)
        verify(sim, envelope, NOTIFICATION)
        for name in ("Message", "MessageId", "Timestamp", "TopicArn"):
            with pytest.raises(InvalidSignature):
                verify(sim, {**envelope, name: envelope[name] + "x"}, NOTIFICATION)

    def test_the_certificate_has_its_own_address(self, sim: SimulatorThread) -> None:
        url = sim.sns.certificate_url
        assert re.fullmatch(re.escape(sim.url) + r"/SimpleNotificationService-[0-9a-f]{32}\.pem", url)
        assert fetch(sim, url.replace("Service-", "Service-0"))[0] == 404
        sim.faults.add(kind="refuse", endpoint="signing_certificate")
        assert [fetch(sim, url)[0] for _ in range(2)] == [503, 200]

    @pytest.mark.parametrize("version", ["1.0", "2.0"])
    def test_envelope_and_headers_are_as_sns_makes_them(self, sim: SimulatorThread, subscriber: Subscriber, version: str) -> None:
        sim.settings.change(notification_version=version)
        subscriber.subscribe(sim)
        sim.advance(5)
        sim.add_device(slots={"A": True})
        delivered(sim)
        got = subscriber.got[1]
        envelope, arn = got.envelope, sim.sns.subscriptions[0].arn
        assert list(envelope) == [
            "Type",
            "MessageId",
            "TopicArn",
            "Message",
            "Timestamp",
            "SignatureVersion",
            "Signature",
            "SigningCertURL",
            "UnsubscribeURL",
            "MessageAttributes",
        ]
        assert (envelope["Type"], envelope["Timestamp"]) == ("Notification", STARTED.replace("20.000", "25.000"))
        assert envelope["MessageAttributes"] == {"version": {"Type": "String", "Value": version}}
        assert envelope["UnsubscribeURL"] == f"{sim.url}/?Action=Unsubscribe&SubscriptionArn={arn}"
        assert re.fullmatch(UUID, envelope["MessageId"])
        slots = got.notice["subscriptionInfo"]["slotsSubscriptionStatus"]
        assert (slots["A"] is True) == (version == "1.0")
        wanted = {
            "x-amz-sns-message-type": "Notification",
            "x-amz-sns-message-id": envelope["MessageId"],
            "x-amz-sns-topic-arn": TOPIC,
            "x-amz-sns-subscription-arn": arn,
            "content-type": "text/plain; charset=UTF-8",
            "user-agent": "Amazon Simple Notification Service Agent",
        }
        assert wanted.items() <= got.headers.items()
        assert "x-amz-sns-rawdelivery" not in got.headers

    def test_a_subject_is_signed_and_any_text_can_be_published(self, sim: SimulatorThread, subscriber: Subscriber) -> None:
        subscriber.subscribe(sim)
        assert control(sim, "POST", "/notices", {"message": "hällo\n", "subject": "s"}) == (200, {})
        delivered(sim)
        envelope = subscriber.got[0].envelope
        assert (envelope["Message"], envelope["Subject"], "MessageAttributes" in envelope) == ("hällo\n", "s", False)
        verify(sim, envelope, NOTIFICATION)

    def test_raw_delivery_is_the_bare_message(self, sim: SimulatorThread, subscriber: Subscriber) -> None:
        subscriber.subscribe(sim, raw=True)
        registered(sim)
        delivered(sim)
        (got,) = subscriber.got
        assert got.headers["x-amz-sns-rawdelivery"] == "true"
        assert json.loads(got.text)["notificationInfo"]["notificationType"] == "DeviceRegisteredNotification"

    def test_an_order_tells_its_story(self, sim: SimulatorThread, subscriber: Subscriber) -> None:
        sim.add_device()
        subscriber.subscribe(sim)
        assert send(over_tls(sim), request("replenish", sim.lwa.access_token("SN0001"))).status == 200
        sim.clock.advance(5 * 86_400)  # nobody asks the order book: the simulator looks by itself
        sim.wait_until(lambda sim: len([entry for entry in sim.deliveries if entry.state == "delivered"]) == 3)
        assert [got.notice["notificationInfo"]["notificationType"] for got in subscriber.got] == [
            "OrderPlacedNotification",
            "ItemShippedNotification",
        ]
        assert [(entry.notification, entry.serial, entry.slot) for entry in sim.deliveries][1:] == [
            ("OrderPlacedNotification", "SN0001", "PaperTowel"),
            ("ItemShippedNotification", "SN0001", "PaperTowel"),
        ]

    def test_on_a_fast_clock_it_comes_when_its_time_has_come(self, subscriber: Subscriber) -> None:
        with SimulatorThread(clock=Clock(int(time.time()), 43_200)) as sim:
            sim.add_device()
            sim.settings.change(access_token_s=86_400)
            subscriber.subscribe(sim)
            send(over_tls(sim), request("replenish", sim.lwa.access_token("SN0001")))
            sim.wait_until(lambda sim: len(sim.deliveries) == 3 and sim.deliveries[-1].attempts)
            shipped = sim.deliveries[-1]
            happened = next(event.time for event in sim.events if event.kind == "shipped")
        assert happened <= shipped.time <= shipped.attempts[0].time


class TestRetrying:
    def test_a_server_error_is_tried_again_each_20_seconds(self, sim: SimulatorThread, subscriber: Subscriber) -> None:
        subscriber.subscribe(sim)
        subscriber.statuses = [500, 429, 503]
        registered(sim)
        for times in (1, 2, 3):
            attempted(sim, times)
            sim.advance(19)
            sim.advance(1)
        record = delivered(sim)
        assert [(attempt.time - START, attempt.status) for attempt in record.attempts] == [(0, 500), (20, 429), (40, 503), (60, 200)]
        assert len({got.text for got in subscriber.got}) == 1, "same message id, same signature"
        assert record.state == "delivered"

    def test_19_seconds_are_too_few(self, sim: SimulatorThread, subscriber: Subscriber) -> None:
        subscriber.subscribe(sim)
        subscriber.statuses = [500]
        registered(sim, "SN-late")
        attempted(sim, 1)
        sim.advance(19)
        registered(sim, "SN-soon")
        delivered(sim)
        sim.advance(1)
        delivered(sim, 1)
        serials = [got.notice["deviceInfo"]["deviceIdentifier"]["serialNumber"] for got in subscriber.got]
        assert serials == ["SN-late", "SN-soon", "SN-late"]

    def test_after_three_retries_it_is_a_dead_letter(self, sim: SimulatorThread, subscriber: Subscriber) -> None:
        subscriber.subscribe(sim)
        subscriber.statuses = [500, 502, 503, 504]
        registered(sim)
        for times in range(1, 5):
            attempted(sim, times)
            sim.advance(20)
        state = control(sim, "GET", "/state")[1]["sns"]
        (dead,) = state["dead_letters"]
        assert (dead["state"], [attempt["status"] for attempt in dead["attempts"]]) == ("dropped", [500, 502, 503, 504])
        assert state["counts"] == {"published": 1, "delivered": 1, "dropped": 1}
        assert state["subscriptions"][0]["queued"] == 0

    @pytest.mark.parametrize("status", [301, 400, 403, 404, 410])
    def test_a_refusal_is_final(self, sim: SimulatorThread, subscriber: Subscriber, status: int) -> None:
        subscriber.subscribe(sim)
        subscriber.statuses = [status]
        registered(sim)
        record = delivered(sim)
        assert (record.state, [attempt.status for attempt in record.attempts]) == ("dropped", [status])

    def test_retries_take_an_hour_in_all_at_most(self, sim: SimulatorThread, subscriber: Subscriber) -> None:
        sim.settings.change(sns_retries=100, sns_retry_s=1800)
        subscriber.subscribe(sim)
        subscriber.statuses = [500] * 4
        registered(sim)
        for times in (1, 2, 3):
            attempted(sim, times)
            sim.advance(1800)
        assert (delivered(sim).state, subscriber.statuses) == ("dropped", [500])

    def test_no_answer_is_a_failure(self, sim: SimulatorThread, subscriber: Subscriber) -> None:
        sim.settings.change(sns_timeout_s=1)
        subscriber.subscribe(sim)
        subscriber.statuses = [0]
        registered(sim)
        attempt = attempted(sim, 1).attempts[0]
        assert (attempt.status, "Timeout" in attempt.error, attempt.ms > 900) == (0, True, True)
        sim.advance(20)
        assert delivered(sim).state == "delivered"

    def test_a_certificate_of_somebody_else_gets_nothing(self, sim: SimulatorThread, subscriber: Subscriber, tmp_path: Path) -> None:
        subscriber.subscribe(sim)
        sim.sns.subscribe(subscriber.url, Authority(tmp_path / "other").pem)
        registered(sim)
        attempt = attempted(sim, 1).attempts[0]
        assert (attempt.status, subscriber.got) == (0, [])
        assert "CERTIFICATE_VERIFY_FAILED" in attempt.error
        sim.sns.subscribe(subscriber.url, subscriber.ca)
        sim.advance(20)
        assert delivered(sim).state == "delivered"

    def test_as_many_as_wanted_go_out_at_the_same_time(self, sim: SimulatorThread, subscriber: Subscriber) -> None:
        sim.settings.change(sns_parallel=3)
        subscriber.subscribe(sim)
        together = threading.Barrier(3, timeout=10)
        subscriber.before = together.wait
        for number in range(3):
            registered(sim, f"SN-{number}")
        sim.wait_until(lambda sim: all(entry.state == "delivered" for entry in sim.deliveries))
        assert len(subscriber.got) == 3 and not together.broken


class TestControl:
    def test_subscribe_watch_and_unsubscribe(self, sim: SimulatorThread, subscriber: Subscriber) -> None:
        status, made = control(sim, "POST", "/subscriptions", {"endpoint": subscriber.url, "ca": str(subscriber.ca)})
        assert (status, made["state"]) == (200, "pending")
        delivered(sim)
        fetch(sim, subscriber.got[0].envelope["SubscribeURL"])
        assert control(sim, "GET", "/subscriptions")[1] == [{**made, "state": "confirmed", "queued": 0}]
        registered(sim)
        delivered(sim)
        (record,) = control(sim, "GET", "/deliveries?after=1")[1]
        assert (record["notification"], record["state"], record["body"]) == (
            "DeviceRegisteredNotification",
            "delivered",
            subscriber.got[1].text,
        )
        (attempt,) = record["attempts"]
        assert (attempt["time"], attempt["status"], abs(attempt["real_time"] - time.time()) < 60) == (START, 200, True)
        assert control(sim, "DELETE", "/subscriptions/" + made["arn"])[1]["state"] == "unsubscribed"
        delivered(sim)
        assert subscriber.types()[-1] == "UnsubscribeConfirmation"

    def test_bad_input_is_named(self, sim: SimulatorThread) -> None:
        assert control(sim, "POST", "/subscriptions", {}) == (400, {"error": "endpoint is missing"})
        status, answer = control(sim, "POST", "/subscriptions", {"endpoint": "http://localhost/"})
        assert (status, "begins with https://" in answer["error"]) == (400, True)
        assert control(sim, "DELETE", "/subscriptions/none")[0] == 404
        status, answer = control(sim, "POST", "/notice_faults", {"kind": "lose", "type": "Nothing"})
        assert (status, "one of OrderPlacedNotification" in answer["error"]) == (400, True)

    def test_faults_are_queued_listed_and_forgotten(self, sim: SimulatorThread) -> None:
        status, made = control(sim, "POST", "/notice_faults", {"kind": "delay", "delay_s": 60, "count": 0})
        assert (status, made) == (200, {"kind": "delay", "count": 0, "number": 1, "hits": 0, "delay_s": 60})
        assert control(sim, "GET", "/notice_faults")[1] == [made]
        control(sim, "DELETE", "/notice_faults")
        assert sim.sns.faults.pending() == []
