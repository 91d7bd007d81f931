"""Every DRS endpoint: what it demands, does and answers."""

import base64
import re
from typing import Any

import pytest

from host_tests.tools.simulator_client import CALLS, DEVICE_STATUS, PREFIX, SLOT_STATUS, Device, ask, request
from tools.simulator import Clock, OrderState
from tools.simulator.orders import DAY_S, HOUR_S
from tools.simulator.settings import CHECKS, Settings
from tools.simulator.world import World

START = 1_700_000_000
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
JUNK_VERSIONS = [None, "", "DrsReplenishInput@1.0", PREFIX + "DrsReplenishInput@9.0", "x-amzn-type-version: junk"]


@pytest.fixture
def world() -> World:
    world = World(Clock.manual(START))
    world.add_device(slots={"PaperTowel": True, "Coffee": True})
    return world


@pytest.fixture
def test_world() -> World:
    world = World(Clock.manual(START))
    world.add_device(slots={"PaperTowel": True, "Coffee": True}, test=True)
    return world


def good(world: World, name: str) -> tuple[Any, Any]:
    """One good call of any endpoint; getOrderInfo asks for a real order."""
    device = Device(world)
    if name != "order_info":
        return device.call(name)
    return device.call(name, path="/getOrderInfo/" + device.replenish()[1])


@pytest.mark.parametrize("name", CALLS)
def test_a_good_call_is_answered_with_the_version_that_it_accepts(test_world: World, name: str) -> None:
    device = Device(test_world)
    instance_id = device.replenish()[1]
    path = f"/getOrderInfo/{instance_id}" if name == "order_info" else None
    _, delivery = test_world.receive(request(name, device.token, path=path))
    head = delivery.payload.partition(b"\r\n\r\n")[0].decode()
    assert head.startswith("HTTP/1.1 200 ")
    assert f"x-amzn-type-version: {PREFIX}{CALLS[name][3]}" in head
    assert re.search(f"x-amzn-RequestId: {UUID}", head)
    assert "x-amz-date: Tue, 14 Nov 2023 22:13:20 GMT" in head


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("header", ["x_amzn_type_version", "x_amzn_accept_type"])
@pytest.mark.parametrize("value", JUNK_VERSIONS)
def test_a_bad_version_is_refused_with_the_header_and_what_it_must_be(world: World, name: str, header: str, value: str | None) -> None:
    right = PREFIX + CALLS[name][2 if "type_version" in header else 3]
    if value == right:
        value = right + "0"
    call, answer = Device(world).call(name, **{header: value})
    assert (call.status, call.outcome) == (400, "refused")
    assert header.replace("_", "-") in answer["message"]
    assert right in answer["message"]
    assert world.book.orders() == []


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic abc"])
def test_a_call_without_a_bearer_token_is_refused(world: World, name: str, authorization: str | None) -> None:
    call, answer = Device(world).call(name, Authorization=authorization)
    assert call.status == 400
    assert "Authorization" in answer["message"]


@pytest.mark.parametrize("name", CALLS)
def test_an_expired_or_unknown_token_is_an_invalid_token(world: World, name: str) -> None:
    device = Device(world)
    world.advance(3600)
    for token in (device.token, "Atza|unknown"):
        call, answer = ask(world, request(name, token))
        assert (call.status, answer) == (400, {"message": "Invalid token"})
    _, delivery = world.receive(request(name, "Atza|unknown"))
    assert b"x-amzn-ErrorType: InvalidTokenException:http://internal.amazon.com/coral/" in delivery.payload


def test_a_token_works_until_its_last_second_and_knows_its_owner_after_it(world: World) -> None:
    device = Device(world)
    world.advance(3599)
    assert device.call("device_status")[0].status == 200
    world.advance(1)
    call, _ = device.call("device_status")
    assert (call.status, call.serial) == (400, "SN0001")


def test_header_names_are_case_insensitive(world: World) -> None:
    what = request("replenish", Device(world).token)
    shouted = tuple((name.upper(), value) for name, value in what.headers)
    call, _ = world.receive(type(what)(what.method, what.path, shouted, what.body))
    assert call.outcome == "accepted"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/replenish/PaperTowel", 405), ("POST", "/nowhere", 404), ("POST", "/", 404)]
)
def test_other_methods_and_paths_are_refused(world: World, method: str, path: str, status: int) -> None:
    what = request("replenish", Device(world).token)
    call, answer = ask(world, type(what)(method, path, what.headers))
    assert (call.status, call.endpoint) == (status, "unknown")
    assert answer["message"]


