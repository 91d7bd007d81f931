"""The whole agent at a broker in memory: what is heard, obeyed and said, and what no peer, power cut or flood can spoil."""

import json
import time

from replenish import app
from replenish.core.errors import StoreError

from host_tests.expect import cases
from host_tests.fakes.appliance import Appliance
from host_tests.fakes.board import DAY, PowerCut
from host_tests.fakes.broker import Broker, message
from host_tests.fakes.replaced import Replaced


def keep(name):
    """Instead of `app.forget`: a module that is loaded anew would have the true Stream."""


app.forget = keep
from replenish import cloud  # noqa: E402
from replenish.io import mqtt  # noqa: E402

ticks_ms, ticks_add, ticks_diff = [getattr(time, name) for name in ("ticks_ms", "ticks_add", "ticks_diff")]
BASE = b"replenish/SN0001/"
COUNTED = ({"id": "A", "sensor": None},)


class Bench:
    """An appliance and its broker."""

    def __init__(self, broker, slots, mqtt_settings):
        self.broker = broker
        self.appliance = Appliance(slots, mqtt=mqtt_settings)
        self.step()

    @property
    def agent(self):
        return self.appliance.agent

    @property
    def uplink(self):
        return self.appliance.agent.uplink

    def step(self, count=1):
        """Let the agent do all that is due, with some steps more: what comes in answer is there at once. Returns the last wait."""
        for _ in range(count * 12):
            left = self.agent.step()
        return left

    def send(self, name, args=None, command_id="c1", steps=1):
        self.give(b"command", json.dumps({"id": command_id, "name": name, "args": args or {}}).encode(), steps)

    def give(self, kind, payload, steps=1):
        self.broker.queue.append((BASE + kind, payload))
        self.step(steps)

    def results(self):
        return [json.loads(text) for text in self.broker.texts(b"result")]

    def level(self):
        """As it is shown: of a slot that is only counted, full until something is."""
        value = self.agent.slots[0].level.value
        return 10 if value is None else value

    def until_saying(self):
        """Steps until something is said and not acknowledged."""
        for _ in range(12):
            self.agent.step()
            if self.uplink.saying:
                return
        raise AssertionError("nothing was said")


def at_bench(check, slots=("A",), **settings):
    broker = Broker()
    with Replaced(mqtt, Stream=broker.stream):
        check(Bench(broker, slots, settings))


# What is said


def test_a_start_says_that_it_is_there_and_how_things_are():
    def check(bench):
        assert bench.broker.texts(b"availability") == [b"online"]
        (state,) = bench.broker.texts(b"state")
        assert json.loads(bytes(state).decode())["slots"]["A"]["level"] == 10
        assert bench.broker.session == {BASE + b"notice", BASE + b"command"}

    at_bench(check)


def test_a_command_is_answered_and_the_state_told():
    def check(bench):
        bench.send("hold")
        assert bench.results() == [{"id": "c1", "ok": True}]
        assert json.loads(bytes(bench.broker.texts(b"state")[-1]).decode())["device"]["held"]
        bench.send("hold")
        assert len(bench.results()) == 1, "the same again"

    at_bench(check)


def test_an_order_by_a_notice():
    """The answer to the order call is lost; the notice brings the id, and the block ends by the cloud's word."""

    def check(bench):
        appliance = bench.appliance
        appliance.service.next("replenish", "lost")
        appliance.sensors["A"].value = 1
        while not appliance.service.orders:
            bench.agent.due_ticks = ticks_ms()
            bench.step()
            appliance.clock.pass_s(60)
        bench.give(b"notice", notice("OrderPlacedNotification", appliance))
        assert appliance.state() == "placed"
        assert json.loads(bytes(bench.broker.texts(b"state")[-1]).decode())["slots"]["A"]["order"]["state"] == "placed"

    at_bench(check)


