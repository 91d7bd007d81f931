"""Linking on the whole agent: the token is durable before it is used, each failure has its name, relinking doubles no order."""

from replenish.link import Link
from replenish.services import linking

from host_tests.expect import cases, tmp
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import PowerCut, Store

REDIRECT = "http://localhost:8914/"
TOKENS = '{"access_token":"Atza|a","refresh_token":"Atzr|linked","expires_in":3600,"token_type":"bearer"}'
CONFIG = (
    '{"device":{"model":"acme-1","serial":"SN0001"},"drs":{"test_device":true},"lwa":{"client_id":"c"},"tls":{"ca":[]},'
    '"state":"s","secrets":"secrets.json","slots":[]}'
)
GRANT = (400, {}, b'{"error":"invalid_grant","error_description":"The request has an invalid grant parameter : code"}')


def config_file():
    folder = tmp()
    for name, text in (("config.json", CONFIG), ("secrets.json", "{}")):
        with open(folder + "/" + name, "w") as file:
            file.write(text)
    return folder + "/config.json"


def unlinked(**options):
    return Appliance(secrets={}, **options)


def new_link():
    return Link(config_file(), REDIRECT)


def link(appliance, *faults):
    """Link with a customer who consents; the exchange meets these faults."""
    attempt = new_link()
    appliance.service.next("token", *(faults or (TOKENS,)))
    return attempt.finish(appliance.agent, attempt.state, "code-1")


def test_a_device_without_any_token_is_linked_and_orders():
    appliance = unlinked()
    assert appliance.agent.fault == "not_linked"
    assert link(appliance) is None
    assert appliance.agent.fault is None and appliance.agent.device.linked
    form = appliance.service.forms[-1]
    assert form.startswith("grant_type=authorization_code&code=code-1&redirect_uri=http%3A%2F%2Flocalhost%3A8914%2F&client_id=c&")
    appliance.sensors["A"].value = 1
    appliance.until_state("accepted")
    assert "refresh_token=Atzr%7Clinked&" in appliance.service.forms[-1]
    appliance.restart(60)
    assert appliance.agent.token == "Atzr|linked" and appliance.agent.fault is None and appliance.state() == "accepted"


def test_the_verifier_is_new_for_each_attempt_and_of_legal_length():
    appliance = unlinked()
    verifiers = []
    for _ in range(2):
        assert link(appliance) is None
        verifiers.append(appliance.service.forms[-1].split("code_verifier=")[1])
    assert verifiers[0] != verifiers[1] and len(verifiers[0]) == 64
    attempt = new_link()
    assert attempt.challenge in attempt.url and attempt.state in attempt.url and "%22is_test_device%22%3Atrue" in attempt.url
    appliance.service.next("token", TOKENS)
    attempt.finish(appliance.agent, attempt.state, "code-1")
    verifier = appliance.service.forms[-1].split("code_verifier=")[1]
    assert verifier not in attempt.url and linking.challenge(verifier) == attempt.challenge


def test_the_token_is_durable_before_anything_else():
    appliance = unlinked()
    del appliance.store.writes[:]
    link(appliance)
    assert appliance.store.writes[0] == "token"


def check_failure(faults, state, code, error, expected):
    appliance = unlinked()
    attempt = new_link()
    appliance.service.next("token", *faults)
    assert attempt.finish(appliance.agent, state or attempt.state, code, error) == expected
    assert appliance.agent.fault == expected and not appliance.agent.device.linked
    appliance.restart(60)
    assert appliance.agent.fault == expected, "durable"
    assert attempt.finish(appliance.agent, attempt.state, code) == "state_mismatch", "an attempt ends but once"
    assert link(appliance) is None and appliance.agent.fault is None


def refusal(error, status=400):
    return (status, {}, b'{"error_description":"no","error":"%s"}' % error)


def test_each_failure_has_its_name_and_the_next_attempt_goes_well():
    cases(
        check_failure,
        [
            ([GRANT], "", "c", None, "code_expired"),
            ([refusal(b"invalid_client", 401)], "", "c", None, "client_refused"),
            ([refusal(b"unauthorized_client")], "", "c", None, "client_refused"),
            ([refusal(b"server_error", 500)], "", "c", None, "link_unanswered"),
            (["lost"], "", "c", None, "link_unanswered"),
            (["unsent"], "", "c", None, "link_unanswered"),
            (["{}"], "", "c", None, "link_unanswered"),
            (['{"access_token":"Atza|a","expires_in":3600}'], "", "c", None, "link_unanswered"),
            ([], "other", "c", None, "state_mismatch"),
            ([], "other", "", "access_denied", "state_mismatch"),
            ([], "", "", "access_denied", "consent_denied"),
            ([], "", "", "invalid_scope", "consent_refused"),
            ([], "", "", None, "consent_refused"),
        ],
    )


def check_token_refused(description, expected):
    appliance = Appliance()
    appliance.sensors["A"].value = 1
    appliance.service.next("token", (400, {}, b'{"error":"invalid_grant","error_description":"%s"}' % description))
    appliance.live(7200)
    assert appliance.agent.fault == expected
    appliance.restart(60)
    assert appliance.agent.fault == expected
    assert link(appliance) is None and appliance.agent.fault is None


