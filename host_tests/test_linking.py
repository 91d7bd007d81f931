"""The consent's address and the exchange of its code: PKCE to the letter, names checked by Amazon's rule."""

from replenish.services import linking

from host_tests.expect import cases, raises

DEVICE = {"model": "acme-brewer-1", "serial": "SN+0_1"}


def scope(device=DEVICE, test=False, non_live=False):
    return linking.scope_data(device, {"test_device": test, "include_non_live": non_live})


def test_the_challenge_is_that_of_the_standard():
    # RFC 7636, appendix B
    assert linking.challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_base64url():
    # RFC 4648, section 10, and what differs from plain base64
    cases(lambda data, text: _equal(linking.base64url(data), text), [(b"f", "Zg"), (b"foobar", "Zm9vYmFy"), (b"\xfb\xff\xbe", "-_--")])
    assert len(linking.base64url(bytes(48))) == 64


def _equal(found, expected):
    assert found == expected, found


def test_the_scope_data():
    assert scope() == '{"dash:replenish":{"device_model":"acme-brewer-1","serial":"SN+0_1","is_test_device":false}}'
    assert scope(test=True) == '{"dash:replenish":{"device_model":"acme-brewer-1","serial":"SN+0_1","is_test_device":true}}'
    assert scope(test=True, non_live=True).endswith('"is_test_device":true,"should_include_non_live":true}}')


def check_name(name, good):
    for key in DEVICE:
        device = DEVICE.copy()
        device[key] = name
        if good:
            assert '"%s"' % name in scope(device)
        else:
            raises(ValueError, scope, device)


def test_names_that_amazon_does_not_allow():
    good = ["a", "Z9-+_", "x" * 64]
    bad = ["", "x" * 65, "a b", 'a"b', "a\\b", "a.b", "a/b", "\u00e9", "a\n", "{}"]
    cases(check_name, [(name, True) for name in good] + [(name, False) for name in bad])


def test_the_consents_address():
    url = linking.consent("https://a.test/ap/oa", "c|1", scope(), "http://localhost:8914/", "s+1", "ch")
    assert url == (
        "https://a.test/ap/oa?client_id=c%7C1&scope=dash%3Areplenish&scope_data=%7B%22dash%3Areplenish%22%3A%7B%22device_model%22%3A"
        "%22acme-brewer-1%22%2C%22serial%22%3A%22SN%2B0_1%22%2C%22is_test_device%22%3Afalse%7D%7D&response_type=code"
        "&redirect_uri=http%3A%2F%2Flocalhost%3A8914%2F&state=s%2B1&code_challenge=ch&code_challenge_method=S256"
    )


def check_exchange(secret, expected):
    request = linking.exchange("https://a.test/t", "c", secret, "co de", "http://localhost/", "v~1")
    assert (request.method, request.url) == ("POST", "https://a.test/t")
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    head = "grant_type=authorization_code&code=co%20de&redirect_uri=http%3A%2F%2Flocalhost%2F&client_id=c"
    assert request.body.decode() == head + expected + "&code_verifier=v~1"


def test_the_exchange_with_and_without_a_secret():
    cases(check_exchange, [(None, ""), ("", ""), ("s|1", "&client_secret=s%7C1")])
