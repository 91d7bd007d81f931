"""Every reason that a slot can wait for has words, and a time where time ends it."""

from replenish.core import policy
from replenish.core.countdown import in_words, of_slot, told_pairs
from replenish.core.order import Order
from replenish.core.spans import as_span, told

from host_tests.expect import cases
from host_tests.fakes.slot_states import DAY, HOUR, START, blocked, low_slot, new_device, new_slot, ordered

LOST, DELIVERED, CANCELLED = 17, 15, 16  # events, as they are folded into the callers


def check_line(build, expected, at=START):
    """build: a function that gives (slot, device)."""
    slot, device = build()
    assert in_words(slot, device, at) == expected, in_words(slot, device, at)


# A need


def fresh_need():
    """Low for 3:12, the first calls spread until 7:41 from now."""
    slot = new_slot()
    slot.measure(2, START - 192)
    slot.order.subscribed = 1
    device = new_device()
    device.first_call_at = START + 461
    return slot, device


def need(**device_given):
    def build():
        slot, device = low_slot(), new_device()
        for name, value in device_given.items():
            setattr(device, name, value)
        return slot, device

    return build


def forecast_need():
    slot, device = new_slot(lead_days=7), new_device()
    slot.measure(5, START - 60)
    slot.order_by, slot.level.low_since, slot.order.subscribed = START - 60, START - 60, 1
    return slot, device


def jumped():
    slot, device = low_slot(), new_device()
    slot.doubt, slot.sample_at = 9.0, START + 60
    return slot, device


def silent():
    slot, device = low_slot(), new_device()
    slot.sensor_fault = "sensor_silent"
    return slot, device


def not_subscribed():
    slot, device = low_slot(), new_device(START - HOUR)
    slot.order.subscribed = 2
    return slot, device


def never_asked():
    slot, device = low_slot(), new_device()
    slot.order.subscribed = 0
    return slot, device


def shared():
    slot, other = low_slot(), ordered()
    slot.shared = (other,)
    return slot, new_device()


def unsure():
    slot, device = failed(2)
    device.time_sure = False
    return slot, device


def refilling():
    slot, device = new_slot(), new_device()
    slot.measure(8, START - HOUR)
    slot.level.rise_since = START - 12
    return slot, device


_CASES_OF_NEED = (
    (fresh_need, "low 3:12 of 10:00; first call in 7:41: cold start"),
    (forecast_need, "runs out 1:00 of 10:00"),
    (jumped, "next reading in 1:00: the level jumped"),
    (silent, "sensor_silent"),
    (shared, "on order for a slot that shares the stock"),
    (need(held=1), "ordering is on hold"),
    (need(linked=False), "not linked to an account"),
    (unsure, "not sure what time it is; in doubt in 24:00:00: outcome unknown, will ask again"),
    (not_subscribed, "next look in 5:00:00: slot not subscribed"),
    (need(first_call_at=START + 9), "first call in 0:09: cold start"),
    (need(next_try=START + 90, attempts=3), "next try in 1:30: attempt 3 failed"),
    (never_asked, "asking for the subscription first"),
    (need(), ""),
    (refilling, "refill 0:12 of 10:00"),
)


def test_a_need_and_what_keeps_it_from_being_asked_for():
    cases(check_line, _CASES_OF_NEED)


# An order


def with_device(slot, now=START):
    return slot, new_device(now)


def failed(event):
    slot, device = low_slot(), new_device()
    slot.order.intend(START, True)
    slot.order.fail(event, START, START + 45)
    return slot, device


def customer():
    slot = ordered()
    policy.advance(slot, START + 2 * HOUR)
    return with_device(slot)


def placed(event=13, delivery_at=0):
    slot = ordered()
    slot.order.status(event, START, delivery_at)
    slot.order.next_poll = START + 6 * HOUR
    return with_device(slot)


def at_home(low):
    slot = ordered({"delivered_hold_days": 14}, pack=10)
    slot.order.deliver(START, 10, 10)
    slot.short_since = START - low
    policy.advance(slot, START)
    return with_device(slot)


def probing():
    slot = blocked()
    slot.order.flags &= ~16  # its order does not answer any more
    return with_device(slot)


def refilled_block():
    slot = blocked()
    slot.order.flags = 4  # a refill was seen since
    return with_device(slot)


def waiting_block():
    slot, device = refilled_block()
    device.held = 1
    return slot, device


def cancelled(times):
    slot = ordered()
    slot.order.cancels = times - 1
    slot.order.cancel(START, START, 10, 5 * DAY)
    return with_device(slot)


def refused(status):
    slot = low_slot()
    slot.order.intend(START, True)
    slot.order.refuse(START, START + DAY, status)
    return with_device(slot)


def limited():
    slot = low_slot()
    slot.order.limit(START, START + 29 * DAY + HOUR)
    return with_device(slot)


def expected_refill():
    slot, _ = at_home(HOUR)
    slot.order.flags |= 8  # the one order without a refill has gone out
    slot.order.expect(START)
    return with_device(slot)


