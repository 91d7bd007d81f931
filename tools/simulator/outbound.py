"""What a service sends of its own accord: published, spoilt by faults, queued for each receiver, tried again. It sends nothing itself.

`courier.py` takes the deliveries that are due and says how they went.
"""

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Generic, NamedTuple, TypeVar

from tools.simulator.clock import Clock
from tools.simulator.faults import FaultQueue
from tools.simulator.journal import Journal
from tools.simulator.notice_faults import NoticeFault
from tools.simulator.subscriptions import Attempt, DeliveryState, Receiver, TopicDelivery

_KEPT_DEAD_LETTERS = 1000
# A record is about three kilobytes.
_KEPT_DELIVERIES = 20_000


class Message(NamedTuple):
    """One message as a receiver gets it. `notification` is the kind of what it tells, None for one about the service itself."""

    type: str
    message_id: str
    headers: dict[str, str]
    body: str
    notification: str | None = None
    serial: str | None = None
    slot: str | None = None


Notice = TypeVar("Notice")
ReceiverT = TypeVar("ReceiverT", bound=Receiver)


class Outbound(Generic[Notice, ReceiverT]):
    """Deliveries to receivers, each with a queue of its own; a subclass says who hears of a notice, and how often it is tried."""

    def __init__(self, clock: Clock, parse: Callable[[Mapping[str, object]], NoticeFault], seed: int) -> None:
        self.faults = FaultQueue(parse, seed)
        self.deliveries: Journal[TopicDelivery] = Journal(_KEPT_DELIVERIES)
        self.dead_letters: deque[TopicDelivery] = deque(maxlen=_KEPT_DEAD_LETTERS)
        self.counts: Counter[str] = Counter()
        self.wake: Callable[[], None] = lambda: None
        self._clock = clock
        self._receivers: dict[str, ReceiverT] = {}
        self._late: list[tuple[int, int, Notice, NoticeFault]] = []
        self._held: list[tuple[Notice, NoticeFault]] = []
        self._scheduled = 0

    @property
    def receivers(self) -> list[ReceiverT]:
        """All receivers that there ever were, oldest first."""
        return list(self._receivers.values())

    @property
    def timeout_s(self) -> int:
        """How long a receiver may take to answer, in real seconds."""
        raise NotImplementedError

    def publish(self, notice: Notice) -> None:
        """Publish to all who listen, unless a fault has it otherwise."""
        fault = self.faults.take(**self._traits(notice)) or NoticeFault()
        if fault.lose:
            self.counts["lost"] += 1
        elif fault.hold:
            self._held.append((notice, replace(fault, hold=False)))
        else:
            self._schedule(notice, fault)
        self.advance()

    def advance(self) -> int:
        """Publish what is due; returns the time."""
        now = self._clock.now()
        while self._late and self._late[0][0] <= now:
            _, _, notice, fault = heapq.heappop(self._late)
            self._publish(now, notice, fault)
        self.wake()
        return now

    @property
    def settled(self) -> bool:
        """Whether all that is due by now was sent and answered. What waits for a retry, or is late, is not due."""
        now = self.advance()
        entries = self._receivers.values()
        return not any(entry.in_flight or (entry.queue and entry.queue[0][0] <= now) for entry in entries)

    def next_due(self) -> int | None:
        """When there is something to do next, if no attempt ends before, in virtual Unix seconds; None if nothing."""
        dues = [entry.queue[0][0] for entry in self._receivers.values() if entry.queue and self._has_room(entry)]
        dues += [due for due, *_ in self._late[:1]]
        return min(dues, default=None)

    def take(self) -> tuple[ReceiverT, TopicDelivery] | None:
        """A delivery whose time has come, and where it goes; `finish` must follow. None if nothing is to be sent now."""
        now = self.advance()
        for receiver in self._receivers.values():
            if receiver.queue and receiver.queue[0][0] <= now and self._has_room(receiver):
                receiver.in_flight += 1
                return receiver, heapq.heappop(receiver.queue)[2]
        return None

    def finish(self, delivery: TopicDelivery, attempt: Attempt) -> None:
        """Say how an attempt went. The next one, if any, is as long after its end as the policy says."""
        receiver = self._receivers[delivery.subscription_arn]
        receiver.in_flight -= 1
        delivery.attempts.append(attempt)
        if attempt.good:
            self._end(delivery, DeliveryState.DELIVERED)
        elif self._is_unwanted(receiver, delivery):
            self._end(delivery, DeliveryState.DISCARDED)
        elif (pause_s := self._retry_s(delivery)) is None:
            self._end(delivery, DeliveryState.DROPPED)
            self.dead_letters.append(delivery)
        else:
            delivery.due = self._clock.now() + pause_s
            heapq.heappush(receiver.queue, (delivery.due, delivery.number, delivery))
            self.deliveries.announce(delivery)
        self.wake()

    # What a subclass decides.

    def _traits(self, notice: Notice) -> dict[str, str | None]:
        """What the faults match a notice by."""
        raise NotImplementedError

    def _messages(self, notice: Notice, fault: NoticeFault) -> Iterable[tuple[ReceiverT, Message]]:
        """What each of those who listen gets of a notice that is published now."""
        raise NotImplementedError

    def _has_room(self, receiver: ReceiverT) -> bool:
        """Whether the receiver may get one more at the same time."""
        raise NotImplementedError

    def _is_unwanted(self, receiver: ReceiverT, delivery: TopicDelivery) -> bool:
        """Whether nobody wants it any more."""
        raise NotImplementedError

    def _retry_s(self, delivery: TopicDelivery) -> int | None:
        """The virtual seconds until it is tried again after an attempt that failed; None: never."""
        raise NotImplementedError

    # What is the same for all.

    def _schedule(self, notice: Notice, fault: NoticeFault) -> None:
        first = self._clock.now() + (0 if fault.stale else fault.delay_s)
        for extra in range(1 + fault.doubles):
            self._scheduled += 1
            heapq.heappush(self._late, (first + extra * fault.gap_s, self._scheduled, notice, fault))

    def _publish(self, now: int, notice: Notice, fault: NoticeFault) -> None:
        self.counts["published"] += 1
        first = now + (fault.delay_s if fault.stale else 0)
        for receiver, message in self._messages(notice, fault):
            for copy in range(1 + fault.copies):
                self._queue(receiver, message, first + copy * fault.gap_s)
        held, self._held = self._held, []
        for entry in held:
            self._schedule(*entry)

    def _queue(self, receiver: ReceiverT, message: Message, due: int) -> None:
        delivery = TopicDelivery(
            number=self.deliveries.next_number,
            time=self._clock.now(),
            subscription_arn=receiver.arn,
            due=due,
            **message._asdict(),
        )
        heapq.heappush(receiver.queue, (due, delivery.number, delivery))
        self.deliveries.append(delivery)
        self.wake()

    def _discard(self, receiver: ReceiverT) -> None:
        """End what waits for a receiver that wants nothing more."""
        for _, _, delivery in receiver.queue:
            self._end(delivery, DeliveryState.DISCARDED)
        receiver.queue.clear()

    def _end(self, delivery: TopicDelivery, state: DeliveryState) -> None:
        delivery.state = state
        self.counts[state] += 1
        self.deliveries.announce(delivery)
