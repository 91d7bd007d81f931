"""Events of EventBridge, which come in by the same door as the messages of SNS. No I/O."""

from collections.abc import Callable, Mapping
from typing import Any

from tools.cloud.notice import Notice
from tools.cloud.outcomes import NotRelayed, Outcome

Translation = Callable[[Mapping[str, Any]], Notice]

# How the events of a source become notices, by the beginning of the source's name. The event source of Buy with Prime has the
# maker's own name at its end. None: recognised and counted, there is no translation yet.
TRANSLATIONS: dict[str, Translation | None] = {"aws.partner/buywithprime/": None}


def is_event(given: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an event of EventBridge and not a message of SNS."""
    return "detail-type" in given and "source" in given


def read(given: Mapping[str, Any]) -> Notice:
    """The notice that an event is for a device. Raises NotRelayed when it is none."""
    source = given.get("source")
    name = source if isinstance(source, str) else ""
    for beginning, translation in TRANSLATIONS.items():
        if name.startswith(beginning):
            if translation is None:
                raise NotRelayed(Outcome.NO_TRANSLATION, "no translation of this source's events yet")
            return translation(given)
    raise NotRelayed(Outcome.NOT_FOR_A_DEVICE, "an event of a source that has nothing for devices")


def identity(given: Mapping[str, Any]) -> str:
    """What tells an event from its repetitions: the `id` that EventBridge gave it. Raises NotRelayed."""
    found = given.get("id")
    if not isinstance(found, str):
        raise NotRelayed(Outcome.MALFORMED, "the event has no id")
    return found
