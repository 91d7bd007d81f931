"""What each event does to an order, beside its state; the table itself is read by tools/test_order_table.py."""

from replenish.core.order import Order

from host_tests.expect import cases, raises
from host_tests.fakes.chance import Random

DAY = 86400
START = 1800000000
INTENT, NOT_ACTED, UNKNOWN = 0, 1, 2  # events by number, as they are folded into the callers
STALE, PENDING, PLACED, SHIPPED, DELIVERED, CANCELLED, LOST = 9, 12, 13, 14, 15, 16, 17
IN_FLIGHT, SEEN_REFILL, ALIVE, PROBING, DOUBTED = 1, 4, 16, 32, 128  # flags, as stored


def state(order):
    return order.names()[0]


def asking(now=START):
    order = Order()
    order.intend(now, True)
    return order


def accepted(event_id="id-1", now=START):
    order = asking(now)
    order.accept(now + 5, event_id, now + 3600)
    return order


def blocked(event_id="id-9", now=START):
    order = asking(now)
    order.block(now + 5, event_id, now + 3600)
    return order


def shown(order):
    """All that is kept of an order."""
    kept = {}
    for name in dir(order):
        value = getattr(order, name)
        if name[0] != "_" and not callable(value):
            kept[name] = bytes(value) if isinstance(value, bytearray) else value
    return kept


# Asking


def test_an_intent_is_a_decision_with_its_reason_and_date():
    for is_low, reason in ((True, "level low"), (False, "runs out within lead time")):
        order = Order()
        order.intend(START, is_low)
        assert order.names() == ("asking", reason)
        assert order.asked_at == order.since == START and order.flags == IN_FLIGHT


def test_an_intent_forgets_the_ids_of_orders_that_ended():
    order = accepted()
    order.progress_id = "id-0"
    order.deliver(START + DAY, 10, 10)
    order.refill(START + 2 * DAY, 10, 10)
    assert order.own_id == "id-1", "until then it is shown"
    order.intend(START + 3 * DAY, True)
    assert order.own_id == order.progress_id == order.held_id() == "", "news of them would be taken for this order's"


def test_an_intent_keeps_the_id_of_an_order_whose_end_was_never_seen():
    order = accepted()
    order.doubt(LOST, START + DAY, 18)
    order.release(START + 2 * DAY)
    order.intend(START + 3 * DAY, True)
    assert order.own_id == "id-1" and order.flags & DOUBTED
    order.accept(START + 3 * DAY, "id-2", 0)
    assert order.own_id == "id-2" and not order.flags & DOUBTED


def test_not_acted_redates_and_unknown_keeps_the_oldest_date():
    order = asking()
    order.fail(NOT_ACTED, START + 5, START + 35)
    assert order.names() == ("asking", "service not reached, will retry")
    assert (order.unknown_at, order.attempts, order.next_try, order.flags) == (0, 1, START + 35, 0)
    order.intend(START + 35, True)
    order.fail(UNKNOWN, START + 40, START + 100)
    assert order.names() == ("asking", "outcome unknown, will ask again") and order.unknown_at == START + 35
    order.intend(START + 100, True)
    order.fail(UNKNOWN, START + 105, START + 300)
    order.intend(START + 300, True)
    order.fail(NOT_ACTED, START + 305, START + 600)
    assert order.unknown_at == START + 35 and order.attempts == 4


def test_an_acceptance_starts_the_order_afresh():
    order = asking()
    order.fail(UNKNOWN, START + 5, START + 35)
    order.drawn = 3.0
    order.missing_since = order.delivery_at = START
    order.intend(START + 60, True)
    order.accept(START + 65, "id-1", START + 3660)
    assert order.names() == ("accepted", "order accepted") and order.held_id() == "id-1"
    assert order.accepted_at == START + 60, "the customer's 72 hours began no earlier than the request"
    assert (order.next_poll, order.flags) == (START + 3660, ALIVE)
    assert not (order.unknown_at or order.attempts or order.next_try or order.missing_since or order.delivery_at or order.drawn)


