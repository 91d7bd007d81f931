"""The client: calls with their retries. What a call is and what an answer means is in `operations` and `errors`."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, Self, TypeVar

from pydantic import ValidationError

from tools.cloud.buywithprime import operations
from tools.cloud.buywithprime.errors import APIError, BuyWithPrimeError, Handling, UnexpectedAnswer
from tools.cloud.buywithprime.models import (
    Cancellation,
    CancelOrderInput,
    CreateEventSubscriptionInput,
    CreateOrderInput,
    DeliveryPreview,
    DeliveryPreviewInput,
    Model,
    Order,
    OrderIdentifierInput,
    UpdateOrderInput,
)
from tools.cloud.buywithprime.operations import Answer, Operation, Request, Settings
from tools.cloud.buywithprime.token import TokenSource
from tools.cloud.buywithprime.transport import Transport

log = logging.getLogger("buywithprime")

_M = TypeVar("_M", bound=Model)


class Poster(Protocol):
    """What carries a request: Transport, or a test's."""

    async def post(self, operation: str, request: Request) -> Answer: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...


class Client:
    """Buy with Prime's API. Use it as `async with`; any number of calls at once.

    Every call raises BuyWithPrimeError, see `errors`: by `handling` what to do, by `sent` whether it may have been done. What RETRY
    handles has been tried `settings.tries` times by then, and AUTH with a new token.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        context: ssl.SSLContext | None = None,
        transport: Poster | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`context` verifies the hosts; `clock` is in seconds and never goes back, `chance` is 0 to below 1."""
        self._settings = settings
        self._transport: Poster = transport or Transport(settings, context)
        self._token = TokenSource(settings, self._transport.post, clock)
        self._clock = clock
        self._sleep = sleep
        self._chance = chance

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._token.close()
        await self._transport.__aexit__()

    async def order(self, identifier: OrderIdentifierInput) -> Order | None:
        """The order, or None: surely there is none."""
        operation = operations.order(identifier)
        try:
            found = await self._call(operation)
        except APIError as error:
            # Of a part of it, as of a product that was taken from the catalogue, the same word says nothing of the order.
            if error.family == "ResourceNotFound" and all(len(each.path) <= 1 for each in error.faults):
                return None
            raise
        return None if found is None else _read(operation, Order, found)

    async def delivery_preview(self, wanted: DeliveryPreviewInput) -> DeliveryPreview:
        """Offers to deliver products."""
        operation = operations.delivery_preview(wanted)
        return _read(operation, DeliveryPreview, await self._call(operation))

    async def create_order(self, new: CreateOrderInput) -> Order:
        """The new order; when an earlier try has made it, that one, whole.

        The first alias is the idempotency key: the store refuses a second order of that name, and then the first one is adopted.
        """
        operation = operations.create_order(new)
        try:
            found = await self._call(operation)
        except APIError as error:
            if not error.sent or error.handling is Handling.RETRY:
                raise
            return await self._adopt(OrderIdentifierInput(alias=new.aliases[0]), error)
        return _read(operation, Order, (found or {}).get("order"))

    async def _adopt(self, identifier: OrderIdentifierInput, error: APIError) -> Order:
        """The order that an earlier try made: the store said so, or refused a later try for a reason that hides it.

        There is none yet while that try is under way, and none at all when another alias of the new order is another order's.
        """
        try:
            found = await self.order(identifier)
        except BuyWithPrimeError as unread:
            unread.sent = True
            raise
        if found is None:
            raise error
        log.info("createOrder: an earlier try made it: adopted")
        return found

    async def update_order(self, identifier: OrderIdentifierInput, change: UpdateOrderInput) -> Order:
        """The order after the change: its id, aliases, states and returns, and no more."""
        operation = operations.update_order(identifier, change)
        found = await self._call(operation)
        return _read(operation, Order, (found or {}).get("order"))

    async def cancel_order(self, identifier: OrderIdentifierInput, why: CancelOrderInput) -> Cancellation:
        """What was asked for: the outcome is told by the order, later."""
        operation = operations.cancel_order(identifier, why)
        found = await self._call(operation)
        return _read(operation, Cancellation, (found or {}).get("cancellation"))

    async def create_event_subscription(self, wanted: CreateEventSubscriptionInput) -> str:
        """The subscription's id."""
        operation = operations.create_event_subscription(wanted)
        found = (await self._call(operation) or {}).get("subscriptionId")
        if not isinstance(found, str):
            raise UnexpectedAnswer(operation.name, "no subscriptionId")
        return found

    async def _call(self, operation: Operation) -> dict[str, Any] | None:
        """The answer's data, after as many tries as it may take.

        What ends it: 1. a result; 2. an error that no other try can mend; 3. one that may have been carried out and must not be
        asked twice; 4. the last try; 5. no patience for another wait. An error of a later try that surely did nothing still says
        `sent` when an earlier try may have been carried out; a query changes nothing, so its errors never do.
        """
        began, sent, failures = self._clock(), False, 0
        while True:
            try:
                return await self._try(operation)
            except BuyWithPrimeError as error:
                sent = error.sent = operation.changes and (error.sent or sent)
                failures += 1
                wait_s = self._wait_s(failures, error.retry_after_s)
                late = self._clock() + wait_s - began > self._settings.patience_s
                mended = error.handling is Handling.RETRY and (operation.repeatable or not sent)
                log.info("%s, try %d: %s", error, failures, error.handling.name)
                if not mended or late or failures >= self._settings.tries:
                    raise
            await self._sleep(wait_s)

    def _wait_s(self, failures: int, retry_after_s: float | None) -> float:
        """Full jitter, so that many clients do not come back at once; never before the other side asked for."""
        longest_s = min(self._settings.longest_wait_s, self._settings.first_wait_s * 2 ** (failures - 1))
        return max(longest_s * self._chance(), retry_after_s or 0.0)

    async def _try(self, operation: Operation) -> dict[str, Any] | None:
        """One try; when the token is refused, one more with a new token."""
        token = await self._token.get()
        try:
            return await self._ask(operation, token)
        except BuyWithPrimeError as error:
            if error.handling is not Handling.AUTH or error.sent:
                raise
        return await self._ask(operation, await self._token.renew(token))

    async def _ask(self, operation: Operation, token: str) -> dict[str, Any] | None:
        answer = await self._transport.post(operation.name, operations.request(operation, self._settings, token))
        return operations.result(operation, answer)


def _read(operation: Operation, model: type[_M], value: Any) -> _M:
    """The value as a model. Raises UnexpectedAnswer."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        where = ".".join(str(step) for step in error.errors(include_input=False, include_context=False)[0]["loc"])
        raise UnexpectedAnswer(operation.name, f"{where or 'the answer'} is not what it should be") from None
