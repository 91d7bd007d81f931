"""A hundred starts in a virtual hour, each cut off, against services that answer 503: no more calls than without.

The statistics of it stand in `host_tests/test_reboots.py`; this shows it on real processes, which keep their backoff in real files.
At one back end only: what decides how often a device calls knows of none.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from host_tests.scenarios.appliance import LOW, Agent, Appliance, wait_for
from host_tests.scenarios.interpreters import Interpreter
from host_tests.test_reboots import DEVIATION
from tools.simulator.orders import HOUR_S

SCALE = 360  # the hour lasts ten seconds, and one of the starts a tenth of one
STARTS = 100
PAIRS = 3  # of an appliance that loops and one that does not, all in the same hour
ILL = ("replenish", "subscription_info", "order_info")


def live_an_hour(interpreter: Interpreter, folder: Path, starts: int, boot_spread_s: int) -> tuple[int, int]:
    """(calls, starts) of one appliance with a need, in the hour."""
    folder.mkdir()
    policy = {"boot_spread_s": boot_spread_s, "resolution_grace_s": HOUR_S, "poll_interval_s": HOUR_S}
    with Appliance(interpreter, folder, scale=SCALE, policy=policy) as appliance:
        for endpoint in ILL:
            appliance.service.faults.add(kind="refuse", status=503, endpoint=endpoint, count=0)
        appliance.set_level(LOW)
        began = now(appliance)
        for number in range(starts):
            seen = len(appliance.service.connections)
            agent = appliance.start_bare()
            if not number and not boot_spread_s:
                wait_for(lambda: bool(appliance.calls()))  # or a slow machine cuts off each start before it comes to its call
            await_time(appliance, agent, began + (number + 1) * HOUR_S // starts)
            # No call is under way then: here one takes as long as half of a start's share of the hour, in truth a second. What
            # becomes of a call that is cut off is another test's matter.
            wait_for(partial(all_closed, appliance, seen))
            agent.cut_power()
            if now(appliance) >= began + HOUR_S:
                break
        assert [agent.errors for agent in appliance.agents if agent.errors] == []
        return sum(call.time < began + HOUR_S for call in appliance.calls()), len(appliance.agents)


def now(appliance: Appliance) -> int:
    return int(appliance.service.clock.now())


def all_closed(appliance: Appliance, seen: int) -> bool:
    """Whether no connection is open, of those after the first `seen` ones."""
    return all(connection.closed_at for connection in appliance.service.connections[seen:])


def await_time(appliance: Appliance, agent: Agent, at: int) -> None:
    agent.expect(event="start")
    wait_for(lambda: now(appliance) >= at)


@pytest.mark.parametrize("boot_spread_s", [0, 600])
@pytest.mark.parametrize("interpreter", ["micropython", "micropython32"], indirect=True)
def test_a_boot_loop_calls_no_more_than_an_agent_that_stays_up(interpreter: Interpreter, tmp_path: Path, boot_spread_s: int) -> None:
    with ThreadPoolExecutor(2 * PAIRS) as pool:
        hours = [
            pool.submit(live_an_hour, interpreter, tmp_path / f"{starts} {number}", starts, boot_spread_s)
            for number in range(PAIRS)
            for starts in (STARTS, 1)
        ]
    looping, steady = ([hour.result() for hour in hours[kind::2]] for kind in (0, 1))
    print(looping, steady)
    chance = 3 * DEVIATION * (2 * PAIRS) ** 0.5
    assert sum(calls for calls, _ in looping) <= sum(calls for calls, _ in steady) + chance
    assert min(starts for _, starts in looping) >= STARTS // 5  # a slow machine does not get to all of them
    assert all(calls for calls, _ in steady)
    assert boot_spread_s or all(calls for calls, _ in looping)  # spread over more than a start lives, there may be none
