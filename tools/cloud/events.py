"""Events of EventBridge, which come in by the doors of the messages of SNS and by one of their own. No I/O."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tools.cloud.notice import Notice
from tools.cloud.outcomes import NotRelayed, Outcome

# How the name of an event source of Buy with Prime begins; what the maker called it stands behind.
BUY_WITH_PRIME = "aws.partner/buywithprime/"


class Translation(Protocol):
    """How the events of a source become notices."""

    def key(self, given: Mapping[str, Any]) -> str:
        """What tells an event from its repetitions. Raises NotRelayed for one that is none."""

    async def notices(self, given: Mapping[str, Any]) -> Sequence[Notice]:
        """What devices are to hear of it. Raises NotRelayed, with LATER when what has to be asked for it does not answer."""


# By the beginning of the source's name. None: recognised and counted, but not translated here.
Translations = Mapping[str, Translation | None]
NO_TRANSLATIONS: Translations = {BUY_WITH_PRIME: None}


def is_event(given: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an event of EventBridge and not a message of SNS."""
    return "detail-type" in given and "source" in given


def translation(given: Mapping[str, Any], known: Translations) -> Translation:
    """The translation of an event's source. Raises NotRelayed when there is none."""
    source = given.get("source")
    name = source if isinstance(source, str) else ""
    for beginning, found in known.items():
        if name.startswith(beginning):
            if found is None:
                raise NotRelayed(Outcome.NO_TRANSLATION, "this relay does not translate the source's events")
            return found
    raise NotRelayed(Outcome.NOT_FOR_A_DEVICE, "an event of a source that has nothing for devices")
