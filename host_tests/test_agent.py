"""The laws of ordering (firmware/POLICY.md), on the whole agent in virtual time. Each test names the law it would see broken."""

import micropython
from replenish.core.isotime import text

from host_tests.expect import raises
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY, Console, PowerCut
from host_tests.fakes.service import PLACED

HOUR = 3600


def ordered(**policy):
    """An appliance whose slot A got low and was ordered for."""
    appliance = Appliance(**policy)
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted")
    return appliance


def delivered(appliance):
    """The order is placed, shipped, and the delivery date passes."""
    appliance.service.open_order("A").status = "Authorized"
    appliance.until_state("placed")
    appliance.service.ship("A", text(appliance.clock.seconds + 3 * DAY))
    appliance.until_state("shipped")
    appliance.service.end("A", "Closed")
    appliance.until_state("awaiting_refill")


def refill(appliance, level=10):
    appliance.sensors["A"].value = level
    appliance.live(HOUR)


def test_a_confirmed_need_orders_once_and_no_sooner():
    appliance = Appliance()
    appliance.live(DAY)
    appliance.sensors["A"].value = 3
    began = appliance.clock.seconds
    appliance.until_state("accepted")
    assert appliance.service.count("replenish") == 1
    assert appliance.clock.seconds - began >= 600
    assert appliance.service.count("subscription_info") >= 1, "law 8: unknown means ask first"


def test_law_1_one_order_however_long_it_stays_low():
    appliance = ordered()
    appliance.service.open_order("A").status = "Authorized"
    appliance.live(60 * DAY)
    assert appliance.service.count("replenish") == 1
    assert appliance.state() == "placed"


def test_law_1_the_whole_life_of_an_order():
    appliance = ordered()
    delivered(appliance)
    refill(appliance)
    assert appliance.state() == "idle"
    expected = ["asking", "accepted", "placed", "shipped", "awaiting_refill", "idle"]
    assert [s for s in appliance.console.states("A") if s != "awaiting_customer"] == expected
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted")
    assert len(appliance.service.orders) == 2


def test_law_2_in_progress_blocks_without_a_loop():
    appliance = Appliance()
    appliance.service.orders.append(_foreign_order(appliance))
    appliance.sensors["A"].value = 2
    appliance.until_state("blocked")
    appliance.live(40 * DAY)
    assert appliance.service.count("replenish") == 1, "getOrderInfo answers for the id: no probe at all"
    assert appliance.order().event_instance_id == appliance.service.orders[0].id


def _foreign_order(appliance):
    from host_tests.fakes.service import Order

    return Order(77, "A", appliance.clock.seconds)


def test_law_2_a_probe_only_after_the_last_sign_of_life():
    appliance = Appliance()
    appliance.service.orders.append(_foreign_order(appliance))
    appliance.sensors["A"].value = 2
    appliance.until_state("blocked")
    appliance.service.forgotten = True
    began = appliance.clock.seconds
    appliance.live(13 * DAY)
    assert appliance.service.count("replenish") == 1
    appliance.live(30 * DAY, lambda: appliance.service.count("replenish") == 2)
    assert appliance.clock.seconds - began >= 14 * DAY
    appliance.live(10 * DAY)
    assert appliance.service.count("replenish") == 2, "an in-progress answer restarts the wait"


def test_law_2_the_block_ends_when_the_order_is_cancelled_or_delivered():
    for status, state in (("Cancelled", "held"), ("Closed", "awaiting_refill")):
        appliance = Appliance()
        appliance.service.orders.append(_foreign_order(appliance))
        appliance.sensors["A"].value = 2
        appliance.until_state("blocked")
        appliance.service.end("A", status)
        appliance.until_state(state, DAY)


def test_law_2_the_id_in_an_in_progress_answer_never_overwrites_our_own():
    appliance = ordered(in_doubt_days=1)
    own = appliance.order().event_instance_id
    appliance.service.forgotten = True
    appliance.until_state("in_doubt")
    appliance.until_state("blocked")
    order = appliance.agent.slots[0].order
    assert order.own_id == own and order.progress_id == appliance.service.orders[0].id


