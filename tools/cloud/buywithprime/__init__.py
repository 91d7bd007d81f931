"""Buy with Prime: a client of its GraphQL API, version 2024-11-01, usable on its own. See README.md beside this file."""

from tools.cloud.buywithprime.client import Client
from tools.cloud.buywithprime.errors import BuyWithPrimeError, Handling
from tools.cloud.buywithprime.operations import Settings

__all__ = ["BuyWithPrimeError", "Client", "Handling", "Settings"]
