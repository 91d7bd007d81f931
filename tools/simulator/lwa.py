"""Login with Amazon, as far as a device meets it: the token endpoint and the tokens it gives out."""

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qsl

from tools.simulator.clock import Clock
from tools.simulator.identifiers import Identifiers
from tools.simulator.settings import Settings
from tools.simulator.wire import Request, Response

TOKEN_PATH = "/auth/o2/token"
CLIENT_ID = "amzn1.application-oa2-client.0123456789abcdef0123456789abcdef"
CLIENT_SECRET = "simulated-client-secret-0123456789abcdef"
CODE_LIFE_S = 300

_FORM_TYPE = "application/x-www-form-urlencoded"
_ERROR_DOMAIN = "http://internal.amazon.com/coral/com.amazon.panda/"
_VERIFIER = re.compile(r"[A-Za-z0-9_.~-]{43,128}")
_BAD_GRANT = "The request has an invalid grant parameter : "
_REVOKED = ". User may have revoked or didn't grant the permission."
_MISSING = "The request is missing a required parameter : "


class _ErrorForm(NamedTuple):
    status: int
    exception: str
    description: str


ERRORS = {
    "invalid_request": _ErrorForm(400, "OA2InvalidRequestException", "Malformed request"),
    "invalid_client": _ErrorForm(401, "OA2InvalidClientException", "Client authentication failed"),
    "invalid_grant": _ErrorForm(400, "OA2InvalidGrantException", _BAD_GRANT + "refresh_token"),
    "unauthorized_client": _ErrorForm(400, "OA2UnauthorizedClientException", "Not authorized for requested operation"),
    "unsupported_grant_type": _ErrorForm(400, "OA2UnsupportedGrantTypeException", "Unsupported grant type"),
    "server_error": _ErrorForm(500, "OA2ServerErrorException", "The server met an internal error"),
}


