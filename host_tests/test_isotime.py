"""Dates of the services as Unix seconds, and back."""

from replenish.core import dates, isotime

from host_tests.expect import cases, raises

LAST_DAY = 49672  # 2105-12-31, counted from 1970-01-01


def calendar():
    """(year, month, day) of each day from 1970-01-01 to 2105-12-31, counted as a child would."""
    for year in range(1970, 2106):
        leap = year % 4 == 0 and year != 2100
        for month in range(1, 13):
            for day in range(1, (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1] + 1):
                yield year, month, day


def test_every_day_of_136_years_has_its_number_and_its_text():
    number = 0
    for date in calendar():
        assert isotime.days(*date) == number, date
        if number:
            assert isotime.text(number * 86400) == "%04d-%02d-%02dT00:00:00Z" % date
        number += 1
    assert number == LAST_DAY + 1


def test_a_time_comes_back_from_its_text():
    at = 86399
    while at <= LAST_DAY * 86400:
        assert dates.parse(isotime.text(at)) == at, at
        at += 86400 * 17 + 4271  # every hour, minute and second comes up


def test_never_has_no_text():
    assert isotime.text(0) is None and isotime.text(None) is None
    assert isotime.text(1) == "1970-01-01T00:00:01Z"


def check_parse(source, at):
    assert dates.parse(source) == at


def test_the_forms_of_iso_8601_that_services_send():
    cases(
        check_parse,
        [
            ("1970-01-01T00:00:00Z", 0),
            ("2001-09-09T01:46:40Z", 1000000000),
            ("2001-09-09T01:46:40.000Z", 1000000000),
            ("2001-09-09T01:46:40.987654321Z", 1000000000),
            ("2001-09-09T01:46:40", 1000000000),
            ("2001-09-09 01:46:40Z", 1000000000),
            ("2001-09-09", 999993600),
            ("2000-02-29T00:00:00Z", 951782400),  # a century that is a leap year
            ("2000-03-01T00:00:00Z", 951868800),
            ("2024-02-29T23:59:59Z", 1709251199),
            ("2024-03-01T00:00:00Z", 1709251200),
            ("2025-03-01T00:00:00Z", 1740787200),
            ("2100-03-01T00:00:00Z", 4107542400),  # a century that is none
            ("2038-01-19T03:14:08Z", 2147483648),
            ("2105-12-31T23:59:59Z", 4291747199),
            ("2016-12-31T23:59:60Z", 1483228800),  # the leap second is the next day's first
        ],
    )


def check_refused(parse, source):
    assert source in str(raises(ValueError, parse, source))


def test_what_is_no_iso_date_is_refused():
    bad = """2026 2026-11 2026-11- 2026-11-2 2026-11-21T 2026-11-21T1 2026-11-21T12 2026-11-21T12:30 2026-11-21T12:30:
        2026-11-21T12:30:4 2026-11-21X12:30:45 2026-11-21T12-30-45 2026/11/21 20261121 26-11-21 2026-1-21 2026-11-1T00:00:00
        2026-00-01 2026-13-01 2026-11-00 2026-11-32 2026-11-21T24:00:00Z 2026-11-21T23:60:00Z 2026-11-21T23:00:61Z
        2026-11-21T12:30:45+01:00 2026-11-21T12:30:45z 2026-11-21T12:30:45GMT 2026-11-21T12:30:45ZZ 2026-11-21Z
        1969-12-31T23:59:59Z 2106-01-01 0000-00-00 9999-12-31 -026-11-21 2026-+1-21 2026-11-+1 None null tomorrow"""
    cases(check_refused, [(dates.parse, source) for source in [""] + bad.split()])
    whole = "2026-11-21T12:30:45Z"
    cases(check_refused, [(dates.parse, whole[:i]) for i in range(19) if i != 10])
    for i in range(19):
        check_refused(dates.parse, whole[:i] + "x" + whole[i + 1 :])


def test_http_dates():
    cases(
        check_http,
        [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 12:00:00 GMT", 951825600),
            ("Thu, 31 Dec 2105 23:59:59 GMT", 4291747199),
        ],
    )
    for month in range(12):
        name = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()[month]
        expected = dates.parse("2026-%02d-15T01:02:03Z" % (month + 1))
        assert dates.parse_http("Xxx, 15 %s 2026 01:02:03 GMT" % name) == expected


def check_http(source, at):
    assert dates.parse_http(source) == at


def test_what_is_no_http_date_is_refused():
    whole = "Sun, 06 Nov 1994 08:49:37 GMT"
    cases(check_refused, [(dates.parse_http, whole[:i]) for i in range(25)])
    bad = [
        "Sunday, 06-Nov-94 08:49:37 GMT",  # two forms that are obsolete since 1999
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 anF 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, 06 Nov 2106 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08.49.37 GMT",
        "120",
        "1994-11-06T08:49:37Z",
    ]
    cases(check_refused, [(dates.parse_http, source) for source in bad])
