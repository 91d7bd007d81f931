"""When a thing is due that happens by the calendar: the daily reports."""

from binascii import crc32

from .isotime import DAY_S


def report_offset_s(serial):
    """The second of the day (UTC) at which this device reports: spread over the day by serial, always the same for one device."""
    return crc32(serial.encode()) % DAY_S


def report_day(now, serial):
    """The number of the reporting day that `now` lies in. A report is due when this is above the day reported last."""
    return (now - report_offset_s(serial)) // DAY_S


def next_report(day_reported, serial):
    """Unix seconds at which the report after day number `day_reported` is due."""
    return (day_reported + 1) * DAY_S + report_offset_s(serial)
