"""What all tests on the PC need: the firmware importable on CPython, and the paths of the interpreters."""

import gc

from host_tests import shim

shim.install()


def pytest_collection_finish() -> None:
    """The agent collects garbage around each call; all that pytest and the tests' modules made need not be looked at each time."""
    gc.collect()
    gc.freeze()