def test_an_acceptance_without_a_usable_id_is_in_doubt():
    order = asking()
    order.accept(START + 5, "", START + 3600)
    assert order.names() == ("in_doubt", "accepted without a usable id") and order.held_id() == ""
    assert order.fuse_free_at(START, 1), "it counts"


def test_in_progress_keeps_the_two_ids_apart():
    order = accepted()
    order.doubt(LOST, START + DAY, 18)
    order.release(START + 2 * DAY)
    order.intend(START + 3 * DAY, True)
    order.block(START + 3 * DAY + 5, "id-9", START + 4 * DAY)
    assert order.names() == ("blocked", "service says an order is in progress")
    assert (order.own_id, order.progress_id, order.held_id()) == ("id-1", "id-9", "id-9")
    assert order.sign_at == START + 3 * DAY + 5
    order.status(PENDING, START + 4 * DAY, 0)
    assert state(order) == "blocked"
    assert blocked("").held_id() == ""


def test_in_progress_after_a_lost_answer_counts_as_an_order_of_ours():
    assert blocked().fuse_free_at(START, 1) == 0
    order = asking()
    order.fail(UNKNOWN, START + 5, START + 35)
    order.intend(START + 35, True)
    order.block(START + 40, "id-9", 0)
    assert order.fuse_free_at(START + 40, 1)


def check_definite_no(say, before, after):
    order = asking()
    say(order)
    assert order.names() == before
    assert not order.flags & (IN_FLIGHT | PROBING)
    order = asking()
    order.fail(UNKNOWN, START + 5, START + 35)
    order.intend(START + 35, True)
    say(order)
    assert order.names() == after, "a definite no says nothing of an earlier attempt"
    assert order.flags == DOUBTED and order.unknown_at == START


def test_a_definite_no_after_an_unknown_outcome_is_a_doubt():
    doubt = ("in_doubt", "outcome unknown for too long")
    table = [
        (lambda order: order.refuse(START + 40, START + DAY, 400), ("held", "service refused the request (400)"), doubt),
        (lambda order: order.refuse(START + 40, START + DAY, 403), ("held", "service refused the request (400)"), doubt),
        (lambda order: order.refuse(START + 40, START + DAY, 404), ("held", "service does not know the slot (404)"), doubt),
        (lambda order: order.limit(START + 40, START + DAY), ("held", "order limit reached"), doubt),
        (lambda order: order.subscription(START + 40, False), ("unsubscribed", "slot not subscribed"), doubt),
    ]
    cases(check_definite_no, table)


def test_a_refusal_holds_until_its_time():
    order = asking()
    order.refuse(START + 5, START + DAY, 404)
    assert order.next_try == START + DAY
    order.release(START + DAY)
    assert order.names() == ("idle", "hold over") and order.next_try == 0


# A notice that is the answer


def asked_twice():
    """The outcome of the first attempt is unknown, and of the second, an hour later, too."""
    order = asking()
    order.fail(UNKNOWN, START + 5, START + 3600)
    order.intend(START + 3600, True)
    order.fail(UNKNOWN, START + 3605, START + 9000)
    return order


def check_adoption(order, counted, accepted_at):
    order.drawn = 3.0
    order.adopt(START + 2 * DAY, "id-5", START + DAY, START + 3 * DAY)
    assert order.held_id() == order.own_id == "id-5" and order.progress_id == ""
    assert order.accepted_at == accepted_at and order.flags == ALIVE
    assert (order.fuse_free_at(START + 2 * DAY, 1) > 0, order.fuse_free_at(START + 2 * DAY, 2)) == (True, 0), "counted once"
    assert counted or order.next_poll == START + 3 * DAY


def test_the_answer_by_notice_is_an_acceptance_of_the_oldest_attempt():
    doubtful = asked_twice()
    doubtful.doubt(STALE, START + DAY, 16)
    assert doubtful.asked_at == START + 3600, "a notice that answers it is no older than the latest attempt"
    no_id = asking()
    no_id.accept(START + 5, "", START + 3600)
    damaged = Order()
    damaged.damaged(START)
    cases(
        check_adoption,
        [(asking(), 0, START), (asked_twice(), 0, START), (doubtful, 0, START), (no_id, 1, START), (damaged, 0, START + DAY)],
    )
    assert state(doubtful) == "in_doubt", "the news itself ends the doubt"


