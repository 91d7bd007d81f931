"""`Agent.notice`: what a notification does to a whole appliance, what is durable when it returns, and what is dropped."""

import json

from replenish.core.isotime import text

from host_tests.expect import cases, raises
from host_tests.fakes import notices
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY, PowerCut
from host_tests.fakes.breakage import breakages

HOUR = 3600


def ordered(**given):
    """An appliance whose slot A got low and was ordered for."""
    appliance = Appliance(**given)
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted")
    return appliance


def unanswered(fault="lost", **given):
    """The answer to the order call was lost; the next try is a while away."""
    appliance = Appliance(**given)
    appliance.clock.random = 0.99
    appliance.service.next("replenish", *[fault] * 99)
    appliance.sensors["A"].value = 2
    appliance.live(HOUR, lambda: appliance.service.count("replenish") == 1)
    assert appliance.state() == "asking" and appliance.agent.slots[0].order.unknown_at
    return appliance


class Sender:
    """Sends notices of one appliance's orders, each with an id of its own."""

    def __init__(self, appliance):
        self._appliance = appliance
        self._number = 0

    def made(self, name, at=None, event_id=None, **given):
        self._number += 1
        at = self._appliance.clock.seconds if at is None else at
        event_id = event_id or self._appliance.service.orders[-1].id
        return notices.packed(notices.of_order(name, at, self._number, event_id, **given))

    def order(self, name, at=None, event_id=None, **given):
        return self._appliance.agent.notice(self.made(name, at, event_id, **given))

    def subscriptions(self, slots, at=None, version=2):
        self._number += 1
        at = self._appliance.clock.seconds if at is None else at
        return self._appliance.agent.notice(notices.packed(notices.of_subscriptions(at, self._number, slots, version)))

    def link(self, name, at=None):
        self._number += 1
        at = self._appliance.clock.seconds if at is None else at
        return self._appliance.agent.notice(notices.packed(notices.notice(name, at, self._number)))


def check_life(version):
    appliance = ordered()
    send = Sender(appliance)
    delivery = appliance.clock.seconds + 4 * DAY
    assert send.order(notices.PLACED, delivery_at=delivery, version=version) == "applied"
    assert appliance.state() == "placed"
    appliance.live(HOUR)
    assert send.order(notices.SHIPPED, delivery_at=delivery + DAY, version=version) == "applied"
    appliance.restart()
    assert appliance.state() == "shipped" and appliance.agent.slots[0].order.delivery_at == delivery + DAY
    appliance.until_state("awaiting_refill", 6 * DAY)
    assert delivery + DAY < appliance.clock.seconds <= delivery + DAY + HOUR
    assert appliance.service.orders[0].status == "Pending", "no poll said so"


def test_an_order_is_followed_by_notices_alone():
    cases(check_life, [(1,), (2,)])


def test_a_notice_shows_what_a_poll_would_and_as_str_too():
    appliance = ordered()
    payload = Sender(appliance).made(notices.PLACED)
    assert appliance.agent.notice(payload.decode()) == "applied"
    assert appliance.agent.notice(bytearray(payload)) == "duplicate"
    assert appliance.state() == "placed"


def test_law_3_a_notice_answers_a_lost_call():
    for lost in ("lost", 500):
        appliance = unanswered(lost)
        send = Sender(appliance)
        assert send.order(notices.PLACED, event_id="amzn1.dash.v2.o.1") == "applied"
        appliance.restart()
        assert appliance.state() == "placed" and appliance.order().event_instance_id == "amzn1.dash.v2.o.1"
        assert appliance.agent.slots[0].order.fuse_free_at(appliance.clock.seconds, 1), "an acceptance counts in the fuse"
        appliance.live(3 * DAY)
        assert appliance.service.count("replenish") == 1, "and ends the asking"


def test_law_3_a_notice_of_another_time_or_slot_is_not_the_answer():
    appliance = unanswered(slots=("A", "B"))
    send = Sender(appliance)
    asked = appliance.agent.slots[0].order.asked_at
    assert send.order(notices.PLACED, asked - 601) == "not_ours"
    assert send.order(notices.PLACED, slot="B") == "not_ours"
    assert send.order(notices.PLACED, slot="Z") == "not_ours"
    assert appliance.state() == "asking"
    assert send.order(notices.PLACED, asked - 600) == "applied"


