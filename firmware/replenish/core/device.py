"""What is known of the device as a whole: the backoff that all its calls share, the link to the customer's account, reports, holds.

Times are Unix seconds, 0 is never.
"""

from binascii import crc32

from micropython import const

from . import backoff

_DAY_S = const(86400)
_RETIRED_AFTER_S = const(2592000)  # a host gone for 30 days is a retired service (law 10)
_RETIRED_PAUSE_S = const(604800)  # ... and is called at most weekly

SUBSCRIPTION_AGE_S = const(86400)  # how long subscriptionInfo's answer is believed before an order

# Kinds of call, in the order in which they come when several are due: what may end a need before what reports.
REPLENISH = const(1)
ORDER_INFO = const(2)
SUBSCRIPTION_INFO = const(3)
STATUS = const(4)

# Back ends: the number is what is stored.
DRS = const(0)
GATEWAY = const(1)

# Why there is no link: the number is what is stored.
NOT_LINKED = const(0)
LINK_REFUSED = const(1)  # invalid_grant for the refresh token
LINK_REVOKED = const(2)  # the same, and Amazon says that the customer may have taken the permission back
CONSENT_DENIED = const(3)
CONSENT_REFUSED = const(4)  # the consent page says that the request is wrong
STATE_MISMATCH = const(5)  # what came back from the consent page belongs to another attempt
CODE_EXPIRED = const(6)  # invalid_grant for the code: too late, used before, or for another redirect address
CLIENT_REFUSED = const(7)
LINK_UNANSWERED = const(8)  # no usable answer to the exchange of the code

_LINK_FAULTS = (
    "not_linked link_refused link_revoked consent_denied consent_refused state_mismatch code_expired client_refused link_unanswered"
)


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
        self.link_fault = 0  # why there is no link, see above
        self.backend = DRS  # that the orders were made with
        self.store_failed = False  # the medium refuses writes
        self.store_worn = 0  # parts of it that were given up
        self.linked = False  # a refresh token is there that was not refused
        self.first_call_at = 0
        self.time_sure = False  # a clock was believed since the start
        self.status_sent = False  # deviceStatus of this reporting day
        self.told_fault = None
        self.notices_day = self.notices = 0  # how many notices were applied on this day

    def fault(self, now):
        """The most serious fault by its name in the state topic, or None."""
        if not now:
            return "no_valid_time"
        if self.store_failed:
            return "store_failed"
        if self.is_retired(now):
            return "service_retired"
        if not self.linked:
            return self.why_unlinked()
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

    def why_unlinked(self):
        """The fault by its name while there is no link; beside a link: of the last attempt to make another."""
        return _LINK_FAULTS.split()[self.link_fault]

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
