"""Login with Amazon: an access token from a refresh token (RFC 6749 section 6; Amazon, "Refresh Token" and "Access Token")."""

from micropython import const

from . import call

TOKEN_LIMIT = const(2048)  # bytes, of either token (Amazon, "Access Token")


def refresh(token_url, client_id, client_secret, refresh_token):
    """The request for a new access token. client_secret: None when the device was linked by PKCE, which needs none."""
    form = ["grant_type=refresh_token&refresh_token=", call.quote(refresh_token), "&client_id=", call.quote(client_id)]
    if client_secret:
        form += "&client_secret=", call.quote(client_secret)
    return call.Request("POST", token_url, {"Content-Type": "application/x-www-form-urlencoded"}, "".join(form).encode())


def read(answer):
    """(outcome, access token, its lifetime in seconds, the refresh token to use from now on or "" for the same, detail).

    The outcome is OK, NOT_ACTED (try again), REFUSED (the client's configuration), GONE or UNLINKED (the customer must link again;
    the detail ends with "revoked" where Amazon says so).
    """
    outcome = call.judge(answer)
    data = answer.json() or {}
    if outcome == call.OK:
        return _granted(data)
    error = data.get("error")
    if error == "invalid_grant":
        outcome = call.UNLINKED
    elif error in "invalid_client unauthorized_client unsupported_grant_type invalid_request invalid_scope".split():
        outcome = call.REFUSED
    elif outcome != call.GONE:
        outcome = call.NOT_ACTED
    detail = call.phrase(error) if call.printable(error, 64) else answer.error or "status %d" % answer.status
    if "revoked" in str(data.get("error_description")):  # Amazon's word for a customer who took the permission back
        detail += ", revoked"
    return outcome, "", 0, "", detail


def _granted(data):
    access, rotated = data.get("access_token"), data.get("refresh_token")
    try:
        lifetime_s = min(max(int(data.get("expires_in")), 0), 86400)
    except (TypeError, ValueError, OverflowError):
        lifetime_s = 0
    if not lifetime_s or not call.printable(access, TOKEN_LIMIT):
        return call.NOT_ACTED, "", lifetime_s, "", "no usable access_token and expires_in"
    return call.OK, access, lifetime_s, rotated if call.printable(rotated, TOKEN_LIMIT) else "", ""
