"""What is known of the device as a whole: the backoff that all its calls share, the link to the customer's account, reports, holds.

Times are Unix seconds, 0 is never.
"""

from binascii import crc32

from micropython import const

from . import backoff

_DAY_S = const(86400)
_RETIRED_AFTER_S = const(2592000)  # a host gone for 30 days is a retired service (law 10)
_RETIRED_PAUSE_S = const(604800)  # ... and is called at most weekly


class Device:
    """Exactly what is durable of the device, and what is drawn or told anew after each start."""

    def __init__(self, serial):
        self.serial = serial
        self.report_offset_s = crc32(serial.encode()) % _DAY_S  # reports are spread over the day (UTC) by serial
        self.known_time = 0  # the last time that was certain: a floor (law 11)
        self.attempts = 0  # failed calls in a row, whatever they were
        self.next_try = 0  # no call before
        self.refused_token = 0  # CRC of the refresh token that the service will never take again, 0: none
        self.refused = 0  # a 4xx that only a changed configuration can heal: 1 of the token endpoint, 2 of the service
        self.held = 0  # a person's hold on all ordering
        self.reported_day = 0  # number of the last reporting day that is done; it begins at the offset
        self.subscriptions_at = 0  # when subscriptionInfo was last answered
        self.config_crc = 0  # a change of configuration ends the holds that a wrong one caused
        self.unreachable_since = 0  # since when no answer at all came from the service's host
        self.retired = 0  # 410
        self.seen = bytes(72)  # of the last notices and commands: see core/notice.py
        self.store_failed = False  # the medium refuses writes
        self.store_worn = 0  # parts of it that were given up
        self.linked = False  # a refresh token is there that was not refused
        self.first_call_at = 0
        self.time_sure = False  # a clock was believed since the start
        self.status_sent = False  # deviceStatus of this reporting day
        self.told_fault = None

    def fault(self, now):
        """The most serious fault by its name in the state topic, or None."""
        if not now:
            return "no_valid_time"
        if self.store_failed:
            return "store_failed"
        if self.is_retired(now):
            return "service_retired"
        if not self.linked:
            return "not_linked"
        return (self.store_worn and "store_worn" or None, "client_refused", "call_refused")[self.refused]

    def is_retired(self, now):
        return self.retired or self.unreachable_since and now - self.unreachable_since >= _RETIRED_AFTER_S

    def failed(self, now, random, retry_after_s, reached):
        """A call failed; `reached`: the host answered at least something. Returns when the next call may leave."""
        self.attempts = min(self.attempts + 1, 0xFFFF)
        self.unreachable_since = 0 if reached else self.unreachable_since or now
        pause = _RETIRED_PAUSE_S if self.is_retired(now) else 0
        self.next_try = now + max(pause, backoff.delay_s(self.attempts, random, retry_after_s))
        return self.next_try

    def answered(self):
        """A call was answered well. Returns whether that changed something durable."""
        changed = self.attempts or self.unreachable_since or self.retired or self.refused
        self.attempts = self.next_try = self.unreachable_since = self.retired = self.refused = 0
        return changed

    def reporting_day(self, now):
        """The number of the reporting day that `now` lies in. A report is due when it is above `reported_day`."""
        return (now - self.report_offset_s) // _DAY_S

    def next_report(self):
        return (self.reported_day + 1) * _DAY_S + self.report_offset_s
