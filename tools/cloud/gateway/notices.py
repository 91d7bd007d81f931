"""Tells a device by MQTT what changed of an intent, in the compact form of the contract."""

import json
import logging
from collections.abc import Callable

from tools.cloud.gateway.memory import Publisher
from tools.cloud.gateway.model import Snapshot, iso
from tools.cloud.notice import Notice
from tools.cloud.outcomes import NotRelayed

LOG = logging.getLogger("gateway")

# Of a notice's id, in characters.
ID_LIMIT = 255


def compact(found: Snapshot, now: float, event_id: str | None = None) -> str:
    """A notice's payload. Two copies that tell of the same give it the same id, so a device applies it once."""
    told = found.json()
    told.pop("ask_again_s", None)
    told.setdefault("time", iso(now))
    # Another return may leave state and time as they are.
    stands = f"{found.state}:{found.returned}" if found.returned else found.state
    told["id"] = (event_id or f"{found.id}:{stands}:{told['time']}")[:ID_LIMIT]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


class Notices:
    """A notice that cannot be published is counted and let go: the device asks by itself in time."""

    def __init__(self, publisher: Publisher, prefix: str, now: Callable[[], float], count: Callable[[str], None]) -> None:
        """`count` hears `published` and `failed`."""
        self._publisher = publisher
        self._prefix = prefix
        self._now = now
        self._count = count

    async def tell(self, found: Snapshot, event_id: str | None = None) -> bool:
        """Whether the broker acknowledged it."""
        notice = Notice(found.id.serial, compact(found, self._now(), event_id))
        try:
            await self._publisher.publish(notice.topic(self._prefix), notice.payload)
        except NotRelayed as error:
            self._count("failed")
            LOG.warning("a notice was not published: %s", error)
            return False
        self._count("published")
        return True
