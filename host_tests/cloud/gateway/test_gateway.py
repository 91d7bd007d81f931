"""The whole gateway on real sockets: its contract with devices, who is let in, two copies, and what is never logged."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import jwt
import pytest
import trustme

from host_tests.cloud.gateway.copies import HOLD_S
from host_tests.cloud.gateway.house import DIRECTORY, FIRST, MESSAGES_KEY, ORDER, PAGE_KEY, House, run, until
from host_tests.mqtt.mosquitto import Mosquitto
from tools.cloud import gateway
from tools.cloud.gateway import chores, people, tokens
from tools.cloud.gateway.model import State
from tools.cloud.gateway.settings import Settings
from tools.cloud.gateway.tokens import LEEWAY_S

INTENT = f"/v1/replenish/{FIRST}"
FILTER = {"slot": "Water-Filter", "intent_id": "SN0001-Water-Filter-1"}


def test_a_device_orders(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        made = await house.post()
        assert (made.status, made.body["state"], made.body["intent_id"]) == (200, "PLACED", FIRST)
        assert (await house.post()).body == made.body
        assert (await house.call("GET", INTENT)).body == made.body
        slots = {"Coffee": {"subscribed": True, "latest": 1}, "Water-Filter": {"subscribed": False, "latest": 0}}
        assert (await house.call("GET", "/v1/slots")).body == {"slots": slots}
        assert (await house.call("POST", f"{INTENT}/cancel", {})).body["state"] == "CANCELLED"
        assert house.shop.created == [FIRST]

    run(story, tmp_path, broker)


def test_two_copies_at_once(tmp_path: Path, broker: Mosquitto) -> None:
    """The same intent at both at the same moment, then an answer lost at one and repeated at the other."""

    async def story(house: House) -> None:
        answers = await asyncio.gather(*(house.post(copy=copy) for copy in (0, 1, 0, 1)))
        assert {answer.status for answer in answers} == {200}
        assert house.shop.created == [FIRST]
        house.shop.move(FIRST, State.DELIVERED)
        house.adapter.faults["order"] = ["lost"]
        lost = await house.post(2, copy=0)
        assert (lost.status, lost.body["error"]) == (502, "outcome_unknown")
        assert (await house.post(2, copy=1)).body["state"] == "PLACED"
        assert house.shop.created == [FIRST, "SN0001-Coffee-2"]

    run(story, tmp_path, broker, copies=2)


def test_a_question_is_known_to_a_copy_that_starts_later(tmp_path: Path, broker: Mosquitto) -> None:
    async def first(house: House) -> None:
        house.shop.stock = 1
        assert (await house.post()).body["state"] == "PENDING"
        await until(lambda: house.mailer.got)

    async def second(house: House) -> None:
        found = await house.call("GET", INTENT)
        assert (found.body["state"], found.body["quantity"]) == ("PENDING", 1)
        assert (await house.call("POST", f"{INTENT}/agree", {}, copy=1)).body["quantity"] == 1

    run(first, tmp_path, broker)
    run(second, tmp_path, broker, copies=2)


def test_the_hold_ends_by_itself_and_the_device_is_told(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        with house.broker.operator() as listener:
            listener.subscribe(topic := "replenish/SN0001/notice")
            await house.post()
            house.clock.seconds += HOLD_S
            notice = (await asyncio.to_thread(listener.expect, topic)).json
            assert notice == {
                "intent_id": FIRST,
                "slot": "Coffee",
                "state": "STARTED",
                "quantity": 2,
                "created": "2027-01-15T08:00:00Z",
                "time": "2027-01-15T09:00:00Z",
                "id": f"{FIRST}:STARTED:2027-01-15T09:00:00Z",
            }

    run(story, tmp_path, broker)


def test_the_device_is_told_of_each_return_that_is_told_here(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        with house.broker.operator() as listener:
            listener.subscribe(topic := "replenish/SN0001/notice")
            await house.post(quantity=3)
            house.shop.move(FIRST, State.DELIVERED)
            ids = set()
            for returned in (1, 2):
                given = {"return_id": f"r {returned}", "quantity": 1, "state": "COMPLETED"}
                assert (await house.call("POST", f"{INTENT}/returns", given)).body["returned"] == returned
                notice = (await asyncio.to_thread(listener.expect, topic, count=returned)).json
                assert (notice["state"], notice["returned"]) == ("RETURNING", returned)
                ids.add(notice["id"])
            assert len(ids) == 2
            assert not any(" " in name for name in ids)  # with one the device does not take it

    run(story, tmp_path, broker)


def test_a_slot_that_can_be_called_anything(tmp_path: Path, broker: Mosquitto) -> None:
    """Its intents go through paths, headers and topics."""

    async def story(house: House) -> None:
        slot = "Wäsche 1/2 + 50% #-"
        (house.folder / "directory.toml").write_text(DIRECTORY.replace("Water-Filter", json.dumps(slot, ensure_ascii=False)))
        house.gateways[0].directory.refresh()
        name = f"SN0001-{slot}-1"
        assert (await house.call("POST", "/v1/replenish", {**ORDER, "slot": slot, "intent_id": name})).status == 403
        path = f"/v1/replenish/{quote(name, safe='')}"
        assert (await house.call("POST", f"{path}/cancel", {})).body["intent_id"] == name
        assert (await house.call("GET", path)).body["state"] == "CANCELLED"

    run(story, tmp_path, broker)


# Who is let in


def test_client_certificates(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        by_certificate: dict[str, Any] = {"headers": {}, "ssl": house.trust("SN0001")}
        assert (await house.call("POST", "/v1/replenish", ORDER, **by_certificate)).status == 200
        assert (await house.call("GET", INTENT, headers={}, ssl=house.trust("SN0002"))).status == 404
        assert (await house.call("GET", INTENT, headers={}, ssl=house.trust("SN9"))).status == 401
        assert (await house.call("GET", INTENT, ssl=house.trust("SN0002"))).status == 401  # the token says SN0001
        assert (await house.call("GET", INTENT, ssl=house.trust("SN0001"))).status == 200
        with pytest.raises(aiohttp.ClientError):
            await house.call("GET", INTENT, headers={}, ssl=house.trust("SN0001", trustme.CA()))

    run(story, tmp_path, broker)


def test_a_device_sees_its_own_intents_only(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        await house.post()
        unknown = await house.call("GET", "/v1/replenish/SN0002-Coffee-7", serial="SN0002")
        for method, path, body in (("GET", INTENT, None), ("POST", f"{INTENT}/cancel", {}), ("POST", f"{INTENT}/agree", {})):
            answer = await house.call(method, path, body, serial="SN0002")
            assert (answer.status, answer.body) == (404, unknown.body)
        answer = await house.call("POST", "/v1/replenish", ORDER, serial="SN0002")
        assert (answer.status, answer.body) == (404, unknown.body)
        assert house.shop.orders[FIRST].state == "PLACED"

    run(story, tmp_path, broker)


def forged(house: House) -> dict[str, str]:
    claims = {"sub": "SN0001"}
    now = int(house.clock.now())
    public = tokens.public_pem(house.key)
    return {
        "no key of ours": tokens.issue(tokens.new_key("EdDSA"), "SN0001", now),
        "alg none": jwt.encode(claims, "", algorithm="none"),
        "the public key as a shared one": hs256(claims, public),
        "the page's key": jwt.encode(claims, PAGE_KEY, algorithm="HS256"),
        "expired": tokens.issue(house.key, "SN0001", now - 86_400 - LEEWAY_S, days=1),
        "from the future": jwt.encode({"sub": "SN0001", "nbf": now + LEEWAY_S + 1}, house.key, algorithm="EdDSA"),
        "for nobody": jwt.encode({"iat": now}, house.key, algorithm="EdDSA"),
        "for a number": jwt.encode({"sub": 1}, house.key, algorithm="EdDSA"),
        "of no known device": tokens.issue(house.key, "SN9", now),
        "a time that is none": jwt.encode({"sub": "SN0001", "exp": "never"}, house.key, algorithm="EdDSA"),
        "cut": house.token()[:-2],
        "changed": house.token()[:-4] + "AAAA",
        "too long": "a" * 2_049,
        "empty": "",
    }


def hs256(claims: dict[str, Any], key: bytes) -> str:
    """Signed with a public key as if it were a secret, which PyJWT itself refuses to do."""
    import base64
    import hashlib
    import hmac
    import json

    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(hmac.new(key, signed, hashlib.sha256).digest())).decode()


def test_tokens(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        for why, token in forged(house).items():
            answer = await house.call("GET", "/v1/slots", headers={"Authorization": f"Bearer {token}"})
            assert (answer.status, answer.body["error"]) == (401, "unauthorized"), why
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        for headers in ({}, {"Authorization": f"Basic {house.token()}"}, {"Authorization": house.token()}):
            assert (await house.call("GET", "/v1/slots", headers=headers)).status == 401
        now = house.clock.now()
        old, almost = tokens.issue(house.old_key, "SN0001", now), tokens.issue(house.key, "SN0001", now - 86_400, days=1)
        for good in (house.token(), old, almost):
            assert (await house.call("GET", "/v1/slots", headers={"Authorization": f"bearer {good}"})).status == 200

    run(story, tmp_path, broker)


def test_the_issuer(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        for issuer, status in (("acme", 200), ("other", 401), (None, 401)):
            token = tokens.issue(house.key, "SN0001", house.clock.now(), issuer=issuer)
            assert (await house.call("GET", "/v1/slots", headers={"Authorization": f"Bearer {token}"})).status == status

    def named(given: Settings) -> Settings:
        assert given.tokens
        return replace(given, tokens=replace(given.tokens, issuer="acme"))

    run(story, tmp_path, broker, change=named)


def test_a_device_that_calls_too_often(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        statuses = [(await house.call("GET", "/v1/slots")).status for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        answer = await house.call("GET", "/v1/slots")
        assert (answer.body["error"], answer.headers["Retry-After"]) == ("too_many", "20")
        assert (await house.call("GET", "/v1/slots", serial="SN0002")).status == 200
        house.clock.seconds += 20
        assert (await house.call("GET", "/v1/slots")).status == 200

    run(story, tmp_path, broker, change=lambda given: replace(given, gateway=replace(given.gateway, calls_per_minute=3)))


# What is malformed


@pytest.mark.parametrize(
    ("body", "status", "word", "text"),
    [
        (b"{", 400, "bad_request", "the body is not JSON"),
        (b"\xff", 400, "bad_request", "the body is not JSON"),
        (b"[" * 3_000, 400, "bad_request", "the body is not JSON"),
        ([], 400, "bad_request", "the body"),
        ({**ORDER, "quantity": 0}, 400, "bad_request", "quantity"),
        ({**ORDER, "quantity": 100}, 400, "bad_request", "quantity"),
        ({**ORDER, "quantity": "2"}, 400, "bad_request", "quantity"),
        ({**ORDER, "quantity": True}, 400, "bad_request", "quantity"),
        ({**ORDER, "least": 3}, 400, "bad_request", "least: more than quantity"),
        ({**ORDER, "reason": "x" * 65}, 400, "bad_request", "reason"),
        ({**ORDER, "reason": "a\nb"}, 400, "bad_request", "reason"),
        ({**ORDER, "more": 1}, 400, "bad_request", "more"),
        ({**ORDER, "slot": "Tea"}, 404, "unknown_slot", ""),
        ({**ORDER, "intent_id": "SN0001-Coffee-0"}, 404, "unknown_intent", ""),
        ({**ORDER, "intent_id": "SN0001-Coffee-01"}, 404, "unknown_intent", ""),
        ({**ORDER, "intent_id": "SN0001-Coffee-9999999999"}, 404, "unknown_intent", ""),
        ({**ORDER, "intent_id": "SN0001-Water-Filter-1"}, 404, "unknown_intent", ""),
        ({**ORDER, **FILTER}, 403, "not_subscribed", "the slot Water-Filter is unsubscribed"),
        (b'"' + b"x" * 5_000 + b'"', 413, "too_large", "4096"),
    ],
)  # fmt: skip
def test_bodies(body: Any, status: int, word: str, text: str, shared: House) -> None:
    answer = shared.ask("POST", "/v1/replenish", body)
    assert (answer.status, answer.body["error"]) == (status, word)
    assert text in answer.body["message"]
    assert shared.shop.created == []


def test_what_is_not_there(shared: House) -> None:
    answer = shared.ask("GET", "/v2/slots")
    assert (answer.status, answer.body["error"]) == (404, "not_found")
    answer = shared.ask("DELETE", "/v1/replenish")
    assert (answer.status, answer.body["error"], answer.headers["Allow"]) == (405, "method_not_allowed", "POST")


def test_a_fault_of_our_own_is_500_and_tells_nothing(tmp_path: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    async def story(house: House) -> None:
        async def broken(*given: object) -> None:
            raise RuntimeError("ada" + "@example.com")

        house.adapter.find = broken  # type: ignore[method-assign, assignment]
        answer = await house.call("GET", INTENT)
        assert (answer.status, answer.body) == (500, {"error": "failed", "message": "a fault of the gateway's own"})
        assert "in broken" in caplog.text
        assert "ada@example.com" not in caplog.text

    run(story, tmp_path, broker)


# The rest


def test_without_a_broker_nothing_is_ordered(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        house.broker.kill()
        answer = await house.post()
        assert (answer.status, answer.body["error"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        async with aiohttp.ClientSession() as http, http.get(f"{house.gateways[0].admin_url}/health") as health:
            assert health.status == 503
        house.broker.start()
        await house.gateways[0].broker.wait_connected()
        assert (await house.post()).body["state"] == "PLACED"
        assert house.shop.created == [FIRST]

    def impatient(given: Settings) -> Settings:
        return replace(given, mqtt=replace(given.mqtt, publish_limit_s=1))

    run(story, tmp_path, broker, change=impatient)


def test_health_and_metrics(tmp_path: Path, broker: Mosquitto) -> None:
    async def story(house: House) -> None:
        await house.post()
        await house.call("GET", "/v1/replenish/SN0001-Coffee-9")
        text = await house.metrics()
        for line in (
            'gateway_requests_total{call="replenish",status="200"} 1.0',
            'gateway_requests_total{call="get",status="404"} 1.0',
            'gateway_shop_calls_total{adapter="memory",call="order",outcome="ok"} 1.0',
            "gateway_broker_connected 1.0",
            "gateway_held 1.0",
        ):
            assert line in text
        readme = (Path(gateway.__file__).parent / "README.md").read_text()
        for name in re.findall(r"# TYPE (\w+) \w+", text):
            assert name.removesuffix("_created") in readme, name
        async with aiohttp.ClientSession() as http:
            for path in ("live", "health"):
                async with http.get(f"{house.gateways[0].admin_url}/{path}") as answer:
                    assert answer.status == 200

    run(story, tmp_path, broker)


def test_a_changed_directory_counts_at_once(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(chores, "REFRESH_S", 0)

    async def story(house: House) -> None:
        file = house.folder / "directory.toml"
        file.write_text("customers = 5")
        await until(lambda: "the former one goes on" in caplog.text)
        assert (await house.call("GET", "/v1/slots")).status == 200
        file.write_text(DIRECTORY.replace("SN0002", "SN0003"))
        while (await house.call("GET", "/v1/slots", serial="SN0003")).status != 200:
            await asyncio.sleep(0.01)
        assert (await house.call("GET", "/v1/slots", serial="SN0002")).status == 401

    run(story, tmp_path, broker)


def test_no_secret_is_logged(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not with everything said, through orders, messages that fail, pages, forged tokens and a broker that goes."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(people, "FIRST_S", 0.01)
    secrets: list[str] = [PAGE_KEY, MESSAGES_KEY]

    async def story(house: House) -> None:
        secrets.extend([house.broker.passwords["gateway"], house.token().rpartition(".")[2]])
        secrets.extend(["ada@example.com", "1 Main St", "card-of-ada"])
        house.shop.stock = 1
        house.mailer.status = 500
        await house.post()
        await until(lambda: house.mailer.got)
        house.mailer.status = 202
        await until(lambda: len(house.mailer.got) > 1)
        link = house.mailer.messages[0]["link"]
        secrets.append(link.rpartition("/")[2])
        await house.call("GET", "/a/" + secrets[-1])
        await house.call("POST", "/a/" + secrets[-1], b"answer=yes")
        await house.call("GET", "/a/" + secrets[-1][:-3])
        for token in forged(house).values():
            await house.call("GET", "/v1/slots", headers={"Authorization": f"Bearer {token}"})
        house.broker.restart()
        await house.call("GET", INTENT)

    run(story, tmp_path, broker)
    assert "connected to the broker" in caplog.text
    for secret in secrets:
        assert secret not in caplog.text
