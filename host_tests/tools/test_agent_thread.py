"""`agent.start()` beside an appliance's program. On the PC only: the Unix ports have threads without a lock for Python code."""

import threading

from host_tests.fakes.appliance import Appliance


def test_start_runs_the_agent_in_a_thread_of_its_own() -> None:
    appliance = Appliance()
    appliance.sensors["A"].value = 2
    looked, ended = [], threading.Event()

    def wait(ms: int, sock: object = None) -> bool:
        looked.append(threading.current_thread())
        appliance.clock.pass_s(600)
        return bool(appliance.service.orders)

    def stop(reason: str, first: int = 0) -> None:
        ended.set()

    appliance.console.wait = wait  # type: ignore[method-assign]
    appliance.agent.due_ticks = 0
    appliance.agent.stop = stop  # type: ignore[method-assign]
    appliance.agent.start()
    while not ended.wait(0.01):
        appliance.agent.due_ticks = 0  # the program beside it: a level was told, say, so that a step is due
    assert appliance.service.orders[0].slot == "A"
    assert threading.main_thread() not in looked
