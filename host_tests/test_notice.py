"""What a notice means: for which order it is, what is too late, and what was seen before (law 9)."""

from binascii import crc32

from replenish.core import notice
from replenish.core.device import Device

from host_tests.expect import cases
from host_tests.fakes.slot_states import DAY, HOUR, START, blocked, low_slot, new_slot, ordered, state
from host_tests.test_policy import in_doubt

UNKNOWN, STALE, LOST, PLACED, SHIPPED, CANCELLED = 2, 9, 17, 13, 14, 16  # events, as they are folded into the callers
APPLIED, OLD, NOT_OURS = "applied", "stale", "not_ours"


def test_a_message_is_new_until_it_was_seen_and_18_others_were_not():
    device = Device("SN0001")
    for number in range(18):
        assert notice.is_new(device, "n-%d" % number)
        notice.saw(device, "n-%d" % number)
    assert not notice.is_new(device, "n-0") and len(device.seen) == 72
    notice.saw(device, "n-18")
    assert notice.is_new(device, "n-0") and not notice.is_new(device, "n-1")


# Whose order it is


def unknown(asked_at=START):
    slot = low_slot()
    slot.order.intend(asked_at, True)
    slot.order.fail(UNKNOWN, asked_at + 20, asked_at + 60)
    return slot


def not_acted():
    slot = low_slot()
    slot.order.intend(START, True)
    slot.order.fail(1, START + 20, START + 60)
    return slot


def asked_twice():
    """The outcome of both attempts is unknown, and there are hours between them."""
    slot = unknown()
    slot.order.intend(START + 9 * HOUR, True)
    slot.order.fail(UNKNOWN, START + 9 * HOUR, START + DAY)
    return slot


def given_up():
    """In doubt, a day after the first attempt of unknown outcome."""
    slot = asked_twice()
    slot.order.doubt(STALE, START + DAY, 16)
    return slot


def lost():
    slot = ordered()
    slot.order.doubt(LOST, START, 18)
    return slot


def asked_again():
    """The end of id-1 was never seen, and of the next attempt the outcome is unknown."""
    slot = lost()
    slot.order.release(START)
    slot.order.intend(START, True)
    slot.order.fail(UNKNOWN, START + 20, START + 60)
    return slot


def lost_and_given_up():
    slot = asked_again()
    slot.order.doubt(STALE, START + DAY, 16)
    return slot


def damaged():
    slot = low_slot()
    slot.order.damaged(START)
    return slot


def probing():
    slot = blocked()
    slot.order.intend(START, True)
    slot.order.fail(UNKNOWN, START + 20, START + 60)
    return slot


def probe_given_up():
    slot = probing()
    slot.order.doubt(STALE, START + DAY, 16)
    return slot


def idle():
    return low_slot()


def check_whose(prepare, event_id, after_s, word, ended_in, ids):
    """The news that the order was placed, dated so long after the intent."""
    slot = prepare()
    before = state(slot)
    assert notice.of_order(slot, PLACED, event_id, START + 2 * DAY, START + after_s, 0) == word
    assert state(slot) == (ended_in or before)
    assert (slot.order.own_id, slot.order.progress_id) == ids


def test_whose_order_a_notice_names():
    early, too_early = -600, -601
    cases(
        check_whose,
        [
            (idle, "id-1", 0, NOT_OURS, None, ("", "")),
            (not_acted, "id-1", 60, NOT_OURS, None, ("", "")),
            # Law 3: an intent without an answer.
            (unknown, "id-7", early, APPLIED, "placed", ("id-7", "")),
            (unknown, "id-7", too_early, NOT_OURS, None, ("", "")),
            (given_up, "id-7", 9 * HOUR + early, APPLIED, "placed", ("id-7", "")),
            (given_up, "id-7", 9 * HOUR + too_early, NOT_OURS, None, ("", "")),
            (asked_twice, "id-7", 9 * HOUR + early, APPLIED, "placed", ("id-7", "")),
            (asked_twice, "id-7", 9 * HOUR + too_early, NOT_OURS, None, ("", "")),
            (asked_again, "id-1", DAY, OLD, None, ("id-1", "")),
            (asked_again, "id-7", early, APPLIED, "placed", ("id-7", "")),
            (probing, "id-7", early, APPLIED, "placed", ("id-7", "")),
            (probing, "id-9", DAY, OLD, None, ("", "id-9")),
            # A doubt
            (in_doubt, "id-7", early, APPLIED, "placed", ("id-7", "")),
            (in_doubt, "id-7", too_early, NOT_OURS, None, ("", "")),
            (damaged, "id-7", early, APPLIED, "placed", ("id-7", "")),
            (damaged, "id-7", too_early, NOT_OURS, None, ("", "")),
            (lost, "id-1", -DAY, APPLIED, "placed", ("id-1", "")),
            (lost, "id-7", DAY, NOT_OURS, None, ("id-1", "")),
            (lost_and_given_up, "id-1", -DAY, NOT_OURS, None, ("id-1", "")),
            (lost_and_given_up, "id-1", DAY, NOT_OURS, None, ("id-1", "")),
            (probe_given_up, "id-9", 2 * DAY, NOT_OURS, None, ("", "id-9")),
            (probe_given_up, "id-7", early, APPLIED, "placed", ("id-7", "")),
            (lost_and_given_up, "id-7", early, APPLIED, "placed", ("id-7", "")),
            (lost_and_given_up, "id-7", too_early, NOT_OURS, None, ("id-1", "")),
            # An open order
            (ordered, "id-1", -DAY, APPLIED, "placed", ("id-1", "")),
            (ordered, "id-7", DAY, NOT_OURS, None, ("id-1", "")),
            (blocked, "id-9", -DAY, APPLIED, "placed", ("", "id-9")),
            (blocked, "id-7", DAY, NOT_OURS, None, ("", "id-9")),
        ],
    )


