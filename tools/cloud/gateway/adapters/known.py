"""The adapters that there are. Each is a module here, which is imported only where it is in use."""

import importlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, cast

from tools.cloud.gateway.adapters import Adapter, Surroundings
from tools.rules import Rule

NAMES = ("buy_with_prime", "webhook", "notify")


class AdapterModule(Protocol):
    """What such a module has. The configuration's section of its name becomes a `Settings`, after `RULES` were kept."""

    RULES: dict[str, Rule]
    SECRETS: dict[str, Rule]  # of the table of its name in the file of secrets
    OPTIONAL_SECRETS: frozenset[str]
    FILES: frozenset[str]  # the keys of RULES that name files
    Settings: type[Any]

    def opened(self, settings: Any, secrets: Mapping[str, Any], around: Surroundings) -> AbstractAsyncContextManager[Adapter]:
        """The adapter, for as long as the block lasts."""


def module(name: str) -> AdapterModule:
    """One of NAMES."""
    return cast(AdapterModule, importlib.import_module(f"{__package__}.{name}"))
