"""The state topic: every value in every state of an order, with faults and with nothing known; what it costs; when it is due."""

import json
import sys

from replenish import app, state
from replenish.core.isotime import text

from host_tests.expect import cases
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY, START

HOUR = 3600
DEVICE = ["serial", "model", "version", "time", "uptime_s", "linked", "held", "fault"]
SLOT = ["level", "on_hand", "capacity", "unit", "subscribed", "order", "run_out", "last_use", "fault"]
ORDER = ["state", "event_instance_id", "since", "next_try", "deadline", "attempts", "cancels", "reason"]
STATES = "idle asking accepted awaiting_customer placed shipped awaiting_refill blocked held in_doubt unsubscribed"


def read(appliance):
    """The published state, as any reader of JSON sees it; every key is there, and no other."""
    said = json.loads(state.document(appliance.agent))
    assert sorted(said) == ["device", "slots"] and sorted(said["device"]) == sorted(DEVICE)
    assert sorted(said["slots"]) == sorted([slot["id"] for slot in appliance.config["slots"]])
    for slot in said["slots"].values():
        assert sorted(slot) == sorted(SLOT) and sorted(slot["order"]) == sorted(ORDER)
    return said


def slot_of(appliance, slot="A"):
    return read(appliance)["slots"][slot]


def order_of(appliance, slot="A"):
    return slot_of(appliance, slot)["order"]


def essence(appliance):
    return state.essence(appliance.agent)


# One appliance in each state of an order


def idle():
    appliance = Appliance()
    appliance.live(HOUR)
    return appliance


def low(*faults):
    """Slot A got low; the replenish call meets these."""
    appliance = idle()
    for fault in faults:
        appliance.service.next("replenish", fault)
    appliance.sensors["A"].value = 2
    return appliance


def asking():
    appliance = low("unsent")
    appliance.until_state("asking")
    appliance.live(1)
    return appliance


def accepted():
    appliance = low()
    appliance.until_state("accepted")
    return appliance


def awaiting_customer():
    appliance = accepted()
    appliance.until_state("awaiting_customer")
    return appliance


def placed():
    appliance = accepted()
    appliance.service.open_order("A").status = "Authorized"
    appliance.until_state("placed")
    return appliance


def shipped():
    appliance = accepted()
    appliance.service.ship("A", text(appliance.clock.seconds + 9 * DAY))
    appliance.until_state("shipped")
    return appliance


def awaiting_refill():
    appliance = accepted()
    appliance.service.end("A", "Closed")
    appliance.until_state("awaiting_refill")
    return appliance


def blocked():
    appliance = low("lost")
    appliance.until_state("blocked")
    return appliance


def held():
    appliance = accepted()
    appliance.service.end("A", "Cancelled")
    appliance.until_state("held")
    return appliance


def in_doubt():
    appliance = low('{"detailCode":"TEST_ORDER_PLACED"}')
    appliance.until_state("in_doubt")
    return appliance


def unsubscribed():
    appliance = low()
    appliance.service.subscribed["A"] = False
    appliance.until_state("unsubscribed")
    return appliance


MAKERS = idle, asking, accepted, awaiting_customer, placed, shipped, awaiting_refill, blocked, held, in_doubt, unsubscribed


def everything():
    """(name, appliance) for each of them and for what else the topic has to say; host_tests/tools/ judges them by the schema."""
    for make in MAKERS:
        yield make.__name__, make()
    for make in (unlinked, without_time, sick, odd_names, used, of_many):
        yield make.__name__, make()


def unlinked():
    return Appliance(secrets={})


def without_time(slots=("A",)):
    appliance = Appliance(slots, trusted=False)
    appliance.clock.seconds = 0
    appliance.store.records.clear()
    appliance.start()
    appliance.agent.once()
    return appliance


def sick():
    appliance = idle()
    appliance.sensors["A"].value = OSError(5)
    appliance.store.refuses = "worn out"
    appliance.live(HOUR)
    return appliance


ODD = 'Kaffee "stark" \\ äöü', "コーヒー豆", "🧻" * 64, "a/b#+$", "it's {%s}"


def odd_names():
    appliance = Appliance([{"id": name, "unit": name[:16]} for name in ODD])
    appliance.live(HOUR)
    return appliance


