"""Linking a device to a customer's account with Login with Amazon: the consent's address, and the exchange of its code (PKCE).

Amazon, "Login with Amazon: Authorization Code Grant" and "Customer Profile … for Dash"; RFC 7636 for the verifier. In memory only
while a device is being linked.
"""

from binascii import b2a_base64
from hashlib import sha256

from . import call

_NAME = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-+_"


def base64url(data):
    """Bytes as base64 for URLs, without padding (RFC 7636, appendix A)."""
    return b2a_base64(data).decode().strip().rstrip("=").replace("+", "-").replace("/", "_")


def challenge(verifier):
    """The S256 challenge of a PKCE verifier of 43 to 128 characters."""
    return base64url(sha256(verifier.encode()).digest())


def scope_data(device, service):
    """The JSON that tells Amazon which device asks. device, service: the configuration's `device` and `drs`.

    Raises ValueError for a model or a serial that Amazon does not allow: 1 to 64 characters of A-Z a-z 0-9 - + _.
    """
    for name in (device["model"], device["serial"]):
        if not 0 < len(name) <= 64 or name.strip(_NAME):
            raise ValueError("model or serial: 1 to 64 characters of A-Z a-z 0-9 - + _")
    return '{"dash:replenish":{"device_model":"%s","serial":"%s","is_test_device":%s%s}}' % (
        device["model"],
        device["serial"],
        "true" if service["test_device"] else "false",
        ',"should_include_non_live":true' if service["include_non_live"] else "",  # a released product must not send it
    )


def form(*pairs):
    """Names and values by turns as an `application/x-www-form-urlencoded` text; a pair whose value is None is left out."""
    fields = []
    for i in range(0, len(pairs), 2):
        if pairs[i + 1] is not None:
            fields.append(pairs[i] + "=" + call.quote(pairs[i + 1]))
    return "&".join(fields)


def post(url, *forms):
    """The request that posts forms as one."""
    return call.Request("POST", url, {"Content-Type": "application/x-www-form-urlencoded"}, "&".join(forms).encode())


def consent(consent_url, client_id, scope, redirect_uri, state, code_challenge):
    """The address of the consent page. redirect_uri: exactly one of the client's Allowed Return URLs; scope: from `scope_data`."""
    asked = form("client_id", client_id, "scope", "dash:replenish", "scope_data", scope, "response_type", "code")
    answered = form("redirect_uri", redirect_uri, "state", state, "code_challenge", code_challenge, "code_challenge_method", "S256")
    return consent_url + "?" + asked + "&" + answered


def exchange(token_url, client_id, client_secret, code, redirect_uri, verifier):
    """The request that swaps a code for tokens. client_secret: None for a client that has none; `lwa.read` reads the answer."""
    code_form = form("grant_type", "authorization_code", "code", code, "redirect_uri", redirect_uri)
    return post(token_url, code_form, form("client_id", client_id, "client_secret", client_secret or None, "code_verifier", verifier))
