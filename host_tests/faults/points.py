"""What is made to fail, at which point: sources of faults with one interface (the third is in lines.py).

- `fail_at(k, lasting, way)`: the k-th point from now fails, 0: none; lasting: and those after it
- `count()`: points since `fail_at`
- `spare(on)`: what comes now is the test's own, not counted; returns what was before
- `meet(kind, ways)`: a point where the world may fail in one of these ways: how it shall now, or None
- `lasts()`: whether the next point would fail too
- `error`: the exceptions that such a fault may end an act with
- `kind`, `ways`, `way`: what the point that failed is, in how many ways it can fail, and how it did
"""

_WHILE = 25  # so many points in a row fail when a fault lasts


class World:
    """Every call of the medium, the service, the sensor and the serial line."""

    error = (OSError,)

    def __init__(self):
        self._spared = False
        self.ways, self.kind, self.way = 1, None, None
        self.fail_at(0)

    def fail_at(self, k, lasting=False, way=0):
        self._first, self._lasting, self._number = k, lasting, way
        self._count = 0
        if k:
            self.ways = 1
            self.kind = self.way = None

    def count(self):
        return self._count

    def spare(self, on):
        before, self._spared = self._spared, on
        return before

    def meet(self, kind, ways):
        if self._spared:
            return None
        self._count += 1
        end = self._first + (_WHILE if self._lasting else 1)
        if not self._first <= self._count < end:
            return None
        if self._count == self._first:
            self.kind, self.ways = kind, len(ways)
        self.way = ways[min(self._number, len(ways) - 1)]
        return self.way

    def lasts(self):
        """Whether the next point would fail too."""
        return self._lasting and self._first and self._count < self._first + _WHILE - 1


class Memory:
    """Every allocation of the interpreter (tools/faults)."""

    error = (MemoryError,)
    ways = 1
    kind = way = None

    def __init__(self):
        import faults  # type: ignore[import-not-found]

        self._faults = faults
        self.count = faults.count
        self.spare = faults.spare

    def fail_at(self, k, lasting=False, way=0):
        self._faults.fail_at(k, lasting)

    def meet(self, kind, ways):
        return None

    def lasts(self):
        return False
