"""What an answer comes to by its status, and what of a service's words is believed, shown and sent on."""

from replenish.services import call

from host_tests.expect import cases

NOW = 1795300000
BODY = b'{"detailCode":"STANDARD_ORDER_PLACED","eventInstanceId":"amzn1.dash.v2.o.x"}'


def judged(status, sent=True, headers=None, body=b""):
    return call.OUTCOMES[call.judge(call.Answer(status, headers, body, sent))]


# The outcome by the status (the laws' "Outcomes of a call")


def check_status(expected, statuses):
    for status in statuses:
        assert judged(status) == expected, (status, judged(status))


def test_every_status_has_its_outcome():
    not_acted, gone, token = (408, 425, 429, 503), (410,), (401,)
    refused = [s for s in range(400, 500) if s not in not_acted + gone + token]
    unknown = [s for s in range(100, 600) if s != 200 and s not in not_acted and not 400 <= s < 500]
    assert len(refused) == 95 and 500 in unknown and 302 in unknown and 204 in unknown
    cases(
        check_status,
        [
            ("ok", (200,)),
            ("not_acted", not_acted),
            ("gone", gone),
            ("bad_token", token),
            ("refused", refused),
            ("unknown", unknown),
        ],
    )


def test_without_an_answer_it_counts_whether_the_request_left():
    assert judged(0, sent=False) == "not_acted"
    assert judged(0, sent=True) == "unknown"


def check_token(expected, status, headers, body):
    assert judged(status, True, headers, body) == expected


def test_a_bad_token_is_known_by_its_message_or_its_header():
    kind = {"x-amzn-errortype": "InvalidTokenException:http://internal.amazon.com/coral/com.amazon.parkeraccioservice/"}
    cases(
        check_token,
        [
            ("bad_token", 400, {}, b'{"message":"Invalid token"}'),
            ("bad_token", 400, {}, b'{"message":"The INVALID TOKEN was refused"}'),
            ("bad_token", 403, {}, b'{"message":"invalid token"}'),
            ("bad_token", 400, kind, b""),
            ("bad_token", 403, kind, b"<html>"),
            ("refused", 404, kind, b'{"message":"Invalid token"}'),
            ("refused", 400, {"x-amzn-errortype": "OA2InvalidRequestException:x"}, b""),
            ("refused", 400, {}, b'{"message":"Invalid slot"}'),
            ("refused", 400, {}, b'{"message":["Invalid token"]}'),
            ("refused", 400, {}, b"Invalid token"),
            ("unknown", 500, kind, b'{"message":"Invalid token"}'),
        ],
    )


# Bodies


def test_a_body_cut_off_anywhere_is_no_body():
    for end in range(len(BODY)):
        assert call.Answer(200, None, BODY[:end]).json() is None, BODY[:end]
    assert call.Answer(200, None, BODY).json()["eventInstanceId"] == "amzn1.dash.v2.o.x"
    assert call.Answer(200, None, bytearray(BODY + b"\r\n")).json()["detailCode"] == "STANDARD_ORDER_PLACED"


def check_body(body):
    answer = call.Answer(200, None, body)
    assert answer.json() is None and answer.message() == ""


def test_what_is_not_an_object_is_no_body():
    whole = (b"", b" ", b"null", b"true", b"7", b'"text"', b"[]", b"[{}]", b"<html>{}</html>", b"\xff\xfe{\x00}\x00", b"\x00" * 9)
    cut = (b'{"a":{"b":1}', b'{"a":1}}', b'{"a":1},', b'{"a":1}x', b'{"a":"\xff"}', b'{"a":1', b"{")
    cases(check_body, [(body,) for body in whole + cut])


def test_deep_nesting_is_no_body_and_no_crash():
    for body in (b"[" * 3000, b'{"a":' * 3000, b'{"a":' * 3000 + b"1" + b"}" * 3000):
        data = call.Answer(200, None, body).json()
        assert data is None or data["a"]


def test_a_message_is_a_string_or_nothing():
    for body in (b"{}", b'{"message":null}', b'{"message":5}', b'{"message":{"a":"b"}}', b'{"Message":"x"}'):
        assert call.Answer(400, None, body).message() == "", body
    assert call.Answer(400, None, b'{"message":"Invalid \\u0074oken"}').message() == "Invalid token"


