"""kill -9 of QEMU at any instant of orders' lives: the flash, the ledger on it and the service's own ledger after each of them.

`make test-board KILLS=2000 SEED=7` kills more often, or otherwise. Two thirds of the instants are random; the others are the middle
of a page or a sector that the flash is at, which a random instant seldom meets. Nothing is decided by how long something takes.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
from collections import Counter
from functools import partial
from pathlib import Path
from time import monotonic

import pytest
from replenish.store import ledger

from host_tests.board import chip
from host_tests.board.conftest import MakeBoard
from host_tests.board.line import CAPACITY, LOW, Line, appliance_files
from host_tests.scenarios.records import KeptOrder, order_key, payloads

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("KILLS") or 300)
SEED = int(os.environ.get("SEED") or 1)

SLOTS = ("A", "B")
DAY_S = 86_400
FRESH_S = 600  # how long the impatient appliance repeats a call of unknown outcome
# A slot does not get low more often in a day, and in thirty: the appliance's fuse blows at fifteen orders a day, whatever its limit,
# and at POLICY's hundred a month. An order may count on the day after its service's, so there is room.
LOWS_A_DAY, LOWS_A_MONTH = 12, 90
UNKNOWN_LIMIT_S = DAY_S // 4  # a power supply as bad as this one stays on once an outcome was unknown for so long
LIMIT_S = 60  # for what must come
OPERATIONS = 12  # of the flash, in one of which the power fails: more than an order writes
SLOWEST_ANSWER_S = 0.2
PACK_S = 1200  # a pack takes so long at the least; a level alone is durable after ten minutes
STANDSTILL = 6  # after so many kills in a row that no order got any further, the power stays on until all is known

_LONGEST_SPAN_S = 3  # of a life until its kill

FULL, USED_UP, REFILLED = "full", "used up", "refilled"
KNOWN = ("accepted", "awaiting_customer", "placed", "shipped", "blocked", "awaiting_refill")


def low_water(payload: bytes | None) -> float:
    """From how low a level a rise is a refill, by the level's record."""
    form, *names = ledger.LEVEL_FIELDS
    values = struct.unpack_from(form, (payload or b"").ljust(struct.calcsize(form), b"\0"))
    return float(dict(zip(names, values, strict=True))["low_water"]) if payload else CAPACITY