def test_an_order_of_ours_that_is_in_progress_is_as_old_as_the_lost_attempt():
    order = asked_twice()
    order.intend(START + 9000, True)
    order.block(START + 9005, "id-9", 0)
    assert order.accepted_at == START and order.asked_at == START + 9000
    assert blocked().accepted_at == START


# A block and its probe


def probing(flags=0):
    order = blocked()
    order.flags |= flags
    order.intend(START + 20 * DAY, True)
    return order


def test_a_probe_is_an_order_call_that_says_so():
    order = probing()
    assert order.names() == ("asking", "asked whether the block ended") and order.flags & PROBING
    order.accept(START + 20 * DAY, "id-10", 0)
    assert state(order) == "accepted" and order.progress_id == "" and order.flags == ALIVE


def twice_doubted():
    """An order of ours was lost sight of; in the doubt's end a second call went out."""
    order = accepted("id-1")
    order.doubt(LOST, START + DAY, 18)
    order.release(START + 20 * DAY)
    order.intend(START + 21 * DAY, True)
    return order


def test_an_order_that_came_out_of_a_block_is_followed_by_its_own_id():
    for event in (PLACED, SHIPPED):
        order = twice_doubted()
        order.block(START + 21 * DAY, "id-2", 0)
        order.status(event, START + 22 * DAY, 0)
        assert order.own_id == "id-1" and order.held_id() == "id-2", "the end of the older one would be taken for this one's"


def test_in_doubt_about_a_call_without_an_answer_no_older_order_is_asked_for():
    order = twice_doubted()
    order.fail(UNKNOWN, START + 21 * DAY, 0)
    order.doubt(STALE, START + 23 * DAY, 16)
    assert state(order) == "in_doubt" and order.own_id == "id-1" and order.held_id() == ""
    order = accepted("id-1")
    order.doubt(LOST, START + DAY, 18)
    assert order.held_id() == "id-1", "this doubt is about that order"


def test_a_refill_from_before_a_lost_probe_says_nothing_of_what_the_probe_ordered():
    for event, kept in ((NOT_ACTED, SEEN_REFILL), (UNKNOWN, 0)):
        order = blocked()
        order.refill(START + DAY, 8, None)
        order.intend(START + 2 * DAY, True)
        order.fail(event, START + 2 * DAY, 0)
        order.intend(START + 3 * DAY, True)
        order.block(START + 3 * DAY, "id-10", 0)
        assert order.flags & SEEN_REFILL == kept
        order.deliver(START + 9 * DAY, None, 10)
        assert state(order) == ("idle" if kept else "awaiting_refill")


def test_a_refill_since_the_block_began_is_not_forgotten_by_a_probe():
    for seen in (0, SEEN_REFILL):
        order = probing(seen)
        order.block(START + 20 * DAY, "id-9", 0)
        assert order.flags == ALIVE | seen and order.sign_at == START + 20 * DAY
    order = asking()
    order.flags |= SEEN_REFILL
    order.block(START, "id-9", 0)
    assert order.flags == ALIVE, "one before the block began says nothing"


def test_a_block_that_the_fuse_keeps_from_probing_stays_a_block():
    order = blocked()
    order.limit(START + 20 * DAY, START + 30 * DAY)
    assert order.names() == ("blocked", "service says an order is in progress")
    assert order.next_try == START + 30 * DAY, "it may probe when the window has room"


# The order's life


def test_a_status_is_a_sign_of_life_that_never_leads_back():
    order = accepted()
    order.flags = 0
    order.missing_since = START
    for event, name, reason, delivery_at in (
        (PENDING, "accepted", "order accepted", 0),
        (PLACED, "placed", "order placed", START + 9 * DAY),
        (SHIPPED, "shipped", "on its way", 0),
        (PLACED, "shipped", "on its way", 0),
        (PENDING, "shipped", "on its way", 0),
    ):
        order.status(event, START + DAY, delivery_at)
        assert order.names() == (name, reason)
        assert order.flags & ALIVE and order.missing_since == 0
    assert order.delivery_at == START + 9 * DAY, "a later status without a date leaves it"