def used():
    """For four weeks, with something at home."""
    appliance = Appliance([{"id": "A", "pack": 4, "unit": "kg"}])
    for _ in range(28):
        appliance.live(DAY)
        appliance.agent.slot("A").consume(0.25)
        appliance.agent.slot("A").refilled(8.1)
    appliance.agent.slot("A").stock(2.5)
    return appliance


def of_many(count=4):
    """As long as a usual one gets: all slots low, with orders in a state of long names."""
    appliance = Appliance(["Slot%d" % i for i in range(count)])
    now = appliance.clock.seconds
    for slot in appliance.agent.slots:
        slot.measure(2.34567, now)
        slot.order.intend(now, True)
        slot.order.accept(now, "amzn1.dash.v2.o." + 100 * "c", now + HOUR)
    appliance.live(2 * HOUR)
    return appliance


# The values


def test_a_device_that_knows_all_of_it():
    appliance = idle()
    appliance.live(2 * HOUR)
    device = read(appliance)["device"]
    assert device.pop("version")
    now = appliance.clock.seconds
    expected = {"serial": "SN0001", "model": "acme-1", "time": text(now), "uptime_s": now - START}
    expected.update({"linked": True, "held": False, "fault": None})
    assert device == expected
    appliance.agent.hold()
    assert read(appliance)["device"]["held"] is True


def test_uptime_is_since_this_start_whatever_the_clock_does():
    for trusted in (True, False):
        appliance = Appliance(trusted=trusted)
        appliance.live(2 * DAY)
        assert read(appliance)["device"]["uptime_s"] == 2 * DAY
        appliance.clock.seconds -= DAY // 2  # set back
        appliance.live(HOUR)
        assert read(appliance)["device"]["uptime_s"] == 2 * DAY + HOUR
        appliance.restart(60)
        appliance.live(HOUR)
        uptime_s = read(appliance)["device"]["uptime_s"]
        assert HOUR <= uptime_s <= HOUR + 60, uptime_s


def test_a_slot_that_knows_all_of_it():
    appliance = used()
    said = slot_of(appliance)
    order = said.pop("order")
    assert (order["state"], order["reason"], order["next_try"]) == ("idle", None, None)
    face = appliance.agent.slot("A")
    assert said.pop("run_out") == text(face.run_out) and face.run_out > appliance.clock.seconds
    expected = {"level": 8.1, "on_hand": 2.5, "capacity": 10, "unit": "kg", "subscribed": True}
    expected.update({"last_use": text(appliance.clock.seconds), "fault": None})
    for name in expected:
        same = abs(said[name] - expected[name]) < 1e-5 if name == "level" else said[name] == expected[name]
        assert same, (name, said[name])


def test_what_is_not_known_is_null():
    appliance = Appliance([{"id": "A", "sensor": None}])
    expected = {"level": None, "on_hand": 0, "capacity": 10, "unit": "count", "subscribed": None, "run_out": None}
    expected.update({"last_use": None, "fault": None})
    order = {"state": "idle", "attempts": 0, "cancels": 0}
    for name in ("event_instance_id", "since", "next_try", "deadline", "reason"):
        order[name] = None
    said = slot_of(appliance)
    assert said.pop("order") == order and said == expected
    part = without_time([{"id": "A", "sensor": None, "life_days": 30}])
    part.agent.slot("A").consume(1)
    assert part.agent.time.now == 0 and slot_of(part)["level"] == 9 and slot_of(part)["run_out"] is None
    device = read(without_time())["device"]
    assert (device["time"], device["fault"]) == (None, "no_valid_time")


def check_state(make):
    appliance = make()
    said, face = order_of(appliance), appliance.order()
    assert said["state"] == make.__name__ == face.state
    for name in ("event_instance_id", "reason", "attempts", "cancels"):
        assert said[name] == getattr(face, name), name
    for name in ("since", "next_try", "deadline"):
        assert said[name] == text(getattr(face, name)), name
    assert said["since"] or said["state"] == "idle"
    assert said["reason"] or said["state"] == "idle"


def test_every_state_of_an_order_as_the_library_shows_it():
    assert [make.__name__ for make in MAKERS] == STATES.split()
    cases(check_state, [(make,) for make in MAKERS])


def test_an_id_while_there_is_an_order_our_own_or_the_one_in_progress():
    appliance = accepted()
    assert order_of(appliance)["event_instance_id"] == appliance.service.orders[0].id
    appliance = blocked()
    assert order_of(appliance)["event_instance_id"] == appliance.service.orders[0].id
    assert order_of(in_doubt())["event_instance_id"] is None


