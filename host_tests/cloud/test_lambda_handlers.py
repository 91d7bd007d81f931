"""The relay's handlers as Lambda functions, with moto's IoT Core, and the package that is deployed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config

from host_tests.cloud.aws import AWS
from host_tests.cloud.sender import Sender, certificate, drs_message, stamp
from tools.cloud import fetch, lambda_handlers, package
from tools.cloud.certificates import Unreachable

SENDER = Sender()
CONTEXT = object()


class FakeSNS:
    """What Fetcher would get by https."""

    asked: list[str]

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = []
        self.away = False
        self.pem = certificate()
        monkeypatch.setattr(fetch.Fetcher, "get", self._get)

    async def _get(self, url: str) -> bytes:
        self.asked.append(url)
        if self.away:
            raise Unreachable("no route")
        return self.pem


@pytest.fixture
def sns(aws: AWS, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSNS]:
    """A function that has not been called yet, whose environment is that of the template."""
    for name, value in {"TOPIC_ARNS": f"{aws.topic},{aws.topic}2", "PREFIX": "acme", "IOT_ENDPOINT": aws.url}.items():
        monkeypatch.setenv(name, value)
    yield FakeSNS(monkeypatch)
    if lambda_handlers._runner.cache_info().currsize:
        lambda_handlers._runner().close()
    lambda_handlers._runner.cache_clear()
    lambda_handlers._handler.cache_clear()


def notification(aws: AWS, number: int = 1, **changed: Any) -> dict[str, Any]:
    return SENDER.notification(drs_message(number=number), **{"TopicArn": aws.topic, "Timestamp": stamp(datetime.now(UTC)), **changed})


def from_sns(*messages: dict[str, Any]) -> dict[str, Any]:
    """The event of a function that SNS calls: no signature that can be checked, other spelling."""
    records = []
    for message in messages:
        record = {name.replace("URL", "Url"): value for name, value in message.items()} | {"Subject": None}
        records.append({"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": {**record, "Signature": "EXAMPLE"}})
    return {"Records": records}


def from_sqs(*bodies: str) -> dict[str, Any]:
    return {"Records": [{"messageId": f"m{n}", "body": body, "eventSource": "aws:sqs"} for n, body in enumerate(bodies)]}


def failed(answer: dict[str, Any]) -> list[str]:
    assert answer.keys() == {"batchItemFailures"}
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_message_of_sns_goes_to_iot_core(aws: AWS, sns: FakeSNS) -> None:
    asked: list[int] = []
    boto3.setup_default_session()
    boto3.DEFAULT_SESSION.events.register("provide-client-params.iot-data-plane", lambda params, **_: asked.append(params["qos"]))
    given = notification(aws, Timestamp="1970-01-01T00:00:00.000Z")
    lambda_handlers.from_sns(from_sns(given, given), CONTEXT)
    lambda_handlers.from_sns(from_sns(given), CONTEXT)
    assert aws.published_by_iot() == [("acme/SN0001/notice", given["Message"].encode())]
    assert (asked, sns.asked) == ([1], [])


def test_message_of_another_topic_is_not_published(aws: AWS, sns: FakeSNS) -> None:
    lambda_handlers.from_sns(from_sns(notification(aws, TopicArn="arn:aws:sns:eu-west-1:1:x")), CONTEXT)
    assert aws.published_by_iot() == []


def test_function_fails_when_iot_core_does_not_take_it(aws: AWS, sns: FakeSNS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOT_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(lambda_handlers, "_IOT", Config(retries={"max_attempts": 0}))
    with pytest.raises(lambda_handlers.Later, match="broker"):
        lambda_handlers.from_sns(from_sns(notification(aws)), CONTEXT)
    assert failed(lambda_handlers.from_sqs(from_sqs(json.dumps(notification(aws))), CONTEXT)) == ["m0"]


def test_queue_gets_back_what_was_not_done(aws: AWS, sns: FakeSNS) -> None:
    good, forged, none = notification(aws, 1), notification(aws, 2), SENDER.notification("{}", TopicArn=aws.topic)
    bodies = [json.dumps(given) for given in (good, {**forged, "Message": drs_message("SN0002")}, good)]
    answer = lambda_handlers.from_sqs(from_sqs(*bodies, "hello", json.dumps({**none, "Timestamp": "2020-01-01T00:00:00Z"})), CONTEXT)
    assert failed(answer) == ["m1", "m3", "m4"]
    assert aws.published_by_iot() == [("acme/SN0001/notice", good["Message"].encode())]
    assert sns.asked == [SENDER.certificate_url]


def test_queue_gets_back_everything_while_sns_is_away(aws: AWS, sns: FakeSNS) -> None:
    sns.away = True
    bodies = [json.dumps(notification(aws)) for _ in range(2)]
    assert failed(lambda_handlers.from_sqs(from_sqs(*bodies), CONTEXT)) == ["m0", "m1"]


def test_what_moto_signed_is_believed(aws: AWS, sns: FakeSNS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch.Fetcher, "get", lambda self, url: aws.certificate(url))
    aws.publish(drs_message())
    messages = aws.client("sqs").receive_message(QueueUrl=aws.queue_url)["Messages"]
    assert failed(lambda_handlers.from_sqs(from_sqs(messages[0]["Body"]), CONTEXT)) == []
    assert aws.published_by_iot() == [("acme/SN0001/notice", drs_message().encode())]


def test_event_of_buy_with_prime_is_done(aws: AWS, sns: FakeSNS, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    event = {"id": "e", "source": "aws.partner/buywithprime/acme", "detail-type": "PACKAGE_DELIVERED", "detail": {}}
    lambda_handlers.from_eventbridge(event, CONTEXT)
    assert failed(lambda_handlers.from_sqs(from_sqs(json.dumps(event)), CONTEXT)) == []
    counted = [json.loads(record.message) for record in caplog.records if record.message.startswith("{")]
    assert counted == [{"way": way, "outcome": "no_translation"} for way in ("eventbridge", "lambda_sqs")]


def test_package_needs_nothing_that_it_does_not_have() -> None:
    """In an interpreter of its own: only the modules that are copied, what AWS gives a function, and cryptography."""
    code = (
        "import sys; import tools.cloud.lambda_handlers;"
        "print(*sorted({name for name in sys.modules if name.startswith('tools.')}"
        " | {name.split('.')[0] for name in sys.modules} & {'aiohttp', 'aiomqtt', 'paho', 'prometheus_client', 'aiobotocore'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=package.ROOT, capture_output=True, text=True, check=True)
    found = done.stdout.split()
    assert "tools.cloud.handler" in found
    assert [name for name in found if not name.startswith("tools.cloud")] == []


def test_package_has_the_modules_and_asks_for_the_functions_python() -> None:
    command = " ".join(package.pip_command())
    assert "--require-hashes --only-binary :all: --python-version 3.12" in command
    assert command.endswith("requirements-lambda.lock")
    lock = (package.ROOT / "tools" / "requirements-lambda.lock").read_text()
    assert {line.split("==")[0] for line in lock.splitlines() if "==" in line} == {"cryptography", "cffi", "pycparser"}


def test_package_copies_every_module(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "TARGET", tmp_path)
    package.copy_modules()
    assert (tmp_path / "tools" / "__init__.py").is_file()
    assert (tmp_path / "tools" / "cloud" / "lambda_handlers.py").is_file()