def test_a_refresh_token_that_is_refused_or_revoked():
    grant = b"The request has an invalid grant parameter : refresh_token"
    revoked = grant + b". User may have revoked or didn't grant the permission."
    cases(check_token_refused, [(grant, "link_refused"), (revoked, "link_revoked")])


def test_a_failed_attempt_leaves_the_old_link_as_it_was():
    appliance = Appliance()
    assert link(appliance, GRANT) == "code_expired"
    assert appliance.agent.fault is None and appliance.agent.device.linked and appliance.agent.token == "Atzr|r"


def test_a_changed_token_in_the_secrets_wins_and_the_same_one_does_not():
    appliance = Appliance()
    link(appliance)
    appliance.restart()
    assert appliance.agent.token == "Atzr|linked"
    appliance.secrets = {"refresh_token": "Atzr|other"}
    appliance.restart()
    assert appliance.agent.token == "Atzr|other" and appliance.agent.fault is None
    appliance.secrets = {}
    appliance.restart()
    assert appliance.agent.token == "" and not appliance.agent.device.linked


def test_a_medium_that_takes_no_token():
    appliance = unlinked()
    appliance.store.full_for = ["token"]
    assert link(appliance) == "store_failed" and appliance.agent.fault == "store_failed"
    appliance.sensors["A"].value = 1
    appliance.live(7200)
    assert appliance.service.count("replenish") == 0, "nothing is called with a token that is not durable"


def test_a_token_that_was_not_kept_is_forgotten_and_the_old_link_stands():
    appliance = Appliance()
    appliance.sensors["A"].value = 1
    appliance.until_state("accepted")
    appliance.store.full_for = ["token"]
    assert link(appliance) == "store_failed"
    appliance.store.full_for = []
    appliance.live(7200)
    assert appliance.agent.token == "Atzr|r" and "token" not in appliance.store.records and appliance.agent.fault is None
    assert appliance.agent.slots[0].order.own_id, "the old customer's order goes on"


def test_without_a_valid_time_nothing_is_exchanged():
    appliance = unlinked()
    appliance.store = Store()  # a new device, whose clock was never set
    appliance.clock.seconds = 0
    appliance.start()
    assert link(appliance) == "no_valid_time" and appliance.service.forms == []


# Relinking


def relinked_from(state):
    """An appliance relinked while slot A's order was in this state, as (appliance, its order before)."""
    appliance = Appliance(slots=("A",), reorder_after_cancel_days=5)
    appliance.sensors["A"].value = 1
    appliance.until_state("accepted")
    if state == "held":
        appliance.service.end("A", "Canceled")
        appliance.until_state("held")
    elif state == "awaiting_refill":
        appliance.service.end("A", "Closed")
        appliance.until_state("awaiting_refill")
    elif state == "idle":
        appliance.service.end("A", "Closed")
        appliance.until_state("awaiting_refill")
        appliance.sensors["A"].value = 10
        appliance.until_state("idle")
    assert link(appliance) is None
    return appliance


def check_relinked(before, after):
    appliance = relinked_from(before)
    order = appliance.agent.slots[0].order
    fuse = bytes(order.fuse)
    assert (appliance.state(), order.own_id, order.progress_id) == (after, "", "")
    assert sum(fuse) > 0 and appliance.agent.slots[0].level.value is not None
    assert (order.on_hand > 0) == (before == "awaiting_refill")
    appliance.restart(60)
    order = appliance.agent.slots[0].order
    assert (appliance.state(), order.own_id, bytes(order.fuse)) == (after, "", fuse)


def test_relinking_drops_orders_and_keeps_levels_stock_and_fuse():
    cases(check_relinked, [("accepted", "in_doubt"), ("held", "idle"), ("awaiting_refill", "idle"), ("idle", "idle")])


def test_an_order_that_may_be_open_is_not_doubled_by_relinking():
    appliance = relinked_from("accepted")
    asked = appliance.service.count("replenish")
    appliance.live(13 * 86400)
    assert appliance.service.count("replenish") == asked and appliance.state() == "in_doubt"
    assert appliance.service.count("order_info") <= 3, "the old customer's id is asked for no more"
    appliance.live(3 * 86400)
    assert appliance.service.count("replenish") == asked + 1


def test_a_call_without_an_answer_is_in_doubt_after_relinking():
    appliance = Appliance()
    appliance.sensors["A"].value = 1
    appliance.service.next("replenish", "lost")
    appliance.until_state("asking")
    appliance.live(600, lambda: appliance.service.count("replenish") == 1)
    assert link(appliance) is None
    assert appliance.state() == "in_doubt"


def test_the_power_fails_at_each_write_of_a_relinking():
    cuts = 0
    for number in range(1, 20):
        appliance = Appliance()
        appliance.sensors["A"].value = 1
        appliance.until_state("accepted")
        del appliance.store.writes[:]
        appliance.store.cut_after = number
        try:
            link(appliance)
            break
        except PowerCut:
            cuts += 1
        appliance.store.cut_after = 0
        appliance.restart(60)
        assert appliance.agent.token == "Atzr|linked", "durable first"
        asked = appliance.service.count("replenish")
        appliance.live(10 * 86400)
        assert appliance.service.count("replenish") == asked, number
    assert cuts >= 3
