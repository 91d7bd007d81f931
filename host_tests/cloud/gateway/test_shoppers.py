"""Shoppers' tokens from the simulated Login with Amazon, over TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from tools.cloud.buywithprime import operations
from tools.cloud.buywithprime.errors import Handling, TokenError
from tools.cloud.gateway.adapters.shoppers import NoShopper, Shoppers
from tools.simulator import Clock, Simulator
from tools.simulator.lwa import CLIENT_ID, CLIENT_SECRET

Story = Callable[[Simulator, Shoppers, str], Awaitable[None]]


def live(story: Story, client_id: str | None = CLIENT_ID, client_secret: str | None = CLIENT_SECRET) -> None:
    """Run a story with the refresh token of a customer."""

    async def within() -> None:
        async with asyncio.timeout(20), Simulator(clock=Clock.manual()) as sim:
            context = ssl.create_default_context(cafile=str(sim.ca_pem))
            settings = operations.Settings(client_id="x", client_secret="x", target_id="x")
            async with Shoppers(settings, f"{sim.url}/auth/o2/token", client_id, client_secret, context) as shoppers:
                await story(sim, shoppers, sim.add_device(public=False))

    asyncio.run(within())


def value(identity: Any) -> str:
    """The token as it goes out."""
    return str(identity.variables()["lwaAccessToken"]["value"])


def test_token_is_asked_for_once_until_it_is_refused() -> None:
    async def story(sim: Simulator, shoppers: Shoppers, refresh_token: str) -> None:
        first = value(await shoppers.token("ada", refresh_token, fresh=False))
        assert sim.lwa.bearer(first)
        assert value(await shoppers.token("ada", refresh_token, fresh=False)) == first
        assert len(sim.calls) == 1
        second = value(await shoppers.token("ada", refresh_token, fresh=True))
        assert second != first and sim.lwa.bearer(second)
        assert value(await shoppers.token("ada", refresh_token, fresh=False)) == second
        form = parse_qs(sim.calls[0].body)
        assert (form["grant_type"], form["client_id"], form["client_secret"]) == (["refresh_token"], [CLIENT_ID], [CLIENT_SECRET])

    live(story)


def test_customers_have_tokens_of_their_own() -> None:
    async def story(sim: Simulator, shoppers: Shoppers, refresh_token: str) -> None:
        other = sim.add_device("SN0002", public=False)
        ada, bob = [await shoppers.token(*each, fresh=False) for each in (("ada", refresh_token), ("bob", other))]
        assert (sim.lwa.bearer(value(ada)), sim.lwa.bearer(value(bob))) == ("SN0001", "SN0002")

    live(story)


@pytest.mark.parametrize("profile", [(None, CLIENT_SECRET), (CLIENT_ID, None), ("amzn1.other", CLIENT_SECRET), (CLIENT_ID, "wrong")])
def test_without_the_security_profile_nobody_is_a_shopper(profile: tuple[str | None, str | None]) -> None:
    async def story(sim: Simulator, shoppers: Shoppers, refresh_token: str) -> None:
        with pytest.raises(NoShopper) as caught:
            await shoppers.token("ada", refresh_token, fresh=False)
        assert refresh_token not in str(caught.value)

    live(story, *profile)


def test_shopper_who_took_the_allowance_back() -> None:
    async def story(sim: Simulator, shoppers: Shoppers, refresh_token: str) -> None:
        sim.lwa.revoke("SN0001")
        with pytest.raises(NoShopper):
            await shoppers.token("ada", refresh_token, fresh=False)

    live(story)


@pytest.mark.parametrize("fault", [{"kind": "refuse"}, {"kind": "drop_before"}, {"kind": "drop_after"}, {"kind": "body", "body": "{}"}])
def test_lwa_that_does_not_answer_means_that_nothing_was_done(fault: dict[str, Any]) -> None:
    async def story(sim: Simulator, shoppers: Shoppers, refresh_token: str) -> None:
        sim.faults.add(endpoint="token", **fault)
        with pytest.raises(TokenError) as caught:
            await shoppers.token("ada", refresh_token, fresh=False)
        assert (caught.value.handling, caught.value.sent) == (Handling.RETRY, False)
        assert value(await shoppers.token("ada", refresh_token, fresh=False))

    live(story)