# Headers


def check_retry_after(value, date, expected):
    headers = {"retry-after": value}
    if date:
        headers["date"] = date
    assert call.Answer(503, headers).retry_after_s(NOW) == expected


def test_retry_after():
    date = "Sat, 21 Nov 2026 22:26:40 GMT"  # NOW
    cases(
        check_retry_after,
        [
            ("0", "", 0),
            ("120", "", 120),
            ("120", "Sat, 21 Nov 2026 10:00:00 GMT", 120),
            ("99999999999999999999", "", 999999999),
            (date, "", 0),
            ("Sat, 21 Nov 2026 22:27:40 GMT", "", 60),
            ("Sat, 21 Nov 2026 22:27:40 GMT", "Sat, 21 Nov 2026 22:26:00 GMT", 100),  # by the server's own clock
            ("Sat, 21 Nov 2026 22:27:40 GMT", "never", 60),
            ("Sat, 21 Nov 2026 22:25:40 GMT", "", 0),
            ("", "", 0),
            ("-5", "", 0),
            ("1.5", "", 0),
            ("soon", "", 0),
            ("0x10", "", 0),
            ("Sat, 31 Foo 2026 22:27:40 GMT", "", 0),
        ],
    )
    assert call.Answer(503).retry_after_s(NOW) == 0


def test_the_servers_clock():
    assert call.Answer(200, {"date": "Sat, 21 Nov 2026 22:26:40 GMT"}).date() == NOW
    for value in ("", "2026-11-21T22:26:40Z", "Sat, 21 Nov 2026", "Sat, 21 Nov 1926 22:26:40 GMT"):
        assert call.Answer(200, {"date": value}).date() == 0, value
    assert call.Answer(200).date() == 0


# Text


def unquoted(text):
    """The bytes that percent-encoded text stands for."""
    data = bytearray()
    at = 0
    while at < len(text):
        if text[at] == "%":
            data.append(int(text[at + 1 : at + 3], 16))
            at += 3
        else:
            data.append(ord(text[at]))
            at += 1
    return bytes(data)


def test_quote_leaves_only_what_needs_no_quoting():
    plain = "abcxyzABCXYZ0189-._~"
    assert call.quote(plain) == plain and call.quote("") == ""
    assert call.quote("Atza|a/b c") == "Atza%7Ca%2Fb%20c"
    assert call.quote("\u00e9") == "%C3%A9"
    for code in range(128):
        quoted = call.quote(chr(code))
        assert unquoted(quoted) == bytes([code])
        assert (quoted == chr(code)) == (chr(code) in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
    token = "Atza|" + "IwEB+/=_" * 255
    assert unquoted(call.quote(token)) == token.encode()


def check_phrase(text, expected):
    assert call.phrase(text) == expected


def test_phrase_shows_nothing_like_a_token():
    cases(
        check_phrase,
        [
            ("", ""),
            ("Invalid token", "Invalid token"),
            ("  two\r\n\tlines\x00 and\x7f more ", "two lines and more"),
            ("caf\u00e9 ol\u00e9!", "caf ol !"),
            ("Atza|IwEBIJ was refused", "[...] was refused"),
            ("of " + "x" * 40, "of " + "x" * 40),
            ("of " + "x" * 41, "of [...]"),
            ("a " * 100, ("a " * 60).strip()),
            ("x" * 500, "[...]"),
        ],
    )


def check_printable(value, expected):
    assert call.printable(value, 8) is expected


def test_printable():
    cases(check_printable, [(text, True) for text in ("!", "~", "12345678")])
    cases(check_printable, [(text, False) for text in ("123456789", "", "a b", "a\n", "a\x7f", "a\x00", "\u00e9")])
    cases(check_printable, [(value, False) for value in (None, 7, ["a"], b"abc")])


def test_half_a_character_is_neither_printable_nor_a_crash():
    """JSON can spell one; CPython then has a string that it cannot encode."""
    text = call.Answer(200, None, b'{"message":"a\\ud800b"}').message()
    assert text and not call.printable(text, 64) and call.phrase(text) == "a b"
