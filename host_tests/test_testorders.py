"""Cancelling test orders by a person's word, on the whole agent: what it frees, what it blocks, and what it leaves alone."""

from replenish.core.isotime import text

from host_tests.expect import cases, raises
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY

HOUR = 3600


def ordered(slots=("A",), **policy):
    """Slot A got low and was ordered for."""
    appliance = Appliance(slots, **policy)
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted")
    return appliance


def accepted():
    return ordered()


def awaiting_customer():
    appliance = ordered()
    appliance.until_state("awaiting_customer")
    return appliance


def placed():
    appliance = ordered()
    appliance.service.open_order("A").status = "Authorized"
    appliance.until_state("placed")
    return appliance


def shipped():
    appliance = ordered()
    appliance.service.ship("A", text(appliance.clock.seconds + 9 * DAY))
    appliance.until_state("shipped")
    return appliance


def awaiting_refill():
    appliance = ordered()
    appliance.service.ship("A", text(appliance.clock.seconds + HOUR))
    appliance.until_state("awaiting_refill")
    assert appliance.agent.slots[0].order.on_hand == 10
    return appliance


def blocked():
    appliance = Appliance()
    appliance.service.next("replenish", "lost")
    appliance.sensors["A"].value = 2
    appliance.until_state("blocked")
    return appliance


def in_doubt():
    appliance = Appliance()
    appliance.service.next("replenish", '{"detailCode":"TEST_ORDER_PLACED"}')
    appliance.sensors["A"].value = 2
    appliance.until_state("in_doubt")
    return appliance


def check_freed(make):
    appliance = make()
    assert appliance.agent.cancel_test_orders() is None
    order = appliance.agent.slots[0].order
    assert order.names() == ("idle", "cancelled, free to order again") and order.cancels == 0
    assert order.on_hand == 0, "no pack comes of it"
    appliance.restart()
    assert appliance.state() == "idle", "durable"
    appliance.until_state("accepted", HOUR)
    assert len(appliance.service.orders) == 2 and not appliance.service.orders[0].open


def test_every_order_that_may_be_open_is_freed_and_its_slot_orders_again():
    cases(check_freed, [(make,) for make in (accepted, awaiting_customer, placed, shipped, awaiting_refill, blocked, in_doubt)])


def test_one_slot_or_all():
    for slot_id, states in (("A", ["idle", "accepted"]), ("B", ["accepted", "idle"]), (None, ["idle", "idle"])):
        appliance = ordered(("A", "B"))
        appliance.sensors["B"].value = 2
        appliance.until_state("accepted", DAY, "B")
        appliance.agent.cancel_test_orders(slot_id)
        assert [appliance.state("A"), appliance.state("B")] == states
        assert appliance.service.calls[-1][1:] == ("test_orders", "slots/" + slot_id if slot_id else "")


def test_what_has_no_order_stays_as_it_is():
    appliance = Appliance(slots=("A", "B", {"id": "C", "pack": 5}))
    appliance.service.subscribed["B"] = False
    appliance.agent.slot("C").stock(5)
    appliance.sensors["B"].value = appliance.sensors["C"].value = 2
    appliance.live(DAY)
    before = [appliance.state(slot) for slot in "ABC"]
    assert before == ["idle", "unsubscribed", "awaiting_refill"]
    free = ",".join(['{"orderStatus":"NO_ORDER_IN_PROGRESS","slotId":"%s"}' % slot for slot in "ABC"])
    appliance.service.next("test_orders", '{"slotOrderStatuses":[%s]}' % free)
    assert appliance.agent.cancel_test_orders() is None
    assert [appliance.state(slot) for slot in "ABC"] == before
    assert appliance.agent.slots[2].order.on_hand == 5, "what a person put there is no test order's"


def test_a_cancelled_time_out_or_refusal_stays_held():
    appliance = placed()
    appliance.service.end("A", "Cancelled")
    appliance.until_state("held", DAY)
    appliance.agent.cancel_test_orders()
    assert appliance.state() == "held" and appliance.order().cancels == 1


