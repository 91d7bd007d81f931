"""EXPERIMENTAL: code-based linking, for a device whose customer types a code into a browser elsewhere (RFC 8628, device flow).

Amazon documents it for the scopes `profile…` only; whether it takes `dash:replenish` with scope data is not known. In memory only
while a device is being linked this way.
"""

from micropython import const

from ..core import device as d
from . import call, linking, lwa

# What ends an attempt; anything else goes on until the codes expire: authorization_pending, slow_down, and no answer.
_ENDS = {
    "access_denied": d.CONSENT_DENIED,
    "expired_token": d.CODE_EXPIRED,
    "invalid_grant": d.CODE_EXPIRED,
    "invalid_client": d.CLIENT_REFUSED,
    "unauthorized_client": d.CLIENT_REFUSED,
    "unsupported_grant_type": d.CLIENT_REFUSED,
    "invalid_request": d.CLIENT_REFUSED,
    "invalid_scope": d.CONSENT_REFUSED,
}
_INTERVAL_S = const(5)  # where the answer names none (RFC 8628, section 3.2)
_INTERVAL_LIMIT_S = const(300)
_LIFE_LIMIT_S = const(3600)


def code_pair(token_url, client_id, scope):
    """The request for a pair of codes; its address is the token endpoint's with another end. scope: from `linking.scope_data`."""
    url = token_url.rstrip("/").rpartition("/")[0] + "/create/codepair"
    asked = linking.form("response_type", "device_code", "client_id", client_id, "scope", "dash:replenish", "scope_data", scope)
    return linking.post(url, asked)


def read_code_pair(answer):
    """(outcome, (user code, device code, verification address, seconds until they expire, seconds between polls) or None, phrase);
    REFUSED: another request would do, UNKNOWN: no usable codes."""
    data = answer.json() or {}
    if call.judge(answer) != call.OK:
        known = isinstance(data.get("error"), str) and data["error"] in _ENDS
        return call.REFUSED if known else call.NOT_ACTED, None, answer.error or "status %d" % answer.status
    texts = data.get("user_code"), data.get("device_code"), data.get("verification_uri")
    life_s, interval_s = data.get("expires_in"), data.get("interval", _INTERVAL_S)
    good = call.printable(texts[0], 64) and call.printable(texts[1], lwa.TOKEN_LIMIT) and call.printable(texts[2], 255)
    if not good or not texts[2].startswith("https://") or not isinstance(life_s, int) or not isinstance(interval_s, int) or life_s <= 0:
        return call.UNKNOWN, None, "no usable codes"
    return call.OK, texts + (min(life_s, _LIFE_LIMIT_S), min(max(interval_s, 1), _INTERVAL_LIMIT_S)), ""


def poll(token_url, client_id, device_code, user_code):
    """The request that asks whether the customer has typed the code."""
    form = linking.form("grant_type", "device_code", "device_code", device_code, "user_code", user_code, "client_id", client_id)
    return linking.post(token_url, form)


def read_poll(answer):
    """(outcome, refresh token or "", the link's fault that ends the attempt or 0, phrase)."""
    outcome, _, _, refresh, detail = lwa.read(answer)
    if outcome == call.OK:
        return outcome, refresh, 0, detail or "granted" if refresh else "no refresh_token"
    error = (answer.json() or {}).get("error")
    return outcome, "", _ENDS.get(error, 0) if isinstance(error, str) else 0, detail