def test_the_newest_news_of_the_delivery_counts_and_of_two_the_later_date():
    news = ((2, 9), (3, 7), (3, 8), (4, 0))  # days: when it is from, the expected delivery
    for first in range(4):
        for second in range(4):
            order = accepted()
            for i in (first, second, 0, 1, 2, 3):
                at, delivery = news[i]
                order.status(SHIPPED, START + 5 * DAY, delivery and START + delivery * DAY, START + at * DAY)
            assert order.delivery_at == START + 8 * DAY, (first, second)


def test_only_news_since_says_that_a_missing_order_is_there():
    order = accepted()
    order.flags = 0
    order.missing_since = START + DAY
    order.status(PLACED, START + 2 * DAY, 0, START + DAY - 1)
    assert state(order) == "placed" and order.missing_since and not order.flags & ALIVE
    order.status(PLACED, START + 2 * DAY, 0, START + DAY)
    assert order.missing_since == 0 and order.flags & ALIVE


def check_delivery(pack, refilled, on_hand, name):
    order = accepted()
    if refilled:
        order.refill(START + DAY, refilled, pack)
        assert state(order) == "accepted" and order.flags & SEEN_REFILL
    order.deliver(START + 2 * DAY, pack, 10)
    assert (order.on_hand, state(order)) == (on_hand, name)


def test_a_delivery_brings_a_pack_less_what_was_loaded_before_its_news():
    table = [
        (None, 0, 10, "awaiting_refill"),  # exactly one refill
        (None, 8, 0, "idle"),
        (20, 0, 20, "awaiting_refill"),
        (20, 8, 12, "idle"),
        (5, 8, 0, "idle"),
    ]
    cases(check_delivery, table)


def check_refill(pack, on_hand, amount, left):
    order = accepted()
    order.deliver(START + DAY, 0, 10)
    order.on_hand = on_hand
    order.cancels = 1
    order.refill(START + 2 * DAY, amount, pack)
    assert order.on_hand == left
    assert order.names() == ("idle", "refilled") and order.cancels == 0


def test_a_refill_takes_from_what_is_at_home():
    cases(check_refill, [(None, 10, 4, 0), (None, 0, 4, 0), (20, 20, 8, 12), (20, 5, 8, 0), (20, 0, 8, 0)])


def test_stock_at_home_is_loaded_before_an_open_orders_pack():
    order = accepted()
    order.on_hand = 7.0
    order.refill(START + DAY, 4, 20)
    order.refill(START + 2 * DAY, 6, 20)
    assert (order.on_hand, order.drawn) == (0, 3)
    order.deliver(START + 3 * DAY, 20, 10)
    assert order.on_hand == 17


def test_a_delivery_ends_every_wait_of_before():
    order = blocked()
    order.limit(START, START + 9 * DAY)
    assert order.next_try
    order.deliver(START + DAY, 20, 10)
    assert order.next_try == 0 and state(order) == "awaiting_refill"


def check_rest(on_hand, elsewhere, left, drawn):
    """20 at a time, of which 10 are loaded."""
    order = accepted()
    order.on_hand = on_hand
    order.refill(START + DAY, 10, 20, elsewhere)
    assert (order.on_hand, order.drawn) == (left, drawn)


def test_a_tenth_of_a_pack_is_no_stock_and_no_draw():
    cases(check_rest, [(13, 0, 3, 0), (12, 0, 0, 0), (8, 0, 0, 0), (7, 0, 0, 3), (9, 4, 0 - 1, 0), (9, 3, 0 - 3, 0), (0, 7, -7, 3)])


