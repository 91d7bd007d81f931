"""The maker's cloud of a run: the relay, which the service's SNS tells what happens, and the broker, where the appliance hears it."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tools.cloud.relay import Relay
from tools.cloud.settings import AdminSettings, EventBridgeSettings, HTTPSettings, MQTTSettings, Settings, SNSSettings
from tools.run.appliance import SERIAL
from tools.run.broker import Broker
from tools.simulator import Simulator
from tools.simulator.sns import TOPIC_ARN
from tools.simulator.tls import Authority

RELAY = "relay"
_CONFIRM_S = 20
# A message's age is virtual, and 50 ms on its way are 36 minutes at the usual speed.
_MAX_AGE_S = 30 * 86_400


class CloudError(Exception):
    """The cloud did not begin; the message is one sentence."""


@dataclass(frozen=True)
class Address:
    """Where the appliance finds the broker, and what it proves itself with."""

    port: int
    password: str
    ca: Path


@contextlib.asynccontextmanager
async def cloud(sim: Simulator, folder: Path) -> AsyncIterator[Address]:
    """A broker and a relay that is subscribed to the service's topic. Raises BrokerError and CloudError."""
    authority = Authority(folder)
    passwords = {user: secrets.token_urlsafe(16) for user in (SERIAL, RELAY)}
    async with Broker(folder / "broker", passwords, authority) as broker:
        settings = relay_settings(sim, folder, authority, broker.port, passwords[RELAY])
        async with Relay(settings, sim.clock.now) as relay:
            sim.sns.subscribe(str(relay.url), authority.pem)
            await _confirmed(sim)
            yield Address(broker.port, passwords[SERIAL], authority.der)


def relay_settings(
    sim: Simulator, folder: Path, authority: Authority, port: int, password: str, events: EventBridgeSettings | None = None
) -> Settings:
    """Of a relay with a certificate of the authority; `port` and `password`: of the broker, `events`: its way in for events."""
    (folder / "relay").mkdir(exist_ok=True)
    certificate, key = authority.write_server(folder / "relay")
    return Settings(
        sns=SNSSettings([TOPIC_ARN], hosts=[urlsplit(sim.url).netloc], ca=str(sim.ca_pem), max_age_s=_MAX_AGE_S),
        mqtt=MQTTSettings("localhost", port, ca=str(authority.pem), user=RELAY, password=password),
        http=HTTPSettings(bind="127.0.0.1", port=0, certificate=str(certificate), key=str(key)),
        eventbridge=events,
        admin=AdminSettings(port=0),
    )


async def _confirmed(sim: Simulator) -> None:
    """Wait until the relay has confirmed its subscription."""
    heard = asyncio.Event()
    sim.deliveries.subscribe(lambda _: heard.set())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CONFIRM_S):
            while not sim.sns.confirmed:
                heard.clear()
                await heard.wait()
    if not sim.sns.confirmed:
        raise CloudError("The relay did not confirm its subscription to the service's topic.")
