"""Who orders for an appliance: Amazon's Dash Replenishment Service, or the maker's gateway at a Buy with Prime store.

Both are simulated as far as they are not ours, and a scenario sees the same of both: calls, faults, orders, and packs that arrive.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from host_tests.mqtt.mosquitto import Mosquitto
from host_tests.scenarios.front import REPLENISH, Front
from host_tests.scenarios.gateway import GatewayFiles, GatewayProcess, GatewayThread
from tools.run import appliance as run
from tools.simulator import Clock, SimulatorThread
from tools.simulator.calls import Call
from tools.simulator.consent import CONSENT_PATH
from tools.simulator.lwa import CLIENT_SECRET
from tools.simulator.orders import DAY_S, Order

NAMES = ("drs", "gateway")
DEAD_TOKEN = '{"message":"Invalid token"}'
INTENT_ALIAS = "DEVICE_INTENT_ID"
_ENDS = ("PACKAGE_DELIVERED", "PACKAGE_DELIVERY_CANCELLED")


class DRS:
    """The Dash Replenishment Service. `tokens`: the refresh tokens that were given to the appliance."""

    def __init__(self, folder: Path, clock: tuple[int, int], slots: Mapping[str, bool], test: bool, public: bool) -> None:
        self._folder = folder
        self._clock = clock
        self._slots = slots
        self._test = test
        self._public = public
        self.tokens: set[str] = set()

    def __enter__(self) -> Self:
        self.service = SimulatorThread(clock=Clock(*self._clock), ca_dir=self._folder / "ca").__enter__()
        # An access token's hour would be over within a call or two. The older words tell all of an order's life.
        self.service.settings.change(access_token_s=DAY_S, status_generation="older")
        # Else it would depend on how long a call takes whether the first poll finds the order placed.
        self.service.set_timings(place_after_s=0)
        self.service.do(lambda service: service.consent.slots.update(self._slots))
        return self

    def __exit__(self, *exception: Any) -> None:
        self.service.__exit__(*exception)

    def register(self) -> str:
        """The customer links the appliance: its refresh token."""
        return str(self.service.add_device(run.SERIAL, run.MODEL, slots=self._slots, test=self._test, public=self._public))

    def configure(self, config: dict[str, Any]) -> None:
        """Complete an appliance's configuration."""
        config["lwa"]["consent_url"] = self.service.url + CONSENT_PATH
        config["drs"]["test_device"] = self._test

    def given_secrets(self) -> dict[str, str]:
        """What the appliance's file of secrets begins with."""
        # The service never sees it when the agent has no use for it; it is written down all the same, for it must not leak.
        return {"client_secret": CLIENT_SECRET}

    def secrets(self) -> set[str]:
        """Every secret that there ever was: given, rotated and fetched."""
        found = {CLIENT_SECRET, *self.tokens}
        for call in self._calls("token"):
            if call.answer.startswith("{"):
                answer = json.loads(call.answer)
                found.update(answer[name] for name in ("access_token", "refresh_token") if name in answer)
        return found

    def orders(self, slot: str) -> list[Order]:
        """A slot's orders, oldest first."""
        return list(self.service.orders(slot, run.SERIAL))

    def outcomes(self, slot: str) -> list[str]:
        """What became of a slot's order calls, without those whose token had just died."""
        return [call.outcome for call in self._calls("replenish") if call.slot == slot and call.answer != DEAD_TOKEN]

    def accepted(self, slot: str) -> int:
        """How many of its orders the service says that it accepted."""
        return self.outcomes(slot).count("accepted")

    def _calls(self, endpoint: str) -> list[Call]:
        return [call for call in self.service.calls if call.endpoint == endpoint]

    def deliver(self) -> None:
        """The service is some days ahead: what is placed has arrived by then, and every access token is dead."""
        self.service.advance(5 * DAY_S)

    def subscribe(self, slot: str, subscribed: bool) -> None:
        """The customer allows orders of a slot, or forbids them."""
        self.service.subscribe(slot, subscribed)


@dataclass(frozen=True)
class StoreOrder:
    """An order of the store, by the intent that it was made for. `state` is in the words of the other back end."""

    order_id: str
    state: str
    accepted_at: int
    ended_at: int | None

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.ended_at is None


