"""Decisions: what time brings and when, what may be called now, and why a slot waits."""

from replenish.core import news, policy, reports

from host_tests.expect import cases
from host_tests.fakes.chance import Random
from host_tests.fakes.slot_states import DAY, HOUR, START, blocked, low_slot, new_device, new_slot, ordered, state

NEVER = 0xFFFFFFFF
REPLENISH, ORDER_INFO, SUBSCRIPTION_INFO, STATUS = 1, 2, 3, 4  # kinds of call
UNKNOWN, PENDING, PLACED, SHIPPED, DELIVERED, CANCELLED = 2, 12, 13, 14, 15, 16  # events, as they are folded into the callers
SEEN_REFILL, ALIVE = 4, 16  # flags, as stored


# What time alone brings


def check_due(slot, now, expected):
    """Nothing a second before, and `due_at` says when."""
    before = state(slot)
    assert not policy.advance(slot, now - 1), (before, state(slot))
    assert policy.due_at(slot, now - 1) <= now
    assert policy.advance(slot, now)
    assert slot.order.names() == expected, slot.order.names()


def unknown():
    slot = low_slot()
    slot.order.intend(START, True)
    slot.order.fail(UNKNOWN, START + 20, START + 60)
    return slot


def overdue():
    slot = ordered()
    slot.order.next_poll = START + HOUR + 5 * HOUR  # the poll at the grace's end said nothing
    return slot


def unpolled():
    return ordered()


def shipped():
    slot = ordered()
    slot.order.status(SHIPPED, START, START + 3 * DAY)
    return slot


def missing():
    slot = ordered()
    slot.order.status(PLACED, START, 0)
    news.learn(slot, NEVER, START + DAY, START + DAY, 0)
    return slot


def at_home():
    slot = ordered()
    news.learn(slot, DELIVERED, START, START, 0)
    slot.measure(2, START)
    assert policy.advance(slot, START) and slot.order.next_try == START + 14 * DAY, "durable"
    return slot


def in_doubt():
    slot = low_slot()
    slot.order.intend(START, True)
    slot.order.accept(START, "", 0)
    return slot


def cancelled():
    slot = ordered()
    news.learn(slot, CANCELLED, START, START, 0)
    return slot


def refused():
    slot = low_slot()
    slot.order.intend(START, True)
    slot.order.refuse(START, START + DAY, 400)
    return slot


def stocked():
    slot = new_slot()
    slot.order.on_hand = 5
    slot.measure(2, START)
    return slot


def limited():
    slot = low_slot()
    for _ in range(4):
        slot.order.count_order(START)
    slot.order.intend(START, True)
    slot.order.limit(START, slot.order.fuse_free_at(START, 4))
    return slot


def test_each_thing_that_time_brings_has_its_second():
    table = [
        (unknown(), START + DAY, ("in_doubt", "outcome unknown for too long")),
        (overdue(), START + HOUR, ("awaiting_customer", "customer must resolve the order")),
        (unpolled(), START + 2 * HOUR, ("awaiting_customer", "customer must resolve the order")),
        (shipped(), START + 3 * DAY + 1, ("awaiting_refill", "delivered, waiting for the refill")),
        (missing(), START + 4 * DAY, ("in_doubt", "service no longer knows the order")),
        (at_home(), START + 14 * DAY, ("idle", "hold over")),
        (in_doubt(), START + 14 * DAY, ("idle", "hold over")),
        (cancelled(), START + 5 * DAY, ("idle", "hold over")),
        (refused(), START + DAY, ("idle", "hold over")),
        (stocked(), START + 600, ("awaiting_refill", "delivered, waiting for the refill")),
        (limited(), limited().order.next_try, ("idle", "hold over")),
    ]
    for row in table:
        row[0].level.value = min(row[0].level.value, 2)
    cases(check_due, [row for row in table if row[1] != START + HOUR])
    slot = overdue()
    slot.order.next_poll = START + HOUR
    assert not policy.advance(slot, START + HOUR), "the poll comes first"
    slot.order.next_poll = START + 7 * HOUR
    assert policy.advance(slot, START + HOUR) and state(slot) == "awaiting_customer"


