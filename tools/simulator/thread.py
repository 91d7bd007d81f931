"""The simulator for a synchronous program: the same object, running in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tools.simulator.buywithprime.bus import EventBus
from tools.simulator.buywithprime.catalogue import Catalogue
from tools.simulator.buywithprime.previews import Previews
from tools.simulator.buywithprime.service import StoreService
from tools.simulator.buywithprime.shoppers import Shoppers
from tools.simulator.buywithprime.store import Store
from tools.simulator.buywithprime.token import Tokens
from tools.simulator.calls import Call, Connection
from tools.simulator.clock import Clock
from tools.simulator.consent import ConsentPage
from tools.simulator.drs import DRS
from tools.simulator.faults import FaultQueue
from tools.simulator.journal import Event
from tools.simulator.lwa import LWA
from tools.simulator.orders import OrderBook
from tools.simulator.registry import Registry
from tools.simulator.server import Simulator
from tools.simulator.settings import Settings
from tools.simulator.sns import SNS
from tools.simulator.subscriptions import TopicDelivery

_STORE_PARTS = (Catalogue, EventBus, Previews, Shoppers, Store, StoreService, Tokens)
_PARTS = (Clock, ConsentPage, DRS, FaultQueue, LWA, OrderBook, Registry, Settings, SNS, *_STORE_PARTS)
_START_S = 30

Found = TypeVar("Found")


class _Remote:
    """A part of the simulator whose methods and attributes are used on the simulator's own thread."""

    def __init__(self, call: Callable[[Callable[[], Any]], Any], target: object) -> None:
        self.__dict__.update(_call=call, _target=target)

    def __getattr__(self, name: str) -> Any:
        value = self._call(lambda: getattr(self._target, name))
        if isinstance(value, _PARTS):
            return _Remote(self._call, value)
        if callable(value):
            return lambda *args, **options: self._call(lambda: value(*args, **options))
        return value

    def __setattr__(self, name: str, value: object) -> None:
        self._call(lambda: setattr(self._target, name, value))


class SimulatorThread:
    """`with SimulatorThread(seed=3) as sim:` runs a Simulator with those options in a thread.

    Every attribute and method of the Simulator is there, and of its parts (`sim.faults.add(...)`,
    `sim.book.timings`); each use runs on the simulator's thread and is safe from any other one.
    `calls`, `events`, `connections` and `deliveries` are lists, copied at that moment.
    """

    def __init__(self, kind: type[Simulator] = Simulator, **options: Any) -> None:
        """`kind` is the class that is made, with those options."""
        self._simulator = kind(**options)
        self._remote = _Remote(self._run, self._simulator)
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="simulator", daemon=True)

    def __enter__(self) -> "SimulatorThread":
        self._thread.start()
        if not self._ready.wait(_START_S):
            raise TimeoutError("the simulator did not start")
        if self._error is not None:
            raise self._error
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._remote, name)

    @property
    def calls(self) -> list[Call]:
        """The recorded calls, oldest first."""
        return self.do(lambda simulator: list(simulator.calls))

    @property
    def events(self) -> list[Event]:
        """The recorded events up to now, oldest first."""
        return self.do(lambda simulator: (simulator.book.advance(), list(simulator.events))[1])

    @property
    def connections(self) -> list[Connection]:
        """The recorded connections, oldest first."""
        return self.do(lambda simulator: list(simulator.connections))

    @property
    def deliveries(self) -> list[TopicDelivery]:
        """The recorded deliveries of notifications, oldest first."""
        return self.do(lambda simulator: list(simulator.deliveries))

    def do(self, function: Callable[[Simulator], Found]) -> Found:
        """Run `function(simulator)` on the simulator's thread and return, or raise, what it does."""
        result: Found = self._run(lambda: function(self._simulator))
        return result

    def wait_until(self, condition: Callable[[Simulator], Found], timeout_s: float = 10.0) -> Found:
        """Wait until `condition(simulator)` is true and return its value; TimeoutError after `timeout_s`."""
        return self._await(self._simulator.wait_until(condition, timeout_s))

    def _run(self, function: Callable[[], Any]) -> Any:
        async def run() -> Any:
            return function()

        return self._await(run())

    def _await(self, work: Coroutine[Any, Any, Found]) -> Found:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _main(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:
            # Handed to the thread that waits in __enter__.
            self._error = error
        finally:
            self._ready.set()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self._simulator:
            self._ready.set()
            await self._stop.wait()