def check_not_done(fault, why):
    appliance = ordered()
    appliance.service.next("test_orders", fault)
    before, tries = appliance.store.records.copy(), appliance.agent.device.next_try
    said = appliance.agent.cancel_test_orders()
    assert why in said, said
    assert appliance.state() == "accepted" and appliance.store.records == before
    assert (appliance.agent.device.next_try, appliance.agent.fault) == (tries, None), "it counts for no backoff and no hold"
    assert appliance.agent.cancel_test_orders() is None
    assert appliance.state() == "idle"


def test_what_is_not_done_changes_nothing_and_says_why():
    other = (200, {"x-amzn-type-version": "com.amazon.dash.replenishment.DrsReplenishResult@1.0"}, b'{"slotOrderStatuses":[]}')
    cases(
        check_not_done,
        [
            (400, "status 400 no"),
            (500, "status 500 no"),
            ("unsent", "OSError: 111"),
            ("lost", "time out"),
            ('{"slotOrderStatuses":7}', "200 without slotOrderStatuses"),
            (other, "status 200"),
            ((400, {}, b'{"message":"Invalid token"}'), "status 400 Invalid token"),
        ],
    )


def test_an_answer_of_other_slots_frees_none():
    appliance = ordered()
    appliance.service.next("test_orders", '{"slotOrderStatuses":[{"orderStatus":"NO_ORDER_IN_PROGRESS","slotId":"Z"}]}')
    assert appliance.agent.cancel_test_orders() is None and appliance.state() == "accepted"


def test_a_token_is_fetched_when_there_is_none():
    appliance = ordered()
    appliance.restart(2 * HOUR)
    calls = len(appliance.service.calls)
    appliance.service.next("token", 503)
    assert "token" in appliance.agent.cancel_test_orders()
    assert [name for _, name, _ in appliance.service.calls[calls:]] == ["token"]
    assert appliance.agent.cancel_test_orders() is None
    assert [name for _, name, _ in appliance.service.calls[calls:]] == ["token", "token", "test_orders"]


def test_nothing_is_asked_without_a_link_or_time_or_a_sound_store():
    unlinked = Appliance(secrets={})
    assert unlinked.agent.cancel_test_orders() == "not_linked"
    lost = ordered()
    lost.store.refuses = "read-only"
    assert lost.agent.cancel_test_orders() == "store_failed"
    timeless = Appliance(trusted=False)
    timeless.store.records = {}
    timeless.clock.seconds = 1000
    timeless.start()
    assert timeless.agent.cancel_test_orders() == "no_valid_time"
    assert unlinked.service.calls == timeless.service.calls == [] and lost.service.count("test_orders") == 0


def test_nothing_is_asked_with_a_rotated_token_that_is_not_durable():
    appliance = ordered()
    appliance.service.rotate = "Atzr|new"
    appliance.store.full_for = ["token"]
    appliance.agent.access = ""
    before = appliance.service.count("test_orders")
    assert appliance.agent.cancel_test_orders() is not None
    assert appliance.agent.unsaved == ["Atzr|new"] and appliance.service.count("test_orders") == before


def test_only_a_test_device_and_a_slot_that_is_there():
    appliance = ordered()
    raises(KeyError, appliance.agent.cancel_test_orders, "Z")
    appliance.config["drs"]["test_device"] = False
    appliance.restart()
    assert "test_device" in str(raises(ValueError, appliance.agent.cancel_test_orders))
    assert appliance.service.count("test_orders") == 0


def test_a_cut_right_after_the_answer_leaves_the_order_or_frees_it():
    for before in (True, False):
        appliance = ordered()
        if before:
            appliance.store.cut_before = len(appliance.store.writes) + 1
        else:
            appliance.store.cut_after = len(appliance.store.writes) + 1
        raises(Exception, appliance.agent.cancel_test_orders)
        appliance.store.cut_before = appliance.store.cut_after = 0
        appliance.restart()
        assert appliance.state() == ("accepted" if before else "idle")
        appliance.live(DAY)
        assert len(appliance.service.orders) <= 2 and appliance.state() in ("held", "accepted", "awaiting_customer")
