"""An appliance on a bench: the real agent on the fake board and the fake services, in virtual time."""

from replenish import config as configuration
from replenish.app import Agent

from host_tests.fakes.board import Clock, Console, PowerCut, Sensor, Store
from host_tests.fakes.gateway import Gateway
from host_tests.fakes.service import Service

_POLICY = {"boot_spread_s": 0}


def _config(slots, policy, mqtt, backend):
    values = configuration.defaults()
    rules = values["policy"]
    rules.update(_POLICY)
    rules.update(policy)
    filled = []
    for given in slots:
        slot = values["slot"].copy()
        slot.update({"capacity": 10, "reorder_at": 3, "lead_days": 0, "sensor": {"period_s": 600}})
        slot.update(given)
        filled.append(slot)
    if mqtt is not None:
        values["mqtt"].update({"host": "broker.test"})
        values["mqtt"].update(mqtt)
        mqtt = values["mqtt"]
    return {
        "device": {"model": "acme-1", "serial": "SN0001"},
        "backend": backend,
        "gateway": {"url": "https://gateway.test"},
        "drs": {"endpoint": "https://drs.test", "test_device": True},
        "lwa": {"token_url": "https://lwa.test/auth/o2/token", "client_id": "c"},
        "tls": values["tls"],
        "board": values["board"],
        "mqtt": mqtt,
        "update": None,
        "policy": rules,
        "slots": filled,
    }


class Appliance:
    """`live` lets time pass; `restart` cuts the power and starts again. Levels are set through `sensors[slot].value`."""

    def __init__(self, slots=("A",), trusted=True, secrets=None, mqtt=None, backend="drs", **policy):
        """mqtt: of that section of the configuration; None: no cloud."""
        self.clock = Clock(trusted=trusted)
        self.service = self._service(backend)
        self.console = Console()
        self.store = Store()
        self.secrets = {"refresh_token": "Atzr|r"} if secrets is None else secrets
        slots = [{"id": slot} if isinstance(slot, str) else slot for slot in slots]
        self.config = _config(slots, policy, mqtt, backend)
        self.sensors: "dict" = {slot["id"]: Sensor(10) for slot in self.config["slots"] if slot["sensor"]}
        self.start()

    def _service(self, backend):
        return Service(self.clock) if backend == "drs" else Gateway(self.clock)

    known = 0  # what the next start is told of the time

    def start(self, cold=True):
        self.agent = Agent(self.config, self.secrets, self.clock, self.store, self.console, cold=cold, known=self.known)
        self.agent.client = self.service
        self.agent.sensors = self.sensors

    def restart(self, seconds=0):
        """The power fails, for so long; what is not durable is lost."""
        self.clock.pass_s(seconds)
        self.start()

    def live(self, seconds, until=None):
        """Let time pass, in the agent's own steps; ends early when `until()` is true. Returns whether it was."""
        end = self.clock.seconds + seconds
        while True:
            wait = self.agent.once()
            if until and until():
                return True
            if self.clock.seconds >= end:
                return False
            self.clock.pass_s(max(1, min(wait, end - self.clock.seconds)))

    def live_through_cuts(self, seconds):
        """Like `live`; a power cut is followed by a restart."""
        end = self.clock.seconds + seconds
        while self.clock.seconds < end:
            try:
                self.live(end - self.clock.seconds)
            except PowerCut:
                self.store.cut_before = self.store.cut_after = 0
                self.restart(60)

    def state(self, slot="A"):
        return self.agent.slot(slot).order.state

    def order(self, slot="A"):
        return self.agent.slot(slot).order

    def until_state(self, state, seconds=30 * 86400, slot="A"):
        """Let time pass until the slot's order is in this state, or fail."""
        if not self.live(seconds, lambda: self.state(slot) == state):
            raise AssertionError("not %s but %s: %r" % (state, self.state(slot), self.console.states(slot)))
