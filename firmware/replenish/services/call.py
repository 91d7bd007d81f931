"""A call as data: a request goes out, an answer comes in, an outcome is judged. No I/O.

The outcomes are those of law 1 to 3: what decides is whether the service can have acted.
"""

from micropython import const

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

# A list, because MicroPython keeps the short words of a tuple twice.
OUTCOMES = [
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
]

ID_LIMIT = const(255)  # characters of an eventInstanceId (Amazon, replenish endpoint)


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
        """The body as a dict, or None when it is not one or more than memory has room for."""
        from ..core.strictjson import read  # let go of after each call (see `app.forget`)

        try:
            return read(self.body)
        except MemoryError:
            return None  # what the call came to is not known

    def message(self):
        """The text of an error body `{"message": …}`, or ""."""
        data = self.json()
        message = data.get("message") if data else None
        return message if isinstance(message, str) else ""

    def retry_after_s(self, now):
        """Seconds that the service asks us to wait: `Retry-After` as a number or a date; 0 when absent or unreadable."""
        value = self.headers.get("retry-after", "")
        if value.isdigit():
            return int(value[:9])
        at = self.date("retry-after")
        return max(0, at - (self.date() or now)) if at else 0

    def date(self, name="date"):
        """A header's date in Unix seconds, or 0; without a name: the server's clock."""
        from ..core.dates import parse_http  # let go of after each call

        try:
            return parse_http(self.headers.get(name, ""))
        except ValueError:
            return 0


def judge(answer):
    """The outcome by the status alone; OK for a 200, whose body is still to be read."""
    status = answer.status
    if status == 200:
        return OK
    if status == 0:
        return UNKNOWN if answer.sent else NOT_ACTED
    if status in (408, 425, 429, 503):  # by these a server says that it did nothing and may do it later
        return NOT_ACTED
    if status == 410:
        return GONE
    # DRS says 400 `{"message":"Invalid token"}`, and names the kind in a header.
    if (
        status == 401
        or status in (400, 403)
        and (answer.headers.get("x-amzn-errortype", "").startswith("InvalidToken") or "invalid token" in answer.message().lower())
    ):
        return BAD_TOKEN
    return REFUSED if 400 <= status < 500 else UNKNOWN


# Text is looked at as bytes: MicroPython keeps each different one-character string that a loop over a string makes, for ever.
# "surrogatepass" is for CPython, whose json lets half characters through; MicroPython has no such notion.


def quote(text):
    """Percent-encode for a path segment or a form value."""
    quoted = bytearray()
    for byte in text.encode():
        if 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122 or byte in b"-._~":
            quoted.append(byte)
        else:
            quoted.extend(b"%%%02X" % byte)
    return quoted.decode()


def phrase(text):
    """A service's own words, made fit for a log: visible ASCII, short, and without anything as long or as shaped as a token."""
    said = bytearray(text[:120].encode("utf-8", "surrogatepass"))
    for i in range(len(said)):
        if not 32 < said[i] < 127:
            said[i] = 32
    words = said.decode().split()
    for i in range(len(words)):
        if len(words[i]) > 40 or "|" in words[i]:
            words[i] = "[...]"
    return " ".join(words)


def printable(value, limit):
    """Whether `value` is a string of 1 to `limit` visible ASCII characters: fit for a header, a path and a file."""
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        return False
    for byte in value.encode("utf-8", "surrogatepass"):
        if not 32 < byte < 127:
            return False
    return True