class TestReplenish:
    """POST /replenish/{slot}"""

    def test_the_detail_code_comes_first_in_a_compact_body(self, world: World) -> None:
        call, _ = Device(world).call("replenish")
        assert re.fullmatch(r'{"detailCode":"STANDARD_ORDER_PLACED","eventInstanceId":"amzn1\.dash\.v2\.o\.[^"]+"}', call.answer)

    def test_the_id_has_the_shape_that_was_seen_in_public(self, world: World) -> None:
        _, instance_id = Device(world).replenish()
        assert len(instance_id) == 116
        inner = base64.b64decode(instance_id.removeprefix("amzn1.dash.v2.o."), validate=True).decode()
        assert re.fullmatch(rf"r\.{UUID}\.{UUID}", inner)

    def test_one_seed_gives_one_history_and_another_seed_another(self) -> None:
        ids = []
        for seed in (7, 7, 8):
            world = World(Clock.manual(), seed=seed)
            ids.append((world.add_device(), Device(world).replenish()[1]))
        assert ids[0] == ids[1]
        assert ids[0][0] != ids[2][0]
        assert ids[0][1] != ids[2][1]

    @pytest.mark.parametrize(("prefix", "length"), [("amzn1.dash.v2.o.", 255), ("amzn1.dash.v2.o.", 24), ("x", 40)])
    def test_the_ids_shape_can_be_changed(self, world: World, prefix: str, length: int) -> None:
        world.settings.change(id_prefix=prefix, id_length=length)
        _, instance_id = Device(world).replenish()
        assert (len(instance_id), instance_id.startswith(prefix)) == (length, True)

    def test_an_order_in_progress_answers_the_running_orders_id_or_a_new_one(self, world: World) -> None:
        device = Device(world)
        _, first = device.replenish()
        assert device.replenish() == ("ORDER_INPROGRESS", first)
        world.settings.change(in_progress_id="new")
        code, other = device.replenish()
        assert code == "ORDER_INPROGRESS"
        assert other != first
        assert device.call("order_info", path="/getOrderInfo/" + other)[0].status == 400
        assert len(world.orders("PaperTowel")) == 1

    def test_the_codes_can_be_spelled_otherwise(self, world: World) -> None:
        world.settings.change(placed_code="StandardOrderPlaced", in_progress_code="OrderInProgress")
        device = Device(world)
        assert [device.replenish()[0], device.replenish()[0]] == ["StandardOrderPlaced", "OrderInProgress"]

    @pytest.mark.parametrize("path", ["/replenish/Unknown", "/replenish/", "/replenish/papertowel"])
    def test_an_unknown_slot_is_not_found(self, world: World, path: str) -> None:
        call, answer = Device(world).call("replenish", path=path)
        assert call.status == 404
        assert "does not exist" in answer["message"]

    def test_an_unsubscribed_slot_is_refused_and_orders_nothing(self, world: World) -> None:
        world.subscribe("PaperTowel", False)
        call, answer = Device(world).call("replenish")
        assert call.status == 400
        assert answer == {"message": "Unable to place order - slot : <PaperTowel> is unsubscribed."}
        assert world.orders("PaperTowel") == []
        world.subscribe("PaperTowel", True)
        assert Device(world).replenish()[0] == "STANDARD_ORDER_PLACED"

    def test_a_slots_name_may_need_encoding(self, world: World) -> None:
        world.subscribe("Paper/Towel é")
        call, _ = Device(world).call("replenish", path="/replenish/Paper%2FTowel%20%C3%A9")
        assert (call.outcome, call.slot) == ("accepted", "Paper/Towel é")

    def test_a_body_is_ignored(self, world: World) -> None:
        assert Device(world).call("replenish", body={})[0].outcome == "accepted"

    def test_an_order_belongs_to_the_tokens_device(self, world: World) -> None:
        world.add_device("SN0002", test=True)
        assert Device(world, "SN0002").replenish()[0] == "TEST_ORDER_PLACED"
        assert Device(world).replenish()[0] == "STANDARD_ORDER_PLACED"


