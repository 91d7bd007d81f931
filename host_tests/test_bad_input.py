"""Broken answers, byte by byte, for every parser of the firmware: no crash, no order that was not there, no more memory than stated.

Good answers are broken in every small way (fakes/breakage.py). What may be said of the result is judged by another reading of the
same bytes: an order only where the whole answer says so, a subscription, a status and a token only as they stand there.

How many there are, each of them on CPython and on both Unix ports, memory on the latter two (CPython does not say what a call took):
14,193 answers broken byte by byte, 3,888 odd bodies (324 for each parser), 5,979 whole HTTP answers; test_notification.py has 10,558
notices, and test_inbox.py gives 762 of them to a whole agent. The least that must have run is asserted in each test.
"""

import gc
import json

from replenish.core.order import Order
from replenish.io import http
from replenish.services import call, drs, drs_answers, gateway_answers, lwa, registration

from host_tests.expect import cases, raises
from host_tests.fakes import answers
from host_tests.fakes.breakage import Tally, break_all, breakages
from host_tests.fakes.network import CLOSE, OPEN, RESET, Context, Network, Peer
from host_tests.fakes.replaced import Replaced

if hasattr(gc, "freeze"):
    gc.freeze()

ID = "amzn1.dash.v2.o." + "ci40Nzk0YWI5MS1mYWJhLTQ3YjU"
REPLENISH = b'{"detailCode":"STANDARD_ORDER_PLACED","eventInstanceId":"' + ID.encode() + b'"}'
PROGRESS = b'{"eventInstanceId":"' + ID.encode() + b'","detailCode":"ORDER_INPROGRESS"}'
ITEM = b'{"asin":"B0","expectedDeliveryDate":"2017-01-05T07:59:59.000Z","quantity":1,"slotId":"S","status":"Shipped"}'
NULL = b'{"slotId":"S","status":"Canceled","expectedDeliveryDate":null}'
ORDER = b'{"orderInfoData":{"instanceId":"' + ID.encode() + b'","orderItems":[' + ITEM + b"," + NULL + b"]}}"
NEWER = b'{"slotsSubscriptionStatus":{"S":{"productInfoList":[{"asin":"B0","quantity":1}],"subscribed":true},"T":{"subscribed":false}}}'
OLDER = b'{"slotsSubscriptionStatus":{"S":true,"T":false}}'
CANCELLED = b'{"slotOrderStatuses":[{"orderStatus":"NO_ORDER_IN_PROGRESS","slotId":"S"},{"orderStatus":"x","slotId":"T"}]}'
TOKEN = b'{"access_token":"Atza|IwEBIJ","expires_in":3600,"refresh_token":"Atzr|IwEBIK","token_type":"bearer"}'
REFUSAL = b'{"error_description":"The request has an invalid grant parameter : refresh_token","error":"invalid_grant"}'
UNSUBSCRIBED = b'{"message":"Unable to place order - slot : <S> is unsubscribed."}'
INTENT = "SN1-S-7"
SNAPSHOT = b'{"intent_id":"SN1-S-7","slot":"S","state":"STARTED","quantity":2,"created":"2027-01-01T00:00:00Z","returned":1}'
OTHER = b'{"error":"in_progress","intent_id":"SN1-S-6","message":"another order","state":"IN_TRANSIT"}'
SLOTS = b'{"slots":{"S":{"subscribed":true,"latest":17},"T":{"subscribed":false,"latest":0}}}'

BODY_BOUND = 24  # bytes from the heap for each byte of a body of some 100 to 300 bytes (64 bits; half of it on 32) ...
BASE_BOUND = 4096  # ... and for the result
CALL_BOUND = 40960  # for a whole call over HTTP with such an answer, the request's share included


def bound(body):
    return BASE_BOUND + BODY_BOUND * len(body)


def read_json(data):
    """The body by another reading; {} when it is no object. MicroPython's parser forgives: it says yes too often, never too seldom."""
    try:
        found = json.loads(data)
    except (ValueError, RuntimeError):
        return {}
    return found if isinstance(found, dict) else {}


def name_of(outcome):
    return call.OUTCOMES[outcome]


# The bodies of a 200


def judge_replenish(data, said):
    outcome, event_id, _ = said
    name = name_of(outcome)
    if name in ("accepted", "in_progress"):
        plain = read_json(data)["detailCode"].replace("_", "").lower()
        assert plain.endswith("orderplaced" if name == "accepted" else "orderinprogress") and not plain.startswith("no"), plain
    else:
        assert name == "unknown"
    assert event_id in ("", read_json(data).get("eventInstanceId")), event_id
    return name


def judge_order_info(data, said):
    outcome, event, delivery_at, _ = said
    if name_of(outcome) == "unknown":
        assert (event, delivery_at) == (0, 0)
        return "unknown"
    info = read_json(data)["orderInfoData"]
    assert info.get("instanceId", ID) == ID and isinstance(info["orderItems"], list)
    words = [str(item.get("status")).lower() for item in info["orderItems"] if isinstance(item, dict)]
    known = {12: ("pending", "processing"), 13: ("authorized",), 14: ("shipped",), 15: ("closed",), 16: ("canceled", "cancelled")}
    assert not event or [word for word in words if word in known[event]], (event, words)
    return "ok" if event else "no change"


