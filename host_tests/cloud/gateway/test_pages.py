"""The customer's page: what it shows, what a button does, and which links open nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest

from host_tests.cloud.gateway.copies import HOLD_S, QUESTION_S, START
from host_tests.cloud.gateway.house import FIRST, PAGE_KEY, House, run, until
from host_tests.mqtt.mosquitto import Mosquitto
from tools.cloud.gateway.links import Kind, Link, LinkError, Links
from tools.cloud.gateway.model import Intent, IntentId, State
from tools.cloud.gateway.settings import Settings

ID = IntentId("SN0001", "Coffee", 1)
LINK = Link(Kind.HOLD, ID, 2, START, START + HOLD_S)


class Browser:
    """Opens the link of a message and presses a button, as a person would."""

    def __init__(self, house: House, number: int = -1) -> None:
        self.house = house
        self.path = "/a/" + house.mailer.messages[number]["link"].rpartition("/")[2]

    async def open(self, path: str = "") -> tuple[int, str]:
        answer = await self.house.call("GET", path or self.path, headers={})
        return answer.status, answer.body

    async def title(self) -> str:
        return re.findall("<h1>(.*?)</h1>", (await self.open())[1])[0]

    async def buttons(self) -> list[str]:
        return re.findall("<button[^>]*>(.*?)</button>", (await self.open())[1])

    async def press(self, answer: str) -> str:
        """The title of the page that it leads to."""
        pressed = await self.house.call("POST", self.path, f"answer={answer}".encode(), headers=FORM, allow_redirects=False)
        assert (pressed.status, pressed.headers["Location"]) == (303, self.path)
        return await self.title()


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def asked(house: House, messages: int = 1) -> Browser:
    await until(lambda: len(house.mailer.got) >= messages)
    return Browser(house)


def by_message(given: Settings) -> Settings:
    return replace(given, gateway=replace(given.gateway, adapter="notify", former=["memory"]))


def test_a_hold_is_cancelled(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        with house.broker.operator() as listener:
            listener.subscribe("replenish/+/notice")
            await house.post()
            browser = await asked(house)
            assert house.mailer.messages[0] == {
                "kind": "hold",
                "intent_id": FIRST,
                "customer": "ada",
                "name": "Ada",
                "email": "ada@example.com",
                "subject": "Ordered: 2 x Coffee beans",
                "text": "Your device ordered 2 x Coffee beans. It is sent at 15 January, 09:00 UTC, unless you say no before.",
                "link": "https://gateway.example.com" + browser.path,
                "expires": "2027-01-15T09:00:00Z",
            }
            status, page = await browser.open()
            assert status == 200
            for text in ("Your device has ordered", "2 × Coffee beans", "25.00 USD", "15 January, 09:00 UTC", "SN0001"):
                assert text in page
            assert await browser.buttons() == ["Cancel it", "Send it now"]
            assert house.shop.orders[FIRST].state is State.PLACED  # looking answers nothing
            assert await browser.press("no") == "Nothing will be sent"
            assert await browser.buttons() == []
            assert house.shop.orders[FIRST].state is State.CANCELLED
            notice = await asyncio.to_thread(listener.expect, "replenish/SN0001/notice")
            assert (notice.json["intent_id"], notice.json["state"]) == (FIRST, "CANCELLED")
            # The same button again, or the other one, changes nothing.
            assert await browser.press("yes") == "Nothing will be sent"
            assert house.shop.orders[FIRST].state is State.CANCELLED

    run(story, tmp_path, broker)


def test_a_hold_is_ended(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        await house.post()
        browser = await asked(house)
        assert await browser.press("maybe") == "Your device has ordered"
        assert await browser.press("yes") == "The order is on its way to you"
        assert house.shop.orders[FIRST].state is State.STARTED

    run(story, tmp_path, broker)


def test_fewer_are_taken_by_a_copy_that_did_not_ask(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        house.shop.stock = 1
        await house.post()
        browser = await asked(house)
        assert await browser.title() == "Only 1 in stock"
        assert await browser.buttons() == ["Order 1", "Do not order"]
        house.gateways.reverse()
        assert await browser.press("yes") == "The order is made"
        assert house.shop.orders[FIRST].quantity == 1

    run(story, tmp_path, broker, copies=2)


def test_sold_out_and_sold_out_again(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        house.shop.stock = 0
        await house.post()
        browser = await asked(house)
        assert await browser.title() == "Sold out"
        assert await browser.press("yes") == "Sold out"
        house.shop.stock = 1
        house.clock.seconds += 1
        # Another question, with a message and a link of its own; the former link does not answer it.
        assert await browser.press("yes") == "Your answer is awaited"
        other = await asked(house, 2)
        assert await browser.press("yes") == "Your answer is awaited"
        assert await other.press("no") == "Nothing will be sent"
        assert house.shop.created == []

    run(story, tmp_path, broker)


def test_a_person_orders_by_herself(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        assert (await house.post()).body["state"] == "PENDING"
        browser = await asked(house)
        assert house.mailer.messages[0]["subject"] == "Running low: Coffee beans"
        assert '<a class="button first" href="https://shop.example.com/coffee?a=1&amp;b=2"' in (await browser.open())[1]
        assert await browser.buttons() == ["I have ordered it", "Not now"]
        assert await browser.press("yes") == "The order is on its way to you"
        assert (await house.call("GET", f"/v1/replenish/{FIRST}")).body["state"] == "STARTED"

    run(story, tmp_path, broker, change=by_message)


def test_a_message_is_tried_again_until_it_is_taken(tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by another copy, when the one that made the order has died."""
    monkeypatch.setattr("tools.cloud.gateway.people.FIRST_S", 0.001)

    async def first(house: House) -> None:
        house.mailer.status = 500
        await house.post()
        await until(lambda: len(house.mailer.got) > 2)
        assert len({headers["Idempotency-Key"] for headers, _ in house.mailer.got}) == 1

    async def second(house: House) -> None:
        house.shop.make(Intent(ID, 2, 2))
        await house.call("GET", f"/v1/replenish/{FIRST}")
        await until(lambda: house.mailer.got)
        await until(lambda: not house.gateways[0].memory.attempts(ID))
        await house.call("GET", f"/v1/replenish/{FIRST}")
        assert len(house.mailer.got) == 1

    run(first, tmp_path, broker)
    run(second, tmp_path, broker)