def test_the_answer_by_notice_counts_in_the_fuse():
    for prepare in (unknown, given_up, in_doubt, damaged):
        slot = prepare()
        notice.of_order(slot, PLACED, "id-7", START + DAY, START + DAY, 0)
        assert slot.order.fuse_free_at(START + DAY, 1) and not slot.order.fuse_free_at(START + DAY, 2), state(slot)


def test_an_adopted_order_is_followed_and_what_cancels_it_holds():
    slot = unknown()
    notice.of_order(slot, PLACED, "id-7", START + DAY, START + 60, START + 5 * DAY)
    order = slot.order
    assert (order.next_poll, order.delivery_at) == (START + DAY + 6 * HOUR, START + 5 * DAY)
    slot = unknown()
    assert notice.of_order(slot, CANCELLED, "id-7", START + 4 * DAY, START + 3 * DAY, 0) == APPLIED
    assert slot.order.names() == ("held", "not resolved in time, cancelled"), "72 hours after the first attempt"


def test_news_that_says_nothing_new_is_stale():
    slot = ordered()
    for number in range(4):
        word = notice.of_order(slot, (PLACED, SHIPPED)[number // 2], "id-1", START + DAY, START + HOUR, START + 4 * DAY)
        assert word == (OLD if number % 2 else APPLIED)
    assert notice.of_order(slot, PLACED, "id-1", START + DAY, START + 600, START + 2 * DAY) == OLD, "and older than what is known"
    assert slot.order.delivery_at == START + 4 * DAY


def test_a_late_notice_for_an_older_order_never_changes_a_newer_one():
    slot = ordered()
    notice.of_order(slot, CANCELLED, "id-1", START + HOUR, START + HOUR, 0)
    slot.order.release(START + 6 * DAY)
    slot.order.intend(START + 6 * DAY, True)
    slot.order.fail(UNKNOWN, START + 6 * DAY, START + 7 * DAY)
    for event in (PLACED, SHIPPED, CANCELLED):
        assert notice.of_order(slot, event, "id-1", START + 6 * DAY + 60, START + 30, START + DAY) == NOT_OURS
        assert state(slot) == "asking"
    slot.order.intend(START + 7 * DAY, True)
    slot.order.accept(START + 7 * DAY, "id-2", START + 8 * DAY)
    for event in (PLACED, SHIPPED, CANCELLED):
        assert notice.of_order(slot, event, "id-1", START + 7 * DAY, START + 7 * DAY, START + DAY) == NOT_OURS
        assert state(slot) == "accepted"


# Subscriptions and the link


def devices(subscriptions_at=START):
    device = Device("SN0001")
    device.linked = True
    device.subscriptions_at = subscriptions_at
    return device


def check_subscriptions(said, at, word, changed, subscribed, known_at):
    """Of the slots A and B, both known to be subscribed since START."""
    slots = [new_slot(id="A"), new_slot(id="B")]
    for slot in slots:
        slot.order.subscription(START, True)
    device = devices()
    found, saved = notice.of_subscriptions(slots, device, said, START + DAY, at)
    assert (found, [slot.id for slot in saved]) == (word, changed)
    assert [slot.order.subscribed for slot in slots] == subscribed
    assert device.subscriptions_at == known_at


def test_a_subscription_is_what_was_said_last():
    cases(
        check_subscriptions,
        [
            ({"A": False, "B": True}, START + 1, APPLIED, ["A"], [2, 1], START + 1),
            ({"A": False, "B": True}, START, APPLIED, ["A"], [2, 1], START),
            ({"A": False, "B": False}, START - 1, OLD, [], [1, 1], START),
            ({"A": False}, START + 1, APPLIED, ["B", "A"], [2, 0], START + 1),  # and of B nobody knows
            ({"B": True}, START + 1, APPLIED, ["A"], [0, 1], START + 1),
            ({"Z": False}, START + 1, NOT_OURS, [], [1, 1], START),
        ],
    )


def test_a_registration_wants_a_fresh_look_at_the_subscription():
    device, slots = devices(), [new_slot(id="A"), new_slot(id="B")]
    slots[0].order.subscription(START, True)
    slots[1].order.subscription(START, False)
    assert notice.registered(slots, device, START - 1) == (OLD, ()), "the service answered since"
    assert notice.registered(slots, device, START + 1) == (APPLIED, slots[:1]) and device.linked
    assert [slot.order.subscribed for slot in slots] == [0, 2], "what is unsubscribed asks again by itself"
    assert notice.deregistered(device, "Atzr|r", START) == OLD, "before that registration"


def test_a_deregistration_ends_the_link_unless_the_service_answered_since():
    device = devices()
    assert notice.deregistered(device, "Atzr|r", START - 1) == OLD and device.linked
    device.link_fault = 5  # of an attempt to link it anew, some time ago
    assert notice.deregistered(device, "Atzr|r", START) == APPLIED and device.why_unlinked() == "not_linked"
    assert not device.linked and device.refused_token == crc32(b"Atzr|r")
    assert notice.deregistered(device, "Atzr|r", START + 1) == OLD