def test_a_refill_after_the_extra_order_is_of_the_pack_that_stood_there():
    order = accepted()
    order.deliver(START, 20, 10)
    order.expect(START + 14 * DAY)
    order.intend(START + 14 * DAY, True)
    order.accept(START + 14 * DAY, "id-2", 0)
    order.refill(START + 15 * DAY, 10, 20)
    order.deliver(START + 17 * DAY, 20, 10)
    assert order.on_hand == 20 and state(order) == "idle", "the second pack is there, whole"
    order.intend(START + 40 * DAY, True)
    order.accept(START + 40 * DAY, "id-3", 0)
    order.on_hand = 0.0
    order.refill(START + 41 * DAY, 10, 20)
    assert order.drawn == 10, "once"


def check_refill_ends(prepare, expected):
    order = prepare()
    order.flags |= DOUBTED
    order.refill(START + DAY, 5, 20)
    assert state(order) == expected


def in_doubt():
    order = asking()
    order.doubt(STALE, START, 16)
    return order


def expected_twice():
    order = accepted()
    order.deliver(START, 20, 10)
    order.expect(START)
    order.intend(START, True)
    order.accept(START, "id-2", 0)
    order.deliver(START, 20, 10)
    order.expect(START)
    return order


def refused():
    order = asking()
    order.refuse(START, START + DAY, 400)
    return order


def test_what_a_refill_ends_and_what_it_does_not():
    unsubscribed = Order()
    unsubscribed.subscription(START, False)
    table = [
        (Order, "idle"),
        (asking, "asking"),
        (accepted, "accepted"),
        (blocked, "blocked"),
        (in_doubt, "idle"),
        (expected_twice, "idle"),
        (refused, "held"),
        (lambda: unsubscribed, "unsubscribed"),
    ]
    cases(check_refill_ends, table)


def test_one_order_may_go_out_without_a_refill_and_no_second():
    order = accepted()
    order.deliver(START, 20, 10)
    order.expect(START + 14 * DAY)
    assert order.names() == ("idle", "hold over") and order.on_hand == 0, "what was thought to be at home is not"
    order = expected_twice()
    assert order.names() == ("held", "no refill seen after two deliveries") and order.next_try == 0
    order.refill(START + DAY, 5, 20)
    order.intend(START + 2 * DAY, True)
    order.accept(START + 2 * DAY, "id-3", 0)
    order.deliver(START + 3 * DAY, 20, 10)
    order.expect(START + 20 * DAY)
    assert state(order) == "idle", "a refill gives the extra order back"


# Cancellations


def cancelled(order, after_s, rest_s=5 * DAY):
    order.cancel(START + after_s, START + after_s, 10, rest_s)
    return order.names()


def test_the_first_no_rests_and_the_second_waits():
    order = accepted()
    assert cancelled(order, DAY) == ("held", "cancelled by the customer")
    assert order.next_try == START + 6 * DAY and order.cancels == 1
    order.release(START + 6 * DAY)
    order.intend(START + 6 * DAY, True)
    order.accept(START + 6 * DAY, "id-2", 0)
    assert cancelled(order, 7 * DAY) == ("held", "cancelled twice, waiting for a full refill")
    assert order.next_try == 0 and order.cancels == 2


def test_a_time_out_holds_and_does_not_count():
    order = accepted()
    assert cancelled(order, 3 * DAY - 1)[1] == "cancelled by the customer"
    order = accepted()
    assert cancelled(order, 3 * DAY) == ("held", "not resolved in time, cancelled")
    assert order.cancels == 0 and order.next_try == START + 8 * DAY
    order = accepted()
    order.status(PLACED, START + DAY, 0)
    assert cancelled(order, 30 * DAY)[1] == "cancelled by the customer", "once seen placed, it is no time-out"


def timed_out(cancels=0):
    order = accepted()
    order.cancels = cancels
    assert cancelled(order, 4 * DAY)[1] == "not resolved in time, cancelled"
    return order


def check_late_news(event, at, counts):
    for before, reason in ((0, "cancelled by the customer"), (1, "cancelled twice, waiting for a full refill")):
        order = timed_out(before)
        order.correct(event, at)
        assert order.cancels == before + counts and state(order) == "held"
        assert order.names()[1] == (reason if counts else "not resolved in time, cancelled")
        assert order.next_try == (0 if order.cancels == 2 else START + 9 * DAY)
        order.correct(event, at)
        assert order.cancels == before + counts, "once"


