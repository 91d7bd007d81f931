"""HTTPS calls: micropython-lib `requests`, unmodified, on the hardened stream.

`requests` formats the request and hands out the answer. Beneath it, given to it as its `socket`, this module gathers its writes
into one, does the TLS, and reads the answer with limits, so that `requests` sees only a status line, a true Content-Length and
that many bytes: no Location to follow, no chunks, no endless header.
"""

import gc
import sys

from ..core.errors import ProtocolError
from ..services.call import Answer
from .stream import Stream


def _own_requests():
    """A copy of the module for us alone: we replace its `socket`, and the appliance's program may use `requests` as well."""
    theirs = sys.modules.pop("requests", None)
    import requests

    del sys.modules["requests"]
    if theirs:
        sys.modules["requests"] = theirs
    return requests


requests = _own_requests()

TIMEOUT_MS = 20000  # for a whole call: DNS, TCP, TLS, request and answer
BODY_LIMIT = 16384  # bytes
HEAD_LIMIT = 8192  # bytes of status line and headers together
_LINE_SIZE = 256  # bytes kept of one header line; the headers we read are shorter
_REQUEST_LIMIT = 8192
# The headers that somebody reads; the others are passed over.
_KEPT = ("content-length", "transfer-encoding", "connection", "retry-after", "date", "x-amzn-errortype", "x-amzn-requestid")


class Client:
    """Makes one call at a time, and keeps the connection to one host between calls until `close`."""

    def __init__(self, context, timeout_ms=TIMEOUT_MS):
        """context: from `stream.trust`; timeout_ms: the deadline of a whole call, 1 to 2^29."""
        self.stream = Stream(context)
        self._timeout_ms = timeout_ms

    def call(self, request):
        """The Answer to a request. Blocks for `timeout_ms` at most, the name look-up apart; never raises for what a peer or
        the network does, nor when memory runs out: then the Answer has status 0, and `sent` says whether the request left."""
        exchange = None
        try:
            exchange = _Exchange(self.stream)
            self.stream.set_deadline(self._timeout_ms)
            exchange.open(request.url)
            requests.socket = exchange
            response = requests.request(
                request.method, "http://" + request.url[8:], data=request.body or None, headers=_headers(request)
            )
            return Answer(response.status_code, exchange.headers, response.content)
        except (OSError, ValueError, ProtocolError, MemoryError) as error:
            self.stream.close()
            requests.socket = None
            gc.collect()  # so that there is room to say that there was none
            return Answer(sent=exchange is not None and exchange.sent, error=_phrase(error))
        finally:
            requests.socket = None
            if exchange is None or not exchange.reusable:
                self.stream.close()

    def close(self):
        """End the connection: nothing more is due for now."""
        self.stream.close()


def _phrase(error):
    if isinstance(error, MemoryError):
        return "out of memory"
    return "%s: %s" % (type(error).__name__, error)


def _headers(request):
    """All headers, after refusing what could break out of one. A body of unknown length is not sent by anyone here."""
    headers = {"Host": request.url[8:].split("/")[0], "Connection": "keep-alive"}
    for name, value in request.headers.items():
        if not all([" " <= c <= "~" for c in value]):
            raise ProtocolError("header %s: control character" % name)
        headers[name] = value
    if request.method != "GET":
        headers["Content-Length"] = str(len(request.body))
    return headers


