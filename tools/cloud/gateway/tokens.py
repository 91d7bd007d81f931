"""Tokens with which a device proves its serial: JWTs that the maker signed with ES256 or EdDSA. No clock."""

from collections.abc import Sequence

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

PublicKey = EllipticCurvePublicKey | Ed25519PublicKey
PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey

ALLOWED_KEYS = "PEM public keys, Ed25519 or of the curve P-256, as `python -m tools.cloud.gateway keys` makes them"
# Of clocks that do not agree.
LEEWAY_S = 60
LIMIT = 2_048
_TIMES = ("exp", "nbf")


class TokenError(Exception):
    """The token is not believed; the text says why without quoting it."""


def _algorithm(key: PublicKey | PrivateKey) -> str:
    """The one that goes with the kind of key: what the token says of itself chooses nothing."""
    return "EdDSA" if isinstance(key, (Ed25519PublicKey, Ed25519PrivateKey)) else "ES256"


def public_key(pem: bytes) -> PublicKey:
    """Raises ValueError for what is no public key, or one of another kind."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not a PEM public key") from None
    if isinstance(key, Ed25519PublicKey) or (isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)):
        return key
    raise ValueError("a key of another kind")


def private_key(pem: bytes) -> PrivateKey:
    """Raises ValueError."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("not a PEM private key without a password") from None
    if isinstance(key, Ed25519PrivateKey) or (isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1)):
        return key
    raise ValueError("a key of another kind, not Ed25519 or P-256")


def new_key(kind: str) -> PrivateKey:
    """`kind`: "EdDSA" or "ES256"."""
    return Ed25519PrivateKey.generate() if kind == "EdDSA" else generate_private_key(SECP256R1())


def private_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def issue(key: PrivateKey, serial: str, now: float, days: int | None = None, issuer: str | None = None) -> str:
    """A token for a device; `days`: how long it holds, None for ever."""
    claims: dict[str, str | int] = {"sub": serial, "iat": int(now)}
    if days is not None:
        claims["exp"] = int(now) + days * 86_400
    if issuer is not None:
        claims["iss"] = issuer
    return jwt.encode(claims, key, algorithm=_algorithm(key))


class Verifier:
    """Believes what one of its keys signed; several, so that keys can be changed while devices still have older tokens."""

    def __init__(self, keys: Sequence[PublicKey], issuer: str | None = None) -> None:
        self._keys = keys
        self._issuer = issuer

    def serial(self, token: str, now: float) -> str:
        """Whose token it is. Raises TokenError."""
        if len(token) > LIMIT:
            raise TokenError("the token is too long")
        claims = self._claims(token)
        _judge_times(claims, now)
        if self._issuer is not None and claims.get("iss") != self._issuer:
            raise TokenError("the token is of another issuer")
        serial = claims.get("sub")
        if not isinstance(serial, str):
            raise TokenError("the token is for no device")
        return serial

    def _claims(self, token: str) -> dict[str, object]:
        # The times are judged by our own clock, which may be an accelerated one.
        options = {f"verify_{name}": False for name in (*_TIMES, "iat", "aud", "iss", "sub", "jti")}
        for key in self._keys:
            try:
                return jwt.decode(token, key, algorithms=[_algorithm(key)], options=options)  # type: ignore[arg-type]
            except jwt.PyJWTError:
                continue
        raise TokenError("no key of ours signed the token")


def _judge_times(claims: dict[str, object], now: float) -> None:
    for name in _TIMES:
        value = claims.get(name)
        if value is None:
            continue
        if type(value) is not int and type(value) is not float:
            raise TokenError(f"the token's {name} is no time")
        if now >= value + LEEWAY_S if name == "exp" else now < value - LEEWAY_S:
            raise TokenError("the token has expired" if name == "exp" else "the token does not hold yet")