def test_the_deadline_is_there_while_the_customer_must_resolve():
    appliance = awaiting_customer()
    order = order_of(appliance)
    assert order["deadline"] == text(appliance.agent.slots[0].order.asked_at + 3 * DAY)
    assert order["reason"] == "customer must resolve the order"
    assert order_of(placed())["deadline"] is None


# When it goes on, and why it waits


def check_next_try(make, at):
    appliance = make()
    expected = at(appliance.agent.slots[0], appliance.agent.device)
    assert order_of(appliance)["next_try"] == text(expected), make.__name__
    assert not expected or expected > appliance.clock.seconds


def _confirming():
    appliance = low()
    appliance.live(700, lambda: appliance.agent.slots[0].level.low_since)
    return appliance


def _token_refused_for_now():
    appliance = Appliance()
    appliance.service.next("token", "unsent")
    appliance.sensors["A"].value = 2
    appliance.live(DAY, lambda: appliance.agent.device.attempts)
    return appliance


def _spreading():
    appliance = Appliance(boot_spread_s=HOUR)
    appliance.sensors["A"].value = 2
    appliance.live(900)
    return appliance


def _idle_on_hold():
    appliance = _token_refused_for_now()
    appliance.agent.hold()
    return appliance


def _confirming_but(change):
    appliance = _confirming()
    change(appliance)
    return appliance


def _confirming_unlinked():
    return _confirming_but(_unlink)


def _confirming_unsubscribed():
    return _confirming_but(_unsubscribe)


def _confirming_without_sensor():
    return _confirming_but(_stop_sensor)


def _gone_block():
    """The service no longer knows the order in progress."""
    appliance = blocked()
    appliance.service.forgotten = True
    appliance.live(DAY)
    return appliance


def test_next_try_is_the_moment_that_holds_the_slot():
    rows = [
        (_confirming, lambda slot, device: slot.level.low_since + 600),
        (_token_refused_for_now, lambda slot, device: device.next_try),
        (_spreading, lambda slot, device: device.first_call_at),
        (asking, lambda slot, device: max(slot.order.next_try, device.next_try)),
        (held, lambda slot, device: slot.order.next_try),
        (in_doubt, lambda slot, device: slot.order.since + 14 * DAY),
        (_gone_block, lambda slot, device: slot.order.sign_at + 14 * DAY),
        (_idle_on_hold, lambda slot, device: 0),
        (_confirming_unlinked, lambda slot, device: 0),
        (_confirming_unsubscribed, lambda slot, device: 0),
        (_confirming_without_sensor, lambda slot, device: 0),
        (blocked, lambda slot, device: 0),
        (accepted, lambda slot, device: 0),
        (idle, lambda slot, device: 0),
        (unsubscribed, lambda slot, device: 0),
    ]
    cases(check_next_try, rows)


def check_reason(make, reason):
    assert order_of(make())["reason"] == reason


def test_the_reason_says_why_the_slot_acted_or_waits():
    rows = [
        (_confirming, "confirming the need"),
        (_token_refused_for_now, "waiting to call again"),
        (_spreading, "spreading first calls after a cold start"),
        (_idle_on_hold, "ordering is on hold"),
        (asking, "service not reached, will retry"),
        (accepted, "order accepted"),
        (held, "cancelled by the customer"),
        (idle, None),
    ]
    cases(check_reason, rows)


# Odd values


def test_names_that_json_must_quote():
    said = read(odd_names())
    for name in ODD:
        assert said["slots"][name]["unit"] == name[:16]


def test_a_number_that_is_not_finite_is_null():
    appliance = idle()
    slot = appliance.agent.slots[0]
    for bad in (float("nan"), float("inf"), -float("inf")):
        slot.level.value = slot.order.on_hand = bad
        said = slot_of(appliance)
        assert said["level"] is None
        assert said["on_hand"] in (None, 0), "a NaN at home compares as nothing"


def test_numbers_are_short():
    appliance = idle()
    appliance.agent.slots[0].level.value = 10 / 3
    assert b'"level":3.33333,' in state.document(appliance.agent)


def test_no_secret_in_it():
    secrets = {"refresh_token": "Atzr|CANARY-refresh", "client_secret": "CANARY-client", "mqtt_password": "CANARY-mqtt"}
    for make in (accepted, held):
        appliance = make()
        appliance.secrets = secrets
        appliance.restart()
        appliance.live(DAY)
        appliance.agent.access = "Atza|CANARY-access"
        said = state.document(appliance.agent)
        assert appliance.agent.token == secrets["refresh_token"] and appliance.agent.client_secret
        assert b"CANARY" not in said and b"Atz" not in said