def notice(kind, appliance):
    from replenish.core.isotime import text

    info = {"notificationType": kind, "notificationId": "n-" + kind, "notificationTime": text(appliance.clock.seconds)}
    order = {"instanceId": appliance.service.orders[-1].id, "slotId": "A", "productInfo": []}
    device = {"deviceIdentifier": {"serialNumber": "SN0001"}, "productIdentifier": {"modelId": "acme-1"}}
    return json.dumps({"notificationInfo": info, "deviceInfo": device, "orderInfo": order}).encode()


def test_results_are_valid_json_whatever_was_sent():
    def check(bench):
        bench.send("refill", {"slot": "X"}, "c1")
        bench.give(b"command", b'{"id":"c2","name":"\\ud800\\udc00 \\ud800","args":{}}')
        bench.give(b"command", b'{"id":"c3","name":"\xc3\xa4","args":{}}')
        assert [said["id"] for said in bench.results()] == ["c1", "c2", "c3"]
        assert "Käffee" in bench.results()[0]["error"]
        assert bench.uplink.link and len(bench.broker.connections) == 1

    at_bench(check, ("Käffee",))


def test_a_new_session_is_told_everything_again():
    def check(bench):
        bench.uplink.link.stream.close()
        bench.broker.session = None
        bench.broker.published = []
        cloud.lost(bench.agent, bench.agent.time.now, OSError(1))
        bench.uplink.next_try = 0
        bench.agent.due_ticks = ticks_ms()
        bench.step()
        assert bench.broker.texts(b"availability") == [b"online"] and len(bench.broker.texts(b"state")) == 1
        assert len(bench.broker.texts(b"config")) == 3

    at_bench(check, discovery="homeassistant")


def test_home_assistant_is_told_once():
    def check(bench):
        assert len(bench.broker.texts(b"config")) == 6
        bench.send("status")
        assert len(bench.broker.texts(b"config")) == 6

    at_bench(check, ("A", "B"), discovery="homeassistant")


def test_a_stop_says_good_bye_and_nothing_twice():
    def check(bench):
        stream = bench.broker.connections[0]
        bench.broker.queue.append((BASE + b"command", b'{"id":"c1","name":"status","args":{}}'))
        bench.until_saying()
        before = stream.deadlines
        bench.agent.stop("test")
        assert bench.uplink.answers == [] and len(bench.results()) == 1
        assert bench.broker.texts(b"availability")[-1] == b"offline" and bench.broker.wills == []
        assert stream.deadlines == before + 1, "one deadline for all of it"

    at_bench(check)


# When


def test_a_step_returns_before_the_next_ping():
    def check(bench):
        assert bench.uplink.link
        assert 40 < bench.step() <= 45

    at_bench(check, COUNTED)


def test_two_packets_in_one_piece_are_both_heard():
    def check(bench):
        bench.broker.queue = [(BASE + b"notice", b"junk"), (BASE + b"command", b'{"id":"c1","name":"hold","args":{}}')]
        bench.agent.due_ticks = ticks_add(ticks_ms(), 600000)
        assert bench.agent.step() == 0, "there is more"
        bench.step()
        assert bench.agent.device.held

    at_bench(check)


def test_an_answer_that_lies_there_is_no_silence():
    def check(bench):
        bench.broker.queue.append((BASE + b"command", b'{"id":"c1","name":"status","args":{}}'))
        bench.until_saying()
        bench.uplink.link.asked_ticks = ticks_add(ticks_ms(), -25000)  # the program was elsewhere
        bench.step()
        assert bench.broker.wills == [] and bench.uplink.attempts == 0 and len(bench.results()) == 1

    at_bench(check)


def test_a_step_that_connects_has_a_bound():
    def check(bench):
        bench.agent.stop("test")
        bench.uplink.answers = [[chr(65 + number), "", False] for number in range(25)]
        bench.uplink.unheard = True
        ticks = [ticks_ms()]

        class Slow:
            """Each look at the clock takes two seconds."""

            ticks_diff = staticmethod(ticks_diff)

            @staticmethod
            def ticks_ms():
                ticks[0] = ticks_add(ticks[0], 2000)
                return ticks[0]

        before = len(bench.broker.published)
        with Replaced(cloud, time=Slow):
            cloud.join(bench.agent, bench.agent.time.now)
        assert 0 < len(bench.broker.published) - before < 15, len(bench.broker.published) - before

    at_bench(check)