class TestStatusReports:
    """POST /slotStatus/{slot} and POST /deviceStatus"""

    def test_a_report_is_kept_and_answered_without_a_body(self, world: World) -> None:
        device = Device(world)
        for name in ("slot_status", "device_status"):
            call, _ = device.call(name)
            assert (call.status, call.answer) == (200, "")
        assert world.registry.slot("SN0001", "PaperTowel").last_status == SLOT_STATUS
        assert world.registry.device("SN0001").last_status == DEVICE_STATUS

    @pytest.mark.parametrize("field", SLOT_STATUS)
    @pytest.mark.parametrize("value", ["missing", None, "soon", True, -1, [], "2017-04-7"])
    def test_each_field_of_a_slots_report_is_checked(self, world: World, field: str, value: Any) -> None:
        body = {**SLOT_STATUS, field: value}
        if value == "missing":
            del body[field]
        call, answer = Device(world).call("slot_status", body=body)
        assert call.status == 400
        assert field in answer["message"]
        assert world.registry.slot("SN0001", "PaperTowel").last_status is None

    @pytest.mark.parametrize("value", [None, "yesterday", 5])
    def test_the_date_of_a_devices_report_is_checked(self, world: World, value: Any) -> None:
        call, answer = Device(world).call("device_status", body={"mostRecentlyActiveDate": value})
        assert call.status == 400
        assert "mostRecentlyActiveDate" in answer["message"]

    @pytest.mark.parametrize("value", ["2017-04-01", "2015-12-28T10:00:00Z", "2015-12-28T10:00:00.000+01:00"])
    def test_dates_are_taken_in_the_forms_that_clients_send(self, world: World, value: str) -> None:
        assert Device(world).call("slot_status", body={**SLOT_STATUS, "lastUseDate": value})[0].status == 200

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b"null", b'{"a" 1}', b"\xff", b'{"remainingQuantityInUnit": NaN}', b"[" * 100_000]
    )
    @pytest.mark.parametrize("name", ["slot_status", "device_status"])
    def test_what_is_not_a_json_object_is_refused(self, world: World, name: str, body: bytes) -> None:
        call, answer = Device(world).call(name, body=body)
        assert call.status == 400
        assert "JSON" in answer["message"]

    def test_a_report_on_an_unknown_slot_is_refused(self, world: World) -> None:
        assert Device(world).call("slot_status", path="/slotStatus/Unknown")[0].status == 400


class TestSubscriptionInfo:
    """GET /subscriptionInfo"""

    def test_version_2_tells_the_products(self, world: World) -> None:
        world.registry.subscribe("SN0001", "PaperTowel", True, product="B00PAPER00", quantity=2)
        world.subscribe("Coffee", False)
        _, answer = Device(world).call("subscription_info")
        product = {"asin": "B00PAPER00", "quantity": 2, "unit": "count"}
        assert answer == {
            "slotsSubscriptionStatus": {
                "PaperTowel": {"productInfoList": [product], "subscribed": True},
                "Coffee": {"productInfoList": [], "subscribed": False},
            }
        }

    def test_version_1_tells_only_whether(self, world: World) -> None:
        world.subscribe("Coffee", False)
        accept = PREFIX + "DrsSubscriptionInfoResult@1.0"
        _, answer = Device(world).call("subscription_info", x_amzn_accept_type=accept)
        assert answer == {"slotsSubscriptionStatus": {"PaperTowel": True, "Coffee": False}}


class TestOrderInfo:
    """GET /getOrderInfo/{id}"""

    @pytest.mark.parametrize(
        ("generation", "words"),
        [("older", ["Pending", "Authorized", "Authorized", "Closed"]), ("newer", ["Processing", "Processing", "Shipped", "Shipped"])],
    )
    def test_a_successful_order_in_both_generations(self, world: World, generation: str, words: list[str]) -> None:
        world.settings.change(status_generation=generation)
        _, instance_id = Device(world).replenish()
        seen = []
        for seconds in (0, 120, DAY_S, 3 * DAY_S):
            world.advance(seconds)
            item = Device(world).order_item(instance_id)
            seen.append(item.pop("status"))
            # Delivery is 4 days and 2 minutes after 2023-11-14 22:13:20; the date is that day's end, as documented.
            assert item == {
                "asin": "B00SIMULAT",
                "expectedDeliveryDate": "2023-11-19T07:59:59.000Z",
                "quantity": 1,
                "slotId": "PaperTowel",
            }
        assert seen == words

    @pytest.mark.parametrize(
        ("generation", "waiting", "cancelled"), [("older", "Pending", "Canceled"), ("newer", "Processing", "Cancelled")]
    )
    def test_an_order_in_resolution_has_no_date(self, world: World, generation: str, waiting: str, cancelled: str) -> None:
        world.settings.change(status_generation=generation)
        world.set_scenarios("PaperTowel", queue=["unresolved"])
        _, instance_id = Device(world).replenish()
        world.advance(120)
        item = Device(world).order_item(instance_id)
        assert (item["status"], item["expectedDeliveryDate"]) == (waiting, None)
        world.advance(72 * HOUR_S)
        item = Device(world).order_item(instance_id)
        assert (item["status"], item["expectedDeliveryDate"]) == (cancelled, None)

    def test_an_order_cancelled_by_its_customer_is_told_so(self, world: World) -> None:
        _, instance_id = Device(world).replenish()
        world.advance(HOUR_S)
        world.cancel_order("PaperTowel")
        assert Device(world).order_item(instance_id)["status"] == "Cancelled"

    def test_an_old_order_is_still_told_of_while_a_new_one_runs(self, world: World) -> None:
        _, old = Device(world).replenish()
        world.advance(5 * DAY_S)
        _, new = Device(world).replenish()
        assert Device(world).order_item(old)["status"] == "Shipped"
        assert Device(world).order_item(new)["status"] == "Processing"

    @pytest.mark.parametrize("status", [400, 404])
    def test_an_unknown_id_and_another_devices_id_are_refused(self, world: World, status: int) -> None:
        world.settings.change(unknown_order_status=status)
        world.add_device("SN0002")
        _, other = Device(world, "SN0002").replenish()
        for instance_id in ("amzn1.dash.v2.o.unknown", other):
            assert Device(world).call("order_info", path="/getOrderInfo/" + instance_id)[0].status == status


