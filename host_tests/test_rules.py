"""Amazon's rules for devices (firmware/POLICY.md) on the whole agent: what is reported when, and which order comes when.

The laws of ordering themselves are in test_agent.py.
"""

import json

from host_tests.expect import cases
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY, START, PowerCut, Store
from host_tests.fakes.chance import Random
from host_tests.fakes.service import Service

HOUR = 3600
INTERVAL = 21600  # slot_status_interval_s by default
SEEN_S = 600 + 60  # a sensor's jump is read within its period, and taken a minute later when it stands
COUNTED_S = SEEN_S + 600  # and is use once it has lasted (confirm_s)
BIG = {"id": "A", "capacity": 1000, "reorder_at": 10}


class Post(Service):
    """The services, which keep what they are told."""

    def __init__(self, clock):
        Service.__init__(self, clock)
        self.bodies = []  # (time, name, what it said)

    def call(self, request):
        if request.body and request.headers["Content-Type"] == "application/json":
            self.bodies.append((self.clock.seconds, request.url.split("/")[3], json.loads(request.body)))
        return Service.call(self, request)


def posted(appliance):
    """Let the appliance tell its reports to a service that keeps them."""
    appliance.service = appliance.agent.client = Post(appliance.clock)
    return appliance.service


def times(appliance, name, slot=None):
    return [call[0] for call in appliance.service.calls if call[1] == name and slot in (None, call[2])]


def window(appliance, at):
    """The number of the reporting interval that a time lies in."""
    return (at - appliance.agent.device.report_offset_s) // INTERVAL


def most_in_a_window(appliance, slot):
    """The most slotStatus calls of a slot in one interval, the day's own apart."""
    daily = times(appliance, "device_status")
    counts = {}
    for at in times(appliance, "slot_status", slot):
        if not [day for day in daily if 0 <= at - day < 600]:
            counts[window(appliance, at)] = counts.get(window(appliance, at), 0) + 1
    return max(counts.values()) if counts else 0


