"""Notifications as they are on the wire: six types in two versions, and thousands of broken ones that say nothing."""

import json
import sys

from replenish.services import notification

from host_tests.expect import cases
from host_tests.fakes import notices
from host_tests.fakes.breakage import Tally, break_all

DAY = 86400
START = 1800000000
SERIAL, MODEL = "SN0001", "acme-1"
PLACED, SHIPPED, CANCELLED, SUBSCRIPTIONS, REGISTERED, DEREGISTERED = 13, 14, 16, 64, 65, 66  # kinds, as they are folded
ID = "amzn1.dash.notification.v1.7"
EVENT_ID = "amzn1.dash.v2.o.ci41MjFhNDQ"
WORD = 8 if sys.maxsize > 1 << 32 else 4  # bytes
GOOD_BYTES = 2048 * WORD  # the most that reading may take from the heap, of a good notification or one that is nearly good ...
HOSTILE_BYTES = 4096 * WORD  # ... and of any; nothing collected


def read(data):
    return notification.read(data, SERIAL, MODEL, 2)


def good():
    """(name, notification as a dict, what it says) of each type and version."""
    delivery = START + 4 * DAY
    rows: list = []
    for version in (1, 2):
        for name, kind in ((notices.PLACED, PLACED), (notices.SHIPPED, SHIPPED)):
            rows.append((notices.of_order(name, START, 7, EVENT_ID, "A", delivery, version), (kind, ("A", EVENT_ID, delivery))))
        changed = notices.of_subscriptions(START, 7, {"A": True, "B": False}, version)
        rows.append((changed, (SUBSCRIPTIONS, {"A": True, "B": False})))
    rows.append((notices.of_order(notices.CANCELLED, START, 7, EVENT_ID), (CANCELLED, ("A", EVENT_ID, 0))))
    rows.append((notices.notice(notices.REGISTERED, START, 7), (REGISTERED, None)))
    rows.append((notices.notice(notices.DEREGISTERED, START, 7), (DEREGISTERED, None)))
    return rows


def check_good(data, said):
    kind, about = said
    assert read(notices.packed(data)) == (kind, ID, START, about)


def test_every_type_in_both_versions():
    assert len(good()) == 9
    cases(check_good, good())


def test_unknown_fields_are_ignored():
    for data, said in good():
        for part in [data] + [data[name] for name in data]:
            part["addedLater"] = {"a": [1, None, {"b": "c"}]}
        check_good(data, said)


def changed(path, value, data=None):
    """A good notification with one field replaced; None: without it."""
    data = data or notices.of_order(notices.PLACED, START, 7, EVENT_ID, "A", START + 4 * DAY)
    part = data
    for name in path[:-1]:
        part = part[name]
    if value is None:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return notices.packed(data)


def check_word(word, path, value, data=None):
    assert read(changed(path, value, data)) == word


def table_of(word, paths, values, make=None):
    return [(word, path, value, make and make()) for path in paths for value in values]


def test_what_is_of_no_use():
    info, order = ("notificationInfo",), ("orderInfo",)
    serial = ("deviceInfo", "deviceIdentifier", "serialNumber")
    model = ("deviceInfo", "productIdentifier", "modelId")
    wrong = [None, 7, True, [], {}, ["x"], {"x": "y"}]
    ids = wrong + ["", "a b", "x" * 256, "caf\u00e9", "a\nb"]
    times = wrong + ["", "yesterday", "2027-13-01T00:00:00Z", "2027-01-15T08:00:00+01:00", "1969-12-31T23:59:59Z", "9" * 300]
    states = wrong + ["x", {"A": 1}, {"A": "true"}, {"A": {"subscribed": 1}}, {"A": {}}, {"A": None}]
    table = table_of("not_ours", [serial], ["SN0002", "sn0001", ""]) + table_of("not_ours", [model], ["acme-2"])
    table += table_of("unknown_type", [info + ("notificationType",)], ["OrderDelayedNotification", "", "orderplacednotification"])
    table += table_of("malformed", [serial, model, serial[:1], serial[:2], model[:2], info, order], wrong)
    table += table_of("malformed", [info + ("notificationType",), order + ("slotId",)], wrong)
    table += table_of("malformed", [info + ("notificationTime",)], times)
    table += table_of("malformed", [info + ("notificationId",), order + ("instanceId",)], ids)
    status = ("subscriptionInfo", "slotsSubscriptionStatus")
    table += table_of("malformed", [status], states, lambda: notices.of_subscriptions(START, 7, {"A": True}))
    assert len(table) > 110
    cases(check_word, table)