def test_a_pack_that_came_early_is_waited_for_from_when_there_is_room():
    slot = ordered()
    slot.measure(8, START)
    news.learn(slot, DELIVERED, START + DAY, START + DAY, 0)
    for day in range(1, 21):
        assert not policy.advance(slot, START + day * DAY) and not slot.order.next_try
    slot.measure(2, START + 20 * DAY)
    assert not policy.advance(slot, START + 20 * DAY + 599) and policy.advance(slot, START + 20 * DAY + 600)
    assert slot.order.next_try == START + 34 * DAY + 600
    assert not policy.advance(slot, START + 34 * DAY + 599) and policy.advance(slot, START + 34 * DAY + 600)
    assert slot.order.names() == ("idle", "hold over")


def slow(per_day):
    """Low since START, 20 used up `per_day`, a pack of 100 at home, and 14 days over."""
    slot = new_slot(capacity=100, reorder_at=20, pack=100, lead_days=7)
    now = START - 40 * DAY
    while now <= START + 14 * DAY + 2 * HOUR:
        slot.measure(max(0.0, 20 - per_day * (now - START) / DAY), now)
        if now == START - DAY:
            slot.order.intend(now, True)
            slot.order.accept(now, "id-1", now)
            news.learn(slot, DELIVERED, now, now, 0)
        policy.advance(slot, now)
        now += HOUR
    return slot, now


def test_who_loads_when_the_slot_is_empty_gets_no_pack_more():
    slot, now = slow(0.5)
    assert state(slot) == "awaiting_refill" and slot.level.value > 12
    order = slot.order
    assert START + 35 * DAY < order.next_try < START + 45 * DAY, "when it is empty"
    now = order.next_try + 1
    slot.level.last_use = now - 6 * DAY
    assert policy.advance(slot, now) and state(slot) == "awaiting_refill", "less was used than was expected"
    slot.level.last_use = START + 56 * DAY
    assert policy.advance(slot, START + 57 * DAY) and order.names() == ("idle", "hold over"), "four times 14 days are enough"
    slot, now = slow(0.5)
    slot.order.next_try = now
    slot.level.last_use = now - 8 * DAY
    assert policy.advance(slot, now) and slot.order.names() == ("idle", "hold over"), "it is not in use"
    slot, now = slow(1.5)
    assert slot.order.names() == ("idle", "hold over"), "it is empty, and the pack is not loaded"


def test_a_rest_that_is_too_little_is_not_waited_for():
    slot = stocked()
    policy.advance(slot, START + 600)
    assert state(slot) == "awaiting_refill"
    slot.order.on_hand = 0.5
    slot.review(START + HOUR)
    assert not policy.advance(slot, START + HOUR + 599)
    assert policy.advance(slot, START + HOUR + 600) and slot.order.names() == ("idle", "hold over")
    pack = at_home()
    pack.order.on_hand = 0.5
    pack.review(START + HOUR)
    assert not policy.advance(pack, START + 2 * HOUR), "law 4: a delivered pack is"


def test_an_intent_whose_need_went_away_is_withdrawn():
    slot = low_slot()
    slot.order.intend(START, True)
    assert not policy.advance(slot, START)
    slot.measure(9, START + 60)
    assert policy.advance(slot, START + 60) and state(slot) == "idle"
    slot = unknown()
    slot.measure(9, START + 60)
    assert not policy.advance(slot, START + 60), "it may have acted"


def test_a_probe_goes_on_though_the_need_went_away():
    slot = blocked()
    slot.order.intend(START + 20 * DAY, True)
    slot.measure(9, START + 20 * DAY)
    assert not policy.advance(slot, START + 20 * DAY) and state(slot) == "asking"


