"""HTTP without a socket: a request as it was received, an answer, and the answer's bytes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import unquote

# Chunks are small so that even a short answer arrives as several of them.
_CHUNK_BYTES = 64


@dataclass(frozen=True)
class Request:
    """One request. `path` is as sent, still percent-encoded, without the query.

    `keep_alive` says whether the client lets the connection go on after the answer.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    query: str = ""
    version: tuple[int, int] = (1, 1)
    keep_alive: bool = True

    def header(self, name: str) -> str | None:
        """The last value of a header, whatever the case of its name."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[-1] if values else None

    @property
    def bearer(self) -> str | None:
        """The bearer token of the Authorization header; None without one."""
        scheme, _, token = (self.header("authorization") or "").partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else None

    def segments(self) -> list[str]:
        """The path's parts, decoded one by one, so that a slot's name may contain a slash."""
        return [unquote(part) for part in self.path.split("/")[1:]]


@dataclass
class Response:
    """One answer. `outcome` is what it means, in one word, for the log."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    outcome: str = "ok"

    @classmethod
    def of_json(
        cls,
        value: object,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        outcome: str = "ok",
    ) -> "Response":
        """An answer whose body is `value` as JSON, in the compact form of the real service."""
        body = json.dumps(value, separators=(",", ":")).encode()
        return cls(status, body, {"Content-Type": "application/json", **(headers or {})}, outcome)


def reason_phrase(status: int) -> str:
    """The usual words for a status; empty for one that nobody has named."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def chunked(body: bytes) -> bytes:
    """`body` in the chunked transfer coding, its end included."""
    parts = [body[at : at + _CHUNK_BYTES] for at in range(0, len(body), _CHUNK_BYTES)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def encode(
    response: Response,
    version: tuple[int, int] = (1, 1),
    close: bool = False,
    in_chunks: bool = False,
) -> bytes:
    """The answer's bytes for a client that speaks `version`. HTTP/1.0 never gets chunks."""
    in_chunks = in_chunks and version >= (1, 1)
    headers = dict(response.headers)
    if in_chunks:
        headers["Transfer-Encoding"] = "chunked"
    else:
        headers.setdefault("Content-Length", str(len(response.body)))
    if close:
        headers["Connection"] = "close"
    elif version < (1, 1):
        headers["Connection"] = "keep-alive"
    lines = [f"HTTP/{version[0]}.{version[1]} {response.status} {reason_phrase(response.status)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return head + (chunked(response.body) if in_chunks else response.body)
