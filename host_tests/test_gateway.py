"""The back end `gateway` on the whole agent in virtual time: the laws of ordering hold as with DRS, and an intent keeps its number."""

import json

from replenish.core.isotime import text

from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY
from host_tests.fakes.gateway import Order

HOUR = 3600
SECRETS = {"gateway_token": "eyJ.maker.signed"}


def appliance(*slots, **policy):
    return Appliance(slots or ("A",), secrets=SECRETS, backend="gateway", **policy)


def low(made):
    made.sensors["A"].value = 2
    return made


def ordered(*slots, **policy):
    made = low(appliance(*slots, **policy))
    made.until_state("accepted")
    return made


def news(made, state, returned=0, code=None, deliver_by=0):
    """The order is so from now on, and the device is told."""
    order = made.service.orders[-1]
    order.state, order.returned, order.code, order.deliver_by = state, returned, code, deliver_by
    return made.agent.notice(made.service.notice(order))


def delivered(made):
    news(made, "IN_TRANSIT")
    assert news(made, "DELIVERED") == "applied"
    assert made.state() == "awaiting_refill"
    return made


def test_an_order_from_the_need_to_the_refill():
    made = ordered()
    assert [order.id for order in made.service.orders] == ["SN0001-A-1"]
    assert made.service.count("subscription_info") == 1, "law 8: unknown means ask first"
    assert set(made.service.tokens) == set(["Bearer eyJ.maker.signed"])
    made.until_state("placed")
    made.service.orders[0].state = "IN_TRANSIT"
    made.service.orders[0].deliver_by = made.clock.seconds + 3 * DAY
    made.until_state("shipped")
    made.service.orders[0].state = "DELIVERED"
    made.until_state("awaiting_refill")
    assert made.agent.slots[0].order.on_hand == 10
    made.sensors["A"].value = 10
    made.live(HOUR)
    assert made.state() == "idle"
    low(made).until_state("accepted")
    assert [order.id for order in made.service.orders] == ["SN0001-A-1", "SN0001-A-2"]
    assert made.order().event_instance_id == "SN0001-A-2"


def test_nobody_is_asked_but_by_the_gateway():
    made = ordered()
    made.service.next("order_info", *("unsent",) * 9)
    made.live(DAY)
    assert "awaiting_customer" not in made.console.states("A")
    made.until_state("placed")


def test_nothing_is_reported_to_a_gateway():
    made = appliance()
    made.live(5 * DAY)
    assert made.service.calls == [], "a boot and full slots cause no call at all"


def test_a_lost_answer_is_asked_for_with_the_same_number():
    for fault in ("lost", "drop", 502, 503, "unsent"):
        made = low(appliance())
        made.service.next("replenish", fault, fault)
        made.until_state("accepted")
        assert [order.id for order in made.service.orders] == ["SN0001-A-1"]
        assert made.service.count("replenish") == 3


def test_a_power_cut_in_the_call_keeps_the_number():
    made = low(appliance())
    made.service.next("replenish", "lost")
    made.until_state("asking")
    made.restart(60)
    made.until_state("accepted")
    assert [order.id for order in made.service.orders] == ["SN0001-A-1"]
    made.restart(60)
    assert made.order().event_instance_id == "SN0001-A-1", "the number is kept, not the text"


def test_law_3_a_call_without_an_answer_is_known_by_its_number():
    for fault, found in (("lost", "placed"), ("drop", "idle")):
        made = low(appliance(intent_fresh_s=3600, boot_spread_s=0))
        made.service.next("replenish", fault)
        made.until_state("asking")
        made.restart(2 * DAY)
        made.sensors["A"].value = 2
        made.live(60)
        states = made.console.states("A")
        assert "in_doubt" in states and states[states.index("in_doubt") + 1] == found, states
        made.until_state("accepted" if found == "idle" else "placed")
        assert [order.id for order in made.service.orders] == ["SN0001-A-1"], "the same number, which made no order before"


def test_a_number_that_was_used_before_is_passed_over():
    """The device lost its memory, and with it the count: the end of an old order is not the answer to a new need."""
    made = appliance()
    for number in (1, 2, 3):
        made.service.orders.append(Order("SN0001-A-%d" % number, "A", 1, made.clock.seconds - 40 * DAY))
        made.service.orders[-1].state = "DELIVERED"
    low(made).until_state("accepted")
    assert made.service.orders[-1].id == "SN0001-A-4", "by what /v1/slots says"
    made = appliance()
    made.service._subscription_info = lambda argument, body: (200, {"slots": {"A": {"subscribed": True, "latest": 0}}})
    for number in (1, 2):
        made.service.orders.append(Order("SN0001-A-%d" % number, "A", 1, made.clock.seconds - 40 * DAY))
        made.service.orders[-1].state = "DELIVERED"
    low(made).until_state("accepted")
    assert made.service.orders[-1].id == "SN0001-A-3", "by asking upward"


