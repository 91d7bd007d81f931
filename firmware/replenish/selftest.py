"""The self-test of a test device, one call at a time, on the agent's own modules. In memory only meanwhile.

`make selftest` runs the steps in their order and judges no call itself. No step touches the levels. What it orders and cancels the
order machine is told, when it is free for it, as after a call of the agent's own; but the fuse does not count a test order.
"""

from micropython import const

from . import calls
from .app import forget
from .core import order as o
from .manual import ask, converse
from .services import call, registration

_WEEK_S = const(604800)  # slotStatus must be told of some day on which the slot runs out


class SelfTest:
    """Each step returns (passed, what happened, the service's request id).

    Most make one call, `tokens_invalid` two, `slot_status` one for each slot; and any makes one more when there is no access token
    yet, or it has died of age. 20 s each at the most.
    """

    def __init__(self, agent, path):
        """path: of the agent's configuration. Raises ValueError unless it says that the device is a test device: a step would buy."""
        from .config import load

        if not agent.test_device:
            raise ValueError("drs.test_device: false: allowed: true, for a device that is registered so")
        config, secrets = load(path)
        client = config["lwa"]
        self._client = client["token_url"], client["client_id"], secrets.get("client_secret")
        self._endpoint = config["drs"]["endpoint"]
        self._agent = agent
        self.slot = agent.slots[0].id
        self._tokens = "", ""
        self._event_id = ""  # of the latest test order
        self._request_id = None  # of the agent's latest call
        agent.on(self._hear)

    def _hear(self, kind, slot_id, pairs):
        if kind == "call":
            for name, value in pairs:
                if name == "request_id":
                    self._request_id = value

    def registered(self):
        """An access token for the refresh token, and subscriptionInfo, which takes it."""
        answer, _ = ask(self._agent, self._remember)
        outcome, detail = _read_subscription(answer)
        passed = outcome == call.OK
        request_id = answer.headers.get("x-amzn-requestid", self._request_id)  # without an answer there was no token either
        return passed, "an access token, and it is taken" if passed else detail, request_id

    def _remember(self, service, access):
        self._tokens = access, self._agent.token
        return service.subscription_info(access)

    def subscription_info(self):
        answer, _ = self._ask("subscription_info")
        outcome, found, detail = calls.read(self._agent, "read_subscription_info", answer)
        missing = [slot.id for slot in self._agent.slots if not found.get(slot.id)]
        if outcome == call.OK and missing:
            detail = "not subscribed: " + ", ".join(missing)
        return _row(outcome == call.OK and not missing, answer, detail)

    def _ask(self, name, *args):
        """(answer, the time afterwards) of a call. name: of the method that makes the request, whose module nobody holds meanwhile."""
        return ask(self._agent, lambda service, access: getattr(service, name)(access, *args))

    def device_status(self):
        answer, _ = self._ask("device_status", self._agent.time.now)
        return _status(self._agent, answer, "DeviceStatus")

    def slot_status(self):
        """For every slot, a slot without a level as if it were full; the first that is refused is told."""
        agent = self._agent
        for slot in agent.slots:
            level = slot.level
            kept = level.value, level.first_at
            if level.value is None:
                level.value, level.first_at = slot.capacity, agent.time.now
            answer, _ = self._ask("slot_status", slot, agent.time.now + _WEEK_S)
            level.value, level.first_at = kept
            row = _status(self._agent, answer, "SlotStatus")
            if not row[0]:
                return (False, slot.id + ": " + row[1]) + row[2:]
        return row

    def order_placed(self):
        row, outcome, event_id, now = self._order(call.ACCEPTED, "testorderplaced")
        self._event_id = event_id
        if outcome == call.ACCEPTED:
            self._tell_machine(event_id, row[0], now)
        return row

    def _tell_machine(self, event_id, is_test, now):
        """The order is known as one of the agent's own, so that its notices are."""
        slot = self._agent.slots[0]
        order = slot.order
        if order.state == o.IDLE:
            fuse = order.fuse_day, order.fuse[:]
            order.intend(now, False)
            order.accept(now, event_id, now)
            if is_test:
                order.fuse_day, order.fuse = fuse
            self._agent.save(slot)

    def order_info(self):
        """getOrderInfo of the latest test order, whose status is to be one that the agent knows."""
        event_id = self._event_id
        answer, _ = self._ask("order_info", event_id)
        outcome, event, _, detail = calls.read(self._agent, "read_order_info", answer, event_id, self.slot)
        return _row(outcome == call.OK and event != 0, answer, detail)

    def order_in_progress(self):
        return self._order(call.IN_PROGRESS, "orderinprogress")[0]

    def unsubscribed(self):
        return self._order(call.UNSUBSCRIBED, "")[0]

    def _order(self, expected, code):
        """The row of a replenish call, its outcome, the order's id and the time."""
        answer, now = self._ask("replenish", self.slot)
        outcome, event_id, detail = calls.read(self._agent, "read_replenish", answer)
        said = detail.replace("_", "").lower()
        passed = outcome == expected and (not code or event_id != "" and said == code)
        if outcome == call.ACCEPTED and said != "testorderplaced":
            detail += ": a REAL order, to be cancelled at Amazon within 24 hours"
        return _row(passed, answer, detail), outcome, event_id, now

    def cancel_test_order(self):
        agent = self._agent
        answer, now = ask(agent, registration.cancel_test_orders, self.slot)
        _, free, detail = registration.read_test_orders(answer)
        passed = self.slot in free
        from .testorders import free as free_slot

        if passed and free_slot(agent.slots[0], now):
            agent.save(agent.slots[0])
        free_slot = None
        forget("testorders")
        return _row(passed, answer, "NO_ORDER_IN_PROGRESS" if passed else detail)

    def deregister(self):
        why = self._agent.deregister()
        return why is None, why or "deregistered, secrets erased", self._request_id

    def tokens_invalid(self):
        """Neither the access token nor the refresh token from before works any more."""
        from .services import lwa
        from .services.drs import Drs

        access, refresh = self._tokens
        request = Drs(self._endpoint).subscription_info(access)
        dead = converse(self._agent, "subscription_info", request, _read_subscription)
        said = converse(self._agent, "token", lwa.refresh(*(self._client + (refresh,))), lwa.read)
        return dead[0] == call.BAD_TOKEN and said[0] == call.UNLINKED, dead[1] + "; refresh: " + said[4], self._request_id


def _read_subscription(answer):
    from .services.drs_answers import read_status

    return read_status(answer, "SubscriptionInfo")


def _row(passed, answer, detail):
    said = detail if detail.startswith("status ") or not answer.status else "status %d %s" % (answer.status, detail)
    return passed, said or answer.error, answer.headers.get("x-amzn-requestid")


def _status(agent, answer, name):
    outcome, detail = calls.read(agent, "read_status", answer, name)
    return _row(outcome == call.OK, answer, detail)