class TestDeregistration:
    """DELETE /registration, and the older path"""

    @pytest.mark.parametrize("name", ["deregister", "deregister_v1"])
    def test_everything_that_the_device_holds_dies(self, world: World, name: str) -> None:
        world.add_device("SN0002")
        device, other = Device(world), Device(world, "SN0002")
        call, _ = device.call(name)
        assert (call.status, call.answer) == (200, "")
        assert device.call("device_status")[1] == {"message": "Invalid token"}
        assert world.lwa.refresh_token("SN0001") is None
        assert other.call("device_status")[0].status == 200
        assert world.events[-1].kind == "deregistered"

    @pytest.mark.parametrize(
        "path", ["/deviceModels/other/devices/SN0001/registration", "/deviceModels/acme-brewer-1/devices/SN0009/registration"]
    )
    def test_the_older_path_must_name_the_tokens_device(self, world: World, path: str) -> None:
        device = Device(world)
        assert device.call("deregister_v1", path=path)[0].status == 400
        assert device.call("device_status")[0].status == 200

    def test_the_device_can_be_registered_again(self, world: World) -> None:
        Device(world).call("deregister")
        world.add_device()
        assert Device(world).call("device_status")[0].status == 200

    @pytest.mark.parametrize("arguments", [{"serial": "bad serial"}, {"serial": ""}, {"model": "x" * 65}, {"serial": "SN0001"}])
    def test_a_bad_name_or_a_serial_in_use_is_refused(self, world: World, arguments: dict[str, Any]) -> None:
        with pytest.raises(ValueError):
            world.add_device(**{"serial": "SN0005"} | arguments)


class TestCancelTestOrders:
    """DELETE /testOrders and /testOrders/slots/{slot}"""

    def test_one_slot_is_freed_and_the_other_is_not(self, test_world: World) -> None:
        device = Device(test_world)
        device.replenish()
        device.call("replenish", path="/replenish/Coffee")
        call, answer = device.call("cancel_slot")
        assert (call.status, answer) == (200, {"slotOrderStatuses": [{"orderStatus": "NO_ORDER_IN_PROGRESS", "slotId": "PaperTowel"}]})
        assert device.replenish()[0] == "TEST_ORDER_PLACED"
        assert device.call("replenish", path="/replenish/Coffee")[1]["detailCode"] == "ORDER_INPROGRESS"

    def test_all_slots_are_freed_with_or_without_an_order(self, test_world: World) -> None:
        device = Device(test_world)
        device.replenish()
        _, answer = device.call("cancel_all")
        assert [status["slotId"] for status in answer["slotOrderStatuses"]] == ["PaperTowel", "Coffee"]
        (order,) = test_world.orders("PaperTowel")
        assert (order.state, order.cancel_reason) == (OrderState.CANCELLED, "test")

    @pytest.mark.parametrize("name", ["cancel_slot", "cancel_all"])
    def test_a_real_order_is_left_alone(self, world: World, name: str) -> None:
        device = Device(world)
        assert device.call(name)[0].status == 400
        device.replenish()
        assert device.call(name)[0].status == 400
        assert device.replenish()[0] == "ORDER_INPROGRESS"

    def test_an_unknown_slot_is_refused(self, test_world: World) -> None:
        assert Device(test_world).call("cancel_slot", path="/testOrders/slots/Unknown")[0].status == 400


class TestSettings:
    """What can be set, and what not"""

    def test_each_setting_has_its_check(self) -> None:
        assert set(vars(Settings())) == set(CHECKS)
        for name, value in vars(Settings()).items():
            assert CHECKS[name](value) is None

    @pytest.mark.parametrize(
        "changes",
        [
            {"status_generation": "newest"},
            {"in_progress_id": None},
            {"unknown_order_status": 500},
            {"id_length": 256},
            {"id_length": True},
            {"id_prefix": "x" * 200},
            {"chunked": "yes"},
            {"placed_code": 5},
            {"unknown": 1},
            {"self": 1},
        ],
    )
    def test_a_bad_change_is_refused_whole(self, changes: dict[str, Any]) -> None:
        settings = Settings()
        with pytest.raises(ValueError, match=next(iter(changes))):
            settings.change(refresh_rotation="strict", **changes)
        assert settings == Settings()
