"""The clock that messages are judged by."""

import time
from collections.abc import Callable

_NS = 1_000_000_000


def scaled(scale_from: int = 0, time_scale: int = 1, real_ns: Callable[[], int] = time.time_ns) -> Callable[[], float]:
    """Unix seconds of time = scale_from + (real - scale_from) * time_scale, as on the agent and in the simulator."""

    def now() -> float:
        # Whole nanoseconds until the end: a double would lose seconds under a large scale.
        return (scale_from * _NS + (real_ns() - scale_from * _NS) * time_scale) / _NS

    return now
