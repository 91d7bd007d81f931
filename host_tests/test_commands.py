"""Commands from the cloud: each is judged, obeyed once, and answered once, also across power cuts."""

import json

from replenish import commands

from host_tests.expect import cases, raises
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY, PowerCut

UUID = "123e4567-e89b-42d3-a456-42661417400%d"


def appliance(slots=("A", "B"), **mqtt):
    made = Appliance(slots, mqtt=mqtt)
    stay_away(made)
    made.live(60)
    return made


def stay_away(made):
    """No network here: what came of a command is told by its answer in the outbox."""
    uplink = made.agent.uplink
    assert uplink
    uplink.next_try = 1 << 32


def give(made, name, args=None, command_id="c1", **more):
    """Give a command; what the device answers, None if nothing yet, or the word for why it does not."""
    body = {"id": command_id, "name": name, "args": {} if args is None else args}
    body.update(more)
    return give_raw(made, json.dumps(body).encode(), command_id)


def give_raw(made, payload, command_id="c1"):
    word = made.agent.receive("commands", payload)
    return word if word else answer(made, command_id)


def answer(made, command_id="c1"):
    found = [said for known, said, _ in made.agent.uplink.answers if known == command_id]
    assert len(found) == 1, made.agent.uplink.answers
    return found[0]


def delivered(made):
    """The broker has all results."""
    for found in made.agent.uplink.answers[:]:
        commands.arrived(made.agent, found)


# What each does


def test_consume():
    made = appliance()
    assert give(made, "consume", {"slot": "A", "amount": 2.5}) == ""
    assert made.agent.slot("A").level() == 7.5
    made.restart()
    assert made.agent.slot("A").level() == 7.5, "durable when it is answered"


def test_refill_and_stock():
    made = appliance()
    assert give(made, "stock", {"slot": "A", "on_hand": 20}) == ""
    assert give(made, "consume", {"slot": "A", "amount": 8}, "c2") == ""
    delivered(made)
    assert give(made, "refill", {"slot": "A"}, "c3") == ""
    assert made.agent.slot("A").level() == 10
    assert give(made, "refill", {"slot": "A", "level": 4}, "c4") == ""
    assert made.agent.slot("A").level() == 4


def test_hold_and_resume():
    made = appliance()
    assert give(made, "hold") == ""
    made.sensors["A"].value = 1
    made.live(DAY)
    assert not made.service.orders
    made.restart()
    stay_away(made)
    made.live(DAY)
    assert not made.service.orders, "held across a restart"
    assert give(made, "resume", None, "c2") == ""
    made.live(DAY)
    assert [order.slot for order in made.service.orders] == ["A"]


def test_status_asks_for_the_state():
    made = appliance()
    made.agent.uplink.news = 0
    made.agent.uplink.told_at = made.clock.seconds
    assert give(made, "status") == ""
    assert made.agent.uplink.told_at == 0


def test_test_orders_are_cancelled_in_a_step_of_their_own():
    made = appliance()
    made.sensors["A"].value = 1
    made.until_state("accepted")
    assert give(made, "cancel_test_orders", {"slot": "A"}) is None, "under way"
    assert not made.service.count("test_orders")
    made.live(1)
    assert made.service.count("test_orders") == 1
    assert answer(made) == ""
    assert made.service.orders[0].status == "Cancelled"


def test_a_device_is_let_go_only_where_the_configuration_allows_it():
    made = appliance()
    assert give(made, "deregister") == "mqtt.allow_deregister: false: allowed: true"
    assert made.agent.device.linked
    made = appliance(allow_deregister=True)
    assert give(made, "deregister") is None
    made.live(1)
    assert answer(made) == "" and not made.agent.device.linked
    assert give(made, "deregister", None, "c2") == "not linked"


def test_a_call_that_fails_is_told():
    made = appliance()
    made.service.next("test_orders", 503)
    assert give(made, "cancel_test_orders") is None
    made.live(1)
    assert "503" in answer(made)


# What is refused


def check_refused(payload, sentence):
    made = appliance()
    records = dict(made.store.records)
    assert give_raw(made, payload) == sentence
    changed = [key for key in made.store.records if made.store.records[key] != records.get(key)]
    assert changed == ["outbox"], changed


def test_what_is_wrong_is_said():
    known = "cancel_test_orders, consume, deregister, hold, refill, resume, status, stock"
    number = "allowed: a number from 0 to 1000000000"
    cases(
        check_refused,
        [
            (b'{"id":"c1"}', "name: None: allowed: " + known),
            (b'{"id":"c1","name":"exec","args":{}}', "name: exec: allowed: " + known),
            (b'{"id":"c1","name":["hold"],"args":{}}', "name: ['hold']: allowed: " + known),
            (b'{"id":"c1","name":{"hold":1},"args":{}}', "name: {'hold': 1}: allowed: " + known),
            (b'{"id":"c1","name":"%s"}' % (b"x" * 99), "name: %s: allowed: " % ("x" * 64) + known),
            (b'{"id":"c1","name":"hold","args":[]}', "args: allowed: an object"),
            (b'{"id":"c1","name":"hold","args":{"slot":"A"}}', "args: slot: unknown key: allowed: none"),
            (b'{"id":"c1","name":"hold","url":"https://x"}', "url: unknown key: allowed: id, name, args"),
            (b'{"id":"c1","name":"consume","args":{"amount":1}}', "slot: missing"),
            (b'{"id":"c1","name":"consume","args":{"slot":"A"}}', "amount: missing"),
            (b'{"id":"c1","name":"consume","args":{"slot":"C","amount":1}}', "slot: C: allowed: A, B"),
            (b'{"id":"c1","name":"consume","args":{"slot":["A"],"amount":1}}', "slot: ['A']: allowed: A, B"),
            (b'{"id":"c1","name":"consume","args":{"slot":"A","amount":"1"}}', "amount: 1: " + number),
            (b'{"id":"c1","name":"consume","args":{"slot":"A","amount":true}}', "amount: True: " + number),
            (b'{"id":"c1","name":"consume","args":{"slot":"A","amount":-1}}', "amount: -1: " + number),
            (b'{"id":"c1","name":"stock","args":{"slot":"A","on_hand":1000000001}}', "on_hand: 1000000001: " + number),
            (b'{"id":"c1","name":"refill","args":{"slot":"A","level":null,"x":1}}', "args: x: unknown key: allowed: slot, level?"),
        ],
    )


