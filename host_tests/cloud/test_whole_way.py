"""The simulator's SNS, the relay and a real mosquitto with its rules: what a device gets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import trustme

from host_tests.cloud.sender import drs_message
from host_tests.mqtt.mosquitto import RELAY, Mosquitto
from tools.cloud.relay import Relay
from tools.cloud.settings import AdminSettings, HTTPSettings, MQTTSettings, Settings, SNSSettings
from tools.run.appliance import SERIAL
from tools.simulator.server import Simulator
from tools.simulator.sns import TOPIC_ARN
from tools.simulator.subscriptions import Notice

COUNT = 8


def settings(folder: Path, sim: Simulator, broker: Mosquitto) -> Settings:
    issued = trustme.CA()
    issued.cert_pem.write_to_path(str(folder / "relay-ca.pem"))
    issued.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "relay.pem"))
    ours = str(folder / "relay.pem")
    return Settings(
        SNSSettings([TOPIC_ARN], [sim.url.removeprefix("https://")], str(sim.ca_pem)),
        MQTTSettings("localhost", broker.service_port, ca=str(broker.ca_pem), user=RELAY, password=broker.passwords[RELAY]),
        HTTPSettings("127.0.0.1", 0, certificate=ours, key=ours),
        admin=AdminSettings(port=0),
    )


def test_every_notice_arrives_though_broker_and_relay_start_anew(mosquitto: Mosquitto, tmp_path: Path) -> None:
    device = mosquitto.client(SERIAL, clean=False)
    device.subscribe(f"replenish/{SERIAL}/notice")
    messages = [drs_message(SERIAL, number) for number in range(COUNT)]

    async def story() -> None:
        async with asyncio.timeout(40), Simulator(ca_dir=tmp_path / "sim") as sim:
            sim.settings.sns_retry_s, sim.settings.sns_retries, sim.settings.sns_parallel = 1, 100, COUNT
            given = settings(tmp_path, sim, mosquitto)
            async with Relay(given, sim.clock.now) as relay:
                assert relay.url and given.http
                sim.sns.subscribe(relay.url, tmp_path / "relay-ca.pem")
                await sim.wait_until(lambda sim: sim.sns.confirmed)
                port = int(relay.url.split(":")[2].split("/")[0])
                for number, message in enumerate(messages[: COUNT // 2]):
                    sim.sns.publish(Notice(message))
                    if number == 1:
                        await asyncio.to_thread(mosquitto.restart)
            # The relay is away; the other half is tried again until the next one is there.
            for message in messages[COUNT // 2 :]:
                sim.sns.publish(Notice(message))
            same = HTTPSettings("127.0.0.1", port, certificate=given.http.certificate, key=given.http.key)
            async with Relay(Settings(given.sns, given.mqtt, same, admin=given.admin), sim.clock.now):
                await asyncio.to_thread(device.wait, lambda: arrived() == set(messages) or None, "every notice", 30)

    def arrived() -> set[str]:
        return {message.payload.decode() for message in list(device.messages)}

    asyncio.run(story())
