"""A call as data: a request goes out, an answer comes in, an outcome is judged. No I/O.

The outcomes are those of law 1 to 3: what decides is whether the service can have acted.
"""

import json

from micropython import const

from ..core.isotime import parse_http

OK = const(0)
ACCEPTED = const(1)
IN_PROGRESS = const(2)
NOT_ACTED = const(3)  # the service surely did nothing; try again later
UNKNOWN = const(4)  # it may have acted
REFUSED = const(5)  # a 4xx that repeating cannot heal
UNSUBSCRIBED = const(6)
BAD_TOKEN = const(7)
GONE = const(8)  # 410: the service is retired
MISSING = const(9)  # getOrderInfo does not know the id
UNLINKED = const(10)  # invalid_grant: the customer must link again

OUTCOMES = (
    "ok",
    "accepted",
    "in_progress",
    "not_acted",
    "unknown",
    "refused",
    "unsubscribed",
    "bad_token",
    "gone",
    "missing",
    "unlinked",
)

_TRY_LATER = (408, 425, 429, 503)  # statuses by which a server says that it did nothing and may do it later
_UNRESERVED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
ID_LIMIT = 255  # characters of an eventInstanceId (Amazon, replenish endpoint)


class Request:
    """What is to be sent. `url` is https; `headers` lacks Host, Connection and Content-Length, which the HTTP layer adds."""

    def __init__(self, method, url, headers, body=b""):
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body


class Answer:
    """What came back. `status` 0: no well-formed answer, and `error` says why; `sent`: the request had left completely."""

    def __init__(self, status=0, headers=None, body=b"", sent=True, error=""):
        self.status = status
        self.headers = headers or {}
        self.body = body
        self.sent = sent
        self.error = error

    def json(self):
        """The body as a dict, or None when it is not one."""
        try:
            data = json.loads(self.body)
        except (ValueError, RuntimeError, MemoryError):  # RuntimeError: nested too deeply
            return None
        return data if isinstance(data, dict) else None

    def message(self):
        """The text of an error body `{"message": …}`, or "". """
        data = self.json()
        message = data.get("message") if data else None
        return message if isinstance(message, str) else ""

    def retry_after_s(self, now):
        """Seconds that the service asks us to wait: `Retry-After` as a number or a date; 0 when absent or unreadable."""
        value = self.headers.get("retry-after", "")
        if value.isdigit():
            return int(value[:9])
        try:
            return max(0, parse_http(value) - (self.date() or now))
        except ValueError:
            return 0

    def date(self):
        """The server's clock in Unix seconds, or 0."""
        try:
            return parse_http(self.headers.get("date", ""))
        except ValueError:
            return 0


def judge(answer):
    """The outcome by the status alone; OK for a 200, whose body is still to be read."""
    status = answer.status
    if status == 200:
        return OK
    if status == 0:
        return UNKNOWN if answer.sent else NOT_ACTED
    if status in _TRY_LATER:
        return NOT_ACTED
    if status == 410:
        return GONE
    if bad_token(answer):
        return BAD_TOKEN
    return REFUSED if 400 <= status < 500 else UNKNOWN


def bad_token(answer):
    """DRS says 400 `{"message":"Invalid token"}`, and names the kind in `x-amzn-ErrorType`."""
    if answer.status == 401:
        return True
    if answer.status not in (400, 403):
        return False
    return answer.headers.get("x-amzn-errortype", "").startswith("InvalidToken") or "invalid token" in answer.message().lower()


def quote(text):
    """Percent-encode for a path segment or a form value."""
    return "".join([c if c in _UNRESERVED else "".join(["%%%02X" % b for b in c.encode()]) for c in text])


def phrase(text):
    """A service's own words, made fit for a log: visible ASCII, short, and without anything as long or as shaped as a token."""
    words = "".join([c if " " < c <= "~" else " " for c in text[:120]]).split()
    return " ".join([word if len(word) <= 40 and "|" not in word else "[...]" for word in words])


def printable(value, limit):
    """Whether `value` is a string of 1 to `limit` visible ASCII characters: fit for a header, a path and a file."""
    return isinstance(value, str) and 0 < len(value) <= limit and all(["!" <= c <= "~" for c in value])
