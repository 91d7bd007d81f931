"""The order state machine of one slot: one table, states x events. An event that the state does not allow changes nothing.

All that affects transitions lives here. This file does not know the time, the network or the store: times are arguments, and the
shell makes each change durable before it does anything else (law 3). Two written laws hold for the table:

- only INTENT leads to ASKING, so a replenish call can only follow a decision that is durable;
- no event but evidence of the end (CANCELLED, DELIVERED with REFILLED) or the end of a long doubt leads back to IDLE.

Times are Unix seconds, 0 is never. Quantities are in the slot's unit.
"""

from micropython import const

IDLE = const(0)
ASKING = const(1)  # the intent is durable; a call is under way, or waits to be repeated
ACCEPTED = const(2)
AWAITING_CUSTOMER = const(3)  # Amazon's order-resolution flow: the customer has 72 hours
PLACED = const(4)
SHIPPED = const(5)
AWAITING_REFILL = const(6)  # the pack is at home
BLOCKED = const(7)  # the service says that an order is in progress
HELD = const(8)
IN_DOUBT = const(9)
UNSUBSCRIBED = const(10)

# Events, past tense: the columns of the table.
INTENT = const(0)  # the decision to call, made durable
NOT_ACTED = const(1)  # the service surely did nothing
UNKNOWN = const(2)  # the request was complete and no usable answer came
ACCEPTED_OK = const(3)
ACCEPTED_NO_ID = const(4)
IN_PROGRESS = const(5)
REFUSED = const(6)  # 400, 404: the request itself is wrong
NOT_SUBSCRIBED = const(7)
SUBSCRIBED = const(8)
STALE = const(9)  # an attempt with unknown outcome is too old to be repeated
WITHDRAWN = const(10)  # the need went away before any call that may have acted
OVERDUE = const(11)  # not placed within the grace
PENDING = const(12)  # the service knows the order, not yet placed
STATUS_PLACED = const(13)
STATUS_SHIPPED = const(14)
DELIVERED = const(15)
CANCELLED = const(16)
LOST = const(17)  # the service has not known the id for 72 hours
REFILLED = const(18)
STOCKED = const(19)  # low, but a pack is at home
EXPECTED = const(20)  # no refill came, again
RELEASED = const(21)  # a hold or a doubt ended
LIMITED = const(22)  # the fuse
_EVENTS = const(23)
# No events, but news
FAILED = const(70)  # it ended, and not by the customer's will
RETURNING = const(71)  # delivered, and on its way back or there
COUNTED = const(72)  # the number of the intent is far above that of the last order
MISSING = const(0xFFFFFFFF)  # the service does not know the id

_STATES = "idle asking accepted awaiting_customer placed shipped awaiting_refill blocked held in_doubt unsubscribed"

# THE table: a row for each state, a column for each event, in it the next state's letter; "-" is an illegal event.
_LETTERS = "iakcpsrbhdu"
_TABLE = (
    # 0 intent         5 in progress  10 withdrawn    15 delivered
    # |not acted       |refused       |overdue        |cancelled
    # ||unknown        ||unsubscribed ||pending       ||lost
    # |||accepted      |||subscribed  |||placed       |||refilled
    # ||||no id        ||||stale      ||||shipped     ||||stocked, 20 expected, released, limited
    "a------u----------ir--h"  # i idle
    "aaakdbhu-di-------a---h"  # a asking
    "-----------ckpsrhdk----"  # k accepted
    "------------cpsrhdc----"  # c awaiting_customer
    "------------ppsrhdp----"  # p placed
    "------------sssrhds----"  # s shipped
    "----------------h-i-hi-"  # r awaiting_refill
    "a-----------bpsrh-b----"  # b blocked: its intent is a probe (law 2)
    "------------------h--i-"  # h held
    "------------kpsrh-i--i-"  # d in_doubt
    "--------i---------u----"  # u unsubscribed
)

