"""The broker of `make run`: what a device with umqtt.simple needs of it, what a PC's client needs, and its end."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from host_tests.mqtt.client import Client, Refused
from host_tests.tools import unix_ports
from tools.ports import free_port
from tools.run import broker as embedded
from tools.run.broker import Broker

USERS = {"SN0001": "device's", "relay": "relay's", "operator": 'quo"ted \\ and ünusual'}
PASSWORD = USERS["operator"]
DEVICE = Path(__file__).with_name("umqtt_device.py")


def with_broker(folder: Path, use: Callable[[Broker], None]) -> None:
    """Run `use` on a thread beside a broker."""

    async def live() -> None:
        async with Broker(folder, USERS) as broker:
            await asyncio.to_thread(use, broker)

    asyncio.run(live())


def operator(broker: Broker, **options: object) -> Client:
    return Client(**{"port": broker.port, "user": "operator", "password": PASSWORD, "ca": broker.ca_pem, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("interpreter", unix_ports.NAMES)
def test_a_device_with_umqtt_simple_has_all_that_it_needs(tmp_path: Path, interpreter: str) -> None:
    program = unix_ports.program(interpreter)
    environment = {**os.environ, "MICROPYPATH": "build/unix/lib:.frozen"}

    def run(broker: Broker) -> None:
        command = [program, str(DEVICE), str(broker.port), str(broker.ca_der)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert ended.stderr == ""
        assert ended.stdout.splitlines() == [
            "refused True",
            "present at first 0",
            "received ['a']",
            "retained ['online']",
            "will ['offline']",
            "present again 1",
            "queued in order True",
            "second will ['offline']",
            "once more ['not acknowledged']",
            "after take-over ['b']",
            "ping answered",
            "present after a clean start 0",
        ]

    with_broker(tmp_path, run)


def test_a_pcs_client_is_let_in_by_certificate_and_password(tmp_path: Path) -> None:
    def use(broker: Broker) -> None:
        with operator(broker) as watcher, operator(broker) as other:
            watcher.subscribe("replenish/#")
            other.publish("replenish/SN0001/state", b"x" * 100_000, retain=True)
            assert watcher.expect("replenish/+/state").payload == b"x" * 100_000
        with operator(broker) as late:
            late.subscribe("+/SN0001/state")
            assert late.expect("replenish/SN0001/state").retained
        with pytest.raises(Refused):
            operator(broker, password="device's")
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            operator(broker, ca=Path("/etc/ssl/certs/ca-certificates.crt"))

    with_broker(tmp_path, use)


def test_the_secrets_are_for_nobody_elses_eyes(tmp_path: Path) -> None:
    def look(broker: Broker) -> None:
        assert (tmp_path / "broker.toml").stat().st_mode & 0o077 == 0
        assert (tmp_path / "server.key").stat().st_mode & 0o077 == 0

    with_broker(tmp_path, look)


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    async def live() -> int:
        async with Broker(tmp_path, USERS) as broker:
            assert broker._process and broker._process.stdin
            broker._process.stdin.close()  # as the system does it for a parent that was killed
            return await asyncio.wait_for(broker._process.wait(), 20)

    assert asyncio.run(live()) == 0


def test_a_taken_port_is_given_up_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def live() -> None:
        async with Broker(tmp_path / "one", USERS) as first:
            ports = iter((first.port, free_port()))
            monkeypatch.setattr(embedded, "free_port", lambda: next(ports))
            async with Broker(tmp_path / "two", USERS) as second:
                assert second.port != first.port

    asyncio.run(live())


def test_what_kept_it_from_starting_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_SETTINGS", "nonsense")

    async def live() -> None:
        async with Broker(tmp_path, USERS):
            pass

    with pytest.raises(embedded.BrokerError, match=r"^The MQTT broker did not start: .*\.$"):
        asyncio.run(live())
