"""The calls of the API: what their bodies may be, what they answer, and the OpenAPI document of it all, from one source."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from tools.cloud.gateway.model import QUANTITY_LIMIT, REASON_LIMIT, ReturnState, State

VERSION = "1"
# A serial, a slot of 64 characters and a counter of 10 digits.
_ID_LIMIT = 140
IntentName = Annotated[str, Field(min_length=5, max_length=_ID_LIMIT, description="SERIAL-SLOT-COUNTER")]


def _whole(value: object) -> object:
    """To JSON Schema 2.0 is an integer too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Quantity = Annotated[int, Field(ge=1, le=QUANTITY_LIMIT, strict=True, description="packs"), BeforeValidator(_whole)]
_Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Nothing(Body):
    """An empty object."""


class Replenish(Body):
    """What a device wants ordered."""

    intent_id: IntentName
    slot: str = Field(min_length=1, max_length=64)
    quantity: _Quantity
    least: _Quantity | None = Field(None, description="the fewest that may be ordered without asking a person; default: quantity")
    reason: str = Field("", max_length=REASON_LIMIT, pattern="^[ -~]*$")


class ReturnBody(Body):
    """A return arranged elsewhere: added, or updated when its return_id is known."""

    return_id: str = Field(min_length=1, max_length=64, pattern="^[ -~]*$")
    quantity: _Quantity
    state: ReturnState


class Answer(BaseModel):
    """How an intent stands. What is not known or does not apply is left out."""

    intent_id: str
    slot: str
    state: State
    code: str | None = None
    quantity: int | None = Field(None, description="packs really ordered; of a question, those offered")
    created: _Moment | None = None
    deliver_by: _Moment | None = None
    returned: int | None = Field(None, description="packs that left the home again, in all returns so far")
    ask_again_s: int | None = None
    time: _Moment | None = None


class SlotAnswer(BaseModel):
    subscribed: bool
    latest: int = Field(ge=0, description="the highest counter that exists; 0: none")


class Slots(BaseModel):
    slots: dict[str, SlotAnswer]


class Failure(BaseModel):
    """Nothing was ordered by a call that is answered 4xx or 503."""

    model_config = ConfigDict(extra="allow")

    error: Literal[
        "bad_request", "unauthorized", "not_subscribed", "over_cap", "unknown_intent", "unknown_slot", "not_found",
        "method_not_allowed", "in_progress", "counter", "not_possible", "too_large", "too_many", "unavailable", "outcome_unknown",
        "failed",
    ]  # fmt: skip
    message: str
    cap: str | None = None
    intent_id: str | None = None
    state: State | None = None
    latest: int | None = None


# What any call may be answered; 405 and 413 by the server itself.
_ALWAYS = (400, 401, 413, 429, 502, 503)
_TEXTS = {
    400: "the call is malformed: bad_request",
    401: "the device did not prove who it is: unauthorized",
    403: "not allowed: not_subscribed, over_cap",
    404: "unknown_intent: surely nothing exists under it; unknown_slot",
    409: "in_progress, counter, not_possible",
    413: "the body is too large: too_large",
    429: "too many calls: too_many, with Retry-After",
    502: "the shop's outcome is not known, repeat the same intent: outcome_unknown",
    503: "surely nothing done: unavailable, with Retry-After",
}


@dataclass(frozen=True)
class Call:
    """One route."""

    name: str
    method: str
    path: str
    summary: str
    body: type[Body] | None
    answer: type[BaseModel]
    statuses: tuple[int, ...] = ()

    @property
    def failures(self) -> tuple[int, ...]:
        return tuple(sorted({*self.statuses, *_ALWAYS}))


_INTENT = "/v1/replenish/{intent_id}"
CALLS = (
    Call("replenish", "POST", "/v1/replenish", "Order, or tell how it stands if the intent exists", Replenish, Answer, (403, 404, 409)),
    Call("get", "GET", _INTENT, "How an intent stands", None, Answer, (404,)),
    Call("agree", "POST", f"{_INTENT}/agree", "The person's yes to the open question", Nothing, Answer, (404, 409)),
    Call("cancel", "POST", f"{_INTENT}/cancel", "The person's no", Nothing, Answer, (404, 409)),
    Call("returns", "POST", f"{_INTENT}/returns", "Add or update a return", ReturnBody, Answer, (404, 409)),
    Call("slots", "GET", "/v1/slots", "The device's slots and their latest counters", None, Slots),
)


def document(public_url: str | None) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    models: list[type[BaseModel]] = [Answer, Slots, Failure, *(call.body for call in CALLS if call.body)]
    unique = list(dict.fromkeys(models))
    _, shared = models_json_schema([(one, "validation") for one in unique], ref_template="#/components/schemas/{model}")
    paths: dict[str, Any] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Replenishment gateway", "version": VERSION},
        **({"servers": [{"url": public_url}]} if public_url else {}),
        "paths": paths,
        "components": {
            "schemas": shared["$defs"],
            "securitySchemes": {
                "deviceToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "deviceCertificate": {"type": "mutualTLS"},
            },
        },
        "security": [{"deviceToken": []}, {"deviceCertificate": []}],
    }


def _operation(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": call.name, "summary": call.summary, "responses": _responses(call)}
    if "{intent_id}" in call.path:
        name = {"type": "string", "minLength": 5, "maxLength": _ID_LIMIT}
        found["parameters"] = [{"name": "intent_id", "in": "path", "required": True, "schema": name}]
    if call.body:
        found["requestBody"] = {"required": True, "content": _json(call.body)}
    return found


def _responses(call: Call) -> dict[str, Any]:
    found = {"200": {"description": "done", "content": _json(call.answer)}}
    for status in call.failures:
        found[str(status)] = {"description": _TEXTS[status], "content": _json(Failure), **_headers(status)}
    return found


def _headers(status: int) -> dict[str, Any]:
    return {"headers": {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}} if status in (429, 503) else {}


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
