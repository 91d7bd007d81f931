"""What is known of the device as a whole: the backoff that all its calls share, the link to the customer's account, reports, holds.

Times are Unix seconds, 0 is never.
"""

from micropython import const

from . import backoff
from .schedule import next_report, report_day

_RETIRED_AFTER_S = const(2592000)  # a host gone for so long is a retired service (law 10)
_RETIRED_PAUSE_S = const(604800)  # ... and is called at most weekly

_REFUSED = (None, "client_refused", "call_refused")


class Device:
    """Exactly what is durable of the device, and the first call's time, which is drawn anew at each cold start."""

    def __init__(self, serial):
        self.serial = serial
        self.known_time = 0  # the last time that was certain: a floor (law 11)
        self.attempts = 0  # failed calls in a row, whatever they were
        self.next_try = 0  # no call before
        self.refused_token = 0  # CRC of the refresh token that the service will never take again, 0: none
        self.refused = 0  # a 4xx that only a changed configuration can heal: 1 of the token endpoint, 2 of the service
        self.held = 0  # a person's hold on all ordering
        self.reported_day = 0
        self.subscriptions_at = 0  # when subscriptionInfo was last answered
        self.config_crc = 0  # a change of configuration ends the holds that a wrong one caused
        self.unreachable_since = 0  # since when no answer at all came from the service's host
        self.retired = 0  # 410
        self.store_failed = False  # the medium refuses writes
        self.linked = False  # a refresh token is there that was not refused
        self.first_call_at = 0
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
        return _REFUSED[self.refused] if self.linked else "not_linked"

    def is_retired(self, now):
        gone = self.unreachable_since and now - self.unreachable_since >= _RETIRED_AFTER_S
        return bool(self.retired or gone)

    def may_call(self, now):
        """Whether any call may leave now: a known time, a link, the cold start's delay and the backoff."""
        return bool(now) and self.linked and now >= self.first_call_at and now >= self.next_try

    def failed(self, now, random, retry_after_s, reached):
        """A call failed; `reached`: the host answered at least something. Returns when the next call may leave."""
        self.attempts = min(self.attempts + 1, 0xFFFF)
        if reached:
            self.unreachable_since = 0
        elif not self.unreachable_since:
            self.unreachable_since = now
        pause = _RETIRED_PAUSE_S if self.is_retired(now) else 0
        self.next_try = now + max(pause, backoff.delay_s(self.attempts, random, retry_after_s))
        return self.next_try

    def answered(self):
        """A call was answered well. Returns True when that changed something durable."""
        changed = self.attempts or self.unreachable_since or self.retired or self.refused
        self.attempts = self.next_try = self.unreachable_since = self.retired = self.refused = 0
        return bool(changed)

    def report_due(self, now):
        return report_day(now, self.serial) > self.reported_day

    def next_report(self):
        return next_report(self.reported_day, self.serial)

    def reported(self, now):
        self.reported_day = report_day(now, self.serial)