def test_law_3_a_call_that_the_power_cut_short_is_answered_by_a_notice():
    appliance = Appliance()
    appliance.live(HOUR)
    call = appliance.service.call

    def act_and_cut(request):
        answer = call(request)
        if "/replenish/" in request.url:
            raise PowerCut()
        return answer

    appliance.service.call = act_and_cut
    appliance.sensors["A"].value = 2
    raises(PowerCut, appliance.live, HOUR)
    appliance.restart(60)
    order = appliance.agent.slots[0].order
    assert appliance.state() == "asking" and order.flags & 1, "in flight, and no step yet"
    assert order.unknown_at == order.asked_at, "lost, and no younger than it is"
    send = Sender(appliance)
    assert send.subscriptions({"A": False}) == "applied"
    assert appliance.order().reason == "outcome unknown for too long", "unsubscribed says nothing of a call that left"
    assert send.order(notices.SHIPPED, delivery_at=appliance.clock.seconds + DAY) == "applied"
    assert appliance.state() == "shipped" and len(appliance.service.orders) == 1


def test_law_3_a_notice_ends_a_doubt():
    appliance = unanswered("lost", in_doubt_days=30)
    appliance.service.next("replenish", *["drop"] * 99)
    appliance.until_state("in_doubt", 3 * DAY)
    assert Sender(appliance).order(notices.CANCELLED) == "applied"
    assert appliance.order().reason == "cancelled by the customer" and appliance.order().cancels == 1


def test_law_2_a_block_learns_from_notices_that_name_its_order():
    from host_tests.fakes.service import Order

    appliance = Appliance()
    appliance.service.orders.append(Order(77, "A", appliance.clock.seconds))
    appliance.sensors["A"].value = 2
    appliance.until_state("blocked")
    send = Sender(appliance)
    assert send.order(notices.SHIPPED, event_id="amzn1.dash.v2.o.78") == "not_ours" and appliance.state() == "blocked"
    assert send.order(notices.CANCELLED) == "applied" and appliance.state() == "held"


# Law 8


def test_law_8_a_changed_subscription_stops_and_frees_a_slot():
    for version in (1, 2):
        appliance = Appliance()
        send = Sender(appliance)
        appliance.live(HOUR)
        assert send.subscriptions({"A": False}, version=version) == "applied" and appliance.state() == "unsubscribed"
        appliance.restart()
        assert appliance.state() == "unsubscribed"
        assert send.subscriptions({"A": True}, version=version) == "applied" and appliance.state() == "idle"
        assert send.subscriptions({"A": False}, appliance.clock.seconds - 60, version) == "stale", "later news is known"
        assert send.subscriptions({"B": False}, version=version) == "not_ours" and appliance.state() == "idle"
        appliance.sensors["A"].value = 2
        appliance.until_state("accepted", 2 * HOUR)
        assert appliance.service.count("subscription_info") == 0, "the notice said it all"


def test_law_8_what_subscription_info_said_later_stands():
    appliance = ordered()
    asked = appliance.agent.device.subscriptions_at
    assert asked and Sender(appliance).subscriptions({"A": False}, asked - 1) == "stale"
    assert appliance.agent.slots[0].order.subscribed == 1


def test_law_8_of_slots_that_a_notice_does_not_name_nobody_knows():
    for slot, calls in (("A", ["token", "replenish"]), ("B", ["token", "subscription_info", "replenish"])):
        appliance = Appliance(slots=("A", "B"))
        Sender(appliance).subscriptions({"A": True})
        appliance.restart()
        appliance.sensors[slot].value = 2
        appliance.until_state("accepted", HOUR, slot)
        assert [call[1] for call in appliance.service.calls] == calls


