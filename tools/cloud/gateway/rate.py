"""How often a device may call: a bucket of tokens for each, in RAM. No clock."""

from collections import OrderedDict


class Rate:
    """`per_minute` calls, all of them at once if need be, refilled evenly. About 200 bytes for each device that called lately."""

    def __init__(self, per_minute: int, limit: int = 200_000) -> None:
        self._most = float(per_minute)
        self._limit = limit
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, who: str, now: float) -> float:
        """Take one; 0 when there was one, else the seconds until there is."""
        left, since = self._left.pop(who, (self._most, now))
        left = min(self._most, left + max(0.0, now - since) * self._most / 60)
        wait_s = 0.0 if left >= 1 else (1 - left) * 60 / self._most
        self._left[who] = (left if wait_s else left - 1, now)
        if len(self._left) > self._limit:
            self._left.popitem(last=False)
        return wait_s