def test_a_count_that_ran_ahead_is_taken_back():
    """Intents that were refused are forgotten there in time, and too wide a gap hides the last order from whoever looks for it."""
    made = appliance()
    made.agent.slots[0].order.used = 20
    made.service.next("replenish", (409, {"error": "counter", "latest": 2}))
    low(made).until_state("accepted")
    assert [order.id for order in made.service.orders] == ["SN0001-A-3"]
    assert made.service.count("replenish") == 2


def test_the_count_is_not_taken_over_while_a_call_has_no_answer():
    """Its own order would be passed over for another one."""
    made = low(appliance())
    made.service.next("replenish", "lost")
    made.until_state("asking")
    made.agent.device.subscriptions_at = 0
    made.until_state("accepted")
    assert made.service.count("subscription_info") == 2
    assert [order.id for order in made.service.orders] == ["SN0001-A-1"]


def test_a_damaged_record_is_in_doubt_and_finds_the_count_again():
    made = ordered()
    delivered(made)
    made.sensors["A"].value = 10
    made.live(HOUR)
    key = [key for key in made.store.records if key.startswith("o-")][0]
    made.store.records[key] = b"\xff" * 20
    made.restart(60)
    assert made.state() == "in_doubt"
    low(made).until_state("accepted")
    assert [order.id for order in made.service.orders] == ["SN0001-A-1", "SN0001-A-2"]


def test_law_2_an_order_in_progress_blocks_and_is_followed():
    made = appliance()
    made.service.orders.append(Order("SN0001-A-7", "A", 1, made.clock.seconds))
    made.service._subscription_info = lambda argument, body: (200, {"slots": {"A": {"subscribed": True}}})
    low(made).until_state("blocked")
    made.live(40 * DAY)
    assert made.service.count("replenish") == 1
    made.service.orders[0].state = "CANCELLED"
    made.until_state("held", DAY)
    made.until_state("accepted")
    assert made.service.orders[-1].id == "SN0001-A-8"


def test_a_person_is_asked_at_once_and_answers_at_the_device():
    for verb, state in (("agree", "placed"), ("cancel", "held")):
        made = low(appliance())
        made.service.first_state = "PENDING"
        made.until_state("awaiting_customer")
        assert made.order().deadline
        assert getattr(made.agent.slot("A"), verb)() is None
        made.live(HOUR)
        assert made.state() == state
    assert made.agent.slots[0].order.cancels == 1
    assert made.agent.slot("A").agree() == "no order that can be answered"


def test_what_the_shop_could_not_deliver_is_no_word_of_the_customer():
    made = ordered()
    assert news(made, "FAILED", code="UNFULFILLABLE") == "applied"
    assert made.state() == "held" and made.order().reason == "shop could not deliver"
    assert made.order().cancels == 0 and made.agent.slots[0].fault() == "not_fulfilled"
    made.live(12 * HOUR)
    assert len(made.service.orders) == 1, "a day's rest"
    made.until_state("accepted")
    assert made.service.orders[-1].id == "SN0001-A-2"


def test_a_refused_order_is_tried_again_after_a_day():
    made = low(appliance())
    made.service.first_state = "FAILED"
    made.until_state("held")
    assert made.order().reason == "shop could not deliver"
    made.service.first_state = "PLACED"
    made.until_state("accepted")
    assert [order.id for order in made.service.orders] == ["SN0001-A-1", "SN0001-A-2"]


def test_fewer_packs_bring_less():
    made = ordered({"id": "A", "pack": 24, "packs": 4, "least": 2})
    body = [call for call in made.service.calls if call[1] == "replenish"]
    assert len(body) == 1 and made.service.orders[0].quantity == 4
    made.service.orders[0].quantity = 3
    assert news(made, "IN_TRANSIT", deliver_by=made.clock.seconds + DAY) == "applied"
    made.live(3 * DAY)
    assert made.state() == "shipped", "the date alone would bring all four"
    delivered(made)
    assert made.agent.slots[0].order.on_hand == 18


def test_returned_packs_leave_the_stock():
    made = ordered({"id": "A", "pack": 24, "packs": 2})
    delivered(made)
    assert made.agent.slots[0].order.on_hand == 24
    assert news(made, "RETURNING") == "applied"
    assert made.order().reason == "pack is being returned" and made.agent.slots[0].order.on_hand == 24
    assert news(made, "RETURNING", 1) == "applied"
    assert made.state() == "awaiting_refill" and made.agent.slots[0].order.on_hand == 12
    made.restart(60)
    assert news(made, "RETURNING", 1) != "not_ours"
    assert made.agent.slots[0].order.on_hand == 12, "each pack leaves once"
    assert news(made, "RETURNED", 2) == "applied"
    assert made.state() == "held" and made.order().reason == "pack returned" and made.agent.slots[0].order.on_hand == 0
    made.live(4 * DAY)
    assert len(made.service.orders) == 1, "who sends it back does not want it at once again"


def test_a_return_is_learnt_without_a_notice():
    made = ordered()
    delivered(made)
    made.service.orders[0].state, made.service.orders[0].returned = "RETURNED", 1
    made.until_state("held", DAY)
    assert made.order().reason == "pack returned" and made.agent.slots[0].order.on_hand == 0


