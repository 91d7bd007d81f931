"""Backoff and holds across reboots: a boot loop calls nobody more often, and no clock that is wrong at a boot shortens a hold."""

import sys

from replenish import app
from replenish.core.isotime import text

from host_tests.expect import cases
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY
from host_tests.fakes.chance import Random
from host_tests.fakes.service import PLACED

HOUR = 3600
STARTS = 100  # of a boot loop, in an hour
SEEDS = 200 if sys.implementation.name == "cpython" else 20  # the arithmetic is the same, and 40,000 starts take MicroPython a minute
DEVIATION = 0.65  # of the calls in an hour: measured over 1,200 of them, with and without a loop
EXCESS = 2  # calls that the worst hour of a boot loop may have beyond the worst one without


def calls_of_an_hour(seed, ill, starts, **policy):
    """How many calls reach the services in an hour in which `ill` of them answer 503, by an agent that starts so often."""
    appliance = Appliance(confirm_s=0, **policy)
    appliance.clock.fraction = Random(seed).fraction  # type: ignore[method-assign]
    for name in ill:
        appliance.service.next(name, *[503] * 500)
    appliance.sensors["A"].value = 2
    for number in range(starts):
        if number:
            appliance.restart()
        appliance.live(HOUR // starts)
    return len(appliance.service.calls)


def check_loop(ill, policy):
    forget = app.forget
    app.forget = lambda name: None  # loading modules anew at each of the many starts would take most of the time
    try:
        compare_hours(ill, policy)
    finally:
        app.forget = forget


def compare_hours(ill, policy):
    looping = [calls_of_an_hour(seed, ill, STARTS, **policy) for seed in range(SEEDS)]
    steady = [calls_of_an_hour(seed, ill, 1, **policy) for seed in range(SEEDS)]
    chance = 3 * DEVIATION * (2 * SEEDS) ** 0.5  # three standard deviations of the difference of the sums: 2 % of them
    assert sum(looping) <= sum(steady) + chance, (sum(looping), sum(steady))
    assert max(looping) <= max(steady) + EXCESS, (max(looping), max(steady))
    assert max(looping) > 1, "it was called at all"


def test_law_10_a_boot_loop_makes_no_more_calls_than_an_agent_that_stays_up():
    everything = ("token", "replenish", "subscription_info", "order_info")
    spread = {"boot_spread_s": 600}
    cases(check_loop, ((everything, {}), (everything[1:], {}), (("replenish",), {}), (everything[1:], spread)))


# Clocks that are wrong after a power cut, at every state that holds


def cancelled(appliance):
    appliance.until_state("accepted")
    appliance.service.end("A", "Cancelled")
    appliance.until_state("held")


def in_doubt(appliance):
    appliance.service.next("replenish", PLACED % "")
    appliance.until_state("in_doubt")
    appliance.service.end("A", "Closed")


def awaiting_refill(appliance):
    appliance.until_state("accepted")
    appliance.service.ship("A", text(appliance.clock.seconds + HOUR))
    appliance.service.end("A", "Closed")
    appliance.until_state("awaiting_refill")


def backing_off(appliance):
    appliance.service.next("replenish", (429, {"retry-after": "100000"}, b""))
    appliance.live(HOUR)
    assert appliance.state() == "asking"


def refused(appliance):
    appliance.service.next("replenish", 400)
    appliance.until_state("held")


def limited(appliance):
    appliance.until_state("accepted")
    appliance.service.end("A", "Cancelled")
    appliance.until_state("held")
    assert appliance.order().reason == "order limit reached"


HOLDS = (
    (cancelled, {}),
    (in_doubt, {}),
    (awaiting_refill, {}),
    (backing_off, {}),
    (refused, {}),
    (limited, {"max_orders_30_days": 1, "reorder_after_cancel_days": 0}),
)
LOST = 946684800  # 2000-01-01, what an ESP32 shows after a power cut
ABSURD = 4102444800  # 2100-01-01
BACKWARD = -300 * DAY  # from the right time


def next_call_after(hold, policy, trusted, wrong):
    """After how long in truth the next order call leaves an appliance that holds; its clock is wrong at three boots, then right."""
    appliance = Appliance(({"id": "A", "sensor": {"period_s": HOUR}},), trusted=trusted, **policy)
    appliance.sensors["A"].value = 2
    hold(appliance)
    clock, service = appliance.clock, appliance.service
    seen, began, passed = service.count("replenish"), clock.seconds, 0
    for _ in range(3):
        if wrong:
            clock.seconds = wrong if wrong > 0 else began + passed + wrong
        appliance.restart(60)
        appliance.live(6 * HOUR)
        passed += 60 + 6 * HOUR
        assert service.count("replenish") == seen, "the hold was broken while the clock was wrong"
    clock.seconds = began + passed
    appliance.restart()
    found = appliance.live(60 * DAY, lambda: service.count("replenish") > seen)
    assert found, "the hold does not end"
    return clock.seconds - began


def check_hold(hold, policy, trusted, clocks):
    right = next_call_after(hold, policy, trusted, 0)
    assert right > 20 * HOUR, right
    for wrong in clocks:
        late = next_call_after(hold, policy, trusted, wrong) - right
        assert 0 <= late <= 2 * DAY, "%s, trusted %s, clock %d: %d s late" % (hold.__name__, trusted, wrong, late)


def test_law_11_a_wrong_clock_at_a_boot_shortens_no_hold_and_the_hold_ends():
    # The PC's clock is its own second source: one that is ahead is believed there, so it is not among these.
    rows = []
    for trusted, clocks in ((True, (LOST, BACKWARD)), (False, (LOST, BACKWARD, ABSURD))):
        rows += [(hold, policy, trusted, clocks) for hold, policy in HOLDS]
    cases(check_hold, rows)
