"""An SNS message: its shape, whom it has to come from, and its signature."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tests.cloud.sender import KEY, NOW, SIGNED, TOPIC, Sender, stamp
from tools.cloud import sns
from tools.cloud.outcomes import NotRelayed, Outcome

SENDER = Sender()
TRUST = sns.Trust(frozenset({TOPIC}))
HOUR = 3600.0


def refusal(work: Any, *given: Any) -> Outcome:
    with pytest.raises(NotRelayed) as caught:
        work(*given)
    return caught.value.outcome


def test_canonical_string_of_a_notification() -> None:
    given = SENDER.notification(Subject="S", MessageId="id", Message="line 1\nline 2", Timestamp="2026-03-01T12:00:00.000Z")
    expected = (
        "Message\nline 1\nline 2\nMessageId\nid\nSubject\nS\nTimestamp\n2026-03-01T12:00:00.000Z\n"
        f"TopicArn\n{TOPIC}\nType\nNotification\n"
    )
    assert sns.read(given).canonical() == expected.encode()


def test_canonical_string_without_a_subject_has_no_line_for_it() -> None:
    text = sns.read(SENDER.notification()).canonical()
    assert b"Subject" not in text
    assert text.startswith(b"Message\n")


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_canonical_string_of_a_confirmation(kind: str) -> None:
    given = SENDER.confirmation(kind, MessageId="id", Message="M", SubscribeURL="https://x/", Timestamp="2026-03-01T12:00:00Z")
    expected = (
        "Message\nM\nMessageId\nid\nSubscribeURL\nhttps://x/\nTimestamp\n2026-03-01T12:00:00Z\nToken\n2336412f37\n"
        f"TopicArn\n{TOPIC}\nType\n{kind}\n"
    )
    assert sns.read(given).canonical() == expected.encode()


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [None, "", "Grüße"])
def test_signature_is_verified(version: str, subject: str | None) -> None:
    sns.verify(sns.read(SENDER.notification(version=version, Subject=subject)), KEY.public_key())


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("key", ["Message", "MessageId", "Subject", "Timestamp", "TopicArn"])
def test_signature_is_of_every_field(key: str, version: str) -> None:
    given = SENDER.notification(version=version, Subject="S")
    changed = {**given, key: "2026-03-01T12:00:01.000Z" if key == "Timestamp" else given[key] + "x"}
    assert refusal(sns.verify, sns.read(changed), KEY.public_key()) is Outcome.SIGNATURE


def test_signature_of_a_notification_without_its_subject() -> None:
    given = SENDER.notification(Subject="S")
    del given["Subject"]
    assert refusal(sns.verify, sns.read(given), KEY.public_key()) is Outcome.SIGNATURE


@pytest.mark.parametrize("version", ["0", "3", "", "1 "])
def test_signature_of_another_version(version: str) -> None:
    given = {**SENDER.notification(), "SignatureVersion": version}
    assert refusal(sns.verify, sns.read(given), KEY.public_key()) is Outcome.SIGNATURE


def test_signature_of_one_version_said_to_be_the_other() -> None:
    given = {**SENDER.notification(version="1"), "SignatureVersion": "2"}
    assert refusal(sns.verify, sns.read(given), KEY.public_key()) is Outcome.SIGNATURE


@pytest.mark.parametrize("text", ["", "AAAA", "not base64", "é"])
def test_signature_that_is_none(text: str) -> None:
    given = {**SENDER.notification(), "Signature": text}
    assert refusal(sns.verify, sns.read(given), KEY.public_key()) is Outcome.SIGNATURE


def test_signature_with_something_in_it_that_is_not_base64() -> None:
    given = SENDER.notification()
    changed = {**given, "Signature": "!" + given["Signature"]}
    assert refusal(sns.verify, sns.read(changed), KEY.public_key()) is Outcome.SIGNATURE


def test_signature_by_another_key() -> None:
    other = rsa.generate_private_key(65537, 2048).public_key()
    assert refusal(sns.verify, sns.read(SENDER.notification()), other) is Outcome.SIGNATURE


def test_topic_that_is_not_ours() -> None:
    envelope = sns.read(SENDER.notification(TopicArn=TOPIC + "s"))
    assert refusal(TRUST.check_topic, envelope) is Outcome.TOPIC


HOST = "https://sns.eu-west-1.amazonaws.com"


@pytest.mark.parametrize("url", [f"{HOST}/a.pem", f"{HOST}:443/a.pem", "https://SNS.eu-west-1.amazonaws.com/a.pem"])
def test_certificate_from_the_topics_own_host(url: str) -> None:
    assert TRUST.check_certificate_url(sns.read(SENDER.notification(SigningCertURL=url))) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.us-east-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com.example.org/a.pem",
        "https://sns.eu-west-1.amazonaws.com@example.org/a.pem",
        "https://me@sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
        "https://s3.amazonaws.com/sns.eu-west-1.amazonaws.com/a.pem",
        "https://example.org\\@sns.eu-west-1.amazonaws.com/a.pem",
        f"{HOST}/a.pem?x=.pem",
        f"{HOST}/?a.pem",
        f"{HOST}/a.pem#b.pem",
        f"{HOST}/a.cer",
        f"{HOST}/a\r\nb.pem",
        f"{HOST}/a b.pem",
        f"{HOST}/ä.pem",
        "https://[/a.pem",
        "",
    ],
)
def test_certificate_from_elsewhere(url: str) -> None:
    assert refusal(TRUST.check_certificate_url, sns.read(SENDER.notification(SigningCertURL=url))) is Outcome.HOST


def test_certificate_of_a_topic_in_china() -> None:
    topic = "arn:aws-cn:sns:cn-north-1:123456789012:drs"
    url = "https://sns.cn-north-1.amazonaws.com.cn/a.pem"
    envelope = sns.read(SENDER.notification(TopicArn=topic, SigningCertURL=url))
    assert sns.Trust(frozenset({topic})).check_certificate_url(envelope) == url


def test_hosts_of_the_configuration_replace_those_of_aws() -> None:
    trust = sns.Trust(frozenset({TOPIC}), frozenset({"localhost:8443"}))
    assert trust.check_certificate_url(sns.read(Sender("localhost:8443").notification()))
    assert refusal(trust.check_certificate_url, sns.read(SENDER.notification())) is Outcome.HOST
    assert refusal(trust.check_certificate_url, sns.read(Sender("localhost:8444").notification())) is Outcome.HOST


@pytest.mark.parametrize(
    ("age_s", "outcome"),
    [(-300, None), (-301, Outcome.AHEAD), (0, None), (HOUR, None), (HOUR + 1, Outcome.STALE), (40 * 86_400, Outcome.STALE)],
)
def test_age(age_s: float, outcome: Outcome | None) -> None:
    envelope = sns.read(SENDER.notification(Timestamp=stamp(NOW - timedelta(seconds=age_s))))
    if outcome is None:
        TRUST.check_time(envelope, NOW.timestamp(), HOUR)
    else:
        assert refusal(TRUST.check_time, envelope, NOW.timestamp(), HOUR) is outcome


@pytest.mark.parametrize("key", [*SIGNED["SubscriptionConfirmation"], "Signature", "SignatureVersion", "SigningCertURL"])
@pytest.mark.parametrize("value", [None, 1, [], "\ud800", "absent"])
def test_field_that_is_missing_or_no_text(key: str, value: object) -> None:
    given = SENDER.confirmation()
    if value == "absent":
        del given[key]
    else:
        given[key] = value
    assert refusal(sns.read, given) is Outcome.MALFORMED


@pytest.mark.parametrize(
    "time",
    ["", "now", "2026-03-01", "2026-02-30T00:00:00Z", "2026-03-01T12:00:00+00:00", "2026-03-01T12:00:00Z\n", "٢٠٢٦-03-01T12:00:00Z"],
)
def test_time_that_is_none(time: str) -> None:
    assert refusal(sns.read, SENDER.notification(Timestamp=time)) is Outcome.MALFORMED


def test_record_of_a_lambda_event() -> None:
    given = SENDER.notification()
    record = {key: value for key, value in given.items() if not key.startswith("Sign")} | {"Subject": None}
    assert sns.read_of_lambda(record).message == given["Message"]
    assert refusal(sns.read, record) is Outcome.MALFORMED


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"1", b"[" * 100_000, b"9" * 5_000])
def test_body_that_is_no_object(body: bytes) -> None:
    assert refusal(sns.read_object, body) is Outcome.MALFORMED


def test_truncated_body() -> None:
    body = json.dumps(SENDER.notification()).encode()
    for length in range(len(body)):
        assert refusal(sns.read_object, body[:length]) is Outcome.MALFORMED


SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text()
ANYTHING = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=5), SCALARS, max_size=3)
FIELDS = (*SIGNED["Notification"], "Token", "SubscribeURL", "Signature", "SignatureVersion", "SigningCertURL")


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), ANYTHING, max_size=4), st.booleans())
def test_any_object_is_refused_or_verified(changes: dict[str, Any], on_a_good_one: bool) -> None:
    """Whatever is changed in a message, it is refused, unless nothing that is signed has changed."""
    good = SENDER.notification(Subject="S")
    found = {**(good if on_a_good_one else {}), **changes}
    try:
        envelope = sns.read(found)
        TRUST.check_topic(envelope)
        TRUST.check_certificate_url(envelope)
        sns.verify(envelope, KEY.public_key())
    except NotRelayed:
        return
    assert all(found[key] == good[key] for key in SIGNED["Notification"])
