"""The signature on an SNS message: the text that is signed, the key that signs it, and the certificate that proves it."""

import base64
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tools.simulator.tls import Authority

# Amazon's certificate has the host that it is fetched from; ours has its name, though it comes from the simulator.
SIGNER_NAME = "sns.us-east-1.amazonaws.com"
_KEY_BITS = 2048
_EXPONENT = 65_537
_HASHES: dict[int, hashes.HashAlgorithm] = {1: hashes.SHA1(), 2: hashes.SHA256()}
# What is signed, when it is there: a notification has a subject perhaps, a confirmation a token and an address.
# MessageAttributes are never signed.
_SIGNED = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


def canonical(envelope: Mapping[str, object]) -> bytes:
    """The text that is signed: each signed field's name and value, a line each, in the order of the names' bytes."""
    return "".join(f"{name}\n{envelope[name]}\n" for name in _SIGNED if name in envelope).encode()


class Signer:
    """A key of 2048 bits, and its certificate from the simulator's authority."""

    def __init__(self, authority: Authority) -> None:
        self._key = rsa.generate_private_key(_EXPONENT, _KEY_BITS)
        certificate = authority.certify([SIGNER_NAME], self._key.public_key())
        self.certificate_pem = certificate.public_bytes(Encoding.PEM)
        # Named after what is in it, so that a receiver that keeps certificates by their address never keeps an old one.
        self.path = f"/SimpleNotificationService-{certificate.fingerprint(hashes.SHA256()).hex()[:32]}.pem"

    def sign(self, envelope: Mapping[str, object], version: int) -> str:
        """The signature, in base64: version 1 is SHA1withRSA, 2 is SHA256withRSA."""
        return base64.b64encode(self._key.sign(canonical(envelope), padding.PKCS1v15(), _HASHES[version])).decode()


def is_certificate_path(path: str) -> bool:
    """Whether a path is one of those that signing certificates have."""
    return path.startswith("/SimpleNotificationService-") and path.endswith(".pem")
