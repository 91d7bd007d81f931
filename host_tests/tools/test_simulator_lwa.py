"""The token endpoint."""

import base64
import hashlib
import re
from typing import Any

import pytest

from host_tests.tools.simulator_client import Device, ask, refresh_request, token_request
from tools.simulator import Clock
from tools.simulator.lwa import CLIENT_ID, CLIENT_SECRET, ERRORS
from tools.simulator.wire import Request
from tools.simulator.world import World

RETURN_URL = "https://example.com/return"
VERIFIER = "v" * 43


@pytest.fixture
def world() -> World:
    return World(Clock.manual())


def refresh(world: World, token: str, **more: str) -> tuple[int, Any]:
    """The status and the JSON of a refresh."""
    call, answer = ask(world, refresh_request(token, **more))
    return call.status, answer


def s256(verifier: str) -> str:
    """The challenge of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def swap(world: World, code: str, **more: str) -> tuple[int, Any]:
    """The status and the JSON of a code's exchange."""
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": RETURN_URL, "client_id": CLIENT_ID, **more}
    call, answer = ask(world, token_request(**fields))
    return call.status, answer


class TestRefresh:
    """grant_type=refresh_token"""

    def test_gives_an_access_token_that_works(self, world: World) -> None:
        token = world.add_device()
        status, answer = refresh(world, token)
        assert status == 200
        assert (answer["token_type"], answer["expires_in"], answer["refresh_token"]) == ("bearer", 3600, token)
        assert re.fullmatch(r"Atza\|[A-Za-z0-9_-]{345,}", answer["access_token"])
        assert re.fullmatch(r"Atzr\|[A-Za-z0-9_-]+", token)
        device = Device(world)
        device.token = answer["access_token"]
        assert device.call("device_status")[0].status == 200

    def test_is_served_at_both_spellings_of_the_path(self, world: World) -> None:
        what = refresh_request(world.add_device())
        call, _ = world.receive(Request("POST", "/auth/O2/token", what.headers, what.body))
        assert (call.status, call.endpoint) == (200, "token")

    def test_the_token_may_be_sent_unencoded_or_encoded_but_not_broken(self, world: World) -> None:
        token = world.add_device()
        body = f"grant_type=refresh_token&client_id={CLIENT_ID}&refresh_token={{}}"
        form = (("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"),)
        for sent, status in ((token, 200), (token.replace("|", "%7C"), 200), (token.replace("|", "%257C"), 400)):
            call, _ = world.receive(Request("POST", "/auth/o2/token", form, body.format(sent).encode()))
            assert call.status == status

    def test_a_secret_is_optional_for_a_public_client_but_must_be_right(self, world: World) -> None:
        token = world.add_device()
        assert refresh(world, token, client_secret=CLIENT_SECRET)[0] == 200
        assert refresh(world, token, client_secret="wrong")[0] == 401

    def test_a_web_client_needs_its_secret(self, world: World) -> None:
        token = world.add_device(public=False)
        assert refresh(world, token)[1]["error"] == "invalid_client"
        assert refresh(world, token, client_secret=CLIENT_SECRET)[0] == 200

    @pytest.mark.parametrize(("access", "renew"), [(350, 350), (2048, 2048)])
    def test_the_tokens_length_can_be_set(self, world: World, access: int, renew: int) -> None:
        world.settings.change(access_token_length=access, refresh_token_length=renew)
        _, answer = refresh(world, world.add_device())
        assert (len(answer["access_token"]), len(answer["refresh_token"])) == (access, renew)

    def test_a_tokens_life_can_be_set_and_is_virtual_time(self, world: World) -> None:
        world.settings.change(access_token_s=60)
        _, answer = refresh(world, world.add_device())
        assert answer["expires_in"] == 60
        device = Device(world)
        device.token = answer["access_token"]
        world.advance(59)
        assert device.call("device_status")[0].status == 200
        world.advance(1)
        assert device.call("device_status")[1] == {"message": "Invalid token"}

    def test_expiring_early_leaves_the_refresh_token_alone(self, world: World) -> None:
        token = world.add_device()
        device = Device(world)
        world.expire_access_tokens()
        assert device.call("device_status")[1] == {"message": "Invalid token"}
        assert refresh(world, token)[0] == 200

    def test_revoking_ends_every_token_for_good(self, world: World) -> None:
        token, other = world.add_device(), world.add_device("SN0002")
        device = Device(world)
        world.revoke()
        status, answer = refresh(world, token)
        assert (status, answer["error"]) == (400, "invalid_grant")
        assert answer["error_description"] == (
            "The request has an invalid grant parameter : refresh_token. User may have revoked or didn't grant the permission."
        )
        assert device.call("device_status")[0].status == 400
        assert refresh(world, other)[0] == 200


