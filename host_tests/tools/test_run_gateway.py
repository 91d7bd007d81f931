"""`python -m tools.run --backend gateway`, whole: the agent under MicroPython, the gateway, the relay and the store over TLS."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from host_tests.tools.run_process import FASTEST, Story

Event = dict[str, Any]


def told(folder: Path, *options: str) -> Story:
    """A run that has ended well."""
    story = Story(folder, "--backend", "gateway", *options)
    try:
        status, errors = story.end()
    finally:
        story.process.kill()
    assert (status, errors) == (0, ""), story.text
    return story


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """26 seconds on a free core, so all look at the same one."""
    yield told(tmp_path_factory.mktemp("month") / "run", "--speed", "100000")


def of(story: Story, slot: str, *kinds: str) -> list[Event]:
    """The events of a slot that are of these kinds, in their order."""
    return [event for event in story.events() if event["slot"] == slot and event["kind"] in kinds]


def test_a_month_brings_the_whole_story(month: Story) -> None:
    lines = month.text.splitlines()
    assert "\x1b" not in month.text and max(map(len, lines)) <= 120
    assert lines[-3:] == [f"✔ {entry['slot']} {entry['name']}" for entry in month.summary()["chapters"]]
    for words in (
        "◀ store   Coffee",
        "refuses: fewer are left than wanted (SelectedQuantityNotAvailable)",
        'writes to the customer: "Only 1 x Coffee beans, 350 g in stock"',
        "→ awaiting_customer",
        '○ person  Coffee',
        'opens the message\'s page, "Only 1 in stock", and presses "Order 1"',
        'the page says: "The order is made"',
        "has some from elsewhere: sends the parcel back unopened",
        "RETURN_PACKAGE_IN_TRANSIT by EventBridge, relay and broker",
        "→ held: pack returned; until day",
        "looks at what came back: SELLABLE",
    ):
        assert words in month.text


def test_each_intent_is_one_order(month: Story) -> None:
    accepted = [event["fields"]["intent"] for event in month.events() if event["kind"] == "accepted"]
    assert len(accepted) >= 4 and sorted(accepted) == sorted(set(accepted))
    summary = month.summary()
    assert summary["intents"] == dict.fromkeys(accepted, 1)
    assert summary["gateway_calls"]["replenish"]["accepted"] == len(accepted)
    assert (summary["asked"], summary["answered"], summary["duplicates"], summary["verdict"]) == (1, 1, 0, None)


def test_what_is_left_is_ordered_when_the_person_says_so_and_not_before(month: Story) -> None:
    found = of(month, "Coffee", "sold out", "asked", "answered", "accepted")
    assert [event["kind"] for event in found[:5]] == ["accepted", "sold out", "asked", "answered", "accepted"]
    assert [event["fields"]["packs"] for event in found if event["kind"] == "accepted"][:2] == [2, 1]
    assert found[1]["fields"]["intent"] == found[4]["fields"]["intent"] == "SN0001-Coffee-2"


def test_an_order_is_held_for_a_day(month: Story) -> None:
    accepted, started = of(month, "PaperTowel", "accepted", "started")[:2]
    assert (accepted["kind"], started["kind"]) == ("accepted", "started")
    assert accepted["time"][:10] < started["time"][:10]


def test_what_went_back_is_not_at_home_any_more(month: Story) -> None:
    events = of(month, "PaperTowel", "order", "level")
    reasons = [event["fields"].get("reason") for event in events]
    delivered, returned = reasons.index("delivered, waiting for the refill"), reasons.index("pack returned")
    assert events[returned]["fields"]["from"] == "awaiting_refill" and delivered < returned
    levels = [event["fields"]["on_hand"] for event in events[returned:] if event["kind"] == "level"]
    assert levels and not any(levels)


def test_the_page_is_kept_as_the_person_saw_it(month: Story) -> None:
    page = (month.folder / "cloud" / "page.html").read_text()
    assert re.findall(r"<button [^>]*>([^<]*)", page) == ["Order 1", "Do not order"]


def test_no_secret_is_among_what_is_told(month: Story) -> None:
    secrets = re.findall(r'"([^"]{16,})"', (month.folder / "cloud" / "gateway" / "secrets.toml").read_text())
    secrets += re.findall(r'"([^"]{16,})"', (month.folder / "appliance" / "secrets.json").read_text())
    assert len(secrets) >= 5
    shown = month.text + (month.folder / "events.jsonl").read_text() + (month.folder / "cloud" / "cloud.log").read_text()
    assert not [secret for secret in secrets if secret in shown]


def test_without_notices_the_appliance_polls(tmp_path: Path) -> None:
    story = told(tmp_path / "run", "--days", "10", "--speed", FASTEST, "--notices", "off")
    kinds = {(event["source"], event["kind"]) for event in story.events()}
    assert ("agent", "cloud") not in kinds and ("cloud", "notice") not in kinds and ("agent", "notice") not in kinds
    assert story.summary()["notices"] is None and "by polling alone" in story.text
    assert of(story, "Coffee", "delivered") and "order_info → " in story.text
    assert story.text.count("(not yet)") >= 2
