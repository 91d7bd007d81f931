"""The one interface behind which the gateway orders, whatever shop it is.

An adapter keeps nothing: what it is asked, it asks the shop. Every method may be called from several copies of the gateway at
once and again after an answer was lost, so each first looks how the order stands.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tools.cloud.gateway.model import Customer, Intent, IntentId, Item, Return, Snapshot

if TYPE_CHECKING:
    from tools.cloud.gateway.memory import Memory


class AdapterError(Exception):
    """Why there is no snapshot. The text may be told to a device and logged, so it holds no secret and nothing personal."""


class ShortOfStock(AdapterError):
    """Nothing was ordered: fewer packs are there than were asked for."""

    def __init__(self, available: int | None, code: str, message: str = "") -> None:
        """`available`: how many could be ordered now; 0 sold out, None less than asked but not known."""
        super().__init__(message or f"{code}: {'an unknown number' if available is None else available} available")
        self.available = available
        self.code = code


class Refused(AdapterError):
    """The shop said no for good, and nothing was changed. The same call again would be refused again."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.code = code


class Unavailable(AdapterError):
    """Surely nothing was done: the shop could not be reached, throttles, or took no request."""

    def __init__(self, retry_after_s: float | None = None, message: str = "the shop is not available") -> None:
        """`retry_after_s`: what the shop asked for, None when it did not say."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(AdapterError):
    """The shop may or may not have done it: the request went out and no usable answer came."""


class Adapter(Protocol):
    """One shop. All but `name` raise Unavailable; what else each raises is said with it."""

    name: str

    async def order(self, intent: Intent, item: Item, customer: Customer) -> Snapshot:
        """Order `intent.quantity` packs under `intent.id` and hold the order; one that exists under the id is adopted as it is,
        whatever its quantity. Raises ShortOfStock, Refused, OutcomeUnknown."""

    async def find(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot | None:
        """How the order stands; None: surely there is nothing under the id. Raises Refused when it may not be asked."""

    async def start(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot:
        """Let fulfilment begin, the hold being over; nothing is done when it has begun or the order has ended.
        Raises Refused, OutcomeUnknown."""

    async def cancel(self, intent_id: IntentId, item: Item, customer: Customer) -> Snapshot:
        """Cancel the whole order; nothing is done when it is cancelled, or was asked to be and the shop has not decided.
        Raises Refused when it is too late, OutcomeUnknown."""

    async def put_return(self, intent_id: IntentId, given: Return, item: Item, customer: Customer) -> Snapshot:
        """Add a return, or update the one of that id. Raises Refused, OutcomeUnknown."""


@dataclass(frozen=True)
class Surroundings:
    """What an adapter may use of the gateway around it."""

    now: Callable[[], float]  # Unix seconds
    memory: "Memory"
    question_s: int  # how long a person has for an answer
