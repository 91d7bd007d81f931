"""Answers to a replenish call, good and broken, and what the laws make of each: for tests in memory and over real TLS.

Each row: (name, bytes, end, outcome, kept). end: what the server does after them (see network.py); outcome: its name in
services/call.py, with "!" when an order id comes along; kept: whether the connection is good for a next call.
"""

from host_tests.fakes.network import CLOSE, OPEN, RESET

ID = "amzn1.dash.v2.o.ci41MjFhNDQ"
BODY = b'{"detailCode":"STANDARD_ORDER_PLACED","eventInstanceId":"' + ID.encode() + b'"}'
STATUS = b"HTTP/1.1 200 Accepted\r\n"
TYPE = b"Content-Type: application/json\r\n"


def sized(body, headers=TYPE, status=STATUS):
    """An answer with the true Content-Length of `body`."""
    return status + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


def plain(headers, body=BODY, status=STATUS):
    """An answer with these headers and no other."""
    return status + headers + b"\r\n" + body


def chunked(chunks, headers=b"Transfer-Encoding: chunked\r\n"):
    return plain(headers, chunks)


def chunk(data):
    return b"%X\r\n%s\r\n" % (len(data), data)


LENGTH = b"Content-Length: %d\r\n" % len(BODY)
GOOD = sized(BODY)
LAST = b"0\r\n\r\n"
HALVES = chunk(BODY[:20]) + chunk(BODY[20:])
OTHER = b"X-Cache: Miss from cloudfront\r\n"