def test_late_news_shows_that_a_time_out_was_the_customers_no():
    late = START + 3 * DAY
    cases(check_late_news, [(event, late, 1) for event in (PLACED, SHIPPED, DELIVERED)])
    cases(check_late_news, [(CANCELLED, late - 1, 1), (CANCELLED, late, 0), (PENDING, late, 0)])


def test_late_news_corrects_nothing_but_a_time_out():
    for order in (refused(), limited(), expected_twice(), once_cancelled()):
        before = shown(order)
        order.correct(PLACED, START)
        assert shown(order) == before
    order = timed_out()
    order.release(START + 9 * DAY)
    order.correct(PLACED, START)
    assert order.cancels == 0, "the hold is over"


def test_no_rest_means_free_at_once():
    order = accepted()
    assert cancelled(order, DAY, 0) == ("idle", "cancelled, free to order again")
    assert order.cancels == 0 and order.next_try == 0


def test_a_cancellation_after_the_delivery_takes_the_pack_back():
    order = accepted()
    order.on_hand = 4.0
    order.deliver(START + DAY, 10, 10)
    assert order.on_hand == 14
    cancelled(order, 2 * DAY)
    assert order.on_hand == 4
    order = accepted()
    order.deliver(START + DAY, 10, 10)
    order.on_hand = 3.0
    cancelled(order, 2 * DAY)
    assert order.on_hand == 0
    order = accepted()
    order.on_hand = 4.0
    cancelled(order, DAY)
    assert order.on_hand == 4, "a pack that never came is not taken back"
    order = accepted()
    order.deliver(START + DAY, 10, 10)
    order.on_hand = 3.0
    order.cancel(START + 2 * DAY, START + 2 * DAY, 10, 5 * DAY, 5.0)
    assert order.on_hand == -5, "what the slots that share the stock brought goes back as well, and no more than there is"


# Holds that a person ends


def check_resume(prepare, ended):
    order = prepare()
    before = order.names()
    assert order.resume(START + DAY) is ended
    assert order.names() == (("idle", "hold over") if ended else before)


def once_cancelled():
    order = accepted()
    cancelled(order, DAY)
    return order


def limited():
    order = asking()
    order.limit(START, START + DAY)
    return order


def test_a_person_ends_every_hold_but_a_cancellations():
    table = [(Order, False), (asking, False), (accepted, False), (blocked, False), (in_doubt, False), (once_cancelled, False)]
    cases(check_resume, table + [(refused, True), (expected_twice, True), (limited, True)])


def test_a_person_who_resumes_meant_the_orders_that_were_counted():
    order = accepted()
    order.deliver(START, 20, 10)
    order.refill(START, 20, 20)
    order.intend(START, True)
    order.limit(START, START + DAY)
    assert order.fuse_free_at(START, 1)
    order.resume(START)
    assert order.fuse_free_at(START, 1) == 0


# Subscription


def test_a_subscription_stops_and_frees_the_slot():
    order = Order()
    assert order.subscription(START, True) and order.subscribed == 1 and state(order) == "idle"
    assert not order.subscription(START, True), "nothing new"
    assert order.subscription(START, False) and order.subscribed == 2
    assert order.names() == ("unsubscribed", "slot not subscribed")
    assert not order.subscription(START, False)
    assert order.subscription(START, True) and order.names() == ("idle", None)


def test_an_open_order_outlives_its_subscription():
    order = accepted()
    assert order.subscription(START, False) and order.subscribed == 2
    assert state(order) == "accepted"


# Illegal events


