"""Whole Unix seconds as calendar dates. Dates are read by dates.py.

Own arithmetic both ways: `time.mktime` is in local time on Unix, and `time.gmtime` ends with 31 bits on 32-bit interpreters.
Days are counted from a March-based year, so that the leap day is the last one (H. Hinnant, "chrono-compatible low-level date
algorithms").
"""

from time import gmtime

EPOCH = 946684800 if gmtime(0)[0] == 2000 else 0  # Unix seconds of the interpreter's own epoch; ESP32 counts from 2000


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
