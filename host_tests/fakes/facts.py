"""What can be learnt of an order and from where: the answer to the call, polls and notices, in any order and any number.

A history is what truly happens to an order, each fact at its own time. A schedule says when the news of it arrive: the notice of a
fact at any time after it and as often as one likes, a poll at its own time, with what is true by then. `Follower` is a slot that
hears one schedule. Its outcome must not depend on the schedule, as long as the facts that matter are heard at all; but:

- the answer comes before any notice, or never: while a call is under way a notice is not taken (`Agent.notice` is "busy");
- a poll has no time of its own: a cancellation that only a poll tells happened, for all that is known, when the poll was made;
- the id in an in-progress answer never becomes our own (law 2), so the outcome names the one that is held;
- time acts on what is known by then: when the rest after a cancellation is over (law 5), or on_delivery has filled the slot (law 4),
  or a refill was seen, that order is over and news of it come too late.
"""

from replenish.core import news, notice, policy

from host_tests.fakes import slot_states

START, HOUR = slot_states.START, slot_states.HOUR
PENDING, PLACED, SHIPPED, CLOSED, CANCELLED = 12, 13, 14, 15, 16  # events, as they are folded into the callers
UNKNOWN, STALE = 2, 9
SEEN_PLACED = 2
ID = "id-1"
ANSWERS = ("answered", "lost", "lost, then in progress", "in doubt", "without an id")
_WORDS = {  # what a poll says after each fact, by the two generations of the documents
    "older": {PENDING: PENDING, PLACED: PLACED, SHIPPED: PLACED, CLOSED: CLOSED, CANCELLED: CANCELLED},
    "newer": {PENDING: PENDING, PLACED: PENDING, SHIPPED: SHIPPED, CLOSED: SHIPPED, CANCELLED: CANCELLED},
}


class History:
    """facts: (hours after the call, event, expected delivery in hours or 0); needs: sets of events of which one must be heard."""

    def __init__(self, name, facts, needs):
        self.name = name
        self.facts = [(START + int(hours * HOUR), event, due and START + due * HOUR) for hours, event, due in facts]
        self.needs = needs

    def at(self, now):
        """(event, expected delivery) as the service has them at that time."""
        event, delivery_at = PENDING, 0
        for at, happened, due in self.facts:
            if at <= now and event != CANCELLED:
                event, delivery_at = happened, due
        return event, delivery_at


HISTORIES = (
    History("placed", [(1, PLACED, 100)], [{PLACED}]),
    History("shipped", [(1, PLACED, 100), (20, SHIPPED, 120)], [{SHIPPED}]),
    History("shipped, to come earlier", [(1, PLACED, 120), (20, SHIPPED, 100)], [{SHIPPED}]),
    History("closed", [(1, PLACED, 100), (20, SHIPPED, 120), (60, CLOSED, 0)], [{CLOSED}]),
    History("cancelled at once", [(2, CANCELLED, 0)], [{CANCELLED}]),
    History("cancelled in resolution", [(71.9, CANCELLED, 0)], [{CANCELLED}]),
    History("cancelled after it was placed", [(1, PLACED, 100), (2, CANCELLED, 0)], [{CANCELLED}]),
    History("cancelled late", [(71, PLACED, 200), (80, CANCELLED, 0)], [{CANCELLED}, {PLACED}]),
    History("cancelled when shipped", [(1, PLACED, 100), (20, SHIPPED, 120), (30, CANCELLED, 0)], [{CANCELLED}]),
    History("shipped though cancelled", [(1, PLACED, 100), (20, CANCELLED, 0), (30, SHIPPED, 120)], [{CANCELLED}]),
    History(
        "sent back",
        [(1, PLACED, 100), (20, SHIPPED, 120), (60, CLOSED, 0), (90, CANCELLED, 0)],
        [{CANCELLED}, {PLACED, SHIPPED, CLOSED}],
    ),
    History("not resolved in time", [(72.1, CANCELLED, 0)], [{CANCELLED}]),
)


def kept(slot):
    """The outcome: what is to be the same whatever came first."""
    order = slot.order
    counted = 0
    while order.fuse_free_at(START, counted + 1):
        counted += 1
    ids = order.held_id()
    return order.names(), ids, order.cancels, order.on_hand, counted, order.flags & SEEN_PLACED, order.delivery_at, order.accepted_at


class Follower:
    """A slot whose order call met one of ANSWERS."""

    def __init__(self, history, answer, words="older", pack=None):
        self.history = history
        self.heard = set()
        self._words = _WORDS[words]
        self.slot = slot_states.low_slot({"in_doubt_days": 90}, pack=pack)
        order = self.slot.order
        order.intend(START, True)
        if answer == "answered":
            order.accept(START + 5, ID, START + HOUR)
        elif answer == "without an id":
            order.accept(START + 5, "", START + HOUR)
        else:
            order.fail(UNKNOWN, START + 20, START + 60)
        if answer == "lost, then in progress":
            order.intend(START + 60, True)
            order.block(START + 65, ID, START + HOUR)
        elif answer == "in doubt":
            order.doubt(STALE, START + 65, 16)

    def poll(self, now):
        """Ask getOrderInfo, if there is an id to ask for."""
        self._pass(now)
        if policy.polled(self.slot.order):
            event, delivery_at = self.history.at(now)
            event = self._words[event]
            news.learn(self.slot, event, now, now, delivery_at)
            self.heard.add(event)

    def notice(self, number, now):
        """The notice of the history's fact number so and so arrives; of a delivery there is none."""
        self._pass(now)
        at, event, delivery_at = self.history.facts[number]
        if event != CLOSED:
            notice.of_order(self.slot, event, ID, now, at, delivery_at)
            self.heard.add(event)

    def _pass(self, now):
        while policy.advance(self.slot, now):
            pass

    def knows(self):
        """Whether what matters of the history was heard."""
        for need in self.history.needs:
            if not need & self.heard:
                return False
        return True

    def outcome(self):
        self._pass(START + 95 * HOUR)
        return kept(self.slot)


def expected(history, pack=None):
    """The outcome when the answer comes and each fact is heard at its own time, a delivery by a poll."""
    follower = Follower(history, "answered", "older", pack)
    for number in range(len(history.facts)):
        at, event, _ = history.facts[number]
        follower.notice(number, at)
        if event == CLOSED:
            follower.poll(at)
    assert follower.knows()
    return follower.outcome()
