"""The device as a whole: its faults by rank, the backoff that all calls share, retirement, and its own second of the day."""

from replenish.core import backoff
from replenish.core.device import Device

DAY = 86400
START = 1800000000
LAST = 16777215 / 16777216  # the largest fraction that the clock draws


def linked():
    device = Device("SN0001")
    device.linked = True
    return device


def test_the_most_serious_fault_is_the_one_that_shows():
    device = Device("SN0001")
    seen = []
    for name, value in (("refused", 1), ("refused", 2), ("linked", False), ("retired", 1), ("store_failed", True)):
        if not seen:
            device.linked = True
            assert device.fault(START) is None
        setattr(device, name, value)
        seen.append(device.fault(START))
    assert seen == ["client_refused", "call_refused", "not_linked", "service_retired", "store_failed"]
    assert device.fault(0) == "no_valid_time"


def test_each_failure_in_a_row_waits_longer_and_an_answer_ends_that():
    device = linked()
    for attempts in range(1, 14):
        assert device.failed(START, LAST, 0, True) == device.next_try
        assert 0 < device.next_try - START <= backoff.ceiling_s(attempts)
        assert device.next_try - START >= backoff.ceiling_s(attempts) - 1
    assert device.attempts == 13
    assert device.answered() and (device.attempts, device.next_try) == (0, 0)
    assert not device.answered(), "nothing durable changed"


def test_an_answer_ends_whatever_a_failure_began():
    for name in ("attempts", "unreachable_since", "retired", "refused"):
        device = linked()
        setattr(device, name, 1)
        assert device.answered() and getattr(device, name) == 0, name


def test_the_number_of_attempts_fits_its_record():
    device = linked()
    device.attempts = 0xFFFF
    device.failed(START, 0.0, 0, True)
    assert device.attempts == 0xFFFF


def test_the_services_wish_is_honoured():
    device = linked()
    assert START + 7200 < device.failed(START, 0.5, 7200, True) <= START + 7230


def test_a_host_gone_for_30_days_is_a_retired_service():
    device = linked()
    device.failed(START, 0.0, 0, False)
    assert device.unreachable_since == START
    now = START + 30 * DAY
    device.failed(now - 1, 0.0, 0, False)
    assert device.unreachable_since == START and device.fault(now - 1) is None and device.next_try == now
    assert device.fault(now) == "service_retired"
    assert device.failed(now, 0.0, 0, False) == now + 7 * DAY, "at most weekly from now on"
    device.failed(now, 0.0, 0, True)
    assert device.unreachable_since == 0 and device.fault(now) is None, "it answered, however badly"


def test_a_service_that_says_it_is_gone_is_called_weekly():
    device = linked()
    device.retired = 1
    assert device.fault(START) == "service_retired"
    assert device.failed(START, 0.0, 0, True) == START + 7 * DAY
    device.answered()
    assert device.fault(START) is None


def test_reporting_days_begin_at_the_devices_own_second():
    for serial in ("SN0001", "SN0002", "x", "a" * 64):
        device = Device(serial)
        device.reported_day = device.reporting_day(START)
        due = device.next_report()
        assert START < due <= START + DAY and due % DAY == device.report_offset_s
        assert device.reporting_day(due - 1) == device.reported_day
        assert device.reporting_day(due) == device.reported_day + 1


def test_reports_of_a_fleet_are_spread_over_the_day():
    hours = [0] * 24
    for number in range(2400):
        offset = Device("SN%06d" % number).report_offset_s
        assert 0 <= offset < DAY
        hours[offset // 3600] += 1
    assert min(hours) > 60 and max(hours) < 150, hours
