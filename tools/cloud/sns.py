"""An SNS message: its shape, what it has to say of itself before it is believed, and its signature. No I/O.

Source: Amazon SNS developer guide, "Verifying the signatures of Amazon SNS messages" and "HTTP/HTTPS notification JSON format".
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from tools.cloud.outcomes import NotRelayed, Outcome

NOTIFICATION = "Notification"
SUBSCRIPTION = "SubscriptionConfirmation"
UNSUBSCRIPTION = "UnsubscribeConfirmation"

_OF_BOTH = ("Message", "MessageId", "Timestamp", "TopicArn", "Type")
_OF_A_CONFIRMATION = ("SubscribeURL", "Token")
# What is signed, in byte order; `Subject` only where there is one. MessageAttributes are not signed, so nothing rests on them.
SIGNED = {
    NOTIFICATION: tuple(sorted((*_OF_BOTH, "Subject"))),
    SUBSCRIPTION: tuple(sorted((*_OF_BOTH, *_OF_A_CONFIRMATION))),
    UNSUBSCRIPTION: tuple(sorted((*_OF_BOTH, *_OF_A_CONFIRMATION))),
}
# What carries the signature. A Lambda function gets messages without it: there AWS has looked at them.
_OF_THE_SIGNATURE = ("SignatureVersion", "Signature", "SigningCertURL")
_HASHES = {"1": SHA1, "2": SHA256}
# Lambda's spelling of the same.
_LAMBDA_SPELLING = {"SigningCertUrl": "SigningCertURL"}

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)


@dataclass(frozen=True)
class Envelope:
    """One SNS message with the text fields that count; all others are ignored."""

    kind: str
    fields: Mapping[str, str]

    @property
    def topic(self) -> str:
        return self.fields["TopicArn"]

    @property
    def message_id(self) -> str:
        return self.fields["MessageId"]

    @property
    def message(self) -> str:
        return self.fields["Message"]

    @property
    def time(self) -> float:
        """When SNS took it, in Unix seconds."""
        return datetime.fromisoformat(self.fields["Timestamp"]).timestamp()

    def canonical(self) -> bytes:
        """The bytes that the signature is of."""
        present = [key for key in SIGNED[self.kind] if key in self.fields]
        return "".join(f"{key}\n{self.fields[key]}\n" for key in present).encode()


@dataclass(frozen=True)
class Trust:
    """Whom to believe. `hosts`: exact host[:port] instead of the SNS host of the topic's region; ages in seconds."""

    topics: frozenset[str]
    hosts: frozenset[str] = frozenset()
    max_ahead_s: float = 300

    def check_topic(self, envelope: Envelope) -> None:
        if envelope.topic not in self.topics:
            raise NotRelayed(Outcome.TOPIC, "TopicArn is not one of the topics of the configuration")

    def check_url(self, key: str, envelope: Envelope) -> str:
        """The URL under `key` when it leads to SNS by https. Raises NotRelayed."""
        url = envelope.fields[key]
        try:
            parts = urlsplit(url)
            place = parts.netloc.lower().removesuffix(":443")
        except ValueError:
            raise NotRelayed(Outcome.HOST, f"{key} is no URL") from None
        if parts.scheme != "https" or place not in (self.hosts or {_sns_host(envelope.topic)}):
            raise NotRelayed(Outcome.HOST, f"{key} is not https at the topic's own SNS host")
        if not url.isascii() or not url.isprintable() or " " in url or parts.fragment:
            raise NotRelayed(Outcome.HOST, f"{key} is no URL")
        return url

    def check_certificate_url(self, envelope: Envelope) -> str:
        url = self.check_url("SigningCertURL", envelope)
        if "?" in url or not url.endswith(".pem"):
            raise NotRelayed(Outcome.HOST, "SigningCertURL does not end in .pem")
        return url

    def check_time(self, envelope: Envelope, now: float, max_age_s: float) -> None:
        age_s = now - envelope.time
        if age_s > max_age_s:
            raise NotRelayed(Outcome.STALE, f"Timestamp is {age_s:.0f} s old: at most {max_age_s:.0f} s are allowed")
        if -age_s > self.max_ahead_s:
            raise NotRelayed(Outcome.AHEAD, f"Timestamp is {-age_s:.0f} s ahead: at most {self.max_ahead_s:.0f} s are allowed")


def _sns_host(topic: str) -> str:
    """Where SNS of the topic's own region is: an ARN is arn:PARTITION:sns:REGION:ACCOUNT:NAME."""
    _, partition, _, region, *_ = topic.split(":")
    return f"sns.{region}.amazonaws.com" + (".cn" if partition == "aws-cn" else "")


def read_object(text: str | bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises NotRelayed."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise NotRelayed(Outcome.MALFORMED, "the body is not JSON") from None
    if not isinstance(value, dict):
        raise NotRelayed(Outcome.MALFORMED, "the body is not a JSON object")
    return value


def read(given: Mapping[str, Any]) -> Envelope:
    """The envelope of a message that came by HTTPS or through a queue. Raises NotRelayed."""
    return _read(given, _OF_THE_SIGNATURE)


def read_of_lambda(given: Mapping[str, Any]) -> Envelope:
    """The envelope in `Records[].Sns` of a Lambda function's event. Raises NotRelayed."""
    return _read({_LAMBDA_SPELLING.get(key, key): value for key, value in given.items()}, ())


def _read(given: Mapping[str, Any], of_the_signature: tuple[str, ...]) -> Envelope:
    kind = given.get("Type")
    if not isinstance(kind, str) or kind not in SIGNED:
        raise NotRelayed(Outcome.MALFORMED, f"Type is not {', '.join(SIGNED)}: is raw message delivery on?")
    keys = (*SIGNED[kind], *of_the_signature)
    # Lambda says null where there is no subject.
    fields = {key: _text(key, given.get(key)) for key in keys if not (key == "Subject" and given.get(key) is None)}
    if not _is_time(fields["Timestamp"]):
        raise NotRelayed(Outcome.MALFORMED, "Timestamp is not a time like 2026-01-31T12:00:00.000Z")
    return Envelope(kind, fields)


def _text(key: str, value: object) -> str:
    try:
        if isinstance(value, str) and value.encode() is not None:
            return value
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can say and UTF-8 cannot
        pass
    raise NotRelayed(Outcome.MALFORMED, f"{key} is not text")


def _is_time(text: str) -> bool:
    try:
        return _TIME.fullmatch(text) is not None and datetime.fromisoformat(text).tzinfo == UTC
    except ValueError:
        return False


def verify(envelope: Envelope, key: rsa.RSAPublicKey) -> None:
    """Raises NotRelayed unless `key` signed this."""
    algorithm = _HASHES.get(envelope.fields["SignatureVersion"])
    if algorithm is None:
        raise NotRelayed(Outcome.SIGNATURE, f"SignatureVersion is not {' or '.join(_HASHES)}")
    try:
        signature = base64.b64decode(envelope.fields["Signature"], validate=True)
        key.verify(signature, envelope.canonical(), padding.PKCS1v15(), algorithm())
    except (ValueError, InvalidSignature):
        raise NotRelayed(Outcome.SIGNATURE, "the signature is not that of the certificate at SigningCertURL") from None