class TestRotation:
    """What happens to the refresh token when it is used"""

    def test_off_keeps_it(self, world: World) -> None:
        token = world.add_device()
        assert [refresh(world, token)[1]["refresh_token"] for _ in range(2)] == [token, token]

    def test_absent_answers_none_and_keeps_it(self, world: World) -> None:
        token = world.add_device()
        world.settings.change(refresh_rotation="absent")
        assert "refresh_token" not in refresh(world, token)[1]
        assert refresh(world, token)[0] == 200

    def test_strict_ends_it_at_once(self, world: World) -> None:
        token = world.add_device()
        world.settings.change(refresh_rotation="strict")
        new = refresh(world, token)[1]["refresh_token"]
        assert new != token
        assert refresh(world, token)[1]["error"] == "invalid_grant"
        assert refresh(world, new)[0] == 200

    def test_overlap_ends_it_when_the_new_one_is_first_used(self, world: World) -> None:
        token = world.add_device()
        world.settings.change(refresh_rotation="overlap")
        refresh(world, token)
        # The answer may have been lost: the old one still works.
        new = refresh(world, token)[1]["refresh_token"]
        assert refresh(world, new)[0] == 200
        assert refresh(world, token)[1]["error"] == "invalid_grant"


class TestCode:
    """grant_type=authorization_code"""

    @pytest.mark.parametrize(("method", "challenge"), [("S256", s256(VERIFIER)), ("plain", VERIFIER)])
    def test_a_device_swaps_it_with_its_verifier_and_without_a_secret(self, world: World, method: str, challenge: str) -> None:
        world.add_device()
        code = world.lwa.issue_code("SN0001", RETURN_URL, challenge, method)
        status, answer = swap(world, code, code_verifier=VERIFIER)
        assert status == 200
        assert refresh(world, answer["refresh_token"])[0] == 200

    def test_a_web_client_swaps_it_with_its_secret(self, world: World) -> None:
        world.add_device()
        code = world.lwa.issue_code("SN0001", RETURN_URL)
        assert swap(world, code)[1]["error"] == "invalid_client"
        status, answer = swap(world, code, client_secret=CLIENT_SECRET)
        assert status == 200
        assert refresh(world, answer["refresh_token"])[1]["error"] == "invalid_client"

    def test_it_is_good_once(self, world: World) -> None:
        world.add_device()
        code = world.lwa.issue_code("SN0001", RETURN_URL, VERIFIER)
        assert [swap(world, code, code_verifier=VERIFIER)[0] for _ in range(2)] == [200, 400]

    @pytest.mark.parametrize(("seconds", "status"), [(299, 200), (300, 400)])
    def test_it_is_good_for_five_minutes(self, world: World, seconds: int, status: int) -> None:
        world.add_device()
        code = world.lwa.issue_code("SN0001", RETURN_URL, VERIFIER)
        world.advance(seconds)
        assert swap(world, code, code_verifier=VERIFIER)[0] == status

    @pytest.mark.parametrize(
        ("more", "error"),
        [
            ({"code_verifier": "w" * 43}, "invalid_grant"),
            ({"code_verifier": "v" * 42}, "invalid_grant"),
            ({}, "invalid_request"),
            ({"code_verifier": VERIFIER, "redirect_uri": "https://example.com/other"}, "invalid_grant"),
            ({"code_verifier": VERIFIER, "client_id": "another"}, "invalid_client"),
        ],
    )
    def test_a_bad_swap_is_refused_and_leaves_the_code_good(self, world: World, more: dict[str, str], error: str) -> None:
        world.add_device()
        code = world.lwa.issue_code("SN0001", RETURN_URL, s256(VERIFIER), "S256")
        assert swap(world, code, **more)[1]["error"] == error
        assert swap(world, code, code_verifier=VERIFIER)[0] == 200

    @pytest.mark.parametrize("verifier", ["v" * 42, "v" * 129, "v" * 42 + "="])
    def test_a_verifier_out_of_shape_is_refused_even_if_it_fits(self, world: World, verifier: str) -> None:
        world.add_device()
        code = world.lwa.issue_code("SN0001", RETURN_URL, s256(verifier), "S256")
        assert swap(world, code, code_verifier=verifier)[1]["error"] == "invalid_grant"

    def test_an_unknown_method_of_challenge_is_refused(self, world: World) -> None:
        with pytest.raises(ValueError, match="S256 or plain"):
            world.lwa.issue_code("SN0001", RETURN_URL, VERIFIER, "S512")


