"""HTTPS calls: micropython-lib `requests`, unmodified, on the hardened stream.

`requests` formats the request. Beneath it, given to it as its `socket`, this module gathers its writes into one, does the TLS,
and reads the answer with limits, so that `requests` sees only a status line: no Location to follow, no chunks, no endless
header. The body is taken past it: handing it through would make `requests` close the connection.
"""

import gc
import sys

from micropython import const

from ..core.errors import ProtocolError
from ..services.call import Answer, printable
from .stream import Stream

# A copy of the module for us alone: we replace its `socket`, and the appliance's program may use `requests` as well.
_theirs = sys.modules.pop("requests", None)
requests = __import__("requests")
del sys.modules["requests"]
if _theirs:
    sys.modules["requests"] = _theirs

TIMEOUT_MS = const(20000)  # for a whole call: DNS, TCP, TLS, request and answer
BODY_LIMIT = const(16384)  # bytes
HEAD_LIMIT = const(8192)  # bytes of status line and headers together
_LINE_SIZE = const(256)  # bytes kept of one header line; the headers we read are shorter
_REQUEST_LIMIT = const(8192)
_LENGTH = const("content-length")
_CUT = const("closed in the %s")
_OVER = const("%s over %d bytes")
_ODD = const("%s not understood: %s")