class LWAError(Exception):
    """A refusal: `code` is one of ERRORS, `description` replaces the usual text."""

    def __init__(self, code: str, description: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.description = description


@dataclass
class _Grant:
    serial: str
    public: bool
    # In an overlapping rotation the token before this one dies when this one is first used.
    replaces: str | None = None


@dataclass
class _Code:
    serial: str
    redirect_uri: str
    challenge: str | None
    method: str
    expires_at: int


class LWA:
    """The tokens of every device, and the rules of the token endpoint."""

    def __init__(self, clock: Clock, identifiers: Identifiers, settings: Settings) -> None:
        self._clock = clock
        self._identifiers = identifiers
        self._settings = settings
        self._clients = {CLIENT_ID: CLIENT_SECRET}
        self._grants: dict[str, _Grant] = {}
        self._revoked: set[str] = set()
        self._codes: dict[str, _Code] = {}
        self._access: dict[str, tuple[str, int]] = {}

    def link(self, serial: str, public: bool = True) -> str:
        """A refresh token for a device. A `public` one needs no client secret (the PKCE way)."""
        token = self._identifiers.token("Atzr|", self._settings.refresh_token_length)
        self._grants[token] = _Grant(serial, public)
        return token

    def issue_code(self, serial: str, redirect_uri: str, challenge: str | None = None, method: str = "plain") -> str:
        """An authorization code, as consent in a browser would give one: good once, for five minutes.

        `method` is how the PKCE `challenge` was made, "S256" or "plain". Raises ValueError for another.
        """
        if method not in ("S256", "plain"):
            raise ValueError(f"method is {method!r}: S256 or plain")
        code = self._identifiers.token("", 20)
        self._codes[code] = _Code(serial, redirect_uri, challenge, method, self._clock.now() + CODE_LIFE_S)
        return code

    def knows(self, client_id: str) -> bool:
        """Whether there is such a client."""
        return client_id in self._clients

    def refresh_token(self, serial: str) -> str | None:
        """The device's newest refresh token that still works."""
        tokens = [token for token, grant in self._grants.items() if grant.serial == serial]
        return tokens[-1] if tokens else None

    def access_token(self, serial: str) -> str:
        """A fresh access token without asking the endpoint: for a person who tries a call by hand."""
        token = self._identifiers.token("Atza|", self._settings.access_token_length)
        self._access[token] = (serial, self._clock.now() + self._settings.access_token_s)
        return token

    def owner(self, access_token: str | None) -> str | None:
        """The serial that an access token was given to, whether or not it has expired."""
        return self._access[access_token][0] if access_token in self._access else None

    def bearer(self, access_token: str | None) -> str | None:
        """The serial that an access token speaks for now; None for an expired or unknown one."""
        serial, expires_at = self._access.get(access_token or "", (None, 0))
        return serial if self._clock.now() < expires_at else None

    def expire(self, serial: str) -> None:
        """End the device's access tokens now; its refresh token goes on working."""
        self._access = {token: (owner, 0 if owner == serial else expires_at) for token, (owner, expires_at) in self._access.items()}

    def revoke(self, serial: str) -> None:
        """End everything that the device holds: refresh tokens, access tokens and codes."""
        self._revoked.update(token for token, grant in self._grants.items() if grant.serial == serial)
        self._grants = {token: grant for token, grant in self._grants.items() if grant.serial != serial}
        self._codes = {code: entry for code, entry in self._codes.items() if entry.serial != serial}
        self.expire(serial)

    def handle(self, request: Request) -> Response:
        """One call of the token endpoint."""
        try:
            return self._grant(_form(request))
        except LWAError as error:
            return self.refusal(error.code, error.description)

    def refusal(self, code: str, description: str | None = None) -> Response:
        """The answer that carries an error; `code` is one of ERRORS."""
        form = ERRORS[code]
        body = {"error_description": description or form.description, "error": code}
        headers = {"x-amzn-ErrorType": f"{form.exception}:{_ERROR_DOMAIN}"}
        if self._settings.lwa_error_form == "indexed":
            request_id = self._identifiers.uuid()
            body = {"error_index": self._identifiers.token("", 24), **body, "request_id": request_id}
            headers["x-amzn-RequestId"] = request_id
        return Response.of_json(body, form.status, headers, outcome=code)

    def _grant(self, form: dict[str, str]) -> Response:
        kind = _field(form, "grant_type")
        if kind == "refresh_token":
            return self._refresh(form)
        if kind == "authorization_code":
            return self._swap(form)
        raise LWAError("unsupported_grant_type")

    def _refresh(self, form: dict[str, str]) -> Response:
        token = _field(form, "refresh_token")
        self._check_client(form)
        grant = self._grants.get(token)
        if grant is None:
            raise LWAError("invalid_grant", _BAD_GRANT + "refresh_token" + _REVOKED * (token in self._revoked))
        self._check_secret(form, needed=not grant.public)
        return self._tokens(grant.serial, self._rotate(token, grant))

    def _rotate(self, token: str, grant: _Grant) -> str | None:
        if grant.replaces is not None:
            self._grants.pop(grant.replaces, None)
            grant.replaces = None
        rotation = self._settings.refresh_rotation
        if rotation in ("off", "absent"):
            return token if rotation == "off" else None
        successor = self.link(grant.serial, grant.public)
        if rotation == "strict":
            del self._grants[token]
        else:
            self._grants[successor].replaces = token
        return successor

    def _swap(self, form: dict[str, str]) -> Response:
        code, redirect_uri = _field(form, "code"), _field(form, "redirect_uri")
        self._check_client(form)
        entry = self._codes.get(code)
        if entry is None or self._clock.now() >= entry.expires_at or entry.redirect_uri != redirect_uri:
            raise LWAError("invalid_grant", _BAD_GRANT + "code")
        self._check_secret(form, needed=entry.challenge is None)
        if entry.challenge is not None:
            _check_verifier(entry, _field(form, "code_verifier"))
        del self._codes[code]
        return self._tokens(entry.serial, self.link(entry.serial, public=entry.challenge is not None))

    def _check_client(self, form: dict[str, str]) -> None:
        if _field(form, "client_id") not in self._clients:
            raise LWAError("invalid_client")

    def _check_secret(self, form: dict[str, str], needed: bool) -> None:
        given, right = form.get("client_secret"), self._clients[form["client_id"]]
        if given != right and (needed or given is not None):
            raise LWAError("invalid_client")

    def _tokens(self, serial: str, refresh_token: str | None) -> Response:
        body: dict[str, object] = {
            "access_token": self.access_token(serial),
            "token_type": "bearer",
            "expires_in": self._settings.access_token_s,
        }
        if refresh_token is not None:
            body["refresh_token"] = refresh_token
        return Response.of_json(body, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def _form(request: Request) -> dict[str, str]:
    """The request's parameters. Raises LWAError for anything but one clean form."""
    kind = (request.header("content-type") or "").split(";")[0].strip().lower()
    if request.method != "POST" or kind != _FORM_TYPE:
        raise LWAError("invalid_request")
    try:
        pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        raise LWAError("invalid_request") from None
    if len(dict(pairs)) != len(pairs):
        raise LWAError("invalid_request")
    return dict(pairs)


def _field(form: dict[str, str], name: str) -> str:
    if not form.get(name):
        raise LWAError("invalid_request", _MISSING + name)
    return form[name]


def _check_verifier(entry: _Code, verifier: str) -> None:
    digest = hashlib.sha256(verifier.encode()).digest()
    hashed = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    made = hashed if entry.method == "S256" else verifier
    if not _VERIFIER.fullmatch(verifier) or made != entry.challenge:
        raise LWAError("invalid_grant", _BAD_GRANT + "code_verifier")