def judge_subscriptions(data, said):
    outcome, slots, _ = said
    if name_of(outcome) == "unknown":
        assert slots == {}
        return "unknown"
    told = read_json(data)["slotsSubscriptionStatus"]
    for slot_id, subscribed in slots.items():
        entry = told[slot_id]
        assert (entry["subscribed"] if isinstance(entry, dict) else entry) is subscribed
    return "ok"


def judge_test_orders(data, said):
    outcome, slots, _ = said
    if name_of(outcome) == "unknown":
        assert slots == []
        return "unknown"
    free = [entry for entry in read_json(data)["slotOrderStatuses"] if isinstance(entry, dict) and entry.get("slotId") in slots]
    for slot_id in slots:
        said = [entry["orderStatus"].replace("_", "").lower() for entry in free if entry["slotId"] == slot_id]
        assert "noorderinprogress" in said
    return "ok"


def judge_token(data, said):
    outcome, access, lifetime_s, rotated, _ = said
    body = read_json(data)
    if name_of(outcome) == "ok":
        assert access == body["access_token"] and 0 < lifetime_s <= 86400 and rotated in ("", body.get("refresh_token"))
    else:
        assert name_of(outcome) in ("not_acted", "refused", "unlinked") and (access, rotated) == ("", "")
        assert name_of(outcome) != "unlinked" or body["error"] == "invalid_grant"
    return name_of(outcome)


def judge_snapshot(data, said):
    outcome, event_id, told, _ = said
    name, body = name_of(outcome), read_json(data)
    if name in ("accepted", "refused"):
        assert event_id == body["intent_id"] == INTENT and (name == "refused") == (body["state"] == "FAILED")
        assert told[1] in (None, body.get("quantity")) and told[3] in (0, body.get("returned"))
    else:
        assert name == "unknown" and event_id == ""
    return name


def judge_other(data, said):
    name = name_of(said[0])
    assert name == "refused" or name == "in_progress" and read_json(data)["error"] == "in_progress", name
    assert said[2] is None
    assert said[1] in ("", read_json(data).get("intent_id"))
    return name if said[1] else name + " without id"


def judge_slots(data, said):
    outcome, allowed, latest, _ = said
    if name_of(outcome) == "unknown":
        assert allowed is None and latest is None
        return "unknown"
    told = read_json(data)["slots"]
    for slot_id in allowed:
        assert allowed[slot_id] is (told[slot_id].get("subscribed") is True) and latest[slot_id] in (0, told[slot_id].get("latest"))
    return "ok"


def judge_refusal(data, said):
    """A 400 is never an order, and says no more than the words in it."""
    name = name_of(said[0])
    assert name == "refused" or (name == "unsubscribed" and b"is unsubscribed" in data) or name == "bad_token", name
    return name


def order_info(given):
    return drs_answers.read_order_info(given, ID, "S")


class Ordering:
    """A slot that waits for the answer to its order."""

    order = Order("SN1-S-")


Ordering.order.used = 6


def snapshot(given):
    return gateway_answers.read_replenish(given, Ordering)


PARSERS = (
    ("replenish", 200, REPLENISH, drs_answers.read_replenish, judge_replenish),
    ("in progress", 200, PROGRESS, drs_answers.read_replenish, judge_replenish),
    ("order info", 200, ORDER, order_info, judge_order_info),
    ("subscriptions 2.0", 200, NEWER, drs_answers.read_subscription_info, judge_subscriptions),
    ("subscriptions 1.0", 200, OLDER, drs_answers.read_subscription_info, judge_subscriptions),
    ("test orders", 200, CANCELLED, registration.read_test_orders, judge_test_orders),
    ("token", 200, TOKEN, lwa.read, judge_token),
    ("no token", 400, REFUSAL, lwa.read, judge_token),
    ("refusal", 400, UNSUBSCRIBED, drs_answers.read_replenish, judge_refusal),
    ("snapshot", 200, SNAPSHOT, snapshot, judge_snapshot),
    ("another order", 409, OTHER, snapshot, judge_other),
    ("slots", 200, SLOTS, gateway_answers.read_subscription_info, judge_slots),
)


def check_parser(name, status, good, read, judge):
    tally = Tally()

    def parse(data):
        return read(call.Answer(status, None, data))

    parse(good)  # what a first use keeps for ever is not of one answer
    break_all(parse, judge, good, len(good), bound(good), tally)
    assert tally.runs >= 200 and len(tally.results) >= 2, (tally.runs, tally.results)


def test_every_body_broken_byte_by_byte():
    cases(check_parser, PARSERS)


