"""Events as EventBridge and webhooks bring them: which are wanted, what one says, and what is none."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tools.cloud.buywithprime import events
from tools.cloud.buywithprime.events import EventError, ForeignError, Resource

OURS = "bp-1"
RETURN = f"businessProduct/{OURS}/order/O-1/return/R-1"
NOON = datetime(2024, 11, 14, 12, tzinfo=UTC)
STAMP = "2024-11-14T12:00:00Z"


def thin(kind: str = "RETURN_STARTED", *resources: str, **changed: Any) -> dict[str, Any]:
    """As EventBridge brings it, with an empty detail."""
    source = {"source": "aws.partner/buywithprime/acme", "account": "123456789012", "region": "us-east-1", "version": "0"}
    given = {**source, "id": "e-1", "detail-type": kind, "time": STAMP, "resources": [*resources] or [RETURN], "detail": {}}
    return {**given, **changed}


def inner(kind: str = "RETURN_STARTED", *resources: str, **changed: Any) -> dict[str, Any]:
    """As a webhook is sent it."""
    ids = {"idempotencyKey": "a2V5", "eventId": "i-1", "apiVersion": "2024-11-01", "subscriptionId": "s-1"}
    given = {**ids, "eventDescriptor": kind, "resources": [*resources] or [RETURN], "eventTime": STAMP, "data": {}}
    return {**given, **changed}


def test_six_return_events_are_subscribed() -> None:
    made = [one.variables() for one in events.subscriptions("123456789012", "us-east-1", "acme-brewers")]
    kinds = [one["eventType"] for one in made]
    assert {
        "RETURN_STARTED",
        "RETURN_PACKAGE_IN_TRANSIT",
        "RETURN_PACKAGE_DELIVERED",
        "RETURN_PACKAGE_DELIVERY_FAILED",
        "RETURN_ITEM_GRADED",
        "RETURN_COMPLETED",
    } <= set(kinds)
    assert len(kinds) == len(set(kinds))
    assert all(
        one["destination"]
        == {"eventBridge": {"region": "us-east-1", "partnerEventSource": {"account": "123456789012", "name": "acme-brewers"}}}
        for one in made
    )


def test_refunds_are_not_subscribed() -> None:
    assert not [kind for kind in events.SUBSCRIBED if "REFUND" in kind]


def test_what_a_thin_event_says() -> None:
    found = events.read(thin(), OURS)
    assert (found.kind, found.time, found.orders, found.returns) == ("RETURN_STARTED", NOON, ("O-1",), ("R-1",))


@pytest.mark.parametrize("given", [inner(), thin(detail=inner(), resources=[]), thin("OTHER", detail=inner(), time="x")])
def test_filled_event_and_webhook_say_the_same(given: dict[str, Any]) -> None:
    assert events.read(given, OURS) == events.read(inner(), OURS)


def test_event_published_again_has_the_same_key() -> None:
    """EventBridge gives an id of its own to each; what came by a webhook as well is the same event."""
    keys = {events.read(given, OURS).key for given in (inner(), thin(id="e-1", detail=inner()), thin(id="e-2", detail=inner()))}
    assert keys == {"a2V5"}
    assert events.read(thin(id="e-1"), OURS).key == events.read(thin(id="e-2"), OURS).key


def test_another_event_has_another_key() -> None:
    different = [
        thin(),
        thin("RETURN_COMPLETED"),
        thin("RETURN_STARTED", RETURN.replace("R-1", "R-2")),
        thin(time="2024-11-14T12:00:01Z"),
        inner(),
        inner(idempotencyKey="b2V5"),
        inner(idempotencyKey=None),
        inner(idempotencyKey=None, eventId="i-2"),
    ]
    assert len({events.read(given, OURS).key for given in different}) == len(different)
    assert events.read(inner(idempotencyKey=5, eventId=""), OURS).key == events.read(thin(), OURS).key


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("DELIVERY_IN_TRANSIT", "PACKAGE_DELIVERY_IN_TRANSIT"),
        ("DELIVERY_COMPLETED", "PACKAGE_DELIVERED"),
        ("DELIVERY_CANCELLED", "PACKAGE_DELIVERY_CANCELLED"),
        ("ITEM_DELIVERED", "PACKAGE_DELIVERED"),
        ("RETURN_DELIVERY_COMPLETED", "RETURN_PACKAGE_DELIVERED"),
        ("RETURN_DELIVERY_FAILED", "RETURN_PACKAGE_DELIVERY_FAILED"),
        ("RETURN_DELIVERY_IN_TRANSIT", "RETURN_PACKAGE_IN_TRANSIT"),
        ("RETURN_COMPLETED", "RETURN_COMPLETED"),
        ("NEVER_HEARD_OF", "NEVER_HEARD_OF"),
    ],
)
def test_old_names_are_the_new_ones(old: str, new: str) -> None:
    assert events.read(thin(old), OURS) == events.read(thin(new), OURS)
    assert events.newest_name(new) == new


@pytest.mark.parametrize(
    ("tail", "orders", "returns"),
    [
        ("order/O-1/delivery/D-1", ("O-1",), ()),
        ("order/O-1/return/04caec9f-7324#RF", ("O-1",), ("04caec9f-7324#RF",)),
        ("order/O-1/return/R%2F1/returnLineItem/L", ("O-1",), ("R%2F1",)),
        ("order/O-1/carrier/ups/tracker/T", ("O-1",), ()),
        ("carrier/ups/tracker/T", (), ()),
        ("warehouse/W/return/R/order/O/colour/red", ("O",), ("R",)),
        ("items/I-1", (), ()),
    ],
)
def test_resource_is_read_by_its_pairs(tail: str, orders: tuple[str, ...], returns: tuple[str, ...]) -> None:
    found = events.read(thin("ANY", f"businessProduct/{OURS}/{tail}"), OURS)
    assert (found.orders, found.returns) == (orders, returns)
    assert str(found.resources[0]) == f"businessProduct/{OURS}/{tail}"


_ID = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1, max_size=12)
_PAIRS = st.lists(st.tuples(_ID, _ID), max_size=5, unique_by=lambda pair: pair[0])


@given(_PAIRS)
def test_any_resource_of_pairs_is_read_whole(pairs: list[tuple[str, str]]) -> None:
    assume(all(kind != "businessProduct" for kind, _ in pairs))
    whole = (("businessProduct", OURS), *pairs)
    found = events.resource("/".join(part for pair in whole for part in pair), OURS)
    assert found == Resource(whole)
    assert all(found.get(kind) == name for kind, name in pairs)


@given(st.text(max_size=60) | st.from_regex(r"businessProduct/bp-1(/[a-z#]{0,3}){0,6}", fullmatch=True))
def test_any_text_is_a_resource_of_ours_or_refused(text: str) -> None:
    try:
        found = events.resource(text, OURS)
    except EventError:
        return
    assert str(found) == text
    assert found.get("businessProduct") == OURS or text.count("businessProduct") > 1


def test_order_of_several_resources_is_asked_once() -> None:
    found = events.read(thin("ANY", RETURN, RETURN.replace("R-1", "R-2"), f"businessProduct/{OURS}/order/O-2"), OURS)
    assert (found.orders, found.returns) == (("O-1", "O-2"), ("R-1", "R-2"))


def test_order_that_only_the_snapshot_names() -> None:
    tracker = f"businessProduct/{OURS}/carrier/C/tracker/T"
    assert events.read(inner("ANY", tracker, data={"order": {"id": "O-9"}}), OURS).orders == ("O-9",)
    assert events.read(inner("ANY", RETURN, data={"order": {"id": "O-9"}}), OURS).orders == ("O-1",)
    for nonsense in (None, 5, [], {"order": 5}, {"order": {}}, {"order": {"id": ""}}, {"order": {"id": 5}}):
        assert events.read(inner("ANY", tracker, data=nonsense), OURS).orders == ()


def test_event_of_another_business_product_is_refused() -> None:
    foreign = RETURN.replace(OURS, "bp-2")
    for event in (thin("ANY", foreign), thin("ANY", RETURN, foreign), inner("ANY", foreign)):
        with pytest.raises(ForeignError):
            events.read(event, OURS)


@pytest.mark.parametrize(
    "given",
    [
        {},
        thin(resources=None),
        thin(resources=RETURN),
        thin(resources=[5]),
        thin(time=None),
        thin(time="yesterday"),
        thin(time="0001-01-01T00:00:00+23:00"),
        {**thin(), "detail-type": ""},
        {**thin(), "detail-type": 5},
        inner(eventDescriptor=None),
        inner(eventTime=5),
        *(thin("ANY", text) for text in ("", "/", "businessProduct", "businessProduct/", f"order/O/businessProduct/{OURS}")),
        *(thin("ANY", f"businessProduct/{OURS}/{tail}") for tail in ("order", "order/", "/O", "order/O/", "order/O-1/order/O-2")),
    ],
)
def test_what_is_no_event_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(EventError) as caught:
        events.read(given, OURS)
    assert "O-1" not in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inside: st.lists(inside, max_size=3)
        | st.dictionaries(st.sampled_from(["detail-type", "detail", "resources", "time", *inner()]), inside, max_size=6),
        max_leaves=12,
    )
)
def test_anything_of_json_is_read_or_refused(given: Any) -> None:
    if isinstance(given, dict):
        try:
            found = events.read(json.loads(json.dumps(given)), OURS)
        except EventError:
            return
        assert found.kind and found.key


def test_times_have_up_to_nine_decimals() -> None:
    assert events.moment("2024-05-28T20:22:22.512677135Z") == datetime(2024, 5, 28, 20, 22, 22, 512677, UTC)
    whole = datetime(2024, 5, 28, 20, 22, 22, tzinfo=UTC)
    assert events.moment("2024-05-28T22:22:22+02:00") == events.moment("2024-05-28T20:22:22") == whole


@given(st.text(min_size=1, max_size=300))
def test_id_of_a_notice_is_one_that_a_device_takes(key: str) -> None:
    found = events.read(inner(idempotencyKey=key), OURS).notice_id
    assert 0 < len(found) <= 255 and re.fullmatch("[!-~]+", found)
    if len(key) <= 255 and re.fullmatch("[!-~]+", key):
        assert found == key