# Why the slot acted or waits: what the state topic shows as `order.reason`. The number is what is stored.
NO_REASON = const(0)
LOW = const(1)
RUNS_OUT = const(2)
WILL_RETRY = const(3)
OUTCOME_UNKNOWN = const(4)
ORDER_PLACED = const(5)
IN_PROGRESS_SAID = const(6)
RESOLUTION = const(7)
ON_ITS_WAY = const(8)
AT_HOME = const(9)
CANCELLED_ONCE = const(10)
CANCELLED_TWICE = const(11)
TIMED_OUT = const(12)
REFUSED_400 = const(13)
REFILL_EXPECTED = const(14)
ORDER_LIMIT = const(15)
NOT_REPEATED = const(16)
NO_USABLE_ID = const(17)
ID_LOST = const(18)
RECORD_DAMAGED = const(19)
SLOT_UNSUBSCRIBED = const(20)
PROBED = const(21)
REFILL_SEEN = const(22)
CANCELLED_FREE = const(23)
HOLD_OVER = const(24)
ORDER_ACCEPTED = const(25)
REFUSED_404 = const(26)
NOT_FULFILLED = const(27)
GIVEN_BACK = const(28)
BEING_RETURNED = const(29)
NOT_ORDERED = const(30)

_REASONS = (
    "|level low|runs out within lead time|service not reached, will retry|outcome unknown, will ask again|order placed"
    "|service says an order is in progress|customer must resolve the order|on its way|delivered, waiting for the refill"
    "|cancelled by the customer|cancelled twice, waiting for a full refill|not resolved in time, cancelled"
    "|service refused the request (400)|no refill seen after two deliveries|order limit reached"
    "|outcome unknown for too long|accepted without a usable id|service no longer knows the order|record damaged"
    "|slot not subscribed|asked whether the block ended|refilled|cancelled, free to order again|hold over|order accepted"
    "|service does not know the slot (404)|shop could not deliver|pack returned|pack is being returned|not ordered after all"
)

# Flags
IN_FLIGHT = const(1)  # a call left and its outcome is not recorded yet
SEEN_PLACED = const(2)
SEEN_REFILL = const(4)  # since the acceptance, or since the block began
EXTRA = const(8)  # the one order without a refill has gone out (law 4)
ALIVE = const(16)  # getOrderInfo answers for the id, or has not been asked yet
PROBING = const(32)  # the call under way asks whether a block has ended (law 2)
STOCK_ADDED = const(64)  # this order's pack was counted into `on_hand`
DOUBTED = const(128)  # `own_id` belongs to an order whose end was never seen

EARLY_S = const(600)  # clocks differ: news of an order may be dated so much before the intent that it is of (law 3)
RESOLUTION_S = const(259200)  # 72 hours for the customer to resolve (Amazon, "Order Resolution Flow")
_MONTH_DAYS = const(31)  # whole days that surely cover any 30 days
_REST = 0.1  # of a pack: less is no stock. Use that no sensor sees, around each refill, would add up in it
_DAY_FULL = const(15)  # a day's count of orders has four bits