class Life:
    """One appliance whose power fails again and again, and the people and packs around it.

    patient: packs come only when the appliance knows of its orders; else also behind its back, when its intent is not fresh any more.
    """

    def __init__(self, line: Line, chance: random.Random, patient: bool, folder: Path) -> None:
        self.kills: Counter[str] = Counter()
        self.lows: Counter[str] = Counter()
        self._line = line
        self._chance = chance
        self._patient = patient
        self._folder = folder
        self._given = set(chip.names(line.board.flash))
        self._slots = dict.fromkeys(SLOTS, FULL)
        self._orders_before = dict.fromkeys(SLOTS, 0)
        self._low_days: dict[str, list[int]] = {slot: [] for slot in SLOTS}  # when it got low
        self._kept = {slot: KeptOrder(None) for slot in SLOTS}
        self._low_water = dict.fromkeys(SLOTS, 0.0)  # of each level's record
        self._span_s = 0.0
        self._standstill = 0

    # People and packs

    def _orders(self, slot: str) -> int:
        return sum(order.slot == slot for order in self._line.service.orders)

    def _use_up(self, slot: str) -> None:
        self._line.levels[slot] = LOW
        self._slots[slot] = USED_UP
        self._orders_before[slot] = self._orders(slot)
        self._low_days[slot].append(self._day())
        self.lows[slot] += 1

    def _day(self) -> int:
        return self._line.clock.seconds // DAY_S

    def _is_used_enough(self, slot: str) -> bool:
        """Whether one low more might blow the fuse."""
        days = self._low_days[slot]
        return days.count(self._day()) >= LOWS_A_DAY or sum(day > self._day() - 30 for day in days) >= LOWS_A_MONTH

    def _let_the_day_end(self) -> None:
        """Unless an outcome is unknown, which would not be fresh any more the day after."""
        if all(self._kept[slot].state != "asking" for slot in SLOTS):
            self._line.clock.seconds = (self._day() + 1) * DAY_S

    def _refill(self, slot: str) -> None:
        self._line.levels[slot] = CAPACITY
        self._slots[slot] = REFILLED

    def _is_at_home(self, slot: str) -> bool:
        """Whether a pack was brought since the slot got low."""
        return self._orders(slot) > self._orders_before[slot] and not self._line.service.open_order(slot)

    def _may_refill(self, slot: str) -> bool:
        if self._low_water[slot] > LOW:
            return False  # it knows of no low level that this could be a rise from: for all it knows, a reading was wrong
        # A refill while the outcome is unknown would not end the doubt that comes later, and the doubt lasts for days.
        return self._kept[slot].state == "in_doubt" or self._is_at_home(slot) and self._kept[slot].state != "asking"

    def _move(self, slot: str) -> None:
        """What happens next to a slot, if something can."""
        if self._slots[slot] == FULL and self._is_used_enough(slot):
            self._let_the_day_end()
        elif self._slots[slot] == FULL:
            self._use_up(slot)
        elif self._slots[slot] == USED_UP and self._may_refill(slot):
            self._refill(slot)
        elif self._line.service.open_order(slot) and (self._kept[slot].state in KNOWN or not self._patient):
            self._line.clock.seconds += PACK_S  # longer than the impatient one's intent is fresh
            self._line.service.end(slot, "Closed")

    # The power

    def live(self, kills: int) -> None:
        """So many kills, and then the power stays on until every order has come to its end."""
        for slot in SLOTS:
            self._use_up(slot)
        self._live_until_all_is_known()
        while self.kills["all"] < kills:
            for slot in SLOTS:
                if self._chance.random() < 0.6:
                    self._move(slot)
            if self.kills["all"] % 3 == 2:
                self._live_until_flash_is_cut()
            else:
                self._live_until_killed()
            if self._is_too_long_unknown() or self._standstill >= STANDSTILL:
                self._live_until_all_is_known()
        self._live_to_the_end()

    def _live_until_killed(self) -> None:
        self._line.start()
        self._line.attend(self._chance.uniform(0, self._span_s))
        self._kill()

    def _live_until_flash_is_cut(self) -> None:
        board = self._line.board
        board.cut_after(self._chance.randint(1, OPERATIONS))
        self._line.start()
        self._line.attend(self._span_s * 2, lambda: board.gauge.is_cut)
        self._kill()
        board.cut_after(0)

    def _live_until_all_is_known(self) -> None:
        began = monotonic()
        self._line.start()
        for slot in SLOTS:
            if self._slots[slot] == USED_UP:
                self._await(slot, *KNOWN, "in_doubt")
        if any(self._slots[slot] == USED_UP for slot in SLOTS):
            self._span_s = max(self._span_s, min(monotonic() - began, _LONGEST_SPAN_S))
        self._standstill = 0
        self._kill()

    def _kill(self) -> None:
        in_call = self._line.cut_power()
        gauge = self._line.board.gauge
        self.kills["all"] += 1
        self.kills["in a call"] += in_call
        self.kills["in a page" if gauge.busy == "program" else "in a sector" if gauge.busy == "erase" else "elsewhere"] += 1
        self.kills["after the start" if self._line.said("start") else "before it"] += 1
        self._look()

    def _look(self) -> None:
        """What the kill left: a file system, whole records, and one order at the most for each need."""
        before = [self._kept[slot].state for slot in SLOTS]
        assert self._given <= set(chip.names(self._line.board.flash))
        records = self._records()
        self._kept = {slot: KeptOrder(records.get(order_key(slot))) for slot in SLOTS}
        self._low_water = {slot: low_water(records.get("l-" + ledger.tag(slot))) for slot in SLOTS}
        self._standstill = self._standstill + 1 if before == [self._kept[slot].state for slot in SLOTS] else 0
        assert [fault for fault in self._line.said("fault") if fault["fault"] == "store_damaged"] == []
        for slot in SLOTS:
            self.kills["at " + self._kept[slot].state] += 1
            self.kills["in an order call"] += self._kept[slot].in_flight
            assert self._orders(slot) - self._orders_before[slot] <= 1, f"{slot} was ordered twice"
            if self._slots[slot] == REFILLED and self._kept[slot].state == "idle":
                self._slots[slot] = FULL

    def _records(self) -> dict[str, bytes]:
        """Every record. A file of nothing is none: it was opened to be written for the first time, and never closed."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        for name, data in chip.files(self._line.board.flash, "state").items():
            if data:
                (self._folder / Path(name).name).write_bytes(data)
        return payloads(self._folder)

    def _is_too_long_unknown(self) -> bool:
        now = self._line.clock.seconds
        unknown = [self._kept[slot].unknown_since for slot in SLOTS]
        return any(since and now - since > UNKNOWN_LIMIT_S for since in unknown)

    def _await(self, slot: str, *states: str) -> None:
        line = self._line
        reached = line.attend(LIMIT_S, lambda: line.said("stop") and (line.states(slot)[-1:] or ["idle"])[0] in states)
        if not reached:
            said = line.board.transcript.decode(errors="replace").splitlines()
            told = [text for text in said if " event=order " in text or " event=fault " in text]
            raise AssertionError("\n".join([f"{slot} is not {' or '.join(states)}; {self._slots}", *told[-10:], *said[-20:]]))

    def _live_to_the_end(self) -> None:
        line = self._line
        line.start()
        for slot in SLOTS:
            if self._slots[slot] == USED_UP:
                self._await(slot, *KNOWN, "in_doubt")
                if line.service.open_order(slot):
                    line.service.end(slot, "Closed")
                    self._await(slot, "awaiting_refill", "in_doubt")
            elif line.attend(LIMIT_S, lambda: line.said("stop")) and line.states(slot)[-1:] == ["in_doubt"]:
                # It was refilled when a call had just been lost, before that was doubted: only the next refill ends the doubt.
                line.levels[slot] = LOW
                assert line.attend(LIMIT_S, partial(self._shows, slot, LOW))
            self._let_pass(PACK_S)
            self._refill(slot)
            self._await(slot, "idle")
        line.cut_power()
        self._look()

    def _let_pass(self, seconds: int) -> None:
        end = self._line.clock.seconds + seconds
        assert self._line.attend(LIMIT_S, lambda: self._line.clock.seconds > end)

    def _shows(self, slot: str, level: int) -> bool:
        return any(event["slot"] == slot and event["level"] == str(level) for event in self._line.said("level"))

    def check(self) -> None:
        """Each need was ordered once; where packs come behind its back, at the most once: a call that may have been heard is not
        repeated then."""
        for slot in SLOTS:
            orders = [order for order in self._line.service.orders if order.slot == slot]
            assert not any(order.open for order in orders)
            assert len(orders) == self.lows[slot] if self._patient else 0 < len(orders) <= self.lows[slot], (slot, self.lows[slot])
            assert self._kept[slot].state == "idle"


@pytest.mark.parametrize("patient", [True, False], ids=["known packs", "unknown packs"])
def test_each_need_is_ordered_once_however_often_the_power_fails(
    patient: bool, make_board: MakeBoard, tree: dict[str, bytes], tmp_path: Path
) -> None:
    chance = random.Random(f"{SEED} {patient}")
    policy = {} if patient else {"intent_fresh_s": FRESH_S}
    board = make_board(appliance_files(tree, SLOTS, **policy))
    with Line(board, SLOTS, lambda: chance.uniform(0, SLOWEST_ANSWER_S)) as line:
        line.step_s = 60
        life = Life(line, chance, patient, tmp_path / "state")
        try:
            life.live(KILLS // 2)
            life.check()
        except Exception as error:
            raise AssertionError(f"repeat with: make test-board KILLS={KILLS} SEED={SEED}") from error
    print(f"{SEED=} {dict(sorted(life.kills.items()))} needs: {life.lows.total()}, flash: {board.gauge}")
    assert life.kills["in a page"] + life.kills["in a sector"] >= KILLS // 12
    assert life.kills["in a call"] >= KILLS // 20
    assert life.kills["after the start"] >= KILLS // 6
    assert life.lows.total() >= KILLS // 20