def read_greedy(given):
    """Takes as many bytes as the bound has for an answer of this size, and so with what reading takes one too many."""
    junk = bytearray(bound(given.body))
    return junk and drs_answers.read_replenish(given)


def read_raising(given):
    return call.OUTCOMES.index("accepted"), given.json()["eventInstanceId"], ""


def read_ordering(given):
    """An answer that was cut off is one all the same."""
    return call.OUTCOMES.index("accepted" if b"ORDER_PLACED" in given.body else "unknown"), "", ""


def check_wrong_parser(read, said):
    measured = hasattr(gc, "mem_alloc")
    if measured or read is not read_greedy:
        error = raises(AssertionError, check_parser, "replenish", 200, REPLENISH, read, judge_replenish)
        assert said in str(error), error


def test_a_parser_that_takes_too_much_raises_or_orders_is_noticed():
    names = "bytes allocated", "TypeError", "the first"
    cases(check_wrong_parser, list(zip((read_greedy, read_raising, read_ordering), names)))


def corpus():
    """Hand-made bodies: of every kind of value in the place of every other, nested, long and odd."""
    values = [b"null", b"true", b"0", b"-1", b"1e999", b'""', b'"x"', b"[]", b"{}", b'[{"a":[]}]', b'"' + b"y" * 3000 + b'"']
    values += [b"[" * 15 + b"]" * 15, b"[" + b"0," * 2000 + b"0]", b'"\\ud800"', b'"\\u0000"', b'"\xc3\xa9"', b'"\xc3"', b"9" * 400]
    fields = [b"detailCode", b"eventInstanceId", b"orderInfoData", b"slotsSubscriptionStatus", b"slotOrderStatuses", b"access_token"]
    fields += [b"expires_in", b"refresh_token", b"error", b"message", b"intent_id", b"state", b"slots"]
    bodies = [b'{"%s":%s}' % (field, value) for field in fields for value in values]
    bodies += [b'{"orderInfoData":{"orderItems":[{"status":%s}]}}' % value for value in values]
    bodies += [b'{"orderInfoData":{"orderItems":[{"status":"Closed","slotId":%s}]}}' % value for value in values]
    bodies += [b'{"slotsSubscriptionStatus":{"S":{"subscribed":%s}}}' % value for value in values]
    bodies += [b'{"intent_id":"SN1-S-7","state":"STARTED","quantity":%s}' % value for value in values]
    bodies += [b'{"slots":{"S":{"subscribed":true,"latest":%s}}}' % value for value in values]
    return [("body %d" % number, bodies[number]) for number in range(len(bodies))]


def check_corpus(name, status, good, read, judge):
    tally = Tally()
    break_all(lambda data: read(call.Answer(status, None, data)), judge, good, 0, 262144, tally, corpus())
    assert tally.runs >= 200


def test_a_corpus_of_odd_bodies_for_every_parser():
    cases(check_corpus, PARSERS)


# Framing: the head, the length and the chunks, of a whole call


class Waiting:
    """Stands in for `gc` in io/http.py: what a call takes is counted before anybody collects."""

    @staticmethod
    def collect():
        pass


REQUEST = drs.Drs("https://service.example").replenish("Atza|token", "S")
HEAD = b"x-amzn-type-version: com.amazon.dash.replenishment.DrsReplenishResult@1.0\r\nDate: Fri, 01 Jan 2027 00:00:00 GMT\r\n"
WHOLE = (
    answers.sized(REPLENISH, HEAD + answers.TYPE),
    answers.chunked(answers.chunk(REPLENISH[:30]) + answers.chunk(REPLENISH[30:]) + b"0\r\nX-Sum: 1\r\n\r\n"),
    b"HTTP/1.1 100 Continue\r\n\r\n" + answers.plain(b"Connection: close\r\n", REPLENISH),
)


def call_over(raw):
    """(the answer, what replenish makes of it) when a peer sends these bytes, then ends, or breaks, or falls silent."""
    with Network(Peer(raw, end=(CLOSE, RESET, OPEN)[len(raw) % 3])) as network:
        client = http.Client(Context())
        answer = client.call(REQUEST)
        client.close()
        assert network.open() == 0 and answer.sent
    return answer, drs_answers.read_replenish(answer)


def judge_call(raw, found):
    answer, said = found
    assert 0 <= answer.status < 1000 and len(answer.body) <= 16384
    if name_of(said[0]) in ("accepted", "in_progress"):
        assert answer.status == 200
        assert bytes(answer.body[:1]) == b"{" and answer.body.strip()[-1:] == b"}"
    return judge_replenish(answer.body, said) if answer.status == 200 else name_of(said[0])


def test_every_framing_broken_byte_by_byte():
    tally = Tally()
    with Replaced(http, gc=Waiting):
        for raw in WHOLE:
            call_over(raw)
            break_all(call_over, judge_call, raw, len(raw), CALL_BOUND, tally, breakages(raw, len(raw), 60))
    assert tally.runs > 3000 and tally.results["unknown"] > 1000 and tally.results["accepted"] > 200, tally.results
