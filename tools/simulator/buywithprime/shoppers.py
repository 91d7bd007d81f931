"""Who buys, and where to: shoppers known by a token of theirs, and addresses that the store delivers to."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tools.simulator.buywithprime.errors import invalid


def _sandbox(type_: str, value: str) -> str:
    return base64.b64encode(json.dumps({"type": type_, "value": value}, separators=(",", ":")).encode()).decode()


# The sandbox's own shoppers, as its page names them.
PRIME_TOKEN = _sandbox("ACCESS_TOKEN", "sandbox-mocked-test-prime-shopper-access-token")
PRIME_CHECKOUT = _sandbox("CHECKOUT_SESSION_ID", "sandbox-mocked-test-prime-shopper-checkout-session-id")
NON_PRIME_CHECKOUT = _sandbox("CHECKOUT_SESSION_ID", "sandbox-mocked-test-non-prime-shopper-checkout-session-id")

# Alaska, Hawaii, the territories, the states in free association and the armed forces.
_NOT_CONTINENTAL = frozenset(("AK", "HI", "AS", "FM", "GU", "MH", "MP", "PR", "PW", "VI", "AA", "AE", "AP"))
_ZIP = re.compile(r"\d{5}(-\d{4})?")


@dataclass
class Shopper:
    """One shopper, whose token is good until it expires."""

    shopper_id: str
    prime: bool = True
    expired: bool = False


class Shoppers:
    """The shoppers, by token."""

    def __init__(self) -> None:
        self._by_token = {
            PRIME_TOKEN: Shopper("shopper-prime"),
            PRIME_CHECKOUT: Shopper("shopper-prime"),
            NON_PRIME_CHECKOUT: Shopper("shopper-non-prime", prime=False),
        }

    def put(self, token: str, shopper_id: str, prime: bool = True, expired: bool = False) -> None:
        """Add a token of a shopper, or change what it stands for."""
        self._by_token[token] = Shopper(shopper_id, prime, expired)

    def find(self, identity: Mapping[str, Mapping[str, str]] | None) -> Shopper | None:
        """Who an IdentityTokenInput speaks for; None without one. Raises StoreError."""
        if not identity:
            return None
        (form,) = identity.values()
        shopper = self._by_token.get(form["value"])
        if shopper is None:
            raise invalid("the shopper's token is not valid", "InvalidIdpToken")
        if shopper.expired:
            raise invalid("the shopper's token has expired", "ExpiredIdpToken")
        return shopper


def check_address(address: Mapping[str, object]) -> None:
    """Raises StoreError for an address that is none, or that the store does not deliver to."""
    country, region = str(address.get("countryCode") or "US"), str(address.get("region") or "")
    if country != "US" or region.upper() in _NOT_CONTINENTAL:
        raise invalid(f"{region} {country} is outside the continental US", "InvalidDestination")
    if not _ZIP.fullmatch(str(address.get("postalCode") or "")):
        raise invalid("postalCode is not one of the US", "InvalidAddress")


def same_address(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether both mean the same place, as far as the first one says."""
    return all(_plain(value) == _plain(other.get(name)) for name, value in one.items() if value)


def _plain(value: object) -> str:
    return " ".join(str(value or "").casefold().split())
