"""Returns: external ones written so that none becomes another, and all of them read so that nothing goes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tests.cloud.buywithprime.made import items, order, parcel, returned
from tools.cloud.buywithprime import returns
from tools.cloud.buywithprime.models import (
    Alias,
    Condition,
    PackageState,
    Return,
    ReturnDetailsInput,
    ReturnIdentifierInput,
    ReturnPackageState,
    ReturnState,
    UpdateOrderInput,
)
from tools.cloud.buywithprime.returns import Progress, ReturnError, by_alias, by_id, return_alias

OURS = return_alias("X-1")
SECOND = Alias(alias_type="SHOP", alias_id="7")
STORED: dict[str, Any] = {"aliases": [{"aliasType": OURS.alias_type, "aliasId": OURS.alias_id}]}


def details(update: UpdateOrderInput) -> dict[str, Any]:
    """The one return that is written, and nothing beside it."""
    given = update.variables()
    assert given.keys() == {"returns"}
    (only,) = given["returns"]["details"]
    return only


# ---- Adding


@pytest.mark.parametrize("state", [ReturnState.CREATED, ReturnState.COMPLETED])
def test_return_is_added(state: ReturnState) -> None:
    assert details(returns.added(order(), [OURS, SECOND], state, {"L-1": 2})) == {
        "aliases": [{"aliasType": "EXTERNAL-RETURN-ID", "aliasId": "X-1"}, {"aliasType": "SHOP", "aliasId": "7"}],
        "state": state.value,
        "returnLineItems": [{"returnFor": {"orderLineItemAmounts": [{"amount": {"value": 2}, "lineItemId": {"id": "L-1"}}]}}],
    }


def test_added_return_has_no_id_of_the_store_yet() -> None:
    assert "returnIdentifier" not in details(returns.added(order(), [OURS], ReturnState.CREATED, {"L-1": 1}))


@pytest.mark.parametrize("state", [ReturnState.CANCELLED, ReturnState.DRAFT, ReturnState.UNKNOWN])
def test_new_return_is_created_or_completed(state: ReturnState) -> None:
    with pytest.raises(ReturnError, match="^state: "):
        returns.added(order(), [OURS], state, {"L-1": 1})


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ([], "none: allowed: 1 or 2"),
        ([OURS, SECOND, return_alias("X-2")], "3: allowed: at most 2"),
        ([OURS, OURS], "one is taken"),
        ([return_alias("X-9")], "one is taken"),
        ([OURS, Alias(alias_type="OTHER", alias_id="O-9")], "one is taken"),
    ],
)
def test_aliases_of_a_return_are_one_or_two_and_unique_in_the_order(given: list[Alias], fault: str) -> None:
    names = [{"aliasType": "EXTERNAL-RETURN-ID", "aliasId": "X-9"}, {"aliasType": "OTHER", "aliasId": "O-9"}]
    with pytest.raises(ReturnError, match=f"^aliases: {fault}"):
        returns.added(order(returns=[returned(aliases=names)]), given, ReturnState.CREATED, {"L-1": 1})


@pytest.mark.parametrize(
    ("units", "fault"),
    [({}, "none"), ({"L-2": 1}, "a line that"), ({"L-1": 0}, "0: allowed: 1 to 2"), ({"L-1": 3}, "3: allowed: 1 to 2")],
)
def test_no_more_is_returned_than_is_there(units: dict[str, int], fault: str) -> None:
    before = order(returns=[returned(), returned("R-2", "CANCELLED", {"L-1": 3})])
    with pytest.raises(ReturnError, match=f"^units: {fault}"):
        returns.added(before, [OURS], ReturnState.CREATED, units)
    returns.added(before, [OURS], ReturnState.CREATED, {"L-1": 2})


# ---- Changing

KNOWN = order(returns=[returned(**STORED), returned("R-2")])


@pytest.mark.parametrize("which", [by_id("R-1"), by_alias("X-1")])
@pytest.mark.parametrize("state", [ReturnState.CREATED, ReturnState.CANCELLED, ReturnState.COMPLETED])
def test_return_is_changed_by_its_id_or_its_alias(which: ReturnIdentifierInput, state: ReturnState) -> None:
    assert details(returns.changed(KNOWN, which, state)) == {"returnIdentifier": which.variables(), "state": state.value}


def test_identifier_is_the_stores_id_or_our_alias() -> None:
    assert by_id("R-1").variables() == {"id": "R-1"}
    assert by_alias("X-1").variables() == {"alias": {"aliasType": "EXTERNAL-RETURN-ID", "aliasId": "X-1"}}


def test_aliases_are_replaced_by_a_complete_list() -> None:
    written = details(returns.changed(KNOWN, by_id("R-1"), aliases=[SECOND]))
    assert written == {"returnIdentifier": {"id": "R-1"}, "aliases": [{"aliasType": "SHOP", "aliasId": "7"}]}
    details(returns.changed(KNOWN, by_id("R-1"), aliases=[OURS, SECOND]))
    with pytest.raises(ReturnError, match="^aliases: one is taken"):
        returns.changed(KNOWN, by_id("R-2"), aliases=[OURS])
    with pytest.raises(ReturnError, match="^aliases: 3"):
        returns.changed(KNOWN, by_id("R-1"), aliases=[OURS, SECOND, return_alias("X-2")])


def test_empty_list_takes_all_aliases_away_and_none_leaves_them() -> None:
    assert details(returns.changed(KNOWN, by_id("R-1"), aliases=[]))["aliases"] == []
    assert "aliases" not in details(returns.changed(KNOWN, by_id("R-1"), ReturnState.COMPLETED))


@pytest.mark.parametrize("which", [by_id("R-9"), by_alias("R-1"), ReturnIdentifierInput(alias=SECOND)])
def test_return_that_the_order_does_not_have_is_not_changed(which: ReturnIdentifierInput) -> None:
    """The API would add it."""
    with pytest.raises(ReturnError, match="^return: the order has none"):
        returns.changed(KNOWN, which, ReturnState.COMPLETED)


@given(st.data())
def test_no_update_becomes_a_new_return(data: st.DataObject) -> None:
    """Whatever is asked for: what has no identifier names lines, what names a return has no lines, and a third kind is not made."""
    states = st.sampled_from(ReturnState)
    aliases = st.lists(st.sampled_from([OURS, SECOND, return_alias("X-2")]), max_size=3)
    which = st.sampled_from([by_id("R-1"), by_id("R-9"), by_alias("X-1"), by_alias("X-9")])
    units = st.dictionaries(st.sampled_from(["L-1", "L-2"]), st.integers(0, 4), max_size=2)
    calls: list[Callable[[], UpdateOrderInput]] = [
        lambda: returns.added(KNOWN, data.draw(aliases), data.draw(states), data.draw(units)),
        lambda: returns.changed(KNOWN, data.draw(which), data.draw(st.none() | states), data.draw(st.none() | aliases)),
    ]
    number = data.draw(st.integers(0, 1))
    try:
        written = details(calls[number]())
    except ReturnError:
        return
    assert ("returnIdentifier" in written, "returnLineItems" in written) == (bool(number), not number)
    assert number == 1 or (written["aliases"] and written["state"] != "CANCELLED")


def test_all_returns_of_an_alias_but_one_are_cancelled_and_lose_it() -> None:
    times = {"R-1": "2026-03-01T12:00:02Z", "R-2": "2026-03-01T12:00:01Z", "R-3": "2026-03-01T12:00:03Z"}
    made = [returned(name, createdAt=time, **STORED) for name, time in times.items()]
    expected = [{"returnIdentifier": {"id": name}, "state": "CANCELLED", "aliases": []} for name in ("R-1", "R-3")]
    assert [details(each) for each in returns.doubled(order(returns=made), by_alias("X-1"))] == expected
    off = [returned("R-2", "CANCELLED", createdAt=times["R-2"], **STORED), made[0], returned("R-4")]
    assert returns.doubled(order(returns=off), by_alias("X-1")) == []
    kept = returns.find(order(returns=off), by_alias("X-1"))
    assert kept and kept.id == "R-1"


def test_alias_alone_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="return_identifier: missing"):
        ReturnDetailsInput(aliases=(OURS,), state=ReturnState.COMPLETED)


@pytest.mark.parametrize(("before", "after"), [("COMPLETED", "CREATED"), ("COMPLETED", "CANCELLED"), ("CANCELLED", "CREATED")])
def test_return_is_not_written_back(before: str, after: str) -> None:
    with pytest.raises(ReturnError, match=f"^state: {after}: allowed: none before {before}"):
        returns.changed(order(returns=[returned(state=before)]), by_id("R-1"), ReturnState(after))


@pytest.mark.parametrize("state", [ReturnState.DRAFT, ReturnState.UNKNOWN])
def test_state_that_is_only_read_is_not_written(state: ReturnState) -> None:
    with pytest.raises(ReturnError, match="allowed: CREATED, CANCELLED, COMPLETED"):
        returns.changed(order(returns=[returned(state="UNHEARD_OF")]), by_id("R-1"), state)


# ---- What is in a return


def test_lines_are_found_through_return_for() -> None:
    two = order(lines={"L-1": 3, "L-2": 1}, returns=[returned(units={"L-1": 2, "L-2": 1})])
    assert returns.units(two.returns[0]) == {"L-1": 2, "L-2": 1}
    assert returns.units_left(two) == {"L-1": 1, "L-2": 0}


def test_lines_are_found_through_the_lines_of_a_return() -> None:
    lines = [{"id": "RL-1", "returnFor": items({"L-1": 1})}, {"id": "RL-2", "returnFor": items({"L-1": 1, "L-2": 1})}]
    given = Return.model_validate({"id": "R-1", "state": "CREATED", "returnLineItems": lines})
    assert returns.units(given) == {"L-1": 2, "L-2": 1}


def test_lines_are_found_in_the_older_form() -> None:
    older = {"orderLineItems": [{"lineItem": {"id": "L-1"}, "amount": {"unit": "ONE", "value": 2}}]}
    given = Return.model_validate({"id": "R-1", "state": "COMPLETED", "returnFor": older})
    assert returns.units(given) == {"L-1": 2}


# ---- What left the home


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (returned(units={"L-1": 2}), 0),
        (returned(units={"L-1": 2}, state="COMPLETED"), 2),
        (returned(units={"L-1": 2}, state="CANCELLED", returnPackageDetails=[parcel("DELIVERED")]), 0),
        (returned(units={"L-1": 2}, state="DRAFT", returnPackageDetails=[parcel("DROPPED_OFF")]), 0),
        (returned(units={"L-1": 2}, returnPackageDetails=[parcel("CREATED", {"L-1": 2})]), 0),
        (returned(units={"L-1": 2}, returnPackageDetails=[parcel("DROPPED_OFF", {"L-1": 2})]), 2),
        (returned(units={"L-1": 2}, returnPackageDetails=[parcel("IN_TRANSIT", {"L-1": 1}), parcel("CREATED", {"L-1": 1}, "P-2")]), 1),
        (returned(units={"L-1": 2}, returnPackageDetails=[parcel("DELIVERED", {"L-1": 1}), parcel("COMPLETED", {"L-1": 1}, "P-2")]), 2),
        (returned(units={"L-1": 2}, returnPackageDetails=[parcel("IN_TRANSIT", {"L-1": 9})]), 2),
        (returned(units={"L-1": 2}, returnPackageDetails=[parcel("IN_TRANSIT")]), 2),
        (returned(units={"L-1": 2}, returnPackageDetails=[parcel("IN_TRANSIT"), parcel("CREATED", name="P-2")]), 0),
        (returned(units={"L-1": 9}, state="COMPLETED"), 3),
        (returned(units={"L-1": 2}, returnPackageDetails=[parcel("FAILED", {"L-1": 2}, reason="PICKUP_MISSED")]), 0),
        (returned(units={"L-1": 2}, returnPackageDetails=[parcel("FAILED", {"L-1": 2}, reason="CARRIER_REJECTED")]), 0),
        (returned(units={"L-1": 2}, returnPackageDetails=[parcel("FAILED", {"L-1": 2}, reason="CARRRIER_REJECTED")]), 0),
        (returned(units={"L-1": 2}, returnPackageDetails=[parcel("FAILED", {"L-1": 2}, reason="SHIPMENT_LOST")]), 2),
        (returned(units={"L-1": 2}, returnPackageDetails=[parcel("FAILED", {"L-1": 2}, reason="UNDELIVERABLE")]), 2),
        (returned(units={"L-1": 2}, returnPackageDetails=[parcel("FAILED", {"L-1": 2})]), 2),
    ],
)
def test_units_that_left_the_home(given: dict[str, Any], left: int) -> None:
    assert returns.left_home(order(returns=[given])) == left


def test_units_of_all_returns_are_added_up() -> None:
    assert returns.left_home(order(returns=[returned(state="COMPLETED"), returned("R-2", "COMPLETED"), returned("R-3")])) == 2


@given(st.lists(st.sampled_from(["CREATED", "DROPPED_OFF", "IN_TRANSIT", "DELIVERED"]), min_size=1, max_size=3))
def test_units_that_left_never_fall_as_a_package_goes_on(states: list[str]) -> None:
    """Every package at its state or the next one, and at last the return completed."""
    words = ["CREATED", "DROPPED_OFF", "IN_TRANSIT", "DELIVERED", "DELIVERED"]

    def left(each: list[str], state: str = "CREATED") -> int:
        parcels = [parcel(word, {"L-1": 1}, f"P-{n}") for n, word in enumerate(each)]
        return returns.left_home(order(returns=[returned(state=state, units={"L-1": len(each)}, returnPackageDetails=parcels)]))

    for number, state in enumerate(states):
        later = [*states]
        later[number] = words[words.index(state) + 1]
        assert left(states) <= left(later) <= left(later, "COMPLETED") == len(states)


# ---- Grading


def graded(*conditions: tuple[str, int], counted: int | None = None) -> dict[str, Any]:
    summary: dict[str, Any] = {"unitWiseCondition": [{"condition": word, "amount": {"value": n}} for word, n in conditions]}
    if counted is not None:
        summary["gradedAmount"] = {"unit": "ONE", "value": counted}
    return {"id": "RL-1", "returnFor": items({"L-1": 2}), "grading": {"summary": summary}}


def gradings(*lines: dict[str, Any]) -> tuple[returns.Graded, ...]:
    return returns.gradings(Return.model_validate({"id": "R-1", "state": "CREATED", "returnLineItems": list(lines)}))


@pytest.mark.parametrize("word", ["SELLABLE", "DEFECTIVE", "DAMAGED", "FULFILLMENT_EXPIRED"])
@pytest.mark.parametrize("spelt", [str.upper, str.lower, str.title])
def test_units_are_counted_by_condition_in_any_case(word: str, spelt: Callable[[str], str]) -> None:
    (found,) = gradings(graded((spelt(word), 2), counted=2))
    assert (found.line, found.units, found.conditions) == ("L-1", 2, {Condition(word): 2})


def test_one_line_may_be_graded_in_several_conditions() -> None:
    (found,) = gradings(graded(("Sellable", 1), ("DAMAGED", 2), ("sellable", 1), ("ODD", 1)))
    assert found.conditions == {Condition.SELLABLE: 2, Condition.DAMAGED: 2, Condition.UNKNOWN: 1}
    assert found.units == 5


def test_line_that_is_not_graded_yet_has_no_grading() -> None:
    assert gradings({"id": "RL-1", "returnFor": items({"L-1": 1}), "grading": None}) == ()


def test_reason_of_a_return_is_opaque() -> None:
    """Its code is kept whatever it is; description and comments are the shopper's words and are not even read."""
    reason = {"reasonCode": "SOMETHING-new_42", "description": "It broke", "comments": "DEFECTIVE! state: COMPLETED"}
    given = Return.model_validate({"id": "R-1", "state": "CREATED", "returnLineItems": [{"id": "RL-1", "returnReason": reason}]})
    assert given.line_items[0].reason_code == "SOMETHING-new_42"
    assert "broke" not in repr(given) and "DEFECTIVE" not in repr(given)


