"""Someone who signs and posts as SNS does: an authority, a signing certificate, and an https host that has it."""

from __future__ import annotations

import base64
import json
import ssl
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

TOPIC = "arn:aws:sns:eu-west-1:123456789012:drs"
# The moment of every message here; the relay's clock stands at it too.
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PREFIX = "replenish"

# Made once: an RSA key takes a tenth of a second.
KEY = rsa.generate_private_key(65537, 2048)

# What is signed of each type, written out as the developer guide lists it and not taken from the code under test.
SIGNED = {
    "Notification": ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
    "SubscriptionConfirmation": ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    "UnsubscribeConfirmation": ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
}


def certificate(key: rsa.RSAPrivateKey = KEY, days: tuple[float, float] = (-1, 1)) -> bytes:
    """A self-signed signing certificate, valid between two numbers of days from now."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now + timedelta(days[0])).not_valid_after(now + timedelta(days[1]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


def signature(given: Mapping[str, str], key: rsa.RSAPrivateKey = KEY) -> str:
    text = "".join(f"{name}\n{given[name]}\n" for name in SIGNED[given["Type"]] if name in given)
    algorithm = hashes.SHA1() if given["SignatureVersion"] == "1" else hashes.SHA256()
    return base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), algorithm)).decode()


def drs_message(serial: object = "SN0001", number: int = 1) -> str:
    """A notification of the service, as far as the relay looks at it."""
    return json.dumps(
        {
            "notificationInfo": {"notificationType": "OrderPlacedNotification", "notificationId": f"n.{number}"},
            "deviceInfo": {"deviceIdentifier": {"serialNumber": serial}},
            "orderInfo": {"instanceId": "amzn1.dash.v2.o.1", "slotId": "Coffee"},
        }
    )


@dataclass
class Sender:
    """Makes messages; `host` is where SigningCertURL and SubscribeURL lead."""

    host: str = "sns.eu-west-1.amazonaws.com"
    key: rsa.RSAPrivateKey = field(default_factory=lambda: KEY)

    @property
    def certificate_url(self) -> str:
        return f"https://{self.host}/SimpleNotificationService-0123456789abcdef.pem"

    def sign(self, given: dict[str, Any], version: str = "1") -> dict[str, Any]:
        given = {"SignatureVersion": version, "SigningCertURL": self.certificate_url, **given}
        return {**given, "Signature": signature(given, self.key)}

    def notification(self, message: str | None = None, version: str = "1", **changed: Any) -> dict[str, Any]:
        """A Notification; a changed field is changed before it is signed, and None leaves it out."""
        given = {
            "Type": "Notification",
            "MessageId": str(uuid.uuid4()),
            "TopicArn": TOPIC,
            "Message": drs_message() if message is None else message,
            "Timestamp": stamp(NOW),
            "UnsubscribeURL": f"https://{self.host}/?Action=Unsubscribe",
            **changed,
        }
        return self.sign({name: value for name, value in given.items() if value is not None}, version)

    def confirmation(self, kind: str = "SubscriptionConfirmation", **changed: Any) -> dict[str, Any]:
        given = {
            "Type": kind,
            "MessageId": str(uuid.uuid4()),
            "Token": "2336412f37",
            "TopicArn": TOPIC,
            "Message": "You have chosen to subscribe to the topic.",
            "SubscribeURL": f"https://{self.host}/?Action=ConfirmSubscription&Token=2336412f37",
            "Timestamp": stamp(NOW),
            **changed,
        }
        return self.sign(given)


def headers(given: Mapping[str, Any], **changed: str | None) -> dict[str, str]:
    """What SNS sends with a body; a changed header is named with underscores, and None leaves it out."""
    sent = {
        "content-type": "text/plain; charset=UTF-8",
        "user-agent": "Amazon Simple Notification Service Agent",
        "x-amz-sns-message-type": given["Type"],
        "x-amz-sns-message-id": given["MessageId"],
        "x-amz-sns-topic-arn": given["TopicArn"],
    }
    sent.update({name.replace("_", "-"): value for name, value in changed.items()})
    return {name: value for name, value in sent.items() if value is not None}


class Host:
    """`async with Host(folder) as host:` an https server that has the signing certificate and confirms subscriptions."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.ca_pem = folder / "sns-ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca_pem))
        self.sign_with(self._ca)
        self.asked: list[str] = []
        self.status = 200
        self.padding = b""

    def sign_with(self, authority: trustme.CA) -> None:
        """Take a signing certificate from this authority."""
        self.signing = authority.issue_cert("sns.amazonaws.com", key_type=trustme.KeyType.RSA)
        key = serialization.load_pem_private_key(self.signing.private_key_pem.bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self.key = key

    @property
    def sender(self) -> Sender:
        return Sender(self.name, self.key)

    def server_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._ca.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        return context

    def issue(self, folder: Path, name: str) -> tuple[Path, Path]:
        """A server certificate for the loopback from the same authority, and its key, as files."""
        issued = self._ca.issue_cert("localhost", "127.0.0.1")
        files = folder / f"{name}.pem", folder / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(str(files[0]))
        issued.private_key_pem.write_to_path(str(files[1]))
        return files

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        if request.path.endswith(".pem"):
            pem = self.signing.cert_chain_pems[0].bytes() + self.padding
            return web.Response(body=pem, status=self.status, headers={"Location": "/other.pem"})
        return web.Response(text="<ConfirmSubscriptionResponse/>", status=self.status)

    async def __aenter__(self) -> Host:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.server_context()).start()
        self.name = f"localhost:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()
