"""Seeded names for orders, tokens and requests: two runs with one seed and the same calls agree."""

import base64
import random
import string
import uuid

from tools.simulator.settings import DEFAULT_ID_PREFIX, Settings

_TOKEN_ALPHABET = string.ascii_letters + string.digits + "-_"


class Identifiers:
    """Makes names out of one seeded stream."""

    def __init__(self, settings: Settings, seed: int | str = 1) -> None:
        self._settings = settings
        self._random = random.Random(seed)

    def uuid(self) -> str:
        """A random UUID."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def token(self, prefix: str, length: int) -> str:
        """`prefix` and random URL-safe characters, `length` characters in all."""
        return prefix + "".join(self._random.choices(_TOKEN_ALPHABET, k=length - len(prefix)))

    def event_instance_id(self) -> str:
        """A new event instance id.

        By default it has the one shape that has been seen in public, 116 characters: the prefix and
        the base64 form of `r.<uuid>.<uuid>`. The settings id_prefix and id_length change it.
        """
        settings = self._settings
        seen = base64.b64encode(f"r.{self.uuid()}.{self.uuid()}".encode()).decode()
        if len(DEFAULT_ID_PREFIX + seen) == settings.id_length and settings.id_prefix == DEFAULT_ID_PREFIX:
            return settings.id_prefix + seen
        return self.token(settings.id_prefix, settings.id_length)