def test_a_second_cancellation_waits_for_a_full_slot():
    slot = ordered()
    slot.order.cancels = 1
    news.learn(slot, CANCELLED, START, START, 0)
    assert slot.order.names()[1] == "cancelled twice, waiting for a full refill"
    for value in (8.9, 2):
        slot.measure(value, START + DAY)
        assert not policy.advance(slot, START + 300 * DAY)
    assert policy.due_at(slot, START + 301 * DAY) == NEVER
    slot.measure(9, START + 302 * DAY)
    assert policy.advance(slot, START + 302 * DAY) and state(slot) == "idle"


def test_a_pack_at_home_holds_while_the_slot_is_full_enough():
    slot = at_home()
    slot.measure(5, START + DAY)
    assert not policy.advance(slot, START + 100 * DAY)
    slot.measure(2, START + 100 * DAY)
    assert not policy.advance(slot, START + 100 * DAY + 599), "low counts when it has lasted"
    assert policy.due_at(slot, START + 100 * DAY) == START + 100 * DAY + 600
    assert policy.advance(slot, START + 100 * DAY + 600)


def asked(slot, random, now):
    """A random answer to a replenish call."""
    order = slot.order
    order.intend(now, True)
    answer = random.below(8)
    if answer < 3:
        order.accept(now, "id-1" if answer else "", now + HOUR)
    elif answer < 5:
        order.block(now, "id-9" if answer == 3 else "", now + 6 * HOUR)
    elif answer == 5:
        order.refuse(now, now + DAY, 404)
    else:
        order.fail(answer - 5, now, now + 30 + random.below(6 * HOUR))


def something(slot, random, now):
    """Something happens to a slot that time alone does not bring."""
    order = slot.order
    what = random.below(8)
    if what == 0:
        slot.measure(random.below(11), now)
    elif what == 1:
        slot.refill_by_person(None, now)
    elif what == 2:
        slot.stock_by_person(random.below(12), now)
    elif what == 3:
        order.subscription(now, random.below(4) > 0)
    elif what == 4 and order.allows(0):
        asked(slot, random, now)
    elif policy.polled(order):
        event = (0, NEVER, NEVER, PENDING, PLACED, SHIPPED, DELIVERED, CANCELLED)[random.below(8)]
        order.next_poll = news.next_poll(order, slot.rules, now)
        news.learn(slot, event, now, now, (0, now + random.below(5) * DAY)[random.below(2)])


def check_walk(seed):
    """Live through random news. From each moment, jump to just before `due_at`: nothing may change in between."""
    random = Random(seed)
    slot = new_slot({"confirm_s": (0, 600, 5000)[seed % 3]}, pack=(None, 4, 25)[seed % 3])
    now = START
    seen = set()
    for _ in range(150):
        something(slot, random, now)
        policy.advance(slot, now)
        seen.add(state(slot))
        due = policy.due_at(slot, now)
        assert due > now
        if due == NEVER:
            assert not policy.advance(slot, now + 1000 * DAY), (seed, state(slot), slot.order.names())
            now += random.below(20) * DAY
        else:
            assert not policy.advance(slot, due - 1), (seed, state(slot), due - now)
            now = (due, now + random.below(65000))[random.below(2)]
        policy.advance(slot, now)
    return seen


def test_nothing_changes_before_it_is_due():
    seen = set()
    for seed in range(1, 61):
        seen.update(check_walk(seed * 541))
    assert len(seen) == 11, seen


# What may be called


def check_wait(prepare, expected):
    slot, device, now = low_slot(), new_device(), START
    prepare(slot, device)
    assert policy.order_wait(slot, device, now) == expected


