"""Whatever is repeated, lost, late, killed or changed, and in whatever order: one intent becomes at most one order, in all shops."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Awaitable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from host_tests.cloud.gateway.copies import HOLD_S, SETTLE_S, Broker, Clock, Copy
from host_tests.cloud.gateway.shop import Adapter, Shop
from tools.cloud.gateway.errors import APIError
from tools.cloud.gateway.model import Snapshot, State

COPIES = st.integers(0, 1)
COUNTERS = st.integers(1, 3)
FAULTS = st.sampled_from(["", "lost", "late", "down", "throttled", "refused"])
EXAMPLES = int(os.environ.get("EXAMPLES", "60"))
ENDED = [State.DELIVERED, State.CANCELLED]


class Interleavings(RuleBasedStateMachine):
    """Two copies, two shops between which the maker changes, and one broker."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.shops = [Shop(self.clock.now), Shop(self.clock.now)]
        self.broker = Broker()
        self.copies = [self.fresh(0), self.fresh(0)]
        self.said_no: set[str] = set()
        self.calls: list[asyncio.Task[Snapshot]] = []
        self.seen: Counter[str] = Counter()

    def fresh(self, current: int) -> Copy:
        """A copy that was just started, with its adapters' own connections."""
        adapters = [Adapter(shop, name) for shop, name in zip(self.shops, ("first", "second"), strict=True)]
        copy = Copy(self.broker, self.clock, adapters[current], [adapters[1 - current]])
        copy.adapters = adapters
        return copy

    def teardown(self) -> None:
        for task in self.calls:
            task.cancel()
        self.finish()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.steps(3)
        self.loop.close()

    def finish(self) -> None:
        """Let all calls end."""
        for task in self.calls:
            self.loop.run_until_complete(asyncio.wait([task]))
            with contextlib.suppress(APIError, asyncio.CancelledError):
                task.result()
        self.calls.clear()

    def run(self, call: Awaitable[Snapshot]) -> Snapshot | None:
        async def within() -> Snapshot | None:
            with contextlib.suppress(APIError):
                return await call
            return None

        return self.loop.run_until_complete(asyncio.wait_for(within(), 10))

    def steps(self, number: int) -> None:
        for _ in range(number):
            self.loop.run_until_complete(asyncio.sleep(0))

    # What devices and persons do

    @rule(copy=COPIES, counter=COUNTERS, quantity=st.integers(1, 3), least=st.integers(1, 3))
    def post(self, copy: int, counter: int, quantity: int, least: int) -> None:
        self.run(self.copies[copy].post(counter, quantity, min(least, quantity)))

    @rule(counter=COUNTERS, copies=st.lists(COPIES, min_size=2, max_size=4))
    def post_at_once(self, counter: int, copies: list[int]) -> None:
        async def together() -> None:
            await asyncio.gather(*(self.copies[copy].post(counter) for copy in copies), return_exceptions=True)

        self.loop.run_until_complete(together())

    @rule(copy=COPIES, counter=COUNTERS)
    def get(self, copy: int, counter: int) -> None:
        found = self.run(self.copies[copy].get(counter))
        if found:
            self.seen[found.state] += 1

    @rule(copy=COPIES, counter=COUNTERS)
    def agree(self, copy: int, counter: int) -> None:
        self.run(self.copies[copy].agree(counter))

    @rule(copy=COPIES, counter=COUNTERS)
    def cancel(self, copy: int, counter: int) -> None:
        found = self.run(self.copies[copy].cancel(counter))
        if found and found.state is State.CANCELLED:
            self.said_no.add(str(found.id))

    # What goes wrong

    @rule(copy=COPIES, call=st.sampled_from(["post", "agree", "cancel", "get"]), counter=COUNTERS, steps=st.integers(0, 60))
    def die_in_a_call(self, copy: int, call: str, counter: int, steps: int) -> None:
        """The process is gone after some steps of a call, and a new one takes its place."""
        dying = self.copies[copy]
        task = self.loop.create_task(getattr(dying, call)(counter))
        self.steps(steps)
        dying.die()
        task.cancel()
        self.calls.append(task)
        self.finish()
        self.copies[copy] = self.fresh(self.current(dying))

    def current(self, copy: Copy) -> int:
        return 0 if copy.service._shops.current.name == "first" else 1

    @rule(copy=COPIES, counter=COUNTERS, steps=st.integers(0, 60))
    def begin_a_post(self, copy: int, counter: int, steps: int) -> None:
        """It goes on while other things happen."""
        self.calls.append(self.loop.create_task(self.copies[copy].post(counter)))
        self.steps(steps)

    @rule(copy=COPIES, shop=st.integers(0, 1), call=st.sampled_from(["order", "order", "find", "start", "cancel"]), fault=FAULTS)
    def fault(self, copy: int, shop: int, call: str, fault: str) -> None:
        if call != "order" and fault in ("late", "refused"):
            return
        self.copies[copy].adapters[shop].faults.setdefault(call, []).append(fault)

    @rule(copy=COPIES)
    def change_the_adapter(self, copy: int) -> None:
        self.copies[copy].die()
        self.copies[copy] = self.fresh(1 - self.current(self.copies[copy]))

    @rule(shop=st.integers(0, 1), stock=st.sampled_from([None, 0, 1, 2]), knows=st.booleans())
    def stock(self, shop: int, stock: int | None, knows: bool) -> None:
        self.shops[shop].stock, self.shops[shop].knows_stock = stock, knows

    @rule(down=st.booleans())
    def broker_goes(self, down: bool) -> None:
        self.broker.down = down

    @rule(seconds=st.sampled_from([1, 59, 60, SETTLE_S, HOLD_S]))
    def wait(self, seconds: int) -> None:
        self.steps(1)
        self.clock.seconds += seconds
        for shop in self.shops:
            shop.arrive()

    @rule(counter=COUNTERS, state=st.sampled_from(ENDED))
    def end(self, counter: int, state: State) -> None:
        for shop in self.shops:
            if (name := f"SN0001-Coffee-{counter}") in shop.orders:
                shop.move(name, state)

    # What must hold

    @invariant()
    def one_order_for_each_intent(self) -> None:
        made = Counter(name for shop in self.shops for name in shop.created)
        assert not [name for name, number in made.items() if number > 1], made

    @precondition(lambda self: self.said_no)
    @rule()
    def a_no_holds(self) -> None:
        """When everything works again and somebody looks, nothing that a no was said to goes on."""
        self.broker.down = False
        self.finish()
        self.wait(SETTLE_S)
        self.clock.seconds += 60
        copy = self.fresh(0)
        for name in self.said_no:
            found = self.run(copy.get(int(name.rpartition("-")[2])))
            assert found and (found.state is State.CANCELLED or found.state is State.DELIVERED), (name, found)
        copy.die()


Interleavings.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
test_interleavings = Interleavings.TestCase