class _Exchange:
    """One request and its answer. To `requests` this is both the module `socket` and the socket."""

    SOCK_STREAM = 1

    def __init__(self, stream):
        self._stream = stream
        self._out = bytearray()
        self._line = bytearray(_LINE_SIZE)
        self._head_left = HEAD_LIMIT
        self._body = None
        self._given = 0
        self.sent = False
        self.reusable = False
        self.headers = {}

    def open(self, url):
        """Connect to the host of an https URL, or go on with the connection that is already there."""
        if not url.startswith("https://"):
            raise ProtocolError("not https")
        host, _, port = url[8:].split("/")[0].partition(":")
        port = int(port or 443)
        stream = self._stream
        if stream.host != host or stream.port != port or not stream.is_quiet():
            stream.connect(host, port)

    # What `requests` asks of the module `socket`

    def getaddrinfo(self, host, port, family=0, kind=0):
        return [(2, kind, 0, "", (host, port))]

    def socket(self, *args):
        return self

    # ... and of the socket

    def connect(self, address):
        pass

    def settimeout(self, timeout):
        pass

    def close(self):
        pass

    def write(self, data):
        if isinstance(data, str):
            data = data.encode()
        if not self._out and data.endswith(b" HTTP/1.0\r\n"):
            data = data[:-3] + b"1\r\n"  # `requests` before 1.0: we can read what HTTP/1.1 answers
        self._out.extend(data)
        if len(self._out) > _REQUEST_LIMIT:
            raise ProtocolError("request over %d bytes" % _REQUEST_LIMIT)

    def readline(self):
        if self._body is None:
            status = self._exchange()
            return b"HTTP/1.1 %d -\r\n" % status
        if self._given == 0:
            self._given = 1
            return b"Content-Length: %d\r\n" % len(self._body)
        return b"\r\n"

    def read(self, size=-1):
        body, self._body = self._body, b""
        if 0 <= size < len(body):
            body, self._body = body[:size], body[size:]
        return body

    # The exchange itself

    def _exchange(self):
        self._stream.write(self._out)
        self.sent = True
        self._out = b""
        status = self._read_status()
        self._read_headers()
        while 100 <= status < 200:  # an interim answer comes before the real one
            status = self._read_status()
            self._read_headers()
        self._body = self._read_body(status)
        return status

    def _read_line(self):
        length = self._stream.read_line(self._line)
        self._head_left -= length
        if length == 0:
            raise ProtocolError("connection closed in the header")
        if self._head_left < 0:
            raise ProtocolError("header over %d bytes" % HEAD_LIMIT)
        kept = min(length, _LINE_SIZE)
        return bytes(memoryview(self._line)[:kept]).strip()

    def _read_status(self):
        parts = self._read_line().split(None, 2)
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or len(parts[1]) != 3 or not parts[1].isdigit():
            raise ProtocolError("not an HTTP answer")
        status = int(parts[1])
        if status < 100:
            raise ProtocolError("status %d" % status)
        self._keep = parts[0] != b"HTTP/1.0"
        return status

    def _read_headers(self):
        headers = {}
        while True:
            line = self._read_line()
            if not line:
                break
            name, colon, value = line.partition(b":")
            name = _ascii(name).lower()
            if not colon:
                raise ProtocolError("header without a colon")
            if name in _KEPT:
                value = _ascii(value.strip())
                if name == "content-length" and headers.get(name, value) != value:
                    raise ProtocolError("two lengths")
                headers[name] = value
        self.headers = headers

    def _read_body(self, status):
        headers = self.headers
        connection = headers.get("connection", "").lower()
        keep = self._keep and connection != "close" or connection == "keep-alive"
        encoding = headers.get("transfer-encoding", "").lower()
        if status in (204, 304):
            body = b""
        elif encoding:
            if encoding != "chunked":
                raise ProtocolError("transfer encoding " + encoding)
            body = self._read_chunks()
        elif "content-length" in headers:
            body = self._read_exactly(bytearray(), _length(headers["content-length"], 10))
        else:
            body = self._read_to_end()
            keep = False
        self.reusable = keep
        return bytes(body)

    def _read_exactly(self, body, size):
        if len(body) + size > BODY_LIMIT:
            raise ProtocolError("body over %d bytes" % BODY_LIMIT)
        while size:
            some = self._stream.read_some(size)
            if not len(some):
                raise ProtocolError("connection closed in the body")
            body.extend(some)
            size -= len(some)
        return body

    def _read_to_end(self):
        body = bytearray()
        while True:
            some = self._stream.read_some(BODY_LIMIT)
            if not len(some):
                return body
            body.extend(some)
            if len(body) > BODY_LIMIT:
                raise ProtocolError("body over %d bytes" % BODY_LIMIT)

    def _read_chunks(self):
        body = bytearray()
        while True:
            size = _length(_ascii(self._read_line().partition(b";")[0].strip()), 16)
            if size == 0:
                break
            self._read_exactly(body, size)
            if self._read_line():
                raise ProtocolError("chunk without its end")
        while self._read_line():  # trailers
            pass
        return body


def _ascii(data):
    """Header text; bytes above 127, which no header of ours has, become "?". """
    return "".join([chr(b) if b < 128 else "?" for b in data])


def _length(text, base):
    digits = "0123456789abcdefABCDEF"[: 10 if base == 10 else 22]
    if not 0 < len(text) <= 8 or not all([c in digits for c in text]):
        raise ProtocolError("not a length: " + text[:16])
    return int(text, base)