def test_law_3_the_intent_is_durable_before_the_call_and_the_answer_before_anything_else():
    appliance = Appliance()
    appliance.live(HOUR)
    appliance.sensors["A"].value = 2
    seen = []
    call = appliance.service.call

    def spy(request):
        if "/replenish/" in request.url:
            seen.append(appliance.store.records[[k for k in appliance.store.records if k.startswith("o-")][0]])
            appliance.store.writes = []
        return call(request)

    appliance.service.call = spy
    appliance.until_state("accepted")
    assert seen[0][0] & 127 == 1, "the stored state at the moment of the call: asking"
    assert appliance.store.writes[0].startswith("o-")


def test_law_3_a_store_that_refuses_means_no_call():
    appliance = Appliance()
    appliance.live(HOUR)
    appliance.store.full_for = [""]
    appliance.sensors["A"].value = 2
    appliance.live(2 * DAY)
    assert appliance.service.count("replenish") == 0
    assert appliance.agent.fault == "store_failed"
    assert "Errno 28" in appliance.console.of("fault")[-1]["detail"], "which record, and why"
    appliance.store.full_for = []
    appliance.until_state("accepted")
    assert appliance.agent.fault is None and appliance.agent.unsaved == []


def test_law_3_nothing_is_called_while_a_record_of_any_kind_is_not_durable():
    for key in ("o-", "device", "token"):
        appliance = Appliance()
        appliance.service.rotate = "Atzr|second"
        appliance.live(DAY)
        appliance.store.full_for = [key]
        appliance.service.rotate = "Atzr|third"
        appliance.sensors["A"].value = 2
        if key == "device":
            appliance.service.next("token", 503)
        appliance.live(2 * DAY)
        calls = len(appliance.service.calls)
        assert appliance.agent.unsaved and appliance.agent.fault == "store_failed", key
        assert appliance.service.count("replenish") == 0
        appliance.live(10 * DAY)
        assert len(appliance.service.calls) == calls, key
        appliance.store.full_for = []
        appliance.until_state("accepted")
        assert appliance.store.records["token"][4:] == b"Atzr|third", key


def test_a_store_that_takes_no_write_at_all_calls_nobody_and_keeps_levels():
    appliance = Appliance()
    appliance.live(DAY)
    calls, written = len(appliance.service.calls), dict(appliance.store.records)
    appliance.store.refuses = "written by a newer agent"
    appliance.restart()
    appliance.sensors["A"].value = 2
    appliance.live(3 * DAY)
    assert appliance.agent.fault == "store_failed"
    assert appliance.console.of("fault")[-1]["detail"] == "written by a newer agent"
    assert (len(appliance.service.calls), appliance.store.records) == (calls, written)
    assert appliance.agent.slot("A").level() == 2


def test_a_start_without_a_readable_store_is_an_error_and_no_damage():
    appliance = ordered()
    written = dict(appliance.store.records)
    for number in range(1, 5):
        appliance.store.unreadable = number
        raises(OSError, appliance.start)
        while appliance.store.unreadable:
            raises(OSError, appliance.store.get, "device")
    assert appliance.store.records == written and appliance.store.aside == {}
    appliance.start()
    assert appliance.state() == "accepted"


def test_run_ends_when_the_store_asks_for_a_start():
    appliance = Appliance()

    def ask(ms, sock=None):
        appliance.store.must_restart = True
        return False

    appliance.console.wait = ask  # type: ignore[method-assign]
    appliance.agent.run()
    assert appliance.store.must_restart


def test_a_worn_store_is_told_and_orders_all_the_same():
    appliance = Appliance()
    appliance.store.worn = 1
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted")
    assert appliance.agent.fault == "store_worn"


def test_law_3_a_lost_answer_is_asked_again_within_the_fresh_window_and_meets_the_lock():
    appliance = Appliance()
    appliance.service.next("replenish", "lost")
    appliance.sensors["A"].value = 2
    appliance.until_state("blocked")
    assert len(appliance.service.orders) == 1
    assert appliance.service.count("replenish") == 2