# Floods


def check_flood(name, args, most):
    def check(bench):
        before = len(bench.appliance.store.writes)
        for number in range(200):
            bench.send(name, args, "c%d" % number)
        assert len(bench.results()) == 200, "each is answered"
        assert len(bench.appliance.store.writes) - before <= most

    at_bench(check, COUNTED)


def test_a_flood_of_commands_writes_so_much_and_no_more():
    # Of the 64 a day: the command begins, its result, that it arrived: two records. And what it does.
    use = {"slot": "A", "amount": 0.001}
    cases(check_flood, [("status", {}, 64 * 4), ("hold", {}, 64 * 4 + 1), ("nonsense", {}, 64 * 3), ("consume", use, 64 * 5 + 2)])


def test_twenty_commands_later_the_first_is_still_known():
    def check(bench):
        for number in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 0]:
            bench.send("consume", {"slot": "A", "amount": 0.125}, "c%d" % number)
        assert len(bench.results()) == 21 and bench.level() == 10 - 21 * 0.125

    at_bench(check, COUNTED)


def test_what_was_retained_is_not_obeyed():
    def check(bench):
        stream = bench.broker.connections[-1]
        data = bytearray(message(BASE + b"command", b'{"id":"c1","name":"consume","args":{"slot":"A","amount":1}}', 900))
        data[0] |= 1
        stream.unacknowledged[900] = None
        stream.out += bytes(data)
        bench.step()
        assert bench.level() == 10 and bench.results() == [] and not stream.unacknowledged
        assert bench.agent.dropped == {"retained": 1}

    at_bench(check, COUNTED)


def test_what_is_junk_is_counted():
    def check(bench):
        for payload in (b"", b"{", b"x" * 9000):
            bench.give(b"command", payload)
            bench.give(b"notice", payload)
        bench.give(b"else", b"")
        assert bench.agent.dropped == {"malformed": 4, "too_long": 2, "unknown_topic": 1}
        assert len(bench.broker.connections) == 1 and not bench.broker.connections[0].unacknowledged

    at_bench(check)


# The store and the power


def test_a_damaged_record_of_the_connection_forgets_no_command():
    def check(bench):
        bench.send("consume", {"slot": "A", "amount": 1})
        store = bench.appliance.store
        get = store.get

        def damaged(key):
            if key == "uplink":
                raise StoreError("record uplink: damaged")
            return get(key)

        store.get = damaged
        bench.appliance.restart(60)
        bench.send("consume", {"slot": "A", "amount": 1}, steps=2)
        assert bench.level() == 9 and len(bench.results()) == 1

    at_bench(check, COUNTED)


def test_a_store_that_refuses_a_level_is_no_reason_to_send_a_command_again():
    def check(bench):
        bench.appliance.store.full_for = ["l-"]
        bench.send("consume", {"slot": "A", "amount": 5})
        assert bench.results() == [{"id": "c1", "ok": True}] and bench.level() == 5

    at_bench(check, COUNTED)


def test_a_notice_that_cannot_be_kept_comes_again():
    def check(bench):
        appliance = bench.appliance
        appliance.sensors["A"].value = 1
        while not appliance.service.orders:
            bench.agent.due_ticks = ticks_ms()
            bench.step()
            appliance.clock.pass_s(60)
        appliance.store.full_for = ["o-", "device"]
        bench.give(b"notice", notice("OrderCancelledNotification", appliance))
        assert not bench.uplink.link, "left, so that it comes again"
        appliance.store.full_for = []
        for _ in range(4):
            appliance.clock.pass_s(61)
            bench.agent.due_ticks = ticks_ms()
            bench.step()
        appliance.restart()
        assert appliance.state() == "held" and bench.broker.queue == []

    at_bench(check)


