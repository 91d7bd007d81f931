"""Requests that the gateway signs, so that whoever gets them knows the sender, the moment and that nothing was changed.

    Replenish-Signature: t=<Unix seconds>,hmac-sha256=<hex>       or        t=<Unix seconds>,ed25519=<base64>

What is signed is five lines joined by a line feed: the time, the method, the path with its query, the Idempotency-Key (empty
when there is none) and the SHA-256 of the body in hex. A receiver refuses a time that is more than five minutes off.
"""

import base64
import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HEADER = "Replenish-Signature"


def signed_text(seconds: int, method: str, path: str, idempotency_key: str, body: bytes) -> bytes:
    """What a signature is over; a receiver makes the same of what it got."""
    return "\n".join([str(seconds), method, path, idempotency_key, hashlib.sha256(body).hexdigest()]).encode()


class Signer:
    """Signs with a shared key, or with a private key whose public half the receiver has."""

    def __init__(self, key: str | Ed25519PrivateKey) -> None:
        self._key = key

    def header(self, seconds: int, method: str, path: str, idempotency_key: str, body: bytes) -> str:
        """The value of HEADER."""
        signed = signed_text(seconds, method, path, idempotency_key, body)
        if isinstance(self._key, str):
            return f"t={seconds},hmac-sha256={hmac.new(self._key.encode(), signed, hashlib.sha256).hexdigest()}"
        return f"t={seconds},ed25519={base64.b64encode(self._key.sign(signed)).decode()}"
