"""What the tests of the whole relay share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tools.cloud import backoff

if TYPE_CHECKING:
    from host_tests.cloud.aws import AWS


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect again at once after a loss."""
    monkeypatch.setattr(backoff, "LIMIT_S", 0.01)


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    from host_tests.cloud.aws import serving  # two seconds to load, and few tests need it

    with serving() as url:
        yield url


@pytest.fixture
def aws(aws_url: str, monkeypatch: pytest.MonkeyPatch) -> "AWS":
    """An AWS that is as new, whose credentials are in the environment."""
    from host_tests.cloud.aws import CREDENTIALS, anew

    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return anew(aws_url)
