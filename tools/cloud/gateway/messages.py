"""Messages to customers, by a service of the maker's: it gets a signed POST of JSON and sends an e-mail, a push, what it likes.

    {"kind": "hold" | "stock" | "notify", "intent_id", "customer", "name", "email", "subject", "text", "link", "expires"}

`link` is for this customer alone. 2xx: it will be sent. The Idempotency-Key is the same for the same message.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

import aiohttp

from tools.cloud.gateway.links import Kind, Link, Links
from tools.cloud.gateway.model import Customer, Item, iso
from tools.cloud.gateway.signing import HEADER, Signer


class NotSent(Exception):
    """The service did not take the message; the text says why and holds nothing personal."""


def words(link: Link, item: Item) -> tuple[str, str]:
    """Subject and text of a message, without the link."""
    what = f"{link.offered} x {item.title}"
    match link.kind:
        case Kind.HOLD:
            return f"Ordered: {what}", f"Your device ordered {what}. It is sent at {clock(link.expires)}, unless you say no before."
        case Kind.STOCK if link.offered:
            return f"Only {what} in stock", f"Of what your device wanted, only {what} can be had now. Shall they be ordered?"
        case Kind.STOCK:
            return f"Sold out: {item.title}", f"{item.title} is sold out. Shall it be tried again?"
    return f"Running low: {item.title}", f"Your device needs {what}. Please order it, and say so at the link."


def clock(seconds: float) -> str:
    """A moment for a person."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %B, %H:%M UTC").lstrip("0")


class Messenger:
    """Sends one message at a time for whoever asks."""

    def __init__(self, session: aiohttp.ClientSession, url: str, signer: Signer, limit_s: float, links: Links, public_url: str,
                 sign_now: Callable[[], float] = time.time) -> None:  # fmt: skip
        self._session = session
        self._url = url
        self._signer = signer
        self._limit_s = limit_s
        self._links = links
        self._public_url = public_url.rstrip("/")
        self._sign_now = sign_now

    def address(self, link: Link) -> str:
        """Where the customer answers."""
        return f"{self._public_url}/a/{self._links.token(link)}"

    async def send(self, link: Link, item: Item, customer: Customer) -> None:
        """Raises NotSent."""
        subject, text = words(link, item)
        message = {
            "kind": link.kind,
            "intent_id": str(link.intent_id),
            "customer": customer.id,
            "name": customer.name,
            "email": customer.email,
            "subject": subject,
            "text": text,
            "link": self.address(link),
            "expires": iso(link.expires),
        }
        await self._post(json.dumps(message).encode(), f"{link.intent_id}:{link.kind}:{link.asked}")

    async def _post(self, body: bytes, key: str) -> None:
        parts = urlsplit(self._url)
        name = key.encode("ascii", "backslashreplace").decode()  # a slot may be called anything, a header may not
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": name,
            HEADER: self._signer.header(int(self._sign_now()), "POST", parts.path or "/", name, body),
        }
        try:
            limit = aiohttp.ClientTimeout(total=self._limit_s)
            async with self._session.post(self._url, data=body, headers=headers, timeout=limit, allow_redirects=False) as answer:
                status = answer.status
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise NotSent(type(error).__name__) from None
        if not 200 <= status < 300:
            raise NotSent(f"status {status}")