FRAMING = [
    ("good", GOOD, OPEN, "accepted!", True),
    ("good, then the end", GOOD, CLOSE, "accepted!", True),
    ("Connection: close", plain(LENGTH + b"Connection: close\r\n"), CLOSE, "accepted!", False),
    ("Connection: close, but it stays", plain(LENGTH + b"connection: Close\r\n"), OPEN, "accepted!", False),
    ("HTTP/1.0 with a length", sized(BODY, status=b"HTTP/1.0 200 OK\r\n"), OPEN, "accepted!", False),
    ("HTTP/1.0 keep-alive", sized(BODY, b"Connection: Keep-Alive\r\n", b"HTTP/1.0 200 OK\r\n"), OPEN, "accepted!", True),
    ("HTTP/1.0 until the end", plain(b"", status=b"HTTP/1.0 200 OK\r\n"), CLOSE, "accepted!", False),
    ("HTTP/1.1 until the end", plain(TYPE), CLOSE, "accepted!", False),
    ("HTTP/1.1 until an early end", plain(TYPE, BODY[: BODY.find(b",")]), CLOSE, "unknown", False),
    ("HTTP/1.1 until a reset", plain(TYPE), RESET, "unknown", False),
    ("HTTP/1.1 until an end that never comes", plain(TYPE), OPEN, "unknown", False),
    ("no reason phrase", sized(BODY, status=b"HTTP/1.1 200\r\n"), OPEN, "accepted!", True),
    ("lines without CR", sized(BODY).replace(b"\r", b""), OPEN, "accepted!", True),
    ("headers in odd shapes", plain(b"CONTENT-LENGTH:%d  \r\nX:\r\n" % len(BODY)), OPEN, "accepted!", True),
    ("a header longer than what is kept of it", sized(BODY, b"Set-Cookie: " + b"c" * 4000 + b"\r\n"), OPEN, "accepted!", True),
    ("a header in Latin-1", sized(BODY, b"X-N\xe4me: \xff\xfe\r\n"), OPEN, "accepted!", True),
    ("unread bytes after the body", GOOD + b"HTTP/1.1 200 OK\r\n", OPEN, "accepted!", True),
    ("two equal lengths", plain(LENGTH + LENGTH), OPEN, "accepted!", True),
    ("two lengths", plain(LENGTH + b"Content-Length: 5\r\n"), OPEN, "unknown", False),
    ("two lengths in one header", plain(b"Content-Length: 5, 5\r\n"), OPEN, "unknown", False),
    ("length of 0", plain(b"Content-Length: 0\r\n", b""), OPEN, "unknown", True),
    ("length too long, then the end", plain(b"Content-Length: 300\r\n"), CLOSE, "unknown", False),
    ("length too long, then a reset", plain(b"Content-Length: 300\r\n"), RESET, "unknown", False),
    ("length too long, then nothing", plain(b"Content-Length: 300\r\n"), OPEN, "unknown", False),
    ("length too short", plain(b"Content-Length: 40\r\n"), OPEN, "unknown", True),
    ("length below 0", plain(b"Content-Length: -1\r\n"), OPEN, "unknown", False),
    ("length with a sign", plain(b"Content-Length: +93\r\n"), OPEN, "unknown", False),
    ("length in hexadecimal", plain(b"Content-Length: 0x5d\r\n"), OPEN, "unknown", False),
    ("length empty", plain(b"Content-Length:\r\n"), OPEN, "unknown", False),
    ("length over the limit", plain(b"Content-Length: 16385\r\n", b"x" * 16385), OPEN, "unknown", False),
    ("length beyond all numbers", plain(b"Content-Length: " + b"9" * 400 + b"\r\n"), OPEN, "unknown", False),
    ("204 without a length", plain(b"", b"", b"HTTP/1.1 204 No Content\r\n"), OPEN, "unknown", True),
    ("204 with a length", plain(LENGTH, b"", b"HTTP/1.1 204 No Content\r\n"), OPEN, "unknown", True),
    ("204 with a body", sized(BODY, status=b"HTTP/1.1 204 No Content\r\n"), OPEN, "unknown", True),
    ("304", plain(LENGTH, b"", b"HTTP/1.1 304 Not Modified\r\n"), OPEN, "unknown", True),
    ("chunked, one", chunked(chunk(BODY) + LAST), OPEN, "accepted!", True),
    ("chunked, several", chunked(HALVES + LAST), OPEN, "accepted!", True),
    ("chunked, with extensions", chunked(b'%x;n="v";m\r\n%s\r\n' % (len(BODY), BODY) + b"00;x\r\n\r\n"), OPEN, "accepted!", True),
    ("chunked, with trailers", chunked(HALVES + b"0\r\nX-A: b\r\nContent-Length: 5\r\n\r\n"), OPEN, "accepted!", True),
    ("chunked, with a length", chunked(HALVES + LAST, LENGTH + b"Transfer-Encoding: Chunked\r\n"), OPEN, "accepted!", True),
    ("chunked, size too big, then the end", chunked(b"FF\r\n" + BODY + b"\r\n" + LAST), CLOSE, "unknown", False),
    ("chunked, size too big, then nothing", chunked(b"FF\r\n" + BODY + b"\r\n" + LAST), OPEN, "unknown", False),
    ("chunked, size too small", chunked(b"10\r\n" + BODY + b"\r\n" + LAST), OPEN, "unknown", False),
    ("chunked, size over the limit", chunked(b"4001\r\n" + b"x" * 0x4001), OPEN, "unknown", False),
    ("chunked, sum over the limit", chunked(chunk(b" " * 0x2001) * 2 + LAST), OPEN, "unknown", False),
    ("chunked, size of 9 digits", chunked(b"%09X\r\n%s\r\n" % (len(BODY), BODY) + LAST), OPEN, "unknown", False),
    ("chunked, size below 0", chunked(b"-5\r\n" + BODY), OPEN, "unknown", False),
    ("chunked, size is no number", chunked(b"5_D\r\n" + BODY), OPEN, "unknown", False),
    ("chunked, size empty", chunked(b"\r\n" + BODY), OPEN, "unknown", False),
    ("chunked, no last chunk, then the end", chunked(HALVES), CLOSE, "unknown", False),
    ("chunked, no last chunk, then nothing", chunked(HALVES), OPEN, "unknown", False),
    ("chunked, no last line, then the end", chunked(HALVES + b"0\r\n"), CLOSE, "unknown", False),
    ("chunked, endless trailers", chunked(HALVES + b"0\r\n" + b"X-A: b\r\n" * 1200), OPEN, "unknown", False),
    ("gzip, chunked", chunked(HALVES + LAST, b"Transfer-Encoding: gzip, chunked\r\n"), OPEN, "unknown", False),
    ("an interim answer first", b"HTTP/1.1 100 Continue\r\nX-A: b\r\n\r\n" + GOOD, OPEN, "accepted!", True),
    ("interim answers without end", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 400, OPEN, "unknown", False),
    ("an interim answer only, then the end", b"HTTP/1.1 100 Continue\r\n\r\n", CLOSE, "unknown", False),
    ("end before any byte", b"", CLOSE, "unknown", False),
    ("reset before any byte", b"", RESET, "unknown", False),
    ("nothing at all", b"", OPEN, "unknown", False),
    ("end in the status line", b"HTTP/1.1 2", CLOSE, "unknown", False),
    ("end in a header", STATUS + LENGTH[:10], CLOSE, "unknown", False),
    ("end after the header", STATUS + LENGTH + b"\r\n", CLOSE, "unknown", False),
    ("end in the body", GOOD[:-1], CLOSE, "unknown", False),
    ("one header line over the limit", sized(BODY, b"X-A: " + b"a" * 8192 + b"\r\n"), OPEN, "unknown", False),
    ("many headers over the limit", sized(BODY, OTHER * 300), OPEN, "unknown", False),
    ("a header without a colon", sized(BODY, b"nonsense\r\n"), OPEN, "unknown", False),
    ("a folded header", sized(BODY, b"X-A: b\r\n folded\r\n"), OPEN, "unknown", False),
    ("zeros", bytes(600), OPEN, "unknown", False),
    ("an empty line first", b"\r\n" + GOOD, OPEN, "unknown", False),
    ("not HTTP", b"220 mail.example ESMTP\r\n", OPEN, "unknown", False),
    ("HTTP/2", GOOD.replace(b"HTTP/1.1", b"HTTP/2"), OPEN, "unknown", False),
    ("no status", b"HTTP/1.1\r\n" + LENGTH + b"\r\n" + BODY, OPEN, "unknown", False),
    ("status of two digits", sized(BODY, status=b"HTTP/1.1 20 OK\r\n"), OPEN, "unknown", False),
    ("status of four digits", sized(BODY, status=b"HTTP/1.1 2000 OK\r\n"), OPEN, "unknown", False),
    ("status with a sign", sized(BODY, status=b"HTTP/1.1 +20 OK\r\n"), OPEN, "unknown", False),
    ("status 099", sized(BODY, status=b"HTTP/1.1 099 OK\r\n"), OPEN, "unknown", False),
    ("status 999", sized(BODY, status=b"HTTP/1.1 999 OK\r\n"), OPEN, "unknown", True),
    ("status glued to the version", sized(BODY, status=b"HTTP/1.1200 OK\r\n"), OPEN, "unknown", False),
]


