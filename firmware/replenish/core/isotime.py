"""Calendar dates as whole Unix seconds, and back.

Own arithmetic both ways: `time.mktime` is in local time on Unix, and `time.gmtime` ends with 31 bits on 32-bit interpreters.
Days are counted from a March-based year, so that the leap day is the last one (H. Hinnant, "chrono-compatible low-level date
algorithms").
"""

from time import gmtime

EPOCH = 946684800 if gmtime(0)[0] == 2000 else 0  # Unix seconds of the interpreter's own epoch; ESP32 counts from 2000
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


def days(year, month, day):
    """Days from 1970-01-01 to a Gregorian date."""
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468


def text(at):
    """ISO 8601 UTC of Unix seconds; None and 0 (never) give None."""
    if not at:
        return None
    day = at // 86400
    year, month = 1970 + day // 366, 12  # at most one year too early
    while days(year + 1, 1, 1) <= day:
        year += 1
    while days(year, month, 1) > day:
        month -= 1
    date = year, month, day - days(year, month, 1) + 1
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % (date + (at // 3600 % 24, at // 60 % 60, at % 60))


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
