"""Shoppers' access tokens by Login with Amazon, which a delivery for Prime needs and standard delivery does not."""

import ssl
from types import TracebackType
from urllib.parse import urlencode

from tools.cloud.buywithprime import operations
from tools.cloud.buywithprime.errors import BuyWithPrimeError, Handling, TokenError
from tools.cloud.buywithprime.models import IdentityTokenInput, LWAAccessTokenInput
from tools.cloud.buywithprime.transport import Transport

_NAME = "shopper's token"


class NoShopper(Exception):
    """The shopper took the allowance back, or nobody here may use it. The text holds no token."""


class Shoppers:
    """Gives the token that a customer's refresh token stands for, as long as it lives. Use it as `async with`."""

    def __init__(
        self,
        settings: operations.Settings,
        url: str,
        client_id: str | None = None,
        client_secret: str | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """`client_id` and `client_secret` are of the security profile that the shopper allowed; `url` is LWA's token endpoint."""
        self._transport = Transport(settings, context)
        self._url = url
        self._profile = client_id, client_secret
        self._kept: dict[str, str] = {}

    async def __aenter__(self) -> "Shoppers":
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._transport.__aexit__(kind, error, trace)

    async def token(self, customer: str, refresh_token: str, fresh: bool) -> IdentityTokenInput:
        """The customer's token; with `fresh` a new one, because the last one was refused. Raises NoShopper, and TokenError while
        LWA does not answer: nothing was done then."""
        if fresh or customer not in self._kept:
            self._kept[customer] = await self._ask(refresh_token)
        return IdentityTokenInput(lwa_access_token=LWAAccessTokenInput.model_validate({"value": self._kept[customer]}))

    async def _ask(self, refresh_token: str) -> str:
        client_id, client_secret = self._profile
        if client_id is None or client_secret is None:
            raise NoShopper("there is no security profile: lwa_client_id and lwa_client_secret")
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": client_id, "client_secret": client_secret}
        request = operations.Request(
            self._url, {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form).encode()
        )
        try:
            return operations.token(await self._transport.post(_NAME, request)).value
        except BuyWithPrimeError as error:
            if error.handling is Handling.AUTH:
                raise NoShopper("Login with Amazon refuses the customer's refresh token, or the security profile") from None
            raise TokenError(_NAME, str(error), Handling.RETRY, error.retry_after_s) from None