def test_every_reason_why_a_low_slot_waits():
    def setting(thing, name, value):
        return lambda slot, device: setattr(
            {"slot": slot, "order": slot.order, "device": device, "level": slot.level}[thing], name, value
        )

    cases(
        check_wait,
        [
            (lambda slot, device: None, ""),
            (lambda slot, device: slot.measure(4, START), None),
            (setting("level", "low_since", START - 599), "confirming the need"),
            (setting("level", "low_since", START - 600), ""),
            (setting("slot", "sensor_fault", "sensor_silent"), "sensor_silent"),
            (setting("device", "held", 1), "ordering is on hold"),
            (setting("device", "linked", False), "not linked to an account"),
            (setting("order", "subscribed", 2), "slot not subscribed"),
            (setting("device", "first_call_at", START + 1), "spreading first calls after a cold start"),
            (setting("device", "first_call_at", START), ""),
            (setting("device", "next_try", START + 1), policy.BACKOFF),
            (setting("device", "next_try", START), ""),
            (setting("order", "subscribed", 0), policy.ASK_SUBSCRIPTION),
            (setting("device", "subscriptions_at", START - DAY), policy.ASK_SUBSCRIPTION),
            (setting("device", "subscriptions_at", START - DAY + 1), ""),
        ],
    )


def test_only_idle_asking_and_blocked_ever_ask():
    for number in range(11):
        slot = low_slot()
        slot.order.state = number
        slot.order.sign_at = slot.order.asked_at = START - 100 * DAY
        wait = policy.order_wait(slot, new_device(), START)
        assert wait == ("" if state(slot) in ("idle", "asking", "blocked") else policy.BY_STATE), state(slot)


def test_an_intent_of_unknown_outcome_waits_for_a_clock():
    slot = new_slot()
    slot.measure(2, START)
    slot.order.intend(START + 600, True)
    slot.order.fail(UNKNOWN, START + 600, START + 660)
    device = new_device()
    device.time_sure = False
    assert policy.order_wait(slot, device, START + 700) == "not sure what time it is"
    slot.order.unknown_at = 0
    assert policy.order_wait(slot, device, START + 700) == policy.ASK_SUBSCRIPTION


def test_an_intent_is_repeated_at_its_time():
    slot = low_slot()
    slot.order.intend(START, True)
    slot.order.fail(UNKNOWN, START, START + 60)
    assert policy.order_wait(slot, new_device(), START + 59) == policy.BACKOFF
    assert policy.order_wait(slot, new_device(), START + 60) == ""
    assert policy.due_at(slot, START) == START + 60


def probe_after(slot, now):
    """Days after `now` when the block may be asked about, None: not within a year."""
    for days in range(366):
        if policy.order_wait(slot, new_device(now + days * DAY), now + days * DAY) == "":
            return days
    return None


def test_a_probe_waits_for_the_last_sign_of_life():
    slot = blocked()
    assert probe_after(slot, START) is None, "the order answers"
    news.learn(slot, NEVER, START + DAY, START + DAY, 0)
    assert probe_after(slot, START) == 14
    news.learn(slot, PENDING, START + 2 * DAY, START + 2 * DAY, 0)
    assert probe_after(slot, START) is None
    news.learn(slot, NEVER, START + 3 * DAY, START + 3 * DAY, 0)
    assert probe_after(slot, START) == 16
    slot.order.progress_id = ""
    slot.order.flags |= ALIVE
    assert probe_after(slot, START) == 16, "no id to ask for"


def test_an_answer_of_an_unknown_status_is_an_answer():
    slot = blocked()
    news.learn(slot, NEVER, START + DAY, START + DAY, 0)
    news.learn(slot, 0, START + 2 * DAY, START + 2 * DAY, 0)
    assert probe_after(slot, START) is None and slot.order.missing_since == 0
    assert state(slot) == "blocked"


def test_after_a_refill_a_probe_waits_for_its_interval_only():
    slot = blocked()
    news.learn(slot, NEVER, START, START, 0)
    slot.refill_by_person(None, START)
    slot.measure(2, START)
    slot.level.low_since = START - DAY
    assert probe_after(slot, START) == 1
    slot = blocked({"probe_interval_s": 5 * DAY})
    news.learn(slot, NEVER, START, START, 0)
    slot.refill_by_person(None, START)
    slot.measure(2, START)
    slot.level.low_since = START - DAY
    assert probe_after(slot, START) == 5


