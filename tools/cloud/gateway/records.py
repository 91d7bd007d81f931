"""What the gateway keeps of an intent that has no order in the shop yet, and how such an intent stands. No I/O, no clock."""

import json
from dataclasses import asdict, dataclass, replace

from tools.cloud.gateway.model import COUNTER_LIMIT, QUANTITY_LIMIT, IntentId, Snapshot, State

# Codes of questions that are not a shop's word.
ASKED = "asked"  # `notify`: the person is asked to order it


@dataclass(frozen=True)
class Question:
    """What a person is asked: whether to take `offered` packs; 0: sold out, and yes means to try again."""

    code: str
    offered: int
    asked: int  # Unix seconds


@dataclass(frozen=True)
class Record:
    """An intent on its way to an order. `attempt` names the call that may be ordering just now, or may have died over it."""

    id: IntentId
    adapter: str
    quantity: int
    least: int
    reason: str
    created: int  # Unix seconds
    attempt: str | None = None
    attempted: int | None = None  # Unix seconds
    question: Question | None = None
    agreed: int | None = None  # when the person said yes to the question
    failed: str | None = None  # the shop's code, when it refused for good

    def open_question(self, now: float, question_s: int) -> Question | None:
        """The question that a person can answer now."""
        question = self.question
        if question is None or self.agreed is not None or now >= question.asked + question_s:
            return None
        return question

    def trying(self, now: float, settle_s: int) -> bool:
        """An order may come to be any moment: nobody else may order this intent from another shop."""
        return self.attempted is not None and now < self.attempted + settle_s

    def snapshot(self, now: float, question_s: int, settle_s: int) -> Snapshot | None:
        """How it stands while the shop has no order. None: nothing exists under its id."""
        if self.failed is not None:
            return self._as(State.FAILED, self.failed, self.attempted)
        if self.trying(now, settle_s):
            return self._as(State.UNKNOWN, None, self.attempted)
        question = self.question
        if question is None:
            return None
        if question is self.open_question(now, question_s):
            return self._as(State.PENDING, question.code, question.asked)
        if self.agreed is not None:  # the order that was agreed to did not come to be: it is tried again when somebody asks
            return self._as(State.UNKNOWN, None, self.agreed)
        return self._as(State.FAILED, question.code, question.asked + question_s)

    def _as(self, state: State, code: str | None, time: int | None) -> Snapshot:
        offered = self.question.offered if self.question and state is State.PENDING else None
        return Snapshot(self.id, state, code=code, quantity=offered, created=self.created, time=time)

    def ask(self, code: str, offered: int, now: int) -> "Record":
        """The same intent waiting for a person's answer. A question that is asked again is the one that it was."""
        before = self.question
        same = before is not None and (before.code, before.offered) == (code, offered)
        question = before if before is not None and same else Question(code, offered, now)
        return replace(self, attempt=None, attempted=None, question=question, agreed=None)

    def dumps(self) -> str:
        """As JSON, without what is not known."""
        return json.dumps({key: value for key, value in asdict(self).items() if value is not None}, separators=(",", ":"))


def loads(payload: bytes) -> Record:
    """A record from its JSON. Raises ValueError for anything else."""
    try:
        given = json.loads(payload)
        question = given.pop("question", None)
        record = Record(**{**given, "id": _id(given["id"]), "question": Question(**question) if question else None})
    except (TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a record: {type(error).__name__}") from None
    if not _sound(record):
        raise ValueError("not a record: a value of another type")
    return record


def _id(given: dict[str, object]) -> IntentId:
    serial, slot, counter = given["serial"], given["slot"], given["counter"]
    if not isinstance(serial, str) or not isinstance(slot, str) or type(counter) is not int or not 0 < counter <= COUNTER_LIMIT:
        raise ValueError("not an intent's id")
    return IntentId(serial, slot, counter)


def _sound(record: Record) -> bool:
    question = record.question
    wholes = [record.created] + [v for v in (record.attempted, record.agreed, question and question.asked) if v is not None]
    return (
        isinstance(record.adapter, str)
        and all(type(value) is int and value >= 0 for value in wholes)
        and type(record.quantity) is int
        and 0 < record.quantity <= QUANTITY_LIMIT
        and (question is None or (type(question.offered) is int and 0 <= question.offered <= QUANTITY_LIMIT))
    )


@dataclass(frozen=True)
class Mark:
    """A person's no, or that a person was told of the question asked at `time`. Each is kept apart from the record, so that
    nothing that happens to the record loses it."""

    id: IntentId
    time: int  # Unix seconds

    def refusal(self, record: Record | None) -> Snapshot:
        """How the intent stands after a no while the shop has no order."""
        created = record.created if record else self.time
        return Snapshot(self.id, State.CANCELLED, created=created, time=self.time)

    def dumps(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))


def loads_mark(payload: bytes) -> Mark:
    """Raises ValueError."""
    try:
        given = json.loads(payload)
        mark = Mark(_id(given["id"]), given["time"])
    except (TypeError, LookupError, RecursionError) as error:
        raise ValueError(f"not a mark: {type(error).__name__}") from None
    if type(mark.time) is not int:
        raise ValueError("not a mark: its time is no whole number")
    return mark
