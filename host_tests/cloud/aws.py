"""AWS on this machine: moto's server, whose SNS signs what it puts into a queue with keys and code of its own."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import boto3
from moto.iotdata.models import iotdata_backends
from moto.server import ThreadedMotoServer
from moto.sns.models import sns_backends

from tools.cloud.certificates import Unreachable

REGION = "eu-west-1"
ACCOUNT = "123456789012"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": REGION}


class AWS:
    """A topic that feeds a queue, whose messages go to `dead_url` after being received three times."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._sqs, self._sns, self._events = (self.client(name) for name in ("sqs", "sns", "events"))
        self.dead_url, dead_arn = self._queue("dead")
        redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": "3"})
        self.queue_url, self._queue_arn = self._queue("notices", RedrivePolicy=redrive)
        self.topic = self._sns.create_topic(Name="drs")["TopicArn"]
        self._sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=self._queue_arn)

    def client(self, service: str) -> Any:
        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
        )

    def _queue(self, name: str, **attributes: str) -> tuple[str, str]:
        url = self._sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"].replace("0.0.0.0", "127.0.0.1")
        arn = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return url, arn

    def publish(self, message: str) -> None:
        self._sns.publish(TopicArn=self.topic, Message=message)

    def send(self, body: str) -> None:
        """Put something into the queue that no topic signed."""
        self._sqs.send_message(QueueUrl=self.queue_url, MessageBody=body)

    def put_event(self, source: str) -> None:
        """Let EventBridge put an event into the queue by a rule."""
        self._events.put_rule(Name="rule", EventPattern=json.dumps({"source": [source]}))
        self._events.put_targets(Rule="rule", Targets=[{"Id": "queue", "Arn": self._queue_arn}])
        self._events.put_events(Entries=[{"Source": source, "DetailType": "PACKAGE_DELIVERED", "Detail": "{}"}])

    def left(self, url: str) -> int:
        """Messages in a queue, those that are hidden included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def times_received(self) -> int:
        """How often the message in the queue was received before now."""
        asked = ["ApproximateReceiveCount"]
        found = self._sqs.receive_message(QueueUrl=self.queue_url, AttributeNames=asked, VisibilityTimeout=0)["Messages"]
        return int(found[0]["Attributes"][asked[0]]) - 1

    async def certificate(self, url: str) -> bytes:
        """What SNS would give for a SigningCertURL."""
        try:
            found: bytes = sns_backends[ACCOUNT][REGION]._message_public_keys[url.rsplit("/", 1)[1]]
        except KeyError:
            raise Unreachable("status 404") from None
        return found

    def published_by_iot(self) -> list[tuple[str, bytes]]:
        """What IoT Core was given."""
        return list(iotdata_backends[ACCOUNT][REGION].published_payloads)


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The server's URL while it runs."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


def anew(url: str) -> AWS:
    """With nothing in it but the topic and its queues."""
    urlopen(Request(f"{url}/moto-api/reset", method="POST")).close()
    return AWS(url)