def test_a_probe_that_the_fuse_refused_waits_for_room():
    slot = blocked()
    news.learn(slot, NEVER, START, START, 0)
    slot.order.flags |= SEEN_REFILL
    assert policy.order_wait(slot, new_device(START + 2 * DAY), START + 2 * DAY) == ""
    slot.order.limit(START + 2 * DAY, START + 9 * DAY)
    assert probe_after(slot, START) == 9
    assert policy.due_at(slot, START + 2 * DAY) == START + 9 * DAY


def names(call):
    return call and (call[0], call[1] and call[1].id)


def test_nothing_is_called_without_time_link_or_leave():
    slot, device = low_slot(), new_device()
    assert names(policy.next_call([slot], device, START)) == (REPLENISH, "A")
    assert policy.next_call([slot], device, 0) is None
    for name, value in (("linked", False), ("first_call_at", START + 1), ("next_try", START + 1)):
        device = new_device()
        setattr(device, name, value)
        assert policy.next_call([slot], device, START) is None, name


def test_what_may_end_a_need_comes_before_what_reports():
    low, polled, unasked = low_slot(), ordered(id="B"), low_slot(id="C")
    slots = [polled, unasked, low]
    unasked.order.subscribed = 0
    device = new_device()
    now = START + DAY
    device.subscriptions_at = now
    order = [names(policy.next_call(slots, device, now))]
    low.order.intend(now, True)
    low.order.accept(now, "id-2", now + HOUR)
    order.append(names(policy.next_call(slots, device, now)))
    polled.order.next_poll = now + HOUR
    order.append(names(policy.next_call(slots, device, now)))
    unasked.order.subscribed = 1
    unasked.order.intend(now, True)
    unasked.order.accept(now, "id-3", now + HOUR)
    order.append(names(policy.next_call(slots, device, now)))
    device.reported_day += 1
    order.append(names(policy.next_call(slots, device, now)))
    assert order == [(REPLENISH, "A"), (ORDER_INFO, "B"), (SUBSCRIPTION_INFO, None), (STATUS, None), None]


def test_a_held_device_still_asks_and_reports():
    device = new_device()
    device.held = 1
    slot = ordered()
    assert names(policy.next_call([slot], device, START + HOUR)) == (ORDER_INFO, "A")
    device.reported_day -= 1
    slot.order.next_poll = START + DAY
    assert names(policy.next_call([slot, low_slot()], device, START)) == (STATUS, None)


def test_an_unsubscribed_slot_asks_again_at_least_daily():
    for interval_s, expected_s in ((HOUR, HOUR), (30 * DAY, DAY)):
        slot = new_slot({"poll_interval_s": interval_s})
        slot.order.subscription(START, False)
        device = new_device()
        device.reported_day += 1
        assert policy.next_call([slot], device, START + expected_s - 1) is None
        assert names(policy.next_call([slot], device, START + expected_s)) == (SUBSCRIPTION_INFO, None)
        assert policy.call_at([slot], device, START) == min(START + expected_s, device.next_report())


def test_a_daily_report_is_the_device_then_each_slot_then_the_subscriptions():
    slots = [new_slot(id=name) for name in "ABC"]
    slots[0].measure(9, START)
    slots[2].measure(9, START)
    device = new_device()
    device.subscriptions_at = START - DAY
    device.reported_day -= 1
    made = []
    while not reports.end_report(slots, device, START):
        made.append(names(policy.next_call(slots, device, START)))
        if made[-1][0] == STATUS:
            (policy.next_call(slots, device, START)[1] or device).status_sent = True
        else:
            device.subscriptions_at = START
    assert made == [(STATUS, None), (STATUS, "A"), (STATUS, "C"), (SUBSCRIPTION_INFO, None)], "B has no level to report"
    assert policy.next_call(slots, device, START) is None
    assert not device.status_sent and not slots[0].status_sent
    due = policy.call_at(slots, device, START)
    assert device.reporting_day(due) == device.reporting_day(START) + 1
    assert policy.next_call(slots, device, due - 1) is None
    assert names(policy.next_call(slots, device, due)) == (STATUS, None)


