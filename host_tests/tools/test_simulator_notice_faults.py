"""What goes wrong with the simulator's notifications, and its retries on any clock: without a socket, step by step."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools.simulator import Authority, Clock
from tools.simulator.notice_faults import parser
from tools.simulator.notifications import TYPES
from tools.simulator.orders import SlotKey
from tools.simulator.subscriptions import Attempt
from tools.simulator.world import World

START = 1_700_000_000
HOUR = 3600


class Topic:
    """A world with one confirmed subscriber, which takes everything."""

    def __init__(self, folder: Path, seed: int = 1, clock: Clock | None = None) -> None:
        self.world = World(clock or Clock.manual(START), seed)
        self.sns = self.world.sns
        self.sns.open("https://sns.test", Authority(folder))
        self.sns.confirm(self.sns.subscribe("https://relay.test/").token)
        self.take()

    def take(self, status: int = 200) -> list[Any]:
        """Send what is due now; the messages."""
        messages = []
        while taken := self.sns.take():
            messages.append(json.loads(taken[1].body))
            self.sns.finish(taken[1], Attempt(self.world.clock.now(), 0.0, status, None, 1))
        return messages

    def tell(self, *serials: str) -> None:
        """Something happens to each device of which one notification tells."""
        for serial in serials:
            self.world.add_device(serial, slots={})

    def later(self, seconds: int) -> list[str]:
        """Whose notifications are sent after so many seconds."""
        self.world.advance(seconds)
        return [who(message) for message in self.take()]


def notice(message: Any) -> Any:
    """The notification inside a message."""
    return json.loads(message["Message"])


def who(message: Any) -> str:
    """The serial number of the device that a message is about."""
    return str(notice(message)["deviceInfo"]["deviceIdentifier"]["serialNumber"])


@pytest.fixture
def topic(tmp_path: Path) -> Topic:
    return Topic(tmp_path)


def test_without_faults_each_comes_once_and_in_order(topic: Topic) -> None:
    topic.tell("A", "B", "C")
    assert topic.later(0) == ["A", "B", "C"]
    assert topic.later(HOUR) == []


def test_one_who_has_not_confirmed_gets_nothing_though_others_do(topic: Topic) -> None:
    topic.sns.subscribe("https://second.test/")
    assert [message["Type"] for message in topic.take()] == ["SubscriptionConfirmation"]
    topic.tell("A")
    assert topic.later(0) == ["A"]


def test_what_fails_after_its_subscription_has_ended_is_not_tried_again(topic: Topic) -> None:
    topic.tell("A")
    taken = topic.sns.take()
    assert taken is not None
    topic.sns.unsubscribe(taken[0].arn)
    topic.sns.finish(taken[1], Attempt(START, 0.0, 500, None, 1))
    assert taken[1].state == "discarded"
    assert [message["Type"] for message in topic.take()] == ["UnsubscribeConfirmation"]


def test_lose(topic: Topic) -> None:
    topic.sns.faults.add(kind="lose")
    topic.tell("A", "B")
    assert topic.later(HOUR) == ["B"]
    assert (topic.sns.counts["lost"], topic.sns.counts["published"]) == (1, 1)


def test_duplicate_repeats_the_message_itself(topic: Topic) -> None:
    topic.sns.faults.add(kind="duplicate", copies=2, gap_s=60)
    topic.tell("A", "B")
    first = topic.take()
    assert [who(message) for message in first] == ["A", "B"]
    topic.world.advance(60)
    (second,) = topic.take()
    topic.world.advance(60)
    (third,) = topic.take()
    assert first[0] == second == third
    assert topic.later(HOUR) == []


def test_double_makes_two_messages_of_one_notification(topic: Topic) -> None:
    topic.sns.faults.add(kind="double")
    topic.tell("A", "B")
    one, other, _ = topic.take()
    assert one["Message"] == other["Message"]
    assert one["MessageId"] != other["MessageId"] and one["Signature"] != other["Signature"]


def test_delay_publishes_late(topic: Topic) -> None:
    topic.sns.faults.add(kind="delay", delay_s=5 * HOUR)
    topic.tell("A", "B")
    assert topic.later(5 * HOUR - 1) == ["B"]
    topic.world.advance(1)
    (late,) = topic.take()
    assert (who(late), late["Timestamp"]) == ("A", "2023-11-15T03:13:20.000Z")
    assert notice(late)["notificationInfo"]["notificationTime"] == "2023-11-14T22:13:20.000Z"


def test_stale_is_published_in_time_and_sent_late(topic: Topic) -> None:
    topic.sns.faults.add(kind="stale")
    topic.tell("A")
    assert topic.later(2 * HOUR - 1) == []
    topic.world.advance(1)
    (stale,) = topic.take()
    assert stale["Timestamp"] == "2023-11-14T22:13:20.000Z"


def test_reorder_holds_one_back_until_the_next(topic: Topic) -> None:
    topic.sns.faults.add(kind="reorder")
    topic.tell("A")
    assert topic.later(HOUR) == []
    assert topic.sns.state()["held"] == 1
    topic.tell("B", "C")
    assert topic.later(0) == ["B", "A", "C"]


def test_fields_compose(topic: Topic) -> None:
    topic.sns.faults.add(kind="reorder", copies=1, delay_s=10)
    topic.tell("A", "B")
    assert topic.later(9) == ["B"]
    assert topic.later(1) == ["A", "A"]


def test_a_held_one_follows_the_next_that_is_published_not_one_that_is_lost(topic: Topic) -> None:
    topic.sns.faults.add(kind="reorder")
    topic.sns.faults.add(kind="lose")
    topic.sns.faults.add(kind="delay", delay_s=10)
    topic.tell("A", "B", "C")
    assert topic.later(9) == []
    assert topic.later(1) == ["C", "A"]


def test_a_fault_waits_for_its_notifications(topic: Topic) -> None:
    topic.sns.faults.add(kind="lose", type="OrderPlacedNotification", slot="Ink", serial="A", skip=1)
    for serial in "AB":
        topic.world.add_device(serial, slots={"Ink": True, "Paper": True})
    topic.take()
    told = []
    for _ in range(3):
        for serial in "AB":
            for slot in ("Ink", "Paper"):
                topic.world.book.open(SlotKey(serial, slot), "B00SIMULAT")
        topic.world.advance(300)
        placed = {f"{who(message)} {notice(message)['orderInfo']['slotId']}" for message in topic.take()}
        told.append({"A Ink", "A Paper", "B Ink", "B Paper"} - placed)
        topic.world.advance(10 * 86_400)
        topic.take()
    assert told == [set(), {"A Ink"}, set()]


def lost(folder: Path, seed: int) -> list[int]:
    """Which of 60 notifications are lost, with one chance in four each."""
    topic = Topic(folder, seed)
    topic.sns.faults.add(kind="lose", count=0, probability=0.25)
    topic.tell(*(str(number) for number in range(60)))
    came = set(topic.later(0))
    return [number for number in range(60) if str(number) not in came]


def test_the_seed_decides_what_a_probability_leaves_open(tmp_path: Path) -> None:
    first = lost(tmp_path, 1)
    assert 5 < len(first) < 30
    assert lost(tmp_path, 1) == first != lost(tmp_path, 2)


def test_two_runs_with_one_seed_send_the_same_ids(tmp_path: Path) -> None:
    runs = []
    for _ in range(2):
        topic = Topic(tmp_path)
        topic.tell("A", "B")
        runs.append([message["MessageId"] for message in topic.take()])
    assert runs[0] == runs[1] and runs[0][0] != runs[0][1]


def test_orders_have_the_same_ids_whether_anybody_is_notified_or_not(topic: Topic) -> None:
    ids = []
    for world in (topic.world, World(Clock.manual(START))):
        world.add_device()
        topic.take()
        ids.append(world.book.open(SlotKey("SN0001", "PaperTowel"), "B00SIMULAT").order_id)
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("scale", "wait_s"), [(0, 20), (1, 20), (10, 20), (60, 60), (43_200, 43_200)], ids=["manual", "real", "10", "60", "43200"]
)
def test_a_retry_waits_for_20_virtual_seconds_and_on_a_fast_clock_for_a_real_one(tmp_path: Path, scale: int, wait_s: int) -> None:
    topic = Topic(tmp_path, clock=Clock(START, scale, lambda: START * 1_000_000_000))
    topic.tell("A")
    assert [who(message) for message in topic.take(500)] == ["A"]
    assert topic.sns.next_due() == START + wait_s
    assert topic.later(wait_s - 1) == []
    assert topic.later(1) == ["A"]


def test_a_world_without_a_listener_has_no_subscribers() -> None:
    with pytest.raises(ValueError, match="does not listen"):
        World(Clock.manual(START)).sns.subscribe("https://relay.test/")


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"kind": "mangle"}, "unknown kind 'mangle': one of lose, duplicate"),
        ({"colour": 1}, "unknown key 'colour': one of kind, type"),
        ({"type": "Placed"}, "type is 'Placed': it must be one of OrderPlacedNotification"),
        ({"probability": 1.5}, "probability is 1.5: it must be a number from 0 to 1"),
        ({"copies": True}, "copies is True: it must be a whole number from 0 to 1000"),
        ({"delay_s": -1}, "delay_s is -1: it must be a whole number of virtual seconds from 0 to 31536000"),
        ({"hold": 1}, "hold is 1: it must be true or false"),
    ],
)
def test_bad_fields_are_refused_by_name(bad: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError) as refused:
        parser(TYPES.values())(bad)
    assert str(refused.value).startswith(sentence)
