"""The warning before a trust anchor ends. In memory only when a connection is made (see `app.forget`)."""

from micropython import const

_WARN_DAYS = const(180)  # an update has to reach the last device of a fleet by then


def warn(agent):
    """Tell how many days are left of the trust anchor that ends first: once a day, when they are few. Below 0: it has ended."""
    day = agent.time.now // 86400
    left = agent.anchors_end - day
    if agent.anchors_end and left < _WARN_DAYS and day != agent.anchors_told and not agent.clock.scaled:
        agent.anchors_told = day
        agent.tell("anchor", None, ("days", left))