def test_no_call_is_due_without_a_link():
    device = new_device()
    device.linked = False
    assert policy.call_at([new_slot()], device, START) == NEVER


def test_polls_come_by_interval_at_the_graces_end_and_at_the_deadline():
    slot = ordered({"poll_interval_s": 6 * HOUR, "resolution_grace_s": 8 * HOUR})
    order, rules = slot.order, slot.rules
    assert news.next_poll(order, rules, START) == START + 6 * HOUR
    assert news.next_poll(order, rules, START + 6 * HOUR) == START + 8 * HOUR
    assert news.next_poll(order, rules, START + 8 * HOUR) == START + 14 * HOUR
    policy.advance(slot, START + 30 * HOUR)
    assert state(slot) == "awaiting_customer"
    assert news.next_poll(order, rules, START + 70 * HOUR) == START + 72 * HOUR
    assert news.next_poll(order, rules, START + 72 * HOUR) == START + 78 * HOUR
    order.status(PLACED, START + 80 * HOUR, 0)
    assert news.next_poll(order, rules, START + 80 * HOUR) == START + 86 * HOUR


# News


def test_news_that_the_state_does_not_allow_changes_nothing():
    slot = low_slot()
    for event in (PENDING, PLACED, SHIPPED, DELIVERED, CANCELLED):
        news.learn(slot, event, START, START, START)
        assert state(slot) == "idle" and slot.order.on_hand == 0


def test_the_news_that_an_id_is_missing_keeps_its_first_date():
    slot = ordered()
    for hour in range(3):
        news.learn(slot, NEVER, START + hour * HOUR, START, 0)
    assert slot.order.missing_since == START and not slot.order.flags & ALIVE
    news.learn(slot, PENDING, START + 4 * HOUR, START, 0)
    assert slot.order.missing_since == 0 and slot.order.flags & ALIVE


def test_a_cancellation_takes_back_what_was_thought_to_be_at_home():
    for pack, level in ((None, 10), (4, 4)):
        slot = ordered(pack=pack)
        news.learn(slot, DELIVERED, START, START, 0)
        assert slot.order.on_hand == level and not slot.level.low_since
        news.learn(slot, CANCELLED, START + DAY, START + DAY, 0)
        assert slot.order.on_hand == 0 and slot.level.low_since == START + DAY


def test_a_slot_that_counts_by_delivery_is_full_with_it():
    slot = ordered(refill="on_delivery", pack=None, sensor=None)
    news.learn(slot, DELIVERED, START, START, 0)
    assert state(slot) == "idle" and slot.level.value == 10 and slot.order.on_hand == 0
    slot = ordered(refill="on_delivery", pack=20, sensor=None)
    news.learn(slot, DELIVERED, START, START, 0)
    assert state(slot) == "idle" and slot.level.value == 10 and slot.order.on_hand == 12


def test_what_slot_status_is_told_of_the_end():
    slot = new_slot(capacity=100)
    slot.measure(100, START)
    assert reports.runs_out(slot, START) == START + 365 * DAY, "unknown"
    for hour in range(241):
        slot.measure(100 - 5 * hour / 24, START + hour * HOUR)
    days = (reports.runs_out(slot, START + 10 * DAY) - START) / DAY
    assert 19 < days < 21
    assert reports.runs_out(slot, START + 30 * DAY) < START + 46 * DAY, "an absence"
    assert reports.runs_out(slot, START + 9000 * DAY) == START + (9000 + 3650) * DAY, "at most ten years"
