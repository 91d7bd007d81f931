"""Login with Amazon: the form that is sent, and what each answer means for the link."""

from replenish.services import call, lwa

from host_tests.expect import cases

FAILED = (500, 502, 503, 504, 429, 408, 302, 0)


def read(status, body, error=""):
    said = lwa.read(call.Answer(status, None, body, True, error))
    assert len(said) == 5
    return (call.OUTCOMES[said[0]],) + tuple(said[1:])


def test_the_form():
    request = lwa.refresh("https://api.example/auth/o2/token", "amzn1.application-oa2-client.x", "s+c/r=t", "Atzr|a b")
    assert (request.method, request.url) == ("POST", "https://api.example/auth/o2/token")
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert request.body == (
        b"grant_type=refresh_token&refresh_token=Atzr%7Ca%20b&client_id=amzn1.application-oa2-client.x&client_secret=s%2Bc%2Fr%3Dt"
    )


def test_no_secret_when_linked_by_pkce():
    for secret in (None, ""):
        request = lwa.refresh("https://api.example/t", "c", secret, "r")
        assert request.body == b"grant_type=refresh_token&refresh_token=r&client_id=c"


def check_granted(expires_in, lifetime_s):
    body = '{"access_token":"Atza|x","expires_in":%s,"token_type":"bearer"}' % expires_in
    assert read(200, body.encode()) == ("ok", "Atza|x", lifetime_s, "", "")


def test_a_token_is_granted():
    cases(check_granted, [("3600", 3600), ('"3600"', 3600), ("3600.9", 3600), ("1", 1), ("86400", 86400), ("999999999999", 86400)])


def check_not_granted(body):
    outcome, access, _, rotated, detail = read(200, body)
    assert (outcome, access, rotated) == ("not_acted", "", "") and detail


def test_a_200_without_a_usable_token_is_tried_again():
    form = '{"access_token":%s,"expires_in":%s,"refresh_token":"Atzr|new"}'
    values = [(token, "3600") for token in ("null", '""', "7", '["a"]', '"a b"', '"a\\n"', '"a\\u00e9"', '"%s"' % ("x" * 2049))]
    values += [('"Atza|x"', lifetime) for lifetime in ("0", "-5", "null", '"x"', '""', "[]", "{}", "1e400")]
    bodies = [(form % pair).encode() for pair in values]
    bodies += [b"", b"{}", b"[]", b"<html>", b'{"access_token":"Atza|x"}', b'{"expires_in":3600}']
    bodies += [b'{"access_token":"Atza|x","expires_in":3600']
    cases(check_not_granted, [(body,) for body in bodies])


def check_rotated(given, expected):
    body = '{"access_token":"%s","expires_in":3600,"refresh_token":%s}' % ("y" * 2048, given)
    assert read(200, body.encode()) == ("ok", "y" * 2048, 3600, expected, "")


def test_a_new_refresh_token_is_taken_only_when_it_is_usable():
    longest = "z" * 2048
    cases(
        check_rotated,
        [
            ('"Atzr|new"', "Atzr|new"),
            ('"%s"' % longest, longest),
            ('"%sz"' % longest, ""),
            ("null", ""),
            ('""', ""),
            ("5", ""),
            ('"a b"', ""),
        ],
    )


def check_error(status, body, outcome, detail):
    assert read(status, body) == (outcome, "", 0, "", detail)


def test_the_documented_errors():
    invalid_grant = b'{"error_index":"1","error_description":"The request has an invalid grant parameter","error":"invalid_grant"}'
    table = [(400, invalid_grant, "unlinked", "invalid_grant"), (401, invalid_grant, "unlinked", "invalid_grant")]
    for error in ("invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_request", "invalid_scope"):
        for status in (400, 401, 403):
            table.append((status, ('{"error":"%s"}' % error).encode(), "refused", error))
    table += [(400, b'{"error":"%s"}' % error, "not_acted", error.decode()) for error in (b"server_error", b"slow_down", b"invalid")]
    table.append((410, b"{}", "gone", "status 410"))
    cases(check_error, table)


def check_retried(status, body):
    outcome, access, lifetime_s, rotated, _ = read(status, body, "why")
    assert (outcome, access, lifetime_s, rotated) == ("not_acted", "", 0, "")


def test_everything_else_is_tried_again():
    bodies = (b"", b"<html>", b"[]", b'{"error":null}', b'{"error":["invalid_grant"]}', b'{"error":{"a":1}}', b'{"message":"x"}')
    cases(check_retried, [(status, body) for status in FAILED + (400, 401, 403, 404) for body in bodies])


def test_the_detail_names_what_happened_and_no_token():
    assert read(0, b"", "OSError: 110")[4] == "OSError: 110"
    assert read(500, b"")[4] == "status 500"
    assert read(400, b'{"error":"Atzr|IwEBIJ"}')[4] == "[...]"
    assert read(400, b'{"error":"%s"}' % (b"x" * 65))[4] == "status 400"