def test_a_level_above_the_slots_range_is_refused_and_nothing_changes():
    made = appliance()
    assert "13" in give(made, "refill", {"slot": "A", "level": 13})
    assert made.agent.slot("A").level() == 10


def test_a_number_that_is_none_is_refused():
    made = appliance()
    said = give_raw(made, b'{"id":"c1","name":"consume","args":{"slot":"A","amount":1e999}}')
    assert "amount" in said and made.agent.slot("A").level() == 10


def check_unanswerable(payload):
    made = appliance()
    written = len(made.store.writes)
    assert made.agent.receive("commands", payload) == "malformed"
    assert made.agent.uplink.answers == [] and len(made.store.writes) == written


def test_what_has_no_id_is_counted_and_not_answered():
    good = b'{"id":"c1","name":"hold","args":{}}'
    broken = [good[:at] for at in range(len(good))]
    odd = [b"null", b"[]", b'"x"', b"{}", b'{"id":1,"name":"hold"}', b'{"id":"","name":"hold"}', b'{"id":"a b","name":"hold"}']
    odd += [b'{"id":"%s","name":"hold"}' % (b"x" * 65), b'{"id":null}', b"\xff" * 40, b'{"id":"\xc3\xa4"}', b'{"id":["c1"]}']
    cases(check_unanswerable, [(payload,) for payload in broken + odd])


def test_test_orders_of_a_real_device_stay():
    made = appliance()
    made.agent.test_device = False
    assert give(made, "cancel_test_orders") == "drs.test_device: false: allowed: true"
    assert not made.service.count("test_orders")


# Once


def test_a_command_that_comes_again_is_obeyed_and_answered_once():
    made = appliance()
    assert give(made, "consume", {"slot": "A", "amount": 1}) == ""
    assert give(made, "consume", {"slot": "A", "amount": 1}) == "duplicate"
    delivered(made)
    assert give(made, "consume", {"slot": "A", "amount": 1}) == "duplicate"
    made.restart()
    assert give(made, "consume", {"slot": "A", "amount": 1}) == "duplicate"
    assert made.agent.slot("A").level() == 9 and made.agent.uplink.answers == []


def test_when_the_outbox_is_full_a_command_waits():
    made = appliance()
    for number in (1, 2):
        assert give(made, "consume", {"slot": "A", "amount": 1}, UUID % number) == ""
    assert give(made, "consume", {"slot": "A", "amount": 1}, UUID % 3) == "full"
    assert made.agent.slot("A").level() == 8
    delivered(made)
    assert give(made, "consume", {"slot": "A", "amount": 1}, UUID % 3) == ""
    assert made.agent.slot("A").level() == 7


def test_so_many_commands_a_day():
    made = appliance()
    for number in range(64):
        assert give(made, "stock", {"slot": "A", "on_hand": 1}, str(number)) == ""
        delivered(made)
    assert give(made, "stock", {"slot": "A", "on_hand": 2}, "a") == "too many: allowed: 64 a day"
    assert give(made, "hold", None, "b") == "", "ordering can always be stopped"
    delivered(made)
    made.clock.pass_s(DAY)
    made.agent.tell_time()
    assert give(made, "stock", {"slot": "A", "on_hand": 2}, "c") == ""


# The power and the store


def test_the_power_fails_at_every_write_of_a_command():
    """Obeyed at most once, and answered once in any case: with "ok" only if it was obeyed."""
    met = []
    for cut in range(1, 20):
        for after in (False, True):
            made = appliance()
            setattr(made.store, "cut_after" if after else "cut_before", len(made.store.writes) + cut)
            try:
                give(made, "consume", {"slot": "A", "amount": 3})
                continue
            except PowerCut:
                met.append((cut, after))
            made.store.cut_before = made.store.cut_after = 0
            made.restart()
            known = [said for command_id, said, _ in made.agent.uplink.answers if command_id == "c1"]
            level = made.agent.slot("A").level()
            assert level in (10, 7)
            word = give(made, "consume", {"slot": "A", "amount": 3})
            if known:
                assert word == "duplicate" and (known[0] is None or known[0] == "" and level == 7), (cut, after, known)
            else:
                assert word == "" and level == 10, "it was not begun: it comes again"
            assert made.agent.slot("A").level() in (7, level)
    assert len(met) >= 5, met


def test_a_store_that_refuses_is_told_and_nothing_is_done():
    made = appliance()
    made.store.refuses = "full"
    assert give(made, "consume", {"slot": "A", "amount": 3}) == "store: not written"
    assert made.agent.slot("A").level() == 10


def test_a_want_of_memory_leaves_a_command_without_outcome():
    made = appliance()

    def starve(*args):
        raise MemoryError()

    made.agent.slots[0].use = starve
    raises(MemoryError, give, made, "consume", {"slot": "A", "amount": 3})
    assert answer(made) is None
    assert made.agent.receive("commands", b"{}") == "busy", "until what is durable was read again"
