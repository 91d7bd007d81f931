"""Dates that came over a network, as whole Unix seconds. In memory only while an answer or a message is read (see `app.forget`)."""

from .isotime import days

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


def _seconds(source, year, month, day, clock):
    """Unix seconds of digits; clock: "HH:MM:SS". Raises ValueError, for years before 1970 and after 2105 as well."""
    digits = year + day + clock[:2] + clock[3:5] + clock[6:8]
    if len(digits) != 12 or not digits.isdigit() or clock[2] + clock[5] != "::":
        raise ValueError("not a date: " + source)
    year, day, hour, minute, second = int(year), int(day), int(clock[:2]), int(clock[3:5]), int(clock[6:8])
    if not (1970 <= year < 2106 and 0 < month < 13 and 0 < day < 32 and hour < 24 and minute < 60 and second < 61):
        raise ValueError("not a date: " + source)
    return days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second


def parse(source):
    """Unix seconds of ISO 8601 UTC, as the services write it: a date, or a date and time with an optional fraction and Z.

    Raises ValueError for anything else; an offset other than Z is refused, because no service sends one.
    """
    month = source[5:7]
    if source[4:5] + source[7:8] != "--" or not month.isdigit() or source[10:11] not in ("", "T", " "):
        raise ValueError("not a date: " + source)
    if source[19:].strip("0123456789.") not in ("", "Z"):
        raise ValueError("not a date: " + source)
    return _seconds(source, source[:4], int(month), source[8:10], source[11:19] if len(source) > 10 else "00:00:00")


def parse_http(source):
    """Unix seconds of an HTTP date (RFC 9110 IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`). Raises ValueError."""
    month = _MONTHS.find(source[8:11])
    if source[3:5] != ", " or month < 0 or month % 3:
        raise ValueError("not an HTTP date: " + source)
    return _seconds(source, source[12:16], month // 3 + 1, source[5:7], source[17:25])
