"""A simulator of the Dash Replenishment Service, its notifications, Login with Amazon's token endpoint, and a Buy with Prime store.

Documented in README.md. `python -m tools.simulator` runs it; tests use `Simulator` or `SimulatorThread`.
"""

from tools.simulator.clock import Clock
from tools.simulator.orders import OrderState, Scenario, Timings
from tools.simulator.server import Simulator
from tools.simulator.thread import SimulatorThread
from tools.simulator.tls import Authority

__all__ = ["Authority", "Clock", "OrderState", "Scenario", "Simulator", "SimulatorThread", "Timings"]
