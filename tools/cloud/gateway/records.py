"""What the gateway keeps of an intent that has no order in a shop yet, and how such an intent stands. No I/O, no clock.

Times are whole Unix seconds.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from tools.cloud.gateway.model import COUNTER_LIMIT, QUANTITY_LIMIT, Intent, IntentId, Snapshot, State

T = TypeVar("T", "Record", "Attempt", "Mark")

# The code of a question that is not a shop's word: `notify` asks the person to order.
ASKED = "asked"

_Packs = Annotated[int, Field(ge=1, le=QUANTITY_LIMIT)]
_Moment = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Question:
    """What a person is asked: whether to take `offered` packs; 0: sold out, and yes means to try again."""

    code: str
    offered: Annotated[int, Field(ge=0, le=QUANTITY_LIMIT)]
    asked: _Moment


@dataclass(frozen=True)
class Record:
    """An intent that waits for a person, or that a shop refused for good."""

    id: IntentId
    quantity: _Packs
    least: _Packs
    reason: str
    created: _Moment
    question: Question | None = None
    agreed: _Moment | None = None  # when the person said yes to the question
    failed: str | None = None  # the shop's code

    @property
    def intent(self) -> Intent:
        """What is to be ordered: what the person agreed to, or what the device wanted."""
        agreed = self.question.offered if self.question and self.agreed is not None else 0
        quantity = agreed or self.quantity
        return Intent(self.id, quantity, min(self.least, quantity), self.reason)

    def open_question(self, now: float, question_s: int) -> Question | None:
        """The question that a person can answer now."""
        question = self.question
        if question is None or self.agreed is not None or now >= question.asked + question_s:
            return None
        return question

    def snapshot(self, now: float, question_s: int) -> Snapshot:
        """How it stands while the shop has no order."""
        question = self.question
        if self.failed is not None or question is None:
            return self._as(State.FAILED, self.failed, self.created)
        if question is self.open_question(now, question_s):
            return replace(self._as(State.PENDING, question.code, question.asked), quantity=question.offered)
        if self.agreed is not None:  # the order that was agreed to did not come to be: it is tried again when somebody asks
            return self._as(State.UNKNOWN, None, self.agreed)
        return self._as(State.FAILED, question.code, question.asked + question_s)

    def _as(self, state: State, code: str | None, time: int) -> Snapshot:
        return Snapshot(self.id, state, code=code, created=self.created, time=time)

    def ask(self, code: str, offered: int, now: int) -> "Record":
        """The same intent waiting for a person's answer. A question that is asked again is the one that it was."""
        before = self.question
        same = before is not None and (before.code, before.offered) == (code, offered)
        return replace(self, question=before if same else Question(code, offered, now), agreed=None)


@dataclass(frozen=True)
class Attempt:
    """Somebody is about to ask a shop to order, or did and does not know, or died over it: for a while an order may come to be."""

    id: IntentId
    token: Annotated[str, Field(pattern="^[0-9a-f]{1,32}$")]
    adapter: str
    quantity: _Packs
    least: _Packs
    reason: str
    time: _Moment
    sent: Annotated[float, Field(ge=0)]  # Unix seconds by a clock that is not accelerated, as no network is

    def live(self, real: float, settle_s: int) -> bool:
        """Whether an order may still come of it."""
        return real < self.sent + settle_s

    @property
    def intent(self) -> Intent:
        return Intent(self.id, self.quantity, self.least, self.reason)

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(self.id, State.UNKNOWN, created=self.time, time=self.time)


@dataclass(frozen=True)
class Mark:
    """A person's no, that a person was told of the question asked at `time`, or that there is an order. Each is kept apart from the
    record, so that nothing that happens to the record loses it."""

    id: IntentId
    time: _Moment

    def refusal(self, record: Record | None) -> Snapshot:
        """How the intent stands after a no while the shop has no order."""
        return Snapshot(self.id, State.CANCELLED, created=record.created if record else self.time, time=self.time)


def dumps(kept: Record | Attempt | Mark) -> str:
    """As JSON, without what is not known."""
    return json.dumps({key: value for key, value in asdict(kept).items() if value is not None}, separators=(",", ":"))


def loads(kind: type[T], payload: bytes) -> T:
    """A Record, an Attempt or a Mark from its JSON. Raises ValueError for anything else, without quoting it."""
    try:
        found = _CHECKS[kind].validate_json(payload, strict=True)
    except ValidationError as error:
        raise ValueError(f"not a {kind.__name__}: {error.error_count()} faults") from None
    if not isinstance(found, kind) or not 0 < found.id.counter <= COUNTER_LIMIT:
        raise ValueError("not an intent's id")
    return found


_CHECKS: dict[type[Any], TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in (Record, Attempt, Mark)}
