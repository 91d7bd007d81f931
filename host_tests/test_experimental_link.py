"""Code-based linking: asked no faster than the service wants, ended by what ends it. Against answers as the documents show them."""

from replenish.experimental_link import CodeLink
from replenish.services import experimental_cbl as cbl

from host_tests.expect import cases
from host_tests.fakes.appliance import Appliance
from host_tests.test_link import TOKENS, config_file

PAIR = '{"user_code":"A1B2C3","device_code":"dev|1","verification_uri":"https://amazon.com/code","expires_in":600,"interval":30}'


def refusal(error):
    return (400, {}, b'{"error":"%s"}' % error)


PENDING, SLOW = refusal(b"authorization_pending"), refusal(b"slow_down")


def test_the_addresses():
    for url in ("https://api.test/auth/o2/token", "https://api.test/auth/o2/token/"):
        assert cbl.code_pair(url, "c", "{}").url == "https://api.test/auth/o2/create/codepair"
        assert cbl.poll(url, "c", "d", "u").url == url


def begun(pair=PAIR):
    appliance = Appliance(secrets={})
    appliance.service.next("token", pair)
    attempt = CodeLink(appliance.agent, config_file())
    return appliance, attempt, attempt.begin()


def polled(appliance, attempt, *answers):
    """Poll at each second until the attempt is over: (what it came to, the seconds between polls)."""
    appliance.service.next("token", *answers)
    last, waits, fault = appliance.clock.seconds, [], None
    while not attempt.over and len(waits) < 50:
        appliance.clock.pass_s(1)
        before = len(appliance.service.forms)
        fault = attempt.poll()
        if len(appliance.service.forms) > before:
            waits.append(appliance.clock.seconds - last)
            last = appliance.clock.seconds
    return fault, waits


def test_the_codes_are_shown_and_asked_for_no_faster_than_wanted():
    appliance, attempt, fault = begun()
    assert fault is None
    assert (attempt.user_code, attempt.verification_uri) == ("A1B2C3", "https://amazon.com/code")
    assert appliance.service.forms[0].startswith("response_type=device_code&client_id=c&scope=dash%3Areplenish&scope_data=%7B%22dash")
    assert polled(appliance, attempt, PENDING, "lost", SLOW, PENDING, TOKENS) == (None, [30, 30, 30, 35, 35])
    assert appliance.service.forms[-1] == "grant_type=device_code&device_code=dev%7C1&user_code=A1B2C3&client_id=c"
    assert appliance.agent.token == "Atzr|linked" and appliance.agent.fault is None and attempt.poll() is None
    appliance.restart(60)
    assert appliance.agent.token == "Atzr|linked"


def check_end(answer, expected):
    appliance, attempt, _ = begun()
    assert polled(appliance, attempt, PENDING, answer)[0] == expected
    assert appliance.agent.fault == expected
    asked = len(appliance.service.forms)
    appliance.clock.pass_s(3600)
    assert attempt.poll() is None and len(appliance.service.forms) == asked, "over is over"


def test_what_ends_it():
    rows = [(b"access_denied", "consent_denied"), (b"expired_token", "code_expired"), (b"invalid_grant", "code_expired")]
    rows += [(b"invalid_client", "client_refused"), (b"invalid_scope", "consent_refused")]
    cases(check_end, [(refusal(error), expected) for error, expected in rows])


def test_the_codes_expire():
    appliance, attempt, _ = begun()
    fault, waits = polled(appliance, attempt, *[PENDING] * 100)
    assert fault == "code_expired" and sum(waits) < 600


def check_pair(pair, expected):
    assert begun(pair)[2] == expected


def test_codes_that_are_none():
    changed = [
        PAIR.replace('"A1B2C3"', '""'),
        PAIR.replace('"dev|1"', "7"),
        PAIR.replace("https://", "http://"),
        PAIR.replace("600", "0"),
        PAIR.replace("600", '"600"'),
        PAIR.replace("30", '"30"'),
        "{}",
        "",
        "lost",
        503,
    ]
    cases(check_pair, [(pair, "link_unanswered") for pair in changed] + [(refusal(b"invalid_client"), "client_refused")])


def check_interval(interval, expected):
    appliance, attempt, _ = begun(PAIR.replace(',"interval":30', interval))
    assert polled(appliance, attempt, TOKENS) == (None, [expected])


def test_the_interval_and_its_limits():
    cases(check_interval, [("", 5), (',"interval":0', 1), (',"interval":-5', 1), (',"interval":9000', 300)])