def use(appliance, slot, amount, seconds, step_s=600):
    """So much is used evenly over so long."""
    for _ in range(seconds // step_s):
        appliance.sensors[slot].value -= amount * step_s / seconds
        appliance.live(step_s)


# Reports


def test_a_day_has_a_report_of_the_device_and_of_each_slot():
    appliance = Appliance(slots=("A", "B"))
    appliance.live(31 * DAY)
    for name, slot in (("device_status", None), ("slot_status", "A"), ("slot_status", "B")):
        at = times(appliance, name, slot)
        assert len(at) >= 30
        assert max([later - sooner for sooner, later in zip(at, at[1:])]) <= DAY + 1200, name


def test_devices_report_at_different_seconds():
    offsets = []
    for number in range(40):
        appliance = Appliance()
        appliance.config["device"]["serial"] = "SN%04d" % number
        appliance.store.records = {}
        appliance.start()
        appliance.live(2 * DAY)
        offsets.append(times(appliance, "device_status")[0] % DAY * 8 // DAY)
    assert len(set(offsets)) == 8, "every eighth of the day has some"


def test_use_is_reported_once_in_an_interval_while_it_goes_on():
    appliance = Appliance(slots=(BIG,))
    appliance.sensors["A"].value = 1000
    appliance.live(DAY)
    before = len(times(appliance, "slot_status"))
    use(appliance, "A", 900, 3 * DAY)
    reports = len(times(appliance, "slot_status")) - before
    assert 3 * 4 <= reports <= 3 * 4 + 4, reports
    assert most_in_a_window(appliance, "A") == 1
    appliance.live(2 * DAY)
    assert len(times(appliance, "slot_status")) - before - reports <= 3, "when the use ends, what was used last, and the days"


def test_the_first_use_after_a_rest_is_told_at_once():
    appliance = Appliance(slots=(BIG,))
    service = posted(appliance)
    appliance.sensors["A"].value = 900
    appliance.live(3 * DAY)
    used_at = appliance.clock.seconds
    appliance.sensors["A"].value = 800
    appliance.live(SEEN_S + 1)
    at, name, said = service.bodies[-1]
    assert name == "slotStatus" and at - used_at <= SEEN_S + 1
    assert said["remainingQuantityInUnit"] == 800


def test_noise_is_not_reported():
    appliance = Appliance(slots=(BIG,))
    random = Random(5)
    for _ in range(4 * DAY // 600):
        appliance.sensors["A"].value = 500 + random.below(49)
        appliance.live(600)
    assert len(times(appliance, "slot_status")) == len(times(appliance, "device_status")) == 4


def test_a_rise_is_no_use():
    appliance = Appliance(slots=(BIG,), slot_status_interval_s=600)
    appliance.sensors["A"].value = 200
    appliance.live(HOUR)
    for level in (300, 500, 900):
        appliance.sensors["A"].value = level
        appliance.live(2 * HOUR)
    assert len(times(appliance, "slot_status")) == len(times(appliance, "device_status"))
    appliance.sensors["A"].value = 840
    appliance.live(HOUR)
    assert len(times(appliance, "slot_status")) == len(times(appliance, "device_status")) + 1, "60 of 900 were used"


def test_slots_that_are_used_together_report_together():
    appliance = Appliance(slots=(BIG, dict(BIG, id="B"), dict(BIG, id="C")))
    for slot in "ABC":
        appliance.sensors[slot].value = 1000
    appliance.live(DAY)
    for _ in range(3 * DAY // 600):
        for slot in "ABC":
            appliance.sensors[slot].value -= 2
        appliance.live(600)
    wakes = set(times(appliance, "slot_status"))
    assert wakes == set(times(appliance, "slot_status", "A")) == set(times(appliance, "slot_status", "C"))
    assert len(times(appliance, "slot_status")) == 3 * len(wakes), "one connection for all of them"


def test_an_unsubscribed_slot_reports_daily_only():
    appliance = Appliance(slots=(BIG,))
    appliance.service.subscribed["A"] = False
    appliance.live(DAY)
    appliance.sensors["A"].value = 1000
    use(appliance, "A", 900, 2 * DAY)
    assert appliance.state() == "unsubscribed"
    assert len(times(appliance, "slot_status")) == len(times(appliance, "device_status"))


def test_a_report_of_use_that_fails_is_made_up_for_in_the_next_interval():
    appliance = Appliance(slots=(BIG,))
    service = posted(appliance)
    appliance.sensors["A"].value = 1000
    appliance.live(DAY + HOUR)
    service.next("slot_status", 503)
    appliance.sensors["A"].value = 900
    appliance.live(SEEN_S + 1)
    failed = times(appliance, "slot_status")[-1]
    appliance.live(INTERVAL)
    again = times(appliance, "slot_status")[-1]
    assert again > failed and window(appliance, again) == window(appliance, failed) + 1
    assert service.bodies[-1][2]["remainingQuantityInUnit"] == 900


def loop(appliance, seconds):
    """The power fails every minute."""
    end = appliance.clock.seconds + seconds
    while appliance.clock.seconds < end:
        appliance.sensors["A"].value -= 0.3
        try:
            appliance.live(30)
        except PowerCut:
            pass
        appliance.restart(30)


def die(slot):
    raise PowerCut()


def test_a_boot_loop_reports_no_more_than_a_board_that_stays_up():
    appliance = Appliance(slots=(BIG,))
    appliance.sensors["A"].value = 1000
    appliance.live(DAY)
    before = len(times(appliance, "slot_status"))
    loop(appliance, 2 * DAY)
    reports = len(times(appliance, "slot_status")) - before
    assert 2 * 4 <= reports <= 2 * 4 + 3, reports
    assert most_in_a_window(appliance, "A") == 1


def test_a_board_that_dies_in_its_report_of_use_does_not_repeat_it():
    appliance = Appliance(slots=(BIG,))
    appliance.sensors["A"].value = 1000
    appliance.live(DAY, lambda: times(appliance, "slot_status"))
    appliance.service._slot_status = die
    loop(appliance, 20 * HOUR)
    assert appliance.agent.device.reported_day == appliance.agent.device.reporting_day(appliance.clock.seconds)
    assert 3 <= len(times(appliance, "slot_status")) - 1 <= 4


def test_law_10_a_board_that_sleeps_between_its_calls_gets_through_its_backoff():
    for fault in (503, "drop"):
        appliance = Appliance()
        appliance.live(30 * HOUR)
        appliance.service.next("replenish", fault, fault)
        appliance.sensors["A"].value = 2
        for _ in range(50):
            appliance.start(cold=False)
            appliance.clock.pass_s(max(1, appliance.agent.once()))
        assert appliance.service.count("replenish") == 3 and appliance.state() != "asking", appliance.state()


def test_wakes_report_no_more_than_a_board_that_stays_up():
    appliance = Appliance(slots=(BIG, dict(BIG, id="B")))
    appliance.sensors["A"].value = appliance.sensors["B"].value = 1000
    appliance.live(DAY)
    before = len(times(appliance, "slot_status", "A"))
    for _ in range(3 * DAY // 900):
        appliance.sensors["A"].value -= 3
        appliance.sensors["B"].value -= 3
        appliance.start(cold=False)
        appliance.agent.once()
        appliance.clock.pass_s(900)
    reports = len(times(appliance, "slot_status", "A")) - before
    assert 3 * 4 <= reports <= 3 * 4 + 4, reports
    assert most_in_a_window(appliance, "A") == most_in_a_window(appliance, "B") == 1


# What the reports say


def test_a_report_says_level_capacity_stock_last_use_and_run_out():
    appliance = Appliance(slots=({"id": "A", "capacity": 12.5, "reorder_at": 1, "pack": 2.5, "lead_days": 0},))
    service = posted(appliance)
    appliance.agent.slot("A").stock(2.5)
    appliance.sensors["A"].value = 12.5
    for _ in range(8):
        appliance.live(DAY)
        appliance.sensors["A"].value -= 0.75
    used_at = appliance.clock.seconds
    appliance.live(DAY)
    slots = [said for _, name, said in service.bodies if name == "slotStatus"]
    devices = [said for _, name, said in service.bodies if name == "deviceStatus"]
    last = slots[-1]
    assert sorted(last) == sorted(
        ["expectedReplenishmentDate", "lastUseDate", "originalQuantityInUnit", "remainingQuantityInUnit", "totalQuantityOnHand"]
    )
    assert (last["remainingQuantityInUnit"], last["originalQuantityInUnit"], last["totalQuantityOnHand"]) == (6.5, 12.5, 2.5)
    from replenish.core.dates import parse

    assert 0 <= parse(last["lastUseDate"]) - used_at <= COUNTED_S
    days = (parse(last["expectedReplenishmentDate"]) - appliance.clock.seconds) / DAY
    assert 9 <= days <= 15, "9 units at 0.75 a day: %s" % days
    assert parse(devices[-1]["mostRecentlyActiveDate"]) == parse(last["lastUseDate"]), "when it was used, not when it reports"


def test_an_appliance_that_rests_says_since_when():
    appliance = Appliance(slots=("A", "B"))
    service = posted(appliance)
    appliance.live(DAY)
    appliance.sensors["B"].value = 8
    used_at = appliance.clock.seconds
    appliance.live(20 * DAY)
    from replenish.core.dates import parse

    devices = [parse(said["mostRecentlyActiveDate"]) for _, name, said in service.bodies if name == "deviceStatus"]
    assert len(devices) == 21 and 0 <= devices[-1] - used_at <= COUNTED_S and len(set(devices[1:])) == 1


def test_before_any_level_the_device_is_active_now():
    appliance = Appliance(slots=({"id": "A", "refill": "manual", "sensor": None},))
    service = posted(appliance)
    appliance.live(2 * DAY)
    from replenish.core.dates import parse

    at, name, said = service.bodies[0]
    assert name == "deviceStatus" and parse(said["mostRecentlyActiveDate"]) == at
    assert not [said for _, name, said in service.bodies if name == "slotStatus"], "nothing to say of a slot without a level"


# Which order comes when


def test_an_order_comes_seven_days_ahead():
    appliance = Appliance(slots=({"id": "A", "capacity": 100, "reorder_at": 0, "lead_days": 7},))
    appliance.sensors["A"].value = 100
    appliance.live(DAY)
    while not appliance.service.orders:
        use(appliance, "A", 2 / 24, HOUR, HOUR)
        assert appliance.sensors["A"].value > 0, "it ran out"
    days = appliance.sensors["A"].value / 2
    assert 6.9 <= days <= 9, "to within an hour of use: %s" % days


def check_rest(policy, days):
    appliance = Appliance(**policy)
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted")
    appliance.service.end("A", "Cancelled")
    cancelled_at = appliance.clock.seconds
    appliance.live(40 * DAY, lambda: len(appliance.service.orders) == 2)
    rest = appliance.service.orders[1].at - cancelled_at
    assert days * DAY <= rest <= days * DAY + 7 * HOUR, rest / DAY


def test_after_the_first_cancellation_five_days():
    cases(check_rest, [({}, 5), ({"reorder_after_cancel_days": 12}, 12), ({"reorder_after_cancel_days": 0}, 0)])


# What the service refuses


def test_subscriptions_are_asked_in_the_older_version_when_the_newer_is_refused():
    appliance = Appliance()
    refusal = (400, {}, b'{"message":"header x-amzn-accept-type must be com.amazon.dash.replenishment.DrsSubscriptionInfoResult@1.0"}')
    appliance.service.next("subscription_info", refusal)
    appliance.sensors["A"].value = 2
    appliance.until_state("accepted", HOUR)
    assert appliance.service.count("subscription_info") == 2
    appliance = Appliance()
    appliance.service.next("subscription_info", *[refusal] * 99)
    appliance.sensors["A"].value = 2
    appliance.live(10 * DAY)
    assert appliance.service.count("subscription_info") <= 11, "a refusal of both is a refusal like any other"
    assert appliance.agent.fault == "call_refused"


def test_the_request_id_is_told_of_good_and_bad_answers():
    told = []
    for status, body in ((200, b'{"detailCode":"ORDER_PLACED","eventInstanceId":"x"}'), (400, b""), (500, b"")):
        appliance = Appliance()
        appliance.agent.on(lambda kind, slot, pairs: told.append(dict(pairs)) if kind == "call" else None)
        appliance.service.next("replenish", (status, {"x-amzn-requestid": "id-%d" % status, "x-amzn-errortype": "Odd:x"}, body))
        appliance.sensors["A"].value = 2
        appliance.live(HOUR)
    said = [(call["request_id"], call["detail"]) for call in told if call["call"] == "replenish" and call["request_id"]]
    assert said == [("id-200", "ORDER_PLACED"), ("id-400", "status 400 Odd"), ("id-500", "status 500 Odd")]


def test_a_level_that_was_told_before_there_was_a_time_has_a_date_by_the_first_report():
    appliance = Appliance(slots=(BIG,), trusted=False)
    appliance.clock.seconds = 0
    appliance.store = Store()
    appliance.start()
    appliance.sensors.clear()
    appliance.agent.slot("A").level(700)
    appliance.clock.seconds = START
    appliance.clock.trusted = True
    service = posted(appliance)
    appliance.live(2 * DAY)
    said = [body for _, name, body in service.bodies if name == "slotStatus"]
    assert said and all([body["lastUseDate"] is not None and body["lastUseDate"] != "None" for body in said]), said
