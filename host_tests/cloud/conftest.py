"""What the tests of the whole relay share."""

from __future__ import annotations

import pytest

from tools.cloud import backoff


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect again at once after a loss."""
    monkeypatch.setattr(backoff, "LIMIT_S", 0.01)
