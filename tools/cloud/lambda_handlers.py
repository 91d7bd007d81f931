"""The relay's handlers as AWS Lambda functions: behind SNS, behind a queue, behind EventBridge; out by IoT Core.

A function lives for one event at a time and can hold no connection, so a notice goes out by IoT Core's own call, QoS 1.
Configured by the environment that template.yaml sets: TOPIC_ARNS (separated by commas), PREFIX, IOT_ENDPOINT.
"""

import asyncio
import functools
import json
import logging
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tools.cloud import sns
from tools.cloud.certificates import Certificates
from tools.cloud.fetch import Fetcher
from tools.cloud.handler import Handler
from tools.cloud.outcomes import NotRelayed, Outcome, Verdict
from tools.cloud.seen import Seen

LOG = logging.getLogger("relay")
LOG.setLevel(logging.INFO)

# A queue keeps a message for 14 days, and SNS tries one for 23: what is older has been put there by someone else.
_MAX_AGE_S = 38 * 86_400
_REMEMBERED = 10_000
# Well within the 30 s that the template gives a function.
_IOT = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "max_attempts": 2})

Work = Callable[[Handler], Awaitable[tuple[Outcome, str]]]


class Later(Exception):
    """Makes AWS call the function again, and in the end put the event into the dead-letter queue."""


@functools.cache
def _runner() -> asyncio.Runner:
    """One loop for all calls, because a function that is called again keeps what it knows."""
    return asyncio.Runner()


@functools.cache
def _handler() -> Handler:
    fetcher = Fetcher(ssl.create_default_context())
    return Handler(
        sns.Trust(frozenset(os.environ["TOPIC_ARNS"].split(","))),
        Certificates(fetcher.get),
        functools.partial(_publish, boto3.client("iot-data", endpoint_url=os.environ["IOT_ENDPOINT"], config=_IOT)),
        fetcher.get,
        Seen(_REMEMBERED, _MAX_AGE_S),
        time.time,
        os.environ["PREFIX"],
        _count,
    )


async def _publish(client: Any, topic: str, payload: str) -> None:
    try:
        await asyncio.to_thread(client.publish, topic=topic, qos=1, payload=payload.encode())
    except (BotoCoreError, ClientError) as error:
        raise NotRelayed(Outcome.BROKER, f"IoT Core did not take it: {error}") from None


def _count(way: str, outcome: Outcome) -> None:
    """One line for each message, which CloudWatch can count."""
    LOG.info(json.dumps({"way": way, "outcome": outcome.word}))


def _all(works: list[Work]) -> list[Outcome]:
    async def together() -> list[tuple[Outcome, str]]:
        return await asyncio.gather(*(work(_handler()) for work in works))

    return [outcome for outcome, _ in _runner().run(together())]


def _again_if_later(outcomes: list[Outcome]) -> None:
    late = [outcome.word for outcome in outcomes if outcome.verdict is Verdict.LATER]
    if late:
        raise Later(", ".join(late))


def from_sns(event: Mapping[str, Any], context: object) -> None:
    """SNS calls the function itself: `Records[].Sns`. AWS has looked at who calls, so there is no signature to check."""

    def work(record: Mapping[str, Any]) -> Work:
        return lambda handler: handler.vouched("lambda_sns", record["Sns"])

    _again_if_later(_all([work(record) for record in event["Records"]]))


def from_sqs(event: Mapping[str, Any], context: object) -> dict[str, list[dict[str, str]]]:
    """A queue that SNS or EventBridge feeds. What is not done stays in the queue, for its redrive policy."""

    def work(record: Mapping[str, Any]) -> Work:
        return lambda handler: handler.queued("lambda_sqs", record["body"], _MAX_AGE_S)

    records = event["Records"]
    outcomes = _all([work(record) for record in records])
    failed = [r["messageId"] for r, outcome in zip(records, outcomes, strict=True) if outcome.verdict is not Verdict.DONE]
    return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}


def from_eventbridge(event: Mapping[str, Any], context: object) -> None:
    """A rule of EventBridge calls the function itself."""
    _again_if_later(_all([lambda handler: handler.event("eventbridge", event)]))