def test_a_question_is_told_once(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        house.shop.stock = 1
        await house.post()
        beside = house.gateways[1].memory
        await until(lambda: (record := beside.record(ID)) and beside.told(record))
        for copy in (0, 1):
            assert (await house.call("GET", f"/v1/replenish/{FIRST}", copy=copy)).body["state"] == "PENDING"
        house.shop.stock = None
        other = {"intent_id": "SN0002-Coffee-1", "slot": "Coffee", "quantity": 1}
        await house.call("POST", "/v1/replenish", other, serial="SN0002")
        await until(lambda: any(message["kind"] == "hold" for message in house.mailer.messages))
        assert [message["kind"] for message in house.mailer.messages] == ["stock", "hold"]

    run(story, tmp_path, broker, copies=2)


def test_what_a_browser_is_told(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        await house.post()
        browser = await asked(house)
        answer = await house.call("GET", browser.path, headers={})
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
        assert "<script" not in answer.body

    run(story, tmp_path, broker)


def test_texts_of_the_directory_are_no_html(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        file = house.folder / "directory.toml"
        file.write_text(file.read_text().replace("subscribed = false", "subscribed = true"))
        house.gateways[0].directory.refresh()
        await house.call("POST", "/v1/replenish", {"intent_id": "SN0001-Water-Filter-1", "slot": "Water-Filter", "quantity": 1})
        page = (await (await asked(house)).open())[1]
        assert "1 × Filter &lt;small&gt;" in page
        assert "<small>" not in page

    run(story, tmp_path, broker)


# Links that open nothing

LINKS = Links([PAGE_KEY, "another-key-" + "k" * 32])
BAD_LINKS: dict[str, Callable[[], str]] = {
    "cut": lambda: LINKS.token(LINK)[:-1],
    "another key": lambda: Links(["x" * 32]).token(LINK),
    "another algorithm": lambda: encoded("none"),
    "expired": lambda: LINKS.token(replace(LINK, expires=START)),
    "a kind that is none": lambda: encoded("HS256", k="other"),
    "no intent": lambda: encoded("HS256", i=["SN0001", "Coffee"]),
    "a counter that is none": lambda: encoded("HS256", i=["SN0001", "Coffee", "1"]),
    "a number that is none": lambda: encoded("HS256", exp="never"),
    "too long": lambda: "a" * 1_025,
}


def encoded(algorithm: str, **changed: Any) -> str:
    claims = {"k": "hold", "i": ["SN0001", "Coffee", 1], "n": 2, "a": START, "exp": START + 1, **changed}
    return jwt.encode(claims, "" if algorithm == "none" else PAGE_KEY, algorithm=algorithm)


@pytest.mark.parametrize("why", BAD_LINKS)
def test_bad_links(why: str) -> None:
    with pytest.raises(LinkError):
        Links([PAGE_KEY]).read(BAD_LINKS[why](), START)


def test_good_links() -> None:
    for key in (PAGE_KEY, "another-key-" + "k" * 32):
        assert LINKS.read(Links([key]).token(LINK), START + HOLD_S - 1) == LINK


def test_pages_of_links_that_open_nothing(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        links = Links([PAGE_KEY])
        nothing_there = links.token(LINK)
        nobody = links.token(replace(LINK, intent_id=IntentId("SN9", "Coffee", 1)))
        for path, status in ((f"/a/{nothing_there}", 410), (f"/a/{nobody}", 404), ("/a/junk", 404), (f"/a/{'a' * 3_000}", 404)):
            answer = await house.call("GET", path, headers={})
            assert (answer.status, "This link opens nothing" in answer.body) == (status, True)
            assert (await house.call("POST", path, b"answer=no", headers=FORM)).status == status
        assert house.shop.created == []

    run(story, tmp_path, broker)


def test_a_link_ends_with_its_question(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        house.shop.stock = 1
        await house.post()
        browser = await asked(house)
        house.clock.seconds += QUESTION_S
        assert (await browser.open())[0] == 404
        pressed = await house.call("POST", browser.path, b"answer=yes", headers=FORM)
        assert (pressed.status, house.shop.created) == (404, [])

    run(story, tmp_path, broker)


def test_a_shop_that_is_away(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        await house.post()
        browser = await asked(house)
        house.adapter.faults["cancel"] = ["down"]
        pressed = await house.call("POST", browser.path, b"answer=no", headers=FORM, allow_redirects=False)
        assert (pressed.status, "try again in a minute" in pressed.body) == (503, True)
        house.adapter.faults["find"] = ["down"] * 3
        house.clock.seconds += 60
        assert (await browser.open())[0] == 503

    run(story, tmp_path, broker)