def test_a_return_that_is_called_off():
    made = delivered(ordered())
    reason = made.order().reason
    assert news(made, "RETURNING") == "applied"
    assert made.order().reason == "pack is being returned"
    assert news(made, "DELIVERED") == "applied"
    assert made.state() == "awaiting_refill" and made.order().reason == reason
    assert made.agent.slots[0].order.on_hand == 10


def test_a_return_after_the_refill_takes_what_is_left_at_home():
    made = ordered({"id": "A", "pack": 24, "packs": 2})
    delivered(made)
    made.sensors["A"].value = 10
    made.live(HOUR)
    assert made.state() == "idle" and made.agent.slots[0].order.on_hand > 12
    assert news(made, "RETURNING", 1) == "applied"
    assert made.state() == "idle" and 3 < made.agent.slots[0].order.on_hand < 5


def test_law_9_a_notice_is_ordered_deduplicated_and_for_this_device():
    made = ordered()
    order = made.service.orders[0]
    notice = made.service.notice(order)
    assert made.agent.notice(notice) == "applied"
    assert made.agent.notice(notice) == "duplicate"
    assert news(made, "DELIVERED") == "applied"
    assert news(made, "STARTED") == "stale"
    other = Order("SN0002-A-1", "A", 1, made.clock.seconds)
    assert made.agent.notice(made.service.notice(other)) == "not_ours"
    order.state = "NEWER"
    assert made.agent.notice(made.service.notice(order)) == "unknown_type"
    for junk in (b"", b"{}", b"[]", b'{"intent_id":"SN0001-A-1","slot":"A","state":"DELIVERED"}', b"x" * 3000):
        assert made.agent.notice(junk) == "malformed"


def test_law_3_a_notice_answers_a_lost_call():
    made = low(appliance())
    made.service.next("replenish", "lost", *("unsent",) * 50)
    made.until_state("asking")
    assert news(made, "STARTED") == "applied"
    assert made.state() == "placed" and made.order().event_instance_id == "SN0001-A-1"


def test_a_wrong_token_is_asked_about_once_a_day_and_shown():
    made = low(appliance())
    made.service.next("subscription_info", *(401,) * 3)
    made.live(2 * DAY + HOUR)
    assert made.service.count("subscription_info") == 3
    assert made.agent.fault == "client_refused"
    made.until_state("accepted")
    assert made.agent.fault is None


def test_the_back_end_changes_and_an_open_order_is_ordered_by_no_other():
    made = Appliance()
    low(made).until_state("accepted")
    drs = made.service
    made.config["backend"] = "gateway"
    made.secrets = SECRETS
    made.service = appliance().service
    made.service.clock = made.clock
    made.restart(60)
    assert made.state() == "in_doubt"
    made.live(10 * DAY)
    assert made.service.orders == [] and len(drs.orders) == 1
    made.until_state("accepted")
    assert made.service.orders[0].id == "SN0001-A-1"


def test_the_back_end_changes_and_a_delivered_order_is_asked_of_no_other():
    made = Appliance()
    low(made).until_state("accepted")
    assert made.order().event_instance_id
    made.service.orders[-1].status = "Closed"
    made.until_state("awaiting_refill")
    made.config["backend"] = "gateway"
    made.secrets = SECRETS
    made.service = appliance().service
    made.service.clock = made.clock
    made.restart(60)
    made.live(2 * DAY)
    assert made.state() == "awaiting_refill"
    assert made.service.count("order_info") == 0, "the id is another service's"


def test_no_deregistration():
    made = appliance()
    assert made.agent.deregister().startswith("no registration")


def test_snapshots_are_read_as_they_are_or_not_at_all():
    from replenish.services import gateway_answers
    from replenish.services.call import OUTCOMES, Answer

    slot = appliance().agent.slots[0]

    def outcome(status, body):
        return OUTCOMES[gateway_answers.read_replenish(Answer(status, {}, body.encode()), slot)[0]]

    good = {"intent_id": "SN0001-A-1", "slot": "A", "state": "PLACED", "created": text(1_800_000_000)}
    assert outcome(200, json.dumps(good)) == "accepted"
    for key, value in (("intent_id", "S-A-2"), ("state", "UNKNOWN"), ("state", 7), ("state", "NEWER")):
        broken = good.copy()
        broken[key] = value
        assert outcome(200, json.dumps(broken)) == "unknown"
    assert outcome(200, "{}") == outcome(200, "junk") == outcome(502, "") == outcome(500, "{}") == "unknown"
    assert outcome(409, '{"error":"in_progress","intent_id":"S-A-0"}') == "in_progress"
    assert outcome(403, '{"error":"not_subscribed"}') == "unsubscribed"
    assert outcome(403, '{"error":"over_cap"}') == outcome(404, "") == outcome(400, "junk") == "refused"
    assert outcome(429, "") == outcome(503, "") == "not_acted"