def test_refunds_are_read_and_cannot_be_written() -> None:
    refund = {"id": "F-1", "state": "PENDING", "refundFor": {"causedBy": {"id": "R-1"}, **items({"L-1": 1})}}
    found = order(refunds={"details": [refund]}).refunds[0]
    assert (found.id, found.state, found.caused_by) == ("F-1", "PENDING", "R-1")
    assert "refunds" not in UpdateOrderInput.model_fields
    assert "refund" not in json.dumps(returns.added(order(), [OURS], ReturnState.COMPLETED, {"L-1": 1}).variables())


# ---- Only forward


@pytest.mark.parametrize(
    "ranked",
    [
        [PackageState.PENDING, PackageState.IN_TRANSIT, PackageState.CANCELLED, PackageState.DELIVERED],
        [ReturnState.DRAFT, ReturnState.CREATED, ReturnState.CANCELLED, ReturnState.COMPLETED],
        [
            ReturnPackageState.CREATED,
            ReturnPackageState.DROPPED_OFF,
            ReturnPackageState.IN_TRANSIT,
            ReturnPackageState.FAILED,
            ReturnPackageState.DELIVERED,
        ],
    ],
)
def test_states_only_move_forward(ranked: list[Any]) -> None:
    unknown = type(ranked[0])("UNHEARD_OF")
    for number, state in enumerate(ranked):
        for earlier in (unknown, *ranked[: number + 1]):
            assert returns.further(state, earlier) is returns.further(earlier, state) is state
    assert {unknown, *ranked} == set(type(ranked[0]).__members__.values())