class Order:
    """What is known of one slot's order: exactly what is durable, nothing more."""

    def __init__(self, prefix=""):
        """prefix: what the ids of this slot's intents begin with, where the device numbers its orders itself; "" with DRS."""
        self.prefix = prefix
        self.used = 0  # the highest number under which there is, or may be, an order
        self.returned = 0  # packs of `own_id` that were returned
        self.state = self.reason = self.flags = 0
        self.cancels = 0  # by the customer, in a row
        self.subscribed = 0  # 0 unknown, 1 yes, 2 no
        self.attempts = 0  # failed calls in a row
        self.refills_seen = 0  # number of the level's last refill that was applied here
        self.since = 0  # when the state was entered
        self.asked_at = 0  # the intent: when the latest call was decided
        self.unknown_at = 0  # the oldest attempt whose outcome is unknown
        self.accepted_at = 0
        self.next_try = 0  # no call, no release before
        self.next_poll = 0  # getOrderInfo
        self.sign_at = 0  # the block's last sign of life; of our order: the date of the news that brought `delivery_at`
        self.missing_since = 0  # since when the service does not know the id
        self.delivery_at = 0  # expected delivery
        self.on_hand = 0.0  # at home, not loaded
        self.drawn = 0.0  # loaded since the acceptance without being on hand: the pack came before its news
        self.fuse_day = 0  # the day of the fuse's first counter
        self.fuse = bytearray(_MONTH_DAYS + 1 >> 1)  # orders accepted on each of 31 days, four bits each
        self.own_id = ""
        self.progress_id = ""  # the id in an in-progress answer; never overwrites our own (law 2)

    def held_id(self):
        """The id to poll getOrderInfo for, or "" when none is held.

        The id of an order in progress is newer than our own, which an acceptance would have replaced. In doubt about a call without
        an answer, the ids that are still kept are of earlier orders: their end says nothing of what that call did.
        """
        if self.reason == NOT_REPEATED:
            return self.intent_id()  # with a number of ours, that call itself can be asked for
        return self.progress_id or ("" if self.state == BLOCKED else self.own_id)

    def intent_id(self):
        """The id of the intent that is under way, or comes next; "" where the service gives the ids. A number is used up only when
        there may be an order under it, so that whoever looks for the last one can go upward."""
        return self.prefix and self.prefix + str(self.used + 1)

    def deadline(self):
        """Until when the customer can resolve the order, or 0."""
        return self.accepted_at + RESOLUTION_S if self.state == AWAITING_CUSTOMER else 0

    def allows(self, event):
        """Whether the state allows the event."""
        return _TABLE[self.state * _EVENTS + event] != "-"

    def names(self):
        """(state, reason or None) as the state topic names them."""
        return _STATES.split()[self.state], _REASONS.split("|")[self.reason] or None

    def on(self, event, now, reason=NO_REASON):
        """Move by the table. Raises ValueError, with nothing changed, when the state does not allow the event."""
        state = _LETTERS.find(_TABLE[self.state * _EVENTS + event])
        if state < 0:
            raise ValueError("event %d in state %d" % (event, self.state))
        if reason or state != self.state:
            self.reason = reason
        if state != self.state:
            self.state = state
            self.since = now
            if state == IDLE:
                self.unknown_at = self.attempts = self.next_try = 0

    # What each event brings, beside the new state. Each method is one event.

    def intend(self, now, low):
        """A call is about to leave. low: the slot is low; otherwise the forecast is."""
        if self.state == IDLE and not self.flags & DOUBTED:
            self.own_id = self.progress_id = ""  # their orders ended, by evidence
            self.accepted_at = self.next_poll = self.sign_at = self.delivery_at = 0  # what is 0 is not written
        reason = LOW if low else RUNS_OUT
        if self.state == BLOCKED:
            self.flags |= PROBING
            reason = PROBED
        self.on(INTENT, now, reason)
        self.asked_at = now
        self.flags |= IN_FLIGHT

    def fail(self, event, now, next_try):
        """NOT_ACTED or UNKNOWN: try again at `next_try`. The intent keeps the date of the oldest unknown attempt (law 3)."""
        self.on(event, now, OUTCOME_UNKNOWN if event == UNKNOWN else WILL_RETRY)
        if event == UNKNOWN:
            self.unknown_at = self.unknown_at or self.asked_at
        self.flags &= ~IN_FLIGHT
        self.attempts += 1
        self.next_try = next_try

    def _answered(self, next_poll):
        self.flags = self.flags & (EXTRA | DOUBTED) | ALIVE
        self.unknown_at = self.attempts = self.next_try = self.missing_since = self.delivery_at = 0
        self.drawn = 0.0
        # Amazon's timers began no earlier than the request: a cancellation at the very end of the 72 hours counts as theirs.
        self.accepted_at = self.asked_at
        self.next_poll = next_poll

    def accept(self, now, event_id, next_poll):
        """The service took the order. Without a usable id it is in doubt from now (law 12)."""
        if event_id:
            self.on(ACCEPTED_OK, now, ORDER_ACCEPTED)
        else:
            self.on(ACCEPTED_NO_ID, now, NO_USABLE_ID)
        self._take(now, event_id, next_poll)

    def _take(self, now, event_id, next_poll):
        self.own_id = event_id
        if self.prefix:
            self.used += 1
            self.returned = 0
        self.progress_id = ""
        self.flags &= ~DOUBTED
        self._answered(next_poll)
        self.count_order(now)

    def adopt(self, now, event_id, at, next_poll):
        """News from `at` names the order of an intent that has no answer: that is the answer (law 3). State ASKING or IN_DOUBT."""
        self.asked_at = self.unknown_at or self.asked_at or at  # the service takes the first attempt that reaches it
        if self.reason == NO_USABLE_ID:  # all but its id was known
            self.own_id = event_id
        else:
            if self.state == ASKING:
                self.on(ACCEPTED_OK, now, ORDER_ACCEPTED)
            self.reason = ORDER_ACCEPTED
            self._take(now, event_id, next_poll)

    def block(self, now, event_id, next_poll):
        """The service says that an order is in progress; its id is kept apart from our own."""
        ours = self.unknown_at
        # The block goes on; unless an attempt before this one may have ordered, after the refill.
        refilled = self.flags & SEEN_REFILL if self.flags & PROBING and not ours else 0
        self.on(IN_PROGRESS, now, IN_PROGRESS_SAID)
        self._answered(next_poll)
        self.flags |= refilled
        self.progress_id = event_id
        self.sign_at = now
        if ours:  # the answer to our lost call: an order of ours is open, as old as that
            self.accepted_at = ours
            self.count_order(now)

    def refuse(self, now, next_try, status):
        """The request is wrong and repeating it cannot help: hold."""
        self._end_asking(REFUSED, now, REFUSED_404 if status == 404 else NOT_FULFILLED if status == 200 else REFUSED_400)
        self.next_try = next_try

    def limit(self, now, until):
        """The fuse blew. A block stays a block: it may probe when the window has room. Never an error: whoever asks in a state that
        may not order is stopped here too."""
        if self.allows(LIMITED):
            self._end_asking(LIMITED, now, ORDER_LIMIT)
        self.next_try = until

    def subscription(self, now, subscribed):
        """What subscriptionInfo, or an "is unsubscribed" error, says of the slot. Returns whether that is new."""
        event = SUBSCRIBED if subscribed else NOT_SUBSCRIBED
        new = self.subscribed != (1 if subscribed else 2)
        self.subscribed = 1 if subscribed else 2
        if self.allows(event):
            self._end_asking(event, now, NO_REASON if subscribed else SLOT_UNSUBSCRIBED)
            return True
        return new

    def _end_asking(self, event, now, reason):
        if self.unknown_at:  # a definite no to this attempt says nothing of an earlier one
            self.doubt(STALE, now, NOT_REPEATED)
        else:
            self.on(event, now, reason)
            self.flags &= ~(IN_FLIGHT | PROBING)

    def doubt(self, event, now, reason):
        """STALE or LOST: no evidence is not permission (law 12)."""
        self.on(event, now, reason)
        self.flags = self.flags & ~(IN_FLIGHT | PROBING) | DOUBTED
        self.next_try = 0

    def damaged(self, now):
        """The record of this order could not be read: it may have been anything, so no order until the doubt ends."""
        self.state = IN_DOUBT
        self.reason = RECORD_DAMAGED
        self.since = now

    def status(self, event, now, delivery_at, at=0):
        """PENDING, STATUS_PLACED or STATUS_SHIPPED, from a poll, or from a notice of the time `at`. They may come in any order."""
        at = at or now
        self.on(event, now)
        if event != PENDING:
            self.flags |= SEEN_PLACED
            self.reason = ORDER_PLACED if self.state == PLACED else ON_ITS_WAY
        if at >= self.missing_since:
            self.flags |= ALIVE
            self.missing_since = 0
        newest = not self.delivery_at or at > self.sign_at or at == self.sign_at and delivery_at > self.delivery_at
        if delivery_at and newest:
            self.delivery_at = delivery_at
        if delivery_at and newest or self.state == BLOCKED:
            self.sign_at = at

    def deliver(self, now, pack, capacity):
        """Closed, or shipped and the delivery date passed: what one order brings is at home.

        pack: in the slot's unit, or None when one order is exactly one refill (of `capacity`).
        """
        self.on(DELIVERED, now, AT_HOME)
        if pack is not None:
            self.on_hand += max(0.0, pack - self.drawn)
        elif not self.flags & SEEN_REFILL:
            self.on_hand += capacity
        self.flags |= STOCK_ADDED | SEEN_PLACED
        self.drawn = 0.0
        self.delivery_at = self.next_try = 0
        if self.flags & SEEN_REFILL:
            self._finish(now)

    def _finish(self, now):
        self.on(REFILLED, now, REFILL_SEEN)
        self.cancels = self.delivery_at = 0
        self.flags &= ~(SEEN_REFILL | STOCK_ADDED | DOUBTED)

    def refill(self, now, amount, pack, elsewhere=0.0):
        """A refill of `amount` was seen. It moves stock at home into the slot; before the delivery's news it is kept in mind.

        pack: None when one order is exactly one refill; then a refill uses up all that is at home. elsewhere: what the slots that
        share the stock brought home, less what they loaded; the stock is the sum of both, so a refill takes from either, and one
        record says so.
        """
        least = _REST * (pack or 0.0)
        rest = max(0.0, self.on_hand + elsewhere) - amount
        self.on_hand = 0.0 if pack is None else (rest if rest > least else 0.0) - elsewhere
        if ACCEPTED <= self.state <= SHIPPED or self.state == BLOCKED:
            if rest < -least and not self.flags & EXTRA:  # else it came of the pack before, of what was no stock any more
                self.drawn -= rest
            self.flags |= SEEN_REFILL
        self.flags &= ~EXTRA
        if self.state in (AWAITING_REFILL, IN_DOUBT):
            self._finish(now)
        elif self.state == HELD and self.reason == REFILL_EXPECTED:
            self.release(now)
        else:
            self.on(REFILLED, now)

    def take_back(self, amount):
        """The last refill was none: the `amount` that it took is at home again."""
        self.on_hand += amount
        if ACCEPTED <= self.state <= SHIPPED or self.state == BLOCKED:
            self.flags &= ~SEEN_REFILL
            self.drawn = 0.0

    def cancel(self, now, at, brought, rest_s, elsewhere=0.0, why=TIMED_OUT):
        """The order was cancelled at `at`; it would have brought `brought`. rest_s: no order for so long, 0: free at once (law 5).
        elsewhere: as for `refill`. why: NOT_FULFILLED or GIVEN_BACK when it was not cancelled by the customer; that does not count."""
        timed_out = why != TIMED_OUT or not self.flags & SEEN_PLACED and at - self.accepted_at >= RESOLUTION_S
        self.on(CANCELLED, now, why)
        if self.flags & STOCK_ADDED:
            self.on_hand = max(0.0 - elsewhere, self.on_hand - brought)
        self.flags &= ~(SEEN_PLACED | SEEN_REFILL | STOCK_ADDED | ALIVE | DOUBTED)
        self.delivery_at = 0
        self.next_try = now + rest_s
        if not rest_s:
            self.on(RELEASED, now, CANCELLED_FREE)
        elif not timed_out:
            self._count_no()

    def _count_no(self):
        self.cancels += 1
        self.reason = CANCELLED_ONCE
        if self.cancels >= 2:
            self.reason = CANCELLED_TWICE
            self.next_try = 0

    def correct(self, event, at):
        """Late news of an order whose cancellation was taken for a time-out: it was placed after all, or cancelled before its time."""
        in_time = at - self.accepted_at < RESOLUTION_S if event == CANCELLED else event != PENDING
        if self.reason == TIMED_OUT and self.state == HELD and in_time:
            self._count_no()

    def expect(self, now, elsewhere=0.0):
        """No refill for so long. Once an order may go out all the same: what was thought to be at home is not (law 4). elsewhere: as
        for `refill`."""
        if self.flags & EXTRA:
            self.on(EXPECTED, now, REFILL_EXPECTED)
            self.next_try = 0
        else:
            self.release(now)
            self.flags |= EXTRA
            self.on_hand = 0.0 - elsewhere

    def release(self, now):
        """A hold or a doubt ended, by time or by a person."""
        self.on(RELEASED, now, HOLD_OVER)

    def resume(self, now):
        """A person's word that ordering may go on. Returns whether that ended a hold; a cancellation's is not ended by it."""
        if self.state != HELD or self.reason not in (ORDER_LIMIT, REFILL_EXPECTED, REFUSED_400, REFUSED_404):
            return False
        if self.reason == ORDER_LIMIT:  # the orders counted so far were meant
            self.fuse = bytearray(len(self.fuse))
        self.release(now)
        return True

    # The fuse (law 13): counted apart from the machine, so that a defect in the table cannot order without end.

    def _count(self, i):
        return self.fuse[i >> 1] >> (i & 1) * 4 & _DAY_FULL

    def _shift(self, now):
        """Move the window so that it ends today."""
        step = now // 86400 - _MONTH_DAYS + 1 - self.fuse_day
        if step > 0:
            self.fuse_day += step
            counts = [self._count(i) for i in range(min(step, _MONTH_DAYS), _MONTH_DAYS)]
            self.fuse = bytearray(len(self.fuse))
            for i in range(len(counts)):
                self.fuse[i >> 1] |= counts[i] << (i & 1) * 4

    def count_order(self, now):
        self._shift(now)
        last = _MONTH_DAYS - 1  # an even number: its count is in the lower half
        if self._count(last) < _DAY_FULL:
            self.fuse[last >> 1] += 1

    def fuse_free_at(self, now, most):
        """0 when an order is within the limit of `most` accepted orders in 30 days, else when the window has room again."""
        self._shift(now)
        total = 0
        for i in range(_MONTH_DAYS - 1, -1, -1):  # from today back: the order that fills the limit frees it in 30 days
            total += self._count(i)
            if total >= most or self._count(i) == _DAY_FULL:
                return (self.fuse_day + i + _MONTH_DAYS) * 86400
        return 0
