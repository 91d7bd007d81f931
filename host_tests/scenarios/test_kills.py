"""kill -9 at any instant of the lives of orders, over TLS, while the service loses answers after it has acted on the calls.

`make kills N=5000 SEED=7` kills more often, or otherwise. Nothing here is decided by how long something takes: only the instants
of the kills are real times, and on a machine that is slow they fall elsewhere.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from host_tests.mqtt.mosquitto import Mosquitto, require_program
from host_tests.scenarios.appliance import CAPACITY, LOW, Agent, Appliance, wait_for
from host_tests.scenarios.interpreters import Interpreter
from host_tests.scenarios.records import KeptOrder, order_key, payloads
from host_tests.scenarios.test_flows import LOST
from tools.simulator.orders import DAY_S, HOUR_S

KILLS = int(os.environ.get("KILLS") or 500)
SEED = int(os.environ.get("SEED") or 1)

SLOTS = ("PaperTowel", "Coffee", "Filter", "Detergent")
# Exactly one order is what the laws demand as long as each call of unknown outcome is repeated while it is fresh, and while the
# order that it may have made is still open. So an intent is fresh for a whole day (24 real seconds, some hundred kills), packs come
# only when the appliance knows of its orders, and a power supply as bad as this one stays on once an outcome was unknown for
# `_UNKNOWN_LIMIT_S`. The fuse would stop a household that uses up a month's packs in a minute.
POLICY = {"intent_fresh_s": DAY_S, "max_orders_30_days": 100}
FRESH_S = 60  # of the impatient ones
_UNKNOWN_LIMIT_S = 6 * HOUR_S
_STANDSTILL = 4  # after so many kills in a row that no order got any further, lives last longer: the machine has become slower
_AT_MOST = 8  # times as many kills as were asked for, where few of them find a call on its way: on a machine that has much to do
_SLOWEST = 16  # ... but not more than so many times
HEAP = "128k"  # this is not about memory
_FAULTS = max(400, KILLS)  # for each endpoint, and for each slot's orders: more than there are calls in a life
_SLOWNESS_S = {"replenish": 0.1}  # the most that the service takes over an answer, so that kills find calls on their way
_SLIGHT_SLOWNESS_S = 0.01

FULL, USED_UP, REFILLED = "full", "used up", "refilled"
KNOWN = ("accepted", "awaiting_customer", "placed", "shipped", "blocked")


def spoil_answers(appliance: Appliance, chance: random.Random) -> None:
    """A third of the answers to orders is lost after acting, three in a row at the most, and some calls are lost unheard; of the other
    calls one in eight is lost. The rest takes a while."""
    targets: list[tuple[str, str | None, float, float]] = [("replenish", slot, 0.33, 0.05) for slot in SLOTS]
    targets += [(endpoint, None, 0.1, 0.02) for endpoint in ("token", "subscription_info", "order_info")]
    for endpoint, slot, after, before in targets:
        row = 0
        for _ in range(_FAULTS):
            draw = chance.random()
            fault: dict[str, object] = {"kind": "delay", "delay_s": chance.uniform(0, _SLOWNESS_S.get(endpoint, _SLIGHT_SLOWNESS_S))}
            if row < 3 and draw < after + before:
                fault = {"kind": "drop_before"} if draw < before else chance.choice(list(LOST.values()))
            row = 0 if fault["kind"] == "delay" else row + 1
            appliance.service.faults.add(endpoint=endpoint, slot=slot, **fault)


def await_idle(agent: Agent, slot: str) -> None:
    """An agent that finds a refill when it starts, and with it the end of the order, has nothing to tell but the level."""
    if not agent.said("level", slot=slot):
        agent.expect(event="level", slot=slot)
    if agent.states(slot):
        agent.await_state(slot, "idle")


class Life:
    """One appliance whose power fails again and again, and the people and packs around it."""

    def __init__(self, appliance: Appliance, chance: random.Random, bare: bool, patient: bool = True) -> None:
        """bare: the agents run without their wrapper; patient: packs come only when the appliance knows of its orders."""
        self.lows: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self._appliance = appliance
        self._chance = chance
        self._patient = patient
        self._start = appliance.start_bare if bare else appliance.start
        self._slots = dict.fromkeys(SLOTS, FULL)
        self._orders_before = dict.fromkeys(SLOTS, 0)  # the slot got low the last time
        self._records: dict[str, bytes] = {}
        self._states: list[tuple[int, str, str]] = []  # as they were at the last kill
        self._standstill = 0
        self._slowness = 1.0
        self._span_s = 0.0  # of a run, as long as the machine is as quick as it was at first

    # What people do, and what the service does by itself

    def _use_up(self, slot: str) -> None:
        self._appliance.set_level(LOW, slot)
        self._slots[slot] = USED_UP
        self._orders_before[slot] = len(self._appliance.orders(slot))
        self.lows[slot] += 1

    def _refill(self, slot: str) -> None:
        self._appliance.set_level(CAPACITY, slot)
        self._slots[slot] = REFILLED

    def _moves(self) -> Iterator[Callable[[], None]]:
        """What may happen next to the slots and to their orders."""
        for slot in SLOTS:
            if self._slots[slot] == FULL:
                yield partial(self._use_up, slot)
            elif self._may_refill(slot):
                yield partial(self._refill, slot)
        waiting = [slot for slot in SLOTS if self._slots[slot] == USED_UP and not self._is_at_home(slot)]
        if self._patient and waiting and all(self._order(slot).state in KNOWN for slot in waiting):
            yield self._appliance.deliver

    def _is_unaware(self) -> bool:
        """Whether there is an order that the appliance has no answer to."""
        return any(self._order(slot).state not in KNOWN and any(order.open for order in self._appliance.orders(slot)) for slot in SLOTS)

    def _deliver_unknown(self) -> None:
        """Between two lives of the agent, the packs of all orders come, known or not: but not as long as an intent is fresh."""
        service = self._appliance.service
        wait_for(lambda: all(connection.closed_at or not connection.secured_at for connection in service.connections))
        accepted = [order.accepted_at for slot in SLOTS for order in self._appliance.orders(slot) if order.open]
        if accepted:
            wait_for(lambda: service.clock.now() > max(accepted) + FRESH_S)
            self._appliance.deliver()

    def _is_at_home(self, slot: str) -> bool:
        """Whether a pack was brought since the slot got low."""
        return any(not order.open for order in self._appliance.orders(slot)[self._orders_before[slot] :])

    def _may_refill(self, slot: str) -> bool:
        if self._slots[slot] != USED_UP:
            return False
        # A refill while the outcome is unknown would not end the doubt that comes later, and the doubt lasts for days.
        return self._order(slot).state == "in_doubt" or self._is_at_home(slot) and self._order(slot).state != "asking"

    def _order(self, slot: str) -> KeptOrder:
        return KeptOrder(self._records.get(order_key(slot)))

    # The power

    def live(self, kills: int) -> None:
        """So many kills, more if too few of them found an order on its way, and then the power stays on
        until every order has come to its end."""
        for slot in SLOTS:
            self._use_up(slot)
        self._span_s = self._live_until_all_is_known()
        spoil_answers(self._appliance, self._chance)
        while self.kills["all"] < kills or self.kills["all"] < _AT_MOST * kills and not self._is_telling(kills):
            if not self._patient and self._chance.random() < (0.8 if self._is_unaware() else 0.4):
                self._deliver_unknown()
                self._live_until_killed([])  # it stays low for now: an agent that knows of nothing would order again
            else:
                self._live_until_killed([move for move in self._moves() if self._chance.random() < 0.5])
            if self._too_long_unknown():
                self._live_until_all_is_known()
        self._live_to_the_end()

    def _is_telling(self, kills: int) -> bool:
        """Whether enough happened for that many kills: about half of what does on a machine that has nothing else to do."""
        return min(self.kills["in an order call"], self.kills["in a call"]) >= kills // 25 and self.lows.total() >= kills // 12

    def live_until_packs_are_there(self, states: Counter[str]) -> None:
        """One order for each slot; no kill before the agent knows of it, and then kills until its pack is at home."""
        for slot in SLOTS:
            self._use_up(slot)
        self._span_s = self._live_until_all_is_known()
        while any(self._order(slot).state != "awaiting_refill" for slot in SLOTS):
            self._live_until_killed([])
            states.update(self._order(slot).state for slot in SLOTS)
        self._live_to_the_end()

    def _live_until_all_is_known(self) -> float:
        """Leave the power on until the agent knows of every order that it needs. Returns how many seconds that took."""
        began = monotonic()
        agent = self._start()
        for slot in SLOTS:
            if self._slots[slot] == USED_UP:
                agent.await_state(slot, *KNOWN, "awaiting_refill", "in_doubt")
        took_s = monotonic() - began
        agent.cut_power()
        self._look()
        return took_s

    def _live_until_killed(self, moves: list[Callable[[], None]]) -> None:
        """One life from a start to a kill at any instant of a run's length; `moves` happen at any instant too."""
        kill_at, move_at = (self._chance.uniform(0, self._span_s * self._slowness) for _ in range(2))
        agent = self._start()
        assert agent.runs_for(min(kill_at, move_at)), agent.output + agent.errors
        if move_at < kill_at:
            self._happen(moves)
            assert agent.runs_for(kill_at - move_at), agent.output + agent.errors
        in_call = self._appliance.service.do(lambda service: bool(service.calls) and service.calls[-1].sent == "pending")
        agent.cut_power()
        if move_at >= kill_at:
            self._happen(moves)
        self.kills["all"] += 1
        self.kills["in a call"] += in_call
        self.kills["before the first line" if not agent.lines else "after it"] += 1
        self._look()

    def _happen(self, moves: list[Callable[[], None]]) -> None:
        for move in moves:
            move()

    def _look(self) -> None:
        """What the kill left: every record is whole."""
        before, self._records = self._records, payloads(self._appliance.state)
        states = [(self.lows[slot], self._slots[slot], self._order(slot).state) for slot in SLOTS]
        self._standstill = self._standstill + 1 if states == self._states else 0
        self._slowness = max(1.0, self._slowness * 0.9) if not self._standstill else self._slowness
        if self._standstill == _STANDSTILL:
            self._slowness, self._standstill = min(_SLOWEST, self._slowness * 1.5), 0
        self._states = states
        for slot in SLOTS:
            assert len(self._appliance.orders(slot)) - self._orders_before[slot] <= 1, f"{slot} was ordered twice"
            order, key = self._order(slot), order_key(slot)
            self.kills["in an order call"] += order.in_flight and self._records[key] != before.get(key)
            self.kills["at " + order.state] += 1
            if self._slots[slot] == REFILLED and order.state == "idle":
                self._slots[slot] = FULL

    def _too_long_unknown(self) -> bool:
        now = self._appliance.service.clock.now() - self._appliance.service.clock.advanced_s
        unknown = [self._order(slot).unknown_since for slot in SLOTS]
        return any(since and now - since > _UNKNOWN_LIMIT_S for since in unknown)

    def _live_to_the_end(self) -> None:
        agent = self._start()
        agent.expect(event="start")  # before that a wrapper may not be ready for a signal
        unfinished = [slot for slot in SLOTS if self._slots[slot] != FULL]
        for slot in unfinished:
            if self._slots[slot] == USED_UP:
                agent.await_state(slot, *KNOWN, "awaiting_refill", "in_doubt")
        self._appliance.deliver()
        for slot in unfinished:
            if self._slots[slot] == REFILLED and self._is_in_doubt(agent, slot):
                # It was refilled when a call had just been lost, before that was doubted: only the next refill ends the doubt.
                self._appliance.set_level(LOW, slot)
                agent.expect(event="level", slot=slot, level=f"{LOW:g}")
            self._refill(slot)
            await_idle(agent, slot)
        assert agent.stop() == 0

    def _is_in_doubt(self, agent: Agent, slot: str) -> bool:
        if not agent.said("level", slot=slot):
            agent.expect(event="level", slot=slot)
        return agent.states(slot)[-1:] == ["in_doubt"]

    def check(self) -> None:
        """Exactly one order for each time that a slot got low, and each was followed to its end. Never two, where packs come that
        nobody knows of: a call that may have been lost is not repeated then, and the order is the customer's to make."""
        self._look()
        for slot in SLOTS:
            orders = self._appliance.orders(slot)
            assert [order.state for order in orders] == ["delivered"] * len(orders)
            assert self._appliance.backend.accepted(slot) == len(orders)
            assert len(orders) == self.lows[slot] if self._patient else 0 < len(orders) <= self.lows[slot], (slot, self.lows[slot])
            assert self._order(slot).state == "idle"