def _coded(code):
    return b'{"detailCode":' + code + b',"eventInstanceId":"' + ID.encode() + b'"}'


def _identified(event_id):
    return b'{"detailCode":"STANDARD_ORDER_PLACED","eventInstanceId":' + event_id + b"}"


# (name, body of a 200, outcome)
BODIES = [
    ("empty object", b"{}", "unknown"),
    ("no detailCode", b'{"eventInstanceId":"x"}', "unknown"),
    ("not JSON", b"<html>STANDARD_ORDER_PLACED</html>", "unknown"),
    ("JSON cut off", BODY[:-1], "unknown"),
    ("JSON and more", BODY + b"x", "unknown"),
    ("JSON in UTF-16", "".join([chr(c) + "\0" for c in BODY]).encode() + b"\0", "unknown"),
    ("no UTF-8", _coded(b'"\xff\xfeORDER_PLACED"'), "unknown"),
    ("a list", b"[" + BODY + b"]", "unknown"),
    ("a string", b'"STANDARD_ORDER_PLACED"', "unknown"),
    ("a number", b"200", "unknown"),
    ("null", b"null", "unknown"),
    ("deep nesting", b"[" * 8000, "unknown"),
    ("deep nesting that closes", b"[" * 6000 + b"]" * 6000, "unknown"),
    (
        "deep nesting in a field",
        b'{"detailCode":"STANDARD_ORDER_PLACED","a":' + b'{"a":' * 1500 + b"1" + b"}" * 1501,
        "unknown",
    ),
    ("null code", _coded(b"null"), "unknown"),
    ("code is a number", _coded(b"200"), "unknown"),
    ("code is true", _coded(b"true"), "unknown"),
    ("code is a list", _coded(b'["STANDARD_ORDER_PLACED"]'), "unknown"),
    ("code is an object", _coded(b'{"a":"STANDARD_ORDER_PLACED"}'), "unknown"),
    ("code is empty", _coded(b'""'), "unknown"),
    ("code with a space", _coded(b'"STANDARD ORDER_PLACED"'), "unknown"),
    ("code with a newline", _coded(b'"STANDARD_ORDER_PLACED\\n"'), "unknown"),
    ("code with a zero", _coded(b'"STANDARD_ORDER_PLACED\\u0000"'), "unknown"),
    ("code of 65 characters", _coded(b'"' + b"X" * 53 + b'ORDER_PLACED"'), "unknown"),
    ("code of another kind", _coded(b'"SLOT_NOT_SUBSCRIBED"'), "unknown"),
    ("code longer than the known", _coded(b'"STANDARD_ORDER_PLACED_FAILED"'), "unknown"),
    ("code of a part", _coded(b'"PLACED"'), "unknown"),
    ("no order placed", _coded(b'"NO_ORDER_PLACED"'), "unknown"),
    ("no order in progress", _coded(b'"NO_ORDER_IN_PROGRESS"'), "unknown"),
    ("test order", _coded(b'"TEST_ORDER_PLACED"'), "accepted!"),
    ("pre-release order", _coded(b'"PRERELEASE_ORDER_PLACED"'), "accepted!"),
    ("another order placed", _coded(b'"ORDER_PLACED"'), "accepted!"),
    ("lower case", _coded(b'"standard_order_placed"'), "accepted!"),
    ("in progress", _coded(b'"ORDER_INPROGRESS"'), "in_progress!"),
    ("in progress, as in prose", _coded(b'"ORDER_IN_PROGRESS"'), "in_progress!"),
    ("in progress, mixed case", _coded(b'"Order_InProgress"'), "in_progress!"),
    ("in progress, of a kind", _coded(b'"STANDARD_ORDER_IN_PROGRESS"'), "in_progress!"),
    ("null id", _identified(b"null"), "accepted"),
    ("no id", b'{"detailCode":"STANDARD_ORDER_PLACED"}', "accepted"),
    ("id is a number", _identified(b"5"), "accepted"),
    ("id is a list", _identified(b'["x"]'), "accepted"),
    ("id is empty", _identified(b'""'), "accepted"),
    ("id with a newline", _identified(b'"a\\r\\nHost: b"'), "accepted"),
    ("id beyond ASCII", _identified(b'"\xc3\xa4"'), "accepted"),
    ("id of 255 characters", _identified(b'"' + b"i" * 255 + b'"'), "accepted!"),
    ("id of 256 characters", _identified(b'"' + b"i" * 256 + b'"'), "accepted"),
    ("id of 15,000 characters", _identified(b'"' + b"i" * 15000 + b'"'), "accepted"),
    ("unknown fields", BODY[:-1] + b',"a":[{"b":null}]}', "accepted!"),
]