class TestErrors:
    """Each documented refusal"""

    @pytest.mark.parametrize(
        ("fields", "status", "error"),
        [
            ({}, 400, "invalid_request"),
            ({"grant_type": "refresh_token"}, 400, "invalid_request"),
            ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_request"),
            ({"grant_type": "refresh_token", "refresh_token": "Atzr|x", "client_id": CLIENT_ID}, 400, "invalid_grant"),
            ({"grant_type": "refresh_token", "refresh_token": "Atzr|x", "client_id": "another"}, 401, "invalid_client"),
            ({"grant_type": "authorization_code", "code": "x", "redirect_uri": "x", "client_id": CLIENT_ID}, 400, "invalid_grant"),
            ({"grant_type": "password", "client_id": CLIENT_ID}, 400, "unsupported_grant_type"),
        ],
    )
    def test_a_bad_request_is_refused(self, world: World, fields: dict[str, str], status: int, error: str) -> None:
        call, answer = ask(world, token_request(**fields))
        assert (call.status, answer["error"], call.outcome) == (status, error, error)
        assert set(answer) == {"error", "error_description"}

    @pytest.mark.parametrize(
        ("method", "content_type", "body"),
        [
            ("POST", "application/json", b'{"grant_type": "refresh_token"}'),
            ("POST", "application/json", b"grant_type=refresh_token"),
            ("POST", "application/x-www-form-urlencoded", b"grant_type"),
            ("POST", "application/x-www-form-urlencoded", b"grant_type=%ff"),
            ("POST", "application/x-www-form-urlencoded", b"grant_type=\xff"),
            ("POST", "application/x-www-form-urlencoded", b"grant_type=refresh_token&grant_type=password"),
            ("GET", "application/x-www-form-urlencoded", b"grant_type=refresh_token"),
        ],
    )
    def test_what_is_not_one_clean_form_is_malformed(self, world: World, method: str, content_type: str, body: bytes) -> None:
        call, answer = ask(world, Request(method, "/auth/o2/token", (("Content-Type", content_type),), body))
        assert (call.status, answer) == (400, {"error_description": "Malformed request", "error": "invalid_request"})

    @pytest.mark.parametrize("form", ["plain", "indexed"])
    @pytest.mark.parametrize("error", ERRORS)
    def test_every_error_can_be_ordered_in_both_forms(self, world: World, form: str, error: str) -> None:
        token = world.add_device()
        world.settings.change(lwa_error_form=form)
        world.faults.add(kind="lwa_error", error=error)
        status, answer = refresh(world, token)
        assert (status, answer["error"]) == ({"invalid_client": 401, "server_error": 500}.get(error, 400), error)
        assert answer["error_description"]
        assert ({"error_index", "request_id"} <= set(answer)) == (form == "indexed")
        assert refresh(world, token)[0] == 200

    def test_an_error_names_its_type_and_its_request(self, world: World) -> None:
        world.settings.change(lwa_error_form="indexed")
        call, delivery = world.receive(token_request())
        head = delivery.payload.partition(b"\r\n\r\n")[0].decode()
        assert "x-amzn-ErrorType: OA2InvalidRequestException:http://internal.amazon.com/coral/com.amazon.panda/" in head
        request_id = re.search(r"x-amzn-RequestId: (\S+)", head)
        assert request_id
        assert request_id[1] in call.answer