def one_life(interpreter: Interpreter, folder: Path, bare: bool, kills: int, patient: bool, backend: str) -> Counter[str]:
    """A whole life; what happened in it, counted."""
    chance = random.Random(f"{SEED} {interpreter.name} {bare} {patient}")
    policy = POLICY if patient else {**POLICY, "intent_fresh_s": FRESH_S}
    folder.mkdir()
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder / "mosquitto", {})) if backend == "gateway" else None
        options: dict[str, Any] = {"slots": dict.fromkeys(SLOTS, True), "policy": policy, "heap": HEAP}
        appliance = stack.enter_context(Appliance(interpreter, folder, backend=backend, broker=broker, **options))
        appliance.service.settings.change(refresh_rotation="overlap")  # so that the token's record is written too
        life = Life(appliance, chance, bare, patient)
        life.live(kills)
        life.check()
        assert [agent.errors for agent in appliance.agents if agent.errors] == []
        orders = appliance.calls("replenish")
        lost = sum(call.lost for call in orders)
        return life.kills + Counter({"lows": life.lows.total(), "orders": len(orders), "lost after acting": lost})


def live_side_by_side(interpreter: Interpreter, folder: Path, kills: int, patient: bool, backend: str = "drs") -> Counter[str]:
    """Two appliances, one with the wrapper and one, with twice the kills, without it; what happened in both."""
    shares = {True: kills - kills // 3, False: kills // 3}
    with ThreadPoolExecutor(2) as pool:
        places = [(folder / f"bare {bare}", bare, share) for bare, share in shares.items()]
        lives = [pool.submit(one_life, interpreter, *place, patient, backend) for place in places]
    try:
        found = sum((life.result() for life in lives), Counter())
    except Exception as error:
        raise AssertionError(f"repeat with: make kills N={KILLS} SEED={SEED}") from error
    print(dict(sorted(found.items())))
    assert found["all"] >= kills
    assert found["in an order call"] >= kills // 25 - 1
    assert found["in a call"] >= kills // 25 - 1
    assert found["before the first line"] >= kills // 50
    assert found["lows"] >= kills // 12 - 1
    assert found["lost after acting"] >= found["orders"] // 10
    return found


@pytest.mark.long
@pytest.mark.parametrize("interpreter", ["micropython", "micropython32"], indirect=True)
def test_kills_at_any_instant_make_exactly_one_order_for_each_need(interpreter: Interpreter, tmp_path: Path) -> None:
    """Half of all kills on each interpreter."""
    found = live_side_by_side(interpreter, tmp_path, KILLS // 2, patient=True)
    assert all(found["at " + state] for state in ("idle", "asking", "accepted", "placed", "blocked", "awaiting_refill"))


def test_kills_at_any_instant_make_exactly_one_order_at_the_gateway(board_like: Interpreter, tmp_path: Path) -> None:
    """An eighth of as many: each life of the agent is longer, because its calls pass through gateway and store."""
    require_program()
    found = live_side_by_side(board_like, tmp_path, KILLS // 8, patient=True, backend="gateway")
    assert all(found["at " + state] for state in ("idle", "asking", "accepted", "awaiting_refill"))


@pytest.mark.parametrize("interpreter", ["micropython", "micropython32"], indirect=True)
def test_kills_never_make_two_orders_where_packs_come_before_the_answer(interpreter: Interpreter, tmp_path: Path) -> None:
    """The service would take a second order, and only the intent, durable before the call, knows that there may have been a first."""
    found = live_side_by_side(interpreter, tmp_path, KILLS // 5, patient=False)
    assert found["at in_doubt"]


@pytest.mark.parametrize("interpreter", ["micropython", "micropython32"], indirect=True)
def test_kills_while_packs_are_on_their_way_lose_none_of_them(interpreter: Interpreter, tmp_path: Path) -> None:
    """In the service's newer words, which tell of the shipping and of no delivery: the appliance waits for the end of a day."""
    chance = random.Random(f"{SEED} {interpreter.name}")
    states: Counter[str] = Counter()
    with Appliance(interpreter, tmp_path, scale=43_200, slots=dict.fromkeys(SLOTS, True), heap=HEAP) as appliance:
        appliance.service.settings.change(status_generation="newer")
        appliance.service.set_timings(ship_after_s=0, deliver_after_s=3 * DAY_S)  # so that some kills hit meanwhile
        life = Life(appliance, chance, bare=True)
        life.live_until_packs_are_there(states)
        life.check()
    print(states)
    assert states["shipped"]
