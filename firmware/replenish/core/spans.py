"""A wait in words: "low 3:12 of 10:00", "first call in 7:41: cold start".

Without an import, because the tools on the PC read the same events and say it with the same words (tools/countdown.py).
"""


def as_span(seconds):
    """So many seconds as a person counts them: 0:09, 59:59, 1:00:00; from two days on 2 d 3 h."""
    seconds = max(0, seconds)
    if seconds >= 172800:
        return "%d d %d h" % (seconds // 86400, seconds // 3600 % 24)
    if seconds >= 3600:
        return "%d:%02d:%02d" % (seconds // 3600, seconds // 60 % 60, seconds % 60)
    return "%d:%02d" % (seconds // 60, seconds % 60)


def told(what, since, until, now):
    """One wait in words. what: "head" or "head|why"; since, until: Unix seconds, 0 where there is none; see core/countdown.py."""
    head, _, why = what.partition("|")
    if since and until:
        head += " %s of %s" % (as_span(min(now, until) - since), as_span(until - since))
    elif until:
        head += " in " + as_span(until - now) if until > now else " now"
    return head + ": " + why if why else head
