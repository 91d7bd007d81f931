"""Law 11: a hold that began while the clock was late is not shortened when the clock is set right."""

from replenish.core.late import postpone

from host_tests.expect import raises
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY, PowerCut

HOUR = 3600


def late_appliance(by, **policy):
    """An appliance that was off for `by` seconds without a clock, and counts on from where it was. No first call before an hour."""
    appliance = Appliance(trusted=False, boot_spread_s=7200, **policy)
    appliance.live(8 * HOUR)
    clock = appliance.clock
    right = clock.seconds + by
    known = appliance.agent.device.known_time
    clock.seconds, clock.ticks_s = 946684800, 0
    appliance.restart()
    return appliance, right, known


def set_right(appliance, right):
    appliance.clock.seconds = right
    appliance.agent.tell_time()


def test_a_need_that_began_on_a_late_clock_is_confirmed_as_long():
    appliance, right, known = late_appliance(5 * HOUR, confirm_s=4 * HOUR)
    appliance.sensors["A"].value = 2
    appliance.live(HOUR)
    slot = appliance.agent.slots[0]
    began = slot.level.low_since
    assert known <= began <= known + 9 * HOUR, "on ticks from what was known"
    elapsed = appliance.agent.time.now - began
    set_right(appliance, right + HOUR)
    assert appliance.agent.time.now == right + HOUR, "an advance of a few hours is believed"
    assert appliance.agent.time.now - slot.level.low_since == elapsed, "and nothing lasted longer for it"
    assert appliance.service.count("replenish") == 0
    appliance.live(2 * HOUR)
    assert appliance.service.count("replenish") == 0
    appliance.live(5 * HOUR)
    assert appliance.service.count("replenish") == 1


def test_the_first_call_after_a_cold_start_keeps_its_distance():
    appliance, right, _ = late_appliance(5 * HOUR)
    appliance.agent.tell_time()
    distance = appliance.agent.device.first_call_at - appliance.agent.time.now
    assert 0 < distance <= 7200
    set_right(appliance, right)
    assert appliance.agent.device.first_call_at - appliance.agent.time.now == distance


def test_a_hold_from_before_ends_at_its_own_time_and_one_from_since_is_as_long():
    appliance, right, _ = late_appliance(5 * HOUR)
    agent = appliance.agent
    order = agent.slots[0].order
    now = agent.tell_time()
    before = now - DAY
    for asked_at, next_try, expected in ((now + 60, now + DAY, 5 * HOUR), (before, now + DAY, 0), (now + 60, 0, 0)):
        order.since, order.asked_at, order.next_try, order.missing_since = before, asked_at, next_try, now + 1
        agent.time.late, agent.time.late_since = 5 * HOUR, now + 1
        shift = order.next_try
        postpone(agent)
        assert agent.time.late == 0
        assert order.next_try - shift == expected
        assert order.since == before and order.missing_since == now + 1 + 5 * HOUR


def test_the_wait_for_a_refill_is_not_shortened():
    """It began `delivered_hold_days` before it ends."""
    appliance, _, _ = late_appliance(5 * HOUR)
    agent = appliance.agent
    order = agent.slots[0].order
    now = agent.tell_time()
    order.since, order.asked_at, order.state = now - DAY, now - DAY, 6
    for began, moved in ((now + 60, 5 * HOUR), (now - 60, 0)):
        order.next_try = began + 14 * DAY
        agent.time.late, agent.time.late_since = 5 * HOUR, now + 1
        postpone(agent)
        assert order.next_try == began + 14 * DAY + moved


def test_an_attempt_of_unknown_outcome_is_not_made_younger():
    """When exactly the clock was how late is not known; a call may be repeated only while the attempt is surely fresh (law 3)."""
    appliance, _, _ = late_appliance(5 * HOUR)
    agent = appliance.agent
    order = agent.slots[0].order
    now = agent.tell_time()
    order.unknown_at = order.asked_at = now + 60
    agent.time.late, agent.time.late_since = 5 * HOUR, now + 1
    postpone(agent)
    assert order.asked_at == now + 60 + 5 * HOUR
    assert order.unknown_at == now + 60


def test_a_call_that_a_power_cut_lost_is_not_made_younger_by_the_time_without_power():
    """At the start the clock is ahead of all that is durable: that is no late clock, the board was off."""
    appliance = Appliance(trusted=False, intent_fresh_s=600)
    appliance.live(HOUR)
    appliance.sensors["A"].value = 2
    service, call = appliance.service, appliance.service.call

    def last_call(request):
        answer = call(request)
        if service.count("replenish"):
            service.call = call
            raise PowerCut()
        return answer

    service.call = last_call
    raises(PowerCut, appliance.live, DAY)
    assert service.open_order("A")
    service.end("A", "Closed")
    appliance.clock.pass_s(1200)
    appliance.clock.ticks_s = 0  # they stand still without power
    appliance.start()
    appliance.live(DAY)
    assert service.count("replenish") == 1
    assert appliance.state() == "in_doubt"


def test_a_trusted_clock_moves_nothing():
    appliance = Appliance(confirm_s=4 * HOUR)
    appliance.sensors["A"].value = 2
    appliance.live(HOUR)
    began = appliance.agent.slots[0].level.low_since
    appliance.clock.pass_s(12 * HOUR)
    appliance.live(HOUR)
    assert appliance.agent.slots[0].level.low_since in (began, 0) and appliance.service.count("replenish") == 1
