"""What an appliance of a run orders from: the part of a run that is another one with each back end. This one is DRS."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from tools.run import appliance
from tools.run.cloud import Address, cloud
from tools.run.events import RELAY_ENDPOINTS, Event, Source
from tools.run.household import Household
from tools.run.story import STORIES, Story
from tools.run.summary import Ending, Facts, Tally, report
from tools.simulator import Simulator
from tools.simulator.calls import Call
from tools.simulator.journal import Event as ServiceEvent
from tools.simulator.lwa import CLIENT_ID, CLIENT_SECRET
from tools.simulator.subscriptions import DeliveryState, TopicDelivery

# An hour is 83 ms at the usual speed: a token would be old before it is used. Not a whole day: of the daily reports one
# would then always meet a token that runs out during the call.
_ACCESS_TOKEN_S = 23 * 3600

# A configuration of the agent, and its secrets.
Files = tuple[dict[str, Any], dict[str, str]]


class Backend:
    """Sets up what the appliance orders from, tells what happens there, and does there what the household does."""

    story: Story

    def __init__(self, sim: Simulator, put: Callable[[Event], None], household: Household) -> None:
        """`put` hears what happens."""
        self.sim = sim
        self.put = put
        self.household = household

    def files(self) -> Files:
        """The appliance's configuration and secrets, once all listens."""
        raise NotImplementedError

    def advance(self) -> int:
        """Let happen what is due; returns the time."""
        raise NotImplementedError

    def act(self, event: Event) -> None:
        """The household did something: it is told, and done at the service where that has a part in it."""
        self.put(event)

    async def settle(self) -> None:
        """Wait until what the household has begun is done."""

    def report(self, tally: Tally, ending: Ending, facts: Facts) -> dict[str, Any]:
        """Everything about the run as plain data."""
        raise NotImplementedError

    @property
    def clock(self) -> tuple[int, int]:
        """scale_from and time_scale."""
        return self.sim.clock.scale_from, self.sim.clock.time_scale

    def tell_delivery(self, delivery: TopicDelivery, slot: str | None) -> None:
        """A notice, when the relay has said that the broker has it."""
        attempt = delivery.attempts[-1]
        fields = {"notification": delivery.notification, "ms": attempt.ms, "attempts": len(delivery.attempts)}
        self.put(Event(attempt.time, Source.CLOUD, "notice", slot, fields))


class DRS(Backend):
    """The Dash Replenishment Service, which knows the device, and its SNS topic."""

    story = STORIES["drs"]

    def __init__(self, sim: Simulator, put: Callable[[Event], None], household: Household, address: Address | None) -> None:
        """`address`: of the cloud, None without notices."""
        super().__init__(sim, put, household)
        self._address = address
        sim.events.subscribe(self._on_service)
        sim.calls.subscribe(self._on_call)
        sim.deliveries.subscribe(self._on_delivery)

    @staticmethod
    def cloud(sim: Simulator, folder: Path, notices: bool) -> AbstractAsyncContextManager[Address | None]:
        return cloud(sim, folder) if notices else contextlib.nullcontext()

    def files(self) -> Files:
        sim, address = self.sim, self._address
        # The older words tell a placed order from one that waits for its customer; the newer ones do not.
        sim.settings.change(access_token_s=_ACCESS_TOKEN_S, status_generation="older")
        consumables = self.story.consumables
        refresh_token = sim.add_device(appliance.SERIAL, appliance.MODEL, {consumable.id: True for consumable in consumables})
        for consumable in consumables:
            sim.set_scenarios(consumable.id, consumable.scenarios, serial=appliance.SERIAL)
        cas = [sim.ca_der.resolve()] + ([address.ca.resolve()] if address else [])
        config = appliance.configuration(consumables, sim.url, cas, CLIENT_ID, self.clock, address.port if address else 0)
        secrets = {"refresh_token": refresh_token, "client_secret": CLIENT_SECRET}
        return config, {**secrets, "mqtt_password": address.password} if address else secrets

    def advance(self) -> int:
        return self.sim.book.advance()

    def report(self, tally: Tally, ending: Ending, facts: Facts) -> dict[str, Any]:
        return report(tally, self.sim.summary(), ending, facts)

    def _on_service(self, event: ServiceEvent) -> None:
        fields = {**event.detail, "order_id": event.order_id} if event.order_id else dict(event.detail)
        self.put(Event(event.time, Source.SERVICE, event.kind, event.slot, fields))
        if event.kind == "delivered" and event.slot is not None:
            self.household.delivered(event.slot, event.time)

    def _on_call(self, call: Call) -> None:
        if call.sent == "pending" or call.endpoint in RELAY_ENDPOINTS:  # pending: announced again when the answer is out
            return
        fields = {"endpoint": call.endpoint, "status": call.status, "outcome": call.outcome, "ms": call.ms}
        self.put(Event(call.time, Source.SERVICE, "call", call.slot, fields))

    def _on_delivery(self, delivery: TopicDelivery) -> None:
        if delivery.notification and delivery.state is DeliveryState.DELIVERED and delivery.serial == appliance.SERIAL:
            self.tell_delivery(delivery, delivery.slot)