def test_a_registration_looks_at_the_subscription_before_the_next_order():
    appliance = Appliance()
    send = Sender(appliance)
    send.subscriptions({"A": True})
    assert send.link(notices.REGISTERED) == "applied" and appliance.state() == "idle"
    appliance.service.subscribed["A"] = False
    appliance.sensors["A"].value = 2
    appliance.until_state("unsubscribed", HOUR)
    assert appliance.service.count("replenish") == 0


def test_a_deregistration_is_silence_until_linked_again():
    appliance = Appliance()
    assert Sender(appliance).link(notices.DEREGISTERED) == "applied"
    appliance.sensors["A"].value = 2
    for _ in range(2):
        appliance.live(5 * DAY)
        assert appliance.agent.fault == "not_linked" and appliance.service.calls == []
        assert appliance.agent.slot("A").level() == 2, "levels go on"
        appliance.restart()
    assert Sender(appliance).link(notices.DEREGISTERED) == "duplicate"
    appliance.secrets = {"refresh_token": "Atzr|other"}
    appliance.restart()
    appliance.until_state("accepted", DAY)


def test_a_deregistration_before_the_service_last_answered_is_over():
    appliance = ordered()
    assert Sender(appliance).link(notices.DEREGISTERED, appliance.clock.seconds - DAY) == "stale"
    assert appliance.agent.fault is None


def relinked(appliance, token="Atzr|new"):
    """Another customer links the device."""
    from replenish.link import accept

    assert accept(appliance.agent, token, appliance.agent.tell_time()) is None


def test_news_from_before_a_new_link_does_not_touch_it():
    for restart in (False, True):
        appliance = ordered()
        send = Sender(appliance)
        before = appliance.clock.seconds + 30
        appliance.clock.pass_s(60)
        relinked(appliance)
        if restart:
            appliance.restart()
        assert send.link(notices.DEREGISTERED, before) == "stale" and appliance.agent.fault is None
        assert send.subscriptions({"A": True}, before) == "stale" and appliance.agent.slots[0].order.subscribed == 0
        assert send.link(notices.REGISTERED) == "applied", "that of the new customer"
        assert send.link(notices.DEREGISTERED, before) == "stale" and appliance.agent.fault is None
        assert send.link(notices.DEREGISTERED) == "applied" and appliance.agent.fault == "not_linked"


def test_a_cut_in_linking_anew_believes_nothing_of_the_old_subscription():
    cuts = 0
    for write in range(1, 9):
        appliance = ordered()
        appliance.clock.pass_s(60)
        appliance.store.cut_after = len(appliance.store.writes) + write
        try:
            relinked(appliance)
        except PowerCut:
            cuts += 1
        appliance.store.cut_after = 0
        appliance.restart()
        device, order = appliance.agent.device, appliance.agent.slots[0].order
        assert not (order.subscribed == 1 and device.subscriptions_at >= appliance.clock.seconds)
    assert cuts == 4, "the token, the device, the order, the device"


# What is dropped


def test_law_14_a_flood_of_notices_writes_no_more_than_its_bound_a_day():
    appliance = Appliance(slots=("A", "B"))
    send = Sender(appliance)
    appliance.live(HOUR)
    for _ in range(2):
        written = len(appliance.store.writes)
        words = [send.subscriptions({"A": number % 2 == 0, "B": True}) for number in range(100)]
        assert words == ["applied"] * 32 + ["too_many"] * 68, "16 and 8 for each slot"
        assert len(appliance.store.writes) - written <= 2 * 32 + 1, "the device, and A; once B too"
        appliance.clock.pass_s(DAY)
    assert appliance.agent.dropped == {"too_many": 2 * 68}