def test_law_3_after_the_fresh_window_it_is_in_doubt_and_silent():
    appliance = Appliance()
    appliance.service.next("replenish", *["drop"] * 99)
    appliance.sensors["A"].value = 2
    appliance.until_state("in_doubt")
    calls = [call[0] for call in appliance.service.calls if call[1] == "replenish"]
    assert calls[-1] - calls[0] < 86400
    appliance.live(13 * DAY)
    assert appliance.service.count("replenish") == len(calls)
    appliance.live(30 * DAY, lambda: appliance.service.count("replenish") > len(calls))
    again = [call[0] for call in appliance.service.calls if call[1] == "replenish"]
    assert len(again) > len(calls), "after in_doubt_days the call may be repeated"
    assert again[len(calls)] - calls[-1] >= 14 * DAY


def test_law_3_a_refill_resolves_the_doubt():
    appliance = Appliance()
    appliance.service.next("replenish", *["drop"] * 99)
    appliance.sensors["A"].value = 2
    appliance.until_state("in_doubt")
    refill(appliance)
    assert appliance.state() == "idle"


def test_law_3_not_acted_redates_the_intent_and_never_leads_to_doubt():
    appliance = Appliance()
    appliance.service.next("replenish", *[503] * 30)
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted")
    assert "in_doubt" not in appliance.console.states("A")
    assert len(appliance.service.orders) == 1


def test_law_3_every_cut_between_intent_and_answer_ends_in_one_order():
    for cut in range(1, 14):
        for before in (True, False):
            appliance = Appliance()
            appliance.live(HOUR)
            count = len(appliance.store.writes) + cut
            if before:
                appliance.store.cut_before = count
            else:
                appliance.store.cut_after = count
            appliance.sensors["A"].value = 2
            appliance.live_through_cuts(3 * DAY)
            assert len(appliance.service.orders) == 1, (cut, before)
            assert appliance.state() in ("accepted", "awaiting_customer", "blocked"), (cut, before, appliance.state())


def test_law_4_delivered_is_not_refilled():
    appliance = ordered()
    delivered(appliance)
    assert appliance.agent.slots[0].order.on_hand == 10
    appliance.live(13 * DAY)
    assert appliance.service.count("replenish") == 1
    appliance.live(20 * DAY)
    assert len(appliance.service.orders) == 2, "after delivered_hold_days one order may go out"
    delivered(appliance)
    appliance.live(60 * DAY)
    assert len(appliance.service.orders) == 2
    assert appliance.state() == "held" and appliance.agent.slot("A").fault == "refill_expected"
    refill(appliance)
    assert appliance.state() == "idle" and appliance.agent.slot("A").fault is None


