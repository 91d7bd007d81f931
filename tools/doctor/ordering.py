"""Who the device is at the services: client, scope and model at Login with Amazon, the service itself, or the maker's gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from tools.doctor import Finding, Patient
from tools.doctor.network import Answer, CallError, call, without_markup

# Of no device: a token endpoint that knows the client refuses this one, and a service refuses the other.
MADE_UP_REFRESH, MADE_UP_ACCESS = "Atzr|doctor", "Atza|doctor"
REDIRECT = "http://localhost:8914/"  # of make link
_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B: nobody will swap a code for it
_TYPE = "com.amazon.dash.replenishment.DrsSubscriptionInfo"
_PAGE_TEXT = 100


def check(patient: Patient) -> Iterator[Finding]:
    if patient.backend == "gateway":
        yield from _tried("gateway", _gateway, patient)
    else:
        yield from _tried("LWA client", _client, patient)
        yield from _tried("LWA scope and model", _consent, patient)
        yield from _tried("DRS", _drs, patient)


def _tried(about: str, look: Any, patient: Patient) -> Iterator[Finding]:
    try:
        yield from look(patient)
    except CallError as error:
        yield Finding(about, False, str(error), error.remedy)


def _object(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _client(patient: Patient) -> Iterator[Finding]:
    lwa = patient.config["lwa"]
    fields = {"grant_type": "refresh_token", "refresh_token": MADE_UP_REFRESH, "client_id": lwa["client_id"]}
    if patient.secrets.get("client_secret"):
        fields["client_secret"] = patient.secrets["client_secret"]
    answer = call(patient, "POST", lwa["token_url"], {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(fields))
    error = _object(answer).get("error")
    if error == "invalid_grant":
        yield Finding("LWA client", True, "the token endpoint knows lwa.client_id")
    elif error in ("invalid_client", "unauthorized_client") and "client_secret" in patient.hidden:
        yield Finding("LWA client", None, "only the device can ask: its client_secret is not read", "see what it tells: make monitor")
    elif error in ("invalid_client", "unauthorized_client"):
        remedy = "copy the client id from the security profile of the device's model; with client_secret see that it is that client's"
        yield Finding("LWA client", False, f"the token endpoint refuses lwa.client_id ({error})", remedy)
    else:
        said = f"the token endpoint answers as none does (status {answer.status})"
        yield Finding("LWA client", False, said, "correct lwa.token_url; Amazon's is the default")


def _consent(patient: Patient) -> Iterator[Finding]:
    """What the page says before a customer signs in. The model's name is judged by Amazon only then, by the simulator by its form."""
    config = patient.config
    scope: dict[str, Any] = {"device_model": config["device"]["model"], "serial": config["device"]["serial"]}
    scope["is_test_device"] = config["drs"]["test_device"]
    if config["drs"]["include_non_live"]:
        scope["should_include_non_live"] = True
    asked = {
        "client_id": config["lwa"]["client_id"],
        "scope": "dash:replenish",
        "scope_data": json.dumps({"dash:replenish": scope}),
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "state": "doctor",
        "code_challenge": _CHALLENGE,
        "code_challenge_method": "S256",
    }
    answer = call(patient, "GET", config["lwa"]["consent_url"] + "?" + urlencode(asked))
    text = without_markup(answer.body)
    for words, remedy in (
        ("unknown scope", "correct device.model: it has to be one of this client's, with drs.include_non_live before it is certified"),
        ("redirect", f"add {REDIRECT} to the client's Allowed Return URLs"),
        ("client", "copy the client id from the security profile of the device's model"),
    ):
        if answer.status >= 400 and words in text.lower():
            yield Finding("LWA scope and model", False, f'the consent page says "{text[:_PAGE_TEXT]}"', remedy)
            return
    if answer.status >= 400:
        said = f"the consent page answers with status {answer.status}"
        yield Finding("LWA scope and model", False, said, "correct lwa.consent_url; Amazon's is the default")
    else:
        yield Finding("LWA scope and model", True, "the consent page asks for this model, as far as it says before a customer signs in")


def _drs(patient: Patient) -> Iterator[Finding]:
    headers = {
        "Authorization": "Bearer " + MADE_UP_ACCESS,
        "x-amzn-type-version": _TYPE + "Input@1.0",
        "x-amzn-accept-type": _TYPE + "Result@2.0",
    }
    answer = call(patient, "GET", patient.config["drs"]["endpoint"] + "/subscriptionInfo", headers)
    if answer.status in (400, 401, 403) and "token" in str(_object(answer).get("message", "")).lower():
        yield Finding("DRS", True, "drs.endpoint is the service: it refuses a made-up token")
    elif answer.status in (410, 503):
        said = f"the service is away (status {answer.status})"
        yield Finding("DRS", False, said, "try later; with 410 it is retired: the way out is the back end gateway")
    else:
        said = f"what answers at drs.endpoint is not the service (status {answer.status})"
        yield Finding("DRS", False, said, "correct drs.endpoint; Amazon's is the default")


def _gateway(patient: Patient) -> Iterator[Finding]:
    token = patient.secrets.get("gateway_token")
    if "gateway_token" in patient.hidden:
        yield Finding("gateway", None, "only the device can ask: its gateway_token is not read", "see what it tells: make monitor")
        return
    if not token and not patient.config["tls"]["certificate"]:
        said = "the secrets have no gateway_token, and tls no certificate"
        yield Finding("gateway", False, said, "get the device its token at the gateway")
        return
    headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    answer = call(patient, "GET", patient.config["gateway"]["url"] + "/v1/slots", headers)
    if answer.status in (401, 403):
        remedy = "give it the token, or the certificate, that the gateway has for this serial"
        yield Finding("gateway", False, f"the gateway does not let this device in (status {answer.status})", remedy)
    elif answer.status != 200 or not isinstance(_object(answer).get("slots"), dict):
        said = f"what answers at gateway.url is no gateway (status {answer.status})"
        yield Finding("gateway", False, said, "correct gateway.url")
    else:
        yield Finding("gateway", True, "the gateway lets this device in")
        yield _gateway_slots(patient, _object(answer)["slots"])


def _gateway_slots(patient: Patient, offered: dict[str, Any]) -> Finding:
    wanted = [slot["id"] for slot in patient.config["slots"]]
    missing = [name for name in wanted if name not in offered]
    if missing:
        remedy = f"let slots[].id be one of {', '.join(sorted(offered)) or 'none yet'}, or add it to the gateway's directory"
        return Finding("slot ids", False, f"the gateway does not know {', '.join(missing)} of this device", remedy)
    return Finding("slot ids", True, f"the gateway knows {', '.join(wanted)}")
