"""The store's token endpoint: the merchant's credentials in, an access token of fifteen minutes out."""

from collections import deque
from dataclasses import dataclass
from urllib.parse import parse_qsl

from tools.simulator.buywithprime.operations import SCOPES
from tools.simulator.clock import Clock
from tools.simulator.identifiers import Identifiers
from tools.simulator.settings import Settings
from tools.simulator.wire import Request, Response

TOKEN_PATH = "/token"
CLIENT_ID = "simulated-store-client"
CLIENT_SECRET = "simulated-store-secret-0123456789abcdef"
ACCESS_KEY = "simulated-store-access-key"
_FORM_TYPE = "application/x-www-form-urlencoded"
_MINUTE_S = 60


@dataclass
class Credential:
    """One set of the merchant's credentials. It never expires; it is deleted."""

    client_id: str
    secret: str
    scopes: tuple[str, ...] = SCOPES


class Tokens:
    """The credentials, and the access tokens that were given out for them."""

    def __init__(self, clock: Clock, settings: Settings, names: Identifiers) -> None:
        self._clock = clock
        self._settings = settings
        self._names = names
        self._credentials = {CLIENT_ID: Credential(CLIENT_ID, CLIENT_SECRET)}
        self._access: dict[str, tuple[str, int]] = {}
        self._asked: deque[int] = deque()

    def put_credential(self, client_id: str, secret: str, scopes: tuple[str, ...] = SCOPES) -> None:
        """Add a set of credentials, or change it. Raises ValueError for an unknown scope."""
        for scope in scopes:
            if scope not in SCOPES:
                raise ValueError(f"scope {scope!r}: one of {', '.join(SCOPES)}")
        self._credentials[client_id] = Credential(client_id, secret, tuple(scopes))

    def delete_credential(self, client_id: str) -> None:
        """Delete a set of credentials: its tokens die with it. Raises LookupError."""
        if client_id not in self._credentials:
            raise LookupError(f"no credentials have the client id {client_id!r}")
        del self._credentials[client_id]

    def expire(self) -> None:
        """End every access token now."""
        self._access.clear()

    def access_token(self, client_id: str = CLIENT_ID) -> str:
        """An access token without asking the endpoint."""
        now, token = self._clock.now(), self._names.token("bwp.", 120)
        self._access = {known: entry for known, entry in self._access.items() if now < entry[1]}
        self._access[token] = (client_id, now + self._settings.bwp_token_s)
        return token

    def bearer(self, token: str | None) -> Credential | None:
        """Whom an access token speaks for now; None for an unknown or expired one."""
        client_id, until = self._access.get(token or "", ("", 0))
        return self._credentials.get(client_id) if self._clock.now() < until else None

    def handle(self, request: Request) -> Response:
        """One call of the token endpoint."""
        if request.method != "POST":
            return _refusal(405, "invalid_request", f"{request.method} is not allowed here")
        if (request.header("content-type") or "").partition(";")[0].strip().lower() != _FORM_TYPE:
            return _refusal(400, "invalid_request", f"the content type must be {_FORM_TYPE}")
        given = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        if given.get("grant_type") != "client_credentials":
            return _refusal(400, "unsupported_grant_type", "grant_type must be client_credentials")
        credential = self._credentials.get(given.get("client_id", ""))
        if credential is None or credential.secret != given.get("client_secret"):
            return _refusal(401, "invalid_client", "client_id or client_secret is wrong")
        if self._is_too_often():
            return _refusal(429, "too_many_requests", "too many tokens were asked for in quick succession")
        life = self._settings.bwp_token_s
        expires_in = str(life) if self._settings.bwp_expires_in == "text" else life
        answer = {"access_token": self.access_token(credential.client_id), "token_type": "bearer", "expires_in": expires_in}
        return Response.of_json(answer)

    def _is_too_often(self) -> bool:
        now, limit = self._clock.now(), self._settings.bwp_tokens_per_minute
        while self._asked and self._asked[0] <= now - _MINUTE_S:
            self._asked.popleft()
        if limit and len(self._asked) >= limit:
            return True
        self._asked.append(now)
        return False


def _refusal(status: int, error: str, description: str) -> Response:
    return Response.of_json({"error": error, "error_description": description}, status, outcome=error)
