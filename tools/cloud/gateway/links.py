"""The signed links by which a customer answers: whoever has one may answer the one question that it is for. No I/O, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jwt

from tools.cloud.gateway.model import IntentId

_ALGORITHM = "HS256"
# A link has some 250 characters; longer ones are not looked at.
LIMIT = 1_024


class Kind(StrEnum):
    """What a person is asked."""

    HOLD = "hold"  # the order is made and held: cancel it, or send it now
    STOCK = "stock"  # fewer are there than wanted: take them, or none
    NOTIFY = "notify"  # order it yourself, and say so


@dataclass(frozen=True)
class Link:
    """One question: `asked`, in Unix seconds, tells it from an earlier one about the same intent."""

    kind: Kind
    intent_id: IntentId
    offered: int
    asked: int
    expires: int


class LinkError(Exception):
    """The link opens nothing; the text says why."""


class Links:
    """Makes and reads the tokens. The first key signs, all of them verify."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys

    def token(self, link: Link) -> str:
        of = link.intent_id
        claims = {"k": link.kind, "i": [of.serial, of.slot, of.counter], "n": link.offered, "a": link.asked, "exp": link.expires}
        return jwt.encode(claims, self._keys[0], algorithm=_ALGORITHM)

    def read(self, token: str, now: float) -> Link:
        """Raises LinkError."""
        link = self._verified(token)
        if now >= link.expires:
            raise LinkError("the link has expired")
        return link

    def _verified(self, token: str) -> Link:
        # The time is judged by our own clock, which may be an accelerated one.
        options = {"verify_exp": False}
        for key in self._keys if len(token) <= LIMIT else ():
            try:
                return _link(jwt.decode(token, key, algorithms=[_ALGORITHM], options=options))  # type: ignore[arg-type]
            except (jwt.PyJWTError, ValueError, TypeError, LookupError):
                continue
        raise LinkError("the link is not one of ours")


def _link(claims: dict[str, Any]) -> Link:
    """Raises ValueError, TypeError or LookupError for claims that our keys never signed."""
    serial, slot, counter = claims["i"]
    if any(type(number) is not int for number in (counter, claims["n"], claims["a"], claims["exp"])):
        raise TypeError("not a whole number")
    return Link(Kind(claims["k"]), IntentId(serial, slot, counter), claims["n"], claims["a"], claims["exp"])