# (status, body, outcome)
STATUSES = [
    (201, BODY, "unknown"),
    (202, BODY, "unknown"),
    (206, BODY, "unknown"),
    (301, BODY, "unknown"),
    (302, BODY, "unknown"),
    (303, BODY, "unknown"),
    (307, BODY, "unknown"),
    (308, BODY, "unknown"),
    (400, b'{"message":"Slot is not there"}', "refused"),
    (400, b'{"message":"Invalid token"}', "bad_token"),
    (400, b'{"message":["Invalid token"]}', "refused"),
    (400, b'{"message":null}', "refused"),
    (400, b"Invalid token", "refused"),
    (400, b"", "refused"),
    (400, b'{"message":"Slot x is unsubscribed"}', "unsubscribed"),
    (401, b"", "bad_token"),
    (403, b"", "refused"),
    (404, BODY, "refused"),
    (408, b"", "not_acted"),
    (410, b"", "gone"),
    (418, BODY, "refused"),
    (429, BODY, "not_acted"),
    (500, BODY, "unknown"),
    (501, BODY, "unknown"),
    (502, b"", "unknown"),
    (503, BODY, "not_acted"),
    (504, b"", "unknown"),
]


def rows():
    """Everything above in the form of FRAMING."""
    found = list(FRAMING)
    for name, body, outcome in BODIES:
        found.append(("body: " + name, sized(body), OPEN, outcome, True))
    for status, body, outcome in STATUSES:
        first = b"HTTP/1.1 %d Word\r\n" % status
        found.append(("status %d" % status, sized(body, b"Location: https://other.example/\r\n", first), OPEN, outcome, True))
    return found