def test_law_4_a_board_that_sleeps_waits_for_a_refill_no_longer_than_one_that_stays_up():
    appliance = Appliance()
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted")
    appliance.service.end("A", "Closed")
    appliance.until_state("awaiting_refill")
    for _ in range(15 * DAY // HOUR):
        appliance.start(cold=False)
        appliance.agent.once()
        appliance.clock.pass_s(HOUR)
    assert appliance.service.count("replenish") == 2, appliance.state()


def test_law_4_a_refill_before_the_news_of_the_delivery_counts():
    appliance = ordered()
    appliance.service.ship("A", text(appliance.clock.seconds + 3 * DAY))
    appliance.until_state("shipped")
    refill(appliance)
    assert appliance.state() == "shipped"
    appliance.until_state("idle")
    assert appliance.agent.slots[0].order.on_hand == 0


def test_law_4_noise_is_not_a_refill():
    appliance = ordered(slots=(QUICK,))
    delivered(appliance)
    for level in (3.2, 2, 3.4, 2, 9, 2):  # small, and large but not lasting
        appliance.sensors["A"].value = level
        appliance.live(300)
    assert appliance.state() == "awaiting_refill"


def test_law_4_a_pack_larger_than_the_slot_stays_on_hand():
    appliance = Appliance(slots=({"id": "A", "capacity": 250, "reorder_at": 50, "pack": 1000},))
    appliance.sensors["A"].value = 40
    appliance.until_state("accepted")
    appliance.service.end("A", "Closed")
    appliance.until_state("awaiting_refill")
    refill(appliance, 240)
    assert appliance.state() == "idle"
    assert appliance.agent.slots[0].order.on_hand == 800
    appliance.sensors["A"].value = 40
    appliance.live(DAY)
    assert len(appliance.service.orders) == 1, "a pack is at home: no need"
    assert appliance.state() == "awaiting_refill"


def test_law_4_on_delivery_sets_the_level_to_full():
    appliance = Appliance(slots=({"id": "A", "refill": "on_delivery", "sensor": None},))
    appliance.agent.slot("A").refilled(2)
    appliance.live(HOUR)
    appliance.agent.slot("A").consume(0)
    appliance.until_state("accepted")
    appliance.service.end("A", "Closed")
    appliance.until_state("idle")
    assert appliance.agent.slot("A").level() == 10
    assert appliance.agent.slots[0].order.on_hand == 0


def test_law_5_first_cancellation_rests_second_waits_for_full():
    appliance = ordered()
    appliance.service.open_order("A").status = "Authorized"
    appliance.until_state("placed")
    appliance.service.end("A", "Canceled")
    appliance.until_state("held", DAY)
    began = appliance.clock.seconds
    appliance.until_state("accepted", 6 * DAY)
    assert appliance.clock.seconds - began >= 5 * DAY
    appliance.service.open_order("A").status = "Authorized"
    appliance.until_state("placed")
    appliance.service.end("A", "Cancelled")
    appliance.until_state("held", DAY)
    assert appliance.order().cancels == 2
    appliance.live(60 * DAY)
    assert len(appliance.service.orders) == 2
    refill(appliance, 8)
    appliance.sensors["A"].value = 2
    appliance.live(DAY)
    assert appliance.state() == "held", "80 % is not full"
    refill(appliance, 9.5)
    assert appliance.state() == "idle"


def test_law_5_a_time_out_of_the_resolution_holds_but_does_not_count():
    appliance = ordered()
    appliance.live(72 * HOUR + 60)
    appliance.service.end("A", "Cancelled")
    appliance.until_state("held", DAY)
    assert appliance.order().cancels == 0
    assert appliance.order().reason == "not resolved in time, cancelled"
    appliance.until_state("accepted", 6 * DAY)


def test_law_5_zero_days_gives_the_services_own_behaviour():
    appliance = ordered(reorder_after_cancel_days=0)
    for _ in range(3):
        appliance.service.end("A", "Cancelled")
        appliance.live(HOUR)
        appliance.until_state("accepted", DAY)
    assert appliance.order().cancels == 0


def test_law_5_a_persons_refill_ends_the_second_hold():
    appliance = ordered()
    for _ in range(2):
        appliance.service.end("A", "Cancelled")
        appliance.until_state("held", DAY)
        appliance.live(6 * DAY)
    assert appliance.order().cancels == 2 and appliance.state() == "held"
    appliance.agent.slot("A").refilled(5)
    assert appliance.state() == "idle"


def test_law_6_order_resolution_is_visible_with_its_deadline():
    appliance = ordered()
    asked = appliance.agent.slots[0].order.asked_at
    appliance.until_state("awaiting_customer", 2 * HOUR)
    assert appliance.order().deadline == asked + 72 * HOUR
    polls = appliance.service.count("order_info")
    appliance.live(71 * HOUR - (appliance.clock.seconds - asked))
    before = appliance.service.count("order_info")
    assert before > polls
    appliance.live(HOUR + 60)
    at = [call[0] for call in appliance.service.calls if call[1] == "order_info"]
    assert asked + 72 * HOUR in at, "at the deadline the device asks"
    appliance.service.open_order("A").status = "Authorized"
    appliance.until_state("placed")


def test_law_6_an_order_placed_in_time_never_shows_the_hint():
    appliance = ordered()
    appliance.service.open_order("A").status = "Authorized"
    appliance.until_state("placed", 2 * HOUR)
    assert "awaiting_customer" not in appliance.console.states("A")


QUICK = {"id": "A", "sensor": {"period_s": 60}}


def test_law_7_only_a_confirmed_need_orders():
    appliance = Appliance(slots=(QUICK,))
    for _ in range(50):
        appliance.sensors["A"].value = 2
        appliance.live(540)
        appliance.sensors["A"].value = 5
        appliance.live(120)
    assert appliance.service.count("replenish") == 0


def test_law_7_a_reading_that_cannot_be_a_level_is_a_fault():
    for bad in (-1, 12.1, float("nan"), float("inf"), ValueError("x"), OSError(5)):
        appliance = Appliance()
        appliance.live(HOUR)
        appliance.sensors["A"].value = bad
        appliance.live(DAY)
        assert appliance.service.count("replenish") == 0
        assert appliance.agent.slot("A").fault == ("sensor_silent" if isinstance(bad, OSError) else "sensor_range")
        assert appliance.agent.slot("A").level() == 10
        appliance.sensors["A"].value = 9
        appliance.live(600)
        assert appliance.agent.slot("A").fault is None


def test_law_7_the_forecast_orders_before_the_threshold():
    appliance = Appliance(slots=({"id": "A", "capacity": 100, "reorder_at": 5, "lead_days": 7},))
    level = 100.0
    while level > 10 and not appliance.service.orders:
        appliance.sensors["A"].value = level
        appliance.live(DAY)
        level -= 4
    assert 15 < level < 40, level


def test_law_8_an_unsubscribed_slot_stops_and_asks_again():
    appliance = Appliance(slots=("A", "B"))
    appliance.service.subscribed["A"] = False
    appliance.sensors["A"].value = appliance.sensors["B"].value = 2
    appliance.until_state("unsubscribed")
    appliance.until_state("accepted", DAY, "B")
    assert [call[2] for call in appliance.service.calls if call[1] == "replenish"] == ["B"]
    appliance.service.subscribed["A"] = True
    appliance.until_state("accepted", 2 * DAY)


def test_law_8_the_services_own_word_stops_the_slot():
    appliance = Appliance()
    refusal = (400, {}, b'{"message":"Unable to place order - slot : <A> is unsubscribed."}')
    appliance.service.next("replenish", refusal)
    appliance.sensors["A"].value = 2
    appliance.until_state("unsubscribed")


def test_law_10_backoff_survives_a_reboot_and_a_boot_causes_no_call():
    appliance = Appliance()
    appliance.service.next("replenish", *[503] * 1000)
    appliance.sensors["A"].value = 2
    appliance.live(DAY)
    calls = appliance.service.count("replenish")
    next_try = appliance.order().next_try
    for _ in range(100):
        appliance.restart(30)
        appliance.live(5)
        if appliance.clock.seconds >= next_try:
            break
        assert appliance.service.count("replenish") == calls
    assert appliance.agent.device.attempts >= 5


def test_law_10_retry_after_is_honoured():
    for header in ({"retry-after": "7200"}, {"retry-after": "Wed, 01 Jan 2099 00:00:00 GMT", "date": "x"}):
        appliance = Appliance()
        appliance.service.next("replenish", (429, header, b""))
        appliance.sensors["A"].value = 2
        appliance.live(620)
        asked = appliance.service.calls[-1][0]
        assert appliance.agent.device.next_try - asked >= 7200 or header["retry-after"] != "7200"
        appliance.live(7100)
        assert appliance.service.count("replenish") == 1


def test_law_10_a_refusal_holds_shows_a_fault_and_a_configuration_change_ends_it():
    for status, fault in ((400, "refused"), (404, "unknown_slot"), (403, "refused")):
        appliance = Appliance()
        appliance.service.next("replenish", status)
        appliance.sensors["A"].value = 2
        appliance.until_state("held")
        assert appliance.agent.slot("A").fault == fault
        appliance.live(20 * HOUR)
        assert appliance.service.count("replenish") == 1
        appliance.config["policy"]["poll_interval_s"] += 1
        appliance.restart()
        appliance.until_state("accepted", HOUR)
    appliance = Appliance()
    appliance.service.next("replenish", 400)
    appliance.sensors["A"].value = 2
    appliance.until_state("held")
    began = appliance.clock.seconds
    appliance.until_state("accepted")
    assert appliance.clock.seconds - began >= DAY


def test_law_10_a_bad_token_is_refreshed_once():
    appliance = Appliance()
    invalid = (400, {}, b'{"message":"Invalid token"}')
    appliance.service.next("replenish", invalid)
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted", HOUR)
    assert appliance.service.count("token") == 2
    appliance = Appliance()
    appliance.service.next("replenish", *[invalid] * 1000)
    appliance.sensors["A"].value = 2
    appliance.live(HOUR)
    assert appliance.service.count("replenish") < 12, "a token that stays bad backs off"


def test_law_10_a_wrong_client_shows_itself_until_the_configuration_is_changed():
    appliance = Appliance()
    appliance.service.next("token", (401, {}, b'{"error":"invalid_client"}'))
    appliance.sensors["A"].value = 2
    appliance.live(2 * HOUR)
    assert appliance.agent.fault == "client_refused" and appliance.service.count("replenish") == 0
    appliance.config["lwa"]["client_id"] = "c2"
    appliance.restart()
    appliance.live(2 * HOUR)
    assert appliance.agent.fault is None and appliance.service.count("replenish") == 1


def test_law_10_invalid_grant_is_silence_until_linked_again():
    appliance = Appliance()
    appliance.service.next("token", (400, {}, b'{"error":"invalid_grant"}'))
    appliance.sensors["A"].value = 2
    appliance.live(10 * DAY)
    assert len(appliance.service.calls) == 1
    assert appliance.agent.fault == "link_refused"
    appliance.restart()
    appliance.live(5 * DAY)
    assert len(appliance.service.calls) == 1, "durable"
    appliance.secrets = {"refresh_token": "Atzr|other"}
    appliance.restart()
    appliance.until_state("accepted", DAY)


def test_law_10_the_rotated_token_is_used_and_a_new_one_in_the_secrets_wins():
    appliance = Appliance()
    appliance.service.rotate = "Atzr|rotated"
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted")
    appliance.restart()
    assert appliance.agent.token == "Atzr|rotated"
    appliance.secrets = {"refresh_token": "Atzr|new"}
    appliance.restart()
    assert appliance.agent.token == "Atzr|new"


def test_law_10_no_token_at_all_runs_unlinked():
    appliance = Appliance(secrets={})
    appliance.sensors["A"].value = 2
    appliance.live(10 * DAY)
    assert appliance.service.calls == [] and appliance.agent.fault == "not_linked"
    assert appliance.agent.slot("A").level() == 2


def test_law_10_a_retired_service_is_called_at_most_weekly_and_levels_go_on():
    appliance = Appliance()
    appliance.service.next("token", *[(410, {}, b"")] * 1000)
    appliance.sensors["A"].value = 2
    appliance.live(70 * DAY)
    assert len(appliance.service.calls) <= 11
    assert appliance.agent.fault == "service_retired"
    gone = Appliance()
    gone.service.next("token", *["unsent"] * 1000)
    gone.sensors["A"].value = 2
    gone.live(31 * DAY)
    assert gone.agent.fault == "service_retired"
    calls = len(gone.service.calls)
    gone.live(35 * DAY)
    assert len(gone.service.calls) - calls <= 5


def test_law_10_the_first_call_after_a_cold_start_is_spread_and_after_a_wake_is_not():
    appliance = Appliance(boot_spread_s=86400, confirm_s=0)
    appliance.sensors["A"].value = 2
    began = appliance.clock.seconds
    appliance.live(2 * DAY, lambda: appliance.service.calls)
    assert appliance.clock.seconds - began >= 43200
    appliance.config["policy"]["boot_spread_s"] = 86400
    wake = Appliance(confirm_s=0, boot_spread_s=86400)
    wake.start(cold=False)
    wake.sensors["A"].value = 2
    wake.live(60)
    assert wake.service.count("replenish") == 1


def test_law_10_reports_come_daily_at_the_devices_own_second():
    appliance = Appliance(slots=("A", "B"))
    appliance.live(10 * DAY)
    assert 9 <= appliance.service.count("device_status") <= 10
    assert appliance.service.count("slot_status") == 2 * appliance.service.count("device_status")
    offset = appliance.agent.device.report_offset_s
    for at in [call[0] for call in appliance.service.calls if call[1] == "device_status"]:
        assert 0 <= (at - offset) % DAY < 120


def test_law_11_no_valid_time_no_call():
    appliance = Appliance(trusted=False)
    appliance.store.records = {}
    appliance.clock.seconds = 1000
    appliance.start()
    appliance.sensors["A"].value = 2
    appliance.live(10 * HOUR)
    assert appliance.service.calls == [] and appliance.agent.fault == "no_valid_time"


def test_law_3_an_intent_is_not_fresh_after_a_start_without_a_clock():
    """The device was off for a month, and counts on from when it was switched off: the lost call is not as young as it looks."""
    appliance = Appliance(trusted=False)
    appliance.live(HOUR)
    appliance.sensors["A"].value = 2
    appliance.service.next("replenish", "lost")
    appliance.live(2 * DAY, lambda: appliance.service.count("replenish") == 1)
    right = appliance.clock.seconds + 30 * DAY
    appliance.service.end("A", "Closed")  # it was delivered meanwhile, and the box stands unopened
    appliance.clock.seconds = appliance.clock.ticks_s = 0
    appliance.start()
    appliance.live(12 * HOUR)
    assert len(appliance.service.orders) == 1
    assert appliance.agent.slot("A").order.state == "asking"
    appliance.clock.seconds = right
    appliance.live(2 * DAY)
    assert appliance.agent.slot("A").order.state == "in_doubt" and len(appliance.service.orders) == 1


def test_law_11_a_clock_that_leaps_shortens_no_hold():
    appliance = ordered()
    appliance.clock.trusted = False
    appliance.service.end("A", "Cancelled")
    appliance.until_state("held", DAY)
    appliance.clock.seconds += 300 * DAY
    appliance.live(4 * DAY)
    assert appliance.state() == "held"
    appliance.restart()
    appliance.live(HOUR)
    assert appliance.state() == "held", "not by a reboot either"
    appliance.clock.seconds -= 600 * DAY
    appliance.restart()
    appliance.until_state("accepted", 10 * DAY)


def test_law_12_accepted_without_a_usable_id_is_in_doubt():
    for body in (PLACED % "", '{"detailCode":"STANDARD_ORDER_PLACED"}', '{"detailCode":"TEST_ORDER_PLACED","eventInstanceId":null}'):
        appliance = Appliance()
        appliance.service.next("replenish", body)
        appliance.sensors["A"].value = 2
        appliance.until_state("in_doubt")
        appliance.live(13 * DAY)
        assert appliance.service.count("replenish") == 1


def test_law_12_an_id_unknown_for_72_hours_is_in_doubt():
    appliance = ordered()
    appliance.service.forgotten = True
    began = appliance.clock.seconds
    appliance.until_state("in_doubt")
    assert 72 * HOUR <= appliance.clock.seconds - began <= 74 * HOUR


def test_law_12_a_missing_or_damaged_record_is_in_doubt():
    for harm in ("missing", "short"):
        appliance = ordered()
        key = [k for k in appliance.store.records if k.startswith("o-")][0]
        if harm == "missing":
            del appliance.store.records[key]
        else:
            appliance.store.records[key] = appliance.store.records[key][:15]
        appliance.restart()
        assert appliance.state() == "in_doubt"
        assert appliance.console.of("fault")[-1]["fault"] == "store_damaged"
        appliance.live(13 * DAY)
        assert appliance.service.count("replenish") == 1


def test_law_13_the_fuse_blows_and_heals():
    appliance = Appliance(reorder_after_cancel_days=0, max_orders_30_days=2)
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted")
    for _ in range(2):
        first = appliance.service.orders[0].at
        appliance.service.end("A", "Cancelled")
        appliance.live(2 * DAY)
    assert len(appliance.service.orders) == 2
    assert appliance.state() == "held" and appliance.agent.slot("A").fault == "order_limit"
    appliance.restart()
    assert appliance.state() == "held"
    appliance.live(40 * DAY, lambda: len(appliance.service.orders) == 3)
    assert 30 * DAY <= appliance.clock.seconds - first <= 31 * DAY


def test_law_13_a_person_may_say_so():
    appliance = Appliance(reorder_after_cancel_days=0, max_orders_30_days=1)
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted")
    appliance.service.end("A", "Cancelled")
    appliance.until_state("held", DAY)
    appliance.agent.resume()
    appliance.until_state("accepted", HOUR)


def test_law_13_a_persons_word_is_acted_on_at_once():
    appliance = Appliance()
    agent = appliance.agent
    agent.hold()
    agent.due_ticks = later = agent.due_ticks + 3600000
    agent.resume()
    assert agent.due_ticks != later, "a step is due now"


def test_law_13_hold_stops_within_one_step_and_survives():
    appliance = Appliance()
    appliance.sensors["A"].value = 2
    appliance.live(500)
    appliance.agent.hold()
    appliance.live(5 * DAY)
    appliance.restart()
    appliance.live(5 * DAY)
    assert appliance.service.count("replenish") == 0
    assert appliance.service.count("slot_status") >= 9, "reports go on"
    assert appliance.agent.device.held
    appliance.agent.resume()
    appliance.until_state("accepted", HOUR)


def test_the_library_refuses_what_cannot_be():
    slot = Appliance().agent.slot("A")
    bad = ((slot.level, -1), (slot.level, 99), (slot.consume, -1), (slot.consume, float("nan")), (slot.refilled, 99), (slot.stock, -5))
    for call, value in bad:
        assert "allowed" in str(raises(ValueError, call, value))
    raises(KeyError, Appliance().agent.slot, "Z")


def test_counted_use_and_a_persons_refill():
    appliance = Appliance(slots=({"id": "A", "refill": "manual", "sensor": None},))
    slot = appliance.agent.slot("A")
    slot.consume(1)
    assert slot.level() == 9
    slot.consume(7)
    appliance.until_state("accepted", DAY)
    slot.refilled()
    appliance.service.end("A", "Closed")
    appliance.until_state("idle", DAY)
    assert slot.level() == 10


def test_levels_survive_a_reboot_within_five_per_cent():
    appliance = Appliance()
    appliance.sensors["A"].value = 6
    appliance.live(HOUR)
    appliance.restart()
    assert abs(appliance.agent.slot("A").level() - 6) < 0.01


def test_a_callback_hears_what_is_printed():
    appliance = Appliance()
    heard = []
    appliance.agent.on(lambda kind, slot, pairs: heard.append((kind, slot)))
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted")
    assert ("order", "A") in heard and ("call", "A") in heard


def test_a_power_cut_is_not_swallowed():
    appliance = Appliance()
    appliance.store.cut_before = len(appliance.store.writes) + 1
    appliance.sensors["A"].value = 2
    raises(PowerCut, appliance.live, DAY)


def test_an_idle_step_makes_no_garbage():
    agent = Appliance().agent
    assert agent.step() > 1, "the first step did all that was due"
    micropython.heap_lock()  # on MicroPython: any allocation is a MemoryError
    try:
        for _ in range(10):
            wait = agent.step()
    finally:
        micropython.heap_unlock()
    assert wait > 1


def test_law_10_a_short_backoff_is_not_slept_through():
    appliance = Appliance(slots=({"id": "A", "sensor": {"period_s": 86400}},), confirm_s=0)
    appliance.sensors["A"].value = 2
    appliance.service.next("token", 503)
    appliance.live(120)
    assert appliance.state() == "accepted", "30 s at the most, whatever the sensor's period"


def test_law_14_counted_use_writes_no_order():
    appliance = Appliance(slots=({"id": "A", "capacity": 1000, "refill": "manual", "sensor": None},))
    slot = appliance.agent.slot("A")
    slot.consume(1)
    before = len(appliance.store.writes)
    for _ in range(40):
        slot.consume(1)
        appliance.live(60)
    assert len(appliance.store.writes) - before <= 2
    slot.stock(5)
    assert appliance.store.writes[-1].startswith("o-")


def test_the_start_event_names_the_profile():
    appliance = Appliance()
    appliance.config["board"]["profile"] = "bench"
    said = []

    class Hearing(Console):
        def show(self, now, kind, pairs):
            said.append((kind, pairs))

    appliance.console = Hearing()
    appliance.start()
    start = [pairs for kind, pairs in said if kind == "start"]
    assert len(start) == 1 and ("profile", "bench") in start[0]


def test_a_wake_says_before_each_call_that_it_lives():
    appliance = Appliance()
    said = []
    appliance.agent.progress = lambda: said.append(len(appliance.service.calls))
    appliance.sensors["A"].value = 2
    appliance.live(2 * HOUR)
    assert said[0] == 0 and sorted(set(said)) == list(range(len(appliance.service.calls) + 1)) and len(said) > 3
