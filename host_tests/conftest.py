"""What all tests on the PC need: the firmware importable on CPython, and the paths of the interpreters."""

import gc
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from host_tests import shim
from host_tests.cloud.buywithprime import table

if TYPE_CHECKING:
    from host_tests.mqtt.mosquitto import Mosquitto

shim.install()

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # As a shell starts what is in the background. Programs that the tests start would inherit it, and heed no Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="module")
def collected() -> None:
    """As at the start: what the modules before have left is not looked at each time either."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_chip_stays() -> Iterator[None]:
    """A fake `esp32` that a test has put in goes with it: the next test's board is another one."""
    yield
    sys.modules.pop("esp32", None)


@pytest.fixture
def mosquitto(tmp_path: Path) -> "Iterator[Mosquitto]":
    """A running broker that knows the appliance of `tools.run`. Skipped where there is none, and not where CI runs everything."""
    from host_tests.mqtt.mosquitto import Mosquitto, require_program
    from tools.run.appliance import SERIAL

    require_program()
    with Mosquitto(tmp_path / "mosquitto", {SERIAL: "a-device's-password"}) as broker:
        yield broker


def pytest_configure(config: pytest.Config) -> None:
    """A rule that a table promises a test for has to have been tested when everything was run."""
    table.watch(config)


def pytest_collection_finish() -> None:
    """The agent collects garbage around each call; all that pytest and the tests' modules made need not be looked at each time."""
    gc.collect()
    gc.freeze()