def test_what_the_samples_get_wrong_is_malformed():
    """The faults of Amazon's printed samples, see fakes/notices.py."""
    whole = notices.packed(notices.of_order(notices.PLACED, START, 7, EVENT_ID))
    commas = whole.replace(b"}}", b"},}"), whole.replace(b'"count"', b'"count",')
    for broken in commas + (whole[:-1], whole + b"}", whole.replace(b"}", b"}}")):
        assert broken != whole and read(broken) == "malformed"
    data = notices.notice(notices.REGISTERED, START, 7)
    data["deviceInfo"]["productIdentifier"] = {"myDeviceModel": MODEL}
    assert read(notices.packed(data)) == "malformed"


def test_a_delivery_date_that_is_none_is_not_told():
    products = ("orderInfo", "productInfo")
    for value in (None, [], {}, "x", 7, [7], ["x"], [[]], [{}], [{"estimatedDeliveryDate": 7}], [{"estimatedDeliveryDate": "soon"}]):
        assert read(changed(products, value))[3] == ("A", EVENT_ID, 0), value
    dates = [{"estimatedDeliveryDate": notices.moment(START + days * DAY)} for days in (2, 5, 3)]
    assert read(changed(products, dates))[3] == ("A", EVENT_ID, START + 5 * DAY), "the order is there with its last item"


def judge(data, said):
    """Another reading, CPython's or the interpreter's own: whatever is not refused is what stands there."""
    if isinstance(said, str):
        return said
    whole = json.loads(data)
    kind, message_id, at, about = said
    info = whole["notificationInfo"]
    assert info["notificationId"] == message_id and info["notificationTime"][:10] == notices.moment(at)[:10]
    assert whole["deviceInfo"]["deviceIdentifier"]["serialNumber"] == SERIAL
    assert whole["deviceInfo"]["productIdentifier"]["modelId"] == MODEL
    if kind < SUBSCRIPTIONS:
        assert (whole["orderInfo"]["slotId"], whole["orderInfo"]["instanceId"]) == about[:2]
    elif kind == SUBSCRIPTIONS:
        status = whole["subscriptionInfo"]["slotsSubscriptionStatus"]
        for slot in about:
            assert about[slot] == (status[slot]["subscribed"] if isinstance(status[slot], dict) else status[slot])
    return "read"


def test_broken_notifications():
    tally = Tally()
    rows = [notices.packed(row[0]) for row in good()]
    for i in (2, 3):
        break_all(read, judge, rows[i], 31 + i, GOOD_BYTES, tally)
    assert tally.runs > 10000 and tally.results["malformed"] > 4000, tally.results
    assert tally.results["not_ours"] > 100 and tally.results["unknown_type"] > 100 and tally.results["read"] > 1000, tally.results


def hostile():
    """(name, bytes): as many things as the limits let through, and more."""
    rows = []
    for piece in (b"[],", b"{},", b'"ab",', b'{"a":1},', b"1e9,", b'["a"],', b"[[[[]]]],"):
        for count in (105, 106, 700):
            padding = b" " * max(0, 2400 - count * len(piece))
            rows.append(("%d %r" % (count, piece), b'{"a":[' + piece * count + b"0]" + padding + b"}"))
    rows.append(("keys", b"{" + b",".join([b'"%d":{}' % i for i in range(106)]) + b"}"))
    rows.append(("one string", b'{"a":"' + b"x" * 2500 + b'"}'))
    return rows


def test_a_hostile_payload_takes_no_more_than_its_bound():
    tally = Tally()
    break_all(read, judge, b"", 0, HOSTILE_BYTES, tally, hostile())
    assert tally.results == {"malformed": 23}


def test_a_notification_may_have_so_many_bytes_for_each_slot():
    data = notices.of_subscriptions(START, 7, {"slot-%d" % i: True for i in range(16)})
    whole = notices.packed(data)
    assert 2048 < len(whole) < 2048 + 256 * 16
    assert len(notification.read(whole, SERIAL, MODEL, 16)[3]) == 16
    for slots in (1, 16):
        limit = 2048 + 256 * slots
        whole = notices.packed(notices.notice(notices.REGISTERED, START, 7))
        whole += b" " * (limit - len(whole))
        assert notification.read(whole, SERIAL, MODEL, slots)[0] == REGISTERED
        assert notification.read(whole + b" ", SERIAL, MODEL, slots) == "malformed"