class Client:
    """Makes one call at a time, and keeps the connection to one host between calls until `close`.

    During a call it is to `requests` both the module `socket` and the socket.
    """

    SOCK_STREAM = 1

    def __init__(self, context, timeout_ms=TIMEOUT_MS):
        """context: from `stream.trust`; timeout_ms: the deadline of a whole call, 1 to 2^29."""
        self.stream = Stream(context)
        self.timeout_ms = timeout_ms
        self._line = bytearray(_LINE_SIZE)
        self._head_left = 0
        self.sent = self._reusable = False
        self._end()

    def call(self, request):
        """The Answer to a request. Blocks for `timeout_ms` at most, the name look-up apart; never raises for what a peer or
        the network does, nor when memory runs out: then the Answer has status 0, and `sent` says whether the request left.
        MemoryError: there is not even room for an Answer (some 300 bytes). In any case no connection stays open then."""
        self.sent = self._reusable = False
        try:
            self.stream.set_deadline(self.timeout_ms)
            headers = self._open(request)
            requests.socket = self  # type: ignore[attr-defined]
            response = requests.request(request.method, "http://" + request.url[8:], data=request.body or None, headers=headers)
            return Answer(response.status_code, self.headers, self._body)
        except (OSError, ValueError, ProtocolError, MemoryError) as error:
            self._reusable = False
            self._end()
            gc.collect()  # so that there is room to say that there was none
            what = "out of memory" if isinstance(error, MemoryError) else "%s: %s" % (type(error).__name__, error)
            return Answer(sent=self.sent, error=what)
        finally:
            self._end()

    def _end(self):
        """Let go of all that belongs to one call."""
        requests.socket = self.headers = self._body = self._out = None  # type: ignore[attr-defined]
        if not self._reusable:
            self.close()

    def close(self):
        """End the connection: nothing more is due for now."""
        self.stream.close()

    def _open(self, request):
        """Connect, or go on with the connection that is there. Returns all headers, after refusing what could break out of one."""
        url = request.url
        if not url.startswith("https://"):
            raise ProtocolError("not https")
        host = url[8:].split("/")[0]
        headers = {"Host": host, "Connection": "keep-alive"}
        headers.update(request.headers)
        if request.method != "GET":
            headers["Content-Length"] = str(len(request.body))
        size = len(url) + len(request.body)
        for name, value in headers.items():
            size += len(name) + len(value) + 4
            if not printable(value.replace(" ", ""), _REQUEST_LIMIT):
                raise ProtocolError(_ODD % ("header", name))
        if size > _REQUEST_LIMIT:
            raise ProtocolError(_OVER % ("request", _REQUEST_LIMIT))
        self._out = bytearray(size + 16)  # room for all of it, so that it need not be moved as it grows
        self._out[:] = b""
        host, _, port = host.partition(":")
        port = int(port or 443)
        stream = self.stream
        if stream.host != host or stream.port != port or not stream.is_quiet():
            stream.connect(host, port)
        return headers

    # What `requests` asks of the module `socket`, and of the socket

    def getaddrinfo(self, *args):
        return (args,)

    def socket(self, *args):
        return self

    connect = settimeout = socket

    def write(self, data):
        if isinstance(data, str):
            data = data.encode()
        if not self._out and data[-3] == 48:  # HTTP/1.0, by `requests` before 1.0: we can read what HTTP/1.1 answers
            data = data[:-3] + b"1\r\n"
        self._out.extend(data)

    def readline(self):
        if self.sent:
            return b"\r\n"
        self.stream.write(self._out)
        self.sent = True
        self._out = None
        self._head_left = HEAD_LIMIT
        status = 100
        while status < 200:  # an interim answer comes before the real one
            version, status = self._read_status()
            self._read_headers()
        self._body = bytearray()
        self._read_body(version, status)
        return b"HTTP/1.1 %d -\r\n" % status

    # The answer

    def _read_line(self):
        """A line of the head, or between chunks, as text; bytes above 127, which no header of ours has, become "?"."""
        line = self._line
        length = self.stream.read_line(line)
        self._head_left -= length
        if length == 0:
            raise ProtocolError(_CUT % "header")
        if self._head_left < 0:
            raise ProtocolError(_OVER % ("header", HEAD_LIMIT))
        length = min(length, _LINE_SIZE)
        for i in range(length):
            if line[i] > 127:
                line[i] = 63
        return str(memoryview(line)[:length], "ascii").strip()

    def _read_status(self):
        """(version, status) of a status line."""
        line = self._read_line()
        parts = line.split(None, 2)
        if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or len(parts[1]) != 3 or not parts[1].isdigit() or parts[1] < "100":
            raise ProtocolError(_ODD % ("status", line[:16]))
        return parts[0], int(parts[1])

    def _read_headers(self):
        """Keep those that somebody reads; the others are passed over."""
        kept = (
            "content-length content-range transfer-encoding connection retry-after date x-amzn-errortype x-amzn-requestid "
            "x-amzn-type-version"
        ).split()
        self.headers = headers = {}
        line = self._read_line()
        while line:
            name, colon, value = line.partition(":")
            name, value = name.lower(), value.strip()
            if not colon or name == _LENGTH and headers.get(name, value) != value:
                raise ProtocolError(_ODD % ("header", line[:16]))
            if name in kept:
                headers[name] = value
            line = self._read_line()

    def _read_body(self, version, status):
        headers = self.headers
        connection = headers.get("connection", "").lower()
        keep = connection == "keep-alive" or connection != "close" and version != "HTTP/1.0"
        encoding = headers.get("transfer-encoding", "").lower()
        if status in (204, 304):
            pass
        elif encoding == "chunked":
            self._read_chunks()
        elif encoding:
            raise ProtocolError(_ODD % ("encoding", encoding[:16]))
        elif _LENGTH in headers:
            self._read(_length(headers[_LENGTH], 10))
        else:
            self._read(-1)
            keep = False
        self._reusable = keep

    def _read(self, size):
        """Read so many bytes more of the body; a negative number: all there are until the peer closes."""
        body = self._body
        while size:
            some = self.stream.read_some(BODY_LIMIT if size < 0 else size)
            if not len(some):
                if size < 0:
                    return
                raise ProtocolError(_CUT % "body")
            if len(body) + max(size, len(some)) > BODY_LIMIT:
                raise ProtocolError(_OVER % ("body", BODY_LIMIT))
            body.extend(some)
            size -= len(some)

    def _read_chunks(self):
        size = 1
        while size:
            size = _length(self._read_line().partition(";")[0].strip(), 16)
            self._read(size)
            line = self._read_line()  # the chunk's end, which is empty, or the first trailer
            if size and line:
                raise ProtocolError(_ODD % ("chunk", line[:16]))
        while line:
            line = self._read_line()


def _length(text, base):
    if not 0 < len(text) <= 8 or text.strip("0123456789abcdefABCDEF"[: 10 if base == 10 else 22]):
        raise ProtocolError(_ODD % ("length", text[:16]))
    return int(text, base)