def calls():
    """Every event as the shell sends it."""
    return (
        ("intend", (START, True)),
        ("fail", (NOT_ACTED, START, START + 5)),
        ("fail", (UNKNOWN, START, START + 5)),
        ("accept", (START, "id-7", START)),
        ("accept", (START, "", START)),
        ("block", (START, "id-8", START)),
        ("refuse", (START, START + 5, 400)),
        ("doubt", (STALE, START, 16)),
        ("doubt", (LOST, START, 18)),
        ("status", (PENDING, START, START)),
        ("status", (PLACED, START, START)),
        ("status", (SHIPPED, START, START)),
        ("deliver", (START, 20, 10)),
        ("cancel", (START, START, 10, DAY)),
        ("expect", (START,)),
        ("release", (START,)),
    )


def check_illegal(number, name, args):
    """In state `number`: the call is carried out, or raises and changes nothing. Returns whether it was carried out."""
    for flags in (0, 255, 64):
        order = Order()
        order.state, order.flags, order.on_hand, order.own_id, order.progress_id = number, flags, 30.0, "id-1", "id-2"
        before = shown(order)
        try:
            getattr(order, name)(*args)
        except ValueError:
            assert shown(order) == before, (number, name, args)
            assert state(order) == before_name(number)
            legal = False
        else:
            legal = True
    return legal


def before_name(number):
    order = Order()
    order.state = number
    return state(order)


def test_an_illegal_event_raises_and_changes_nothing():
    legal = 0
    for number in range(11):
        for name, args in calls():
            legal += check_illegal(number, name, args)
    assert 40 < legal < 100, legal
    raises(ValueError, Order().on, NOT_ACTED, START)


def test_a_refill_is_never_illegal():
    for number in range(11):
        order = Order()
        order.state = number
        order.refill(START, 5, 20)


# Damage


def test_a_damaged_record_may_have_been_anything():
    order = Order()
    order.damaged(START)
    assert order.names() == ("in_doubt", "record damaged") and order.since == START


# The fuse


def history(seed, most, days):
    """When orders are accepted if one is tried at random moments, as often as the fuse allows."""
    random = Random(seed)
    order = Order()
    times = []
    now = START + random.below(DAY)
    while now < START + days * DAY:
        now += 1 + random.below((600, 20000, 65000)[random.below(3)])
        free_at = order.fuse_free_at(now, most)
        if not free_at:
            order.count_order(now)
            times.append(now)
        else:
            assert now < free_at <= now + 31 * DAY
            if random.below(9) == 0:
                now = free_at - 1
                assert order.fuse_free_at(now, most) == free_at, "not a second before"
                now = free_at
                assert order.fuse_free_at(now, most) == 0, "and not a second after"
    return times


def check_window(seed, most):
    times = history(seed, most, 400)
    assert len(times) >= 400 // 31 * min(most, 14)
    for i in range(len(times) - most):
        assert times[i + most] - times[i] > 30 * DAY, "never more than so many in any 30 days"


def test_the_fuse_never_lets_more_through_in_any_30_days():
    cases(check_window, [(seed, most) for seed in range(1, 5) for most in (1, 2, 4, 14, 30)])


def test_a_full_window_frees_within_31_days():
    order = Order()
    for _ in range(3):
        order.count_order(START)
    free_at = order.fuse_free_at(START, 3)
    assert START + 30 * DAY < free_at <= START + 31 * DAY
    assert order.fuse_free_at(free_at - 1, 3) == free_at and order.fuse_free_at(free_at, 3) == 0
    assert order.fuse_free_at(START, 4) == 0, "one more is allowed"


def test_a_day_that_can_count_no_higher_is_full():
    order = Order()
    for _ in range(20):
        order.count_order(START)
    assert order.fuse_free_at(START, 100) > START


def test_a_clock_that_was_set_back_keeps_the_count():
    order = Order()
    order.count_order(START)
    assert order.fuse_free_at(START - 20 * DAY, 1) == order.fuse_free_at(START, 1)
    order.count_order(START - 20 * DAY)
    assert order.fuse_free_at(START, 2) == order.fuse_free_at(START, 1), "counted on the latest day that was known"


def test_a_window_long_past_is_empty():
    order = Order()
    for _ in range(14):
        order.count_order(START)
    assert order.fuse_free_at(START + 31 * DAY, 1) == 0
    assert order.fuse_free_at(START + 5000 * DAY, 1) == 0
