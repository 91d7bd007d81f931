"""One mosquitto for all tests of the gateway: each begins with nothing retained."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from host_tests.cloud.gateway.house import House, running
from host_tests.mqtt.mosquitto import Mosquitto, require_program


@pytest.fixture(scope="session")
def started_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    require_program()
    with Mosquitto(tmp_path_factory.mktemp("mosquitto") / "broker", devices={"SN0001": "secret"}) as broker:
        yield broker


@pytest.fixture(scope="module")
def shared(started_broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway for tests that change nothing."""
    with running(tmp_path_factory.mktemp("house"), started_broker) as house:
        yield house


@pytest.fixture
def broker(started_broker: Mosquitto) -> Mosquitto:
    started_broker.stop()
    started_broker.forget()
    started_broker.start()
    return started_broker