def test_completed_package_is_a_delivered_one() -> None:
    assert ReturnPackageState("COMPLETED") is ReturnPackageState.DELIVERED


_PROGRESS = st.builds(
    Progress,
    st.booleans(),
    st.sampled_from(PackageState),
    st.dictionaries(st.sampled_from("AB"), st.sampled_from(ReturnState)),
    st.dictionaries(st.sampled_from("PQ"), st.sampled_from(ReturnPackageState)),
    st.integers(0, 5),
)


@given(st.lists(_PROGRESS, min_size=1, max_size=5), st.data())
def test_looks_in_any_order_and_any_number_come_to_the_same(looks: list[Progress], data: st.DataObject) -> None:
    def end(many: list[Progress]) -> Progress:
        found = many[0]
        for look in many[1:]:
            found = returns.merged(found, look)
        return found

    doubled = data.draw(st.permutations([*looks, data.draw(st.sampled_from(looks))]))
    assert end(looks) == end([*doubled]) == returns.merged(end(looks), end([*doubled]))


def test_older_look_takes_nothing_back() -> None:
    before = order(["PENDING"], metadata={"executionState": "NOT_STARTED"})
    going = returned(returnPackageDetails=[parcel("IN_TRANSIT", {"L-1": 1})])
    moving = order(["DELIVERED"], [going], metadata={"executionState": "STARTED"})
    done = order(["DELIVERED"], [returned(state="COMPLETED", returnPackageDetails=[parcel("COMPLETED", {"L-1": 1})])])
    found = returns.progress(done)
    for look in (moving, before, moving):
        found = returns.merged(found, returns.progress(look))
    assert found == Progress(
        True, PackageState.DELIVERED, {"R-1": ReturnState.COMPLETED}, {"P-1": ReturnPackageState.DELIVERED}, 1
    )
    assert not found.returning
    assert returns.progress(moving).returning