def test_what_is_dropped_is_counted_and_writes_nothing():
    appliance = ordered()
    send = Sender(appliance)
    old = send.made(notices.PLACED)
    assert appliance.agent.notice(old) == "applied"
    written = len(appliance.store.writes)
    later = notices.notice("OrderDelayedNotification", appliance.clock.seconds, 90)
    other = notices.notice(notices.DEREGISTERED, appliance.clock.seconds, 91, "SN0002")
    model = notices.notice(notices.DEREGISTERED, appliance.clock.seconds, 92, "SN0001", "acme-2")
    expected = {"malformed": 7, "duplicate": 1, "not_ours": 3, "unknown_type": 1, "stale": 1}
    useless = [notices.packed(data) for data in (later, other, model)]
    for payload in [b"", "", b"null", None, 7, old[:-1], "\ud800", old] + useless:
        appliance.agent.notice(payload)
    send.order(notices.PLACED)
    send.order(notices.PLACED, event_id="amzn1.dash.v2.o.99")
    assert appliance.agent.dropped == expected
    assert len(appliance.store.writes) == written and appliance.agent.fault is None


def check_broken(make, broken):
    """A broken notice changes no order and writes nothing, unless what matters is whole; then it does what the whole one does."""
    appliance = make()
    whole = Sender(appliance).made(notices.CANCELLED)
    info = json.loads(whole)
    records = dict(appliance.store.records)
    state, words = appliance.state(), {}
    for data in broken(whole):
        writes = len(appliance.store.writes)
        word = appliance.agent.notice(data)
        words[word] = words.get(word, 0) + 1
        if word == "applied":
            said = json.loads(data)
            for part, name in (("orderInfo", "instanceId"), ("orderInfo", "slotId"), ("notificationInfo", "notificationType")):
                assert said[part][name] == info[part][name] or state == "asking" and name == "instanceId"
            assert appliance.state() == "held"
            appliance.store.records = dict(records)
            appliance.restart()
        else:
            assert len(appliance.store.writes) == writes, (word, data)
        assert appliance.state() == state, (word, data)
    return words


def test_what_is_broken_changes_no_order():
    def some(whole):
        number = 0
        for what, data in breakages(whole, 5, 150):
            number += 1
            if number % 19 == 0 or what.startswith("block"):
                yield data

    for make in (ordered, unanswered):
        words = check_broken(make, some)
        assert words["malformed"] > 150 and words["not_ours"] > 0 and words["applied"] > 20, words


def test_a_device_that_never_knew_the_time_takes_nothing():
    appliance = Appliance(trusted=False)
    appliance.store.records = {}
    appliance.clock.seconds = 1000
    appliance.start()
    assert Sender(appliance).subscriptions({"A": False}, 1795219200) == "no_time"
    assert appliance.state() == "idle" and appliance.agent.dropped == {"no_time": 1}


def test_a_notice_from_the_future_is_one_from_now():
    appliance = ordered()
    send = Sender(appliance)
    assert send.order(notices.SHIPPED, appliance.clock.seconds + 300 * DAY, delivery_at=appliance.clock.seconds + 2 * DAY) == "applied"
    assert send.order(notices.CANCELLED, appliance.clock.seconds + 300 * DAY) == "applied"
    assert appliance.order().reason == "cancelled by the customer"
    appliance = ordered()
    assert Sender(appliance).order(notices.CANCELLED, appliance.clock.seconds + 300 * DAY) == "applied"
    assert appliance.order().reason == "cancelled by the customer", "no time-out before its time"


def test_a_notice_in_the_middle_of_a_step_is_for_later():
    appliance = Appliance()
    said = []

    def hear(kind, slot, pairs):
        if kind == "order":
            said.append(appliance.agent.notice(notices.packed(notices.of_subscriptions(appliance.clock.seconds, 1, {"A": False}))))

    appliance.agent.on(hear)
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted")
    assert said == ["busy", "busy"] and appliance.agent.dropped == {}


# Durability


def happenings():
    """(name, a prepared appliance, a notice for it, the state afterwards) of each kind of effect."""
    rows = []
    for name, state in ((notices.PLACED, "placed"), (notices.SHIPPED, "shipped"), (notices.CANCELLED, "held")):
        for appliance in (ordered(), unanswered()):
            rows.append((appliance, Sender(appliance).made(name, delivery_at=appliance.clock.seconds + 3 * DAY), state))
    for name in (notices.REGISTERED, notices.DEREGISTERED):
        appliance = ordered()
        rows.append((appliance, notices.packed(notices.notice(name, appliance.clock.seconds, 1)), "accepted"))
    appliance = Appliance()
    rows.append((appliance, notices.packed(notices.of_subscriptions(appliance.clock.seconds, 1, {"A": False})), "unsubscribed"))
    return rows


