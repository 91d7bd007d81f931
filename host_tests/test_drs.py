"""Amazon Dash Replenishment Service: each request as it leaves, and each answer that the laws tell apart."""

import json

from replenish.core import order as o
from replenish.core import policy
from replenish.services import call, drs, drs_answers, registration

from host_tests.expect import cases

SERVICE = drs.Drs("https://drs.example")
ID = "amzn1.dash.v2.o.abc"
TYPE = "com.amazon.dash.replenishment.Drs"
AT = 1795300000  # 2026-11-21T22:26:40Z


class Thing:
    """A slot, its level and its order, as much of them as a report tells."""

    id = "Slot 1/a"
    capacity = 12
    value = 3.5
    last_use = AT - 60
    first_at = AT - 3600
    on_hand = 2.0

    def __init__(self):
        self.level = self.order = self

    def at_home(self):
        return self.on_hand


def answer(status, body=b"", headers=None):
    return call.Answer(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


# Requests


def check_request(request, method, path, name, result):
    assert (request.method, request.url) == (method, "https://drs.example" + path)
    assert request.headers["Authorization"] == "Bearer Atza|t"
    assert request.headers["x-amzn-type-version"] == TYPE + name + "Input@1.0"
    assert request.headers["x-amzn-accept-type"] == TYPE + name + "Result@" + result
    assert request.headers.get("Content-Type") == ("application/json" if request.body else None)
    assert len(request.headers) == (4 if request.body else 3)


def test_requests():
    cases(
        check_request,
        [
            (SERVICE.replenish("Atza|t", "Paper Towel"), "POST", "/replenish/Paper%20Towel", "Replenish", "1.0"),
            (SERVICE.order_info("Atza|t", "a/b=="), "GET", "/getOrderInfo/a%2Fb%3D%3D", "OrderInfo", "1.0"),
            (SERVICE.subscription_info("Atza|t"), "GET", "/subscriptionInfo", "SubscriptionInfo", "2.0"),
            (SERVICE.device_status("Atza|t", AT), "POST", "/deviceStatus", "DeviceStatus", "1.0"),
            (SERVICE.slot_status("Atza|t", Thing(), AT), "POST", "/slotStatus/Slot%201%2Fa", "SlotStatus", "1.0"),
        ],
    )
    assert SERVICE.replenish("t", "S").body == b"" and SERVICE.order_info("t", "i").body == b""


def test_the_reports_bodies():
    assert json.loads(SERVICE.device_status("t", AT).body) == {"mostRecentlyActiveDate": "2026-11-21T22:26:40Z"}
    slot = Thing()
    expected = {
        "expectedReplenishmentDate": "2026-11-22T22:26:40Z",
        "remainingQuantityInUnit": 3.5,
        "originalQuantityInUnit": 12,
        "totalQuantityOnHand": 2.0,
        "lastUseDate": "2026-11-21T22:25:40Z",
    }
    assert json.loads(SERVICE.slot_status("t", slot, AT + 86400).body) == expected
    slot.last_use = 0  # never used: since it was first seen
    expected["lastUseDate"] = "2026-11-21T21:26:40Z"
    assert json.loads(SERVICE.slot_status("t", slot, AT + 86400).body) == expected


# replenish


def replenished(status, body=b""):
    said = drs_answers.read_replenish(answer(status, body))
    assert len(said) == 3 and isinstance(said[1], str) and isinstance(said[2], str)
    return call.OUTCOMES[said[0]], said[1]


def check_code(code, outcome):
    body = {"detailCode": code, "eventInstanceId": ID}
    assert replenished(200, body)[0] == outcome
    if outcome != "unknown":
        assert replenished(200, body)[1] == ID


def test_every_spelling_of_the_code():
    accepted = ("STANDARD_ORDER_PLACED", "TEST_ORDER_PLACED", "StandardOrderPlaced", "TestOrderPlaced", "OrderPlaced", "order_placed")
    progress = ("ORDER_INPROGRESS", "ORDER_IN_PROGRESS", "OrderInProgress", "orderinprogress", "STANDARD_ORDER_INPROGRESS")
    unknown = ["NO_ORDER_IN_PROGRESS", "NoOrderPlaced", "NOT_STANDARD_ORDER_PLACED", "ORDER_PLACED_NOT", "ORDER_CANCELLED", "OK", ""]
    unknown += [" STANDARD_ORDER_PLACED", "STANDARD_ORDER_PLACED ", "x" * 60 + "_ORDER_PLACED", "ORDER PLACED"]
    table = [(code, "accepted") for code in accepted] + [(code, "in_progress") for code in progress]
    cases(check_code, table + [(code, "unknown") for code in unknown])
    cases(check_code, [(code, "unknown") for code in (None, 7, True, [], {})])
    end = "_ORDER_PLACED"
    cases(check_code, [("x" * (64 - len(end)) + end, "accepted"), ("x" * (65 - len(end)) + end, "unknown")])


def test_a_200_with_an_unusable_body_is_unknown():
    whole = b'{"detailCode":"STANDARD_ORDER_PLACED","eventInstanceId":"amzn1.dash.v2.o.abc"}'
    assert replenished(200, whole) == ("accepted", ID)
    for end in range(len(whole)):
        assert replenished(200, whole[:end]) == ("unknown", ""), whole[:end]
    for body in (b"", b"[]", b"null", b"{}", b'"STANDARD_ORDER_PLACED"', b'["STANDARD_ORDER_PLACED"]', whole + whole):
        assert replenished(200, body) == ("unknown", ""), body


def check_id(event_id, expected):
    for code, outcome in (("STANDARD_ORDER_PLACED", "accepted"), ("ORDER_INPROGRESS", "in_progress")):
        assert replenished(200, {"detailCode": code, "eventInstanceId": event_id}) == (outcome, expected)


def test_an_unusable_id_is_none():
    longest = "i" * 255
    table = [(longest, longest), (longest + "i", ""), ("", ""), (None, ""), (5, ""), ([ID], ""), ({"a": ID}, ""), ("a b", "")]
    cases(check_id, table + [("a\r\nb", ""), ("\u00e9", ""), ("~!", "~!")])
    assert replenished(200, {"detailCode": "STANDARD_ORDER_PLACED"}) == ("accepted", "")


def check_failure(status, message, outcome):
    assert replenished(status, {"message": message}) == (outcome, "")


def test_error_bodies():
    unsubscribed = "Unable to place order - slot : <Slot> is unsubscribed."
    cases(
        check_failure,
        [
            (400, unsubscribed, "unsubscribed"),
            (404, unsubscribed, "unsubscribed"),
            (500, unsubscribed, "unsubscribed"),
            (302, unsubscribed, "unknown"),
            (503, unsubscribed, "not_acted"),
            (400, "Invalid token", "bad_token"),
            (401, "x", "bad_token"),
            (400, "slot is subscribed", "refused"),
            (404, "no such slot", "refused"),
            (410, "gone", "gone"),
            (429, "slow down", "not_acted"),
            (500, "internal", "unknown"),
            (502, "x", "unknown"),
            (504, "x", "unknown"),
            (201, "x", "unknown"),
            (204, "x", "unknown"),
        ],
    )


def test_no_answer():
    assert drs_answers.read_replenish(call.Answer(sent=False, error="OSError: 111"))[1:] == ("", "OSError: 111")
    assert call.OUTCOMES[drs_answers.read_replenish(call.Answer(sent=False))[0]] == "not_acted"
    assert call.OUTCOMES[drs_answers.read_replenish(call.Answer(sent=True))[0]] == "unknown"


# getOrderInfo


def learned(status, body=b"", event_id=ID, slot_id="S"):
    """(outcome, event, delivery); the event is a number of `order`, told apart by what it does there."""
    outcome, event, delivery_at, detail = drs_answers.read_order_info(answer(status, body), event_id, slot_id)
    assert isinstance(detail, str)
    return call.OUTCOMES[outcome], event, delivery_at


def info(*items, **more):
    data = {"instanceId": ID, "orderItems": list(items)}
    data.update(more)
    return {"orderInfoData": data}


def state_after(status, before="accepted"):
    """The state in which an order ends that was in `before` when its status is learned."""
    _, event, _ = learned(200, info({"status": status}))
    order = o.Order()
    while order.names()[0] != before:
        order.state += 1
    if event:
        order.on(event, AT)
    return order.names()[0]


def check_status(status, expected):
    assert state_after(status) == expected


def test_both_generations_of_statuses():
    table = [("Pending", "accepted"), ("Processing", "accepted"), ("Authorized", "placed"), ("Shipped", "shipped")]
    table += [("Canceled", "held"), ("Cancelled", "held"), ("Closed", "awaiting_refill"), ("Unknown", "accepted")]
    table += [(status.upper(), state) for status, state in table] + [(status.lower(), state) for status, state in table]
    cases(check_status, table + [("Delivered", "accepted"), ("", "accepted"), (" shipped", "accepted")])
    assert learned(200, info({"status": "Unknown"}))[:2] == ("ok", 0)
    assert learned(200, info({"status": "Pending"}))[1] == learned(200, info({"status": "Processing"}))[1] != 0


def check_dates(date, expected):
    assert learned(200, info({"status": "Shipped", "expectedDeliveryDate": date}))[2] == expected


def test_delivery_dates():
    table = [("2026-11-21T22:26:40.000Z", AT), ("2026-11-21T22:26:40Z", AT), ("2026-11-21", AT - 80800)]
    odd = (None, "", "soon", "2026-13-01T00:00:00Z", "2026-11-21T22:26:40+01:00", 5, 2.5, True, ["2026-11-21"], {"a": 1}, "1-1-1")
    cases(check_dates, table + [(date, 0) for date in odd])
    assert learned(200, info({"status": "Shipped"}))[2] == 0


def check_items(items, like, delivery_at):
    assert learned(200, info(*items))[1:] == (learned(200, info({"status": like}))[1], delivery_at)


def test_an_order_is_as_far_as_its_slowest_item():
    late, early = "2026-11-21T22:26:40Z", "2026-11-20T22:26:40Z"
    other = {"status": "Pending", "slotId": "T", "expectedDeliveryDate": late}
    cases(
        check_items,
        [
            (({"status": "Shipped"}, {"status": "Authorized"}), "Authorized", 0),
            (({"status": "Authorized"}, {"status": "Closed"}), "Authorized", 0),
            (({"status": "Cancelled"}, {"status": "Closed"}), "Closed", 0),
            (({"status": "Closed"}, {"status": "Cancelled"}), "Closed", 0),
            (({"status": "Cancelled"}, {"status": "Canceled"}), "Cancelled", 0),
            (({"status": "Unknown"}, {"status": "Shipped"}), "Shipped", 0),
            (({"status": "Shipped"}, {"status": "Unknown"}), "Shipped", 0),
            (({"status": "Shipped", "slotId": "S"}, other), "Shipped", 0),
            (({"status": "Unknown"}, {"status": "Closed"}), "Unknown", 0),
            (({"status": "Cancelled"}, {"status": "Unknown"}), "Unknown", 0),
            ((other,), "Unknown", 0),
            (({"status": 5}, {"status": None}, {}, None, "x", 7, [], {"status": ["Shipped"]}), "Unknown", 0),
            (
                ({"status": "Shipped", "expectedDeliveryDate": late}, {"status": "Shipped", "expectedDeliveryDate": early}),
                "Shipped",
                AT,
            ),
        ],
    )


def check_useless(body):
    assert learned(200, body) == ("unknown", 0, 0)


def test_an_answer_without_this_order_is_unknown():
    bodies = [b"", b"[]", {}, {"orderInfoData": None}, {"orderInfoData": []}, {"orderInfoData": "x"}, {"orderInfoData": {}}]
    bodies += [info(orderItems=None), info(orderItems={}), info(orderItems="Shipped"), info({"status": "Shipped"}, instanceId="other")]
    bodies += [info({"status": "Shipped"}, instanceId=None), b'{"orderInfoData":{"orderItems":[{"status":"Shipped"}]}']
    cases(check_useless, [(body,) for body in bodies])
    without_id = {"orderInfoData": {"orderItems": [{"status": "Shipped"}]}}
    assert learned(200, without_id)[0] == "ok"
    assert learned(200, info()) == ("ok", 0, 0)


def check_order_info_failed(status, outcome):
    said = learned(status, {"message": "no"})
    assert said == (outcome, 0xFFFFFFFF if outcome == "missing" else 0, 0)


def test_an_unknown_id_is_missing_and_a_failure_is_not():
    assert not hasattr(policy, "NEVER") or policy.NEVER == 0xFFFFFFFF
    table = [(400, "missing"), (404, "missing"), (401, "bad_token"), (410, "gone"), (429, "not_acted"), (503, "not_acted")]
    cases(check_order_info_failed, table + [(500, "unknown"), (302, "unknown"), (0, "unknown")])


# subscriptionInfo and the reports


def subscribed(status, body=b""):
    outcome, slots, detail = drs_answers.read_subscription_info(answer(status, body))
    return call.OUTCOMES[outcome], slots, detail


def test_both_generations_of_subscriptions():
    newer = {"A": {"subscribed": True, "productInfoList": [{"asin": "B0", "quantity": 1}]}, "B": {"subscribed": False}}
    assert subscribed(200, {"slotsSubscriptionStatus": newer}) == ("ok", {"A": True, "B": False}, "2 slots")
    older = {"A": True, "B": False}
    assert subscribed(200, {"slotsSubscriptionStatus": older}) == ("ok", older, "2 slots")
    odd = {"A": None, "B": 1, "C": "true", "D": {}, "E": {"subscribed": 1}, "F": {"subscribed": "true"}, "G": [True], "H": True, "I": 0}
    assert subscribed(200, {"slotsSubscriptionStatus": odd}) == ("ok", {"H": True}, "1 slots")
    assert subscribed(200, {"slotsSubscriptionStatus": {}}) == ("ok", {}, "0 slots")


def test_useless_subscriptions():
    for body in (
        b"",
        b"{}",
        b"[]",
        b'{"slotsSubscriptionStatus":null}',
        b'{"slotsSubscriptionStatus":[]}',
        b'{"slotsSubscriptionStatus":true}',
    ):
        assert subscribed(200, body)[:2] == ("unknown", {}), body
    for status, outcome in ((400, "refused"), (500, "unknown"), (401, "bad_token"), (503, "not_acted"), (0, "unknown")):
        assert subscribed(status, {"slotsSubscriptionStatus": {"A": True}})[:2] == (outcome, {}), status


def test_a_report_needs_no_body():
    for body in (b"", b"{}", b"junk"):
        assert drs_answers.read_status(answer(200, body), "SlotStatus") == (call.judge(answer(200)), "status 200")
    assert call.OUTCOMES[drs_answers.read_status(answer(200), "SlotStatus")[0]] == "ok"
    assert call.OUTCOMES[drs_answers.read_status(answer(400), "SlotStatus")[0]] == "refused"


def check_detail(status, body, expected, headers=None):
    assert drs_answers.read_status(answer(status, body, headers), "SlotStatus")[1] == expected


def test_the_detail_is_what_the_service_says_made_short():
    cases(
        check_detail,
        [
            (500, b"", "status 500"),
            (400, {"message": "Invalid token"}, "status 400 Invalid token"),
            (400, {"message": "  a\r\nb  "}, "status 400 a b"),
            (400, {"message": "no Atza|IwEB"}, "status 400 no [...]"),
            (400, {"message": 7}, "status 400"),
            (400, b"", "status 400 InternalFailure", {"x-amzn-errortype": "InternalFailure:http://internal.amazon.com/coral/x/"}),
            (404, {"message": "no slot"}, "status 404 no slot", {"x-amzn-errortype": "ResourceNotFoundException"}),
        ],
    )


# What an answer says of itself


def typed(name, body):
    return answer(200, body, {"x-amzn-type-version": TYPE + name})


FREE = {"orderStatus": "NO_ORDER_IN_PROGRESS", "slotId": "S"}
READERS = (
    ("Replenish", {"detailCode": "STANDARD_ORDER_PLACED", "eventInstanceId": ID}, drs_answers.read_replenish),
    ("OrderInfo", info({"status": "Closed"}), lambda given: drs_answers.read_order_info(given, ID, "S")),
    ("SubscriptionInfo", {"slotsSubscriptionStatus": {"S": True}}, drs_answers.read_subscription_info),
    ("SlotStatus", b"", lambda given: drs_answers.read_status(given, "SlotStatus")),
    ("DeviceStatus", b"", lambda given: drs_answers.read_status(given, "DeviceStatus")),
    ("Deregister", b"", registration.read_deregister),
    ("CancelTestOrders", {"slotOrderStatuses": [FREE]}, registration.read_test_orders),
)


def check_type(kind, name, body, read):
    expected = read(answer(200, body))
    assert call.OUTCOMES[expected[0]] in ("ok", "accepted")
    said = read(typed(kind, body))
    if kind in (name + "Result@1.0", name + "Result@2.0", name + "Result@"):
        assert said == expected
    else:
        assert call.OUTCOMES[said[0]] == "unknown" and not said[1:-1].count(True)


def test_a_200_of_another_call_is_unknown():
    kinds = [row[0] + "Result@1.0" for row in READERS]
    kinds += ["SubscriptionInfoResult@2.0", "ReplenishInput@1.0", "ReplenishResult", "", "@"]
    cases(check_type, [(kind,) + row for kind in kinds for row in READERS])
    for row in READERS:
        foreign = call.Answer(200, {"x-amzn-type-version": "Error"}, b"{}")
        assert call.OUTCOMES[row[2](foreign)[0]] == "unknown"
    refused = answer(400, {"message": "Invalid token"}, {"x-amzn-type-version": TYPE + "SlotStatusResult@1.0"})
    assert call.OUTCOMES[drs_answers.read_replenish(refused)[0]] == "bad_token", "the type of a failure says nothing"


def test_subscriptions_in_the_older_version():
    """Only when the service refuses the newer one by name."""
    for status, message in ((500, "header x-amzn-accept-type"), (400, "no such slot"), (400, None)):
        assert not drs_answers.is_version_refused(answer(status, {"message": message}))
    assert drs_answers.is_version_refused(answer(400, {"message": "unknown version"}))
    refused = answer(400, {"message": "header x-amzn-accept-type must be DrsSubscriptionInfoResult@1.0"})
    assert drs_answers.is_version_refused(refused)
    request = drs.Drs("https://drs.example", True).subscription_info("Atza|t")
    check_request(request, "GET", "/subscriptionInfo", "SubscriptionInfo", "1.0")


# What is asked seldom: services/registration.py


def test_the_end_of_a_registration():
    newer = registration.deregister(SERVICE, "Atza|t")
    assert newer.headers["x-amzn-type-version"] == TYPE + "DeregisterInput@2.0"
    newer.headers["x-amzn-type-version"] = TYPE + "DeregisterInput@1.0"
    check_request(newer, "DELETE", "/registration", "Deregister", "1.0")
    older = registration.deregister_1(SERVICE, "Atza|t", "acme+1", "SN/1")
    check_request(older, "DELETE", "/deviceModels/acme%2B1/devices/SN%2F1/registration", "Deregister", "1.0")
    for status, outcome in ((200, "ok"), (400, "refused"), (404, "refused"), (500, "unknown"), (503, "not_acted"), (401, "bad_token")):
        assert call.OUTCOMES[registration.read_deregister(answer(status))[0]] == outcome


def test_the_requests_that_cancel_test_orders():
    table = [(None, "/testOrders"), ("Slot 1/a", "/testOrders/slots/Slot%201%2Fa")]
    for slot_id, path in table:
        check_request(registration.cancel_test_orders(SERVICE, "Atza|t", slot_id), "DELETE", path, "CancelTestOrders", "1.0")


def check_test_orders(entries, slots):
    outcome, found, detail = registration.read_test_orders(answer(200, {"slotOrderStatuses": entries}))
    assert (call.OUTCOMES[outcome], found, detail) == ("ok", slots, "%d slots" % len(slots))


def test_cancelled_test_orders():
    prose = {"orderStatus": "NoOrderInProgress", "slotId": "T", "more": [1]}
    odd = [{"orderStatus": status, "slotId": "S"} for status in ("ORDER_INPROGRESS", "", None, 7, "NO_ORDER", ["NO_ORDER_IN_PROGRESS"])]
    odd += [{"orderStatus": "NO_ORDER_IN_PROGRESS", "slotId": slot_id} for slot_id in (None, 7, ["S"])]
    odd += [{"orderStatus": "NO_ORDER_IN_PROGRESS"}, {"slotId": "S"}, {}] + json.loads('[null, "S", 7, [%s]]' % json.dumps(FREE))
    cases(check_test_orders, [([], []), ([FREE, prose], ["S", "T"]), (odd, []), (odd + [FREE], ["S"])])
    for body in (b"", b"{}", b"[]", b'{"slotOrderStatuses":{}}', b'{"slotOrderStatuses":null}'):
        assert call.OUTCOMES[registration.read_test_orders(answer(200, body))[0]] == "unknown"
    assert registration.read_test_orders(answer(400, {"message": "not a test device"}))[1:] == ([], "status 400 not a test device")