LIFE = (
    ("consume", {"slot": "A", "amount": 2}),
    ("hold", {}),
    ("cancel_test_orders", {}),
    ("stock", {"slot": "A", "on_hand": 3}),
    ("nonsense", {}),
)


def live(bench):
    """Send all commands of LIFE; after a power cut start again and go on. Returns whether it was cut."""
    appliance, was_cut = bench.appliance, False
    for number in range(len(LIFE)):
        name, args = LIFE[number]
        body = json.dumps({"id": "c%d" % number, "name": name, "args": args}).encode()
        bench.broker.queue.append((BASE + b"command", body))
    for _ in range(60):
        try:
            bench.agent.due_ticks = ticks_ms()
            bench.step()
        except PowerCut:
            was_cut = True
            appliance.store.cut_before = appliance.store.cut_after = 0
            if bench.uplink.link:
                bench.uplink.link.stream.close()
            appliance.restart(60)
        appliance.clock.pass_s(30)
        if not bench.broker.queue and not bench.uplink.answers:
            break
    return was_cut


def check_cut(after, number):
    """Each is answered, none obeyed twice, and "ok" is said only of what was done."""

    def check(bench):
        store = bench.appliance.store
        setattr(store, "cut_after" if after else "cut_before", len(store.writes) + number)
        assert live(bench)
        by_id = {}
        for said in bench.results():
            by_id.setdefault(said["id"], []).append(said)
        assert sorted(by_id) == ["c0", "c1", "c2", "c3", "c4"], sorted(by_id)
        assert len(bench.results()) <= 6, "one may be said again"
        assert bench.level() in (10, 8)
        for said in by_id.values():
            assert said[-1]["ok"] or said[-1]["error"].startswith(("interrupted", "name: nonsense")), said
        assert not by_id["c0"][0]["ok"] or bench.level() == 8
        assert not by_id["c1"][0]["ok"] or bench.agent.device.held

    at_bench(check, COUNTED)


def test_the_power_fails_at_every_write_of_five_commands():
    writes = []

    def count(bench):
        before = len(bench.appliance.store.writes)
        assert not live(bench)
        writes.append(len(bench.appliance.store.writes) - before)
        assert sorted([said["id"] for said in bench.results() if said["ok"]]) == ["c0", "c1", "c2", "c3"]

    at_bench(count, COUNTED)
    assert writes[0] >= 20, writes
    cases(check_cut, [(after, number) for number in range(1, writes[0] + 1) for after in (False, True)])


def test_memory_that_ends_in_a_command_ends_the_connection_and_it_is_told_as_interrupted():
    def check(bench):
        slot = bench.agent.slots[0]

        def starve(*args):
            raise MemoryError()

        slot.use = starve
        bench.send("consume", {"slot": "A", "amount": 1})
        assert not bench.uplink.link and bench.broker.wills
        del slot.use
        bench.appliance.clock.pass_s(60)
        bench.agent.due_ticks = ticks_ms()
        bench.step()
        assert [said["error"][:11] for said in bench.results()] == ["interrupted"]
        assert bench.level() == 10 and not bench.broker.queue

    at_bench(check, COUNTED)


def test_memory_that_ends_while_a_message_is_read_lets_it_come_again():
    from replenish.core import strictjson

    class Starved:
        @staticmethod
        def loads(data):
            raise MemoryError()

    def check(bench):
        with Replaced(strictjson, json=Starved):
            bench.send("hold")
        assert not bench.uplink.link and bench.broker.queue and not bench.agent.device.held
        bench.appliance.clock.pass_s(60)
        bench.agent.due_ticks = ticks_ms()
        bench.step()
        assert bench.results() == [{"id": "c1", "ok": True}] and bench.agent.device.held

    at_bench(check, COUNTED)


def test_a_day_without_news_is_told_once():
    def check(bench):
        before = len(bench.broker.published)
        bench.appliance.clock.pass_s(DAY)
        bench.agent.due_ticks = ticks_ms()
        bench.step()
        assert [topic for topic, _, _ in bench.broker.published[before:]].count(BASE + b"state") == 1

    at_bench(check, COUNTED)