def kept(appliance):
    """What is durable of the order and the device, but for the last known time."""
    device = appliance.agent.device
    order = [appliance.store.records[key] for key in appliance.store.records if key.startswith("o-")]
    return order, device.seen, device.subscriptions_at, device.linked, device.refused_token


def check_cut(row, write, before):
    """The power fails before or after the n-th write of a notice, which then comes again. Returns whether it failed."""
    appliance, payload, state = happenings()[row]
    count = len(appliance.store.writes) + write
    if before:
        appliance.store.cut_before = count
    else:
        appliance.store.cut_after = count
    try:
        word = appliance.agent.notice(payload)
        cut = False
    except PowerCut:
        cut = True
        appliance.store.cut_before = appliance.store.cut_after = 0
        appliance.restart()
        word = appliance.agent.notice(payload)
    appliance.restart()
    assert appliance.state() == state
    whole, _, _ = happenings()[row]
    whole.agent.notice(payload)
    whole.restart()
    if word != "stale":  # a stale one changes nothing, and so is not remembered
        assert kept(appliance) == kept(whole), (row, write, before)
    assert kept(appliance)[0] == kept(whole)[0]
    assert appliance.agent.notice(payload) == ("stale" if word == "stale" else "duplicate")
    return cut


def test_every_cut_in_a_notice_leaves_it_done_once_or_to_be_done_again():
    cuts = 0
    for row in range(len(happenings())):
        for write in range(1, 4):
            for before in (True, False):
                cuts += check_cut(row, write, before)
    assert cuts >= 2 * 2 * len(happenings()) - 4, cuts


def test_what_the_store_refuses_is_not_remembered_and_comes_again():
    for key in ("o-", "device"):
        appliance = ordered()
        payload = Sender(appliance).made(notices.PLACED)
        appliance.store.full_for = [key]
        assert appliance.agent.notice(payload) == "not_durable" and appliance.agent.dropped == {}
        assert appliance.agent.fault == "store_failed"
        appliance.live(HOUR)
        appliance.store.full_for = []
        appliance.live(HOUR)
        assert appliance.agent.fault is None
        appliance.restart()
        assert appliance.state() == "placed"
        assert appliance.agent.notice(payload) in ("stale", "duplicate") and appliance.state() == "placed"


def test_after_a_want_of_memory_what_is_durable_is_the_truth():
    appliance = ordered()
    payload = Sender(appliance).made(notices.CANCELLED)
    save = appliance.agent.save

    def fail(thing):
        raise MemoryError()

    appliance.agent.save = fail
    raises(MemoryError, appliance.agent.notice, payload)
    appliance.agent.save = save
    assert appliance.state() == "held" and appliance.agent.notice(payload) == "busy", "until a step has put it right"
    appliance.agent.once()
    assert appliance.state() == "accepted"
    assert appliance.agent.notice(payload) == "applied" and appliance.state() == "held"


def test_a_notice_ends_a_long_wait():
    appliance = ordered(reorder_after_cancel_days=0)
    appliance.service.end("A", "Cancelled")
    assert appliance.agent.step() > 0
    Sender(appliance).order(notices.CANCELLED)
    assert appliance.state() == "idle"
    appliance.agent.step()
    assert len(appliance.service.orders) == 2, "by the very next step"


def test_the_time_of_a_late_notice_counts_and_not_its_arrival():
    appliance = ordered()
    placed = appliance.clock.seconds + 60
    appliance.live(80 * HOUR)
    send = Sender(appliance)
    assert send.order(notices.CANCELLED, appliance.clock.seconds - HOUR) == "applied"
    assert appliance.order().reason == "not resolved in time, cancelled" and appliance.order().cancels == 0
    assert send.order(notices.PLACED, placed, delivery_at=placed + DAY) == "applied"
    assert appliance.order().reason == "cancelled by the customer" and appliance.order().cancels == 1
    assert text(appliance.order().next_try)