def test_sizes():
    for count, limit in ((1, 700), (4, 2000), (64, 30000)):
        said = state.document(of_many(count).agent)
        assert len(json.loads(said)["slots"]) == count
        assert limit // 2 < len(said) <= limit, (count, len(said))


def test_it_is_whole_when_another_thread_changes_it_meanwhile():
    appliance = idle()
    for faults in (["order_limit", None], [None, "order_limit"]):
        appliance.agent.slots[0].fault = lambda faults=faults: faults.pop(0)
        assert slot_of(appliance)["fault"] in (None, "order_limit") and not faults


def test_what_shows_an_order_is_let_go_of_with_the_policy_that_it_holds():
    appliance = idle()
    for show in (appliance.order, lambda: state.document(appliance.agent)):
        show()
        app.make_room()
        kept = [name for name in sys.modules if name in ("replenish.core.view", "replenish.core.policy")]
        assert not kept or sys.implementation.name == "cpython", kept


# When it must be published at once


def test_the_essence_changes_with_each_state():
    seen = []
    appliance = low()
    appliance.live(30 * DAY, lambda: _note(seen, appliance) and appliance.state() == "awaiting_customer")
    appliance.service.ship("A", text(appliance.clock.seconds + DAY))
    appliance.live(30 * DAY, lambda: _note(seen, appliance) and appliance.state() == "awaiting_refill")
    told = appliance.console.states("A")
    assert told == ["asking", "accepted", "awaiting_customer", "shipped", "awaiting_refill"]
    # Two changes have no state of their own: the subscription's answer, and when a pack that nobody loads is given up. "asking" is
    # over within its step.
    assert len(told) <= len(seen) <= len(told) + 2, seen


def _note(seen, appliance):
    number = essence(appliance)
    if number not in seen:
        seen.append(number)
    return True


def check_essence(change):
    appliance = idle()
    appliance.live(DAY)
    before = essence(appliance)
    change(appliance)
    assert essence(appliance) != before


def _stop_sensor(appliance):
    appliance.agent.slots[0].sensor_fault = "sensor_silent"


def _fail_order(appliance):
    appliance.agent.slots[0].order.attempts += 1


def _fail_once(appliance):
    appliance.agent.device.failed(appliance.clock.seconds, 0.5, 0, True)


def _unlink(appliance):
    appliance.agent.device.linked = False


def _unsubscribe(appliance):
    appliance.agent.slots[0].order.subscribed = 2


def _forget_subscription(appliance):
    appliance.agent.slots[0].order.subscribed = 0


def _hold(appliance):
    appliance.agent.hold()


def _refuse_writes(appliance):
    appliance.agent.device.store_failed = True


def test_the_essence_changes_at_once_with_what_a_person_must_see():
    changes = _stop_sensor, _fail_once, _fail_order, _unlink, _unsubscribe, _forget_subscription, _refuse_writes, _hold
    cases(check_essence, [(change,) for change in changes])


def test_each_failed_call_changes_the_essence_and_the_backoff_bounds_them():
    appliance = low(*["unsent"] * 40)
    seen = []
    appliance.live(10 * DAY, lambda: _note(seen, appliance) and appliance.agent.slots[0].order.attempts == 25)
    attempts = appliance.agent.slots[0].order.attempts
    assert attempts > 15 and attempts < len(seen) <= attempts + 4, (attempts, len(seen))


def test_a_level_alone_leaves_the_essence():
    appliance = idle()
    appliance.live(DAY)
    before, said = essence(appliance), state.document(appliance.agent)
    for level in (9, 7, 5, 4, 6):
        appliance.sensors["A"].value = level
        appliance.live(7 * HOUR)
    for level in (3, 4, 3, 4, 3, 4):  # a need that is not confirmed
        appliance.sensors["A"].value = level
        appliance.live(600)
    assert essence(appliance) == before and state.document(appliance.agent) != said


def test_the_essence_survives_time_alone_and_a_restart():
    appliance = placed()
    before = essence(appliance)
    appliance.live(3 * DAY)
    appliance.restart(60)
    appliance.live(HOUR)
    assert essence(appliance) == before