class AtGateway:
    """The maker's gateway. `store` is the simulated store behind it, and `gateway` the gateway itself."""

    def __init__(
        self,
        folder: Path,
        clock: tuple[int, int],
        slots: Mapping[str, bool],
        broker: Mosquitto,
        killable: bool = False,
        direct: str = "",
        **sections: Any,
    ) -> None:
        """killable: the gateway is a process; direct: the device calls it without the front, and proves itself by this, its "token" or
        its "certificate"; sections: more of these sections of its settings."""
        self._folder = folder
        self._clock = clock
        self._slots = slots
        self._broker = broker
        self._killable = killable
        self._direct = direct
        self._sections = sections
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.store = stack.enter_context(SimulatorThread(clock=Clock(*self._clock), ca_dir=self._folder / "store-ca"))
            folder, slots = self._folder / "gateway", self._slots
            place = folder, self.store, self._clock, self._broker, run.SERIAL, slots, bool(self._direct)
            self.files = GatewayFiles(*place, **self._sections)
            self.gateway = stack.enter_context(GatewayProcess(self.files) if self._killable else GatewayThread(self.files))
            clock = Clock(*self._clock)
            front = SimulatorThread(kind=Front, gateway_port=self.files.port, clock=clock, ca_dir=self._folder / "ca")
            self.service = stack.enter_context(front)
            self._token = self.files.token(self.service.clock.now())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def configure(self, config: dict[str, Any]) -> None:
        del config["drs"], config["lwa"]
        config.update(backend="gateway", gateway={"url": self.files.url if self._direct else self.service.url})
        if self._direct:
            config["tls"]["ca"] = [str(self.files.ca_der)]
        if self._direct == "certificate":
            config["tls"].update(self.files.device_certificate())

    def given_secrets(self) -> dict[str, str]:
        return {"gateway_token": self._token} if self._direct != "certificate" else {}

    def secrets(self) -> set[str]:
        return {self._token}

    def orders(self, slot: str) -> list[StoreOrder]:
        ends = {event.order_id: event.time for event in self.store.store.events if event.type in _ENDS}
        found = []
        for order in self.store.store.orders():
            intent = next(alias.id for alias in order.aliases if alias.type == INTENT_ALIAS)
            if intent.rpartition("-")[0] == f"{run.SERIAL}-{slot}":
                state = str(order.summary).lower() if order.execution == "STARTED" else "accepted"
                found.append(StoreOrder(intent, state, order.created_at, ends.get(order.id)))
        return found

    def outcomes(self, slot: str) -> list[str]:
        return [call.outcome for call in self._order_calls(slot)]

    def accepted(self, slot: str) -> int:
        """Of how many intents the gateway says that they are orders."""
        answers = [call.answer for call in self._order_calls(slot) if call.outcome == "accepted" and not call.spoilt]
        return len({json.loads(answer)["intent_id"] for answer in answers})

    def _order_calls(self, slot: str) -> list[Call]:
        return [call for call in self.service.calls if call.endpoint == "replenish" and call.slot == slot]

    def deliver(self) -> None:
        """By hand: were the store some days ahead of the gateway, no hold would end any more."""
        orders = self.store.store.orders()
        self.store.wait_until(lambda store: all(order.execution == "STARTED" for order in orders))
        for order in orders:
            if order.summary in ("PENDING", "IN_TRANSIT"):
                self.store.store.move_package(order.id, state="DELIVERED")

    def headers(self) -> dict[str, str]:
        """Of a request of the device's."""
        return {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}

    def answer(self, intent: str, verb: str) -> int:
        """A person's "agree" or "cancel", by another way than the device; the status."""
        request = urllib.request.Request(f"{self.files.url}{REPLENISH}/{intent}/{verb}", b"{}", self.headers())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)

    def subscribe(self, slot: str, subscribed: bool) -> None:
        """A gateway in a process looks at its directory by itself, in a while."""
        self.files.subscribe(slot, subscribed)
        if isinstance(self.gateway, GatewayThread):
            self.gateway.look()
