"""Which messages are done, so that a repeated one is not published again. No I/O, no clock."""

from collections import OrderedDict


class Seen:
    """The last `limit` messages, each for `keep_s` seconds. About 300 bytes for each."""

    def __init__(self, limit: int, keep_s: float) -> None:
        self._limit = limit
        self._keep_s = keep_s
        self._until: OrderedDict[tuple[str, str], float] = OrderedDict()
        self.forgotten_early = 0

    def __len__(self) -> int:
        return len(self._until)

    def add(self, key: tuple[str, str], now: float) -> None:
        self._forget(now)
        if len(self._until) >= self._limit:
            self._until.popitem(last=False)
            self.forgotten_early += 1
        self._until[key] = now + self._keep_s

    def has(self, key: tuple[str, str], now: float) -> bool:
        return self._until.get(key, now) > now

    def _forget(self, now: float) -> None:
        # All are kept for the same time, so the oldest ends first.
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)