def doubtful():
    slot = ordered()
    slot.order.doubt(LOST, START, 18)
    return with_device(slot)


def unsubscribed():
    slot = low_slot()
    slot.order.subscription(START, False)
    return with_device(slot)


def by_gateway():
    slot = ordered()
    slot.order.prefix = "SN0001-A-"
    return with_device(slot)


_CASES_OF_ORDERS = (
    (lambda: failed(1), "next try in 0:45: attempt 1 failed"),
    (lambda: failed(2), "next try in 0:45: attempt 1 failed; in doubt in 24:00:00: outcome unknown, will ask again"),
    (lambda: with_device(ordered()), "order accepted 0:00 of 1:00:00; next look in 1:00:00"),
    (by_gateway, "order accepted; next look in 1:00:00"),
    (customer, "customer must resolve the order 0:00 of 3 d 0 h; next look in 1:00:00"),
    (placed, "order placed; next look in 6:00:00"),
    (lambda: placed(14), "on its way; next look in 6:00:00"),
    (lambda: placed(14, START + 50 * HOUR), "delivery in 2 d 2 h: on its way; next look in 6:00:00"),
    (lambda: at_home(60), "low 1:00 of 10:00; delivered, waiting for the refill"),
    (lambda: at_home(HOUR), "no longer waited for in 14 d 0 h: delivered, waiting for the refill"),
    (lambda: with_device(blocked()), "service says an order is in progress; next look in 6:00:00"),
    (probing, "may ask again in 14 d 0 h: service says an order is in progress; next look in 6:00:00"),
    (refilled_block, "may ask again in 24:00:00: service says an order is in progress; next look in 6:00:00"),
    (lambda: cancelled(1), "free again in 5 d 0 h: cancelled by the customer"),
    (lambda: cancelled(2), "cancelled twice, waiting for a full refill"),
    (lambda: refused(400), "free again in 24:00:00: service refused the request (400)"),
    (limited, "free again in 29 d 1 h: order limit reached"),
    (expected_refill, "no refill seen after two deliveries"),
    (doubtful, "may ask again in 14 d 0 h: service no longer knows the order; next look in 1:00:00"),
    (unsubscribed, "next look in 6:00:00: slot not subscribed"),
)


def test_an_order_and_when_time_alone_goes_on():
    cases(check_line, _CASES_OF_ORDERS)


def test_a_block_that_may_be_probed_waits_behind_the_gates():
    slot, device = waiting_block()
    expected = "ordering is on hold; may ask again now: service says an order is in progress; next look now"
    assert in_words(slot, device, START + DAY) == expected


def test_every_state_and_every_word_of_the_gate_is_among_the_cases():
    states, words = set(), set()
    for build, _ in _CASES_OF_NEED + _CASES_OF_ORDERS:
        slot, device = build()
        states.add(slot.order.names()[0])
        words.add(policy.order_wait(slot, device, START))
    letters = 0
    while letters < 11:
        order = Order()
        order.state = letters
        assert order.names()[0] in states, order.names()
        letters += 1
    for word in (policy.NEED, policy.SPREAD, policy.BACKOFF, policy.NOT_SUBSCRIBED, policy.ASK_SUBSCRIPTION, policy.BY_STATE):
        assert word in words, word
    shared = "on order for a slot that shares the stock"
    for word in (shared, "ordering is on hold", "not linked to an account", "not sure what time it is"):
        assert word in words, word
    assert len(words) == 13  # with "", None and the sensor's fault


def test_without_a_time_there_is_no_call():
    assert in_words(low_slot(), new_device(), 0) == "no call: the time is not known"


def test_who_needs_nothing_waits_for_nothing():
    slot = new_slot()
    slot.measure(9, START)
    assert of_slot(slot, new_device(), START) == []
    assert told_pairs(slot, new_device(), START, None) == [("reason", None)]


# Words and data


def check_span(seconds, expected):
    assert as_span(seconds) == expected, as_span(seconds)


def test_a_span_is_told_as_a_person_counts():
    table = (0, "0:00"), (9, "0:09"), (3599, "59:59"), (3600, "1:00:00"), (172799, "47:59:59"), (172800, "2 d 0 h"), (-5, "0:00")
    cases(check_span, table)


def test_what_is_due_is_now_and_a_confirmation_ends_at_its_end():
    assert told("first call|cold start", 0, START, START) == "first call now: cold start"
    assert told("low", START - 600, START, START + 5) == "low 10:00 of 10:00"


def test_the_event_has_a_number_for_each_wait_from_the_second_on():
    slot, device = fresh_need()
    assert told_pairs(slot, device, START, policy.NEED) == [
        ("reason", "confirming the need"),
        ("what", "low"),
        ("since", "2027-01-15T07:56:48Z"),
        ("until", "2027-01-15T08:06:48Z"),
        ("what2", "first call|cold start"),
        ("until2", "2027-01-15T08:07:41Z"),
    ]
