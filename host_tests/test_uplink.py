"""When the connection to the cloud is made, when the state is published, and what a failure costs."""

from replenish.core.uplink import Uplink

from host_tests.expect import cases

HOUR, DAY = 3600, 86400
NOW = 1795300000
A_LEVEL, AN_EVENT = 1, 2


def uplink(**values):
    made = Uplink({"prefix": "replenish"}, "SN1", None)
    made.told_at = NOW - 60
    made.news = 0
    for name, value in values.items():
        setattr(made, name, value)
    return made


def test_topics_and_names_are_bytes():
    made = Uplink({"prefix": "wäsche"}, "SN1", "pässword")
    assert (made.topic, made.client_id, made.password) == ("wäsche/SN1/".encode(), b"SN1", "pässword".encode())


def check_due(values, due_s):
    made = uplink(**values)
    assert made.due_at() == (0 if due_s is None else NOW - 60 + due_s)


def test_when_there_is_something_to_be_said():
    cases(
        check_due,
        [
            ({}, DAY),
            ({"news": A_LEVEL}, HOUR),
            ({"news": AN_EVENT}, None),
            ({"news": AN_EVENT | A_LEVEL}, None),
            ({"answers": [["c", ""]]}, None),
            ({"answers": [["c", ""]], "news": A_LEVEL}, None),
        ],
    )


def check_wanted(values, stays, wanted):
    assert bool(uplink(**values).is_wanted(NOW, stays)) == wanted


def test_when_the_connection_is_made():
    cases(
        check_wanted,
        [
            ({}, True, True),
            ({"unheard": False}, True, True),
            ({}, False, True),
            ({"unheard": False}, False, False),
            ({"unheard": False, "news": AN_EVENT}, False, True),
            ({"unheard": False, "news": A_LEVEL}, False, False),
            ({"unheard": False, "news": A_LEVEL, "told_at": NOW - HOUR}, False, True),
            ({"unheard": False, "told_at": NOW - DAY}, False, True),
            ({"next_try": NOW + 1}, True, False),
            ({"next_try": NOW + 1, "news": AN_EVENT}, False, False),
            ({"next_try": NOW}, True, True),
        ],
    )


def check_next(values, stays, after_s):
    at = uplink(**values).next_at(stays)
    assert max(at - NOW, 0) == after_s


def test_when_to_look_again():
    link = object()
    cases(
        check_next,
        [
            ({}, True, 0),
            ({"link": link}, True, DAY - 60),
            ({"link": link, "news": A_LEVEL}, True, HOUR - 60),
            ({"link": link, "news": AN_EVENT}, True, 0),
            ({"link": link, "news": AN_EVENT, "saying": 3}, True, DAY - 60),
            ({"next_try": NOW + 77}, True, 77),
            ({}, False, DAY - 60),
            ({"news": AN_EVENT, "next_try": NOW + 77}, False, 77),
        ],
    )


def test_a_failure_backs_off_and_a_good_connection_ends_that():
    made = uplink()
    waits = []
    for _ in range(14):
        made.failed(NOW, 0.999999)
        waits.append(made.next_try - NOW)
    assert waits[:3] == [29, 59, 119] and waits[-1] == 21599
    assert made.attempts == 14
    assert made.proved_good() and (made.attempts, made.next_try) == (0, 0)
    assert not made.proved_good(), "nothing durable changes in a good connection"
